//! The books of a line whose messages come in any order: which of them came, and none twice.
//!
//! A ring of bits, one for each number from the lowest that has not come. Wildcard subscriptions
//! spread one publisher's messages over many connections, and between these there is no order.

/// Which numbers of one line have come.
#[derive(Debug)]
pub struct Seen {
    /// Everything before has come or was given up.
    base: u32,
    /// Whether `base + n` has come, at `(base + n) % bits`.
    bits: Vec<u64>,
    given_up: u64,
    duplicates: u64,
    extra: u64,
}

impl Seen {
    /// Room for `window` numbers under way.
    pub fn new(window: u32) -> Self {
        let words = (window as usize / 64 + 2).next_power_of_two();
        Self {
            base: 0,
            bits: vec![0; words],
            given_up: 0,
            duplicates: 0,
            extra: 0,
        }
    }

    fn capacity(&self) -> u32 {
        self.bits.len() as u32 * 64
    }

    /// The word and the bit of a number.
    #[inline]
    fn place(&self, sequence: u32) -> (usize, u64) {
        let word = (sequence / 64) as usize & (self.bits.len() - 1);
        (word, 1 << (sequence % 64))
    }

    /// Enters a delivery. `sent` is how many messages were sent so far.
    #[inline]
    pub fn take(&mut self, sequence: u32, sent: u32) {
        if sequence >= sent {
            self.extra += 1;
            return;
        }
        if sequence < self.base {
            self.duplicates += 1;
            return;
        }
        while sequence - self.base >= self.capacity() {
            self.give_up_one();
        }
        let (word, bit) = self.place(sequence);
        if self.bits[word] & bit != 0 {
            self.duplicates += 1;
            return;
        }
        self.bits[word] |= bit;
        if sequence == self.base {
            self.advance();
        }
    }

    /// Moves the base over all that have come.
    fn advance(&mut self) {
        loop {
            let (word, bit) = self.place(self.base);
            let ahead = (self.bits[word] / bit).trailing_ones();
            if ahead == 0 {
                return;
            }
            // So many bits from `bit` on, within this word.
            let run = (u64::MAX >> (64 - ahead)) * bit;
            self.bits[word] &= !run;
            self.base += ahead;
        }
    }

    #[cold]
    fn give_up_one(&mut self) {
        self.given_up += 1;
        self.base += 1;
        self.advance();
    }

    /// Everything before has come or was given up.
    #[inline]
    pub fn reached(&self) -> u32 {
        self.base
    }

    /// Numbers that came again.
    pub fn duplicates(&self) -> u64 {
        self.duplicates
    }

    /// Numbers that were never sent.
    pub fn extra(&self) -> u64 {
        self.extra
    }

    /// Numbers below `sent` that have not come.
    pub fn lost(&self, sent: u32) -> u64 {
        let ahead: u32 = self.bits.iter().map(|word| word.count_ones()).sum();
        self.given_up + u64::from(sent.saturating_sub(self.base + ahead))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(delivered: impl IntoIterator<Item = u32>, sent: u32) -> (u64, u64, u64) {
        let mut seen = Seen::new(64);
        for sequence in delivered {
            seen.take(sequence, sent);
        }
        (seen.lost(sent), seen.duplicates(), seen.extra())
    }

    #[test]
    fn any_order_is_right() {
        assert_eq!(after(0..1000, 1000), (0, 0, 0));
        let swapped = (0..500).flat_map(|pair| [2 * pair + 1, 2 * pair]);
        assert_eq!(after(swapped, 1000), (0, 0, 0));
        assert_eq!(after((0..128).rev(), 128), (0, 0, 0));
    }

    #[test]
    fn lost_ones_are_counted_wherever_they_are() {
        assert_eq!(after(1..1000, 1000), (1, 0, 0));
        assert_eq!(after((0..1000).filter(|n| *n != 500), 1000), (1, 0, 0));
        assert_eq!(after(0..999, 1000), (1, 0, 0));
        assert_eq!(after((0..1000).filter(|n| n % 10 != 3), 1000), (100, 0, 0));
    }

    #[test]
    fn doubled_ones_are_counted_before_and_behind_the_base() {
        assert_eq!(after([0, 1, 1, 2], 3), (0, 1, 0));
        assert_eq!(after([0, 2, 2, 1], 3), (0, 1, 0));
    }

    #[test]
    fn one_that_was_never_sent_is_extra() {
        assert_eq!(after([0, 1, 2], 2), (0, 0, 1));
    }

    #[test]
    fn the_base_stops_at_the_first_that_is_missing() {
        let mut seen = Seen::new(64);
        for sequence in [0, 1, 3, 4] {
            seen.take(sequence, 5);
        }
        assert_eq!(seen.reached(), 2);
        seen.take(2, 5);
        assert_eq!(seen.reached(), 5);
    }
}
