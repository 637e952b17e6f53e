//! The clients of a server: looked up, listed, and disconnected.

use broker_core::{ConnectedClient, ConnectedClients, Effects};
use mqtt_codec::ReasonCode;

use super::Server;

impl Server {
    /// The client with this client identifier, if it is connected: who it is and from where, since when,
    /// and what it is owed.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// let server = mosca::Server::builder().start().await?;
    /// if let Some(connected) = server.client("sensor-7") {
    ///     println!("{:?} waits for {} messages", connected.client, connected.queued_messages);
    /// }
    /// # Ok::<(), mosca::StartError>(())
    /// # }).unwrap();
    /// ```
    pub fn client(&self, client_id: &str) -> Option<ConnectedClient> {
        self.shared.broker.client(client_id)
    }

    /// All clients that are connected, in no order. Each is looked at when its turn comes, which holds up
    /// nobody else; who comes or goes meanwhile may be among them or not.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// let server = mosca::Server::builder().start().await?;
    /// let users = server.clients().filter_map(|connected| connected.client.user().cloned());
    /// assert_eq!(users.count(), 0);
    /// # Ok::<(), mosca::StartError>(())
    /// # }).unwrap();
    /// ```
    pub fn clients(&self) -> ConnectedClients<'_> {
        self.shared.broker.clients()
    }

    /// The topic filters of the session with this client identifier, as its client wrote them, whether it
    /// is connected or not; none if there is no such session.
    pub fn subscriptions_of(&self, client_id: &str) -> Vec<String> {
        self.shared.broker.subscriptions_of(client_id)
    }

    /// Ends the connection of the client with this client identifier, and says whether there was one. An
    /// MQTT 5 client is told the reason in DISCONNECT, mostly
    /// [`AdministrativeAction`](ReasonCode::AdministrativeAction), 0x98, which also stands for those that a
    /// server cannot say there (MQTT 5.0 section 3.14.2.1). Its will is published, and its session goes on
    /// for as long as it would have after any other end.
    ///
    /// Nothing keeps the client from coming back; that is for [hooks](crate::ServerBuilder::hooks).
    ///
    /// ```
    /// use mosca::ReasonCode;
    ///
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// let server = mosca::Server::builder().start().await?;
    /// assert!(!server.disconnect("nobody", ReasonCode::AdministrativeAction));
    /// # Ok::<(), mosca::StartError>(())
    /// # }).unwrap();
    /// ```
    pub fn disconnect(&self, client_id: &str, reason: ReasonCode) -> bool {
        let mut effects = Effects::new();
        let broker = &self.shared.broker;
        let was_connected = broker.disconnect(client_id, reason, &mut effects);
        effects.wake();
        was_connected
    }
}
