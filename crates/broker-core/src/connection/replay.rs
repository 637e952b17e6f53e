//! Retained messages on their way to a client that has just subscribed.
//!
//! A filter may match a million retained messages. They are not put into the outbox at once: each
//! time the outbox has run low the next few are looked up. The last place is remembered, and of the
//! messages no more than one look has found.
//!
//! They share what the client takes with messages that are being published. While those keep the outbox
//! full, retained messages are the first in the outbox that follows it. While those fill the window and
//! wait, so many retained messages go into the queue at a time as are an eighth of the window, and the next when
//! the client has been sent these; and an eighth of the queue's room is kept for them.

use std::collections::BTreeMap;
use std::sync::Arc;

use hashbrown::HashMap;
use mqtt_codec::QoS;
use topic_trie::TopicFilter;

use super::Connected;
use crate::Timestamp;
use crate::broker::Broker;
use crate::effects::Effects;
use crate::persistence::SubscriptionIds;
use crate::retained::RetainedSearch;
use crate::session::{REPLAY_SHARE, Rules, State};

/// Bytes in the outbox up to which more retained messages are added.
const OUTBOX_LOW_BYTES: usize = 64 << 10;

/// Steps of the retained messages' enumeration taken in one go.
const STEPS_MAX: usize = 64;

/// Subscriptions of a session whose retained messages are still to be sent, in their order.
#[derive(Debug, Default)]
pub(crate) struct Replays {
    waiting: BTreeMap<u64, Replay>,
    /// Where each filter is in `waiting`.
    places: HashMap<Box<str>, u64>,
    next_place: u64,
    turn: Turn,
}

/// What of it stands in a queue in which other messages wait as well.
#[derive(Clone, Copy, Debug, Default)]
struct Turn {
    /// Messages that were put into the queue since the last of those before them was sent.
    added: usize,
    /// No smaller than the sequence number of the last one.
    last: u64,
}

#[derive(Debug)]
struct Replay {
    search: RetainedSearch,
    granted: QoS,
    subscription_ids: SubscriptionIds,
}

impl Replays {
    pub(crate) fn push(&mut self, filter: TopicFilter<'_>, granted: QoS, ids: SubscriptionIds) {
        self.insert(Replay {
            search: RetainedSearch::new(filter),
            granted,
            subscription_ids: ids,
        });
    }

    /// Appends those that were added meanwhile.
    pub(crate) fn append(&mut self, later: Self) {
        for replay in later.waiting.into_values() {
            self.insert(replay);
        }
    }

