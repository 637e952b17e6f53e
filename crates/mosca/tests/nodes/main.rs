//! Several servers behind an engine between them, with clients over the loopback interface.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "all of this is a test"
)]

#[allow(dead_code, reason = "other test binaries use the rest")]
#[path = "../harness/mod.rs"]
mod harness;

mod clients;
mod engine;
mod example;
mod filters;
mod messages;
mod retained;
mod trouble;

use std::sync::Arc;

use backend_memory::MemoryBackend;
use mosca::backend::Backend;
use mosca::backend::contract::Coarse;
use mosca::{Server, ServerBuilder};

use harness::{start, within};

/// The engines with which everything has to come out the same, by name.
fn engines() -> [(&'static str, Arc<dyn Backend>); 2] {
    [
        ("memory", Arc::new(MemoryBackend::new())),
        ("coarse", Arc::new(Coarse::new())),
    ]
}

/// A server behind an engine.
async fn node(engine: &Arc<dyn Backend>, id: &str) -> Server {
    node_with(engine, id, |builder| builder).await
}

async fn node_with(
    engine: &Arc<dyn Backend>,
    id: &str,
    change: impl FnOnce(ServerBuilder) -> ServerBuilder,
) -> Server {
    let builder = Server::builder().id(id).backend(Arc::clone(engine));
    start(change(builder)).await
}

/// Waits until it is so.
async fn until(what: &str, is_so: impl Fn() -> bool) {
    within(what, async {
        while !is_so() {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    })
    .await;
}
