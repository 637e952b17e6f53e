//! Wills: published when a client goes without a word, and only then.

use broker_core::{BrokerOptions, CloseCause};
use mqtt_codec::{Disconnect, Property, ReasonCode};
use std::time::Duration;

use crate::harness::*;

fn watcher(net: &Net) -> Client {
    let watcher = net.connect_v5("watcher");
    watcher.subscribe("gone/#", 2);
    watcher
}

/// [MQTT-3.1.2-8]
#[test]
fn a_lost_connection_publishes_the_will() {
    let net = Net::new();
    let watcher = watcher(&net);
    for (qos, will) in [
        (0, qos0("gone/a", "x")),
        (1, qos1("gone/a", "x")),
        (2, qos2("gone/a", "x")),
    ] {
        let client = net.dial("client").will(will).connect();
        watcher.expect_nothing();
        client.lose();
        assert!(!watcher.expect(qos, "gone/a", "x").retain);
    }
    watcher.expect_nothing();
}

/// [MQTT-3.1.2-8]
#[test]
fn so_do_a_protocol_error_and_silence() {
    let net = Net::new();
    let watcher = watcher(&net);
    let will = qos1("gone/a", "x");
    let client = net.dial("client").will(will).connect();
    client.send_raw(b"\x00\x00");
    watcher.expect(1, "gone/a", "x");
    let client = net.dial("client").will(will).keep_alive(10).connect();
    net.advance(Duration::from_secs(15));
    assert_eq!(client.closed(), Some(CloseCause::KeepAliveTimeout));
    watcher.expect(1, "gone/a", "x");
    watcher.expect_nothing();
}

/// [MQTT-3.14.4-3] [MQTT-3.1.2-10]
#[test]
fn disconnect_drops_the_will() {
    let net = Net::new();
    let watcher = watcher(&net);
    net.dial("client")
        .will(qos1("gone/a", "x"))
        .connect()
        .disconnect();
    let lasting = net.dial("client").expiry(100).will(qos1("gone/a", "x"));
    lasting
        .clone()
        .will_property(Property::WillDelayInterval(10))
        .connect()
        .disconnect();
    net.advance(Duration::from_secs(200));
    watcher.expect_nothing();
}

/// Every reason but normal disconnection, whether the client asks for its will or reports an error.
#[test]
fn disconnect_with_any_other_reason_publishes_it() {
    let net = Net::new();
    let watcher = watcher(&net);
    for reason in [
        ReasonCode::DisconnectWithWill,
        ReasonCode::UnspecifiedError,
        ReasonCode::ProtocolError,
        ReasonCode::PayloadFormatInvalid,
    ] {
        let client = net.dial("client").v5().will(qos1("gone/a", "x")).connect();
        client.disconnect_with(Disconnect::new(reason));
        watcher.expect(1, "gone/a", "x");
        watcher.expect_nothing();
    }
}

/// [MQTT-3.1.2-15]
#[test]
fn a_will_may_be_retained() {
    let net = Net::new();
    net.dial("client")
        .will(retained(qos1("gone/a", "x")))
        .connect()
        .lose();
    assert!(watcher(&net).expect(1, "gone/a", "x").retain);
    net.dial("client")
        .will(retained(qos1("gone/a", "")))
        .connect()
        .lose();
    assert_eq!(net.broker().sizes().retained_messages, 0);
}

/// [MQTT-3.1.2-8]
#[test]
fn a_delayed_will_waits() {
    let net = Net::new();
    let watcher = watcher(&net);
    let dial = net.dial("client").expiry(100).will(qos1("gone/a", "x"));
    dial.will_property(Property::WillDelayInterval(10))
        .connect()
        .lose();
    net.advance(Duration::from_millis(9_999));
    watcher.expect_nothing();
    net.advance(Duration::from_millis(1));
    watcher.expect(1, "gone/a", "x");
    net.advance(Duration::from_secs(100));
    watcher.expect_nothing();
    assert_eq!(net.broker().sizes().sessions, 1, "the watcher's");
}

/// [MQTT-3.1.3-9]
#[test]
fn a_client_that_returns_in_time_stops_its_will() {
    let net = Net::new();
    let watcher = watcher(&net);
    let lasting = net.dial("client").expiry(100).resuming();
    let delayed = lasting
        .clone()
        .will(qos1("gone/a", "x"))
        .will_property(Property::WillDelayInterval(10));
    delayed.connect().lose();
    net.advance(Duration::from_secs(9));
    let client = lasting.connect();
    assert!(client.connack.session_present);
    net.advance(Duration::from_secs(50));
    client.lose();
    net.advance(Duration::from_secs(100));
    watcher.expect_nothing();
}

