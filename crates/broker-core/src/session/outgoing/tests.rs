//! Identifiers that come round, acknowledgements in any order, compaction, restoring: on their own.

use super::*;
use crate::MessageParts;
use crate::persistence::SubscriptionIds;
use crate::persistence::{InflightStage, StoredOutgoing};
use mqtt_codec::PacketId;

const WINDOW: usize = 4;

fn message(payload: &str) -> Arc<Message> {
    Message::new(MessageParts {
        topic: "t",
        properties: &[],
        payload: payload.as_bytes(),
        qos: QoS::ExactlyOnce,
        retain: false,
        expires: Timestamp::MAX,
    })
}

fn id(value: u16) -> PacketId {
    PacketId::new(value).unwrap()
}

impl Outgoing {
    fn queue(&mut self, qos: QoS, pending: bool, window: usize) -> (u64, Option<PacketId>) {
        let ids = SubscriptionIds::None;
        let terms = Terms {
            qos,
            retain: false,
            subscription_ids: &ids,
            share: None,
        };
        let pushed = self.push(message("x"), &terms, pending, window);
        self.check(usize::MAX);
        pushed
    }

    /// Emits all that may be; the identifiers, and whether each was sent before.
    fn send(&mut self, receive_maximum: usize) -> Vec<(Next, bool)> {
        let mut sent = Vec::new();
        loop {
            while self.admit(WINDOW, false).is_some() {}
            let Some((next, entry)) = self.next(receive_maximum) else {
                break;
            };
            sent.push((next, entry.sent));
            let sequence = entry.sequence;
            self.emitted(sequence, true);
            self.check(usize::MAX);
        }
        sent
    }
}

fn publishes(ids: &[u16]) -> Vec<(Next, bool)> {
    ids.iter()
        .map(|value| (Next::Publish(id(*value)), false))
        .collect()
}

#[test]
fn a_full_window_keeps_what_comes_next_waiting() {
    let mut outgoing = Outgoing::default();
    for number in 1..=6 {
        let (sequence, _) = outgoing.queue(QoS::AtLeastOnce, false, WINDOW);
        assert_eq!(sequence, number);
    }
    assert_eq!(outgoing.send(WINDOW), publishes(&[1, 2, 3, 4]));
    assert_eq!(outgoing.len(), 6);
    assert_eq!(outgoing.puback(id(2)), Acknowledged::Done(2));
    assert_eq!(outgoing.send(WINDOW), publishes(&[5]));
    assert_eq!(outgoing.puback(id(2)), Acknowledged::Unknown);
    assert_eq!(outgoing.len(), 5);
}

#[test]
fn a_narrower_receiver_gets_less_at_a_time() {
    let mut outgoing = Outgoing::default();
    for _ in 0..4 {
        outgoing.queue(QoS::AtLeastOnce, false, WINDOW);
    }
    assert_eq!(outgoing.send(1), publishes(&[1]));
    // What was not emitted cannot be acknowledged.
    assert_eq!(outgoing.puback(id(2)), Acknowledged::Unknown);
    assert_eq!(outgoing.puback(id(1)), Acknowledged::Done(1));
    assert_eq!(outgoing.send(1), publishes(&[2]));
}

#[test]
fn a_pending_entry_holds_back_those_behind_it_and_none_before() {
    let mut outgoing = Outgoing::default();
    outgoing.queue(QoS::AtLeastOnce, false, WINDOW);
    let (second, given) = outgoing.queue(QoS::AtLeastOnce, true, WINDOW);
    assert_eq!(given, Some(id(2)));
    let (third, _) = outgoing.queue(QoS::AtLeastOnce, true, WINDOW);
    assert_eq!(outgoing.send(WINDOW), publishes(&[1]));
    outgoing.committed(third);
    assert_eq!(outgoing.send(WINDOW), []);
    outgoing.committed(second);
    assert_eq!(outgoing.send(WINDOW), publishes(&[2, 3]));
}

#[test]
fn an_aborted_entry_is_as_if_it_had_never_been() {
    let mut outgoing = Outgoing::default();
    let (first, _) = outgoing.queue(QoS::AtLeastOnce, true, 1);
    let (second, waiting) = outgoing.queue(QoS::AtLeastOnce, true, 1);
    assert_eq!(waiting, None);
    let (third, _) = outgoing.queue(QoS::AtLeastOnce, true, 1);
    outgoing.aborted(second);
    outgoing.check(1);
    outgoing.aborted(first);
    outgoing.check(1);
    assert_eq!(outgoing.len(), 1);
    assert_eq!(outgoing.bytes(), 2);
    outgoing.committed(third);
    assert_eq!(outgoing.send(WINDOW), publishes(&[2]));
}

