//! Config files and environment variables: a mosca deployment's own file starts this broker as it is, what is wrong is
//! said and starts nothing, and what `mosca config` prints can be used.

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

use std::path::Path;
use std::process::Command;

use process::{Line, Process};
use test_servers::certificates::{Authority, Subject};

const LEGACY: &str = include_str!("../../../docs/config/legacy.json");
const MODERN: &str = include_str!("../../../docs/config/modern.json");

fn mosca() -> Command {
    Command::new(env!("CARGO_BIN_EXE_mosca"))
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Runs to the end: exit code, standard output, standard error.
fn run(command: &mut Command) -> (Option<i32>, Vec<String>, Vec<String>) {
    let (status, lines) = Process::start("mosca", command).finish();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    for line in lines {
        match line {
            Line::Out(line) => out.push(line),
            Line::Err(line) => err.push(line),
        }
    }
    (status.code(), out, err)
}

/// A message that the broker at this port takes, over TLS or not.
fn is_published(port: u16, authority: Option<&Path>) -> bool {
    let mut command = Command::new("mosquitto_pub");
    let port = port.to_string();
    command.args([
        "-h",
        "localhost",
        "-p",
        &port,
        "-q",
        "1",
        "-t",
        "a",
        "-m",
        "x",
    ]);
    if let Some(authority) = authority {
        command.args(["--cafile", text(authority)]);
    }
    Process::start("mosquitto_pub", &mut command)
        .finish()
        .0
        .success()
}

/// What a web server gives for a path.
fn get(url: &str, authority: &Path) -> String {
    let mut command = Command::new("curl");
    command.args(["-sSf", "--cacert", text(authority), url]);
    let (status, lines) = Process::start("curl", &mut command).finish();
    assert!(status.success(), "{url}: {lines:?}");
    let lines = lines
        .into_iter()
        .map(|(Line::Out(line) | Line::Err(line))| line);
    lines.collect::<Vec<_>>().join("\n")
}

/// The example of mosca's repository with all four kinds of interface, its store and its engine between brokers, and the
/// same in the older form. Ports and the addresses of store and engine come from the environment, for others may have
/// those of the file.
#[test]
fn a_file_of_mosca_with_all_interfaces_starts_this_broker_as_it_is() {
    let authority = Authority::new("Test CA");
    let server = authority.issue("server", &Subject::server("localhost"));
    let redis = test_servers::redis::Redis::new().start();
    // As in mosca's file: a host and a port.
    let store = redis.url().replace("redis://", "");
    let engine = test_servers::rabbitmq::RabbitMq::start();
    let folder = tempfile::tempdir().unwrap();
    let secure = folder.path().join("secure");
    std::fs::create_dir(&secure).unwrap();
    std::fs::copy(&server.certificate, secure.join("tls-cert.pem")).unwrap();
    std::fs::copy(&server.key, secure.join("tls-key.pem")).unwrap();
    std::fs::write(folder.path().join("client.js"), "the script").unwrap();
    let legacy = ["PORT", "SECURE__PORT", "HTTP__PORT", "HTTPS__PORT"].map(str::to_owned);
    let modern = [0, 1, 2, 3].map(|number| format!("INTERFACES__{number}__PORT"));
    let legacy = (legacy, ["HTTP__BUNDLE", "HTTPS__BUNDLE"]);
    let modern = (modern, ["INTERFACES__2__BUNDLE", "INTERFACES__3__BUNDLE"]);
    for (name, content, (ports, bundles)) in [
        ("legacy.json", LEGACY, legacy),
        ("modern.json", MODERN, modern),
    ] {
        std::fs::write(folder.path().join(name), content).unwrap();
        let mut command = mosca();
        command.current_dir(folder.path());
        command.args(["--config", name, "--host", "127.0.0.1"]);
        command.env("MOSCA__PERSISTENCE__URL", &store);
        command.env("MOSCA__BACKEND__URL", engine.url());
        for port in ports {
            command.env(format!("MOSCA__{port}"), "0");
        }
        for bundle in bundles {
            command.env(format!("MOSCA__{bundle}"), "client.js");
        }
        let mut broker = Process::start("mosca", &mut command);
        let [mqtt, mqtts, http, https] =
            ["mqtt", "mqtts", "http", "https"].map(|it| broker.port(it));
        assert!(is_published(mqtt, None), "{name}");
        assert!(is_published(mqtts, Some(&authority.certificate)), "{name}");
        for (scheme, port) in [("http", http), ("https", https)] {
            let url = format!("{scheme}://localhost:{port}/mqtt.js");
            assert_eq!(get(&url, &authority.certificate), "the script");
        }
    }
}

#[test]
fn all_that_is_wrong_is_said_at_once_and_nothing_starts() {
    let folder = tempfile::tempdir().unwrap();
    for (name, content, expected) in [
        (
            "bad.yaml",
            "prot: 1884\nlimits:\n  maxInflight: 0\nbackend:\n  type: redis\n",
            &[
                "bad.yaml:1: `prot` is no option; did you mean `port`?",
                "bad.yaml:3: `limits.maxInflight` is 0; expected is a whole number from 1 to 65535",
                "bad.yaml:5: `backend.type` is the text \"redis\", which is an engine",
            ][..],
        ),
        (
            "files.toml",
            "[secure]\nkeyPath = \"none.pem\"\ncertPath = \"bad.yaml\"\n",
            &[
                "files.toml:2: `secure.keyPath` is the text \"none.pem\", a file that cannot be read: No such file",
            ],
        ),
    ] {
        let file = folder.path().join(name);
        std::fs::write(&file, content).unwrap();
        for arguments in [&["--config", name][..], &["check", name]] {
            let mut command = mosca();
            command.current_dir(folder.path()).args(arguments);
            let (code, out, err) = run(&mut command);
            assert_eq!((code, out.len()), (Some(1), 0), "{err:?}");
            assert_eq!(err.len(), expected.len(), "{err:?}");
            for (line, expected) in err.iter().zip(expected) {
                let expected = format!("mosca: {expected}");
                assert!(line.starts_with(&expected), "{line} is not {expected}…");
            }
        }
    }
}

/// Files that can be read, and are not what they have to be: said by a start and by `mosca check` alike.
#[test]
fn a_file_of_no_use_is_named_with_the_option_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("empty.pem"), "").unwrap();
    for (content, option) in [
        (
            "credentials:\n  keyPath: a.yaml\n  certPath: empty.pem\ninterfaces: [{ type: mqtts, port: 0 }]\n",
            "3: `credentials.certPath`",
        ),
        (
            "port: 0\nbackend:\n  type: mqtt\n  url: mqtts://localhost\n  caPath: empty.pem\n",
            "5: `backend.caPath`",
        ),
        (
            "port: 0\nbackend:\n  type: amqp\n  url: amqps://localhost\n  caPath: empty.pem\n",
            "5: `backend.caPath`",
        ),
        (
            "port: 0\nauthentication:\n\n  usersFile: empty.pem\n",
            "4: `authentication.usersFile`",
        ),
        (
            "port: 0\nauthentication: { jwt: { publicKeyFiles: [empty.pem] } }\n",
            "2: `authentication.jwt.publicKeyFiles[0]`",
        ),
    ] {
        std::fs::write(folder.path().join("a.yaml"), content).unwrap();
        for arguments in [&["--config", "a.yaml"][..], &["check", "a.yaml"]] {
            let (code, out, err) = run(mosca().current_dir(folder.path()).args(arguments));
            assert_eq!((code, out.len(), err.len()), (Some(1), 0, 1), "{err:?}");
            let expected = format!(
                "mosca: a.yaml:{option} is the text \"empty.pem\", a file that cannot be used: "
            );
            assert!(err[0].starts_with(&expected), "{err:?}");
        }
    }
}

