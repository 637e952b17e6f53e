//! One network connection, from its first byte to its last: the rules of who may say what when.
//!
//! ```text
//!                   CONNECT accepted              DISCONNECT, error, timeout, takeover
//!   awaiting ─────────────────────────► connected ────────────────────────────► closing
//!      │ │                                  ▲                                      ▲
//!      │ └─ authentication ─► deciding ─────┘ accepted                             │
//!      │        method           └──────── refused, error, timeout ────────────────┤
//!      └───────────── anything else, CONNECT refused, timeout ─────────────────────┘
//! ```
//!
//! A [`Connection`] is owned by one task alone. Its methods are of four kinds: getters; `handle_*`,
//! for what has arrived; commands of the driver ([`close`](Connection::close)); and `poll_*`, for
//! what to do next. After any `handle_*` the driver deals with the [`Effects`] and then calls
//! [`poll_output`](Connection::poll_output) until there is nothing more.

mod acknowledge;
mod admission;
mod asking;
mod authenticate;
mod authorize;
mod committing;
mod connack;
mod connect;
mod context;
mod disconnect;
mod exchange;
mod extras;
mod forward;
mod in_steps;
mod last_words;
mod loading;
mod origin;
mod pace;
mod publish;
mod reauthorize;
mod replay;
mod slow_reader;
mod subscribe;
mod timeout;
mod topic_cache;
mod unsubscribe;
mod woken;

use std::sync::Arc;
use std::task::Waker;

use mqtt_codec::{DecodeError, Packet, Version};

use crate::Timestamp;
use crate::broker::Broker;
use crate::close::{CloseCause, Violation};
use crate::effects::Effects;
use crate::events::EventSet;
use crate::hooks::Event;
use crate::outbox::Outbox;
use crate::session::{Session, State};

use admission::Admitting;
use authenticate::{Deciding, bytes_max};
pub(crate) use context::Context;
use extras::Extras;
use last_words::LastWords;
use loading::Loading;
use origin::Origin;
pub(crate) use replay::Replays;

/// One network connection; see the [crate's text](crate) for how it is driven.
#[derive(Debug)]
pub struct Connection {
    broker: Arc<Broker>,
    phase: Phase,
}

#[derive(Debug)]
enum Phase {
    /// No CONNECT yet.
    Awaiting(Box<Awaiting>),
    /// CONNECT has come, and it is being found out whether the client may come in.
    Deciding(Box<Deciding>),
    /// CONNECT has come, and hooks think about it.
    Admitting(Box<Admitting>),
    /// The client may come in, and what its session has in the store is being read.
    Loading(Box<Loading>),
    Connected(Connected),
    /// To be closed when the last words have been written.
    Closing {
        cause: CloseCause,
        last: Box<LastWords>,
    },
}

/// What is known of a connection before CONNECT.
#[derive(Debug)]
struct Awaiting {
    /// When it is to be closed.
    until: Timestamp,
    /// The version that CONNECT names, as soon as it is being handled.
    version: Version,
    origin: Origin,
}

/// A connection that has a session.
#[derive(Debug)]
pub(crate) struct Connected {
    session: Arc<Session>,
    epoch: u32,
    version: Version,
    /// QoS 2 messages that the client has begun on this connection and not completed: what counts
    /// against our receive maximum.
    begun: u16,
    /// CONNACK has been given out.
    greeted: bool,

    extras: Option<Box<Extras>>,
}

/// What a driver is to do next.
#[derive(Debug)]
#[must_use]
pub enum Output {
    /// Nothing, until the waker is woken or something arrives.
    Idle,
    /// Write this, then poll again.
    Write(Outbox),
    /// Everything that had to be said was given out: close the network connection.
    Close(CloseCause),
}

impl Connection {
    /// A network connection that was just accepted.
    pub fn new(broker: &Arc<Broker>, now: Timestamp) -> Self {
        Self {
            broker: Arc::clone(broker),
            phase: Phase::Awaiting(Box::new(Awaiting {
                until: now + broker.options().connect_timeout,
                version: Version::V311,
                origin: Origin::default(),
            })),
        }
    }

    /// The protocol version with which to decode what arrives; set by CONNECT.
    pub fn version(&self) -> Version {
        match &self.phase {
            Phase::Connected(connected) => connected.version,
            Phase::Awaiting(awaiting) => awaiting.version,
            Phase::Deciding(deciding) => deciding.version(),
            Phase::Admitting(admitting) => admitting.version,
            Phase::Loading(loading) => loading.version(),
            Phase::Closing { last, .. } => last.version,
        }
    }