#[test]
fn a_waiting_entry_gets_no_identifier_before_the_store_has_it() {
    let mut outgoing = Outgoing::default();
    let (sequence, _) = outgoing.queue(QoS::AtLeastOnce, true, 0);
    assert!(outgoing.admit(WINDOW, true).is_none());
    outgoing.committed(sequence);
    assert!(outgoing.admit(WINDOW, true).is_some());
    assert!(
        outgoing.next(WINDOW).is_none(),
        "the identifier has to become durable"
    );
    outgoing.committed(sequence);
    assert!(outgoing.next(WINDOW).is_some());
}

#[test]
fn a_new_connection_gets_what_was_sent_under_the_same_identifiers_and_the_rest_under_new_ones() {
    let mut outgoing = Outgoing::default();
    for _ in 0..4 {
        outgoing.queue(QoS::AtLeastOnce, false, WINDOW);
    }
    assert_eq!(outgoing.send(2), publishes(&[1, 2]));
    outgoing.rewind();
    outgoing.check(WINDOW);
    let sent = outgoing.send(WINDOW);
    assert_eq!(
        sent[..2],
        [(Next::Publish(id(1)), true), (Next::Publish(id(2)), true)]
    );
    assert_eq!(
        sent[2..],
        publishes(&[5, 6]),
        "3 and 4 were given and never used"
    );
    for value in [6, 1, 5, 2] {
        assert!(matches!(outgoing.puback(id(value)), Acknowledged::Done(_)));
        outgoing.check(WINDOW);
    }
    assert_eq!((outgoing.len(), outgoing.bytes()), (0, 0));
}

#[test]
fn qos_2_goes_through_its_stages_and_no_others() {
    let mut outgoing = Outgoing::default();
    outgoing.queue(QoS::ExactlyOnce, false, WINDOW);
    outgoing.send(WINDOW);
    assert_eq!(outgoing.puback(id(1)), Acknowledged::OutOfOrder);
    assert_eq!(outgoing.pubcomp(id(1)), Acknowledged::OutOfOrder);
    assert_eq!(
        outgoing.pubrec(id(1), false, true),
        Acknowledged::Release(1)
    );
    assert_eq!(outgoing.puback(id(1)), Acknowledged::OutOfOrder);
    assert_eq!(outgoing.bytes(), 0, "the message is not needed any more");
    assert_eq!(
        outgoing.pubrec(id(1), false, true),
        Acknowledged::ReleaseAgain
    );
    outgoing.committed(1);
    outgoing.rewind();
    assert_eq!(outgoing.send(WINDOW), [(Next::Release(id(1)), true)]);
    assert_eq!(outgoing.pubcomp(id(1)), Acknowledged::Done(1));
    assert_eq!(outgoing.pubcomp(id(1)), Acknowledged::Unknown);
    assert_eq!(outgoing.len(), 0);
}

#[test]
fn a_refusal_ends_a_delivery_at_qos_2() {
    let mut outgoing = Outgoing::default();
    outgoing.queue(QoS::ExactlyOnce, false, WINDOW);
    outgoing.send(WINDOW);
    assert_eq!(outgoing.pubrec(id(1), true, false), Acknowledged::Done(1));
    assert_eq!(outgoing.len(), 0);
    assert_eq!(outgoing.bytes(), 0);
}

#[test]
fn identifiers_wrap_and_pass_by_the_one_that_is_still_in_use() {
    let mut outgoing = Outgoing::default();
    let laggard = outgoing.push_sent(QoS::ExactlyOnce, None);
    assert_eq!(laggard, id(1));
    let mut expected = 1_u16;
    for _ in 0..200_000 {
        let given = outgoing.push_sent(QoS::AtLeastOnce, None);
        expected = expected.checked_add(1).unwrap_or(2);
        assert_eq!(given, id(expected));
        assert!(matches!(outgoing.puback(given), Acknowledged::Done(_)));
    }
    outgoing.check(WINDOW);
    assert!(
        outgoing.entries.len() < 2 * DONE_MAX + 8,
        "done entries are taken out"
    );
    assert!(matches!(
        outgoing.pubrec(laggard, false, false),
        Acknowledged::Release(1)
    ));
    assert_eq!(outgoing.pubcomp(laggard), Acknowledged::Done(1));
    assert_eq!(outgoing.entries.len(), 0);
}

