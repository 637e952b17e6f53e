//! What all tasks of one server share.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use broker_core::backend::Crossing;
use broker_core::persistence::Persistence;
use broker_core::{Broker, Effects, Timestamp};
use tokio::sync::{Notify, Semaphore};

use crate::admission::{Admission, ConnectionLimits, Refusal, Refusals};
use crate::clock::Clock;
use crate::health::StoreHealth;
use crate::lobby::Lobby;
use crate::nodes::{Acceptance, Link};

/// Time that a connection has for its last words, unless the server's close gives it less.
const FAREWELL: Duration = Duration::from_secs(5);

/// Notices of hooks that nobody waits for which may be under way at a time.
const LOOSE_MAX: usize = 10_000;

/// Time that a client has then to take them and to close its side.
const DISCARD: Duration = Duration::from_secs(1);

pub(crate) struct Shared {
    pub(crate) broker: Arc<Broker>,
    pub(crate) store: Option<Arc<dyn Persistence>>,
    pub(crate) health: StoreHealth,
    /// To the engine between nodes, if the server is one.
    pub(crate) link: Option<Arc<Link>>,
    pub(crate) clock: Clock,
    /// Connections that have not been let in.
    pub(crate) lobby: Arc<Lobby>,
    /// Connections whose tasks have not ended, by the number of their interface.
    open: Box<[AtomicUsize]>,
    /// All that have come.
    opened: AtomicU64,
    all_gone: Notify,
    pub(crate) admission: Admission,
    closing: Notify,
    /// Places for what hooks do and nobody waits for.
    loose: Arc<Semaphore>,
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
            link: None,
            clock,
            lobby: Arc::default(),
            open: (0..interfaces).map(|_| AtomicUsize::new(0)).collect(),
            opened: AtomicU64::new(0),
            all_gone: Notify::new(),
            admission: Admission::new(ConnectionLimits::default()),
            closing: Notify::new(),
            loose: Arc::new(Semaphore::new(LOOSE_MAX)),
            refused: Refused::default(),
            farewell_millis: AtomicU64::new(millis(FAREWELL)),
            discard_millis: AtomicU64::new(millis(DISCARD)),
        }
    }

    /// The same with limits of its own.
    pub(crate) fn limited(mut self, limits: ConnectionLimits) -> Self {
        self.admission = Admission::new(limits);
        self
    }

    /// The same as a node behind this link.
    pub(crate) fn linked(mut self, link: Option<Arc<Link>>) -> Self {
        self.link = link;
        self
    }

    /// Tells other nodes what was committed. Returns what its acknowledgements wait for, if they have to.
    pub(crate) fn forward(&self, crossing: Crossing) -> Option<Acceptance> {
        self.link.as_ref()?.forward(crossing)
    }

    /// Other nodes are not told what could not be committed.
    pub(crate) fn keep_back(&self, crossing: &Crossing) {
        self.broker.note_not_forwarded(crossing.messages());
    }

    /// Runs what hooks have to do still, and nobody waits for, for as long as a hook may take; it has
    /// nothing to say when it fails.
    #[inline]
    pub(crate) fn run_loose(&self, effects: &mut Effects) {
        if effects.has_loose() {
            self.spawn_loose(effects);
        }
    }

    #[cold]
    fn spawn_loose(&self, effects: &mut Effects) {
        let limit = self.broker.options().hook_timeout;
        for notice in effects.take_loose() {
            let Ok(place) = Arc::clone(&self.loose).try_acquire_owned() else {
                self.refused.note_loose();
                continue;
            };
            tokio::spawn(async move {
                let _late = tokio::time::timeout(limit, notice).await;
                drop(place);
            });
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

    /// Connections that have come since the start, also those that were refused at once.
    pub(crate) fn opened_connections(&self) -> u64 {
        self.opened.load(Ordering::Relaxed)
    }

    /// Connections of one interface.
    pub(crate) fn open_on(&self, interface: u32) -> usize {
        self.counter(interface)
            .map_or(0, |open| open.load(Ordering::Acquire))
    }

    /// Whether the server takes one more connection, from this address where it has one. If so it is
    /// to be counted with [`connection_opened`](Self::connection_opened).
    pub(crate) fn check_connection(
        &self,
        address: Option<IpAddr>,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        self.opened.fetch_add(1, Ordering::Relaxed);
        let max = self.admission.max_connections();
        if self.open_connections() >= max {
            return Err(Refusal::ServerFull(max));
        }
        self.admission.check(address, now)
    }

    /// A connection has begun; one without an address is not counted for one.
    pub(crate) fn connection_opened(&self, interface: u32, address: Option<IpAddr>) {
        self.admission.enter(address);
        if let Some(open) = self.counter(interface) {
            open.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// It has ended. What it is told is what it was told at the beginning.
    pub(crate) fn connection_ended(&self, interface: u32, address: Option<IpAddr>) {
        self.admission.leave(address);
        if let Some(open) = self.counter(interface)
            && open.fetch_sub(1, Ordering::AcqRel) == 1
        {
            self.all_gone.notify_waiters();
        }
    }

    fn counter(&self, interface: u32) -> Option<&AtomicUsize> {
        self.open.get(interface as usize)
    }

    /// Tells those who [wait for it](Self::wait_until_closing) that the broker has been shut down.
    pub(crate) fn call_all(&self) {
        self.lobby.call_all();
        self.closing.notify_waiters();
    }

    /// Waits until the server closes.
    ///
    /// # Cancel safety
    /// Nothing is lost if the future is dropped.
    pub(crate) async fn wait_until_closing(&self) {
        let called = self.closing.notified();
        tokio::pin!(called);
        // Registered before the look, so that the call is not missed.
        called.as_mut().enable();
        if !self.broker.is_shutting_down() {
            called.await;
        }
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

/// Counts a connection that has no task for MQTT yet, which counts it then.
pub(crate) struct Counted {
    shared: Arc<Shared>,
    interface: u32,
    /// From where it comes, as far as that is known.
    address: Option<IpAddr>,
}

impl Counted {
    pub(crate) fn new(shared: &Arc<Shared>, interface: u32, address: Option<IpAddr>) -> Self {
        shared.connection_opened(interface, address);
        Self {
            shared: Arc::clone(shared),
            interface,
            address,
        }
    }

    /// It is known now from where it comes.
    pub(crate) fn found(&mut self, address: Option<IpAddr>) {
        self.shared.admission.enter(address);
        self.address = address;
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub(crate) fn interface(&self) -> u32 {
        self.interface
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.shared.connection_ended(self.interface, self.address);
    }
}

/// Connections that have not come as far as MQTT.
#[derive(Default)]
pub(crate) struct Refused {
    pub(crate) connections: Refusals,
    handshakes: AtomicU64,
    requests: AtomicU64,
    bad_requests: AtomicU64,
    http_timeouts: AtomicU64,
    broken: AtomicU64,
    loose: AtomicU64,
}

/// What the server has counted of network connections that did not come as far as MQTT.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct NetworkCounters {
    /// Connections closed because their interface had as many as it may have
    /// ([`Interface::max_connections`](crate::Interface::max_connections)), or the server
    /// ([`ServerBuilder::max_connections`](crate::ServerBuilder::max_connections)).
    pub refused_connections: u64,
    /// Connections closed because their address had as many as it may have
    /// ([`ServerBuilder::max_connections_per_address`](crate::ServerBuilder::max_connections_per_address)).
    pub refused_per_address: u64,
    /// Connections closed because they came faster than they may from their address
    /// ([`ServerBuilder::connect_rate_per_address`](crate::ServerBuilder::connect_rate_per_address)) or on
    /// their interface ([`Interface::connect_rate`](crate::Interface::connect_rate)).
    pub refused_connect_rate: u64,
    /// Connections closed because what comes before MQTT was wrong or not over in time: the header
    /// of the PROXY protocol, or a TLS handshake. Whoever looks whether the port is open is counted as well.
    pub failed_handshakes: u64,
    /// HTTP requests that were read on interfaces that serve files
    /// ([`Interface::http`](crate::Interface::http)), whatever the answer was.
    pub http_requests: u64,
    /// Connections to such interfaces that ended because what came was no request of HTTP/1, or had
    /// more than 8 KiB or 100 headers.
    pub http_bad_requests: u64,
    /// Connections to such interfaces that were cut off because a request had not come in time
    /// ([`Interface::request_timeout`](crate::Interface::request_timeout)), or the client did not take
    /// a response ([`Interface::response_timeout`](crate::Interface::response_timeout)). Those that
    /// ended because nothing more was asked for do not count.
    pub http_timeouts: u64,
    /// Connections closed because what carries MQTT was broken: a request for a WebSocket that was
    /// refused, such as one of more than 8 KiB, a frame that breaks the rules, or TLS that cannot be read.
    pub transport_errors: u64,
    /// Calls of [`Hooks::notify`](crate::Hooks::notify) that were not run to their end, because 10,000 of
    /// those that nobody waits for (disconnections, messages of the server's own) were under way.
    pub dropped_notices: u64,
}

impl Refused {
    pub(crate) fn note_handshake(&self) {
        self.handshakes.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn note_request(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn note_bad_request(&self) {
        self.bad_requests.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn note_http_timeout(&self) {
        self.http_timeouts.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn note_broken(&self) {
        self.broken.fetch_add(1, Ordering::Relaxed);
    }

    fn note_loose(&self) {
        self.loose.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn counters(&self) -> NetworkCounters {
        NetworkCounters {
            refused_connections: self.connections.full(),
            refused_per_address: self.connections.per_address(),
            refused_connect_rate: self.connections.rate(),
            failed_handshakes: self.handshakes.load(Ordering::Relaxed),
            http_requests: self.requests.load(Ordering::Relaxed),
            http_bad_requests: self.bad_requests.load(Ordering::Relaxed),
            http_timeouts: self.http_timeouts.load(Ordering::Relaxed),
            transport_errors: self.broken.load(Ordering::Relaxed),
            dropped_notices: self.loose.load(Ordering::Relaxed),
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
