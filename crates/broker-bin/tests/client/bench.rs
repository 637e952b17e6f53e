//! `mosca bench`: that it counts what really happens, over all that carries MQTT, and how it ends when something goes
//! wrong.

use serde_json::Value;

use crate::command::{Run, mosca, plain_broker};
use crate::everywhere::Everywhere;
use crate::process::{Line, Process, Signal};

/// A run with these arguments, at this port.
fn measure(port: &str, arguments: &[&str]) -> Run {
    Run::of(bench(port, arguments))
}

fn bench(port: &str, arguments: &[&str]) -> Process {
    mosca(
        &[
            &["bench", "-H", "127.0.0.1", "-p", port, "-o", "json"],
            arguments,
        ]
        .concat(),
    )
}

/// Numbers of the summary, by their names; those of a rate by their totals.
#[track_caller]
fn assert_counted(summary: &Value, expected: &[(&str, u64)]) {
    for (name, number) in expected {
        let found = &summary[*name];
        let found = found.get("total").unwrap_or(found);
        assert_eq!(found, number, "{name}: {summary}");
    }
}

#[test]
fn all_messages_are_counted_at_every_qos_in_every_version_over_all_that_carries_mqtt() {
    let Everywhere { urls, trusted, .. } = &Everywhere::start();
    for url in urls {
        for (version, qos) in [("3.1", "0"), ("3.1.1", "1"), ("5", "2")] {
            let server = ["bench", "-L", url, "-V", version, "--ca-file", trusted];
            let clients = [
                "--publishers",
                "3",
                "--subscribers",
                "2",
                "--connections",
                "4",
            ];
            let messages = ["-n", "50", "-q", qos, "--inflight", "8", "-o", "json"];
            let run = Run::mosca(&[&server[..], &clients, &messages].concat());
            let summary = run.json();
            assert_eq!(run.code, Some(0), "{url} {version}: {summary}");
            let acknowledged = if qos == "0" { 0 } else { 150 };
            let counted = [
                ("connected", 9),
                ("failed", 0),
                ("sent", 150),
                ("acknowledged", acknowledged),
                ("received", 150),
                ("expected", 150),
                ("lost", 0),
                ("repeated", 0),
                ("ofOthers", 0),
            ];
            assert_counted(&summary, &counted);
            assert_eq!(summary["ok"], true, "{summary}");
            assert!(
                summary["latency"]["received"]["p99Ms"].is_f64(),
                "{summary}"
            );
        }
    }
}

#[test]
fn each_subscriber_of_a_wildcard_gets_everything_and_a_group_gets_it_once() {
    let (_broker, port) = plain_broker(&[]);
    let clients = ["--publishers", "2", "--subscribers", "3", "-n", "20"];
    for (filter, received) in [("x/#", 120), ("$share/group/x/#", 40), ("x/%i", 40)] {
        let topics = ["--topic", "x/%i", "--filter", filter];
        let run = measure(&port, &[&clients[..], &topics].concat());
        assert_eq!(run.code, Some(0), "{:?}", run.err);
        let counted = [("expected", received), ("received", received), ("lost", 0)];
        assert_counted(&run.json(), &counted);
    }
}

#[test]
fn a_fixed_rate_is_kept_and_shown_while_it_lasts() {
    let (_broker, port) = plain_broker(&[]);
    let clients = ["--publishers", "2", "--subscribers", "1", "-q", "0"];
    let run = measure(&port, &[&clients[..], &["-R", "10", "-n", "25"]].concat());
    let summary = run.json();
    assert_eq!(run.code, Some(0), "{summary}");
    assert_counted(&summary, &[("sent", 50), ("received", 50)]);
    // The last message is due after 2.4 seconds, and the one before it a turn earlier.
    assert!(summary["sent"]["secs"].as_f64() >= Some(2.4), "{summary}");
    let shown = |line: &String| line.contains(" connected, sent ");
    assert!(run.err.iter().any(shown), "{:?}", run.err);
}

/// One publisher and one subscriber, until the test ends them.
const ONE_PAIR_FOR_LONG: [&str; 8] = [
    "--publishers",
    "1",
    "--subscribers",
    "1",
    "-R",
    "20",
    "-W",
    "3600",
];

/// Each message that was due while the server did nothing has waited for it, though it was not sent before.
#[test]
fn latency_counts_from_when_messages_were_due() {
    let (broker, port) = plain_broker(&[]);
    let mut running = bench(&port, &ONE_PAIR_FOR_LONG);
    let mut line_with = |words: &str| {
        running.wait_for(words, |line| {
            let Line::Err(line) = line else { return None };
            line.contains(words).then_some(())
        });
    };
    line_with("p50");
    broker.signal(Signal::Stop);
    // A line comes each second.
    for _ in 0..3 {
        line_with("received 0/s");
    }
    broker.signal(Signal::Continue);
    line_with("p50");
    running.signal(Signal::Interrupt);
    let run = Run::of(running);
    let summary = run.json();
    assert_eq!(run.code, Some(0), "{summary}");
    // Without that, of all messages one would have taken long.
    let p90 = summary["latency"]["received"]["p90Ms"].as_f64().unwrap();
    assert!(p90 > 500.0, "{summary}");
}

