//! Clients of different makers and versions at one broker.

use super::properties;
use crate::broker::Broker;
use crate::client::{Client, Maker, Properties, Publish, Subscribe, Transport, Version};
use crate::matrix::ALL;

/// Each publishes once, each hears all nine.
pub fn every_client_hears_every_other() {
    let broker = Broker::start();
    let mut subscribers: Vec<_> = ALL
        .iter()
        .enumerate()
        .map(|(number, client)| {
            let what = Subscribe::new(&format!("sub-{number}"), "hall/#", 2);
            (client, client.subscribe(&broker, &what))
        })
        .collect();
    let topic = |number| format!("hall/{number}");
    for (number, client) in ALL.iter().enumerate() {
        client.publish(
            &broker,
            &Publish::line(&topic(number), 2, &format!("{client:?}")),
        );
    }
    for (listener, subscriber) in &mut subscribers {
        for (number, client) in ALL.iter().enumerate() {
            let message = subscriber.message();
            let expected = (&*topic(number), &*format!("{client:?}"), 2, false);
            assert_eq!(message.summary(), expected, "as heard by {listener:?}");
        }
    }
    for (_, subscriber) in subscribers {
        subscriber.stop();
    }
}

/// The payload goes to everyone, the properties to those whose version has them.
pub fn properties_do_not_reach_clients_that_have_none() {
    let broker = Broker::start();
    let with = Client {
        maker: Maker::MqttJs,
        version: Version::V5,
        transport: Transport::Tcp,
    };
    let without = Client {
        maker: Maker::Paho,
        version: Version::V3_1_1,
        transport: Transport::Tcp,
    };
    let mut with_properties = with.subscribe(&broker, &Subscribe::new("v5", "hall", 1));
    let mut plain = without.subscribe(&broker, &Subscribe::new("v3", "hall", 1));

    let sent = Publish::line("hall", 1, "to all");
    let properties = Some(properties::sample());
    with.publish(
        &broker,
        &Publish {
            properties,
            ..sent.clone()
        },
    );
    assert_eq!(
        with_properties.message().properties.content_type.as_deref(),
        Some("text/plain")
    );
    let message = plain.message();
    assert_eq!(message.summary(), ("hall", "to all", 1, false));
    assert_eq!(message.properties, Properties::default());

    without.publish(&broker, &sent);
    assert_eq!(with_properties.message().properties, Properties::default());
    assert_eq!(plain.message().text(), "to all");
    with_properties.stop();
    plain.stop();
}

/// `mosquitto_sub -t 'a/#' -q 2 -V 5` receives what `mosquitto_pub -t a/b -q 2 -r -m x` sends,
/// whichever of the two comes first; the publisher speaks the version it prefers, 3.1.1.
pub fn mosquitto_sub_hears_mosquitto_pub_in_either_order() {
    let broker = Broker::start();
    let publisher = Client {
        maker: Maker::Mosquitto,
        version: Version::V3_1_1,
        transport: Transport::Tcp,
    };
    let subscriber = Client {
        maker: Maker::Mosquitto,
        version: Version::V5,
        transport: Transport::Tcp,
    };
    let publish = Publish::line("a/b", 2, "x").retain();

    let mut before = subscriber.subscribe(&broker, &Subscribe::new("before", "a/#", 2));
    publisher.publish(&broker, &publish);
    assert_eq!(before.message().summary(), ("a/b", "x", 2, false));
    before.stop();

    let mut after = subscriber.subscribe(&broker, &Subscribe::new("after", "a/#", 2));
    assert_eq!(after.message().summary(), ("a/b", "x", 2, true));
    after.stop();
}
