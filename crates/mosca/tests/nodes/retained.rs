//! What is retained at one node is retained at others.

use mosca::{QoS, Version};

use crate::harness::{Client, Message};
use crate::{engines, node};

#[tokio::test]
async fn who_subscribes_later_elsewhere_gets_what_was_retained_and_not_what_was_cleared() {
    for (name, engine) in engines() {
        println!("--- {name}");
        let (a, b) = (node(&engine, "a").await, node(&engine, "b").await);
        let mut publisher = Client::connect(&a, Version::V5, "publisher").await;
        for message in [
            Message::new("kept", b"first").retain().qos1(1),
            Message::new("cleared", b"x").retain().qos1(2),
            Message::new("kept", b"second").retain().qos1(3),
            Message::new("cleared", b"").retain().qos1(4),
        ] {
            publisher.publish_whole(&message).await;
        }
        // Nobody has subscribed to anything there.
        crate::until("all at the other node", || {
            b.counters().received_from_nodes.get() == 4
        })
        .await;
        let mut late = Client::connect(&b, Version::V5, "late").await;
        late.subscribe("#", QoS::AtLeastOnce).await;
        let received = late.take_publish("kept", b"second", QoS::AtLeastOnce).await;
        assert!(received.retain);
        late.nothing_comes().await;
    }
}

#[tokio::test]
async fn nodes_on_which_a_topic_is_retained_at_the_same_time_agree_in_the_end() {
    for (name, engine) in engines() {
        println!("--- {name}");
        let (a, b) = (node(&engine, "a").await, node(&engine, "b").await);
        let mut clients = Vec::new();
        for server in [&a, &b] {
            let mut client = Client::connect(server, Version::V5, server.id()).await;
            client.subscribe("end/+", QoS::AtMostOnce).await;
            clients.push(client);
        }
        for round in 0..50_u16 {
            for (client, id) in clients.iter_mut().zip(["a", "b"]) {
                let topic = format!("t/{}", round % 5);
                let payload = format!("{id}{round}");
                let message = Message::new(&topic, payload.as_bytes()).retain();
                client.send_message(&message).await;
            }
        }
        for client in &mut clients {
            client.publish("end/1", b"").await;
        }
        for client in &mut clients {
            for _ in 0..2 {
                client.expect_publish("end/1", b"", QoS::AtMostOnce).await;
            }
        }
        // What is for all nodes may come behind what is for some.
        let all = |it: &mosca::Server| it.counters().received_from_nodes.get() == 51;
        crate::until("all at both nodes", || all(&a) && all(&b)).await;
        let mut kept = Vec::new();
        for client in &mut clients {
            client.subscribe("t/+", QoS::AtMostOnce).await;
            let mut all = client.all_that_comes().await;
            all.sort_by(|one, other| one.topic.cmp(&other.topic));
            let all = all.into_iter().map(|it| (it.topic, it.payload));
            kept.push(all.collect::<Vec<_>>());
        }
        assert_eq!(kept[0].len(), 5);
        assert_eq!(kept[0], kept[1]);
    }
}
