//! What all tasks of one server share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use broker_core::Broker;
use broker_core::persistence::Persistence;
use tokio::sync::Notify;

use crate::clock::Clock;
use crate::health::StoreHealth;
use crate::lobby::Lobby;

/// Time that a connection has for its last words, unless the server's close gives it less.
const FAREWELL: Duration = Duration::from_secs(5);

/// Time that a client has then to take them and to close its side.
const DISCARD: Duration = Duration::from_secs(1);

pub(crate) struct Shared {
    pub(crate) broker: Arc<Broker>,
    pub(crate) store: Option<Arc<dyn Persistence>>,
    pub(crate) health: StoreHealth,
    pub(crate) clock: Clock,
    /// Connections that have not been let in.
    pub(crate) lobby: Arc<Lobby>,
    /// Connections whose tasks have not ended, by the number of their interface.
    open: Box<[AtomicUsize]>,
    all_gone: Notify,
    pub(crate) refused: Refused,
    farewell_millis: AtomicU64,
    discard_millis: AtomicU64,
}

impl Shared {
    pub(crate) fn new(
        broker: Arc<Broker>,
        store: Option<Arc<dyn Persistence>>,
        clock: Clock,
        interfaces: usize,
    ) -> Self {
        Self {
            broker,
            store,
            health: StoreHealth::default(),
            clock,
            lobby: Arc::default(),
            open: (0..interfaces).map(|_| AtomicUsize::new(0)).collect(),
            all_gone: Notify::new(),
            refused: Refused::default(),
            farewell_millis: AtomicU64::new(millis(FAREWELL)),
            discard_millis: AtomicU64::new(millis(DISCARD)),
        }
    }

    /// How long a connection may take to say its last words.
    pub(crate) fn farewell_time(&self) -> Duration {
        Duration::from_millis(self.farewell_millis.load(Ordering::Relaxed))
    }

    /// How long its client may take then to close its side.
    pub(crate) fn discard_time(&self) -> Duration {
        Duration::from_millis(self.discard_millis.load(Ordering::Relaxed))
    }

    /// From now on a connection that has to close does so well within `limit`.
    pub(crate) fn limit_farewell(&self, limit: Duration) {
        let (half, quarter) = (millis(limit / 2), millis(limit / 4));
        self.farewell_millis.fetch_min(half, Ordering::Relaxed);
        self.discard_millis.fetch_min(quarter, Ordering::Relaxed);
    }

    /// Connections whose tasks have not ended.
    pub(crate) fn open_connections(&self) -> usize {
        let open = self.open.iter();
        open.map(|open| open.load(Ordering::Acquire)).sum()
    }

    /// Connections of one interface.
    pub(crate) fn open_on(&self, interface: u32) -> usize {
        self.counter(interface)
            .map_or(0, |open| open.load(Ordering::Acquire))
    }

    pub(crate) fn connection_opened(&self, interface: u32) {
        if let Some(open) = self.counter(interface) {
            open.fetch_add(1, Ordering::AcqRel);
        }
    }

    pub(crate) fn connection_ended(&self, interface: u32) {
        if let Some(open) = self.counter(interface)
            && open.fetch_sub(1, Ordering::AcqRel) == 1
        {
            self.all_gone.notify_waiters();
        }
    }

    fn counter(&self, interface: u32) -> Option<&AtomicUsize> {
        self.open.get(interface as usize)
    }

    /// Waits until no connection's task is left.
    pub(crate) async fn wait_until_all_gone(&self) {
        loop {
            let gone = self.all_gone.notified();
            tokio::pin!(gone);
            // Registered before the look, so that the last one to go is not missed.
            gone.as_mut().enable();
            if self.open_connections() == 0 {
                return;
            }
            gone.await;
        }
    }
}

/// Connections that have not come as far as MQTT.
#[derive(Default)]
pub(crate) struct Refused {
    full: AtomicU64,
    handshakes: AtomicU64,
}

/// What the server has counted of network connections that did not come as far as MQTT.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct NetworkCounters {
    /// Connections closed because their interface had as many as it may have
    /// ([`Interface::max_connections`](crate::Interface::max_connections)).
    pub refused_connections: u64,
    /// Connections closed because what comes before MQTT was wrong or not over in time: the header
    /// of the PROXY protocol, or a TLS handshake. Whoever looks whether the port is open is counted as well.
    pub failed_handshakes: u64,
}

impl Refused {
    pub(crate) fn note_full(&self) {
        self.full.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn note_handshake(&self) {
        self.handshakes.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn counters(&self) -> NetworkCounters {
        NetworkCounters {
            refused_connections: self.full.load(Ordering::Relaxed),
            failed_handshakes: self.handshakes.load(Ordering::Relaxed),
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
