//! Who comes in by mosca's users file.

use std::path::Path;
use std::process::Command;

use authorizer::HashCost;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::broker::{Broker, text, wait_for};
use crate::process::{Line, Process};

const CHEAP: HashCost = HashCost {
    memory_kib: 64,
    passes: 1,
};

/// An entry as mosca writes it.
pub fn old_entry(password: &str, publish: &str, subscribe: &str) -> Value {
    let salt: Vec<u8> = (0..64).map(|number| number * 3 + 1).collect();
    let mut hash = [0; 128];
    pbkdf2::pbkdf2_hmac::<sha1::Sha1>(password.as_bytes(), &salt, 10_000, &mut hash);
    json!({
        "salt": STANDARD.encode(salt),
        "hash": STANDARD.encode(hash),
        "authorizePublish": publish,
        "authorizeSubscribe": subscribe,
    })
}

const TEST: Option<(&str, &str)> = Some(("test", "test"));

#[test]
fn the_user_of_moscas_example_logs_in_and_others_do_not() {
    let broker = Broker::with_users(&json!({ "test": old_entry("test", "**", "**") }));
    let mut subscriber = broker.subscribe(("test", "test"), &["-t", "a/#", "-C", "1"]);
    // Five failures of an address cost nothing.
    let (wrong, unknown) = (Some(("test", "tset")), Some(("Test", "test")));
    for (version, strangers) in [
        ("mqttv31", &[wrong, None][..]),
        ("mqttv311", &[wrong, unknown, None]),
        ("mqttv5", &[wrong, unknown, None]),
    ] {
        let publish = |user| broker.publish(user, &["-V", version, "-t", "a/b"]);
        for &stranger in strangers {
            let (is_content, said) = publish(stranger);
            assert!(!is_content, "{stranger:?} {version}: {said}");
            // mosca's words; MQTT 5 has others for a wrong password.
            let words = match (version, stranger) {
                ("mqttv5", Some(_)) => "Bad User Name or Password",
                ("mqttv5", None) => "Not authorized",
                _ => "not authorised",
            };
            let (said, words) = (said.to_lowercase(), words.to_lowercase());
            assert!(said.contains(&words), "{stranger:?} {version}: {said}");
        }
        let (is_content, said) = publish(TEST);
        assert!(is_content, "{version}: {said}");
    }
    assert_eq!(wait_for(&mut subscriber, "message "), "message a/b");
    subscriber.succeed();
}

#[test]
fn a_grant_of_one_level_does_not_admit_the_levels_below() {
    let broker = Broker::with_users(&json!({
        "test": old_entry("test", "**", "**"),
        "eve": old_entry("pencil", "b", "a/*"),
    }));
    let eve = ("eve", "pencil");
    for version in ["mqttv311", "mqttv5"] {
        for filter in ["a/#", "#", "$share/g/a/#", "b"] {
            let mut denied =
                broker.client("mosquitto_sub", Some(eve), &["-V", version, "-t", filter]);
            wait_for(&mut denied, "All subscription requests were denied");
        }
    }
    let mut subscriber = broker.subscribe(eve, &["-t", "a/+", "-C", "2"]);
    let publish = |user, topic: &str| broker.publish(Some(user), &["-V", "5", "-t", topic]).1;
    assert!(
        publish(("test", "test"), "a/b/c").contains("RC:16"),
        "nobody has it"
    );
    // Whatever she publishes that she may not, none of it comes to others.
    assert!(publish(eve, "a/b").contains("RC:135"));
    for (version, qos) in [
        ("mqttv5", "0"),
        ("mqttv5", "2"),
        ("mqttv311", "0"),
        ("mqttv311", "2"),
    ] {
        broker.publish(Some(eve), &["-V", version, "-t", "a/b", "-q", qos]);
    }
    let (is_content, said) = broker.publish(Some(eve), &["-V", "mqttv311", "-t", "a/b"]);
    assert!(!is_content || !said.contains("PUBACK"), "{said}");
    // Nor does a will.
    let will = ["-t", "b", "--will-topic", "a/b", "--will-payload", "x"];
    let (is_content, said) = broker.publish(Some(eve), &will);
    assert!(!is_content, "{said}");
    let will = ["-t", "b", "--will-topic", "b", "--will-payload", "x"];
    assert!(broker.publish(Some(eve), &will).0);
    for topic in ["a/first", "a/second"] {
        assert!(broker.publish(TEST, &["-t", topic]).0);
        assert_eq!(
            wait_for(&mut subscriber, "message "),
            format!("message {topic}")
        );
    }
    subscriber.succeed();
}

