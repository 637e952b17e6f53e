//! Each scenario runs for a moment against mosca, in this process and on a free port, finds nothing
//! wrong, and has the figures that a comparison reads.

use std::net::SocketAddr;
use std::process::{Command, Output};

use mosca::{Interface, Server};
use serde_json::Value;
use tokio::runtime::Runtime;

/// A broker that lives as long as this.
struct Broker {
    _server: Server,
    _runtime: Runtime,
    address: SocketAddr,
}

impl Broker {
    fn start() -> Self {
        let runtime = Runtime::new().unwrap();
        let server = runtime
            .block_on(
                Server::builder()
                    .listen(Interface::mqtt("127.0.0.1:0"))
                    .start(),
            )
            .unwrap();
        Self {
            address: server.local_addresses()[0],
            _server: server,
            _runtime: runtime,
        }
    }

    fn run(&self, arguments: &str) -> Output {
        Command::new(env!("CARGO_BIN_EXE_load"))
            .args(arguments.split_ascii_whitespace())
            .args(["--addr", &self.address.to_string(), "--json"])
            .args(["--pid", &std::process::id().to_string()])
            .output()
            .unwrap()
    }
}

/// Runs a scenario and returns its figures, which must all be there.
fn run(arguments: &str, figures: &str) -> Value {
    let output = Broker::start().run(arguments);
    let printed = String::from_utf8_lossy(&output.stdout);
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{arguments}: {complaints}\n{printed}"
    );
    let result: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(result["ok"], true);
    assert_eq!(result["errors"], serde_json::json!([]));
    for name in figures.split_ascii_whitespace() {
        assert!(
            result[name].as_f64().is_some(),
            "{arguments}: no {name} in {printed}"
        );
    }
    result
}

const FLOW: &str = "msgs_per_s p50_us p99_us p999_us broker_cpu_us_per_msg load_cpu_us_per_msg \
                    load_cpu_pct rss_before_mb rss_after_mb";
const SHORT: &str = "--warmup 0.1 --seconds 0.2";

#[test]
fn pairs_at_every_quality_and_in_both_versions() {
    for quality in ["--qos 0", "--qos 1", "--qos 2", "--qos 2 --sub-qos 0"] {
        for version in ["", "--v5"] {
            run(
                &format!("pairs --pairs 3 {quality} {version} {SHORT}"),
                FLOW,
            );
        }
    }
}

#[test]
fn a_number_of_messages_is_measured_to_the_last() {
    let result = run("pairs --pairs 4 --qos 1 --messages 1000 --warmup 0", FLOW);
    assert_eq!(result["sent"], 1000);
    assert_eq!(result["delivered"], 1000);
}

#[test]
fn packets_that_are_larger_than_what_is_read_at_a_time() {
    run(&format!("pairs --pairs 2 --payload 300000 {SHORT}"), FLOW);
}

#[test]
fn fanin() {
    run(&format!("fanin --pubs 5 --subs 2 --qos 1 {SHORT}"), FLOW);
}

#[test]
fn fanout() {
    run(&format!("fanout --subs 20 --pubs 2 {SHORT}"), FLOW);
}

#[test]
fn rate() {
    let result = run(&format!("rate --pubs 3 --rate 2000 --qos 1 {SHORT}"), FLOW);
    assert!(result["load_lag_p99_us"].as_f64().is_some());
    assert_eq!(result["out_of_order"], 0);
}

#[test]
fn arguments_that_make_no_sense_and_brokers_that_are_not_there_have_statuses_of_their_own() {
    let broker = Broker::start();
    assert_eq!(broker.run("rate --pubs 2 --subs 3").status.code(), Some(2));
    assert_eq!(broker.run("pairs --qos 3").status.code(), Some(2));
    // A port that was free a moment ago.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let nobody = Command::new(env!("CARGO_BIN_EXE_load"))
        .args(["pairs", "--addr", &address])
        .output()
        .unwrap();
    assert_eq!(nobody.status.code(), Some(3));
}
