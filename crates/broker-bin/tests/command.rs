//! The `mosca` command itself: what it prints, how it ends, and with which exit code.

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

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use process::{Line, PATIENCE, Process, Signal};

fn mosca(arguments: &[&str]) -> Process {
    Process::start(
        "mosca",
        Command::new(env!("CARGO_BIN_EXE_mosca")).args(arguments),
    )
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

/// The port of the first line, which must have exactly the promised form.
fn port_of_first_line(process: &mut Process) -> u16 {
    let start = format!(
        "mosca {} listening: mqtt://127.0.0.1:",
        env!("CARGO_PKG_VERSION")
    );
    let line = process.wait_for("first line", |line| match line {
        Line::Out(line) => Some(line.clone()),
        Line::Err(_) => None,
    });
    let port = line
        .strip_prefix(&start)
        .unwrap_or_else(|| panic!("{line:?} is not `{start}…`"));
    port.parse().unwrap()
}

#[test]
fn the_first_line_tells_a_port_that_accepts_connections() {
    let mut process = mosca(&["-p", "0", "--host", "127.0.0.1"]);
    let port = port_of_first_line(&mut process);
    assert_ne!(port, 0);
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
}

/// Clients are told of this one in CONNACK.
#[test]
fn limits_of_a_file_and_of_flags_hold() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mosca.json");
    std::fs::write(&file, r#"{ "limits": { "maxPacketSizeBytes": 77 } }"#).unwrap();
    let file = file.to_str().unwrap();
    for (limit, arguments) in [
        (77, &["--config", file][..]),
        (88, &["--max-packet-size", "88"]),
        (99, &["--config", file, "--max-packet-size", "99"]),
    ] {
        let arguments = [&["-p", "0", "--host", "127.0.0.1"], arguments].concat();
        let mut process = mosca(&arguments);
        let port = port_of_first_line(&mut process);
        let mut client = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        // CONNECT of MQTT 5 without a client identifier.
        client
            .write_all(b"\x10\x0D\0\x04MQTT\x05\x02\0\0\0\0\0")
            .unwrap();
        let mut head = [0; 2];
        client.read_exact(&mut head).unwrap();
        let mut connack = vec![0; head[1].into()];
        client.read_exact(&mut connack).unwrap();
        // The property maximum packet size.
        let told = [0x27, 0, 0, 0, limit];
        let is_told = connack.windows(told.len()).any(|part| part == told);
        assert!(is_told, "{arguments:?}: {connack:x?}");
    }
}

/// While the system makes room for more descriptors nobody is accepted.
#[cfg(target_os = "linux")]
#[test]
fn there_is_room_for_many_descriptors_from_the_start() {
    let mut process = mosca(&["-p", "0", "--host", "127.0.0.1"]);
    port_of_first_line(&mut process);
    let status = format!("/proc/{}/status", process.id());
    let status = std::fs::read_to_string(status).unwrap();
    let room = status.lines().find_map(|line| line.strip_prefix("FDSize:"));
    let room: u64 = room.unwrap().trim().parse().unwrap();
    let limit = std::fs::read_to_string(format!("/proc/{}/limits", process.id())).unwrap();
    let limit = limit
        .lines()
        .find(|line| line.starts_with("Max open files"));
    let limit = limit.unwrap().split_whitespace().nth(3).unwrap();
    let limit = limit.parse().unwrap_or(u64::MAX);
    assert!(room >= limit.min(65_536), "room for {room} of {limit}");
}

/// Memory of a process that no other has, in bytes.
#[cfg(target_os = "linux")]
fn resident(process: &Process) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap();
    let resident = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"));
    let kilobytes = resident.unwrap().trim().split_once(' ').unwrap().0;
    kilobytes.parse::<u64>().unwrap() << 10
}

