//! Section 4.9 of MQTT 5.0: receive maximum and send quota.
