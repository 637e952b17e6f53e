//! Which topics below `$SYS` say what: those of mosquitto at `$SYS/broker`, and those of mosca at `$SYS/<id>`.

use std::collections::HashMap;

use mqtt_client::OwnedPublish;

/// A payload that is longer is none of these.
const LONGEST: usize = 1_024;

/// The time to which mosca's averages refer fits so often into a minute.
const MOSCA_PER_MINUTE: f64 = 6.0;

/// Figures that are shown together.
#[derive(Debug)]
pub(super) struct Section {
    pub(super) name: &'static str,
    /// The last level of the topics; none if the row's topic is all.
    pub(super) columns: &'static [&'static str],
    pub(super) rows: &'static [Row],
}

/// A figure, or one for each column.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) unit: Unit,
    /// Behind `$SYS/broker/`; the newest name first.
    mosquitto: &'static [&'static str],
    /// Behind `$SYS/<id>/`.
    mosca: Option<&'static str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Text,
    Count,
    Bytes,
    Seconds,
    PerMinute,
}

const fn row(
    name: &'static str,
    unit: Unit,
    mosquitto: &'static [&'static str],
    mosca: Option<&'static str>,
) -> Row {
    Row {
        name,
        unit,
        mosquitto,
        mosca,
    }
}

/// All that is shown, in its order.
#[rustfmt::skip]
pub(super) const SECTIONS: &[Section] = &[
    Section {
        name: "server",
        columns: &[],
        rows: &[
            row("version", Unit::Text, &["version"], Some("version")),
            row("started at", Unit::Text, &[], Some("started_at")),
            row("uptime", Unit::Seconds, &["uptime"], Some("uptime")),
            row("memory", Unit::Bytes, &[], Some("memory/rss")),
            row("heap", Unit::Bytes, &["heap/current", "heap/current size"], Some("memory/heap/current")),
            row("heap maximum", Unit::Bytes, &["heap/maximum", "heap/maximum size"], Some("memory/heap/maximum")),
        ],
    },
    Section {
        name: "clients",
        columns: &[],
        rows: &[
            row("connected", Unit::Count, &["clients/connected", "clients/active"], Some("clients/connected")),
            row("maximum", Unit::Count, &["clients/maximum"], Some("clients/maximum")),
            row("sessions", Unit::Count, &["clients/total"], None),
            row("away", Unit::Count, &["clients/disconnected", "clients/inactive"], None),
            row("expired", Unit::Count, &["clients/expired"], None),
        ],
    },
    Section {
        name: "kept",
        columns: &[],
        rows: &[
            row("subscriptions", Unit::Count, &["subscriptions/count"], None),
            row("shared subscriptions", Unit::Count, &["shared_subscriptions/count"], None),
            row("retained messages", Unit::Count, &["retained messages/count"], None),
            row("stored messages", Unit::Count, &["store/messages/count", "messages/stored"], None),
            row("stored", Unit::Bytes, &["store/messages/bytes"], None),
        ],
    },
    Section {
        name: "traffic",
        columns: &["received", "sent", "dropped"],
        rows: &[
            row("messages", Unit::Count, &["publish/messages"], Some("publish")),
            row("payload", Unit::Bytes, &["publish/bytes"], None),
            row("packets", Unit::Count, &["messages"], None),
            row("network", Unit::Bytes, &["bytes"], None),
        ],
    },
    Section {
        name: "per minute",
        columns: &["1min", "5min", "15min"],
        rows: &[
            row("messages received", Unit::PerMinute, &["load/publish/received"], Some("load/publish/received")),
            row("messages sent", Unit::PerMinute, &["load/publish/sent"], None),
            row("messages dropped", Unit::PerMinute, &["load/publish/dropped"], None),
            row("bytes received", Unit::PerMinute, &["load/bytes/received"], None),
            row("bytes sent", Unit::PerMinute, &["load/bytes/sent"], None),
            row("connections", Unit::PerMinute, &["load/connections"], None),
        ],
    },
];

/// What a figure is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Figure {
    Text(String),
    Whole(u64),
    Rate(f64),
}

impl Unit {
    /// Of the payload; what is behind the first word of a number, such as `seconds`, says nothing new.
    fn read(self, payload: &str) -> Option<Figure> {
        let number = || payload.split_whitespace().next();
        match self {
            Self::Text => Some(Figure::Text(payload.to_owned())),
            Self::Count | Self::Bytes | Self::Seconds => number()?.parse().ok().map(Figure::Whole),
            Self::PerMinute => {
                let rate = number()?.parse().ok();
                rate.filter(|rate: &f64| rate.is_finite()).map(Figure::Rate)
            }
        }
    }
}

/// Whose names they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Names {
    Mosquitto,
    Mosca,
}

/// What a server has said, of each topic the last. Of topics that nobody knows nothing is kept.
#[derive(Debug, Default)]
pub(super) struct Said {
    /// Of the server, if it has told; of several that share their topics, the first.
    id: Option<String>,
    payloads: HashMap<(Names, String), String>,
}

