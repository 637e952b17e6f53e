//! Sessions come, wait and end, while there are more and more of them.

use std::time::Duration;

use instructions::packets;
use instructions::peer::World;
use mqtt_codec::{Connect, Packet, QoS, Version, Will};

use crate::law::{Law, Series, sizes};
use crate::time;

const VERSION: Version = Version::V5;

/// So many sessions whose clients are away; they are kept for an hour.
fn away(size: usize) -> World {
    let mut world = World::new();
    for number in 0..size {
        let mut peer = world.connect(VERSION, &format!("away-{number}"), true);
        world.lose(&mut peer);
    }
    world
}

/// A client comes and goes.
pub fn connect(max: usize) -> Law {
    let sizes = sizes(1_000, 1_000_000, max);
    let series = |name, keep: bool| {
        Series::measure(name, &sizes, |size| {
            let mut world = away(size);
            let connects: Vec<_> = (0..1_000)
                .map(|number| {
                    let client = match keep {
                        true => format!("away-{}", number * 7_919 % size),
                        false => format!("new-{number}"),
                    };
                    packets::connect(VERSION, &client, keep)
                })
                .collect();
            let mut at = 0;
            time::each(|| {
                at = (at + 1) % connects.len();
                let mut peer = world.accept();
                world.send(&mut peer, &connects[at]);
                world.receive(&mut peer);
                world.lose(&mut peer);
            })
        })
    };
    Law {
        title: "Connect and lose the connection",
        x: "sessions",
        y: "ns for both",
        series: vec![series("a new session", false), series("one of them", true)],
    }
}

/// Nothing is due.
pub fn idle(max: usize) -> Law {
    let sizes = sizes(1_000, 1_000_000, max);
    let series = Series::measure("nothing is due", &sizes, |size| {
        let mut world = away(size);
        time::each(|| assert!(!world.handle_timeout()))
    });
    Law {
        title: "Look at the deadlines",
        x: "sessions",
        y: "ns per look",
        series: vec![series],
    }
}

/// All sessions expire in the same moment.
pub fn expiry_storm(max: usize) -> Law {
    let sizes = sizes(1_000, 1_000_000, max);
    let series = Series::measure("all at once", &sizes, |size| {
        let mut world = away(size);
        world.now = world.now + Duration::from_secs(3_601);
        let ns = time::once(|| while world.handle_timeout() {}) / size as f64;
        assert_eq!(world.broker.sizes().sessions, 0);
        ns
    });
    Law {
        title: "Sessions expire",
        x: "sessions",
        y: "ns per session",
        series: vec![series],
    }
}

/// All connections are lost, and each has a will that one client receives.
pub fn will_storm(max: usize) -> Law {
    let sizes = sizes(100, 100_000, max);
    let series = Series::measure("all at once", &sizes, |size| {
        let mut world = World::new();
        let mut peers = Vec::with_capacity(size);
        for number in 0..size {
            let topic = format!("state/{number}");
            let client = format!("client-{number}");
            let connect = Connect {
                will: Some(Will {
                    qos: QoS::AtMostOnce,
                    ..Will::new(&topic, b"offline")
                }),
                ..Connect::new(VERSION, &client)
            };
            let connect = packets::bytes(VERSION, Packet::Connect(connect));
            let mut peer = world.accept();
            world.send(&mut peer, &connect);
            world.receive(&mut peer);
            peers.push(peer);
        }
        let mut watcher =
            world.subscriber(VERSION, "watcher", false, QoS::AtMostOnce, &["state/+"]);
        let ns = time::once(|| {
            for peer in &mut peers {
                world.lose(peer);
            }
        }) / size as f64;
        world.receive(&mut watcher);
        assert!(!watcher.received.is_empty());
        ns
    });
    Law {
        title: "Wills are published",
        x: "connections lost",
        y: "ns per will",
        series: vec![series],
    }
}
