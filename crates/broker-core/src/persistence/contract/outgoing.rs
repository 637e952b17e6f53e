//! Promises 4, 5 and 8 for the messages on their way to a client: their order, the stages of their
//! delivery, and that a message is stored once however many wait for it.

use std::sync::Arc;

use mqtt_codec::QoS;

use super::Factory;
use super::draw::Draw;
use super::samples::{
    SEED, dequeue, drop_session, enqueue, key, mark, message, packet_id, put_outgoing, put_session,
    retain, waiting,
};
use super::subject::{Contents, Subject};
use crate::persistence::{InflightStage, SessionKey, StoredOutgoing, StoredQueue, SubscriptionIds};

/// Deliveries that differ in every field; the first are inflight, as they would be.
fn variants() -> Vec<StoredOutgoing> {
    let mut all = Vec::new();
    let ids = [
        SubscriptionIds::None,
        SubscriptionIds::One(268_435_455),
        SubscriptionIds::Many([1, 127, 128, 268_435_455].into()),
    ];
    for packet_number in [Some(1), Some(65_535), None] {
        for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
            for (retain, subscription_ids) in [true, false]
                .into_iter()
                .flat_map(|retain| ids.clone().map(|ids| (retain, ids)))
            {
                let sequence = all.len() as u64 + 1;
                let shares = [None, Some("$share/g/a/b"), Some("$share/$share/+/é:#")];
                let shared = shares.into_iter().cycle().nth(all.len() / 2).flatten();
                all.push(StoredOutgoing {
                    sequence,
                    message: Some(message("a/b", sequence.to_string())),
                    qos,
                    retain,
                    subscription_ids,
                    shared: shared.map(Arc::from),
                    inflight: packet_number
                        .map(|number| (packet_id(number), InflightStage::Published)),
                });
            }
        }
    }
    all
}

fn session_with_two<F: Factory>(subject: &Subject<'_, F>) -> SessionKey {
    let key = key("c", 1);
    subject.commit([
        put_session(&key),
        enqueue(&key, 1, &message("a", "one")),
        enqueue(&key, 2, &message("a", "two")),
    ]);
    key
}

pub(super) fn a_queued_message_is_found_as_it_was_put<F: Factory>(subject: Subject<'_, F>) {
    let key = key("c", 1);
    subject.commit([put_session(&key)]);
    subject.commit(variants().into_iter().map(|one| put_outgoing(&key, one)));
    assert_eq!(subject.outgoing("c"), variants());
    assert_eq!(subject.outgoing("d"), []);
}

/// Promise 4: forwards, backwards, and as drawn; in one batch and in many.
pub(super) fn messages_come_in_the_order_of_their_numbers<F: Factory>(subject: Subject<'_, F>) {
    // Numbers whose order as texts is another one.
    let sorted: Vec<u64> = (1..=130).chain([999, 1_000, 65_536, 100_000]).collect();
    let mut drawn = sorted.clone();
    Draw::new(SEED).shuffle(&mut drawn);
    let backwards: Vec<u64> = sorted.iter().rev().copied().collect();
    for (at, numbers) in [&sorted, &backwards, &drawn].into_iter().enumerate() {
        for per_batch in [1, 1_000] {
            let client = format!("{at} {per_batch}");
            let key = key(&client, 1);
            subject.commit([put_session(&key)]);
            for chunk in numbers.chunks(per_batch) {
                subject.commit(
                    chunk
                        .iter()
                        .map(|number| enqueue(&key, *number, &message("a", number.to_string()))),
                );
            }
            assert_eq!(subject.sequences(&client), sorted);
            let texts: Vec<String> = sorted.iter().map(u64::to_string).collect();
            assert_eq!(subject.queued_texts(&client), texts);
        }
    }
}

/// Promise 5.
pub(super) fn putting_a_message_again_replaces_it<F: Factory>(subject: Subject<'_, F>) {
    let key = session_with_two(&subject);
    subject.commit([mark(&key, 1, packet_id(3), InflightStage::Released)]);
    for _ in 0..2 {
        subject.commit([enqueue(&key, 1, &message("b", "other"))]);
        let wanted = [
            waiting(1, &message("b", "other")),
            waiting(2, &message("a", "two")),
        ];
        assert_eq!(subject.outgoing("c"), wanted);
    }
}

