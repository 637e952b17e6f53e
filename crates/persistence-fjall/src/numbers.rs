//! Numbers for sessions and messages: none is given twice, not even after a crash.
//!
//! They are reserved in blocks, so that few groups have to write down how far they have come.

use crate::engine::Engine;
use crate::error::{Failure, damaged};
use crate::keys::{NEXT_MESSAGE, NEXT_SESSION, read_number};

const SESSION_BLOCK: u64 = 1_000;
const MESSAGE_BLOCK: u64 = 100_000;

pub(crate) struct Numbers {
    sessions: Counter,
    messages: Counter,
}

struct Counter {
    key: &'static [u8],
    block: u64,
    next: u64,
    /// Numbers below this one are reserved by this group.
    reserved: u64,
    /// Numbers below this one are reserved in the store.
    stored: u64,
}

impl Counter {
    fn load(engine: &Engine, key: &'static [u8], block: u64) -> Result<Self, Failure> {
        let stored = match engine.meta.get(key)? {
            Some(bytes) => {
                read_number(&bytes).map_err(|error| damaged(String::from_utf8_lossy(key), error))?
            }
            None => 0,
        };
        Ok(Self {
            key,
            block,
            // What was reserved and not used is lost: there are enough.
            next: stored,
            reserved: stored,
            stored,
        })
    }

    fn give(&mut self) -> u64 {
        if self.next >= self.reserved {
            self.reserved = self.next.saturating_add(self.block);
        }
        let number = self.next;
        self.next = self.next.saturating_add(1);
        number
    }
}

impl Numbers {
    pub(crate) fn load(engine: &Engine) -> Result<Self, Failure> {
        Ok(Self {
            sessions: Counter::load(engine, NEXT_SESSION, SESSION_BLOCK)?,
            messages: Counter::load(engine, NEXT_MESSAGE, MESSAGE_BLOCK)?,
        })
    }

    pub(crate) fn session(&mut self) -> u64 {
        self.sessions.give()
    }

    pub(crate) fn message(&mut self) -> u64 {
        self.messages.give()
    }

    /// What the group has to write down.
    pub(crate) fn news(&self) -> impl Iterator<Item = (&'static [u8], u64)> {
        let counters = [&self.sessions, &self.messages];
        let news = counters
            .into_iter()
            .filter(|counter| counter.reserved != counter.stored);
        news.map(|counter| (counter.key, counter.reserved))
    }

    /// The group is stored.
    pub(crate) fn keep(&mut self) {
        for counter in [&mut self.sessions, &mut self.messages] {
            counter.stored = counter.reserved;
        }
    }

    /// The group is given up: what it was given is not used again, what it has reserved is written
    /// down with the next one.
    pub(crate) fn forget(&mut self) {}
}
