//! The limits of the broker, as the config file's section `limits` and flags set them. `TABLE` has each
//! of them once: its name in the code, from which its key follows, and what it may be.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

use mosca::{
    BrokerOptions, IpNetwork, QoS, Rate, ServerBuilder, ShareStrategy, SlowConsumerPolicy,
};
#[cfg(test)]
use tests::ToGiven as _;

/// Most connections, sessions, messages or anything else that is counted.
pub(crate) const COUNT_MAX: u64 = 1 << 32;

/// Most bytes in memory: more than any machine has.
const BYTES_MAX: u64 = 1 << 48;

/// Longest timeout: an hour.
pub(crate) const TIMEOUT_MAX_MS: u64 = 3_600_000;

/// What a limit may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A whole number.
    Number {
        /// The least.
        from: u64,
        /// The most.
        to: u64,
        /// Stands behind the range in complaints.
        unit: &'static str,
    },
    /// On or off.
    Flag,
    /// One of these.
    Words(&'static [&'static str]),
    /// So many in a second, or none at all.
    Rate,
    /// IP networks.
    Networks,
}

const fn number(from: u64, to: u64) -> Kind {
    Kind::Number { from, to, unit: "" }
}

const fn bytes(from: u64, to: u64) -> Kind {
    let unit = " bytes";
    Kind::Number { from, to, unit }
}

const fn seconds(from: u64, to: u64) -> Kind {
    let unit = " s";
    Kind::Number { from, to, unit }
}

/// A timeout in milliseconds.
const TIMEOUT: Kind = Kind::Number {
    from: 1,
    to: TIMEOUT_MAX_MS,
    unit: " ms",
};

/// A limit that can be set.
#[derive(Debug)]
pub(crate) struct Limit {
    /// In the config file: the option's name in camel case.
    pub(crate) key: String,
    /// What it may be.
    pub(crate) kind: Kind,
    set: fn(ServerBuilder, &Given) -> ServerBuilder,
    /// What it is, where that can be asked for.
    #[cfg(test)]
    get: Option<fn(&BrokerOptions) -> Given>,
}

/// What a limit was set to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Given {
    Number(u64),
    Flag(bool),
    Word(&'static str),
    Rate(Option<Rate>),
    Networks(Vec<IpNetwork>),
}

macro_rules! table {
    (BrokerOptions { $($field:ident: $kind:expr,)* }
     ServerBuilder { $($method:ident($type:ty): $method_kind:expr,)* }) => {
        vec![
            $(Limit {
                key: camel_case(stringify!($field)),
                kind: $kind,
                #[cfg(test)]
                get: Some(|options| options.$field.to_given()),
                set: |server, given| {
                    server.broker(|options: &mut BrokerOptions| {
                        if let Some(value) = FromGiven::from_given(given) {
                            options.$field = value;
                        }
                    })
                },
            },)*
            $(Limit {
                key: camel_case(stringify!($method)),
                kind: $method_kind,
                #[cfg(test)]
                get: None,
                set: |server, given| match FromGiven::from_given(given) {
                    Some::<$type>(value) => server.$method(value),
                    None => server,
                },
            },)*
        ]
    };
}

/// All limits, in the order of `docs/limits.md`. A new one is a line here.
static TABLE: LazyLock<Vec<Limit>> = LazyLock::new(|| {
    table! {
        BrokerOptions {
            connect_timeout: TIMEOUT,
            max_packet_size_bytes: bytes(1, 268_435_460),
            max_connect_size_bytes: bytes(1, 268_435_460),
            max_client_id_bytes: bytes(1, 65_535),
            max_client_id_chars_v31: number(1, 65_535),
            max_authentication_rounds: number(1, 65_535),
            hook_timeout: TIMEOUT,
            max_sessions: number(1, COUNT_MAX),
            max_keep_alive_secs: seconds(1, 65_535),
            max_topic_bytes: bytes(1, 65_535),
            max_topic_levels: number(1, 65_536),
            topic_alias_maximum: number(0, 65_535),
            outbound_topic_alias_maximum: number(0, 65_535),
            max_subscriptions_per_session: number(0, COUNT_MAX),
            wildcard_subscriptions: Kind::Flag,
            subscription_identifiers: Kind::Flag,
            shared_subscriptions: Kind::Flag,
            max_qos: number(0, 2),
            max_inflight: number(1, 65_535),
            receive_maximum: number(1, 65_535),
            max_publish_rate: Kind::Rate,
            max_receive_rate_bytes: Kind::Rate,
            check_payload_format: Kind::Flag,
            max_queued_messages: number(0, COUNT_MAX),
            max_queued_bytes: bytes(0, BYTES_MAX),
            max_total_queued_messages: number(0, COUNT_MAX),
            max_total_queued_bytes: bytes(0, BYTES_MAX),
            max_total_partial_bytes: bytes(0, BYTES_MAX),
            queued_message_expiry_secs: seconds(1, 4_294_967_295),
            queue_qos_0: Kind::Flag,
            queue_window_messages: number(1, COUNT_MAX),
            queue_window_bytes: bytes(1, BYTES_MAX),
            max_outbox_bytes: bytes(1, BYTES_MAX),
            slow_consumer_policy: Kind::Words(POLICIES),
            write_timeout: TIMEOUT,
            max_retained_messages: number(0, COUNT_MAX),
            max_retained_bytes: bytes(0, BYTES_MAX),
            retain_available: Kind::Flag,
            max_session_expiry_secs: seconds(0, 4_294_967_295),
            legacy_session_expiry_secs: seconds(0, 4_294_967_295),
            topic_cache_entries: number(0, 65_536),
            shared_subscription_strategy: Kind::Words(STRATEGIES),
        }
        ServerBuilder {
            max_connections(usize): number(0, COUNT_MAX),
            max_connections_per_address(usize): number(0, COUNT_MAX),
            connect_rate_per_address(Option<Rate>): Kind::Rate,
            exempt_networks(Vec<IpNetwork>): Kind::Networks,
            max_streams(usize): number(0, COUNT_MAX),
        }
    }
});

