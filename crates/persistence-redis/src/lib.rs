//! The store in Redis: one server, a primary that Sentinels watch, or a Cluster.
//!
//! [`RedisPersistence`] keeps the promises of [`Persistence`](broker_core::persistence::Persistence) on a
//! server that writes to its disk before it answers (`appendonly yes`, `appendfsync always`); what
//! other settings mean is said in `docs/stores.md`, and by [`RedisPersistence::warnings`].
//!
//! ```no_run
//! use broker_core::persistence::Persistence;
//! use persistence_redis::{RedisOptions, RedisPersistence};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let options = RedisOptions::from_url("redis://127.0.0.1:6379")?;
//! let store = RedisPersistence::connect(options).await?;
//! for warning in store.warnings() {
//!     eprintln!("{warning}");
//! }
//! let sessions = store.sessions(None, 100).await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Keys
//!
//! All begin with the prefix in braces, which makes them one slot of a Cluster: a script may
//! then change all of them in one moment, and that is how a batch is atomic. What is a part of a key or
//! a name stands at its end, so that no name can be taken for another, whatever characters it has.
//!
//! | key | is | has |
//! | --- | --- | --- |
//! | `{mosca}:format` | string | the format, `mosca 1` |
//! | `{mosca}:session` | hash | client → incarnation (8 bytes), record |
//! | `{mosca}:sessions` | sorted set | the clients, in the order of their bytes |
//! | `{mosca}:subscriptions:CLIENT` | sorted set | filter, a zero byte, record |
//! | `{mosca}:queue:CLIENT` | sorted set | entries in the order of their numbers; small messages inside |
//! | `{mosca}:bytes` | hash | client → bytes of the messages in its queue |
//! | `{mosca}:incoming:CLIENT` | set | packet identifiers |
//! | `{mosca}:message` | hash | name → a message that is in several queues, or large |
//! | `{mosca}:shares` | hash | name → in how many queues it is, if in more than one |
//! | `{mosca}:retained` | hash | topic → message |
//! | `{mosca}:topics` | sorted set | the topics of these, in the order of their bytes |
//! | `{mosca}:will` | hash | client → incarnation (8 bytes), node, record |
//! | `{mosca}:wills:NODE` | sorted set | the clients that have left a will with the node |
//! | `{mosca}:expiring` | sorted set | when a message that waits expires → its number and client |
//! | `{mosca}:expiring-retained` | sorted set | when a retained message expires → its topic |
//! | `{mosca}:writer:NAME` | string | which connection a broker is on, and the last group of batches that it has written |
//! | `{mosca}:trash`, `:trash:N`, `:trashed` | set, sorted sets, counter | long queues of sessions that have gone |
//!
//! Records are those of [`persistence_records`].

#![forbid(unsafe_code)]

mod encode;
mod entry;
mod error;
mod health;
pub mod import;
mod lookup;
mod options;
mod pace;
mod reader;
mod replicas;
mod route;
mod script;
mod shared;
mod store;
mod sweeper;
mod writer;

pub use error::ConnectError;
pub use options::{RedisOptions, RedisSentinel, RedisTls, UrlError};
pub use store::RedisPersistence;
