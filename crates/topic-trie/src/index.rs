//! A hash index: from the hash of a key to the number of the entry that has the key.
//!
//! The entries are somewhere else, in a list. What is kept here of each is eight bytes, its hash
//! and its number, in order of the hashes: a slot's place is its hash scaled to the number of slots,
//! or the next free one to the right.
//!
//! ```text
//! hash / 2^32   .0        .25       .5        .75         overflow
//! slots         [.05][.09][   ][.38][.41][.44][   ][.80][   ][   ]
//! ```
//!
//! Made for many entries that are not in the processor's caches: a search, for what is there or
//! not, reads eight or so neighbouring slots, most often one cache line, and reads an entry only if
//! all 32 bits of the hash agree. Because the hashes are kept, growing does not read the entries;
//! because any number of slots will do, it grows by half and not by doubling.

use crate::dense::NONE;

pub(crate) struct Index {
    /// In order of the hashes, free slots between them. The last slot is always free.
    slots: Vec<Slot>,
    /// The number of places that a hash can have; the slots after them take what does not fit.
    places: u32,
    len: usize,
}

#[derive(Clone, Copy)]
struct Slot {
    hash: u32,
    /// `NONE` if the slot is free.
    entry: u32,
}

const FREE: Slot = Slot {
    hash: 0,
    entry: NONE,
};

impl Index {
    /// Without memory until something is inserted.
    pub(crate) const fn new() -> Self {
        Self {
            slots: Vec::new(),
            places: 0,
            len: 0,
        }
    }

    #[inline]
    fn place(&self, hash: u32) -> usize {
        ((u64::from(hash) * u64::from(self.places)) >> 32) as usize
    }

    /// The first entry with this hash that `is_wanted`.
    #[inline]
    pub(crate) fn find(&self, hash: u32, mut is_wanted: impl FnMut(u32) -> bool) -> Option<u32> {
        for slot in self.slots.get(self.place(hash)..)? {
            if slot.hash == hash && slot.entry != NONE && is_wanted(slot.entry) {
                return Some(slot.entry);
            }
            if slot.hash > hash || slot.entry == NONE {
                return None;
            }
        }
        None
    }

    /// The first entry with this hash, or `NONE`.
    #[inline]
    pub(crate) fn first(&self, hash: u32) -> u32 {
        for slot in self.slots.get(self.place(hash)..).unwrap_or_default() {
            if slot.hash >= hash || slot.entry == NONE {
                return if slot.hash == hash { slot.entry } else { NONE };
            }
        }
        NONE
    }

    fn slot_of(&self, hash: u32, entry: u32) -> Option<usize> {
        let first = self.place(hash);
        let mut slots = self.slots.get(first..)?.iter();
        let at = first + slots.position(|slot| slot.entry == entry || slot.entry == NONE)?;
        self.slots
            .get(at)
            .filter(|slot| slot.entry == entry)
            .map(|_| at)
    }

    /// Adds an entry that is not there yet.
    pub(crate) fn insert(&mut self, hash: u32, entry: u32) {
        // At most three quarters of the places are taken.
        if self.len >= self.places as usize / 4 * 3 {
            self.resize(self.len * 2);
        }
        if !self.put(Slot { hash, entry }) {
            // A long run of neighbours reaches the end.
            let more = self.slots.len() / 16 + 16;
            self.slots.reserve_exact(more);
            self.slots.extend(std::iter::repeat_n(FREE, more));
            self.put(Slot { hash, entry });
        }
        self.len += 1;
    }

    /// Whether there was room.
    fn put(&mut self, mut new: Slot) -> bool {
        let first = self.place(new.hash);
        let Some(free) = self
            .slots
            .get(first..)
            .and_then(|slots| slots.iter().position(|slot| slot.entry == NONE))
        else {
            return false;
        };
        if first + free + 1 == self.slots.len() {
            return false;
        }
        for slot in self.slots.iter_mut().skip(first).take(free + 1) {
            if slot.entry == NONE || slot.hash > new.hash {
                std::mem::swap(slot, &mut new);
            }
        }
        true
    }

