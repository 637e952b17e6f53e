//! Shared subscriptions: who may have one, and which member gets a message (MQTT 5.0 section 4.8.2).

use std::sync::Arc;

use broker_core::{
    Broker, BrokerOptions, CloseCause, Connection, Effects, Message, MessageParts, ShareStrategy,
    Timestamp, Violation,
};
use mqtt_codec::{
    Connect, OwnedPacket, Packet, PacketId, Properties, PropertiesBuf, Property, QoS, ReasonCode,
    RetainHandling, Subscribe, SubscribeFiltersBuf, SubscriptionOptions, Version,
};

use crate::harness::*;

const SHARE: &str = "$share/g/a";

/// Members of the group, whose sessions end with their connections.
fn members<const N: usize>(net: &Net, qos: u8) -> [Client; N] {
    core::array::from_fn(|number| {
        let member = net.connect_v5(&format!("member-{number}"));
        member.subscribe(SHARE, qos);
        member
    })
}

fn with_strategy(strategy: ShareStrategy) -> Net {
    Net::with(BrokerOptions {
        shared_subscription_strategy: strategy,
        ..Default::default()
    })
}

/// Publishes numbered messages, and says which member got which.
fn publish_and_see(net: &Net, members: &[Client], count: usize) -> Vec<usize> {
    let publisher = net.connect("publisher");
    let mut receivers = Vec::new();
    for number in 0..count {
        publisher.publish(qos1("a", &number.to_string()));
        let mut got = Vec::new();
        for (place, member) in members.iter().enumerate() {
            while let Some(OwnedPacket::Publish(publish)) = member.try_next() {
                member.acknowledge(&publish);
                got.push(place);
            }
        }
        assert_eq!(got.len(), 1, "one member gets the message");
        receivers.extend(got);
    }
    receivers
}

#[test]
fn each_message_goes_to_one_member_in_turn_at_every_quality() {
    let net = Net::new();
    let [one, two, three] = members(&net, 2);
    let publisher = net.connect("publisher");
    for publish in [qos0("a", "x"), qos1("a", "x"), qos2("a", "x")] {
        for member in [&one, &two, &three] {
            publisher.publish(publish);
            member.expect(publish.qos.as_u8(), "a", "x");
        }
    }
    for member in [one, two, three] {
        member.expect_nothing();
    }
    assert_eq!(net.broker().sizes().subscriptions, 3);
    assert_eq!(net.broker().sizes().shared_subscriptions, 1);
}

#[test]
fn clients_of_all_versions_share() {
    let net = Net::new();
    let dials = [net.dial("v31").v31(), net.dial("v311"), net.dial("v5").v5()];
    let members = dials.map(|dial| {
        let member = dial.connect();
        member.subscribe("$share/g/+", 1);
        member
    });
    let publisher = net.connect("publisher");
    for member in &members {
        publisher.publish(qos1("a", "x"));
        member.expect(1, "a", "x");
    }
    // To publish to the text is to publish to a topic like any other.
    publisher.publish(qos1("$share/g/a", "x"));
    for member in &members {
        member.expect_nothing();
    }
}

#[test]
fn sticky_stays_with_one_member_until_it_leaves() {
    let net = with_strategy(ShareStrategy::Sticky);
    let members: [Client; 3] = members(&net, 1);
    assert_eq!(publish_and_see(&net, &members, 4), [0; 4]);
    members[0].unsubscribe(SHARE);
    assert_eq!(publish_and_see(&net, &members, 4), [1; 4]);
    members[1].lose();
    assert_eq!(publish_and_see(&net, &members, 4), [2; 4]);
}

#[test]
fn random_leaves_nobody_out() {
    let net = with_strategy(ShareStrategy::Random);
    let members: [Client; 3] = members(&net, 1);
    let got = publish_and_see(&net, &members, 60);
    for place in 0..3 {
        let count = got.iter().filter(|it| **it == place).count();
        assert!(
            (8..=35).contains(&count),
            "member {place} got {count} of 60"
        );
    }
}

#[test]
fn least_inflight_goes_by_what_is_not_acknowledged() {
    let net = with_strategy(ShareStrategy::LeastInflight);
    let [one, two] = members(&net, 1);
    let publisher = net.connect("publisher");
    publisher.publish(qos1("a", "1"));
    publisher.publish(qos1("a", "2"));
    let first = one.expect_unacknowledged(1, "a", "1");
    for payload in ["3", "4"] {
        two.expect(1, "a", if payload == "3" { "2" } else { "3" });
        publisher.publish(qos1("a", payload));
    }
    two.expect(1, "a", "4");
    one.expect_nothing();
    one.acknowledge(&first);
    publisher.publish(qos1("a", "5"));
    publisher.publish(qos1("a", "6"));
    one.expect(1, "a", "5");
    two.expect(1, "a", "6");
}

