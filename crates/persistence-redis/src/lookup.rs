//! What is asked of Redis by name, and what its answers mean.

use std::collections::HashMap;
use std::sync::Arc;

use broker_core::Message;
use broker_core::persistence::{
    ClientId, PersistenceError, StoredOutgoing, StoredQueue, StoredSession, StoredSubscription,
    StoredWill,
};
use mqtt_codec::PacketId;
use persistence_records::{
    RecordError, SessionRecord, decode_message, decode_subscription, decode_will,
};
use redis::{FromRedisValue, Value};
use topic_trie::{TopicFilter, TopicFilterBuf};

use crate::entry::Entry;
use crate::error::damaged;
use crate::reader::{Question, Reader};
use crate::shared::Shared;

/// Records in a page at most, however many are asked for. (Redis gathers a page while all others wait.)
const MOST_RECORDS: usize = 10_000;

/// Topics that Redis looks at in one go for a filter that few of them match.
const MOST_TOPICS: usize = 5_000;

/// Lookups of one store.
#[derive(Debug)]
pub(crate) struct Lookups {
    pub(crate) shared: Arc<Shared>,
    pub(crate) reader: Reader,
}

impl Lookups {
    fn key(&self, name: &str) -> String {
        format!("{}{name}", self.shared.base())
    }

    pub(crate) async fn sessions(
        &self,
        after: Option<String>,
        limit: usize,
    ) -> Result<Vec<StoredSession>, PersistenceError> {
        let page = self.named("sessions", "session", after, limit).await?;
        page.into_iter()
            .map(|(client, record)| decode_session(client, &record))
            .collect()
    }

    pub(crate) async fn session(
        &self,
        client: String,
    ) -> Result<Option<StoredSession>, PersistenceError> {
        let mut command = redis::cmd("HGET");
        command.arg(self.key("session")).arg(&client);
        let record: Option<Vec<u8>> = read(self.reader.ask(Question::Plain(command)).await?)?;
        record
            .map(|record| decode_session(client, &record))
            .transpose()
    }

    pub(crate) async fn wills(
        &self,
        node: String,
        after: Option<String>,
        limit: usize,
    ) -> Result<Vec<StoredWill>, PersistenceError> {
        let page = self
            .named(&format!("wills:{node}"), "will", after, limit)
            .await?;
        let decode = |(client, record): (String, Vec<u8>)| {
            let wrong = || damaged(format!("the will of {client:?} is cut off"));
            let (_, rest) = record.split_first_chunk::<8>().ok_or_else(wrong)?;
            let (length, rest) = rest.split_first_chunk::<2>().ok_or_else(wrong)?;
            let length = usize::from(u16::from_be_bytes(*length));
            let (_, record) = rest.split_at_checked(length).ok_or_else(wrong)?;
            let client = ClientId::from(client);
            decode_will(Arc::clone(&client), record)
                .map_err(|error| error.at(format_args!("the will of {client:?}")))
        };
        page.into_iter().map(decode).collect()
    }

    /// A page of records that are kept in a hash, by names that are kept in order.
    async fn named(
        &self,
        names: &str,
        records: &str,
        after: Option<String>,
        limit: usize,
    ) -> Result<Vec<(String, Vec<u8>)>, PersistenceError> {
        let limit = limit.min(MOST_RECORDS).to_string();
        let mut arguments = vec![names.into(), records.into(), limit.into_bytes()];
        arguments.extend(after.map(String::into_bytes));
        let question = Question::Script(&self.shared.scripts.named, arguments);
        let parts: Vec<Vec<u8>> = read(self.reader.ask(question).await?)?;
        pairs(parts)
            .map(|(name, record)| Ok((text(name)?, record)))
            .collect()
    }

