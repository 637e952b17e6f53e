//! Sections 3.15 and 4.12 of MQTT 5.0: AUTH and enhanced authentication.
