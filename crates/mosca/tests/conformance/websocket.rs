//! Section 6: MQTT over WebSocket.
