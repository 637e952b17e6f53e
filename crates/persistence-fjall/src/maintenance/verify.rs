//! Checking a store: every record can be read, and what refers to something finds it.

use std::collections::HashMap;
use std::path::Path;

use fjall::{Keyspace, Readable};
use persistence_records::{OutgoingRecord, SessionRecord, decode_message, decode_will};

use super::{MaintenanceError, Report, Steps};
use crate::changes::{is_shared, number, read_count};
use crate::engine::Engine;
use crate::error::Failure;
use crate::keys::{self, Content, DROPPED};
use crate::lookup::{Lookup, expand};
use crate::queue_size::QueueSize;
use crate::shared::guarded;
use crate::{FjallOptions, open};

/// Faults that are described; more are counted.
const MOST_FAULTS: usize = 100;

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Sessions.
    pub sessions: u64,
    /// Subscriptions of all sessions.
    pub subscriptions: u64,
    /// Places in the queues of all sessions.
    pub queued: u64,
    /// Packet identifiers of QoS 2 messages that were received.
    pub incoming: u64,
    /// Messages that wait in queues, each counted once.
    pub messages: u64,
    /// Retained messages.
    pub retained: u64,
    /// Wills.
    pub wills: u64,
    /// Records that sessions have left which were dropped; a broker removes them.
    pub remains: u64,
    /// What is wrong, the first hundred.
    pub faults: Vec<String>,
    /// How many things are wrong.
    pub fault_count: u64,
}

/// Reads everything in a store. What is wrong with it is in the answer, not an error, as long as the
/// store can be read at all.
///
/// Needs memory for each message that waits in several queues, 50 bytes or so, and for each session,
/// 20 bytes.
///
/// # Errors
/// If the store cannot be opened, or the callback has ended it.
pub fn verify(path: &Path, report: Report<'_>) -> Result<Verified, MaintenanceError> {
    let (_place, engine) = open(path, &FjallOptions::default(), false)?;
    let records: usize = engine
        .parts()
        .iter()
        .map(|part| part.approximate_len())
        .sum();
    let mut check = Check {
        lookup: Lookup::new(&engine),
        steps: Steps::new(report, u64::try_from(records).unwrap_or(u64::MAX))?,
        found: Verified::default(),
        sessions: HashMap::new(),
        queues: HashMap::new(),
        queue: (0, QueueSize::default()),
        alone: Sums::default(),
    };
    check.meta(&engine)?;
    check.sessions(&engine)?;
    check.contents(&engine)?;
    check.messages(&engine)?;
    check.retained(&engine)?;
    check.wills(&engine)?;
    check.steps.end()?;
    Ok(check.found)
}

struct Check<'e, 'r> {
    lookup: Lookup<'e>,
    steps: Steps<'r>,
    found: Verified,
    /// Sessions by their numbers, and whether they are still there.
    sessions: HashMap<u64, bool>,
    /// How many queues have each of the messages that are shared.
    queues: HashMap<u64, u32>,
    /// The session whose queue is being looked at, and what was found so far.
    queue: (u64, QueueSize),
    /// Messages that are not: those that queues have, less those that are there.
    alone: Sums,
}

/// Tells whether two lists have the same numbers, without either.
#[derive(Default, PartialEq, Eq)]
struct Sums {
    count: i64,
    sum: u64,
    squares: u64,
}

impl Sums {
    fn add(&mut self, number: u64) {
        self.count += 1;
        self.sum = self.sum.wrapping_add(number);
        self.squares = self.squares.wrapping_add(number.wrapping_mul(number));
    }

    fn take(&mut self, number: u64) {
        self.count -= 1;
        self.sum = self.sum.wrapping_sub(number);
        self.squares = self.squares.wrapping_sub(number.wrapping_mul(number));
    }
}

impl Check<'_, '_> {
    fn fault(&mut self, what: impl core::fmt::Display) {
        self.found.fault_count += 1;
        if self.found.faults.len() < MOST_FAULTS {
            self.found.faults.push(what.to_string());
        }
    }

    /// Looks at each record of a part. The engine checks what it reads against its sums; where that
    /// fails the rest of the part cannot be read.
    fn each(
        &mut self,
        part: &Keyspace,
        name: &'static str,
        mut look: impl FnMut(&mut Self, &[u8], &[u8]) -> Result<(), Failure>,
    ) -> Result<(), MaintenanceError> {
        self.steps.begin(name)?;
        let mut entries = self.lookup.at.iter(part);
        loop {
            match guarded(|| Ok(entries.next().map(fjall::Guard::into_inner).transpose()?)) {
                Ok(None) => return Ok(()),
                Ok(Some((key, value))) => {
                    if let Err(failure) = look(self, &key, &value) {
                        self.fault(failure.reason);
                    }
                }
                Err(failure) => {
                    self.fault(format!("{name}: {}", failure.reason));
                    return Ok(());
                }
            }
            self.steps.step()?;
        }
    }

    /// What was counted of a queue had to be compared with its size, which comes behind it. Of what
    /// is being removed the size may be gone.
    fn end_of_queue(&mut self, next: u64) {
        let (session, size) = core::mem::replace(&mut self.queue, (next, QueueSize::default()));
        if size.messages > 0 && self.sessions.get(&session) == Some(&true) {
            self.fault(format!("the queue of session number {session} has no size"));
        }
    }

