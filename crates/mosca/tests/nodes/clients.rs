//! A client has one connection, at whichever node.

use mosca::{ReasonCode, Server, Version};

use crate::harness::Client;
use crate::{engines, node};

#[tokio::test]
async fn who_connects_at_another_node_loses_the_connection_that_he_had() {
    for (name, engine) in engines() {
        println!("--- {name}");
        let mut servers = Vec::new();
        for id in ["a", "b", "c"] {
            servers.push(node(&engine, id).await);
        }
        let mut bystander = Client::connect(&servers[0], Version::V5, "bystander").await;
        let mut here = Client::connect(&servers[0], Version::V5, "client").await;
        for at in [1, 2, 0, 1] {
            let next = Client::connect(&servers[at], Version::V5, "client").await;
            here.assert_ends_with(ReasonCode::SessionTakenOver, "the one before")
                .await;
            here = next;
        }
        here.ping().await;
        bystander.ping().await;
        let takeovers = servers.iter().map(|it| it.counters().takeovers.get());
        assert_eq!(takeovers.sum::<u64>(), 4);
    }
}

#[tokio::test]
async fn of_two_who_connect_at_the_same_time_one_stays() {
    for (name, engine) in engines() {
        println!("--- {name}");
        let (a, b) = (node(&engine, "a").await, node(&engine, "b").await);
        for round in 0..20 {
            let id = format!("client {round}");
            let _both = tokio::join!(
                Client::connect(&a, Version::V311, &id),
                Client::connect(&b, Version::V311, &id),
            );
            let here = |server: &Server| u64::from(server.client(&id).is_some());
            let takeovers = || a.counters().takeovers.get() + b.counters().takeovers.get();
            crate::until("one to go", || takeovers() == round + 1).await;
            assert_eq!(here(&a) + here(&b), 1);
        }
    }
}
