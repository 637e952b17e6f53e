//! Subscribes and unsubscribes many filters on many connections, a few requests under way on each.

use std::ops::Range;
use std::time::Duration;

use mqtt_codec::{
    Packet, PacketId, Properties, QoS, Subscribe, SubscribeFiltersBuf, SubscriptionOptions,
    Unsubscribe, UnsubscribeFiltersBuf,
};

use crate::connection::Connection;
use crate::dial::Patience;
use crate::failure::Failure;
use crate::net::{Handler, Net};

/// Requests under way on one connection.
const UNDER_WAY: usize = 4;

/// What is to be done with the filters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    Subscribe(QoS),
    Unsubscribe,
}

impl Change {
    fn name(self) -> &'static str {
        match self {
            Self::Subscribe(_) => "SUBSCRIBE",
            Self::Unsubscribe => "UNSUBSCRIBE",
        }
    }
}

/// The filters of each connection, made when they are needed: a million of them would be in the way.
pub trait Filters {
    /// How many filters connection `id` has.
    fn count(&self, id: usize) -> usize;
    /// Filter `index` of connection `id`.
    fn filter(&self, id: usize, index: usize) -> String;
}

/// A few filters, the same on each connection.
pub struct Each<'a>(pub &'a [String]);

impl Filters for Each<'_> {
    fn count(&self, _: usize) -> usize {
        self.0.len()
    }

    fn filter(&self, _: usize, index: usize) -> String {
        self.0.get(index).cloned().unwrap_or_default()
    }
}

/// Queues one SUBSCRIBE or UNSUBSCRIBE.
pub fn request(
    connection: &mut Connection,
    change: Change,
    packet_id: PacketId,
    filters: impl Iterator<Item = String>,
) -> Result<(), Failure> {
    match change {
        Change::Subscribe(qos) => {
            let mut entries = SubscribeFiltersBuf::new();
            let options = SubscriptionOptions {
                qos,
                ..SubscriptionOptions::default()
            };
            for filter in filters {
                entries.push(&filter, options).map_err(Failure::usage)?;
            }
            connection.queue(&Packet::Subscribe(Subscribe {
                packet_id,
                properties: Properties::EMPTY,
                filters: entries.as_filters(),
            }))
        }
        Change::Unsubscribe => {
            let mut entries = UnsubscribeFiltersBuf::new();
            for filter in filters {
                entries.push(&filter).map_err(Failure::usage)?;
            }
            connection.queue(&Packet::Unsubscribe(Unsubscribe {
                packet_id,
                properties: Properties::EMPTY,
                filters: entries.as_filters(),
            }))
        }
    }
}

/// What one connection has asked for.
#[derive(Debug, Clone, Default)]
struct Asked {
    filters: usize,
    under_way: usize,
    last_id: u16,
}

/// Receives SUBACKs and UNSUBACKs, and passes on all else.
struct Answers<'a, H> {
    inner: &'a mut H,
    first: usize,
    asked: Vec<Asked>,
    answered: u64,
    /// Connections with room for another request.
    ready: Vec<usize>,
}

impl<H: Handler> Answers<'_, H> {
    fn answer(&mut self, id: usize) -> Result<(), Failure> {
        let asked = id
            .checked_sub(self.first)
            .and_then(|index| self.asked.get_mut(index))
            .filter(|asked| asked.under_way > 0)
            .ok_or_else(|| Failure::broken("an answer came that nobody asked for"))?;
        asked.under_way -= 1;
        self.answered += 1;
        self.ready.push(id);
        Ok(())
    }
}

impl<H: Handler> Handler for Answers<'_, H> {
    fn packet(
        &mut self,
        connection: &mut Connection,
        id: usize,
        packet: Packet<'_>,
        now_ns: u64,
    ) -> Result<(), Failure> {
        let codes = match packet {
            Packet::SubAck(answer) => answer.reason_codes,
            Packet::UnsubAck(answer) => answer.reason_codes,
            _ => return self.inner.packet(connection, id, packet, now_ns),
        };
        if let Some(code) = codes.iter().find(|code| code.is_error()) {
            let reason = code.as_str();
            return Err(Failure::Broken(format!("a filter was refused: {reason}")));
        }
        self.answer(id)
    }

    fn closed(&mut self, id: usize, reason: &str) -> Result<(), Failure> {
        self.inner.closed(id, reason)
    }
}

/// How many filters a request has, and for how long one may go unanswered.
#[derive(Debug, Clone, Copy)]
pub struct Manner {
    pub per_request: usize,
    pub timeout: Duration,
}

/// Subscribes, or unsubscribes, all filters of connections `ids`, and returns when all is answered.
pub fn change_all(
    net: &mut Net,
    ids: Range<usize>,
    change: Change,
    filters: &impl Filters,
    manner: Manner,
    inner: &mut impl Handler,
) -> Result<(), Failure> {
    let mut answers = Answers {
        inner,
        first: ids.start,
        asked: vec![Asked::default(); ids.len()],
        answered: 0,
        ready: ids.clone().collect(),
    };
    let requests: u64 = ids
        .map(|id| filters.count(id).div_ceil(manner.per_request) as u64)
        .sum();
    let mut patience = Patience::new(manner.timeout, net.now_ns());
    while answers.answered < requests {
        for id in std::mem::take(&mut answers.ready) {
            let asked = &mut answers.asked[id - answers.first];
            let Some(connection) = net.connection(id) else {
                continue;
            };
            while asked.under_way < UNDER_WAY && asked.filters < filters.count(id) {
                let to = filters.count(id).min(asked.filters + manner.per_request);
                asked.last_id = asked.last_id.checked_add(1).unwrap_or(1);
                let packet_id = PacketId::new(asked.last_id).unwrap_or(PacketId::MIN);
                let batch = (asked.filters..to).map(|index| filters.filter(id, index));
                request(connection, change, packet_id, batch)?;
                asked.filters = to;
                asked.under_way += 1;
            }
            net.flush(id)?;
        }
        net.turn(Duration::from_millis(100), &mut answers)?;
        patience.check(net.now_ns(), answers.answered, change.name())?;
    }
    Ok(())
}
