//! What the writer does beside, in small steps: the contents of sessions that are gone, and messages
//! whose time has come.
//!
//! A session is gone with its record: nothing finds what it had from then on. The contents are
//! removed afterwards, so many at a time, by the number of the session, which no other session ever
//! gets. A session is noted as long as there is something left of it, so a crash in between loses
//! nothing but time.
//!
//! Messages that expire are looked for by walking over all queues and all retained messages, slowly,
//! again and again; not at all in a store that has never had one. What is inflight stays, for the
//! client may have it already.

use std::collections::VecDeque;
use std::ops::Bound;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use broker_core::Timestamp;
use fjall::Readable;
use persistence_records::{OutgoingRecord, decode_message};

use crate::changes::Changes;
use crate::engine::Engine;
use crate::error::{Failure, damaged};
use crate::keys::{self, Content, DROPPED};

/// Records of a session that one step removes.
const CLEANED_RECORDS: usize = 500;
/// Records that one step of the walk looks at, and bytes.
const WALKED_RECORDS: usize = 1_000;
const WALKED_BYTES: usize = 1 << 20;
/// Between two steps of a walk.
const STEP: Duration = Duration::from_millis(50);
/// Between two walks.
const WALK: Duration = Duration::from_secs(60);
/// After an error.
const REST: Duration = Duration::from_secs(1);

pub(crate) struct Upkeep {
    /// Sessions whose contents are to be removed.
    dropped: VecDeque<u64>,
    /// What was removed last of the first of them. What is in front of it is still in the engine's
    /// files for a while, and each step would walk over all of it.
    removed: Option<Vec<u8>>,
    walk: Walk,
    /// When the walk goes on.
    walk_at: Instant,
    /// Nothing is done until then.
    rests_until: Option<Instant>,
}

/// How far the walk has come.
#[derive(Default)]
struct Walk {
    place: Place,
    /// Whether it has met something that expires later.
    met: bool,
}

#[derive(Default)]
enum Place {
    #[default]
    Start,
    Contents(Vec<u8>),
    Retained(Bound<Vec<u8>>),
}

impl Upkeep {
    pub(crate) fn load(engine: &Engine) -> Result<Self, Failure> {
        let mut dropped = VecDeque::new();
        for entry in engine.database.snapshot().prefix(&engine.meta, [DROPPED]) {
            let key = entry.key()?;
            let number = keys::read_number(key.get(1..).unwrap_or_default());
            let number = number.map_err(|error| damaged("a session that was dropped", error))?;
            dropped.push_back(number);
        }
        Ok(Self {
            dropped,
            removed: None,
            walk: Walk::default(),
            walk_at: Instant::now() + STEP,
            rests_until: None,
        })
    }

    /// These sessions are gone.
    pub(crate) fn dropped(&mut self, sessions: Vec<u64>) {
        self.dropped.extend(sessions);
    }

    /// Waits a while after an error.
    pub(crate) fn rest(&mut self) {
        self.rests_until = Some(Instant::now() + REST);
    }

    /// What is under way is read anew.
    pub(crate) fn forget(&mut self) {
        self.walk = Walk::default();
        self.removed = None;
    }

    /// How long there is nothing to be done.
    pub(crate) fn patience(&self) -> Duration {
        let now = Instant::now();
        let rest = self
            .rests_until
            .map(|until| until.saturating_duration_since(now));
        let work = match self.dropped.is_empty() {
            false => Duration::ZERO,
            true => self.walk_at.saturating_duration_since(now),
        };
        work.max(rest.unwrap_or_default())
    }

    pub(crate) fn is_due(&self) -> bool {
        self.patience().is_zero()
    }

    /// One step; what it changes is in `changes`, to be written.
    pub(crate) fn step(&mut self, engine: &Engine, changes: &mut Changes) -> Result<(), Failure> {
        self.rests_until = None;
        let mut room = CLEANED_RECORDS;
        while room > 0
            && let Some(session) = self.dropped.front().copied()
        {
            room = clean(engine, changes, (session, &mut self.removed), room)?;
            if room > 0 {
                self.dropped.pop_front();
                self.removed = None;
            }
        }
        if Instant::now() >= self.walk_at {
            self.walk_at = Instant::now() + STEP;
            if changes.something_expires() {
                self.walk_on(engine, changes)?;
            }
        }
        Ok(())
    }

