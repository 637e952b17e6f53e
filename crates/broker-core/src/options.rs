//! What the owner of a broker decides: features and, above all, limits.
//!
//! Whatever a client can make grow has a limit here. Each limit's doc says what the client sees
//! when it reaches it, and which counter of [`Counters`](crate::Counters) tells the operator.

use core::time::Duration;
use std::fmt;
use std::sync::Arc;

use mqtt_codec::QoS;

use crate::authentication::AuthenticationMethod;
use crate::hooks::Hooks;
use crate::{Announcements, NodeOptions, Rate, Redirect};

/// Options of a [`Broker`](crate::Broker).
///
/// ```
/// use broker_core::BrokerOptions;
///
/// let options = BrokerOptions { max_inflight: 20, ..BrokerOptions::default() };
/// assert_eq!(options.max_packet_size_bytes, 2_000_000);
/// ```
#[derive(Clone)]
pub struct BrokerOptions {
    /// How long a network connection may take from being accepted to a complete CONNECT, and to
    /// the end of the exchange where CONNECT names an authentication method. Default: 10 s. After it
    /// the connection is closed: without a word if there was no CONNECT, otherwise with 0x87 in
    /// CONNACK (`authentication_failures`). A re-authentication on a live connection may take as long
    /// from its AUTH on, and is ended with 0x87 in DISCONNECT.
    pub connect_timeout: Duration,

    /// The methods of enhanced authentication that clients may choose from (MQTT 5.0 4.12).
    /// Default: none. A client that names another is refused with 0x8C. Of two with one name the
    /// first counts.
    pub authentication_methods: Vec<Arc<dyn AuthenticationMethod>>,

    /// Whether only clients are let in that name one of
    /// [`authentication_methods`](Self::authentication_methods). Default: false. Any other is refused
    /// with 0x87 (3.x, which has no such methods: return code 5), and counted
    /// (`authentication_failures`).
    pub require_enhanced_authentication: bool,

    /// Packets that a client may send in one exchange of an authentication method, CONNECT (or the
    /// AUTH that begins a re-authentication) included. Default: 16, range from 1; SCRAM takes two. A
    /// client that needs more fails with 0x87 (`authentication_failures`).
    pub max_authentication_rounds: u16,

    /// What the program around the broker decides and hears of. Default: none.
    pub hooks: Option<Arc<dyn Hooks>>,

    /// What makes it one of several nodes, behind an engine between them
    /// ([`Backend`](crate::backend::Backend)). Default: none, it stands alone.
    pub node: Option<NodeOptions>,

    /// What the broker says of its clients on topics of its own. Default: nothing.
    pub announcements: Option<Announcements>,

    /// How long a verdict of [`hooks`](Self::hooks) may take on a live connection. Default: 30 s. After it
    /// the request is refused as if the hook had panicked, and counted (`hook_failures`); before CONNACK
    /// [`connect_timeout`](Self::connect_timeout) counts instead.
    pub hook_timeout: Duration,

    /// Largest packet accepted from a client, whole packet with its fixed header, in bytes.
    /// Default: 2,000,000; maximum: 268,435,460, all that MQTT can express. A larger one closes the
    /// connection as soon as its fixed header has arrived: MQTT 5 clients get reason code 0x95,
    /// and have been told the limit in CONNACK where it is below the maximum (MQTT 5.0 3.2.2.3.6).
    pub max_packet_size_bytes: u32,

    /// Largest CONNECT, whole packet, in bytes. Default: 262,144; identifier, will, user name and
    /// password take 202,000 at most with the other defaults, the rest is for user properties. It comes from someone who has
    /// not said who he is, so the limit is lower than that of other packets; where
    /// [`max_packet_size_bytes`](Self::max_packet_size_bytes) is lower still, that one counts. A
    /// larger one closes the connection as soon as its fixed header has arrived; MQTT 5 clients get
    /// CONNACK with 0x95 if what has arrived names their version.
    pub max_connect_size_bytes: u32,

    /// Longest client identifier in bytes. Default: 1,024. A longer one is refused with 0x85
    /// (3.x: return code 2).
    pub max_client_id_bytes: usize,

