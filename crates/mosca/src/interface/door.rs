//! The way in: what comes before MQTT on a connection that was accepted, and the start of its task.

use std::fmt::Display;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use broker_core::{Escaped, Timestamp, TokenBucket};
use mqtt_websocket::WebSocket;
use tokio::runtime::Handle;
use tokio::task::{JoinError, JoinSet};

use super::proxied::read_header;
use super::{Interface, Transport};
use crate::admission::Refusal;
use crate::connection::Driver;
use crate::http::{self, Visit};
use crate::network::{Boxed, Network};
use crate::peer::{Peer as _, StreamPeer};
use crate::shared::{Counted, Shared};
use crate::tls::{HandshakeThread, Protocol};

/// One interface of a running server.
pub(crate) struct Door {
    interface: Interface,
    /// By which its connections are counted.
    number: u32,
    shared: Arc<Shared>,
    /// What is left of its connect rate.
    rate: Mutex<Option<TokenBucket>>,
    /// Where connections are served.
    serving: Handle,
    /// Where is done what comes before MQTT, by turns.
    arriving: Box<[Handle]>,
    /// Whose turn it is.
    turn: AtomicUsize,
}

/// Why a connection does not come as far as MQTT.
enum Failure {
    Handshake(io::Error),
    /// It is one too many, now that it is known where it comes from.
    Refused(Refusal, StreamPeer),
}

/// A connection that is ready for MQTT.
enum Ready<S: Network> {
    Plain(S, S::Peer),
    Secure(Boxed, StreamPeer, Option<Arc<str>>),
}

