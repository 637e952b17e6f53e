//! What happens when Redis hangs, dies, forgets or is full: nothing that was confirmed is lost, nothing
//! is done twice, and the store recovers by itself.

mod place;

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use broker_core::Timestamp;
use broker_core::persistence::{Batch, Operation, Persistence, PersistenceError};
use persistence_redis::RedisOptions;
use place::proxy::Proxy;
use place::work::{Load, commit, drop_session, enqueue, expiring, message, numbers, put_session};
use place::{PATIENCE, open, options, runtime};
use test_servers::redis::Redis;

/// Short enough for a test to see connections given up.
fn hurried(server: &Redis) -> RedisOptions {
    RedisOptions {
        connect_timeout_ms: 1_000,
        response_timeout_ms: 700,
        ..options(server)
    }
}

async fn sleep(milliseconds: u64) {
    tokio::time::sleep(Duration::from_millis(milliseconds)).await;
}

#[test]
fn a_redis_that_hangs_or_is_killed_under_load_loses_and_doubles_nothing() {
    let mut server = Redis::durable().start();
    runtime().block_on(async {
        let store = open(hurried(&server)).await;
        let load = Load::start(&store, 16).await;
        for round in 0..3 {
            sleep(300).await;
            // Longer than an answer may take: what is in the server's hands is sent again.
            server.pause();
            sleep(if round == 0 { 200 } else { 1_500 }).await;
            server.resume();
            sleep(300).await;
            server.kill();
            sleep(300).await;
            server.start_again();
        }
        load.confirms(160).await;
        load.finish(&store).await;
        // And somebody who was not there sees the same.
        let other = open(options(&server)).await;
        for worker in 0..16 {
            let client = format!("worker {worker}");
            assert_eq!(
                numbers(&other, &client).await.unwrap(),
                numbers(&store, &client).await.unwrap()
            );
        }
    });
}

#[test]
fn answers_that_are_lost_on_the_way_are_found_out() {
    let server = Redis::durable().start();
    runtime().block_on(async {
        let proxy = Proxy::start(server.port()).await;
        let through = RedisOptions {
            port: proxy.port,
            ..options(&server)
        };
        let store = open(through).await;
        let load = Load::start(&store, 16).await;
        // A few of them are spent on the beginning of a connection.
        proxy.pieces.store(15, Ordering::SeqCst);
        let start = Instant::now();
        while proxy.broken.load(Ordering::SeqCst) < 20 {
            assert!(start.elapsed() < PATIENCE, "connections do not break");
            sleep(20).await;
        }
        proxy.pieces.store(0, Ordering::SeqCst);
        load.finish(&store).await;
    });
}

#[test]
fn a_redis_that_forgets_the_scripts_is_told_them_again() {
    let server = Redis::new().start();
    runtime().block_on(async {
        let store = open(options(&server)).await;
        let load = Load::start(&store, 4).await;
        for _ in 0..5 {
            sleep(50).await;
            server.command(&["SCRIPT", "FLUSH"]);
        }
        load.finish(&store).await;
    });
}

#[test]
fn who_waits_too_long_is_told_so_and_the_store_recovers_by_itself() {
    let mut server = Redis::durable().start();
    runtime().block_on(async {
        let store = open(RedisOptions {
            unavailable_timeout_ms: 300,
            ..hurried(&server)
        })
        .await;
        commit(&store, [put_session("c")]).await.unwrap();
        server.kill();
        // What is sent before the writer notices that the connection has gone waits until it is known
        // what became of it, which is when Redis is back. What comes later is refused, all of it.
        let text = message("a", b"x");
        let commit_later = |number| {
            let mut batch: Batch = [enqueue("c", number, &text)].into_iter().collect();
            store.commit(&mut batch)
        };
        let start = Instant::now();
        let mut sent = Vec::new();
        loop {
            assert!(start.elapsed() < PATIENCE, "nothing is refused");
            let mut answer = tokio::spawn(commit_later(1));
            match tokio::time::timeout(Duration::from_secs(1), &mut answer).await {
                Ok(Ok(Err(PersistenceError::Unavailable(_)))) => break,
                Ok(other) => panic!("{other:?}"),
                Err(_) => sent.push(answer),
            }
        }
        let answers: Vec<_> = (2..20).map(commit_later).collect();
        for answer in answers {
            let answer = tokio::time::timeout(PATIENCE, answer).await;
            assert!(
                matches!(answer, Ok(Err(PersistenceError::Unavailable(_)))),
                "{answer:?}"
            );
        }
        assert!(matches!(
            store.session("c").await,
            Err(PersistenceError::Unavailable(_))
        ));
        server.start_again();
        let start = Instant::now();
        while commit(&store, [enqueue("c", 100, &text)]).await.is_err() {
            assert!(start.elapsed() < PATIENCE, "it does not recover");
        }
        let mut is_there = false;
        for answer in sent {
            is_there |= answer.await.unwrap().is_ok();
        }
        let found = loop {
            match numbers(&store, "c").await {
                Ok(found) => break found,
                Err(error) => assert!(start.elapsed() < PATIENCE, "{error}"),
            }
        };
        let wanted: &[u64] = if is_there { &[1, 100] } else { &[100] };
        assert_eq!(found, wanted);
    });
}

