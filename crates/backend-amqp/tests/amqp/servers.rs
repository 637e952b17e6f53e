//! Servers behind RabbitMQ: what is published at one is delivered at the other.

use std::sync::Arc;
use std::time::Duration;

use backend_amqp::AmqpBackend;
use mosca::{QoS, Server, SubscribeOptions};

use crate::server::{options, run};

#[test]
fn two_servers_have_their_messages_in_common() {
    run(async {
        let options = options();
        let start = async |id: &str| {
            let engine = Arc::new(AmqpBackend::new(options.clone()));
            Server::builder()
                .id(id)
                .backend(engine)
                .start()
                .await
                .unwrap()
        };
        let (a, b) = (start("a").await, start("b").await);
        let filters = ["plant/#", "$other/+"];
        let mut at_b = b
            .subscribe_with(filters, SubscribeOptions::default())
            .unwrap();
        at_b.ready().await;
        for topic in ["plant", "plant/v1.2/*", "plant//x", "$other/x"] {
            let published = a.publish_to(topic, topic).qos(QoS::AtLeastOnce);
            published.await.unwrap();
            let message = at_b.recv().await.unwrap();
            assert_eq!(
                (message.topic(), message.payload()),
                (topic, topic.as_bytes())
            );
        }
        let retained = a.publish_to("kept", "1").qos(QoS::AtLeastOnce).retain();
        retained.await.unwrap();
        a.publish_to("plant/end", "").await.unwrap();
        assert_eq!(at_b.recv().await.unwrap().topic(), "plant/end");
        assert_eq!(b.sizes().retained_messages, 1);
        // Nothing goes back, or round.
        assert_eq!(a.counters().received_from_nodes.get(), 0);
        for server in [a, b] {
            server.close(Duration::from_secs(30)).await;
        }
    });
}
