//! Messages of a shared subscription whose receiver goes: where they go, and which stay (MQTT 5.0
//! section 4.8.2).

mod stored;

use std::time::Duration;

use broker_core::{BrokerOptions, CloseCause};
use mqtt_codec::{
    OwnedPacket, Packet, Properties, Property, PubAck, PubRec, Publish, QoS, ReasonCode,
    SubscriptionOptions, Unsubscribe, UnsubscribeFiltersBuf,
};

use crate::harness::client::{Dial, id};
use crate::harness::*;

const SHARE: &str = "$share/g/a";

/// What a broker waits at most before it tries again to give messages away.
const A_WHILE: Duration = Duration::from_millis(300);

fn narrow() -> BrokerOptions {
    BrokerOptions {
        max_inflight: 1,
        ..Default::default()
    }
}

/// Two dials: of a session that ends with its connection, and of one that lasts.
fn dials(net: &Net) -> [Dial; 2] {
    [
        net.dial("member").v5(),
        net.dial("member").expiry(100).resuming(),
    ]
}

fn member(dial: &Dial, qos: u8) -> Client {
    let member = dial.connect();
    member.subscribe(SHARE, qos);
    member
}

fn payloads(client: &Client) -> Vec<String> {
    let mut seen = Vec::new();
    while let Some(packet) = client.try_next() {
        if let OwnedPacket::Publish(publish) = packet {
            seen.push(String::from_utf8_lossy(&publish.payload).into_owned());
            client.acknowledge(&publish);
        }
    }
    seen
}

#[test]
fn what_a_lost_member_has_not_acknowledged_goes_to_another_at_once() {
    for with_store in [false, true] {
        let net = match with_store {
            true => Net::with_store(BrokerOptions::default()).0,
            false => Net::new(),
        };
        for dial in dials(&net) {
            let lost = member(&dial, 1);
            let publisher = net.connect("publisher");
            publisher.publish(qos1("a", "1"));
            publisher.publish(qos1("a", "2"));
            let first = lost.expect_unacknowledged(1, "a", "1");
            lost.expect_unacknowledged(1, "a", "2");
            lost.acknowledge(&first);
            let before = net.broker().counters().redistributed_shared.get();
            let other = net.connect_v5("other");
            let options = SubscriptionOptions::new(QoS::ExactlyOnce);
            other.subscribe_with(SHARE, options, Some(5));
            lost.lose();
            let it = other.expect(1, "a", "2");
            assert!(!it.dup, "it is new to this client");
            let identifier = it.properties.as_properties().subscription_identifier();
            assert_eq!(identifier, Some(5));
            other.expect_nothing();
            let counted = net.broker().counters().redistributed_shared.get();
            assert_eq!(counted, before + 1);
            dial.connect().expect_nothing();
            dial.connect().unsubscribe(SHARE);
            other.disconnect();
        }
    }
}

#[test]
fn what_was_never_sent_goes_at_every_quality_and_in_its_order() {
    for place in 0..2 {
        let net = Net::with(narrow());
        let dial = &dials(&net)[place];
        let lost = member(dial, 2);
        let publisher = net.connect("publisher");
        publisher.publish(qos1("a", "1"));
        publisher.publish(qos2("a", "2"));
        publisher.publish(qos1("a", "3"));
        lost.expect_unacknowledged(1, "a", "1");
        lost.expect_nothing();
        let other = net.connect_v5("other");
        other.subscribe(SHARE, 2);
        lost.lose();
        other.expect(1, "a", "1");
        other.expect(2, "a", "2");
        other.expect(1, "a", "3");
        other.expect_nothing();
        dial.connect().expect_nothing();
    }
}

/// Also if it had to wait before it was sent, in a session that keeps nothing that was.
#[test]
fn what_was_sent_out_of_the_queue_can_move_too() {
    let net = Net::with(narrow());
    let lost = member(&net.dial("member").v5(), 1);
    let publisher = net.connect("publisher");
    publisher.publish(qos1("a", "1"));
    publisher.publish(qos1("a", "2"));
    lost.expect(1, "a", "1");
    lost.expect_unacknowledged(1, "a", "2");
    let other = net.connect("other");
    other.subscribe(SHARE, 1);
    lost.lose();
    other.expect(1, "a", "2");
}

