//! What a figure is called, how it is printed, and whether more or less of it is better.
//!
//! The names are those of the load generator and end in their unit: a name that ends in `_per_s` is a
//! rate, of which more is better, as of the one share of a rate; of time, memory and processor time
//! less is.

/// What is known of the figures that the scenarios show.
const TITLES: [(&str, &str); 50] = [
    (
        "server_cpu_us_per_msg",
        "processor time of Redis or MongoDB per message, delivery included, µs",
    ),
    ("acked_per_s", "messages acknowledged per second"),
    (
        "ack_p99_us",
        "time to the acknowledgement, 99th percentile, µs",
    ),
    ("restart_ms", "from the start to the first CONNACK, ms"),
    ("rss_restarted_mb", "memory after the restart, MB"),
    ("sessions_per_s", "sessions made per second"),
    ("msgs_per_s", "messages delivered per second"),
    (
        "broker_cpu_us_per_msg",
        "broker's processor time per delivered message, µs",
    ),
    ("p50_us", "latency, median, µs"),
    ("p99_us", "latency, 99th percentile, µs"),
    ("p999_us", "latency, 99.9th percentile, µs"),
    ("rss_before_mb", "memory before any load, MB"),
    ("rss_peak_mb", "memory at most, MB"),
    ("rss_disconnected_mb", "memory after all have left, MB"),
    ("rss_per_conn_b", "memory per connection, bytes"),
    (
        "rss_per_conn_subscribed_b",
        "memory per connection and its subscriptions, bytes",
    ),
    ("rss_per_sub_b", "memory per subscription, bytes"),
    ("rss_per_subscription_b", "memory per subscription, bytes"),
    ("rss_per_retained_b", "memory per retained message, bytes"),
    (
        "rss_per_session_b",
        "memory per session that is away, bytes",
    ),
    ("rss_per_queued_b", "memory per queued message, bytes"),
    ("connects_per_s", "connections accepted per second"),
    ("connect_p99_us", "time to CONNACK, 99th percentile, µs"),
    (
        "connect_broker_cpu_us_per_conn",
        "broker's processor time per connection, µs",
    ),
    (
        "hang_up_broker_cpu_us_per_conn",
        "broker's processor time per connection that ends, µs",
    ),
    (
        "idle_broker_cpu_us_per_ping",
        "broker's processor time per ping, µs",
    ),
    (
        "cycles_per_s",
        "connect, subscribe, publish, leave: cycles per second",
    ),
    (
        "broker_cpu_us_per_cycle",
        "broker's processor time per cycle, µs",
    ),
    ("installs_per_s", "subscriptions per second"),
    (
        "install_broker_cpu_us_per_sub",
        "broker's processor time per subscription, µs",
    ),
    ("removes_per_s", "subscriptions ended per second"),
    (
        "remove_broker_cpu_us_per_sub",
        "broker's processor time per subscription ended, µs",
    ),
    ("unsubscribes_per_s", "unsubscribed filters per second"),
    (
        "unsubscribe_broker_cpu_us_per_sub",
        "broker's processor time per filter unsubscribed, µs",
    ),
    (
        "unsubscribe_ping_max_us",
        "longest ping of its neighbour while it unsubscribes, µs",
    ),
    (
        "leave_ping_answered_us",
        "first ping of its neighbour after it leaves, µs",
    ),
    (
        "rate_with_slow_reader_pct",
        "rate of the others, % of that without it",
    ),
    ("subscribes_per_s", "subscriptions per second"),
    (
        "subscribe_broker_cpu_us_per_sub",
        "broker's processor time per subscription, µs",
    ),
    ("stored_per_s", "retained messages stored per second"),
    (
        "store_broker_cpu_us_per_msg",
        "broker's processor time per message stored, µs",
    ),
    ("all_first_ms", "until the first of all, ms"),
    (
        "all_msgs_per_s",
        "retained messages fetched by # per second",
    ),
    (
        "all_broker_cpu_us_per_msg",
        "broker's processor time per message fetched by #, µs",
    ),
    (
        "plus_msgs_per_s",
        "retained messages fetched by + per second",
    ),
    (
        "exact_p50_us",
        "exact subscription to its message, median, µs",
    ),
    (
        "exact_p99_us",
        "exact subscription to its message, 99th percentile, µs",
    ),
    ("queued_per_s", "messages queued per second"),
    (
        "queue_broker_cpu_us_per_msg",
        "broker's processor time per message queued, µs",
    ),
    ("drained_per_s", "queued messages delivered per second"),
];

