//! PUBLISH where hooks decide who publishes what.

use mqtt_codec::{OwnedPublish, PacketId, PubAck, Publish, QoS, ReasonCode, Version};
use topic_trie::TopicName;

use super::asking::Question;
use super::publish::Acknowledgement;
use super::{Connected, Context};
use crate::close::CloseCause;
use crate::hooks::{Failed, PublishRequest, PublishVerdict};
use crate::own_topics::is_of_the_broker;

impl Connected {
    /// Asks whether the client may publish, and goes on at once if that is known at once.
    pub(super) fn ask_publish(
        &mut self,
        topic: TopicName<'_>,
        publish: &Publish<'_>,
        context: &mut Context<'_>,
    ) -> Result<(), CloseCause> {
        // What is refused anyway, or was asked about when it came first.
        if is_of_the_broker(topic) || self.is_repeated(publish) {
            return self.take_publish(topic, publish, context);
        }
        let request = PublishRequest {
            qos: publish.qos,
            retain: publish.retain,
            properties: publish.properties,
            ..PublishRequest::new(publish.topic, publish.payload)
        };
        let verdict = self.ask(
            context,
            |hooks, client| hooks.authorize_publish(client, &request),
            |future| Question::Publish(Box::new(OwnedPublish::from(*publish)), future),
        );
        match verdict {
            Some(verdict) => self.decide_publish(verdict, topic, publish, context),
            None => Ok(()),
        }
    }

    fn is_repeated(&self, publish: &Publish<'_>) -> bool {
        let id = publish
            .packet_id
            .filter(|_| publish.qos == QoS::ExactlyOnce);
        id.is_some_and(|id| self.session.state().incoming.contains(id))
    }

    /// It is known whether the client may publish.
    pub(super) fn decide_publish(
        &mut self,
        verdict: Result<PublishVerdict, Failed>,
        topic: TopicName<'_>,
        publish: &Publish<'_>,
        context: &mut Context<'_>,
    ) -> Result<(), CloseCause> {
        let counters = context.broker.counters();
        match verdict {
            Ok(PublishVerdict::Allow) => self.take_publish(topic, publish, context),
            Ok(PublishVerdict::Replace(payload)) => {
                let replaced = Publish {
                    payload: &payload,
                    ..*publish
                };
                self.take_publish(topic, &replaced, context)
            }
            Ok(PublishVerdict::Ignore) => self.ignore_publish(publish, context),
            Ok(PublishVerdict::Deny(reason)) => {
                counters.denied_publishes.add(1);
                self.deny_publish(publish, for_puback(reason), context)
            }
            Ok(PublishVerdict::Disconnect) => {
                counters.denied_publishes.add(1);
                Err(CloseCause::NotAuthorized)
            }
            Err(Failed) => {
                counters.hook_failures.add(1);
                self.deny_publish(publish, ReasonCode::ImplementationSpecificError, context)
            }
        }
    }

    /// Acknowledges a message that goes nowhere.
    fn ignore_publish(
        &mut self,
        publish: &Publish<'_>,
        context: &mut Context<'_>,
    ) -> Result<(), CloseCause> {
        match (publish.qos, publish.packet_id) {
            (QoS::AtLeastOnce, Some(id)) => {
                let acknowledgement = Acknowledgement::PubAck(id, ReasonCode::Success);
                self.put_acknowledgement(acknowledgement, context);
            }
            (QoS::ExactlyOnce, Some(id)) => {
                self.check_begun(context)?;
                let mut state = self.session.state();
                if !state.is_current(self.epoch) {
                    return Ok(());
                }
                state.incoming.insert(id);
                drop(state);
                self.note_begun(id, context);
                let acknowledgement = Acknowledgement::PubRec(id, ReasonCode::Success);
                self.put_acknowledgement(acknowledgement, context);
            }
            _ => {}
        }
        Ok(())
    }

    /// Says that a message goes nowhere. A client before MQTT 5 cannot be told, and shall not believe that
    /// it was heard.
    fn deny_publish(
        &mut self,
        publish: &Publish<'_>,
        reason: ReasonCode,
        context: &mut Context<'_>,
    ) -> Result<(), CloseCause> {
        if !self.version.is_v5() {
            return Err(CloseCause::NotAuthorized);
        }
        match (publish.qos, publish.packet_id) {
            (QoS::AtLeastOnce, Some(id)) => {
                self.put_acknowledgement(Acknowledgement::PubAck(id, reason), context);
            }
            (QoS::ExactlyOnce, Some(id)) => {
                self.check_begun(context)?;
                self.put_acknowledgement(Acknowledgement::PubRec(id, reason), context);
            }
            _ => {}
        }
        Ok(())
    }
}

/// The reason if it is an error that PUBACK and PUBREC may carry.
fn for_puback(reason: ReasonCode) -> ReasonCode {
    let puback = PubAck {
        reason_code: reason,
        ..PubAck::new(PacketId::MIN)
    };
    if reason.is_error() && puback.encoded_len(Version::V5).is_ok() {
        reason
    } else {
        ReasonCode::NotAuthorized
    }
}
