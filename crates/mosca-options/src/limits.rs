//! The limits of the broker: each once, with its name in the code, from which its key in a file follows, what
//! it may be, and how it is set.

use std::sync::LazyLock;
use std::time::Duration;

use mosca::{
    BrokerOptions, IpNetwork, QoS, Rate, ServerBuilder, ShareStrategy, SlowConsumerPolicy,
};

use crate::backend;
use crate::definition::{Definition, Kind};
use crate::table::{COUNT_MAX, RATE, TIMEOUT};
use crate::value::{Object, Value};

/// Most bytes in memory: more than any machine has.
pub(crate) const BYTES_MAX: u64 = 1 << 48;

/// A number that a window may be.
pub(crate) const WINDOW: Kind = number(1, 65_535);

const NETWORKS: Kind = Kind::List(&Kind::Network);

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

/// Sets a limit on a server; one that is not of its kind changes nothing.
type Set = fn(ServerBuilder, &Value) -> ServerBuilder;

/// A limit of a broker, as JSON.
type Get = fn(&BrokerOptions) -> String;

macro_rules! table {
    (BrokerOptions { $($field:ident: $kind:expr, $doc:literal;)* }
     ServerBuilder { $($method:ident($type:ty): $method_kind:expr, $default:literal, $method_doc:literal;)* }) => {
        {
            vec![
                $((
                    Definition::new(camel_case(stringify!($field)).leak(), $kind, $doc),
                    |server, value| match Limit::from_value(value) {
                        Some(limit) => server.broker(|options| options.$field = limit),
                        None => server,
                    },
                    Some(|options| options.$field.to_json()),
                ),)*
                $((
                    Definition::new(camel_case(stringify!($method)).leak(), $method_kind, $method_doc).or($default),
                    |server, value| match Limit::from_value(value) {
                        Some::<$type>(limit) => server.$method(limit),
                        None => server,
                    },
                    None,
                ),)*
            ]
        }
    };
}

