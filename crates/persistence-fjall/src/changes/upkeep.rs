//! Changes that nobody has asked for: remains of sessions, and messages whose time has come.

use persistence_records::MessageId;

use super::Changes;
use crate::engine::Engine;
use crate::error::Failure;

impl Changes {
    /// Removes one of the contents of a session that is gone.
    pub(crate) fn clean(
        &mut self,
        engine: &Engine,
        key: Vec<u8>,
        message: Option<MessageId>,
    ) -> Result<(), Failure> {
        if let Some(message) = message {
            self.messages.release(engine, message)?;
        }
        self.remains.push(key);
        Ok(())
    }

    /// Nothing is left of a session that is gone.
    pub(crate) fn cleaned(&mut self, session: u64) {
        self.cleaned.push(session);
    }

    pub(crate) fn expire_queued(
        &mut self,
        engine: &Engine,
        place: (u64, u64),
    ) -> Result<(), Failure> {
        self.dequeue(engine, place)
    }

    pub(crate) fn expire_retained(&mut self, topic: &str) {
        self.retained.insert(topic.into(), None);
    }

    /// Whether there may be something that expires.
    pub(crate) fn something_expires(&self) -> bool {
        self.something_expires
    }

    /// All has been looked at; `met` says whether something was there that expires later, and so
    /// whether to look again. What came behind the walk has said so itself.
    pub(crate) fn end_of_walk(&mut self, met: bool) {
        if !met && !self.came_during_walk {
            self.something_expires = false;
            self.expiry_is_news = true;
        }
        self.came_during_walk = false;
    }
}