    fn walk_on(&mut self, engine: &Engine, changes: &mut Changes) -> Result<(), Failure> {
        self.walk.place = match core::mem::take(&mut self.walk.place) {
            Place::Start => Place::Contents(Vec::new()),
            Place::Contents(from) => match self.walk.contents(engine, changes, from)? {
                Some(next) => Place::Contents(next),
                None => Place::Retained(Bound::Unbounded),
            },
            Place::Retained(from) => match self.walk.retained(engine, changes, from)? {
                Some(last) => Place::Retained(Bound::Excluded(last)),
                None => {
                    self.walk_at = Instant::now() + WALK;
                    let Walk { met, .. } = core::mem::take(&mut self.walk);
                    changes.end_of_walk(met);
                    Place::Start
                }
            },
        };
        Ok(())
    }
}

impl Walk {
    /// Looks at queued messages; gives where to go on.
    fn contents(
        &mut self,
        engine: &Engine,
        changes: &mut Changes,
        from: Vec<u8>,
    ) -> Result<Option<Vec<u8>>, Failure> {
        let now = now();
        let mut seen = 0;
        let first = match from.is_empty() {
            true => Bound::Unbounded,
            false => Bound::Included(from),
        };
        let range = (first, Bound::Unbounded);
        for entry in engine.database.snapshot().range(&engine.contents, range) {
            let (key, value) = entry.into_inner()?;
            seen += 1;
            if seen > WALKED_RECORDS {
                return Ok(Some(key.to_vec()));
            }
            let Ok((session, Content::Outgoing(sequence))) = keys::read_contents(&key) else {
                continue;
            };
            // Whoever looks it up will be told that it cannot be read.
            let Ok(record) = OutgoingRecord::decode(&value) else {
                continue;
            };
            if record.message.is_none() || record.inflight.is_some() {
                continue;
            }
            if record.expires <= now {
                changes.expire_queued(engine, (session, sequence))?;
            } else {
                self.met |= record.expires != Timestamp::MAX;
            }
        }
        Ok(None)
    }

    /// Looks at retained messages; gives the last that it has seen.
    fn retained(
        &mut self,
        engine: &Engine,
        changes: &mut Changes,
        from: Bound<Vec<u8>>,
    ) -> Result<Option<Vec<u8>>, Failure> {
        let now = now();
        let (mut seen, mut bytes) = (0, 0);
        let range = (from, Bound::Unbounded);
        for entry in engine.database.snapshot().range(&engine.retained, range) {
            let (key, value) = entry.into_inner()?;
            if let Ok(message) = decode_message(&value) {
                if message.expires() <= now {
                    changes.expire_retained(message.topic());
                } else {
                    self.met |= message.expires() != Timestamp::MAX;
                }
            }
            seen += 1;
            bytes += value.len();
            if seen >= WALKED_RECORDS || bytes >= WALKED_BYTES {
                return Ok(Some(key.to_vec()));
            }
        }
        Ok(None)
    }
}

/// Removes up to `room` of the contents of a session that is gone, behind what was removed last; gives
/// what is left of `room`, which is none as long as there may be more.
fn clean(
    engine: &Engine,
    changes: &mut Changes,
    (session, removed): (u64, &mut Option<Vec<u8>>),
    room: usize,
) -> Result<usize, Failure> {
    let mut left = room;
    let first = match removed.take() {
        Some(last) => Bound::Excluded(last),
        None => Bound::Included(keys::contents(session)),
    };
    let end = match session.checked_add(1) {
        Some(next) => Bound::Excluded(keys::contents(next)),
        None => Bound::Unbounded,
    };
    let contents = engine.database.snapshot();
    for entry in contents.range(&engine.contents, (first, end)) {
        let (key, value) = entry.into_inner()?;
        left -= 1;
        let message = match keys::read_contents(&key) {
            Ok((_, Content::Outgoing(_))) => OutgoingRecord::decode(&value).ok(),
            _ => None,
        };
        let message = message.and_then(|record| record.message);
        changes.clean(engine, key.to_vec(), message)?;
        if left == 0 {
            *removed = Some(key.to_vec());
            return Ok(0);
        }
    }
    changes.cleaned(session);
    Ok(left)
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let millis = since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    });
    Timestamp::from_millis(millis)
}