/// All limits, in the order of `docs/limits.md`. A new one is a line here.
static TABLE: LazyLock<Vec<(Definition, Set, Option<Get>)>> = LazyLock::new(|| {
    table! {
        BrokerOptions {
            connect_timeout: TIMEOUT, "time until CONNECT, and for its authentication";
            max_packet_size_bytes: bytes(1, 268_435_460), "a whole packet";
            max_connect_size_bytes: bytes(1, 268_435_460), "a CONNECT";
            max_client_id_bytes: bytes(1, 65_535), "a client identifier";
            max_client_id_chars_v31: number(1, 65_535), "characters of a client identifier of MQTT 3.1";
            max_authentication_rounds: number(1, 65_535), "packets of one exchange of an authentication method";
            hook_timeout: TIMEOUT, "time for one question about who may do what";
            max_sessions: number(1, COUNT_MAX), "sessions, connected or not";
            max_keep_alive_secs: seconds(1, 65_535), "longest keep alive";
            max_topic_bytes: bytes(1, 65_535), "a topic name or filter";
            max_topic_levels: number(1, 65_536), "levels of a topic name or filter";
            topic_alias_maximum: number(0, 65_535), "topic aliases that a client may set";
            outbound_topic_alias_maximum: number(0, 65_535), "topic aliases that the broker sets";
            max_subscriptions_per_session: number(0, COUNT_MAX), "subscriptions of one session";
            wildcard_subscriptions: Kind::Flag, "whether there are subscriptions with wildcards";
            subscription_identifiers: Kind::Flag, "whether there are subscription identifiers";
            shared_subscriptions: Kind::Flag, "whether there are shared subscriptions";
            max_qos: number(0, 2), "highest quality of service";
            max_inflight: WINDOW, "messages at QoS 1 and 2 under way to one client";
            receive_maximum: number(1, 65_535), "messages at QoS 2 under way from one client";
            max_publish_rate: RATE, "messages in a second from one client";
            max_receive_rate_bytes: RATE, "bytes in a second from one client";
            check_payload_format: Kind::Flag, "whether what is said to be UTF-8 has to be it";
            max_queued_messages: number(0, COUNT_MAX), "messages that wait for one client";
            max_queued_bytes: bytes(0, BYTES_MAX), "the same in bytes";
            max_total_queued_messages: number(0, COUNT_MAX), "messages in memory that wait for all clients together";
            max_total_queued_bytes: bytes(0, BYTES_MAX), "the same in bytes";
            max_total_partial_bytes: bytes(0, BYTES_MAX), "packets of all clients together of which the end has not come";
            queued_message_expiry_secs: seconds(1, 4_294_967_295), "how long a message waits; the most stands for ever";
            queue_qos_0: Kind::Flag, "whether messages at QoS 0 wait for clients that are away";
            queue_window_messages: number(1, COUNT_MAX), "waiting messages of one client in memory, where a store has the others";
            queue_window_bytes: bytes(1, BYTES_MAX), "the same in bytes";
            max_outbox_bytes: bytes(1, BYTES_MAX), "what waits for one client's socket";
            slow_consumer_policy: Kind::Words(POLICIES), "what becomes of a client for which QoS 0 is dropped since it does not keep up";
            write_timeout: TIMEOUT, "time in which a client takes something of what waits for it";
            max_retained_messages: number(0, COUNT_MAX), "retained messages";
            max_retained_bytes: bytes(0, BYTES_MAX), "the same in bytes";
            retain_available: Kind::Flag, "whether messages are retained";
            max_session_expiry_secs: seconds(0, 4_294_967_295), "how long a session outlives its connection; the most stands for ever";
            legacy_session_expiry_secs: seconds(0, 4_294_967_295), "the same for clients of MQTT 3, which cannot say";
            topic_cache_entries: number(0, 65_536), "topics whose receivers each publishing connection remembers";
            shared_subscription_strategy: Kind::Words(STRATEGIES), "which member of a shared subscription gets a message";
        }
        ServerBuilder {
            max_connections(usize): number(0, COUNT_MAX), "200000", "connections at one time on all interfaces";
            max_connections_per_address(usize): number(0, COUNT_MAX), "10000", "connections of one address at one time";
            connect_rate_per_address(Option<Rate>): RATE, r#"{ "perSecond": 100, "burst": 1000 }"#, "connections in a second from one address";
            exempt_networks(Vec<IpNetwork>): NETWORKS, r#"["127.0.0.0/8", "::1/128"]"#, "networks for which the limits of addresses do not hold";
            max_streams(usize): number(0, COUNT_MAX), "200000", "streams that a program hands over";
        }
    }
});

const STRATEGIES: &[&str] = &["roundRobin", "random", "sticky", "leastInflight"];
const POLICIES: &[&str] = &["drop", "disconnect"];

/// What can be set, as options of a file.
pub(crate) fn definitions() -> &'static [Definition] {
    static DEFINITIONS: LazyLock<Vec<Definition>> = LazyLock::new(|| {
        let options = BrokerOptions::default();
        let all = TABLE.iter().map(|&(definition, _, get)| match get {
            Some(get) => definition.or(get(&options).leak()),
            None => definition,
        });
        all.collect()
    });
    &DEFINITIONS
}

/// A server with what valid options say of it: its id, its limits, those towards an engine between brokers, its
/// statistics and what it announces. What is not there stays as it is. Where to listen, who may come in, what keeps
/// sessions and the engine itself are for the program to set up.
///
/// ```
/// use mosca::Server;
/// use mosca_options::{Format, apply};
///
/// let options = Format::Json.parse(r#"{ "id": "a", "limits": { "maxInflight": 20 } }"#)?;
/// let builder = apply(Server::builder(), options.as_object().unwrap());
/// # Ok::<_, mosca_options::SyntaxError>(())
/// ```
pub fn apply(server: ServerBuilder, options: &Object) -> ServerBuilder {
    let flag = |key| options.get(key).and_then(Value::as_bool).unwrap_or(true);
    let server = server
        .publish_new_client(flag("publishNewClient"))
        .publish_client_disconnect(flag("publishClientDisconnect"))
        .publish_subscriptions(flag("publishSubscriptions"));
    let server = match options.get("stats").map(statistics) {
        Some(interval) => server.statistics(interval),
        None => server,
    };
    let server = match options.get("id").and_then(Value::as_str) {
        Some(id) => server.id(id),
        None => server,
    };
    let server = match options.get("backend").and_then(Value::as_object) {
        Some(section) => backend::apply(server, section),
        None => server,
    };
    let limits = options.get("limits").and_then(Value::as_object);
    let limit = |key| limits.and_then(|limits| limits.get(key));
    TABLE.iter().fold(server, |server, (definition, set, _)| {
        match limit(definition.name) {
            Some(value) => set(server, value),
            None => server,
        }
    })
}

