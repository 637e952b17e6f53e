//! Clients that send faster than they may, over real sockets: nothing is lost, and nobody else waits.

use std::time::{Duration, Instant};

use mosca::{Rate, Server};
use mqtt_codec::{
    Connect, Disconnect, OwnedPacket, Packet, Publish, QoS, ReasonCode, Version, Will,
};
use tokio::io::AsyncWriteExt as _;

use crate::client::{Client, encoded, start, wait_for_connections};
use crate::log::Log;

/// The server's clock counts whole milliseconds.
const TICK: Duration = Duration::from_millis(1);

/// Everything in one write, and the end of the stream behind it: what is not read in a pause is not lost.
#[tokio::test]
async fn messages_beyond_the_rate_come_when_it_is_their_time() {
    const EACH: Duration = Duration::from_millis(50);
    let (log, _guard) = Log::begin();
    let builder = Server::builder().broker(|options| {
        options.max_publish_rate = Some(Rate::per_sec(20).with_burst(5));
    });
    let server = start(builder).await;
    let mut receiver = Client::connect(&server, Version::V5, "receiver").await;
    receiver.subscribe("#", QoS::AtMostOnce).await;
    let mut bystander = Client::connect(&server, Version::V311, "bystander").await;

    let connect = Connect {
        will: Some(Will::new("will", b"gone")),
        ..Connect::new(Version::V311, "fast")
    };
    let mut all = encoded(Packet::Connect(connect), Version::V311);
    for number in 0..12 {
        let publish = Publish::new("a", std::slice::from_ref(&number));
        all.extend(encoded(Packet::Publish(publish), Version::V311));
    }
    let disconnect = Disconnect::new(ReasonCode::Success);
    all.extend(encoded(Packet::Disconnect(disconnect), Version::V311));
    let begun = Instant::now();
    let mut fast = Client::open(&server, Version::V311).await;
    fast.write(&all).await;
    fast.stream.shutdown().await.unwrap();
    for number in 0..12_u8 {
        let OwnedPacket::Publish(publish) = receiver.receive().await else {
            panic!("PUBLISH comes");
        };
        assert_eq!(publish.as_publish().payload, [number]);
        let earliest = EACH * u32::from(number).saturating_sub(4);
        assert!(begun.elapsed() + TICK >= earliest, "{number} came too soon");
        bystander.ping().await;
    }
    assert!(matches!(fast.next().await, Some(OwnedPacket::ConnAck(_))));
    assert_eq!(fast.next().await, None);
    wait_for_connections(&server, 2).await;
    // One for each of the last eight, or fewer on a machine that lets them wait for longer.
    assert!((1..=8).contains(&server.counters().publish_rate_waits.get()));
    assert_eq!(server.counters().store_waits.get(), 0);
    let lines = log.take();
    let told = lines.iter().filter(|line| line.contains("sends too fast"));
    assert_eq!(told.count(), 1, "the log says it once: {lines:#?}");
    // DISCONNECT was read, and so there is no will.
    receiver.ping().await;
}

#[tokio::test]
async fn bytes_beyond_the_rate_are_not_read_before_it_is_their_time() {
    const PACKETS: usize = 50;
    const PAYLOAD: usize = 100_000;
    const EACH_SEC: u32 = 10_000_000;
    let builder = Server::builder().broker(|options| {
        options.max_receive_rate_bytes = Some(Rate::per_sec(EACH_SEC).with_burst(100_000));
    });
    let server = start(builder).await;
    let mut receiver = Client::connect(&server, Version::V311, "receiver").await;
    receiver.subscribe("#", QoS::AtMostOnce).await;
    let mut fast = Client::connect(&server, Version::V311, "fast").await;
    let publish = Publish::new("a", &[0; PAYLOAD]);
    let publish = encoded(Packet::Publish(publish), Version::V311);
    let begun = Instant::now();
    let writes = async {
        for _ in 0..PACKETS {
            fast.write(&publish).await;
        }
    };
    let reads = async {
        for _ in 0..PACKETS {
            assert!(matches!(receiver.receive().await, OwnedPacket::Publish(_)));
        }
    };
    tokio::join!(writes, reads);
    // At once came what may, one read of 256 KiB, and the last packet.
    let waited_for = PACKETS * PAYLOAD - 100_000 - (256 << 10) - 2 * publish.len();
    let earliest = Duration::from_secs_f64(waited_for as f64 / f64::from(EACH_SEC));
    assert!(begun.elapsed() + TICK >= earliest, "{:?}", begun.elapsed());
    assert!(server.counters().receive_rate_waits.get() > 0);
    fast.ping().await;
}
