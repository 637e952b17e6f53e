//! Servers that do not let a node in, that go away, and that forget.

use backend_amqp::{AmqpBackend, AmqpBackendOptions};
use broker_core::backend::{
    Backend as _, BackendError, BackendState, InboundLimits, NodeId, Prefix, inbound,
};
use lapin::{BasicProperties, ExchangeKind};
use test_servers::RefusingPort;

use crate::node::Node;
use crate::program::Program;
use crate::proxy::Proxy;
use crate::server::{SERVER, options, run};

/// Why a node cannot join.
async fn refusal(options: AmqpBackendOptions) -> BackendError {
    let (way_in, _incoming) = inbound(InboundLimits {
        envelopes: 1,
        bytes: 1,
    });
    let joined = AmqpBackend::new(options).join(NodeId::new("a", 1), way_in);
    joined.await.err().unwrap()
}

#[test]
fn who_is_not_let_in_is_told_why() {
    run(async {
        let good = options();
        let with = |change: &dyn Fn(&mut AmqpBackendOptions)| {
            let mut options = good.clone();
            change(&mut options);
            options
        };
        let port = SERVER.port();
        let fanout = options();
        let program = Program::connect(&fanout).await;
        program.make_exchange(ExchangeKind::Fanout, false).await;
        for (options, expected) in [
            (
                with(&|it| it.url = format!("amqp://guest:secret@127.0.0.1:{port}")),
                "ACCESS_REFUSED",
            ),
            (
                with(&|it| it.url = format!("amqp://guest:guest@127.0.0.1:{port}/none")),
                "vhost none not found",
            ),
            (fanout, "inequivalent arg 'type'"),
            (
                with(&|it| it.prefix = Prefix::new(&"long/".repeat(50)).unwrap()),
                "the prefix is too long",
            ),
            (with(&|it| it.exchange = String::new()), "needs a name"),
            (
                with(&|it| it.url = "http://guest:secret@127.0.0.1".to_owned()),
                "Invalid AMQP scheme",
            ),
            (with(&|it| it.url = "secret".to_owned()), "relative URL"),
            (
                with(&|it| {
                    it.url = "amqps://localhost".to_owned();
                    it.ca_file = Some("/not/there".into());
                }),
                "/not/there",
            ),
        ] {
            let error = refusal(options).await;
            let text = error.to_string();
            assert!(matches!(error, BackendError::Refused(_)), "{text}");
            assert!(text.contains(expected), "{text}");
            assert!(!text.contains("secret"), "{text}");
        }
        let port = RefusingPort::take();
        let nobody = with(&|it| it.url = format!("amqp://127.0.0.1:{}", port.number()));
        let error = refusal(nobody).await;
        assert!(matches!(error, BackendError::Unavailable(_)), "{error}");
        assert!(error.to_string().contains("refused"), "{error}");
    });
}

#[test]
fn an_exchange_that_is_there_is_taken_as_it_is() {
    run(async {
        let options = options();
        let program = Program::connect(&options).await;
        program.make_exchange(ExchangeKind::Topic, true).await;
        let mut node = Node::join(&options, "a").await;
        node.subscribe("t").await;
        assert!(program.publish("t", BasicProperties::default(), b"").await);
        assert_eq!(node.hear().await.0.topic(), "t");
        program.delete_exchange().await;
    });
}

#[test]
fn a_server_that_comes_back_and_has_forgotten_all_is_told_again() {
    let proxy = Proxy::new();
    run(async move {
        let mut options = options();
        options.url = proxy.url();
        let mut a = Node::join(&options, "a").await;
        let mut b = Node::join(&options, "b").await;
        b.subscribe("t").await;
        proxy.cut();
        for node in [&mut a, &mut b] {
            node.stands(BackendState::Lost).await;
        }
        Program::connect(&options).await.delete_exchange().await;
        proxy.open();
        for node in [&mut a, &mut b] {
            node.stands(BackendState::Connected).await;
        }
        b.subscribe("t").await;
        a.say("t", b"again").await;
        assert_eq!(b.hear().await.0.payload(), b"again");
    });
}

/// Its queue goes with it, so nothing is kept for it.
#[test]
fn who_has_left_has_nothing_at_the_server() {
    run(async {
        let options = options();
        let node = Node::join(&options, "a").await;
        node.subscribe("t").await;
        let program = Program::connect(&options).await;
        let plain = BasicProperties::default;
        assert!(program.publish("t", plain(), b"").await);
        node.membership.leave().await.unwrap();
        while program.publish("t", plain(), b"").await {
            tokio::task::yield_now().await;
        }
        let node = Node::join(&options, "a").await;
        node.subscribe("t").await;
        drop(node);
        while program.publish("t", plain(), b"").await {
            tokio::task::yield_now().await;
        }
    });
}
