//! SUBSCRIBE and UNSUBSCRIBE of very many filters, in steps: a packet may have a million of them, and all
//! other clients wait for the thread that handles it.
//!
//! A packet is checked as a whole before its first step, and acknowledged after its last one. Meanwhile no
//! other packet of this client is handled, so all of them take effect in their order.

use std::collections::VecDeque;
use std::sync::Arc;

use mqtt_codec::{
    PacketId, ReasonCode, Subscribe, SubscribeFiltersBuf, Unsubscribe, UnsubscribeFiltersBuf,
};

use super::reauthorize::Reauthorization;
use super::{Connected, Connection, Context, Phase};
use crate::Timestamp;
use crate::close::CloseCause;
use crate::effects::Effects;
use crate::hooks::{Failed, SubscribeVerdict};

/// Filters up to which a packet is handled at once, and those of one step: about a quarter of a
/// millisecond.
pub(super) const STEP: usize = 512;

/// What was begun, and of which more is to be done.
#[derive(Debug)]
pub(super) enum Unfinished {
    Subscribe(Subscribing),
    Unsubscribe {
        packet_id: PacketId,
        steps: VecDeque<UnsubscribeFiltersBuf>,
        codes: Vec<ReasonCode>,
    },
    Reauthorize(Reauthorization),
}

/// A SUBSCRIBE whose last filters have not had their turn.
#[derive(Debug)]
pub(super) struct Subscribing {
    packet_id: PacketId,
    identifier: u32,
    steps: VecDeque<SubscribeFiltersBuf>,
    /// Filters of the first step that have had their turn.
    at: usize,
    /// The reason codes of all that have had it.
    codes: Vec<ReasonCode>,
}

impl Subscribing {
    fn advance(&mut self) {
        let step = self.steps.front();
        self.at += 1;
        if step.is_none_or(|step| step.as_filters().len() <= self.at) {
            self.at = 0;
            self.steps.pop_front();
        }
    }
}

impl Unfinished {
    /// A SUBSCRIBE that was checked.
    pub(super) fn subscribe(subscribe: &Subscribe<'_>, identifier: u32) -> Self {
        let mut steps = VecDeque::new();
        let mut filters = subscribe.filters.iter().peekable();
        while filters.peek().is_some() {
            let mut step = SubscribeFiltersBuf::new();
            for one in filters.by_ref().take(STEP) {
                // It came in a packet like this one.
                let _fits = step.push(one.filter, one.options);
            }
            steps.push_back(step);
        }
        Self::Subscribe(Subscribing {
            packet_id: subscribe.packet_id,
            identifier,
            steps,
            at: 0,
            codes: Vec::with_capacity(subscribe.filters.len()),
        })
    }

    /// An UNSUBSCRIBE that was checked.
    pub(super) fn unsubscribe(unsubscribe: &Unsubscribe<'_>) -> Self {
        let mut steps = VecDeque::new();
        let mut filters = unsubscribe.filters.iter().peekable();
        while filters.peek().is_some() {
            let mut step = UnsubscribeFiltersBuf::new();
            for filter in filters.by_ref().take(STEP) {
                let _fits = step.push(filter);
            }
            steps.push_back(step);
        }
        Self::Unsubscribe {
            packet_id: unsubscribe.packet_id,
            steps,
            codes: Vec::with_capacity(unsubscribe.filters.len()),
        }
    }
}

impl Connection {
    /// Whether a packet was begun of which more is to be done: [`take_step`](Self::take_step) does that, when
    /// others have had their turn. Until then no further packet may be handed over;
    /// [`is_deciding`](Self::is_deciding) holds as well.
    pub fn is_unfinished(&self) -> bool {
        let extras = self
            .connected()
            .and_then(|connected| connected.extras.as_ref());
        extras.is_some_and(|extras| extras.unfinished.is_some() && extras.asking.is_none())
    }

    /// Does one step of what is unfinished, which brings about effects like a packet does.
    pub fn take_step(&mut self, now: Timestamp, effects: &mut Effects) {
        let Phase::Connected(connected) = &mut self.phase else {
            return;
        };
        let broker = Arc::clone(&self.broker);
        let mut context = connected.context(&broker, now, effects);
        if let Err(cause) = connected.do_step(&mut context) {
            self.close(now, cause, effects);
        }
    }
}

impl Connected {
    /// Puts a packet off, to be handled in steps.
    pub(super) fn begin_steps(&mut self, unfinished: Unfinished) {
        let extras = self.extras.get_or_insert_default();
        extras.unfinished = Some(Box::new(unfinished));
    }

