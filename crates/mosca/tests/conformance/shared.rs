//! Section 4.8 of MQTT 5.0: shared subscriptions.
