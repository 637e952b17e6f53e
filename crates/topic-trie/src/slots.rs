//! Numbers that name the entries of a list for as long as they are in it, although the list moves
//! its last entry to where one was removed.

use crate::dense::{self, NONE};

/// Four bytes for each entry that there was at most since the list was last empty.
pub(crate) struct Slots {
    /// Where the entry with this number is; of an unused number, the next unused one.
    places: Vec<u32>,
    unused: u32,
    used: usize,
}

impl Slots {
    /// Without memory until a number is taken.
    pub(crate) const fn new() -> Self {
        Self {
            places: Vec::new(),
            unused: NONE,
            used: 0,
        }
    }

    /// A number for the entry at `place`.
    pub(crate) fn take(&mut self, place: u32) -> u32 {
        self.used += 1;
        let slot = self.unused;
        if let Some(held) = self.places.get_mut(slot as usize) {
            self.unused = std::mem::replace(held, place);
            return slot;
        }
        let slot = dense::next_index(&self.places);
        dense::push(&mut self.places, place);
        slot
    }

    /// Where the entry with this number is, if there is one; whoever asks compares the number with
    /// that of the entry.
    pub(crate) fn place(&self, slot: u32) -> Option<u32> {
        self.places.get(slot as usize).copied()
    }

    /// The entry with this number is at another place now.
    pub(crate) fn moved(&mut self, slot: u32, place: u32) {
        if let Some(held) = self.places.get_mut(slot as usize) {
            *held = place;
        }
    }

    /// The entry with this number is gone; another one may get the number.
    pub(crate) fn release(&mut self, slot: u32) {
        self.used -= 1;
        if self.used == 0 {
            *self = Self::new();
        } else if let Some(held) = self.places.get_mut(slot as usize) {
            *held = std::mem::replace(&mut self.unused, slot);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// A list whose entries move as they do in the tries.
        #[test]
        fn a_number_names_its_entry_until_it_is_removed(
            steps in prop::collection::vec((any::<prop::sample::Index>(), prop::bool::weighted(0.6)), 1..200),
        ) {
            let mut slots = Slots::new();
            let mut list: Vec<(u32, usize)> = Vec::new();
            let mut model = std::collections::HashMap::new();
            for (step, (index, adds)) in steps.into_iter().enumerate() {
                if adds || list.is_empty() {
                    let slot = slots.take(dense::next_index(&list));
                    list.push((slot, step));
                    prop_assert_eq!(model.insert(slot, step), None);
                } else {
                    let at = index.index(list.len());
                    let (slot, entry) = list.swap_remove(at);
                    slots.release(slot);
                    if let Some((moved, _)) = list.get(at) {
                        slots.moved(*moved, at as u32);
                    }
                    prop_assert_eq!(model.remove(&slot), Some(entry));
                    let named = slots.place(slot).and_then(|at| list.get(at as usize));
                    prop_assert_ne!(named.map(|(slot, _)| *slot), Some(slot));
                }
                for (slot, entry) in &model {
                    let at = slots.place(*slot).unwrap() as usize;
                    prop_assert_eq!(list.get(at), Some(&(*slot, *entry)));
                }
            }
            if list.is_empty() {
                prop_assert_eq!(slots.places.capacity(), 0);
            }
        }
    }
}
