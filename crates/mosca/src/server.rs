//! The server: started with its interfaces, closed within a bound.

mod clients;
mod ids;
mod publish;

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::task::Poll;
use std::time::Duration;

use broker_core::backend::{BackendError, BackendState};
use broker_core::persistence::PersistenceError;
use broker_core::{Broker, BrokerOptions, Counters, Effects, Escaped, Redirect, Sizes, Traffic};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, MissedTickBehavior};
use topic_trie::TopicError;

use crate::clock::Clock;
use crate::interface::{Door, Interface, Listener, accept};
use crate::nodes::{self, Link};
use crate::options::ServerBuilder;
use crate::settle::{Commits, finish, settle_broker};
use crate::shared::{NetworkCounters, Shared};
use crate::statistics::publish_statistics;
use crate::streams::{Streams, WebSocketService};
use crate::tls::HandshakeThread;

pub use publish::{Publish, PublishError};

/// How often is looked what is due: keep alives, delayed wills, expired sessions.
const TICK: Duration = Duration::from_millis(100);

/// Commits of what was due that may be under way at a time.
const COMMITS_DUE_MAX: usize = 64;

/// A running broker, made by [`ServerBuilder::start`].
///
/// Its tasks run on the tokio runtime in which it was started; a runtime with one thread will do. With an interface
/// that speaks TLS it has threads of its own, as many as that runtime, in which handshakes are done, so that nobody
/// waits for them who is connected; they end with the server.
/// Dropping it closes it without waiting: connections are told and end within seconds, for as long
/// as the runtime lives.
pub struct Server {
    pub(crate) shared: Arc<Shared>,
    id: Arc<str>,
    addresses: Vec<SocketAddr>,
    urls: Vec<String>,
    streams: Streams,
    tasks: Vec<JoinHandle<()>>,
    /// With TLS alone.
    handshakes: Vec<HandshakeThread>,
    /// Those that have to do with the engine between nodes: they end after all connections.
    node_tasks: JoinSet<()>,
    next_dedup_id: AtomicU64,
}

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// An address could not be bound: taken, not ours, or no such host.
    #[error("cannot listen on {interface}: {source}")]
    Listen {
        /// The URL of the interface, with the address as it was given.
        interface: String,
        /// What the system says.
        source: io::Error,
    },
    /// A folder from which files are to be served is none, or cannot be looked at.
    #[error("cannot serve files from {}: {source}", folder.display())]
    Folder {
        /// The folder as it was given.
        folder: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The [id](ServerBuilder::id) cannot stand in a topic name, or has another meaning there.
    #[error("{id:?} cannot be the server's id: {reason}")]
    Id {
        /// The id as it was given.
        id: Arc<str>,
        /// Why it is none.
        reason: String,
    },
    /// The system gives the server no threads of its own: those of
    /// [`start_on_own_threads`](ServerBuilder::start_on_own_threads), or those for TLS handshakes.
    #[error("cannot start threads: {0}")]
    Threads(#[source] io::Error),
    /// One of the [topics that stay at their node](crate::BackendOptions::local_topics) is no topic filter.
    #[error("{filter:?} is no filter of topics that stay at their node: {source}")]
    LocalTopics {
        /// The filter as it was given.
        filter: String,
        /// Why it is none.
        source: TopicError,
    },
    /// The engine between nodes cannot be reached, or does not admit this one.
    #[error("cannot join other nodes: {0}")]
    Backend(#[from] BackendError),
    /// What the store has could not be loaded.
    #[error("cannot load what is stored: {0}")]
    Restore(#[from] PersistenceError),
}

impl Server {
    /// Options to start a server with; all of them have defaults.
    pub fn builder() -> ServerBuilder {
        ServerBuilder::new()
    }

    pub(crate) async fn start(builder: ServerBuilder) -> Result<Self, StartError> {
        let clock = Clock::start();
        let statistics = builder.own_topics.statistics;
        let announcements = builder.own_topics.announcements()?;
        let id: Arc<str> = announcements.id().into();
        let node = builder.backend.as_ref();
        let node = node.map(|_| nodes::node(&id, &builder.backend_options));
        let broker = Broker::new(BrokerOptions {
            announcements: Some(announcements),
            node: node.transpose()?,
            ..builder.broker
        });
        let store = builder.persistence;
        // Addresses first: who cannot listen should not have changed the store.
        let Bound {
            listeners,
            addresses,
            urls,
        } = bind(builder.interfaces).await?;
        let handshakes = Door::start_handshakes(listeners.iter().map(|(_, interface)| interface));
        let handshakes = handshakes.map_err(StartError::Threads)?;
        let mut effects = Effects::new();
        if let Some(store) = &store {
            broker.restore(clock.now(), store, &mut effects).await?;
        }
        let link = match builder.backend {
            Some(backend) => Some(Link::join(&*backend, &broker, &builder.backend_options).await?),
            None => None,
        };
        // Streams that the program hands over are counted behind those of the interfaces.
        let shared = Shared::new(broker, store, clock, listeners.len() + 1);
        let shared = shared.limited(builder.connections).linked(link);
        let shared = Arc::new(shared);
        let node_tasks = nodes::begin(&shared, &mut effects).await;
        let number = u32::try_from(listeners.len()).unwrap_or(u32::MAX);
        let streams = Streams::new(Arc::clone(&shared), number, builder.max_streams);
        let (watch, lobby) = (Arc::clone(&shared), Arc::clone(&shared));
        let mut tasks = vec![
            tokio::spawn(for_ever("the watch over timeouts", move || {
                do_what_is_due(Arc::clone(&watch))
            })),
            tokio::spawn(for_ever(
                "the watch over those without CONNECT",
                move || {
                    let shared = Arc::clone(&lobby);
                    async move { shared.lobby.watch(shared.clock).await }
                },
            )),
        ];
        tasks.extend(statistics.map(|interval| {
            let (shared, id) = (Arc::clone(&shared), Arc::clone(&id));
            tokio::spawn(publish_statistics(shared, id, interval))
        }));
        for (number, (listener, interface)) in (0..).zip(listeners) {
            let door = Door::new(interface, number, Arc::clone(&shared), &handshakes);
            tasks.push(tokio::spawn(accept(listener, door)));
        }
        Ok(Self {
            shared,
            id,
            addresses,
            urls,
            streams,
            tasks,
            handshakes,
            node_tasks,
            next_dedup_id: AtomicU64::new(0),
        })
    }

    /// Its name in its own topics, `$SYS/<id>/…`; see [`ServerBuilder::id`].
    pub fn id(&self) -> &str {
        &self.id
    }

    /// How it stands with the engine between it and other nodes; `None` if it has
    /// [none](ServerBuilder::backend).
    pub fn backend_state(&self) -> Option<BackendState> {
        let link = self.shared.link.as_ref();
        link.map(|link| link.state())
    }

    /// Waits until it stands so with the engine between nodes; for ever if there is [none](ServerBuilder::backend).
    /// A state that is over again before anybody could look may go unnoticed.
    ///
    /// ```
    /// use std::sync::Arc;
    ///
    /// use backend_memory::MemoryBackend;
    /// use mosca::Server;
    /// use mosca::backend::BackendState;
    ///
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// let engine = Arc::new(MemoryBackend::new());
    /// let server = Server::builder().backend(engine).start().await?;
    /// server.wait_for_backend(BackendState::Connected).await;
    /// # Ok::<(), mosca::StartError>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Cancel safety
    /// Nothing happens if the future is dropped.
    pub async fn wait_for_backend(&self, state: BackendState) {
        match &self.shared.link {
            Some(link) => link.wait_for(state).await,
            None => std::future::pending().await,
        }
    }

    /// The addresses on the network on which it listens, in the order of the interfaces, with the ports
    /// that the system chose. Unix sockets have none.
    pub fn local_addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The URLs of all interfaces, in their order: `mqtt://127.0.0.1:1883`, `mqtt+unix:///run/mqtt.sock`.
    pub fn urls(&self) -> &[String] {
        &self.urls
    }

    /// Serves streams of bytes that come from anywhere: what mosca has as interfaces of one's own kind.
    pub fn streams(&self) -> Streams {
        self.streams.clone()
    }

    /// Serves WebSockets of the program's own HTTP server: what mosca has as `attachHttpServer`.
    pub fn websocket_service(&self) -> WebSocketService {
        WebSocketService::new(self.streams())
    }

    /// What it has counted since it started: above all, what it had to drop or refuse at which
    /// limit. Kept current without locks, so it may be read as often as one likes.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// let server = mosca::Server::builder().start().await?;
    /// let counters = server.counters();
    /// assert_eq!(counters.dropped_slow_reader.get(), 0);
    /// assert_eq!(counters.protocol_errors.get(), 0);
    /// # Ok::<(), mosca::StartError>(())
    /// # }).unwrap();
    /// ```
    pub fn counters(&self) -> &Counters {
        self.shared.broker.counters()
    }

    /// What it has counted of connections that did not come as far as MQTT.
    pub fn network_counters(&self) -> NetworkCounters {
        self.shared.refused.counters()
    }

    /// How many sessions, subscriptions and retained messages it has.
    pub fn sizes(&self) -> Sizes {
        self.shared.broker.sizes()
    }

    /// What has gone to and fro between clients and server since the start: packets, messages and bytes.
    pub fn traffic(&self) -> Traffic {
        self.shared.broker.traffic()
    }

    /// Network connections that are open, with or without CONNECT.
    pub fn open_connections(&self) -> usize {
        self.shared.open_connections()
    }

    /// Has [hooks](ServerBuilder::hooks) asked anew about everybody who is connected, because their answers
    /// may have changed: whether a client may stay, have its will, and have each of its subscriptions.
    /// Those that it may not have any longer end. Returns at once: each connection does so itself, before
    /// its next packet.
    pub fn reauthorize(&self) {
        let mut effects = Effects::new();
        self.shared.broker.reauthorize(&mut effects);
        effects.wake();
    }

    /// [`reauthorize`](Self::reauthorize) for the client with this client identifier alone, if it is
    /// connected.
    pub fn reauthorize_client(&self, client_id: &str) {
        let mut effects = Effects::new();
        let broker = &self.shared.broker;
        broker.reauthorize_client(client_id, &mut effects);
        effects.wake();
    }

    /// From now on sends clients to another server: every CONNECT is refused with 0x9C, use another
    /// server, or 0x9D, server moved, and the server reference (MQTT 5.0 section 4.11; return code 3
    /// before MQTT 5). Who is connected stays so, and hears the same at [`close`](Self::close). `None`
    /// takes clients again.
    ///
    /// ```
    /// use std::time::Duration;
    /// use mosca::{Redirect, Server};
    ///
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// let server = Server::builder().start().await?;
    /// // Before an upgrade: everybody moves to the other node.
    /// server.redirect(Some(Redirect::temporary("other.example.org:1883")));
    /// server.close(Duration::from_secs(5)).await;
    /// # Ok::<(), mosca::StartError>(())
    /// # }).unwrap();
    /// ```
    pub fn redirect(&self, redirect: Option<Redirect>) {
        self.shared.broker.redirect(redirect);
    }

    /// Stops listening, tells all clients (MQTT 5: DISCONNECT with 0x8B, server shutting down), and
    /// waits until their connections have ended, for `limit` at most. Returns the number of
    /// connections that had not ended by then; they are left to end by themselves.
    ///
    /// A client that neither reads nor closes its side is cut off in time for that. What is left is a
    /// connection whose commit the store has not answered.
    ///
    /// # Cancel safety
    /// Once called, the server closes even if the future is dropped.
    pub async fn close(mut self, limit: Duration) -> usize {
        self.close_within(limit).await
    }

    pub(crate) async fn close_within(&mut self, limit: Duration) -> usize {
        let until = Instant::now() + limit;
        self.begin_close(limit);
        for task in self.tasks.drain(..) {
            // An aborted task has nothing to say.
            let _aborted = task.await;
        }
        let _timed_out = tokio::time::timeout_at(until, self.shared.wait_until_all_gone()).await;
        for thread in std::mem::take(&mut self.handshakes) {
            thread.end(until).await;
        }
        if let Some(link) = &self.shared.link {
            link.drain(until).await;
            self.node_tasks.shutdown().await;
            link.leave(until).await;
        }
        // What happened until now is told.
        self.shared.broker.end_program();
        self.shared.open_connections()
    }

    fn begin_close(&self, limit: Duration) {
        for task in &self.tasks {
            task.abort();
        }
        self.shared.limit_farewell(limit);
        let mut effects = Effects::new();
        self.shared.broker.shut_down(&mut effects);
        effects.wake();
        self.shared.call_all();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.begin_close(Duration::from_secs(5));
        self.shared.broker.end_program();
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server")
            .field("urls", &self.urls)
            .finish_non_exhaustive()
    }
}

/// The interfaces of a server, when they are bound.
#[derive(Default)]
struct Bound {
    listeners: Vec<(Listener, Interface)>,
    addresses: Vec<SocketAddr>,
    urls: Vec<String>,
}

async fn bind(interfaces: Vec<Interface>) -> Result<Bound, StartError> {
    let mut all = Bound::default();
    for interface in interfaces {
        interface.check_folder()?;
        let bound = interface.bind().await.and_then(|listener| {
            let address = listener.local_address()?;
            Ok((listener, address))
        });
        let (listener, address) = bound.map_err(|source| StartError::Listen {
            interface: interface.url(None),
            source,
        })?;
        all.urls.push(interface.url(address));
        all.addresses.extend(address);
        all.listeners.push((listener, interface));
    }
    Ok(all)
}

/// Does something without end. Should it panic it begins anew: without it no silent client would be closed,
/// say, and no delayed will published any more.
pub(crate) async fn for_ever<F>(what: &str, begin: impl Fn() -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    loop {
        // Aborted with us, which a task of its own would not be.
        let mut task = JoinSet::new();
        task.spawn(begin());
        let _ended = task.join_next().await;
        tracing::error!(
            "a defect of the server has ended {}; it begins anew",
            Escaped(what)
        );
        tokio::time::sleep(TICK).await;
    }
}

async fn do_what_is_due(shared: Arc<Shared>) {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut effects = Effects::new();
    let mut commits = Commits::default();
    loop {
        // A store that takes its time holds up nobody whose keep alive or will is due.
        poll_fn(|context| {
            while let Poll::Ready(Some(done)) = commits.poll(&shared.health, context) {
                // Nobody waits for other nodes to hear of it, and the store's health is known.
                let _acceptance = finish(&shared, done, shared.clock.now(), &mut effects);
            }
            shared.broker.poll_estates(context);
            ticks.poll_tick(context)
        })
        .await;
        let Shared { broker, clock, .. } = &*shared;
        loop {
            let now = clock.now();
            if let Some(error) = broker.take_read_failure() {
                shared.health.note_failure(&error);
            }
            if commits.len() >= COMMITS_DUE_MAX {
                break;
            }
            let more = broker.handle_timeout(now, &mut effects);
            settle_broker(&shared, &mut effects, &mut commits);
            if !more {
                break;
            }
            tokio::task::yield_now().await;
        }
    }
}
