//! What an MQTT broker *is*, without sockets and without clocks.
//!
//! Bytes and time come in as arguments, effects go out as values: so the same code runs under a
//! server, under a test with a virtual clock and scripted clients, and under a fuzzer. It knows
//! MQTT 3.1, 3.1.1 and 5.0; the model is that of 5.0, with the others as special cases.
//!
//! # The parts
//!
//! - [`Broker`]: what all connections share. Sessions, subscriptions, retained messages.
//! - [`Connection`]: one network connection, owned by one task.
//! - Sessions, one for each client identifier, are in between and not seen from outside.
//! - [`Effects`]: what comes out, to be dealt with by the driver.
//! - [`Persistence`](persistence::Persistence): the trait of the stores that keep what is durable.
//!
//! # Driving it
//!
//! For each network connection: make a [`Connection`]; decode what arrives with
//! [`mqtt_codec::decode`] and hand it over packet by packet; commit the batch of the effects; give
//! the ticket back; wake whom the effects name; write what [`Connection::poll_output`] gives.
//!
//! ```
//! use std::task::Waker;
//! use broker_core::{Broker, BrokerOptions, Connection, Effects, Output, Timestamp};
//! use mqtt_codec::{Connect, Packet, Version};
//!
//! let broker = Broker::new(BrokerOptions::default());
//! let mut effects = Effects::new();
//! let now = Timestamp::from_millis(0);
//!
//! let mut connection = Connection::new(&broker, now);
//! let connect = Packet::Connect(Connect::new(Version::V311, "sensor-1"));
//! connection.handle_packet(now, connect, &mut effects);
//! // Nothing has to become durable here, so the batch counts as committed.
//! effects.batch().drain().for_each(drop);
//! connection.handle_committed_now(now, &mut effects);
//! effects.wake();
//!
//! let Output::Write(connack) = connection.poll_output(now, Waker::noop(), &mut effects) else {
//!     panic!("CONNACK comes first");
//! };
//! assert_eq!(connack.len(), 4);
//! ```
//!
//! # Waiting for a verdict
//!
//! An [`AuthenticationMethod`] may take its time to decide whether a client may come in. While
//! [`Connection::awaits_verdict`] holds, the driver polls [`Connection::poll_verdict`] and deals with
//! the effects like after a packet; while [`Connection::is_deciding`] holds as well, it hands over no
//! packet and keeps what it has read.
//!
//! # Packets that take long
//!
//! SUBSCRIBE and UNSUBSCRIBE may have any number of filters. While [`Connection::is_unfinished`] holds, the
//! driver calls [`Connection::take_step`], deals with the effects, and lets other connections have their turn;
//! it hands over no packet and keeps what it has read.
//!
//! # Clients that are too fast
//!
//! After what was read the driver says how much it was ([`Connection::hear`]). While
//! [`Connection::is_pausing`] holds, it hands over no packet and reads nothing, until it has called
//! [`Connection::handle_timeout`] at the time that [`Connection::poll_timeout`] names.
//!
//! # What it leaves to the driver
//!
//! Reading and writing, the clock, randomness (see
//! [`assign_client_id`](BrokerOptions::assign_client_id)), and when to call
//! [`Broker::handle_timeout`].

mod authentication;
pub mod backend;
mod backoff;
mod block_on;
mod broker;
mod close;
mod connection;
mod counters;
mod deadlines;
mod effects;
mod events;
mod frame;
mod hooks;
mod inbox;
mod message;
mod nodes;
mod on_demand;
mod options;
mod outbox;
mod outside;
mod own_topics;
pub mod persistence;
mod program;
mod publication;
mod rate;
mod reason;
mod redirect;
mod registry;
mod retained;
mod session;
mod share;
mod subscription;
mod time;
mod topic_aliases;
mod totals;
mod traffic;
mod will;

pub use authentication::{
    AuthenticationExchange, AuthenticationMethod, AuthenticationRefusal, AuthenticationRequest,
    AuthenticationStep, Verdict,
};
pub use backoff::Backoff;
pub use block_on::block_on;
pub use broker::{Broker, ConnectedClient, ConnectedClients, Sizes};
pub use close::{CloseCause, Violation};
pub use connection::{Connection, Output};
pub use counters::{Counter, Counters};
pub use effects::{Effects, Ticket};
pub use events::{EventOptions, EventSet, Events, OwnedEvent};
pub use hooks::{
    Authentication, Client, ClientData, Event, ForwardRequest, ForwardVerdict, HookChain, HookSet,
    Hooks, Login, LoginRequest, PublishRequest, PublishVerdict, SubscribeRequest, SubscribeVerdict,
};
pub use message::{Message, MessageParts};
pub use nodes::{FilterChanges, NodeOptions};
pub use options::{BrokerOptions, ResponseInformation, ShareStrategy, SlowConsumerPolicy};
pub use outbox::Outbox;
pub use outside::{Escaped, Quoted};
pub use own_topics::Announcements;
pub use program::{ProgramSubscription, Received, SubscribeError, SubscribeOptions};
pub use rate::{Rate, TokenBucket};
pub use redirect::Redirect;
pub use subscription::SubscriptionOptions;
pub use time::Timestamp;
pub use totals::PartialBytes;
pub use traffic::{Flow, Traffic};
