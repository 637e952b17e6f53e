//! The arguments of `mosca pub` and `mosca sub`, as typed.

use std::path::PathBuf;

use clap::{ArgGroup, Args, ValueEnum, value_parser};
use mqtt_client::{Address, QoS};

/// How to reach a server, and who asks.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Connection")]
pub(crate) struct ConnectionArgs {
    /// Server: mqtt://, mqtts://, ws:// or wss://[USER[:PASSWORD]@]HOST[:PORT][/PATH]
    #[arg(
        short = 'L',
        long,
        value_name = "URL",
        default_value = "mqtt://localhost"
    )]
    pub(super) url: Address,

    /// Another host than that of the URL
    #[arg(short = 'H', long, value_name = "HOST")]
    pub(super) host: Option<String>,

    /// Another port than that of the URL
    #[arg(short, long, value_name = "PORT")]
    pub(super) port: Option<u16>,

    /// Version of MQTT
    #[arg(short = 'V', long, value_name = "VERSION", default_value = "5")]
    pub(super) protocol_version: ProtocolVersion,

    /// Client identifier [default: the server gives one]
    #[arg(short, long, value_name = "ID")]
    pub(super) id: Option<String>,

    /// User name
    #[arg(short, long, value_name = "USER")]
    pub(super) user_name: Option<String>,

    /// Password; others on this machine can see it here
    #[arg(short = 'P', long, value_name = "PASSWORD")]
    pub(super) password: Option<String>,

    /// File whose first line is the password
    #[arg(long, value_name = "FILE", conflicts_with = "password")]
    pub(super) password_file: Option<PathBuf>,

    /// Use the session that the server has of this client, and leave it there
    #[arg(short = 'c', long, requires = "id")]
    pub(super) keep_session: bool,

    /// Seconds for which the session is left there (MQTT 5) [default: for ever]
    #[arg(long, value_name = "SECS", requires = "keep_session")]
    pub(super) session_expiry: Option<u32>,

    /// Keep alive in seconds, 0 for none
    #[arg(short, long, value_name = "SECS", default_value = "60")]
    pub(super) keep_alive: u16,

    /// Seconds that the server has for each answer
    #[arg(long, value_name = "SECS", default_value = "30", value_parser = value_parser!(u64).range(1..=86_400))]
    pub(super) timeout: u64,

    /// File with the certificates that are trusted instead of the system's, PEM
    #[arg(long, visible_alias = "cafile", value_name = "FILE")]
    pub(super) ca_file: Option<PathBuf>,

    /// File with the client's certificate, PEM
    #[arg(long, value_name = "FILE", requires = "key")]
    pub(super) cert: Option<PathBuf>,

    /// File with the certificate's private key, PEM
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub(super) key: Option<PathBuf>,

    /// Take whatever certificate the server has; for tests alone
    #[arg(long)]
    pub(super) insecure: bool,

    /// Topic of the will
    #[arg(long, value_name = "TOPIC")]
    pub(super) will_topic: Option<String>,

    /// Payload of the will
    #[arg(long, value_name = "TEXT", requires = "will_topic")]
    pub(super) will_payload: Option<String>,

    /// QoS of the will
    #[arg(long, value_name = "QOS", requires = "will_topic", default_value = "0", value_parser = value_parser!(u8).range(0..=2))]
    pub(super) will_qos: u8,

    /// Whether the will is retained
    #[arg(long, requires = "will_topic")]
    pub(super) will_retain: bool,

    /// Say on stderr when the server has answered
    #[arg(short, long)]
    pub(super) debug: bool,

    /// User property of CONNECT (MQTT 5); may be given again
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    pub(super) connect_property: Vec<(String, String)>,
}

/// A version of MQTT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProtocolVersion {
    /// 3.1
    #[value(name = "3.1", alias = "3", alias = "mqttv31")]
    V31,
    /// 3.1.1
    #[value(name = "3.1.1", alias = "4", alias = "mqttv311")]
    V311,
    /// 5.0
    #[value(name = "5", alias = "5.0", alias = "mqttv5")]
    V5,
}