impl Door {
    /// The threads for TLS handshakes, if one of these interfaces needs them: as many as serve clients in the
    /// runtime in which this is called.
    pub(crate) fn start_handshakes<'a>(
        mut interfaces: impl Iterator<Item = &'a Interface>,
    ) -> io::Result<Vec<HandshakeThread>> {
        let count = match interfaces.any(|interface| interface.tls.is_some()) {
            true => Handle::current().metrics().num_workers(),
            false => 0,
        };
        (0..count).map(|_| HandshakeThread::start()).collect()
    }

    /// Connections are served in the runtime in which this is called. With TLS what comes before MQTT is done in
    /// the threads for handshakes.
    pub(crate) fn new(
        interface: Interface,
        number: u32,
        shared: Arc<Shared>,
        handshakes: &[HandshakeThread],
    ) -> Self {
        let serving = Handle::current();
        let arriving = match interface.tls.is_some() {
            true => handshakes.iter().map(|it| it.runtime().clone()).collect(),
            false => Box::from([serving.clone()]),
        };
        Self {
            interface,
            number,
            shared,
            rate: Mutex::default(),
            serving,
            arriving,
            turn: AtomicUsize::new(0),
        }
    }

    /// Where the next connections go for what comes before MQTT.
    fn arriving(&self) -> &Handle {
        let turn = self.turn.load(Ordering::Relaxed) % self.arriving.len().max(1);
        self.arriving.get(turn).unwrap_or(&self.serving)
    }

    /// What the log calls it: its URL as it was given.
    pub(super) fn name(&self) -> String {
        self.interface.url(None)
    }

    /// Whether one more connection may come, from this address where it has one. Behind a load balancer
    /// that is found out later.
    pub(super) fn check(&self, address: Option<IpAddr>) -> Result<(), Refusal> {
        let max = self.interface.connections();
        if self.shared.open_on(self.number) >= max {
            return Err(Refusal::InterfaceFull(max));
        }
        let now = self.shared.clock.now();
        if self.interface.proxy_protocol {
            return self.shared.check_connection(None, now);
        }
        self.shared.check_connection(address, now)?;
        self.check_rate(address, now)
    }

    /// Whether connections come too fast. What the limits of its address refuse is not counted here.
    fn check_rate(&self, address: Option<IpAddr>, now: Timestamp) -> Result<(), Refusal> {
        let Some(rate) = self.interface.connect_rate else {
            return Ok(());
        };
        if self.shared.admission.is_exempt(address) {
            return Ok(());
        }
        let mut left = self.rate.lock().unwrap_or_else(PoisonError::into_inner);
        let left = left.get_or_insert_with(|| TokenBucket::full(rate, now));
        if left.take(rate, now) {
            Ok(())
        } else {
            Err(Refusal::InterfaceRate(rate))
        }
    }

    /// Counts a connection that is closed without a word, and says so in the log.
    pub(super) fn note_refusal(&self, refusal: Refusal, peer: &dyn Display) {
        let now = self.shared.clock.now();
        let refused = &self.shared.refused.connections;
        refused.note(refusal, peer, &self.name(), now);
    }

    /// Whether connections may be [served](Self::serve) as they are, with nothing in front of MQTT.
    pub(super) fn is_open(&self) -> bool {
        self.interface.tls.is_none() && !self.interface.proxy_protocol
    }

    /// Starts the task of a connection.
    pub(super) fn serve<S: Network + 'static>(&self, stream: S, peer: S::Peer) {
        self.serve_user(stream, peer, None, None);
    }

    /// Starts the task of a connection of this user. It may have been `counted` before: then that ends when the
    /// connection is counted by its task and has said nothing yet, so that nobody sees it twice.
    fn serve_user<S: Network + 'static>(
        &self,
        stream: S,
        peer: S::Peer,
        user: Option<Arc<str>>,
        counted: Option<Counted>,
    ) {
        let (shared, number) = (Arc::clone(&self.shared), self.number);
        let (terms, site) = (&self.interface.terms, &self.interface.site);
        match self.interface.transport {
            Transport::Mqtt => {
                let driver = Driver::new(stream, peer, shared, number);
                drop(counted);
                self.serving.spawn(driver.certified(user))
            }
            Transport::WebSocket => {
                let stream = WebSocket::new(stream, terms);
                let driver = Driver::new(stream, peer, shared, number);
                drop(counted);
                self.serving.spawn(driver.certified(user))
            }
            Transport::Http => self.serving.spawn(http::serve(Visit {
                stream,
                user,
                site: Arc::clone(site),
                terms: Arc::clone(terms),
                counted: counted.unwrap_or_else(|| Counted::new(&shared, number, peer.ip())),
                peer,
            })),
        };
    }

    /// Deals with what comes before MQTT, in a task among those that are `arriving`, and then starts the task of the
    /// connection, which is counted from now on. If those are dropped it is closed, and not counted any more.
    pub(super) fn admit<S>(self: &Arc<Self>, arriving: &mut JoinSet<()>, stream: S, peer: S::Peer)
    where
        S: Network + 'static,
        S::Peer: From<SocketAddr> + Clone + 'static,
        StreamPeer: From<S::Peer>,
    {
        let address = peer.ip().filter(|_| !self.interface.proxy_protocol);
        let counted = Counted::new(&self.shared, self.number, address);
        let this = Arc::clone(self);
        arriving.spawn_on(this.let_in(stream, peer, counted), self.arriving());
    }

    /// Notes how it went with a connection that was [admitted](Self::admit), if it has panicked.
    pub(super) fn note_end(&self, ended: Result<(), JoinError>) {
        if ended.is_err_and(|error| error.is_panic()) {
            self.shared.refused.note_handshake();
            tracing::error!("a defect of the server has ended a connection before MQTT");
        }
    }

    /// Lets those who were accepted have their turn, and the next ones go to the next thread for handshakes, when that
    /// has time for them: where more come than those threads can deal with, the others wait with the system, and do
    /// not all run out of time in here.
    pub(super) async fn let_others_run(&self) {
        self.turn.fetch_add(1, Ordering::Relaxed);
        let turn = self.interface.tls.is_some();
        let turn = turn.then(|| self.arriving().spawn(async {}));
        tokio::task::yield_now().await;
        if let Some(turn) = turn {
            let _had = turn.await;
        }
    }

    async fn let_in<S>(self: Arc<Self>, stream: S, peer: S::Peer, mut counted: Counted)
    where
        S: Network + 'static,
        S::Peer: From<SocketAddr> + Clone + 'static,
        StreamPeer: From<S::Peer>,
    {
        let limit = self.interface.handshake_timeout;
        let prepared = self.prepare(stream, peer.clone(), &mut counted);
        let failure = match tokio::time::timeout(limit, prepared).await {
            Ok(Ok(Ready::Plain(stream, peer))) => {
                return self.serve_user(stream, peer, None, Some(counted));
            }
            Ok(Ok(Ready::Secure(stream, peer, user))) => {
                return self.serve_user(stream, peer, user, Some(counted));
            }
            Ok(Err(Failure::Refused(refusal, peer))) => {
                return self.note_refusal(refusal, &peer);
            }
            Ok(Err(Failure::Handshake(error))) => error.to_string(),
            Err(_) => format!("it is not over after {limit:?}"),
        };
        self.shared.refused.note_handshake();
        let interface = self.name();
        tracing::debug!(%peer, interface, "handshake failed: {}", Escaped(failure));
    }

    async fn prepare<S>(
        &self,
        mut stream: S,
        mut peer: S::Peer,
        counted: &mut Counted,
    ) -> Result<Ready<S>, Failure>
    where
        S: Network + 'static,
        S::Peer: From<SocketAddr>,
        StreamPeer: From<S::Peer>,
    {
        if self.interface.proxy_protocol {
            if let Some(source) = read_header(&mut stream).await? {
                peer = source.into();
            }
            let now = self.shared.clock.now();
            let checked = self.shared.admission.check(peer.ip(), now);
            if let Err(refusal) = checked.and_then(|()| self.check_rate(peer.ip(), now)) {
                return Err(Failure::Refused(refusal, peer.into()));
            }
            counted.found(peer.ip());
        }
        let Some(tls) = &self.interface.tls else {
            return Ok(Ready::Plain(stream, peer));
        };
        let protocol = match self.interface.transport {
            Transport::Mqtt => Protocol::Mqtt,
            Transport::WebSocket | Transport::Http => Protocol::Http,
        };
        let (stream, user) = tls.accept(stream, protocol).await?;
        Ok(Ready::Secure(Box::new(stream), peer.into(), user))
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Handshake(error)
    }
}
