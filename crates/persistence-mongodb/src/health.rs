//! Whether the database takes writes, as the operator is told: once when it does not, and once when it
//! does again. Both lines are warnings, so that whoever sees the first one sees the second.

use std::time::Instant;

use mongodb::ServerType;
use mongodb::event::sdam::{SdamEvent, TopologyDescription};
use parking_lot::Mutex;

/// What was last known.
pub(crate) struct Health(Mutex<State>);

struct State {
    /// Who takes writes, if anybody does; what the driver hears from the servers by itself.
    primary: Option<String>,
    /// Who did last, or who was asked.
    address: String,
    /// Since when there is trouble that was told of.
    trouble: Option<Instant>,
    /// The store is being closed, and connections end for that.
    is_closed: bool,
}

impl Health {
    /// Nobody is known yet at this address, which has no password in it.
    pub(crate) fn new(address: &str) -> Self {
        Self(Mutex::new(State {
            primary: None,
            address: address.to_owned(),
            trouble: None,
            is_closed: false,
        }))
    }

    /// Takes what the driver tells of the servers.
    pub(crate) fn hear(&self, event: &SdamEvent) {
        let SdamEvent::TopologyDescriptionChanged(change) = event else {
            return;
        };
        let now = &change.new_description;
        let mut state = self.0.lock();
        if let Some(before) = state.primary.take() {
            if takes_writes(now, &before) {
                state.primary = Some(before);
                return;
            }
            let reason = why_not(now, &before);
            state.address = before;
            state.begin(&reason, Instant::now());
        }
        if let Some(found) = primary(now) {
            state.address.clone_from(&found);
            state.primary = Some(found);
            state.end();
        }
    }

    /// A group waits since then.
    pub(crate) fn note_wait(&self, since: Instant, reason: &str) {
        self.0.lock().begin(reason, since);
    }

    /// A group has been written.
    pub(crate) fn note_success(&self) {
        let mut state = self.0.lock();
        if state.primary.is_some() {
            state.end();
        }
    }

    /// What happens from now on is nobody's trouble.
    pub(crate) fn close(&self) {
        self.0.lock().is_closed = true;
    }
}

impl State {
    fn begin(&mut self, reason: &str, since: Instant) {
        if self.is_closed || self.trouble.is_some() {
            return;
        }
        self.trouble = Some(since);
        tracing::warn!(
            address = %self.address,
            reason,
            "MongoDB cannot be written to: publishers wait until it can"
        );
    }

    fn end(&mut self) {
        if let Some(since) = self.trouble.take() {
            tracing::warn!(
                address = %self.address,
                after = ?since.elapsed(),
                "MongoDB can be written to again"
            );
        }
    }
}

/// Somebody who takes writes.
fn primary(servers: &TopologyDescription) -> Option<String> {
    let servers = servers.servers();
    let mut found = servers
        .iter()
        .filter(|(_, server)| is_writable(server.server_type()));
    found.next().map(|(address, _)| address.to_string())
}

fn takes_writes(servers: &TopologyDescription, address: &str) -> bool {
    let servers = servers.servers();
    let mut found = servers.iter().filter(|(one, _)| one.to_string() == address);
    found.any(|(_, server)| is_writable(server.server_type()))
}

fn is_writable(server: ServerType) -> bool {
    matches!(
        server,
        ServerType::RsPrimary
            | ServerType::Mongos
            | ServerType::Standalone
            | ServerType::LoadBalancer
    )
}

fn why_not(servers: &TopologyDescription, address: &str) -> String {
    let servers = servers.servers();
    let found = servers
        .iter()
        .find(|(one, _)| one.to_string() == address)
        .and_then(|(_, server)| server.error());
    found.map_or_else(
        || "it is not the primary any more".to_owned(),
        |error| error.kind.to_string(),
    )
}
