//! How a server is put together before it starts.

use std::sync::Arc;
use std::time::Duration;

use broker_core::backend::Backend;
use broker_core::persistence::Persistence;
use broker_core::{Authentication, BrokerOptions, Hooks, LoginRequest, Rate};

use crate::admission::{ConnectionLimits, MAX_CONNECTIONS};
use crate::hooks::{Adapted, AsyncHooks, Deciding};
use crate::interface::Interface;
use crate::ip_network::IpNetwork;
use crate::nodes::BackendOptions;
use crate::own_topics::OwnTopics;
use crate::random::random_hex;

use crate::server::{Server, StartError};

/// Options of a [`Server`]; see [`Server::builder`].
#[derive(Clone)]
#[must_use]
pub struct ServerBuilder {
    pub(crate) interfaces: Vec<Interface>,
    pub(crate) max_streams: usize,
    pub(crate) connections: ConnectionLimits,
    pub(crate) broker: BrokerOptions,
    pub(crate) own_topics: OwnTopics,
    pub(crate) persistence: Option<Arc<dyn Persistence>>,
    pub(crate) backend: Option<Arc<dyn Backend>>,
    pub(crate) backend_options: BackendOptions,
}

impl ServerBuilder {
    pub(crate) fn new() -> Self {
        let broker = BrokerOptions {
            assign_client_id: Arc::new(random_client_id),
            ..BrokerOptions::default()
        };
        Self {
            interfaces: Vec::new(),
            max_streams: MAX_CONNECTIONS,
            connections: ConnectionLimits::default(),
            broker,
            own_topics: OwnTopics::default(),
            persistence: None,
            backend: None,
            backend_options: BackendOptions::default(),
        }
    }

    /// Adds an interface to listen on. There may be any number, also none.
    pub fn listen(mut self, interface: Interface) -> Self {
        self.interfaces.push(interface);
        self
    }

    /// Streams served at one time through [`Server::streams`]; default 200,000.
    pub fn max_streams(mut self, max_streams: usize) -> Self {
        self.max_streams = max_streams;
        self
    }

    /// Connections at one time on all interfaces together, with or without CONNECT, streams of the
    /// program included; default 200,000. Further ones are closed as soon as they are accepted, and
    /// counted ([`refused_connections`](crate::NetworkCounters::refused_connections)); the first of a
    /// series is logged as a warning.
    pub fn max_connections(mut self, max_connections: usize) -> Self {
        self.connections.max_connections = max_connections;
        self
    }

    /// Connections that one address may have at one time, on all interfaces together; default 10,000,
    /// since thousands of devices may be behind one address. An address is one of IPv4, or a network of
    /// 64 bits of IPv6. Behind a load balancer with the
    /// [PROXY protocol](crate::Interface::proxy_protocol) it is the one that the header names. Unix
    /// sockets, and streams without an address, have none. Further ones are closed and counted
    /// ([`refused_per_address`](crate::NetworkCounters::refused_per_address)).
    pub fn max_connections_per_address(mut self, max_connections: usize) -> Self {
        self.connections.max_per_address = max_connections;
        self
    }

    /// How fast connections may come from one address; `None` for as fast as they like. Default 100 in
    /// a second and 1,000 at once, for a place with many devices that has its line back. Further ones
    /// are closed and counted
    /// ([`refused_connect_rate`](crate::NetworkCounters::refused_connect_rate)). Of 65,536 addresses at
    /// most is remembered how fast theirs came; those that came slowly make room.
    ///
    /// ```
    /// use mosca::{Rate, Server};
    ///
    /// let builder = Server::builder()
    ///     .max_connections_per_address(50)
    ///     .connect_rate_per_address(Rate::per_sec(5).with_burst(50));
    /// ```
    pub fn connect_rate_per_address(mut self, rate: impl Into<Option<Rate>>) -> Self {
        self.connections.rate_per_address = rate.into();
        self
    }

    /// Networks whose addresses may have and open as many connections as they like: neither the limits
    /// of addresses nor the connect rate of an interface hold for them. Default: the addresses of this
    /// machine alone ([`IpNetwork::loopback`]). A load balancer without the PROXY protocol belongs here,
    /// since all of its clients have its address.
    ///
    /// ```
    /// use mosca::{IpNetwork, Server};
    ///
    /// let balancers: IpNetwork = "10.0.7.0/24".parse().unwrap();
    /// let builder = Server::builder().exempt_networks([balancers]);
    /// ```
    pub fn exempt_networks(mut self, networks: impl IntoIterator<Item = IpNetwork>) -> Self {
        self.connections.exempt = networks.into_iter().collect();
        self
    }

    /// Changes limits and features.
    ///
    /// ```
    /// use mosca::Server;
    ///
    /// let builder = Server::builder().broker(|options| {
    ///     options.max_packet_size_bytes = 1 << 20;
    ///     options.max_inflight = 20;
    /// });
    /// ```
    pub fn broker(mut self, change: impl FnOnce(&mut BrokerOptions)) -> Self {
        change(&mut self.broker);
        self
    }

    /// Keeps sessions, retained messages and wills in this store, and loads what is in it at the
    /// start. Without a store they live as long as the server.
    pub fn persistence(mut self, store: Arc<dyn Persistence>) -> Self {
        self.persistence = Some(store);
        self
    }

