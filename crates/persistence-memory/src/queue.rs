//! The messages on their way to one session, by their sequence numbers.
//!
//! Numbers go up and most messages leave in the order in which they came: so this is a list with a
//! beginning that moves, which takes half of what a tree would, and less time. What leaves from the
//! middle leaves its place behind, until the places in front of it are empty too or there are more
//! empty ones than others. So no change moves more than it pays for, in whatever order they come.

use std::collections::VecDeque;
use std::sync::Arc;

use broker_core::Message;
use broker_core::persistence::{InflightStage, SubscriptionIds};
use mqtt_codec::{PacketId, QoS};

/// Empty places tolerated beyond the number of messages.
const EMPTY_MAX: usize = 16;

/// A list with room for so many messages grows in smaller steps, and gives back what it does not need.
const LARGE: usize = 4_096;

/// Messages in ascending order of their sequence numbers. Without any it owns no memory.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    places: VecDeque<(u64, Option<Queued>)>,
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
        match self.find(sequence) {
            Ok(at) => {
                let (_, place) = self.places.get_mut(at)?;
                let before = place.replace(queued);
                self.len += usize::from(before.is_none());
                before
            }
            Err(at) => {
                self.make_room();
                self.places.insert(at, (sequence, Some(queued)));
                self.len += 1;
                None
            }
        }
    }

    pub(crate) fn remove(&mut self, sequence: u64) -> Option<Queued> {
        let at = self.find(sequence).ok()?;
        let (_, place) = self.places.get_mut(at)?;
        let removed = place.take()?;
        self.len -= 1;
        self.tidy();
        Some(removed)
    }

    pub(crate) fn get_mut(&mut self, sequence: u64) -> Option<&mut Queued> {
        let at = self.find(sequence).ok()?;
        let (_, place) = self.places.get_mut(at)?;
        place.as_mut()
    }

    /// The messages with numbers greater than `after`, or all.
    pub(crate) fn iter_after(&self, after: Option<u64>) -> impl Iterator<Item = (u64, &Queued)> {
        let start = after.map_or(0, |after| {
            self.places.partition_point(|(there, _)| *there <= after)
        });
        self.places
            .range(start..)
            .filter_map(|(sequence, place)| Some((*sequence, place.as_ref()?)))
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &Queued> {
        self.iter_after(None).map(|(_, queued)| queued)
    }

    /// Where the place of this number is, or where it would be.
    fn find(&self, sequence: u64) -> Result<usize, usize> {
        match (self.places.front(), self.places.back()) {
            (Some((first, _)), _) if *first == sequence => Ok(0),
            (_, Some((last, _))) if *last < sequence => Err(self.places.len()),
            _ => self.places.binary_search_by_key(&sequence, |place| place.0),
        }
    }

    fn make_room(&mut self) {
        let places = self.places.len();
        if places == self.places.capacity() {
            // From one on: a list left to itself begins with room for four.
            let more = if places < LARGE { places } else { places / 4 };
            self.places.reserve_exact(more.max(1));
        }
    }

    /// Lets go of empty places, and of memory that is not needed any more.
    fn tidy(&mut self) {
        if self.len == 0 {
            self.places = VecDeque::new();
            return;
        }
        let is_empty = |place: Option<&(u64, Option<Queued>)>| matches!(place, Some((_, None)));
        while is_empty(self.places.front()) {
            self.places.pop_front();
        }
        while is_empty(self.places.back()) {
            self.places.pop_back();
        }
        if self.places.len() > 2 * self.len + EMPTY_MAX {
            self.places.retain(|(_, place)| place.is_some());
        }
        let capacity = self.places.capacity();
        if capacity > LARGE && self.places.len() < capacity / 4 {
            self.places.shrink_to(capacity / 2);
        }
    }
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
        #[test]
        fn a_queue_is_an_ordered_map(
            steps in prop::collection::vec((0..3_u8, 0..60_u64), 0..600),
        ) {
            let mut queue = Queue::default();
            let mut model = BTreeMap::new();
            let mut next = 60;
            for (at, (what, number)) in (1..).zip(steps) {
                // Mostly at the end, and somewhere.
                let number = if what == 0 { next += 1; next } else { number + next - 60 };
                if what < 2 {
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
                prop_assert!(queue.places.len() <= 2 * queue.len() + EMPTY_MAX);
                prop_assert!(queue.len() > 0 || queue.places.capacity() == 0);
            }
        }
    }

    /// Paid for each queued message of each session.
    #[test]
    fn a_place_is_small() {
        assert_eq!(size_of::<(u64, Option<Queued>)>(), 32);
        let mut queue = Queue::default();
        queue.insert(1, queued(1));
        assert_eq!(queue.places.capacity(), 1);
        for number in 2..=100_000 {
            queue.insert(number, queued(1));
        }
        assert!(queue.places.capacity() < 126_000);
    }

    /// The memory of a long queue is given back while it is emptied, not only at the end.
    #[test]
    fn a_queue_that_becomes_short_gives_memory_back() {
        let mut queue = Queue::default();
        (0..100_000).for_each(|number| drop(queue.insert(number, queued(1))));
        (0..99_000).for_each(|number| drop(queue.remove(number)));
        assert!(queue.places.capacity() <= LARGE);
        assert!(
            queue
                .iter_after(None)
                .map(|(number, _)| number)
                .eq(99_000..100_000)
        );
    }

    /// A message that stays in front, and all others leaving from behind it, the first or the last of
    /// them first: neither moves many others each time.
    #[test]
    fn what_leaves_from_the_middle_does_not_move_the_rest() {
        let mut queue = Queue::default();
        (0..200_000).for_each(|number| drop(queue.insert(number, queued(1))));
        for number in (50_000..150_000).chain((1..50_000).rev()) {
            assert!(queue.remove(number).is_some());
            assert!(queue.places.len() <= 2 * queue.len() + EMPTY_MAX);
        }
        assert_eq!(queue.len(), 50_001);
        assert_eq!(
            queue.iter_after(None).next().map(|(number, _)| number),
            Some(0)
        );
    }
}
