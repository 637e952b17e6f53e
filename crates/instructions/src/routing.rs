//! One PUBLISH from the publisher's bytes to those of its receivers, with every acknowledgement that
//! belongs to it. Packets come one at a time, which is the dearest way.

use mqtt_codec::{QoS, Version};

use crate::matching;
use instructions::packets::{self, PAYLOAD, TOPIC};
use instructions::peer::{Peer, World};

pub(crate) fn qos_0() -> Box<dyn FnMut()> {
    pair(Version::V311, QoS::AtMostOnce, false)
}

pub(crate) fn qos_1() -> Box<dyn FnMut()> {
    pair(Version::V311, QoS::AtLeastOnce, false)
}

pub(crate) fn qos_2() -> Box<dyn FnMut()> {
    pair(Version::V311, QoS::ExactlyOnce, false)
}

pub(crate) fn qos_1_v5() -> Box<dyn FnMut()> {
    pair(Version::V5, QoS::AtLeastOnce, false)
}

/// The receiver's session outlives its connection, so the store has a part in it.
pub(crate) fn qos_1_stored() -> Box<dyn FnMut()> {
    pair(Version::V5, QoS::AtLeastOnce, true)
}

/// Both sessions do.
pub(crate) fn qos_2_stored() -> Box<dyn FnMut()> {
    pair(Version::V5, QoS::ExactlyOnce, true)
}

/// Bytes of a PUBLISH of [`PAYLOAD`] as a receiver gets it.
fn publish_len(version: Version, qos: QoS, topic: &str) -> usize {
    packets::publish(version, qos, topic, false).len()
}

fn pair(version: Version, qos: QoS, keep: bool) -> Box<dyn FnMut()> {
    let mut world = World::new();
    let mut receiver = world.subscriber(version, "receiver", keep, qos, &[TOPIC]);
    let mut publisher = world.connect(version, "publisher", keep && qos == QoS::ExactlyOnce);
    let publish = packets::publish(version, qos, TOPIC, false);
    Box::new(move || {
        world.send(&mut publisher, &publish);
        take(&mut world, &mut receiver, version, qos, publish.len());
        acknowledged(&mut world, &mut publisher, version, qos);
    })
}

/// The receiver takes one message and acknowledges it to the end.
fn take(world: &mut World, receiver: &mut Peer, version: Version, qos: QoS, len: usize) {
    world.receive(receiver);
    assert_eq!(receiver.got(), (Some(0x30 | qos.as_u8() << 1), len));
    if qos == QoS::AtMostOnce {
        return;
    }
    let packet_id = receiver.packet_id();
    let say = |kind| packets::acknowledgement(version, kind, packet_id);
    if qos == QoS::AtLeastOnce {
        world.send(receiver, &say(4));
        return;
    }
    world.send(receiver, &say(5));
    world.receive(receiver);
    assert_eq!(receiver.received, say(6));
    world.send(receiver, &say(7));
}

/// The publisher hears that its message has come, and completes it.
fn acknowledged(world: &mut World, publisher: &mut Peer, version: Version, qos: QoS) {
    if qos == QoS::AtMostOnce {
        return;
    }
    let say = |kind| packets::acknowledgement(version, kind, mqtt_codec::PacketId::MIN);
    world.receive(publisher);
    if qos == QoS::AtLeastOnce {
        assert_eq!(publisher.got().0, Some(0x40), "PUBACK");
        return;
    }
    assert_eq!(publisher.got().0, Some(0x50), "PUBREC");
    world.send(publisher, &say(6));
    world.receive(publisher);
    assert_eq!(publisher.got().0, Some(0x70), "PUBCOMP");
}

/// Nobody has subscribed.
pub(crate) fn to_nobody() -> Box<dyn FnMut()> {
    let mut world = World::new();
    let version = Version::V311;
    let mut publisher = world.connect(version, "publisher", false);
    let publish = packets::publish(version, QoS::AtLeastOnce, TOPIC, false);
    Box::new(move || {
        world.send(&mut publisher, &publish);
        acknowledged(&mut world, &mut publisher, version, QoS::AtLeastOnce);
    })
}

/// Another topic each time, of so many that none is remembered: the router is asked, among 10,000
/// filters with many wildcards that 100 sessions have.
pub(crate) fn many_topics() -> Box<dyn FnMut()> {
    let mut world = World::new();
    let (version, qos) = (Version::V311, QoS::AtMostOnce);
    let filters = matching::filters();
    let mut receivers: Vec<Peer> = filters
        .chunks(filters.len().div_ceil(100))
        .enumerate()
        .map(|(at, some)| {
            let some: Vec<&str> = some.iter().map(String::as_str).collect();
            world.subscriber(version, &format!("receiver-{at}"), false, qos, &some)
        })
        .collect();
    let publishes: Vec<_> = matching::topics([1, 6])
        .iter()
        .map(|topic| packets::publish(version, qos, topic, false))
        .collect();
    let mut publisher = world.connect(version, "publisher", false);
    let (mut at, mut since) = (0, 0);
    Box::new(move || {
        at = (at + 1) % publishes.len();
        let publish = publishes.get(at).expect("one of them");
        world.send(&mut publisher, publish);
        since += 1;
        if since == 100 {
            since = 0;
            let mut bytes = 0;
            for receiver in &mut receivers {
                world.receive(receiver);
                bytes += receiver.received.len();
            }
            assert!(
                bytes >= 100 * publish.len(),
                "each has one receiver at least"
            );
        }
    })
}

