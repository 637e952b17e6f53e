//! A topic cut at its slashes.

use std::iter::FusedIterator;

/// The levels of a topic name or topic filter, from left to right.
///
/// Slashes separate, so `/a` has two levels of which the first is empty, and `a/` two of which the
/// last is empty (MQTT section 4.7.1.1). There is always at least one level.
#[derive(Debug, Clone)]
pub struct Levels<'a> {
    rest: Option<&'a str>,
}

impl<'a> Levels<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { rest: Some(text) }
    }

    /// What has not been returned yet, if anything.
    #[inline]
    pub(crate) fn rest(&self) -> Option<&'a str> {
        self.rest
    }

    pub(crate) fn count_in(text: &str) -> usize {
        1 + text.bytes().filter(|&byte| byte == b'/').count()
    }
}

impl<'a> Iterator for Levels<'a> {
    type Item = &'a str;

    #[inline]
    fn next(&mut self) -> Option<&'a str> {
        let text = self.rest?;
        match slash_in(text.as_bytes()).and_then(|at| text.split_at_checked(at)) {
            Some((level, rest)) => {
                self.rest = rest.get(1..);
                Some(level)
            }
            None => {
                self.rest = None;
                Some(text)
            }
        }
    }
}

impl FusedIterator for Levels<'_> {}

/// Whether what is left of a filter matches what is left of a topic; `None` if nothing is.
#[inline]
pub(crate) fn rest_matches(mut filter: Option<&[u8]>, mut topic: Option<&[u8]>) -> bool {
    while let Some(wanted) = filter {
        // `a/#` also matches `a`, so `#` is looked at before a level is asked for.
        if wanted == b"#" {
            return true;
        }
        let Some(found) = topic else {
            return false;
        };
        let (level, name);
        (level, filter) = cut(wanted);
        (name, topic) = cut(found);
        if level != b"+" && level != name {
            return false;
        }
    }
    topic.is_none()
}

/// The place of the first slash. Looks at eight bytes at a time, as many as most levels have.
#[inline]
fn slash_in(text: &[u8]) -> Option<usize> {
    let mut rest = text;
    while let Some((block, behind)) = rest.split_first_chunk() {
        // A byte that is a slash becomes zero, and of zeros the highest bit is set below: exactly for
        // the first of them, which is all that is asked for.
        let others = u64::from_le_bytes(*block) ^ u64::from_ne_bytes([b'/'; 8]);
        let found = others.wrapping_sub(LOWEST_BITS) & !others & (LOWEST_BITS << 7);
        if found != 0 {
            return Some(text.len() - rest.len() + (found.trailing_zeros() / 8) as usize);
        }
        rest = behind;
    }
    let at = rest.iter().position(|&byte| byte == b'/')?;
    Some(text.len() - rest.len() + at)
}

/// The lowest bit of each of eight bytes.
const LOWEST_BITS: u64 = u64::from_ne_bytes([1; 8]);

/// The first level, and what is behind its slash.
#[inline]
pub(crate) fn cut(text: &[u8]) -> (&[u8], Option<&[u8]>) {
    match slash_in(text) {
        Some(at) => (text.get(..at).unwrap_or_default(), text.get(at + 1..)),
        None => (text, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes that differ from the slash in one bit, in the lowest one too, stand next to it.
    #[test]
    fn the_first_slash_is_found_wherever_it_stands() {
        for length in 0..40 {
            for other in [b'.', b'0', b'o', 0x2d, 0xaf, 0, 0xff] {
                let mut text = vec![other; length];
                assert_eq!(slash_in(&text), None);
                for at in (0..length).rev() {
                    text[at] = b'/';
                    assert_eq!(slash_in(&text), Some(at), "{text:?}");
                    assert_eq!(cut(&text), (&text[..at], Some(&text[at + 1..])));
                }
            }
        }
    }
}
