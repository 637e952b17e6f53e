//! What the Node.js mosca 2.x has left in Redis, taken over into any store.
//!
//! | key of mosca | becomes |
//! | --- | --- |
//! | `client:sub:ID`: JSON of filters with their QoS | a session with its subscriptions |
//! | `packets:ID`: a list of keys, `packets:ID:MESSAGE` each: JSON of a packet | the session's queue, in the order of the list |
//! | `retained`: a hash of topics to JSON of packets | retained messages |
//!
//! What is there is read in pages, so the amount does not matter, and nothing is changed in it. What
//! cannot be read is reported with its key, and left out. Repeating an import is harmless: a session
//! or a retained message that the store has already is left as it is, and a session that was cut off in the middle is
//! imported from the beginning.

mod packet;

use broker_core::persistence::{Persistence, PersistenceError};
pub use persistence_records::{ImportProgress as Progress, Imported};

use persistence_records::{Filler, ImportedSession};
use redis::FromRedisValue;

use crate::error::ConnectError;
use crate::route::{Link, Route};
use crate::{RedisOptions, UrlError};

use packet::{Subscriptions, message};

/// Keys that Redis is asked for in one go.
const KEYS: usize = 500;
/// Packets that are read together: one may be large, and takes four times its size as JSON.
const PACKETS: usize = 16;

/// Why an import ended before its time. What was imported until then stays; it can be repeated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// The address is none.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// The Redis of mosca cannot be reached, or does not answer any more.
    #[error(transparent)]
    Source(#[from] ConnectError),
    /// The store cannot be read or written.
    #[error("cannot write to the store: {0}")]
    Store(#[from] PersistenceError),
}

/// Imports what a Node.js mosca has in the Redis at `url` (see [`RedisOptions::from_url`]) into a
/// store. No mosca and no broker should be at work on either of them.
///
/// Sessions are imported as if their connections had ended now, and with the session expiry interval
/// `session_expiry_secs`, in seconds (`u32::MAX` for ever): mosca counts its own from the last
/// SUBSCRIBE, whoever is connected. Messages do not expire. Those at QoS 0, which mosca queues if it is
/// asked to, are left out.
///
/// # Errors
/// If Redis or the store cannot be reached.
///
/// # Cancel safety
/// May be dropped at any time, and repeated.
///
/// ```no_run
/// # async fn example(store: &dyn broker_core::persistence::Persistence) -> Result<(), Box<dyn std::error::Error>> {
/// use persistence_redis::import::{self, Progress};
///
/// let imported = import::read("redis://127.0.0.1:6379", store, u32::MAX, |progress| {
///     if let Progress::Skipped { key, reason } = progress {
///         eprintln!("{key}: {reason}");
///     }
/// })
/// .await?;
/// println!("{} sessions", imported.sessions);
/// # Ok(())
/// # }
/// ```
pub async fn read(
    url: &str,
    store: &dyn Persistence,
    session_expiry_secs: u32,
    progress: impl FnMut(Progress) + Send,
) -> Result<Imported, ImportError> {
    let route = Route::new(RedisOptions::from_url(url)?)?;
    let mut import = Import {
        link: route.connect_plainly().await?,
        filler: Filler::new(store, progress),
        session_expiry_secs,
    };
    import.sessions().await?;
    import.orphans().await?;
    import.retained().await?;
    Ok(import.filler.imported)
}

struct Import<'a, P> {
    link: Link,
    filler: Filler<'a, P>,
    session_expiry_secs: u32,
}