    /// Longest client identifier of an MQTT 3.1 client in characters. Default: 23, as the text of that
    /// version has it ("between 1 and 23 characters long"). A longer one is refused with return code
    /// 2. Raise it for clients that speak 3.1 and do not keep to it.
    pub max_client_id_chars_v31: usize,

    /// Sessions known at one time, connected or not. Default: 1,000,000. The next new one is
    /// refused with 0x97 (3.x: return code 3).
    pub max_sessions: usize,

    /// Longest topic name or topic filter in bytes. Default: 4,096. A longer topic name closes
    /// the connection with 0x90; a longer filter is refused in SUBACK with 0x8F (3.x: 0x80).
    pub max_topic_bytes: usize,

    /// Most levels of a topic name or topic filter. Default: 201, which have 200 times `/` between
    /// them. Answered like [`max_topic_bytes`](Self::max_topic_bytes).
    pub max_topic_levels: usize,

    /// Subscriptions that one session may hold. Default: 20,000. One more is refused in SUBACK
    /// with 0x97 (3.x: 0x80).
    pub max_subscriptions_per_session: usize,

    /// Highest quality of service; subscriptions are granted at most this. Default: 2. A
    /// PUBLISH or will above it is refused with 0x9B (MQTT 5.0 3.2.2.3.4); a 3.x connection that
    /// sends one is closed.
    pub max_qos: QoS,

    /// Unacknowledged QoS 1 and 2 messages under way to one client (the send window). Default:
    /// 1,024, range 1 to 65,535; an MQTT 5 client's receive maximum may lower it. What is beyond
    /// waits in the session's queue.
    pub max_inflight: u16,

    /// QoS 2 messages that one client may have begun on a connection and not completed (receive
    /// maximum, MQTT 5.0 3.2.2.3.3). Default: 1,024, range 1 to 65,535. An MQTT 5 client that exceeds
    /// it is disconnected with 0x93. What it began on earlier connections does not count (MQTT 5.0
    /// 4.9); a 3.x client, which has not been told, may use up to 65,535.
    pub receive_maximum: u16,

    /// PUBLISH packets that one connection may bring, in a second and at once. Default: none, as many
    /// as it likes. When there is room for no more, nothing is read from it until there is room for
    /// the next one: TCP holds the client back, nothing is lost, and its keep alive does not run.
    /// Counted each time (`publish_rate_waits`). A client that sends them singly, slower than the
    /// rate, is not held up; one that has sent all that it may at once waits for the time of one
    /// message, also if what it sends next is no message.
    ///
    /// ```
    /// use broker_core::{BrokerOptions, Rate};
    ///
    /// let options = BrokerOptions {
    ///     max_publish_rate: Some(Rate::per_sec(100).with_burst(1_000)),
    ///     ..BrokerOptions::default()
    /// };
    /// # assert!(options.max_publish_rate.is_some());
    /// ```
    pub max_publish_rate: Option<Rate>,

    /// Bytes of packets, of whatever type, that one connection may bring, in a second and at once. Default:
    /// none, as many as it likes. At the limit the same happens (`receive_rate_waits`). What was read
    /// together counts together, and a packet when it is whole; so up to 256 KiB, or one packet, may
    /// come beyond what there was room for, and then has to be waited for.
    pub max_receive_rate_bytes: Option<Rate>,

    /// Topic aliases that one client may set on a connection (MQTT 5.0 3.2.2.3.8), told in CONNACK
    /// where it is above 0. Default: 256; 0 accepts none. What one connection's aliases can make the
    /// broker keep is this many topic names of [`max_topic_bytes`](Self::max_topic_bytes), 1 MiB
    /// with the defaults; a connection that sets none owns nothing. An alias above it closes the
    /// connection with 0x94 and is counted (`protocol_errors`).
    pub topic_alias_maximum: u16,

    /// Topic aliases that the broker uses on the way to one client; the client's topic alias maximum
    /// in CONNECT (MQTT 5.0 3.1.2.11.5) may lower it, and is 0 where the client says nothing.
    /// Default: 32; 0 uses none. The first topic names on a connection get them and keep them, others
    /// are sent in full: the memory is this many topic names at most, and is used only for clients
    /// that ask for aliases.
    pub outbound_topic_alias_maximum: u16,

