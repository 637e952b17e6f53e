//! A broker that ends without a word, and another that begins over the same store.

use broker_core::BrokerOptions;
use broker_core::persistence::InflightStage;
use mqtt_codec::{PropertiesBuf, Property, Publish, QoS, SubscriptionOptions};
use std::time::Duration;

use crate::harness::*;

#[test]
fn sessions_come_back_with_subscriptions_and_messages() {
    let (net, _store) = Net::with_store(BrokerOptions::default());
    let lasting = net.dial("client").expiry(1_000).resuming();
    let client = lasting.connect();
    client.subscribe_with("a/#", SubscriptionOptions::new(QoS::ExactlyOnce), Some(3));
    client.subscribe("b", 0);
    client.subscribe("c", 1);
    client.unsubscribe("c");
    client.lose();
    let publisher = net.connect("publisher");
    for number in 0..5 {
        publisher.publish(qos1("a/x", &number.to_string()));
    }
    net.crash_and_restart();
    assert_eq!(net.broker().sizes().subscriptions, 2);
    net.connect("publisher").publish(qos2("a/y", "after"));
    let client = lasting.connect();
    assert!(client.connack.session_present);
    for number in 0..5 {
        let publish = client.expect(1, "a/x", &number.to_string());
        assert!(!publish.dup);
        let properties = publish.properties.as_properties();
        assert_eq!(
            properties.subscription_identifiers().collect::<Vec<_>>(),
            [3]
        );
    }
    client.expect(2, "a/y", "after");
    client.expect_nothing();
    net.connect("publisher").publish(qos1("c", "x"));
    client.expect_nothing();
}

#[test]
fn what_was_acknowledged_does_not_come_back() {
    let (net, store) = Net::with_store(BrokerOptions::default());
    let lasting = net.dial("client").resuming();
    let client = lasting.connect();
    client.subscribe("a", 2);
    let publisher = net.connect("publisher");
    publisher.publish(qos1("a", "1"));
    publisher.publish(qos2("a", "2"));
    client.expect(1, "a", "1");
    client.expect(2, "a", "2");
    assert_eq!(store.queue("client"), []);
    net.crash_and_restart();
    lasting.connect().expect_nothing();
}

#[test]
fn what_was_under_way_is_sent_again_under_its_identifier() {
    let (net, store) = Net::with_store(BrokerOptions {
        max_inflight: 4,
        ..Default::default()
    });
    let lasting = net.dial("client").resuming();
    let client = lasting.connect();
    client.subscribe("a", 2);
    let publisher = net.connect("publisher");
    for payload in ["1", "2", "3"] {
        publisher.publish(qos2("a", payload));
    }
    publisher.publish(qos1("a", "4"));
    publisher.publish(qos1("a", "waits"));
    let first = client.expect(2, "a", "1");
    let second = client
        .expect_unacknowledged(2, "a", "2")
        .packet_id
        .expect("it has one");
    let third = client.expect_unacknowledged(2, "a", "3").packet_id;
    let fourth = client.expect_unacknowledged(1, "a", "4").packet_id;
    let fifth = client.expect_unacknowledged(1, "a", "waits").packet_id;
    assert_ne!(first.packet_id, fifth);
    client.pubrec(second);
    client.expect_pubrel(second);
    assert_eq!(
        store.queue("client")[0].inflight,
        Some((second, InflightStage::Released))
    );
    assert_eq!(store.queue("client")[0].message, None);
    for _ in 0..2 {
        net.crash_and_restart();
        let client = lasting.connect();
        client.expect_pubrel(second);
        let again = client.expect_unacknowledged(2, "a", "3");
        assert_eq!((again.packet_id, again.dup), (third, true));
        let again = client.expect_unacknowledged(1, "a", "4");
        assert_eq!((again.packet_id, again.dup), (fourth, true));
        let again = client.expect_unacknowledged(1, "a", "waits");
        assert_eq!((again.packet_id, again.dup), (fifth, true));
        client.expect_nothing();
    }
    let client = lasting.connect();
    client.expect_pubrel(second);
    client.pubcomp(second);
    client.expect(2, "a", "3");
    client.expect(1, "a", "4");
    client.expect(1, "a", "waits");
    client.expect_nothing();
    // New messages do not get identifiers that are still in use, and sequence numbers go on.
    net.connect("publisher").publish(qos1("a", "new"));
    client.expect(1, "a", "new");
}

#[test]
fn a_publishers_message_at_qos_2_is_known_after_a_restart() {
    let (net, _store) = Net::with_store(BrokerOptions::default());
    let receiver = net.dial("receiver").resuming();
    receiver.connect().subscribe("a", 2);
    let lasting = net.dial("publisher").resuming();
    let publisher = lasting.connect();
    let id = publisher.send_publish(qos2("a", "x")).expect("it has one");
    publisher.expect_pubrec(id);
    net.crash_and_restart();
    let publisher = lasting.connect();
    let again = Publish {
        packet_id: Some(id),
        dup: true,
        ..qos2("a", "x")
    };
    publisher.send(mqtt_codec::Packet::Publish(again));
    publisher.expect_pubrec(id);
    publisher.pubrel(id);
    publisher.expect_pubcomp(id);
    let receiver = receiver.connect();
    receiver.expect(2, "a", "x");
    receiver.expect_nothing();
    // Released, the identifier means a new message, also after one more restart.
    net.crash_and_restart();
    let publisher = lasting.connect();
    let new = Publish {
        packet_id: Some(id),
        ..qos2("a", "y")
    };
    publisher.send(mqtt_codec::Packet::Publish(new));
    publisher.expect_pubrec(id);
    publisher.pubrel(id);
    publisher.expect_pubcomp(id);
    let receiver = net.dial("receiver").resuming().connect();
    receiver.expect(2, "a", "y");
    receiver.expect_nothing();
}

