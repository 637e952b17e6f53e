//! The one who writes: takes what waits, writes it as one transaction, answers, and begins anew.
//!
//! A transaction whose fate is unknown (the connection broke while it was being committed, say) is
//! neither reported as failed nor simply repeated. Each transaction notes the number of its group
//! in a document of this writer's; the next attempt looks there first. Since it changes the same
//! document, a transaction of an earlier attempt cannot come into force behind it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use broker_core::Escaped;
use broker_core::persistence::{Operation, PersistenceError};
use bson::oid::ObjectId;
use bson::{Bson, DateTime, doc, rawdoc};
use mongodb::ClientSession;
use tokio::time::{sleep, timeout};

use crate::abandoned::Watch;
use crate::bodies::Uploads;
use crate::changes;
use crate::error::{Attempt, Failure};
use crate::inner::{Inner, backoff};
use crate::load;
use crate::queue::{GroupLimits, Waiting};
use crate::schema::WRITERS;
use crate::transaction::{Statements, Transaction};

const DOING: &str = "writing";

/// Callers that have just been answered are waited for no longer than this.
const LONGEST_LINGER: Duration = Duration::from_millis(10);

/// An attempt that takes longer is told of.
const LONG: Duration = Duration::from_secs(5);

/// A group that has failed for so long is told of.
const FAILING: Duration = Duration::from_secs(1);

/// A group that has met conflicts for so long is probably in the way of nobody who lives.
const IN_CONFLICT: Duration = Duration::from_millis(500);

pub(crate) struct Writer {
    inner: Arc<Inner>,
    id: ObjectId,
    group: i64,
    session: Option<ClientSession>,
    watch: Watch,
}

/// What earlier attempts have shown of a group.
#[derive(Clone, Copy, Default)]
struct Earlier {
    /// One may have come into force.
    is_unknown: bool,
    /// One has found something there that it was about to make.
    met_duplicate: bool,
}

/// What became of a group that could not be written.
enum Outcome {
    /// Nothing of it has been applied; the store cannot be written to at this time.
    Unavailable(Failure),
    /// Nothing of it has been applied; it cannot be.
    Refused(Failure),
}

impl Writer {
    pub(crate) fn new(inner: Arc<Inner>) -> Self {
        Self {
            inner,
            id: ObjectId::new(),
            group: 0,
            session: None,
            watch: Watch::default(),
        }
    }

    /// Writes until the queue is closed and empty.
    pub(crate) async fn run(mut self) {
        let mut limits = GroupLimits {
            batches: self.inner.options.group_batches.max(1),
            bytes: self.inner.options.group_bytes,
            wanted: 1,
            moment: Duration::ZERO,
        };
        let inner = Arc::clone(&self.inner);
        // What the one before us has left open is then known for what it is when it is met.
        self.end_abandoned().await;
        while let Some(group) = inner.queue.next_group(limits).await {
            let (callers, begin) = (group.len(), Instant::now());
            self.write(group).await;
            // Their number may differ a little; and they come within a part of what a transaction takes.
            limits.wanted = callers - callers / 8;
            limits.moment = (begin.elapsed() / 4).min(LONGEST_LINGER);
        }
        // Nobody asks any more what was written last, and nothing is open.
        drop(self.session.take());
        let mut names = inner.writing.take();
        if self.group > 0 {
            names.push(self.id.into());
        }
        if !names.is_empty() {
            let writers = inner.database.collection::<bson::Document>(WRITERS);
            let removal = writers.delete_many(doc! { "_id": { "$in": names } });
            drop(timeout(inner.attempt_timeout(), removal.into_future()).await);
        }
    }

    /// Ends transactions that nobody goes on with any more.
    async fn end_abandoned(&mut self) {
        let inner = Arc::clone(&self.inner);
        match timeout(inner.attempt_timeout(), self.watch.look(&inner)).await {
            Ok(Ok(0)) | Err(_) => {}
            Ok(Ok(transactions)) => tracing::warn!(
                transactions,
                "ended what another broker had left open in MongoDB"
            ),
            // Who may not look waits until the server ends them.
            Ok(Err(failure)) => {
                tracing::debug!(failure = %Escaped(&failure), "cannot look at transactions")
            }
        }
    }

    /// Writes a group, one batch after the other if it is refused as a whole, and answers all.
    async fn write(&mut self, group: Vec<Waiting>) {
        let mut todo = VecDeque::from([group]);
        while let Some(group) = todo.pop_front() {
            match self.write_together(&group).await {
                Ok(()) => answer(group, || Ok(())),
                Err(Outcome::Refused(_)) if group.len() > 1 => {
                    group.into_iter().for_each(|one| todo.push_back(vec![one]));
                }
                Err(Outcome::Unavailable(failure) | Outcome::Refused(failure)) => {
                    let error = failure.into_error(DOING);
                    let text = error.to_string();
                    tracing::error!(batches = group.len(), "{}", Escaped(&text));
                    let mut first = Some(error);
                    answer(group, || {
                        Err(first
                            .take()
                            .unwrap_or_else(|| PersistenceError::Unavailable(text.as_str().into())))
                    });
                }
            }
        }
    }