/// MQTT 5.0: [MQTT-4.8.2-4]
#[test]
fn a_delivery_at_qos_2_that_has_begun_is_completed_by_the_same_member() {
    let net = Net::new();
    let dial = net.dial("member").expiry(100).resuming();
    let lost = member(&dial, 2);
    let publisher = net.connect("publisher");
    publisher.publish(qos2("a", "sent"));
    publisher.publish(qos2("a", "received"));
    lost.expect_unacknowledged(2, "a", "sent");
    let received = lost.expect_unacknowledged(2, "a", "received");
    let received = received.packet_id.expect("it has one");
    lost.pubrec(received);
    lost.expect_pubrel(received);
    let other = net.connect_v5("other");
    other.subscribe(SHARE, 2);
    lost.lose();
    net.advance(A_WHILE);
    other.expect_nothing();
    let back = dial.connect();
    let again = back.expect_unacknowledged(2, "a", "sent");
    assert!(again.dup);
    back.expect_pubrel(received);
    back.acknowledge(&again);
    back.pubcomp(received);
    back.expect_nothing();
    other.expect_nothing();
}

/// MQTT 5.0: [MQTT-4.8.2-5]
#[test]
fn a_delivery_at_qos_2_that_has_begun_goes_to_nobody_else_when_the_session_ends() {
    let net = Net::new();
    for dial in dials(&net) {
        let lost = member(&dial, 2);
        let other = net.connect_v5("other");
        let publisher = net.connect("publisher");
        publisher.publish(qos2("a", "sent"));
        publisher.publish(qos2("a", "received"));
        lost.expect_unacknowledged(2, "a", "sent");
        let received = lost.expect_unacknowledged(2, "a", "received");
        lost.pubrec(received.packet_id.expect("it has one"));
        other.subscribe(SHARE, 2);
        lost.lose();
        net.advance(Duration::from_secs(101));
        other.expect_nothing();
        assert_eq!(net.broker().sizes().sessions, 2, "it has ended");
        net.connect("publisher");
    }
}

/// MQTT 5.0: [MQTT-4.8.2-6]
#[test]
fn a_message_that_is_refused_goes_to_nobody_else() {
    let net = Net::new();
    for dial in dials(&net) {
        let refuser = member(&dial, 2);
        let other = net.connect_v5("other");
        let publisher = net.connect("publisher");
        publisher.publish(qos1("a", "1"));
        publisher.publish(qos2("a", "2"));
        let one = refuser.expect_unacknowledged(1, "a", "1");
        let two = refuser.expect_unacknowledged(2, "a", "2");
        other.subscribe(SHARE, 2);
        refuser.send(Packet::PubAck(PubAck {
            reason_code: ReasonCode::QuotaExceeded,
            ..PubAck::new(one.packet_id.expect("it has one"))
        }));
        refuser.send(Packet::PubRec(PubRec {
            reason_code: ReasonCode::PayloadFormatInvalid,
            ..PubRec::new(two.packet_id.expect("it has one"))
        }));
        other.expect_nothing();
        refuser.lose();
        net.advance(A_WHILE);
        other.expect_nothing();
        dial.connect().expect_nothing();
        dial.connect().unsubscribe(SHARE);
        other.unsubscribe(SHARE);
    }
}

#[test]
fn without_another_connected_member_messages_wait_until_the_session_ends() {
    let (net, _) = Net::with_store(BrokerOptions::default());
    let away = net.dial("away").expiry(10_000).resuming();
    member(&away, 2).disconnect();
    let dial = net.dial("member").expiry(100).resuming();
    let lost = member(&dial, 2);
    let publisher = net.connect("publisher");
    publisher.publish(qos1("a", "1"));
    publisher.publish(qos2("a", "2"));
    lost.expect_unacknowledged(1, "a", "1");
    lost.expect_unacknowledged(2, "a", "2");
    lost.lose();
    net.advance(Duration::from_secs(99));
    let lost = dial.connect();
    assert!(lost.expect_unacknowledged(1, "a", "1").dup);
    assert!(lost.expect_unacknowledged(2, "a", "2").dup);
    lost.lose();
    publisher.publish(qos2("a", "3"));
    publisher.publish(qos1("a", "4"));
    net.advance(Duration::from_secs(101));
    // It was away when the session ended, and gets what it may have in the order of arrival.
    let seen = payloads(&away.connect());
    assert_eq!(seen.len(), 3, "{seen:?}");
    for payload in ["1", "3", "4"] {
        assert!(seen.contains(&payload.to_owned()), "{payload} of {seen:?}");
    }
}