    /// Does one step of what is unfinished.
    pub(super) fn do_step(&mut self, context: &mut Context<'_>) -> Result<(), CloseCause> {
        let extras = self.extras.as_mut();
        let Some(mut unfinished) = extras.and_then(|extras| extras.unfinished.take()) else {
            return Ok(());
        };
        let is_over = match &mut *unfinished {
            Unfinished::Subscribe(subscribing) => {
                self.grant_step(subscribing, context)?;
                self.end_subscribe(subscribing, context)
            }
            Unfinished::Unsubscribe {
                packet_id,
                steps,
                codes,
            } => {
                if let Some(step) = steps.pop_front() {
                    self.cancel(step.as_filters(), codes, context);
                }
                let is_over = steps.is_empty();
                if is_over {
                    self.acknowledge_unsubscribe(*packet_id, codes, context);
                }
                is_over
            }
            Unfinished::Reauthorize(questions) => self.reauthorize(questions, context)?,
        };
        self.keep_unfinished(unfinished, is_over);
        Ok(())
    }

    /// A hook has decided on the filter whose turn it is.
    pub(super) fn go_on_in_steps(
        &mut self,
        verdict: Result<SubscribeVerdict, Failed>,
        context: &mut Context<'_>,
    ) -> Result<(), CloseCause> {
        let extras = self.extras.as_mut();
        let Some(mut unfinished) = extras.and_then(|extras| extras.unfinished.take()) else {
            return Ok(());
        };
        let is_over = match &mut *unfinished {
            Unfinished::Subscribe(subscribing) => {
                let step = subscribing.steps.front();
                let subscription =
                    step.and_then(|step| step.as_filters().iter().nth(subscribing.at));
                if let Some(subscription) = subscription {
                    let identifier = subscribing.identifier;
                    let code =
                        self.decide_subscribe(verdict, &subscription, identifier, context)?;
                    subscribing.codes.push(code);
                }
                subscribing.advance();
                self.end_subscribe(subscribing, context)
            }
            Unfinished::Unsubscribe { .. } => false,
            Unfinished::Reauthorize(questions) => {
                self.decide_held(questions, verdict, context)?;
                false
            }
        };
        self.keep_unfinished(unfinished, is_over);
        Ok(())
    }

    /// Grants the filters of one step, or as many as hooks decide on at once.
    fn grant_step(
        &mut self,
        subscribing: &mut Subscribing,
        context: &mut Context<'_>,
    ) -> Result<(), CloseCause> {
        let Some(step) = subscribing.steps.front() else {
            return Ok(());
        };
        let (at, identifier) = (subscribing.at, subscribing.identifier);
        let filters = step.as_filters();
        let all = filters.len();
        let codes = &mut subscribing.codes;
        let before = codes.len();
        self.grant(filters.iter().skip(at), identifier, codes, context)?;
        subscribing.at += codes.len() - before;
        if subscribing.at >= all {
            subscribing.at = 0;
            subscribing.steps.pop_front();
        }
        Ok(())
    }

    /// Acknowledges a SUBSCRIBE of which no filter is left. Whether that is so.
    fn end_subscribe(&self, subscribing: &Subscribing, context: &mut Context<'_>) -> bool {
        let is_over = subscribing.steps.is_empty();
        if is_over {
            self.acknowledge_subscribe(subscribing.packet_id, &subscribing.codes, context);
        }
        is_over
    }

