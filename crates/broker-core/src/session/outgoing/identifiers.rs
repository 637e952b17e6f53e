//! Packet identifiers: given out in turn, found again by arithmetic.
//!
//! Each admitted entry has an *ordinal*, counted from 1 without wrapping; its identifier is the
//! ordinal folded into 1 to 65,535. So an entry is found from its identifier without a search. Only
//! a client that leaves one message unacknowledged for more than 65,535 others causes a walk, over
//! at most the window.

use mqtt_codec::{PacketId, QoS};

use super::{Outgoing, Stage};

/// Packet identifiers that exist: 1 to 65,535.
const IDS: u64 = 65_535;

impl Outgoing {
    /// The next identifier that is not in use. There is one: the window is smaller than their
    /// number.
    #[inline]
    pub(super) fn take_ordinal(&mut self) -> u64 {
        let mut ordinal = self.next_ordinal;
        // The first entry is the oldest; as long as all identifiers since then are younger than one
        // round, the next one is free without a look.
        let oldest = self.entries.front().map_or(ordinal, |entry| entry.ordinal);
        if self.admitted > 0 && ordinal - oldest >= IDS && self.in_use(ordinal) {
            ordinal = self.next_free(ordinal);
        }
        self.next_ordinal = ordinal + 1;
        ordinal
    }

    fn in_use(&self, ordinal: u64) -> bool {
        self.ids_in_use().any(|id| id == packet_id(ordinal))
    }

    /// The first ordinal from this one on whose identifier is free, in one walk: those in use may
    /// be many in a row.
    fn next_free(&self, from: u64) -> u64 {
        let mut used = vec![false; usize::from(u16::MAX) + 1];
        for id in self.ids_in_use() {
            if let Some(used) = used.get_mut(usize::from(id.get())) {
                *used = true;
            }
        }
        let is_free = |ordinal: &u64| {
            let id = usize::from(packet_id(*ordinal).get());
            used.get(id).is_some_and(|used| !used)
        };
        (from..from + IDS).find(is_free).unwrap_or(from)
    }

    fn ids_in_use(&self) -> impl Iterator<Item = PacketId> + '_ {
        self.entries
            .iter()
            .take(self.admitted)
            .filter(|entry| entry.stage != Stage::Done)
            .map(|entry| packet_id(entry.ordinal))
    }

    /// The smallest ordinal from the next one on that stands for this identifier.
    pub(super) fn ordinal_for(&self, id: PacketId) -> u64 {
        let offset = (u64::from(id.get()) + IDS - (self.next_ordinal - 1) % IDS - 1) % IDS;
        self.next_ordinal + offset
    }

    /// Where the entry with this identifier is. What was never sent cannot be acknowledged, and
    /// is not found; neither is what is on its way to somebody else.
    #[inline]
    pub(super) fn find(&self, id: PacketId) -> Option<(usize, Stage, QoS)> {
        if self.admitted == 0 {
            return None;
        }
        let first = self.entries.front()?;
        let index = if packet_id(first.ordinal) == id {
            0
        } else if self.next_ordinal - first.ordinal <= IDS {
            let round = (first.ordinal - 1) % IDS;
            let offset = (u64::from(id.get()) - 1 + IDS - round) % IDS;
            let ordinal = first.ordinal + offset;
            // Identifiers are taken in turn, so the entry is at this distance from the front
            // unless done ones were taken out between them.
            let direct = usize::try_from(offset).ok()?;
            if direct < self.admitted
                && self
                    .entries
                    .get(direct)
                    .is_some_and(|entry| entry.ordinal == ordinal)
            {
                direct
            } else {
                let place = self.entries.partition_point(|entry| {
                    entry.stage != Stage::Waiting && entry.ordinal < ordinal
                });
                let hit = self
                    .entries
                    .get(place)
                    .is_some_and(|entry| entry.ordinal == ordinal);
                hit.then_some(place)?
            }
        } else {
            self.entries
                .iter()
                .take(self.admitted)
                .position(|entry| entry.stage != Stage::Done && packet_id(entry.ordinal) == id)?
        };
        let entry = self
            .entries
            .get(index)
            .filter(|entry| entry.sent && !entry.moving)?;
        Some((index, entry.stage, entry.qos))
    }
}

/// The identifier for which an ordinal stands.
#[inline]
pub(super) fn packet_id(ordinal: u64) -> PacketId {
    let id = ordinal.saturating_sub(1) % IDS + 1;
    // 1 to 65,535 by the line above.
    u16::try_from(id)
        .ok()
        .and_then(PacketId::new)
        .unwrap_or(PacketId::MIN)
}
