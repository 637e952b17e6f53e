//! The collections, their indexes, and the version of the format.
//!
//! | collection | `_id` | what is in it |
//! | --- | --- | --- |
//! | `sessions` | client identifier | what is known of a session, and the identifier of its contents |
//! | `subscriptions` | `{s: contents, f: filter}` | what was granted |
//! | `outgoing` | `{s: contents, n: sequence}` | a message on its way: the record itself, or the identifier of one in `messages` |
//! | `incoming` | `{s: contents, p: packet identifier}` | nothing more |
//! | `retained` | topic name | the message |
//! | `wills` | client identifier | a will with its message |
//! | `messages` | an identifier | the record of a message that several refer to, and how many do; one that is too large for a document has its record in `chunks` |
//! | `chunks` | `{m: message, n: number}` | a part of a record |
//! | `queues` | contents | how many messages are on their way, and of how many bytes |
//! | `dropped` | contents | contents of a session that is gone, to be removed in steps |
//! | `writers` | an identifier | the last group that a process has written; or that a session of one writes in transactions |
//! | `meta` | `format` | the version |
//!
//! Contents have an identifier of their own, which a session gets when it begins. So a session ends,
//! with whatever it had, by one small write: what nobody refers to cannot be found, and is removed
//! later.

use bson::{Document, doc};

pub(crate) const SESSIONS: &str = "sessions";
pub(crate) const SUBSCRIPTIONS: &str = "subscriptions";
pub(crate) const OUTGOING: &str = "outgoing";
pub(crate) const INCOMING: &str = "incoming";
pub(crate) const RETAINED: &str = "retained";
pub(crate) const WILLS: &str = "wills";
pub(crate) const MESSAGES: &str = "messages";
pub(crate) const CHUNKS: &str = "chunks";
pub(crate) const QUEUES: &str = "queues";
pub(crate) const DROPPED: &str = "dropped";
pub(crate) const WRITERS: &str = "writers";
pub(crate) const META: &str = "meta";

pub(crate) const COLLECTIONS: [&str; 12] = [
    SESSIONS,
    SUBSCRIPTIONS,
    OUTGOING,
    INCOMING,
    RETAINED,
    WILLS,
    MESSAGES,
    CHUNKS,
    QUEUES,
    DROPPED,
    WRITERS,
    META,
];

/// The version of the format that this code writes, and the only one that it reads.
pub(crate) const FORMAT: u32 = 1;

/// The `_id` in `meta` of the document with the version.
pub(crate) const FORMAT_ID: &str = "format";

/// Seconds after its expiry for which a message is kept: the clock of the database may be ahead of
/// the broker's, and it is for the broker to say that a message has expired.
pub(crate) const EXPIRY_GRACE_SECS: i32 = 3_600;

/// Seconds for which it is remembered what a process wrote last, which matters for as long as it may
/// ask whether it was written.
const WRITER_SECS: i32 = 30 * 86_400;

/// An index that must be there.
pub(crate) struct Index {
    pub(crate) collection: &'static str,
    pub(crate) name: &'static str,
    pub(crate) keys: fn() -> Document,
    /// What it says beyond its keys, as `listIndexes` shows it.
    pub(crate) options: fn() -> Document,
}

pub(crate) const INDEXES: [Index; 5] = [
    // Not removed by the database itself: that would count neither queues nor messages.
    Index {
        collection: OUTGOING,
        name: "mosca_expires",
        keys: || doc! { "expires": 1 },
        options: || doc! { "sparse": true },
    },
    Index {
        collection: RETAINED,
        name: "mosca_expires",
        keys: || doc! { "expires": 1 },
        options: || doc! { "sparse": true, "expireAfterSeconds": EXPIRY_GRACE_SECS },
    },
    Index {
        collection: MESSAGES,
        name: "mosca_chunks",
        keys: || doc! { "chunks": 1 },
        options: || doc! { "sparse": true },
    },
    Index {
        collection: WILLS,
        name: "mosca_node",
        keys: || doc! { "node": 1, "_id": 1 },
        options: Document::new,
    },
    Index {
        collection: WRITERS,
        name: "mosca_at",
        keys: || doc! { "at": 1 },
        options: || doc! { "expireAfterSeconds": WRITER_SECS },
    },
];
