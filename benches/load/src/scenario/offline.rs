//! Persistent sessions subscribe and leave; messages are queued for each of them; they return and get
//! everything, in order.

use std::time::Duration;

use clap::Args;
use mqtt_codec::{Packet, QoS};

use crate::audience::Pairs;
use crate::cli::{self, Common};
use crate::connection::Connection;
use crate::dial::{Login, Nobody, Patience, connect_all, leave_all};
use crate::failure::Failure;
use crate::feed::Feed;
use crate::figures::Figures;
use crate::meter::{Meter, report_growth, seconds};
use crate::net::{Handler, Net};
use crate::parties::{Audience, PUBCOMP};
use crate::sequences::Verdict;
use crate::stamp::{STAMP_LEN, Stamp};
use crate::subscriptions::{Change, Filters, Manner, change_all};

const WAIT: Duration = Duration::from_millis(20);
/// How long to look for deliveries too many when everything is there.
const AFTERMATH: Duration = Duration::from_millis(100);
/// How long the broker may take to notice that all have left.
const PARTING: Duration = Duration::from_millis(300);

/// Arguments of `offline`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Clients that are away
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    clients: u32,
    /// Messages for each of them
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    messages: u32,
    /// Publishers
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pubs: u32,
    /// Bytes of payload, at least 16
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(STAMP_LEN as i64..))]
    payload: u32,
    /// QoS of publishing and of the subscriptions: 1 or 2
    #[arg(long, default_value = "1", value_parser = cli::qos)]
    qos: QoS,
    /// Unacknowledged messages of each publisher [default: 100, at QoS 2 20]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    inflight: Option<u16>,
    #[command(flatten)]
    pub common: Common,
}

/// Each client's own topic.
struct Own<'a> {
    prefix: &'a str,
    first: usize,
}

impl Filters for Own<'_> {
    fn count(&self, _: usize) -> usize {
        1
    }

    fn filter(&self, id: usize, _: usize) -> String {
        format!("{}away/{}", self.prefix, id - self.first)
    }
}

/// The clients when they are back.
struct Returned {
    /// Client i is the subscriber of the messages of source i.
    books: Pairs,
    first: usize,
    messages: u32,
    payload_len: usize,
    delivered: u64,
    damaged: u64,
    first_ns: Option<u64>,
}

impl Handler for Returned {
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
                self.first_ns.get_or_insert(now_ns);
                self.delivered += 1;
                match Stamp::read(publish.payload) {
                    Some(stamp) if publish.payload.len() == self.payload_len => {
                        self.books.take(id - self.first, &stamp, self.messages);
                    }
                    _ => self.damaged += 1,
                }
            }
            Packet::PubRel(release) => {
                connection.queue_acknowledgement(PUBCOMP, release.packet_id.get());
            }
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
    if arguments.qos == QoS::AtMostOnce {
        return Err(Failure::usage("--qos must be 1 or 2: QoS 0 is not queued"));
    }
    if !arguments.clients.is_multiple_of(arguments.pubs) {
        // So each client has a publisher of its own, and its messages an order.
        return Err(Failure::usage("--clients must be a multiple of --pubs"));
    }
    let publishers = arguments.pubs as usize;
    let clients = arguments.clients as usize;
    let away = publishers..publishers + clients;
    let mut net = Net::new(common.addr, common.version())?;
    let meter = common.meter()?;
    let mut figures = Figures::of("offline");
    figures.set("mqtt", common.version_name());
    figures.set("qos", arguments.qos.as_u8());
    figures.set("payload", arguments.payload);
    figures.set("clients", clients);
    figures.set("messages_per_client", arguments.messages);
    figures.set("publishers", publishers);

    let mut login = Login::for_connections(common, publishers + clients);
    connect_all(&mut net, &login, 0..publishers, &mut Nobody, None)?;
    login.clean = false;
    let memory = meter.memory();
    connect_all(&mut net, &login, away.clone(), &mut Nobody, None)?;
    let filters = Own {
        prefix: &common.topic_prefix,
        first: publishers,
    };
    let manner = Manner {
        per_request: 1,
        timeout: common.timeout,
    };
    let change = Change::Subscribe(arguments.qos);
    change_all(
        &mut net,
        away.clone(),
        change,
        &filters,
        manner,
        &mut Nobody,
    )?;
    leave_all(&mut net, away.clone())?;
    std::thread::sleep(PARTING);
    let growth = (memory, meter.memory());
    report_growth(&mut figures, "rss_per_session_b", growth, clients);
    queue(&mut net, arguments, &meter, &mut figures)?;
    let memory_queued = meter.memory();
    let returned = drain(&mut net, arguments, &login, &meter, &mut figures)?;
    judge(&returned, arguments, &mut figures);
    meter.report_memory(&mut figures, memory, memory_queued);
    // The sessions are not left behind.
    leave_all(&mut net, away.clone())?;
    login.clean = true;
    connect_all(&mut net, &login, away.clone(), &mut Nobody, None)?;
    leave_all(&mut net, 0..away.end)?;
    Ok(figures)
}

