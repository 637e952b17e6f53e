//! Section 4.8 of MQTT 3.1.1, 4.13 of MQTT 5.0: what comes of errors.
