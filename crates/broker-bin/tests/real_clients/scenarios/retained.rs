//! Retained messages: the newest of each topic waits for those who subscribe later.

use super::LAST;
use crate::broker::Broker;
use crate::client::{Client, Payload, Publish, Subscribe};

/// The flag is set for a message that waited [MQTT-3.3.1-8] and not for one that comes as it is
/// published [MQTT-3.3.1-9]; only the newest waits [MQTT-3.3.1-5].
pub fn before_and_after(client: Client) {
    let broker = Broker::start();
    let mut early = client.subscribe(&broker, &Subscribe::new("early", "weather/#", 1));
    client.publish(&broker, &Publish::line("weather/oslo", 1, "rain").retain());
    client.publish(&broker, &Publish::line("weather/oslo", 1, "snow").retain());
    assert_eq!(
        early.message().summary(),
        ("weather/oslo", "rain", 1, false)
    );
    assert_eq!(
        early.message().summary(),
        ("weather/oslo", "snow", 1, false)
    );

    let mut late = client.subscribe(&broker, &Subscribe::new("late", "weather/+", 1));
    assert_eq!(late.message().summary(), ("weather/oslo", "snow", 1, true));

    client.publish(&broker, &Publish::line("weather/oslo", 1, LAST));
    assert!(early.messages_until(LAST).is_empty());
    assert!(late.messages_until(LAST).is_empty());

    // What was not published to be retained did not replace what was.
    let mut latest = client.subscribe(&broker, &Subscribe::new("latest", "weather/oslo", 1));
    assert_eq!(
        latest.message().summary(),
        ("weather/oslo", "snow", 1, true)
    );
    early.stop();
    late.stop();
    latest.stop();
}

/// An empty payload goes to those who are there and leaves nothing for later
/// [MQTT-3.3.1-6] [MQTT-3.3.1-7].
pub fn deleted(client: Client) {
    let broker = Broker::start();
    client.publish(&broker, &Publish::line("weather/oslo", 1, "rain").retain());
    let mut early = client.subscribe(&broker, &Subscribe::new("early", "weather/#", 1));
    assert_eq!(early.message().summary(), ("weather/oslo", "rain", 1, true));

    client.publish(
        &broker,
        &Publish::new("weather/oslo", 1, Payload::Empty).retain(),
    );
    assert_eq!(early.message().summary(), ("weather/oslo", "", 1, false));

    let mut late = client.subscribe(&broker, &Subscribe::new("late", "weather/#", 1));
    client.publish(&broker, &Publish::line("weather/oslo", 1, LAST));
    assert!(late.messages_until(LAST).is_empty());
    early.stop();
    late.stop();
}