#[test]
fn connections_alone_are_held_until_somebody_interrupts() {
    let (_broker, port) = plain_broker(&[]);
    let arguments = [
        "--connections",
        "50",
        "-W",
        "3600",
        "--connect-rate",
        "1000",
    ];
    let mut running = bench(&port, &arguments);
    running.wait_for("line that all are connected", |line| {
        let Line::Err(line) = line else { return None };
        line.contains(" 50 connected").then_some(())
    });
    running.signal(Signal::Interrupt);
    let run = Run::of(running);
    let summary = run.json();
    assert_eq!(run.code, Some(0), "{summary}");
    assert_counted(&summary, &[("connected", 50), ("broken", 0), ("sent", 0)]);
}

#[test]
fn a_summary_is_a_table_for_people() {
    let (_broker, port) = plain_broker(&[]);
    let server = ["bench", "-H", "127.0.0.1", "-p", &port, "-n", "10"];
    let run = Run::mosca(&server);
    assert_eq!(run.code, Some(0), "{:?}", run.err);
    let table = run.out.join("\n");
    for words in [
        "10 publishers, 10 subscribers, QoS 1, payload of 64 B",
        "connections ",
        "messages ",
        "milliseconds until ",
        "p99.9",
        "payload/s",
        "lost  ",
        "connected  ",
    ] {
        assert!(table.contains(words), "no {words}: {table}");
    }
    let row = |name: &str| {
        run.out
            .iter()
            .find(|line| line.trim_start().starts_with(name))
    };
    let number = |name: &str| row(name).unwrap().split_whitespace().nth(1);
    assert_eq!(number("sent"), Some("100"), "{table}");
    assert_eq!(number("received"), Some("100"), "{table}");
    assert!(!table.contains("errors"), "{table}");
}

#[test]
fn the_exit_code_tells_what_went_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let users = folder.path().join("users.json");
    let users = users.to_str().unwrap();
    let add = ["adduser", "eve", "pencil", "--credentials", users];
    mosca(&[&add[..], &["--authorize-publish", "a/*"]].concat()).succeed();
    let (mut process, port) = plain_broker(&["--credentials", users]);
    let port = &*port;
    // The server lets them in, and closes the connections of those who publish elsewhere.
    let eve = ["-u", "eve", "-P", "pencil", "-n", "1", "--publishers", "2"];
    let run = measure(port, &[&eve[..], &["-t", "b"]].concat());
    let summary = run.json();
    assert_eq!(run.code, Some(6), "{summary}");
    assert_eq!(summary["ok"], false);
    assert!(
        !summary["errors"].as_object().unwrap().is_empty(),
        "{summary}"
    );
    let run = measure(port, &[&eve[..], &["-t", "a/b"]].concat());
    assert_eq!(run.code, Some(0), "{:?}", run.err);
    // It refuses all; whom it refuses often, it does not hear for a while.
    let run = measure(port, &["-u", "eve", "-P", "wrong", "-n", "1"]);
    assert_eq!(run.code, Some(4), "{:?}", run.err);
    assert!(
        run.err.join(" ").contains("cannot connect to"),
        "{:?}",
        run.err
    );
    process.signal(Signal::Terminate);
    process.succeed();
    // It is not there.
    let run = measure(port, &["-n", "1"]);
    assert_eq!((run.code, run.out.len()), (Some(1), 0), "{:?}", run.err);
    for arguments in [
        &["--topic", "a/#"][..],
        &["--filter", "a/#/b"],
        &["--size", "23"],
        &["--rate", "0"],
    ] {
        assert_eq!(measure(port, arguments).code, Some(2), "{arguments:?}");
    }
    let run = measure(port, &["--publishers", "0"]);
    assert_eq!(run.code, Some(1));
    assert!(
        run.err.join(" ").contains("there is no client"),
        "{:?}",
        run.err
    );
}

#[test]
fn messages_that_are_lost_are_found() {
    let (_broker, port) = plain_broker(&[]);
    // Before MQTT 5, what a client writes there is acknowledged and goes nowhere.
    let topics = [
        "--topic",
        "$SYS/bench",
        "--filter",
        "$SYS/bench",
        "-V",
        "3.1.1",
    ];
    let clients = [
        "--publishers",
        "1",
        "--subscribers",
        "2",
        "-n",
        "5",
        "--drain",
        "1",
    ];
    let run = measure(&port, &[&topics[..], &clients].concat());
    let summary = run.json();
    assert_eq!(run.code, Some(6), "{summary}");
    let counted = [
        ("acknowledged", 5),
        ("expected", 10),
        ("received", 0),
        ("lost", 10),
    ];
    assert_counted(&summary, &counted);
    assert_eq!(summary["ok"], false);
}

#[test]
fn connections_that_break_are_found_and_end_the_run() {
    let (mut broker, port) = plain_broker(&[]);
    let mut running = bench(&port, &ONE_PAIR_FOR_LONG);
    running.wait_for("messages", |line| {
        let Line::Err(line) = line else { return None };
        line.contains("p50").then_some(())
    });
    broker.signal(Signal::Terminate);
    broker.succeed();
    let run = Run::of(running);
    let summary = run.json();
    assert_eq!(run.code, Some(6), "{summary}");
    assert_counted(&summary, &[("connected", 2), ("broken", 2)]);
}
