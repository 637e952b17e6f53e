//! What the Node.js mosca has left in a LevelDB (its `--db PATH`, or the factories `levelup` and `memory` over
//! leveldown), taken over into any store.
//!
//! | key of mosca | becomes |
//! | --- | --- |
//! | `!clientSubscriptions!ID`: filters with their QoS | a session with its subscriptions |
//! | `!offlinePackets!ID:MS:NUMBER`: a packet | a message in the session's queue, in the order of these numbers, which is not that of the keys |
//! | `!retained!TOPIC`: a packet | a retained message |
//!
//! The files are read as they stand, without LevelDB, and nothing in them is changed. What cannot be read is reported
//! with its key, and left out, as is what is behind damage in a log; a table that is damaged ends the import. Repeating it is harmless: a session or a retained
//! message that the store has already is left as it is, and a session that was cut off in the middle is imported from the
//! beginning.

mod bytes;
mod database;
mod entry;
mod log_file;
mod mosca;
mod table;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use broker_core::Message;
use broker_core::persistence::{Persistence, PersistenceError};
use mqtt_codec::QoS;
use persistence_records::Filler;
pub use persistence_records::{ImportProgress, Imported};

use database::{Database, Failure};
use mosca::Key;

/// Why an import ended before its time. What was imported until then stays; it can be repeated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// A file cannot be read, or is not as LevelDB writes it.
    #[error("{}: {source}", path.display())]
    Source {
        /// Which.
        path: PathBuf,
        /// What the system says, or that it is damaged.
        source: io::Error,
    },
    /// The store cannot be read or written.
    #[error("cannot write to the store: {0}")]
    Store(#[from] PersistenceError),
}

impl From<Failure> for ImportError {
    fn from((path, source): Failure) -> Self {
        Self::Source { path, source }
    }
}

/// Imports what a Node.js mosca has in the LevelDB in `folder` into a store. No mosca and no broker should be at work on
/// either of them.
///
/// Sessions are imported as if their connections had ended now, and with the session expiry interval
/// `session_expiry_secs`, in seconds (`u32::MAX` for ever): mosca counts its own from the last SUBSCRIBE, and removes
/// nothing of clients that do not return. Messages do not expire. Those at QoS 0, which mosca queues if it is asked to,
/// and those of `$SYS` are left out.
///
/// In memory are the subscriptions of all clients and the queue of one. Files are read while the future is polled, which
/// holds up whatever else would run there.
///
/// # Errors
/// If a file cannot be read or is damaged, or the store cannot be read or written.
///
/// # Cancel safety
/// May be dropped at any time, and repeated.
///
/// ```no_run
/// # async fn example(store: &dyn broker_core::persistence::Persistence) -> Result<(), leveldb_import::ImportError> {
/// use leveldb_import::ImportProgress;
///
/// let imported = leveldb_import::read("/var/lib/mosca".as_ref(), store, u32::MAX, |progress| {
///     if let ImportProgress::Skipped { key, reason } = progress {
///         eprintln!("{key}: {reason}");
///     }
/// })
/// .await?;
/// println!("{} sessions", imported.sessions);
/// # Ok(())
/// # }
/// ```
pub async fn read(
    folder: &Path,
    store: &dyn Persistence,
    session_expiry_secs: u32,
    progress: impl FnMut(ImportProgress) + Send,
) -> Result<Imported, ImportError> {
    let mut database = Database::open(folder)?;
    let mut import = Import {
        filler: Filler::new(store, progress),
        session_expiry_secs,
        sessions: BTreeMap::new(),
        queue: None,
    };
    for log in database.damaged_logs() {
        let reason = "it is damaged, and what is behind that is left out";
        import.filler.skip(log.display().to_string(), reason);
    }
    while let Some((key, value)) = database.next()? {
        import.entry(&key, &value).await?;
    }
    import.finish().await?;
    Ok(import.filler.imported)
}

/// The filters of a client.
type Filters = BTreeMap<String, Option<QoS>>;