    fn keep_unfinished(&mut self, unfinished: Box<Unfinished>, is_over: bool) {
        if !is_over {
            self.extras.get_or_insert_default().unfinished = Some(unfinished);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use mqtt_codec::{
        Connect, Decoded, Packet, Properties, QoS, SubscriptionOptions, Version, decode,
    };

    use super::*;
    use crate::{Broker, BrokerOptions, Output};

    const NOW: Timestamp = Timestamp::from_millis(1);

    fn handle(connection: &mut Connection, packet: Packet<'_>, effects: &mut Effects) {
        connection.handle_packet(NOW, packet, effects);
        connection.handle_committed_now(NOW, effects);
    }

    fn connect(broker: &Arc<Broker>, version: Version, effects: &mut Effects) -> Connection {
        let mut connection = Connection::new(broker, NOW);
        let connect = Connect::new(version, "client");
        handle(&mut connection, Packet::Connect(connect), effects);
        assert!(received(&mut connection, effects).is_some(), "CONNACK");
        connection
    }

    fn received(connection: &mut Connection, effects: &mut Effects) -> Option<Vec<u8>> {
        match connection.poll_output(NOW, Waker::noop(), effects) {
            Output::Write(outbox) => {
                let mut slices = [std::io::IoSlice::new(&[]); 8];
                let filled = outbox.slices(&mut slices);
                let slices = slices[..filled].iter();
                Some(slices.flat_map(|slice| slice.to_vec()).collect())
            }
            Output::Idle => None,
            Output::Close(cause) => panic!("{cause}"),
        }
    }

    fn codes(connection: &mut Connection, effects: &mut Effects) -> Vec<ReasonCode> {
        let bytes = received(connection, effects).expect("an acknowledgement");
        match decode(&bytes, Version::V5, usize::MAX).unwrap() {
            Decoded::Packet { packet, size } if size == bytes.len() => match packet {
                Packet::SubAck(suback) => suback.reason_codes.iter().collect(),
                Packet::UnsubAck(unsuback) => unsuback.reason_codes.iter().collect(),
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    }

    fn subscribe(connection: &mut Connection, filters: usize, effects: &mut Effects) {
        let mut buffer = SubscribeFiltersBuf::new();
        for number in 0..filters {
            let options = SubscriptionOptions::new(QoS::AtLeastOnce);
            buffer.push(&format!("many/{number}"), options).unwrap();
        }
        let subscribe = Subscribe {
            packet_id: PacketId::MIN,
            properties: Properties::EMPTY,
            filters: buffer.as_filters(),
        };
        handle(connection, Packet::Subscribe(subscribe), effects);
    }

    fn unsubscribe(connection: &mut Connection, filters: usize, effects: &mut Effects) {
        let mut buffer = UnsubscribeFiltersBuf::new();
        for number in 0..filters {
            buffer.push(&format!("many/{number}")).unwrap();
        }
        let unsubscribe = Unsubscribe {
            packet_id: PacketId::MIN,
            properties: Properties::EMPTY,
            filters: buffer.as_filters(),
        };
        handle(connection, Packet::Unsubscribe(unsubscribe), effects);
    }

    /// Steps that were taken until the packet was finished. Nothing is said before.
    fn finish(connection: &mut Connection, effects: &mut Effects) -> usize {
        let mut steps = 0;
        while connection.is_unfinished() {
            assert!(connection.is_deciding());
            assert_eq!(received(connection, effects), None);
            connection.broker.check_invariants();
            connection.take_step(NOW, effects);
            connection.handle_committed_now(NOW, effects);
            steps += 1;
        }
        steps
    }

    /// [MQTT-3.8.4-6] [MQTT-3.11.3-1]
    #[test]
    fn filters_of_a_large_packet_have_their_turn_in_steps_and_one_acknowledgement() {
        let options = BrokerOptions {
            max_subscriptions_per_session: 1_000,
            ..BrokerOptions::default()
        };
        let broker = Broker::new(options);
        let effects = &mut Effects::new();
        let connection = &mut connect(&broker, Version::V5, effects);
        for (filters, steps) in [(STEP, 0), (STEP + 1, 2), (1_100, 3)] {
            subscribe(connection, filters, effects);
            assert_eq!(finish(connection, effects), steps);
            let granted = codes(connection, effects);
            assert_eq!(granted.len(), filters);
            for (number, code) in granted.into_iter().enumerate() {
                let expected = match number < 1_000 {
                    true => ReasonCode::granted(QoS::AtLeastOnce),
                    false => ReasonCode::QuotaExceeded,
                };
                assert_eq!(code, expected, "of filter {number}");
            }
            assert_eq!(broker.sizes().subscriptions, filters.min(1_000));
        }
        unsubscribe(connection, 1_100, effects);
        assert_eq!(finish(connection, effects), 3);
        let cancelled = codes(connection, effects);
        let expected = |code| cancelled.iter().filter(|it| **it == code).count();
        assert_eq!(expected(ReasonCode::Success), 1_000);
        assert_eq!(expected(ReasonCode::NoSubscriptionExisted), 100);
        assert_eq!(broker.sizes().subscriptions, 0);
    }

    #[test]
    fn who_is_taken_over_in_between_subscribes_to_nothing_more() {
        let broker = Broker::new(BrokerOptions::default());
        let effects = &mut Effects::new();
        let mut older = connect(&broker, Version::V5, effects);
        subscribe(&mut older, 2 * STEP, effects);
        older.take_step(NOW, effects);
        assert_eq!(broker.sizes().subscriptions, STEP);
        let _newer = connect(&broker, Version::V5, effects);
        older.take_step(NOW, effects);
        older.handle_committed_now(NOW, effects);
        assert!(!older.is_unfinished());
        assert_eq!(broker.sizes().subscriptions, 0);
        broker.check_invariants();
    }

    #[test]
    fn a_refusal_in_a_later_step_closes_a_client_of_the_oldest_version() {
        let options = BrokerOptions {
            max_subscriptions_per_session: STEP,
            ..BrokerOptions::default()
        };
        let broker = Broker::new(options);
        let effects = &mut Effects::new();
        let mut connection = connect(&broker, Version::V31, effects);
        subscribe(&mut connection, 2 * STEP, effects);
        connection.take_step(NOW, effects);
        assert_eq!(connection.closing(), None);
        connection.take_step(NOW, effects);
        assert!(connection.closing().is_some() && !connection.is_unfinished());
    }
}
