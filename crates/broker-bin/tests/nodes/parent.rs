//! A broker below a mosquitto.

use test_servers::mosquitto::Mosquitto;

use crate::broker::Broker;
use crate::client::{BINARY, Message, Subscriber, VERSIONS, publish, retain};

/// Up and down, at each quality of service, in both versions, and once each: what a client of the child publishes does
/// not come back to it from the parent.
#[test]
fn what_is_published_at_the_child_or_the_parent_comes_once_at_both() {
    let parent = Mosquitto::new().start();
    let child = Broker::below(parent.port(), &[]);
    for version in VERSIONS {
        let mut subscribers = [child.port, parent.port()]
            .map(|port| VERSIONS.map(|version| Subscriber::new(port, version, "a/#")));
        for publisher in [child.port, parent.port()] {
            for qos in 0..=2 {
                let topic = format!("a/{qos}");
                publish(publisher, version, qos, &topic, BINARY);
                for subscriber in subscribers.as_flattened_mut() {
                    assert_eq!(subscriber.next(), Message::new(&topic, qos, BINARY));
                }
            }
        }
    }
}

/// What clients retain at the child is retained at the parent. What is retained at the parent comes to who subscribes first
/// at the child as a message of the moment, and is retained at the child from then on.
#[test]
fn what_is_retained_is_retained_at_the_child_and_the_parent() {
    let parent = Mosquitto::new().start();
    let child = Broker::below(parent.port(), &[]);
    for version in VERSIONS {
        let [up, down] = ["up", "down"].map(|it| format!("r/{version}/{it}"));
        retain(child.port, version, &up, b"1");
        retain(parent.port(), version, &down, b"2");
        let mut first = Subscriber::new(child.port, version, &down);
        assert_eq!(first.next(), Message::new(&down, 1, b"2"));
        for port in [parent.port(), child.port] {
            for (topic, payload) in [(&up, b"1"), (&down, b"2")] {
                let mut later = Subscriber::new(port, version, topic);
                assert_eq!(later.next(), Message::retained(topic, 1, payload));
            }
        }
    }
}

/// As mosca's `--parent-prefix`.
#[test]
fn topics_of_the_child_are_below_its_prefix_at_the_parent() {
    let parent = Mosquitto::new().start();
    let child = Broker::below(parent.port(), &["--parent-prefix", "/s"]);
    for version in VERSIONS {
        let mut above = Subscriber::new(parent.port(), version, "#");
        let mut below = Subscriber::new(child.port, version, "#");
        publish(child.port, version, 1, "a", b"1");
        assert_eq!(above.next(), Message::new("/s/a", 1, b"1"));
        assert_eq!(below.next(), Message::new("a", 1, b"1"));
        // Of somebody else's prefix, or of none: not the child's.
        publish(parent.port(), version, 1, "a", b"2");
        publish(parent.port(), version, 1, "/ss/a", b"3");
        publish(parent.port(), version, 1, "/s/a", b"4");
        assert_eq!(below.next(), Message::new("a", 1, b"4"));
    }
}
