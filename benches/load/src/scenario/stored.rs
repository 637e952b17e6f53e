//! Much in the broker's store, for whoever starts the broker again: `stored` puts retained messages and
//! persistent sessions there, and `stored --check`, with the same arguments, sees whether they are there.

use std::ops::Range;
use std::time::Duration;

use clap::Args;
use mqtt_codec::{Packet, PacketId, Publish, QoS};

use crate::cli::Common;
use crate::connection::Connection;
use crate::dial::{Login, Nobody, Patience, connect_all, leave_all};
use crate::failure::Failure;
use crate::feed::Feed;
use crate::figures::Figures;
use crate::meter::{Meter, seconds};
use crate::net::{Handler, Net};
use crate::seen::Seen;
use crate::stamp::{STAMP_LEN, Stamp};
use crate::subscriptions::{Change, Filters, Manner, change_all, request};

const WAIT: Duration = Duration::from_millis(20);
/// Who publishes.
const PUBLISHERS: u32 = 8;
/// Unacknowledged messages of each of them.
const INFLIGHT: u16 = 100;
/// Sessions that are connected at the same time.
const AT_ONCE: usize = 1_000;

/// Arguments of `stored`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Retained messages, each with a topic of its own
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    retained: u32,
    /// Persistent sessions that are away, each with a subscription of its own
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..))]
    sessions: u32,
    /// Bytes of payload, at least 16
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(STAMP_LEN as i64..))]
    payload: u32,
    /// See whether all is there
    #[arg(long)]
    check: bool,
    #[command(flatten)]
    pub common: Common,
}

impl Arguments {
    fn retained_topic(&self, number: u32) -> String {
        let prefix = &self.common.topic_prefix;
        format!("{prefix}stored/{}/device-{number}/value", number % 100)
    }

    /// The connections of sessions stand behind those of publishers.
    fn ids(&self) -> Range<usize> {
        let first = PUBLISHERS as usize;
        first..first + self.sessions as usize
    }

    fn login(&self) -> Login<'_> {
        // Both runs have to name the same clients.
        let mut login = Login::named(&self.common, "stored-");
        login.clean = false;
        login
    }
}

/// The subscription of each session.
struct Own<'a>(&'a str);

impl Own<'_> {
    fn topic(&self, id: usize) -> String {
        format!("{}command/{id}", self.0)
    }
}

impl Filters for Own<'_> {
    fn count(&self, _: usize) -> usize {
        1
    }

    fn filter(&self, id: usize, _: usize) -> String {
        self.topic(id)
    }
}

/// Runs it.
pub fn run(arguments: &Arguments) -> Result<Figures, Failure> {
    let common = &arguments.common;
    let mut net = Net::new(common.addr, common.version())?;
    let meter = common.meter()?;
    let mut figures = Figures::of("stored");
    figures.set("mqtt", common.version_name());
    figures.set("payload", arguments.payload);
    figures.set("retained", arguments.retained);
    figures.set("sessions", arguments.sessions);
    let publishers = 0..PUBLISHERS as usize;
    let login = Login::named(common, "storing-");
    connect_all(&mut net, &login, publishers.clone(), &mut Nobody, None)?;
    if arguments.check {
        check_retained(&mut net, arguments, &meter, &mut figures)?;
        check_sessions(&mut net, arguments, &mut figures)?;
    } else {
        store(&mut net, arguments, &meter, &mut figures)?;
        leave_behind(&mut net, arguments, &mut figures)?;
    }
    meter.report_peak(&mut figures);
    leave_all(&mut net, publishers)?;
    Ok(figures)
}

fn store(
    net: &mut Net,
    arguments: &Arguments,
    meter: &Meter,
    figures: &mut Figures,
) -> Result<(), Failure> {
    let feed = Feed {
        topic: &|number| arguments.retained_topic(number),
        stamp: &|number| (0, number),
        count: arguments.retained,
        qos: QoS::AtLeastOnce,
        retain: true,
        payload_len: arguments.payload as usize,
        publishers: PUBLISHERS,
        inflight: INFLIGHT,
        timeout: arguments.common.timeout,
    };
    let before = meter.read();
    let refused = feed.run(net, &mut Nobody)?;
    let after = meter.read();
    let wall_s = seconds(&before, &after);
    figures.number("stored_per_s", f64::from(arguments.retained) / wall_s);
    figures.fail_if_any(refused, "messages were not stored");
    let per = (u64::from(arguments.retained), "msg");
    meter.report(figures, "store_", (&before, &after), per);
    Ok(())
}

/// Sessions are made, some at a time.
fn leave_behind(
    net: &mut Net,
    arguments: &Arguments,
    figures: &mut Figures,
) -> Result<(), Failure> {
    let (login, ids) = (arguments.login(), arguments.ids());
    let manner = Manner {
        per_request: 1,
        timeout: arguments.common.timeout,
    };
    let filters = Own(&arguments.common.topic_prefix);
    let begin_ns = net.now_ns();
    for first in ids.clone().step_by(AT_ONCE) {
        let some = first..ids.end.min(first + AT_ONCE);
        connect_all(net, &login, some.clone(), &mut Nobody, None)?;
        let change = Change::Subscribe(QoS::AtLeastOnce);
        change_all(net, some.clone(), change, &filters, manner, &mut Nobody)?;
        leave_all(net, some)?;
    }
    let wall_s = (net.now_ns() - begin_ns) as f64 / 1e9;
    figures.number("sessions_per_s", ids.len() as f64 / wall_s);
    Ok(())
}

/// Who fetches the retained messages.
struct Fetcher {
    seen: Seen,
    retained: u32,
    payload_len: usize,
    arrived: u64,
    damaged: u64,
}

