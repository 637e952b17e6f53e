//! `mosca pub` and `mosca sub`, with each other and with mosquitto's clients, over all that carries MQTT.

use std::process::Command;

use serde_json::{Value, json};

use crate::command::{Run, mosca, plain_broker};
use crate::everywhere::Everywhere;
use crate::process::{Line, Process, Signal};

/// `mosca sub`, once it has subscribed.
fn subscriber(arguments: &[&str]) -> Process {
    let mut process = mosca(&[&["sub", "--debug"], arguments].concat());
    process.wait_for("subscription", |line| {
        let Line::Err(line) = line else { return None };
        line.contains("subscribed to").then_some(())
    });
    process
}

/// What a program prints that ends well.
fn printed(process: Process) -> Vec<String> {
    let run = Run::of(process);
    assert_eq!(run.code, Some(0), "{run:?}");
    run.out
}

fn exit_code(arguments: &[&str]) -> (Option<i32>, String) {
    let run = Run::mosca(arguments);
    (run.code, run.said())
}

#[test]
fn messages_pass_at_every_qos_in_every_version_over_all_that_carries_mqtt() {
    let Everywhere { urls, trusted, .. } = &Everywhere::start();
    for url in urls {
        for version in ["3.1", "3.1.1", "5"] {
            let server = ["-L", url, "-V", version, "--ca-file", trusted, "-q", "2"];
            let subscriber = subscriber(&[&server[..], &["-t", "a/#", "-v", "-C", "3"]].concat());
            for qos in ["0", "1", "2"] {
                let message = ["pub", "-t", "a/b", "-m", qos, "-L", url, "-q", qos];
                let arguments = [&message[..], &["-V", version, "--ca-file", trusted]].concat();
                assert_eq!(exit_code(&arguments), (Some(0), String::new()), "{url}");
            }
            assert_eq!(
                printed(subscriber),
                ["a/b 0", "a/b 1", "a/b 2"],
                "{url} {version}"
            );
        }
    }
}

#[test]
fn they_understand_mosquittos_clients() {
    let (_broker, port) = plain_broker(&[]);
    let server = ["-H", "127.0.0.1", "-p", &port];
    let subscriber =
        subscriber(&[&server[..], &["-t", "a", "-q", "1", "-C", "1", "--json"]].concat());
    let mut command = Command::new("mosquitto_pub");
    command.args(["-V", "5", "-p", &port, "-t", "a", "-q", "1", "-m", "hello"]);
    command.args(["-D", "publish", "content-type", "text/plain"]);
    command.args(["-D", "publish", "user-property", "name", "value"]);
    Process::start("mosquitto_pub", &mut command).succeed();
    let line: Value = serde_json::from_str(&printed(subscriber)[0]).unwrap();
    let expected = json!({
        "topic": "a", "qos": 1, "retain": false, "dup": false, "payload": "hello",
        "contentType": "text/plain", "userProperties": [["name", "value"]],
    });
    assert_eq!(line, expected);

    let message = [
        "-t",
        "a",
        "-r",
        "-q",
        "2",
        "-m",
        "kept",
        "--content-type",
        "x/y",
        "--user-property",
        "a=b=c",
    ];
    assert_eq!(
        exit_code(&[&["pub"], &server[..], &message].concat()).0,
        Some(0)
    );
    let mut command = Command::new("mosquitto_sub");
    command.args([
        "-V", "5", "-p", &port, "-t", "a", "-C", "1", "-F", "%p %C %P",
    ]);
    let lines = printed(Process::start("mosquitto_sub", &mut command));
    assert_eq!(lines, ["kept x/y a:b=c"]);
}

#[test]
fn a_message_comes_from_a_file_from_the_input_or_from_each_of_its_lines() {
    let (_broker, port) = plain_broker(&[]);
    let server = ["-H", "127.0.0.1", "-p", &port, "-t", "a", "-q", "1"];
    let subscriber = subscriber(&[&server[..], &["-C", "5"]].concat());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("message");
    std::fs::write(&file, "from a file").unwrap();
    let from_file = ["pub", "--file", file.to_str().unwrap()];
    assert_eq!(exit_code(&[&from_file, &server[..]].concat()).0, Some(0));
    for (how, input) in [("--stdin", "a whole"), ("--lines", "one\r\ntwo\nthree")] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mosca"));
        let command = command.args([&["pub", how], &server[..]].concat());
        Process::start_with_input("mosca", command, input.into()).succeed();
    }
    let expected = ["from a file", "a whole", "one", "two", "three"];
    assert_eq!(printed(subscriber), expected);
}

#[test]
fn a_session_that_is_kept_has_what_came_meanwhile() {
    let (_broker, port) = plain_broker(&[]);
    let server = ["-H", "127.0.0.1", "-p", &port, "-t", "a", "-q", "2"];
    let kept = [&server[..], &["-i", "kept", "-c", "-C", "1"]].concat();
    let mut first = subscriber(&kept);
    first.signal(Signal::Interrupt);
    first.succeed();
    assert_eq!(
        exit_code(&[&["pub", "-m", "late"], &server[..]].concat()).0,
        Some(0)
    );
    // It comes as soon as the session is resumed, maybe before the subscription is answered.
    let second = mosca(&[&["sub"], &kept[..]].concat());
    assert_eq!(printed(second), ["late"]);
}

#[test]
fn the_exit_code_tells_what_went_wrong() {
    let (mut broker, port) = plain_broker(&[]);
    let server = ["-H", "127.0.0.1", "-p", &port];
    let with = |arguments: &[&str]| exit_code(&[arguments, &server].concat());
    for (arguments, code, what) in [
        (
            &["pub", "-t", "$SYS/a", "-m", "x", "-q", "1"][..],
            4,
            "not authorized",
        ),
        (
            &["pub", "-t", "a/#", "-m", "x", "-q", "1"],
            4,
            "malformed topic name",
        ),
        (&["sub", "-t", "a/#/b"], 4, "malformed"),
        (&["sub", "-t", "a", "-C", "1", "-W", "1"], 5, ""),
        (&["sub", "-t", "a", "-W", "1"], 0, ""),
        (&["pub", "-t", "a"], 2, "--message"),
        (
            &["pub", "-t", "a", "-m", "x", "-L", "http://a"],
            2,
            "`http` is not spoken",
        ),
        (
            &["pub", "-t", "a", "-f", "/nowhere/at/all"],
            1,
            "/nowhere/at/all",
        ),
    ] {
        let (found, said) = with(arguments);
        assert_eq!(found, Some(code), "{arguments:?}: {said}");
        assert!(said.contains(what), "{arguments:?}: {said}");
    }
    broker.signal(Signal::Terminate);
    broker.succeed();
    let (found, said) = with(&["pub", "-t", "a", "-m", "x"]);
    assert_eq!(found, Some(1), "{said}");
    assert!(
        said.contains(&format!("cannot connect to mqtt://127.0.0.1:{port}")),
        "{said}"
    );
}
