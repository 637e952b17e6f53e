//! What the command says below `$SYS`, as mosquitto's clients see it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    unreachable_pub,
    dead_code,
    reason = "all of this is a test, and uses only a part of what the real clients need"
)]

#[path = "real_clients/process.rs"]
mod process;

use std::process::Command;

use process::{Line, Process};

/// The command with a config file and these flags; its port.
fn start(config: &str, flags: &[&str]) -> (Process, u16, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mosca.json");
    std::fs::write(&file, config).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_mosca"));
    command.args(["--host", "127.0.0.1", "-p", "0", "--config"]);
    let mut process = Process::start("mosca", command.arg(&file).args(flags));
    let port = process.port("mqtt");
    (process, port, folder)
}

/// `mosquitto_sub`, which prints whether what comes is retained, its topic and its payload.
fn subscriber(port: u16, id: &str, filter: &str) -> Process {
    let mut command = Command::new("mosquitto_sub");
    command.args([
        "-p",
        &port.to_string(),
        "-i",
        id,
        "-F",
        "%r %t %p",
        "-t",
        filter,
    ]);
    Process::start("mosquitto_sub", &mut command)
}

fn wait_for(subscriber: &mut Process, wanted: &str) {
    subscriber.wait_for(wanted, |line| match line {
        Line::Out(line) if line.starts_with(wanted) => Some(()),
        _ => None,
    });
}

#[test]
fn mosquitto_sub_sees_clients_and_statistics_under_both_names() {
    let config = r#"{ "stats": { "interval": 100 } }"#;
    let (_broker, port, _folder) = start(config, &["--broker-id", "here"]);
    let mut first = subscriber(port, "watcher", "$SYS/#");
    // It sees itself subscribe, and later what is published again and again.
    let itself = r##"0 $SYS/here/new/subscribes {"clientId":"watcher","topic":"$SYS/#"}"##;
    wait_for(&mut first, itself);
    let mosca = format!("0 $SYS/here/version mosca {}", env!("CARGO_PKG_VERSION"));
    wait_for(&mut first, &mosca);
    wait_for(&mut first, "0 $SYS/here/clients/connected 1");
    let mut publish = Command::new("mosquitto_pub");
    publish.args([
        "-p",
        &port.to_string(),
        "-i",
        "passer-by",
        "-t",
        "a",
        "-m",
        "x",
    ]);
    Process::start("mosquitto_pub", &mut publish).succeed();
    wait_for(&mut first, "0 $SYS/here/new/clients passer-by");
    wait_for(&mut first, "0 $SYS/here/disconnect/clients passer-by");
    // What is only said when it changes may have come in between. When this comes for the second time, all of
    // the first round has been said.
    for _ in 0..2 {
        wait_for(&mut first, "0 $SYS/here/publish/received 1");
    }
    // Who comes later does not have to wait.
    let mut late = subscriber(port, "late", "$SYS/broker/publish/messages/received");
    wait_for(&mut late, "1 $SYS/broker/publish/messages/received 1");
}

#[test]
fn an_id_that_is_none_ends_the_command() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mosca"));
    let ended = command.args(["-p", "0", "--broker-id", "a/#"]).output();
    let ended = ended.unwrap();
    let words = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!(ended.status.code(), Some(2), "{words}");
    assert!(words.contains("\"a/#\""), "{words}");
}