    /// The filter was unsubscribed: what has not been sent is not sent any more.
    pub(crate) fn remove(&mut self, filter: TopicFilter<'_>) {
        if let Some(place) = self.places.remove(filter.as_str()) {
            self.waiting.remove(&place);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether the next step may be taken, or the next message added.
    pub(super) fn may_go_on(&self, state: &State, rules: Rules<'_>) -> bool {
        let first = self.waiting.first_key_value();
        first.is_some_and(|(_, first)| first.may_go_on(&self.turn, state, rules))
    }

    fn insert(&mut self, replay: Replay) {
        // At most one for a filter: a second SUBSCRIBE begins anew.
        let filter = replay.search.filter();
        self.remove(filter);
        self.places.insert(filter.as_str().into(), self.next_place);
        self.waiting.insert(self.next_place, replay);
        self.next_place += 1;
    }

    fn pop_front(&mut self) {
        if let Some((_, replay)) = self.waiting.pop_first() {
            self.places.remove(replay.search.filter().as_str());
        }
    }
}

impl Replay {
    fn may_go_on(&self, turn: &Turn, state: &State, rules: Rules<'_>) -> bool {
        if state.outbox_bytes() >= OUTBOX_LOW_BYTES || !turn.is_on(state, rules) {
            return false;
        }
        let found = self.search.found();
        // What is refused would be lost. One that is too large for an empty queue is.
        found.is_none_or(|message| {
            self.granted.min(message.qos()) == QoS::AtMostOnce
                || state.outgoing.len() == 0
                || state.has_room(message.size_bytes(), rules)
        })
    }
}

impl Turn {
    /// Whether there may be more of it in the queue than there is.
    fn is_on(&self, state: &State, rules: Rules<'_>) -> bool {
        let window = state.window(rules.options.max_inflight);
        let outgoing = &state.outgoing;
        if outgoing.is_emitted() && !outgoing.has_tail() {
            // Nothing waits, so nobody takes the room that there will be.
            return outgoing.len() < window;
        }
        let share = (window / REPLAY_SHARE).max(1);
        outgoing.len() < window || self.added < share || outgoing.has_passed(self.last)
    }

    /// A message was delivered, before which the queue's last one had the number `before`.
    fn note(&mut self, before: u64, state: &State) {
        let last = state.outgoing.last_sequence();
        if last == before {
            return;
        }
        if state.outgoing.has_passed(self.last) {
            self.added = 0;
        }
        self.added += 1;
        self.last = last;
    }
}

impl Connected {
    /// Adds retained messages to the session until it has enough to send for now. What is still to
    /// be sent stays with the session, and goes on with its next connection.
    pub(super) fn replay(
        &self,
        mut replays: Box<Replays>,
        broker: &Arc<Broker>,
        now: Timestamp,
        effects: &mut Effects,
    ) {
        let mut steps = 0;
        while let Some(mut first) = replays.waiting.first_entry() {
            let replay = first.get_mut();
            let Some(before) = self.may_replay(replay, &replays.turn, broker, now) else {
                break;
            };
            if let Some(message) = replay.search.take() {
                let ids = &replay.subscription_ids;
                broker.deliver_retained(&self.session, &message, replay.granted, ids, now, effects);
                replays.turn.note(before, &self.session.state());
            } else if replay.search.is_over() {
                replays.pop_front();
            } else if steps < STEPS_MAX {
                steps += 1;
                replay.search.step(&broker.retained, now);
            } else {
                break;
            }
        }
        if !replays.is_empty() {
            self.session.state().keep_replays(replays);
        }
    }

    /// If the next step may be taken: the number of the message that came last into the queue.
    fn may_replay(
        &self,
        replay: &Replay,
        turn: &Turn,
        broker: &Broker,
        now: Timestamp,
    ) -> Option<u64> {
        let state = self.session.state();
        let may = state.is_current(self.epoch) && replay.may_go_on(turn, &state, broker.rules(now));
        may.then(|| state.outgoing.last_sequence())
    }
}

#[cfg(test)]
mod tests {
    use std::io::IoSlice;
    use std::task::Waker;

    use mqtt_codec::{
        Connect, Decoded, Packet, PacketId, Properties, Subscribe, SubscribeFiltersBuf,
        SubscriptionOptions, Version, decode,
    };

    use super::*;
    use crate::{BrokerOptions, Connection, Message, MessageParts, Outbox, Output};

    const NOW: Timestamp = Timestamp::from_millis(1);

    fn publish(broker: &Arc<Broker>, topic: &str, payload: &[u8], effects: &mut Effects) {
        let message = Message::new(MessageParts {
            topic,
            properties: &[],
            payload,
            qos: QoS::AtMostOnce,
            retain: topic != "live",
            expires: Timestamp::MAX,
        });
        broker.publish(NOW, &message, effects).unwrap();
    }

    /// For each PUBLISH whether it was retained.
    fn flags(outbox: &Outbox) -> Vec<bool> {
        let empty: &[u8] = &[];
        let mut slices = vec![IoSlice::new(empty); 1_000];
        let filled = outbox.slices(&mut slices);
        let bytes: Vec<u8> = slices[..filled]
            .iter()
            .flat_map(|it| it.iter().copied())
            .collect();
        let (mut rest, mut flags) = (&bytes[..], Vec::new());
        while let Ok(Decoded::Packet { packet, size }) = decode(rest, Version::V5, usize::MAX) {
            if let Packet::Publish(publish) = packet {
                flags.push(publish.retain);
            }
            rest = &rest[size..];
        }
        flags
    }

    fn subscribe(connection: &mut Connection, filter: &str, effects: &mut Effects) {
        let mut filters = SubscribeFiltersBuf::new();
        let options = SubscriptionOptions::new(QoS::AtMostOnce);
        filters.push(filter, options).unwrap();
        let subscribe = Subscribe {
            packet_id: PacketId::MIN,
            properties: Properties::EMPTY,
            filters: filters.as_filters(),
        };
        connection.handle_packet(NOW, Packet::Subscribe(subscribe), effects);
        connection.handle_committed_now(NOW, effects);
    }

    #[test]
    fn where_others_fill_each_outbox_what_is_retained_is_the_first_in_the_next() {
        let broker = Broker::new(BrokerOptions::default());
        let mut effects = Effects::new();
        for number in 0..10 {
            publish(&broker, &format!("kept/{number}"), b"x", &mut effects);
        }
        let mut client = Connection::new(&broker, NOW);
        let connect = Connect::new(Version::V5, "client");
        client.handle_packet(NOW, Packet::Connect(connect), &mut effects);
        client.handle_committed_now(NOW, &mut effects);
        subscribe(&mut client, "live", &mut effects);
        subscribe(&mut client, "kept/#", &mut effects);
        let mut seen = Vec::new();
        for _ in 0..2 {
            // Always before the driver asks for output.
            publish(&broker, "live", &[0; 2 * OUTBOX_LOW_BYTES], &mut effects);
            let output = client.poll_output(NOW, Waker::noop(), &mut effects);
            let Output::Write(outbox) = output else {
                panic!("there is something to write");
            };
            seen.push(flags(&outbox));
        }
        assert_eq!(seen[0], [false]);
        assert_eq!(seen[1][..10], [true; 10]);
        assert_eq!(seen[1][10..], [false]);
    }
}
