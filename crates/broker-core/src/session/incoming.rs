//! Packet identifiers of QoS 2 messages that a client has begun and not yet released.
//!
//! They are the client's identifiers and share nothing with ours in the other direction. While one
//! is here, a PUBLISH that carries it is the same message again and is not delivered once more
//! (section 4.3.3).

use mqtt_codec::PacketId;

use crate::on_demand::{Empty, OnDemand};

/// A set of identifiers, in ascending order: small, and free of memory when empty.
///
/// Clients use a few at a time and mostly in turn, for which this is the least; a client that uses
/// all 65,535 moves at most 128 KiB per message.
#[derive(Debug, Default)]
pub(crate) struct Incoming {
    ids: OnDemand<Vec<PacketId>>,
}

impl Empty for Vec<PacketId> {
    const EMPTY: &'static Self = &Self::new();
}

impl Incoming {
    #[cfg(test)]
    fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether this message has been begun already.
    pub(crate) fn contains(&self, id: PacketId) -> bool {
        self.ids.binary_search(&id).is_ok()
    }

    /// Remembers an identifier. False if it was there.
    pub(crate) fn insert(&mut self, id: PacketId) -> bool {
        match self.ids.binary_search(&id) {
            Ok(_) => false,
            Err(place) => {
                self.ids.insert(place, id);
                true
            }
        }
    }

    /// Forgets an identifier. False if it was not there.
    pub(crate) fn remove(&mut self, id: PacketId) -> bool {
        match self.ids.binary_search(&id) {
            Ok(place) => {
                self.ids.remove(place);
                if self.ids.is_empty() {
                    self.ids = OnDemand::default();
                }
                true
            }
            Err(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn id(value: u16) -> PacketId {
        PacketId::new(value).unwrap()
    }

    #[test]
    fn it_behaves_as_a_set_does() {
        let mut incoming = Incoming::default();
        let mut model = BTreeSet::new();
        let mut state = 1_u32;
        for _ in 0..10_000 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let id = id((state >> 16) as u16 % 50 + 1);
            if state & 0x8000 == 0 {
                assert_eq!(incoming.insert(id), model.insert(id));
            } else {
                assert_eq!(incoming.remove(id), model.remove(&id));
            }
            assert_eq!(incoming.contains(id), model.contains(&id));
            assert_eq!(incoming.len(), model.len());
        }
    }

    #[test]
    fn an_empty_one_owns_no_memory() {
        let mut incoming = Incoming::default();
        for value in 1..=1_000 {
            assert!(incoming.insert(id(value)));
        }
        for value in 1..=1_000 {
            assert!(incoming.remove(id(value)));
        }
        assert_eq!(incoming.ids.capacity(), 0);
    }
}
