//! Random packets, valid and not, on several live connections of one broker, while time passes,
//! connections break, and the store fails or crashes.
//!
//! After every step the broker's own invariants are checked, and on each connection what a client
//! can see of them: no packet identifier is used twice, windows are respected, no packet is larger
//! than the client takes, and each topic alias stands for a topic and is one that the client takes. At the end everybody goes for ever, and nothing may be left.

mod obedient;

#[allow(dead_code)]
#[path = "../../crates/broker-core/tests/scenarios/harness/ledger.rs"]
mod ledger;
#[allow(dead_code)]
#[path = "../../crates/broker-core/tests/scenarios/harness/net.rs"]
mod net;
#[allow(dead_code)]
#[path = "../../crates/broker-core/tests/scenarios/harness/store.rs"]
mod store;

use std::sync::Arc;
use std::time::Duration;

use broker_core::{BrokerOptions, MessageParts, ShareStrategy, Timestamp};
use mqtt_codec::{
    Auth, Connect, Disconnect, OwnedPacket, Packet, PacketId, PayloadFormat, PropertiesBuf,
    Property, PubAck, PubComp, PubRec, PubRel, Publish, QoS, ReasonCode, RetainHandling, Subscribe,
    SubscribeFiltersBuf, SubscriptionOptions, Unsubscribe, UnsubscribeFiltersBuf, Version, Will,
};

use net::Net;
use obedient::{METHOD, Obedient};
use store::{Mood, Store};

const CLIENTS: [&str; 4] = ["", "c1", "c2", "c3"];
const TOPICS: [&str; 6] = ["a", "a/b", "b", "a/b/c", "$x/a", "gone"];
/// Long enough for aliases; the same filters match them.
const LONG_TOPICS: [&str; 6] = ["a/long", "a/longer", "b/long", "a/b/c", "$x/a", "gone"];
const FILTERS: [&str; 9] = [
    "a",
    "a/+",
    "a/#",
    "#",
    "+/b",
    "$x/#",
    "gone",
    "$share/g/a",
    "a/#/b",
];
/// What is asked for in place of the one shared filter above: inputs that were found before there
/// were several mean what they meant.
const SHARED: [&str; 3] = ["$share/g/a", "$share/g/+", "$share/h/#"];
const STRATEGIES: [ShareStrategy; 4] = [
    ShareStrategy::RoundRobin,
    ShareStrategy::Random,
    ShareStrategy::Sticky,
    ShareStrategy::LeastInflight,
];
const STEPS_MAX: usize = 300;

/// Takes the input apart, byte by byte.
struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// A number below `bound`; 0 when the input is over.
    fn below(&mut self, bound: usize) -> usize {
        usize::from(self.byte().unwrap_or(0)) % bound
    }

    fn flag(&mut self) -> bool {
        self.below(2) == 1
    }

    fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    fn qos(&mut self) -> QoS {
        self.one_of(&[QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce])
    }

    /// A filter. Which one of several shared ones is for the caller to say.
    fn filter(&mut self, which: usize) -> &'static str {
        match self.one_of(&FILTERS) {
            "$share/g/a" => SHARED[which % SHARED.len()],
            filter => filter,
        }
    }

    fn id(&mut self) -> PacketId {
        PacketId::new(1 + self.below(12) as u16).unwrap_or(PacketId::MIN)
    }
}

/// The clients' end of the lines.
struct Play<'a> {
    input: Input<'a>,
    net: Net,
    store: Option<Arc<Store>>,
    lines: [usize; 4],
    /// Whether clients use topic aliases and say what their payloads are.
    aliases: bool,
    /// Whether some clients name the authentication method.
    authenticates: bool,
}

/// The method, nearly always the one there is, and data.
fn put_method(input: &mut Input<'_>, properties: &mut PropertiesBuf) {
    let method = if input.below(16) == 0 { "N" } else { METHOD };
    let _ = properties.push(Property::AuthenticationMethod(method));
    let data = [input.byte().unwrap_or(0); 40];
    let length = input.one_of(&[0, 1, 2, 40]);
    if length > 0 {
        let _ = properties.push(Property::AuthenticationData(&data[..length]));
    }
}