impl Fetcher {
    fn take(&mut self, publish: &Publish<'_>) {
        self.arrived += 1;
        match Stamp::read(publish.payload) {
            Some(stamp) if publish.retain && publish.payload.len() == self.payload_len => {
                self.seen.take(stamp.sequence, self.retained);
            }
            _ => self.damaged += 1,
        }
    }
}

impl Handler for Fetcher {
    fn packet(
        &mut self,
        connection: &mut Connection,
        id: usize,
        packet: Packet<'_>,
        _: u64,
    ) -> Result<(), Failure> {
        match packet {
            Packet::Publish(publish) => {
                connection.queue_answer(&publish);
                self.take(&publish);
                Ok(())
            }
            Packet::SubAck(answer) if answer.reason_codes.iter().all(|code| !code.is_error()) => {
                Ok(())
            }
            other => Err(Failure::Broken(format!(
                "connection {id}: the broker sent {other:?}"
            ))),
        }
    }
}

fn check_retained(
    net: &mut Net,
    arguments: &Arguments,
    meter: &Meter,
    figures: &mut Figures,
) -> Result<(), Failure> {
    let common = &arguments.common;
    let mut fetcher = Fetcher {
        seen: Seen::new(arguments.retained),
        retained: arguments.retained,
        payload_len: arguments.payload as usize,
        arrived: 0,
        damaged: 0,
    };
    let before = meter.read();
    if let Some(connection) = net.connection(0) {
        let filter = std::iter::once(format!("{}stored/#", common.topic_prefix));
        let change = Change::Subscribe(QoS::AtLeastOnce);
        request(connection, change, PacketId::MIN, filter)?;
    }
    net.flush(0)?;
    let mut patience = Patience::new(common.quiet, net.now_ns());
    while fetcher.arrived < u64::from(arguments.retained)
        && patience.silence(net.now_ns(), fetcher.arrived) < common.quiet
    {
        net.turn(WAIT, &mut fetcher)?;
    }
    let wall_s = seconds(&before, &meter.read());
    figures.number("fetched_per_s", fetcher.arrived as f64 / wall_s);
    let lost = fetcher.seen.lost(arguments.retained);
    figures.set("retained_lost", lost);
    figures.fail_if_any(lost, "retained messages are gone");
    let wrong = fetcher.damaged + fetcher.seen.extra() + fetcher.seen.duplicates();
    figures.fail_if_any(wrong, "retained messages are damaged, or came twice");
    Ok(())
}

/// Some clients return: each has its session, and gets what is published to its subscription.
struct Returned {
    first: usize,
    heard: Vec<bool>,
    count: u64,
    acknowledged: u64,
}

impl Handler for Returned {
    fn packet(
        &mut self,
        connection: &mut Connection,
        id: usize,
        packet: Packet<'_>,
        _: u64,
    ) -> Result<(), Failure> {
        match packet {
            Packet::Publish(publish) => {
                connection.queue_answer(&publish);
                let place = id.checked_sub(self.first);
                let heard = place.and_then(|place| self.heard.get_mut(place));
                let source = Stamp::read(publish.payload).map(|stamp| stamp.source as usize);
                match heard {
                    Some(heard) if !*heard && source == Some(id) => *heard = true,
                    _ => return Err(Failure::Broken(format!("connection {id}: a wrong message"))),
                }
                self.count += 1;
                Ok(())
            }
            Packet::PubAck(_) => {
                self.acknowledged += 1;
                Ok(())
            }
            other => Err(Failure::Broken(format!(
                "connection {id}: the broker sent {other:?}"
            ))),
        }
    }
}

fn check_sessions(
    net: &mut Net,
    arguments: &Arguments,
    figures: &mut Figures,
) -> Result<(), Failure> {
    let common = &arguments.common;
    let ids = arguments.ids();
    // Those in the middle, as good as any.
    let half = ids.len().saturating_sub(AT_ONCE) / 2;
    let some = ids.start + half..ids.end.min(ids.start + half + AT_ONCE);
    let mut returned = Returned {
        first: some.start,
        heard: vec![false; some.len()],
        count: 0,
        acknowledged: 0,
    };
    let welcome = connect_all(net, &arguments.login(), some.clone(), &mut returned, None)?;
    let forgotten = some.len().saturating_sub(welcome.sessions_present) as u64;
    figures.fail_if_any(forgotten, "persistent sessions are gone");
    let own = Own(&common.topic_prefix);
    let first = some.start;
    let feed = Feed {
        topic: &|number| own.topic(first + number as usize),
        stamp: &|number| {
            (
                u32::try_from(first)
                    .unwrap_or(u32::MAX)
                    .saturating_add(number),
                0,
            )
        },
        count: u32::try_from(some.len()).unwrap_or(u32::MAX),
        qos: QoS::AtLeastOnce,
        retain: false,
        payload_len: arguments.payload as usize,
        publishers: PUBLISHERS,
        inflight: INFLIGHT,
        timeout: common.timeout,
    };
    let refused = feed.run(net, &mut returned)?;
    figures.fail_if_any(refused, "publishes were refused");
    let mut patience = Patience::new(common.quiet, net.now_ns());
    while returned.count < some.len() as u64
        && patience.silence(net.now_ns(), returned.count) < common.quiet
    {
        net.turn(WAIT, &mut returned)?;
    }
    let unheard = returned.heard.iter().filter(|heard| !**heard).count() as u64;
    figures.set("sessions_checked", some.len());
    figures.fail_if_any(unheard, "sessions did not get what they are subscribed to");
    leave_all(net, some)?;
    Ok(())
}
