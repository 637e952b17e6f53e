//! Who is connected, for the program around the broker: clients are looked up, listed and disconnected.

use std::sync::Arc;
use std::vec;

use mqtt_codec::ReasonCode;

use super::Broker;
use crate::Timestamp;
use crate::close::CloseCause;
use crate::effects::Effects;
use crate::hooks::Client;
use crate::registry::Registry;
use crate::session::Session;

/// A client that is connected, as it was when it was looked up.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ConnectedClient {
    /// Who it is, and what its CONNECT said. With hooks it is the very one that they know.
    pub client: Arc<Client>,
    /// When it was let in.
    pub connected_at: Timestamp,
    /// The keep alive that holds, in seconds, 0 for none: that of its CONNECT, or a lower one that it was
    /// told ([`max_keep_alive_secs`](crate::BrokerOptions::max_keep_alive_secs)).
    pub keep_alive_secs: u16,
    /// For how long its session goes on without it, in seconds: 0 for not at all, 4,294,967,295 for ever.
    pub session_expiry_interval_secs: u32,
    /// How many subscriptions its session has; [`Broker::subscriptions_of`] has the filters.
    pub subscriptions: usize,
    /// Messages at QoS 1 and 2 that were sent to it, or are about to be, and that it has not acknowledged
    /// to the end.
    pub inflight_messages: usize,
    /// Messages that wait behind them, in memory and in the store.
    pub queued_messages: usize,
    /// Bytes of topics, properties and payloads of both.
    pub pending_bytes: usize,
}

/// The clients that are connected, in no order; see [`Broker::clients`].
#[derive(Debug)]
pub struct ConnectedClients<'a> {
    registry: &'a Registry,
    /// The part of the registry that comes next.
    part: usize,
    sessions: vec::IntoIter<Arc<Session>>,
}

impl Broker {
    /// The client with this client identifier, if it is connected.
    pub fn client(&self, client_id: &str) -> Option<ConnectedClient> {
        describe(&*self.sessions.get(client_id)?)
    }

    /// All clients that are connected. Each is looked at when its turn comes, so who comes or goes
    /// meanwhile may be among them or not. Nobody is held up for longer than it takes to look at one.
    pub fn clients(&self) -> ConnectedClients<'_> {
        ConnectedClients {
            registry: &self.sessions,
            part: 0,
            sessions: Vec::new().into_iter(),
        }
    }

    /// The topic filters of the session with this client identifier, as its client wrote them, whether it
    /// is connected or not; none if there is no such session.
    pub fn subscriptions_of(&self, client_id: &str) -> Vec<String> {
        self.filters_of(client_id)
    }

    /// Ends the connection of the client with this client identifier, if it is connected, and says whether
    /// it was. An MQTT 5 client is told the reason in DISCONNECT; one that a server cannot say there
    /// becomes 0x98, administrative action. The will is published, and the session goes on for as long as
    /// it would have after any other end (section 3.14.2.1). Nothing keeps the client from coming back.
    ///
    /// From when this returns the client is not among those that are connected; its connection ends in
    /// its own task.
    pub fn disconnect(&self, client_id: &str, reason: ReasonCode, effects: &mut Effects) -> bool {
        let Some(session) = self.sessions.get(client_id) else {
            return false;
        };
        let mut state = session.state();
        let is_connected = state.link.as_ref().is_some_and(|link| link.close.is_none());
        if is_connected {
            let cause = CloseCause::administrative(reason);
            effects.wakes.extend(state.ask_to_close(cause));
        }
        is_connected
    }
}

impl Iterator for ConnectedClients<'_> {
    type Item = ConnectedClient;

    fn next(&mut self) -> Option<ConnectedClient> {
        loop {
            let connected = self.sessions.find_map(|session| describe(&session));
            if connected.is_some() {
                return connected;
            }
            self.sessions = self.registry.part_at(self.part)?.into_iter();
            self.part += 1;
        }
    }
}

/// What there is to say of a session's client, if it is connected and nobody has asked it to go.
fn describe(session: &Session) -> Option<ConnectedClient> {
    let state = session.state();
    let link = state.link.as_ref().filter(|link| link.close.is_none())?;
    let inflight_messages = state.outgoing.inflight();
    Some(ConnectedClient {
        client: link.client(session),
        connected_at: link.presence.since,
        keep_alive_secs: link.keep_alive_secs,
        session_expiry_interval_secs: state.expiry_interval_secs,
        subscriptions: state.filters.len(),
        inflight_messages,
        queued_messages: state.outgoing.len().saturating_sub(inflight_messages),
        pending_bytes: state.outgoing.bytes(),
    })
}
