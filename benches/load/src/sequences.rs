//! Whether everything came, once, and in order: the books about sequence numbers.
//!
//! A *line* is one publisher's messages to one subscriber. Along a line the numbers must be
//! 0, 1, 2 and so on. A number that is skipped is missing until it comes after all (then it came out
//! of order) or the books are closed (then it is lost); one that comes again is a duplicate.

use std::collections::{BTreeSet, HashMap};

/// What is wrong with what was delivered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Sent, and never delivered.
    pub lost: u64,
    /// Delivered again.
    pub duplicates: u64,
    /// Delivered after a later one of the same line.
    pub out_of_order: u64,
    /// Delivered to somebody who should not have got it, or never sent by us.
    pub extra: u64,
}

/// The books of many lines.
#[derive(Debug, Default)]
pub struct Sequences {
    /// The number that each line expects next.
    next: Vec<u32>,
    /// The numbers that a line has skipped; rarely any.
    missing: HashMap<usize, BTreeSet<u32>>,
    duplicates: u64,
    out_of_order: u64,
    extra: u64,
}

impl Sequences {
    /// Books for so many lines, nothing delivered yet.
    pub fn new(lines: usize) -> Self {
        Self {
            next: vec![0; lines],
            ..Self::default()
        }
    }

    /// Enters a delivery. `sent` is how many messages the line's publisher has sent so far.
    #[inline]
    pub fn take(&mut self, line: usize, sequence: u32, sent: u32) {
        if let Some(next) = self.next.get_mut(line)
            && *next == sequence
            && sequence < sent
        {
            *next += 1;
        } else {
            self.take_unexpected(line, sequence, sent);
        }
    }

    /// Enters a delivery that belongs to no line.
    #[cold]
    pub fn take_extra(&mut self) {
        self.extra += 1;
    }

    #[cold]
    fn take_unexpected(&mut self, line: usize, sequence: u32, sent: u32) {
        let Some(next) = self.next.get_mut(line).filter(|_| sequence < sent) else {
            self.extra += 1;
            return;
        };
        if sequence > *next {
            self.missing
                .entry(line)
                .or_default()
                .extend(*next..sequence);
            *next = sequence + 1;
        } else if self
            .missing
            .get_mut(&line)
            .is_some_and(|missing| missing.remove(&sequence))
        {
            self.out_of_order += 1;
        } else {
            self.duplicates += 1;
        }
    }

    /// How far a line has come: everything before was delivered or skipped.
    #[inline]
    pub fn reached(&self, line: usize) -> u32 {
        self.next.get(line).copied().unwrap_or_default()
    }

    /// How far the slowest of neighbouring lines has come.
    #[inline]
    pub fn slowest(&self, lines: std::ops::Range<usize>) -> u32 {
        let lines = self.next.get(lines).unwrap_or_default();
        lines.iter().copied().min().unwrap_or_default()
    }

    /// Closes the books: `sent` says how many messages each line's publisher has sent.
    pub fn verdict(&self, sent: impl Fn(usize) -> u32) -> Verdict {
        let tails: u64 = (0..self.next.len())
            .map(|line| u64::from(sent(line).saturating_sub(self.reached(line))))
            .sum();
        let holes: usize = self.missing.values().map(BTreeSet::len).sum();
        Verdict {
            lost: tails + holes as u64,
            duplicates: self.duplicates,
            out_of_order: self.out_of_order,
            extra: self.extra,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The verdict about one line to which `delivered` came, when `sent` were sent.
    fn judge(delivered: &[u32], sent: u32) -> Verdict {
        let mut books = Sequences::new(1);
        for sequence in delivered {
            books.take(0, *sequence, sent);
        }
        books.verdict(|_| sent)
    }

    #[test]
    fn all_once_and_in_order_is_right() {
        assert_eq!(judge(&[0, 1, 2, 3], 4), Verdict::default());
        assert_eq!(judge(&[], 0), Verdict::default());
    }

    #[test]
    fn a_lost_message_is_noticed_at_the_start_in_the_middle_and_at_the_end() {
        for delivered in [[1, 2, 3], [0, 2, 3], [0, 1, 2]] {
            let lost = Verdict {
                lost: 1,
                ..Verdict::default()
            };
            assert_eq!(judge(&delivered, 4), lost, "{delivered:?}");
        }
    }

    #[test]
    fn a_doubled_message_is_noticed() {
        let doubled = Verdict {
            duplicates: 1,
            ..Verdict::default()
        };
        assert_eq!(judge(&[0, 1, 1, 2], 3), doubled);
        assert_eq!(judge(&[0, 1, 2, 0], 3), doubled);
    }

    #[test]
    fn a_message_that_comes_late_is_out_of_order_and_not_lost() {
        let late = Verdict {
            out_of_order: 1,
            ..Verdict::default()
        };
        assert_eq!(judge(&[0, 2, 1, 3], 4), late);
        let late_and_again = Verdict {
            out_of_order: 1,
            duplicates: 1,
            ..Verdict::default()
        };
        assert_eq!(judge(&[0, 2, 1, 1, 3], 4), late_and_again);
    }

    #[test]
    fn a_message_that_was_never_sent_and_one_for_nobody_are_extra() {
        let extra = Verdict {
            extra: 1,
            ..Verdict::default()
        };
        assert_eq!(judge(&[0, 1, 2], 2), extra);
        assert_eq!(judge(&[0, 1, u32::MAX], 2), extra);
        let mut books = Sequences::new(1);
        books.take(1, 0, 1);
        assert_eq!(books.verdict(|_| 0), extra);
    }

    #[test]
    fn the_slowest_line_is_the_one_that_has_come_least_far() {
        let mut books = Sequences::new(3);
        for (line, count) in [(0, 3), (1, 1), (2, 2)] {
            (0..count).for_each(|sequence| books.take(line, sequence, 9));
        }
        assert_eq!(books.slowest(0..3), 1);
        assert_eq!(books.slowest(2..3), 2);
        assert_eq!(books.reached(0), 3);
    }
}
