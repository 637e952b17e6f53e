//! Who is known: the sessions by their client identifiers.
//!
//! A table of pointers, in many parts with a lock each. A session has its identifier itself, so an
//! entry is eight bytes and a mark. Memory comes back when most sessions have gone.

use core::array;
use core::hash::BuildHasher;
use core::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;

use hashbrown::{DefaultHashBuilder, HashTable};
use parking_lot::{Mutex, MutexGuard};

use crate::session::Session;

/// A part is locked while its table grows, so the more there are the shorter that takes.
const PARTS: usize = 64;

/// Entries up to which a table is not worth making smaller.
const SMALL: usize = 64;

/// The sessions of a broker.
#[derive(Debug)]
pub(crate) struct Registry {
    hasher: DefaultHashBuilder,
    parts: [Mutex<HashTable<Arc<Session>>>; PARTS],
    len: AtomicUsize,
}

/// What is known under one client identifier; nobody else can look for it or change it meanwhile.
pub(crate) struct Place<'a> {
    registry: &'a Registry,
    hash: u64,
    client: &'a str,
    table: MutexGuard<'a, HashTable<Arc<Session>>>,
}

impl Default for Registry {
    fn default() -> Self {
        Self {
            hasher: DefaultHashBuilder::default(),
            parts: array::from_fn(|_| Mutex::default()),
            len: AtomicUsize::new(0),
        }
    }
}

impl Registry {
    /// How many sessions there are.
    pub(crate) fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed)
    }

    /// The session of this client.
    pub(crate) fn get(&self, client: &str) -> Option<Arc<Session>> {
        self.place(client).session().cloned()
    }

    /// The place of this client identifier, locked.
    pub(crate) fn place<'a>(&'a self, client: &'a str) -> Place<'a> {
        let hash = self.hasher.hash_one(client);
        Place {
            registry: self,
            hash,
            client,
            table: self.part(hash).lock(),
        }
    }

    /// Removes this session, unless another one has its client identifier by now or `is_over` says
    /// that it goes on. True if it was removed.
    pub(crate) fn remove_if(
        &self,
        session: &Arc<Session>,
        is_over: impl FnOnce(&Session) -> bool,
    ) -> bool {
        let Place {
            hash, mut table, ..
        } = self.place(session.client());
        let is_same = |known: &Arc<Session>| Arc::ptr_eq(known, session);
        match table.find_entry(hash, is_same) {
            Ok(entry) if is_over(session) => drop(entry.remove()),
            _ => return false,
        }
        self.len.fetch_sub(1, Ordering::Relaxed);
        let left = table.len();
        if table.capacity() > SMALL && left < table.capacity() / 8 {
            table.shrink_to(left * 2, |known| self.hasher.hash_one(&**known.client()));
        }
        true
    }

    /// Shows every session to `visit`, part by part.
    pub(crate) fn for_each(&self, mut visit: impl FnMut(&Arc<Session>)) {
        for part in &self.parts {
            part.lock().iter().for_each(&mut visit);
        }
    }

    /// The sessions of one of the parts, which are counted from 0; `None` behind the last.
    pub(crate) fn part_at(&self, part: usize) -> Option<Vec<Arc<Session>>> {
        let part = self.parts.get(part)?;
        Some(part.lock().iter().cloned().collect())
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "the remainder of a division by their number"
    )]
    fn part(&self, hash: u64) -> &Mutex<HashTable<Arc<Session>>> {
        // The table itself looks at the lowest and the highest bits.
        &self.parts[(hash >> 32) as usize % PARTS]
    }
}

impl Place<'_> {
    /// The session that is known.
    pub(crate) fn session(&self) -> Option<&Arc<Session>> {
        let is_it = |known: &Arc<Session>| **known.client() == *self.client;
        self.table.find(self.hash, is_it)
    }

    /// From now on this is the session that is known: it has this client identifier.
    pub(crate) fn put(&mut self, session: Arc<Session>) {
        let is_it = |known: &Arc<Session>| **known.client() == *self.client;
        let hasher = &self.registry.hasher;
        let hash_of = |known: &Arc<Session>| hasher.hash_one(&**known.client());
        match self.table.find_mut(self.hash, is_it) {
            Some(known) => *known = session,
            None => {
                self.table.insert_unique(self.hash, session, hash_of);
                self.registry.len.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::SessionId;

    fn session(number: u64) -> Arc<Session> {
        let client = format!("client-{number}");
        Session::new(
            SessionId(number),
            client.as_str().into(),
            0,
            false,
            &Arc::default(),
        )
    }

    #[test]
    fn sessions_are_found_by_their_identifiers_and_replaced_under_them() {
        let registry = Registry::default();
        assert!(registry.get("client-1").is_none());
        let (older, newer) = (session(1), session(1));
        registry.place("client-1").put(Arc::clone(&older));
        registry.place("client-2").put(session(2));
        registry.place("client-1").put(Arc::clone(&newer));
        assert_eq!(registry.len(), 2);
        let known = registry.get("client-1").unwrap();
        assert!(Arc::ptr_eq(&known, &newer));

        assert!(
            !registry.remove_if(&older, |_| true),
            "another has its place"
        );
        assert!(!registry.remove_if(&newer, |_| false), "it goes on");
        assert!(registry.remove_if(&newer, |_| true));
        assert!(!registry.remove_if(&newer, |_| true), "it has gone");
        assert_eq!(registry.len(), 1);
        let mut left = Vec::new();
        registry.for_each(|session| left.push(session.id()));
        assert_eq!(left, [SessionId(2)]);
    }

    #[test]
    fn the_memory_of_sessions_that_have_gone_comes_back() {
        let registry = Registry::default();
        let sessions: Vec<_> = (0..20_000).map(session).collect();
        let capacity = || -> usize {
            let tables = registry.parts.iter();
            tables.map(|part| part.lock().capacity()).sum()
        };
        for session in &sessions {
            let mut place = registry.place(session.client());
            place.put(Arc::clone(session));
        }
        assert_eq!(registry.len(), sessions.len());
        let full = capacity();
        for session in &sessions {
            assert!(registry.get(session.client()).is_some());
            assert!(registry.remove_if(session, |_| true));
        }
        assert_eq!(registry.len(), 0);
        assert!(capacity() <= PARTS * 2 * SMALL, "{} of {full}", capacity());
    }
}
