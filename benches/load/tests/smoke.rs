//! Each scenario runs for a moment against mosca, finds nothing wrong, and has the figures that a
//! comparison reads.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "this is a test as a whole, and what is not as it should be ends it"
)]

mod broker;

use serde_json::Value;

use broker::{Broker, figures, load};

/// Runs a scenario and returns its figures, which must all be there.
fn run(arguments: &str, expected: &str) -> Value {
    let output = load(arguments, Broker::start().address);
    let result = figures(&output);
    assert_eq!(output.status.code(), Some(0), "{arguments}: {result}");
    assert_eq!(result["ok"], true);
    assert_eq!(result["errors"], serde_json::json!([]));
    for name in expected.split_ascii_whitespace() {
        assert!(
            result[name].as_f64().is_some(),
            "{arguments}: no {name} in {result}"
        );
    }
    result
}

const FLOW: &str = "msgs_per_s p50_us p99_us p999_us broker_cpu_us_per_msg load_cpu_us_per_msg \
                    load_cpu_pct rss_before_mb rss_after_mb rss_peak_mb";
const SHORT: &str = "--warmup 0.1 --seconds 0.2";

#[test]
fn pairs_at_every_quality_and_in_both_versions() {
    for quality in ["--qos 0", "--qos 1", "--qos 2", "--qos 2 --sub-qos 0"] {
        for version in ["", "--v5"] {
            let arguments = format!("pairs --pairs 3 {quality} {version} {SHORT}");
            run(&arguments, FLOW);
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
fn wildcards_with_as_few_and_as_many_layers_as_there_can_be() {
    for matches in [1, 5, 8] {
        let size = "--subscriptions 2000 --conns 16 --qos 1";
        let result = run(
            &format!("wildcards {size} --matches {matches} {SHORT}"),
            FLOW,
        );
        let ratio = result["delivered"].as_f64().unwrap() / result["sent"].as_f64().unwrap();
        assert!((ratio - f64::from(matches)).abs() < 1e-9, "{ratio}");
        assert!(result["installs_per_s"].as_f64().is_some());
        assert!(result["rss_per_subscription_b"].as_f64().is_some());
    }
}

#[test]
fn rate() {
    let result = run(&format!("rate --pubs 3 --rate 2000 --qos 1 {SHORT}"), FLOW);
    assert!(result["load_lag_p99_us"].as_f64().is_some());
    assert_eq!(result["out_of_order"], 0);
}

#[test]
fn idle_with_and_without_a_subscription_each() {
    let expected = "connects_per_s connect_p99_us connect_broker_cpu_us_per_conn rss_per_conn_b \
                    idle_broker_cpu_pct hang_up_broker_cpu_us_per_conn rss_disconnected_mb";
    // A ping every half second for each, so that some are due.
    let arguments = "idle --conns 40 --keepalive 1 --seconds 0.6";
    let result = run(arguments, expected);
    assert!(result["pings"].as_u64() >= Some(40));
    let result = run(&format!("{arguments} --subscribe --v5"), expected);
    assert!(result["subscribes_per_s"].as_f64().is_some());
    assert!(result["rss_per_conn_subscribed_b"].as_f64().is_some());
}

#[test]
fn more_than_one_source_address() {
    run(
        "idle --conns 30 --source-ips 3 --seconds 0.1",
        "rss_per_conn_b",
    );
}

#[test]
fn churn_at_every_quality() {
    for quality in 0..3 {
        let arguments = format!("churn --concurrency 5 --qos {quality} {SHORT}");
        let result = run(&arguments, "cycles_per_s p99_us broker_cpu_us_per_cycle");
        assert!(result["cycles"].as_u64() > Some(0));
    }
}

#[test]
fn retained_messages_in_both_versions() {
    let expected = "stored_per_s store_broker_cpu_us_per_msg rss_per_retained_b all_first_ms \
                    all_msgs_per_s all_broker_cpu_us_per_msg plus_msgs_per_s exact_p50_us \
                    exact_p99_us clear_s";
    for version in ["--qos 1", "--qos 2 --v5", "--qos 0"] {
        let result = run(
            &format!("retained --topics 300 --probes 20 {version}"),
            expected,
        );
        assert_eq!(result["left_after_clear"], 0);
    }
}

#[test]
fn offline_sessions() {
    let expected = "queued_per_s queue_broker_cpu_us_per_msg rss_per_queued_b rss_per_session_b \
                    drain_first_ms drained_per_s drain_broker_cpu_us_per_msg";
    for manner in ["--qos 1 --pubs 2", "--qos 2 --v5"] {
        let result = run(
            &format!("offline --clients 6 --messages 50 {manner}"),
            expected,
        );
        assert_eq!(result["delivered"], 300);
        assert_eq!(result["sessions_present"], 6);
    }
}

#[test]
fn a_storm_of_subscriptions() {
    let expected = "installs_per_s install_broker_cpu_us_per_sub rss_per_subscription_b \
                    removes_per_s remove_broker_cpu_us_per_sub rss_removed_mb";
    run("subscribe-storm --subscriptions 1000 --conns 7", expected);
}

#[test]
fn a_client_gives_up_its_filters() {
    let expected = "alone_ping_p50_us unsubscribe_s unsubscribes_per_s unsubscribe_ping_max_us \
                    unsubscribe_broker_cpu_us_per_sub leave_ping_answered_us leave_ping_max_us";
    run("unsubscribe --filters 500 --per-subscribe 50", expected);
}

#[test]
fn a_slow_reader_among_fast_ones() {
    let arguments = format!("slow-reader --subs 10 {SHORT}");
    let expected = "alone_msgs_per_s alone_p99_us rate_with_slow_reader_pct rss_alone_mb";
    let result = run(&arguments, expected);
    assert!(result["msgs_per_s"].as_f64() > Some(0.0));
}

#[test]
fn those_who_say_nothing_or_half_of_what_they_should() {
    let expected = "alone_p50_us alone_p99_us alone_load_lag_p99_us p50_us p99_us p99_ratio \
                    broker_cpu_pct load_cpu_pct anon_before_mb anon_crowd_mb anon_after_mb given_back_s";
    for manner in ["nothing", "connect", "publish", "upgrade"] {
        let crowd = "--conns 50 --conns-per-s 10000 --crowd-seconds 0.3 --rounds 2";
        let arguments = format!("silent --manner {manner} {crowd} --qos 1 --pairs 3 {SHORT}");
        let result = run(&arguments, expected);
        assert_eq!(result["conns_present"], 50, "{manner}");
        let answered = if manner == "publish" { 100 } else { 0 };
        assert_eq!(result["conns_answered"], answered, "{manner}");
    }
}

#[test]
fn persistent_sessions_that_are_there_or_away() {
    let expected = "acked_per_s ack_p50_us ack_p99_us broker_cpu_us_per_msg rss_after_mb";
    for manner in [
        "",
        "--inflight 10 --v5",
        "--away",
        "--away --v5 --qos 2",
        "--qos 2",
    ] {
        let result = run(&format!("durable --pairs 3 {manner} {SHORT}"), expected);
        assert_eq!(result["sent"], result["delivered"], "{manner}");
    }
}

#[test]
fn what_is_left_in_the_store_is_found_there_and_what_is_not_is_missed() {
    let broker = Broker::start();
    let what = "stored --retained 300 --sessions 20";
    let load = |arguments: &str| {
        let output = load(arguments, broker.address);
        (output.status.code(), figures(&output))
    };
    // In a broker that has nothing.
    let (status, result) = load(&format!("{what} --check --quiet 0.2"));
    assert_eq!(status, Some(1), "{result}");
    assert_eq!(result["retained_lost"], 300);
    assert_eq!(result["errors"][1], "20 persistent sessions are gone");
    let (status, result) = load(&format!("{what} --topic-prefix x/ --client-prefix x"));
    assert_eq!(status, Some(0), "{result}");
    assert!(result["stored_per_s"].as_f64().is_some());
    let (status, result) = load(&format!(
        "{what} --topic-prefix x/ --client-prefix x --check"
    ));
    assert_eq!(status, Some(0), "{result}");
    assert_eq!(result["sessions_checked"], 20);
}

#[test]
fn arguments_that_make_no_sense_and_brokers_that_are_not_there_have_statuses_of_their_own() {
    let broker = Broker::start();
    for arguments in [
        "rate --pubs 2 --subs 3",
        "pairs --qos 3",
        "pairs --payload 15",
        "offline --qos 0",
        "durable --qos 0",
        "wildcards --conns 2",
    ] {
        let status = load(arguments, broker.address).status;
        assert_eq!(status.code(), Some(2), "{arguments}");
    }
    // A port that was free a moment ago.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    assert_eq!(load("pairs", address).status.code(), Some(3));
}
