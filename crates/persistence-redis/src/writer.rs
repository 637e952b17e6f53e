//! The one writer of a store: takes batches in their order, writes them in groups, and knows of each
//! whether it was applied, whatever happens to the connection.
//!
//! Redis keeps a record of each writer: which connection it is on, and the number of the last group
//! that was applied. A group names the record that it expects; where it finds another it changes
//! nothing. So a group takes effect only behind the one before it, and only once; and nothing of a
//! connection that was given up takes effect once the next one has begun, however late it arrives. What
//! was sent and not answered is settled by the record: up to its number all was applied, beyond it
//! nothing was, nor ever will be.

use core::future::Future;
use core::pin::Pin;
use core::task::Poll;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use broker_core::Escaped;
use broker_core::persistence::{Operation, PersistenceError};
use persistence_records::{GroupLimits, Waiting};
use redis::{Cmd, RedisResult, Value};

use crate::encode::{Encoder, MessageNames, only_removes};
use crate::error::{ConnectError, Verdict, judge, unavailable};
use crate::pace::Pace;
use crate::replicas::await_replicas;
use crate::route::Link;
use crate::script::{FORMAT, WRITER_SECONDS};
use crate::shared::{Shared, backoff};

/// Groups that are under way at one time: Redis applies one while the next is put together.
const GROUPS_UNDER_WAY: usize = 2;

/// A group stays small enough for Redis to answer others in between.
const GROUP: GroupLimits = GroupLimits {
    batches: 1_024,
    operations: 4_096,
    bytes: 4 << 20,
};

/// One batch alone: when a group was refused, and it is to be seen for which of them.
const ALONE: GroupLimits = GroupLimits {
    batches: 1,
    ..GROUP
};

/// Redis takes 2^20 words in a command, of 512 MB each; no batch of the broker comes near.
const MOST_OPERATIONS: usize = 150_000;

/// Batches that are applied together.
#[derive(Debug)]
struct Group {
    number: u64,
    batches: Vec<Waiting>,
}

impl Group {
    fn operations(&self) -> impl Iterator<Item = &Operation> {
        self.batches.iter().flat_map(|batch| &batch.operations)
    }

    fn succeed(self) {
        for batch in self.batches {
            batch.answer(Ok(()));
        }
    }
}

type Reply = Pin<Box<dyn Future<Output = RedisResult<Value>> + Send>>;

/// A group that was sent.
struct UnderWay {
    group: Group,
    since: Instant,
    reply: Reply,
    /// The reply, if it was there at once.
    early: Option<RedisResult<Value>>,
}

/// A connection, as the record in Redis has it.
struct Begun {
    link: Link,
    /// The number of the connection.
    connection: u64,
    /// The number of the last group that was sent.
    last: u64,
    under_way: VecDeque<UnderWay>,
}

pub(crate) struct Writer {
    shared: Arc<Shared>,
    names: MessageNames,
    /// Groups that were sent on a connection that was given up before they were answered.
    unknown: VecDeque<Group>,
    /// The number of the last group that was answered.
    answered: u64,
    /// How many of the next batches are to be written alone.
    alone: usize,
    pace: Pace,
}

/// Why a connection ends.
enum End {
    /// All is written, and nothing will come.
    Done,
    /// It is of no use any more.
    Broken(String),
}

impl Writer {
    /// Connects for the first time.
    pub(crate) async fn start(
        shared: Arc<Shared>,
    ) -> Result<(Self, FirstConnection), ConnectError> {
        let mut writer = Self {
            names: MessageNames::new((shared.writer >> 64) as u64),
            shared,
            unknown: VecDeque::new(),
            answered: 0,
            alone: 0,
            pace: Pace::new(),
        };
        let begun = writer.begin().await?;
        let link = begun.link.clone();
        Ok((writer, FirstConnection { begun, link }))
    }

    /// Writes until the store is closed.
    pub(crate) async fn run(mut self, first: FirstConnection) {
        let mut begun = first.begun;
        loop {
            let End::Broken(reason) = self.serve(&mut begun).await else {
                return;
            };
            let address = core::mem::take(&mut begun.link.address);
            tracing::warn!(%address, reason = %Escaped(&reason), "the connection to Redis is lost");
            let given_up = begun.under_way.into_iter().map(|one| one.group);
            self.unknown.extend(given_up);
            match self.begin_again(reason).await {
                Some(next) => begun = next,
                None => return,
            }
            tracing::info!(address = %begun.link.address, "connected to Redis again");
        }
    }

    /// Tries to connect until it succeeds. `None` if the store was closed and nobody waits any more.
    async fn begin_again(&mut self, mut reason: String) -> Option<Begun> {
        let patience = self.shared.options().unavailable_timeout();
        let mut backoff = backoff();
        let start = Instant::now();
        loop {
            match self.begin().await {
                Ok(begun) => return Some(begun),
                Err(error) => {
                    let text = error.to_string();
                    if text != reason {
                        tracing::warn!(reason = %Escaped(&text), "Redis cannot be written to");
                        reason = text;
                    }
                }
            }
            for batch in self.shared.line.take_overdue(patience) {
                batch.answer(Err(unavailable(reason.as_str())));
            }
            let is_done = self.shared.line.is_done();
            if is_done && (self.unknown.is_empty() || start.elapsed() > patience) {
                for batch in self.unknown.drain(..).flat_map(|group| group.batches) {
                    batch.answer(Err(unavailable(
                        "the store was closed before Redis came back",
                    )));
                }
                return None;
            }
            tokio::time::sleep(backoff.pause()).await;
        }
    }

