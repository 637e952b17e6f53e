//! The connection ends: in order, by DISCONNECT from the client (section 3.14), or otherwise.

use std::sync::Arc;

use mqtt_codec::Disconnect;

use super::{Connected, Context};
use crate::Timestamp;
use crate::broker::Broker;
use crate::close::{CloseCause, Violation};
use crate::effects::Effects;
use crate::own_topics::Announcement;

impl Connected {
    /// The session goes on without this connection, or ends with it; hooks and others hear of that.
    pub(super) fn end(
        &mut self,
        broker: &Arc<Broker>,
        now: Timestamp,
        cause: CloseCause,
        effects: &mut Effects,
    ) {
        self.notify_end(broker, cause, effects);
        broker.detach(now, &self.session, self.epoch, cause, effects);
        let announcement = Announcement::Disconnected(self.session.client());
        broker.announce(announcement, now, effects);
    }

    /// Returns what the connection closes with.
    pub(super) fn handle_disconnect(
        &self,
        disconnect: &Disconnect<'_>,
        context: &Context<'_>,
    ) -> CloseCause {
        if let Some(secs) = disconnect.properties.session_expiry_interval() {
            let mut state = self.session.state();
            if !state.is_current(self.epoch) {
                return CloseCause::TakenOver;
            }
            if secs > 0 && state.expiry_interval_secs == 0 {
                return CloseCause::Protocol(Violation::SessionExpiry);
            }
            state.expiry_interval_secs = secs.min(context.broker.options().max_session_expiry_secs);
        }
        CloseCause::Disconnected(disconnect.reason_code)
    }
}
