//! The properties of a PUBLISH that belong to the publisher and the subscriber reach the subscriber
//! as they were sent [MQTT-3.3.2-4] [MQTT-3.3.2-15] [MQTT-3.3.2-16] [MQTT-3.3.2-17]
//! [MQTT-3.3.2-18] [MQTT-3.3.2-20].

use crate::broker::Broker;
use crate::client::{Client, Properties, Publish, Subscribe};

/// One name twice and in another order than that of the alphabet: both matter.
pub fn sample() -> Properties {
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    Properties {
        payload_format: Some(1),
        message_expiry: Some(3600),
        content_type: Some("text/plain".to_owned()),
        response_topic: Some("answers/here".to_owned()),
        correlation_data: Some("question-1".to_owned()),
        user_properties: vec![
            pair("unit", "celsius"),
            pair("unit", "kelvin"),
            pair("at", "noon"),
        ],
    }
}

pub fn pass_through(client: Client) {
    let broker = Broker::start();
    let sent = Publish {
        properties: Some(sample()),
        ..Publish::line("questions/1", 1, "how warm")
    };

    // To the one who is there, and from the retained store.
    let mut early = client.subscribe(&broker, &Subscribe::new("early", "questions/#", 1));
    client.publish(&broker, &sent.retain());
    let mut late = client.subscribe(&broker, &Subscribe::new("late", "questions/#", 1));

    for subscriber in [&mut early, &mut late] {
        let mut received = subscriber.message();
        assert_eq!(received.text(), "how warm");
        // What is left of its life: less the whole seconds that it waited [MQTT-3.3.2-6].
        let left = received.properties.message_expiry.take();
        assert!(
            left.is_some_and(|left| (3500..=3600).contains(&left)),
            "{left:?} seconds left"
        );
        assert_eq!(
            received.properties,
            Properties {
                message_expiry: None,
                ..sample()
            }
        );
    }
    early.stop();
    late.stop();
}