/// Each is processed on its own, and so is what a member subscribes to of its own.
#[test]
fn groups_and_own_subscriptions_are_independent() {
    let net = Net::new();
    let client = net.connect_v5("client");
    let at = SubscriptionOptions::new(QoS::AtLeastOnce);
    for (filter, identifier) in [("a", 1), (SHARE, 2), ("$share/h/a", 3), ("$share/g/+", 4)] {
        client.subscribe_with(filter, at, Some(identifier));
    }
    net.connect("publisher").publish(qos1("a", "x"));
    let mut identifiers: Vec<Option<u32>> = (0..4)
        .map(|_| {
            let publish = client.expect(1, "a", "x");
            publish.properties.as_properties().subscription_identifier()
        })
        .collect();
    identifiers.sort_unstable();
    assert_eq!(identifiers, [Some(1), Some(2), Some(3), Some(4)]);
    client.expect_nothing();
}

/// MQTT 5.0: [MQTT-4.8.2-3]
#[test]
fn the_chosen_member_decides_on_quality_retain_flag_and_identifier() {
    let net = Net::new();
    let low = net.connect_v5("low");
    low.subscribe_with(SHARE, SubscriptionOptions::new(QoS::AtMostOnce), Some(7));
    let high = net.connect_v5("high");
    let options = SubscriptionOptions {
        retain_as_published: true,
        ..SubscriptionOptions::new(QoS::ExactlyOnce)
    };
    high.subscribe_with(SHARE, options, Some(9));
    let publisher = net.connect("publisher");
    for (low_gets, high_gets, publish) in [
        (0, 2, retained(qos2("a", "x"))),
        (0, 1, retained(qos1("a", "x"))),
        (0, 0, retained(qos0("a", "x"))),
    ] {
        publisher.publish(publish);
        publisher.publish(publish);
        let it = low.expect(low_gets, "a", "x");
        assert!(!it.retain);
        assert_eq!(
            it.properties.as_properties().subscription_identifier(),
            Some(7)
        );
        let it = high.expect(high_gets, "a", "x");
        assert!(it.retain);
        assert_eq!(
            it.properties.as_properties().subscription_identifier(),
            Some(9)
        );
    }
}

#[test]
fn retained_messages_are_not_sent_to_a_shared_subscription() {
    let net = Net::new();
    net.connect("publisher")
        .publish(retained(qos1("a", "kept")));
    let client = net.connect_v5("client");
    for retain_handling in [RetainHandling::Send, RetainHandling::SendIfNew] {
        let options = SubscriptionOptions {
            retain_handling,
            ..SubscriptionOptions::new(QoS::AtLeastOnce)
        };
        client.subscribe_with(SHARE, options, None);
        client.expect_nothing();
        client.unsubscribe(SHARE);
    }
}

#[test]
fn wills_and_the_brokers_own_messages_reach_a_group() {
    let net = Net::new();
    let [one, two] = members(&net, 1);
    net.dial("gone").will(qos1("a", "will")).connect().lose();
    one.expect(1, "a", "will");
    net.broker_publishes(MessageParts {
        topic: "a",
        properties: &[],
        payload: b"own",
        qos: QoS::AtLeastOnce,
        retain: false,
        expires: Timestamp::MAX,
    });
    two.expect(1, "a", "own");
    one.expect_nothing();
}

fn subscribe_to(client: &Client, filters: &[(&str, SubscriptionOptions)], identifier: Option<u32>) {
    let mut buf = SubscribeFiltersBuf::new();
    for (filter, options) in filters {
        buf.push(filter, *options).expect("a string");
    }
    let mut properties = PropertiesBuf::new();
    if let Some(identifier) = identifier {
        let property = Property::SubscriptionIdentifier(identifier);
        properties.push(property).expect("in range");
    }
    client.send(Packet::Subscribe(Subscribe {
        packet_id: client.take_id(),
        properties: properties.as_properties(),
        filters: buf.as_filters(),
    }));
}

