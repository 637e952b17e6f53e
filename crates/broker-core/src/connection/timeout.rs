//! What a connection waits for no longer than it should: CONNECT, verdicts, the end of a pause, and a
//! socket that takes nothing.

use super::{Connection, Phase};
use crate::Timestamp;
use crate::close::CloseCause;
use crate::effects::Effects;

impl Connection {
    /// Until when CONNECT has to be there and decided on; later, until when a re-authentication has
    /// to be over, or hooks have to know, or reading [pauses](Self::is_pausing), or the socket has to
    /// [take something](Self::handle_blocked), if any of that goes on. Keep alive is watched by [`Broker::handle_timeout`](crate::Broker::handle_timeout).
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        match &self.phase {
            Phase::Awaiting(awaiting) => Some(awaiting.until),
            Phase::Deciding(deciding) => Some(deciding.until),
            Phase::Admitting(admitting) => Some(admitting.until),
            Phase::Loading(loading) => Some(loading.until()),
            Phase::Connected(connected) => {
                let asking = connected.asking().map(|asking| asking.until);
                let pause = connected.paused_until();
                let reauthentication = connected.reauthentication_until();
                let until = asking.into_iter().chain(pause).chain(reauthentication);
                let until = until.chain(connected.forwarding_until());
                until.chain(connected.blocked_until()).min()
            }
            Phase::Closing { .. } => None,
        }
    }

    /// The time has come that [`poll_timeout`](Self::poll_timeout) named.
    pub fn handle_timeout(&mut self, now: Timestamp, effects: &mut Effects) {
        self.give_up_forwarding(now, effects);
        if let Phase::Connected(connected) = &mut self.phase
            && connected.end_pause(now)
        {
            return;
        }
        if let Phase::Connected(connected) = &mut self.phase
            && connected.asking().is_some_and(|asking| asking.until <= now)
        {
            let mut context = connected.context(&self.broker, now, effects);
            if let Err(cause) = connected.give_up_asking(&mut context) {
                self.close(now, cause, effects);
            }
            return;
        }
        if self.check_blocked(now, effects) {
            return;
        }
        if self.poll_timeout().is_some_and(|until| until <= now) {
            let cause = match self.phase {
                Phase::Awaiting(_) => {
                    self.broker.counters().connect_timeouts.add(1);
                    CloseCause::ConnectTimeout
                }
                Phase::Loading(_) => CloseCause::StoreFailed,
                _ => CloseCause::AuthenticationTimeout,
            };
            self.close(now, cause, effects);
        }
    }
}
