//! What the tests over sockets share: servers on free ports, and a client that is as strict as it
//! is obedient.

pub(crate) mod client;
mod expect;
mod hello;
mod requests;
pub(crate) mod websocket;

#[allow(unused_imports, reason = "each test binary uses what it needs")]
pub(crate) use client::{
    Client, VERSIONS, encoded, id, plain_server, start, wait_for_connections, within,
};
#[allow(unused_imports, reason = "each test binary uses what it needs")]
pub(crate) use hello::{Hello, WillMessage};
#[allow(unused_imports, reason = "each test binary uses what it needs")]
pub(crate) use requests::{Message, options};

use mosca::{Server, ServerBuilder};
use mqtt_codec::Version;

/// The two versions whose statements are numbered.
pub(crate) const NUMBERED: [Version; 2] = [Version::V311, Version::V5];

/// Options of a server that says nothing of its clients: all that comes below `$SYS` is what a test
/// publishes there.
pub(crate) fn silent() -> ServerBuilder {
    Server::builder()
        .publish_new_client(false)
        .publish_client_disconnect(false)
        .publish_subscriptions(false)
}

/// Runs `body` once for each version, each time with a server of its own. What fails says for which
/// version it did.
pub(crate) async fn each(versions: &[Version], body: impl AsyncFn(&Server, Version)) {
    each_with(versions, Server::builder, body).await;
}

/// [`each`] with servers that are not as they come.
pub(crate) async fn each_with(
    versions: &[Version],
    builder: impl Fn() -> ServerBuilder,
    body: impl AsyncFn(&Server, Version),
) {
    for &version in versions {
        // Shown only if the test fails.
        println!("--- with {version:?}");
        let server = start(builder()).await;
        body(&server, version).await;
    }
}
