//! What is known to be retained at the parent, where a message cannot say that it was here before: a parent sends
//! what it retains for each filter that it is told, also to those who have it.

use std::collections::{HashMap, VecDeque};

use xxhash_rust::xxh3::xxh3_64;

/// Topics of which it is known; of those beyond, the one of which was heard first is forgotten.
const TOPICS_MAX: usize = 10_000;

/// The retained messages, by hashes of topics and payloads.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    payloads: HashMap<u64, u64>,
    order: VecDeque<u64>,
}

impl Kept {
    /// This is retained there now. False if it was so before, as far as is known.
    pub(crate) fn note(&mut self, topic: &str, payload: &[u8]) -> bool {
        let (topic, payload) = (xxh3_64(topic.as_bytes()), xxh3_64(payload));
        match self.payloads.insert(topic, payload) {
            Some(before) => before != payload,
            None => {
                self.order.push_back(topic);
                if self.order.len() > TOPICS_MAX
                    && let Some(first) = self.order.pop_front()
                {
                    self.payloads.remove(&first);
                }
                true
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_the_same_as_before_is_known_up_to_a_limit() {
        let mut kept = Kept::default();
        assert!(kept.note("a", b"1") && kept.note("b", b"1") && kept.note("a", b"2"));
        assert!(!kept.note("a", b"2") && !kept.note("b", b"1"));
        for number in 0..TOPICS_MAX {
            assert!(kept.note(&number.to_string(), b""));
        }
        assert_eq!(
            (kept.payloads.len(), kept.order.len()),
            (TOPICS_MAX, TOPICS_MAX)
        );
        assert!(kept.note("a", b"2"));
    }
}