const STRATEGIES: &[&str] = &["roundRobin", "random", "sticky", "leastInflight"];

const POLICIES: &[&str] = &["drop", "disconnect"];

/// A value of some option's type; `None` if what was given is of another kind, or out of range.
trait FromGiven: Sized {
    fn from_given(given: &Given) -> Option<Self>;
}

macro_rules! from_number {
    ($($number:ty),*) => {$(
        impl FromGiven for $number {
            fn from_given(given: &Given) -> Option<Self> {
                match *given {
                    Given::Number(number) => number.try_into().ok(),
                    _ => None,
                }
            }
        }
    )*};
}
from_number!(u8, u16, u32, usize);

impl FromGiven for Duration {
    fn from_given(given: &Given) -> Option<Self> {
        match *given {
            Given::Number(millis) => Some(Self::from_millis(millis)),
            _ => None,
        }
    }
}

impl FromGiven for bool {
    fn from_given(given: &Given) -> Option<Self> {
        match *given {
            Given::Flag(flag) => Some(flag),
            _ => None,
        }
    }
}

impl FromGiven for QoS {
    fn from_given(given: &Given) -> Option<Self> {
        u8::from_given(given).and_then(Self::from_u8)
    }
}

impl FromGiven for ShareStrategy {
    fn from_given(given: &Given) -> Option<Self> {
        match *given {
            Given::Word("roundRobin") => Some(Self::RoundRobin),
            Given::Word("random") => Some(Self::Random),
            Given::Word("sticky") => Some(Self::Sticky),
            Given::Word("leastInflight") => Some(Self::LeastInflight),
            _ => None,
        }
    }
}

impl FromGiven for SlowConsumerPolicy {
    fn from_given(given: &Given) -> Option<Self> {
        match *given {
            Given::Word("drop") => Some(Self::Drop),
            Given::Word("disconnect") => Some(Self::Disconnect),
            _ => None,
        }
    }
}

impl FromGiven for Option<Rate> {
    fn from_given(given: &Given) -> Option<Self> {
        match *given {
            Given::Rate(rate) => Some(rate),
            _ => None,
        }
    }
}

impl FromGiven for Vec<IpNetwork> {
    fn from_given(given: &Given) -> Option<Self> {
        match given {
            Given::Networks(networks) => Some(networks.clone()),
            _ => None,
        }
    }
}

/// Limits that differ from the defaults, by their keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Limits(BTreeMap<&'static str, Given>);

impl Limits {
    /// All limits that there are.
    pub(crate) fn known() -> impl Iterator<Item = &'static Limit> {
        TABLE.iter()
    }

    /// Sets a limit, whatever it was before.
    pub(crate) fn set(&mut self, key: &'static str, given: Given) {
        self.0.insert(key, given);
    }

    /// Sets a limit that is a number.
    ///
    /// # Errors
    /// Out of its range, which the error names.
    pub(crate) fn set_number(&mut self, key: &'static str, given: u64) -> Result<(), WrongLimit> {
        let limit = Self::known().find(|limit| limit.key == key);
        if let Some(Kind::Number { from, to, unit }) = limit.map(|limit| limit.kind)
            && !(from..=to).contains(&given)
        {
            return Err(WrongLimit {
                given,
                from,
                to,
                unit,
            });
        }
        self.set(key, Given::Number(given));
        Ok(())
    }

    /// Whether it was set.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    /// The server with these limits.
    pub(crate) fn apply(&self, server: ServerBuilder) -> ServerBuilder {
        Self::known().fold(server, |server, limit| match self.0.get(&*limit.key) {
            Some(given) => (limit.set)(server, given),
            None => server,
        })
    }
}

/// A number that a limit cannot be.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{given} is not a whole number from {from} to {to}{unit}")]
pub(crate) struct WrongLimit {
    given: u64,
    from: u64,
    to: u64,
    unit: &'static str,
}

