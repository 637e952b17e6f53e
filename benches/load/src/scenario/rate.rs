//! Pairs at a fixed total rate, in an open loop.

use clap::Args;
use mqtt_codec::QoS;

use crate::cli::{Common, Load};
use crate::closed_loop::{Loss, report_checks};
use crate::dial::leave_all;
use crate::failure::Failure;
use crate::figures::Figures;
use crate::flow::describe;
use crate::meter::{Meter, Reading, seconds};
use crate::net::Net;
use crate::open_loop::{Flow, OpenLoop, Since};
use crate::process::Memory;

/// The share of the rate that must arrive in time.
const SUSTAINED: f64 = 0.99;

/// Arguments of `rate`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Publishers
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    pubs: u32,
    /// Subscribers: as many as publishers
    #[arg(long)]
    subs: Option<u32>,
    /// Messages per second of all publishers together
    #[arg(long, default_value_t = 1000.0)]
    rate: f64,
    /// Unacknowledged messages of each publisher [default: 10000, at QoS 2 20]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    inflight: Option<u16>,
    #[command(flatten)]
    load: Load,
    #[command(flatten)]
    pub common: Common,
}

/// Runs it.
pub fn run(arguments: &Arguments) -> Result<Figures, Failure> {
    let (common, load) = (&arguments.common, &arguments.load);
    let publishers = arguments.pubs as usize;
    if arguments.subs.is_some_and(|subs| subs != arguments.pubs) {
        return Err(Failure::usage("--subs must be the same as --pubs"));
    }
    let inflight = arguments.inflight.unwrap_or(match load.qos {
        QoS::ExactlyOnce => 20,
        _ => 10_000,
    });
    let mut net = Net::new(common.addr, common.version())?;
    let meter = common.meter()?;
    let memory = meter.memory();
    let mut figures = describe("rate", common, load);
    figures.set("publishers", publishers);
    figures.set("subscribers", publishers);
    figures.number("offered_per_s", arguments.rate);
    let flow = Flow {
        scenario: "rate",
        pairs: publishers,
        rate: arguments.rate,
        inflight,
        since: Since::Due,
    };
    let mut flow = OpenLoop::start(&mut net, (common, load), flow)?;
    measure(&mut flow, arguments, &meter, &mut figures, memory)?;
    leave_all(flow.net, 0..2 * publishers)?;
    Ok(figures)
}

fn measure(
    flow: &mut OpenLoop<'_>,
    arguments: &Arguments,
    meter: &Meter,
    figures: &mut Figures,
    memory: Option<Memory>,
) -> Result<(), Failure> {
    let load = &arguments.load;
    flow.run_for(load.warmup)?;
    flow.forget();
    let (published, delivered) = (flow.parties.published(), flow.parties.delivered);
    let before = meter.read();
    flow.run_for(load.seconds)?;
    let after = meter.read();
    let memory_after = meter.memory();
    let published = flow.parties.published() - published;
    let delivered = flow.parties.delivered - delivered;
    report_rates(flow, figures, (&before, &after), published, delivered);
    flow.drain(&arguments.common)?;
    // At QoS 0 a broker may drop what comes too fast, and no window keeps it out of that situation.
    let loss = match load.qos {
        QoS::AtMostOnce => Loss::Counts,
        _ => Loss::Fails,
    };
    report_checks(&flow.parties, figures, loss);
    let wall_s = seconds(&before, &after);
    let sustained = delivered as f64 >= SUSTAINED * arguments.rate * wall_s;
    figures.set("sustained", sustained);
    meter.report(figures, "", (&before, &after), (delivered, "msg"));
    meter.report_memory(figures, memory, memory_after);
    Ok(())
}

fn report_rates(
    flow: &mut OpenLoop<'_>,
    figures: &mut Figures,
    between: (&Reading, &Reading),
    published: u64,
    delivered: u64,
) {
    let wall_s = seconds(between.0, between.1);
    figures.number("seconds", wall_s);
    figures.number("published_per_s", published as f64 / wall_s);
    figures.number("msgs_per_s", delivered as f64 / wall_s);
    flow.parties.latency.report(figures, "");
    flow.lag.report(figures, "load_lag_");
}
