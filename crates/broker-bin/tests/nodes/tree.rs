//! The tree of mosca's examples: a root, a leaf below it with the prefix `/s`, and one below that with `/t`.

use crate::broker::Broker;
use crate::client::{BINARY, Message, Subscriber, VERSIONS, publish, retain};

struct Tree {
    root: Broker,
    leaf: Broker,
    below: Broker,
}

impl Tree {
    fn start() -> Self {
        let root = Broker::start(&["--broker-id", "root"]);
        let leaf = ["--broker-id", "leaf", "--parent-prefix", "/s"];
        let leaf = Broker::below(root.port, &leaf);
        let below = ["--broker-id", "below", "--parent-prefix", "/t"];
        let below = Broker::below(leaf.port, &below);
        Self { root, leaf, below }
    }

    /// The brokers with what the topic `a` of the lowest one is there.
    fn ports(&self) -> [(u16, &'static str); 3] {
        [
            (self.root.port, "/s//t/a"),
            (self.leaf.port, "/t/a"),
            (self.below.port, "a"),
        ]
    }
}

#[test]
fn a_message_goes_through_all_levels_at_every_quality_of_service() {
    let tree = Tree::start();
    for version in VERSIONS {
        let mut subscribers = tree
            .ports()
            .map(|(port, topic)| Subscriber::new(port, version, topic));
        for (publisher, there) in tree.ports() {
            for qos in 0..=2 {
                publish(publisher, version, qos, there, BINARY);
                for (subscriber, (_, topic)) in subscribers.iter_mut().zip(tree.ports()) {
                    assert_eq!(subscriber.next(), Message::new(topic, qos, BINARY));
                }
            }
        }
    }
}

#[test]
fn what_is_retained_below_is_retained_above() {
    let tree = Tree::start();
    retain(tree.below.port, "mqttv5", "a", b"1");
    for (port, topic) in tree.ports() {
        let mut subscriber = Subscriber::new(port, "mqttv311", topic);
        assert_eq!(subscriber.next(), Message::retained(topic, 1, b"1"));
    }
}
