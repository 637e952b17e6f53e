//! Which envelopes have come already, of each node the latest: engines may deliver twice.

use hashbrown::HashMap;

use crate::backend::{NodeId, Tag};

/// Envelopes of one node, behind its latest one, of which is known whether they have come: 32 KiB. What comes
/// later than that counts as having come before.
const WINDOW: u64 = 1 << 18;

/// Nodes that are remembered. A node has another name after each start; of those beyond, the one that was
/// heard of least recently is forgotten.
const NODES_MAX: usize = 256;

/// What has come.
#[derive(Debug, Default)]
pub(super) struct Seen {
    nodes: HashMap<NodeId, Window>,
    /// Counts envelopes.
    time: u64,
}

#[derive(Debug)]
struct Window {
    highest: u64,
    /// A bit for each number, at the number's place modulo the window.
    bits: Box<[u64]>,
    heard: u64,
}

impl Seen {
    /// Notes that it has come. False if it had come before, or may have.
    pub(super) fn note(&mut self, tag: &Tag) -> bool {
        self.time += 1;
        if let Some(window) = self.nodes.get_mut(&tag.node) {
            window.heard = self.time;
            return window.note(tag.number);
        }
        if self.nodes.len() >= NODES_MAX {
            let oldest = self.nodes.iter().min_by_key(|(_, window)| window.heard);
            if let Some(oldest) = oldest.map(|(node, _)| node.clone()) {
                self.nodes.remove(&oldest);
            }
        }
        let mut window = Window {
            highest: tag.number,
            bits: vec![0; (WINDOW / 64) as usize].into_boxed_slice(),
            heard: self.time,
        };
        let is_new = window.note(tag.number);
        self.nodes.insert(tag.node.clone(), window);
        is_new
    }
}

impl Window {
    fn note(&mut self, number: u64) -> bool {
        if number > self.highest {
            if number - self.highest >= WINDOW {
                self.bits.fill(0);
            } else {
                for passed in self.highest + 1..=number {
                    let (place, bit) = place(passed);
                    if let Some(word) = self.bits.get_mut(place) {
                        *word &= !bit;
                    }
                }
            }
            self.highest = number;
        } else if self.highest - number >= WINDOW {
            return false;
        }
        let (place, bit) = place(number);
        let Some(word) = self.bits.get_mut(place) else {
            return false;
        };
        let is_new = *word & bit == 0;
        *word |= bit;
        is_new
    }
}

/// The word and the bit of a number.
fn place(number: u64) -> (usize, u64) {
    let at = number % WINDOW;
    ((at / 64) as usize, 1 << (at % 64))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    fn tag(start: u64, number: u64) -> Tag {
        let node = NodeId::new("node", start);
        Tag { node, number }
    }

    proptest! {
        #[test]
        fn nothing_is_new_twice_and_what_is_in_the_window_is_new_once(
            steps in prop::collection::vec(0..3 * WINDOW, 0..300),
            near in prop::collection::vec(0..500_u64, 0..300),
        ) {
            let (mut seen, mut known, mut highest) = (Seen::default(), HashSet::new(), 0);
            for number in near.into_iter().chain(steps) {
                let is_new = seen.note(&tag(1, number));
                let is_first = known.insert(number);
                highest = highest.max(number);
                prop_assert!(!is_new || is_first);
                if highest - number < WINDOW {
                    prop_assert_eq!(is_new, is_first);
                }
            }
        }
    }

    #[test]
    fn nodes_are_apart_and_those_not_heard_of_make_room() {
        let mut seen = Seen::default();
        for start in 0..NODES_MAX as u64 {
            assert!(seen.note(&tag(start, 7)));
        }
        assert!(!seen.note(&tag(0, 7)));
        assert!(seen.note(&tag(1_000, 7)));
        assert_eq!(seen.nodes.len(), NODES_MAX);
        assert!(!seen.note(&tag(0, 7)));
        assert!(seen.note(&tag(1, 7)));
    }
}
