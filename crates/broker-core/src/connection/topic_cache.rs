//! Receivers of the topics that one connection publishes to again and again.
//!
//! A device mostly publishes to the same few topics. What the router found for one is remembered
//! with the router's generation at that time, and holds for as long as that number stays the same.
//!
//! Direct-mapped and small. A topic gets a place only when it comes for the second time in a row of
//! those that share the place, so that a client that walks over ten thousand topics pays nothing
//! for it. Of a shared subscription the group is remembered: who its members are at the time of a
//! message is the group's to know.

use topic_trie::{TopicName, Watch};

use crate::broker::Broker;
use crate::session::SessionId;
use crate::subscription::Receivers;

/// Receivers remembered for one topic at most.
const RECEIVERS_MAX: usize = 1_024;

#[derive(Debug)]
pub(crate) struct TopicCache {
    /// A power of two of them.
    places: Box<[Place]>,
}

#[derive(Debug, Default)]
struct Place {
    /// The topic that came last and has no entry.
    candidate: u64,
    /// Apart from its place, for most publishers use few of these.
    entry: Option<Box<Entry>>,
}

#[derive(Debug)]
struct Entry {
    topic: Box<str>,
    watch: Watch,
    generation: u64,
    receivers: Receivers,
}

impl TopicCache {
    /// A cache for about so many topics, at least one.
    pub(crate) fn new(topics: usize) -> Box<Self> {
        let places = topics.clamp(1, 65_536).next_power_of_two();
        Box::new(Self {
            places: (0..places).map(|_| Place::default()).collect(),
        })
    }

    /// The receivers of what `publisher` publishes to `topic`: remembered ones, or what the router
    /// finds now, for which `found` gives the room.
    pub(crate) fn receivers<'a>(
        &'a mut self,
        topic: TopicName<'_>,
        publisher: SessionId,
        broker: &Broker,
        found: &'a mut Receivers,
    ) -> &'a Receivers {
        let mixed = mix(topic.as_str());
        let mask = self.places.len() - 1;
        let index = usize::try_from(mixed >> 48).unwrap_or(0) & mask;
        let Some(place) = self.places.get_mut(index) else {
            return found;
        };
        let entry = place.entry.as_ref();
        let known = entry.filter(|entry| *entry.topic == *topic.as_str());
        let is_known = known.is_some();
        if known.is_some_and(|entry| {
            broker.subscriptions.generation_at(entry.watch) == entry.generation
        }) {
            return place.entry.as_ref().map_or(found, |entry| &entry.receivers);
        }
        if is_known {
            // Its receivers have changed.
        } else if place.candidate != mixed {
            place.candidate = mixed;
            broker.receivers(topic, Some(publisher), found);
            return found;
        }
        // The generation is read before the match: a change in between makes the entry stale at
        // once instead of wrong for ever.
        let watch = broker.subscriptions.watch(topic);
        let generation = broker.subscriptions.generation_at(watch);
        broker.receivers(topic, Some(publisher), found);
        if found.len() > RECEIVERS_MAX {
            place.entry = None;
            return found;
        }
        let entry = Entry {
            topic: topic.as_str().into(),
            watch,
            generation,
            receivers: found.take(),
        };
        &place.entry.insert(Box::new(entry)).receivers
    }
}

/// Spreads topics over the places. An unlucky spread costs a walk of the router and nothing else,
/// so the end of the topic, where those of one client differ, and its start are enough.
fn mix(topic: &str) -> u64 {
    let bytes = topic.as_bytes();
    let mut mixed = bytes.len() as u64;
    let mut add = |word: u64| {
        mixed = (mixed ^ word)
            .wrapping_mul(0x9E37_79B9_7F4A_7C15)
            .rotate_left(29);
    };
    match bytes.first_chunk() {
        Some(first) => {
            let (_, words) = bytes.as_rchunks();
            for word in words.iter().rev().take(3) {
                add(u64::from_le_bytes(*word));
            }
            add(u64::from_le_bytes(*first));
        }
        None => add(bytes
            .iter()
            .fold(0, |word, byte| word << 8 | u64::from(*byte))),
    }
    mixed.wrapping_mul(0xD6E8_FEB8_6659_FD93)
}