    /// Largest packet to accept now, in bytes; until CONNECT was accepted, the largest CONNECT.
    pub fn max_packet_size(&self) -> usize {
        let options = self.broker.options();
        let bytes = match self.phase {
            Phase::Awaiting(_) | Phase::Deciding(_) | Phase::Admitting(_) | Phase::Loading(_) => {
                options
                    .max_connect_size_bytes
                    .min(options.max_packet_size_bytes)
            }
            Phase::Connected(_) | Phase::Closing { .. } => options.max_packet_size_bytes,
        };
        usize::try_from(bytes).unwrap_or(usize::MAX)
    }

    /// The client identifier, once CONNECT was accepted.
    pub fn client_id(&self) -> Option<&Arc<str>> {
        match &self.phase {
            Phase::Connected(connected) => Some(connected.session.client()),
            Phase::Closing { last, .. } => last.client.as_ref(),
            Phase::Awaiting(_) | Phase::Deciding(_) | Phase::Admitting(_) | Phase::Loading(_) => {
                None
            }
        }
    }

    /// Whether nothing but CONNECT may come: no whole one has come yet.
    pub fn awaits_connect(&self) -> bool {
        matches!(self.phase, Phase::Awaiting(_))
    }

    /// Whether CONNECT was accepted and the connection is not closing.
    pub fn is_connected(&self) -> bool {
        matches!(self.phase, Phase::Connected(_))
    }

    /// Why the connection is closing, if it is.
    pub fn closing(&self) -> Option<CloseCause> {
        match &self.phase {
            Phase::Closing { cause, .. } => Some(*cause),
            _ => None,
        }
    }

    /// A packet has arrived. Once the connection is closing, packets are ignored.
    pub fn handle_packet(&mut self, now: Timestamp, packet: Packet<'_>, effects: &mut Effects) {
        let result = match &mut self.phase {
            Phase::Connected(connected) => {
                let mut context = connected.context(&self.broker, now, effects);
                connected.handle_packet(&packet, &mut context)
            }
            Phase::Awaiting(_) => match &packet {
                Packet::Connect(connect) => self.handle_connect(now, connect, effects),
                _ => Err(CloseCause::Protocol(Violation::NotConnected)),
            },
            Phase::Deciding(_) => self.handle_before_connack(now, &packet, effects),
            // The driver keeps what comes until the client is in.
            Phase::Admitting(_) | Phase::Loading(_) => {
                Err(CloseCause::Protocol(Violation::BeforeConnAck))
            }
            Phase::Closing { .. } => Ok(()),
        };
        if let Err(cause) = result {
            self.close(now, cause, effects);
        }
    }

    /// Something has arrived that is not a packet.
    pub fn handle_malformed(&mut self, now: Timestamp, error: DecodeError, effects: &mut Effects) {
        match self.phase {
            Phase::Awaiting(_) => self.handle_malformed_connect(None, error),
            Phase::Deciding(_) | Phase::Admitting(_) | Phase::Loading(_) | Phase::Connected(_) => {
                self.close(now, CloseCause::Malformed(error), effects);
            }
            Phase::Closing { .. } => {}
        }
    }

    /// The first packet is not a CONNECT that can be decoded. `version` is the one that it names
    /// nevertheless, if it does: its word for the error is then sent (MQTT 5.0 section 4.13.1).
    pub fn handle_malformed_connect(&mut self, version: Option<Version>, error: DecodeError) {
        if matches!(self.phase, Phase::Awaiting(_)) {
            self.refuse_malformed_connect(version, error);
        }
    }

    /// The network connection has ended.
    pub fn handle_lost(&mut self, now: Timestamp, effects: &mut Effects) {
        self.close(now, CloseCause::ConnectionLost, effects);
    }

