//! Real servers for tests. Each is a child process on a free port of the loopback address, with its
//! data in a folder of its own, and goes with the test: also when the test panics, or is killed.
//!
//! What a server has in common with others is a [`Server`], a [`Process`] in a [`Folder`]; a module per kind
//! of server says how it is configured and when it is ready. A program is looked for where an environment
//! variable says, then in `PATH`; if it is in neither place the test fails with the command that
//! installs it. A test is never skipped.
//!
//! ```
//! use test_servers::redis::Redis;
//!
//! let mut server = Redis::new().option("appendonly", "yes").start();
//! assert_eq!(server.command(&["SET", "key", "value"]), "OK");
//! server.kill();
//! server.start_again();
//! assert_eq!(server.command(&["GET", "key"]), "value");
//! ```

#![expect(
    clippy::panic,
    reason = "a test reports by panicking, and nothing but tests uses this"
)]

pub mod certificates;
mod folder;
pub mod mongod;
pub mod mosquitto;
mod port;
mod process;
mod program;
pub mod rabbitmq;
pub mod redis;
mod scale;
mod server;

pub use folder::Folder;
pub use port::{RefusingPort, free_port};
pub use process::{Process, wait_until};
pub use program::find_program;
pub use scale::at_full_scale;
pub use server::Server;
