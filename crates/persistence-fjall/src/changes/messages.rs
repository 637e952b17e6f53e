//! Messages that wait in queues: each is stored once, and freed with the last queue that has it.
//!
//! The lowest bit of a message's number says whether it is shared. Most are not: they cost no count,
//! and go with their one place in a queue. A message that one group queues more than once is
//! counted, in a part of its own, so that the message itself is written once and removed once.

use std::sync::Arc;

use broker_core::Message;
use hashbrown::HashMap;
use persistence_records::MessageId;

use crate::engine::Engine;
use crate::error::{Failure, damaged};
use crate::numbers::Numbers;
use crate::table::Table;

const SHARED: u64 = 1;

pub(crate) struct Messages {
    /// How often the group queues each message, by the address of the one that its operations hold.
    expected: HashMap<usize, u32>,
    /// The numbers of those that were met so far.
    numbers: HashMap<usize, u64>,
    /// Those that are new in this group, and how many queues have them.
    pub(super) fresh: HashMap<u64, (Arc<Message>, u32)>,
    /// How many queues have those that were stored before, and are shared.
    pub(super) references: Table<u64, u32>,
    /// Those that were stored before, and are not needed any more.
    pub(super) gone: Vec<u64>,
}

impl Messages {
    pub(super) fn new() -> Self {
        Self {
            expected: HashMap::new(),
            numbers: HashMap::new(),
            fresh: HashMap::new(),
            references: Table::new(|_, _| 48),
            gone: Vec::new(),
        }
    }

    pub(super) fn expect(&mut self, message: &Arc<Message>) {
        *self.expected.entry(address(message)).or_default() += 1;
    }

    /// One more queue has this message.
    pub(super) fn take(&mut self, message: &Arc<Message>, numbers: &mut Numbers) -> MessageId {
        let address = address(message);
        let known = self.numbers.get(&address).copied();
        // A queue has it that it was not to share when that came: it is stored once more.
        let known = known.filter(|number| {
            let queues = self.fresh.get(number).map_or(0, |(_, queues)| *queues);
            is_shared(*number) || queues == 0
        });
        let number = known.unwrap_or_else(|| {
            let shared = self.expected.get(&address).is_some_and(|count| *count > 1);
            let number = (numbers.message() << 1) | u64::from(shared);
            self.numbers.insert(address, number);
            number
        });
        let fresh = self.fresh.entry(number);
        fresh.or_insert_with(|| (Arc::clone(message), 0)).1 += 1;
        MessageId(u128::from(number))
    }

    /// One queue less has it.
    pub(super) fn release(&mut self, engine: &Engine, id: MessageId) -> Result<(), Failure> {
        let number = number(id)?;
        if let Some((_, queues)) = self.fresh.get_mut(&number) {
            *queues = queues.saturating_sub(1);
        } else if number & SHARED == 0 {
            self.gone.push(number);
        } else {
            let load = || {
                let Some(bytes) = engine.references.get(number.to_be_bytes())? else {
                    return Ok(None);
                };
                read_count(number, &bytes).map(Some)
            };
            let queues = self.references.get(&number, load)?;
            let left = queues.unwrap_or_default().saturating_sub(1);
            if left == 0 {
                self.gone.push(number);
            }
            let left = (left > 0).then_some(left);
            self.references.set(number, left, queues.is_some());
        }
        Ok(())
    }

    pub(super) fn keep(&mut self) {
        for (number, (_, queues)) in self.fresh.drain() {
            if queues > 0 && number & SHARED != 0 {
                self.references.set(number, Some(queues), false);
            }
        }
        self.references.keep();
        self.clear();
    }

    pub(super) fn forget(&mut self) {
        self.references.forget();
        self.clear();
    }

    fn clear(&mut self) {
        self.expected.clear();
        self.numbers.clear();
        self.fresh.clear();
        self.gone.clear();
    }
}

/// All operations of a group live until it is stored, so no two messages have one address.
fn address(message: &Arc<Message>) -> usize {
    Arc::as_ptr(message).addr()
}

/// The number under which a message is kept here.
pub(crate) fn number(id: MessageId) -> Result<u64, Failure> {
    u64::try_from(id.0).map_err(|_| damaged("a queue", format!("there is no message {}", id.0)))
}

/// Whether messages of this number are counted.
pub(crate) fn is_shared(number: u64) -> bool {
    number & SHARED != 0
}

pub(crate) fn read_count(number: u64, bytes: &[u8]) -> Result<u32, Failure> {
    let count = <[u8; 4]>::try_from(bytes).map(u32::from_be_bytes);
    count.map_err(|_| damaged(format!("the count of message {number}"), "it is no number"))
}
