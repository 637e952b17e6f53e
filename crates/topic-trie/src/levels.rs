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

    pub(crate) fn count_in(text: &str) -> usize {
        1 + text.bytes().filter(|&byte| byte == b'/').count()
    }
}

impl<'a> Iterator for Levels<'a> {
    type Item = &'a str;

    #[inline]
    fn next(&mut self) -> Option<&'a str> {
        let text = self.rest?;
        match text
            .bytes()
            .position(|byte| byte == b'/')
            .and_then(|at| text.split_at_checked(at))
        {
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
