//! The command over TLS, with the clients that people use and certificates that `openssl` makes.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    unreachable_pub,
    dead_code,
    reason = "all of this is a test, and uses only a part of what the real clients need"
)]

#[path = "real_clients/mqttjs.rs"]
mod mqttjs;
#[path = "real_clients/process.rs"]
mod process;

use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::Command;

use process::{Line, PATIENCE, Process, Signal};
use test_servers::certificates::{Authority, Issued, Subject};

/// A running broker, and the ports that it has told of, in their order.
struct Broker {
    process: Process,
    ports: Vec<u16>,
}

impl Broker {
    /// Starts it and waits until it listens on interfaces of these schemes.
    fn start(arguments: &[&str], schemes: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mosca"));
        let command = command.args(["--host", "127.0.0.1", "-v"]).args(arguments);
        let mut process = Process::start("mosca", command);
        let ports = schemes.iter().map(|scheme| process.port(scheme)).collect();
        Self { process, ports }
    }

    fn wait_for_log(&mut self, words: &str) {
        self.process.wait_for(words, |line| {
            let Line::Err(line) = line else { return None };
            line.contains(words).then_some(())
        });
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Publishes once with mosquitto's client.
fn publish(port: u16, authority: &Path, own: Option<&Issued>) -> Process {
    let mut command = Command::new("mosquitto_pub");
    command.args(["-h", "localhost", "-p", &port.to_string()]);
    command.args([
        "--cafile",
        text(authority),
        "-q",
        "1",
        "-t",
        "a/b",
        "-m",
        "hello",
    ]);
    if let Some(own) = own {
        command.args(["--cert", text(&own.certificate), "--key", text(&own.key)]);
    }
    Process::start("mosquitto_pub", &mut command)
}

fn is_published(port: u16, authority: &Path, own: Option<&Issued>) -> bool {
    publish(port, authority, own).finish().0.success()
}

#[test]
fn mosquittos_clients_talk_over_tls() {
    let authority = Authority::new("Test CA");
    let server = authority.issue("server", &Subject::server("localhost"));
    let (cert, key) = (text(&server.certificate), text(&server.key));
    let arguments = ["--cert", cert, "--key", key, "--secure-port", "0"];
    let broker = Broker::start(&arguments, &["mqtts"]);
    let port = broker.ports[0];

    let mut command = Command::new("mosquitto_sub");
    command.args(["-h", "localhost", "-p", &port.to_string(), "-d", "-C", "1"]);
    command.args([
        "--cafile",
        text(&authority.certificate),
        "-q",
        "1",
        "-t",
        "a/#",
    ]);
    // Into a pipe it would write when a block is full.
    let mut line_by_line = Command::new("stdbuf");
    line_by_line
        .arg("--output=L")
        .arg("mosquitto_sub")
        .args(command.get_args());
    let mut subscriber = Process::start("mosquitto_sub", &mut line_by_line);
    subscriber.wait_for("subscription", |line| {
        let (Line::Out(line) | Line::Err(line)) = line;
        line.starts_with("Subscribed").then_some(())
    });
    assert!(is_published(port, &authority.certificate, None));
    subscriber.wait_for("message", |line| {
        (*line == Line::Out("hello".to_owned())).then_some(())
    });
    subscriber.succeed();

    // A client that trusts another authority does not stay.
    let stranger = Authority::new("Test CA");
    assert!(!is_published(port, &stranger.certificate, None));
    // Without TLS there is nothing, as in mosca.
    let mut plain = Command::new("mosquitto_pub");
    plain.args([
        "-h",
        "localhost",
        "-p",
        &port.to_string(),
        "-t",
        "a",
        "-m",
        "x",
    ]);
    assert!(
        !Process::start("mosquitto_pub", &mut plain)
            .finish()
            .0
            .success()
    );
}

#[test]
fn clients_without_a_valid_certificate_are_refused_where_one_is_required() {
    let authority = Authority::new("Test CA");
    let stranger = Authority::new("Test CA");
    let server = authority.issue("server", &Subject::server("localhost"));
    let good = authority.issue("good", &Subject::client("good"));
    let expired = authority.issue("expired", &Subject::client("expired").expired());
    let strange = stranger.issue("strange", &Subject::client("good"));
    let config = authority.folder().join("config.json");
    let content = serde_json::json!({
        "interfaces": [{
            "type": "mqtts",
            "port": 0,
            "credentials": {
                "keyPath": text(&server.key),
                "certPath": text(&server.certificate),
                "caPaths": [text(&authority.certificate)],
                "requestCert": true,
                "rejectUnauthorized": true,
                "userFromCertificate": "commonName",
            },
        }],
    });
    std::fs::write(&config, content.to_string()).unwrap();
    let mut broker = Broker::start(&["--config", text(&config)], &["mqtts"]);
    let port = broker.ports[0];
    for own in [None, Some(&strange), Some(&expired)] {
        let is_published = is_published(port, &authority.certificate, own);
        assert!(!is_published, "{own:?}{}", broker.process.transcript());
    }
    assert!(is_published(port, &authority.certificate, Some(&good)));
    broker.wait_for_log("user=\"good\"");
}

#[test]
fn mqttjs_talks_over_tls_and_over_websockets_over_tls() {
    let authority = Authority::new("Test CA");
    let server = authority.issue("server", &Subject::server("localhost"));
    let (cert, key) = (text(&server.certificate), text(&server.key));
    let broker = Broker::start(
        &[
            "--cert",
            cert,
            "--key",
            key,
            "--secure-port",
            "0",
            "--https-port",
            "0",
        ],
        &["mqtts", "wss"],
    );
    let client = |index: usize| {
        let mut command = mqttjs::command();
        command.args(["--port", &broker.ports[index].to_string()]);
        command.args(["--qos", "2", "--version", "5"]);
        command.args(["--ca", text(&authority.certificate)]);
        command.args((index == 1).then_some("--websocket"));
        command
    };
    for (subscribes, publishes) in [(0, 1), (1, 0)] {
        mqttjs::talk(client(subscribes), client(publishes));
    }
}

#[test]
fn hangup_reads_the_certificates_again() {
    let old = Authority::new("Old CA");
    let new = Authority::new("New CA");
    let server = old.issue("server", &Subject::server("localhost"));
    let (cert, key) = (text(&server.certificate), text(&server.key));
    let arguments = [
        "--cert",
        cert,
        "--key",
        key,
        "--secure-port",
        "0",
        "--non-secure",
        "-p",
        "0",
    ];
    let mut broker = Broker::start(&arguments, &["mqtt", "mqtts"]);
    let port = broker.ports[1];
    assert!(is_published(port, &old.certificate, None));
    let stays = TcpStream::connect((Ipv4Addr::LOCALHOST, broker.ports[0])).unwrap();

    std::fs::write(&server.key, "nothing").unwrap();
    broker.process.signal(Signal::Hangup);
    broker.wait_for_log("the certificates stay as they were");
    assert!(is_published(port, &old.certificate, None));

    let renewed = new.issue("server", &Subject::server("localhost"));
    std::fs::copy(&renewed.certificate, &server.certificate).unwrap();
    std::fs::copy(&renewed.key, &server.key).unwrap();
    broker.process.signal(Signal::Hangup);
    broker.wait_for_log("the certificates were read again");
    assert!(is_published(port, &new.certificate, None));
    assert!(!is_published(port, &old.certificate, None));
    // It was not there for long, but it was not cut off.
    stays.set_read_timeout(Some(PATIENCE)).unwrap();
    broker.process.signal(Signal::Terminate);
    assert!(broker.process.finish().0.success());
}

#[test]
fn a_certificate_that_has_expired_is_a_warning_at_the_start_and_when_it_is_read_again() {
    let authority = Authority::new("Test CA");
    let server = authority.issue("server", &Subject::server("localhost").expired());
    let mut command = Command::new(env!("CARGO_BIN_EXE_mosca"));
    command.args(["--host", "127.0.0.1", "--secure-port", "0"]);
    command.args([
        "--cert",
        text(&server.certificate),
        "--key",
        text(&server.key),
    ]);
    let mut process = Process::start("mosca", &mut command);
    let warning = "server.crt has expired";
    // In any order: they come through two pipes.
    let (mut warns, mut listens) = (false, false);
    process.wait_for("warning and port", |line| {
        match line {
            Line::Err(line) => warns |= line.contains(warning),
            Line::Out(line) => listens |= line.contains(" listening: mqtts://"),
        }
        (warns && listens).then_some(())
    });
    let ports = Vec::new();
    let mut broker = Broker { process, ports };
    broker.process.signal(Signal::Hangup);
    broker.wait_for_log(warning);
}

#[test]
fn certificates_that_cannot_be_used_are_one_line_and_exit_code_1() {
    let authority = Authority::new("Test CA");
    let server = authority.issue("server", &Subject::server("localhost"));
    let (cert, key) = (text(&server.certificate), text(&server.key));
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mosca"));
        let (status, lines) = Process::start("mosca", command.args(arguments)).finish();
        (status.code(), lines)
    };
    for (arguments, wrong) in [
        (["--cert", "/nowhere.crt", "--key", key], "/nowhere.crt"),
        (
            ["--cert", cert, "--key", text(&authority.certificate)],
            "authority.crt",
        ),
    ] {
        let (code, lines) = run(&arguments);
        assert_eq!(code, Some(1), "{lines:?}");
        let [Line::Err(line)] = &lines[..] else {
            panic!("{lines:?}");
        };
        assert!(line.contains(wrong), "{line} lacks {wrong}");
    }
    for arguments in [
        &["--cert", cert][..],
        &["--key", key],
        &["--https-port", "0"],
    ] {
        let (code, lines) = run(arguments);
        assert_eq!(code, Some(2), "{arguments:?}: {lines:?}");
    }
}
