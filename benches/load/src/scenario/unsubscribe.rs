//! One client has F filters and gives them up: by leaving, and by UNSUBSCRIBE. What does the client
//! next to it notice of that, which does nothing but ping?

use std::time::Duration;

use clap::Args;
use mqtt_codec::{Packet, QoS};

use crate::city::{City, Layer};
use crate::cli::Common;
use crate::connection::Connection;
use crate::dial::{Login, Nobody, connect_all, leave_all};
use crate::failure::Failure;
use crate::figures::Figures;
use crate::latency::Latency;
use crate::meter::{Meter, seconds};
use crate::net::{Handler, Net};
use crate::subscriptions::{Change, Filters, Manner, change_all};

const WAIT: Duration = Duration::from_millis(20);
/// How long pings are watched without anything else, and after the client has left.
const WATCH: Duration = Duration::from_millis(500);

/// Arguments of `unsubscribe`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Filters of the client
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(10..))]
    filters: u32,
    /// Filters in one SUBSCRIBE, and in one UNSUBSCRIBE
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    per_subscribe: u32,
    #[command(flatten)]
    pub common: Common,
}

/// `site/…/dev/9/m/+` for each device.
struct Devices<'a> {
    city: City,
    prefix: &'a str,
}

impl Filters for Devices<'_> {
    fn count(&self, _: usize) -> usize {
        self.city.filters(Layer::Device)
    }

    fn filter(&self, _: usize, index: usize) -> String {
        format!("{}{}", self.prefix, self.city.filter(Layer::Device, index))
    }
}

/// Pings, again as soon as there is an answer.
struct Neighbour {
    sent_ns: u64,
    answers: u64,
    latency: Latency,
}

impl Handler for Neighbour {
    fn packet(
        &mut self,
        connection: &mut Connection,
        id: usize,
        packet: Packet<'_>,
        now_ns: u64,
    ) -> Result<(), Failure> {
        if packet != Packet::PingResp {
            let reason = format!("connection {id}: the broker sent {packet:?}");
            return Err(Failure::Broken(reason));
        }
        self.answers += 1;
        self.latency.record(now_ns.saturating_sub(self.sent_ns));
        self.sent_ns = now_ns;
        connection.queue(&Packet::PingReq)
    }
}

/// The connection that pings, and the one that has the filters.
const NEIGHBOUR: usize = 0;
const CLIENT: usize = 1;

/// The two clients and what is measured of them.
struct Scene<'a> {
    net: &'a mut Net,
    arguments: &'a Arguments,
    devices: Devices<'a>,
    neighbour: Neighbour,
    meter: Meter,
}

impl Scene<'_> {
    fn filters(&self) -> usize {
        self.devices.city.filters(Layer::Device)
    }

    fn watch(&mut self, length: Duration) -> Result<(), Failure> {
        let end_ns = self.net.now_ns() + length.as_nanos() as u64;
        while self.net.now_ns() < end_ns {
            self.net.turn(WAIT, &mut self.neighbour)?;
        }
        Ok(())
    }

    /// All filters in one direction; `name` begins the figures.
    fn change(&mut self, change: Change, name: &str, figures: &mut Figures) -> Result<(), Failure> {
        let manner = Manner {
            per_request: self.arguments.per_subscribe as usize,
            timeout: self.arguments.common.timeout,
        };
        self.neighbour.latency.clear();
        let before = self.meter.read();
        change_all(
            self.net,
            CLIENT..CLIENT + 1,
            change,
            &self.devices,
            manner,
            &mut self.neighbour,
        )?;
        let after = self.meter.read();
        let wall_s = seconds(&before, &after);
        let filters = self.filters();
        figures.number(&format!("{name}_s"), wall_s);
        figures.number(&format!("{name}s_per_s"), filters as f64 / wall_s);
        let prefix = format!("{name}_");
        let per = (filters as u64, "sub");
        self.meter.report(figures, &prefix, (&before, &after), per);
        self.neighbour
            .latency
            .report(figures, &format!("{name}_ping_"));
        Ok(())
    }

    /// The client says DISCONNECT. The first ping that is answered afterwards has waited for what
    /// the broker had to do.
    fn leave(&mut self, figures: &mut Figures) -> Result<(), Failure> {
        self.neighbour.latency.clear();
        let answers = self.neighbour.answers;
        leave_all(self.net, CLIENT..CLIENT + 1)?;
        let left_ns = self.net.now_ns();
        // The ping that is under way was asked before; the one after it is not.
        let end_ns = left_ns + self.arguments.common.timeout.as_nanos() as u64;
        while self.neighbour.answers < answers + 2 {
            self.net.turn(WAIT, &mut self.neighbour)?;
            if self.net.now_ns() >= end_ns {
                return Err(Failure::broken("the other client's ping was not answered"));
            }
        }
        let answered_us = (self.net.now_ns() - left_ns) as f64 / 1e3;
        self.watch(WATCH)?;
        figures.number("leave_ping_answered_us", answered_us);
        self.neighbour.latency.report(figures, "leave_ping_");
        Ok(())
    }
}

/// Runs it.
pub fn run(arguments: &Arguments) -> Result<Figures, Failure> {
    let common = &arguments.common;
    let mut net = Net::new(common.addr, common.version())?;
    let meter = common.meter()?;
    let memory = meter.memory();
    let login = Login::new(common);
    connect_all(&mut net, &login, NEIGHBOUR..CLIENT + 1, &mut Nobody, None)?;
    if let Some(connection) = net.connection(NEIGHBOUR) {
        connection.queue(&Packet::PingReq)?;
    }
    net.flush(NEIGHBOUR)?;
    let mut scene = Scene {
        neighbour: Neighbour {
            sent_ns: net.now_ns(),
            answers: 0,
            latency: Latency::new()?,
        },
        devices: Devices {
            city: City::with_devices(arguments.filters as usize),
            prefix: &common.topic_prefix,
        },
        net: &mut net,
        arguments,
        meter,
    };
    let mut figures = Figures::of("unsubscribe");
    figures.set("mqtt", common.version_name());
    figures.set("filters", scene.filters());
    figures.set("per_subscribe", arguments.per_subscribe);
    scene.watch(WATCH)?;
    scene.neighbour.latency.report(&mut figures, "alone_ping_");
    let subscribe = Change::Subscribe(QoS::AtMostOnce);
    scene.change(subscribe, "install", &mut figures)?;
    scene.change(Change::Unsubscribe, "unsubscribe", &mut figures)?;
    // Once more, for leaving; it was measured above.
    scene.change(subscribe, "again", &mut Figures::default())?;
    let memory_after = scene.meter.memory();
    scene.leave(&mut figures)?;
    meter.report_memory(&mut figures, memory, memory_after);
    leave_all(&mut net, NEIGHBOUR..NEIGHBOUR + 1)?;
    Ok(figures)
}
