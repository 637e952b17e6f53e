//! RabbitMQ over TLS.

use backend_amqp::AmqpBackend;
use broker_core::backend::{Backend as _, InboundLimits, NodeId, inbound};
use test_servers::certificates::Authority;

use crate::node::Node;
use crate::server::{AUTHORITY, SERVER, options, run};

#[test]
fn nodes_speak_tls_with_a_server_that_they_trust_and_with_no_other() {
    run(async {
        let plain = options();
        let mut options = plain.clone();
        options.url = format!("amqps://localhost:{}", SERVER.tls_port().unwrap());
        options.ca_file = Some(AUTHORITY.certificate.clone());
        let node = Node::join(&options, "a").await;
        let mut other = Node::join(&plain, "b").await;
        other.subscribe("t").await;
        node.say("t", &[b'x'; 100_000]).await;
        assert_eq!(other.hear().await.0.payload().len(), 100_000);

        let stranger = Authority::new("Stranger");
        options.ca_file = Some(stranger.certificate.clone());
        let (way_in, _incoming) = inbound(InboundLimits {
            envelopes: 1,
            bytes: 1,
        });
        let joined = AmqpBackend::new(options).join(NodeId::new("c", 1), way_in);
        let error = joined.await.err().unwrap().to_string();
        assert!(error.contains("UnknownIssuer"), "{error}");
    });
}
