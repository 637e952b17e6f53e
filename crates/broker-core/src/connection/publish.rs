//! PUBLISH from a client: checked, retained, routed, acknowledged (sections 3.3 and 4.3).

use std::sync::Arc;

use mqtt_codec::{
    PacketId, PayloadFormat, Properties, PropertiesBuf, PropertyId, PropertySet, PubAck, PubRec,
    Publish, QoS, ReasonCode,
};
use topic_trie::TopicName;

use super::topic_cache::TopicCache;
use super::{Connected, Context};
use crate::broker::{Broker, Forwarded};
use crate::close::{CloseCause, Violation};
use crate::effects::{Change, Release};
use crate::events::EventSet;
use crate::hooks::{Client, Event};
use crate::own_topics::is_of_the_broker;
use crate::persistence::Operation;
use crate::publication::Publication;
use crate::reason::of_publish;
use crate::retained::Retained;
use crate::{Message, MessageParts, Timestamp};

/// Whether the payload is what its payload format indicator says, if that is checked (section
/// 3.3.2.3.2). What is not is counted.
pub(super) fn has_its_format(payload: &[u8], properties: &Properties<'_>, broker: &Broker) -> bool {
    let is_text = broker.options().check_payload_format
        && properties.payload_format() == Some(PayloadFormat::Utf8);
    let has_it = !is_text || core::str::from_utf8(payload).is_ok();
    if !has_it {
        broker.counters().refused_payload_format.add(1);
    }
    has_it
}

/// Why a message is not taken although its packet is in order, if it is not.
fn refusal(topic: TopicName<'_>, publish: &Publish<'_>, broker: &Broker) -> Option<ReasonCode> {
    if is_of_the_broker(topic) {
        Some(ReasonCode::NotAuthorized)
    } else if !has_its_format(publish.payload, &publish.properties, broker) {
        Some(ReasonCode::PayloadFormatInvalid)
    } else {
        None
    }
}

/// The answer to a PUBLISH at QoS 1 or 2.
#[derive(Clone, Copy, Debug)]
pub(super) enum Acknowledgement {
    PubAck(PacketId, ReasonCode),
    PubRec(PacketId, ReasonCode),
}

impl Connected {
    pub(super) fn handle_publish(
        &mut self,
        publish: &Publish<'_>,
        context: &mut Context<'_>,
    ) -> Result<(), CloseCause> {
        let Some(alias) = publish.properties.topic_alias() else {
            return self.handle_named_publish(publish, context);
        };
        // The topic name is borrowed from the aliases while the message is handled.
        let extras = self.extras.get_or_insert_default();
        let mut aliases = core::mem::take(&mut extras.topic_aliases);
        let maximum = context.broker.options().topic_alias_maximum;
        let topic = aliases
            .resolve(alias, publish.topic, maximum)
            .map_err(CloseCause::Protocol)?;
        let result = self.handle_named_publish(&Publish { topic, ..*publish }, context);
        self.extras.get_or_insert_default().topic_aliases = aliases;
        result
    }

    /// A PUBLISH that has its topic name.
    fn handle_named_publish(
        &mut self,
        publish: &Publish<'_>,
        context: &mut Context<'_>,
    ) -> Result<(), CloseCause> {
        let topic = self
            .check_publish(publish, context)
            .map_err(CloseCause::Protocol)?;
        if context.broker.wants(|wanted| wanted.authorize_publish) {
            return self.ask_publish(topic, publish, context);
        }
        self.take_publish(topic, publish, context)
    }

    /// Takes a message that the client may publish.
    pub(super) fn take_publish(
        &mut self,
        topic: TopicName<'_>,
        publish: &Publish<'_>,
        context: &mut Context<'_>,
    ) -> Result<(), CloseCause> {
        match (publish.qos, publish.packet_id) {
            (QoS::AtLeastOnce, Some(id)) => {
                let reason_code = self.publish(topic, publish, context);
                self.acknowledge_publish(Acknowledgement::PubAck(id, reason_code), context);
            }
            (QoS::ExactlyOnce, Some(id)) => {
                self.publish_exactly_once(id, topic, publish, context)?
            }
            _ => {
                let reason_code = self.publish(topic, publish, context);
                // At QoS 0 there is no other packet that could say so (section 3.3.2.3.2).
                if reason_code == ReasonCode::PayloadFormatInvalid {
                    return Err(CloseCause::Protocol(Violation::PayloadFormat));
                }
            }
        }
        Ok(())
    }

