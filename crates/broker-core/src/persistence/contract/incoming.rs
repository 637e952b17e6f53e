//! Promises 4 and 5 for the packet identifiers of QoS 2 messages that came in and were not released.

use mqtt_codec::PacketId;

use super::Factory;
use super::draw::Draw;
use super::samples::{
    SEED, dequeue, enqueue, key, mark, message, packet_id, put_session, received, released, waiting,
};
use super::subject::Subject;
use crate::persistence::InflightStage;

/// Promise 4.
pub(super) fn packet_identifiers_come_in_ascending_order<F: Factory>(subject: Subject<'_, F>) {
    let key = key("c", 1);
    subject.commit([put_session(&key)]);
    let sorted = [1, 2, 9, 10, 255, 256, 257, 32_767, 32_768, 65_534, 65_535].map(packet_id);
    let mut drawn = sorted;
    Draw::new(SEED).shuffle(&mut drawn);
    for id in drawn {
        subject.commit([received(&key, id)]);
    }
    assert_eq!(subject.incoming("c"), sorted);
    assert_eq!(subject.incoming("d"), []);
}

/// A client may leave every identifier unreleased.
pub(super) fn all_packet_identifiers_may_be_in_use<F: Factory>(subject: Subject<'_, F>) {
    let key = key("c", 1);
    let mut ids: Vec<PacketId> = (1..=u16::MAX).map(packet_id).collect();
    let mut draw = Draw::new(SEED);
    draw.shuffle(&mut ids);
    subject.commit([put_session(&key)]);
    for chunk in ids.chunks(10_000) {
        subject.commit(chunk.iter().map(|id| received(&key, *id)));
    }
    assert!(
        subject
            .incoming("c")
            .into_iter()
            .eq((1..=u16::MAX).map(packet_id))
    );

    draw.shuffle(&mut ids);
    let mut left = ids.split_off(ids.len() - 100);
    for chunk in ids.chunks(10_000) {
        subject.commit(chunk.iter().map(|id| released(&key, *id)));
    }
    left.sort_unstable();
    assert_eq!(subject.incoming("c"), left);
}

/// Promise 5.
pub(super) fn a_packet_identifier_is_kept_once<F: Factory>(subject: Subject<'_, F>) {
    let key = key("c", 1);
    subject.commit([
        put_session(&key),
        received(&key, packet_id(5)),
        received(&key, packet_id(5)),
    ]);
    subject.commit([received(&key, packet_id(5))]);
    assert_eq!(subject.incoming("c"), [packet_id(5)]);
    subject.commit([released(&key, packet_id(5))]);
    assert_eq!(subject.incoming("c"), []);
    subject.commit([released(&key, packet_id(5)), released(&key, packet_id(6))]);
    assert_eq!(subject.incoming("c"), []);
}

/// The identifiers that a client chooses and those that the broker chooses have nothing to do with
/// each other (section 2.2.1).
pub(super) fn packet_identifiers_and_queued_messages_are_apart<F: Factory>(
    subject: Subject<'_, F>,
) {
    let key = key("c", 1);
    let shared = message("a", "x");
    subject.commit([
        put_session(&key),
        received(&key, packet_id(1)),
        enqueue(&key, 1, &shared),
        enqueue(&key, 2, &shared),
        mark(&key, 1, packet_id(1), InflightStage::Released),
    ]);
    subject.commit([released(&key, packet_id(1))]);
    assert_eq!(subject.sequences("c"), [1, 2]);
    subject.commit([received(&key, packet_id(1)), dequeue(&key, 1)]);
    assert_eq!(subject.incoming("c"), [packet_id(1)]);
    assert_eq!(subject.outgoing("c"), [waiting(2, &shared)]);
}
