//! A primary that fails over, and a Cluster.

mod place;

use std::sync::Arc;
use std::time::{Duration, Instant};

use broker_core::persistence::{Batch, Operation, Persistence, PersistenceError};
use persistence_redis::{RedisOptions, RedisPersistence};
use place::work::{Load, commit, enqueue, message, numbers, put_session};
use place::{PATIENCE, open, patient, runtime};
use test_servers::redis::{Redis, RedisCluster, RedisSentinel};

/// With a replica that has each batch before it is confirmed, a fail-over loses nothing.
#[test]
fn a_fail_over_loses_and_doubles_nothing() {
    let mut redis = RedisSentinel::start(Redis::durable());
    let url = format!(
        "redis+sentinel://127.0.0.1:1,127.0.0.1:{}/{}?wait_replicas=1",
        redis.sentinel.port(),
        redis.service()
    );
    let options = RedisOptions {
        response_timeout_ms: 2_000,
        connect_timeout_ms: 1_000,
        ..patient(RedisOptions::from_url(&url).unwrap())
    };
    runtime().block_on(async {
        let store = open(options).await;
        let load = Load::start(&store, 8).await;
        load.confirms(80).await;
        let killed = redis.fail_over();
        // The new primary has no replica yet: nothing is confirmed until the old one is that.
        redis.servers[killed].start_again();
        load.confirms(80).await;
        load.finish(&store).await;
    });
}