    /// Makes the server one of several nodes, behind this engine: what is published at one of them is
    /// delivered at all of them. Without one the server stands alone.
    ///
    /// Live messages cross with all that they have, to the sessions at the other nodes, whether their clients
    /// are connected or not; so do changes of what is retained, as of when the node has joined, and clients:
    /// of two with one client identifier the one stays that was let in later, at whichever node. A session
    /// stays at its node. The members of a shared subscription are those at one node; each node that has some
    /// gives each message to one of them. The will of a client is its node's. `$SYS` stays where it is.
    ///
    /// While the engine is lost the server serves its own clients
    /// ([`backend_state`](Server::backend_state), [`not_forwarded_to_nodes`](crate::Counters::not_forwarded_to_nodes)).
    pub fn backend(mut self, backend: Arc<dyn Backend>) -> Self {
        self.backend = Some(backend);
        self
    }

    /// Changes what holds between the server and its [`backend`](Self::backend).
    ///
    /// ```
    /// use mosca::Server;
    ///
    /// let builder = Server::builder().backend_options(|options| {
    ///     options.local_topics = vec!["site/7/#".to_owned()];
    /// });
    /// ```
    pub fn backend_options(mut self, change: impl FnOnce(&mut BackendOptions)) -> Self {
        change(&mut self.backend_options);
        self
    }

    /// What the program decides and hears of: who comes in, who publishes, subscribes and receives what.
    /// Of several calls the last one counts.
    pub fn hooks(mut self, hooks: impl Hooks + 'static) -> Self {
        self.broker.hooks = Some(Arc::new(hooks));
        self
    }

    /// [`hooks`](Self::hooks) of one function: it says who comes in, and all are allowed everything. It is
    /// called on the task of the connection, so it is for what is known at once; who has to ask somebody
    /// else has [`async_hooks`](Self::async_hooks).
    ///
    /// ```
    /// use mosca::{Authentication, Server};
    ///
    /// let builder = Server::builder().authenticate(|login| match (login.user_name, login.password) {
    ///     (Some("eve"), Some(b"pencil")) => Authentication::accept("eve"),
    ///     _ => Authentication::bad_credentials(),
    /// });
    /// ```
    pub fn authenticate(
        self,
        decide: impl Fn(&LoginRequest<'_>) -> Authentication + Send + Sync + 'static,
    ) -> Self {
        self.hooks(Deciding(decide))
    }

    /// The same by async methods.
    pub fn async_hooks(self, hooks: impl AsyncHooks) -> Self {
        self.hooks(Adapted(Arc::new(hooks)))
    }

    /// The name of the server in its own topics, `$SYS/<id>/…`, and of those of a cluster among each other: one
    /// level of a topic, or several. Default: eight random hexadecimal digits.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// let server = mosca::Server::builder().id("gateway-7").start().await?;
    /// assert_eq!(server.id(), "gateway-7");
    /// # Ok::<(), mosca::StartError>(())
    /// # }).unwrap();
    /// ```
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.own_topics.id = Some(id.into());
        self
    }

    /// Whether the client identifier of each client that was let in is published to
    /// `$SYS/<id>/new/clients`. Default: true. While nobody is subscribed to it, it costs next to nothing.
    pub fn publish_new_client(mut self, publish: bool) -> Self {
        self.own_topics.new_clients = publish;
        self
    }

    /// Whether the client identifier of each client whose connection has ended is published to
    /// `$SYS/<id>/disconnect/clients`. Default: true.
    pub fn publish_client_disconnect(mut self, publish: bool) -> Self {
        self.own_topics.disconnected_clients = publish;
        self
    }

    /// Whether each subscription that was granted is published to `$SYS/<id>/new/subscribes`, and each that
    /// has ended, also with its session, to `$SYS/<id>/new/unsubscribes`:
    /// `{"clientId":"…","topic":"…"}`. Default: true.
    pub fn publish_subscriptions(mut self, publish: bool) -> Self {
        self.own_topics.subscriptions = publish;
        self
    }

    /// How often statistics are published, below `$SYS/<id>` under mosca's names and below `$SYS/broker` under
    /// mosquitto's, for the first time after that time; `None` for never, which is the default. mosca's interval and
    /// that of the command is 10 s.
    ///
    /// ```
    /// use std::time::Duration;
    /// use mosca::Server;
    ///
    /// let builder = Server::builder().statistics(Duration::from_secs(10));
    /// ```
    pub fn statistics(mut self, interval: impl Into<Option<Duration>>) -> Self {
        self.own_topics.statistics = interval.into();
        self
    }

    /// Loads what the store has, binds all interfaces, and starts to serve.
    ///
    /// # Errors
    /// When an address cannot be bound, the store cannot be read, the engine between nodes cannot be reached, or
    /// the id or a topic filter is none. Nothing is left running then.
    ///
    /// # Panics
    /// Outside a tokio runtime with IO and time enabled.
    ///
    /// # Cancel safety
    /// Dropping the future before it is ready starts nothing.
    pub async fn start(self) -> Result<Server, StartError> {
        Server::start(self).await
    }
}

impl std::fmt::Debug for ServerBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerBuilder")
            .field("interfaces", &self.interfaces)
            .field("max_streams", &self.max_streams)
            .field("connections", &self.connections)
            .field("broker", &self.broker)
            .field("own_topics", &self.own_topics)
            .field("has_persistence", &self.persistence.is_some())
            .field("has_backend", &self.backend.is_some())
            .field("backend_options", &self.backend_options)
            .finish()
    }
}

/// A client identifier that nobody can guess: 128 random bits.
fn random_client_id() -> String {
    format!("mosca-{}", random_hex::<16>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assigned_client_ids_are_long_and_differ() {
        let ids: std::collections::HashSet<String> = (0..100).map(|_| random_client_id()).collect();
        assert_eq!(ids.len(), 100);
        assert!(ids.iter().all(|id| id.len() == 38));
    }
}
