//! Stores at the command: how they are chosen, what is said when they cannot be opened, and what
//! `mosca db` does with one on disk.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    unreachable_pub,
    dead_code,
    reason = "all of this is a test, and uses only a part of what the real clients need"
)]

#[path = "real_clients/process.rs"]
mod process;

use std::io::{Read, Seek, SeekFrom, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::process::Command;

use bson::oid::ObjectId;
use bson::spec::BinarySubtype;
use bson::{Binary, DateTime, doc};
use process::{Line, PATIENCE, Process, Signal};
use test_servers::{Folder, RefusingPort};

fn mosca(arguments: &[&str]) -> Process {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mosca"));
    Process::start("mosca", command.args(arguments))
}

/// A broker on a free port with these arguments, and its port.
fn broker(arguments: &[&str]) -> (Process, u16) {
    let mut process = mosca(&[&["-p", "0", "--host", "127.0.0.1"], arguments].concat());
    let port = process.port("mqtt");
    (process, port)
}

/// Runs to the end: exit code, standard output, standard error.
fn run(arguments: &[&str]) -> (Option<i32>, Vec<String>, Vec<String>) {
    let (status, lines) = mosca(arguments).finish();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    for line in lines {
        match line {
            Line::Out(line) => out.push(line),
            Line::Err(line) => err.push(line),
        }
    }
    (status.code(), out, err)
}

/// What a broker says that does not start: one line, exit code 1.
fn refusal(arguments: &[&str]) -> String {
    let (code, out, err) = run(&[&["-p", "0", "--host", "127.0.0.1"], arguments].concat());
    assert_eq!(code, Some(1), "{out:?} {err:?}");
    assert_eq!(out, [""; 0]);
    // Behind what the log may have said before.
    let last = err.last().unwrap().clone();
    assert!(last.starts_with("mosca: cannot open the store "), "{last}");
    last
}

fn terminate(mut process: Process) {
    process.signal(Signal::Terminate);
    process.succeed();
}

/// Sends packets and reads so many bytes of the answers.
fn converse(port: u16, packets: &[u8], answer: usize) -> Vec<u8> {
    let mut client = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client.write_all(packets).unwrap();
    let mut bytes = vec![0; answer];
    client.read_exact(&mut bytes).unwrap();
    bytes
}

/// CONNECT of MQTT 3.1.1 as "c" with a lasting session.
const CONNECT: &[u8] = b"\x10\x0D\0\x04MQTT\x04\0\0\0\0\x01c";

/// A session that has a subscription, and a retained message.
fn fill(port: u16) {
    let subscribe = b"\x82\x06\0\x01\0\x01a\x01";
    let publish = b"\x33\x06\0\x01a\0\x02x";
    let packets = [CONNECT, subscribe, publish].concat();
    // CONNACK, SUBACK, PUBACK and the message itself, in whatever order the latter two come.
    let answers = converse(port, &packets, 4 + 5 + 4 + 8);
    assert_eq!(answers[..4], [0x20, 2, 0, 0], "a new session");
}

/// Whether there is a session of "c".
fn has_session(port: u16) -> bool {
    converse(port, CONNECT, 4)[2] == 1
}

#[test]
fn a_store_on_disk_is_there_again_however_it_is_chosen() {
    let folder = Folder::new("stores-chosen");
    let path = folder.path().join("db");
    let path = path.to_str().unwrap();
    let config = folder.path().join("config.toml");
    let text = format!("[persistence]\nfactory = \"levelup\"\npath = {path:?}\n");
    std::fs::write(&config, text).unwrap();
    let (process, port) = broker(&["--db", path]);
    fill(port);
    terminate(process);
    for arguments in [
        &["-d", path][..],
        &[
            "--persistence",
            &format!("fjall:{path}"),
            "--durability",
            "os",
        ],
        &["--config", config.to_str().unwrap()],
    ] {
        let (process, port) = broker(arguments);
        assert!(has_session(port), "{arguments:?}");
        terminate(process);
    }
    let (process, port) = broker(&[
        "--config",
        config.to_str().unwrap(),
        "--persistence",
        "memory",
    ]);
    assert!(
        !has_session(port),
        "the command line counts before the file"
    );
    terminate(process);
}

#[test]
fn a_second_broker_on_the_same_folder_is_refused() {
    let folder = Folder::new("stores-second");
    let path = folder.path().join("db");
    let path = path.to_str().unwrap();
    let (_first, _) = broker(&["--db", path]);
    let said = refusal(&["--db", path]);
    assert!(said.contains(path) && said.contains("in use"), "{said}");
    let (code, _, err) = run(&["db", "verify", path]);
    assert_eq!(code, Some(1));
    assert!(err.join("\n").contains("in use"), "{err:?}");
}

#[test]
fn a_folder_that_cannot_be_one_is_named_with_the_reason() {
    let folder = Folder::new("stores-foreign");
    let file = folder.path().join("file");
    std::fs::write(&file, "not a store").unwrap();
    for path in [&file, &file.join("below"), folder.path()] {
        let path = path.to_str().unwrap();
        let said = refusal(&["--db", path]);
        assert!(said.contains(path), "{said}");
    }
}

#[test]
fn a_store_that_nobody_answers_for_is_named_with_its_address_and_without_its_password() {
    let refusing = RefusingPort::take();
    let port = refusing.number();
    for url in [
        format!("redis://:secret@127.0.0.1:{port}"),
        format!("mongodb://me:secret@127.0.0.1:{port}/mosca"),
    ] {
        let said = refusal(&["--persistence", &url]);
        assert!(said.contains(&format!("127.0.0.1:{port}")), "{said}");
        assert!(!said.contains("secret"), "{said}");
    }
}

#[test]
fn a_store_on_disk_is_verified_printed_and_compacted() {
    let folder = Folder::new("stores-db");
    let path = folder.path().join("db");
    let path = path.to_str().unwrap();
    let (process, port) = broker(&["--db", path]);
    fill(port);
    terminate(process);

    let (code, out, err) = run(&["db", "verify", path]);
    assert_eq!(code, Some(0), "{out:?} {err:?}");
    for line in [
        "sessions: 1",
        "subscriptions: 1",
        "retained messages: 1",
        "the store is whole",
    ] {
        assert!(out.iter().any(|said| said == line), "no {line} in {out:?}");
    }
    assert!(!err.is_empty(), "no progress");

    let (code, out, _) = run(&["db", "dump", path]);
    assert_eq!(code, Some(0));
    let records: Vec<serde_json::Value> = out
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let has = |kind: &str| records.iter().any(|record| record["record"] == kind);
    assert!(
        has("session") && has("subscription") && has("retained"),
        "{out:?}"
    );

    let (code, out, _) = run(&["db", "compact", path]);
    assert_eq!(code, Some(0));
    assert!(out[0].starts_with("bytes before: "), "{out:?}");
    let (process, port) = broker(&["--db", path]);
    assert!(has_session(port));
    terminate(process);
}

/// As the loss of power may leave it, and as nothing does that can be repaired.
#[test]
fn a_store_that_is_damaged_is_said_to_be_and_repaired_if_it_can_be() {
    let folder = Folder::new("stores-repair");
    let path = folder.path().join("db");
    let path = path.to_str().unwrap();
    let (process, port) = broker(&["--db", path]);
    fill(port);
    terminate(process);
    let (code, out, _) = run(&["db", "repair", path]);
    assert_eq!(code, Some(0));
    assert!(out[0].contains("nothing was cut off"), "{out:?}");

    // In the first of several batches, where one byte of a number may turn.
    let journal = folder.path().join("db/data/0.jnl");
    let mut file = std::fs::File::options()
        .read(true)
        .write(true)
        .open(&journal)
        .unwrap();
    let mut byte = [0];
    file.seek(SeekFrom::Start(14)).unwrap();
    file.read_exact(&mut byte).unwrap();
    file.seek(SeekFrom::Start(14)).unwrap();
    file.write_all(&[byte[0] ^ 0x40]).unwrap();
    drop(file);
    let said = refusal(&["--db", path]);
    assert!(said.contains("mosca db repair"), "{said}");
    let (code, out, _) = run(&["db", "verify", path]);
    assert_eq!(code, Some(3));
    assert!(out[0].contains("mosca db repair"), "{out:?}");

    let (code, out, err) = run(&["db", "repair", path]);
    assert_eq!(code, Some(0), "{out:?} {err:?}");
    assert!(
        out[0].starts_with("cut off: ") && out[0].contains("0.jnl"),
        "{out:?}"
    );
    assert!(out[1].starts_with("commits among them"), "{out:?}");
    let copy = out[2].strip_prefix("copy: ").unwrap();
    assert!(std::fs::read_dir(copy).unwrap().count() == 1, "{copy}");
    assert_eq!(out.last().unwrap(), "the store is whole");
    assert!(!err.is_empty(), "no progress");
    let (process, port) = broker(&["--db", path]);
    // All was behind it.
    assert!(!has_session(port));
    terminate(process);

    // A list of files of the engine: the process has to live to say it.
    let list = folder.path().join("db/data/keyspaces/1/current");
    std::fs::write(&list, [0xFF; 25]).unwrap();
    let said = refusal(&["--db", path]);
    assert!(said.contains("current"), "{said}");
    for command in ["verify", "repair"] {
        let (code, out, _) = run(&["db", command, path]);
        assert_eq!(code, Some(3), "{out:?}");
        assert_eq!(out.last().unwrap(), "the store is damaged");
    }
}

/// The engine of the store has a log of its own.
#[test]
fn what_the_engine_warns_of_is_in_the_log() {
    let folder = Folder::new("stores-log");
    let path = folder.path().join("db");
    let path = path.to_str().unwrap();
    terminate(broker(&["--db", path]).0);
    std::fs::write(folder.path().join("db/data/keyspaces/stray"), "").unwrap();
    let mut process = mosca(&["-p", "0", "--host", "127.0.0.1", "--db", path]);
    let (mut warned, mut listening) = (false, false);
    process.wait_for("warning of the engine", |line| {
        match line {
            Line::Err(line) => warned |= line.contains("stray"),
            Line::Out(line) => listening |= line.contains("listening"),
        }
        (warned && listening).then_some(())
    });
    terminate(process);
}

#[test]
fn what_is_no_store_is_neither_made_nor_verified() {
    let folder = Folder::new("stores-missing");
    let path = folder.path().join("none");
    for command in ["verify", "dump", "compact", "repair"] {
        let (code, out, err) = run(&["db", command, path.to_str().unwrap()]);
        assert_eq!((code, out), (Some(1), Vec::new()), "{err:?}");
        assert!(err.join("\n").contains("no store in"), "{err:?}");
        assert!(!path.exists());
    }
}

/// As the mosca of Node.js writes it.
#[test]
fn what_mosca_has_left_in_redis_is_brought_into_a_store() {
    let redis = test_servers::redis::Redis::new().start();
    let packet = |topic: &str, id: &str| {
        format!(
            r#"{{"topic":"{topic}","payload":{{"type":"Buffer","data":[120]}},"qos":1,"retain":false,"messageId":"{id}"}}"#
        )
    };
    redis.command(&["SET", "client:sub:c", r#"{"a":{"qos":1}}"#]);
    redis.command(&["SET", "packets:c:one", &packet("a", "one")]);
    redis.command(&["RPUSH", "packets:c", "packets:c:one"]);
    redis.command(&["HSET", "retained", "a", &packet("a", "two")]);
    redis.command(&["SET", "client:sub:broken", "no JSON"]);
    let folder = Folder::new("stores-import");
    let path = folder.path().join("db");
    let path = path.to_str().unwrap();

    let into = format!("fjall:{path}");
    let (code, out, err) = run(&["import", &redis.url(), "--into", &into]);
    assert_eq!(code, Some(3), "{out:?} {err:?}");
    for line in [
        "sessions: 1",
        "subscriptions: 1",
        "messages in queues: 1",
        "retained messages: 1",
        "skipped, as they cannot be read: 1",
    ] {
        assert!(out.iter().any(|said| said == line), "no {line} in {out:?}");
    }
    assert!(
        err.iter().any(|line| line.contains("client:sub:broken")),
        "{err:?}"
    );
    let (process, port) = broker(&["--db", path]);
    assert!(has_session(port));
    terminate(process);

    // Once is enough.
    let session = &sessions(path)[0];
    assert_eq!(session["expiry_interval_secs"], u32::MAX);
    redis.command(&["DEL", "client:sub:broken"]);
    let (code, out, err) = run(&["import", &redis.url(), "--into", &into]);
    assert_eq!(code, Some(0), "{out:?} {err:?}");
    assert!(out.iter().any(|line| line == "sessions: 0"), "{out:?}");
}

/// The folder is that of the crate that reads it, whose tests look at each message.
#[test]
fn what_mosca_has_left_in_a_leveldb_is_brought_into_a_store() {
    let sources = std::env::var("CARGO_MANIFEST_DIR").unwrap();
    let left = format!("leveldb:{sources}/../leveldb-import/tests/mosca-2.3.0");
    let folder = Folder::new("stores-import-leveldb");
    let path = folder.path().join("db");
    let into = format!("fjall:{}", path.to_str().unwrap());
    let (code, out, err) = run(&["import", &left, "--into", &into]);
    assert_eq!(code, Some(0), "{out:?} {err:?}");
    for line in [
        "sessions: 4",
        "messages in queues: 55",
        "retained messages: 3",
    ] {
        assert!(out.iter().any(|said| said == line), "no {line} in {out:?}");
    }
    let (process, port) = broker(&["--db", path.to_str().unwrap()]);
    // CONNECT of `late` with clean session 0, CONNACK that says session present, and the PUBLISH that waited.
    let connect = b"\x10\x10\0\x04MQTT\x04\0\0\0\0\x04late";
    let answer = converse(port, connect, 4 + 9);
    assert_eq!(answer[..4], [0x20, 2, 1, 0]);
    assert_eq!(answer[4..9], *b"\x32\x07\0\x01c");
    assert_eq!(answer[11..], *"ü".as_bytes());
    terminate(process);

    let (code, _, err) = run(&["import", &left]);
    assert_eq!(code, Some(1), "{err:?}");
    assert!(err.join(" ").contains("--into"), "{err:?}");
    let (code, _, err) = run(&["import", "leveldb:/nowhere", "--into", &into]);
    assert_eq!(code, Some(1), "{err:?}");
    assert!(err.join(" ").contains("/nowhere/CURRENT"), "{err:?}");
}

/// The sessions in a store on disk.
fn sessions(path: &str) -> Vec<serde_json::Value> {
    let (code, out, err) = run(&["db", "dump", path]);
    assert_eq!(code, Some(0), "{err:?}");
    out.iter()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .filter(|record| record["record"] == "session")
        .collect()
}

/// When a session from the table of [`sessions`] expires, in seconds.
fn expires(session: &serde_json::Value) -> u64 {
    let since = session["disconnected_at"].as_u64().unwrap() / 1_000;
    since + session["expiry_interval_secs"].as_u64().unwrap()
}

fn now() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.unwrap().as_secs()
}

#[test]
fn imported_sessions_of_redis_expire_when_it_is_said() {
    let redis = test_servers::redis::Redis::new().start();
    redis.command(&["SET", "client:sub:c", r#"{"a":{"qos":1}}"#]);
    let folder = Folder::new("stores-import-expiry");
    let path = folder.path().join("db");
    let path = path.to_str().unwrap();
    let into = format!("fjall:{path}");
    let before = now();
    let url = redis.url();
    let arguments = ["import", &url, "--into", &into, "--session-expiry", "600"];
    let (code, out, err) = run(&arguments);
    assert_eq!(code, Some(0), "{out:?} {err:?}");
    let expires = expires(&sessions(path)[0]);
    assert!((before + 600..=now() + 601).contains(&expires), "{expires}");
}

/// The collections and documents that mosca of Node.js has in MongoDB.
fn furnish(mongod: &test_servers::mongod::Mongod, database: &str) {
    let added = DateTime::from_millis(1_500_000_000_000);
    let payload = || Binary {
        subtype: BinarySubtype::Generic,
        bytes: b"x".to_vec(),
    };
    mongod.command(
        database,
        doc! { "insert": "subscriptions", "documents": [
            { "client": "c", "topic": "a", "qos": 1, "added": added },
            { "client": "c", "topic": "a/#/b", "qos": 1, "added": added },
        ] },
    );
    // One copy for each subscription that matched.
    let waiting = || {
        doc! {
            "_id": ObjectId::new(),
            "client": "c",
            "packet": { "topic": "a", "payload": payload(), "qos": 1, "retain": false, "messageId": "id" },
            "added": added,
        }
    };
    mongod.command(
        database,
        doc! { "insert": "packets", "documents": [waiting(), waiting()] },
    );
    let retained =
        doc! { "topic": "r", "payload": payload(), "qos": 1, "retain": true, "messageId": "r" };
    mongod.command(
        database,
        doc! { "insert": "retained", "documents": [retained] },
    );
    for (collection, key) in [
        ("subscriptions", doc! { "client": 1 }),
        ("packets", doc! { "client": 1 }),
        ("retained", doc! { "topic": 1 }),
    ] {
        let index = doc! { "key": key, "name": "by" };
        mongod.command(
            database,
            doc! { "createIndexes": collection, "indexes": [index] },
        );
    }
}

#[test]
fn what_mosca_has_left_in_mongodb_is_brought_into_a_store() {
    let mongod = test_servers::mongod::Mongod::new().start();
    furnish(&mongod, "old");
    let from = mongod.url().replace("/?", "/old?");
    let folder = Folder::new("stores-import-mongodb");
    let path = folder.path().join("db");
    let path = path.to_str().unwrap();
    let disk = format!("fjall:{path}");
    let elsewhere = mongod.url().replace("/?", "/new?");

    for into in [&disk, &elsewhere] {
        let before = now();
        let arguments = ["import", &from, "--into", into, "--session-expiry", "600"];
        let (code, out, err) = run(&arguments);
        assert_eq!(code, Some(3), "{out:?} {err:?}");
        for line in [
            "sessions: 1",
            "subscriptions: 1",
            "messages in queues: 1",
            "retained messages: 1",
            "skipped, as they are copies or of $SYS: 1",
            "skipped, as they cannot be read: 1",
        ] {
            assert!(out.iter().any(|said| said == line), "no {line} in {out:?}");
        }
        assert!(err.iter().any(|line| line.contains("a/#/b")), "{err:?}");
        if into == &disk {
            let expires = expires(&sessions(path)[0]);
            assert!((before + 600..=now() + 601).contains(&expires), "{expires}");
        }
        let (process, port) = broker(&["--persistence", into]);
        // What waited comes behind CONNACK.
        let answers = converse(port, CONNECT, 4 + 8);
        assert_eq!(answers[..4], [0x20, 2, 1, 0], "a session is there");
        assert_eq!((answers[4], &answers[6..9]), (0x32, &b"\0\x01a"[..]));
        terminate(process);

        // The client has been here: its session is left alone.
        let (code, out, err) = run(&arguments);
        assert_eq!(code, Some(0), "{out:?} {err:?}");
        for line in ["sessions: 0", "skipped, as the store has them already: 2"] {
            assert!(out.iter().any(|said| said == line), "no {line} in {out:?}");
        }
    }

    // Both have collections of the same names.
    let (code, _, err) = run(&["import", &from]);
    assert_eq!(code, Some(1), "{err:?}");
    let said = err.join("\n");
    assert!(said.contains("choose another database"), "{said}");
}

#[test]
fn what_cannot_be_imported_is_said() {
    for (arguments, word) in [
        (&["import", "memory"][..], "redis://"),
        (&["import", "fjall:/x"], "redis://"),
        (&["import", "reddis://a"], "did you mean"),
        (
            &["import", "redis://127.0.0.1", "--into", "memory"],
            "--into",
        ),
        (&["import", "redis://127.0.0.1", "--into", "x:"], "--into"),
    ] {
        let (code, out, err) = run(arguments);
        assert_eq!((code, out), (Some(1), Vec::new()), "{err:?}");
        assert!(err.join("\n").contains(word), "{arguments:?}: {err:?}");
    }
}
