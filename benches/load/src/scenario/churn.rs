//! Clients that come, subscribe, publish one message to themselves, get it and leave; again and again.

use std::time::Duration;

use clap::Args;
use mqtt_codec::{Disconnect, Packet, PacketId, Properties, Publish, QoS, ReasonCode};

use crate::cli::{Common, Load};
use crate::connection::Connection;
use crate::dial::Login;
use crate::failure::Failure;
use crate::figures::Figures;
use crate::flow::describe;
use crate::latency::Latency;
use crate::meter::seconds;
use crate::net::{Handler, Net};
use crate::parties::{PUBCOMP, PUBREL};
use crate::stamp::Stamp;
use crate::subscriptions::{Change, request};

const WAIT: Duration = Duration::from_millis(20);

/// Arguments of `churn`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Clients at the same time
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    concurrency: u32,
    /// Come back with the same client identifiers instead of new ones
    #[arg(long)]
    same_ids: bool,
    /// Loopback addresses to connect from; a port of one can be used again after a minute
    #[arg(long, default_value_t = 100)]
    source_ips: u32,
    #[command(flatten)]
    load: Load,
    #[command(flatten)]
    pub common: Common,
}

/// How far a client has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Connecting,
    Subscribing,
    /// The message is on its way, there and back.
    Publishing,
    /// It has come back. At QoS 1 and 2 its acknowledgement may still be missing.
    Received,
    /// All is done, or the connection broke.
    Over,
}

/// One of the clients at the same time.
#[derive(Debug, Clone, Copy)]
struct Client {
    step: Step,
    /// Its cycle's number, which its message carries.
    cycle: u32,
    began_ns: u64,
    /// Whether the broker has acknowledged the message.
    is_acknowledged: bool,
}

/// All clients.
struct Crowd {
    clients: Vec<Client>,
    topics: Vec<String>,
    load: Load,
    cycle_latency: Latency,
    connect_latency: Latency,
    /// Those who can leave.
    finished: Vec<usize>,
    cycles: u64,
    broken: u64,
    /// Deliveries that were not the one waited for.
    extra: u64,
}

impl Crowd {
    fn publish(&self, connection: &mut Connection, id: usize, now_ns: u64) -> Result<(), Failure> {
        let mut payload = vec![0; self.load.payload as usize];
        let stamp = Stamp {
            sent_ns: now_ns,
            source: id as u32,
            sequence: self.clients[id].cycle,
        };
        stamp.write(&mut payload);
        connection.queue(&Packet::Publish(Publish {
            dup: false,
            qos: self.load.qos,
            retain: false,
            topic: &self.topics[id],
            packet_id: (self.load.qos != QoS::AtMostOnce).then_some(PacketId::MIN),
            properties: Properties::EMPTY,
            payload: &payload,
        }))
    }

    fn receive(&mut self, connection: &mut Connection, id: usize, publish: &Publish<'_>) {
        connection.queue_answer(publish);
        let client = &mut self.clients[id];
        let expected = Some((id as u32, client.cycle));
        let stamp = Stamp::read(publish.payload);
        if client.step == Step::Publishing
            && stamp.map(|stamp| (stamp.source, stamp.sequence)) == expected
            && publish.payload.len() == self.load.payload as usize
        {
            client.step = Step::Received;
        } else {
            self.extra += 1;
        }
    }

    /// A client that has its message and its acknowledgement is done.
    fn look_whether_done(&mut self, id: usize, now_ns: u64) {
        let client = &mut self.clients[id];
        if client.step == Step::Received && client.is_acknowledged {
            client.step = Step::Over;
            self.cycle_latency
                .record(now_ns.saturating_sub(client.began_ns));
            self.cycles += 1;
            self.finished.push(id);
        }
    }
}

impl Handler for Crowd {
    fn packet(
        &mut self,
        connection: &mut Connection,
        id: usize,
        packet: Packet<'_>,
        now_ns: u64,
    ) -> Result<(), Failure> {
        let client = &mut self.clients[id];
        match packet {
            Packet::ConnAck(answer) if !answer.reason_code.is_error() => {
                client.step = Step::Subscribing;
                let latency_ns = now_ns.saturating_sub(client.began_ns);
                self.connect_latency.record(latency_ns);
                let change = Change::Subscribe(self.load.sub_qos());
                let filter = std::iter::once(self.topics[id].clone());
                request(connection, change, PacketId::MIN, filter)?;
            }
            Packet::SubAck(answer) if answer.reason_codes.iter().all(|code| !code.is_error()) => {
                client.step = Step::Publishing;
                client.is_acknowledged = self.load.qos == QoS::AtMostOnce;
                self.publish(connection, id, now_ns)?;
            }
            Packet::Publish(publish) => self.receive(connection, id, &publish),
            Packet::PubAck(_) | Packet::PubComp(_) => client.is_acknowledged = true,
            Packet::PubRec(answer) => {
                connection.queue_acknowledgement(PUBREL, answer.packet_id.get());
            }
            Packet::PubRel(release) => {
                connection.queue_acknowledgement(PUBCOMP, release.packet_id.get());
            }
            other => {
                let reason = format!("client {id}: the broker sent {other:?}");
                return Err(Failure::Broken(reason));
            }
        }
        self.look_whether_done(id, now_ns);
        Ok(())
    }

