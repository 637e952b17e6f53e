//! SUBSCRIBE and UNSUBSCRIBE, and the options of a subscription.

use broker_core::{CloseCause, Violation};
use mqtt_codec::{
    OwnedPacket, Packet, Properties, Publish, QoS, ReasonCode, RetainHandling, Subscribe,
    SubscribeFiltersBuf, SubscriptionOptions, Unsubscribe, UnsubscribeFiltersBuf, Version,
};

use crate::harness::*;

fn at(qos: QoS) -> SubscriptionOptions {
    SubscriptionOptions::new(qos)
}

/// [MQTT-3.8.4-5] [MQTT-3.8.4-6] [MQTT-3.9.3-1]
#[test]
fn suback_has_one_code_for_each_filter_in_their_order() {
    let net = Net::new();
    let client = net.connect_v5("client");
    let too_deep = "/".repeat(201);
    let mut filters = SubscribeFiltersBuf::new();
    for (filter, qos) in [
        ("a", QoS::ExactlyOnce),
        (&*too_deep, QoS::AtMostOnce),
        ("c/+", QoS::AtMostOnce),
        ("$share/group/a", QoS::AtMostOnce),
        ("d", QoS::AtLeastOnce),
    ] {
        filters.push(filter, at(qos)).expect("a string");
    }
    let packet_id = client.take_id();
    let filters = filters.as_filters();
    client.send(Packet::Subscribe(Subscribe {
        packet_id,
        properties: Properties::EMPTY,
        filters,
    }));
    let OwnedPacket::SubAck(suback) = client.next() else {
        panic!("SUBACK comes first")
    };
    assert_eq!(suback.packet_id, packet_id);
    let expected = [
        ReasonCode::GrantedQos2,
        ReasonCode::TopicFilterInvalid,
        ReasonCode::Success,
        ReasonCode::Success,
        ReasonCode::GrantedQos1,
    ];
    assert_eq!(suback.reason_codes, expected);
    assert_eq!(net.broker().sizes().subscriptions, 4);
}

/// [MQTT-3.8.4-3]
#[test]
fn subscribing_again_replaces_the_subscription() {
    let net = Net::new();
    let client = net.connect_v5("client");
    client.subscribe_with("a", at(QoS::ExactlyOnce), Some(5));
    client.subscribe_with("a", at(QoS::AtMostOnce), None);
    assert_eq!(net.broker().sizes().subscriptions, 1);
    net.connect("publisher").publish(qos2("a", "x"));
    assert!(client.expect(0, "a", "x").properties.is_empty());
    client.expect_nothing();
}

/// [MQTT-3.10.4-1] [MQTT-3.10.4-2] [MQTT-3.10.4-5]
#[test]
fn unsubscribing_removes_just_the_filter_with_the_same_text() {
    let net = Net::new();
    let client = net.connect_v5("client");
    client.subscribe("a/+", 0);
    client.subscribe("a/#", 0);
    assert_eq!(
        client.unsubscribe("a/b"),
        Some(ReasonCode::NoSubscriptionExisted)
    );
    assert_eq!(client.unsubscribe("a/#"), Some(ReasonCode::Success));
    assert_eq!(
        client.unsubscribe("a/#"),
        Some(ReasonCode::NoSubscriptionExisted)
    );
    assert_eq!(
        client.unsubscribe(&"/".repeat(201)),
        Some(ReasonCode::TopicFilterInvalid),
        "too many levels"
    );
    let publisher = net.connect("publisher");
    publisher.publish(qos0("a/b", "x"));
    publisher.publish(qos0("a/b/c", "y"));
    client.expect(0, "a/b", "x");
    client.expect_nothing();
}

