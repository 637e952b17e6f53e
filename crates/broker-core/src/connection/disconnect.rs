//! DISCONNECT from a client: the connection ends in order (section 3.14).

use mqtt_codec::Disconnect;

use super::{Connected, Context};
use crate::close::{CloseCause, Violation};

impl Connected {
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
