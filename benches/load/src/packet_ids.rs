//! The packet identifiers of one publisher: which are under way, and how far each has come.

use std::collections::VecDeque;

use crate::failure::Failure;

/// How far a message has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Not under way.
    Free,
    /// PUBLISH was sent.
    Published,
    /// QoS 2: PUBREC came and PUBREL was sent.
    Released,
}

/// Identifiers from 1 to the size of the window.
#[derive(Debug)]
pub struct PacketIds {
    steps: Vec<Step>,
    /// Counts messages, to see in which order they are acknowledged.
    serials: Vec<u32>,
    free: VecDeque<u16>,
    next_serial: u32,
    /// The latest message that was acknowledged.
    latest: u32,
    out_of_order: u64,
}

impl PacketIds {
    /// At most `window` messages are under way.
    pub fn new(window: u16) -> Self {
        Self {
            steps: vec![Step::Free; usize::from(window) + 1],
            serials: vec![0; usize::from(window) + 1],
            free: (1..=window).collect(),
            next_serial: 0,
            latest: 0,
            out_of_order: 0,
        }
    }

    /// How many more messages may be sent.
    #[inline]
    pub fn room(&self) -> usize {
        self.free.len()
    }

    /// Messages that are not finished.
    pub fn under_way(&self) -> usize {
        self.steps.len() - 1 - self.free.len()
    }

    /// Messages that were acknowledged before one that was sent earlier.
    pub fn out_of_order(&self) -> u64 {
        self.out_of_order
    }

    /// An identifier for the next message.
    #[inline]
    pub fn take(&mut self) -> Option<u16> {
        let id = self.free.pop_front()?;
        self.steps[usize::from(id)] = Step::Published;
        self.serials[usize::from(id)] = self.next_serial;
        self.next_serial += 1;
        Some(id)
    }

    /// PUBACK, or a PUBREC that refuses: the message is finished.
    #[inline]
    pub fn acknowledged(&mut self, id: u16) -> Result<(), Failure> {
        self.move_on(id, Step::Published, Step::Free)?;
        self.note_order(id);
        self.free.push_back(id);
        Ok(())
    }

    /// PUBREC: the message goes on with PUBREL.
    #[inline]
    pub fn received(&mut self, id: u16) -> Result<(), Failure> {
        self.move_on(id, Step::Published, Step::Released)?;
        self.note_order(id);
        Ok(())
    }

    /// PUBCOMP: the message is finished.
    #[inline]
    pub fn completed(&mut self, id: u16) -> Result<(), Failure> {
        self.move_on(id, Step::Released, Step::Free)?;
        self.free.push_back(id);
        Ok(())
    }

    #[inline]
    fn move_on(&mut self, id: u16, from: Step, to: Step) -> Result<(), Failure> {
        match self.steps.get_mut(usize::from(id)) {
            Some(step) if *step == from => {
                *step = to;
                Ok(())
            }
            _ => Err(Failure::Broken(format!(
                "packet identifier {id} was acknowledged although nothing waits for that"
            ))),
        }
    }

    #[inline]
    fn note_order(&mut self, id: u16) {
        let serial = self.serials[usize::from(id)];
        if serial < self.latest {
            self.out_of_order += 1;
        }
        self.latest = self.latest.max(serial);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_is_a_limit_and_what_is_acknowledged_makes_room() {
        let mut ids = PacketIds::new(2);
        assert_eq!(
            (ids.take(), ids.take(), ids.take()),
            (Some(1), Some(2), None)
        );
        ids.acknowledged(1).unwrap();
        assert_eq!((ids.under_way(), ids.room()), (1, 1));
        assert_eq!(ids.take(), Some(1));
    }

    #[test]
    fn qos_2_goes_through_its_steps_and_no_other() {
        let mut ids = PacketIds::new(2);
        let id = ids.take().unwrap();
        assert!(ids.completed(id).is_err(), "PUBCOMP before PUBREC");
        ids.received(id).unwrap();
        assert!(ids.received(id).is_err(), "PUBREC twice");
        ids.completed(id).unwrap();
        assert!(ids.completed(id).is_err(), "PUBCOMP twice");
        assert_eq!(ids.under_way(), 0);
    }

    #[test]
    fn an_acknowledgement_of_nothing_is_noticed() {
        let mut ids = PacketIds::new(2);
        for id in [0, 1, 3, u16::MAX] {
            assert!(ids.acknowledged(id).is_err(), "{id}");
        }
    }

    #[test]
    fn acknowledgements_in_another_order_are_counted() {
        let mut ids = PacketIds::new(3);
        let sent: Vec<u16> = std::iter::from_fn(|| ids.take()).collect();
        for id in [sent[0], sent[2], sent[1]] {
            ids.acknowledged(id).unwrap();
        }
        assert_eq!(ids.out_of_order(), 1);
    }
}
