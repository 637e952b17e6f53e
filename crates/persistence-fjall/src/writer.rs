//! The one thread that writes: takes what is waiting as a group, writes it as one batch of the
//! engine with one sync, and answers each.
//!
//! Callers that were answered come again, and the sync is what costs most. So a group of several
//! waits a moment for those that are on their way, works out what they change as they come, and goes
//! when as many are there as seem to be at work, or when nobody came for a while.
//!
//! When the engine refuses, it is opened again, for only that tells whether the group is stored, and
//! the group is applied once more: all operations may be repeated in their order. That goes on until
//! it works, or until a batch has waited for as long as it may.

use std::sync::Arc;
use std::time::{Duration, Instant};

use broker_core::Escaped;
use fjall::PersistMode;

use crate::Durability;
use crate::changes::Changes;
use crate::engine::Engine;
use crate::error::{Failure, FailureKind};
use crate::queue::{Commit, Group, Taken};
use crate::shared::{Shared, guarded};
use crate::upkeep::Upkeep;

/// Between two attempts while the store cannot be written to: the first pause, doubled up to the
/// last.
const PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// For callers to come again: parts of what the last group took, and bounds. A group goes when nobody
/// came for as long as a gap.
const LINGER_PART: u32 = 2;
const LONGEST_LINGER: Duration = Duration::from_millis(4);
const GAP_PART: u32 = 4;
const SHORTEST_GAP: Duration = Duration::from_micros(100);
const LONGEST_GAP: Duration = Duration::from_millis(1);

/// More memtables than this waiting to be written as files, or more files than that waiting to be
/// merged, and the writer waits before the engine does: it would wait forever where the thread that
/// was to do that has died.
const MOST_SEALED: usize = 2;
const MOST_RUNS: usize = 18;

/// Space that an attempt needs beside the bytes of its group.
const MARGIN_BYTES: u64 = 256 << 10;

pub(crate) struct Writer {
    shared: Arc<Shared>,
    changes: Changes,
    upkeep: Upkeep,
    /// When what was written first and is not synced was written.
    unsynced_since: Option<Instant>,
    /// How many batches were in the last group or waiting behind it, and how long it took.
    last: (usize, Duration),
    /// Whether the last attempt has failed: the operator is told about the first.
    failing: bool,
}

impl Writer {
    pub(crate) fn new(shared: Arc<Shared>, engine: &Engine) -> Result<Self, Failure> {
        Ok(Self {
            changes: Changes::load(engine)?,
            upkeep: Upkeep::load(engine)?,
            shared,
            unsynced_since: None,
            last: (0, Duration::ZERO),
            failing: false,
        })
    }

    /// Works until the queue is closed, and empty.
    pub(crate) fn run(mut self) {
        loop {
            match self.shared.queue.take(self.patience()) {
                Taken::Closed => break,
                Taken::Group(group) if group.commits.is_empty() => {
                    self.last = (0, Duration::ZERO);
                }
                Taken::Group(group) => self.store(group),
            }
            self.sync_if_due();
            self.upkeep_step();
        }
        if let Some(engine) = self.shared.engine_now() {
            let _ = guarded(|| Ok(engine.database.persist(PersistMode::SyncAll)?));
        }
    }

    /// How long there is nothing to be done.
    fn patience(&self) -> Duration {
        let sync = match (self.shared.options.durability, self.unsynced_since) {
            (Durability::Interval(interval), Some(since)) => {
                interval.saturating_sub(since.elapsed())
            }
            _ => Duration::MAX,
        };
        sync.min(self.upkeep.patience())
    }

    /// Stores a group and answers, however long it takes.
    fn store(&mut self, mut group: Group) {
        let mut pause = PAUSE;
        while !group.commits.is_empty() {
            let failure = match self.attempt(&mut group) {
                Ok(()) => return,
                Err(failure) => failure,
            };
            let failure = self.recover(failure);
            self.wait(&mut group.commits, &failure, &mut pause);
        }
    }

    /// One attempt; answers if it succeeds. A batch that is in the way of the others, because
    /// something that it needs cannot be read, is answered and left out.
    fn attempt(&mut self, group: &mut Group) -> Result<(), Failure> {
        let engine = self.shared.engine()?;
        let mode = self.mode();
        let since = Instant::now();
        let mut applied = 0;
        loop {
            let result = guarded(|| Ok(self.apply(&engine, &group.commits, applied)))?;
            match result {
                Ok(()) => {
                    applied = group.commits.len();
                    if mode == PersistMode::Buffer || !self.linger(group, since) {
                        break;
                    }
                }
                Err((at, failure)) if failure.kind == FailureKind::Damaged => {
                    self.changes.forget();
                    applied = 0;
                    let refused = group.commits.remove(at);
                    refused.answer(Err(self.shared.explain(failure)));
                }
                Err((_, failure)) => return Err(failure),
            }
        }
        let begin = Instant::now();
        guarded(|| {
            wait_for_room(&engine)?;
            self.changes.write(&engine, mode)
        })?;
        let waiting = self.shared.queue.waiting();
        self.last = (group.commits.len() + waiting, begin.elapsed());
        if mode == PersistMode::Buffer {
            self.unsynced_since.get_or_insert_with(Instant::now);
        } else {
            self.unsynced_since = None;
        }
        if core::mem::take(&mut self.failing) {
            tracing::info!(path = %self.shared.path().display(), "the store can be written to again");
        }
        self.answer(group);
        Ok(())
    }

    /// The group is stored.
    fn answer(&mut self, group: &mut Group) {
        let answer = |group: &mut Group| {
            group
                .commits
                .drain(..)
                .for_each(|commit| commit.answer(Ok(())));
        };
        if !self.changes.has_dropped() {
            // Callers come again meanwhile.
            answer(group);
            self.changes.keep();
            return;
        }
        // What was dropped is small in most cases, and then gone before anyone is told.
        let dropped = self.changes.keep();
        self.upkeep.dropped(dropped);
        self.upkeep_step();
        answer(group);
    }

