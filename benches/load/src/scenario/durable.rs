//! Publishers at QoS 1 or 2 to clients with persistent sessions, which are there or away: how many publishes
//! are acknowledged a second. A broker that keeps sessions in a store has it written before it answers.
//!
//! Each publisher goes on when it has its acknowledgement, whether or not the message was delivered.
//! At the end everything is delivered and checked: clients that were away come back for it.

use std::collections::VecDeque;
use std::time::Duration;

use clap::Args;
use mqtt_codec::{Packet, QoS};

use crate::audience::Pairs;
use crate::cli::{self, Common};
use crate::connection::Connection;
use crate::dial::{Login, Nobody, Patience, connect_all, leave_all};
use crate::failure::Failure;
use crate::figures::Figures;
use crate::flow::Listed;
use crate::latency::Latency;
use crate::meter::{Meter, Reading, seconds};
use crate::net::{Handler, Net};
use crate::parties::Parties;
use crate::sequences::Verdict;
use crate::stamp::STAMP_LEN;
use crate::subscriptions::{Change, Manner, change_all};

const WAIT: Duration = Duration::from_millis(20);
/// How long to look for deliveries too many when everything is there.
const AFTERMATH: Duration = Duration::from_millis(50);

/// Arguments of `durable`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Publishers, and subscribers: each publisher has one of its own
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..))]
    pairs: u32,
    /// QoS of publishing and of the subscriptions: 1 or 2
    #[arg(long, default_value = "1", value_parser = cli::qos)]
    qos: QoS,
    /// The subscribers are away, and come back in the end
    #[arg(long)]
    away: bool,
    /// Unacknowledged messages of each publisher
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    inflight: u16,
    /// Bytes of payload, at least 16
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(STAMP_LEN as i64..))]
    payload: u32,
    /// Length of the measured part in seconds
    #[arg(long, default_value = "5", value_parser = cli::seconds)]
    seconds: Duration,
    /// Seconds of load before
    #[arg(long, default_value = "1", value_parser = cli::seconds)]
    warmup: Duration,
    #[command(flatten)]
    pub common: Common,
}

/// Publishers and subscribers, and how long acknowledgements take.
struct Flow {
    parties: Parties<Pairs>,
    /// When the unacknowledged messages of each publisher were sent, the earliest first.
    sent_ns: Vec<VecDeque<u64>>,
    latency: Latency,
    /// Messages that are acknowledged to the last, so far: by PUBACK, or by PUBCOMP.
    finished: u64,
}

impl Handler for Flow {
    fn packet(
        &mut self,
        connection: &mut Connection,
        id: usize,
        packet: Packet<'_>,
        now_ns: u64,
    ) -> Result<(), Failure> {
        if matches!(packet, Packet::PubAck(_) | Packet::PubComp(_))
            && let Some(sent_ns) = self.sent_ns.get_mut(id).and_then(VecDeque::pop_front)
        {
            self.finished += 1;
            self.latency.record(now_ns.saturating_sub(sent_ns));
        }
        self.parties.packet(connection, id, packet, now_ns)
    }
}

impl Flow {
    fn run_for(&mut self, net: &mut Net, time: Duration) -> Result<(), Failure> {
        let end_ns = end_of(net, time);
        while net.now_ns() < end_ns {
            self.publish(net)?;
            net.turn(WAIT, self)?;
        }
        Ok(())
    }

    /// Everybody sends what he may.
    fn publish(&mut self, net: &mut Net) -> Result<(), Failure> {
        let now_ns = net.now_ns();
        for (source, sent_ns) in self.sent_ns.iter_mut().enumerate() {
            let room = self.parties.publishers[source].room();
            if room > 0 {
                let count = self.parties.publish(net, source, room, |_| now_ns)?;
                sent_ns.extend(std::iter::repeat_n(now_ns, count));
            }
        }
        Ok(())
    }

    /// Waits until `is_over`, or nothing has come for too long.
    fn wait(
        &mut self,
        net: &mut Net,
        common: &Common,
        mut is_over: impl FnMut(&Self) -> bool,
    ) -> Result<(), Failure> {
        let begin_ns = net.now_ns();
        let mut patience = Patience::new(common.quiet, begin_ns);
        while !is_over(self)
            && patience.silence(net.now_ns(), self.progress()) < common.quiet
            && Duration::from_nanos(net.now_ns() - begin_ns) < common.drain_limit
        {
            net.turn(WAIT, self)?;
        }
        Ok(())
    }

    fn progress(&self) -> u64 {
        self.parties.acknowledged + self.parties.delivered
    }
}

