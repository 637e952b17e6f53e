//! One client that never reads among N fast ones of a fan-out: what do the fast ones notice?

use clap::Args;
use socket2::SockRef;

use crate::audience::Everybody;
use crate::cli::{Closed, Common, Load};
use crate::closed_loop::ClosedLoop;
use crate::dial::{Login, Nobody, connect_all, leave_all};
use crate::failure::Failure;
use crate::figures::Figures;
use crate::flow::{Plan, bring_up, describe};
use crate::meter::report_rss;
use crate::net::Net;
use crate::subscriptions::{Change, Each, Manner, change_all};

/// What the kernel keeps for the one that does not read, in bytes: as little as it can.
const RECEIVE_BUFFER_BYTES: usize = 4096;

/// Arguments of `slow-reader`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Subscribers that read
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    subs: u32,
    /// Subscribers that do not
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    slow: u32,
    #[command(flatten)]
    load: Load,
    #[command(flatten)]
    closed: Closed,
    #[command(flatten)]
    pub common: Common,
}

/// Runs it.
pub fn run(arguments: &Arguments) -> Result<Figures, Failure> {
    let (common, load, closed) = (&arguments.common, &arguments.load, &arguments.closed);
    let subscribers = arguments.subs as usize;
    let topic = format!("{}out", common.topic_prefix);
    let window = closed.window(subscribers, load.payload);
    let plan = Plan {
        scenario: "slow-reader",
        topics: vec![topic.clone()],
        filters: vec![vec![topic.clone()]; subscribers],
        window,
        source_window: window,
    };
    let mut net = Net::new(common.addr, common.version())?;
    let meter = common.meter()?;
    let memory = meter.memory();
    let mut figures = describe(plan.scenario, common, load);
    figures.set("subscribers", subscribers);
    figures.set("slow_subscribers", arguments.slow);
    figures.set("window", window);
    let audience = Everybody::new(1, subscribers);
    let parties = bring_up(&mut net, (common, load), &plan, audience, closed.inflight)?;
    let mut flow = ClosedLoop::new(&mut net, parties, common, closed, window)?;
    flow.warm_up(load, closed)?;
    let alone = flow.measure(load, closed)?;
    flow.report_rates(&mut figures, "alone_", &alone);
    flow.report_cost(&mut figures, "alone_", &alone);
    flow.drain()?;

    // Behind the publisher and the fast ones.
    let slow = 1 + subscribers..1 + subscribers + arguments.slow as usize;
    let login = Login::new(common);
    connect_all(flow.net, &login, slow.clone(), &mut Nobody, None)?;
    let manner = Manner {
        per_request: 1,
        timeout: common.timeout,
    };
    let change = Change::Subscribe(load.sub_qos());
    let filters = [topic];
    change_all(
        flow.net,
        slow.clone(),
        change,
        &Each(&filters),
        manner,
        &mut Nobody,
    )?;
    for id in slow.clone() {
        if let Some(connection) = flow.net.connection(id) {
            SockRef::from(&connection.stream)
                .set_recv_buffer_size(RECEIVE_BUFFER_BYTES)
                .map_err(Failure::broken)?;
        }
        flow.net.mute(id)?;
    }
    flow.warm_up(load, closed)?;
    let together = flow.measure(load, closed)?;
    flow.report_rates(&mut figures, "", &together);
    flow.finish(&mut figures)?;
    flow.report_cost(&mut figures, "", &together);
    let remaining = together.msgs_per_s() / alone.msgs_per_s();
    figures.number("rate_with_slow_reader_pct", 100.0 * remaining);
    report_rss(&mut figures, "rss_alone_mb", alone.memory());
    meter.report_memory(&mut figures, memory, together.memory());
    leave_all(&mut net, 0..slow.end)?;
    Ok(figures)
}