/// Plays what `data` says.
pub fn packets(data: &[u8]) {
    let strategy = usize::from(data.last().copied().unwrap_or(0)) % STRATEGIES.len();
    let mut input = Input(data);
    // Bits of the first byte, and no bytes of their own where there are none: inputs that were found
    // before there were aliases mean what they meant.
    let first = input.byte().unwrap_or(0);
    let aliases = first & 0x60 != 0;
    let authenticates = first & 0x50 == 0x50;
    let options = BrokerOptions {
        max_inflight: 1 + u16::from(first % 4),
        receive_maximum: 2,
        max_queued_messages: 1 + input.below(10),
        max_queued_bytes: input.one_of(&[60, 10_000]),
        max_outbox_bytes: input.one_of(&[30, 1_000, 1 << 20]),
        max_retained_messages: 3,
        max_subscriptions_per_session: 4,
        max_packet_size_bytes: 6_000,
        authentication_methods: vec![Arc::new(Obedient)],
        max_authentication_rounds: 3,
        max_sessions: input.one_of(&[3, 100]),
        topic_alias_maximum: 3,
        outbound_topic_alias_maximum: if first & 0x40 != 0 { 2 } else { 100 },
        check_payload_format: aliases && first & 0x80 != 0,
        topic_cache_entries: input.below(3),
        shared_subscription_strategy: STRATEGIES[strategy],
        ..BrokerOptions::default()
    };
    let (net, store) = if input.flag() {
        let (net, store) = Net::with_store(options);
        (net, Some(store))
    } else {
        (Net::with(options), None)
    };
    let lines = [net.open(), net.open(), net.open(), net.open()];
    let mut play = Play {
        input,
        net,
        store,
        lines,
        aliases,
        authenticates,
    };
    for _ in 0..STEPS_MAX {
        let Some(step) = play.input.byte() else { break };
        play.step(step);
    }
}

