//! What few connections have, apart from what all have.

use std::sync::Arc;

use super::asking::Asking;
use super::authenticate::Authenticated;
use super::forward::Forwarding;
use super::in_steps::Unfinished;
use super::pace::Pace;
use super::topic_cache::TopicCache;
use crate::Timestamp;
use crate::broker::Load;
use crate::hooks::Client;
use crate::topic_aliases::InboundAliases;

/// What a connection has only if its client publishes, or uses some of the features of MQTT 5.
#[derive(Debug, Default)]
pub(super) struct Extras {
    /// The receivers of what it publishes.
    pub(super) topics: Option<Box<TopicCache>>,
    /// The client's maximum packet size, if it has one.
    pub(super) maximum_packet_size: Option<u32>,
    /// Whether the client wants no reason strings but where it has made a mistake.
    pub(super) declines_problem_information: bool,
    /// The topic aliases that the client has set.
    pub(super) topic_aliases: InboundAliases,
    /// With enhanced authentication: how, and who it is.
    pub(super) authenticated: Option<Authenticated>,
    /// Who it is, if what carries the connection has shown it.
    pub(super) certified: Option<Arc<str>>,
    /// The client as hooks see it, if there are any.
    pub(super) client: Option<Arc<Client>>,
    /// What hooks are thinking about.
    pub(super) asking: Option<Box<Asking>>,
    /// What is left of its rates, if it has any.
    pub(super) pace: Option<Box<Pace>>,
    /// A packet that is handled in steps.
    pub(super) unfinished: Option<Box<Unfinished>>,
    /// More of a long queue that is being read from the store.
    pub(super) refill: Option<Load>,
    /// What is about to be sent, and hooks think about.
    pub(super) forwarding: Option<Box<Forwarding>>,
    /// Until when the socket has to take something, while something waits for it.
    pub(super) blocked_until: Option<Timestamp>,
}

impl Extras {
    /// Whether the next packet has to wait.
    pub(super) fn is_busy(&self) -> bool {
        self.unfinished.is_some()
            || self.asking.is_some()
            || self.pace.as_ref().is_some_and(|pace| pace.is_pausing())
    }
}
