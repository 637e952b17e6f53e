//! Who hears whom, in the simple cases: each his own publisher, or everybody everything.

use crate::parties::Audience;
use crate::sequences::{Sequences, Verdict};
use crate::stamp::Stamp;

/// Subscriber i hears publisher i, and nobody else.
pub struct Pairs {
    books: Sequences,
}

impl Pairs {
    pub fn new(pairs: usize) -> Self {
        Self {
            books: Sequences::new(pairs),
        }
    }
}

impl Audience for Pairs {
    #[inline]
    fn take(&mut self, subscriber: usize, stamp: &Stamp, sent: u32) {
        if stamp.source as usize == subscriber {
            self.books.take(subscriber, stamp.sequence, sent);
        } else {
            self.books.take_extra();
        }
    }

    #[inline]
    fn reached(&self, source: usize) -> u32 {
        self.books.reached(source)
    }

    fn verdict(&self, sent: &[u32]) -> Verdict {
        self.books.verdict(|line| sent[line])
    }

    fn deliveries_per_message(&self) -> usize {
        1
    }
}

/// Every subscriber hears every publisher.
pub struct Everybody {
    /// The lines of one publisher are neighbours.
    books: Sequences,
    subscribers: usize,
}

impl Everybody {
    pub fn new(publishers: usize, subscribers: usize) -> Self {
        Self {
            books: Sequences::new(publishers * subscribers),
            subscribers,
        }
    }
}

impl Audience for Everybody {
    #[inline]
    fn take(&mut self, subscriber: usize, stamp: &Stamp, sent: u32) {
        if subscriber < self.subscribers {
            let line = stamp.source as usize * self.subscribers + subscriber;
            self.books.take(line, stamp.sequence, sent);
        } else {
            self.books.take_extra();
        }
    }

    #[inline]
    fn reached(&self, source: usize) -> u32 {
        let first = source * self.subscribers;
        self.books.slowest(first..first + self.subscribers)
    }

    fn verdict(&self, sent: &[u32]) -> Verdict {
        self.books.verdict(|line| sent[line / self.subscribers])
    }

    fn deliveries_per_message(&self) -> usize {
        self.subscribers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(source: u32, sequence: u32) -> Stamp {
        Stamp {
            sent_ns: 0,
            source,
            sequence,
        }
    }

    #[test]
    fn a_message_at_another_pairs_subscriber_is_extra_and_lost() {
        let mut pairs = Pairs::new(2);
        pairs.take(0, &stamp(0, 0), 1);
        pairs.take(0, &stamp(1, 0), 1);
        let verdict = pairs.verdict(&[1, 1]);
        assert_eq!((verdict.extra, verdict.lost), (1, 1));
        assert_eq!((pairs.reached(0), pairs.reached(1)), (1, 0));
    }

    #[test]
    fn everybody_has_it_only_when_the_last_has_it() {
        let mut everybody = Everybody::new(2, 3);
        for subscriber in 0..3 {
            assert_eq!(everybody.reached(1), 0);
            everybody.take(subscriber, &stamp(1, 0), 1);
        }
        assert_eq!(everybody.reached(1), 1);
        assert_eq!(everybody.verdict(&[0, 1]), Verdict::default());
        assert_eq!(everybody.verdict(&[1, 1]).lost, 3);
        everybody.take(3, &stamp(1, 0), 1);
        assert_eq!(everybody.verdict(&[0, 1]).extra, 1);
    }
}
