//! Hashes of 32 bits, as the tables of this crate store them.
//!
//! A stored hash saves reading the entry when a table grows, and four bytes are enough: they only
//! choose a place, equality is always decided on the text.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

/// Keyed with a random seed, because the texts come from strangers.
pub(crate) type Seed = DefaultHashBuilder;

/// A place in a table: the hash of the key, and the index of the entry that has the key.
#[derive(Clone, Copy)]
pub(crate) struct Slot {
    pub(crate) hash: u32,
    pub(crate) index: u32,
}

#[inline]
pub(crate) fn of_text(seed: &Seed, text: &str) -> u32 {
    (seed.hash_one(text) >> 32) as u32
}

#[inline]
pub(crate) fn mix(left: u32, right: u32) -> u32 {
    let both = u64::from(left) << 32 | u64::from(right);
    let product = u128::from(both ^ 0x243f_6a88_85a3_08d3) * 0x9e37_79b9_7f4a_7c15_u128;
    ((product >> 64) as u64 ^ product as u64).rotate_right(29) as u32
}

/// What the table wants: its low bits choose the group, its top seven bits tag the entry.
#[inline]
pub(crate) fn widened(hash: u32) -> u64 {
    u64::from(hash).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

pub(crate) fn insert(table: &mut HashTable<Slot>, slot: Slot) {
    table.insert_unique(widened(slot.hash), slot, |slot| widened(slot.hash));
}

/// Takes the slot of the entry `index` out of the table, and returns memory if few are left.
pub(crate) fn remove(table: &mut HashTable<Slot>, hash: u32, index: u32) {
    if let Ok(found) = table.find_entry(widened(hash), |slot| slot.index == index) {
        found.remove();
    }
    if table.capacity() > SMALL && table.len() < table.capacity() / 4 {
        table.shrink_to(table.len() * 2, |slot| widened(slot.hash));
    }
}

pub(crate) fn renumber(table: &mut HashTable<Slot>, hash: u32, from: u32, to: u32) {
    if let Some(slot) = table.find_mut(widened(hash), |slot| slot.index == from) {
        slot.index = to;
    }
}

/// Tables and lists up to this many entries are not worth shrinking.
pub(crate) const SMALL: usize = 32;
