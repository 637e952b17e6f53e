//! Bytes that a client may send, and what a server has to make of them: one table for all.
//!
//! The rows stand in `rows/`, one file for each part of the specification, in a notation that is
//! made to be read; `rows/README.md` explains it. The same rows drive the tests of the codec, of the
//! broker's core and of the server over sockets, and a row may name the numbered statements of the
//! specification that it shows.
//!
//! ```
//! let cases = wire_table::cases()?;
//! let case = cases.iter().find(|case| case.name == "pingreq::v3_1_1");
//! assert_eq!(case.map(|case| case.sent.as_slice()), Some(&[0xC0, 0][..]));
//! # Ok::<(), wire_table::TableError>(())
//! ```

mod notation;
mod table;

use std::fmt;

/// A version of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// MQTT 3.1.
    V31,
    /// MQTT 3.1.1.
    V311,
    /// MQTT 5.0.
    V5,
}

impl Version {
    /// Every version.
    pub const ALL: [Self; 3] = [Self::V31, Self::V311, Self::V5];

    /// The protocol level in CONNECT: 3, 4 or 5.
    pub const fn level(self) -> u8 {
        match self {
            Self::V31 => 3,
            Self::V311 => 4,
            Self::V5 => 5,
        }
    }

    /// The protocol name in CONNECT.
    pub const fn protocol_name(self) -> &'static str {
        match self {
            Self::V31 => "MQIsdp",
            Self::V311 | Self::V5 => "MQTT",
        }
    }

    /// As the table has it: `3.1`, `3.1.1` or `5.0`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V31 => "3.1",
            Self::V311 => "3.1.1",
            Self::V5 => "5.0",
        }
    }
}

/// One row for one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// The row's name, `::`, and the version: `v3_1`, `v3_1_1` or `v5_0`.
    pub name: String,
    /// The file below `rows/`, without its extension.
    pub file: &'static str,
    /// The version in which the connection speaks, or will speak.
    pub version: Version,
    /// Ids of the statements of this version that the row shows, such as `MQTT-3.1.0-1`. MQTT 3.1
    /// has none.
    pub ids: Vec<String>,
    /// What has happened on the connection before.
    pub before: Before,
    /// What the client sends: whole packets, unless the end of the last one is what is wrong.
    pub sent: Vec<u8>,
    /// What the codec makes of it.
    pub codec: Codec,
    /// What the server does.
    pub outcome: Outcome,
}

/// What has happened on a connection before the bytes of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Before {
    /// Nothing: they are the first ones.
    Nothing,
    /// A CONNECT with a clean start was accepted.
    Connect,
    /// The same, and a subscription to the topic `t` with QoS 2 was granted.
    Subscribe,
}

/// What the codec makes of the bytes of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Codec {
    /// Every packet in them decodes.
    Decodes,
    /// The last packet in them breaks this rule: the name of the error.
    Refuses(String),
    /// The last packet in them goes on.
    Incomplete,
}

/// What the server does with the bytes of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It sends exactly this, which may be nothing, and goes on serving.
    Answers(Vec<u8>),
    /// It sends CONNACK without an error, and goes on serving.
    Accepts,
    /// It sends CONNACK with this code, and nothing else, and closes.
    Returns(u8),
    /// It closes the network connection without a word.
    Closes,
    /// It sends DISCONNECT with this reason code, and nothing else, and closes.
    Disconnects(u8),
}

/// Where the table is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableError {
    /// The file below `rows/`, and the line in it, from 1.
    pub place: String,
    /// What is wrong there.
    pub what: String,
}

impl fmt::Display for TableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

impl std::error::Error for TableError {}

/// Every row for every version that it is about, in the order of the table.
///
/// # Errors
/// If the table does not follow its notation, or has a name twice.
pub fn cases() -> Result<Vec<Case>, TableError> {
    table::read(FILES)
}

/// The table, file by file.
const FILES: &[(&str, &str)] = &[
    ("fixed_header", include_str!("../rows/fixed_header.txt")),
    ("connect", include_str!("../rows/connect.txt")),
    ("publish", include_str!("../rows/publish.txt")),
    (
        "acknowledgements",
        include_str!("../rows/acknowledgements.txt"),
    ),
    ("subscribe", include_str!("../rows/subscribe.txt")),
    ("unsubscribe", include_str!("../rows/unsubscribe.txt")),
    ("ping", include_str!("../rows/ping.txt")),
    ("disconnect", include_str!("../rows/disconnect.txt")),
    ("auth", include_str!("../rows/auth.txt")),
];