    pub(crate) async fn subscriptions(
        &self,
        client: String,
        after: Option<String>,
        limit: usize,
    ) -> Result<Vec<StoredSubscription>, PersistenceError> {
        // Members are filters with their records behind a zero byte, which no filter has.
        let from = match after {
            None => b"-".to_vec(),
            Some(after) => [b"[", after.as_bytes(), b"\x01"].concat(),
        };
        let mut command = redis::cmd("ZRANGEBYLEX");
        command
            .arg(self.key(&format!("subscriptions:{client}")))
            .arg(from)
            .arg("+");
        command.arg("LIMIT").arg(0).arg(limit.min(MOST_RECORDS));
        let members: Vec<Vec<u8>> = read(self.reader.ask(Question::Plain(command)).await?)?;
        let decode = |member: Vec<u8>| {
            let end = member.iter().position(|byte| *byte == 0);
            let (filter, record) = end
                .and_then(|end| member.split_at_checked(end))
                .ok_or_else(|| damaged(format!("a subscription of {client:?} is cut off")))?;
            let filter = text(filter.to_vec())?;
            let options = decode_subscription(record.get(1..).unwrap_or_default())
                .map_err(|error| error.at(format_args!("subscription {filter:?} of {client:?}")))?;
            Ok(StoredSubscription {
                filter: filter.into(),
                options,
            })
        };
        members.into_iter().map(decode).collect()
    }

    pub(crate) async fn incoming(&self, client: String) -> Result<Vec<PacketId>, PersistenceError> {
        let mut command = redis::cmd("SMEMBERS");
        command.arg(self.key(&format!("incoming:{client}")));
        let numbers: Vec<u16> = read(self.reader.ask(Question::Plain(command)).await?)?;
        let mut ids: Vec<PacketId> = numbers.into_iter().filter_map(PacketId::new).collect();
        ids.sort_unstable();
        Ok(ids)
    }

    pub(crate) async fn outgoing(
        &self,
        client: String,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Vec<StoredOutgoing>, PersistenceError> {
        let limit = limit.min(MOST_RECORDS).to_string();
        let mut arguments = vec![client.clone().into_bytes(), limit.into_bytes()];
        arguments.extend(after.map(|after| after.to_be_bytes().to_vec()));
        let question = Question::Script(&self.shared.scripts.outgoing, arguments);
        let parts: Vec<Value> = read(self.reader.ask(question).await?)?;
        let mut messages: HashMap<u64, Arc<Message>> = HashMap::new();
        let mut page = Vec::with_capacity(parts.len() / 2);
        for (place, (entry, message)) in (0_u64..).zip(pairs(parts)) {
            let bytes: Vec<u8> = read(entry)?;
            let entry = Entry::decode(&bytes)
                .ok_or_else(|| damaged(format!("an entry of the queue of {client:?}")))?;
            let missing = || {
                let number = entry.sequence;
                damaged(format!("message {number} of session {client:?} is missing"))
            };
            let referred = match message {
                _ if !entry.is_referring() => None,
                // One that is there already, at that place.
                Value::Int(first) => {
                    let first = u64::try_from(first).ok();
                    let known = first.and_then(|first| messages.get(&first));
                    Some(Arc::clone(known.ok_or_else(missing)?))
                }
                Value::BulkString(record) if record.is_empty() => return Err(missing()),
                message => {
                    let record: Vec<u8> = read(message)?;
                    let at = |error: RecordError| {
                        let number = entry.sequence;
                        error.at(format_args!("message {number} of session {client:?}"))
                    };
                    let message = decode_message(&record).map_err(at)?;
                    messages.insert(place, Arc::clone(&message));
                    Some(message)
                }
            };
            page.push(entry.into_stored(&client, referred)?);
        }
        Ok(page)
    }

    pub(crate) async fn queue(&self, client: String) -> Result<StoredQueue, PersistenceError> {
        let question = Question::Script(&self.shared.scripts.queue, vec![client.into_bytes()]);
        let (messages, bytes, last): (u64, u64, Option<Vec<u8>>) =
            read(self.reader.ask(question).await?)?;
        let last = last.as_deref().and_then(<[u8]>::first_chunk::<8>);
        Ok(StoredQueue {
            messages,
            bytes,
            last: last.map(|number| u64::from_be_bytes(*number)),
        })
    }

    pub(crate) async fn retained(
        &self,
        filter: Option<TopicFilterBuf>,
        after: Option<String>,
        limit: usize,
    ) -> Result<Vec<Arc<Message>>, PersistenceError> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        let filter = filter.as_ref().map(TopicFilterBuf::as_filter);
        if let Some(filter) = filter.filter(|filter| !filter.is_wildcard()) {
            return self.retained_of(filter.as_str(), after).await;
        }
        let mut from = first_of(filter, after.as_deref());
        loop {
            let mut arguments = vec![
                limit.min(MOST_RECORDS).to_string().into_bytes(),
                MOST_TOPICS.to_string().into_bytes(),
                from,
            ];
            let levels = filter.into_iter().flat_map(TopicFilter::levels);
            arguments.extend(levels.map(|level| level.as_bytes().to_vec()));
            let question = Question::Script(&self.shared.scripts.retained, arguments);
            let (next, records): (Option<Vec<u8>>, Vec<Vec<u8>>) =
                read(self.reader.ask(question).await?)?;
            let page = records.iter().map(|record| decode_retained(record));
            match next {
                Some(next) if records.is_empty() => from = next,
                _ => return page.collect(),
            }
        }
    }

