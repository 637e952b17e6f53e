//! The topics of the statistics and what is said there: mosca's names, and those that dashboards for mosquitto
//! read. `docs/sys-topics.md` has them in tables.

use std::time::Duration;

use super::date::iso_8601;
use super::figures::Report;

/// The time to which mosca's averages refer.
const MOSCA_INTERVAL: Duration = Duration::from_secs(10);

/// The time to which mosquitto's averages refer.
const MINUTE: Duration = Duration::from_secs(60);

/// A topic behind the prefix, and its payload.
pub(super) type Line = (String, String);

/// What mosca says below `$SYS/<id>`, in its order.
pub(super) fn of_mosca(report: &Report) -> Vec<Line> {
    let Report { figures, loads, .. } = report;
    let sizes = &figures.sizes;
    let uptime = figures.uptime.as_millis().div_ceil(1_000);
    let mut lines = lines([
        ("version", format!("mosca {}", env!("CARGO_PKG_VERSION"))),
        ("started_at", iso_8601(report.started)),
        ("uptime", format!("{uptime} seconds")),
        ("clients/maximum", sizes.connected_maximum.to_string()),
        ("clients/connected", sizes.connected.to_string()),
        ("publish/received", figures.published.to_string()),
    ]);
    let arrivals = loads.arrivals.within(MOSCA_INTERVAL);
    let published = loads.published.within(MOSCA_INTERVAL);
    for ((period, arrivals), (_, published)) in arrivals.zip(published) {
        lines.push((format!("load/connections/{period}"), rounded(arrivals)));
        lines.push((
            format!("load/publish/received/{period}"),
            rounded(published),
        ));
    }
    if let Some(memory) = figures.memory {
        let maximum = report.anonymous_maximum;
        lines.push(("memory/rss".to_owned(), memory.resident.to_string()));
        lines.push((
            "memory/heap/current".to_owned(),
            memory.anonymous.to_string(),
        ));
        lines.push(("memory/heap/maximum".to_owned(), maximum.to_string()));
    }
    lines
}

/// What mosquitto says below `$SYS/broker`.
pub(super) fn of_mosquitto(report: &Report) -> Vec<Line> {
    let Report { figures, loads, .. } = report;
    let sizes = &figures.sizes;
    let (received, sent) = (&figures.traffic.received, &figures.traffic.sent);
    let away = sizes.sessions.saturating_sub(sizes.connected);
    let stored = sizes.retained_messages + sizes.queued_messages;
    let stored_bytes = sizes.retained_bytes + sizes.queued_bytes;
    let version = format!("mosca version {}", env!("CARGO_PKG_VERSION"));
    let mut lines = lines([
        ("version", version),
        ("uptime", format!("{} seconds", figures.uptime.as_secs())),
        ("clients/total", sizes.sessions.to_string()),
        ("clients/connected", sizes.connected.to_string()),
        ("clients/active", sizes.connected.to_string()),
        ("clients/disconnected", away.to_string()),
        ("clients/inactive", away.to_string()),
        ("clients/maximum", sizes.connected_maximum.to_string()),
        ("clients/expired", figures.expired.to_string()),
        ("messages/received", received.packets.to_string()),
        ("messages/sent", sent.packets.to_string()),
        ("messages/stored", stored.to_string()),
        ("store/messages/count", stored.to_string()),
        ("store/messages/bytes", stored_bytes.to_string()),
        ("bytes/received", received.bytes.to_string()),
        ("bytes/sent", sent.bytes.to_string()),
        ("publish/messages/received", received.messages.to_string()),
        ("publish/messages/sent", sent.messages.to_string()),
        ("publish/messages/dropped", figures.dropped.to_string()),
        ("publish/bytes/received", received.payload_bytes.to_string()),
        ("publish/bytes/sent", sent.payload_bytes.to_string()),
        ("subscriptions/count", sizes.subscriptions.to_string()),
        (
            "shared_subscriptions/count",
            sizes.shared_subscriptions.to_string(),
        ),
        (
            "retained messages/count",
            sizes.retained_messages.to_string(),
        ),
    ]);
    for (name, load) in [
        ("load/messages/received", &loads.packets_received),
        ("load/messages/sent", &loads.packets_sent),
        ("load/publish/received", &loads.messages_received),
        ("load/publish/sent", &loads.messages_sent),
        ("load/publish/dropped", &loads.messages_dropped),
        ("load/bytes/received", &loads.bytes_received),
        ("load/bytes/sent", &loads.bytes_sent),
        ("load/connections", &loads.connects),
        ("load/sockets", &loads.sockets),
    ] {
        let averages = load.within(MINUTE);
        lines.extend(averages.map(|(period, it)| (format!("{name}/{period}"), format!("{it:.2}"))));
    }
    if let Some(memory) = figures.memory {
        let maximum = report.anonymous_maximum;
        lines.push(("heap/current".to_owned(), memory.anonymous.to_string()));
        lines.push(("heap/maximum".to_owned(), maximum.to_string()));
    }
    lines
}

