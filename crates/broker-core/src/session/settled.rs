//! What a change of a session comes to, when the batch that it is in was committed or could not be.

use std::task::Waker;

use super::Session;
use crate::counters::Counters;
use crate::effects::Change;
use crate::on_demand::OnDemand;

impl Session {
    /// A change was committed. If the client waits for it, its task is to be woken.
    pub(crate) fn release(&self, change: Change) -> Option<Waker> {
        let mut state = self.state_unsettled();
        match change {
            Change::Received(_) => return None,
            Change::Enqueued(sequence)
            | Change::Marked(sequence)
            | Change::Taken(sequence)
            | Change::Inherited(sequence) => state.outgoing.committed(sequence),
            Change::Given => {
                state.outgoing.finish_move();
                self.set_owed(state.outgoing.len());
                self.settle(&mut state);
            }
        }
        state.take_waker()
    }

    /// A change could not be committed. What waited behind it may go on: its task is to be woken.
    pub(crate) fn abort(&self, change: Change, counters: &Counters) -> Option<Waker> {
        let mut state = self.state();
        match change {
            Change::Enqueued(sequence) => {
                counters.dropped_store_failed.add(1);
                state.outgoing.aborted(sequence);
            }
            // The one that gave it keeps it.
            Change::Taken(sequence) => state.outgoing.aborted(sequence),
            Change::Marked(sequence) => state.outgoing.committed(sequence),
            // There is nobody else who has it, unless it was left to the store.
            Change::Inherited(sequence) if state.outgoing.has(sequence) => {
                state.outgoing.committed(sequence);
            }
            Change::Inherited(sequence) => {
                counters.dropped_shared.add(1);
                state.outgoing.aborted(sequence);
            }
            Change::Given => {
                let kept = state.outgoing.abandon_move();
                if state.ended {
                    // It could not keep them, having ended meanwhile.
                    counters.dropped_shared.add(kept as u64);
                    state.outgoing = OnDemand::default();
                }
            }
            // The client sends it once more, and it must not be taken for known then.
            Change::Received(id) => drop(state.incoming.remove(id)),
        }
        self.set_owed(state.outgoing.len());
        state.take_waker()
    }
}