    /// Closes the connection. Only the first cause counts.
    pub fn close(&mut self, now: Timestamp, cause: CloseCause, effects: &mut Effects) {
        if self.closing().is_some() {
            return;
        }
        if matches!(cause, CloseCause::Malformed(_) | CloseCause::Protocol(_)) {
            self.broker.counters().protocol_errors.add(1);
        }
        if cause.is_failed_authentication() {
            self.broker.counters().authentication_failures.add(1);
        }
        if cause == CloseCause::NoRoom {
            self.broker.counters().refused_partial_packets.add(1);
        }
        if cause.is_slow_reader() {
            self.broker.counters().slow_readers_closed.add(1);
        }
        let mut last = LastWords::new(self.version());
        match &self.phase {
            Phase::Deciding(deciding) => {
                let bytes_max = bytes_max(&deciding.connect.as_connect());
                last.outbox = self.undecided_words(bytes_max, cause);
            }
            Phase::Admitting(admitting) => {
                last.outbox = self.undecided_words(admitting.bytes_max, cause);
            }
            Phase::Loading(loading) => {
                let bytes_max = bytes_max(&loading.connect().as_connect());
                last.outbox = self.undecided_words(bytes_max, cause);
            }
            Phase::Awaiting(_) | Phase::Connected(_) | Phase::Closing { .. } => {}
        }
        if let Phase::Connected(connected) = &mut self.phase {
            last.words = connected.take_words();
            last.farewell = connected.version.is_v5() && cause.disconnect_reason().is_some();
            last.client = Some(Arc::clone(connected.session.client()));
            last.bytes_max = connected.reply_bytes_max();
            if !connected.greeted {
                // DISCONNECT comes only after CONNACK [MQTT-3.14.0-1]. There is none if another
                // connection has the session by now.
                last.outbox = connected.greeting(cause);
                last.farewell &= !last.outbox.is_empty() && !cause.is_of_the_store();
            }
            connected.end(&self.broker, now, cause, effects);
        }
        self.phase = Phase::Closing {
            cause,
            last: Box::new(last),
        };
    }

    /// What to do next. `waker` is woken when there is something to do and nothing was before.
    pub fn poll_output(&mut self, now: Timestamp, waker: &Waker, effects: &mut Effects) -> Output {
        if let Phase::Connected(connected) = &mut self.phase {
            match connected.poll_output(&self.broker, now, waker, effects) {
                Ok(Some(outbox)) => return Output::Write(outbox),
                Ok(None) => return Output::Idle,
                Err(cause) => self.close(now, cause, effects),
            }
        }
        if let Phase::Deciding(deciding) = &mut self.phase
            && !deciding.outbox.is_empty()
        {
            return Output::Write(core::mem::take(&mut deciding.outbox));
        }
        let Phase::Closing { cause, last } = &mut self.phase else {
            return Output::Idle;
        };
        if core::mem::take(&mut last.farewell) {
            last.put_disconnect(*cause, &self.broker);
        }
        last.said = true;
        if last.outbox.is_empty() {
            return Output::Close(*cause);
        }
        Output::Write(core::mem::take(&mut last.outbox))
    }

    fn connected(&self) -> Option<&Connected> {
        match &self.phase {
            Phase::Connected(connected) => Some(connected),
            _ => None,
        }
    }
}

impl Drop for Connection {
    /// A connection whose driver was cancelled must not keep its session for ever. It ends as if it
    /// had been lost when the client was last heard, except that the store does not learn of it.
    fn drop(&mut self) {
        if let Phase::Connected(connected) = &self.phase {
            let now = connected.session.heard();
            let mut effects = Effects::uncommitted();
            self.close(now, CloseCause::ConnectionLost, &mut effects);
            self.broker.note_not_forwarded(effects.crossing.messages());
            effects.wake();
        }
    }
}

impl Connected {
    #[inline(always)]
    fn handle_packet(
        &mut self,
        packet: &Packet<'_>,
        context: &mut Context<'_>,
    ) -> Result<(), CloseCause> {
        let is_early = !self.greeted && self.authenticated().is_some();
        if is_early && !matches!(packet, Packet::Disconnect(_)) {
            return Err(CloseCause::Protocol(Violation::BeforeConnAck));
        }
        match packet {
            Packet::Publish(publish) => {
                self.count_publish(context.now, context.broker);
                self.handle_publish(publish, context)
            }
            Packet::PubAck(puback) => self.handle_puback(puback, context),
            Packet::PubRec(pubrec) => self.handle_pubrec(pubrec, context),
            Packet::PubRel(pubrel) => {
                self.handle_pubrel(pubrel, context);
                Ok(())
            }
            Packet::PubComp(pubcomp) => self.handle_pubcomp(pubcomp, context),
            Packet::Subscribe(subscribe) => self.handle_subscribe(subscribe, context),
            Packet::Unsubscribe(unsubscribe) => self.handle_unsubscribe(unsubscribe, context),
            Packet::PingReq => {
                context.reply(|replies| Packet::PingResp.encode(self.version, replies));
                if let Some(client) = &self.noticed(context.broker, EventSet::PINGREQ) {
                    self.notify(&Event::PingReq { client }, context);
                }
                Ok(())
            }
            Packet::Disconnect(disconnect) => Err(self.handle_disconnect(disconnect, context)),
            Packet::Connect(_) => Err(CloseCause::Protocol(Violation::SecondConnect)),
            Packet::Auth(auth) => self.handle_auth(auth, context),
            Packet::ConnAck(_) | Packet::SubAck(_) | Packet::UnsubAck(_) | Packet::PingResp => {
                Err(CloseCause::Protocol(Violation::ServerPacket))
            }
        }
    }