#[test]
fn a_redis_that_is_full_refuses_what_adds_and_takes_what_removes() {
    let server = Redis::durable().start();
    runtime().block_on(async {
        let store = open(options(&server)).await;
        commit(&store, [put_session("c")]).await.unwrap();
        for number in 1..=20 {
            let large = message("a", &vec![1; 100_000]);
            commit(&store, [enqueue("c", number, &large)])
                .await
                .unwrap();
        }
        server.command(&["CONFIG", "SET", "maxmemory", "1mb"]);
        let text = message("a", b"x");
        // All at once, so that some are written together.
        let answers = (1..=20).map(|number| {
            let operation = match number % 2 {
                0 => place::work::dequeue("c", number),
                _ => enqueue("c", 100 + number, &text),
            };
            let mut batch: Batch = [operation].into_iter().collect();
            (number, store.commit(&mut batch))
        });
        for (number, answer) in answers.collect::<Vec<_>>() {
            let answer = answer.await;
            let is_full = matches!(answer, Err(PersistenceError::Full(_)));
            assert_eq!(is_full, number % 2 == 1, "{number}: {answer:?}");
        }
        let left: Vec<u64> = (1..=20).filter(|number| number % 2 == 1).collect();
        assert_eq!(numbers(&store, "c").await.unwrap(), left);
        commit(&store, [drop_session("c")]).await.unwrap();
        // With room again it goes on, and nothing is left of what was dropped.
        server.command(&["CONFIG", "SET", "maxmemory", "0"]);
        commit(&store, [put_session("c"), enqueue("c", 1, &text)])
            .await
            .unwrap();
        assert_eq!(numbers(&store, "c").await.unwrap(), [1]);
        assert_eq!(server.command(&["HLEN", "{mosca}:message"]), "0");
    });
}

#[test]
fn a_line_that_is_full_keeps_callers_waiting_and_refuses_nobody() {
    let server = Redis::new().start();
    runtime().block_on(async {
        let store = open(RedisOptions {
            max_queued_batches: 10,
            ..options(&server)
        })
        .await;
        commit(&store, [put_session("c")]).await.unwrap();
        server.pause();
        let text = message("a", b"x");
        let answers = (1..=100).map(|number| {
            let mut batch: Batch = [enqueue("c", number, &text)].into_iter().collect();
            store.commit(&mut batch)
        });
        let answers: Vec<_> = answers.collect();
        server.resume();
        for answer in answers {
            answer.await.unwrap();
        }
        assert!(numbers(&store, "c").await.unwrap().into_iter().eq(1..=100));
    });
}

#[test]
fn a_long_queue_that_is_dropped_keeps_nobody_waiting_and_goes() {
    const MESSAGES: u64 = 200_000;
    let server = Redis::new().start();
    runtime().block_on(async {
        let store = open(options(&server)).await;
        commit(&store, [put_session("c"), put_session("other")])
            .await
            .unwrap();
        let small = message("a", b"x");
        let mut answers = Vec::new();
        for first in (1..=MESSAGES).step_by(2_000) {
            // Some are of two queues, and stay for the other one.
            let shared = message("a", b"shared");
            let mut operations: Vec<Operation> = (first + 1..first + 2_000)
                .map(|number| enqueue("c", number, &small))
                .collect();
            operations.extend([
                enqueue("c", first, &shared),
                enqueue("other", first, &shared),
            ]);
            let mut batch: Batch = operations.into_iter().collect();
            answers.push(store.commit(&mut batch));
        }
        for answer in answers {
            answer.await.unwrap();
        }
        commit(&store, [drop_session("c")]).await.unwrap();
        // Its entries were put aside as they are; hundreds of steps take them apart.
        assert_eq!(server.command(&["SCARD", "{mosca}:trash"]), "1");
        assert!(numbers(&store, "c").await.unwrap().is_empty());
        let start = Instant::now();
        while server.command(&["SCARD", "{mosca}:trash"]) != "0" {
            assert!(start.elapsed() < PATIENCE, "it is not swept");
            sleep(50).await;
        }
        // What the other one has is there, once.
        assert_eq!(numbers(&store, "other").await.unwrap().len(), 100);
        assert_eq!(server.command(&["HLEN", "{mosca}:message"]), "100");
        assert_eq!(server.command(&["HLEN", "{mosca}:shares"]), "0");
        commit(&store, [drop_session("other")]).await.unwrap();
        let start = Instant::now();
        while server.command(&["HLEN", "{mosca}:message"]) != "0" {
            assert!(start.elapsed() < PATIENCE, "messages are left");
            sleep(50).await;
        }
    });
}

