//! Section 3.14: DISCONNECT, from the client and from the server.
