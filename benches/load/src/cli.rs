//! The command line: what every scenario takes, and what those with load take.

use std::net::{SocketAddr, ToSocketAddrs};
use std::time::Duration;

use clap::Args;
use mqtt_codec::{QoS, Version};

use crate::failure::Failure;
use crate::meter::Meter;
use crate::process::Broker;
use crate::stamp::STAMP_LEN;

/// What every scenario takes.
#[derive(Debug, Clone, Args)]
pub struct Common {
    /// Address of the broker
    #[arg(long, default_value = "127.0.0.1:1883", value_parser = address)]
    pub addr: SocketAddr,
    /// Process of the broker: report its processor time and memory
    #[arg(long)]
    pub pid: Option<i32>,
    /// Count all descendants of that process as the broker
    #[arg(long)]
    pub children: bool,
    /// Print one JSON object instead of a table
    #[arg(long)]
    pub json: bool,
    /// Speak MQTT 5.0 instead of 3.1.1
    #[arg(long)]
    pub v5: bool,
    /// User name of all clients
    #[arg(long)]
    pub username: Option<String>,
    /// Password of all clients
    #[arg(long)]
    pub password: Option<String>,
    /// MQTT 5.0 Receive Maximum to announce
    #[arg(long)]
    pub receive_max: Option<u16>,
    /// Start of all client identifiers [default: l<pid>-]
    #[arg(long)]
    pub client_prefix: Option<String>,
    /// Put before all topics
    #[arg(long, default_value = "")]
    pub topic_prefix: String,
    /// Connections being made at the same time
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..))]
    pub connect_concurrency: u32,
    /// Run on this processor only
    #[arg(long)]
    pub pin: Option<usize>,
    /// Seconds without progress in connecting, subscribing or acknowledging that end the run
    #[arg(long, default_value = "30", value_parser = seconds)]
    pub timeout: Duration,
    /// Seconds of silence after which what has not come counts as lost
    #[arg(long, default_value = "10", value_parser = seconds)]
    pub quiet: Duration,
    /// Longest time in seconds to wait for what is under way
    #[arg(long, default_value = "120", value_parser = seconds)]
    pub drain_limit: Duration,
}

impl Common {
    /// The version that all clients speak.
    pub fn version(&self) -> Version {
        if self.v5 { Version::V5 } else { Version::V311 }
    }

    /// As it stands in the result.
    pub fn version_name(&self) -> &'static str {
        if self.v5 { "5.0" } else { "3.1.1" }
    }

    /// What client identifiers begin with: by default no two runs share any.
    pub fn client_prefix(&self) -> String {
        self.client_prefix
            .clone()
            .unwrap_or_else(|| format!("l{}-", std::process::id()))
    }

    /// Measures the process of the broker, if it is known.
    pub fn meter(&self) -> Result<Meter, Failure> {
        let broker = self.pid.map(|pid| Broker {
            pid,
            children: self.children,
        });
        if let Some(broker) = broker.filter(|broker| !broker.exists()) {
            return Err(Failure::usage(format!(
                "there is no process {}",
                broker.pid
            )));
        }
        Ok(Meter::new(broker))
    }
}

/// What scenarios with a flow of messages take.
#[derive(Debug, Clone, Args)]
pub struct Load {
    /// QoS of publishing, and of the subscriptions unless --sub-qos is given
    #[arg(long, default_value = "0", value_parser = qos)]
    pub qos: QoS,
    /// QoS of the subscriptions
    #[arg(long, value_parser = qos)]
    pub sub_qos: Option<QoS>,
    /// Bytes of payload, at least 16
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(STAMP_LEN as i64..))]
    pub payload: u32,
    /// Length of the measured part in seconds
    #[arg(long, default_value = "5", value_parser = seconds)]
    pub seconds: Duration,
    /// Seconds of load before
    #[arg(long, default_value = "1", value_parser = seconds)]
    pub warmup: Duration,
}

impl Load {
    /// The QoS of the subscriptions.
    pub fn sub_qos(&self) -> QoS {
        self.sub_qos.unwrap_or(self.qos)
    }
}

/// What scenarios with a closed loop take.
#[derive(Debug, Clone, Args)]
pub struct Closed {
    /// Measure so many published messages instead of a time
    #[arg(long)]
    pub messages: Option<u32>,
    /// Unacknowledged messages of each publisher (QoS 1 and 2)
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..))]
    pub inflight: u16,
    /// Messages sent but not yet received, for each subscriber [default: 20000 / subscribers, within 10..1000]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub window: Option<u32>,
    /// The same in bytes of payload [default: 64 MiB / subscribers, within 256 KiB..4 MiB]
    #[arg(long)]
    pub window_bytes: Option<u32>,
    /// Pause before each poll in microseconds, to read more at a time; 0 for none [default: by load]
    #[arg(long)]
    pub coalesce_us: Option<u64>,
}

impl Closed {
    /// Messages that may be on the way to each of `subscribers`.
    pub fn window(&self, subscribers: usize, payload: u32) -> u32 {
        let subscribers = u32::try_from(subscribers.max(1)).unwrap_or(u32::MAX);
        let messages = self
            .window
            .unwrap_or_else(|| (20_000 / subscribers).clamp(10, 1000));
        let bytes = self
            .window_bytes
            .unwrap_or_else(|| ((64 << 20) / subscribers).clamp(256 << 10, 4 << 20));
        messages.min(bytes / payload).max(1)
    }
}

pub fn qos(text: &str) -> Result<QoS, String> {
    text.parse()
        .ok()
        .and_then(QoS::from_u8)
        .ok_or_else(|| "0, 1 or 2".to_owned())
}

pub fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().map_err(|_| "a number of seconds".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

pub fn address(text: &str) -> Result<SocketAddr, String> {
    text.to_socket_addrs()
        .map_err(|error| error.to_string())?
        .next()
        .ok_or_else(|| "no address".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn closed() -> Closed {
        Closed {
            messages: None,
            inflight: 20,
            window: None,
            window_bytes: None,
            coalesce_us: None,
        }
    }

    #[test]
    fn the_window_keeps_what_is_under_way_bounded() {
        assert_eq!(closed().window(10, 64), 1000);
        assert_eq!(closed().window(100, 64), 200);
        assert_eq!(closed().window(100_000, 64), 10);
        assert_eq!(closed().window(10, 16 << 10), 256);
        assert_eq!(closed().window(10, 16 << 20), 1, "at least one");
    }

    #[test]
    fn times_and_qualities_are_checked() {
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        assert!(seconds("-1").is_err() && seconds("x").is_err());
        assert_eq!(qos("2"), Ok(QoS::ExactlyOnce));
        assert!(qos("3").is_err());
    }
}