/// [MQTT-3.10.4-6] [MQTT-3.11.3-1]
#[test]
fn unsuback_has_one_code_for_each_filter_in_their_order() {
    let net = Net::new();
    let client = net.connect_v5("client");
    client.subscribe("b", 0);
    let mut filters = UnsubscribeFiltersBuf::new();
    for filter in ["a", "b", "b"] {
        filters.push(filter).expect("a string");
    }
    let packet_id = client.take_id();
    client.send(Packet::Unsubscribe(Unsubscribe {
        packet_id,
        properties: Properties::EMPTY,
        filters: filters.as_filters(),
    }));
    let OwnedPacket::UnsubAck(unsuback) = client.next() else {
        panic!("UNSUBACK comes first")
    };
    let (none, done) = (ReasonCode::NoSubscriptionExisted, ReasonCode::Success);
    assert_eq!(unsuback.reason_codes, [none, done, none]);
}

/// [MQTT-3.10.4-3]
#[test]
fn deliveries_that_have_begun_are_finished_after_unsubscribing() {
    let net = Net::with(broker_core::BrokerOptions {
        max_inflight: 1,
        ..Default::default()
    });
    let client = net.connect("client");
    client.subscribe("a", 2);
    let publisher = net.connect("publisher");
    publisher.publish(qos2("a", "1"));
    publisher.publish(qos1("a", "2"));
    let first = client.expect_unacknowledged(2, "a", "1");
    client.unsubscribe("a");
    client.acknowledge(&first);
    client.expect(1, "a", "2");
    publisher.publish(qos1("a", "3"));
    client.expect_nothing();
}

/// [MQTT-3.8.3-3]
#[test]
fn no_local_keeps_a_clients_own_messages_from_it() {
    let net = Net::new();
    let client = net.connect_v5("client");
    let options = SubscriptionOptions {
        no_local: true,
        ..at(QoS::AtLeastOnce)
    };
    client.subscribe_with("a", options, None);
    // More than once: also when the receivers of the topic are remembered.
    for _ in 0..4 {
        client.publish(qos1("a", "own"));
    }
    client.expect_nothing();
    net.connect("other").publish(qos1("a", "other"));
    client.expect(1, "a", "other");
}

#[test]
fn no_local_keeps_a_clients_own_will_from_its_session() {
    let net = Net::new();
    let lasting = net.dial("client").expiry(100).resuming();
    let client = lasting.clone().will(qos1("a", "will")).connect();
    let options = SubscriptionOptions {
        no_local: true,
        ..at(QoS::AtLeastOnce)
    };
    client.subscribe_with("a", options, None);
    client.lose();
    lasting.connect().expect_nothing();
}

/// [MQTT-3.3.1-12] [MQTT-3.3.1-13]
#[test]
fn retain_as_published_passes_the_flag_on() {
    let net = Net::new();
    let plain = net.connect_v5("plain");
    plain.subscribe("a", 1);
    let as_published = net.connect_v5("as-published");
    let options = SubscriptionOptions {
        retain_as_published: true,
        ..at(QoS::AtLeastOnce)
    };
    as_published.subscribe_with("a", options, None);
    let publisher = net.connect("publisher");
    publisher.publish(retained(qos1("a", "kept")));
    publisher.publish(qos1("a", "passing"));
    assert!(!plain.expect(1, "a", "kept").retain);
    assert!(!plain.expect(1, "a", "passing").retain);
    assert!(as_published.expect(1, "a", "kept").retain);
    assert!(!as_published.expect(1, "a", "passing").retain);
}

/// [MQTT-3.3.1-9] [MQTT-3.3.1-10] [MQTT-3.3.1-11]
#[test]
fn retain_handling_says_when_retained_messages_are_sent() {
    let net = Net::new();
    net.connect("publisher")
        .publish(retained(qos0("a", "kept")));
    let client = net.connect_v5("client");
    let handling = |retain_handling| SubscriptionOptions {
        retain_handling,
        ..at(QoS::AtMostOnce)
    };
    client.subscribe_with("a", handling(RetainHandling::DoNotSend), None);
    client.expect_nothing();
    client.subscribe_with("a", handling(RetainHandling::SendIfNew), None);
    client.expect_nothing();
    client.subscribe_with("a", handling(RetainHandling::Send), None);
    assert!(client.expect(0, "a", "kept").retain);
    client.unsubscribe("a");
    client.subscribe_with("a", handling(RetainHandling::SendIfNew), None);
    assert!(client.expect(0, "a", "kept").retain);
    client.expect_nothing();
}