#[test]
fn hangup_changes_what_those_may_do_who_are_connected_and_who_went_away() {
    let mut broker = Broker::with_users(&json!({
        "test": old_entry("test", "**", "**"),
        "eve": old_entry("pencil", "**", "**"),
        "adam": old_entry("apple", "**", "**"),
    }));
    let (test, eve) = (("test", "test"), ("eve", "pencil"));
    let filters = ["-t", "a/x", "-t", "b/x"];
    let away = ["-i", "away", "-c", "-x", "3600", "-t", "c/x", "-t", "b/y"];
    let mut leaving = broker.subscribe(eve, &[&away[..], &["-E"]].concat());
    leaving.succeed();
    let mut connected = broker.subscribe(eve, &filters);
    let mut adams = broker.subscribe(("adam", "apple"), &["-t", "d"]);
    for topic in ["a/x", "b/x"] {
        assert!(broker.publish(TEST, &["-t", topic]).0);
        assert_eq!(
            wait_for(&mut connected, "message "),
            format!("message {topic}")
        );
    }

    broker.change(|users| {
        users
            .set_password("eve", b"chalk", CHEAP, Some("b/*"), Some("b/*"))
            .unwrap();
        users.remove("adam").unwrap();
    });
    let said = wait_for(&mut adams, "DISCONNECT");
    assert!(said.contains("135"), "{said}");
    broker.wait_until_nobody_takes(test, "d");
    broker.wait_until_nobody_takes(test, "a/x");
    assert!(broker.publish(TEST, &["-t", "b/x"]).0);
    connected.wait_for("message", |line| match line {
        Line::Out(line) if line == "message b/x" => Some(()),
        _ => None,
    });

    // The password counts at the next login.
    assert!(!broker.publish(Some(eve), &["-t", "b/x"]).0);
    let mut back = broker.client(
        "mosquitto_sub",
        Some(("eve", "chalk")),
        &[
            &["-V", "5", "-q", "1", "-F", "message %t"],
            &away[..5],
            &["-t", "b/z"],
        ]
        .concat(),
    );
    wait_for(&mut back, "Subscribed (mid: ");
    broker.wait_until_nobody_takes(test, "c/x");
    assert!(broker.publish(TEST, &["-t", "b/y"]).0);
    assert_eq!(wait_for(&mut back, "message "), "message b/y");
}

#[test]
fn a_users_file_that_went_bad_leaves_the_users_as_they_were() {
    let mut broker = Broker::with_users(&json!({ "test": old_entry("test", "**", "**") }));
    std::fs::write(broker.file(), "{\n  \"test\": 7\n}").unwrap();
    let line = broker.hangup("the users stay as they were");
    assert!(
        line.contains("ERROR") && line.contains("line 2 column"),
        "{line}"
    );
    assert!(broker.publish(TEST, &["-t", "a"]).0);
    std::fs::remove_file(broker.file()).unwrap();
    let line = broker.hangup("the users stay as they were");
    assert!(line.contains("No such file"), "{line}");
    assert!(broker.publish(TEST, &["-t", "a"]).0);
    std::fs::write(broker.file(), "{}").unwrap();
    broker.hangup("the users were read again");
    assert!(!broker.publish(TEST, &["-t", "a"]).0);
}

#[test]
fn without_a_users_file_that_can_be_read_the_broker_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config.json");
    let users = folder.path().join("users.json");
    let content = json!({ "port": 0, "authentication": { "usersFile": users } });
    std::fs::write(&config, content.to_string()).unwrap();
    let fails = |what: &str, by: &[&Path]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mosca"));
        let (status, lines) = Process::start("mosca", command.args(by)).finish();
        let said: Vec<_> = lines.into_iter().map(text).collect();
        assert_eq!((status.code(), said.len()), (Some(1), 1), "{said:?}");
        assert!(said[0].contains(what), "{said:?}");
    };
    let by_config: &[&Path] = &["--config".as_ref(), &config];
    let by_flag: &[&Path] = &["-p0".as_ref(), "--credentials".as_ref(), &users];
    for by in [by_config, by_flag] {
        let _gone = std::fs::remove_file(&users);
        fails("No such file", by);
        std::fs::write(&users, "[]").unwrap();
        fails("line 1 column", by);
    }
}