/// `max_inflight` as `maxInflight`.
fn camel_case(name: &str) -> String {
    let mut parts = name.split('_');
    let mut key = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let mut chars = part.chars();
        key.extend(chars.next().map(|first| first.to_ascii_uppercase()));
        key.push_str(chars.as_str());
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;
    use mosca::Server;

    /// The rows of `docs/limits.md` that are fields of `BrokerOptions` or methods of `ServerBuilder`.
    fn rows() -> Vec<String> {
        let page = include_str!("../../../docs/limits.md");
        let mut section = "";
        let mut names = Vec::new();
        for line in page.lines() {
            if let Some(title) = line.strip_prefix("## ") {
                section = title;
            }
            // The names of tests, by rows from above.
            if section == "Shown by" {
                continue;
            }
            let cell = line
                .strip_prefix("| `")
                .and_then(|rest| rest.split_once("` |"));
            let Some((name, _)) = cell else { continue };
            match name.split_once("::") {
                Some(("ServerBuilder", method)) => names.push(method.to_owned()),
                Some(_) => {}
                // Those of the crate `authorizer`.
                None if section == "Logging in" => {}
                None if name.contains(' ') => {}
                None => names.push(name.to_owned()),
            }
        }
        names
    }

    /// What a program alone can give.
    const OF_PROGRAMS: [&str; 7] = [
        "announcements",
        "authentication_methods",
        "require_enhanced_authentication",
        "redirect",
        "hooks",
        "response_information",
        "assign_client_id",
    ];

    #[test]
    fn every_row_of_the_page_of_limits_has_a_key_and_there_are_no_others() {
        let rows = rows();
        let settable = rows
            .iter()
            .filter(|row| !OF_PROGRAMS.contains(&row.as_str()));
        let mut expected: Vec<_> = settable.map(|row| camel_case(row)).collect();
        assert!(expected.len() > 30, "{expected:?}");
        let mut known: Vec<_> = Limits::known().map(|limit| limit.key.clone()).collect();
        expected.sort();
        known.sort();
        assert_eq!(known, expected);
    }

    /// The ends of its range, or something of its kind.
    fn samples(limit: &Limit) -> Vec<Given> {
        match limit.kind {
            Kind::Number { from, to, .. } => vec![Given::Number(from), Given::Number(to)],
            Kind::Flag => vec![Given::Flag(false), Given::Flag(true)],
            Kind::Words(words) => words.iter().map(|&word| Given::Word(word)).collect(),
            Kind::Rate => vec![Given::Rate(None), Given::Rate(Some(Rate::per_sec(7)))],
            Kind::Networks => vec![Given::Networks(Vec::new())],
        }
    }

    /// A kind that is not the option's own, or a range that is wider than its type, would change nothing.
    #[test]
    fn each_limit_takes_effect_at_both_ends_of_its_range() {
        let without = format!("{:?}", Server::builder());
        for limit in Limits::known() {
            let samples = samples(limit);
            let mut shown = Vec::new();
            for given in &samples {
                let mut limits = Limits::default();
                limits.set(&limit.key, given.clone());
                let server = limits.apply(Server::builder());
                shown.push(format!("{server:?}"));
                if let Some(get) = limit.get {
                    let _server = server.broker(|options| assert_eq!(get(options), *given));
                }
            }
            let has_effect = limit.get.is_some() || shown.iter().all(|it| *it != without);
            assert!(has_effect, "{}", limit.key);
        }
    }

    /// What an option was set to.
    pub(super) trait ToGiven {
        fn to_given(&self) -> Given;
    }

    macro_rules! to_given {
        ($($type:ty: $given:expr;)*) => {$(
            impl ToGiven for $type {
                fn to_given(&self) -> Given {
                    let given: fn(&Self) -> Given = $given;
                    given(self)
                }
            }
        )*};
    }
    to_given! {
        u16: |number| Given::Number((*number).into());
        u32: |number| Given::Number((*number).into());
        usize: |number| Given::Number(*number as u64);
        bool: |flag| Given::Flag(*flag);
        Option<Rate>: |rate| Given::Rate(*rate);
        QoS: |qos| Given::Number(qos.as_u8().into());
        Duration: |time| Given::Number(time.as_millis() as u64);
        ShareStrategy: |strategy| word(STRATEGIES, strategy);
        SlowConsumerPolicy: |policy| word(POLICIES, policy);
    }

    /// The one of `words` by which `value` is known.
    fn word(words: &'static [&'static str], value: &dyn std::fmt::Debug) -> Given {
        let name = format!("{value:?}");
        Given::Word(
            words
                .iter()
                .find(|it| it.eq_ignore_ascii_case(&name))
                .unwrap(),
        )
    }

    #[test]
    fn a_number_out_of_range_is_refused_with_what_is_allowed() {
        let mut limits = Limits::default();
        assert_eq!(limits.set_number("maxInflight", 65_535), Ok(()));
        let before = limits.clone();
        let error = limits.set_number("maxInflight", 0).unwrap_err();
        assert_eq!(error.to_string(), "0 is not a whole number from 1 to 65535");
        assert_eq!(limits, before);
    }
}
