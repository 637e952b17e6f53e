//! Programs that know AMQP alone talk to nodes.

use broker_core::backend::Prefix;
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};
use mqtt_codec::QoS;

use crate::node::{Node, message};
use crate::program::{Program, next};
use crate::server::{options, run};

const BYTES: &[u8] = b"\0\xff{\"a\": 1}";

#[test]
fn what_a_program_publishes_arrives_at_nodes() {
    run(async {
        let mut options = options();
        options.prefix = Prefix::new("site").unwrap();
        let mut node = Node::join(&options, "a").await;
        node.subscribe("plant/+/v1.2").await;
        let program = Program::connect(&options).await;
        let plain = BasicProperties::default();
        // What is not below the prefix has no place at the node.
        assert!(!program.publish("plant.7.v1%2E2", plain.clone(), b"").await);
        assert!(program.publish("site.plant.7.v1%2E2", plain, BYTES).await);
        let (message, is_from_node) = node.hear().await;
        assert_eq!(message.topic(), "plant/7/v1.2");
        assert_eq!(message.payload(), BYTES);
        assert_eq!((message.qos(), message.retain()), (QoS::AtLeastOnce, false));
        assert!(!is_from_node);
    });
}

#[test]
fn what_a_node_publishes_is_read_by_programs_retained_or_not() {
    run(async {
        let options = options();
        let node = Node::join(&options, "a").await;
        let mut other = Node::join(&options, "b").await;
        let program = Program::connect(&options).await;
        let mut consumer = program.listen("plant.#").await;
        let batch = vec![
            message("plant/7", BYTES, 0),
            message("plant/7/v1.2", BYTES, 9),
        ];
        assert_eq!(node.membership.publish(batch).await.unwrap(), 0);
        for key in ["plant.7", "plant.7.v1%2E2"] {
            let delivery = next(&mut consumer).await;
            assert_eq!(delivery.routing_key.as_str(), key);
            assert_eq!(delivery.data, BYTES);
        }
        // The other node has no filter, and gets what is for all of them.
        assert_eq!(other.hear().await.0.topic(), "plant/7/v1.2");
    });
}

#[test]
fn a_header_that_is_none_of_ours_counts_and_harms_nobody() {
    run(async {
        let options = options();
        let mut node = Node::join(&options, "a").await;
        node.subscribe("t").await;
        let program = Program::connect(&options).await;
        let headers = [
            AMQPValue::LongString("strange".into()),
            AMQPValue::Boolean(true),
            AMQPValue::Void,
        ];
        for header in headers {
            let mut table = FieldTable::default();
            table.insert("mosca".into(), header);
            let properties = BasicProperties::default().with_headers(table);
            assert!(program.publish("t", properties, b"").await);
        }
        let plain = BasicProperties::default();
        assert!(program.publish("t", plain, BYTES).await);
        assert_eq!(node.hear().await.0.payload(), BYTES);
        assert_eq!(node.missed, 3);
    });
}
