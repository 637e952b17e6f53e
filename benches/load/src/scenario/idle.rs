//! N connections that do nothing but say from time to time that they are there.

use std::time::Duration;

use clap::Args;
use mqtt_codec::{Packet, QoS};

use crate::cli::{self, Common};
use crate::connection::Connection;
use crate::dial::{Login, Nobody, connect_all, leave_all};
use crate::failure::Failure;
use crate::figures::Figures;
use crate::latency::Latency;
use crate::meter::{Meter, report_growth, report_rss, seconds};
use crate::net::{Handler, Net};
use crate::process::Memory;
use crate::subscriptions::{Change, Filters, Manner, change_all};

/// How long the broker may take to let go of connections that have left.
const AFTERMATH: Duration = Duration::from_millis(500);

/// Arguments of `idle`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Connections
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    conns: u32,
    /// One subscription for each connection
    #[arg(long)]
    subscribe: bool,
    /// Subscriptions for each connection
    #[arg(long, default_value_t = 0, conflicts_with = "subscribe")]
    subs_per_conn: u32,
    /// Filters in one SUBSCRIBE
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    per_subscribe: u32,
    /// QoS of the subscriptions
    #[arg(long, default_value = "0", value_parser = cli::qos)]
    qos: QoS,
    /// Keep alive in seconds; a ping is sent every half of it; 0 for none
    #[arg(long, default_value_t = 60)]
    keepalive: u16,
    /// Length of the idle part in seconds
    #[arg(long, default_value = "10", value_parser = cli::seconds)]
    seconds: Duration,
    /// Loopback addresses to connect from [default: as many as needed]
    #[arg(long)]
    source_ips: Option<u32>,
    #[command(flatten)]
    pub common: Common,
}

/// Filters that no two connections share.
struct Own<'a> {
    prefix: &'a str,
    each: usize,
}

impl Filters for Own<'_> {
    fn count(&self, _: usize) -> usize {
        self.each
    }

    fn filter(&self, id: usize, index: usize) -> String {
        format!("{}idle/{id}/{index}", self.prefix)
    }
}

/// Counts the answers to pings.
#[derive(Default)]
struct Pongs {
    count: u64,
}

impl Handler for Pongs {
    fn packet(
        &mut self,
        _: &mut Connection,
        id: usize,
        packet: Packet<'_>,
        _: u64,
    ) -> Result<(), Failure> {
        match packet {
            Packet::PingResp => self.count += 1,
            other => {
                let reason = format!("connection {id}: the broker sent {other:?}");
                return Err(Failure::Broken(reason));
            }
        }
        Ok(())
    }
}

/// Runs it.
pub fn run(arguments: &Arguments) -> Result<Figures, Failure> {
    let common = &arguments.common;
    let connections = arguments.conns as usize;
    let each = match arguments.subscribe {
        true => 1,
        false => arguments.subs_per_conn as usize,
    };
    let mut login = Login::for_connections(common, connections);
    login.keep_alive = arguments.keepalive;
    if let Some(sources) = arguments.source_ips {
        login.sources = sources as usize;
    }
    let mut net = Net::new(common.addr, common.version())?;
    let meter = common.meter()?;
    let mut figures = Figures::of("idle");
    figures.set("mqtt", common.version_name());
    figures.set("connections", connections);
    figures.set("subs_per_conn", each);
    figures.set("keepalive_s", arguments.keepalive);
    figures.set("source_ips", login.sources.max(1));

    let before = meter.memory();
    let connected = connect(&mut net, &login, connections, &meter, &mut figures)?;
    report_rss(&mut figures, "rss_before_mb", before);
    report_rss(&mut figures, "rss_connected_mb", connected);
    let growth = (before, connected);
    report_growth(&mut figures, "rss_per_conn_b", growth, connections);
    if each > 0 {
        let filters = Own {
            prefix: &common.topic_prefix,
            each,
        };
        subscribe(&mut net, arguments, &filters, &meter, &mut figures)?;
        let subscribed = meter.memory();
        let growth = (connected, subscribed);
        report_growth(&mut figures, "rss_per_sub_b", growth, connections * each);
        let growth = (before, subscribed);
        report_growth(
            &mut figures,
            "rss_per_conn_subscribed_b",
            growth,
            connections,
        );
    }
    stay(&mut net, arguments, &meter, &mut figures)?;
    leave(&mut net, connections, &meter, &mut figures)?;
    Ok(figures)
}

