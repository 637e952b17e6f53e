//! N filters are subscribed by C connections, and then all of them are unsubscribed: what a filter
//! costs, in time and in memory, when there are many.

use std::time::Duration;

use clap::Args;
use mqtt_codec::{Packet, QoS};

use crate::city::{City, Layer};
use crate::cli::{self, Common};
use crate::connection::Connection;
use crate::dial::{Login, Nobody, connect_all, leave_all};
use crate::failure::Failure;
use crate::feed::Feed;
use crate::figures::Figures;
use crate::meter::{Meter, report_growth, report_rss, seconds};
use crate::net::{Handler, Net};
use crate::process::Memory;
use crate::stamp::{STAMP_LEN, Stamp};
use crate::subscriptions::{Change, Filters, Manner, change_all};

/// Messages that show that the subscriptions are there, and that they are gone.
const PROBES: u32 = 100;
const AFTERMATH: Duration = Duration::from_millis(300);

/// Arguments of `subscribe-storm`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Filters in all, no two the same
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(10..))]
    subscriptions: u32,
    /// Connections that subscribe, at the same time
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    conns: u32,
    /// Filters in one SUBSCRIBE
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    per_subscribe: u32,
    /// QoS of the subscriptions
    #[arg(long, default_value = "0", value_parser = cli::qos)]
    qos: QoS,
    #[command(flatten)]
    pub common: Common,
}

/// `site/…/dev/9/m/+` for each device, dealt out to the connections by turns.
struct Devices<'a> {
    city: City,
    prefix: &'a str,
    connections: usize,
    subscriptions: usize,
}

/// The connection that publishes the probes; the others subscribe.
const PROBER: usize = 0;

impl Filters for Devices<'_> {
    fn count(&self, id: usize) -> usize {
        (self.subscriptions + self.connections - id) / self.connections
    }

    fn filter(&self, id: usize, index: usize) -> String {
        let number = index * self.connections + id - 1;
        format!("{}{}", self.prefix, self.city.filter(Layer::Device, number))
    }
}

/// Counts the probes that come, and those that come where they should not.
#[derive(Default)]
struct Probes {
    right: u64,
    wrong: u64,
}

impl Handler for Probes {
    fn packet(
        &mut self,
        _: &mut Connection,
        id: usize,
        packet: Packet<'_>,
        _: u64,
    ) -> Result<(), Failure> {
        let Packet::Publish(publish) = packet else {
            let reason = format!("connection {id}: the broker sent {packet:?}");
            return Err(Failure::Broken(reason));
        };
        // A probe carries the connection that has the filter in place of a source.
        match Stamp::read(publish.payload) {
            Some(stamp) if stamp.source as usize == id => self.right += 1,
            _ => self.wrong += 1,
        }
        Ok(())
    }
}

/// Publishes to some of the filters, and waits for what comes of it.
fn probe(
    net: &mut Net,
    devices: &Devices<'_>,
    timeout: Duration,
    expected: u64,
) -> Result<Probes, Failure> {
    let spread = |number: u32| number as usize * devices.subscriptions / PROBES as usize;
    let feed = Feed {
        topic: &|number| {
            // The first metric of the device.
            let topic = devices.city.topic(spread(number) * City::METRICS);
            format!("{}{topic}", devices.prefix)
        },
        stamp: &|number| ((spread(number) % devices.connections + 1) as u32, number),
        count: PROBES,
        qos: QoS::AtMostOnce,
        retain: false,
        payload_len: STAMP_LEN,
        publishers: 1,
        inflight: 1,
        timeout,
    };
    let mut probes = Probes::default();
    feed.run(net, &mut probes)?;
    let end_ns = net.now_ns() + timeout.as_nanos() as u64;
    while probes.right < expected && net.now_ns() < end_ns {
        net.turn(AFTERMATH, &mut probes)?;
    }
    let end_ns = net.now_ns() + AFTERMATH.as_nanos() as u64;
    while net.now_ns() < end_ns {
        net.turn(AFTERMATH, &mut probes)?;
    }
    Ok(probes)
}

/// Runs it.
pub fn run(arguments: &Arguments) -> Result<Figures, Failure> {
    let common = &arguments.common;
    let connections = arguments.conns as usize;
    let city = City::with_devices(arguments.subscriptions as usize);
    let devices = Devices {
        city,
        prefix: &common.topic_prefix,
        connections,
        subscriptions: city.filters(Layer::Device),
    };
    let mut net = Net::new(common.addr, common.version())?;
    let meter = common.meter()?;
    let mut figures = Figures::of("subscribe-storm");
    figures.set("mqtt", common.version_name());
    figures.set("subscriptions", devices.subscriptions);
    figures.set("connections", connections);
    figures.set("per_subscribe", arguments.per_subscribe);
    let login = Login::for_connections(common, connections + 1);
    let all = PROBER..PROBER + 1 + connections;
    connect_all(&mut net, &login, all.clone(), &mut Nobody, None)?;
    let before = meter.memory();

    let change = Change::Subscribe(arguments.qos);
    let mut storm = Storm {
        net: &mut net,
        arguments,
        devices: &devices,
        meter: &meter,
    };
    let installed = storm.run(change, "install", &mut figures)?;
    let growth = (before, installed);
    let subscriptions = devices.subscriptions;
    report_growth(
        &mut figures,
        "rss_per_subscription_b",
        growth,
        subscriptions,
    );
    let probes = probe(&mut net, &devices, common.quiet, u64::from(PROBES))?;
    let missing = u64::from(PROBES).saturating_sub(probes.right);
    figures.fail_if_any(missing, "subscriptions do not work");
    figures.fail_if_any(probes.wrong, "messages came to the wrong connection");

    let mut storm = Storm {
        net: &mut net,
        arguments,
        devices: &devices,
        meter: &meter,
    };
    let removed = storm.run(Change::Unsubscribe, "remove", &mut figures)?;
    let probes = probe(&mut net, &devices, common.quiet, 0)?;
    let still_there = probes.right + probes.wrong;
    figures.fail_if_any(still_there, "subscriptions work after they were ended");
    report_rss(&mut figures, "rss_before_mb", before);
    report_rss(&mut figures, "rss_installed_mb", installed);
    report_rss(&mut figures, "rss_removed_mb", removed);
    meter.report_peak(&mut figures);
    leave_all(&mut net, all)?;
    Ok(figures)
}

/// One change of all filters.
struct Storm<'a> {
    net: &'a mut Net,
    arguments: &'a Arguments,
    devices: &'a Devices<'a>,
    meter: &'a Meter,
}

impl Storm<'_> {
    fn run(
        &mut self,
        change: Change,
        name: &str,
        figures: &mut Figures,
    ) -> Result<Option<Memory>, Failure> {
        let subscribers = PROBER + 1..PROBER + 1 + self.devices.connections;
        let manner = Manner {
            per_request: self.arguments.per_subscribe as usize,
            timeout: self.arguments.common.timeout,
        };
        let before = self.meter.read();
        change_all(
            self.net,
            subscribers,
            change,
            self.devices,
            manner,
            &mut Nobody,
        )?;
        let after = self.meter.read();
        let wall_s = seconds(&before, &after);
        let subscriptions = self.devices.subscriptions;
        figures.number(&format!("{name}_s"), wall_s);
        let rate = subscriptions as f64 / wall_s;
        figures.number(&format!("{name}s_per_s"), rate);
        let per = (subscriptions as u64, "sub");
        self.meter
            .report(figures, &format!("{name}_"), (&before, &after), per);
        Ok(self.meter.memory())
    }
}