    /// Messages that may wait in one session, inflight ones included. Default: 100,000. Further
    /// ones are dropped for this session alone and counted (`dropped_queue_full`).
    pub max_queued_messages: usize,

    /// The same in bytes of topic, properties and payload. Default: 64 MiB. A message that is
    /// shared by many sessions counts in full for each.
    pub max_queued_bytes: usize,

    /// Messages that may wait for all clients together in memory, those under way included. Default:
    /// 5,000,000. Each session's first 16 are not counted, and always granted. Of the rest three
    /// quarters are for all, and what is above that for those for whom nothing waits. A further message
    /// is dropped for the session in question alone and counted (`dropped_total_full`); with a store that
    /// outlives the process, sessions that are kept there have it in the store alone.
    pub max_total_queued_messages: usize,

    /// The same in bytes: topic, properties and payload of what waits, and what is encoded for the
    /// clients' sockets. Default: 1 GiB. Each session's first 4 KiB are not counted, and always granted.
    /// A message that is shared by many sessions counts in full for each.
    pub max_total_queued_bytes: usize,

    /// Bytes of memory for packets of which the end has not come, of all connections together. Default:
    /// 512 MiB, of which one connection may need half. The first 4 KiB of a connection are not counted,
    /// and always granted. A connection that needs more is closed with 0x97 and counted
    /// (`refused_partial_packets`); before CONNECT is whole it is closed without a word.
    pub max_total_partial_bytes: usize,

    /// How long a message may wait in the queue of a session, in seconds from its publication.
    /// Default: 4,294,967,295, which stands for "as long as its publisher wants": for ever where that
    /// is a 3.x client, which cannot say. A publisher's own message expiry interval counts where it is
    /// shorter. What has waited for longer is never sent, and counted (`dropped_expired`); an MQTT 5
    /// client is told what remains, as if the publisher had asked for it. Retained messages stay.
    pub queued_message_expiry_secs: u32,

    /// Whether QoS 0 messages wait for sessions whose clients are away, as QoS 1 and 2 do. Default:
    /// false: they are lost for them. Otherwise they are kept where those are kept and count for the
    /// same limits, wait behind what waits already so that order is kept, and are sent once at most,
    /// also when the broker ends while it sends them. Not for shared subscriptions, which give them to
    /// a member that is connected, and not for topics that begin with `$`.
    pub queue_qos_0: bool,
    /// Messages waiting in one session that are kept in memory besides those under way, where the
    /// store outlives the process. Default: 2,000, at least 1. What is behind them is in the store
    /// alone, and read in order as they drain, 1,000 at most at a time; of what waits for a client
    /// that is away none is in memory. With a store in memory, or none, all are. So are the messages
    /// of a session that has a shared subscription, because they may have to go to another member.
    pub queue_window_messages: usize,

    /// The same in bytes of topic, properties and payload, those under way included. Default: 4 MiB.
    /// A single message may go past the limit.
    pub queue_window_bytes: usize,

    /// Bytes that may wait for one client's socket. Default: 16 MiB. Past it a QoS 0 message is
    /// dropped for this client alone and counted (`dropped_slow_reader`); QoS 1 and 2 stay in
    /// the session's queue. A single message may go past the limit, so large ones get through.
    pub max_outbox_bytes: usize,

    /// What else becomes of a client for which a QoS 0 message comes when
    /// [`max_outbox_bytes`](Self::max_outbox_bytes) wait for it. Default: nothing.
    pub slow_consumer_policy: SlowConsumerPolicy,

    /// How long a client's socket may take no byte while something waits for it. Default: 60 s. After
    /// that the connection is closed, without a word since none would be taken, and counted
    /// (`slow_readers_closed`). The session goes on as after any lost connection.
    pub write_timeout: Duration,

    /// Retained messages. Default: 1,000,000. A further PUBLISH that would retain a message on
    /// a new topic is delivered but not retained, and counted (`refused_retained`); MQTT 5
    /// clients see 0x97 in PUBACK or PUBREC.
    pub max_retained_messages: usize,

