//! What statistics are made of: the server at one moment, and averages up to then.

use std::time::Duration;

use broker_core::{Broker, Sizes, Timestamp, Traffic};

use super::average::Load;
use super::memory::{self, Memory};
use crate::shared::Shared;

/// The server at one moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Figures {
    pub(super) uptime: Duration,
    pub(super) sizes: Sizes,
    pub(super) traffic: Traffic,
    /// Messages that were published: by clients, by the program, and wills.
    pub(super) published: u64,
    pub(super) dropped: u64,
    pub(super) connects: u64,
    pub(super) sockets: u64,
    pub(super) expired: u64,
    pub(super) memory: Option<Memory>,
}

/// All that is published: the last figures, and what has led to them.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) started: Timestamp,
    pub(super) figures: Figures,
    /// The most memory of the process's own that was seen.
    pub(super) anonymous_maximum: u64,
    pub(super) loads: Loads,
}

/// How often things happen.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Loads {
    /// Clients that came, less those that went.
    pub(super) arrivals: Load,
    pub(super) published: Load,
    pub(super) connects: Load,
    pub(super) sockets: Load,
    pub(super) packets_received: Load,
    pub(super) packets_sent: Load,
    pub(super) bytes_received: Load,
    pub(super) bytes_sent: Load,
    pub(super) messages_received: Load,
    pub(super) messages_sent: Load,
    pub(super) messages_dropped: Load,
}

impl Figures {
    pub(super) fn read(shared: &Shared, started: Timestamp) -> Self {
        let broker: &Broker = &shared.broker;
        let (counters, traffic) = (broker.counters(), broker.traffic());
        Self {
            uptime: shared.clock.now() - started,
            sizes: broker.sizes(),
            traffic,
            published: traffic.received.messages + counters.own_publishes.get(),
            dropped: counters.dropped_messages(),
            connects: counters.connects.get(),
            sockets: shared.opened_connections(),
            expired: counters.expired_sessions.get(),
            memory: memory::read(),
        }
    }
}

impl Report {
    /// Before anything has happened.
    pub(super) fn begin(started: Timestamp, figures: Figures) -> Self {
        let mut report = Self {
            started,
            figures,
            anonymous_maximum: 0,
            loads: Loads::default(),
        };
        // What there is now is not counted for the time that comes.
        report.update(figures, Duration::ZERO);
        report
    }

    /// This is what there is now, and so long ago is what was before.
    pub(super) fn update(&mut self, figures: Figures, time: Duration) {
        let Figures {
            sizes,
            traffic: Traffic { received, sent, .. },
            ..
        } = figures;
        let connected = u64::try_from(sizes.connected).unwrap_or(u64::MAX);
        let loads = &mut self.loads;
        for (load, total) in [
            (&mut loads.arrivals, connected),
            (&mut loads.published, figures.published),
            (&mut loads.connects, figures.connects),
            (&mut loads.sockets, figures.sockets),
            (&mut loads.packets_received, received.packets),
            (&mut loads.packets_sent, sent.packets),
            (&mut loads.bytes_received, received.bytes),
            (&mut loads.bytes_sent, sent.bytes),
            (&mut loads.messages_received, received.messages),
            (&mut loads.messages_sent, sent.messages),
            (&mut loads.messages_dropped, figures.dropped),
        ] {
            load.sample(i128::from(total), time);
        }
        let anonymous = figures.memory.map_or(0, |memory| memory.anonymous);
        self.anonymous_maximum = self.anonymous_maximum.max(anonymous);
        self.figures = figures;
    }
}
