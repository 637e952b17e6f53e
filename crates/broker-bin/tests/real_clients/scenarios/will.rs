//! Wills: published when a client is gone without a DISCONNECT [MQTT-3.1.2-8], dropped when it
//! takes its leave [MQTT-3.1.2-10].

use super::LAST;
use crate::broker::Broker;
use crate::client::{Client, Publish, Subscribe, Will};

const WILL: Will = Will {
    topic: "wills/sub",
    payload: "gone",
    qos: 1,
    retain: false,
};

pub fn after_death(client: Client) {
    let broker = Broker::start();
    let mut watcher = client.subscribe(&broker, &Subscribe::new("watcher", "wills/#", 2));
    let mortal = client.subscribe(&broker, &Subscribe::new("mortal", "any", 0).will(WILL));
    mortal.kill();
    assert_eq!(watcher.message().summary(), ("wills/sub", "gone", 1, false));

    client.publish(&broker, &Publish::line("wills/sub", 1, LAST));
    assert!(watcher.messages_until(LAST).is_empty());
    watcher.stop();
}

/// [MQTT-3.1.2-15], in MQTT 3.1.1 [MQTT-3.1.2-17].
pub fn retained_after_death(client: Client) {
    let broker = Broker::start();
    let mut watcher = client.subscribe(&broker, &Subscribe::new("watcher", "wills/#", 2));
    let will = Will {
        retain: true,
        ..WILL
    };
    let mortal = client.subscribe(&broker, &Subscribe::new("mortal", "any", 0).will(will));
    mortal.kill();
    assert_eq!(watcher.message().summary(), ("wills/sub", "gone", 1, false));

    let mut late = client.subscribe(&broker, &Subscribe::new("late", "wills/#", 2));
    assert_eq!(late.message().summary(), ("wills/sub", "gone", 1, true));
    watcher.stop();
    late.stop();
}

pub fn not_after_disconnect(client: Client) {
    let broker = Broker::start();
    let mut watcher = client.subscribe(&broker, &Subscribe::new("watcher", "wills/#", 2));
    let polite = Publish {
        will: Some(WILL),
        ..Publish::line("wills/polite", 1, "here and away")
    };
    client.publish(&broker, &polite);
    // The connection is closed before another client starts, so a will would come first.
    client.publish(&broker, &Publish::line("wills/sub", 1, LAST));
    let messages = watcher.messages_until(LAST);
    assert_eq!(messages.len(), 1);
    assert_eq!(
        messages[0].summary(),
        ("wills/polite", "here and away", 1, false)
    );
    watcher.stop();
}

/// In MQTT 5 a client may take its leave and still ask for its will, which is what `mosquitto_sub`
/// does (DISCONNECT with reason code 0x04, section 3.14.2.1).
pub fn on_request(client: Client) {
    let broker = Broker::start();
    let mut watcher = client.subscribe(&broker, &Subscribe::new("watcher", "wills/#", 2));
    let leaving = Subscribe::new("leaving", "any", 0).will(WILL);
    client.subscribe(&broker, &leaving).stop();
    client.publish(&broker, &Publish::line("wills/sub", 1, LAST));
    let messages = watcher.messages_until(LAST);
    assert_eq!(messages.len(), 1);
    assert_eq!(messages[0].summary(), ("wills/sub", "gone", 1, false));
    watcher.stop();
}
