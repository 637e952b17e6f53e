//! What the command logs of clients that would like to write in its log themselves.

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

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::process::Command;

use mqtt_codec::{Connect, Packet, Properties, Publish, QoS, Version, Will};
use process::{Line, PATIENCE, Process, Signal};

/// Each would do something else in a log than be read.
const HOSTILE: [&str; 6] = [
    "x\n2026-01-01T00:00:00.000000Z ERROR all is lost",
    "x\r\n\u{1b}[2J\u{1b}[31mred",
    "x\" peer=10.0.0.1:1 user=\"root",
    "x\u{9b}31m\u{85}\u{2028}next\u{7}\u{8}\u{7f}",
    "x\u{202e}txt.exe\u{2066}",
    "x\\",
];

fn encoded(packet: Packet<'_>, version: Version) -> Vec<u8> {
    let mut bytes = Vec::new();
    packet.encode(version, &mut bytes).unwrap();
    bytes
}

/// Sends `bytes`, and reads until the server has no more to say.
fn say(port: u16, bytes: &[u8]) {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    // Who is refused in the middle may not get all of it out, nor hear why.
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let _ = stream.read_to_end(&mut Vec::new());
}

/// All packets in which a client can say `text`, on connections of their own.
fn conversations(text: &str, version: Version) -> Vec<Vec<u8>> {
    let hello = |client_id| {
        let mut hello = Connect::new(version, client_id);
        hello.username = Some(text);
        hello.password = Some(text.as_bytes());
        hello
    };
    let start = encoded(Packet::Connect(hello(text)), version);
    let behind = |packet| [start.clone(), encoded(packet, version)].concat();
    let mut with_will = hello(text);
    with_will.will = Some(Will {
        qos: QoS::AtLeastOnce,
        retain: true,
        topic: text,
        payload: text.as_bytes(),
        properties: Properties::EMPTY,
    });
    let wild = format!("{text}/#/x");
    vec![
        start.clone(),
        encoded(Packet::Connect(with_will), version),
        behind(Packet::Publish(Publish::new(text, text.as_bytes()))),
        behind(Packet::Publish(Publish::new(&wild, b""))),
        [start.clone(), text.as_bytes().to_vec()].concat(),
        [start.clone(), start].concat(),
        text.as_bytes().to_vec(),
    ]
}

fn is_hostile(character: char) -> bool {
    let is_override = ('\u{202a}'..='\u{202e}').contains(&character)
        || ('\u{2066}'..='\u{2069}').contains(&character);
    character.is_control() || is_override || character == '\u{2028}'
}

#[test]
fn clients_write_no_lines_of_their_own_into_the_log() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mosca"));
    let arguments = ["-p", "0", "--http-port", "0", "--host", "127.0.0.1"];
    command.args(arguments).arg("--very-verbose");
    let mut process = Process::start("mosca", &mut command);
    let (mqtt, ws) = (process.port("mqtt"), process.port("ws"));
    let long = "\u{1b}".repeat(1_000);
    for text in HOSTILE.into_iter().chain([&long[..]]) {
        for version in [Version::V31, Version::V311, Version::V5] {
            for bytes in conversations(text, version) {
                say(mqtt, &bytes);
            }
        }
        say(
            ws,
            format!("GET /{text} HTTP/1.1\r\nHost: {text}\r\n\r\n").as_bytes(),
        );
        say(ws, format!("{text} / HTTP/1.1\r\n\r\n").as_bytes());
    }
    // No UTF-8 at all.
    say(mqtt, b"\x10\x0F\0\x04MQTT\x04\x02\0\0\0\x03\xFF\x1b\n");
    process.signal(Signal::Terminate);
    let (status, lines) = process.finish();
    assert!(status.success(), "{status}");

    let lines: Vec<String> = lines
        .into_iter()
        .filter_map(|line| match line {
            Line::Err(line) => Some(line),
            Line::Out(_) => None,
        })
        .collect();
    for line in &lines {
        assert!(!line.contains(is_hostile), "{line:?}");
        assert!(line.len() < 3_000, "{} bytes: {line:?}", line.len());
        // Every line begins with the time of the log, and goes on with a level and words of ours.
        let mut words = line.split_ascii_whitespace();
        let time = words.next().unwrap_or_default();
        assert!(time.len() == 27 && time.ends_with('Z'), "{line:?}");
        let level = words.next().unwrap_or_default();
        assert!(["INFO", "DEBUG", "WARN"].contains(&level), "{line:?}");
        // Nobody gets out of the quotes: the only peer of a line is ours.
        let peers = line.match_indices(" peer=").map(|(at, _)| &line[at + 6..]);
        for peer in peers.filter(|peer| !peer.starts_with("127.0.0.1:")) {
            assert!(peer.starts_with("10.0.0.1:1 user=\\\""), "{line:?}");
        }
    }
    let escaped = |text: &str| lines.iter().any(|line| line.contains(text));
    for text in &HOSTILE {
        assert!(
            escaped(&format!("client={text:?}")),
            "no line has {text:?}: {lines:#?}"
        );
    }
    assert!(
        escaped("\\u{1b}\"… "),
        "no line has the long one: {lines:#?}"
    );
}

