//! The engine and its parts, each with settings for what is kept there.
//!
//! | part | key | value |
//! | --- | --- | --- |
//! | `meta` | one of those in [`crate::keys`] | numbers to go on with, sessions whose contents are to be removed |
//! | `sessions` | client identifier | [`SessionRecord`](persistence_records::SessionRecord) |
//! | `contents` | number of the session, kind, what [`crate::keys`] says | subscription, packet identifier, [`OutgoingRecord`](persistence_records::OutgoingRecord) |
//! | `messages` | number of the message | a message that waits in queues |
//! | `references` | number of a message that waits in several | in how many |
//! | `retained` | topic name | a message |
//! | `wills` | client identifier | a will with its message |

use std::path::Path;

use fjall::{Database, Keyspace, KeyspaceCreateOptions, KvSeparationOptions};

use crate::FjallOptions;
use crate::error::Failure;

/// Payloads from this size on are kept apart from keys, so that merging files does not copy them
/// again and again.
const SEPARATE_FROM_BYTES: u32 = 4 << 10;

pub(crate) struct Engine {
    pub(crate) meta: Keyspace,
    pub(crate) sessions: Keyspace,
    pub(crate) contents: Keyspace,
    pub(crate) messages: Keyspace,
    pub(crate) references: Keyspace,
    pub(crate) retained: Keyspace,
    pub(crate) wills: Keyspace,
    /// Last: the parts are to be let go of before the whole.
    pub(crate) database: Database,
}

impl Engine {
    pub(crate) fn open(path: &Path, options: &FjallOptions) -> Result<Self, Failure> {
        crate::manifest::check(path)?;
        crate::journal::cut_off_torn_batch(path)?;
        let database = Database::builder(path)
            .cache_size(options.cache_bytes)
            .max_journaling_size(options.journal_bytes)
            .worker_threads(options.worker_threads)
            // The writer says for each group how far it must get.
            .manual_journal_persist(true)
            .open()?;
        let plain = || {
            KeyspaceCreateOptions::default()
                .max_memtable_size(options.memtable_bytes)
                .manual_journal_persist(true)
        };
        let payloads = || {
            let separation =
                KvSeparationOptions::default().separation_threshold(SEPARATE_FROM_BYTES);
            plain().with_kv_separation(Some(separation))
        };
        Ok(Self {
            meta: database.keyspace("meta", plain)?,
            sessions: database.keyspace("sessions", plain)?,
            contents: database.keyspace("contents", plain)?,
            messages: database.keyspace("messages", payloads)?,
            references: database.keyspace("references", plain)?,
            retained: database.keyspace("retained", payloads)?,
            wills: database.keyspace("wills", plain)?,
            database,
        })
    }

    pub(crate) fn parts(&self) -> [&Keyspace; 7] {
        [
            &self.meta,
            &self.sessions,
            &self.contents,
            &self.messages,
            &self.references,
            &self.retained,
            &self.wills,
        ]
    }
}
