//! What is published at one node is delivered at others: whole, once, and in order.

use std::collections::HashMap;

use mosca::{
    AsyncHooks, ForwardVerdict, HookSet, Properties, QoS, Server, SubscribeOptions, Version,
};
use mqtt_codec::{Property, SubscriptionOptions};

use crate::harness::{Client, Hello, Message, options};
use crate::{engines, node, node_with};

const QUALITIES: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];

fn at(qos: QoS, message: Message) -> Message {
    match qos {
        QoS::AtMostOnce => message,
        QoS::AtLeastOnce => message.qos1(7),
        QoS::ExactlyOnce => message.qos2(7),
    }
}

#[tokio::test]
async fn a_message_comes_whole_and_once_at_every_quality_of_service() {
    for (name, engine) in engines() {
        println!("--- {name}");
        let (a, b) = (node(&engine, "a").await, node(&engine, "b").await);
        let mut receiver = Client::connect(&a, Version::V5, "receiver").await;
        receiver.subscribe("t/#", QoS::ExactlyOnce).await;
        let mut publisher = Client::connect(&b, Version::V5, "publisher").await;
        for qos in QUALITIES {
            let message = Message::new("t/1", b"payload")
                .property(Property::ContentType("text/plain"))
                .property(Property::ResponseTopic("answers"))
                .property(Property::CorrelationData(b"17"))
                .property(Property::UserProperty("name", "value"))
                .property(Property::MessageExpiryInterval(3_600));
            publisher.publish_whole(&at(qos, message)).await;
            let received = receiver.take_publish("t/1", b"payload", qos).await;
            let properties: Properties<'_> = received.properties.as_properties();
            assert_eq!(properties.content_type(), Some("text/plain"));
            assert_eq!(properties.response_topic(), Some("answers"));
            assert_eq!(properties.correlation_data(), Some(&b"17"[..]));
            assert_eq!(
                properties.user_properties().collect::<Vec<_>>(),
                [("name", "value")]
            );
            let left = properties.message_expiry_interval().unwrap();
            assert!((3_500..=3_600).contains(&left), "{left}");
        }
        publisher.publish_whole(&Message::new("t/end", b"")).await;
        receiver.expect_publish("t/end", b"", QoS::AtMostOnce).await;
        assert_eq!(a.counters().received_from_nodes.get(), 4);
        assert_eq!(b.counters().forwarded_to_nodes.get(), 4);
        // Nothing goes back, or round.
        assert_eq!(a.counters().forwarded_to_nodes.get(), 0);
        assert_eq!(b.counters().received_from_nodes.get(), 0);
    }
}

#[tokio::test]
async fn each_publisher_and_topic_keeps_its_order_through_three_nodes() {
    const EACH: u16 = 150;
    for (name, engine) in engines() {
        println!("--- {name}");
        let mut servers = Vec::new();
        for id in ["a", "b", "c"] {
            servers.push(node(&engine, id).await);
        }
        let mut receiver = Client::connect(&servers[0], Version::V311, "receiver").await;
        receiver.subscribe("+/+", QoS::AtLeastOnce).await;
        let publish = async |server: &Server, name: &str| {
            let mut publisher = Client::connect(server, Version::V5, name).await;
            for number in 1..=EACH {
                let topic = format!("{name}/{}", number % 3);
                let payload = number.to_string();
                publisher
                    .publish_at_least_once(number, &topic, payload.as_bytes())
                    .await;
            }
            for _ in 1..=EACH {
                publisher.receive_puback().await;
            }
        };
        tokio::join!(publish(&servers[1], "b"), publish(&servers[2], "c"));
        let mut last: HashMap<String, u16> = HashMap::new();
        for _ in 0..2 * EACH {
            let received = receiver.receive_publish().await;
            let number = std::str::from_utf8(&received.payload).unwrap();
            let number: u16 = number.parse().unwrap();
            let before = last.insert(received.topic.clone(), number).unwrap_or(0);
            // With what is before and behind it all have come, each once.
            let expected = if before == 0 {
                (number - 1) % 3 + 1
            } else {
                before + 3
            };
            assert_eq!(number, expected, "{}", received.topic);
        }
        assert!(last.values().all(|number| *number > EACH - 3) && last.len() == 6);
        receiver.nothing_comes().await;
    }
}

