//! What the broker says of itself and of its clients, below `$SYS`.

use std::time::Duration;

use mosca::ServerBuilder;

use crate::args::Args;

/// How often statistics are published, unless something else is said: as mosca does.
const INTERVAL: Duration = Duration::from_secs(10);

/// What was chosen; `None` where nothing is said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct OwnTopics {
    /// The broker's name there.
    pub(crate) id: Option<String>,
    /// How often statistics are published, if they are.
    pub(crate) statistics: Option<Option<Duration>>,
    /// Whether clients that come are announced.
    pub(crate) new_client: Option<bool>,
    /// Whether clients that go are.
    pub(crate) client_disconnect: Option<bool>,
    /// Whether subscriptions are.
    pub(crate) subscriptions: Option<bool>,
}

impl OwnTopics {
    /// The command line counts before it.
    pub(crate) fn or_of(self, args: &Args) -> Self {
        Self {
            id: args.broker_id.clone().or(self.id),
            statistics: args.disable_stats.then_some(None).or(self.statistics),
            ..self
        }
    }

    pub(crate) fn apply(&self, server: ServerBuilder) -> ServerBuilder {
        let server = server
            .statistics(self.statistics.unwrap_or(Some(INTERVAL)))
            .publish_new_client(self.new_client.unwrap_or(true))
            .publish_client_disconnect(self.client_disconnect.unwrap_or(true))
            .publish_subscriptions(self.subscriptions.unwrap_or(true));
        match &self.id {
            Some(id) => server.id(id.as_str()),
            None => server,
        }
    }
}