/// MQTT 5.0: [MQTT-3.8.3-4]
#[test]
fn no_local_on_a_shared_subscription_disconnects_and_grants_nothing_of_the_packet() {
    let net = Net::new();
    let client = net.dial("client").expiry(100).connect();
    let plain = SubscriptionOptions::new(QoS::AtMostOnce);
    let no_local = SubscriptionOptions {
        no_local: true,
        ..plain
    };
    subscribe_to(&client, &[("b", plain), (SHARE, no_local)], None);
    client.expect_disconnected(ReasonCode::ProtocolError);
    assert_eq!(net.broker().sizes().subscriptions, 0);
}

/// Sections 3.2.2.3.11 to 3.2.2.3.13 of MQTT 5.0: what CONNACK has announced not to be there is a
/// Protocol Error, with a reason of its own.
#[test]
fn what_is_not_available_disconnects_mqtt_5_clients() {
    let plain = SubscriptionOptions::new(QoS::AtMostOnce);
    type Case = (
        fn(&mut BrokerOptions),
        &'static str,
        Option<u32>,
        ReasonCode,
    );
    let cases: [Case; 4] = [
        (
            |options| options.wildcard_subscriptions = false,
            "a/+",
            None,
            ReasonCode::WildcardSubscriptionsNotSupported,
        ),
        (
            |options| options.wildcard_subscriptions = false,
            "$share/g/#",
            None,
            ReasonCode::WildcardSubscriptionsNotSupported,
        ),
        (
            |options| options.subscription_identifiers = false,
            "a",
            Some(1),
            ReasonCode::SubscriptionIdentifiersNotSupported,
        ),
        (
            |options| options.shared_subscriptions = false,
            SHARE,
            None,
            ReasonCode::SharedSubscriptionsNotSupported,
        ),
    ];
    for (switch_off, filter, identifier, reason) in cases {
        let mut options = BrokerOptions::default();
        switch_off(&mut options);
        let net = Net::with(options);
        let client = net.dial("client").expiry(100).connect();
        subscribe_to(&client, &[("b", plain), (filter, plain)], identifier);
        client.expect_disconnected(reason);
        assert_eq!(net.broker().sizes().subscriptions, 0, "{filter}");
    }
}

/// MQTT 3.1.1: [MQTT-3.8.3-2]
#[test]
fn what_is_not_available_is_refused_to_older_clients_in_the_words_they_have() {
    let net = Net::with(BrokerOptions {
        wildcard_subscriptions: false,
        shared_subscriptions: false,
        ..Default::default()
    });
    let plain = SubscriptionOptions::new(QoS::AtMostOnce);
    let client = net.connect("client");
    for filter in ["a/+", SHARE] {
        let code = client.subscribe_with(filter, plain, None);
        assert_eq!(code, ReasonCode::UnspecifiedError, "0x80");
    }
    client.subscribe("a", 0);
    let oldest = net.dial("oldest").v31().connect();
    subscribe_to(&oldest, &[(SHARE, plain)], None);
    oldest.expect_closed(CloseCause::Protocol(Violation::SubscriptionRefused));
}

/// MQTT 5.0: [MQTT-4.8.2-1] [MQTT-4.8.2-2]
#[test]
fn a_shared_subscription_has_a_name_without_wildcards_and_a_filter() {
    let net = Net::new();
    let malformed = CloseCause::Protocol(Violation::TopicFilter);
    let plain = SubscriptionOptions::new(QoS::AtMostOnce);
    for filter in [
        "$share/",
        "$share//a",
        "$share/g",
        "$share/g/",
        "$share/g+/a",
        "$share/#",
        "$share/#/a",
        "$share/g/a#",
    ] {
        let v311 = net.connect("v311");
        v311.send_subscribe(v311.take_id(), filter, plain, None);
        v311.expect_closed(malformed);
        let v5 = net.connect_v5("v5");
        v5.send_subscribe(v5.take_id(), filter, plain, None);
        v5.expect_disconnected(ReasonCode::MalformedPacket);
        let client = net.connect_v5("client");
        client.send_unsubscribe(client.take_id(), filter);
        client.expect_disconnected(ReasonCode::MalformedPacket);
    }
    let v5 = net.connect_v5("v5");
    v5.subscribe("$share/a very long name $%&/$share/x/+/y", 0);
    v5.subscribe("$share", 0);
    assert_eq!(net.broker().sizes().shared_subscriptions, 1);
}

