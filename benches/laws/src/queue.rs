//! A session that is away and for which many messages wait.

use instructions::packets;
use instructions::peer::{Peer, World};
use mqtt_codec::{QoS, Version};

use crate::law::{Law, Series, sizes};
use crate::time;

const VERSION: Version = Version::V5;
const TOPIC: &str = "plant/7/pressure";

/// A world in which so many messages wait for one client.
fn waiting(messages: usize, qos: QoS) -> (World, Peer) {
    let mut world = World::new();
    let mut subscriber = world.subscriber(VERSION, "subscriber", true, qos, &[TOPIC]);
    world.lose(&mut subscriber);
    let mut publisher = world.connect(VERSION, "publisher", false);
    let publish = packets::publish(VERSION, QoS::AtLeastOnce, TOPIC, false);
    for _ in 0..messages {
        world.send(&mut publisher, &publish);
        world.receive(&mut publisher);
    }
    (world, publisher)
}

/// One more comes.
pub fn push(max: usize) -> Law {
    let sizes = sizes(100, 10_000, max);
    let push = Series::measure("QoS 1", &sizes, |size| {
        time::best(|| {
            let (mut world, mut publisher) = waiting(size, QoS::AtLeastOnce);
            let publish = packets::publish(VERSION, QoS::AtLeastOnce, TOPIC, false);
            const MORE: usize = 2_000;
            time::once(|| {
                for _ in 0..MORE {
                    world.send(&mut publisher, &publish);
                    world.receive(&mut publisher);
                }
            }) / MORE as f64
        })
    });
    Law {
        title: "Queue a message for a client that is away",
        x: "messages that wait",
        y: "ns per message",
        series: vec![push],
    }
}

/// The client comes back, takes all of them and acknowledges each.
pub fn take(max: usize) -> Law {
    let sizes = sizes(100, 100_000, max);
    let take = Series::measure("QoS 1", &sizes, |size| {
        time::best(|| {
            let (mut world, _publisher) = waiting(size, QoS::AtLeastOnce);
            let len = packets::publish(VERSION, QoS::AtLeastOnce, TOPIC, false).len();
            let connect = packets::connect(VERSION, "subscriber", true);
            let mut peer = world.accept();
            let mut left = size;
            time::once(|| {
                world.send(&mut peer, &connect);
                world.receive(&mut peer);
                let connack = usize::from(peer.received[1]) + 2;
                peer.received.drain(..connack);
                while left > 0 {
                    let mut pubacks = Vec::new();
                    for publish in peer.received.chunks(len) {
                        let at = 4 + TOPIC.len();
                        pubacks.extend([0x40, 2, publish[at], publish[at + 1]]);
                        left -= 1;
                    }
                    assert!(!pubacks.is_empty(), "{left} are left");
                    world.send(&mut peer, &pubacks);
                    world.receive(&mut peer);
                }
            }) / size as f64
        })
    });
    Law {
        title: "Take a long queue",
        x: "messages that waited",
        y: "ns per message",
        series: vec![take],
    }
}
