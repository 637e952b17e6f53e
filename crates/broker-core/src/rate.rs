//! How often something may happen: a token bucket, whose time is an argument.

use crate::Timestamp;

/// So many in a second on the average, and so many at once after a quiet while.
///
/// ```
/// use broker_core::Rate;
///
/// let rate = Rate::per_sec(100);
/// assert_eq!((rate.each_sec(), rate.burst()), (100, 100));
/// assert_eq!(rate.with_burst(1_000).burst(), 1_000);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    each_sec: u32,
    burst: u32,
}

impl Rate {
    /// `each_sec` in a second, and as many at once. 0 counts as 1.
    pub const fn per_sec(each_sec: u32) -> Self {
        let each_sec = if each_sec == 0 { 1 } else { each_sec };
        Self {
            each_sec,
            burst: each_sec,
        }
    }

    /// The same with so many at once. 0 counts as 1.
    pub const fn with_burst(self, burst: u32) -> Self {
        let burst = if burst == 0 { 1 } else { burst };
        Self { burst, ..self }
    }

    /// How many in a second, on the average.
    pub const fn each_sec(self) -> u32 {
        self.each_sec
    }

    /// How many at once.
    pub const fn burst(self) -> u32 {
        self.burst
    }
}

/// What is left of a [`Rate`] at some time: 16 bytes, and no timer.
///
/// ```
/// use broker_core::{Rate, Timestamp, TokenBucket};
///
/// let rate = Rate::per_sec(10).with_burst(2);
/// let start = Timestamp::from_millis(0);
/// let mut bucket = TokenBucket::full(rate, start);
/// assert!(bucket.take(rate, start) && bucket.take(rate, start));
/// assert!(!bucket.take(rate, Timestamp::from_millis(99)));
/// assert!(bucket.take(rate, Timestamp::from_millis(100)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenBucket {
    /// Thousandths of tokens, since each millisecond brings thousandths of them; below 0 for what
    /// was owed.
    level: i64,
    at: Timestamp,
}

/// Thousandths of a token.
const TOKEN: i64 = 1_000;

impl TokenBucket {
    /// A bucket that was left alone for long.
    pub const fn full(rate: Rate, now: Timestamp) -> Self {
        Self {
            level: rate.burst as i64 * TOKEN,
            at: now,
        }
    }

    /// Takes one token if there is one.
    pub fn take(&mut self, rate: Rate, now: Timestamp) -> bool {
        self.fill(rate, now);
        let has_one = self.level >= TOKEN;
        if has_one {
            self.level -= TOKEN;
        }
        has_one
    }

    /// Takes so many tokens whether they are there or not: what is owed has to come before
    /// [`is_owing`](Self::is_owing) is over.
    pub fn pay(&mut self, rate: Rate, now: Timestamp, tokens: u32) {
        self.fill(rate, now);
        self.level = self.level.saturating_sub(i64::from(tokens) * TOKEN);
    }

    /// Whether more was paid than was there.
    pub fn is_owing(&self) -> bool {
        self.level < 0
    }

    /// When nothing will be owed any more, if nothing more is paid; in the past if nothing is.
    pub fn even_at(&self, rate: Rate) -> Timestamp {
        let owed = u64::try_from(self.level.saturating_neg()).unwrap_or(0);
        let millis = owed.div_ceil(u64::from(rate.each_sec));
        Timestamp::from_millis(self.at.as_millis().saturating_add(millis))
    }

    /// When there will be a token, if nothing more is taken; in the past if there is one.
    pub fn next_at(&self, rate: Rate) -> Timestamp {
        let missing = u64::try_from(TOKEN.saturating_sub(self.level)).unwrap_or(0);
        let millis = missing.div_ceil(u64::from(rate.each_sec));
        Timestamp::from_millis(self.at.as_millis().saturating_add(millis))
    }

    /// When it will be as if it had never been used, if nothing more is taken.
    pub fn full_at(&self, rate: Rate) -> Timestamp {
        let full = i64::from(rate.burst) * TOKEN;
        let missing = u64::try_from(full.saturating_sub(self.level)).unwrap_or(0);
        let millis = missing.div_ceil(u64::from(rate.each_sec));
        Timestamp::from_millis(self.at.as_millis().saturating_add(millis))
    }

    /// Whether it is so now.
    pub fn is_full(&self, rate: Rate, now: Timestamp) -> bool {
        self.full_at(rate) <= now
    }

    fn fill(&mut self, rate: Rate, now: Timestamp) {
        let millis = u64::try_from((now - self.at).as_millis()).unwrap_or(u64::MAX);
        let brought = millis.saturating_mul(u64::from(rate.each_sec));
        let brought = i64::try_from(brought).unwrap_or(i64::MAX);
        let most = i64::from(rate.burst) * TOKEN;
        self.level = self.level.saturating_add(brought).min(most);
        self.at = self.at.max(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn whatever_the_rhythm_no_more_is_taken_than_the_burst_and_what_the_time_has_brought() {
        for (each_sec, burst, step) in [(1, 1, 1), (7, 3, 13), (1_000, 50, 1), (3_000, 1, 7)] {
            let rate = Rate::per_sec(each_sec).with_burst(burst);
            let mut bucket = TokenBucket::full(rate, at(5));
            let mut taken = 0_u64;
            for now in (5..20_005).step_by(step) {
                while bucket.take(rate, at(now)) {
                    taken += 1;
                }
                let brought = (now - 5) * u64::from(each_sec) / 1_000;
                assert!(taken <= u64::from(burst) + brought, "{rate:?} at {now}");
                // What comes faster than it may be kept is lost.
                if u64::from(burst) * 1_000 >= step as u64 * u64::from(each_sec) {
                    assert_eq!(taken, u64::from(burst) + brought, "{rate:?} at {now}");
                }
            }
        }
    }

    #[test]
    fn what_is_owed_is_over_when_it_was_said_to_be() {
        let rate = Rate::per_sec(300);
        let mut bucket = TokenBucket::full(rate, at(0));
        bucket.pay(rate, at(0), 300);
        assert!(!bucket.is_owing());
        bucket.pay(rate, at(0), 100);
        assert!(bucket.is_owing());
        let even = bucket.even_at(rate);
        assert_eq!(even, at(334));
        bucket.pay(rate, at(333), 0);
        assert!(bucket.is_owing());
        bucket.pay(rate, even, 0);
        assert!(!bucket.is_owing());
        // It is even to within a fifth of a token, and a whole one takes 3.3 ms.
        assert_eq!(bucket.next_at(rate), at(337));
        assert!(!bucket.is_full(rate, at(1_333)));
        assert!(bucket.is_full(rate, at(1_334)));
        // A clock that stands still, and one that has gone very far.
        assert!(!TokenBucket::full(rate, at(7)).is_owing());
        assert!(bucket.is_full(rate, Timestamp::MAX));
    }
}
