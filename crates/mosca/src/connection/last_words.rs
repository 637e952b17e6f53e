//! The time in which the last words of a connection have to be written.

use std::future::Future;
use std::task::Context;

use broker_core::CloseCause;

use super::{Driver, Stage};
use crate::network::Network;

impl<S: Network> Driver<S> {
    /// Whether the time for last words is over, which begins when they have to wait. Most are out at
    /// once, and a timer costs as much as to write them. Who has taken nothing for too long gets none.
    pub(super) fn is_farewell_over(&mut self, context: &mut Context<'_>) -> bool {
        let Stage::Farewell(until) = &mut self.stage else {
            return false;
        };
        if self.connection.closing() != Some(CloseCause::SlowReader) {
            let time = self.shared.farewell_time();
            let until = until.get_or_insert_with(|| Box::pin(tokio::time::sleep(time)));
            if until.as_mut().poll(context).is_pending() {
                return false;
            }
        }
        self.log_close();
        self.stage = Stage::Lost;
        true
    }
}