struct Import<'a, P> {
    filler: Filler<'a, P>,
    session_expiry_secs: u32,
    /// Those that were found and are not in the store yet. In the order of keys they come before all queues.
    sessions: BTreeMap<String, Filters>,
    /// The queue that is being read. Those of different clients come one behind the other.
    queue: Option<Queue>,
}

/// The messages that wait for a client, by the time at which mosca stored them and a number.
struct Queue {
    client: String,
    messages: BTreeMap<(u64, u64), Arc<Message>>,
}

impl<P: FnMut(ImportProgress) + Send> Import<'_, P> {
    async fn entry(&mut self, key: &[u8], value: &[u8]) -> Result<(), ImportError> {
        let shown = || String::from_utf8_lossy(key).into_owned();
        match Key::read(key) {
            Ok(Key::Session(client)) => match mosca::subscriptions(value) {
                Ok(filters) => drop(self.sessions.insert(client.to_owned(), filters)),
                Err(reason) => self.filler.skip(shown(), reason),
            },
            Ok(Key::Queued { client, place }) => {
                if self.queue.as_ref().is_none_or(|it| it.client != client) {
                    self.end_queue().await?;
                }
                let queue = self.queue.get_or_insert_with(|| Queue {
                    client: client.to_owned(),
                    messages: BTreeMap::new(),
                });
                match mosca::message(value, false) {
                    Ok(message) => drop(queue.messages.insert(place, message)),
                    Err(reason) => self.filler.skip(shown(), reason),
                }
            }
            Ok(Key::Retained(topic)) => self.retained(&shown(), topic, value).await?,
            Ok(Key::Other) => {}
            Err(reason) => self.filler.skip(shown(), reason),
        }
        Ok(())
    }

    async fn retained(&mut self, key: &str, topic: &str, value: &[u8]) -> Result<(), ImportError> {
        match mosca::message(value, true) {
            Ok(message) if message.topic() != topic => {
                let other = format!("the message is of another topic, {:?}", message.topic());
                self.filler.skip(key, other);
            }
            Ok(message) if is_of_the_broker(&message) => self.filler.imported.left_out += 1,
            Ok(message) => self.filler.retain(message).await?,
            Err(reason) => self.filler.skip(key, reason),
        }
        Ok(())
    }

    /// Brings in the client whose queue was read.
    async fn end_queue(&mut self) -> Result<(), ImportError> {
        let Some(Queue { client, messages }) = self.queue.take() else {
            return Ok(());
        };
        match self.sessions.remove(&client) {
            Some(filters) => self.session(&client, filters, messages).await,
            None => {
                let reason = "a queue without a session: its subscriptions are gone";
                self.filler
                    .skip(format!("!offlinePackets!{client}"), reason);
                Ok(())
            }
        }
    }

    async fn session(
        &mut self,
        client: &str,
        filters: Filters,
        messages: BTreeMap<(u64, u64), Arc<Message>>,
    ) -> Result<(), ImportError> {
        let begun = self.filler.begin_session(client, self.session_expiry_secs);
        let Some(mut session) = begun.await? else {
            return Ok(());
        };
        let key = format!("!clientSubscriptions!{client}");
        for (filter, qos) in filters {
            let subscribed = self.filler.subscribe(&mut session, &key, &filter, qos);
            subscribed.await?;
        }
        for message in messages.into_values() {
            let waits =
                !is_of_the_broker(&message) && self.filler.enqueue(&mut session, message).await?;
            self.filler.imported.left_out += u64::from(!waits);
        }
        Ok(self.filler.end_session(session).await?)
    }

    /// Brings in those for whom nothing waits, and what was gathered.
    async fn finish(&mut self) -> Result<(), ImportError> {
        self.end_queue().await?;
        for (client, filters) in core::mem::take(&mut self.sessions) {
            self.session(&client, filters, BTreeMap::new()).await?;
        }
        Ok(self.filler.flush().await?)
    }
}

/// What mosca has said of itself, and has put into queues by mistake.
fn is_of_the_broker(message: &Message) -> bool {
    message.topic().split('/').next() == Some("$SYS")
}
