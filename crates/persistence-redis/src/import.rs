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

use std::time::{SystemTime, UNIX_EPOCH};

use broker_core::persistence::{
    Operation, Persistence, PersistenceError, SessionKey, StoredSession, SubscriptionIds,
};
use broker_core::{SubscriptionOptions, Timestamp};
use mqtt_codec::QoS;
pub use persistence_records::{ImportProgress as Progress, Imported};

use persistence_records::Filler;
use redis::FromRedisValue;
use topic_trie::TopicFilter;

use crate::error::ConnectError;
use crate::route::{Link, Route};
use crate::{RedisOptions, UrlError};

use packet::{Granted, Subscriptions, message, qos_of};

/// Keys that Redis is asked for in one go.
const KEYS: usize = 500;
/// Packets that are read together: one may be large, and takes four times its size as JSON.
const PACKETS: usize = 16;
/// Sessions of the broker have later ones.
const INCARNATION: u64 = 1;
/// The end of the connection of a session whose import is not complete.
const INCOMPLETE: Timestamp = Timestamp::from_millis(1);

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
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let mut import = Import {
        link: route.connect_plainly().await?,
        filler: Filler::new(store, progress),
        session_expiry_secs,
        now: Timestamp::from_millis(u64::try_from(now.as_millis()).unwrap_or_default()),
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
    now: Timestamp,
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
        let session = SessionKey {
            client: client.into(),
            incarnation: INCARNATION,
        };
        if let Some(present) = self.filler.store().session(client).await? {
            if present.disconnected_at != Some(INCOMPLETE) {
                self.filler.imported.present += 1;
                return Ok(());
            }
            let session = present.session;
            self.filler.push(Operation::DropSession { session }).await?;
        }
        let put = |disconnected_at| {
            Operation::PutSession(StoredSession {
                session: session.clone(),
                expiry_interval_secs: self.session_expiry_secs,
                disconnected_at: Some(disconnected_at),
            })
        };
        let (begin, end) = (put(INCOMPLETE), put(self.now));
        self.filler.push(begin).await?;
        let granted = self.subscriptions(&session, key, subscriptions).await?;
        self.queue(&session, &granted).await?;
        self.filler.imported.sessions += 1;
        self.filler.push(end).await?;
        Ok(self.filler.flush().await?)
    }

    async fn subscriptions(
        &mut self,
        session: &SessionKey,
        key: &[u8],
        subscriptions: Subscriptions,
    ) -> Result<Vec<Granted>, ImportError> {
        let mut granted = Vec::new();
        for (filter, qos) in subscriptions.filters {
            let qos = match (TopicFilter::new(&filter), qos) {
                (Ok(valid), Some(qos)) => {
                    granted.push((valid.to_buf(), qos));
                    qos
                }
                (Ok(_), None) => {
                    self.skip(&part(key, &filter), "its QoS is neither 0, 1 nor 2");
                    continue;
                }
                (Err(error), _) => {
                    self.skip(&part(key, &filter), error);
                    continue;
                }
            };
            let operation = Operation::PutSubscription {
                session: session.clone(),
                filter: filter.into(),
                options: SubscriptionOptions {
                    qos,
                    no_local: false,
                    retain_as_published: false,
                    identifier: 0,
                },
            };
            self.filler.imported.subscriptions += 1;
            self.filler.push(operation).await?;
        }
        Ok(granted)
    }

    /// The queue of a session, in the order of its list.
    async fn queue(
        &mut self,
        session: &SessionKey,
        granted: &[Granted],
    ) -> Result<(), ImportError> {
        let list = [b"packets:", session.client.as_bytes()].concat();
        let (mut first, mut sequence) = (0, 0);
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
                    sequence += 1;
                    self.enqueue((session, sequence), granted, key, &text)
                        .await?;
                }
            }
        }
    }

    async fn enqueue(
        &mut self,
        (session, sequence): (&SessionKey, u64),
        granted: &[Granted],
        key: &[u8],
        text: &[u8],
    ) -> Result<(), ImportError> {
        let message = match message(text, false) {
            Ok(message) => message,
            Err(reason) => {
                self.skip(key, reason);
                return Ok(());
            }
        };
        let qos = qos_of(&message, granted);
        if qos == QoS::AtMostOnce {
            self.skip(key, "messages at QoS 0 do not wait");
            return Ok(());
        }
        let operation = Operation::Enqueue {
            session: session.clone(),
            sequence,
            qos,
            message,
            retain: false,
            subscription_ids: SubscriptionIds::None,
            shared: None,
            packet_id: None,
        };
        self.filler.imported.messages += 1;
        Ok(self.filler.push(operation).await?)
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
        let Ok(filter) = TopicFilter::new(message.topic()) else {
            return Ok(());
        };
        if !self
            .filler
            .store()
            .retained(Some(filter), None, 1)
            .await?
            .is_empty()
        {
            self.filler.imported.present += 1;
            return Ok(());
        }
        self.filler.imported.retained += 1;
        Ok(self.filler.push(Operation::PutRetained { message }).await?)
    }
}

fn is_client_id(client: &str) -> bool {
    (1..=65_535).contains(&client.len()) && !client.contains('\0')
}

fn part(key: &[u8], name: &str) -> Vec<u8> {
    [key, b" ", name.as_bytes()].concat()
}
