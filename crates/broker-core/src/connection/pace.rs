//! How fast a client sends. Who has used up a rate is not read from until there is room again: the
//! network holds back what the client sends meanwhile, and nothing of it is lost.

use super::{Connected, Connection, Phase};
use crate::Timestamp;
use crate::broker::Broker;
use crate::counters::Counter;
use crate::rate::{Rate, TokenBucket};
use crate::session::Hold;

/// What is left of a client's rates.
#[derive(Debug, Default)]
pub(super) struct Pace {
    messages: Option<TokenBucket>,
    bytes: Option<TokenBucket>,
    /// Until when nothing is read.
    until: Option<Timestamp>,
    /// How often that was so.
    pauses: u32,
}

impl Pace {
    pub(super) fn is_pausing(&self) -> bool {
        self.until.is_some()
    }
}

impl Connection {
    /// Whole packets of so many `bytes` have arrived from the client: its keep alive begins anew
    /// (section 3.1.2.10). To be called once for all that was read at a time. A part of a packet is no
    /// sign of life, unless it is one of a very large packet: 0 `bytes` then, they count when it is whole.
    pub fn hear(&mut self, now: Timestamp, bytes: usize) {
        let broker = &self.broker;
        let Phase::Connected(connected) = &mut self.phase else {
            return;
        };
        connected.session.hear(now);
        if let Some(rate) = broker.options().max_receive_rate_bytes {
            let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
            let waits = &broker.counters().receive_rate_waits;
            connected.pay(|pace| &mut pace.bytes, rate, bytes, now, waits);
        }
    }

    /// Whether the client has used up a rate: nothing more is to be read from it until
    /// [`poll_timeout`](Self::poll_timeout), and [`is_deciding`](Self::is_deciding) holds as well.
    pub fn is_pausing(&self) -> bool {
        self.connected()
            .is_some_and(|connected| connected.paused_until().is_some())
    }

    /// How often it has [paused](Self::is_pausing) on this connection.
    pub fn pauses(&self) -> u32 {
        let extras = self.connected().and_then(|it| it.extras.as_ref());
        let pace = extras.and_then(|extras| extras.pace.as_ref());
        pace.map_or(0, |pace| pace.pauses)
    }
}

impl Connected {
    /// Until when nothing is read from the client.
    pub(super) fn paused_until(&self) -> Option<Timestamp> {
        self.extras.as_ref()?.pace.as_ref()?.until
    }

    /// A PUBLISH has come.
    pub(super) fn count_publish(&mut self, now: Timestamp, broker: &Broker) {
        if let Some(rate) = broker.options().max_publish_rate {
            let waits = &broker.counters().publish_rate_waits;
            self.pay(|pace| &mut pace.messages, rate, 1, now, waits);
        }
    }

    /// Takes `tokens` out of a bucket; reading pauses while there is none left.
    fn pay(
        &mut self,
        bucket: impl FnOnce(&mut Pace) -> &mut Option<TokenBucket>,
        rate: Rate,
        tokens: u32,
        now: Timestamp,
        waits: &Counter,
    ) {
        let extras = self.extras.get_or_insert_default();
        let pace = extras.pace.get_or_insert_default();
        let bucket = bucket(pace).get_or_insert_with(|| TokenBucket::full(rate, now));
        bucket.pay(rate, now, tokens);
        let next = bucket.next_at(rate);
        if next <= now {
            return;
        }
        waits.add(1);
        pace.pauses = pace.pauses.saturating_add(1);
        pace.until = pace.until.max(Some(next));
        self.hold_keep_alive(Hold::Pace, true);
    }

    /// The time of a pause may be over. Whether it is.
    pub(super) fn end_pause(&mut self, now: Timestamp) -> bool {
        let pace = self.extras.as_mut().and_then(|it| it.pace.as_mut());
        let ended = pace.and_then(|pace| pace.until.take_if(|until| *until <= now));
        if ended.is_some() {
            self.hold_keep_alive(Hold::Pace, false);
            self.session.hear(now);
        }
        ended.is_some()
    }
}