/// What the page calls it.
pub fn title(figure: &str) -> String {
    let known = TITLES.iter().find(|(name, _)| *name == figure);
    known.map_or_else(
        || figure.replace('_', " "),
        |(_, title)| (*title).to_owned(),
    )
}

/// Whether more is better.
pub fn more_is_better(figure: &str) -> bool {
    figure.ends_with("_per_s") || figure == "rate_with_slow_reader_pct"
}

/// How many times better `ours` is than `theirs`; `None` if one of them says nothing, as memory does
/// that was free before it was needed.
pub fn advantage(figure: &str, ours: f64, theirs: f64) -> Option<f64> {
    if !(ours > 0.0 && theirs > 0.0) {
        return None;
    }
    Some(if more_is_better(figure) {
        ours / theirs
    } else {
        theirs / ours
    })
}

/// A number with the digits that mean something.
pub fn number(value: f64) -> String {
    let size = value.abs();
    match size {
        s if s >= 999_500.0 => format!("{} M", three_digits(value / 1e6)),
        s if s >= 99_950.0 => format!("{:.0} k", value / 1e3),
        s if s >= 9_995.0 => format!("{:.1} k", value / 1e3),
        s if s >= 999.5 => {
            let whole = value.round();
            format!("{},{:03}", (whole / 1000.0).trunc(), (whole % 1000.0).abs())
        }
        _ => three_digits(value),
    }
}

fn three_digits(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        s if s >= 99.95 => format!("{value:.0}"),
        s if s >= 9.995 => format!("{value:.1}"),
        s if s >= 0.0995 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// A ratio: two digits behind the point while it is near 1, fewer above.
pub fn ratio(value: f64) -> String {
    match value {
        v if v >= 99.5 => format!("×{v:.0}"),
        v if v >= 9.95 => format!("×{v:.1}"),
        v => format!("×{v:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        let cases = [
            (0.0, "0"),
            (0.0123, "0.012"),
            (0.25, "0.25"),
            (9.999, "10.0"),
            (99.96, "100"),
            (734.0, "734"),
            (999.7, "1,000"),
            (1822.4, "1,822"),
            (21_640.0, "21.6 k"),
            (955_700.0, "956 k"),
            (1_310_000.0, "1.31 M"),
            (24_000_000.0, "24.0 M"),
            (-50.0, "-50.0"),
        ];
        for (value, expected) in cases {
            assert_eq!(number(value), expected, "{value}");
        }
    }

    #[test]
    fn an_advantage_is_above_one_whichever_way_is_better() {
        assert_eq!(advantage("msgs_per_s", 200.0, 100.0), Some(2.0));
        assert_eq!(advantage("p50_us", 200.0, 100.0), Some(0.5));
        assert_eq!(advantage("rss_per_sub_b", 0.0, 100.0), None);
        assert_eq!(advantage("rss_per_sub_b", 100.0, -3.0), None);
    }

    #[test]
    fn ratios_are_shown_with_what_matters() {
        let shown = [0.5, 1.0, 2.345, 18.3, 104.0].map(ratio);
        assert_eq!(shown, ["×0.50", "×1.00", "×2.35", "×18.3", "×104"]);
    }

    #[test]
    fn a_figure_without_a_title_keeps_its_name() {
        assert_eq!(title("p50_us"), "latency, median, µs");
        assert_eq!(title("some_new_s"), "some new s");
    }

    #[test]
    fn every_figure_of_the_scenarios_has_a_title() {
        let texts = [
            include_str!("../scenarios.txt"),
            include_str!("../stores.txt"),
        ];
        let scenarios = texts.map(|text| crate::scenario::parse(text).unwrap());
        for scenario in scenarios.into_iter().flatten() {
            for shown in scenario.figures {
                let is_known = TITLES.iter().any(|(name, _)| *name == shown.figure);
                assert!(is_known, "{} has no title", shown.figure);
            }
        }
    }
}
