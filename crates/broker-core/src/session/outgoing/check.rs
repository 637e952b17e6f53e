//! What must hold of [`Outgoing`] between any two calls.

use super::{DONE_MAX, Entry, Outgoing, Stage, packet_id};

impl Outgoing {
    /// Checks what must hold between any two calls; used by tests and by the fuzz target.
    ///
    /// # Panics
    /// When it does not hold.
    pub(crate) fn check(&self, window: usize) {
        let admitted = || self.entries.iter().take(self.admitted);
        let live = admitted().filter(|entry| entry.stage != Stage::Done);
        assert!(admitted().all(|entry| entry.stage != Stage::Waiting));
        assert!(
            self.entries
                .iter()
                .skip(self.admitted)
                .all(|e| e.stage == Stage::Waiting)
        );
        assert_eq!(
            live.clone().count(),
            self.inflight,
            "inflight is counted right"
        );
        assert!(self.inflight <= window, "the window is respected");
        assert!(self.emitted <= self.admitted);
        let mut ids: Vec<u16> = live.map(|entry| packet_id(entry.ordinal).get()).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(
            ids.len(),
            self.inflight,
            "no packet identifier is used twice"
        );
        let bytes: usize = self
            .entries
            .iter()
            .filter_map(|entry| entry.message.as_ref())
            .map(|message| message.size_bytes())
            .sum();
        assert_eq!(bytes, self.bytes, "bytes are counted right");
        let unacknowledged = admitted()
            .take(self.emitted)
            .filter(|e| e.stage != Stage::Done);
        assert_eq!(
            unacknowledged.count(),
            self.unacknowledged,
            "what is emitted is counted right"
        );
        self.check_ahead();
        self.check_tail();
        self.entries.iter().for_each(check_entry);
        let ordinals: Vec<u64> = admitted().map(|entry| entry.ordinal).collect();
        let in_turn = ordinals.is_sorted_by(|a, b| a < b);
        assert!(in_turn, "identifiers are taken in turn");
        assert!(ordinals.last().is_none_or(|last| *last < self.next_ordinal));
        let sequences: Vec<u64> = self.entries.iter().map(|entry| entry.sequence).collect();
        assert!(sequences.is_sorted_by(|a, b| a < b), "order is kept");
        assert!(
            sequences
                .last()
                .is_none_or(|last| *last < self.next_sequence)
        );
        let done = self.admitted - self.inflight;
        assert!(
            done <= DONE_MAX + self.inflight,
            "done entries are taken out"
        );
        let mut seen_unsent = false;
        for entry in admitted() {
            assert!(entry.stage == Stage::Done || entry.sent || entry.stage == Stage::Publish);
            assert!(!(seen_unsent && entry.sent), "emitted in order");
            seen_unsent |= !entry.sent && entry.stage != Stage::Done;
        }
    }

    /// Whether anything came by a shared subscription.
    pub(crate) fn has_shared(&self) -> bool {
        self.entries
            .iter()
            .any(|entry| entry.stage != Stage::Done && entry.is_shared())
    }

    fn check_ahead(&self) {
        for (index, entry) in self.entries.iter().enumerate() {
            let may_be_ahead = index >= self.emitted
                && index < self.admitted
                && matches!(entry.stage, Stage::Release | Stage::Done);
            assert!(!entry.ahead || may_be_ahead, "only PUBREL goes ahead");
        }
    }

    /// Messages sent on this connection that the client has not answered.
    pub(crate) fn unacknowledged_messages(&self) -> usize {
        let emitted = self.entries.iter().take(self.emitted);
        emitted
            .filter(|entry| entry.stage == Stage::Publish)
            .count()
    }

    /// What is under way on this connection, PUBREL included.
    #[cfg(test)]
    pub(crate) fn unacknowledged(&self) -> usize {
        self.unacknowledged
    }

    /// Entries for which memory is held.
    #[cfg(test)]
    pub(crate) fn capacity(&self) -> usize {
        self.entries.capacity()
    }
}

fn check_entry(entry: &Entry) {
    assert!(!entry.moving || (entry.pending == 1 && entry.is_shared()));
    assert!(!entry.moving || entry.stage != Stage::Done);
    let is_over = entry.sent || entry.stage == Stage::Done;
    assert!(!entry.asked || is_over, "what is decided on goes out");
}