#[test]
fn what_a_variable_says_wrong_is_named_with_the_variable() {
    for (variable, value, expected) in [
        ("MOSCA__PROT", "1884", "is no option; did you mean `PORT`?"),
        (
            "MOSCA__PORT",
            "many",
            "is the text \"many\"; expected is a whole number from 0 to 65535",
        ),
        (
            "MOSCA__LIMITS__MAX_INFLIGHT",
            "0",
            "is 0; expected is a whole number from 1 to 65535",
        ),
    ] {
        let (code, out, err) = run(mosca().env(variable, value));
        assert_eq!((code, out.len()), (Some(1), 0), "{err:?}");
        assert_eq!(err, [format!("mosca: `{variable}` {expected}")]);
    }
}

#[test]
fn what_is_printed_is_right_and_a_right_file_is_said_to_be() {
    let folder = tempfile::tempdir().unwrap();
    for format in ["json", "toml", "yaml"] {
        let (code, out, err) = run(mosca().args(["config", "--default", "--format", format]));
        assert_eq!((code, err.len()), (Some(0), 0), "{err:?}");
        let file = folder.path().join(format!("mosca.{format}"));
        std::fs::write(&file, out.join("\n")).unwrap();
        let (code, out, err) = run(mosca().args(["check", text(&file)]));
        assert_eq!((code, err.len()), (Some(0), 0), "{err:?}");
        assert_eq!(out, [format!("{}: nothing is wrong", file.display())]);
    }
    let (code, out, _) = run(mosca().args(["config", "--schema"]));
    assert_eq!(code, Some(0));
    let there = include_str!("../../../docs/config/schema.json");
    assert!(out.iter().map(String::as_str).eq(there.lines()));
    let (code, _, err) = run(mosca().args(["config"]));
    assert_eq!(code, Some(2), "{err:?}");
    let (code, _, err) = run(mosca().args(["check", "no-such-file.json"]));
    assert_eq!(code, Some(1), "{err:?}");
}