#[tokio::test]
async fn what_the_programs_around_nodes_publish_and_subscribe_to_crosses_too() {
    for (name, engine) in engines() {
        println!("--- {name}");
        let (a, b) = (node(&engine, "a").await, node(&engine, "b").await);
        let mut client = Client::connect(&a, Version::V5, "client").await;
        client.subscribe("from/program", QoS::AtLeastOnce).await;
        let mut program = b
            .subscribe_with(["from/client"], SubscribeOptions::default())
            .unwrap();
        let published = b.publish_to("from/program", "1").qos(QoS::AtLeastOnce);
        published.await.unwrap();
        client
            .take_publish("from/program", b"1", QoS::AtLeastOnce)
            .await;
        program.ready().await;
        client.publish("from/client", b"2").await;
        assert_eq!(program.recv().await.unwrap().payload(), b"2");
    }
}

#[tokio::test]
async fn what_is_below_sys_or_local_stays_at_its_node() {
    for (name, engine) in engines() {
        println!("--- {name}");
        let local = |builder: mosca::ServerBuilder| {
            builder.backend_options(|it| it.local_topics = vec!["site/#".to_owned()])
        };
        let a = node_with(&engine, "a", local).await;
        // The other one keeps nothing back.
        let b = node(&engine, "b").await;
        let mut here = Client::connect(&a, Version::V5, "here").await;
        let mut there = Client::connect(&b, Version::V5, "there").await;
        for client in [&mut here, &mut there] {
            client.subscribe("#", QoS::AtMostOnce).await;
            client.subscribe("$SYS/x/#", QoS::AtMostOnce).await;
        }
        for server in [&a, &b] {
            server
                .publish_to("$SYS/x/y", server.id())
                .retain()
                .await
                .unwrap();
            server.publish_to("site/x", server.id()).await.unwrap();
            server.publish_to("end", server.id()).await.unwrap();
        }
        for (client, topics) in [
            (
                &mut here,
                [
                    ("$SYS/x/y", "a"),
                    ("site/x", "a"),
                    ("end", "a"),
                    ("end", "b"),
                ]
                .as_slice(),
            ),
            (
                &mut there,
                &[
                    ("end", "a"),
                    ("$SYS/x/y", "b"),
                    ("site/x", "b"),
                    ("end", "b"),
                ],
            ),
        ] {
            let mut received = Vec::new();
            for _ in topics {
                let publish = client.receive_publish().await;
                let payload = String::from_utf8(publish.payload.to_vec()).unwrap();
                received.push((publish.topic, payload));
            }
            for (topic, payload) in topics {
                let expected = ((*topic).to_owned(), (*payload).to_owned());
                assert!(received.contains(&expected), "{expected:?} in {received:?}");
            }
            client.nothing_comes().await;
        }
        assert_eq!(a.counters().refused_from_nodes.get(), 1);
    }
}

#[tokio::test]
async fn limits_of_the_node_that_receives_hold() {
    for (name, engine) in engines() {
        println!("--- {name}");
        let a = node_with(&engine, "a", |builder| {
            builder.broker(|options| {
                options.max_qos = QoS::AtLeastOnce;
                options.max_topic_levels = 3;
                options.max_packet_size_bytes = 1_000;
                options.retain_available = false;
            })
        })
        .await;
        let b = node(&engine, "b").await;
        let mut receiver = Client::connect(&a, Version::V311, "receiver").await;
        receiver.subscribe("#", QoS::AtLeastOnce).await;
        for (topic, payload) in [("1/2/3/4", vec![]), ("large", vec![0; 1_001])] {
            b.publish_to(topic, &payload).await.unwrap();
        }
        let last = b.publish_to("last", "").qos(QoS::ExactlyOnce);
        last.retain().await.unwrap();
        receiver.expect_publish("last", b"", QoS::AtLeastOnce).await;
        assert_eq!(a.counters().refused_from_nodes.get(), 2);
        assert_eq!(a.sizes().retained_messages, 0);
    }
}

