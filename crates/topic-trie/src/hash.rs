//! Hashes of 32 bits, as the indexes of this crate store them. Four bytes are enough: they only
//! choose a place, equality is always decided on the text.

use std::hash::{BuildHasher, Hasher};

/// Keyed with a random seed, because the texts come from strangers.
#[cfg(not(fixed_seed))]
pub(crate) type Seed = foldhash::fast::RandomState;

/// Always the same, for counts of instructions that can be compared; the flag is for nothing else.
#[cfg(fixed_seed)]
pub(crate) type Seed = foldhash::fast::FixedState;

#[inline]
pub(crate) fn of_text(seed: &Seed, text: &[u8]) -> u32 {
    // No mark of the end as for a text that is part of something else: there is nothing else.
    let mut hasher = seed.build_hasher();
    hasher.write(text);
    (hasher.finish() >> 32) as u32
}

/// The hash of a pair of hashes.
#[inline]
pub(crate) fn mix(left: u32, right: u32) -> u32 {
    let both = u64::from(left) << 32 | u64::from(right);
    let product = u128::from(both ^ 0x243f_6a88_85a3_08d3) * 0x9e37_79b9_7f4a_7c15_u128;
    ((product >> 64) as u64 ^ product as u64).rotate_right(29) as u32
}
