//! Topic aliases that clients set.

use super::*;

fn with_inbound(topic_alias_maximum: u16) -> BrokerOptions {
    BrokerOptions {
        topic_alias_maximum,
        ..BrokerOptions::default()
    }
}

/// MQTT 5.0: [MQTT-3.2.2-17]
#[test]
fn connack_names_the_highest_alias_that_is_taken() {
    for maximum in [0, 1, 256, u16::MAX] {
        let client = Net::with(with_inbound(maximum)).connect_v5("client");
        let told = client.connack.properties.as_properties();
        assert_eq!(told.topic_alias_maximum(), (maximum > 0).then_some(maximum));
    }
    let told = Net::new().connect_v5("client").connack.properties;
    assert_eq!(told.as_properties().topic_alias_maximum(), Some(256));
}

#[test]
fn an_alias_stands_for_the_topic_that_it_came_with_until_it_comes_with_another() {
    let net = Net::new();
    let old = net.connect("old");
    let new = net.connect_v5("new");
    for client in [&old, &new] {
        client.subscribe("#", 2);
    }
    let publisher = net.connect_v5("publisher");
    for publish in [qos0, qos1, qos2] {
        let qos = publish("", "").qos.as_u8();
        let expect = |topic, payload| {
            old.expect(qos, topic, payload);
            let received = new.expect(qos, topic, payload);
            assert_eq!(alias_of(&received), None, "it is not forwarded");
        };
        publisher.send_aliased(1, publish("a/b", "sets"));
        expect("a/b", "sets");
        publisher.send_aliased(1, publish("", "uses"));
        expect("a/b", "uses");
        publisher.send_aliased(2, publish("c", "another alias"));
        expect("c", "another alias");
        publisher.send_aliased(1, publish("", "first again"));
        expect("a/b", "first again");
        publisher.send_publish(publish("d", "without"));
        expect("d", "without");
        publisher.send_aliased(1, publish("e", "sets anew"));
        expect("e", "sets anew");
        publisher.send_aliased(1, publish("", "uses anew"));
        expect("e", "uses anew");
        publisher.send_aliased(2, publish("", "untouched"));
        expect("c", "untouched");
    }
}

/// MQTT 5.0: [MQTT-3.3.2-12]
#[test]
fn every_alias_up_to_the_maximum_is_taken() {
    let net = Net::with(with_inbound(300));
    let subscriber = net.connect("subscriber");
    subscriber.subscribe("#", 0);
    let publisher = net.connect_v5("publisher");
    let topics: Vec<String> = (0..=300).map(|alias| format!("topic/{alias}")).collect();
    for alias in (1..=300).rev() {
        publisher.send_aliased(alias, qos0(&topics[usize::from(alias)], "sets"));
        subscriber.expect(0, &topics[usize::from(alias)], "sets");
    }
    for alias in 1..=300 {
        publisher.send_aliased(alias, qos0("", "uses"));
        subscriber.expect(0, &topics[usize::from(alias)], "uses");
    }
}

/// MQTT 5.0: [MQTT-3.2.2-17] [MQTT-3.2.2-18] [MQTT-3.3.2-9]
#[test]
fn an_alias_above_the_maximum_closes() {
    for (maximum, alias) in [(0, 1), (1, 2), (256, 257), (256, u16::MAX)] {
        let net = Net::with(with_inbound(maximum));
        let subscriber = net.connect("subscriber");
        subscriber.subscribe("#", 1);
        for topic in ["a", ""] {
            let publisher = net.connect_v5("publisher");
            publisher.send_aliased(alias, qos1(topic, "x"));
            publisher.expect_disconnected(ReasonCode::TopicAliasInvalid);
            let cause = CloseCause::Protocol(Violation::TopicAlias);
            assert_eq!(publisher.closed(), Some(cause));
        }
        assert_eq!(net.broker().counters().protocol_errors.get(), 2);
        subscriber.expect_nothing();
    }
}

/// MQTT 5.0: [MQTT-3.3.2-8]
#[test]
fn alias_0_closes() {
    let net = Net::new();
    for publish in [
        b"\x30\x07\x00\x01a\x03\x23\x00\x00".as_slice(),
        b"\x30\x06\x00\x00\x03\x23\x00\x00",
    ] {
        let publisher = net.connect_v5("publisher");
        publisher.send_raw(publish);
        publisher.expect_disconnected(ReasonCode::TopicAliasInvalid);
    }
}

