//! A broker that asks a function who comes in.
//!
//! ```console
//! $ cargo run -p mosca --example authenticate
//! $ mosquitto_sub -u eve -P pencil -t '#' -v
//! ```
//!
//! Who decides by asking a database, or also who publishes and subscribes what, implements
//! [`mosca::AsyncHooks`] instead.

use std::collections::HashMap;
use std::time::Duration;

use mosca::{Authentication, Interface, LoginRequest, Server, ServerBuilder};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let users = HashMap::from([("eve".to_owned(), "pencil".to_owned())]);
    let server = guarded(users).listen(Interface::mqtt("127.0.0.1:1883"));
    let server = server.start().await?;
    tokio::signal::ctrl_c().await?;
    server.close(Duration::from_secs(5)).await;
    Ok(())
}

/// A server for these users and their passwords. In earnest one would keep their hashes.
pub fn guarded(users: HashMap<String, String>) -> ServerBuilder {
    let decide = move |login: &LoginRequest<'_>| {
        let (Some(name), Some(password)) = (login.user_name, login.password) else {
            return Authentication::not_authorized();
        };
        match users.get(name) {
            Some(known) if known.as_bytes() == password => Authentication::accept(name),
            _ => Authentication::bad_credentials(),
        }
    };
    Server::builder().authenticate(decide)
}
