//! Numbers by chance that a seed brings back: what is decided is the same again, though not when
//! things happen.

/// A sequence of numbers (splitmix64).
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The seed from the environment, or a new one; printed either way.
    pub fn seed() -> u64 {
        let given = std::env::var("MOSCA_TEST_SEED");
        let seed = match given {
            Ok(text) => text.parse().expect("MOSCA_TEST_SEED is a number"),
            Err(_) => {
                use std::hash::{BuildHasher, RandomState};
                RandomState::new().hash_one(0) >> 32
            }
        };
        println!("MOSCA_TEST_SEED={seed}");
        seed
    }

    /// A sequence of its own for one of several.
    pub fn fork(&self, number: u64) -> Self {
        let mut fork = Self(self.0 ^ number.wrapping_mul(0xA076_1D64_78BD_642F));
        fork.next();
        fork
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    /// True in so many of a hundred cases.
    pub fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}
