//! What the closed loops of publishers and subscribers have in common: all are brought up, the flow is
//! warmed up, measured, drained and judged.

use mqtt_codec::QoS;

use crate::cli::{Closed, Common, Load};
use crate::closed_loop::ClosedLoop;
use crate::dial::{Login, Nobody, connect_all, leave_all};
use crate::failure::Failure;
use crate::figures::Figures;
use crate::net::Net;
use crate::parties::{Audience, Parties};
use crate::subscriptions::{Change, Filters, Manner, change_all};

/// Who publishes what, and who subscribes to what.
pub struct Plan {
    pub scenario: &'static str,
    /// The topic of each publisher.
    pub topics: Vec<String>,
    /// The filters of each subscriber.
    pub filters: Vec<Vec<String>>,
    /// Messages under way to one subscriber.
    pub window: u32,
    /// Messages under way from one publisher.
    pub source_window: u32,
}

/// The filters of subscribers whose connections begin at `first`.
pub struct Listed<'a> {
    pub first: usize,
    pub filters: &'a [Vec<String>],
}

impl Filters for Listed<'_> {
    fn count(&self, id: usize) -> usize {
        self.filters[id - self.first].len()
    }

    fn filter(&self, id: usize, index: usize) -> String {
        self.filters[id - self.first][index].clone()
    }
}

/// The figures that say what was run.
pub fn describe(scenario: &str, common: &Common, load: &Load) -> Figures {
    let mut figures = Figures::of(scenario);
    figures.set("mqtt", common.version_name());
    figures.set("qos", load.qos.as_u8());
    figures.set("payload", load.payload);
    figures
}

/// Connects publishers and subscribers, subscribes, and gives the publishers their messages.
pub fn bring_up<A: Audience>(
    net: &mut Net,
    (common, load): (&Common, &Load),
    plan: &Plan,
    audience: A,
    inflight: u16,
) -> Result<Parties<A>, Failure> {
    let publishers = plan.topics.len();
    let all = publishers + plan.filters.len();
    let login = Login::for_connections(common, all);
    let welcome = connect_all(net, &login, 0..all, &mut Nobody, None)?;
    let filters = Listed {
        first: publishers,
        filters: &plan.filters,
    };
    let manner = Manner {
        per_request: 10,
        timeout: common.timeout,
    };
    let change = Change::Subscribe(load.sub_qos());
    change_all(net, publishers..all, change, &filters, manner, &mut Nobody)?;
    let mut parties = Parties::new(audience, load.payload as usize)?;
    let inflight = inflight.min(welcome.receive_maximum);
    for topic in &plan.topics {
        parties.add_publisher(net, topic, load.qos, (plan.source_window, inflight))?;
    }
    Ok(parties)
}

/// Runs a closed loop from the first connection to the verdict.
pub fn run<A: Audience>(
    common: &Common,
    load: &Load,
    closed: &Closed,
    plan: Plan,
    audience: A,
) -> Result<Figures, Failure> {
    let mut net = Net::new(common.addr, common.version())?;
    let meter = common.meter()?;
    let memory = meter.memory();
    let mut figures = describe(plan.scenario, common, load);
    figures.set("publishers", plan.topics.len());
    figures.set("subscribers", plan.filters.len());
    figures.set("window", plan.window);
    if load.qos != QoS::AtMostOnce {
        figures.set("inflight", closed.inflight);
    }
    let parties = bring_up(&mut net, (common, load), &plan, audience, closed.inflight)?;
    let all = 0..plan.topics.len() + plan.filters.len();
    let mut flow = ClosedLoop::new(&mut net, parties, common, closed, plan.source_window)?;
    flow.warm_up(load, closed)?;
    let measured = flow.measure(load, closed)?;
    flow.report_rates(&mut figures, "", &measured);
    let mb_per_s = measured.msgs_per_s() * f64::from(load.payload) / 1e6;
    figures.number("mb_per_s", mb_per_s);
    flow.finish(&mut figures)?;
    flow.report_cost(&mut figures, "", &measured);
    meter.report_memory(&mut figures, memory, measured.memory());
    leave_all(&mut net, all)?;
    Ok(figures)
}