/// Without the replicas that were asked for nothing is confirmed; what has not been sent is refused in
/// time, and all goes on when they are there.
#[test]
fn too_few_replicas_are_waited_for() {
    let primary = Redis::new().start();
    let options = RedisOptions {
        wait_replicas: 1,
        response_timeout_ms: 400,
        unavailable_timeout_ms: 300,
        ..place::options(&primary)
    };
    runtime().block_on(async {
        let store = open(options).await;
        assert!(store.warnings().join(" ").contains("replicas"));
        // Until Redis has it: then it is known to be applied, and waits for the replica alone.
        let start = Instant::now();
        let mut sent = loop {
            let mut batch: Batch = [put_session("c")].into_iter().collect();
            let sent = tokio::spawn(store.commit(&mut batch));
            while !sent.is_finished() && primary.command(&["HLEN", "{mosca}:session"]) == "0" {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            if primary.command(&["HLEN", "{mosca}:session"]) == "1" {
                break sent;
            }
            assert!(start.elapsed() < PATIENCE, "it is not sent");
        };
        let text = message("a", b"x");
        let later = (1..=3).map(|number| {
            let store = Arc::clone(&store);
            let operation = enqueue("c", number, &text);
            async move {
                tokio::time::sleep(Duration::from_millis(20 * number)).await;
                commit(&store, [operation]).await
            }
        });
        let later: Vec<_> = later.map(tokio::spawn).collect();
        assert!(
            tokio::time::timeout(Duration::from_millis(1_500), &mut sent)
                .await
                .is_err()
        );
        let port = primary.port().to_string();
        let _replica = Redis::new()
            .option("replicaof", &format!("127.0.0.1 {port}"))
            .start();
        sent.await.unwrap().unwrap();
        let mut confirmed = Vec::new();
        for (number, answer) in (1..).zip(later) {
            match answer.await.unwrap() {
                Ok(()) => confirmed.push(number),
                Err(error) => assert!(matches!(error, PersistenceError::Unavailable(_)), "{error}"),
            }
        }
        assert_eq!(numbers(&store, "c").await.unwrap(), confirmed);
    });
}

#[test]
fn a_service_that_no_sentinel_knows_is_named() {
    let redis = RedisSentinel::start(Redis::new());
    let url = format!("redis+sentinel://127.0.0.1:{}/other", redis.sentinel.port());
    let mut options = RedisOptions::from_url(&url).unwrap();
    options.connect_timeout_ms = 300;
    let start = Instant::now();
    // On a machine that is busy the Sentinel may not answer within that time.
    loop {
        let error = runtime()
            .block_on(RedisPersistence::connect(options.clone()))
            .unwrap_err();
        if error.to_string().contains("\"other\"") {
            break;
        }
        assert!(start.elapsed() < PATIENCE, "{error}");
    }
}

#[test]
fn a_cluster_keeps_batches_whole_and_a_node_that_was_killed_is_waited_for() {
    let mut cluster = RedisCluster::start(Redis::durable());
    let nodes: Vec<String> = cluster
        .nodes
        .iter()
        .map(|node| format!("127.0.0.1:{}", node.port()))
        .collect();
    let options = |prefix: &str| RedisOptions {
        prefix: prefix.to_owned(),
        response_timeout_ms: 2_000,
        connect_timeout_ms: 1_000,
        ..patient(RedisOptions::from_url(&format!("redis+cluster://{}", nodes.join(","))).unwrap())
    };
    runtime().block_on(async {
        // Stores of different prefixes are on all of the nodes.
        let mut stores = Vec::new();
        for prefix in ["a", "b", "c", "d", "e", "f", "g"] {
            let store = open(options(prefix)).await;
            let shared = message("a/b", &vec![1; 5_000]);
            let mut operations: Vec<Operation> = Vec::new();
            for client in 0..20 {
                let client = format!("{{{client}}}");
                operations.extend([put_session(&client), enqueue(&client, 1, &shared)]);
            }
            operations.push(Operation::PutRetained { message: shared });
            commit(&store, operations).await.unwrap();
            stores.push(store);
        }
        let used = cluster
            .nodes
            .iter()
            .filter(|node| node.command(&["DBSIZE"]) != "0")
            .count();
        assert_eq!(used, 3, "no node is without a store");
        for store in &stores {
            assert_eq!(store.sessions(None, 100).await.unwrap().len(), 20);
            assert_eq!(numbers(store, "{7}").await.unwrap(), [1]);
            assert_eq!(store.retained(None, None, 10).await.unwrap().len(), 1);
        }
        // A node that is killed under load comes back with what it had confirmed.
        let store = open(options("a")).await;
        let load = Load::start(&store, 8).await;
        for index in 0..cluster.nodes.len() {
            tokio::time::sleep(Duration::from_millis(200)).await;
            cluster.nodes[index].kill();
            tokio::time::sleep(Duration::from_millis(200)).await;
            cluster.nodes[index].start_again();
            cluster.await_ok();
        }
        load.confirms(80).await;
        load.finish(&store).await;
    });
}

/// The slot moves to another node while the store is in use.
#[test]
fn a_store_is_followed_to_another_node() {
    let cluster = RedisCluster::start(Redis::durable());
    let url = format!(
        "redis+cluster://127.0.0.1:{}?prefix=moving",
        cluster.nodes[0].port()
    );
    runtime().block_on(async {
        let store = open(patient(RedisOptions::from_url(&url).unwrap())).await;
        let load = Load::start(&store, 4).await;
        let slot = cluster.nodes[0].command(&["CLUSTER", "KEYSLOT", "{moving}:"]);
        let holder = cluster
            .nodes
            .iter()
            .position(|node| node.command(&["CLUSTER", "COUNTKEYSINSLOT", &slot]) != "0");
        let from = &cluster.nodes[holder.unwrap()];
        let to = &cluster.nodes[(holder.unwrap() + 1) % 3];
        let id = |node: &Redis| node.command(&["CLUSTER", "MYID"]);
        to.command(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &id(from)]);
        from.command(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &id(to)]);
        let port = to.port().to_string();
        loop {
            let keys = from.command(&["CLUSTER", "GETKEYSINSLOT", &slot, "1"]);
            if keys.is_empty() {
                break;
            }
            from.command(&["MIGRATE", "127.0.0.1", &port, &keys, "0", "60000"]);
        }
        for node in [to, from] {
            node.command(&["CLUSTER", "SETSLOT", &slot, "NODE", &id(to)]);
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
        load.finish(&store).await;
        assert_ne!(to.command(&["CLUSTER", "COUNTKEYSINSLOT", &slot]), "0");
        assert_eq!(from.command(&["CLUSTER", "COUNTKEYSINSLOT", &slot]), "0");
    });
}
