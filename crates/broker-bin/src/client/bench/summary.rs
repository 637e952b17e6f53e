//! What a run has shown, for people and for programs, and whether all went well.

use std::time::Duration;

use mosca::Escaped;
use serde_json::{Value, json};

use super::board::{per_second, rate};
use super::course::Course;
use super::meter::{Sample, Times};
use crate::client::output::{self, OutputFormat, Table};

/// Quantiles of times: as they are shown, and as programs call them.
const QUANTILES: [(&str, &str, f64); 5] = [
    ("p50", "p50Ms", 0.5),
    ("p90", "p90Ms", 0.9),
    ("p99", "p99Ms", 0.99),
    ("p99.9", "p999Ms", 0.999),
    ("max", "maxMs", 1.0),
];

/// How long the parts of a run took.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Durations {
    pub(super) connecting: Duration,
    /// Until the last message was acknowledged, or as long as connections were held.
    pub(super) measuring: Duration,
    /// From the first message to the last that was received.
    pub(super) receiving: Duration,
}

/// All of it.
pub(super) struct Summary<'a> {
    pub(super) server: String,
    pub(super) course: &'a Course,
    pub(super) total: Sample,
    /// Copies of messages that had to come.
    pub(super) expected: u64,
    pub(super) durations: Durations,
}

impl Summary<'_> {
    fn lost(&self) -> u64 {
        self.expected.saturating_sub(self.total.received)
    }

    /// Of QoS 0 nothing is ever acknowledged.
    fn unacknowledged(&self) -> u64 {
        let total = &self.total;
        match self.course.args.qos {
            0 => 0,
            _ => total
                .sent
                .saturating_sub(total.acknowledged + total.rejected),
        }
    }

    /// Whether everybody did what he was there for. Messages at QoS 0 may be lost.
    pub(super) fn is_well(&self) -> bool {
        let args = &self.course.args;
        let may_lose = args.qos.min(args.subscribe_qos()) == 0;
        let total = &self.total;
        let wrong = total.failed + total.broken + total.rejected + self.unacknowledged();
        wrong == 0 && (may_lose || self.lost() == 0)
    }

    /// In the form that was asked for, to the end of the last line.
    pub(super) fn text(&self) -> String {
        match self.course.args.output {
            OutputFormat::Table => self.table(),
            OutputFormat::Json => format!("{}\n", self.json()),
        }
    }

    fn table(&self) -> String {
        let mut table = Table::default();
        self.connections(&mut table);
        if self.course.roles.publishers + self.course.roles.subscribers > 0 {
            self.messages(&mut table);
        }
        let all = self.times();
        if all.iter().any(|(_, times)| times.len() > 0) {
            let mut heads = QUANTILES.map(|(head, ..)| head).to_vec();
            heads.push("mean");
            table.section("milliseconds until", &heads);
            for (name, times) in all.iter().filter(|(_, times)| times.len() > 0) {
                let quantiles = QUANTILES
                    .iter()
                    .map(|(.., quantile)| times.quantile(*quantile));
                let cells = quantiles.chain([times.mean()]).map(output::millis);
                table.row(&format!("  {name}"), cells);
            }
        }
        let errors = self.course.meter.errors();
        if !errors.is_empty() {
            table.section("errors", &["times"]);
            for (words, times) in errors {
                let name = format!("  {}", Escaped(&words));
                table.row(&name, [output::count(times)]);
            }
        }
        format!("{}\n{}\n\n{table}", self.server, self.load())
    }

    /// What was asked for.
    fn load(&self) -> String {
        let (roles, args) = (self.course.roles, &self.course.args);
        let mut load = Vec::new();
        for (number, what) in [
            (roles.publishers, "publishers"),
            (roles.subscribers, "subscribers"),
            (roles.idle, "only connected"),
        ] {
            if number > 0 {
                load.push(format!("{} {what}", output::count(number.into())));
            }
        }
        if roles.publishers + roles.subscribers > 0 {
            load.push(format!("QoS {}", args.qos));
        }
        if roles.publishers > 0 {
            load.push(format!("payload of {}", output::bytes(args.size.into())));
        }
        load.join(", ")
    }

    fn connections(&self, table: &mut Table) {
        let total = &self.total;
        table.section("connections", &["total", "per second"]);
        let connected = per_second(total.connected, self.durations.connecting);
        table.row("  connected", [output::count(total.connected), connected]);
        table.row("  failed", [output::count(total.failed)]);
        table.row("  broken", [output::count(total.broken)]);
    }

    fn messages(&self, table: &mut Table) {
        let (total, durations) = (&self.total, &self.durations);
        table.section("messages", &["total", "per second", "payload/s"]);
        for (name, number, within) in [
            ("  sent", total.sent, durations.measuring),
            ("  acknowledged", total.acknowledged, durations.measuring),
            ("  received", total.received, durations.receiving),
        ] {
            let payload = rate(number, within) * f64::from(self.course.args.size);
            let cells = [
                output::count(number),
                per_second(number, within),
                output::bytes(payload as u64),
            ];
            table.row(name, cells);
        }
        table.row("  lost", [output::count(self.lost())]);
        for (name, number) in [
            ("  not acknowledged", self.unacknowledged()),
            ("  refused", total.rejected),
            ("  repeated", total.repeated),
            ("  of others", total.foreign),
        ] {
            if number > 0 {
                table.row(name, [output::count(number)]);
            }
        }
    }

    fn times(&self) -> [(&'static str, &Times); 3] {
        [
            ("connected", &self.total.connecting),
            ("acknowledged", &self.total.acknowledging),
            ("received", &self.total.delivering),
        ]
    }

    fn json(&self) -> Value {
        let (total, durations, args) = (&self.total, &self.durations, &self.course.args);
        let roles = self.course.roles;
        let with_rate = |number: u64, within: Duration| json!({ "total": number, "perSecond": rate(number, within), "secs": within.as_secs_f64() });
        let mut latency = serde_json::Map::new();
        for (name, times) in self.times() {
            if times.len() > 0 {
                let mut object = serde_json::Map::new();
                for (_, name, quantile) in QUANTILES {
                    object.insert(name.to_owned(), json!(millis(times.quantile(quantile))));
                }
                object.insert("meanMs".to_owned(), json!(millis(times.mean())));
                latency.insert(name.to_owned(), Value::Object(object));
            }
        }
        json!({
            "url": self.server,
            "publishers": roles.publishers,
            "subscribers": roles.subscribers,
            "idle": roles.idle,
            "qos": args.qos,
            "subscribeQos": args.subscribe_qos(),
            "payloadBytes": args.size,
            "connected": with_rate(total.connected, durations.connecting),
            "failed": total.failed,
            "broken": total.broken,
            "sent": with_rate(total.sent, durations.measuring),
            "acknowledged": with_rate(total.acknowledged, durations.measuring),
            "received": with_rate(total.received, durations.receiving),
            "expected": self.expected,
            "lost": self.lost(),
            "notAcknowledged": self.unacknowledged(),
            "refused": total.rejected,
            "repeated": total.repeated,
            "ofOthers": total.foreign,
            "latency": latency,
            "errors": self.course.meter.errors(),
            "ok": self.is_well(),
        })
    }
}

fn millis(time: Duration) -> f64 {
    // Microseconds are all that was measured.
    time.as_micros() as f64 / 1_000.0
}
