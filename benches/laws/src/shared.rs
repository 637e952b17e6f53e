//! Shared subscriptions with many members.

use broker_core::{BrokerOptions, ShareStrategy};
use instructions::packets;
use instructions::peer::{Peer, World};
use mqtt_codec::{QoS, Version};

use crate::law::{Law, Series, sizes};
use crate::time;

const VERSION: Version = Version::V5;
const QOS: QoS = QoS::AtLeastOnce;
const TOPIC: &str = "jobs/new";
const FILTER: &str = "$share/workers/jobs/new";

const STRATEGIES: [(&str, ShareStrategy); 4] = [
    ("in turn", ShareStrategy::RoundRobin),
    ("at random", ShareStrategy::Random),
    ("sticky", ShareStrategy::Sticky),
    ("fewest under way", ShareStrategy::LeastInflight),
];

/// A group of so many members whose sessions outlive their connections.
fn group(strategy: ShareStrategy, members: usize) -> (World, Vec<Peer>) {
    let mut world = World::with_options(BrokerOptions {
        shared_subscription_strategy: strategy,
        ..BrokerOptions::default()
    });
    let peers = (0..members)
        .map(|at| world.subscriber(VERSION, &format!("member-{at}"), true, QOS, &[FILTER]))
        .collect();
    (world, peers)
}

/// One member is connected, the one that came last, and all others are away.
pub fn away(max: usize) -> Law {
    let sizes = sizes(10, 100_000, max);
    let series = |(name, strategy)| {
        Series::measure(name, &sizes, |size| {
            let (mut world, mut peers) = group(strategy, size);
            let mut last = peers.pop().expect("a member");
            for mut peer in peers {
                world.lose(&mut peer);
            }
            let mut publisher = world.connect(VERSION, "publisher", false);
            let publish = packets::publish(VERSION, QoS::AtMostOnce, TOPIC, false);
            time::each(|| {
                world.send(&mut publisher, &publish);
                world.receive(&mut last);
                assert!(!last.received.is_empty());
            })
        })
    };
    Law {
        title: "Publish to a group of which all but one are away",
        x: "members",
        y: "ns per message",
        series: STRATEGIES.map(series).into(),
    }
}

/// All members are connected.
pub fn connected(max: usize) -> Law {
    let sizes = sizes(10, 100_000, max);
    let series = |(name, strategy)| {
        Series::measure(name, &sizes, |size| {
            let (mut world, _peers) = group(strategy, size);
            let mut publisher = world.connect(VERSION, "publisher", false);
            let publish = packets::publish(VERSION, QoS::AtMostOnce, TOPIC, false);
            time::each(|| world.send(&mut publisher, &publish))
        })
    };
    Law {
        title: "Publish to a group of which all are connected",
        x: "members",
        y: "ns per message",
        series: STRATEGIES.map(series).into(),
    }
}

/// All members leave their connections and come back.
pub fn come_and_go(max: usize) -> Law {
    let sizes = sizes(10, 100_000, max);
    let measure = |comes: bool, size: usize| {
        time::best(|| {
            let (mut world, mut peers) = group(ShareStrategy::RoundRobin, size);
            let mut lose = |world: &mut World| {
                for peer in &mut peers {
                    world.lose(peer);
                }
            };
            if !comes {
                return time::once(|| lose(&mut world)) / size as f64;
            }
            lose(&mut world);
            let connects: Vec<_> = (0..size)
                .map(|at| packets::connect(VERSION, &format!("member-{at}"), true))
                .collect();
            let mut back = Vec::with_capacity(size);
            time::once(|| {
                for connect in &connects {
                    let mut peer = world.accept();
                    world.send(&mut peer, connect);
                    world.receive(&mut peer);
                    back.push(peer);
                }
            }) / size as f64
        })
    };
    let ends = |size: usize| {
        time::best(|| {
            let mut world = World::new();
            let mut peers: Vec<Peer> = (0..size)
                .map(|at| world.subscriber(VERSION, &format!("{at}"), false, QOS, &[FILTER]))
                .collect();
            time::once(|| {
                for peer in &mut peers {
                    world.lose(peer);
                }
            }) / size as f64
        })
    };
    Law {
        title: "Members of a group come and go",
        x: "members",
        y: "ns per member",
        series: vec![
            Series::measure("goes, session stays", &sizes, |size| measure(false, size)),
            Series::measure("comes back", &sizes, |size| measure(true, size)),
            Series::measure("goes for good", &sizes, ends),
        ],
    }
}
