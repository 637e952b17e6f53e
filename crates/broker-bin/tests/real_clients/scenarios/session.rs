//! Sessions: what is kept for a client that is away, what is not, and whose a session is.

use super::{LAST, numbered};
use crate::broker::Broker;
use crate::client::{Client, Maker, Payload, Publish, Subscribe, Version, Will};

/// More than any client lets the broker keep in flight at once.
const MESSAGES: usize = 100;
/// Session taken over.
const TAKEN_OVER: u64 = 0x8e;

pub fn offline_at_qos_1(client: Client) {
    offline(client, 1);
}

pub fn offline_at_qos_2(client: Client) {
    offline(client, 2);
}

/// Subscriptions and messages outlive the connection [MQTT-3.1.2-5] [MQTT-4.6.0-5].
fn offline(client: Client, qos: u8) {
    let broker = Broker::start();
    let sleeper = Subscribe::new("sleeper", "mail/#", qos).keep();
    client.subscribe(&broker, &sleeper).stop();

    let payload = Payload::Lines(numbered("letter", MESSAGES));
    client.publish(&broker, &Publish::new("mail/in", qos, payload));

    let mut sleeper = client.subscribe(&broker, &sleeper.resume());
    client.publish(&broker, &Publish::line("mail/in", qos, LAST));
    let messages = sleeper.messages_until(LAST);
    let payloads: Vec<&str> = messages.iter().map(|message| message.text()).collect();
    assert_eq!(payloads, numbered("letter", MESSAGES));
    assert!(
        messages
            .iter()
            .all(|message| message.qos == u64::from(qos) && !message.retain)
    );
    sleeper.stop();
}

/// A client that asks for a clean session gets one, with nothing from before [MQTT-3.1.2-4].
pub fn forgotten(client: Client) {
    let broker = Broker::start();
    client
        .subscribe(&broker, &Subscribe::new("sleeper", "mail/#", 1).keep())
        .stop();
    client.publish(&broker, &Publish::line("mail/in", 1, "letter"));

    let mut clean = client.subscribe(&broker, &Subscribe::new("sleeper", "post/#", 1));
    client.publish(
        &broker,
        &Publish::line("mail/in", 1, "not subscribed to any more"),
    );
    client.publish(&broker, &Publish::line("post/in", 1, LAST));
    assert!(clean.messages_until(LAST).is_empty());
    clean.stop();
}

/// The one who was there is disconnected [MQTT-3.1.4-3], in MQTT 3.1.1 [MQTT-3.1.4-2], which is no
/// leave taken, so its will is published.
pub fn taken_over(client: Client) {
    let broker = Broker::start();
    let mut watcher = client.subscribe(&broker, &Subscribe::new("watcher", "wills/#", 1));
    let will = Will {
        topic: "wills/first",
        payload: "gone",
        qos: 1,
        retain: false,
    };
    let first = Subscribe::new("twin", "first/#", 1).will(will);
    let mut first = client.subscribe(&broker, &first);
    if client.maker == Maker::Mosquitto {
        // Awake it would connect again at once, and take over in its turn.
        first.freeze();
    }

    let mut second = client.subscribe(&broker, &Subscribe::new("twin", "second/#", 1));
    assert_eq!(
        watcher.message().summary(),
        ("wills/first", "gone", 1, false)
    );
    if client.maker != Maker::Mosquitto {
        let reason = (client.version == Version::V5).then_some(TAKEN_OVER);
        assert_eq!(first.disconnected(), reason);
    }

    client.publish(&broker, &Publish::line("first/a", 1, "for nobody"));
    client.publish(&broker, &Publish::line("second/a", 1, LAST));
    assert!(second.messages_until(LAST).is_empty());
    first.kill();
    second.stop();
    watcher.stop();
}