/// From waiting over PUBLISH to PUBREL, the identifier may be another one each time.
pub(super) fn the_stages_of_a_delivery_are_kept<F: Factory>(subject: Subject<'_, F>) {
    let key = session_with_two(&subject);
    let stage = || {
        let found = subject.outgoing("c");
        assert_eq!(
            found[1],
            waiting(2, &message("a", "two")),
            "the other one has not changed"
        );
        found[0].inflight
    };
    assert_eq!(stage(), None);
    for (number, to) in [
        (1, InflightStage::Published),
        (1, InflightStage::Published),
        (65_535, InflightStage::Published),
        (65_535, InflightStage::Released),
        (65_535, InflightStage::Released),
        (2, InflightStage::Released),
    ] {
        subject.commit([mark(&key, 1, packet_id(number), to)]);
        assert_eq!(stage(), Some((packet_id(number), to)));
    }
    subject.commit([dequeue(&key, 1)]);
    assert_eq!(subject.sequences("c"), [2]);
}

/// From PUBREC on only the identifier matters; all else of the delivery stays as it was.
pub(super) fn a_released_message_is_no_longer_kept<F: Factory>(subject: Subject<'_, F>) {
    let key = key("c", 1);
    let put = StoredOutgoing {
        qos: QoS::ExactlyOnce,
        retain: true,
        subscription_ids: SubscriptionIds::One(5),
        shared: Some("$share/g/a".into()),
        inflight: Some((packet_id(9), InflightStage::Published)),
        ..waiting(1, &message("a", "one"))
    };
    subject.commit([put_session(&key), put_outgoing(&key, put.clone())]);
    subject.commit([mark(&key, 1, packet_id(9), InflightStage::Published)]);
    let found = subject.outgoing("c");
    assert_eq!(
        found,
        std::slice::from_ref(&put),
        "it may have to be sent again"
    );
    subject.commit([mark(&key, 1, packet_id(9), InflightStage::Released)]);
    let wanted = StoredOutgoing {
        message: None,
        inflight: Some((packet_id(9), InflightStage::Released)),
        ..put
    };
    assert_eq!(subject.outgoing("c"), [wanted]);
}

/// Promise 5.
pub(super) fn marking_or_removing_an_unknown_message_changes_nothing<F: Factory>(
    subject: Subject<'_, F>,
) {
    let key = session_with_two(&subject);
    let wanted = subject.outgoing("c");
    for sequence in [0, 3, u64::MAX] {
        subject.commit([
            mark(&key, sequence, packet_id(1), InflightStage::Published),
            mark(&key, sequence, packet_id(1), InflightStage::Released),
            dequeue(&key, sequence),
        ]);
        assert_eq!(subject.outgoing("c"), wanted);
    }
    subject.commit([dequeue(&key, 1)]);
    subject.commit([
        dequeue(&key, 1),
        mark(&key, 1, packet_id(1), InflightStage::Published),
    ]);
    assert_eq!(subject.sequences("c"), [2]);
}

/// Acknowledgements come in an order of their own; a plain list is the model.
pub(super) fn messages_leave_the_queue_in_any_order<F: Factory>(subject: Subject<'_, F>) {
    let key = key("c", 1);
    let shared = message("a", "x");
    subject.commit([put_session(&key)]);
    let mut draw = Draw::new(SEED);
    let mut model: Vec<u64> = Vec::new();
    let mut next = 1;
    for _ in 0..200 {
        let mut operations = Vec::new();
        for _ in 0..draw.below(8) {
            operations.push(enqueue(&key, next, &shared));
            model.push(next);
            next += 1;
        }
        for _ in 0..draw.below(8).min(model.len()) {
            // Mostly from the front, as it is with acknowledgements.
            let among = if draw.below(4) == 0 {
                model.len()
            } else {
                model.len().min(5)
            };
            operations.push(dequeue(&key, model.remove(draw.below(among))));
        }
        subject.commit(operations);
        assert_eq!(subject.sequences("c"), model);
    }
}