    fn meta(&mut self, engine: &Engine) -> Result<(), MaintenanceError> {
        self.each(&engine.meta, "numbers", |check, key, _| {
            if let [DROPPED, number @ ..] = key {
                let number = keys::read_number(number);
                let number = number.map_err(|error| named("a dropped session", key, error))?;
                check.sessions.insert(number, false);
            }
            Ok(())
        })
    }

    fn sessions(&mut self, engine: &Engine) -> Result<(), MaintenanceError> {
        self.each(&engine.sessions, "sessions", |check, key, value| {
            let record = SessionRecord::decode(value);
            let record = record.map_err(|error| named("session", key, error))?;
            check.found.sessions += 1;
            if check.sessions.insert(record.number, true).is_some() {
                check.fault(format!(
                    "session {:?}: another one, or one that was dropped, has its number {}",
                    String::from_utf8_lossy(key),
                    record.number
                ));
            }
            Ok(())
        })
    }

    fn contents(&mut self, engine: &Engine) -> Result<(), MaintenanceError> {
        self.each(&engine.contents, "contents of sessions", |check, key, value| {
            let (session, content) =
                keys::read_contents(key).map_err(|error| named("contents", key, error))?;
            match check.sessions.get(&session) {
                Some(true) => {}
                Some(false) => check.found.remains += 1,
                None => check.fault(format!("there is something of session number {session}, and no such session")),
            }
            if check.queue.0 != session {
                check.end_of_queue(session);
            }
            match content {
                Content::Queue => {
                    let said = QueueSize::decode(session, value)?;
                    let (_, found) = core::mem::take(&mut check.queue);
                    check.queue.0 = session;
                    let whole = check.sessions.get(&session) == Some(&true);
                    let same = (said.messages, said.bytes) == (found.messages, found.bytes)
                        && (said.messages == 0 || said.first <= found.first);
                    if !same && whole {
                        check.fault(format!(
                            "the queue of session number {session} is said to be {said:?}, and is {found:?}"
                        ));
                    }
                }
                Content::Incoming(_) => check.found.incoming += 1,
                Content::Subscription(filter) => {
                    let count = expand(filter, value)?.len();
                    check.found.subscriptions += u64::try_from(count).unwrap_or(u64::MAX);
                }
                Content::Outgoing(sequence) => {
                    check.found.queued += 1;
                    let name = format!("message {sequence} of session number {session}");
                    let record = OutgoingRecord::decode(value)
                        .map_err(|error| crate::error::damaged(&name, error))?;
                    check.queue.1.add(sequence, &record);
                    if let Some(id) = record.message {
                        let number = number(id)?;
                        match is_shared(number) {
                            true => *check.queues.entry(number).or_default() += 1,
                            false => check.alone.add(number),
                        }
                        let there = engine.messages.contains_key(number.to_be_bytes())?;
                        if !there {
                            check.fault(format!("{name}: it is not there, number {number}"));
                        }
                    }
                }
            }
            Ok(())
        })?;
        self.end_of_queue(0);
        Ok(())
    }

    fn messages(&mut self, engine: &Engine) -> Result<(), MaintenanceError> {
        self.each(&engine.messages, "messages", |check, key, value| {
            let number = keys::read_number(key).map_err(|error| named("message", key, error))?;
            check.found.messages += 1;
            if !is_shared(number) {
                check.alone.take(number);
            } else if !check.queues.contains_key(&number) {
                check.fault(format!("message {number} is in no queue"));
            }
            decode_message(value).map_err(|error| named("message", key, error))?;
            Ok(())
        })?;
        if self.alone != Sums::default() {
            self.fault("the messages that are there are not those that are queued");
        }
        self.each(
            &engine.references,
            "counts of messages",
            |check, key, value| {
                let number = keys::read_number(key).map_err(|error| named("count", key, error))?;
                let count = read_count(number, value)?;
                let found = check.queues.remove(&number).unwrap_or_default();
                if count != found {
                    check.fault(format!(
                        "message {number} is said to be in {count} queues, and is in {found}"
                    ));
                }
                Ok(())
            },
        )?;
        let uncounted: Vec<u64> = self.queues.keys().copied().collect();
        for number in uncounted {
            self.fault(format!("message {number} is in queues and not counted"));
        }
        Ok(())
    }

    fn retained(&mut self, engine: &Engine) -> Result<(), MaintenanceError> {
        self.each(
            &engine.retained,
            "retained messages",
            |check, key, value| {
                let message =
                    decode_message(value).map_err(|error| named("retained message", key, error))?;
                check.found.retained += 1;
                if message.topic().as_bytes() != key {
                    check.fault(format!(
                        "the retained message of {:?} is of {:?}",
                        String::from_utf8_lossy(key),
                        message.topic()
                    ));
                }
                Ok(())
            },
        )
    }

    fn wills(&mut self, engine: &Engine) -> Result<(), MaintenanceError> {
        self.each(&engine.wills, "wills", |check, key, value| {
            decode_will("".into(), value).map_err(|error| named("will of", key, error))?;
            check.found.wills += 1;
            Ok(())
        })
    }
}

fn named(what: &str, key: &[u8], error: impl core::fmt::Display) -> Failure {
    crate::error::damaged(format!("{what} {:?}", String::from_utf8_lossy(key)), error)
}