    fn poll_output(
        &mut self,
        broker: &Arc<Broker>,
        now: Timestamp,
        waker: &Waker,
        effects: &mut Effects,
    ) -> Result<Option<Outbox>, CloseCause> {
        let mut state = self.session.state_unsettled();
        self.check_hold(&state)?;
        if let Some(replays) = state.replays.take() {
            drop(state);
            self.replay(replays, broker, now, effects);
            state = self.session.state_unsettled();
            self.check_hold(&state)?;
        }
        if state.outgoing.has_tail() {
            drop(state);
            self.refill(broker, waker)?;
            state = self.session.state_unsettled();
            self.check_hold(&state)?;
        }
        if let Some(link) = &mut state.link
            && link.reauthorize
        {
            drop(state);
            self.start_reauthorization(broker, now, effects);
            state = self.session.state_unsettled();
            self.check_hold(&state)?;
        }
        self.session.advance(&mut state, broker.rules(now), effects);
        if broker.asks_to_forward() {
            drop(state);
            self.forward(broker, now, waker, effects);
            state = self.session.state_unsettled();
            self.check_hold(&state)?;
            self.look_again(&mut state, broker.rules(now), waker, effects);
        }
        let asleep = state.outbox.is_empty();
        let replays = state.replays.as_ref().filter(|_| asleep);
        if replays.is_some_and(|replays| replays.may_go_on(&state, broker.rules(now))) {
            // Nothing was found yet, but the search is not over: let others run first.
            waker.wake_by_ref();
        }
        if let Some(link) = &mut state.link {
            link.rest(waker, asleep);
        }
        self.greeted |= !asleep;
        let given_out = self.session.give_out(&mut state);
        if let Some(replays) = state.replays.take_if(|_| !asleep) {
            // Nobody has put anything into the next outbox so far.
            drop(state);
            self.replay(replays, broker, now, effects);
        }
        Ok(given_out)
    }

    /// Whether the session is still this connection's and the broker lets it go on.
    fn check_hold(&self, state: &State) -> Result<(), CloseCause> {
        let asked = state.link.as_ref().and_then(|link| link.close);
        if state.is_current(self.epoch) {
            asked.map_or(Ok(()), Err)
        } else {
            Err(asked
                .filter(|_| state.ended)
                .unwrap_or(CloseCause::TakenOver))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::BrokerOptions;
    use mqtt_codec::{Connect, PacketId, Publish, QoS};

    /// [MQTT-3.14.4-1]: for a driver that goes on while a commit is under way.
    #[test]
    fn a_reply_that_comes_after_the_last_words_is_not_sent() {
        let broker = Broker::new(BrokerOptions::default());
        let mut effects = Effects::new();
        let now = Timestamp::from_millis(1);
        let mut connection = Connection::new(&broker, now);
        let connect = Connect::new(Version::V5, "client");
        connection.handle_packet(now, Packet::Connect(connect), &mut effects);
        connection.handle_committed_now(now, &mut effects);
        let written = connection.poll_output(now, Waker::noop(), &mut effects);
        assert!(matches!(written, Output::Write(_)), "CONNACK");

        let publish = Publish {
            qos: QoS::AtLeastOnce,
            packet_id: Some(PacketId::MIN),
            ..Publish::new("a", b"x")
        };
        connection.handle_packet(now, Packet::Publish(publish), &mut effects);
        let ticket = effects.take_ticket();
        connection.close(now, CloseCause::ServerShutdown, &mut effects);
        let written = connection.poll_output(now, Waker::noop(), &mut effects);
        assert!(matches!(written, Output::Write(_)), "DISCONNECT");
        connection.handle_committed(now, ticket, &mut effects);
        let end = connection.poll_output(now, Waker::noop(), &mut effects);
        assert!(matches!(end, Output::Close(CloseCause::ServerShutdown)));
    }
}