    /// The same in bytes of topic, properties and payload. Default: 256 MiB.
    pub max_retained_bytes: usize,

    /// Longest session expiry interval granted, in seconds. Default: 4,294,967,295, which stands
    /// for "never". A client that asks for more is told the shorter one in CONNACK.
    pub max_session_expiry_secs: u32,

    /// How long the session of a 3.x client that connected with clean session 0 outlives its
    /// connection, in seconds. Default: 4,294,967,295, "never", as MQTT 3.1.1 has it.
    pub legacy_session_expiry_secs: u32,

    /// Keep alive that a client may ask for at most, in seconds. Default: 65,535. A client that
    /// asks for more, or for none (0), is given this one when it speaks MQTT 5 (server keep
    /// alive); where the limit is below 65,535 it is applied to 3.x clients as it stands.
    pub max_keep_alive_secs: u16,

    /// Whether retained messages are kept and sent. Default: true.
    pub retain_available: bool,

    /// Whether a payload that is said to be UTF-8 (payload format indicator 1, MQTT 5.0 3.3.2.3.2) is
    /// checked to be. Default: false, since it costs a look at each byte of such a payload. One that
    /// is not is neither delivered nor retained, and counted (`refused_payload_format`): at QoS 1 and 2
    /// PUBACK or PUBREC says 0x99; at QoS 0, which is not answered, the connection is closed with
    /// 0x99, so that nothing gets lost without a word; a CONNECT with such a will is refused with
    /// 0x99.
    pub check_payload_format: bool,

    /// Whether filters with wildcards are accepted. Default: true. Otherwise MQTT 5 clients are told
    /// in CONNACK, and one that uses them nevertheless is disconnected with 0xA2 (MQTT 5.0
    /// 3.2.2.3.11); a 3.1.1 client gets 0x80 in SUBACK, a 3.1 connection is closed.
    pub wildcard_subscriptions: bool,

    /// Whether subscription identifiers are accepted. Default: true. Otherwise clients are told in
    /// CONNACK, and one that uses them nevertheless is disconnected with 0xA1 (MQTT 5.0 3.2.2.3.12).
    pub subscription_identifiers: bool,

    /// Whether filters `$share/{name}/{filter}` are shared subscriptions (MQTT 5.0 4.8.2), for
    /// clients of all versions. Default: true. Otherwise MQTT 5 clients are told in CONNACK, and one
    /// that uses them nevertheless is disconnected with 0x9E (3.2.2.3.13); a 3.1.1 client gets 0x80
    /// in SUBACK, a 3.1 connection is closed.
    pub shared_subscriptions: bool,

    /// Which member of a shared subscription gets the next message. Default: in turn.
    pub shared_subscription_strategy: ShareStrategy,

    /// Where clients are sent instead of being served, from the start on; see
    /// [`Broker::redirect`](crate::Broker::redirect). Default: nowhere.
    pub redirect: Option<Redirect>,

    /// Makes the response information of a client from its client identifier: by convention the
    /// start of the topics that it may use as response topics (MQTT 5.0 3.2.2.3.15). It is sent in
    /// CONNACK to clients that ask for it (request response information 1) and to no other
    /// [MQTT-3.1.2-28]; one longer than 65,535 bytes is not sent. Default: none.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use broker_core::BrokerOptions;
    ///
    /// let options = BrokerOptions {
    ///     response_information: Some(Arc::new(|client: &str| format!("replies/{client}/"))),
    ///     ..BrokerOptions::default()
    /// };
    /// # assert!(options.response_information.is_some());
    /// ```
    pub response_information: Option<ResponseInformation>,

    /// Topics whose receivers each publishing connection remembers. Default: 16; 0 remembers
    /// none. The memory of one remembered topic grows with its receivers, of which at most 1,024
    /// are remembered.
    pub topic_cache_entries: usize,

    /// Makes the client identifier for a client that sent none. It must be unique and hard to
    /// guess. There is no default: the core has no randomness of its own.
    pub assign_client_id: Arc<dyn Fn() -> String + Send + Sync>,
}

