//! Every message arrives, in the order of its publication and at the right quality of service.
//! At QoS 2 exactly once, and as no connection breaks here, at QoS 0 and 1 as well
//! [MQTT-4.3.1-1] [MQTT-4.3.2-1] [MQTT-4.3.3-1] [MQTT-4.6.0-5].

use super::{LAST, numbered};
use crate::broker::Broker;
use crate::client::{Client, Payload, Publish, Subscribe};

/// More than any client keeps in flight at once.
const MESSAGES: usize = 100;

pub fn at_qos_0(client: Client) {
    at_qos(client, 0);
}

pub fn at_qos_1(client: Client) {
    at_qos(client, 1);
}

pub fn at_qos_2(client: Client) {
    at_qos(client, 2);
}

fn at_qos(client: Client, qos: u8) {
    let broker = Broker::start();
    let mut subscriber = client.subscribe(&broker, &Subscribe::new("sub", "rooms/+/door", qos));

    let mut lines = numbered("knock", MESSAGES);
    lines.push(LAST.to_owned());
    client.publish(
        &broker,
        &Publish::new("rooms/4/door", qos, Payload::Lines(lines)),
    );

    let messages = subscriber.messages_until(LAST);
    let payloads: Vec<&str> = messages.iter().map(|message| message.text()).collect();
    assert_eq!(payloads, numbered("knock", MESSAGES));
    for message in &messages {
        assert_eq!(message.topic, "rooms/4/door");
        assert_eq!(message.qos, u64::from(qos));
        assert!(!message.retain);
    }
    subscriber.stop();
}

/// A message comes at the QoS of its PUBLISH or of the subscription, whichever is lower
/// [MQTT-3.8.4-8].
pub fn at_the_lower_qos(client: Client) {
    let broker = Broker::start();
    let subscriptions = [0, 1, 2].map(|subscribed| {
        let what = Subscribe::new(&format!("sub-{subscribed}"), "rooms/#", subscribed);
        (subscribed, client.subscribe(&broker, &what))
    });
    for published in [0, 1, 2] {
        client.publish(
            &broker,
            &Publish::line("rooms/4", published, &published.to_string()),
        );
    }
    for (subscribed, mut subscriber) in subscriptions {
        for published in [0, 1, 2] {
            let expected = u64::from(published.min(subscribed));
            let message = subscriber.message();
            assert_eq!(
                message.summary(),
                ("rooms/4", &*published.to_string(), expected, false)
            );
        }
        subscriber.stop();
    }
}
