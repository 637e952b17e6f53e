//! The arguments of `mosca bench`, as typed.

use std::num::NonZero;
use std::thread;

use clap::{Args, value_parser};
use topic_trie::{SharedFilter, TopicFilter, TopicName};

use super::plan::{self, Roles};
use super::stamp;
use crate::client::args::ConnectionArgs;
use crate::client::output::OutputFormat;

/// Seconds for which is measured, unless something else is said.
const DURATION_SECS: u64 = 10;

/// Publishers, and subscribers, where nothing is said of any clients.
const CLIENTS: u32 = 10;

/// More clients than one machine has ports for.
const MOST_CLIENTS: i64 = 1_000_000;

/// The arguments of `mosca bench`.
#[derive(Clone, Debug, Args)]
pub(crate) struct BenchArgs {
    /// Clients that publish [default: 10; 0 with --subscribers or --connections]
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(0..=MOST_CLIENTS))]
    publishers: Option<u32>,

    /// Clients that subscribe [default: 10; 0 with --publishers or --connections]
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(0..=MOST_CLIENTS))]
    subscribers: Option<u32>,

    /// Clients that are connected and do nothing [default: 0]
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(0..=MOST_CLIENTS))]
    connections: Option<u32>,

    /// Topic that each publisher publishes to; %i is its number, from 0
    #[arg(short, long, value_name = "TOPIC", default_value = "mosca/bench/%i", value_parser = topic)]
    pub(super) topic: String,

    /// Topic filter that each subscriber subscribes to; %i is its number, from 0 [default: the topics of the
    /// publishers, dealt out]
    #[arg(long, value_name = "FILTER", value_parser = filter)]
    pub(super) filter: Option<String>,

    /// QoS of messages and subscriptions
    #[arg(short, long, value_name = "QOS", default_value = "1", value_parser = value_parser!(u8).range(0..=2))]
    pub(super) qos: u8,

    /// Another QoS for subscriptions
    #[arg(long, value_name = "QOS", value_parser = value_parser!(u8).range(0..=2))]
    subscribe_qos: Option<u8>,

    /// Bytes of each payload; the first 24 tell when it was sent, and by whom
    #[arg(short, long, value_name = "BYTES", default_value = "64", value_parser = value_parser!(u32).range(stamp::LEN as i64..=100_000_000))]
    pub(super) size: u32,

    /// Have the server retain the messages
    #[arg(short, long)]
    pub(super) retain: bool,

    /// Messages per second of each publisher, such as 0.5 [default: as fast as they are acknowledged]
    #[arg(short = 'R', long, value_name = "N", value_parser = per_second)]
    pub(super) rate: Option<f64>,

    /// Messages of each publisher that are not acknowledged yet, at most; QoS 1 and 2
    #[arg(long, value_name = "N", default_value = "1", value_parser = value_parser!(u16).range(1..))]
    pub(super) inflight: u16,

    /// End after so many messages of each publisher
    #[arg(short = 'n', long, value_name = "N", value_parser = value_parser!(u64).range(1..))]
    pub(super) messages: Option<u64>,

    /// End after so many seconds [default: 10, or never with --messages]
    #[arg(short = 'W', long, value_name = "SECS", value_parser = value_parser!(u64).range(1..=86_400 * 365))]
    duration: Option<u64>,

    /// Seconds without any of the messages that are still missing, after which they are lost
    #[arg(long, value_name = "SECS", default_value = "10", value_parser = value_parser!(u64).range(1..=86_400))]
    pub(super) drain: u64,

    /// Connections per second that are begun [default: as fast as they are there, 100 at a time]
    #[arg(long, value_name = "N", value_parser = per_second)]
    pub(super) connect_rate: Option<f64>,

    /// Threads that do all of it [default: one per processor]
    #[arg(long, value_name = "N", value_parser = value_parser!(u16).range(1..=1_024))]
    threads: Option<u16>,

    /// For whom the summary is
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    pub(super) output: OutputFormat,

    #[command(flatten)]
    pub(super) connection: ConnectionArgs,
}

impl BenchArgs {
    /// How many clients there are of each kind.
    pub(super) fn roles(&self) -> Roles {
        let all = [self.publishers, self.subscribers, self.connections];
        let otherwise = if all == [None; 3] { CLIENTS } else { 0 };
        Roles {
            publishers: self.publishers.unwrap_or(otherwise),
            subscribers: self.subscribers.unwrap_or(otherwise),
            idle: self.connections.unwrap_or(0),
        }
    }

    /// Threads that do all of it.
    pub(in crate::client) fn threads(&self) -> usize {
        let processors = || thread::available_parallelism().map_or(1, NonZero::get);
        self.threads.map_or_else(processors, usize::from)
    }

    pub(super) fn subscribe_qos(&self) -> u8 {
        self.subscribe_qos.unwrap_or(self.qos)
    }

    /// Seconds after which it ends; never, where messages are counted and nothing is said of time.
    pub(super) fn duration_secs(&self) -> Option<u64> {
        let counts = self.messages.is_some() && self.roles().publishers > 0;
        self.duration.or((!counts).then_some(DURATION_SECS))
    }
}

fn topic(text: &str) -> Result<String, String> {
    let topic = plan::numbered(text, 0);
    match TopicName::new(&topic) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

fn filter(text: &str) -> Result<String, String> {
    let filter = plan::numbered(text, 0);
    let read = SharedFilter::parse(&filter).and_then(|shared| match shared {
        Some(_) => Ok(()),
        None => TopicFilter::new(&filter).map(drop),
    });
    read.map(|()| text.to_owned())
        .map_err(|error| error.to_string())
}

/// From one in a day to a million.
fn per_second(text: &str) -> Result<f64, String> {
    let number = text.parse().ok();
    let number = number.filter(|number| (0.000_01..=1_000_000.0).contains(number));
    number.ok_or_else(|| "it has to be a number from 0.00001 to 1000000".to_owned())
}