/// Makes response information from a client identifier; see
/// [`BrokerOptions::response_information`].
pub type ResponseInformation = Arc<dyn Fn(&str) -> String + Send + Sync>;

impl BrokerOptions {
    /// Whether a topic name or topic filter of these levels is within the limits.
    pub(crate) fn allows_topic(&self, text: &str, levels: impl Iterator) -> bool {
        // A text has at most one level more than it has bytes: most need no counting.
        text.len() <= self.max_topic_bytes
            && (text.len() < self.max_topic_levels || levels.count() <= self.max_topic_levels)
    }
}

impl Default for BrokerOptions {
    /// The defaults named at each field. `assign_client_id` counts up: unique, but easily
    /// guessed, so set it in anything that is not a test.
    fn default() -> Self {
        let counter = core::sync::atomic::AtomicU64::new(1);
        Self {
            connect_timeout: Duration::from_secs(10),
            authentication_methods: Vec::new(),
            require_enhanced_authentication: false,
            max_authentication_rounds: 16,
            hooks: None,
            node: None,
            announcements: None,
            hook_timeout: Duration::from_secs(30),
            max_packet_size_bytes: 2_000_000,
            max_connect_size_bytes: 256 << 10,
            max_client_id_bytes: 1_024,
            max_client_id_chars_v31: 23,
            max_sessions: 1_000_000,
            max_topic_bytes: 4_096,
            max_topic_levels: 201,
            max_subscriptions_per_session: 20_000,
            max_qos: QoS::ExactlyOnce,
            max_inflight: 1_024,
            receive_maximum: 1_024,
            max_publish_rate: None,
            max_receive_rate_bytes: None,
            topic_alias_maximum: 256,
            outbound_topic_alias_maximum: 32,
            max_queued_messages: 100_000,
            max_queued_bytes: 64 << 20,
            max_total_queued_messages: 5_000_000,
            max_total_queued_bytes: 1 << 30,
            max_total_partial_bytes: 512 << 20,
            queued_message_expiry_secs: u32::MAX,
            queue_qos_0: false,
            queue_window_messages: 2_000,
            queue_window_bytes: 4 << 20,
            max_outbox_bytes: 16 << 20,
            slow_consumer_policy: SlowConsumerPolicy::default(),
            write_timeout: Duration::from_secs(60),
            max_retained_messages: 1_000_000,
            max_retained_bytes: 256 << 20,
            max_session_expiry_secs: u32::MAX,
            legacy_session_expiry_secs: u32::MAX,
            max_keep_alive_secs: u16::MAX,
            retain_available: true,
            check_payload_format: false,
            wildcard_subscriptions: true,
            redirect: None,
            response_information: None,
            subscription_identifiers: true,
            shared_subscriptions: true,
            shared_subscription_strategy: ShareStrategy::default(),
            topic_cache_entries: 16,
            assign_client_id: Arc::new(move || {
                let number = counter.fetch_add(1, core::sync::atomic::Ordering::Relaxed);
                format!("auto-{number}")
            }),
        }
    }
}

impl fmt::Debug for BrokerOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BrokerOptions")
            .field("max_packet_size_bytes", &self.max_packet_size_bytes)
            .field("max_inflight", &self.max_inflight)
            .field("max_queued_messages", &self.max_queued_messages)
            .field("max_outbox_bytes", &self.max_outbox_bytes)
            .finish_non_exhaustive()
    }
}

/// Which connected member of a shared subscription gets the next message (MQTT 5.0 4.8.2).
///
/// If the one that is chosen cannot take it, because its outbox or its queue is full or the packet is
/// too large for it, the others are asked; only if nobody takes it is it dropped and counted, once.
/// While no member is connected, QoS 1 and 2 messages wait in the session of one that is to return.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ShareStrategy {
    /// One after the other.
    #[default]
    RoundRobin,
    /// Any, with the same chance for each. The numbers are fixed by the subscription's text, so they
    /// are no secret.
    Random,
    /// The same until it disconnects or leaves, then another.
    Sticky,
    /// The one with the fewest QoS 1 and 2 messages under way or waiting, of the 256 connected members
    /// whose turn is next; in turn among equals.
    LeastInflight,
}

