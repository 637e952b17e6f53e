//! Stores N retained messages, fetches all with `#` and with `+/+`, single ones by their topic, clears
//! them, and looks whether they are gone.

use std::time::Duration;

use clap::Args;
use mqtt_codec::{Packet, PacketId, Publish, QoS};

use crate::cli::{self, Common};
use crate::connection::Connection;
use crate::dial::{Login, Nobody, connect_all, leave_all};
use crate::failure::Failure;
use crate::feed::Feed;
use crate::figures::Figures;
use crate::latency::Latency;
use crate::meter::{Meter, report_growth, seconds};
use crate::net::{Handler, Net};
use crate::parties::PUBCOMP;
use crate::stamp::{STAMP_LEN, Stamp};
use crate::subscriptions::{Change, request};

const WAIT: Duration = Duration::from_millis(20);
/// How long to wait for messages that should not come.
const AFTERMATH: Duration = Duration::from_millis(300);
/// A prime number: probes are spread over all topics.
const STRIDE: u32 = 7_919;

/// Arguments of `retained`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Retained messages
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    topics: u32,
    /// Subscriptions to single topics
    #[arg(long, default_value_t = 1000)]
    probes: u32,
    /// Bytes of payload, at least 16
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(STAMP_LEN as i64..))]
    payload: u32,
    /// QoS of publishing and of the subscriptions
    #[arg(long, default_value = "1", value_parser = cli::qos)]
    qos: QoS,
    /// Unacknowledged messages [default: 100, at QoS 2 20]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    inflight: Option<u16>,
    /// Leave the retained messages there
    #[arg(long)]
    keep: bool,
    #[command(flatten)]
    pub common: Common,
}

impl Arguments {
    /// `ret/<a>/<b>`: as many first levels as second ones.
    fn topic(&self, number: u32) -> String {
        let side = self.topics.isqrt().max(1);
        let prefix = &self.common.topic_prefix;
        format!("{prefix}ret/{}/{}", number / side, number % side)
    }

    fn feed<'a>(
        &self,
        topic: &'a dyn Fn(u32) -> String,
        stamp: &'a dyn Fn(u32) -> (u32, u32),
        payload_len: usize,
    ) -> Feed<'a> {
        let inflight = self.inflight.unwrap_or(match self.qos {
            QoS::ExactlyOnce => 20,
            _ => 100,
        });
        Feed {
            topic,
            stamp,
            count: self.topics,
            qos: self.qos,
            retain: true,
            payload_len,
            publishers: 1,
            inflight,
            timeout: self.common.timeout,
        }
    }
}

/// Who fetches: which messages have come to him since he last asked.
struct Fetcher {
    has: Vec<bool>,
    arrived: u32,
    /// Came twice, without the RETAIN flag, or are none of ours.
    wrong: u64,
    first_ns: u64,
    payload_len: usize,
    is_subscribed: bool,
    /// UNSUBSCRIBEs that are not answered.
    unsubscribing: u32,
}

impl Fetcher {
    fn ask(&mut self) {
        self.has.fill(false);
        self.arrived = 0;
        self.is_subscribed = false;
    }

    fn take(&mut self, publish: &Publish<'_>, now_ns: u64) {
        if self.arrived == 0 {
            self.first_ns = now_ns;
        }
        self.arrived += 1;
        let has = Stamp::read(publish.payload)
            .and_then(|stamp| self.has.get_mut(stamp.sequence as usize));
        match has {
            Some(has) if !*has && publish.retain && publish.payload.len() == self.payload_len => {
                *has = true;
            }
            _ => self.wrong += 1,
        }
    }
}

impl Handler for Fetcher {
    fn packet(
        &mut self,
        connection: &mut Connection,
        id: usize,
        packet: Packet<'_>,
        now_ns: u64,
    ) -> Result<(), Failure> {
        match packet {
            Packet::Publish(publish) => {
                connection.queue_answer(&publish);
                self.take(&publish, now_ns);
            }
            Packet::PubRel(release) => {
                connection.queue_acknowledgement(PUBCOMP, release.packet_id.get());
            }
            Packet::SubAck(answer) if answer.reason_codes.iter().all(|code| !code.is_error()) => {
                self.is_subscribed = true;
            }
            Packet::UnsubAck(_) => {
                self.unsubscribing = self.unsubscribing.saturating_sub(1);
            }
            other => {
                let reason = format!("connection {id}: the broker sent {other:?}");
                return Err(Failure::Broken(reason));
            }
        }
        Ok(())
    }
}

