//! The messages on their way to one session, by their sequence numbers.
//!
//! Numbers go up and most messages leave in the order in which they came: so this is a list of chunks,
//! each a list with a beginning that moves. It takes half of what a tree would, and less time, and has
//! no more room than it needs, however long it is; a change moves a part of one chunk at most.

use std::collections::VecDeque;
use std::sync::Arc;

use broker_core::Message;
use broker_core::persistence::{InflightStage, SubscriptionIds};
use mqtt_codec::{PacketId, QoS};

/// Most messages of a chunk.
const FULL: usize = 128;

/// Some messages in a row, with their sequence numbers.
type Chunk = VecDeque<(u64, Queued)>;

/// Messages in ascending order of their sequence numbers. Without any it owns no memory.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    /// None of them is empty.
    chunks: VecDeque<Chunk>,
    len: usize,
}

/// A message in a session's queue, where the sequence number is the key.
#[derive(Clone, Debug)]
pub(crate) struct Queued {
    pub(crate) message: Option<Arc<Message>>,
    pub(crate) extra: Option<Box<Extra>>,
    pub(crate) inflight: Option<(PacketId, InflightStage)>,
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
}

/// What most deliveries are without.
#[derive(Clone, Debug, Default)]
pub(crate) struct Extra {
    pub(crate) subscription_ids: SubscriptionIds,
    pub(crate) shared: Option<Arc<str>>,
}

impl Extra {
    /// `None` if there is nothing.
    pub(crate) fn of(
        subscription_ids: SubscriptionIds,
        shared: Option<Arc<str>>,
    ) -> Option<Box<Self>> {
        let is_needed = shared.is_some() || !subscription_ids.as_slice().is_empty();
        is_needed.then(|| {
            Box::new(Self {
                subscription_ids,
                shared,
            })
        })
    }
}

impl Queue {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Puts a message into the place of its number; returns the one that was there.
    pub(crate) fn insert(&mut self, sequence: u64, queued: Queued) -> Option<Queued> {
        let at = self.chunk_of(sequence);
        let Some(chunk) = self.chunks.get_mut(at) else {
            self.chunks.reserve_exact(1);
            self.chunks.push_back(Chunk::from([(sequence, queued)]));
            self.len = 1;
            return None;
        };
        match place(chunk, sequence) {
            Ok(place) => chunk
                .get_mut(place)
                .map(|(_, there)| core::mem::replace(there, queued)),
            Err(place) => {
                let behind = put(chunk, place, (sequence, queued));
                if let Some(behind) = behind {
                    self.chunks.insert(at + 1, behind);
                }
                self.len += 1;
                None
            }
        }
    }

    pub(crate) fn remove(&mut self, sequence: u64) -> Option<Queued> {
        let at = self.chunk_of(sequence);
        let chunk = self.chunks.get_mut(at)?;
        let (_, removed) = chunk.remove(place(chunk, sequence).ok()?)?;
        if chunk.is_empty() {
            self.chunks.remove(at);
        } else if chunk.len() < chunk.capacity() / 4 {
            chunk.shrink_to(chunk.capacity() / 2);
        }
        let chunks = self.chunks.len();
        if chunks == 0 || chunks < self.chunks.capacity() / 4 {
            self.chunks.shrink_to(2 * chunks);
        }
        self.len -= 1;
        Some(removed)
    }

    /// The greatest number.
    pub(crate) fn last(&self) -> Option<u64> {
        self.chunks.back()?.back().map(|(sequence, _)| *sequence)
    }

    pub(crate) fn get_mut(&mut self, sequence: u64) -> Option<&mut Queued> {
        let at = self.chunk_of(sequence);
        let chunk = self.chunks.get_mut(at)?;
        let place = place(chunk, sequence).ok()?;
        chunk.get_mut(place).map(|(_, queued)| queued)
    }