/// What becomes of a client that does not take what is sent to it as fast as it comes, when it is to get
/// one more message at QoS 0 than may wait for its socket. Messages at QoS 1 and 2 wait in its session's
/// queue in either case. Of a shared subscription another member gets the message, and nobody is
/// disconnected for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SlowConsumerPolicy {
    /// The message is dropped for this client, who does not learn of it.
    #[default]
    Drop,
    /// The message is dropped, and the client is disconnected, so that it learns of it: with 0x97 in
    /// DISCONNECT (MQTT 5), if it takes that within the time for last words. Counted
    /// (`slow_readers_closed`). The session goes on as after any lost connection.
    Disconnect,
}

/// The largest packet that MQTT can express: a remaining length of 268,435,455 bytes (section
/// 2.2.3 of 3.1.1, 2.1.4 of 5.0) behind a fixed header of five.
pub(crate) const PACKET_SIZE_MAX: u32 = 268_435_460;

#[cfg(test)]
mod tests {
    use super::*;

    /// Every option with its default as the table writes it. An option that is missing here does
    /// not compile.
    fn defaults() -> Vec<(&'static str, String)> {
        macro_rules! table {
            ($($name:ident: $text:expr,)+) => {{
                let BrokerOptions { $($name,)+ } = BrokerOptions::default();
                vec![$((stringify!($name), $text(&$name)),)+]
            }};
        }
        fn number(value: &impl ToString) -> String {
            let digits = value.to_string();
            let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().collect();
            let texts = groups.iter().map(|group| String::from_utf8_lossy(group));
            texts.collect::<Vec<_>>().join(",")
        }
        fn flag(value: &bool) -> String {
            value.to_string()
        }
        fn none<T>(value: &Option<T>) -> String {
            assert!(value.is_none());
            "none".to_owned()
        }
        table! {
            connect_timeout: |value: &Duration| number(&value.as_millis()),
            authentication_methods: |value: &Vec<_>| {
                assert!(value.is_empty());
                "none".to_owned()
            },
            require_enhanced_authentication: flag,
            max_authentication_rounds: number,
            hooks: none,
            node: none,
            announcements: none,
            hook_timeout: |value: &Duration| number(&value.as_millis()),
            max_packet_size_bytes: number,
            max_connect_size_bytes: number,
            max_client_id_bytes: number,
            max_client_id_chars_v31: number,
            max_sessions: number,
            max_topic_bytes: number,
            max_topic_levels: number,
            max_subscriptions_per_session: number,
            max_qos: |value: &QoS| value.as_u8().to_string(),
            max_inflight: number,
            receive_maximum: number,
            max_publish_rate: none,
            max_receive_rate_bytes: none,
            topic_alias_maximum: number,
            outbound_topic_alias_maximum: number,
            max_queued_messages: number,
            max_queued_bytes: number,
            max_total_queued_messages: number,
            max_total_queued_bytes: number,
            max_total_partial_bytes: number,
            queued_message_expiry_secs: number,
            queue_qos_0: flag,
            queue_window_messages: number,
            queue_window_bytes: number,
            max_outbox_bytes: number,
            slow_consumer_policy: |value: &SlowConsumerPolicy| format!("`{value:?}`"),
            write_timeout: |value: &Duration| number(&value.as_millis()),
            max_retained_messages: number,
            max_retained_bytes: number,
            max_session_expiry_secs: number,
            legacy_session_expiry_secs: number,
            max_keep_alive_secs: number,
            retain_available: flag,
            check_payload_format: flag,
            wildcard_subscriptions: flag,
            subscription_identifiers: flag,
            shared_subscriptions: flag,
            shared_subscription_strategy: |value: &ShareStrategy| format!("`{value:?}`"),
            redirect: none,
            response_information: none,
            topic_cache_entries: number,
            assign_client_id: |_: &_| "a counter".to_owned(),
        }
    }

    #[test]
    fn the_table_of_limits_has_every_option_with_its_default() {
        let page = include_str!("../../../docs/limits.md");
        for (name, default) in defaults() {
            let row = format!("| `{name}` | {default} |");
            assert!(page.contains(&row), "docs/limits.md lacks {row}");
        }
    }
}
