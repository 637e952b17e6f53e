//! `mosca status`: what it says of a broker of ours, of mosquitto, and of a server that has mosca's names alone; and
//! how it ends where there is nothing to say.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::Command;
use std::thread;

use mqtt_codec::{ConnAck, Packet, Publish, QoS, ReasonCode, Version};
use serde_json::{Value, json};
use test_servers::{find_program, free_port};

use crate::command::{Run, mosca, plain_broker};
use crate::process::{Line, Process, Signal};

/// One that publishes its statistics often, in this folder.
fn talkative(folder: &Path) -> (Process, String) {
    let config = folder.join("mosca.json");
    std::fs::write(&config, r#"{ "stats": { "interval": 100 }, "id": "here" }"#).unwrap();
    plain_broker(&["--config", config.to_str().unwrap()])
}

/// `mosca status` to its end: exit code, standard output, standard error.
fn status(arguments: &[&str]) -> (Option<i32>, String, String) {
    let run = Run::mosca(&[&["status", "-H", "127.0.0.1"], arguments].concat());
    (run.code, run.out.join("\n"), run.err.join("\n"))
}

#[test]
fn a_broker_of_ours_is_shown_to_people_and_to_programs() {
    let folder = tempfile::tempdir().unwrap();
    let (_broker, port) = talkative(folder.path());
    for version in ["3.1", "3.1.1", "5"] {
        let (code, out, err) = status(&["-p", &port, "-V", version]);
        assert_eq!((code, &*err), (Some(0), ""), "{out}");
        let lines: Vec<_> = out.lines().collect();
        assert_eq!(lines[0], format!("mqtt://127.0.0.1:{port}"));
        let version = format!("mosca version {}", env!("CARGO_PKG_VERSION"));
        for (name, figure) in [("version", &*version), ("uptime", "s"), ("messages", "")] {
            let row = lines
                .iter()
                .find(|line| line.trim_start().starts_with(name));
            let row = row.unwrap_or_else(|| panic!("no {name}: {out}"));
            assert!(row.ends_with(figure), "{row}");
        }
    }
    let (code, out, _) = status(&["-p", &port, "--output", "json"]);
    assert_eq!(code, Some(0));
    assert_eq!(out.lines().count(), 1, "{out}");
    let said: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(said["id"], "here");
    assert_eq!(said["url"], format!("mqtt://127.0.0.1:{port}"));
    assert!(said["server"]["uptimeSecs"].is_u64(), "{out}");
    assert!(said["clients"]["connected"].is_u64(), "{out}");
    assert!(said["server"]["startedAt"].is_string(), "{out}");
    assert_eq!(said["traffic"]["messages"]["dropped"], 0);
    assert!(
        said["perMinute"]["connections"]["1min"].is_number(),
        "{out}"
    );
}

#[test]
fn it_is_said_again_and_again_until_somebody_interrupts() {
    let folder = tempfile::tempdir().unwrap();
    let (_broker, port) = talkative(folder.path());
    let server = ["-H", "127.0.0.1", "-p", &port];
    let watch = ["status", "--watch", "1", "-o", "json"];
    let mut watching = mosca(&[&watch[..], &server].concat());
    let mut wait_for = |number: u64| {
        watching.wait_for("what was published", |line| {
            let Line::Out(line) = line else { return None };
            let said: Value = serde_json::from_str(line).unwrap();
            (said["traffic"]["messages"]["received"] == number).then_some(())
        });
    };
    wait_for(0);
    mosca(&[&["pub", "-t", "a", "-m", "x", "-q", "1"], &server[..]].concat()).succeed();
    wait_for(1);
    watching.signal(Signal::Interrupt);
    watching.succeed();
}

#[test]
fn mosquitto_is_asked_as_well() {
    let port = free_port().to_string();
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("mosquitto.conf");
    let text = format!("listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\n");
    std::fs::write(&config, text).unwrap();
    let mut command = Command::new(find_program("MOSCA_TEST_MOSQUITTO", "mosquitto"));
    let mut mosquitto = Process::start("mosquitto", command.arg("-v").arg("-c").arg(config));
    mosquitto.wait_for("line that it runs", |line| {
        let (Line::Out(line) | Line::Err(line)) = line;
        line.ends_with(" running").then_some(())
    });
    for version in ["3.1", "3.1.1", "5"] {
        let (code, out, err) = status(&["-p", &port, "-V", version, "-o", "json", "-W", "60"]);
        assert_eq!((code, &*err), (Some(0), ""), "{out}");
        let said: Value = serde_json::from_str(&out).unwrap();
        let found = said["server"]["version"].as_str().unwrap();
        assert!(found.starts_with("mosquitto version "), "{found}");
        for (section, name) in [
            ("server", "uptimeSecs"),
            ("clients", "connected"),
            ("kept", "retainedMessages"),
            ("traffic", "messages"),
            ("perMinute", "messagesReceived"),
        ] {
            assert!(!said[section][name].is_null(), "{section} {name}: {out}");
        }
    }
}

/// A server for one client of MQTT 3.1.1 that says this when it is subscribed to, and no more.
fn says(lines: &'static [(&'static str, &'static str)]) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut output = Vec::new();
        // No packet of these is as long as to have a length of two bytes.
        let read = |stream: &mut dyn Read| {
            let mut head = [0; 2];
            stream.read_exact(&mut head).unwrap();
            let mut rest = vec![0; head[1].into()];
            stream.read_exact(&mut rest).unwrap();
            rest
        };
        read(&mut stream);
        let connack = Packet::ConnAck(ConnAck::new(false, ReasonCode::Success));
        connack.encode(Version::V311, &mut output).unwrap();
        stream.write_all(&output).unwrap();
        let subscribe = read(&mut stream);
        output = vec![0x90, 3, subscribe[0], subscribe[1], QoS::AtMostOnce.as_u8()];
        for (topic, payload) in lines {
            let publish = Packet::Publish(Publish::new(topic, payload.as_bytes()));
            publish.encode(Version::V311, &mut output).unwrap();
        }
        stream.write_all(&output).unwrap();
        // Until the client goes.
        let _end = stream.read_to_end(&mut output);
    });
    port
}

