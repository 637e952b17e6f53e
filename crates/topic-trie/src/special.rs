//! The bytes that rules are about: wildcards and the null character.

/// Whether there are any. Looks at eight bytes at a time, without leaving early: most texts are read to
/// their end anyway.
#[inline]
pub(crate) fn is_in(bytes: &[u8]) -> bool {
    // The last word may overlap the one before it, so there is no rest to walk over.
    let Some(last) = bytes.last_chunk() else {
        return is_in_block(bytes);
    };
    let (words, _) = bytes.as_chunks();
    let found = |found, word: &[u8; 8]| found | marks(*word);
    words.iter().fold(marks(*last), found) != 0
}

/// Not zero if there are any in the word.
#[inline]
fn marks(word: [u8; 8]) -> u64 {
    const ONES: u64 = u64::from_ne_bytes([0x01; 8]);
    const HIGH: u64 = u64::from_ne_bytes([0x80; 8]);
    let word = u64::from_le_bytes(word);
    // Subtracting one from every byte sets a highest bit that was not set exactly if some byte was
    // zero: only there does it borrow.
    let zero = |word: u64| word.wrapping_sub(ONES) & !word;
    let plus = word ^ (ONES * b'+' as u64);
    let hash = word ^ (ONES * b'#' as u64);
    (zero(word) | zero(plus) | zero(hash)) & HIGH
}

/// The place of the first one.
pub(crate) fn first_in(bytes: &[u8]) -> Option<usize> {
    let mut blocks = bytes.chunks(BLOCK).enumerate();
    let (number, block) = blocks.find(|(_, block)| is_in_block(block))?;
    let at = block
        .iter()
        .position(|byte| matches!(byte, 0 | b'+' | b'#'))?;
    Some(number * BLOCK + at)
}

#[inline]
fn is_in_block(block: &[u8]) -> bool {
    // Three comparisons and not a pattern, which becomes a table of bits for one byte at a time.
    let found = |found: bool, &byte: &u8| found | (byte == 0) | (byte == b'+') | (byte == b'#');
    block.iter().fold(false, found)
}

const BLOCK: usize = 16;
