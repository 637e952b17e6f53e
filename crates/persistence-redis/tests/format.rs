//! A store of the first format is read, by this version and by every later one.
//!
//! `format_1.txt` has the commands that make one. With `MOSCA_WRITE_FIXTURE` set to the path of a
//! file, the test writes there what this version makes of the same operations.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends where a store cannot answer"
)]

mod place;

use std::fmt::Write;

use broker_core::persistence::{
    InflightStage, Operation, Persistence, StoredQueue, StoredWill, SubscriptionIds,
};
use broker_core::{Message, MessageParts, SubscriptionOptions, Timestamp};
use mqtt_codec::{PacketId, QoS};
use persistence_redis::RedisPersistence;
use place::work::{commit, enqueue, expiring, key, message, put_session};
use place::{options, runtime};
use test_servers::redis::Redis;

const FIRST: &str = include_str!("format_1.txt");

const FAR: Timestamp = Timestamp::from_millis(4_102_444_800_000);

/// One of everything.
fn operations() -> Vec<Operation> {
    let shared = Message::new(MessageParts {
        topic: "a/é",
        properties: &[1, 1],
        payload: &[0, 10, 13, 34, 92, 255],
        qos: QoS::ExactlyOnce,
        retain: true,
        expires: FAR,
    });
    let packet_id = PacketId::new(7).unwrap();
    let mark = |sequence, stage| Operation::MarkInflight {
        session: key("one"),
        sequence,
        packet_id,
        stage,
    };
    vec![
        put_session("one"),
        put_session("two:{}"),
        Operation::PutSubscription {
            session: key("one"),
            filter: "a/#".into(),
            options: SubscriptionOptions {
                qos: QoS::ExactlyOnce,
                no_local: true,
                retain_as_published: true,
                identifier: 268_435_455,
            },
        },
        enqueue("one", 1, &shared),
        enqueue("one", 2, &message("inside", b"small")),
        enqueue("one", 3, &expiring("inside", b"expires", FAR)),
        enqueue("one", 4, &message("released", b"gone")),
        Operation::Enqueue {
            session: key("two:{}"),
            sequence: u64::MAX,
            message: shared.clone(),
            qos: QoS::ExactlyOnce,
            retain: true,
            subscription_ids: SubscriptionIds::Many([1, 2].into()),
            shared: Some("$share/g/a/#".into()),
            packet_id: Some(packet_id),
        },
        mark(2, InflightStage::Published),
        mark(4, InflightStage::Released),
        Operation::IncomingReceived {
            session: key("one"),
            packet_id,
        },
        Operation::PutRetained {
            message: shared.clone(),
        },
        Operation::PutWill(StoredWill {
            session: key("one"),
            node: "node".into(),
            message: shared,
            delay_secs: 5,
            expiry_interval_secs: Some(6),
        }),
    ]
}

/// What lookups find, as text.
fn found(store: &RedisPersistence) -> String {
    runtime().block_on(async {
        let mut text = format!("{:#?}\n", store.sessions(None, 10).await.unwrap());
        for client in ["one", "two:{}"] {
            let outgoing = store.outgoing(client, None, 10).await.unwrap();
            for one in &outgoing {
                let parts = one.message.as_ref().map(|message| message.parts());
                writeln!(text, "{one:?} {parts:?}").unwrap();
            }
            writeln!(
                text,
                "{:?}",
                store.subscriptions(client, None, 10).await.unwrap()
            )
            .unwrap();
            writeln!(text, "{:?}", store.incoming(client).await.unwrap()).unwrap();
            writeln!(text, "{:?}", store.queue(client).await.unwrap()).unwrap();
        }
        writeln!(text, "{:?}", store.retained(None, None, 10).await.unwrap()).unwrap();
        writeln!(text, "{:?}", store.wills("node", None, 10).await.unwrap()).unwrap();
        text
    })
}

fn connect(server: &Redis) -> RedisPersistence {
    runtime()
        .block_on(RedisPersistence::connect(options(server)))
        .unwrap()
}

/// A store with one of everything.
fn written(server: &Redis) -> RedisPersistence {
    let store = connect(server);
    runtime().block_on(commit(&store, operations())).unwrap();
    store
}

/// The commands that make what is in a server.
fn dump(server: &Redis) -> String {
    let mut text = String::new();
    let mut keys: Vec<String> = server
        .command(&["KEYS", "*"])
        .lines()
        .map(str::to_owned)
        .collect();
    keys.sort();
    for key in keys.iter().filter(|key| !key.contains(":writer:")) {
        let (read, write): (&[&str], &str) = match &*server.command(&["TYPE", key]) {
            "string" => (&["GET"], "SET"),
            "hash" => (&["HGETALL"], "HSET"),
            "set" => (&["SMEMBERS"], "SADD"),
            "zset" => (&["ZRANGE", "0", "-1", "WITHSCORES"], "ZADD"),
            other => panic!("{key} is a {other}"),
        };
        let (command, rest) = read.split_first().unwrap();
        let mut words = vec!["--no-raw", command, key];
        words.extend(rest);
        // Each on a line of its own, behind its number, in quotes.
        let answer = server.command(&words);
        let mut values: Vec<&str> = answer
            .lines()
            .map(|line| line.find('"').map_or(line, |at| line.split_at(at).1))
            .collect();
        if write == "ZADD" {
            values = values
                .chunks(2)
                .flat_map(|pair| [pair[1], pair[0]])
                .collect();
        }
        writeln!(text, "{write} \"{key}\" {}", values.join(" ")).unwrap();
    }
    text
}

#[test]
fn a_store_of_the_first_format_is_read() {
    let server = Redis::new().start();
    let store = written(&server);
    let wanted = found(&store);
    if let Some(file) = std::env::var_os("MOSCA_WRITE_FIXTURE") {
        std::fs::write(file, dump(&server)).unwrap();
    }
    let first = Redis::new().start();
    let answers = first.commands(FIRST);
    assert!(!answers.contains("ERR"), "{answers}");
    let store = connect(&first);
    assert_eq!(found(&store), wanted);
    // It is not only read: what is removed goes, with all that belonged to it.
    let operations = ["one", "two:{}"].map(|client| Operation::DropSession {
        session: key(client),
    });
    runtime().block_on(commit(&store, operations)).unwrap();
    let empty = runtime().block_on(store.queue("one")).unwrap();
    assert_eq!(empty, StoredQueue::default());
    for name in [
        "message", "shares", "bytes", "expiring", "will", "session", "sessions",
    ] {
        assert_eq!(
            first.command(&["EXISTS", &format!("{{mosca}}:{name}")]),
            "0",
            "{name}"
        );
    }
}