/// The arguments of `mosca pub`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("what").required(true))]
pub(crate) struct PublishArgs {
    /// Topic name
    #[arg(short, long, value_name = "TOPIC")]
    pub(super) topic: String,

    /// The message
    #[arg(short, long, value_name = "TEXT", group = "what")]
    pub(super) message: Option<String>,

    /// File that is the message
    #[arg(short, long, value_name = "FILE", group = "what")]
    pub(super) file: Option<PathBuf>,

    /// The standard input is the message
    #[arg(short, long, group = "what")]
    pub(super) stdin: bool,

    /// Each line of the standard input is a message
    #[arg(short, long, group = "what")]
    pub(super) lines: bool,

    /// The message has nothing in it; with --retain, the topic is cleared
    #[arg(short, long, group = "what")]
    pub(super) empty: bool,

    /// QoS
    #[arg(short, long, value_name = "QOS", default_value = "0", value_parser = value_parser!(u8).range(0..=2))]
    pub(super) qos: u8,

    /// Have the server retain it
    #[arg(short, long)]
    pub(super) retain: bool,

    /// Seconds after which it is not delivered any more (MQTT 5)
    #[arg(long, value_name = "SECS")]
    pub(super) expiry: Option<u32>,

    /// Content type (MQTT 5)
    #[arg(long, value_name = "TEXT")]
    pub(super) content_type: Option<String>,

    /// Response topic (MQTT 5)
    #[arg(long, value_name = "TOPIC")]
    pub(super) response_topic: Option<String>,

    /// Correlation data (MQTT 5)
    #[arg(long, value_name = "TEXT")]
    pub(super) correlation_data: Option<String>,

    /// User property (MQTT 5); may be given again
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    pub(super) user_property: Vec<(String, String)>,

    #[command(flatten)]
    pub(super) connection: ConnectionArgs,
}

/// The arguments of `mosca sub`.
#[derive(Debug, Args)]
pub(crate) struct SubscribeArgs {
    /// Topic filter; may be given again
    #[arg(short, long, value_name = "FILTER", required = true)]
    pub(super) topic: Vec<String>,

    /// QoS at most
    #[arg(short, long, value_name = "QOS", default_value = "0", value_parser = value_parser!(u8).range(0..=2))]
    pub(super) qos: u8,

    /// Print the topic in front of each message
    #[arg(short, long)]
    pub(super) verbose: bool,

    /// Print each message with all that came with it, as an object of JSON on a line
    #[arg(long, conflicts_with = "verbose")]
    pub(super) json: bool,

    /// Print nothing behind a message, not even the end of a line
    #[arg(short = 'N', long, conflicts_with = "json")]
    pub(super) no_newline: bool,

    /// End after so many messages
    #[arg(short = 'C', long, value_name = "N", value_parser = value_parser!(u64).range(1..))]
    pub(super) count: Option<u64>,

    /// End after so many seconds; exits with 5 if --count was not reached
    #[arg(short = 'W', long, value_name = "SECS", value_parser = value_parser!(u64).range(1..))]
    pub(super) within: Option<u64>,

    /// Leave out messages that were retained before
    #[arg(short = 'R', long)]
    pub(super) no_retained: bool,

    /// Leave out what this client has published itself (MQTT 5)
    #[arg(long)]
    pub(super) no_local: bool,

    #[command(flatten)]
    pub(super) connection: ConnectionArgs,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=');
    let (name, value) = pair.ok_or_else(|| "there is no `=` in it".to_owned())?;
    Ok((name.to_owned(), value.to_owned()))
}

/// A QoS that was read with its range.
pub(super) fn quality(qos: u8) -> QoS {
    QoS::from_u8(qos).unwrap_or_default()
}