/// Runs it.
pub fn run(arguments: &Arguments) -> Result<Figures, Failure> {
    let common = &arguments.common;
    if arguments.qos == QoS::AtMostOnce {
        let reason = "--qos must be 1 or 2: nothing is acknowledged at QoS 0";
        return Err(Failure::usage(reason));
    }
    let pairs = arguments.pairs as usize;
    let subscribers = pairs..2 * pairs;
    let mut net = Net::new(common.addr, common.version())?;
    let meter = common.meter()?;
    let memory = meter.memory();
    let mut figures = Figures::of("durable");
    figures.set("mqtt", common.version_name());
    figures.set("qos", arguments.qos.as_u8());
    figures.set("payload", arguments.payload);
    figures.set("publishers", pairs);
    figures.set("inflight", arguments.inflight);
    figures.set("away", arguments.away);

    let mut login = Login::for_connections(common, 2 * pairs);
    let mut flow = bring_up(&mut net, arguments, &mut login)?;
    if arguments.away {
        leave_all(&mut net, subscribers.clone())?;
    }
    flow.run_for(&mut net, arguments.warmup)?;
    flow.latency.clear();
    flow.parties.latency.clear();
    let before = (meter.read(), flow.finished, flow.parties.delivered);
    flow.run_for(&mut net, arguments.seconds)?;
    report(&mut flow, &meter, before, &mut figures);
    let memory_after = meter.memory();

    flow.wait(&mut net, common, |flow| flow.parties.unacknowledged() == 0)?;
    if arguments.away {
        come_back(&mut net, &login, &mut flow, arguments, &mut figures)?;
    }
    flow.wait(&mut net, common, |flow| flow.parties.is_complete())?;
    let end_ns = end_of(&net, AFTERMATH);
    while net.now_ns() < end_ns {
        net.turn(AFTERMATH, &mut flow)?;
    }
    judge(&flow.parties, &mut figures);
    meter.report_memory(&mut figures, memory, memory_after);
    // The sessions are not left behind.
    leave_all(&mut net, 0..2 * pairs)?;
    login.clean = true;
    connect_all(&mut net, &login, subscribers.clone(), &mut Nobody, None)?;
    leave_all(&mut net, subscribers)?;
    Ok(figures)
}

fn end_of(net: &Net, time: Duration) -> u64 {
    net.now_ns() + u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Publishers, and behind them subscribers with persistent sessions.
fn bring_up<'a>(
    net: &mut Net,
    arguments: &'a Arguments,
    login: &mut Login<'a>,
) -> Result<Flow, Failure> {
    let common = &arguments.common;
    let pairs = arguments.pairs as usize;
    let welcome = connect_all(net, login, 0..pairs, &mut Nobody, None)?;
    login.clean = false;
    connect_all(net, login, pairs..2 * pairs, &mut Nobody, None)?;
    let topic = |index| format!("{}durable/{index}", common.topic_prefix);
    let filters: Vec<Vec<String>> = (0..pairs).map(|index| vec![topic(index)]).collect();
    let listed = Listed {
        first: pairs,
        filters: &filters,
    };
    let manner = Manner {
        per_request: 1,
        timeout: common.timeout,
    };
    let change = Change::Subscribe(arguments.qos);
    change_all(net, pairs..2 * pairs, change, &listed, manner, &mut Nobody)?;
    let mut parties = Parties::new(Pairs::new(pairs), arguments.payload as usize)?;
    let inflight = arguments.inflight.min(welcome.receive_maximum);
    for index in 0..pairs {
        let limits = (u32::from(inflight), inflight);
        parties.add_publisher(net, &topic(index), arguments.qos, limits)?;
    }
    Ok(Flow {
        parties,
        sent_ns: vec![VecDeque::new(); pairs],
        latency: Latency::new()?,
        finished: 0,
    })
}

fn report(flow: &mut Flow, meter: &Meter, before: (Reading, u64, u64), figures: &mut Figures) {
    let (begin, finished, delivered) = before;
    let after = meter.read();
    let wall_s = seconds(&begin, &after);
    let finished = flow.finished - finished;
    let delivered = flow.parties.delivered - delivered;
    figures.number("seconds", wall_s);
    figures.number("acked_per_s", finished as f64 / wall_s);
    flow.latency.report(figures, "ack_");
    figures.number("msgs_per_s", delivered as f64 / wall_s);
    if delivered > 0 {
        flow.parties.latency.report(figures, "");
    }
    meter.report(figures, "", (&begin, &after), (finished, "msg"));
}

/// Those who were away get what they have missed.
fn come_back(
    net: &mut Net,
    login: &Login<'_>,
    flow: &mut Flow,
    arguments: &Arguments,
    figures: &mut Figures,
) -> Result<(), Failure> {
    let pairs = arguments.pairs as usize;
    let missed = flow.parties.published();
    let begin_ns = net.now_ns();
    let welcome = connect_all(net, login, pairs..2 * pairs, flow, None)?;
    flow.wait(net, &arguments.common, |flow| flow.parties.is_complete())?;
    let wall_s = (net.now_ns() - begin_ns) as f64 / 1e9;
    figures.set("missed", missed);
    figures.set("sessions_present", welcome.sessions_present);
    figures.number("drained_per_s", flow.parties.delivered as f64 / wall_s);
    let forgotten = pairs.saturating_sub(welcome.sessions_present);
    figures.fail_if_any(forgotten as u64, "persistent sessions were gone");
    Ok(())
}

fn judge(parties: &Parties<Pairs>, figures: &mut Figures) {
    let Verdict {
        lost,
        duplicates,
        out_of_order,
        extra,
    } = parties.verdict();
    figures.set("sent", parties.published());
    figures.set("delivered", parties.delivered);
    figures.set("lost", lost);
    figures.set("duplicates", duplicates);
    figures.set("out_of_order", out_of_order);
    figures.fail_if_any(lost, "messages were lost");
    figures.fail_if_any(out_of_order, "messages came out of order");
    figures.fail_if_any(extra, "deliveries were damaged or misrouted");
    figures.fail_if_any(
        parties.unacknowledged() as u64,
        "publishes were not acknowledged",
    );
    figures.fail_if_any(parties.refused(), "publishes were refused");
    let late = parties.acknowledged_out_of_order();
    figures.fail_if_any(late, "publishes were acknowledged out of order");
}
