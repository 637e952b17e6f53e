//! Topic aliases of MQTT 5 on the way to the broker and on the way from it.

use super::{LAST, numbered};
use crate::broker::Broker;
use crate::client::{Client, Maker, Payload, Publish, Subscribe};

/// The publisher names its topic once; so does the broker, to the client that takes aliases.
pub fn both_ways(client: Client) {
    const TOPIC: &str = "house/kitchen/temperature";
    for qos in 0..=2 {
        let broker = Broker::start();
        // MQTT.js 5.14.1 keeps a QoS 2 message until PUBREL without the topic that the alias stood
        // for, and hands it over without one.
        let granted = if client.maker == Maker::MqttJs {
            qos.min(1)
        } else {
            qos
        };
        let aliased = Subscribe::new("aliased", "house/#", granted).aliases(5);
        let mut aliased = client.subscribe(&broker, &aliased);
        let mut plain = client.subscribe(&broker, &Subscribe::new("plain", "house/#", qos));

        let lines = numbered("degrees", 20);
        let all = lines.iter().cloned().chain([LAST.to_owned()]).collect();
        let publish = Publish::new(TOPIC, qos, Payload::Lines(all)).alias();
        client.publish(&broker, &publish);

        for (subscriber, alias) in [(&mut aliased, Some(1)), (&mut plain, None)] {
            let messages = subscriber.messages_until(LAST);
            let texts: Vec<_> = messages.iter().map(|message| message.text()).collect();
            assert_eq!(texts, lines);
            for message in &messages {
                assert_eq!(
                    (message.topic.as_str(), message.topic_alias),
                    (TOPIC, alias)
                );
            }
        }
        aliased.stop();
        plain.stop();
    }
}