/// How often statistics are published, if they are: as often as by mosca unless something else is said.
fn statistics(value: &Value) -> Option<Duration> {
    let interval = value
        .as_object()
        .and_then(|it| it.get("interval")?.as_u64());
    let is_on = value.as_bool() != Some(false);
    is_on.then(|| interval.map_or(STATISTICS_INTERVAL, Duration::from_millis))
}

/// mosca's.
const STATISTICS_INTERVAL: Duration = Duration::from_secs(10);

/// The rate that a valid file says; `None` for no limit at all.
pub fn rate(value: &Value) -> Option<Rate> {
    let options = value.as_object()?;
    let number = |key| u32::from_value(options.get(key)?);
    let rate = Rate::per_sec(number("perSecond")?);
    Some(number("burst").map_or(rate, |burst| rate.with_burst(burst)))
}

/// The type of a limit.
trait Limit: Sized {
    /// What a value says; `None` if it is of another kind, or out of range.
    fn from_value(value: &Value) -> Option<Self>;

    /// A default, as JSON.
    fn to_json(&self) -> String;
}

macro_rules! number_limit {
    ($($number:ty),*) => {$(
        impl Limit for $number {
            fn from_value(value: &Value) -> Option<Self> {
                value.as_u64()?.try_into().ok()
            }

            fn to_json(&self) -> String {
                self.to_string()
            }
        }
    )*};
}
number_limit!(u8, u16, u32, u64, usize);

impl Limit for bool {
    fn from_value(value: &Value) -> Option<Self> {
        value.as_bool()
    }

    fn to_json(&self) -> String {
        self.to_string()
    }
}

impl Limit for Duration {
    fn from_value(value: &Value) -> Option<Self> {
        value.as_u64().map(Self::from_millis)
    }

    fn to_json(&self) -> String {
        self.as_millis().to_string()
    }
}

impl Limit for QoS {
    fn from_value(value: &Value) -> Option<Self> {
        Self::from_u8(u8::from_value(value)?)
    }

    fn to_json(&self) -> String {
        self.as_u8().to_string()
    }
}

macro_rules! word_limit {
    ($type:ident, $words:expr, [$($variant:ident),*]) => {
        impl Limit for $type {
            fn from_value(value: &Value) -> Option<Self> {
                let text = value.as_str()?;
                let mut named = $words.iter().zip([$(Self::$variant),*]);
                let found = named.find(|(name, _)| name.eq_ignore_ascii_case(text));
                found.map(|(_, it)| it)
            }

            fn to_json(&self) -> String {
                let name = format!("{self:?}");
                let found = $words.iter().find(|it| it.eq_ignore_ascii_case(&name));
                format!("{:?}", found.copied().unwrap_or_default())
            }
        }
    };
}
word_limit!(
    ShareStrategy,
    STRATEGIES,
    [RoundRobin, Random, Sticky, LeastInflight]
);
word_limit!(SlowConsumerPolicy, POLICIES, [Drop, Disconnect]);

impl Limit for Option<Rate> {
    fn from_value(value: &Value) -> Option<Self> {
        Some(rate(value))
    }

    fn to_json(&self) -> String {
        self.map_or("false".to_owned(), |rate| {
            let (each_sec, burst) = (rate.each_sec(), rate.burst());
            format!("{{ \"perSecond\": {each_sec}, \"burst\": {burst} }}")
        })
    }
}

impl Limit for Vec<IpNetwork> {
    fn from_value(value: &Value) -> Option<Self> {
        let texts = value.as_list()?.iter();
        texts.map(|text| text.as_str()?.parse().ok()).collect()
    }

    fn to_json(&self) -> String {
        let texts: Vec<_> = self
            .iter()
            .map(|it| format!("{:?}", it.to_string()))
            .collect();
        format!("[{}]", texts.join(", "))
    }
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
mod tests;
