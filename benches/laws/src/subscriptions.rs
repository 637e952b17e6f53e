//! Filters that come and go, and many of one session that match the same topic.

use broker_core::BrokerOptions;
use instructions::packets;
use instructions::peer::{Peer, World};
use mqtt_codec::{
    Packet, PacketId, PropertiesBuf, Property, QoS, Subscribe, SubscribeFiltersBuf,
    SubscriptionOptions, Version,
};

use crate::law::{Law, Series, sizes};
use crate::matching::topic;
use crate::time;

const VERSION: Version = Version::V311;
const QOS: QoS = QoS::AtLeastOnce;

fn world() -> World {
    World::with_options(BrokerOptions {
        max_subscriptions_per_session: usize::MAX,
        ..BrokerOptions::default()
    })
}

/// `size` filters of sessions that have 1,000 each.
fn filled(world: &mut World, size: usize) -> Vec<Peer> {
    let filters: Vec<String> = (0..size).map(|at| topic(at / 10, at % 10)).collect();
    let mut peers = Vec::new();
    for (number, some) in filters.chunks(1_000).enumerate() {
        let some: Vec<&str> = some.iter().map(String::as_str).collect();
        peers.push(world.subscriber(VERSION, &format!("peer-{number}"), false, QOS, &some));
    }
    peers
}

/// One filter, while all sessions together have so many.
pub fn subscribe(max: usize) -> Law {
    let sizes = sizes(1_000, 1_000_000, max);
    let both = |name, filter: fn(usize) -> String| {
        Series::measure(name, &sizes, |size| {
            let mut world = world();
            let _others = filled(&mut world, size);
            let mut peer = world.connect(VERSION, "one", false);
            let pairs: Vec<_> = (0..500)
                .map(|number| {
                    let filter = filter(number * 7_919 % size);
                    (
                        packets::subscribe(VERSION, QOS, &[&filter]),
                        packets::unsubscribe(VERSION, &[&filter]),
                    )
                })
                .collect();
            let mut at = 0;
            time::each(|| {
                at = (at + 1) % pairs.len();
                for packet in [&pairs[at].0, &pairs[at].1] {
                    world.send(&mut peer, packet);
                    world.receive(&mut peer);
                }
            })
        })
    };
    Law {
        title: "Subscribe and unsubscribe",
        x: "subscriptions",
        y: "ns for both",
        series: vec![
            both("a filter of its own", |number| format!("own/{number}")),
            both("a filter that others have", |number| {
                topic(number / 10, number % 10)
            }),
            both("a filter with +", |number| format!("own/{number}/+/x")),
        ],
    }
}

/// A client with so many filters goes, which ends when the last of them has left the router, or cancels
/// them one by one.
pub fn leave(max: usize) -> Law {
    let sizes = sizes(100, 100_000, max);
    let filters = |size| -> Vec<String> { (0..size).map(|at| topic(at / 10, at % 10)).collect() };
    let prepare = |world: &mut World, size| {
        let filters = filters(size);
        let texts: Vec<&str> = filters.iter().map(String::as_str).collect();
        world.subscriber(VERSION, "one", false, QOS, &texts)
    };
    Law {
        title: "Leave with many subscriptions",
        x: "subscriptions of the client",
        y: "ns per subscription",
        series: vec![
            Series::measure("connection lost", &sizes, |size| {
                time::best(|| {
                    let mut world = world();
                    let mut peer = prepare(&mut world, size);
                    time::once(|| {
                        world.lose(&mut peer);
                        while world.handle_timeout() {}
                    }) / size as f64
                })
            }),
            Series::measure("unsubscribed one by one", &sizes, |size| {
                time::best(|| {
                    let mut world = world();
                    let mut peer = prepare(&mut world, size);
                    let filters = filters(size);
                    let packets: Vec<_> = filters
                        .iter()
                        .map(|filter| packets::unsubscribe(VERSION, &[filter]))
                        .collect();
                    time::once(|| {
                        for packet in &packets {
                            world.send(&mut peer, packet);
                            world.receive(&mut peer);
                        }
                    }) / size as f64
                })
            }),
        ],
    }
}

/// One session has many filters that match the topic, each with a subscription identifier.
pub fn overlap(max: usize) -> Law {
    const LEVELS: usize = 14;
    let sizes = sizes(1, 10_000, max);
    let cost = |size: usize, with_identifiers: bool| {
        let mut world = World::new();
        let mut peer = world.connect(Version::V5, "subscriber", false);
        for number in 0..size {
            // Each bit of the number says whether a level is `+`.
            let level = |bit: usize| if number >> bit & 1 == 1 { "+" } else { "a" };
            let levels: Vec<&str> = (0..LEVELS).map(level).chain(["#"]).collect();
            let subscribe = with_identifier(&levels.join("/"), number, with_identifiers);
            world.send(&mut peer, &subscribe);
            world.receive(&mut peer);
        }
        let mut publisher = world.connect(Version::V5, "publisher", false);
        // Another topic each time, so that the router is asked and no receivers are remembered.
        let topic = vec!["a"; LEVELS].join("/");
        let publishes: Vec<_> = (0..1_000)
            .map(|number| format!("{topic}/{number}"))
            .map(|topic| packets::publish(Version::V5, QoS::AtMostOnce, &topic, false))
            .collect();
        let mut at = 0;
        let ns = time::each(|| {
            at = (at + 1) % publishes.len();
            world.send(&mut publisher, &publishes[at]);
            world.receive(&mut peer);
            assert!(!peer.received.is_empty());
        });
        ns / size as f64
    };
    Law {
        title: "Publish to one session with many matching filters",
        x: "matching filters",
        y: "ns per filter",
        series: vec![
            Series::measure("with identifiers", &sizes, |size| cost(size, true)),
            Series::measure("without identifiers", &sizes, |size| cost(size, false)),
        ],
    }
}

fn with_identifier(filter: &str, number: usize, with_identifiers: bool) -> Vec<u8> {
    let mut properties = PropertiesBuf::new();
    if with_identifiers {
        let identifier = Property::SubscriptionIdentifier(number as u32 + 1);
        properties.push(identifier).expect("a property that fits");
    }
    let mut filters = SubscribeFiltersBuf::new();
    let options = SubscriptionOptions::new(QoS::AtMostOnce);
    filters.push(filter, options).expect("a filter that fits");
    let subscribe = Subscribe {
        packet_id: PacketId::MIN,
        properties: properties.as_properties(),
        filters: filters.as_filters(),
    };
    packets::bytes(Version::V5, Packet::Subscribe(subscribe))
}