#[test]
fn a_large_message_for_ten_thousand_is_stored_once_and_freed_with_the_last() {
    const SESSIONS: usize = 10_000;
    let server = Redis::new().start();
    runtime().block_on(async {
        let store = open(options(&server)).await;
        let large = message("a", &vec![7; 1 << 20]);
        let clients: Vec<String> = (0..SESSIONS).map(|number| format!("c{number}")).collect();
        let operations = clients
            .iter()
            .flat_map(|client| [put_session(client), enqueue(client, 1, &large)]);
        commit(&store, operations).await.unwrap();
        let used: u64 = server.info("used_memory").unwrap().parse().unwrap();
        assert!(used < 32 << 20, "{used} bytes for one message of 1 MiB");
        assert_eq!(server.command(&["HVALS", "{mosca}:shares"]), "10000");
        let (first, rest) = clients.split_first().unwrap();
        commit(&store, rest.iter().map(|client| drop_session(client)))
            .await
            .unwrap();
        let left = store.outgoing(first, None, 10).await.unwrap();
        assert_eq!(left.len(), 1);
        assert_eq!(left.first().unwrap().message.as_deref(), Some(&*large));
        commit(&store, [place::work::dequeue(first, 1)])
            .await
            .unwrap();
        for name in ["message", "shares", "bytes"] {
            let key = format!("{{mosca}}:{name}");
            assert_eq!(server.command(&["EXISTS", &key]), "0", "{name}");
        }
    });
}

#[test]
fn what_has_expired_goes_by_itself() {
    let server = Redis::new().start();
    runtime().block_on(async {
        let store = open(options(&server)).await;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let now = Timestamp::from_millis(u64::try_from(now.as_millis()).unwrap());
        let (soon, later) = (
            now + Duration::from_millis(200),
            now + Duration::from_secs(3_600),
        );
        let retain = |topic, expires| Operation::PutRetained {
            message: expiring(topic, b"x", expires),
        };
        let large = vec![1; 10_000];
        let mut operations = vec![
            put_session("c"),
            enqueue("c", 1, &expiring("a", b"x", soon)),
            enqueue("c", 2, &expiring("a", b"x", later)),
            enqueue("c", 3, &message("a", b"x")),
            enqueue("c", 4, &expiring("a", &large, soon)),
            enqueue("c", 5, &expiring("a", b"taken", soon)),
            retain("soon", soon),
            retain("later", later),
            retain("never", Timestamp::MAX),
            retain("replaced", soon),
            retain("replaced", Timestamp::MAX),
        ];
        // Under way already: the client may have it.
        operations.push(Operation::MarkInflight {
            session: place::work::key("c"),
            sequence: 5,
            packet_id: mqtt_codec::PacketId::MIN,
            stage: broker_core::persistence::InflightStage::Published,
        });
        commit(&store, operations).await.unwrap();
        let start = Instant::now();
        while numbers(&store, "c").await.unwrap() != [2, 3, 5] {
            assert!(start.elapsed() < PATIENCE);
            sleep(100).await;
        }
        let retained = store.retained(None, None, 100).await.unwrap();
        let topics: Vec<&str> = retained.iter().map(|message| message.topic()).collect();
        assert_eq!(topics, ["later", "never", "replaced"]);
        let size = store.queue("c").await.unwrap();
        assert_eq!(
            (size.messages, size.bytes, size.last),
            (3, 2 + 2 + 6, Some(5))
        );
        assert_eq!(server.command(&["HLEN", "{mosca}:message"]), "0");
    });
}