    /// Waits a moment for more; says whether some came.
    fn linger(&self, group: &mut Group, since: Instant) -> bool {
        let (callers, took) = self.last;
        let most = (took / LINGER_PART).min(LONGEST_LINGER);
        let there = group.commits.len();
        if there >= callers || since.elapsed() >= most {
            return false;
        }
        // Their number may differ a little.
        let gap = match there >= callers - callers / 8 {
            true => SHORTEST_GAP,
            false => (took / GAP_PART).clamp(SHORTEST_GAP, LONGEST_GAP),
        };
        self.shared.queue.take_more(group, callers, gap)
    }

    /// Works out what those from `first` on change.
    fn apply(
        &mut self,
        engine: &Engine,
        group: &[Arc<Commit>],
        first: usize,
    ) -> Result<(), (usize, Failure)> {
        let new = group.get(first..).unwrap_or_default();
        let operations = new.iter().flat_map(|commit| &commit.operations);
        self.changes.prepare(operations);
        for (at, commit) in new.iter().enumerate() {
            for operation in &commit.operations {
                self.changes
                    .apply(engine, operation)
                    .map_err(|failure| (first + at, failure))?;
            }
        }
        Ok(())
    }

    fn mode(&self) -> PersistMode {
        match self.shared.options.durability {
            Durability::Always => PersistMode::SyncData,
            Durability::Os => PersistMode::Buffer,
            Durability::Interval(interval) => match self.unsynced_since {
                Some(since) if since.elapsed() >= interval => PersistMode::SyncData,
                _ => PersistMode::Buffer,
            },
        }
    }

    /// Opens the engine again. What is known afterwards is what is stored.
    fn recover(&mut self, failure: Failure) -> Failure {
        let failure = self.shared.explain(failure);
        if !core::mem::replace(&mut self.failing, true) {
            tracing::error!(
                path = %self.shared.path().display(),
                error = %Escaped(&failure.reason),
                "the store cannot be written to; it is tried again"
            );
        }
        self.changes.forget();
        self.upkeep.forget();
        self.shared.close_engine();
        let reopened = self.shared.open_engine().and_then(|engine| {
            self.changes = Changes::load(&engine)?;
            self.upkeep = Upkeep::load(&engine)?;
            Ok(())
        });
        if let Err(error) = reopened {
            let error = self.shared.explain(error);
            tracing::error!(error = %Escaped(&error.reason), "the store cannot be opened again; it is tried again");
        }
        failure
    }

    /// Waits until another attempt may help, and answers those that have waited for too long. While
    /// it is not known what is stored, nobody is told that nothing is.
    fn wait(&self, group: &mut Vec<Arc<Commit>>, failure: &Failure, pause: &mut Duration) {
        let retry = self.shared.options.retry;
        loop {
            let known = self.shared.engine_now().is_some();
            let closed = self.shared.queue.is_closed();
            if known || closed {
                group.retain(|commit| {
                    let late = closed || commit.waited() >= retry;
                    if late {
                        commit.answer(Err(failure.clone()));
                    }
                    !late
                });
                // Those behind have not been tried: where one try is all, they get it.
                let overdue = match retry.is_zero() {
                    true => Vec::new(),
                    false => self.shared.queue.take_overdue(retry),
                };
                for late in overdue {
                    late.answer(Err(failure.clone()));
                }
            }
            if group.is_empty() {
                return;
            }
            self.shared.queue.pause(*pause);
            *pause = (*pause * 2).min(LONGEST_PAUSE);
            let bytes: usize = group.iter().map(|commit| commit.bytes()).sum();
            let needed = u64::try_from(bytes).unwrap_or(u64::MAX) + MARGIN_BYTES;
            let free = self.shared.place.free_bytes();
            let hopeless =
                failure.kind == FailureKind::Full && free.is_some_and(|free| free < needed);
            if !known || !hopeless {
                return;
            }
        }
    }

    fn sync_if_due(&mut self) {
        let Durability::Interval(interval) = self.shared.options.durability else {
            return;
        };
        if self
            .unsynced_since
            .is_none_or(|since| since.elapsed() < interval)
        {
            return;
        }
        self.unsynced_since = None;
        let Some(engine) = self.shared.engine_now() else {
            return;
        };
        let synced = guarded(|| Ok(engine.database.persist(PersistMode::SyncData)?));
        drop(engine);
        if let Err(failure) = synced {
            self.recover(failure);
        }
    }

    /// A little of what is to be done beside; it need not be durable, it is done again.
    fn upkeep_step(&mut self) {
        if !self.upkeep.is_due() {
            return;
        }
        let Ok(engine) = self.shared.engine() else {
            return;
        };
        let Self {
            changes, upkeep, ..
        } = self;
        let done = guarded(|| {
            upkeep.step(&engine, changes)?;
            wait_for_room(&engine)?;
            changes.write(&engine, PersistMode::Buffer)
        });
        drop(engine);
        match done {
            Ok(()) => {
                self.changes.keep();
            }
            Err(failure) => {
                self.recover(failure);
                self.upkeep.rest();
            }
        }
    }
}

/// Waits until the engine can take a group without waiting itself.
fn wait_for_room(engine: &Engine) -> Result<(), Failure> {
    use fjall::AbstractTree;
    for part in engine.parts() {
        while part.sealed_memtable_count() >= MOST_SEALED || part.tree.l0_run_count() >= MOST_RUNS {
            // An error if the threads that make room have died.
            engine.database.persist(PersistMode::Buffer)?;
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    Ok(())
}