#[test]
fn all_identifiers_can_be_in_use_at_once() {
    let mut outgoing = Outgoing::default();
    let window = 65_535;
    let mut seen = vec![false; 65_536];
    for _ in 0..window {
        assert!(outgoing.is_open(window));
        let given = outgoing.push_sent(QoS::AtLeastOnce, None);
        assert!(!core::mem::replace(
            &mut seen[usize::from(given.get())],
            true
        ));
    }
    assert!(!outgoing.is_open(window));
    // Any one that becomes free is the one that is given out.
    for value in [40_000, 1, 65_535] {
        assert!(matches!(outgoing.puback(id(value)), Acknowledged::Done(_)));
        assert_eq!(outgoing.push_sent(QoS::AtLeastOnce, None), id(value));
    }
    outgoing.check(window);
}

#[test]
fn entries_are_found_after_done_ones_were_taken_out_between_them() {
    let mut outgoing = Outgoing::default();
    let window = 1_000;
    let given: Vec<PacketId> = (0..1_000)
        .map(|_| outgoing.push_sent(QoS::AtLeastOnce, None))
        .collect();
    // All but every tenth, from the middle outwards.
    let (low, high) = given.split_at(500);
    let order = low.iter().rev().zip(high).flat_map(|(a, b)| [*a, *b]);
    for id in order.clone().filter(|id| id.get() % 10 != 0) {
        assert!(matches!(outgoing.puback(id), Acknowledged::Done(_)));
        outgoing.check(window);
    }
    for id in order.filter(|id| id.get() % 10 == 0) {
        assert!(
            matches!(outgoing.puback(id), Acknowledged::Done(_)),
            "{id:?}"
        );
        outgoing.check(window);
    }
    assert_eq!(outgoing.entries.len(), 0);
}

#[test]
fn what_expired_at_the_front_of_the_queue_is_discarded_and_what_is_under_way_is_not() {
    let expiring = |secs: u64| {
        Message::new(MessageParts {
            expires: Timestamp::from_millis(secs * 1_000),
            ..message("x").parts()
        })
    };
    let ids = SubscriptionIds::None;
    let terms = Terms {
        qos: QoS::AtLeastOnce,
        retain: false,
        subscription_ids: &ids,
        share: None,
    };
    let mut outgoing = Outgoing::default();
    for secs in [1, 1, 1, 9, 1] {
        outgoing.push(expiring(secs), &terms, false, 1);
    }
    let now = Timestamp::from_millis(1_000);
    assert_eq!(outgoing.discard_expired(now), [2, 3]);
    outgoing.check(1);
    assert_eq!(
        outgoing.discard_expired(now),
        [],
        "4 has not expired, and 5 is behind it"
    );
    outgoing.check(1);
    assert_eq!(outgoing.len(), 3);
}

fn stored(sequence: u64, inflight: Option<(u16, InflightStage)>) -> StoredOutgoing {
    let is_released = inflight.is_some_and(|(_, stage)| stage == InflightStage::Released);
    StoredOutgoing {
        sequence,
        message: (!is_released).then(|| message("x")),
        qos: QoS::ExactlyOnce,
        retain: false,
        subscription_ids: SubscriptionIds::None,
        shared: None,
        inflight: inflight.map(|(value, stage)| (id(value), stage)),
    }
}

fn restored(entries: Vec<StoredOutgoing>) -> Outgoing {
    let mut outgoing = Outgoing::default();
    for entry in entries {
        outgoing.restore(entry, None);
    }
    outgoing.check(usize::MAX);
    outgoing
}

#[test]
fn what_was_stored_goes_on_where_it_was() {
    use InflightStage::{Published, Released};
    let mut outgoing = restored(vec![
        stored(3, Some((65_534, Released))),
        stored(5, Some((65_535, Published))),
        stored(6, Some((2, Published))),
        stored(9, None),
    ]);
    let sent = outgoing.send(WINDOW);
    assert_eq!(
        sent,
        [
            (Next::Release(id(65_534)), true),
            (Next::Publish(id(65_535)), true),
            (Next::Publish(id(2)), true),
            (Next::Publish(id(3)), false),
        ]
    );
    assert_eq!(
        outgoing.queue(QoS::AtLeastOnce, false, WINDOW).0,
        10,
        "numbers are not used twice"
    );
    assert_eq!(outgoing.pubcomp(id(65_534)), Acknowledged::Done(3));
    assert_eq!(
        outgoing.pubrec(id(2), false, false),
        Acknowledged::Release(6)
    );
}

