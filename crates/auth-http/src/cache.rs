//! Answers about rights, for as long as they hold.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::Mutex;

/// From a question, as it was asked, to whether the answer was yes.
#[derive(Debug)]
pub(crate) struct Cache {
    ttl: Duration,
    entries_max: usize,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    entries: HashMap<Bytes, (bool, Instant)>,
    /// How often all was forgotten.
    generation: u64,
}

impl Cache {
    pub(crate) fn new(ttl: Duration, entries_max: usize) -> Self {
        Self {
            ttl,
            entries_max,
            kept: Mutex::default(),
        }
    }

    fn is_on(&self) -> bool {
        !self.ttl.is_zero() && self.entries_max > 0
    }

    pub(crate) fn get(&self, question: &[u8], now: Instant) -> Option<bool> {
        if !self.is_on() {
            return None;
        }
        let kept = self.kept.lock();
        let (allowed, since) = kept.entries.get(question)?;
        let age = now.saturating_duration_since(*since);
        (age < self.ttl).then_some(*allowed)
    }

    /// To be asked for before the question is, and given to [`put`](Self::put): what is answered to a
    /// question from before all was forgotten is not kept.
    pub(crate) fn generation(&self) -> u64 {
        self.kept.lock().generation
    }

    pub(crate) fn put(&self, question: &Bytes, allowed: bool, generation: u64, now: Instant) {
        if !self.is_on() {
            return;
        }
        let mut kept = self.kept.lock();
        if kept.generation != generation {
            return;
        }
        let entries = &mut kept.entries;
        if entries.len() >= self.entries_max && !entries.contains_key(question) {
            entries.retain(|_, (_, since)| now.saturating_duration_since(*since) < self.ttl);
            if entries.len() >= self.entries_max {
                // To find out which are needed would cost those that are.
                entries.clear();
            }
        }
        entries.insert(question.clone(), (allowed, now));
    }

    pub(crate) fn clear(&self) {
        let mut kept = self.kept.lock();
        kept.entries.clear();
        kept.generation = kept.generation.wrapping_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_hold_for_their_time_and_take_no_more_than_their_room() {
        let cache = Cache::new(Duration::from_secs(10), 2);
        let put = |question: &'static [u8], allowed, now| {
            cache.put(&question.into(), allowed, cache.generation(), now);
        };
        let now = Instant::now();
        let later = now + Duration::from_secs(10);
        put(b"a", true, now);
        put(b"b", false, now + Duration::from_secs(1));
        assert_eq!(cache.get(b"a", now), Some(true));
        assert_eq!(cache.get(b"b", later), Some(false));
        assert_eq!(cache.get(b"a", later), None);
        // What is over makes room first.
        put(b"c", true, later);
        assert_eq!(cache.get(b"b", later), Some(false));
        put(b"d", true, later);
        assert_eq!(cache.kept.lock().entries.len(), 1);
        let before = cache.generation();
        cache.clear();
        assert_eq!(cache.get(b"d", later), None);
        cache.put(&b"d"[..].into(), true, before, later);
        assert_eq!(cache.get(b"d", later), None, "it was asked before");
        for off in [
            Cache::new(Duration::ZERO, 2),
            Cache::new(Duration::from_secs(1), 0),
        ] {
            off.put(&b"a"[..].into(), true, 0, now);
            assert_eq!(off.get(b"a", now), None);
        }
    }
}
