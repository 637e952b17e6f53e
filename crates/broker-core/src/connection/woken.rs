//! A connection whose client does not read is woken: there is nothing to write, but perhaps something to do.

use std::task::Waker;

use super::{Connection, Phase};
use crate::Timestamp;
use crate::effects::Effects;

impl Connection {
    /// Closes the connection if the broker has asked for it: for keep alive, takeover, or its own
    /// end; otherwise `waker` is woken when it does. [`poll_output`](Self::poll_output) does the same;
    /// this is for a driver that cannot write, because the client does not read, and so does not
    /// call that one.
    pub fn handle_woken(&mut self, now: Timestamp, waker: &Waker, effects: &mut Effects) {
        let Phase::Connected(connected) = &mut self.phase else {
            return;
        };
        let mut state = connected.session.state();
        let held = connected.check_hold(&state);
        let mut reauthorizes = false;
        if held.is_ok()
            && let Some(link) = &mut state.link
        {
            link.rest(waker, link.asleep);
            reauthorizes = link.reauthorize;
        }
        drop(state);
        match held {
            Ok(()) if reauthorizes => {
                connected.start_reauthorization(&self.broker, now, effects);
            }
            Ok(()) => {}
            Err(cause) => self.close(now, cause, effects),
        }
    }
}