/// Another topic each time, and each is retained in place of the one before.
pub(crate) fn retained() -> Box<dyn FnMut()> {
    let mut world = World::new();
    let (version, qos) = (Version::V311, QoS::AtLeastOnce);
    let mut publisher = world.connect(version, "publisher", false);
    let topics = matching::topics([1, 6]);
    let publishes: Vec<_> = topics
        .iter()
        .map(|topic| packets::publish(version, qos, topic, true))
        .collect();
    for publish in &publishes {
        world.send(&mut publisher, publish);
    }
    world.receive(&mut publisher);
    let retained = world.broker.sizes().retained_messages;
    assert!(retained > 900, "{retained} topics");
    let mut at = 0;
    Box::new(move || {
        at = (at + 1) % publishes.len();
        world.send(&mut publisher, publishes.get(at).expect("one of them"));
        acknowledged(&mut world, &mut publisher, version, qos);
    })
}

/// One of ten members gets it, in turn.
pub(crate) fn shared() -> Box<dyn FnMut()> {
    let mut world = World::new();
    let (version, qos) = (Version::V5, QoS::AtLeastOnce);
    let filter = format!("$share/group/{TOPIC}");
    let mut members: Vec<Peer> = (0..10)
        .map(|at| world.subscriber(version, &format!("member-{at}"), false, qos, &[&filter]))
        .collect();
    let mut publisher = world.connect(version, "publisher", false);
    let publish = packets::publish(version, qos, TOPIC, false);
    let mut first = None;
    Box::new(move || {
        world.send(&mut publisher, &publish);
        // Who is first is found out once; the others follow.
        let at = first.get_or_insert_with(|| {
            let wakes = |member: &mut Peer| {
                world.receive(member);
                !member.received.is_empty()
            };
            members.iter_mut().position(wakes).expect("one of them")
        });
        let member = members.get_mut(*at % 10).expect("ten members");
        if member.received.first() != Some(&0x32) {
            world.receive(member);
        }
        assert_eq!(member.got(), (Some(0x32), publish.len()));
        let packet_id = member.packet_id();
        let puback = packets::acknowledgement(version, 4, packet_id);
        world.send(member, &puback);
        member.received.clear();
        *at += 1;
        acknowledged(&mut world, &mut publisher, version, qos);
    })
}

pub(crate) fn fan_out_qos_0() -> Box<dyn FnMut()> {
    fan_out(QoS::AtMostOnce)
}

pub(crate) fn fan_out_qos_1() -> Box<dyn FnMut()> {
    fan_out(QoS::AtLeastOnce)
}

/// To a hundred sessions.
fn fan_out(qos: QoS) -> Box<dyn FnMut()> {
    let mut world = World::new();
    let version = Version::V311;
    let mut receivers: Vec<Peer> = (0..100)
        .map(|at| world.subscriber(version, &format!("receiver-{at}"), false, qos, &[TOPIC]))
        .collect();
    let mut publisher = world.connect(version, "publisher", false);
    let publish = packets::publish(version, qos, TOPIC, false);
    Box::new(move || {
        world.send(&mut publisher, &publish);
        for receiver in &mut receivers {
            take(&mut world, receiver, version, qos, publish.len());
        }
        acknowledged(&mut world, &mut publisher, version, qos);
    })
}

/// Sixteen messages at QoS 1 in one read, their receiver's PUBACKs in another: as it is under load.
pub(crate) fn batch() -> Box<dyn FnMut()> {
    const MESSAGES: usize = 16;
    let mut world = World::new();
    let (version, qos) = (Version::V311, QoS::AtLeastOnce);
    let mut receiver = world.subscriber(version, "receiver", false, qos, &[TOPIC]);
    let mut publisher = world.connect(version, "publisher", false);
    let publishes = packets::publish(version, qos, TOPIC, false).repeat(MESSAGES);
    let len = publish_len(version, qos, TOPIC);
    let mut pubacks = Vec::with_capacity(4 * MESSAGES);
    Box::new(move || {
        world.send(&mut publisher, &publishes);
        world.receive(&mut receiver);
        assert_eq!(receiver.received.len(), MESSAGES * len);
        pubacks.clear();
        for publish in receiver.received.chunks(len) {
            // Between head and payload.
            let at = len - PAYLOAD.len() - 2;
            pubacks.extend_from_slice(&[0x40, 2]);
            pubacks.extend_from_slice(publish.get(at..at + 2).unwrap_or_default());
        }
        world.send(&mut receiver, &pubacks);
        world.receive(&mut publisher);
        assert_eq!(publisher.got(), (Some(0x40), 4 * MESSAGES));
    })
}