    /// Connects, and settles what became of the groups whose answers were lost.
    async fn begin(&mut self) -> Result<Begun, ConnectError> {
        let shared = Arc::clone(&self.shared);
        let mut link = shared.route.connect().await?;
        let _: Value = link.ask(shared.scripts.write.load()).await?;
        let mut command = shared.scripts.begin.by_text(shared.base());
        command
            .arg(shared.writer_name())
            .arg(FORMAT)
            .arg(WRITER_SECONDS);
        let answer: Vec<String> = link.ask(command).await?;
        let numbers: Vec<u64> = answer.iter().flat_map(|text| text.parse()).collect();
        let [connection, last] = numbers[..] else {
            return Err(ConnectError::Foreign {
                address: link.address.clone(),
                prefix: shared.options().prefix.clone(),
                found: answer.join(" "),
                wanted: FORMAT,
            });
        };
        // What was written on the earlier connection counts only when the replicas have it.
        if self.unknown.iter().any(|group| group.number <= last) {
            await_replicas(
                &mut link.connection,
                shared.options().wait_replicas,
                &shared,
            )
            .await
            .map_err(|error| ConnectError::of(&link.address, &error))?;
        }
        if last < self.answered {
            tracing::error!(
                address = %link.address,
                groups = self.answered - last,
                "Redis has lost groups of batches that it had confirmed: it was restarted without \
                 `appendfsync always`, a replica took over that did not have them, or it was emptied"
            );
        }
        self.answered = last;
        shared.connected();
        while self
            .unknown
            .front()
            .is_some_and(|group| group.number <= last)
        {
            if let Some(group) = self.unknown.pop_front() {
                group.succeed();
            }
        }
        let not_applied = self.unknown.drain(..).flat_map(|group| group.batches);
        let not_applied: Vec<Waiting> = not_applied.collect();
        shared.line.put_back(not_applied.into_iter());
        Ok(Begun {
            link,
            connection,
            last,
            under_way: VecDeque::new(),
        })
    }

    /// Writes on one connection until that cannot go on.
    async fn serve(&mut self, begun: &mut Begun) -> End {
        let shared = Arc::clone(&self.shared);
        loop {
            // What is not sent on a connection that is lost needs no finding out what became of it.
            if begun.link.is_lost() {
                return End::Broken("it was closed".to_owned());
            }
            let has_room = begun.under_way.len() < GROUPS_UNDER_WAY && !shared.line.is_done();
            let Some(mut front) = begun.under_way.pop_front() else {
                if shared.line.is_done() {
                    return End::Done;
                }
                tokio::select! {
                    () = self.gather() => self.send_next(begun).await,
                    () = begun.link.lost() => {}
                }
                continue;
            };
            let wanted = match self.alone {
                0 => Pace::beside(front.group.batches.len()),
                _ => 1,
            };
            let reply = tokio::select! {
                biased;
                reply = front.reply() => Some(reply),
                () = shared.line.reached(wanted), if has_room => None,
            };
            let Some(reply) = reply else {
                begun.under_way.push_front(front);
                self.send_next(begun).await;
                continue;
            };
            let (batches, took) = (front.group.batches.len(), front.since.elapsed());
            if let Err(reason) = self.settle(begun, front.group, reply).await {
                return End::Broken(reason);
            }
            self.pace.answered(batches, took);
        }
    }

    /// Waits until there is something to send with nothing under way.
    async fn gather(&self) {
        let line = &self.shared.line;
        if self.alone == 0
            && let Some((callers, moment)) = self.pace.expected()
        {
            // If they do not come, those who did have waited long enough.
            let _ = tokio::time::timeout(moment, line.reached(callers)).await;
        }
        line.reached(1).await;
    }

    /// Sends what waits, as much as makes a group.
    async fn send_next(&mut self, begun: &mut Begun) {
        let line = &self.shared.line;
        let limits = match self.alone {
            0 => GroupLimits {
                batches: Pace::share(line.len(), begun.under_way.len()).min(GROUP.batches),
                ..GROUP
            },
            _ => ALONE,
        };
        let batches = line.take(&limits);
        self.alone = self.alone.saturating_sub(batches.len());
        if !batches.is_empty() {
            self.send(begun, batches).await;
        }
    }