/// MQTT 5.0: [MQTT-3.10.4-1] [MQTT-3.10.4-2]
#[test]
fn a_member_that_subscribes_again_is_there_once_and_leaves_at_once() {
    let net = Net::new();
    let [one, two] = members(&net, 2);
    one.subscribe(SHARE, 0);
    let publisher = net.connect("publisher");
    for _ in 0..2 {
        publisher.publish(qos2("a", "x"));
        publisher.publish(qos2("a", "x"));
        one.expect(0, "a", "x");
        two.expect(2, "a", "x");
    }
    for other in ["$share/g/+", "$share/h/a", "a"] {
        let code = one.unsubscribe(other);
        assert_eq!(code, Some(ReasonCode::NoSubscriptionExisted));
    }
    assert_eq!(one.unsubscribe(SHARE), Some(ReasonCode::Success));
    let code = one.unsubscribe(SHARE);
    assert_eq!(code, Some(ReasonCode::NoSubscriptionExisted));
    publisher.publish(qos2("a", "y"));
    publisher.publish(qos2("a", "z"));
    two.expect(2, "a", "y");
    two.expect(2, "a", "z");
    one.expect_nothing();
    two.unsubscribe(SHARE);
    assert_eq!(net.broker().sizes().shared_subscriptions, 0);
    let alone = net.connect_v5("alone");
    alone.publish(qos1("a", "nobody"));
}

#[test]
fn publishers_that_remember_receivers_see_members_come_and_go() {
    let net = Net::new();
    let publisher = net.connect_v5("publisher");
    for _ in 0..3 {
        let code = publisher.publish(qos1("a", "nobody"));
        assert_eq!(code, ReasonCode::NoMatchingSubscribers);
    }
    let [one] = members(&net, 1);
    for _ in 0..3 {
        assert_eq!(publisher.publish(qos1("a", "x")), ReasonCode::Success);
        one.expect(1, "a", "x");
    }
    let two = net.connect_v5("two");
    two.subscribe(SHARE, 1);
    publisher.publish(qos1("a", "1"));
    publisher.publish(qos1("a", "2"));
    assert!(one.try_next().is_some() && two.try_next().is_some());
    one.lose();
    two.unsubscribe(SHARE);
    let code = publisher.publish(qos1("a", "nobody"));
    assert_eq!(code, ReasonCode::NoMatchingSubscribers);
}

#[test]
fn a_member_whose_outbox_is_full_is_passed_over() {
    let net = Net::with(BrokerOptions {
        max_outbox_bytes: 1_000,
        ..Default::default()
    });
    let [slow, quick] = members(&net, 0);
    let publisher = net.connect("publisher");
    let large = "x".repeat(600);
    slow.stop_reading();
    for number in 0..20 {
        publisher.publish(qos0("a", &large));
        if number >= 10 {
            quick.expect(0, "a", &large);
            quick.expect_nothing();
        } else {
            while quick.try_next().is_some() {}
        }
    }
    assert_eq!(net.broker().counters().dropped_slow_reader.get(), 0);
    quick.stop_reading();
    for _ in 0..20 {
        publisher.publish(qos0("a", &large));
    }
    let dropped = net.broker().counters().dropped_slow_reader.get();
    assert!((15..20).contains(&dropped), "counted once each: {dropped}");
    slow.read_on();
    quick.read_on();
}

#[test]
fn a_member_whose_queue_is_full_is_passed_over() {
    let net = Net::with(BrokerOptions {
        max_queued_messages: 2,
        max_inflight: 1,
        ..Default::default()
    });
    let [idle, busy] = members(&net, 1);
    let publisher = net.connect("publisher");
    for payload in ["1", "2", "3", "4"] {
        publisher.publish(qos1("a", payload));
    }
    for payload in ["2", "4"] {
        busy.expect(1, "a", payload);
    }
    publisher.publish(qos1("a", "5"));
    publisher.publish(qos1("a", "6"));
    for payload in ["5", "6"] {
        busy.expect(1, "a", payload);
    }
    assert_eq!(net.broker().counters().dropped_queue_full.get(), 0);
    for payload in ["7", "8", "9"] {
        publisher.publish(qos1("a", payload));
    }
    assert_eq!(net.broker().counters().dropped_queue_full.get(), 1);
    for payload in ["7", "8"] {
        busy.expect(1, "a", payload);
    }
    for payload in ["1", "3"] {
        idle.expect(1, "a", payload);
    }
}