/// Section 3.3.4 of 5.0: with an alias that stands for nothing. Section 3.3.2.1: with none at all.
#[test]
fn an_empty_topic_name_that_nothing_stands_for_closes() {
    let net = Net::new();
    let other = net.connect_v5("other");
    other.send_aliased(1, qos0("a", "x"));
    let publisher = net.connect_v5("publisher");
    publisher.send_aliased(2, qos0("a", "x"));
    publisher.send_aliased(1, qos0("", "x"));
    publisher.expect_disconnected(ReasonCode::ProtocolError);
    let cause = CloseCause::Protocol(Violation::UnknownTopicAlias);
    assert_eq!(publisher.closed(), Some(cause));

    let publisher = net.connect_v5("publisher");
    publisher.send_aliased(1, qos0("a", "x"));
    publisher.send_raw(b"\x30\x03\x00\x00\x00");
    publisher.expect_disconnected(ReasonCode::ProtocolError);
    for dial in [net.dial("publisher"), net.dial("publisher").v31()] {
        let publisher = dial.connect();
        publisher.send_raw(b"\x30\x02\x00\x00");
        assert_eq!(publisher.try_next(), None);
        assert!(publisher.closed().is_some());
    }
}

/// MQTT 5.0: [MQTT-3.3.2-7]
#[test]
fn a_clients_aliases_end_with_its_connection() {
    let net = Net::new();
    let lasting = net.dial("publisher").expiry(1_000).resuming();
    for end in [Client::lose, Client::disconnect, |_: &Client| {}] {
        let publisher = lasting.connect();
        publisher.send_aliased(1, qos0("a", "x"));
        end(&publisher);
        // Where the first still is, this one takes its session over.
        let publisher = lasting.connect();
        assert!(publisher.connack.session_present);
        publisher.send_aliased(1, qos0("", "x"));
        publisher.expect_disconnected(ReasonCode::ProtocolError);
    }
}

/// Section 3.3.4 of 5.0: the packet sets the alias, whatever becomes of the message.
#[test]
fn a_message_that_is_refused_sets_its_alias_all_the_same() {
    let net = Net::with(BrokerOptions {
        check_payload_format: true,
        ..BrokerOptions::default()
    });
    let subscriber = net.connect("subscriber");
    subscriber.subscribe("#", 1);
    let publisher = net.connect_v5("publisher");
    let refused = |alias, publish| {
        let id = publisher.send_aliased(alias, publish).expect("it has one");
        publisher.expect_puback(id)
    };
    let reason = refused(1, qos1("$SYS/a", "x"));
    assert_eq!(reason, ReasonCode::NotAuthorized);
    let reason = refused(1, qos1("", "x"));
    assert_eq!(reason, ReasonCode::NotAuthorized);

    let mut text = PropertiesBuf::new();
    text.push(Property::PayloadFormatIndicator(
        mqtt_codec::PayloadFormat::Utf8,
    ))
    .expect("once");
    let reason = refused(
        2,
        Publish {
            payload: b"\xFF",
            properties: text.as_properties(),
            ..qos1("a", "")
        },
    );
    assert_eq!(reason, ReasonCode::PayloadFormatInvalid);
    assert_eq!(refused(2, qos1("", "y")), ReasonCode::Success);
    subscriber.expect(1, "a", "y");
    subscriber.expect_nothing();
}

#[test]
fn a_message_at_qos_2_that_comes_again_sets_its_alias_all_the_same() {
    let net = Net::new();
    let subscriber = net.connect("subscriber");
    subscriber.subscribe("#", 0);
    let publisher = net.connect_v5("publisher");
    let mut properties = PropertiesBuf::new();
    let id = publisher.send_publish(qos2("a", "x")).expect("it has one");
    subscriber.expect(0, "a", "x");
    properties.push(Property::TopicAlias(1)).expect("once");
    publisher.send(Packet::Publish(Publish {
        dup: true,
        packet_id: Some(id),
        properties: properties.as_properties(),
        ..qos2("a", "x")
    }));
    publisher.send(Packet::PubRel(PubRel::new(id)));
    subscriber.expect_nothing();
    publisher.send_aliased(1, qos0("", "y"));
    subscriber.expect(0, "a", "y");
}

#[test]
fn what_is_retained_under_an_alias_is_retained_under_its_topic() {
    let net = Net::new();
    let publisher = net.connect_v5("publisher");
    publisher.send_aliased(1, qos0("a", "not retained"));
    publisher.send_aliased(1, retained(qos1("", "kept")));
    let subscriber = net.connect_v5("subscriber");
    subscriber.subscribe("a", 1);
    let received = subscriber.expect(1, "a", "kept");
    assert!(received.retain);
    assert_eq!(alias_of(&received), None);
    publisher.send_aliased(1, retained(qos0("", "")));
    assert_eq!(net.broker().sizes().retained_messages, 0);
}

#[test]
fn what_comes_with_an_alias_has_to_be_a_topic_name_within_the_limits() {
    let net = Net::with(BrokerOptions {
        max_topic_bytes: 5,
        ..BrokerOptions::default()
    });
    for (topic, reason) in [
        ("a/#", ReasonCode::MalformedPacket),
        ("+", ReasonCode::MalformedPacket),
        ("longer", ReasonCode::TopicNameInvalid),
    ] {
        let publisher = net.connect_v5("publisher");
        publisher.send_aliased(1, qos0(topic, "x"));
        publisher.expect_disconnected(reason);
    }
}