    /// Sends a group.
    async fn send(&mut self, begun: &mut Begun, batches: Vec<Waiting>) {
        let mut group = Group {
            number: begun.last + 1,
            batches,
        };
        let Some(command) = self.encode(begun, &mut group) else {
            return;
        };
        begun.last = group.number;
        let shared = Arc::clone(&self.shared);
        let mut connection = begun.link.connection.clone();
        // Nothing in here may wait for the turn of another task: what is sent first is to come first.
        let mut reply: Reply = Box::pin(tokio::task::unconstrained(async move {
            let replicas = shared.options().wait_replicas;
            if replicas == 0 {
                let reply = connection.send_packed_command(&command).await;
                return reply.and_then(Value::extract_error);
            }
            let mut other = connection.clone();
            let (reply, copied) = tokio::join!(
                connection.send_packed_command(&command),
                await_replicas(&mut other, replicas, &shared)
            );
            let reply = reply.and_then(Value::extract_error)?;
            copied.map(|()| reply)
        }));
        // The first look sends it.
        let early = core::future::poll_fn(|context| {
            Poll::Ready(match reply.as_mut().poll(context) {
                Poll::Ready(result) => Some(result),
                Poll::Pending => None,
            })
        });
        let early = early.await;
        begun.under_way.push_back(UnderWay {
            group,
            since: Instant::now(),
            reply,
            early,
        });
    }

    /// The command that applies a group. Batches that cannot be written at all are answered and left
    /// out; `None` if no other is left.
    fn encode(&mut self, begun: &Begun, group: &mut Group) -> Option<Cmd> {
        let full = |text: String| PersistenceError::Full(text.into());
        loop {
            if group.batches.is_empty() {
                return None;
            }
            let mut command = self.shared.scripts.write.by_name(self.shared.base());
            command
                .arg(self.shared.writer_name())
                .arg(format!("{}.{}", begun.connection, begun.last))
                .arg(format!("{}.{}", begun.connection, group.number))
                .arg(WRITER_SECONDS)
                .arg(u8::from(only_removes(group.operations())));
            let mut encoder = Encoder::new(&mut command, &mut self.names, group.operations());
            let mut refused = None;
            for (at, batch) in group.batches.iter().enumerate() {
                let added = if batch.operations.len() > MOST_OPERATIONS {
                    let count = batch.operations.len();
                    Err(format!(
                        "a batch has {count} operations, {MOST_OPERATIONS} at most fit"
                    ))
                } else {
                    let mut operations = batch.operations.iter();
                    operations
                        .try_for_each(|operation| encoder.add(operation))
                        .map_err(|error| error.to_string())
                };
                if let Err(text) = added {
                    refused = Some((at, text));
                    break;
                }
            }
            match refused {
                None => return Some(command),
                Some((at, text)) => group.batches.remove(at).answer(Err(full(text))),
            }
        }
    }

    /// Takes the reply to a group.
    ///
    /// # Errors
    /// If the connection is of no use any more; what was under way is there still, or unknown.
    async fn settle(
        &mut self,
        begun: &mut Begun,
        group: Group,
        reply: RedisResult<Value>,
    ) -> Result<(), String> {
        let error = match reply {
            Ok(Value::Okay) => {
                self.answered = group.number;
                group.succeed();
                return Ok(());
            }
            Ok(other) => {
                self.unknown.push_back(group);
                return Err(format!("another has written in our name: {other:?}"));
            }
            Err(error) => error,
        };
        match judge(&error) {
            Verdict::Broken(reason) => {
                self.unknown.push_back(group);
                Err(reason)
            }
            Verdict::NotApplied(error) => {
                let number = group.number;
                self.refuse(begun, group, error).await?;
                begun.last = number - 1;
                Ok(())
            }
        }
    }

    /// A group was not applied, and so none that was sent behind it was. Each of its batches is tried
    /// alone; the only one gets the answer.
    async fn refuse(
        &mut self,
        begun: &mut Begun,
        group: Group,
        error: PersistenceError,
    ) -> Result<(), String> {
        let Group { number, batches } = group;
        match <[Waiting; 1]>::try_from(batches) {
            Ok([batch]) => {
                tracing::warn!(error = %Escaped(&error), "Redis refuses a batch");
                batch.answer(Err(error));
            }
            Err(batches) => {
                self.alone = batches.len();
                self.unknown.push_back(Group { number, batches });
            }
        }
        while let Some(mut next) = begun.under_way.pop_front() {
            let reply = next.reply().await;
            self.unknown.push_back(next.group);
            // It has found that the one before it is missing.
            if !matches!(reply, Ok(Value::Nil | Value::BulkString(_))) {
                return Err(format!("an answer out of turn: {reply:?}"));
            }
        }
        let again = self.unknown.drain(..).flat_map(|group| group.batches);
        let again: Vec<Waiting> = again.collect();
        self.shared.line.put_back(again.into_iter());
        Ok(())
    }
}

impl UnderWay {
    async fn reply(&mut self) -> RedisResult<Value> {
        match self.early.take() {
            Some(reply) => reply,
            None => self.reply.as_mut().await,
        }
    }
}

/// A connection that was made before the writer runs.
pub(crate) struct FirstConnection {
    begun: Begun,
    /// To look around with.
    pub(crate) link: Link,
}