#[test]
fn a_will_is_published_at_the_latest_when_its_session_ends() {
    let net = Net::new();
    let watcher = watcher(&net);
    let dial = |expiry| {
        let dial = net.dial("client").expiry(expiry).will(qos1("gone/a", "x"));
        dial.will_property(Property::WillDelayInterval(1_000))
    };
    dial(5).connect().lose();
    net.advance(Duration::from_secs(5));
    watcher.expect(1, "gone/a", "x");
    // A session that ends with its connection.
    dial(0).connect().lose();
    watcher.expect(1, "gone/a", "x");
    // A session that a clean start ends.
    dial(5).connect().lose();
    watcher.expect_nothing();
    net.connect("client");
    watcher.expect(1, "gone/a", "x");
    net.advance(Duration::from_secs(1_000));
    watcher.expect_nothing();
}

#[test]
fn a_will_that_is_due_is_published_once_even_if_its_client_returns_this_moment() {
    let net = Net::new();
    let watcher = watcher(&net);
    let dial = net
        .dial("client")
        .expiry(100)
        .resuming()
        .will(qos1("gone/a", "x"));
    dial.will_property(Property::WillDelayInterval(10))
        .connect()
        .lose();
    net.sleep(Duration::from_secs(10));
    let client = net.dial("client").expiry(100).resuming().connect();
    assert!(client.connack.session_present);
    watcher.expect(1, "gone/a", "x");
    net.advance(Duration::from_secs(10));
    watcher.expect_nothing();
}

#[test]
fn the_will_of_the_last_connect_is_the_one_that_counts() {
    let net = Net::new();
    let watcher = watcher(&net);
    let lasting = net.dial("client").resuming();
    lasting
        .clone()
        .will(qos1("gone/first", "x"))
        .connect()
        .disconnect();
    lasting
        .clone()
        .will(qos1("gone/second", "y"))
        .connect()
        .lose();
    watcher.expect(1, "gone/second", "y");
    lasting.connect().lose();
    watcher.expect_nothing();
}

/// [MQTT-3.1.3-10]
#[test]
fn properties_of_a_will_are_published_with_it() {
    let net = Net::new();
    let watcher = watcher(&net);
    let dial = net
        .dial("client")
        .v5()
        .will(qos1("gone/a", "x"))
        .will_property(Property::UserProperty("b", "1"))
        .will_property(Property::MessageExpiryInterval(30))
        .will_property(Property::UserProperty("a", "2"))
        .will_property(Property::ContentType("text/plain"));
    let client = dial.connect();
    net.advance(Duration::from_secs(1_000));
    client.lose();
    let publish = watcher.expect(1, "gone/a", "x");
    let properties = publish.properties.as_properties();
    let user: Vec<_> = properties.user_properties().collect();
    assert_eq!(user, [("b", "1"), ("a", "2")]);
    assert_eq!(properties.content_type(), Some("text/plain"));
    let expiry = properties.message_expiry_interval();
    assert_eq!(expiry, Some(30), "it counts from the publication");
    assert_eq!(properties.will_delay_interval(), None);
}

#[test]
fn a_will_that_the_broker_would_not_publish_is_refused_at_once() {
    let net = Net::with(BrokerOptions {
        max_qos: mqtt_codec::QoS::AtLeastOnce,
        retain_available: false,
        max_topic_bytes: 10,
        max_topic_levels: 3,
        ..Default::default()
    });
    for (will, reason) in [
        (qos2("gone", "x"), ReasonCode::QosNotSupported),
        (retained(qos1("gone", "x")), ReasonCode::RetainNotSupported),
        (qos1("gone/+", "x"), ReasonCode::MalformedPacket),
        (qos1("gone/too/far", "x"), ReasonCode::TopicNameInvalid),
        (qos1("a/b/c/d", "x"), ReasonCode::TopicNameInvalid),
        (qos1("$SYS/x", "x"), ReasonCode::NotAuthorized),
    ] {
        let (told, cause) = net.dial("client").v5().will(will).refused();
        assert_eq!(told, Some(reason), "[MQTT-3.2.2-12] [MQTT-3.2.2-13]");
        assert_eq!(cause, CloseCause::Refused(reason));
        // MQTT 3 has a word for few of these, and closes.
        assert_eq!(
            net.dial("client").will(will).refused().1,
            CloseCause::Refused(reason)
        );
    }
    assert_eq!(net.broker().sizes().sessions, 0);
}

#[test]
fn wills_are_published_when_the_broker_shuts_down() {
    let net = Net::new();
    let away = net.dial("away").resuming().connect();
    away.subscribe("gone/#", 1);
    away.lose();
    let client = net.dial("client").will(qos1("gone/a", "x")).connect();
    net.shut_down();
    assert_eq!(client.closed(), Some(CloseCause::ServerShutdown));
    assert_eq!(net.broker().sizes().sessions, 1, "the one that is away");
}
