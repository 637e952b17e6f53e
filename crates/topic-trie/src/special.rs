//! The bytes that rules are about: wildcards and the null character.

/// Whether there are any. Looks at whole blocks, without leaving early, so that the compiler can use
/// vector instructions: most texts are read to their end anyway.
#[inline]
pub(crate) fn is_in(bytes: &[u8]) -> bool {
    let mut blocks = bytes.chunks_exact(BLOCK);
    blocks
        .by_ref()
        .fold(false, |found, block| found | is_in_block(block))
        | is_in_block(blocks.remainder())
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