/// The connection that stores, and the one that fetches.
const STORER: usize = 0;
const FETCHER: usize = 1;

/// Runs it.
pub fn run(arguments: &Arguments) -> Result<Figures, Failure> {
    let common = &arguments.common;
    let mut net = Net::new(common.addr, common.version())?;
    let meter = common.meter()?;
    let mut figures = Figures::of("retained");
    figures.set("mqtt", common.version_name());
    figures.set("qos", arguments.qos.as_u8());
    figures.set("payload", arguments.payload);
    figures.set("topics", arguments.topics);
    let memory = meter.memory();
    connect_all(&mut net, &Login::new(common), 0..2, &mut Nobody, None)?;
    store(&mut net, arguments, &meter, &mut figures)?;
    let mut fetcher = Fetcher {
        has: vec![false; arguments.topics as usize],
        arrived: 0,
        wrong: 0,
        first_ns: 0,
        payload_len: arguments.payload as usize,
        is_subscribed: false,
        unsubscribing: 0,
    };
    for (prefix, filter) in [("all_", "ret/#"), ("plus_", "ret/+/+")] {
        let filter = format!("{}{filter}", common.topic_prefix);
        let mut fetch = Fetch {
            net: &mut net,
            fetcher: &mut fetcher,
            timeout: common.quiet,
        };
        fetch.whole(arguments, (prefix, &filter), &meter, &mut figures)?;
    }
    let memory_after = meter.memory();
    probe(&mut net, arguments, &mut fetcher, &meter, &mut figures)?;
    if !arguments.keep {
        clear(&mut net, arguments, &mut fetcher, &mut figures)?;
    }
    figures.set("wrong", fetcher.wrong);
    let what = "deliveries came twice, without RETAIN or of nothing that was stored";
    figures.fail_if_any(fetcher.wrong, what);
    meter.report_memory(&mut figures, memory, memory_after);
    leave_all(&mut net, STORER..FETCHER + 1)?;
    Ok(figures)
}

fn store(
    net: &mut Net,
    arguments: &Arguments,
    meter: &Meter,
    figures: &mut Figures,
) -> Result<(), Failure> {
    let topics = u64::from(arguments.topics);
    let topic = |number| arguments.topic(number);
    let stamp = |number| (0, number);
    let feed = arguments.feed(&topic, &stamp, arguments.payload as usize);
    let memory = meter.memory();
    let before = meter.read();
    let refused = feed.run(net, &mut Nobody)?;
    let after = meter.read();
    let wall_s = seconds(&before, &after);
    figures.number("store_s", wall_s);
    figures.number("stored_per_s", f64::from(arguments.topics) / wall_s);
    figures.fail_if_any(refused, "messages were not stored");
    meter.report(figures, "store_", (&before, &after), (topics, "msg"));
    let growth = (memory, meter.memory());
    report_growth(figures, "rss_per_retained_b", growth, topics as usize);
    Ok(())
}

/// Subscribing to get what is retained.
struct Fetch<'a> {
    net: &'a mut Net,
    fetcher: &'a mut Fetcher,
    timeout: Duration,
}

