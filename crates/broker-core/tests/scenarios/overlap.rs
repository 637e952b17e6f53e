//! Several subscriptions of one client that match the same message.

use mqtt_codec::{QoS, SubscriptionOptions};

use crate::harness::*;

/// [MQTT-3.3.4-2]; MQTT 3.1.1: [MQTT-3.3.5-1]
#[test]
fn overlapping_filters_deliver_once_at_the_highest_qos() {
    for orders in [
        [("a/#", 0), ("a/+", 2), ("+/b", 1)],
        [("a/+", 2), ("+/b", 1), ("a/#", 0)],
    ] {
        let net = Net::new();
        let subscriber = net.connect("subscriber");
        for (filter, qos) in orders {
            subscriber.subscribe(filter, qos);
        }
        net.connect("publisher").publish(qos2("a/b", "x"));
        subscriber.expect(2, "a/b", "x");
        subscriber.expect_nothing();
    }
}

#[test]
fn each_of_many_clients_gets_its_one_copy() {
    let net = Net::new();
    let clients: Vec<Client> = (0..5)
        .map(|number| net.connect(&format!("c{number}")))
        .collect();
    for filter in ["a/b", "a/#", "#"] {
        for client in clients.iter().rev() {
            client.subscribe(filter, 1);
        }
    }
    net.connect("publisher").publish(qos1("a/b", "x"));
    for client in &clients {
        client.expect(1, "a/b", "x");
        client.expect_nothing();
    }
}

/// [MQTT-3.3.4-3] [MQTT-3.3.4-4]
#[test]
fn the_one_copy_names_all_subscriptions_that_have_an_identifier() {
    let net = Net::new();
    let subscriber = net.connect_v5("subscriber");
    let qos = SubscriptionOptions::new(QoS::AtLeastOnce);
    subscriber.subscribe_with("a/#", qos, Some(1));
    subscriber.subscribe_with("a/+", qos, Some(200_000_000));
    subscriber.subscribe_with("a/b", qos, None);
    subscriber.subscribe_with("+/b", qos, Some(1));
    subscriber.subscribe_with("c", qos, Some(9));
    let publisher = net.connect("publisher");
    for publish in [qos0("a/b", "x"), qos1("a/b", "x")] {
        let expected = publish.qos.as_u8();
        publisher.publish(publish);
        let received = subscriber.expect(expected, "a/b", "x");
        let properties = received.properties.as_properties();
        let mut ids: Vec<u32> = properties.subscription_identifiers().collect();
        ids.sort_unstable();
        assert_eq!(ids, [1, 1, 200_000_000], "once for each subscription");
        subscriber.expect_nothing();
    }
}

#[test]
fn no_local_leaves_out_one_subscription_and_not_the_others() {
    let net = Net::new();
    let client = net.connect_v5("client");
    let no_local = SubscriptionOptions {
        no_local: true,
        ..SubscriptionOptions::new(QoS::ExactlyOnce)
    };
    client.subscribe_with("a/#", no_local, Some(1));
    client.subscribe_with("a/b", SubscriptionOptions::new(QoS::AtMostOnce), Some(2));
    client.publish(qos2("a/b", "x"));
    let received = client.expect(0, "a/b", "x");
    let properties = received.properties.as_properties();
    assert_eq!(
        properties.subscription_identifiers().collect::<Vec<_>>(),
        [2]
    );
    client.expect_nothing();
}