impl Said {
    pub(super) fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.payloads.is_empty()
    }

    /// Whether the message has a figure of these, which counts from now on.
    pub(super) fn take(&mut self, message: &OwnedPublish) -> bool {
        let topic = message.topic.strip_prefix("$SYS/");
        let Some((server, name)) = topic.and_then(|topic| topic.split_once('/')) else {
            return false;
        };
        let names = if server == "broker" {
            Names::Mosquitto
        } else {
            Names::Mosca
        };
        let payload = std::str::from_utf8(&message.payload);
        let payload = payload.ok().filter(|payload| payload.len() <= LONGEST);
        let (Some(payload), true) = (payload, is_known(names, name)) else {
            return false;
        };
        if names == Names::Mosca {
            let id = self.id.get_or_insert_with(|| server.to_owned());
            if id != server {
                return false;
            }
        }
        let key = (names, name.to_owned());
        self.payloads.insert(key, payload.to_owned());
        true
    }

    /// The figure of a row; of a column, if the section has any.
    pub(super) fn figure(&self, row: &Row, column: Option<&str>) -> Option<Figure> {
        let read = |names, base: &&str| {
            let payload = self.payloads.get(&(names, name(base, column)))?;
            row.unit.read(payload)
        };
        let of_mosquitto = || {
            let mut bases = row.mosquitto.iter();
            bases.find_map(|base| read(Names::Mosquitto, base))
        };
        let of_mosca = || match read(Names::Mosca, &row.mosca?)? {
            Figure::Rate(rate) => Some(Figure::Rate(rate * MOSCA_PER_MINUTE)),
            other => Some(other),
        };
        of_mosquitto().or_else(of_mosca)
    }
}

fn name(base: &str, column: Option<&str>) -> String {
    match column {
        Some(column) => format!("{base}/{column}"),
        None => base.to_owned(),
    }
}

fn is_known(names: Names, topic: &str) -> bool {
    let is_of = |section: &Section, base: &str| match topic.strip_prefix(base) {
        Some("") => section.columns.is_empty(),
        Some(rest) => rest
            .strip_prefix('/')
            .is_some_and(|rest| section.columns.contains(&rest)),
        None => false,
    };
    SECTIONS.iter().any(|section| {
        section.rows.iter().any(|row| match names {
            Names::Mosquitto => row.mosquitto.iter().any(|base| is_of(section, base)),
            Names::Mosca => row.mosca.is_some_and(|base| is_of(section, base)),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use mqtt_client::{PropertiesBuf, QoS};

    fn message(topic: &str, payload: &str) -> OwnedPublish {
        OwnedPublish {
            dup: false,
            qos: QoS::AtMostOnce,
            retain: true,
            topic: topic.to_owned(),
            packet_id: None,
            properties: PropertiesBuf::new(),
            payload: payload.to_owned().into(),
        }
    }

    fn figure(said: &Said, section: &str, row: &str, column: Option<&str>) -> Option<Figure> {
        let section = SECTIONS.iter().find(|it| it.name == section).unwrap();
        let row = section.rows.iter().find(|it| it.name == row).unwrap();
        said.figure(row, column)
    }

    #[test]
    fn both_names_are_understood_and_mosquitto_s_count_first() {
        let mut said = Said::default();
        for (topic, payload) in [
            ("$SYS/x/uptime", "20 seconds"),
            ("$SYS/x/load/publish/received/1min", "1.5"),
            ("$SYS/x/publish/received", "7"),
        ] {
            assert!(said.take(&message(topic, payload)), "{topic}");
        }
        let uptime = |said: &Said| figure(said, "server", "uptime", None);
        assert_eq!(said.id(), Some("x"));
        assert_eq!(uptime(&said), Some(Figure::Whole(20)));
        let rate = figure(&said, "per minute", "messages received", Some("1min"));
        assert_eq!(rate, Some(Figure::Rate(9.0)));
        let received = figure(&said, "traffic", "messages", Some("received"));
        assert_eq!(received, Some(Figure::Whole(7)));
        for secs in [21, 22] {
            let payload = format!("{secs} seconds");
            assert!(said.take(&message("$SYS/broker/uptime", &payload)));
            assert_eq!(uptime(&said), Some(Figure::Whole(secs)));
        }
    }

    #[test]
    fn what_is_no_figure_is_not_kept() {
        let mut said = Said::default();
        for (topic, payload) in [
            ("$SYS/x/new/clients", "a"),
            ("$SYS/broker/messages", "1"),
            ("$SYS/broker/messages/received/x", "1"),
            ("$SYS/uptime", "1"),
            ("a/b/uptime", "1"),
            ("$SYS/broker/version", &"v".repeat(LONGEST + 1)),
        ] {
            assert!(!said.take(&message(topic, payload)), "{topic}");
        }
        assert!(said.is_empty());
        said.take(&message("$SYS/broker/uptime", "long"));
        assert_eq!(figure(&said, "server", "uptime", None), None);
        // Of two servers that say different things, one is believed.
        said.take(&message("$SYS/x/uptime", "1"));
        assert!(!said.take(&message("$SYS/y/uptime", "2")));
    }

    #[test]
    fn no_two_rows_of_a_section_have_the_same_name() {
        for section in SECTIONS {
            let mut names: Vec<_> = section.rows.iter().map(|row| row.name).collect();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), section.rows.len(), "{}", section.name);
        }
    }
}
