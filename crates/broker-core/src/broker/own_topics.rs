//! The broker publishes to its own topics: what the program around it has to say there, and what is announced
//! of clients.

use mqtt_codec::QoS;
use topic_trie::TopicName;

use super::Broker;
use crate::effects::Effects;
use crate::events::EventSet;
use crate::own_topics::{Announced, Announcement};
use crate::publication::Publication;
use crate::session::Session;
use crate::{MessageParts, Timestamp, Traffic};

impl Broker {
    /// What has gone to and fro between clients and broker; see [`Traffic`].
    ///
    /// Reading it is not one atomic view, and what a batch has brought is in it when its driver has
    /// [counted it](Self::count_traffic).
    pub fn traffic(&self) -> Traffic {
        self.tally.total()
    }

    /// Adds what was counted in `effects` to the [`traffic`](Self::traffic): a driver's duty after each batch of
    /// input. What is not added yet is added with the next batch.
    #[inline]
    pub fn count_traffic(&self, effects: &mut Effects) {
        effects.count_into(&self.tally);
    }

    /// A session has got a connection, or has none any more. To be called with its state locked.
    pub(super) fn note_connected(&self, session: &Session, connected: bool) {
        match (session.set_connected(connected), connected) {
            (true, true) => self.presence.enter(),
            (true, false) => {
                self.presence.leave();
                self.forget_connected(session);
            }
            (false, _) => {}
        }
    }

    /// Publishes to a topic of the broker's own. True if anybody has subscribed to it.
    pub(super) fn publish_own(
        &self,
        now: Timestamp,
        topic: TopicName<'_>,
        parts: MessageParts<'_>,
        effects: &mut Effects,
    ) -> bool {
        let parts = MessageParts {
            qos: QoS::AtMostOnce,
            ..parts
        };
        if parts.retain && self.options.retain_available {
            self.retained.put_own(topic, parts);
        }
        let found = self.hand_out(topic, None, now, effects, |frames| {
            Publication::own(parts, frames, now)
        });
        self.notify_published(parts, effects);
        found
    }

    /// Says something of a client, if that is wanted.
    #[inline]
    pub(crate) fn announce(
        &self,
        announcement: Announcement<'_>,
        now: Timestamp,
        effects: &mut Effects,
    ) {
        if let Some(place) = self.announcer.place(announcement)
            && let Some(generation) = self.heard_at(place)
        {
            self.announce_at(place, generation, announcement, now, effects);
        }
    }

    #[cold]
    fn announce_at(
        &self,
        place: &Announced,
        generation: u64,
        announcement: Announcement<'_>,
        now: Timestamp,
        effects: &mut Effects,
    ) {
        let Ok(topic) = TopicName::new(place.topic()) else {
            return;
        };
        let payload = announcement.payload();
        let parts = MessageParts {
            topic: place.topic(),
            properties: &[],
            payload: payload.as_bytes(),
            qos: QoS::AtMostOnce,
            retain: false,
            expires: Timestamp::MAX,
        };
        if !self.publish_own(now, topic, parts, effects) {
            place.note_unheard(generation);
        }
    }

    /// Whether anybody may hear that subscriptions have ended.
    pub(super) fn tells_of_unsubscribed(&self) -> bool {
        let place = self.announcer.unsubscribed();
        place.is_some_and(|place| self.heard_at(place).is_some())
    }

    /// The generation of the router at which it is to be found out who hears what is announced there; `None` if
    /// it is known that nobody does.
    fn heard_at(&self, place: &Announced) -> Option<u64> {
        let generation = place.generation(&self.subscriptions);
        // Hooks and watchers hear of all messages.
        let is_noticed = || self.watchers.or_hooks_notice(EventSet::PUBLISHED);
        generation.or_else(|| is_noticed().then_some(u64::MAX))
    }
}
