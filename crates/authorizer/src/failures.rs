//! Addresses from which logging in has failed have to wait before they may try again.
//!
//! A few failures are free. From then on each doubles the time in which nobody from that address is
//! listened to, up to a limit; after a while without failures the address starts anew. The table of
//! addresses has a limit, too: the one whose last failure is the longest ago makes room.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// How addresses are slowed from which logging in fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailureLimits {
    /// So many failures cost nothing.
    pub free: u32,
    /// How long the address waits after the next one; after each further one, twice as long.
    pub first_wait: Duration,
    /// The longest wait.
    pub longest_wait: Duration,
    /// An address with no failure for so long, and that does not wait, is as good as new.
    pub memory: Duration,
    /// How many addresses are remembered. 0 slows nobody.
    pub addresses: usize,
}

impl Default for FailureLimits {
    /// 5 are free, then 1 s, 2 s, 4 s and so on up to 5 min, forgotten after 15 min, for 10,000 addresses.
    fn default() -> Self {
        Self {
            free: 5,
            first_wait: Duration::from_secs(1),
            longest_wait: Duration::from_secs(300),
            memory: Duration::from_secs(900),
            addresses: 10_000,
        }
    }
}

pub(crate) struct Failures {
    limits: FailureLimits,
    addresses: HashMap<IpAddr, Record>,
}

struct Record {
    failures: u32,
    last: Instant,
    until: Instant,
}

impl Failures {
    pub(crate) fn new(limits: FailureLimits) -> Self {
        Self {
            limits,
            addresses: HashMap::new(),
        }
    }

    /// How long the address has to wait still, if it has to.
    pub(crate) fn wait(&self, address: IpAddr, now: Instant) -> Option<Duration> {
        let record = self.addresses.get(&network(address))?;
        let wait = record.until.saturating_duration_since(now);
        (!wait.is_zero()).then_some(wait)
    }

    pub(crate) fn note(&mut self, address: IpAddr, now: Instant) {
        if self.limits.addresses == 0 {
            return;
        }
        let address = network(address);
        let is_known = self.addresses.contains_key(&address);
        if !is_known && self.addresses.len() >= self.limits.addresses {
            self.make_room(now);
        }
        let limits = &self.limits;
        let record = self.addresses.entry(address).or_insert(Record {
            failures: 0,
            last: now,
            until: now,
        });
        if is_forgotten(record, limits, now) {
            record.failures = 0;
        }
        record.failures = record.failures.saturating_add(1);
        record.last = now;
        if let Some(doublings) = record.failures.checked_sub(limits.free.saturating_add(1)) {
            let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
            let wait = limits
                .first_wait
                .saturating_mul(factor)
                .min(limits.longest_wait);
            record.until = now.checked_add(wait).unwrap_or(now);
        }
    }

    /// Those that are as good as new go, and if there are none, a tenth: those whose last failure is
    /// the longest ago. So the table is not gone through for each new address.
    fn make_room(&mut self, now: Instant) {
        let limits = self.limits;
        self.addresses
            .retain(|_, record| !is_forgotten(record, &limits, now));
        if self.addresses.len() < limits.addresses {
            return;
        }
        let mut times: Vec<Instant> = self.addresses.values().map(|record| record.last).collect();
        times.sort_unstable();
        let goes = (limits.addresses / 10).max(1);
        let Some(newest_to_go) = times.get(goes - 1).copied() else {
            return;
        };
        let mut goes = goes;
        self.addresses.retain(|_, record| {
            let stays = goes == 0 || record.last > newest_to_go;
            goes -= usize::from(!stays);
            stays
        });
    }
}

fn is_forgotten(record: &Record, limits: &FailureLimits, now: Instant) -> bool {
    now >= record.until && now.saturating_duration_since(record.last) >= limits.memory
}

/// Whoever has one address of IPv6 has all 2^64 of its network.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(wide) => match wide.to_ipv4_mapped() {
            Some(narrow) => narrow.into(),
            None => IpAddr::V6((u128::from(wide) >> 64 << 64).into()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(number: u32) -> IpAddr {
        IpAddr::V4(number.into())
    }

    fn failures(addresses: usize) -> (Failures, Instant) {
        let limits = FailureLimits {
            addresses,
            ..FailureLimits::default()
        };
        (Failures::new(limits), Instant::now())
    }

    #[test]
    fn the_wait_doubles_up_to_its_limit() {
        let (mut failures, mut now) = failures(10);
        let mut waits = Vec::new();
        for _ in 0..17 {
            failures.note(address(1), now);
            let wait = failures.wait(address(1), now).unwrap_or_default();
            waits.push(wait.as_secs());
            now += wait;
            assert_eq!(failures.wait(address(1), now), None, "it has waited");
        }
        assert_eq!(
            waits,
            [
                0, 0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300
            ]
        );
        assert_eq!(failures.wait(address(2), now), None, "others do not wait");
        now += Duration::from_secs(900);
        failures.note(address(1), now);
        assert_eq!(failures.wait(address(1), now), None, "it is as good as new");
    }

    #[test]
    fn the_table_has_its_limit_and_the_oldest_goes() {
        let (mut failures, mut now) = failures(20);
        for number in 0..1_000 {
            for _ in 0..6 {
                failures.note(address(number), now);
            }
            assert!(failures.addresses.len() <= 20);
            assert!(failures.wait(address(number), now).is_some());
            now += Duration::from_millis(1);
        }
        assert!(failures.wait(address(998), now).is_some());
        assert!(failures.wait(address(900), now).is_none());
        // Also if all failed at the same time.
        for number in 0..1_000 {
            failures.note(address(number), now);
            assert!(
                (18..=20).contains(&failures.addresses.len()),
                "{}",
                failures.addresses.len()
            );
        }
        let (mut nobody, now) = self::failures(0);
        (0..100).for_each(|_| nobody.note(address(1), now));
        assert_eq!(nobody.wait(address(1), now), None);
    }

    #[test]
    fn a_network_of_ipv6_is_one_address() {
        let (mut failures, now) = failures(10);
        for last in 0..6 {
            let text = format!("2001:db8:0:1::{last}");
            failures.note(text.parse().unwrap(), now);
        }
        assert!(
            failures
                .wait("2001:db8:0:1:ffff::".parse().unwrap(), now)
                .is_some()
        );
        assert!(
            failures
                .wait("2001:db8:0:2::".parse().unwrap(), now)
                .is_none()
        );
        (0..6).for_each(|_| failures.note(address(1), now));
        assert!(
            failures
                .wait("::ffff:0.0.0.1".parse().unwrap(), now)
                .is_some()
        );
    }
}
