//! Packets that take long, done in steps between the turns of other connections.

use broker_core::Timestamp;

use super::Driver;
use super::input::handle_input;
use super::partial::Partial;
use crate::network::Network;
use crate::worker::Worker;

impl<S: Network> Driver<S> {
    /// Does one step. True if it was the last; else there is to be another when others have had their
    /// turn.
    pub(super) fn take_step(&mut self, now: Timestamp, worker: &mut Worker) -> bool {
        self.connection.take_step(now, &mut worker.effects);
        let is_done = !self.connection.is_unfinished();
        if is_done {
            self.handle_kept(now, worker);
        }
        self.settle(now, worker);
        is_done
    }

    /// Handles what has come meanwhile; before anything is written, so that the core sees that it came
    /// before.
    pub(super) fn handle_kept(&mut self, now: Timestamp, worker: &mut Worker) {
        let all = self.partial.take();
        let (used, missing) = handle_input(&mut self.connection, &all, now, &mut worker.effects);
        self.partial = Partial::new(all.get(used..).unwrap_or_default(), missing);
    }
}