    async fn write_together(&mut self, group: &[Waiting]) -> Result<(), Outcome> {
        if group.iter().all(|one| one.operations.is_empty()) {
            return Ok(());
        }
        self.group += 1;
        let oldest = group
            .iter()
            .map(|one| one.since)
            .min()
            .unwrap_or_else(Instant::now);
        let patience = Duration::from_millis(self.inner.options.unavailable_timeout_ms);
        let mut uploads = Uploads::default();
        let mut backoff = backoff();
        let mut earlier = Earlier::default();
        let begin = Instant::now();
        loop {
            let inner = Arc::clone(&self.inner);
            let attempt = self.attempt(group, &mut uploads, &mut earlier);
            let failure = match told_of_if_long(&inner, oldest, attempt).await {
                Ok(()) => {
                    inner.health.note_success();
                    return Ok(());
                }
                Err(failure) => failure,
            };
            // Its session may be in the middle of a transaction: that ends with it.
            self.session = None;
            if matches!(failure, Failure::TimedOut) {
                uploads.forget();
            }
            earlier.met_duplicate |= failure.is_duplicate();
            if !earlier.is_unknown {
                if !failure.is_passing() {
                    return Err(Outcome::Refused(failure));
                }
                if oldest.elapsed() >= patience {
                    return Err(Outcome::Unavailable(failure));
                }
            }
            if oldest.elapsed() >= FAILING {
                inner.health.note_wait(oldest, &failure.to_string());
            }
            if failure.is_conflict() && begin.elapsed() >= IN_CONFLICT {
                self.end_abandoned().await;
            }
            sleep(backoff.pause()).await;
        }
    }

    /// One transaction.
    async fn attempt(
        &mut self,
        group: &[Waiting],
        uploads: &mut Uploads,
        earlier: &mut Earlier,
    ) -> Attempt<()> {
        let time = self.inner.attempt_timeout();
        let within = |_| Failure::TimedOut;
        for message in group.iter().flat_map(messages) {
            let upload = uploads.write(&self.inner.database, message);
            timeout(time, upload).await.map_err(within)??;
        }
        let mut session = match self.session.take() {
            Some(session) => session,
            None => timeout(time, self.inner.writing_session())
                .await
                .map_err(within)??,
        };
        let prepare = prepare(&self.inner, &mut session, self, group, uploads, *earlier);
        let prepared = timeout(time, prepare).await.map_err(within)??;
        if let Some(littered) = prepared {
            commit(&mut session, time, &mut earlier.is_unknown).await?;
            if littered {
                self.inner.litter.notify_one();
            }
        } else {
            // It has been applied by an earlier attempt.
            session.abort_transaction().await?;
        }
        self.inner.note(&session);
        self.session = Some(session);
        Ok(())
    }
}

/// Makes an attempt, and says so in the log if it takes long.
async fn told_of_if_long(
    inner: &Inner,
    since: Instant,
    attempt: impl Future<Output = Attempt<()>>,
) -> Attempt<()> {
    let mut attempt = core::pin::pin!(attempt);
    tokio::select! {
        biased;
        outcome = &mut attempt => return outcome,
        () = sleep(LONG) => {}
    }
    inner.health.note_wait(since, "it does not answer");
    attempt.await
}

/// All but the commit. Whether there is something to be removed later; `None` if the group has been
/// applied already.
async fn prepare(
    inner: &Inner,
    session: &mut ClientSession,
    writer: &Writer,
    group: &[Waiting],
    uploads: &Uploads,
    earlier: Earlier,
) -> Attempt<Option<bool>> {
    let mut transaction = Transaction::begin(session, &inner.database).await?;
    if earlier.is_unknown && last_group(&mut transaction, writer.id).await? == Some(writer.group) {
        return Ok(None);
    }
    let operations = group.iter().flat_map(|one| &one.operations);
    let plan = load::plan(&mut transaction, operations, earlier.met_duplicate).await?;
    let littered = changes::write(&mut transaction, plan, uploads).await?;
    let mut note = Statements::update(WRITERS);
    note.push_put(
        rawdoc! { "_id": writer.id },
        &rawdoc! { "_id": writer.id, "group": writer.group, "at": DateTime::now() },
    );
    transaction.write(note).await?;
    Ok(Some(littered))
}

async fn last_group(transaction: &mut Transaction<'_>, writer: ObjectId) -> Attempt<Option<i64>> {
    let mut group = None;
    transaction
        .find_named(WRITERS, [(Bson::ObjectId(writer), 12)], doc! {}, |row| {
            group = Some(row.int("group")?);
            Ok(())
        })
        .await?;
    Ok(group)
}

/// Commits, again and again while it is unknown whether that worked and time is not up.
async fn commit(session: &mut ClientSession, time: Duration, is_unknown: &mut bool) -> Attempt<()> {
    let start = Instant::now();
    let mut backoff = backoff();
    // From here on it may come into force, also if this future is dropped.
    let was_unknown = core::mem::replace(is_unknown, true);
    loop {
        let failure = match timeout(time, session.commit_transaction().into_future()).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => Failure::Driver(error),
            Err(_) => Failure::TimedOut,
        };
        if !failure.leaves_commit_unknown() {
            *is_unknown = was_unknown;
            return Err(failure);
        }
        let can_repeat = matches!(failure, Failure::Driver(_));
        if !can_repeat || start.elapsed() >= time {
            return Err(failure);
        }
        sleep(backoff.pause()).await;
    }
}

fn messages(waiting: &Waiting) -> impl Iterator<Item = &Arc<broker_core::Message>> {
    waiting
        .operations
        .iter()
        .filter_map(|operation| match operation {
            Operation::Enqueue { message, .. } | Operation::PutRetained { message } => {
                Some(message)
            }
            Operation::PutWill(will) => Some(&will.message),
            _ => None,
        })
}

fn answer(group: Vec<Waiting>, mut outcome: impl FnMut() -> Result<(), PersistenceError>) {
    for waiting in group {
        // Whoever dropped the answer does not want it.
        drop(waiting.answer.send(outcome()));
    }
}
