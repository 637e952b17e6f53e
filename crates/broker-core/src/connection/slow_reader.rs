//! A client that takes less than is sent to it: what the driver tells of its socket, and what comes of it.

use super::{Connected, Connection, Phase};
use crate::Timestamp;
use crate::close::CloseCause;
use crate::effects::Effects;

impl Connection {
    /// Whether there is room for the replies to more input. Where there is none the client does
    /// not read what it is sent, and reading from it can wait.
    pub fn accepts_input(&self) -> bool {
        self.connected().is_none_or(|connected| {
            let rules = self.broker.rules(Timestamp::MAX);
            connected.session.state().outbox.len() < rules.outbox_max()
        })
    }

    /// Something waits for the socket, which takes no more of it for now. To be called each time that
    /// writing comes to this, with whether the socket `took` any byte since the time before.
    ///
    /// From then on [`poll_timeout`](Self::poll_timeout) has the end of
    /// [`write_timeout`](crate::BrokerOptions::write_timeout) as well. Before CONNACK, and for last words,
    /// there are other limits.
    pub fn handle_blocked(&mut self, now: Timestamp, took: bool) {
        let until = now + self.broker.options().write_timeout;
        if let Phase::Connected(connected) = &mut self.phase
            && (took || connected.blocked_until().is_none())
        {
            connected.extras.get_or_insert_default().blocked_until = Some(until);
        }
    }

    /// The socket has taken all that there was.
    #[inline]
    pub fn handle_drained(&mut self) {
        if let Phase::Connected(connected) = &mut self.phase
            && let Some(extras) = &mut connected.extras
        {
            extras.blocked_until = None;
        }
    }

    /// Whether the socket has taken nothing for too long; closes the connection then.
    pub(super) fn check_blocked(&mut self, now: Timestamp, effects: &mut Effects) -> bool {
        let until = self.connected().and_then(Connected::blocked_until);
        let is_over = until.is_some_and(|until| until <= now);
        if is_over {
            self.close(now, CloseCause::SlowReader, effects);
        }
        is_over
    }
}

impl Connected {
    /// Until when the socket has to take something, if something waits for it.
    pub(super) fn blocked_until(&self) -> Option<Timestamp> {
        self.extras.as_ref()?.blocked_until
    }
}