#[test]
fn retained_messages_come_back() {
    let (net, _store) = Net::with_store(BrokerOptions::default());
    let publisher = net.connect("publisher");
    for topic in ["a", "b", "c", "d", "$x/e"] {
        publisher.publish(retained(qos1(topic, "x")));
    }
    publisher.publish(retained(qos1("b", "")));
    net.crash_and_restart();
    assert_eq!(net.broker().sizes().retained_messages, 4);
    let client = net.connect("client");
    for topic in ["a", "c", "d", "$x/e"] {
        client.subscribe(topic, 1);
        assert!(client.expect(1, topic, "x").retain);
    }
    client.subscribe("b", 1);
    client.expect_nothing();
}

#[test]
fn a_will_is_published_by_the_next_broker() {
    let (net, _store) = Net::with_store(BrokerOptions::default());
    let receiver = net.dial("receiver").resuming();
    receiver.connect().subscribe("gone/#", 1);
    net.dial("clean").will(qos1("gone/clean", "x")).connect();
    net.dial("lasting")
        .resuming()
        .will(qos1("gone/lasting", "x"))
        .connect();
    net.dial("polite")
        .will(qos1("gone/polite", "x"))
        .connect()
        .disconnect();
    let delayed = net
        .dial("delayed")
        .expiry(1_000)
        .will(qos1("gone/delayed", "x"));
    delayed
        .will_property(Property::WillDelayInterval(10))
        .connect();
    net.crash_and_restart();
    let watcher = receiver.connect();
    watcher.expect(1, "gone/clean", "x");
    watcher.expect(1, "gone/lasting", "x");
    watcher.expect_nothing();
    net.advance(Duration::from_secs(10));
    watcher.expect(1, "gone/delayed", "x");
    net.crash_and_restart();
    net.advance(Duration::from_secs(100));
    receiver.connect().expect_nothing();
}

#[test]
fn the_time_of_a_session_goes_on_while_no_broker_runs() {
    let (net, store) = Net::with_store(BrokerOptions::default());
    net.dial("away").expiry(100).connect().lose();
    let _there = net.dial("there").expiry(100).connect();
    net.sleep(Duration::from_secs(60));
    net.crash_and_restart();
    net.advance(Duration::from_secs(40));
    assert!(!store.knows("away"));
    assert!(
        store.knows("there"),
        "its time began when the broker was back"
    );
    // And does not begin anew with every start.
    net.crash_and_restart();
    net.advance(Duration::from_secs(60));
    assert!(!store.knows("there"));
}

#[test]
fn a_session_that_was_to_end_with_its_connection_ends_with_the_broker() {
    let (net, store) = Net::with_store(BrokerOptions::default());
    net.dial("client").expiry(100).connect().lose();
    // It lasts, and its client comes back without wanting that any more.
    let _client = net.dial("client").v5().resuming().connect();
    net.crash_and_restart();
    net.advance(Duration::from_secs(1));
    assert!(!store.knows("client"));
    assert_eq!(net.broker().sizes().sessions, 0);
}

#[test]
fn a_clean_session_leaves_nothing_in_the_store() {
    let (net, store) = Net::with_store(BrokerOptions::default());
    let client = net.connect("client");
    client.subscribe("a", 2);
    net.connect("publisher").publish(qos2("a", "x"));
    assert_eq!(store.contents(), [""; 0]);
}

#[test]
fn a_clean_start_clears_the_store_of_the_session_before() {
    let (net, store) = Net::with_store(BrokerOptions::default());
    let lasting = net.dial("client").resuming();
    lasting.connect().subscribe("a", 1);
    net.connect("publisher").publish(qos1("a", "x"));
    assert_eq!(store.queue("client").len(), 1);
    // Another one that lasts.
    net.dial("client").expiry(1_000).connect();
    assert_eq!(store.queue("client"), []);
    net.crash_and_restart();
    assert_eq!(net.broker().sizes().subscriptions, 0);
    net.connect("client");
    assert!(!store.knows("client"));
}

#[test]
fn an_expired_message_is_gone_from_the_store() {
    let (net, store) = Net::with_store(BrokerOptions::default());
    let lasting = net.dial("client").resuming();
    lasting.connect().subscribe("a", 1);
    let mut properties = PropertiesBuf::new();
    properties
        .push(Property::MessageExpiryInterval(10))
        .expect("in range");
    let publish = Publish {
        properties: properties.as_properties(),
        ..qos1("a", "x")
    };
    lasting.connect().lose();
    net.connect_v5("publisher").publish(publish);
    net.advance(Duration::from_secs(5));
    net.crash_and_restart();
    net.advance(Duration::from_secs(5));
    lasting.connect().expect_nothing();
    assert_eq!(store.queue("client"), []);
}
