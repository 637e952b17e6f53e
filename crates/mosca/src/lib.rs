//! An MQTT 3.1, 3.1.1 and 5.0 broker to embed in any tokio program.
//!
//! ```
//! use std::time::Duration;
//! use mosca::{Interface, Server};
//!
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! let server = Server::builder()
//!     .listen(Interface::mqtt("127.0.0.1:0"))
//!     .start()
//!     .await?;
//! println!("listening on {}", server.local_addresses()[0]);
//! server.close(Duration::from_secs(5)).await;
//! # Ok::<(), mosca::StartError>(())
//! # }).unwrap();
//! ```
//!
//! The rules of MQTT are in [`broker_core`]; this crate gives it sockets, a clock, and tasks: one
//! for each connection, one for each interface, and one for all that is due at some time. Which
//! store keeps sessions and retained messages is up to the caller; without one they live as long as
//! the server.

mod admission;
mod blocking;
mod clock;
mod connection;
mod events;
mod health;
mod hooks;
mod http;
mod interface;
mod ip_network;
mod lobby;
mod log;
mod network;
mod nodes;
mod options;
mod own_topics;
mod peer;
mod random;
mod server;
mod settle;
mod shared;
mod statistics;
mod streams;
mod subscription;
mod tls;
mod worker;

pub use auth_scram::{ScramCredential, ScramCredentials, ScramError, ScramLookup, ScramSha256};
pub use blocking::BlockingServer;
pub use broker_core::{
    Authentication, AuthenticationExchange, AuthenticationMethod, AuthenticationRefusal,
    AuthenticationRequest, AuthenticationStep, BrokerOptions, Client, ClientData, CloseCause,
    ConnectedClient, ConnectedClients, Counters, Escaped, Event, EventOptions, EventSet, Flow,
    ForwardRequest, ForwardVerdict, HookChain, HookSet, Hooks, Login, LoginRequest, Message,
    MessageParts, OwnedEvent, PublishRequest, PublishVerdict, Quoted, Rate, Received, Redirect,
    ResponseInformation, ShareStrategy, Sizes, SlowConsumerPolicy, SubscribeError,
    SubscribeOptions, SubscribeRequest, SubscribeVerdict, Timestamp, Traffic, Verdict, backend,
    persistence,
};
pub use events::Events;
pub use hooks::AsyncHooks;
pub use interface::Interface;
pub use ip_network::{IpNetwork, IpNetworkError};
pub use mqtt_codec::{Properties, QoS, ReasonCode, Version};
pub use nodes::BackendOptions;
pub use options::ServerBuilder;
pub use peer::StreamPeer;
pub use server::{Publish, PublishError, Server, StartError};
pub use shared::NetworkCounters;
pub use streams::{StreamRefused, Streams, WebSocketService};
pub use subscription::Subscription;
pub use tls::{CertificateUser, ClientCertificates, Tls, TlsError, TlsOptions, TlsVersion};

/// The examples of the project's front page compile and hold.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct FrontPage;

/// Those of this crate's own page too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct OwnPage;