fn connect(
    net: &mut Net,
    login: &Login<'_>,
    connections: usize,
    meter: &Meter,
    figures: &mut Figures,
) -> Result<Option<Memory>, Failure> {
    let mut latency = Latency::new()?;
    let before = meter.read();
    connect_all(net, login, 0..connections, &mut Nobody, Some(&mut latency))?;
    let after = meter.read();
    let wall_s = seconds(&before, &after);
    figures.number("connect_s", wall_s);
    figures.number("connects_per_s", connections as f64 / wall_s);
    latency.report(figures, "connect_");
    let per = (connections as u64, "conn");
    meter.report(figures, "connect_", (&before, &after), per);
    Ok(meter.memory())
}

fn subscribe(
    net: &mut Net,
    arguments: &Arguments,
    filters: &Own<'_>,
    meter: &Meter,
    figures: &mut Figures,
) -> Result<(), Failure> {
    let connections = arguments.conns as usize;
    let subscriptions = connections * filters.each;
    let manner = Manner {
        per_request: arguments.per_subscribe as usize,
        timeout: arguments.common.timeout,
    };
    let change = Change::Subscribe(arguments.qos);
    let before = meter.read();
    change_all(net, 0..connections, change, filters, manner, &mut Nobody)?;
    let after = meter.read();
    let wall_s = seconds(&before, &after);
    figures.number("subscribe_s", wall_s);
    figures.number("subscribes_per_s", subscriptions as f64 / wall_s);
    let per = (subscriptions as u64, "sub");
    meter.report(figures, "subscribe_", (&before, &after), per);
    Ok(())
}

/// Idles: pings are spread evenly over half the keep alive.
fn stay(
    net: &mut Net,
    arguments: &Arguments,
    meter: &Meter,
    figures: &mut Figures,
) -> Result<(), Failure> {
    let connections = u64::from(arguments.conns);
    let half_ns = u64::from(arguments.keepalive) * 500_000_000;
    let before = meter.read();
    let begin_ns = net.now_ns();
    let end_ns = begin_ns + arguments.seconds.as_nanos() as u64;
    let mut pongs = Pongs::default();
    let mut pings = 0;
    loop {
        let now_ns = net.now_ns();
        if now_ns >= end_ns {
            break;
        }
        let due = ((now_ns - begin_ns) * connections)
            .checked_div(half_ns)
            .unwrap_or_default();
        while pings < due {
            let id = (pings % connections) as usize;
            if let Some(connection) = net.connection(id) {
                connection.queue(&Packet::PingReq)?;
            }
            net.flush(id)?;
            pings += 1;
        }
        let next_ns = match half_ns {
            0 => end_ns,
            _ => begin_ns + (pings + 1) * half_ns / connections,
        };
        let wait_ns = next_ns.min(end_ns).saturating_sub(now_ns);
        net.turn(Duration::from_nanos(wait_ns), &mut pongs)?;
    }
    let after = meter.read();
    // The last ones are on the way.
    let end_ns = net.now_ns() + AFTERMATH.as_nanos() as u64;
    while pongs.count < pings && net.now_ns() < end_ns {
        net.turn(AFTERMATH, &mut pongs)?;
    }
    figures.number("idle_s", seconds(&before, &after));
    figures.set("pings", pings);
    figures.set("pongs", pongs.count);
    figures.fail_if_any(pings.abs_diff(pongs.count), "pings were not answered");
    let between = (&before, &after);
    meter.report(figures, "idle_", between, (pings, "ping"));
    Ok(())
}

/// All leave at once.
fn leave(
    net: &mut Net,
    connections: usize,
    meter: &Meter,
    figures: &mut Figures,
) -> Result<(), Failure> {
    let before = meter.read();
    leave_all(net, 0..connections)?;
    let left = meter.read();
    figures.number("hang_up_s", seconds(&before, &left));
    std::thread::sleep(AFTERMATH);
    let after = meter.read();
    meter.report_broker_each(
        figures,
        "hang_up_broker_cpu_us_per_conn",
        (&before, &after),
        connections as u64,
    );
    meter.report_peak(figures);
    report_rss(figures, "rss_disconnected_mb", meter.memory());
    Ok(())
}