    fn closed(&mut self, id: usize, _: &str) -> Result<(), Failure> {
        self.clients[id].step = Step::Over;
        self.broken += 1;
        self.finished.push(id);
        Ok(())
    }
}

/// Runs it.
pub fn run(arguments: &Arguments) -> Result<Figures, Failure> {
    let (common, load) = (&arguments.common, &arguments.load);
    let clients = arguments.concurrency as usize;
    let mut login = Login::new(common);
    if common.addr.ip().is_loopback() {
        login.sources = arguments.source_ips as usize;
    }
    let mut net = Net::new(common.addr, common.version())?;
    let meter = common.meter()?;
    let memory = meter.memory();
    let mut figures = describe("churn", common, load);
    figures.set("concurrency", clients);
    figures.set("source_ips", login.sources.max(1));
    let mut turnstile = Turnstile {
        crowd: Crowd::new(clients, load, &common.topic_prefix)?,
        same_ids: arguments.same_ids,
        login,
        next: 0,
    };
    (0..clients).try_for_each(|id| turnstile.enter(&mut net, id))?;
    turnstile.run_until(&mut net, load.warmup)?;
    turnstile.crowd.cycle_latency.clear();
    turnstile.crowd.connect_latency.clear();
    let cycles = turnstile.crowd.cycles;
    let before = meter.read();
    turnstile.run_until(&mut net, load.seconds)?;
    let after = meter.read();
    let memory_after = meter.memory();
    let cycles = turnstile.crowd.cycles - cycles;
    let wall_s = seconds(&before, &after);
    figures.number("seconds", wall_s);
    figures.number("cycles_per_s", cycles as f64 / wall_s);
    turnstile.crowd.cycle_latency.report(&mut figures, "");
    let latency = &mut turnstile.crowd.connect_latency;
    latency.report(&mut figures, "connect_");
    let hung = turnstile.wait_for_last(&mut net, common.quiet)?;
    let crowd = &turnstile.crowd;
    figures.set("cycles", crowd.cycles);
    figures.set("hung", hung);
    figures.set("broken", crowd.broken);
    figures.set("extra", crowd.extra);
    figures.fail_if_any(hung, "clients did not get what they waited for");
    figures.fail_if_any(crowd.broken, "connections broke");
    figures.fail_if_any(crowd.extra, "deliveries were not what was published");
    meter.report(&mut figures, "", (&before, &after), (cycles, "cycle"));
    meter.report_memory(&mut figures, memory, memory_after);
    Ok(figures)
}

impl Crowd {
    fn new(clients: usize, load: &Load, prefix: &str) -> Result<Self, Failure> {
        let client = Client {
            step: Step::Over,
            cycle: 0,
            began_ns: 0,
            is_acknowledged: false,
        };
        Ok(Self {
            clients: vec![client; clients],
            topics: (0..clients)
                .map(|id| format!("{prefix}churn/{id}"))
                .collect(),
            load: load.clone(),
            cycle_latency: Latency::new()?,
            connect_latency: Latency::new()?,
            finished: Vec::new(),
            cycles: 0,
            broken: 0,
            extra: 0,
        })
    }
}

/// Lets clients in again when they have left.
struct Turnstile<'a> {
    crowd: Crowd,
    login: Login<'a>,
    same_ids: bool,
    /// The number of the next client identifier.
    next: usize,
}

impl Turnstile<'_> {
    fn enter(&mut self, net: &mut Net, id: usize) -> Result<(), Failure> {
        let number = if self.same_ids { id } else { self.next };
        let client = &mut self.crowd.clients[id];
        client.step = Step::Connecting;
        client.cycle = client.cycle.wrapping_add(1);
        client.began_ns = net.now_ns();
        net.open(id, self.login.source(self.next))?;
        if let Some(connection) = net.connection(id) {
            self.login.introduce(connection, number)?;
        }
        self.next += 1;
        net.flush(id)
    }

    fn leave(net: &mut Net, id: usize) -> Result<(), Failure> {
        if let Some(connection) = net.connection(id) {
            let goodbye = Disconnect::new(ReasonCode::NORMAL_DISCONNECTION);
            connection.queue(&Packet::Disconnect(goodbye))?;
            // A broker that has hung up already has broken nothing: the cycle was over.
            let _ = connection.flush();
        }
        net.close(id);
        Ok(())
    }

    fn run_until(&mut self, net: &mut Net, length: Duration) -> Result<(), Failure> {
        let end_ns = net.now_ns() + length.as_nanos() as u64;
        while net.now_ns() < end_ns {
            net.turn(WAIT, &mut self.crowd)?;
            for id in std::mem::take(&mut self.crowd.finished) {
                Self::leave(net, id)?;
                self.enter(net, id)?;
            }
        }
        Ok(())
    }

    /// Nobody comes back any more. Returns how many never finish.
    fn wait_for_last(&mut self, net: &mut Net, quiet: Duration) -> Result<u64, Failure> {
        let end_ns = net.now_ns() + quiet.as_nanos() as u64;
        loop {
            for id in std::mem::take(&mut self.crowd.finished) {
                Self::leave(net, id)?;
            }
            let is_inside = |client: &&Client| client.step != Step::Over;
            let inside = self.crowd.clients.iter().filter(is_inside).count();
            if inside == 0 || net.now_ns() >= end_ns {
                return Ok(inside as u64);
            }
            net.turn(WAIT, &mut self.crowd)?;
        }
    }
}
