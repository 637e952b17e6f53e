//! What can go wrong between the client and its server.

use std::io;

use mqtt_codec::{DecodeError, EncodeError, ReasonCode};

use crate::tls::TlsError;

/// Why something was not done. After any of these the connection is of no further use, but after
/// [`Refused`](Self::Refused) for a publication, and [`TooMany`](Self::TooMany).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The server cannot be reached, or the connection broke.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// TLS cannot be spoken as it was asked for.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The server does not speak MQTT over WebSocket there.
    #[error("no WebSocket for MQTT: {0}")]
    WebSocket(String),
    /// It did not answer in time ([`Options::timeout`](crate::Options::timeout), or the keep alive).
    #[error("the server did not answer in time")]
    TimedOut,
    /// The connection ended without a word of the server.
    #[error("the server closed the connection")]
    Closed,
    /// CONNACK or PUBACK or PUBREC with an error.
    #[error("the server refuses: {}{}", .0.as_str(), explained(.1.as_deref()))]
    Refused(ReasonCode, Option<String>),
    /// DISCONNECT of the server (MQTT 5.0).
    #[error("the server closes the connection: {}{}", .0.as_str(), explained(.1.as_deref()))]
    Disconnected(ReasonCode, Option<String>),
    /// What was to be sent cannot be expressed in the version of the connection.
    #[error("cannot be sent: {0}")]
    Encode(#[from] EncodeError),
    /// The server breaks a rule of the format.
    #[error("the server sends what is no MQTT: {0}")]
    Decode(#[from] DecodeError),
    /// The server sends what it must not at this time.
    #[error("the server sends {0}, which was not expected")]
    Unexpected(&'static str),
    /// More messages came while an answer was waited for than are kept: 10,000.
    #[error("messages come faster than they are received")]
    InboxFull,
    /// As many messages are under way as MQTT can tell apart: 65,535.
    #[error("too many messages are under way")]
    TooMany,
}

fn explained(reason: Option<&str>) -> String {
    reason.map_or_else(String::new, |reason| {
        format!(" ({})", reason.escape_debug())
    })
}