#[test]
fn a_member_that_takes_no_packet_so_large_is_passed_over() {
    let net = Net::new();
    let narrow = |name: &str, bytes: u32| {
        let dial = net
            .dial(name)
            .v5()
            .property(Property::MaximumPacketSize(bytes));
        let member = dial.connect();
        member.subscribe(SHARE, 2);
        member
    };
    let lasting = net.dial("lasting").expiry(100);
    let lasting = lasting.property(Property::MaximumPacketSize(60)).connect();
    lasting.subscribe(SHARE, 2);
    let (small, large) = (narrow("small", 60), narrow("large", 2_000));
    let publisher = net.connect("publisher");
    let payload = "x".repeat(100);
    for publish in [
        qos0("a", &payload),
        qos1("a", &payload),
        qos2("a", &payload),
    ] {
        for _ in 0..3 {
            publisher.publish(publish);
            large.expect(publish.qos.as_u8(), "a", &payload);
        }
    }
    assert_eq!(net.broker().counters().dropped_too_large.get(), 0);
    let payload = "x".repeat(3_000);
    for publish in [qos0("a", &payload), qos1("a", &payload)] {
        publisher.publish(publish);
    }
    assert_eq!(net.broker().counters().dropped_too_large.get(), 2);
    for member in [small, lasting, large] {
        member.expect_nothing();
    }
}

#[test]
fn while_nobody_is_connected_messages_wait_with_one_whose_session_lasts() {
    let net = Net::new();
    let dials = [
        net.dial("one").expiry(100).resuming(),
        net.dial("two").expiry(100).resuming(),
    ];
    for dial in &dials {
        let member = dial.connect();
        member.subscribe(SHARE, 1);
        member.lose();
    }
    let at_most_once = net.dial("three").expiry(100).resuming();
    let member = at_most_once.connect();
    member.subscribe(SHARE, 0);
    member.lose();
    let publisher = net.connect("publisher");
    for payload in ["1", "2", "3", "4"] {
        publisher.publish(qos1("a", payload));
    }
    publisher.publish(qos0("a", "gone"));
    let [one, two] = dials.map(|dial| dial.connect());
    let mut got: Vec<Vec<String>> = Vec::new();
    for member in [&one, &two] {
        let mut own = Vec::new();
        while let Some(OwnedPacket::Publish(publish)) = member.try_next() {
            own.push(String::from_utf8_lossy(&publish.payload).into_owned());
            member.acknowledge(&publish);
        }
        got.push(own);
    }
    assert_eq!(got, [["1", "3"], ["2", "4"]]);
    at_most_once.connect().expect_nothing();
    // As soon as somebody is connected, he gets what comes.
    two.lose();
    for payload in ["5", "6"] {
        publisher.publish(qos1("a", payload));
    }
    for member in [&one] {
        while let Some(OwnedPacket::Publish(publish)) = member.try_next() {
            member.acknowledge(&publish);
        }
    }
    assert_eq!(net.broker().counters().dropped_shared.get(), 0);
}

/// A message in the queue of a member names its group, and the group its members.
#[test]
fn a_broker_that_is_dropped_leaves_no_message_in_memory() {
    let message = Message::new(MessageParts {
        topic: "a",
        properties: &[],
        payload: b"x",
        qos: QoS::AtLeastOnce,
        retain: false,
        expires: Timestamp::MAX,
    });
    let broker = Broker::new(BrokerOptions::default());
    let (now, mut effects) = (Timestamp::from_millis(1), Effects::new());
    let mut connection = Connection::new(&broker, now);
    let mut connect = Connect::new(Version::V311, "member");
    connect.clean_start = false;
    connection.handle_packet(now, Packet::Connect(connect), &mut effects);
    let mut filters = SubscribeFiltersBuf::new();
    let options = SubscriptionOptions::new(QoS::AtLeastOnce);
    filters.push("$share/g/a", options).unwrap();
    let subscribe = Subscribe {
        packet_id: PacketId::MIN,
        properties: Properties::EMPTY,
        filters: filters.as_filters(),
    };
    connection.handle_packet(now, Packet::Subscribe(subscribe), &mut effects);
    broker.publish(now, &message, &mut effects).unwrap();
    assert!(Arc::strong_count(&message) > 1, "it waits for the client");
    drop((connection, effects));
    assert!(Arc::strong_count(&message) > 1, "it waits in the session");
    drop(broker);
    assert_eq!(Arc::strong_count(&message), 1);
}
