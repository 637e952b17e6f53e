//! What clients do beside publishing: come, go, and change their subscriptions. Who comes and which
//! filter is another one each time, so that the luck of one in a hash table does not count.

use mqtt_codec::{Disconnect, Packet, QoS, ReasonCode, Version};

use instructions::packets;
use instructions::peer::World;

/// How many clients, or filters, take turns.
const ROUND: usize = 500;

/// A client that was never there comes and takes its leave, a thousand others being connected.
pub(crate) fn connect() -> Box<dyn FnMut()> {
    let mut world = World::new();
    let others: Vec<_> = (0..1_000)
        .map(|at| world.connect(Version::V311, &format!("other-{at}"), false))
        .collect();
    come_and_go(world, false, others)
}

/// A client returns to its session, which has ten subscriptions, and leaves it again.
pub(crate) fn resume() -> Box<dyn FnMut()> {
    let mut world = World::new();
    for at in 0..ROUND {
        let filters: Vec<String> = (0..10).map(|of| format!("plant/{at}/{of}/#")).collect();
        let filters: Vec<&str> = filters.iter().map(String::as_str).collect();
        let (version, qos) = (Version::V5, QoS::AtLeastOnce);
        let mut peer = world.subscriber(version, &visitor(at), true, qos, &filters);
        world.lose(&mut peer);
    }
    come_and_go(world, true, ())
}

fn visitor(at: usize) -> String {
    format!("visitor-{at}")
}

/// `others` stay for as long as the step is taken.
fn come_and_go<T: 'static>(mut world: World, keep: bool, others: T) -> Box<dyn FnMut()> {
    let version = Version::V5;
    let connects: Vec<_> = (0..ROUND)
        .map(|at| packets::connect(version, &visitor(at), keep))
        .collect();
    let reason = ReasonCode::NORMAL_DISCONNECTION;
    let leave = packets::bytes(version, Packet::Disconnect(Disconnect::new(reason)));
    let mut at = 0;
    Box::new(move || {
        let _others = &others;
        at = (at + 1) % connects.len();
        let connect = connects.get(at).expect("one of them");
        let mut peer = world.accept();
        world.send(&mut peer, connect);
        world.receive(&mut peer);
        let session_present = u8::from(keep);
        assert!(matches!(*peer.received, [0x20, _, present, 0, ..] if present == session_present));
        world.send(&mut peer, &leave);
        world.receive(&mut peer);
        assert!(peer.connection.closing().is_some());
    })
}

/// One filter comes and goes in a session that has a hundred others.
pub(crate) fn subscribe() -> Box<dyn FnMut()> {
    let mut world = World::new();
    let version = Version::V311;
    let filters: Vec<String> = (0..100).map(|at| format!("plant/{at}/+")).collect();
    let filters: Vec<&str> = filters.iter().map(String::as_str).collect();
    let mut peer = world.subscriber(version, "client", false, QoS::AtLeastOnce, &filters);
    let packets: Vec<_> = (0..ROUND)
        .map(|at| {
            let filter = format!("site/{at}/+/alarm");
            let subscribe = packets::subscribe(version, QoS::AtLeastOnce, &[&filter]);
            (subscribe, packets::unsubscribe(version, &[&filter]))
        })
        .collect();
    let mut at = 0;
    Box::new(move || {
        at = (at + 1) % packets.len();
        let (subscribe, unsubscribe) = packets.get(at).expect("one of them");
        world.send(&mut peer, subscribe);
        world.receive(&mut peer);
        assert_eq!(peer.got(), (Some(0x90), 5));
        world.send(&mut peer, unsubscribe);
        world.receive(&mut peer);
        assert_eq!(peer.got(), (Some(0xB0), 4));
    })
}

/// PINGREQ and PINGRESP.
pub(crate) fn ping() -> Box<dyn FnMut()> {
    let mut world = World::new();
    let mut peer = world.connect(Version::V311, "client", false);
    Box::new(move || {
        world.send(&mut peer, &[0xC0, 0]);
        world.receive(&mut peer);
        assert_eq!(peer.received, [0xD0, 0]);
    })
}
