//! What a string may hold (section 1.5.4): well-formed UTF-8 without U+0000.
//!
//! Control characters, non-characters and U+FEFF pass: the specification lets a receiver
//! accept them, and forbids touching the last \[MQTT-1.5.4-3\].
//!
//! Nearly every topic name and filter is ASCII, and looking for it eight bytes at a time
//! answers both questions at once. The bench `decode/publish` in `benches/codec` is what
//! this is for; `from_utf8` with a search for zero behind it stays beside it for all other
//! text, and the tests hold the two to the same answer.

use crate::DecodeError;

/// The bytes as text, or the rule that they break.
#[inline(always)]
pub(crate) fn text(bytes: &[u8]) -> Result<&str, DecodeError> {
    match ascii_text(bytes) {
        Some(text) => Ok(text),
        None => any_text(bytes),
    }
}

/// The bytes as text, if all of them are 0x01 to 0x7F.
#[inline(always)]
pub(crate) fn ascii_text(bytes: &[u8]) -> Option<&str> {
    if !is_ascii_without_nul(bytes) {
        return None;
    }
    #[expect(
        unsafe_code,
        reason = "a second look by `from_utf8` takes more time than all else in a PUBLISH"
    )]
    // SAFETY: every byte is below 0x80, and such bytes are UTF-8.
    Some(unsafe { core::str::from_utf8_unchecked(bytes) })
}

/// Whether the text has U+0000, which may not be sent \[MQTT-1.5.4-2\].
#[inline]
pub(crate) fn contains_nul(text: &str) -> bool {
    !is_ascii_without_nul(text.as_bytes()) && text.as_bytes().contains(&0)
}

/// The two rules as they are written \[MQTT-1.5.4-1\], \[MQTT-1.5.4-2\].
#[cold]
fn any_text(bytes: &[u8]) -> Result<&str, DecodeError> {
    let text = core::str::from_utf8(bytes).map_err(|_| DecodeError::StringNotUtf8)?;
    if bytes.contains(&0) {
        return Err(DecodeError::StringContainsNul);
    }
    Ok(text)
}

/// Whether every byte is 0x01 to 0x7F.
#[inline(always)]
fn is_ascii_without_nul(bytes: &[u8]) -> bool {
    // The last word may overlap the one before it, so there is no rest to walk over.
    if let Some(last) = bytes.last_chunk() {
        let (words, _) = bytes.as_chunks();
        let bad = words
            .iter()
            .fold(suspicious(*last), |bad, word| bad | suspicious(*word));
        return bad == 0;
    }
    if let (Some([a, b, c, d]), Some([e, f, g, h])) = (bytes.first_chunk(), bytes.last_chunk()) {
        return suspicious([*a, *b, *c, *d, *e, *f, *g, *h]) == 0;
    }
    bytes.iter().all(|byte| (1..0x80).contains(byte))
}

/// Not zero if some byte of the word is zero or above 0x7F.
///
/// A byte above 0x7F has its highest bit set. If there is none, subtracting one from every
/// byte sets a highest bit exactly if some byte was zero: only there does it borrow.
#[inline]
const fn suspicious(word: [u8; 8]) -> u64 {
    const ONES: u64 = u64::from_ne_bytes([0x01; 8]);
    const HIGH: u64 = u64::from_ne_bytes([0x80; 8]);
    let word = u64::from_le_bytes(word);
    (word | word.wrapping_sub(ONES)) & HIGH
}

#[cfg(test)]
mod tests {
    use super::{any_text, contains_nul, is_ascii_without_nul, text};
    use alloc::vec;
    use proptest::prelude::*;

    /// Every length around the word borders, with every byte at every place.
    #[test]
    fn one_bad_byte_is_found_wherever_it_is() {
        for len in 0..40 {
            let mut bytes = vec![b'a'; len];
            assert!(is_ascii_without_nul(&bytes));
            for at in 0..len {
                for byte in 0..=255 {
                    bytes[at] = byte;
                    assert_eq!(is_ascii_without_nul(&bytes), (1..0x80).contains(&byte));
                    assert_eq!(text(&bytes), any_text(&bytes));
                }
                bytes[at] = b'a';
            }
        }
    }

    proptest! {
        #[test]
        fn the_fast_path_answers_as_the_slow_one(
            bytes in proptest::collection::vec(
                prop_oneof![6 => 1u8..0x80, 1 => any::<u8>(), 1 => Just(0)],
                0..100,
            ),
        ) {
            prop_assert_eq!(text(&bytes), any_text(&bytes));
        }

        #[test]
        fn text_of_any_script_passes(string in "[^\u{0}]{0,40}") {
            prop_assert_eq!(text(string.as_bytes()), Ok(&*string));
            prop_assert!(!contains_nul(&string));
        }

        #[test]
        fn nul_is_found_in_any_script(head in "[^\u{0}]{0,20}", tail in ".{0,20}") {
            let string = [head, tail].join("\0");
            prop_assert!(contains_nul(&string));
        }
    }
}