impl Play<'_> {
    fn step(&mut self, step: u8) {
        let slot = usize::from(step >> 6);
        if self.net.closed(self.lines[slot]).is_some() {
            self.lines[slot] = self.net.open();
        }
        let line = self.lines[slot];
        match step & 0x3F {
            0..8 => self.connect(line),
            8..15 => self.subscribe(line),
            15..17 => self.unsubscribe(line),
            17..32 => self.publish(line),
            32..40 => drop(self.answer(line)),
            40..44 => while self.answer(line) {},
            46..48 if self.authenticates => self.authenticate(line),
            44..48 => self.acknowledge_anything(line),
            48..51 => self.send_raw(line),
            51..53 => self.send_damaged(line),
            53..56 => self.pass_time(),
            56..60 => self.end(line),
            60..62 => self.disturb_store(),
            62 => self.net.set_reads(line, self.input.flag()),
            _ => self.broker_publishes(),
        }
    }

    fn connect(&mut self, line: usize) {
        let input = &mut self.input;
        let version = input.one_of(&[Version::V31, Version::V311, Version::V5, Version::V5]);
        let mut properties = PropertiesBuf::new();
        let mut will_properties = PropertiesBuf::new();
        if version.is_v5() {
            let expiry = input.one_of(&[0, 1, 100, u32::MAX]);
            let _ = properties.push(Property::SessionExpiryInterval(expiry));
            if input.flag() {
                let _ = properties.push(Property::ReceiveMaximum(1 + input.below(3) as u16));
            }
            if input.flag() {
                let bytes = 8 + input.below(60) as u32;
                let _ = properties.push(Property::MaximumPacketSize(bytes));
            }
            if self.aliases && input.flag() {
                let _ = properties.push(Property::TopicAliasMaximum(input.one_of(&[1, 1, 2, 40])));
            }
            if self.authenticates && input.below(4) != 0 {
                put_method(input, &mut properties);
            }
            let delay = input.one_of(&[0, 1, 50]);
            let _ = will_properties.push(Property::WillDelayInterval(delay));
        }
        let will = Will {
            qos: input.qos(),
            retain: input.flag(),
            properties: will_properties.as_properties(),
            ..Will::new("gone", b"w")
        };
        let connect = Connect {
            clean_start: input.below(4) == 0,
            keep_alive: input.one_of(&[0, 1, 10]),
            will: input.flag().then_some(will),
            properties: properties.as_properties(),
            ..Connect::new(version, input.one_of(&CLIENTS))
        };
        self.net.send(line, &Packet::Connect(connect));
    }

    fn authenticate(&mut self, line: usize) {
        let mut properties = PropertiesBuf::new();
        put_method(&mut self.input, &mut properties);
        let reason_code = self.input.one_of(&[
            ReasonCode::ContinueAuthentication,
            ReasonCode::ReAuthenticate,
            ReasonCode::ContinueAuthentication,
            ReasonCode::Success,
        ]);
        let auth = Auth {
            reason_code,
            properties: properties.as_properties(),
        };
        if self.net.version(line).is_v5() {
            self.net.send(line, &Packet::Auth(auth));
        }
    }

    fn subscribe(&mut self, line: usize) {
        let input = &mut self.input;
        let mut filters = SubscribeFiltersBuf::new();
        for _ in 0..=input.below(2) {
            let options = SubscriptionOptions {
                no_local: input.below(4) == 0,
                retain_as_published: input.flag(),
                retain_handling: input.one_of(&[
                    RetainHandling::Send,
                    RetainHandling::SendIfNew,
                    RetainHandling::DoNotSend,
                ]),
                ..SubscriptionOptions::new(input.qos())
            };
            let which = options.retain_handling as usize;
            let _ = filters.push(input.filter(which), options);
        }
        let mut properties = PropertiesBuf::new();
        if input.flag() {
            let _ = properties.push(Property::SubscriptionIdentifier(1 + input.below(3) as u32));
        }
        let subscribe = Subscribe {
            packet_id: input.id(),
            properties: properties.as_properties(),
            filters: filters.as_filters(),
        };
        self.net.send(line, &Packet::Subscribe(subscribe));
    }

    fn unsubscribe(&mut self, line: usize) {
        let mut filters = UnsubscribeFiltersBuf::new();
        let which = self.input.0.len();
        let _ = filters.push(self.input.filter(which));
        let unsubscribe = Unsubscribe {
            packet_id: self.input.id(),
            properties: mqtt_codec::Properties::EMPTY,
            filters: filters.as_filters(),
        };
        self.net.send(line, &Packet::Unsubscribe(unsubscribe));
    }

    fn publish(&mut self, line: usize) {
        let input = &mut self.input;
        let length = input.one_of(&[0, 1, 1, 10, 50, 4_100]);
        let mut properties = PropertiesBuf::new();
        if input.below(4) == 0 {
            let _ = properties.push(Property::MessageExpiryInterval(input.below(3) as u32));
        }
        let qos = input.qos();
        let dup = qos != QoS::AtMostOnce && input.flag();
        let retain = input.below(4) == 0;
        let packet_id = (qos != QoS::AtMostOnce).then(|| input.id());
        let topics = if self.aliases { LONG_TOPICS } else { TOPICS };
        let mut topic = input.one_of(&topics);
        if self.aliases && input.below(3) == 0 {
            let alias = input.one_of(&[1, 1, 1, 1, 2, 2, 3, 4]);
            let _ = properties.push(Property::TopicAlias(alias));
            topic = input.one_of(&[topic, ""]);
        }
        let is_text = self.aliases && input.below(4) == 0;
        if is_text {
            let _ = properties.push(Property::PayloadFormatIndicator(PayloadFormat::Utf8));
        }
        let payload = [if is_text {
            input.one_of(b"x\xFF")
        } else {
            b'x'
        }; 5_000];
        let publish = Publish {
            qos,
            dup,
            retain,
            packet_id,
            properties: properties.as_properties(),
            ..Publish::new(topic, &payload[..length])
        };
        if topic.is_empty() {
            // Only MQTT 5 can say it. On other connections it is nonsense.
            let mut bytes = Vec::new();
            if publish.encode(Version::V5, &mut bytes).is_ok() {
                self.net.send_raw(line, &bytes);
            }
        } else {
            self.net.send(line, &Packet::Publish(publish));
        }
    }

    /// Reads one packet, and answers as a client should. False if there was none.
    fn answer(&mut self, line: usize) -> bool {
        let Some(packet) = self.net.next(line) else {
            return false;
        };
        match packet {
            OwnedPacket::Publish(publish) => {
                let Some(id) = publish.packet_id else {
                    return true;
                };
                let answer = match (publish.qos, self.input.below(8)) {
                    (QoS::AtLeastOnce, _) => Packet::PubAck(PubAck::new(id)),
                    (_, 0) => Packet::PubRec(PubRec {
                        reason_code: ReasonCode::QuotaExceeded,
                        ..PubRec::new(id)
                    }),
                    _ => Packet::PubRec(PubRec::new(id)),
                };
                self.net.send(line, &answer);
            }
            OwnedPacket::PubRel(pubrel) => {
                self.net
                    .send(line, &Packet::PubComp(PubComp::new(pubrel.packet_id)));
            }
            OwnedPacket::PubRec(pubrec) if !pubrec.reason_code.is_error() => {
                self.net
                    .send(line, &Packet::PubRel(PubRel::new(pubrec.packet_id)));
            }
            _ => {}
        }
        true
    }

    fn acknowledge_anything(&mut self, line: usize) {
        let id = self.input.id();
        let packet = match self.input.below(5) {
            0 => Packet::PubAck(PubAck::new(id)),
            1 => Packet::PubRec(PubRec::new(id)),
            2 => Packet::PubRel(PubRel::new(id)),
            3 => Packet::PubComp(PubComp::new(id)),
            _ => Packet::PingReq,
        };
        self.net.send(line, &packet);
    }

    fn send_raw(&mut self, line: usize) {
        let length = self.input.below(20).min(self.input.0.len());
        let (bytes, rest) = self.input.0.split_at(length);
        self.input.0 = rest;
        self.net.send_raw(line, bytes);
    }

    /// A packet with one byte changed, or cut off.
    fn send_damaged(&mut self, line: usize) {
        let version = self.input.one_of(&[Version::V311, Version::V5]);
        let topic = self.input.one_of(&TOPICS);
        let publish = Publish {
            qos: QoS::AtLeastOnce,
            packet_id: Some(self.input.id()),
            ..Publish::new(topic, b"damaged")
        };
        let mut bytes = Vec::new();
        if publish.encode(version, &mut bytes).is_ok() {
            let at = self.input.below(bytes.len());
            match self.input.byte() {
                Some(0) | None => bytes.truncate(at),
                Some(byte) => bytes[at] ^= byte,
            }
        }
        self.net.send_raw(line, &bytes);
    }

    fn pass_time(&mut self) {
        let millis = self
            .input
            .one_of(&[1, 700, 1_500, 15_000, 60_000, 3_600_000]);
        if self.input.below(4) == 0 {
            self.net.sleep(Duration::from_millis(millis));
        } else {
            self.net.advance(Duration::from_millis(millis));
        }
    }

    fn end(&mut self, line: usize) {
        match self.input.below(6) {
            0 | 1 => self.net.lose(line),
            2 => self.net.cancel(line),
            3 => {
                let reason = ReasonCode::DisconnectWithWill;
                self.net
                    .send(line, &Packet::Disconnect(Disconnect::new(reason)));
            }
            4 => {
                let mut properties = PropertiesBuf::new();
                let expiry = self.input.one_of(&[0, 10, 1_000]);
                let _ = properties.push(Property::SessionExpiryInterval(expiry));
                let disconnect = Disconnect {
                    properties: properties.as_properties(),
                    ..Disconnect::new(ReasonCode::Success)
                };
                self.net.send(line, &Packet::Disconnect(disconnect));
            }
            _ => {
                let disconnect = Disconnect::new(ReasonCode::Success);
                self.net.send(line, &Packet::Disconnect(disconnect));
            }
        }
    }

    fn disturb_store(&mut self) {
        let Some(store) = &self.store else { return };
        match self.input.below(8) {
            0 => store.set_mood(Mood::Failing),
            1 | 2 => store.set_mood(Mood::Holding),
            3 => store.set_mood(Mood::Willing),
            4 | 5 if store.held() > 0 => store.let_go(self.input.below(store.held())),
            6 if store.held() > 0 => store.refuse_held(self.input.below(store.held())),
            7 => self.net.crash_and_restart(),
            _ => {}
        }
        self.net.run();
    }

    fn broker_publishes(&mut self) {
        self.net.broker_publishes(MessageParts {
            topic: "$SYS/x",
            properties: &[],
            payload: b"x",
            qos: self.input.qos(),
            retain: self.input.flag(),
            expires: Timestamp::MAX,
        });
    }
}