    /// The messages with numbers greater than `after`, or all.
    pub(crate) fn iter_after(&self, after: Option<u64>) -> impl Iterator<Item = (u64, &Queued)> {
        let start = after.map_or(0, |after| self.chunk_of(after));
        self.chunks
            .range(start..)
            .flatten()
            .skip_while(move |(sequence, _)| after.is_some_and(|after| *sequence <= after))
            .map(|(sequence, queued)| (*sequence, queued))
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &Queued> {
        self.iter_after(None).map(|(_, queued)| queued)
    }

    /// In which chunk this number is, or belongs.
    fn chunk_of(&self, sequence: u64) -> usize {
        let begins_before = |chunk: &Chunk| chunk.front().is_some_and(|first| first.0 <= sequence);
        let chunks = self.chunks.partition_point(begins_before);
        chunks.saturating_sub(1)
    }
}

/// Where this number is, or belongs.
fn place(chunk: &Chunk, sequence: u64) -> Result<usize, usize> {
    chunk.binary_search_by_key(&sequence, |(there, _)| *there)
}

/// Adds a message. What a full chunk has no room for is returned as the chunk behind it.
fn put(chunk: &mut Chunk, place: usize, message: (u64, Queued)) -> Option<Chunk> {
    if chunk.len() < FULL {
        if chunk.len() == chunk.capacity() {
            // From one on: a list left to itself begins with room for four.
            chunk.reserve_exact(chunk.len());
        }
        chunk.insert(place, message);
        return None;
    }
    // Mostly it comes last: what is full stays full then.
    let mut behind = Chunk::with_capacity(FULL);
    if place < FULL {
        behind.extend(chunk.drain(FULL / 2..));
    }
    match place.checked_sub(chunk.len()) {
        Some(place) => behind.insert(place, message),
        None => chunk.insert(place, message),
    }
    Some(behind)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;
    use std::ops::Bound;

    fn queued(id: u16) -> Queued {
        Queued {
            message: None,
            extra: None,
            inflight: PacketId::new(id).map(|id| (id, InflightStage::Published)),
            qos: QoS::AtLeastOnce,
            retain: false,
        }
    }

    fn id(queued: &Queued) -> u16 {
        queued.inflight.unwrap().0.get()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_queue_is_an_ordered_map(
            steps in prop::collection::vec((0..5_u8, 0..300_u64), 0..1_000),
        ) {
            let mut queue = Queue::default();
            let mut model = BTreeMap::new();
            let mut next = 300;
            for (at, (what, number)) in (1..).zip(steps) {
                // At the end, or somewhere.
                let number = if what < 2 { next += 2; next } else { number + next - 300 };
                if what < 3 {
                    let before = queue.insert(number, queued(at));
                    prop_assert_eq!(before.as_ref().map(id), model.insert(number, at));
                } else {
                    let removed = queue.remove(number);
                    prop_assert_eq!(removed.as_ref().map(id), model.remove(&number));
                }
                prop_assert_eq!(queue.len(), model.len());
                prop_assert_eq!(queue.get_mut(number).map(|it| id(it)), model.get(&number).copied());
                let all = queue.iter_after(None).map(|(number, it)| (number, id(it)));
                prop_assert!(all.eq(model.iter().map(|(number, at)| (*number, *at))));
                let behind = (Bound::Excluded(number), Bound::Unbounded);
                let found = queue.iter_after(Some(number)).map(|(number, _)| number);
                prop_assert!(found.eq(model.range(behind).map(|(number, _)| *number)));
                prop_assert!(queue.chunks.iter().all(|chunk| (1..=FULL).contains(&chunk.len())));
                prop_assert!(queue.len() > 0 || queue.chunks.capacity() == 0);
            }
        }
    }

    fn filled(count: u64) -> Queue {
        let mut queue = Queue::default();
        for number in 0..count {
            queue.insert(number, queued(1));
        }
        queue
    }

    /// Messages that there is room for.
    fn room(queue: &Queue) -> usize {
        queue.chunks.iter().map(VecDeque::capacity).sum()
    }

    /// Paid for each queued message of each session.
    #[test]
    fn a_place_is_small_and_there_are_no_more_than_needed() {
        assert_eq!(size_of::<(u64, Queued)>(), 32);
        assert_eq!((room(&filled(1)), filled(1).chunks.capacity()), (1, 1));
        assert!(room(&filled(100_000)) < 100_000 + FULL);
        let mut emptied = filled(1);
        assert!(emptied.remove(0).is_some());
        assert_eq!(emptied.chunks.capacity(), 0);
    }

    #[test]
    fn a_queue_that_becomes_short_gives_memory_back() {
        let mut queue = filled(100_000);
        (0..99_000).for_each(|number| drop(queue.remove(number)));
        assert!(room(&queue) < 1_000 + 2 * FULL);
        assert!(queue.chunks.capacity() < 64);
        let left = queue.iter_after(None).map(|(number, _)| number);
        assert!(left.eq(99_000..100_000));
        // Scattered ones do not each keep a chunk's room.
        let mut queue = filled(100_000);
        let scattered = (0..100_000).filter(|number| number % 64 != 0);
        scattered.for_each(|number| drop(queue.remove(number)));
        assert!(room(&queue) < 8 * queue.len());
    }
}