    /// The rules that a well-formed PUBLISH can still break.
    fn check_publish<'a>(
        &self,
        publish: &Publish<'a>,
        context: &Context<'_>,
    ) -> Result<TopicName<'a>, Violation> {
        let options = context.broker.options();
        if publish.qos > options.max_qos {
            return Err(Violation::Qos);
        }
        if publish.retain && !options.retain_available {
            return Err(Violation::Retain);
        }
        if publish
            .properties
            .contains(PropertyId::SubscriptionIdentifier)
        {
            return Err(Violation::SubscriptionIdentifier);
        }
        let response = publish.properties.response_topic();
        if response.is_some_and(|topic| TopicName::new(topic).is_err()) {
            return Err(Violation::ResponseTopic);
        }
        let topic = TopicName::new(publish.topic).map_err(|_| Violation::TopicName)?;
        if options.allows_topic(publish.topic, topic.levels()) {
            Ok(topic)
        } else {
            Err(Violation::TopicNameLimit)
        }
    }

    /// QoS 2: delivered when it comes first; while its identifier is known, it is the same again.
    fn publish_exactly_once(
        &mut self,
        id: PacketId,
        topic: TopicName<'_>,
        publish: &Publish<'_>,
        context: &mut Context<'_>,
    ) -> Result<(), CloseCause> {
        let mut state = self.session.state_unsettled();
        if !state.is_current(self.epoch) {
            return Ok(());
        }
        if state.incoming.contains(id) {
            drop(state);
            self.acknowledge_publish(Acknowledgement::PubRec(id, ReasonCode::Success), context);
            return Ok(());
        }
        self.check_begun(context)?;
        state.incoming.insert(id);
        drop(state);
        let reason_code = self.publish(topic, publish, context);
        if reason_code.is_error() && self.version.is_v5() {
            // The flow ends with this PUBREC, and the identifier is free again.
            self.session.state().incoming.remove(id);
        } else {
            self.note_begun(id, context);
        }
        self.acknowledge_publish(Acknowledgement::PubRec(id, reason_code), context);
        Ok(())
    }

    /// Whether the client may begin another QoS 2 message [MQTT-3.3.4-7].
    pub(super) fn check_begun(&self, context: &Context<'_>) -> Result<(), CloseCause> {
        let receive_maximum = context.broker.options().receive_maximum;
        if self.version.is_v5() && self.begun >= receive_maximum {
            return Err(CloseCause::Protocol(Violation::ReceiveMaximum));
        }
        Ok(())
    }

    /// A QoS 2 message is under way until PUBREL comes.
    pub(super) fn note_begun(&mut self, id: PacketId, context: &mut Context<'_>) {
        self.begun = self.begun.saturating_add(1);
        self.note_received(id, context);
    }

    /// Acknowledges a PUBLISH; behind what hooks have to do first.
    #[inline]
    pub(super) fn acknowledge_publish(
        &mut self,
        acknowledgement: Acknowledgement,
        context: &mut Context<'_>,
    ) {
        let is_kept =
            context.broker.hooked().is_some() && self.keep_acknowledgement(acknowledgement);
        if !is_kept {
            self.put_acknowledgement(acknowledgement, context);
        }
    }

    pub(super) fn put_acknowledgement(
        &self,
        acknowledgement: Acknowledgement,
        context: &mut Context<'_>,
    ) {
        let version = self.version;
        match acknowledgement {
            Acknowledgement::PubAck(id, ReasonCode::Success) => {
                context.reply(|replies| PubAck::new(id).encode(version, replies));
            }
            Acknowledgement::PubAck(packet_id, reason_code) => {
                let words = reason_code.is_error().then(|| of_publish(reason_code));
                context.reply_explained(words, |properties, replies| {
                    let puback = PubAck {
                        packet_id,
                        reason_code,
                        properties,
                    };
                    puback.encode(version, replies)
                });
            }
            Acknowledgement::PubRec(id, ReasonCode::Success) => {
                context.reply(|replies| PubRec::new(id).encode(version, replies));
            }
            Acknowledgement::PubRec(packet_id, reason_code) => {
                let words = reason_code.is_error().then(|| of_publish(reason_code));
                context.reply_explained(words, |properties, replies| {
                    let pubrec = PubRec {
                        packet_id,
                        reason_code,
                        properties,
                    };
                    pubrec.encode(version, replies)
                });
            }
        }
    }

    /// A QoS 2 message has begun: the store is to know it before PUBREC goes out.
    fn note_received(&self, packet_id: PacketId, context: &mut Context<'_>) {
        if self.session.is_durable() {
            let session = self.session.key().clone();
            let operation = Operation::IncomingReceived { session, packet_id };
            context.effects.batch.push(operation);
            let release = Release::new(&self.session, Change::Received(packet_id));
            context.effects.ticket.releases.push(release);
        }
    }

    /// Retains and routes a message. The reason code is what an MQTT 5 publisher is told; MQTT 3.x
    /// has no way to say it.
    fn publish(
        &mut self,
        topic: TopicName<'_>,
        publish: &Publish<'_>,
        context: &mut Context<'_>,
    ) -> ReasonCode {
        if let Some(reason_code) = refusal(topic, publish, context.broker) {
            return reason_code;
        }
        let (broker, now) = (context.broker, context.now);
        let effects = &mut *context.effects;
        effects.traffic.received.message(publish.payload.len());
        let mut forwarded = PropertiesBuf::new();
        if !publish.properties.is_empty() {
            // Nothing is there twice that may not be: the properties were decoded.
            let _extended = forwarded.extend(publish.properties, PropertySet::FORWARDED);
        }
        let parts = MessageParts {
            topic: publish.topic,
            properties: forwarded.as_properties().raw(),
            payload: publish.payload,
            qos: publish.qos,
            retain: publish.retain,
            expires: publish
                .properties
                .message_expiry_interval()
                .map_or(Timestamp::MAX, |secs| now.after_secs(secs)),
        };
        let (scratch, mut rest) = effects.split();
        let mut publication = Publication::new(parts, scratch.frames, now);
        let (mut retained, mut retained_at) = (Retained::Yes, 0);
        if publish.retain {
            let message = publication.original();
            let (batch, releases) = (&mut *rest.batch, &mut *rest.releases);
            (retained, retained_at) = broker.retain(topic, &message, now, batch, releases);
        }
        let cache_entries = broker.options().topic_cache_entries;
        let publisher = self.session.id();
        let cached = (cache_entries > 0).then(|| {
            let extras = self.extras.get_or_insert_default();
            let new = || TopicCache::new(cache_entries);
            let cache = extras.topics.get_or_insert_with(new);
            cache.receivers(topic, publisher, broker, scratch.receivers)
        });
        let receivers = match cached {
            Some(receivers) => receivers,
            None => {
                broker.receivers(topic, Some(publisher), scratch.receivers);
                &*scratch.receivers
            }
        };
        let mut found = !receivers.is_empty();
        broker.deliver_to(receivers, &mut publication, now, &mut rest);
        scratch.receivers.clear();
        if broker.is_node() {
            let message = publication.original();
            // Who receives it there is not known here.
            found |= self.tell_nodes(topic, message, retained_at, context);
        }
        if let Some(client) = self.noticed(context.broker, EventSet::PUBLISHED) {
            self.notify_published(&client, parts, context);
        }
        match retained {
            Retained::Refused => ReasonCode::QuotaExceeded,
            Retained::Yes if found => ReasonCode::Success,
            Retained::Yes => ReasonCode::NoMatchingSubscribers,
        }
    }

    /// Has other nodes told of a message. False if it stays here.
    #[cold]
    fn tell_nodes(
        &self,
        topic: TopicName<'_>,
        message: Arc<Message>,
        retained_at: u64,
        context: &mut Context<'_>,
    ) -> bool {
        let forwarded = Forwarded {
            message,
            publisher: Some(self.session.client()),
            retained_at,
        };
        let crossing = &mut context.effects.crossing;
        context
            .broker
            .forward(topic, forwarded, context.now, crossing)
    }

    #[cold]
    fn notify_published(
        &mut self,
        client: &Arc<Client>,
        message: MessageParts<'_>,
        context: &mut Context<'_>,
    ) {
        let client = Some(client);
        self.notify(&Event::Published { client, message }, context);
    }
}
