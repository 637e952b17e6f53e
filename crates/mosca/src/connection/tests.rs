//! The task of one connection, over a stream that gives and takes what a test says.

use std::collections::VecDeque;
use std::io;
use std::mem;
use std::net::SocketAddr;
use std::task::Waker;

use broker_core::{
    AuthenticationExchange, AuthenticationMethod, AuthenticationRequest, AuthenticationStep,
    Broker, BrokerOptions, Effects, Verdict,
};
use mqtt_codec::{
    Connect, Decoded, OwnedPacket, Packet, PacketId, Properties, PropertiesBuf, Property, Publish,
    QoS, Subscribe, SubscribeFiltersBuf, SubscriptionOptions, Version, decode,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::input::version_named;
use super::reading::LARGE_PACKET;
use super::*;
use crate::clock::Clock;
use crate::network::Stream;
use crate::peer::Address;
use crate::worker::READ_BYTES_MAX;

/// What comes in pieces, one for each read; then nothing more, and no end. What is written is kept,
/// and taken in portions no larger than `takes`.
#[derive(Default)]
pub(super) struct Script {
    pub(super) pieces: VecDeque<Vec<u8>>,
    pub(super) written: Vec<u8>,
    takes: usize,
    /// Bytes that it takes until it takes no more.
    pub(super) room: usize,
}

impl AsyncRead for Script {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Some(mut piece) = self.pieces.pop_front() else {
            return Poll::Pending;
        };
        let rest = piece.split_off(piece.len().min(buffer.remaining()));
        buffer.put_slice(&piece);
        if !rest.is_empty() {
            self.pieces.push_front(rest);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Script {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.room == 0 {
            return Poll::Pending;
        }
        let taken = bytes.len().min(self.takes).min(self.room);
        self.room -= taken;
        self.written.extend_from_slice(&bytes[..taken]);
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl Stream for Script {}

impl Network for Script {
    type Peer = Address;

    fn owes_farewell(&self) -> bool {
        false
    }
}

pub(super) fn shared() -> Arc<Shared> {
    shared_with(BrokerOptions::default())
}

pub(super) fn shared_with(options: BrokerOptions) -> Arc<Shared> {
    Arc::new(Shared::new(Broker::new(options), None, Clock::start(), 1))
}

pub(super) fn driver(shared: &Arc<Shared>, pieces: Vec<Vec<u8>>, takes: usize) -> Driver<Script> {
    let script = Script {
        pieces: pieces.into(),
        takes,
        room: usize::MAX,
        ..Script::default()
    };
    let peer = Address::from(SocketAddr::from(([127, 0, 0, 1], 1)));
    Driver::new(script, peer, Arc::clone(shared), 0)
}

/// What the broker writes when the input comes in these pieces.
fn replies(pieces: Vec<Vec<u8>>, takes: usize) -> Vec<u8> {
    let shared = shared();
    let mut driver = driver(&shared, pieces, takes);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        let ended = Pin::new(&mut driver).poll(&mut context).is_ready();
        if ended || driver.stream.pieces.is_empty() {
            // For what the last piece has brought about; a publisher first lets its receivers pass, twice.
            let _last =
                ended || (0..3).any(|_| Pin::new(&mut driver).poll(&mut context).is_ready());
            assert!(driver.partial.len() == 0, "all packets are whole");
            assert_eq!(driver.partial.capacity(), 0, "what is idle owns no memory");
            return mem::take(&mut driver.stream.written);
        }
    }
}

/// A client that subscribes to what it publishes, with packets of all sizes.
fn conversation(version: Version) -> Vec<u8> {
    let mut filters = SubscribeFiltersBuf::new();
    let exactly_once = SubscriptionOptions::new(QoS::ExactlyOnce);
    filters.push("a/+", exactly_once).unwrap();
    let id = PacketId::MIN;
    let subscribe = Subscribe {
        packet_id: id,
        properties: Properties::EMPTY,
        filters: filters.as_filters(),
    };
    let payload = [b'x'; 200];
    let small = Publish::new("a/b", b"");
    let large = Publish {
        qos: QoS::AtLeastOnce,
        packet_id: Some(id),
        ..Publish::new("a/c", &payload)
    };
    let mut bytes = Vec::new();
    for packet in [
        Packet::Connect(Connect::new(version, "client")),
        Packet::Subscribe(subscribe),
        Packet::Publish(small),
        Packet::Publish(large),
        Packet::PingReq,
    ] {
        packet.encode(version, &mut bytes).unwrap();
    }
    bytes
}

/// Messages and answers, each in their order: how they mix depends on what one read brings.
fn sorted(mut bytes: &[u8], version: Version) -> (Vec<OwnedPacket>, Vec<OwnedPacket>) {
    let mut packets = Vec::new();
    while !bytes.is_empty() {
        let Decoded::Packet { packet, size } = decode(bytes, version, usize::MAX).unwrap() else {
            panic!("half of a packet was written");
        };
        packets.push(OwnedPacket::from(packet));
        bytes = &bytes[size..];
    }
    assert!(matches!(packets[0], OwnedPacket::ConnAck(_)));
    packets
        .into_iter()
        .partition(|packet| matches!(packet, OwnedPacket::Publish(_)))
}

#[tokio::test]
async fn the_replies_are_the_same_wherever_the_input_is_cut() {
    for version in [Version::V31, Version::V311, Version::V5] {
        let input = conversation(version);
        let expected = sorted(&replies(vec![input.clone()], usize::MAX), version);
        assert_eq!((expected.0.len(), expected.1.len()), (2, 4));
        for cut in 1..input.len() {
            let (front, back) = input.split_at(cut);
            let replies = replies(vec![front.to_vec(), back.to_vec()], usize::MAX);
            assert_eq!(sorted(&replies, version), expected, "cut at {cut}");
        }
        let bytes = input.iter().map(|byte| vec![*byte]).collect();
        assert_eq!(
            sorted(&replies(bytes, 1), version),
            expected,
            "byte by byte"
        );
    }
}

#[tokio::test]
async fn packets_around_the_size_of_the_buffer_come_through_wherever_they_are_cut() {
    let near = |size: usize| [size - 1, size, size + 1];
    let sizes = [
        near(LARGE_PACKET),
        near(PARTIAL_SMALL),
        near(READ_BYTES),
        near(READ_BYTES_MAX),
        near(3 * READ_BYTES_MAX),
    ];
    for size in sizes.into_iter().flatten() {
        let payload: Vec<u8> = (0..size).map(|at| at.to_le_bytes()[0]).collect();
        let publish = Publish {
            qos: QoS::AtLeastOnce,
            packet_id: Some(PacketId::MIN),
            ..Publish::new("topic", &payload)
        };
        let version = Version::V311;
        let mut input = Vec::new();
        for packet in [
            Packet::Connect(Connect::new(version, "client")),
            Packet::Publish(publish),
            Packet::PingReq,
        ] {
            packet.encode(version, &mut input).unwrap();
        }
        let expected = [&[0x20, 2, 0, 0][..], &[0x40, 2, 0, 1], &[0xD0, 0]].concat();
        let cuts = [
            1,
            20,
            100,
            PARTIAL_SMALL,
            READ_BYTES,
            READ_BYTES_MAX,
            input.len() - 3,
            input.len() - 1,
        ];
        for cut in cuts.into_iter().filter(|cut| *cut < input.len()) {
            let (front, back) = input.split_at(cut);
            let pieces = vec![front.to_vec(), back.to_vec()];
            assert_eq!(replies(pieces, usize::MAX), expected, "{size} cut at {cut}");
        }
        let steps = input.chunks(1_000).map(<[u8]>::to_vec).collect();
        assert_eq!(replies(steps, 3), expected, "{size} in steps");
    }
}

/// A large packet gets memory for what has come of it, not for what it announces.
#[tokio::test]
async fn an_announced_packet_owns_no_more_than_twice_what_has_come() {
    let options = BrokerOptions {
        max_packet_size_bytes: u32::MAX,
        ..BrokerOptions::default()
    };
    let shared = Arc::new(Shared::new(Broker::new(options), None, Clock::start(), 1));
    let version = Version::V5;
    let mut input = Vec::new();
    let connect = Connect::new(version, "client");
    Packet::Connect(connect)
        .encode(version, &mut input)
        .unwrap();
    input.extend([0x30, 0xFF, 0xFF, 0xFF, 0x7F, 0, 1, b'a', 0]);
    let mut driver = driver(&shared, vec![input], usize::MAX);
    let mut context = Context::from_waker(Waker::noop());
    let mut sent = 0;
    for step in [1, 1_000, 40_000, 100_000, 1_000_000, 3_000_000] {
        driver.stream.pieces.push_back(vec![b'x'; step]);
        while !driver.stream.pieces.is_empty() {
            assert!(Pin::new(&mut driver).poll(&mut context).is_pending());
        }
        sent += step;
        let owned = driver.partial.capacity();
        assert!(owned <= 2 * sent + READ_BYTES, "{owned} bytes for {sent}");
        assert!(driver.partial.len() >= sent);
    }
}

/// A method that never comes to a verdict.
struct Undecided;

impl AuthenticationMethod for Undecided {
    fn name(&self) -> &str {
        "UNDECIDED"
    }

    fn begin(&self, _client: &AuthenticationRequest<'_>) -> Box<dyn AuthenticationExchange> {
        Box::new(Self)
    }
}

impl AuthenticationExchange for Undecided {
    fn step(self: Box<Self>, _data: Option<Vec<u8>>) -> Verdict<AuthenticationStep> {
        Verdict::pending(std::future::pending())
    }
}

/// Whoever has not shown who he is makes the server keep no more than one buffer of what he sends.
#[tokio::test]
async fn what_comes_during_a_pending_verdict_is_kept_up_to_a_limit() {
    let options = BrokerOptions {
        authentication_methods: vec![Arc::new(Undecided)],
        ..BrokerOptions::default()
    };
    let shared = shared_with(options);
    let mut properties = PropertiesBuf::new();
    properties
        .push(Property::AuthenticationMethod("UNDECIDED"))
        .unwrap();
    let name = "u".repeat(2 * LARGE_PACKET);
    let cases = [
        (None, 0),
        (None, 100),
        (None, READ_BYTES),
        (Some(name.as_str()), READ_BYTES_MAX),
    ];
    for (username, behind) in cases {
        let connect = Connect {
            properties: properties.as_properties(),
            username,
            ..Connect::new(Version::V5, "client")
        };
        let mut input = Vec::new();
        connect.encode(Version::V5, &mut input).unwrap();
        input.resize(input.len() + behind, 0xC0);
        let rest = input.split_off(5);
        let mut driver = driver(&shared, vec![input, rest], usize::MAX);
        let mut context = Context::from_waker(Waker::noop());
        for _ in 0..50 {
            driver.stream.pieces.push_back(vec![0xC0; 5_000]);
            assert!(Pin::new(&mut driver).poll(&mut context).is_pending());
            assert!(driver.connection.is_deciding());
            assert!(driver.partial.len() <= READ_BYTES);
        }
        assert!(driver.partial.len() >= PARTIAL_SMALL);
        let left: usize = driver.stream.pieces.iter().map(Vec::len).sum();
        assert!(left > 100_000, "{left} bytes were left unread");
    }
}

/// The version is told although the rest of CONNECT is wrong, or not there.
#[test]
fn the_version_of_a_connect_is_found_by_its_name_and_level() {
    let cases: [(&[u8], Option<Version>); 9] = [
        (b"\x10\x0C\0\x04MQTT\x05\xFF", Some(Version::V5)),
        (b"\x10\x8C\x01\0\x04MQTT\x04", Some(Version::V311)),
        (b"\x10\x0C\0\x06MQIsdp\x03", Some(Version::V31)),
        (b"\x10\x0C\0\x06MQIsdp\x05", None),
        (b"\x10\x0C\0\x04MQTT", None),
        (b"\x10\x0C\0\x05MQTT\x05", None),
        (b"\x10\x0C\0", None),
        (b"\x20\x0C\0\x04MQTT\x05", None),
        (b"", None),
    ];
    for (bytes, version) in cases {
        assert_eq!(version_named(bytes), version, "{bytes:x?}");
    }
}

/// A connection that waits for its next packet owns its task and nothing else, so every byte here is
/// paid once for each client. Tokio's part of a task is 112 bytes, and it rounds up to 128: with one
/// word more a task would take 384 bytes instead of 256.
#[test]
fn the_task_of_a_connection_is_small() {
    let bytes = size_of::<Driver<TcpStream>>();
    assert!(bytes <= 144, "{bytes} bytes");
}

/// The bytes of a CONNECT with a will.
fn connect_with_will() -> Vec<u8> {
    let mut bytes = Vec::new();
    let connect = Connect {
        will: Some(mqtt_codec::Will::new("will", b"gone")),
        ..Connect::new(Version::V311, "client")
    };
    Packet::Connect(connect)
        .encode(Version::V311, &mut bytes)
        .unwrap();
    bytes
}

pub(super) const CONNACK: [u8; 4] = [0x20, 2, 0, 0];

#[tokio::test]
async fn a_disconnect_that_came_before_the_next_connect_counts() {
    let shared = shared();
    let mut context = Context::from_waker(Waker::noop());
    let mut watch = |driver: &mut Driver<Script>| Pin::new(driver).poll(&mut context);
    let mut older = driver(&shared, vec![connect_with_will()], usize::MAX);
    assert!(watch(&mut older).is_pending());
    assert_eq!(older.stream.written, CONNACK);

    older.stream.pieces.push_back(vec![0xE0, 0]);
    let mut newer = driver(&shared, vec![connect_with_will()], usize::MAX);
    assert!(watch(&mut newer).is_pending());
    assert!(newer.stream.written.is_empty(), "it waits");
    assert!(watch(&mut older).is_ready());
    assert!(watch(&mut newer).is_pending());
    assert_eq!(newer.stream.written, CONNACK);
    let counters = shared.broker.counters();
    assert_eq!(counters.takeovers.get(), 0);
    let cause = older.connection.closing();
    assert!(matches!(cause, Some(CloseCause::Disconnected(_))));
}

/// Others have their turn between the steps of a large SUBSCRIBE, and what has come behind it is heard
/// after it: the DISCONNECT that drops the will.
#[tokio::test]
async fn a_disconnect_behind_a_subscribe_of_very_many_filters_counts() {
    const MANY: usize = 2_000;
    let shared = shared();
    let mut filters = SubscribeFiltersBuf::new();
    for number in 0..MANY {
        let options = SubscriptionOptions::new(QoS::AtMostOnce);
        filters.push(&format!("many/{number}"), options).unwrap();
    }
    let mut bytes = connect_with_will();
    let subscribe = Subscribe {
        packet_id: PacketId::MIN,
        properties: Properties::EMPTY,
        filters: filters.as_filters(),
    };
    let subscribe = Packet::Subscribe(subscribe);
    subscribe.encode(Version::V311, &mut bytes).unwrap();
    bytes.extend([0xC0, 0, 0xE0, 0]);
    let mut driver = driver(&shared, vec![bytes], usize::MAX);
    let mut turns = 0;
    std::future::poll_fn(|context| {
        turns += 1;
        Pin::new(&mut driver).poll(context)
    })
    .await;
    assert!(turns > 3, "{turns} turns");
    let cause = driver.connection.closing();
    assert!(matches!(cause, Some(CloseCause::Disconnected(_))));
    let suback_and_pong = 1 + 2 + 2 + MANY + 2;
    assert_eq!(driver.stream.written.len(), CONNACK.len() + suback_and_pong);
    while shared
        .broker
        .handle_timeout(shared.clock.now(), &mut Effects::new())
    {}
    assert_eq!(shared.broker.sizes().subscriptions, 0);
}

#[tokio::test]
async fn a_connection_that_has_nothing_to_say_loses_its_place_soon() {
    let shared = shared();
    let mut context = Context::from_waker(Waker::noop());
    let mut watch = |driver: &mut Driver<Script>| Pin::new(driver).poll(&mut context);
    let mut older = driver(&shared, vec![connect_with_will()], usize::MAX);
    assert!(watch(&mut older).is_pending());
    let ping = [connect_with_will(), vec![0xC0, 0]].concat();
    let mut newer = driver(&shared, vec![ping], usize::MAX);
    let answered = std::future::poll_fn(|context| {
        assert!(Pin::new(&mut newer).poll(context).is_pending());
        match newer.stream.written.is_empty() {
            true => Poll::Pending,
            false => Poll::Ready(()),
        }
    });
    let soon = tokio::time::timeout(Duration::from_secs(10), answered);
    soon.await.expect("it does not wait for ever");
    let answers = [&CONNACK[..], &[0xD0, 0]].concat();
    assert_eq!(newer.stream.written, answers, "what came behind CONNECT");
    assert_eq!(shared.broker.counters().takeovers.get(), 1);
    assert!(newer.partial.len() == 0);
}

/// The last words are the first that the socket does not take: nothing but time ends this.
#[tokio::test]
async fn a_client_that_does_not_take_the_last_words_is_left_in_time() {
    let shared = shared();
    shared.limit_farewell(Duration::from_millis(20));
    let mut connect = Vec::new();
    let version = Version::V5;
    Packet::Connect(Connect::new(version, "client"))
        .encode(version, &mut connect)
        .unwrap();
    let mut driver = driver(&shared, vec![connect], usize::MAX);
    let mut context = Context::from_waker(Waker::noop());
    assert!(Pin::new(&mut driver).poll(&mut context).is_pending());
    assert!(!driver.stream.written.is_empty(), "CONNACK");

    driver.stream.room = 0;
    shared.broker.shut_down(&mut broker_core::Effects::new());
    // A task of its own: the test's own timer must not wake it.
    let task = tokio::spawn(driver);
    let left = tokio::time::timeout(Duration::from_secs(10), task).await;
    left.expect("it does not wait for ever").unwrap();
    assert_eq!(shared.open_connections(), 0);
}

/// Asks one question, and lets in whoever answers.
struct Asking;

impl AuthenticationMethod for Asking {
    fn name(&self) -> &str {
        "ASKING"
    }

    fn begin(&self, _client: &AuthenticationRequest<'_>) -> Box<dyn AuthenticationExchange> {
        Box::new(Self)
    }
}

impl AuthenticationExchange for Asking {
    fn step(self: Box<Self>, data: Option<Vec<u8>>) -> Verdict<AuthenticationStep> {
        Verdict::Ready(match data {
            None => AuthenticationStep::Continue {
                data: None,
                next: self,
            },
            answer => AuthenticationStep::Accept {
                data: answer,
                user: None,
            },
        })
    }
}

/// It is connected without ever having taken anything, and hears nothing of the server's end unless
/// its task is woken for it.
#[tokio::test]
async fn a_client_that_has_not_taken_its_first_packet_is_left_in_time() {
    let options = BrokerOptions {
        authentication_methods: vec![Arc::new(Asking)],
        ..BrokerOptions::default()
    };
    let shared = shared_with(options);
    shared.limit_farewell(Duration::from_millis(20));
    let version = Version::V5;
    let mut properties = PropertiesBuf::new();
    let method = Property::AuthenticationMethod("ASKING");
    properties.push(method).unwrap();
    let mut input = vec![Vec::new(), Vec::new()];
    let connect = Connect {
        properties: properties.as_properties(),
        ..Connect::new(version, "client")
    };
    connect.encode(version, &mut input[0]).unwrap();
    properties.push(Property::AuthenticationData(b"x")).unwrap();
    let auth = mqtt_codec::Auth {
        reason_code: mqtt_codec::ReasonCode::ContinueAuthentication,
        properties: properties.as_properties(),
    };
    auth.encode(version, &mut input[1]).unwrap();
    let mut driver = driver(&shared, input, usize::MAX);
    driver.stream.room = 0;

    let task = tokio::spawn(driver);
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(shared.broker.sizes().sessions, 1, "it is connected");
    let mut effects = broker_core::Effects::new();
    shared.broker.shut_down(&mut effects);
    effects.wake();
    let left = tokio::time::timeout(Duration::from_secs(10), task).await;
    left.expect("it does not wait for ever").unwrap();
    assert_eq!(shared.open_connections(), 0);
}
