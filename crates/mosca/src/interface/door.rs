//! The way in: what comes before MQTT on a connection that was accepted, and the start of its task.

use std::fmt::Display;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use broker_core::{Escaped, Timestamp, TokenBucket};
use mqtt_websocket::WebSocket;

use super::proxied::read_header;
use super::{Interface, Transport};
use crate::admission::Refusal;
use crate::connection::Driver;
use crate::http::{self, Visit};
use crate::network::{Boxed, Network};
use crate::peer::{Peer as _, StreamPeer};
use crate::shared::{Counted, Shared};
use crate::tls::Protocol;

/// One interface of a running server.
pub(crate) struct Door {
    interface: Interface,
    /// By which its connections are counted.
    number: u32,
    shared: Arc<Shared>,
    /// What is left of its connect rate.
    rate: Mutex<Option<TokenBucket>>,
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
    pub(crate) fn new(interface: Interface, number: u32, shared: Arc<Shared>) -> Self {
        Self {
            interface,
            number,
            shared,
            rate: Mutex::default(),
        }
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
        self.serve_user(stream, peer, None);
    }

    fn serve_user<S: Network + 'static>(&self, stream: S, peer: S::Peer, user: Option<Arc<str>>) {
        let (shared, number) = (Arc::clone(&self.shared), self.number);
        let (terms, site) = (&self.interface.terms, &self.interface.site);
        let address = peer.ip();
        match self.interface.transport {
            Transport::Mqtt => {
                tokio::spawn(Driver::new(stream, peer, shared, number).certified(user))
            }
            Transport::WebSocket => {
                let stream = WebSocket::new(stream, terms);
                tokio::spawn(Driver::new(stream, peer, shared, number).certified(user))
            }
            Transport::Http => tokio::spawn(http::serve(Visit {
                stream,
                peer,
                user,
                site: Arc::clone(site),
                terms: Arc::clone(terms),
                counted: Counted::new(&shared, number, address),
            })),
        };
    }

    /// Deals with what comes before MQTT, and then starts the task of the connection, which is counted
    /// from now on.
    ///
    /// # Cancel safety
    /// If it is dropped the connection is closed, and not counted any more.
    pub(super) fn admit<S>(
        self: Arc<Self>,
        stream: S,
        peer: S::Peer,
    ) -> impl Future<Output = ()> + Send + 'static
    where
        S: Network + 'static,
        S::Peer: From<SocketAddr> + Clone + 'static,
        StreamPeer: From<S::Peer>,
    {
        let address = peer.ip().filter(|_| !self.interface.proxy_protocol);
        let mut counted = Counted::new(&self.shared, self.number, address);
        async move {
            let limit = self.interface.handshake_timeout;
            let prepared = self.prepare(stream, peer.clone(), &mut counted);
            let failure = match tokio::time::timeout(limit, prepared).await {
                Ok(Ok(Ready::Plain(stream, peer))) => return self.serve(stream, peer),
                Ok(Ok(Ready::Secure(stream, peer, user))) => {
                    return self.serve_user(stream, peer, user);
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