fn lines<const N: usize>(lines: [(&str, String); N]) -> Vec<Line> {
    let lines = lines.into_iter();
    lines
        .map(|(name, payload)| (name.to_owned(), payload))
        .collect()
}

/// With two decimals at most, and none that say nothing.
fn rounded(number: f64) -> String {
    // A zero has no sign.
    ((number * 100.0).round() / 100.0 + 0.0).to_string()
}

#[cfg(test)]
mod tests {
    use broker_core::{Broker, BrokerOptions, Timestamp};

    use super::super::figures::Figures;
    use super::super::memory::Memory;
    use super::*;

    /// Of a server in whose life something has happened.
    fn report() -> Report {
        let mut figures = Figures {
            uptime: Duration::ZERO,
            sizes: Broker::new(BrokerOptions::default()).sizes(),
            traffic: Default::default(),
            published: 0,
            dropped: 0,
            connects: 0,
            sockets: 0,
            expired: 0,
            memory: Some(Memory {
                resident: 300,
                anonymous: 200,
            }),
        };
        let mut report = Report::begin(Timestamp::from_millis(0), figures);
        figures.uptime = Duration::from_millis(10_001);
        figures.published = 2;
        figures.sizes.connected = 3;
        figures.sizes.connected_maximum = 4;
        figures.sizes.sessions = 5;
        figures.sizes.retained_messages = 7;
        figures.sizes.retained_bytes = 70;
        figures.sizes.queued_messages = 32;
        figures.sizes.queued_bytes = 4_096;
        figures.traffic.sent.packets = 60;
        figures.memory = Some(Memory {
            resident: 250,
            anonymous: 150,
        });
        report.update(figures, Duration::from_secs(10));
        report
    }

    #[test]
    fn moscas_names_come_in_moscas_order_with_moscas_payloads() {
        let version = format!("mosca {}", env!("CARGO_PKG_VERSION"));
        let expected = [
            ("version", &*version),
            ("started_at", "1970-01-01T00:00:00.000Z"),
            ("uptime", "11 seconds"),
            ("clients/maximum", "4"),
            ("clients/connected", "3"),
            ("publish/received", "2"),
            ("load/connections/15min", "0.03"),
            ("load/publish/received/15min", "0.02"),
            ("load/connections/5min", "0.1"),
            ("load/publish/received/5min", "0.07"),
            ("load/connections/1min", "0.46"),
            ("load/publish/received/1min", "0.31"),
            ("memory/rss", "250"),
            ("memory/heap/current", "150"),
            ("memory/heap/maximum", "200"),
        ];
        let lines = of_mosca(&report());
        let lines: Vec<_> = lines.iter().map(|(name, it)| (&**name, &**it)).collect();
        assert_eq!(lines, expected);
    }

    #[test]
    fn mosquittos_names_have_payloads_of_mosquittos_form() {
        let lines = of_mosquitto(&report());
        for (name, payload) in [
            ("uptime", "10 seconds"),
            ("clients/total", "5"),
            ("clients/disconnected", "2"),
            ("messages/sent", "60"),
            ("messages/stored", "39"),
            ("store/messages/count", "39"),
            ("store/messages/bytes", "4166"),
            ("retained messages/count", "7"),
            ("load/messages/sent/1min", "55.27"),
            ("load/messages/sent/15min", "3.98"),
            ("load/connections/5min", "0.00"),
            ("heap/maximum", "200"),
        ] {
            let found = lines.iter().find(|(it, _)| it == name);
            assert_eq!(
                found.map(|(_, payload)| &**payload),
                Some(payload),
                "{name}"
            );
        }
    }

    /// Each row begins with the topic in a code span.
    #[test]
    fn the_page_of_topics_has_every_one_and_no_other() {
        let page = include_str!("../../../../docs/sys-topics.md");
        let rows = page
            .lines()
            .filter_map(|line| line.strip_prefix("| `$SYS/"));
        let mut listed: Vec<_> = rows.filter_map(|row| row.split('`').next()).collect();
        let announced = [
            "new/clients",
            "disconnect/clients",
            "new/subscribes",
            "new/unsubscribes",
        ];
        let own = of_mosca(&report()).into_iter().map(|(name, _)| name);
        let own = own.chain(announced.map(str::to_owned));
        let others = of_mosquitto(&report()).into_iter().map(|(name, _)| name);
        let own = own.map(|name| format!("<id>/{name}"));
        let mut said: Vec<_> = own
            .chain(others.map(|name| format!("broker/{name}")))
            .collect();
        for period in ["/1min", "/5min"] {
            said.retain(|topic| !topic.ends_with(period));
        }
        let mut said: Vec<_> = said
            .iter()
            .map(|it| it.replace("15min", "<period>"))
            .collect();
        said.sort();
        listed.sort_unstable();
        assert_eq!(listed, said);
    }
}
