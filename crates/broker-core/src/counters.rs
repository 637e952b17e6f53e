//! What the broker counts: above all, what it had to drop or refuse at which limit.

use crate::session::Refused;
use core::sync::atomic::{AtomicU64, Ordering};

/// Counters of a broker. Each only ever grows, wrapping at 2⁶⁴.
///
/// They are read with [`Broker::counters`](crate::Broker::counters); reading several is not one
/// atomic view.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Counters {
    /// QoS 0 messages dropped because the receiver's outbox was full
    /// ([`max_outbox_bytes`](crate::BrokerOptions::max_outbox_bytes)).
    pub dropped_slow_reader: Counter,
    /// Connections closed because the client took nothing for too long
    /// ([`write_timeout`](crate::BrokerOptions::write_timeout)), or less than was sent to it
    /// ([`SlowConsumerPolicy::Disconnect`](crate::SlowConsumerPolicy::Disconnect)).
    pub slow_readers_closed: Counter,
    /// QoS 1 and 2 messages dropped because the session's queue was full
    /// ([`max_queued_messages`](crate::BrokerOptions::max_queued_messages)).
    pub dropped_queue_full: Counter,
    /// Messages dropped because too much waited for all clients together
    /// ([`max_total_queued_messages`](crate::BrokerOptions::max_total_queued_messages),
    /// [`max_total_queued_bytes`](crate::BrokerOptions::max_total_queued_bytes)).
    pub dropped_total_full: Counter,
    /// Connections closed because packets that were not whole took too much memory, of all connections
    /// together ([`max_total_partial_bytes`](crate::BrokerOptions::max_total_partial_bytes)).
    pub refused_partial_packets: Counter,
    /// Messages dropped because the receiver accepts no packet so large (MQTT 5 maximum packet
    /// size).
    pub dropped_too_large: Counter,
    /// Messages dropped because they expired before they could be delivered.
    pub dropped_expired: Counter,
    /// Messages dropped because the store did not accept them.
    pub dropped_store_failed: Counter,
    /// Batches that the store has refused. What was in them was not acknowledged.
    pub failed_commits: Counter,
    /// Times that a connection was not read from any more, because as many of its batches as may be
    /// were on their way to the store, or one that has to be waited for.
    pub store_waits: Counter,
    /// Times that reading from a client paused because it had published as fast as it may
    /// ([`max_publish_rate`](crate::BrokerOptions::max_publish_rate)).
    pub publish_rate_waits: Counter,
    /// Times that reading from a client paused because it had sent as many bytes as it may
    /// ([`max_receive_rate_bytes`](crate::BrokerOptions::max_receive_rate_bytes)).
    pub receive_rate_waits: Counter,
    /// Clients that were not let in, or not kept, because what waits for them could not be read from
    /// the store.
    pub failed_reads: Counter,
    /// QoS 1 and 2 messages of shared subscriptions dropped because their receiver's session ended
    /// and no other member could take them.
    pub dropped_shared: Counter,
    /// Messages that subscriptions of the program around the broker have missed, because too many waited
    /// ([`max_messages`](crate::SubscribeOptions::max_messages)).
    pub dropped_program: Counter,
    /// Events that the program has missed, because too many waited
    /// ([`max_events`](crate::EventOptions::max_events)).
    pub dropped_events: Counter,
    /// Messages of shared subscriptions that went from one member to another that is connected, or
    /// whose session goes on.
    pub redistributed_shared: Counter,
    /// Messages not retained because a limit on retained messages was reached.
    pub refused_retained: Counter,
    /// Messages and wills refused because their payload is not UTF-8 although their payload format
    /// indicator says so ([`check_payload_format`](crate::BrokerOptions::check_payload_format)).
    pub refused_payload_format: Counter,
    /// Connections refused because there were too many sessions.
    pub refused_sessions: Counter,
    /// Connections refused because of what their CONNECT asks for: a client identifier that is too long
    /// ([`max_client_id_bytes`](crate::BrokerOptions::max_client_id_bytes),
    /// [`max_client_id_chars_v31`](crate::BrokerOptions::max_client_id_chars_v31)) or missing, or a will
    /// that its client may not publish.
    pub refused_connects: Counter,
    /// Connections refused because clients are sent to another server
    /// ([`Broker::redirect`](crate::Broker::redirect)).
    pub redirected: Counter,
    /// Subscriptions refused because their session had too many
    /// ([`max_subscriptions_per_session`](crate::BrokerOptions::max_subscriptions_per_session)), or because
    /// of their filter: too long, too deep, or of a kind that is switched off. That an MQTT 5 client
    /// uses what it was told not to be there is a protocol error.
    pub refused_subscriptions: Counter,
    /// Clients that were not let in, or not kept, because they did not show who they are: refused
    /// by their authentication method or with one that is not known, without one where it is
    /// required ([`require_enhanced_authentication`](crate::BrokerOptions::require_enhanced_authentication)),
    /// or not done in time or within
    /// [`max_authentication_rounds`](crate::BrokerOptions::max_authentication_rounds).
    pub authentication_failures: Counter,
    /// Calls of hooks that panicked or were not answered in time
    /// ([`hook_timeout`](crate::BrokerOptions::hook_timeout)).
    pub hook_failures: Counter,
    /// Messages that clients were not allowed to publish, wills included.
    pub denied_publishes: Counter,
    /// Subscriptions that clients were not allowed to have.
    pub denied_subscriptions: Counter,
    /// Messages that were not sent to a client because it was not allowed to receive them.
    pub denied_forwards: Counter,
    /// Connections closed because of what the client sent.
    pub protocol_errors: Counter,
    /// Connections closed because no CONNECT came in time
    /// ([`connect_timeout`](crate::BrokerOptions::connect_timeout)).
    pub connect_timeouts: Counter,
    /// Connections closed because nothing came for one and a half times the keep alive.
    pub keep_alive_timeouts: Counter,
    /// Connections closed because another one came with the same client identifier.
    pub takeovers: Counter,
    /// CONNECT packets, whatever they were answered.
    pub connects: Counter,
    /// Sessions that have ended because their clients did not return in time.
    pub expired_sessions: Counter,
    /// Messages published by the program around the broker, and wills; not those on topics of the broker's own.
    pub own_publishes: Counter,
    /// Messages that the engine between nodes has accepted for other nodes.
    pub forwarded_to_nodes: Counter,
    /// Messages of which other nodes were not told, or may not have been: the engine was lost, did not
    /// accept them, or too many waited for it.
    pub not_forwarded_to_nodes: Counter,
    /// Messages that have come from other nodes and were handed to who receives them here, if anybody does.
    pub received_from_nodes: Counter,
    /// What came from other nodes and had come before, or may have.
    pub repeated_from_nodes: Counter,
    /// Messages of other nodes that were not taken: too large, on a topic that stays at its node
    /// ([`NodeOptions::local_topics`](crate::NodeOptions::local_topics)), or one that is too long or too deep.
    pub refused_from_nodes: Counter,
    /// Messages of other nodes that are lost because they were taken too slowly here, or the engine could not
    /// keep them.
    pub missed_from_nodes: Counter,
}

impl Counters {
    /// Messages that a client was to get and has not, at whichever limit.
    pub fn dropped_messages(&self) -> u64 {
        let dropped = [
            &self.dropped_slow_reader,
            &self.dropped_queue_full,
            &self.dropped_too_large,
            &self.dropped_expired,
            &self.dropped_store_failed,
            &self.dropped_shared,
        ];
        dropped.into_iter().map(Counter::get).sum()
    }

    /// Counts a message that a session did not take.
    pub(crate) fn count_refused(&self, refused: Refused) {
        match refused {
            // What is not kept for those who are away is no loss.
            Refused::Away => {}
            Refused::SlowReader => self.dropped_slow_reader.add(1),
            Refused::QueueFull => self.dropped_queue_full.add(1),
            Refused::TotalFull => self.dropped_total_full.add(1),
            Refused::TooLarge => self.dropped_too_large.add(1),
        }
    }
}

/// One counter.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Its value.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn add(&self, number: u64) {
        self.0.fetch_add(number, Ordering::Relaxed);
    }
}