fn queue(
    net: &mut Net,
    arguments: &Arguments,
    meter: &Meter,
    figures: &mut Figures,
) -> Result<(), Failure> {
    let clients = arguments.clients;
    let count = clients
        .checked_mul(arguments.messages)
        .ok_or_else(|| Failure::usage("too many messages"))?;
    let inflight = arguments.inflight.unwrap_or(match arguments.qos {
        QoS::ExactlyOnce => 20,
        _ => 100,
    });
    figures.set("inflight", inflight);
    let prefix = &arguments.common.topic_prefix;
    let feed = Feed {
        // One message for each client, then the next for each.
        topic: &|number| format!("{prefix}away/{}", number % clients),
        stamp: &|number| (number % clients, number / clients),
        count,
        qos: arguments.qos,
        retain: false,
        payload_len: arguments.payload as usize,
        publishers: arguments.pubs,
        inflight,
        timeout: arguments.common.timeout,
    };
    let memory = meter.memory();
    let before = meter.read();
    let refused = feed.run(net, &mut Nobody)?;
    let after = meter.read();
    let wall_s = seconds(&before, &after);
    figures.number("queue_s", wall_s);
    figures.number("queued_per_s", f64::from(count) / wall_s);
    figures.fail_if_any(refused, "publishes were refused");
    let per = (u64::from(count), "msg");
    meter.report(figures, "queue_", (&before, &after), per);
    let growth = (memory, meter.memory());
    report_growth(figures, "rss_per_queued_b", growth, count as usize);
    Ok(())
}

/// All return at once, and get what was queued.
fn drain(
    net: &mut Net,
    arguments: &Arguments,
    login: &Login<'_>,
    meter: &Meter,
    figures: &mut Figures,
) -> Result<Returned, Failure> {
    let (first, clients) = (arguments.pubs as usize, arguments.clients as usize);
    let count = u64::from(arguments.clients) * u64::from(arguments.messages);
    let mut returned = Returned {
        books: Pairs::new(clients),
        first,
        messages: arguments.messages,
        payload_len: arguments.payload as usize,
        delivered: 0,
        damaged: 0,
        first_ns: None,
    };
    let quiet = arguments.common.quiet;
    let before = meter.read();
    let begin_ns = net.now_ns();
    let welcome = connect_all(net, login, first..first + clients, &mut returned, None)?;
    figures.number("reconnect_s", (net.now_ns() - begin_ns) as f64 / 1e9);
    let mut patience = Patience::new(quiet, net.now_ns());
    while returned.delivered < count
        && patience.silence(net.now_ns(), returned.delivered) < quiet
        && Duration::from_nanos(net.now_ns() - begin_ns) < arguments.common.drain_limit
    {
        net.turn(WAIT, &mut returned)?;
    }
    let after = meter.read();
    let first_ns = returned.first_ns.unwrap_or_default();
    let first_ms = first_ns.saturating_sub(begin_ns) as f64 / 1e6;
    figures.number("drain_first_ms", first_ms);
    let wall_s = seconds(&before, &after);
    figures.number("drain_s", wall_s);
    figures.number("drained_per_s", returned.delivered as f64 / wall_s);
    let per = (returned.delivered, "msg");
    meter.report(figures, "drain_", (&before, &after), per);
    figures.set("sessions_present", welcome.sessions_present);
    let end_ns = net.now_ns() + AFTERMATH.as_nanos() as u64;
    while net.now_ns() < end_ns {
        net.turn(AFTERMATH, &mut returned)?;
    }
    Ok(returned)
}

fn judge(returned: &Returned, arguments: &Arguments, figures: &mut Figures) {
    let sent = vec![arguments.messages; arguments.clients as usize];
    let Verdict {
        lost,
        duplicates,
        out_of_order,
        extra,
    } = returned.books.verdict(&sent);
    figures.set("delivered", returned.delivered);
    figures.set("lost", lost);
    figures.set("duplicates", duplicates);
    figures.set("out_of_order", out_of_order);
    figures.fail_if_any(lost, "queued messages did not come");
    figures.fail_if_any(out_of_order, "queued messages were out of order");
    figures.fail_if_any(
        extra + returned.damaged,
        "deliveries were damaged or misrouted",
    );
    // At QoS 1 a broker may deliver again what it knows no acknowledgement of.
    if arguments.qos == QoS::ExactlyOnce {
        figures.fail_if_any(duplicates, "messages at QoS 2 came twice");
    }
}
