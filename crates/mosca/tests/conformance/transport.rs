//! Section 4.2 of MQTT 5.0, 7.1 of MQTT 3.1.1: what carries the packets.