#[test]
fn what_nobody_is_left_to_take_is_dropped_and_counted() {
    let net = Net::new();
    for dial in dials(&net) {
        let lost = member(&dial, 2);
        let publisher = net.connect("publisher");
        for publish in [qos1("a", "1"), qos2("a", "2"), qos0("a", "3")] {
            publisher.publish(publish);
        }
        lost.lose();
        net.advance(Duration::from_secs(101));
        net.connect("publisher");
    }
    let dropped = net.broker().counters().dropped_shared.get();
    assert_eq!(dropped, 2, "QoS 2 was sent, and is nobody else's");
}

/// What was sent at QoS 1 by the rules of one member goes to the next by his own.
#[test]
fn a_session_that_ends_leaves_to_a_member_at_qos_0_what_nobody_else_takes() {
    let net = Net::with(narrow());
    let lost = member(&net.dial("member").v5(), 2);
    let publisher = net.connect("publisher");
    publisher.publish(qos1("a", "1"));
    publisher.publish(qos2("a", "2"));
    let low = net.connect("low");
    low.subscribe(SHARE, 0);
    lost.lose();
    low.expect(0, "a", "1");
    low.expect(0, "a", "2");
    low.expect_nothing();
    // But a session that goes on keeps it.
    let dial = net.dial("member").expiry(100).resuming();
    let lost = member(&dial, 1);
    low.unsubscribe(SHARE);
    publisher.publish(qos1("a", "3"));
    low.subscribe(SHARE, 0);
    lost.expect_unacknowledged(1, "a", "3");
    lost.lose();
    net.advance(A_WHILE);
    low.expect_nothing();
    dial.connect().expect(1, "a", "3");
}

/// MQTT 5.0: [MQTT-3.10.4-2] [MQTT-3.10.4-3]
#[test]
fn who_unsubscribes_finishes_what_has_begun_and_leaves_the_rest_to_others() {
    for place in 0..2 {
        let net = Net::with(narrow());
        let leaver = member(&dials(&net)[place], 2);
        leaver.subscribe("b", 1);
        let publisher = net.connect("publisher");
        publisher.publish(qos1("a", "1"));
        for publish in [qos2("a", "2"), qos1("b", "own"), qos1("a", "3")] {
            publisher.publish(publish);
        }
        let begun = leaver.expect_unacknowledged(1, "a", "1");
        let other = net.connect_v5("other");
        other.subscribe(SHARE, 2);
        leaver.unsubscribe(SHARE);
        other.expect(2, "a", "2");
        other.expect(1, "a", "3");
        other.expect_nothing();
        leaver.acknowledge(&begun);
        leaver.expect(1, "b", "own");
        leaver.expect_nothing();
    }
}

#[test]
fn who_leaves_several_groups_with_one_packet_leaves_the_messages_of_all() {
    let net = Net::with(narrow());
    let filters = ["$share/g/b", SHARE, "$share/h/c"];
    let leaver = net.connect_v5("leaver");
    for filter in filters {
        leaver.subscribe(filter, 1);
    }
    let publisher = net.connect("publisher");
    for (topic, payload) in [("a", "1"), ("a", "2"), ("b", "3"), ("c", "4"), ("b", "5")] {
        publisher.publish(qos1(topic, payload));
    }
    leaver.expect_unacknowledged(1, "a", "1");
    let other = net.connect("other");
    for filter in &filters[..2] {
        other.subscribe(filter, 1);
    }
    let mut buf = UnsubscribeFiltersBuf::new();
    for filter in filters {
        buf.push(filter).expect("a string");
    }
    leaver.send(Packet::Unsubscribe(Unsubscribe {
        packet_id: id(9),
        properties: Properties::EMPTY,
        filters: buf.as_filters(),
    }));
    assert!(matches!(leaver.next(), OwnedPacket::UnsubAck(_)));
    for (topic, payload) in [("a", "2"), ("b", "3"), ("b", "5")] {
        other.expect(1, topic, payload);
    }
    other.expect_nothing();
    leaver.puback(id(1));
    // It was the last in this one.
    leaver.expect(1, "c", "4");
    leaver.expect_nothing();
}