/// [MQTT-4.7.2-1]
#[test]
fn topics_that_begin_with_a_dollar_sign_have_to_be_asked_for() {
    let net = Net::new();
    let all = net.connect("all");
    for filter in ["#", "+/x", "+/#"] {
        all.subscribe(filter, 0);
    }
    let wanted = net.connect("wanted");
    wanted.subscribe("$own/#", 0);
    net.connect("publisher").publish(qos0("$own/x", "x"));
    all.expect_nothing();
    wanted.expect(0, "$own/x", "x");
}

#[test]
fn matching_counts_empty_levels() {
    let net = Net::new();
    let client = net.connect("client");
    client.subscribe("+/a", 0);
    let publisher = net.connect("publisher");
    publisher.publish(qos0("/a", "yes"));
    publisher.publish(qos0("a", "no"));
    publisher.publish(qos0("//a", "no"));
    client.expect(0, "/a", "yes");
    client.expect_nothing();
    client.subscribe("b/#", 0);
    publisher.publish(qos0("b", "parent"));
    client.expect(0, "b", "parent");
}

/// MQTT 3.1.1: [MQTT-4.7.1-2] [MQTT-4.7.1-3] [MQTT-4.7.3-1] [MQTT-4.8.0-1]
/// MQTT 5.0: [MQTT-4.7.1-1] [MQTT-4.7.1-2] [MQTT-4.7.3-1] [MQTT-4.13.1-1]
#[test]
fn a_malformed_filter_ends_the_connection_and_grants_nothing() {
    let net = Net::new();
    for filter in ["", "a/#/b", "a#", "+a"] {
        let malformed = CloseCause::Protocol(Violation::TopicFilter);
        for dial in [net.dial("client").v31(), net.dial("client")] {
            let client = dial.connect();
            client.send_subscribe(client.take_id(), filter, at(QoS::AtMostOnce), None);
            client.expect_closed(malformed);
            let client = dial.connect();
            client.send_unsubscribe(client.take_id(), filter);
            client.expect_closed(malformed);
        }
        let lasting = net.dial("client").expiry(100);
        let client = lasting.connect();
        let mut filters = SubscribeFiltersBuf::new();
        for filter in ["good", filter] {
            filters.push(filter, at(QoS::AtMostOnce)).expect("a string");
        }
        client.send(Packet::Subscribe(Subscribe {
            packet_id: client.take_id(),
            properties: Properties::EMPTY,
            filters: filters.as_filters(),
        }));
        client.expect_disconnected(ReasonCode::MalformedPacket);
        assert_eq!(
            net.broker().sizes().subscriptions,
            0,
            "not even the good one"
        );
        let client = lasting.connect();
        client.send_unsubscribe(client.take_id(), filter);
        client.expect_disconnected(ReasonCode::MalformedPacket);
    }
}

/// What stands behind a SUBSCRIBE in the stream takes effect behind it, however many filters it has.
#[test]
fn a_publish_behind_a_subscribe_of_very_many_filters_comes_back() {
    const MANY: usize = 2_000;
    let net = Net::new();
    let client = net.connect("client");
    let mut filters = SubscribeFiltersBuf::new();
    for number in 0..MANY {
        let filter = format!("many/{number}");
        filters.push(&filter, at(QoS::AtMostOnce)).unwrap();
    }
    let subscribe = Packet::Subscribe(Subscribe {
        packet_id: client.take_id(),
        properties: Properties::EMPTY,
        filters: filters.as_filters(),
    });
    let last = format!("many/{}", MANY - 1);
    let publish = Packet::Publish(Publish::new(&last, b"x"));
    let mut bytes = Vec::new();
    for packet in [subscribe, publish] {
        packet.encode(Version::V311, &mut bytes).unwrap();
    }
    client.send_raw(&bytes);
    match client.next() {
        OwnedPacket::SubAck(suback) => assert_eq!(suback.reason_codes.len(), MANY),
        other => panic!("{other:?}"),
    }
    client.expect(0, &last, "x");
}