    /// The retained message of one topic.
    async fn retained_of(
        &self,
        topic: &str,
        after: Option<String>,
    ) -> Result<Vec<Arc<Message>>, PersistenceError> {
        if after.is_some_and(|after| after.as_str() >= topic) {
            return Ok(Vec::new());
        }
        let mut command = redis::cmd("HGET");
        command.arg(self.key("retained")).arg(topic);
        let record: Option<Vec<u8>> = read(self.reader.ask(Question::Plain(command)).await?)?;
        record
            .iter()
            .map(|record| decode_retained(record))
            .collect()
    }
}

/// Where a walk over the topics that a filter may match begins, as Redis wants it.
fn first_of(filter: Option<TopicFilter<'_>>, after: Option<&str>) -> Vec<u8> {
    let text = filter.map(TopicFilter::as_str).unwrap_or_default();
    let wildcard = text.find(['+', '#']).unwrap_or_default();
    let literal = text.get(..wildcard).unwrap_or_default();
    // `a/#` matches `a` as well.
    let literal = literal.strip_suffix('/').unwrap_or(literal);
    match after {
        Some(after) if after >= literal => [b"(", after.as_bytes()].concat(),
        _ if literal.is_empty() => b"-".to_vec(),
        _ => [b"[", literal.as_bytes()].concat(),
    }
}

fn decode_session(client: String, record: &[u8]) -> Result<StoredSession, PersistenceError> {
    let client = ClientId::from(client);
    // The incarnation in front is for the scripts.
    let record = SessionRecord::decode(record.get(8..).unwrap_or_default())
        .map_err(|error| error.at(format_args!("session {client:?}")))?;
    Ok(record.into_stored(client))
}

fn decode_retained(record: &[u8]) -> Result<Arc<Message>, PersistenceError> {
    decode_message(record).map_err(|error| error.at("a retained message"))
}

fn text(bytes: Vec<u8>) -> Result<String, PersistenceError> {
    String::from_utf8(bytes).map_err(|error| damaged(format!("a name is not UTF-8: {error}")))
}

/// What Redis answered, as what was asked for.
pub(crate) fn read<T: FromRedisValue>(value: Value) -> Result<T, PersistenceError> {
    T::from_redis_value(value).map_err(|error| {
        damaged(format!(
            "Redis answers something else than asked for: {error}"
        ))
    })
}

fn pairs<T>(parts: Vec<T>) -> impl Iterator<Item = (T, T)> {
    let mut parts = parts.into_iter();
    core::iter::from_fn(move || Some((parts.next()?, parts.next()?)))
}