/// Others wait for the thread that moves them.
#[test]
fn a_great_many_messages_move_some_at_a_time_and_in_their_order() {
    let (net, store) = Net::with_store(BrokerOptions::default());
    let dial = net.dial("member").expiry(100).resuming();
    member(&dial, 1).disconnect();
    let publisher = net.connect("publisher");
    let expected: Vec<_> = (0..2_500).map(|number| number.to_string()).collect();
    for payload in &expected {
        publisher.send_publish(qos1("a", payload));
    }
    assert_eq!(store.queue("member").len(), 2_500);
    let lost = dial.connect();
    lost.stop_reading();
    let other = net.connect("other");
    other.subscribe(SHARE, 1);
    lost.lose();
    let moved = || net.broker().counters().redistributed_shared.get();
    assert_eq!(moved(), 2_000);
    // What only the store has is read two messages at a time here.
    net.advance(200 * A_WHILE);
    assert_eq!(moved(), 2_500);
    assert_eq!(payloads(&other), expected);
    assert_eq!(store.queue("member").len(), 0);
    dial.connect().expect_nothing();
}

/// Or a move of many messages would ask all members for each of them.
#[test]
fn members_without_room_are_asked_for_a_few_messages_and_not_for_all() {
    for (large, is_moved) in [(15, true), (16, false)] {
        let net = Net::with(BrokerOptions {
            max_queued_bytes: 20_000,
            ..narrow()
        });
        let dial = net.dial("member").expiry(100).resuming();
        let lost = member(&dial, 1);
        let publisher = net.connect("publisher");
        for _ in 0..large {
            publisher.publish(qos1("a", &"x".repeat(1_000)));
        }
        publisher.publish(qos1("a", "small"));
        let other = net.dial("other").expiry(100).connect();
        other.subscribe("b", 1);
        other.subscribe(SHARE, 1);
        publisher.publish(qos1("b", &"y".repeat(19_500)));
        lost.lose();
        let moved = net.broker().counters().redistributed_shared.get();
        assert_eq!(moved, u64::from(is_moved), "behind {large}");
        assert_eq!(
            payloads(&dial.connect()).len(),
            large + usize::from(!is_moved)
        );
    }
}

#[test]
fn who_unsubscribes_last_gets_what_is_waiting() {
    let net = Net::with(narrow());
    let leaver = member(&net.dial("member").expiry(100).resuming(), 2);
    let publisher = net.connect("publisher");
    publisher.publish(qos1("a", "1"));
    publisher.publish(qos2("a", "2"));
    let begun = leaver.expect_unacknowledged(1, "a", "1");
    leaver.unsubscribe(SHARE);
    assert_eq!(net.broker().sizes().shared_subscriptions, 0);
    leaver.acknowledge(&begun);
    leaver.expect(2, "a", "2");
    leaver.expect_nothing();
}

#[test]
fn what_came_by_other_subscriptions_stays() {
    let net = Net::with(narrow());
    let dial = net.dial("member").expiry(100).resuming();
    let lost = member(&dial, 1);
    lost.subscribe("b", 1);
    let publisher = net.connect("publisher");
    let order = ["b", "a", "b", "a", "a", "b"];
    for (number, topic) in order.into_iter().enumerate() {
        publisher.publish(qos1(topic, &number.to_string()));
    }
    lost.expect_unacknowledged(1, "b", "0");
    let other = net.connect("other");
    other.subscribe(SHARE, 1);
    lost.lose();
    assert_eq!(payloads(&other), ["1", "3", "4"]);
    assert_eq!(payloads(&dial.connect()), ["0", "2", "5"]);
}

