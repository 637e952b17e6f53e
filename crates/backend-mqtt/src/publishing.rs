//! A batch on its way to the parent: what is under way of it, and when all of it is accepted.

use std::collections::{HashMap, HashSet, VecDeque};
use std::vec;

use broker_core::backend::{BackendError, Content, Envelope};
use mqtt_client::{Client, ClientError, PacketId, QoS, ReasonCode};
use tokio::sync::oneshot;

use crate::outgoing::{Outgoing, parts};
use crate::session::OUTPUT_MAX;
use crate::terms::Terms;

/// Messages that are under way at a time, if the parent allows as many.
const UNDER_WAY_MAX: usize = 1_024;

/// A batch as the node has handed it over.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) envelopes: Vec<Envelope>,
    pub(crate) answer: oneshot::Sender<Result<usize, BackendError>>,
}

/// A batch that is not accepted yet.
#[derive(Debug)]
pub(crate) struct Publishing {
    answer: oneshot::Sender<Result<usize, BackendError>>,
    left: vec::IntoIter<Envelope>,
    /// Messages of the envelope that was taken last.
    next: VecDeque<Part>,
    /// Envelopes that were taken.
    taken: usize,
    under_way: HashMap<PacketId, UnderWay>,
    /// Topics of messages at QoS 2 that are under way, and how many.
    at_qos_2: HashMap<Box<str>, usize>,
    /// Envelopes that the parent has not taken, or not all of.
    refused: HashSet<usize>,
    barrier: Barrier,
}

/// A message of an envelope.
#[derive(Debug)]
struct Part {
    envelope: usize,
    /// The topic on which order has to be kept, if one is.
    lane: Option<Box<str>>,
    message: Outgoing,
}

#[derive(Debug)]
struct UnderWay {
    envelope: usize,
    /// The topic, if it is at QoS 2.
    lane: Option<Box<str>>,
    is_control: bool,
}

/// What is at QoS 0 at the end of a batch nothing acknowledges but the answer to a PINGREQ behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Barrier {
    NotNeeded,
    Needed,
    Sent,
}

impl Publishing {
    pub(crate) fn new(batch: Batch) -> Self {
        Self {
            answer: batch.answer,
            left: batch.envelopes.into_iter(),
            next: VecDeque::new(),
            taken: 0,
            under_way: HashMap::new(),
            at_qos_2: HashMap::new(),
            refused: HashSet::new(),
            barrier: Barrier::NotNeeded,
        }
    }

    /// Whether the parent is to answer something.
    pub(crate) fn awaits(&self) -> bool {
        !self.under_way.is_empty() || self.barrier == Barrier::Sent
    }

    /// Sends as much as may be under way; `sent` hears of each message.
    pub(crate) fn go_on(
        &mut self,
        client: &mut Client,
        terms: &Terms,
        mut sent: impl FnMut(&Outgoing),
    ) -> Result<(), ClientError> {
        let window = usize::from(terms.limits.receive_maximum).min(UNDER_WAY_MAX);
        while self.under_way.len() < window && client.queued_bytes() < OUTPUT_MAX {
            let Some(part) = self.next_part(terms) else {
                break;
            };
            if self.would_overtake(&part) {
                self.next.push_front(part);
                break;
            }
            match client.queue_publish(&part.message.as_publish()) {
                Ok(id) => {
                    sent(&part.message);
                    self.note_sent(part, id);
                }
                // It cannot be expressed.
                Err(ClientError::Encode(_)) => {
                    self.refused.insert(part.envelope);
                }
                Err(error) => return Err(error),
            }
        }
        if self.all_is_sent() && self.barrier == Barrier::Needed {
            client.queue_ping()?;
            self.barrier = Barrier::Sent;
        }
        Ok(())
    }

    fn next_part(&mut self, terms: &Terms) -> Option<Part> {
        loop {
            if let Some(part) = self.next.pop_front() {
                return Some(part);
            }
            let envelope = self.left.next()?;
            let number = self.taken;
            self.taken += 1;
            let parts = parts(&envelope, terms);
            if parts.is_refused {
                self.refused.insert(number);
            }
            self.next
                .extend(parts.parts.into_iter().map(|message| Part {
                    envelope: number,
                    lane: match &envelope.content {
                        Content::Message { message, .. } => Some(message.topic().into()),
                        _ => None,
                    },
                    message,
                }));
        }
    }

    /// A parent may hand on a message at QoS 2 when it is released, and one at another QoS at once. So what is
    /// behind it on the same topic waits, unless it is at QoS 2 as well.
    fn would_overtake(&self, part: &Part) -> bool {
        let lane = part.lane.as_ref();
        part.message.qos != QoS::ExactlyOnce
            && lane.is_some_and(|lane| self.at_qos_2.contains_key(lane))
    }

    fn note_sent(&mut self, part: Part, id: Option<PacketId>) {
        let Some(id) = id else {
            self.barrier = Barrier::Needed;
            return;
        };
        // Who acknowledges this one has seen those before it.
        self.barrier = Barrier::NotNeeded;
        let lane = part.lane.filter(|_| part.message.qos == QoS::ExactlyOnce);
        if let Some(lane) = &lane {
            *self.at_qos_2.entry(lane.clone()).or_default() += 1;
        }
        let under_way = UnderWay {
            envelope: part.envelope,
            lane,
            is_control: part.message.is_control,
        };
        self.under_way.insert(id, under_way);
    }

    /// The parent has answered. Returns why it does not let the node use the control topic, if that was said: what
    /// nodes tell each other there is then lost, and no message of a client is.
    pub(crate) fn acknowledged(
        &mut self,
        id: PacketId,
        reason_code: ReasonCode,
    ) -> Option<ReasonCode> {
        let ended = self.under_way.remove(&id)?;
        if let Some(lane) = &ended.lane
            && let Some(left) = self.at_qos_2.get_mut(lane)
        {
            *left -= 1;
            if *left == 0 {
                self.at_qos_2.remove(lane);
            }
        }
        if !reason_code.is_error() {
            return None;
        }
        let is_forbidden = matches!(
            reason_code,
            ReasonCode::NotAuthorized | ReasonCode::TopicNameInvalid
        );
        if ended.is_control && is_forbidden {
            return Some(reason_code);
        }
        self.refused.insert(ended.envelope);
        None
    }

    /// The parent has answered PINGREQ.
    pub(crate) fn pong(&mut self) {
        self.barrier = Barrier::NotNeeded;
    }

    fn all_is_sent(&self) -> bool {
        self.next.is_empty() && self.left.as_slice().is_empty()
    }

    /// Whether all of it is accepted, or refused.
    pub(crate) fn is_over(&self) -> bool {
        self.all_is_sent() && self.under_way.is_empty() && self.barrier == Barrier::NotNeeded
    }

    /// Says so.
    pub(crate) fn accept(self) {
        let _gone = self.answer.send(Ok(self.refused.len()));
    }

    /// The connection is lost: nobody knows what became of it.
    pub(crate) fn fail(self, error: impl Fn() -> BackendError) {
        let _gone = self.answer.send(Err(error()));
    }
}