/// The allocator keeps what is freed, and a broker that has become quiet asks for nothing that would make
/// it look what it has.
#[cfg(target_os = "linux")]
#[test]
fn memory_of_clients_that_have_left_goes_back_to_the_system() {
    const CLIENTS: u64 = 100;
    const HALF: usize = 500_000;
    let mut process = mosca(&["-p", "0", "--host", "127.0.0.1"]);
    let port = port_of_first_line(&mut process);
    let before = resident(&process);
    // CONNECT of MQTT 3.1.1 without a keep alive, and half of a PUBLISH of a million bytes.
    let mut words = b"\x10\x0C\0\x04MQTT\x04\x02\0\0\0\0\x30\xC0\x84\x3D\0\x01a".to_vec();
    words.resize(HALF, b'x');
    let clients: Vec<TcpStream> = (0..CLIENTS)
        .map(|_| {
            let mut client = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
            client.write_all(&words).unwrap();
            client
        })
        .collect();
    let wait_for = |what: &str, is_so: &dyn Fn(u64) -> bool| {
        let deadline = Instant::now() + PATIENCE;
        while !is_so(resident(&process).saturating_sub(before)) {
            assert!(Instant::now() < deadline, "{what}");
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    let taken = CLIENTS * HALF as u64;
    wait_for("what the clients have said is kept", &|grown| {
        grown >= taken
    });
    drop(clients);
    wait_for("it is given back", &|grown| grown <= taken / 5);
}

/// With one thread the runtime is of another kind.
#[test]
fn clients_are_served_by_any_number_of_threads() {
    for threads in ["1", "2", "7"] {
        let arguments = ["-p", "0", "--host", "127.0.0.1", "--threads", threads];
        let mut process = mosca(&arguments);
        let port = port_of_first_line(&mut process);
        for _ in 0..20 {
            let mut client = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
            client.set_read_timeout(Some(PATIENCE)).unwrap();
            // CONNECT of MQTT 3.1.1 without a client identifier, and PINGREQ.
            client
                .write_all(b"\x10\x0C\0\x04MQTT\x04\x02\0\0\0\0\xC0\0")
                .unwrap();
            let mut answer = [0; 6];
            client.read_exact(&mut answer).unwrap();
            assert_eq!(answer, [0x20, 2, 0, 0, 0xD0, 0]);
        }
        process.signal(Signal::Terminate);
        let (status, _) = process.finish();
        assert_eq!(status.code(), Some(0), "{threads} threads");
    }
}

#[test]
fn the_second_line_tells_the_port_for_websockets() {
    for flag in ["--http-port", "--ws-port"] {
        let mut process = mosca(&["-p", "0", flag, "0", "--host", "127.0.0.1"]);
        let mqtt = port_of_first_line(&mut process);
        let line = process.wait_for("second line", |line| match line {
            Line::Out(line) => Some(line.clone()),
            Line::Err(_) => None,
        });
        let (_, address) = line.split_once(" listening: ws://127.0.0.1:").unwrap();
        let port: u16 = address.parse().unwrap();
        assert_ne!(port, mqtt);
        TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    }
}

#[test]
fn interrupt_and_terminate_end_it_without_complaint() {
    for signal in [Signal::Interrupt, Signal::Terminate] {
        let mut process = mosca(&["--port", "0", "--host", "127.0.0.1"]);
        let port = port_of_first_line(&mut process);
        // A connection that never says CONNECT must not hold it up.
        let _silent = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        process.signal(signal);
        let (status, _) = process.finish();
        assert_eq!(status.code(), Some(0), "{signal:?}{}", process.transcript());
        assert!(
            TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err(),
            "still listening"
        );
    }
}

/// Ends with the test.
struct Unread(Child);

impl Drop for Unread {
    fn drop(&mut self) {
        // Both fail if the process has ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A log of which nobody takes any notice is full after 64 KiB on Linux. That is not for clients to feel.
#[test]
fn clients_are_served_while_nobody_reads_the_log() {
    let mut process = Unread(
        Command::new(env!("CARGO_BIN_EXE_mosca"))
            .args(["--very-verbose", "-p", "0", "--host", "127.0.0.1"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap(),
    );
    let mut line = String::new();
    let mut out = BufReader::new(process.0.stdout.take().unwrap());
    out.read_line(&mut line).unwrap();
    let (_, port) = line.trim().rsplit_once(':').unwrap();
    let port: u16 = port.parse().unwrap();
    // MQTT 3.1.1, clean session; two lines with the client identifier for each: 120 KiB at least.
    let id = [b'x'; 240];
    let connect = [&b"\x10\xFC\x01\0\x04MQTT\x04\x02\0\0\0\xF0"[..], &id].concat();
    for number in 0..300 {
        let mut client = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        client.write_all(&connect).unwrap();
        let mut connack = [0; 4];
        let read = client.read_exact(&mut connack);
        assert!(read.is_ok(), "client {number} was not answered: {read:?}");
        assert_eq!(connack, [0x20, 2, 0, 0]);
        client.write_all(&[0xE0, 0]).unwrap();
    }
    let id = process.0.id().to_string();
    assert!(Command::new("kill").arg(id).status().unwrap().success());
    // Its standard output closes when it ends, although its log was never read.
    let (sender, ended) = mpsc::channel();
    std::thread::spawn(move || sender.send(out.read_line(&mut String::new()).unwrap()));
    assert_eq!(ended.recv_timeout(PATIENCE), Ok(0), "it did not end");
    assert!(process.0.wait().unwrap().success());
}

#[test]
fn a_port_that_is_taken_is_one_line_and_exit_code_1() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let (code, out, err) = run(&["-p", &port, "--host", "127.0.0.1"]);
    assert_eq!(code, Some(1), "{err:?}");
    assert_eq!(out, [""; 0]);
    assert_eq!(err.len(), 1, "{err:?}");
    assert!(err[0].contains(&port), "{err:?} does not name the port");
    let reasons = err[0].matches("already in use").count();
    assert_eq!(reasons, 1, "{err:?} does not say why, or twice");
}

#[test]
fn the_version_is_one_line() {
    for flag in ["-V", "--version"] {
        let (code, out, err) = run(&[flag]);
        assert_eq!(code, Some(0), "{err:?}");
        assert_eq!(out, [format!("mosca {}", env!("CARGO_PKG_VERSION"))]);
    }
}

#[test]
fn start_is_what_is_done_without_it() {
    for arguments in [
        ["start", "-p", "0", "--host", "127.0.0.1"],
        ["-p", "0", "--host", "127.0.0.1", "start"],
    ] {
        let mut process = mosca(&arguments);
        port_of_first_line(&mut process);
        process.signal(Signal::Terminate);
        process.succeed();
    }
}

#[test]
fn shells_and_man_are_told_what_there_is() {
    for (arguments, words) in [
        (&["completions", "bash"][..], ["_mosca()", "--http-static"]),
        (&["completions", "zsh"], ["#compdef mosca", "--http-static"]),
        (
            &["completions", "fish"],
            ["complete -c mosca", "http-static"],
        ),
        (&["man"], [".TH mosca 1", "http\\-static"]),
        (&["man", "bench"], [".TH mosca-bench 1", "connect\\-rate"]),
        (&["man", "status"], [".TH mosca-status 1", "watch"]),
    ] {
        let (code, out, err) = run(arguments);
        assert_eq!((code, err.len()), (Some(0), 0), "{err:?}");
        let out = out.join("\n");
        for word in words {
            assert!(out.contains(word), "{arguments:?} has no {word}");
        }
    }
    assert_eq!(run(&["completions", "csh"]).0, Some(2));
    assert_eq!(run(&["man", "csh"]).0, Some(1));
}

#[test]
fn the_help_names_the_flags() {
    for flag in ["-h", "--help"] {
        let (code, out, err) = run(&[flag]);
        assert_eq!(code, Some(0), "{err:?}");
        let help = out.join("\n");
        for flag in [
            "-p",
            "--port",
            "--http-port",
            "--ws-port",
            "--host",
            "--cert",
            "--key",
            "--secure-port",
            "--non-secure",
            "--https-port",
            "--only-http",
            "--threads",
            "--db",
            "--persistence",
            "--durability",
            "--config",
            "-v",
            "--very-verbose",
            "-V",
        ] {
            assert!(help.contains(flag), "{flag} is missing in:\n{help}");
        }
    }
}

#[test]
fn a_command_line_that_makes_no_sense_is_exit_code_2_with_the_usage() {
    for arguments in [
        &["--prot", "1883"][..],
        &["-p", "mqtt"],
        &["-p", "65536"],
        &["--threads", "0"],
        &["--threads", "1025"],
        &["stray"],
        &["--db"],
        &["--db", "a", "--persistence", "memory"],
        &["--persistence", "reddis://127.0.0.1"],
        &["--persistence", "redis://127.0.0.1:x"],
        &["--durability", "os"],
        &["--db", "a", "--durability", "often"],
    ] {
        let (code, out, err) = run(arguments);
        assert_eq!(code, Some(2), "{arguments:?}: {err:?}");
        assert_eq!(out, [""; 0], "{arguments:?}");
        assert!(!err.is_empty(), "{arguments:?}");
        let complaint = err.join("\n");
        assert!(
            complaint.contains("Usage") || complaint.contains("--help"),
            "{complaint}"
        );
    }
}

#[test]
fn two_stores_at_once_are_named_both() {
    let (_, _, err) = run(&["--db", "a", "--persistence", "memory"]);
    let complaint = err.join("\n");
    for flag in ["--db", "--persistence"] {
        assert!(complaint.contains(flag), "{complaint}");
    }
}

/// It would stand in the log of whatever starts the broker.
#[test]
fn a_wrong_address_is_not_shown_with_its_password() {
    let (code, _, err) = run(&["--persistence", "redis://:secret@127.0.0.1:x"]);
    let complaint = err.join("\n");
    assert_eq!(code, Some(2), "{complaint}");
    assert!(complaint.contains("is not a port"), "{complaint}");
    assert!(!complaint.contains("secret"), "{complaint}");
}

#[test]
fn the_config_file_counts_and_what_is_wrong_in_it_is_exit_code_1() {
    let path = |name: &str| format!("{}/{name}", env!("CARGO_TARGET_TMPDIR"));
    let (good, bad) = (path("config-good.json"), path("config-bad.json"));
    let text = r#"{ "port": 0, "host": "127.0.0.1", "persistence": { "factory": "memory" } }"#;
    std::fs::write(&good, text).unwrap();
    let mut process = mosca(&["--config", &good]);
    let port = port_of_first_line(&mut process);
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();

    std::fs::write(&bad, r#"{ "prot": 0 }"#).unwrap();
    for file in [&bad, &path("no-such-file.json")] {
        let (code, out, err) = run(&["-c", file]);
        assert_eq!((code, out), (Some(1), Vec::new()), "{err:?}");
        assert_eq!(err.len(), 1, "{err:?}");
        assert!(
            err[0].contains(file.as_str()),
            "{err:?} does not name {file}"
        );
    }
}

/// What a users file lets a user do, who logs in with the password.
fn permissions(file: &str, user: &str, password: &str) -> Option<authorizer::Permissions> {
    let users = authorizer::Users::load(file).unwrap();
    let authorizer = authorizer::Authorizer::new(&users, Default::default());
    let login = authorizer::Login {
        user: Some(user),
        password: Some(password.as_bytes()),
        ..Default::default()
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime
        .unwrap()
        .block_on(authorizer.authenticate(login))
        .ok()
}

#[test]
fn users_are_added_and_removed_as_with_mosca() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("credentials.json");
    let file = file.to_str().unwrap();
    let silent = |arguments: &[&str]| {
        let (code, out, err) = run(&[arguments, &["--credentials", file]].concat());
        assert_eq!((code, out, err), (Some(0), vec![], vec![]), "{arguments:?}");
    };
    silent(&["adduser", "eve", "pencil", "--authorize-publish", "a/*"]);
    // mosca takes options before the command as well.
    let before = ["--authorize-subscribe", "b/**", "--credentials", file];
    let arguments = [&before[..], &["adduser", "bob", "paper"]].concat();
    assert_eq!(run(&arguments), (Some(0), vec![], vec![]));
    let eve = permissions(file, "eve", "pencil").unwrap();
    assert!(eve.may_publish("a/b") && !eve.may_publish("b") && eve.may_subscribe("#"));
    let bob = permissions(file, "bob", "paper").unwrap();
    assert!(bob.may_publish("b") && bob.may_subscribe("b/#") && !bob.may_subscribe("#"));

    // Another password, on the standard input, where nobody else sees it.
    let mut command = Command::new(env!("CARGO_BIN_EXE_mosca"));
    command.args(["adduser", "eve", "--credentials", file]);
    let (status, lines) =
        Process::start_with_input("mosca", &mut command, b"chalk\r\n".to_vec()).finish();
    assert!(status.success() && lines.is_empty(), "{lines:?}");
    assert!(permissions(file, "eve", "pencil").is_none());
    assert!(permissions(file, "eve", "chalk").unwrap().may_publish("b"));

    silent(&["rmuser", "eve"]);
    silent(&["rmuser", "eve"]);
    assert!(
        permissions(file, "eve", "chalk").is_none() && permissions(file, "bob", "paper").is_some()
    );
}

#[test]
fn a_users_file_that_cannot_be_read_is_exit_code_1_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("credentials.json");
    let shown = file.to_str().unwrap();
    for (arguments, what) in [
        (&["rmuser", "eve"][..], "No such file"),
        (&["adduser", "eve", ""], "the password is empty"),
        (
            &["adduser", "eve", "x", "--authorize-publish", "{1..999}"],
            "256 patterns",
        ),
    ] {
        let (code, out, err) = run(&[arguments, &["--credentials", shown]].concat());
        assert_eq!(
            (code, out.len(), err.len()),
            (Some(1), 0, 1),
            "{arguments:?}: {err:?}"
        );
        assert!(err[0].contains(what), "{err:?}");
        assert!(!file.exists());
    }
    std::fs::write(&file, "{\n  \"eve\": 1\n}").unwrap();
    for arguments in [&["adduser", "bob", "x"][..], &["rmuser", "eve"]] {
        let (code, _, err) = run(&[arguments, &["--credentials", shown]].concat());
        assert_eq!(code, Some(1), "{err:?}");
        assert!(err[0].contains("line 2 column"), "{err:?}");
        assert_eq!(
            std::fs::read_to_string(&file).unwrap(),
            "{\n  \"eve\": 1\n}"
        );
    }
    for wrong in [
        &["adduser", "eve", "x"][..],
        &["rmuser", "--credentials", shown],
    ] {
        assert_eq!(run(wrong).0, Some(2), "{wrong:?}");
    }
}
