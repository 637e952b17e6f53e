//! MQTT topic matching.