    pub(crate) fn remove(&mut self, hash: u32, entry: u32) {
        let Some(mut at) = self.slot_of(hash, entry) else {
            return;
        };
        // Those to the right that are not at their own place move up.
        loop {
            let next = self.slots.get(at + 1).copied().unwrap_or(FREE);
            let stays = next.entry == NONE || self.place(next.hash) == at + 1;
            if let Some(slot) = self.slots.get_mut(at) {
                *slot = if stays { FREE } else { next };
            }
            if stays {
                break;
            }
            at += 1;
        }
        self.len -= 1;
        if self.places as usize > SMALLEST && self.len < self.places as usize / 4 {
            self.resize(self.len * 2);
        }
    }

    /// Notes that the entry `from` is now the entry `to`.
    pub(crate) fn renumber(&mut self, hash: u32, from: u32, to: u32) {
        if let Some(slot) = self
            .slot_of(hash, from)
            .and_then(|at| self.slots.get_mut(at))
        {
            slot.entry = to;
        }
    }

    fn resize(&mut self, places: usize) {
        let old = std::mem::take(&mut self.slots);
        let places = places.max(SMALLEST);
        self.places = u32::try_from(places).unwrap_or(u32::MAX);
        let overflow = 16;
        self.slots = Vec::new();
        self.slots.reserve_exact(places + overflow);
        self.slots.resize(places + overflow, FREE);
        let mut next = 0;
        for slot in old.into_iter().filter(|slot| slot.entry != NONE) {
            // They come in order, so each goes to its place or right after the one before.
            let at = self.place(slot.hash).max(next);
            next = at + 1;
            match self.slots.get_mut(at) {
                Some(free) => *free = slot,
                None => self.slots.push(slot),
            }
        }
        if next >= self.slots.len() {
            self.slots.resize(next + overflow, FREE);
        }
    }
}

const SMALLEST: usize = 8;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Hashes from a few values, so that many collide, some of them at the very end.
        #[test]
        fn any_sequence_agrees_with_a_list(
            steps in prop::collection::vec((0..60_u32, prop::bool::weighted(0.6)), 1..400),
            spread in prop::sample::select(&[1_u32, 1 << 20, 1 << 27, 0][..]),
        ) {
            let hash_of = |entry: u32| u32::MAX - (entry / 3).wrapping_mul(spread);
            let mut index = Index::new();
            let mut model: Vec<u32> = Vec::new();
            for (entry, adds) in steps {
                let at = model.iter().position(|&held| held == entry);
                match (at, adds) {
                    (None, true) => {
                        index.insert(hash_of(entry), entry);
                        model.push(entry);
                    }
                    (Some(at), false) => {
                        index.remove(hash_of(entry), entry);
                        model.swap_remove(at);
                    }
                    // What is not there is not removed, and harms nothing.
                    (None, false) => index.remove(hash_of(entry), entry),
                    (Some(_), true) => {}
                }
                prop_assert_eq!(index.len, model.len());
                for wanted in 0..60 {
                    let found = index.find(hash_of(wanted), |entry| entry == wanted);
                    prop_assert_eq!(found.is_some(), model.contains(&wanted));
                    let first = index.first(hash_of(wanted));
                    let has_hash = |&entry: &u32| hash_of(entry) == hash_of(wanted);
                    prop_assert_eq!(first != NONE, model.iter().any(has_hash));
                    prop_assert!(first == NONE || hash_of(first) == hash_of(wanted));
                }
                let taken = index.slots.iter().filter(|slot| slot.entry != NONE);
                prop_assert!(taken.is_sorted_by_key(|slot| slot.hash));
            }
        }
    }

    #[test]
    fn a_renumbered_entry_is_found_under_its_new_number() {
        let mut index = Index::new();
        (0..10).for_each(|entry| index.insert(7, entry));
        index.renumber(7, 4, 100);
        assert_eq!(index.find(7, |entry| entry == 4), None);
        assert_eq!(index.find(7, |entry| entry == 100), Some(100));
    }
}