/// What the broker knows of a queue that it has not read, whatever happened to it.
pub(super) fn the_size_of_a_queue_is_that_of_its_list<F: Factory>(subject: Subject<'_, F>) {
    let messages = ["", "x", "some more of it"].map(|payload| message("a/b", payload));
    let mut draw = Draw::new(SEED);
    let mut incarnation = 1;
    let mut wanted = std::collections::BTreeMap::new();
    subject.commit([put_session(&key("c", incarnation))]);
    for _ in 0..100 {
        let mut operations = Vec::new();
        for _ in 0..draw.below(12) {
            let at = key("c", incarnation);
            let sequence = draw.below(12) as u64;
            operations.push(match draw.below(40) {
                // Half of them replace others.
                0..20 => {
                    let message = &messages[draw.below(messages.len())];
                    wanted.insert(sequence, message.size_bytes() as u64);
                    enqueue(&at, sequence, message)
                }
                20..30 => {
                    wanted.remove(&sequence);
                    dequeue(&at, sequence)
                }
                30..38 => {
                    wanted.entry(sequence).and_modify(|bytes| *bytes = 0);
                    mark(&at, sequence, packet_id(1), InflightStage::Released)
                }
                38 => mark(&at, sequence, packet_id(1), InflightStage::Published),
                _ => {
                    wanted.clear();
                    incarnation += 1;
                    put_session(&key("c", incarnation))
                }
            });
        }
        subject.commit(operations);
        let found = subject.counted_outgoing("c");
        assert!(found.iter().map(|one| &one.sequence).eq(wanted.keys()));
        assert_eq!(subject.queue("c").bytes, wanted.values().sum::<u64>());
    }
    subject.commit([drop_session(&key("c", incarnation))]);
    assert_eq!(subject.queue("c"), StoredQueue::default());
    assert_eq!(subject.queue("d"), StoredQueue::default());
}

pub(super) fn looking_does_not_change_the_queue<F: Factory>(subject: Subject<'_, F>) {
    session_with_two(&subject);
    for _ in 0..3 {
        assert_eq!(subject.queued_texts("c"), ["one", "two"]);
    }
}

/// Promise 8: it is there for each, takes its room once, and gives it back with the last of them.
pub(super) fn a_message_for_many_sessions_is_stored_once<F: Factory>(subject: Subject<'_, F>) {
    let keys: Vec<SessionKey> = (0..50)
        .map(|number| key(&format!("c{number}"), 1))
        .collect();
    let size = subject.scale().payload_bytes;
    let shared = message("a/b", vec![0xA5; size]);
    let before = subject.stored_message_bytes();
    subject.commit(
        keys.iter()
            .flat_map(|key| [put_session(key), enqueue(key, 1, &shared)]),
    );
    let grown = || {
        let (Some(before), Some(now)) = (before, subject.stored_message_bytes()) else {
            return 0;
        };
        now.saturating_sub(before)
    };
    let fits = |grown: u64| grown <= 2 * size as u64;
    assert!(fits(grown()), "{} bytes for one message of {size}", grown());

    // They go in different ways, and those that are left still have it.
    for (at, key) in keys.iter().enumerate() {
        for key in [key, &keys[keys.len() - 1]] {
            let found = subject.outgoing(&key.client);
            assert!(
                found.len() == 1 && found[0].message.as_deref() == Some(&*shared),
                "{at}"
            );
        }
        subject.commit([match at % 3 {
            0 => dequeue(key, 1),
            1 => drop_session(key),
            _ => mark(key, 1, packet_id(1), InflightStage::Released),
        }]);
        assert!(fits(grown()), "{} bytes for one message of {size}", grown());
    }
    assert!(
        grown() < size as u64,
        "{} bytes although nobody waits any more",
        grown()
    );
}

/// Promise 8: retained, queued and a will in one batch; the ways of going do not meet.
pub(super) fn a_message_shared_with_others_stays_for_them<F: Factory>(subject: Subject<'_, F>) {
    let keys = [key("one", 1), key("two", 1)];
    let mut operations = vec![retain("a/b", "x")];
    let shared = match &operations[0] {
        crate::persistence::Operation::PutRetained { message } => Arc::clone(message),
        _ => return,
    };
    operations.extend(
        keys.iter()
            .flat_map(|key| [put_session(key), enqueue(key, 1, &shared)]),
    );
    // The same message twice in one queue.
    operations.push(enqueue(&keys[0], 2, &shared));
    subject.commit(operations);

    subject.commit([dequeue(&keys[0], 1)]);
    assert_eq!(subject.outgoing("one"), [waiting(2, &shared)]);
    subject.commit([drop_session(&keys[0])]);
    assert_eq!(subject.contents("one", "n"), Contents::default());
    assert_eq!(subject.outgoing("two"), [waiting(1, &shared)]);
    subject.commit([retain("a/b", "another")]);
    assert_eq!(subject.outgoing("two"), [waiting(1, &shared)]);
    subject.commit([drop_session(&keys[1])]);
    assert_eq!(subject.retained(Some("a/b")), [message("a/b", "another")]);
}
