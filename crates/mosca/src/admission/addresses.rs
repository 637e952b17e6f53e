//! What is remembered of addresses: their open connections, and how fast these came.

use std::collections::HashMap;
use std::net::IpAddr;

use broker_core::{Rate, Timestamp, TokenBucket};

/// Addresses of which is remembered how fast their connections came: 4 MiB at most.
pub(super) const REMEMBERED_MAX: usize = 65_536;

/// An IPv4 address, or the first 64 bits of one of IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Origin {
    V4(u32),
    V6(u64),
}

impl Origin {
    pub(super) fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address.into()),
            IpAddr::V6(address) => {
                let first = u128::from(address) >> 64;
                Self::V6(u64::try_from(first).unwrap_or_default())
            }
        }
    }
}

/// The addresses of one server.
#[derive(Default)]
pub(super) struct Addresses {
    /// Those that have connections, and how many: no more than there are connections.
    open: HashMap<Origin, usize>,
    /// Those whose connections came fast lately.
    rates: HashMap<Origin, TokenBucket>,
}

impl Addresses {
    /// Connections that the address has open.
    pub(super) fn open(&self, origin: Origin) -> usize {
        self.open.get(&origin).copied().unwrap_or_default()
    }

    pub(super) fn enter(&mut self, origin: Origin) {
        *self.open.entry(origin).or_default() += 1;
    }

    pub(super) fn leave(&mut self, origin: Origin) {
        if let Some(open) = self.open.get_mut(&origin) {
            *open = open.saturating_sub(1);
            if *open == 0 {
                self.open.remove(&origin);
            }
        }
        // An attack that is over has left a large table.
        if self.open.capacity() > 1_024 && self.open.len() < self.open.capacity() / 8 {
            self.open.shrink_to(2 * self.open.len());
        }
    }

    /// Whether one more connection may come now.
    pub(super) fn take(&mut self, origin: Origin, rate: Rate, now: Timestamp) -> bool {
        let is_known = self.rates.contains_key(&origin);
        if !is_known && self.rates.len() >= REMEMBERED_MAX {
            self.make_room(rate, now);
        }
        let bucket = self.rates.entry(origin);
        bucket
            .or_insert_with(|| TokenBucket::full(rate, now))
            .take(rate, now)
    }

    /// Forgets those who are as good as new and, if there are few of them, those who have the most left of
    /// their rate: a tenth at least, so that this is not done for each new address. Those who came too
    /// fast stay.
    fn make_room(&mut self, rate: Rate, now: Timestamp) {
        self.rates.retain(|_, bucket| !bucket.is_full(rate, now));
        let surplus = (self.rates.len() + REMEMBERED_MAX / 10).saturating_sub(REMEMBERED_MAX);
        if surplus > 0 {
            let mut by_time: Vec<_> = self
                .rates
                .iter()
                .map(|(&origin, bucket)| (bucket.full_at(rate), origin))
                .collect();
            by_time.select_nth_unstable_by_key(surplus, |&(full_at, _)| full_at);
            for (_, origin) in by_time.into_iter().take(surplus) {
                self.rates.remove(&origin);
            }
        }
        self.rates.shrink_to(2 * self.rates.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn origin(text: &str) -> Origin {
        Origin::of(text.parse().unwrap())
    }

    const RATE: Rate = Rate::per_sec(10).with_burst(3);

    #[test]
    fn an_address_is_one_of_ipv4_or_a_network_of_ipv6() {
        assert_ne!(origin("192.0.2.1"), origin("192.0.2.2"));
        assert_eq!(origin("192.0.2.1"), origin("::ffff:192.0.2.1"));
        assert_eq!(origin("2001:db8::1"), origin("2001:db8:0:0:ffff::2"));
        assert_ne!(origin("2001:db8::1"), origin("2001:db8:0:1::1"));
        assert_ne!(origin("::1"), origin("0.0.0.0"));
    }

    #[test]
    fn each_address_has_a_rate_of_its_own() {
        let mut addresses = Addresses::default();
        let (one, other) = (origin("192.0.2.1"), origin("192.0.2.2"));
        for _ in 0..3 {
            assert!(addresses.take(one, RATE, at(0)));
        }
        assert!(!addresses.take(one, RATE, at(99)));
        assert!(addresses.take(other, RATE, at(99)));
        assert!(addresses.take(one, RATE, at(100)));
        assert!(!addresses.take(one, RATE, at(100)));
    }

    #[test]
    fn nothing_is_kept_of_an_address_without_connections() {
        let mut addresses = Addresses::default();
        for round in 1..=2 {
            for number in 0..100_000 {
                addresses.enter(Origin::V6(number));
            }
            assert_eq!(addresses.open(Origin::V6(5)), round);
        }
        for _ in 1..=2 {
            for number in 0..100_000 {
                addresses.leave(Origin::V6(number));
            }
        }
        assert!(addresses.open.is_empty());
        assert!(
            addresses.open.capacity() <= 1_024,
            "its memory is given back"
        );
        addresses.leave(Origin::V6(1));
        assert_eq!(addresses.open(Origin::V6(1)), 0);
    }

    /// Somebody with a /32 of IPv6 has four billion addresses.
    #[test]
    fn the_table_has_its_limit_and_who_came_too_fast_stays_in_it() {
        let mut addresses = Addresses::default();
        let fast = origin("192.0.2.1");
        while addresses.take(fast, RATE, at(0)) {}
        for number in 0..4 * REMEMBERED_MAX as u64 {
            // All at one time, so that none is as good as new.
            assert!(addresses.take(Origin::V6(number), RATE, at(0)));
            assert!(addresses.rates.len() <= REMEMBERED_MAX);
        }
        assert!(!addresses.take(fast, RATE, at(0)), "it is still known");
        let bytes = addresses.rates.capacity() * (size_of::<(Origin, TokenBucket)>() + 1);
        assert!(bytes <= 5 << 20, "{bytes} bytes");
        // Time makes all of them as good as new.
        let later = at(1_000);
        for number in 0..=REMEMBERED_MAX as u64 {
            assert!(addresses.take(Origin::V6(1 << 40 | number), RATE, later));
        }
        assert!(addresses.rates.len() <= REMEMBERED_MAX);
        assert!(!addresses.rates.contains_key(&fast));
    }
}