#[test]
fn a_takeover_moves_nothing_and_a_clean_start_all() {
    let net = Net::new();
    let dial = net.dial("member").expiry(100).resuming();
    let first = member(&dial, 1);
    let publisher = net.connect("publisher");
    publisher.publish(qos1("a", "1"));
    first.expect_unacknowledged(1, "a", "1");
    let other = net.connect("other");
    other.subscribe(SHARE, 1);
    let second = dial.connect();
    assert!(second.expect_unacknowledged(1, "a", "1").dup);
    other.expect_nothing();
    let clean = dial.clone().clean().connect();
    clean.expect_nothing();
    other.expect(1, "a", "1");
    for payload in ["2", "3"] {
        publisher.publish(qos1("a", payload));
        other.expect(1, "a", payload);
    }
}

#[test]
fn expiry_and_packet_size_hold_with_the_new_member() {
    let net = Net::with(narrow());
    let dial = net.dial("member").expiry(100).resuming();
    let lost = member(&dial, 1);
    let publisher = net.connect_v5("publisher");
    let mut properties = mqtt_codec::PropertiesBuf::new();
    let expiry = Property::MessageExpiryInterval(10);
    properties.push(expiry).expect("a property of PUBLISH");
    let large = "x".repeat(200);
    for payload in ["sent", "first", "expires", &large, "stays"] {
        let expires = payload.ends_with('s') && payload != "stays";
        publisher.publish(Publish {
            properties: match expires {
                true => properties.as_properties(),
                false => mqtt_codec::Properties::EMPTY,
            },
            ..qos1("a", payload)
        });
    }
    lost.expect_unacknowledged(1, "a", "sent");
    let small = net.dial("small").v5();
    let small = small.property(Property::MaximumPacketSize(100)).connect();
    small.subscribe(SHARE, 1);
    net.sleep(Duration::from_secs(4));
    lost.lose();
    let sent = small.expect_unacknowledged(1, "a", "sent");
    net.sleep(Duration::from_secs(7));
    small.acknowledge(&sent);
    assert_eq!(payloads(&small), ["first", "stays"]);
    assert_eq!(net.broker().counters().dropped_expired.get(), 1);
    // What is too large for the others stays.
    assert_eq!(payloads(&dial.connect()), [large]);
}

#[test]
fn members_that_are_full_leave_the_rest_where_it_is() {
    let net = Net::with(BrokerOptions {
        max_inflight: 1,
        max_queued_messages: 3,
        ..Default::default()
    });
    let dial = net.dial("member").expiry(100).resuming();
    let lost = member(&dial, 2);
    let publisher = net.connect("publisher");
    let other = net.connect_v5("other");
    other.subscribe("b", 2);
    publisher.publish(qos2("b", "own"));
    for payload in ["1", "2", "3"] {
        publisher.publish(qos2("a", payload));
    }
    lost.expect_unacknowledged(2, "a", "1");
    other.subscribe(SHARE, 2);
    other.expect_unacknowledged(2, "b", "own");
    lost.lose();
    net.advance(A_WHILE);
    assert_eq!(net.broker().counters().redistributed_shared.get(), 2);
    assert_eq!(net.broker().counters().dropped_queue_full.get(), 0);
    publisher.publish(qos2("a", "4"));
    let back = dial.connect();
    assert_eq!(payloads(&back), ["1", "4"], "4 had no room with the other");
}

#[test]
fn a_member_that_receives_what_moved_can_be_lost_in_turn() {
    let (net, _) = Net::with_store(BrokerOptions::default());
    let dials = ["one", "two", "three"].map(|name| net.dial(name).expiry(100).resuming());
    let publisher = net.connect("publisher");
    let one = member(&dials[0], 1);
    publisher.publish(qos1("a", "1"));
    let two = member(&dials[1], 1);
    one.lose();
    two.expect_unacknowledged(1, "a", "1");
    let three = member(&dials[2], 1);
    two.lose();
    three.expect(1, "a", "1");
    for dial in dials {
        dial.connect().expect_nothing();
    }
}