#[test]
fn identifiers_that_were_stored_in_any_order_are_found() {
    use InflightStage::Published;
    let mut outgoing = restored(
        [700, 3, 65_000, 2]
            .into_iter()
            .zip(1..)
            .map(|(id, n)| stored(n, Some((id, Published))))
            .collect(),
    );
    assert_eq!(outgoing.send(WINDOW).len(), 4);
    for (value, sequence) in [(65_000, 3), (700, 1), (2, 4), (3, 2)] {
        assert_eq!(
            outgoing.pubrec(id(value), true, false),
            Acknowledged::Done(sequence)
        );
        outgoing.check(WINDOW);
    }
}

#[test]
fn what_was_stored_with_an_identifier_behind_one_without_was_never_sent() {
    use InflightStage::{Published, Released};
    let mut outgoing = restored(vec![stored(1, None), stored(2, Some((9, Published)))]);
    assert_eq!(outgoing.send(WINDOW), publishes(&[1, 2]));
    // Unless the client has answered it.
    let mut outgoing = restored(vec![stored(1, None), stored(2, Some((9, Released)))]);
    let sent = outgoing.send(WINDOW);
    assert_eq!(
        sent,
        [(Next::Publish(id(1)), true), (Next::Release(id(9)), true)]
    );
}

/// MQTT 5.0: [MQTT-3.3.4-10]
#[test]
fn pubrel_goes_ahead_of_messages_that_wait_for_quota_once_on_each_connection() {
    let mut outgoing = Outgoing::default();
    for _ in 0..4 {
        outgoing.queue(QoS::ExactlyOnce, false, WINDOW);
    }
    outgoing.send(WINDOW);
    assert_eq!(
        outgoing.pubrec(id(3), false, false),
        Acknowledged::Release(3)
    );
    for _ in 0..2 {
        outgoing.rewind();
        let expected = [(Next::Publish(id(1)), true), (Next::Release(id(3)), true)];
        assert_eq!(outgoing.send(1), expected);
        assert_eq!(outgoing.unacknowledged(), 1);
    }
    // PUBREC for a message that still waits on this connection: PUBREL is the answer to it.
    assert_eq!(
        outgoing.pubrec(id(4), false, false),
        Acknowledged::Release(4)
    );
    assert_eq!(outgoing.send(1), []);
    outgoing.pubrec(id(1), true, false);
    assert_eq!(outgoing.send(1), [(Next::Publish(id(2)), true)]);
    outgoing.pubrec(id(2), true, false);
    // Those that went ahead count when it is their turn.
    assert_eq!(outgoing.send(2), []);
    assert_eq!(outgoing.unacknowledged(), 2);
    assert_eq!(outgoing.pubcomp(id(4)), Acknowledged::Done(4));
    assert_eq!(outgoing.pubcomp(id(3)), Acknowledged::Done(3));
    outgoing.check(usize::MAX);
    assert_eq!(outgoing.len(), 0);
}

/// So many waiting messages, without a check after each.
fn waiting(count: u64) -> Outgoing {
    let message = message("x");
    let terms = Terms {
        qos: QoS::AtLeastOnce,
        retain: false,
        subscription_ids: &SubscriptionIds::None,
        share: None,
    };
    let mut outgoing = Outgoing::default();
    for _ in 0..count {
        outgoing.push(Arc::clone(&message), &terms, false, 0);
    }
    outgoing
}

/// Paid for each message that waits in any session, and for the first one of each.
#[test]
fn an_entry_is_small() {
    assert_eq!(size_of::<Entry>(), 48);
    assert_eq!(waiting(1).entries.capacity(), 1);
    assert!(waiting(100_000).entries.capacity() < 126_000);
}

#[test]
fn a_long_queue_gives_memory_back_as_it_becomes_short() {
    let mut outgoing = waiting(100_000);
    for _ in 0..99_000 {
        let (entry, given) = outgoing.admit(WINDOW, false).unwrap();
        let sequence = entry.sequence;
        assert!(outgoing.next(WINDOW).is_some());
        outgoing.emitted(sequence, true);
        assert_eq!(outgoing.puback(given), Acknowledged::Done(sequence));
    }
    outgoing.check(usize::MAX);
    assert_eq!(outgoing.len(), 1_000);
    assert!(outgoing.entries.capacity() <= 4_096);
}
