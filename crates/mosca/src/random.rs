//! Names that nobody else has.

use std::fmt::Write as _;

/// So many random bytes.
pub(crate) fn random_bytes<const BYTES: usize>() -> [u8; BYTES] {
    let mut bytes = [0; BYTES];
    if getrandom::fill(&mut bytes).is_err() {
        // A system without randomness has worse problems; the hasher's keys are what is left.
        use std::hash::{BuildHasher, Hasher, RandomState};
        for chunk in bytes.chunks_mut(8) {
            let random = RandomState::new().build_hasher().finish().to_be_bytes();
            chunk
                .iter_mut()
                .zip(random)
                .for_each(|(byte, random)| *byte = random);
        }
    }
    bytes
}

/// So many random bytes, in hexadecimal digits.
pub(crate) fn random_hex<const BYTES: usize>() -> String {
    let mut digits = String::with_capacity(2 * BYTES);
    for byte in random_bytes::<BYTES>() {
        // Writing to a string cannot fail.
        let _written = write!(digits, "{byte:02x}");
    }
    digits
}