impl<P: FnMut(Progress) + Send> Import<'_, P> {
    async fn ask<T: FromRedisValue>(
        &mut self,
        words: &[&[u8]],
    ) -> Result<Result<T, String>, ImportError> {
        let mut command = redis::Cmd::new();
        command.arg(words);
        let reply = self.link.connection.send_packed_command(&command).await;
        let value = reply.map_err(|error| ConnectError::of(&self.link.address, &error))?;
        // An error of one command is about its key; one of the connection is about everything.
        Ok(value
            .extract_error()
            .map_err(|error| error.to_string())
            .and_then(|value| T::from_redis_value(value).map_err(|error| error.to_string())))
    }

    /// As [`ask`](Self::ask), where no key can be the reason for an error.
    async fn must<T: FromRedisValue>(&mut self, words: &[&[u8]]) -> Result<T, ImportError> {
        let answer = self.ask(words).await?;
        answer.map_err(|reason| ConnectError::unreachable(&self.link.address, reason).into())
    }

    /// A page of keys, and where the next one begins.
    async fn keys(
        &mut self,
        pattern: &str,
        cursor: &str,
    ) -> Result<(String, Vec<Vec<u8>>), ImportError> {
        let count = KEYS.to_string();
        let words = ["SCAN", cursor, "MATCH", pattern, "COUNT", &count];
        self.must(&words.map(str::as_bytes)).await
    }

    fn skip(&mut self, key: &[u8], reason: impl core::fmt::Display) {
        self.filler.skip(String::from_utf8_lossy(key), reason);
    }

    async fn sessions(&mut self) -> Result<(), ImportError> {
        let mut cursor = "0".to_owned();
        loop {
            let (next, keys) = self.keys("client:sub:*", &cursor).await?;
            for key in keys {
                self.session(&key).await?;
            }
            if next == "0" {
                return Ok(());
            }
            cursor = next;
        }
    }

    async fn session(&mut self, key: &[u8]) -> Result<(), ImportError> {
        let name = key.strip_prefix(b"client:sub:").unwrap_or_default();
        let client = match core::str::from_utf8(name) {
            Ok(client) if is_client_id(client) => client,
            _ => {
                self.skip(key, "this is no client identifier of MQTT");
                return Ok(());
            }
        };
        let text = match self.ask::<Option<Vec<u8>>>(&[b"GET", key]).await? {
            Ok(Some(text)) => text,
            // It has expired since its key was listed.
            Ok(None) => return Ok(()),
            Err(reason) => {
                self.skip(key, reason);
                return Ok(());
            }
        };
        let subscriptions = match Subscriptions::parse(&text) {
            Ok(subscriptions) => subscriptions,
            Err(reason) => {
                self.skip(key, reason);
                return Ok(());
            }
        };
        let begun = self.filler.begin_session(client, self.session_expiry_secs);
        let Some(mut session) = begun.await? else {
            return Ok(());
        };
        let shown = String::from_utf8_lossy(key);
        for (filter, qos) in subscriptions.filters {
            let subscribed = self.filler.subscribe(&mut session, &shown, &filter, qos);
            subscribed.await?;
        }
        self.queue(&mut session, client).await?;
        Ok(self.filler.end_session(session).await?)
    }

    /// The queue of a session, in the order of its list.
    async fn queue(
        &mut self,
        session: &mut ImportedSession,
        client: &str,
    ) -> Result<(), ImportError> {
        let list = [b"packets:", client.as_bytes()].concat();
        let mut first = 0;
        loop {
            let (from, to) = (first.to_string(), (first + KEYS - 1).to_string());
            let words: [&[u8]; 4] = [b"LRANGE", &list, from.as_bytes(), to.as_bytes()];
            let keys = match self.ask::<Vec<Vec<u8>>>(&words).await? {
                Ok(keys) => keys,
                Err(reason) => {
                    self.skip(&list, reason);
                    return Ok(());
                }
            };
            if keys.is_empty() {
                return Ok(());
            }
            first += keys.len();
            for keys in keys.chunks(PACKETS) {
                let words: Vec<&[u8]> = core::iter::once(&b"MGET"[..])
                    .chain(keys.iter().map(Vec::as_slice))
                    .collect();
                let packets: Vec<Option<Vec<u8>>> = self.must(&words).await?;
                for (key, text) in keys.iter().zip(packets) {
                    // Nothing: it has expired, or was acknowledged.
                    let Some(text) = text else { continue };
                    self.enqueue(session, key, &text).await?;
                }
            }
        }
    }

    async fn enqueue(
        &mut self,
        session: &mut ImportedSession,
        key: &[u8],
        text: &[u8],
    ) -> Result<(), ImportError> {
        match message(text, false) {
            Ok(message) => {
                if !self.filler.enqueue(session, message).await? {
                    self.skip(key, "messages at QoS 0 do not wait");
                }
            }
            Err(reason) => self.skip(key, reason),
        }
        Ok(())
    }

    /// Lists of packets whose client has no subscriptions any more: mosca leaves them behind.
    async fn orphans(&mut self) -> Result<(), ImportError> {
        let mut cursor = "0".to_owned();
        loop {
            let (next, keys) = self.keys("packets:*", &cursor).await?;
            for key in keys {
                let kind: String = self.must(&[b"TYPE", &key]).await?;
                // The packets themselves are strings.
                if kind != "list" {
                    continue;
                }
                let client = key.strip_prefix(b"packets:").unwrap_or_default();
                let of_client = [b"client:sub:", client].concat();
                if self.must::<u64>(&[b"EXISTS", &of_client]).await? == 0 {
                    self.skip(
                        &key,
                        "a queue without a session: its subscriptions have expired",
                    );
                }
            }
            if next == "0" {
                return Ok(());
            }
            cursor = next;
        }
    }

    async fn retained(&mut self) -> Result<(), ImportError> {
        let mut cursor = "0".to_owned();
        loop {
            let words = ["HSCAN", "retained", &cursor, "COUNT", "16"].map(str::as_bytes);
            let (next, page) = match self.ask::<(String, Vec<Vec<u8>>)>(&words).await? {
                Ok(page) => page,
                Err(reason) => {
                    self.skip(b"retained", reason);
                    return Ok(());
                }
            };
            for pair in page.chunks(2) {
                let [topic, text] = pair else { continue };
                self.retain(topic, text).await?;
            }
            self.filler.flush().await?;
            if next == "0" {
                return Ok(());
            }
            cursor = next;
        }
    }

    async fn retain(&mut self, topic: &[u8], text: &[u8]) -> Result<(), ImportError> {
        let key = part(b"retained", &String::from_utf8_lossy(topic));
        let message = match message(text, true) {
            Ok(message) if message.topic().as_bytes() == topic => message,
            Ok(message) => {
                self.skip(
                    &key,
                    format!("the message is of another topic, {:?}", message.topic()),
                );
                return Ok(());
            }
            Err(reason) => {
                self.skip(&key, reason);
                return Ok(());
            }
        };
        Ok(self.filler.retain(message).await?)
    }
}

fn is_client_id(client: &str) -> bool {
    (1..=65_535).contains(&client.len()) && !client.contains('\0')
}

fn part(key: &[u8], name: &str) -> Vec<u8> {
    [key, b" ", name.as_bytes()].concat()
}