impl Fetch<'_> {
    fn send(&mut self, change: Change, filter: &str) -> Result<(), Failure> {
        if let Some(connection) = self.net.connection(FETCHER) {
            // An UNSUBSCRIBE may be under way when the next SUBSCRIBE goes out, but never two of one.
            let packet_id = match change {
                Change::Subscribe(_) => PacketId::MIN,
                Change::Unsubscribe => {
                    self.fetcher.unsubscribing += 1;
                    PacketId::MAX
                }
            };
            let filter = std::iter::once(filter.to_owned());
            request(connection, change, packet_id, filter)?;
        }
        self.net.flush(FETCHER)
    }

    /// Waits for so many messages and the SUBACK; for the time-out after the last one at most.
    fn wait_for(&mut self, count: u32) -> Result<(), Failure> {
        let mut last = 0;
        let mut end_ns = self.net.now_ns() + self.timeout.as_nanos() as u64;
        while self.fetcher.arrived < count || !self.fetcher.is_subscribed {
            self.net.turn(WAIT, self.fetcher)?;
            let now_ns = self.net.now_ns();
            if self.fetcher.arrived != last {
                last = self.fetcher.arrived;
                end_ns = now_ns + self.timeout.as_nanos() as u64;
            }
            if now_ns >= end_ns {
                break;
            }
        }
        Ok(())
    }

    /// Fetches everything with one filter, and unsubscribes.
    fn whole(
        &mut self,
        arguments: &Arguments,
        (prefix, filter): (&str, &str),
        meter: &Meter,
        figures: &mut Figures,
    ) -> Result<(), Failure> {
        let topics = arguments.topics;
        self.fetcher.ask();
        let before = meter.read();
        let begin_ns = self.net.now_ns();
        self.send(Change::Subscribe(arguments.qos), filter)?;
        self.wait_for(topics)?;
        let after = meter.read();
        let wall_s = seconds(&before, &after);
        let first_ms = self.fetcher.first_ns.saturating_sub(begin_ns) as f64 / 1e6;
        let lost = self.fetcher.has.iter().filter(|has| !**has).count() as u64;
        figures.number(&format!("{prefix}first_ms"), first_ms);
        figures.number(&format!("{prefix}s"), wall_s);
        let rate = f64::from(self.fetcher.arrived) / wall_s;
        figures.number(&format!("{prefix}msgs_per_s"), rate);
        figures.set(&format!("{prefix}lost"), lost);
        figures.fail_if_any(lost, &format!("retained messages did not come by {filter}"));
        let per = (u64::from(self.fetcher.arrived), "msg");
        meter.report(figures, prefix, (&before, &after), per);
        self.send(Change::Unsubscribe, filter)
    }
}

/// Fetches single messages, one after the other.
fn probe(
    net: &mut Net,
    arguments: &Arguments,
    fetcher: &mut Fetcher,
    meter: &Meter,
    figures: &mut Figures,
) -> Result<(), Failure> {
    let mut latency = Latency::new()?;
    let mut fetch = Fetch {
        net,
        fetcher,
        timeout: arguments.common.quiet,
    };
    let mut lost = 0;
    let before = meter.read();
    for probe in 0..arguments.probes {
        let number = (u64::from(probe) * u64::from(STRIDE) % u64::from(arguments.topics)) as u32;
        let topic = arguments.topic(number);
        fetch.fetcher.arrived = 0;
        fetch.fetcher.is_subscribed = false;
        fetch.fetcher.has[number as usize] = false;
        let begin_ns = fetch.net.now_ns();
        fetch.send(Change::Subscribe(arguments.qos), &topic)?;
        fetch.wait_for(1)?;
        latency.record(fetch.fetcher.first_ns.saturating_sub(begin_ns));
        lost += u64::from(!fetch.fetcher.has[number as usize]);
        fetch.send(Change::Unsubscribe, &topic)?;
    }
    let after = meter.read();
    if arguments.probes > 0 {
        latency.report(figures, "exact_");
        let per = (u64::from(arguments.probes), "sub");
        meter.report(figures, "exact_", (&before, &after), per);
    }
    figures.fail_if_any(lost, "retained messages did not come by their topic");
    Ok(())
}

/// Clears everything, and asks for it once more.
fn clear(
    net: &mut Net,
    arguments: &Arguments,
    fetcher: &mut Fetcher,
    figures: &mut Figures,
) -> Result<(), Failure> {
    let topic = |number| arguments.topic(number);
    let stamp = |number| (0, number);
    // Clearing is a message too, for those that are still subscribed.
    let end_ns = net.now_ns() + arguments.common.quiet.as_nanos() as u64;
    while fetcher.unsubscribing > 0 && net.now_ns() < end_ns {
        net.turn(WAIT, fetcher)?;
    }
    let begin_ns = net.now_ns();
    let refused = arguments.feed(&topic, &stamp, 0).run(net, fetcher)?;
    let clear_s = net.now_ns().saturating_sub(begin_ns) as f64 / 1e9;
    figures.number("clear_s", clear_s);
    figures.fail_if_any(refused, "messages were not cleared");
    fetcher.ask();
    let mut fetch = Fetch {
        net,
        fetcher,
        timeout: AFTERMATH,
    };
    let filter = format!("{}ret/#", arguments.common.topic_prefix);
    fetch.send(Change::Subscribe(arguments.qos), &filter)?;
    // One more than should come: waits until none comes any more.
    fetch.wait_for(1)?;
    let left = u64::from(fetch.fetcher.arrived);
    figures.set("left_after_clear", left);
    figures.fail_if_any(left, "retained messages are still there after clearing");
    Ok(())
}
