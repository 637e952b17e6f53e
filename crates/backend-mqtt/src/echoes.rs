//! Copies that say nothing new, where messages cannot say whose they are: before MQTT 5.0 a client gets its own
//! messages back, if it has subscribed to them.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;
use xxhash_rust::xxh3::Xxh3Default;

/// How long a copy is waited for: long enough for a parent that is busy, and short enough for somebody else to say
/// the same again.
const LIFETIME: Duration = Duration::from_secs(10);

/// Copies that are waited for at a time; the oldest one is forgotten.
const ECHOES_MAX: usize = 10_000;

/// The copies that are waited for.
#[derive(Debug, Default)]
pub(crate) struct Echoes {
    /// How often each is still to come.
    expected: HashMap<u64, usize>,
    order: VecDeque<(u64, Instant)>,
}

impl Echoes {
    /// One more copy of this message will come.
    pub(crate) fn expect(&mut self, topic: &str, payload: &[u8], now: Instant) {
        self.forget(now);
        if self.order.len() >= ECHOES_MAX {
            self.forget_first();
        }
        let message = hash(topic, payload);
        *self.expected.entry(message).or_default() += 1;
        self.order.push_back((message, now));
    }

    /// Whether this is one of them. Each counts once.
    pub(crate) fn take(&mut self, topic: &str, payload: &[u8], now: Instant) -> bool {
        self.forget(now);
        if self.expected.is_empty() {
            return false;
        }
        let message = hash(topic, payload);
        let found = self.order.iter().position(|(it, _)| *it == message);
        let Some(place) = found.filter(|_| self.expected.contains_key(&message)) else {
            return false;
        };
        self.order.remove(place);
        self.has_come(message);
        true
    }

    fn forget(&mut self, now: Instant) {
        while let Some((_, since)) = self.order.front()
            && now.duration_since(*since) > LIFETIME
        {
            self.forget_first();
        }
    }

    fn forget_first(&mut self) {
        if let Some((message, _)) = self.order.pop_front() {
            self.has_come(message);
        }
    }

    fn has_come(&mut self, message: u64) {
        if let Some(left) = self.expected.get_mut(&message) {
            *left -= 1;
            if *left == 0 {
                self.expected.remove(&message);
            }
        }
    }
}

fn hash(topic: &str, payload: &[u8]) -> u64 {
    let mut hash = Xxh3Default::new();
    hash.update(&topic.len().to_le_bytes());
    hash.update(topic.as_bytes());
    hash.update(payload);
    hash.digest()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_copy_is_left_out_once_and_not_for_ever() {
        let mut echoes = Echoes::default();
        let start = Instant::now();
        for _ in 0..2 {
            echoes.expect("a", b"1", start);
        }
        assert!(!echoes.take("a", b"2", start) && !echoes.take("a1", b"", start));
        assert!(echoes.take("a", b"1", start) && echoes.take("a", b"1", start));
        assert!(!echoes.take("a", b"1", start));
        echoes.expect("a", b"1", start);
        assert!(!echoes.take("a", b"1", start + LIFETIME * 2));
        assert!(echoes.expected.is_empty() && echoes.order.is_empty());
    }

    #[test]
    fn there_is_a_limit_to_what_is_remembered() {
        let mut echoes = Echoes::default();
        let start = Instant::now();
        for number in 0..=ECHOES_MAX {
            echoes.expect("a", &number.to_be_bytes(), start);
        }
        assert_eq!(echoes.order.len(), ECHOES_MAX);
        assert!(!echoes.take("a", &0_usize.to_be_bytes(), start));
        assert!(echoes.take("a", &ECHOES_MAX.to_be_bytes(), start));
    }
}