/// The same hostile clients, for whom JSON has its own quotes. Flags ask for the one form, options for the other.
#[test]
fn for_programs_each_line_is_an_object() {
    for (format, names) in [
        ("json", ["time", "level", "message"]),
        ("pino", ["time", "level", "msg"]),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mosca"));
        command.args(["-p", "0", "--host", "127.0.0.1"]);
        if format == "json" {
            command.args(["--very-verbose", "--log-format", format]);
        } else {
            command.env("MOSCA__LOGGER__LEVEL", "20");
            command.env("MOSCA__LOGGER__FORMAT", format);
        }
        let mut process = Process::start("mosca", &mut command);
        let port = process.port("mqtt");
        for text in HOSTILE {
            for bytes in conversations(text, Version::V5) {
                say(port, &bytes);
            }
        }
        process.signal(Signal::Terminate);
        let (status, lines) = process.finish();
        assert!(status.success(), "{status}");
        let lines: Vec<serde_json::Value> = lines
            .iter()
            .filter_map(|line| match line {
                Line::Err(line) => Some(serde_json::from_str(line).unwrap()),
                Line::Out(_) => None,
            })
            .collect();
        assert!(lines.len() > HOSTILE.len(), "{lines:#?}");
        for line in &lines {
            assert!(names.iter().all(|name| line.get(name).is_some()), "{line}");
        }
    }
}

/// The lines of the log while a client comes and goes, without their ends.
fn logged(arguments: &[&str]) -> Vec<String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mosca"));
    command.args(["-p", "0", "--host", "127.0.0.1"]);
    let mut process = Process::start("mosca", command.args(arguments));
    let port = process.port("mqtt");
    let hello = Connect::new(Version::V311, "eve");
    say(port, &encoded(Packet::Connect(hello), Version::V311));
    process.signal(Signal::Terminate);
    let (status, lines) = process.finish();
    assert!(status.success(), "{status}");
    let lines = lines.into_iter().filter_map(|line| match line {
        Line::Err(line) => Some(line),
        Line::Out(_) => None,
    });
    lines.collect()
}

#[test]
fn how_much_is_logged_is_up_to_the_flags() {
    let comes = |lines: &[String]| lines.iter().any(|it| it.contains("client connected"));
    let goes = |lines: &[String]| lines.iter().any(|it| it.contains("connection closed"));
    assert_eq!(logged(&[]), [""; 0]);
    for flag in ["-v", "--verbose"] {
        let lines = logged(&[flag]);
        assert!(comes(&lines) && !goes(&lines), "{lines:?}");
    }
    let lines = logged(&["--very-verbose"]);
    assert!(comes(&lines) && goes(&lines), "{lines:?}");
}

/// As the README has it: `mosca --log-format pino 2>&1 | pino-pretty`.
#[test]
fn pino_pretty_reads_the_lines_for_it() {
    let lines = logged(&["--log-format", "pino", "--very-verbose"]);
    let tool = mqttjs::from_environment("MOSCA_TEST_NODE_PATH").join("pino-pretty/bin.js");
    let mut command = Command::new("node");
    command.arg(tool).args(["--colorize", "false"]);
    let input = lines.join("\n") + "\n";
    let mut pretty = Process::start_with_input("pino-pretty", &mut command, input.into_bytes());
    let (status, shown) = pretty.finish();
    assert!(status.success(), "{status}");
    let shown: Vec<String> = shown
        .into_iter()
        .map(|(Line::Out(line) | Line::Err(line))| line)
        .collect();
    for (head, words) in [
        ("INFO (mosca/", "): client connected"),
        ("DEBUG (mosca/", "): connection closed"),
        ("    client: ", "\"eve\""),
    ] {
        let is_there = shown
            .iter()
            .any(|line| line.contains(head) && line.contains(words));
        assert!(is_there, "no {head}…{words} in {shown:#?}");
    }
    assert!(
        !shown.iter().any(|line| line.starts_with('{')),
        "{shown:#?}"
    );
}

/// The command with a terminal, as `script` makes one. It ends with the test, too.
struct AtTerminal {
    script: Process,
    /// Until it was told to end.
    number: Option<String>,
}

impl AtTerminal {
    fn start((name, value): (&str, &str)) -> Self {
        let mosca = env!("CARGO_BIN_EXE_mosca");
        let words = format!("echo number $$; exec '{mosca}' -v -p 0 --host 127.0.0.1");
        let mut command = Command::new("script");
        command.args(["--quiet", "--return", "--command", &words, "/dev/null"]);
        command.env_remove("NO_COLOR").env("TERM", "xterm");
        let mut script = Process::start("script", command.env("SHELL", "/bin/sh").env(name, value));
        let number = script.wait_for("number", |line| match line {
            Line::Out(line) => Some(line.trim_end().strip_prefix("number ")?.to_owned()),
            Line::Err(_) => None,
        });
        Self {
            script,
            number: Some(number),
        }
    }

    fn terminate(&mut self) {
        if let Some(number) = self.number.take() {
            let killed = Command::new("kill").arg(number).status();
            assert!(killed.unwrap().success());
        }
    }
}

impl Drop for AtTerminal {
    fn drop(&mut self) {
        self.terminate();
    }
}

#[test]
fn the_log_is_coloured_on_a_terminal_unless_somebody_wants_none() {
    for (variable, is_coloured) in [
        (("TERM", "xterm"), true),
        (("NO_COLOR", "1"), false),
        (("TERM", "dumb"), false),
    ] {
        let mut terminal = AtTerminal::start(variable);
        let script = &mut terminal.script;
        script.wait_for("start", |line| match line {
            Line::Out(line) if line.contains(" listening: ") => Some(()),
            _ => None,
        });
        terminal.terminate();
        let (_, lines) = terminal.script.finish();
        let closing = lines.iter().find_map(|line| match line {
            Line::Out(line) if line.contains("terminated, closing") => Some(line),
            _ => None,
        });
        let closing = closing.expect("it says why it ends");
        assert_eq!(closing.contains("\u{1b}["), is_coloured, "{closing:?}");
    }
    // Where there is none it is plain whatever the variables say.
    let lines = logged(&["-v"]);
    assert!(
        !lines.iter().any(|line| line.contains('\u{1b}')),
        "{lines:?}"
    );
}
