//! What the log has to say about a connection.