/// [MQTT-3.8.3-3], for one who has moved to another node meanwhile.
#[tokio::test]
async fn no_local_holds_for_what_a_client_has_published_at_another_node() {
    use mosca::backend::contract::{Coarse, Controlled};
    let engine = Controlled::new(Coarse::new());
    let shared: std::sync::Arc<dyn mosca::backend::Backend> = std::sync::Arc::new(engine.clone());
    let impatient = |builder: mosca::ServerBuilder| {
        builder.backend_options(|it| it.acceptance_timeout = std::time::Duration::ZERO)
    };
    let a = node_with(&shared, "a", impatient).await;
    let b = node_with(&shared, "b", impatient).await;
    let mut before = Client::connect(&b, Version::V5, "client").await;
    let mut other = Client::connect(&b, Version::V5, "other").await;
    engine.hold();
    before.publish("t", b"own").await;
    before.ping().await;
    other.publish("t", b"of another").await;
    other.ping().await;
    let mut after = Client::connect(&a, Version::V5, "client").await;
    let no_local = SubscriptionOptions {
        no_local: true,
        ..options(QoS::AtMostOnce)
    };
    after.subscribe_to(1, &[("t", no_local)], &[]).await;
    engine.let_go();
    after
        .expect_publish("t", b"of another", QoS::AtMostOnce)
        .await;
    after.nothing_comes().await;
    assert_eq!(a.counters().received_from_nodes.get(), 2);
}

struct Withholding;

impl AsyncHooks for Withholding {
    fn wanted(&self) -> HookSet {
        HookSet {
            authorize_forward: true,
            ..HookSet::NONE
        }
    }

    async fn authorize_forward(
        &self,
        _: std::sync::Arc<mosca::Client>,
        message: std::sync::Arc<mosca::Message>,
    ) -> ForwardVerdict {
        match message.topic() {
            "secret" => ForwardVerdict::Deny,
            _ => ForwardVerdict::Allow,
        }
    }
}

#[tokio::test]
async fn hooks_decide_on_what_comes_from_other_nodes() {
    for (name, engine) in engines() {
        println!("--- {name}");
        let a = node_with(&engine, "a", |builder| builder.async_hooks(Withholding)).await;
        let b = node(&engine, "b").await;
        let mut receiver = Client::connect(&a, Version::V5, "receiver").await;
        receiver.subscribe("+", QoS::AtLeastOnce).await;
        for topic in ["secret", "open"] {
            b.publish_to(topic, "").qos(QoS::AtLeastOnce).await.unwrap();
        }
        receiver.take_publish("open", b"", QoS::AtLeastOnce).await;
        assert_eq!(a.counters().denied_forwards.get(), 1);
    }
}

/// A session belongs to the node at which its client was last.
#[tokio::test]
async fn what_others_publish_waits_for_a_client_that_is_away() {
    for (name, engine) in engines() {
        println!("--- {name}");
        let (a, b) = (node(&engine, "a").await, node(&engine, "b").await);
        let hello = Hello::new(Version::V5, "client").persistent(3_600);
        let mut client = hello.connect(&a).await;
        client.subscribe("t", QoS::AtLeastOnce).await;
        client.disconnect().await;
        crate::harness::wait_for_connections(&a, 0).await;
        b.publish_to("t", "waits")
            .qos(QoS::AtLeastOnce)
            .await
            .unwrap();
        crate::until("the message in the queue", || {
            a.counters().received_from_nodes.get() == 1
        })
        .await;
        let mut client = hello.connect(&a).await;
        client.take_publish("t", b"waits", QoS::AtLeastOnce).await;
    }
}