#[test]
fn the_mosca_of_node_js_is_understood() {
    let port = says(&[
        ("$SYS/n0de/version", "mosca 2.8.3"),
        ("$SYS/n0de/started_at", "2020-02-29T12:00:00.000Z"),
        ("$SYS/n0de/uptime", "3661 seconds"),
        ("$SYS/n0de/clients/maximum", "9"),
        ("$SYS/n0de/clients/connected", "7"),
        ("$SYS/n0de/publish/received", "12345"),
        ("$SYS/n0de/load/connections/1min", "3.00"),
        ("$SYS/n0de/load/publish/received/1min", "1.50"),
        ("$SYS/n0de/memory/rss", "1048576"),
        ("$SYS/n0de/new/clients", "somebody"),
    ]);
    let (code, out, err) = status(&["-p", &port, "-V", "3.1.1", "-o", "json"]);
    assert_eq!((code, &*err), (Some(0), ""), "{out}");
    let said: Value = serde_json::from_str(&out).unwrap();
    let expected = json!({
        "url": format!("mqtt://127.0.0.1:{port}"),
        "id": "n0de",
        "server": {
            "version": "mosca 2.8.3",
            "startedAt": "2020-02-29T12:00:00.000Z",
            "uptimeSecs": 3661,
            "memoryBytes": 1_048_576,
        },
        "clients": { "connected": 7, "maximum": 9 },
        "traffic": { "messages": { "received": 12345 } },
        "perMinute": { "messagesReceived": { "1min": 9.0 } },
    });
    assert_eq!(said, expected);
}

#[test]
fn what_a_server_sends_moves_no_cursor() {
    let port = says(&[("$SYS/broker/version", "\x1b[31mred")]);
    let (code, out, _) = status(&["-p", &port, "-V", "3.1.1"]);
    assert_eq!(code, Some(0));
    assert!(out.contains("[31mred") && !out.contains('\x1b'), "{out:?}");
}

#[test]
fn a_server_that_says_nothing_of_itself_is_not_waited_for_for_ever() {
    let (_broker, port) = plain_broker(&["--disable-stats"]);
    let (code, out, err) = status(&["-p", &port, "--within", "1"]);
    assert_eq!((code, &*out), (Some(5), ""), "{err}");
    assert!(
        err.contains("says nothing of itself below $SYS within 1 s"),
        "{err}"
    );
    // It accepts, and that is all.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let (code, out, err) = status(&["-p", &port, "--timeout", "1"]);
    assert_eq!((code, &*out), (Some(1), ""), "{err}");
    assert!(err.contains("did not answer in time"), "{err}");
}

#[test]
fn who_may_not_see_it_is_told_so() {
    let folder = tempfile::tempdir().unwrap();
    let users = folder.path().join("users.json");
    let users = users.to_str().unwrap();
    let add = ["adduser", "eve", "pencil", "--credentials", users];
    mosca(&[&add[..], &["--authorize-subscribe", "a/*"]].concat()).succeed();
    let (_broker, port) = plain_broker(&["--credentials", users]);
    for version in ["3.1.1", "5"] {
        let eve = ["-p", &port, "-V", version, "-u", "eve", "-P", "pencil"];
        let (code, out, err) = status(&eve);
        assert_eq!((code, &*out), (Some(4), ""), "{err}");
        assert!(err.contains("cannot subscribe to \"$SYS/#\""), "{err}");
    }
    let (code, _, err) = status(&["-p", &port, "-u", "eve", "-P", "wrong"]);
    assert_eq!(code, Some(4), "{err}");
}
