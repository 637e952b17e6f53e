//! An envelope as the messages by which the parent carries it.

use std::sync::Arc;
use std::time::Duration;

use broker_core::Message;
use broker_core::backend::{Audience, Content, Envelope, Tag};
use broker_core::persistence::ClientId;
use mqtt_codec::{
    EncodeError, Packet, PacketId, Properties, PropertiesBuf, Property, PropertySet, Publish, QoS,
};

use crate::note::{NAME, Note, notes};
use crate::terms::{Terms, are_plain};

/// A message for the parent.
#[derive(Debug)]
pub(crate) struct Outgoing {
    topic: String,
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
    properties: PropertiesBuf,
    payload: Payload,
    /// Whether it is for nodes alone.
    pub(crate) is_control: bool,
}

#[derive(Debug)]
enum Payload {
    Message(Arc<Message>),
    Envelope(Vec<u8>),
}

impl Outgoing {
    pub(crate) fn as_publish(&self) -> Publish<'_> {
        Publish {
            qos: self.qos,
            retain: self.retain,
            properties: self.properties.as_properties(),
            ..Publish::new(&self.topic, self.payload())
        }
    }

    pub(crate) fn topic(&self) -> &str {
        &self.topic
    }

    pub(crate) fn payload(&self) -> &[u8] {
        match &self.payload {
            Payload::Message(message) => message.payload(),
            Payload::Envelope(bytes) => bytes,
        }
    }

    fn fits(&self, terms: &Terms) -> bool {
        let publish = Publish {
            packet_id: (self.qos != QoS::AtMostOnce)
                .then(|| PacketId::new(1))
                .flatten(),
            ..self.as_publish()
        };
        let bytes = Packet::Publish(publish).encoded_len(terms.version);
        bytes.is_ok_and(|bytes| terms.allows_bytes(bytes))
    }
}

/// What becomes of an envelope.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    /// In the order in which they are to be sent.
    pub(crate) parts: Vec<Outgoing>,
    /// Whether the parent cannot carry all of it.
    pub(crate) is_refused: bool,
}

/// A message of an envelope.
struct Told<'a> {
    tag: Option<&'a Tag>,
    message: &'a Arc<Message>,
    expires_in: Option<Duration>,
    publisher: Option<&'a ClientId>,
    retained_at: u64,
}

/// The messages that carry it. What is for all nodes goes to the control topic as well: behind the ordinary copy,
/// so that those who have subscribed to the topic get it there in its order. Without user properties in front of
/// it: nodes know then that the ordinary copy, which does not say whose it is, will come. What the parent may end
/// the connection over goes to the control topic alone, where nobody looks into it.
pub(crate) fn parts(envelope: &Envelope, terms: &Terms) -> Parts {
    let (ordinary, is_for_all) = match &envelope.content {
        Content::Message {
            message,
            expires_in,
            publisher,
            retained_at,
        } => {
            let told = Told {
                tag: envelope.tag.as_ref(),
                message,
                expires_in: *expires_in,
                publisher: publisher.as_ref(),
                retained_at: *retained_at,
            };
            if told.goes_nowhere(terms) {
                return Parts::default();
            }
            let ordinary = told.outgoing(terms);
            if ordinary.as_ref().is_some_and(|it| !it.fits(terms)) {
                return Parts::refused();
            }
            let is_for_all = ordinary.is_none() || envelope.audience() == Audience::AllNodes;
            (ordinary, is_for_all)
        }
        _ => (None, true),
    };
    let control = match &terms.control {
        Some(topic) if is_for_all => Some(control(envelope, topic, terms)),
        _ => None,
    };
    let is_carried = ordinary.is_some() || control.is_some() || !envelope.is_message();
    let is_refused = !is_carried || matches!(&control, Some(None));
    let parts = match terms.is_v5() {
        true => [ordinary, control.flatten()],
        false => [control.flatten(), ordinary],
    };
    let parts = parts.into_iter().flatten().collect();
    Parts { parts, is_refused }
}

impl Parts {
    fn refused() -> Self {
        Self {
            parts: Vec::new(),
            is_refused: true,
        }
    }
}

impl Told<'_> {
    /// Whether it has been at this node before, on its way in a circle of parents, or has expired.
    fn goes_nowhere(&self, terms: &Terms) -> bool {
        self.expires_in == Some(Duration::ZERO)
            || notes(self.message.as_properties()).any(|note| note.tag.node == terms.node)
    }

    /// The message for whoever has subscribed to its topic; `None` if it cannot be expressed there, or the parent
    /// may not take it.
    fn outgoing(&self, terms: &Terms) -> Option<Outgoing> {
        let topic = terms.prefix.topic(self.message.topic())?;
        if !terms.takes_topic(&topic) {
            return None;
        }
        let properties = match terms.is_v5() {
            true => {
                let own = self.message.as_properties();
                let all = self.properties(own).ok();
                all.filter(|_| are_plain(own))?
            }
            false => PropertiesBuf::new(),
        };
        Some(Outgoing {
            topic,
            qos: self.message.qos().min(terms.limits.maximum_qos),
            retain: self.retained_at != 0 && terms.limits.retain_available,
            properties,
            payload: Payload::Message(Arc::clone(self.message)),
            is_control: false,
        })
    }

    fn properties(&self, own: Properties<'_>) -> Result<PropertiesBuf, EncodeError> {
        let mut properties = PropertiesBuf::new();
        properties.extend(own, PropertySet::FORWARDED)?;
        if let Some(left) = self.expires_in {
            properties.push(Property::MessageExpiryInterval(whole_secs(left)))?;
        }
        if let Some(tag) = self.tag {
            let note = Note {
                tag: tag.clone(),
                retained_at: self.retained_at,
                qos: self.message.qos(),
                expires_in: self.expires_in,
                publisher: self.publisher.cloned(),
            };
            properties.push(Property::UserProperty(NAME, &note.to_text()))?;
        }
        Ok(properties)
    }
}

/// Seconds, rounded up.
pub(crate) fn whole_secs(left: Duration) -> u32 {
    let millis = left.as_millis().div_ceil(1_000);
    u32::try_from(millis).unwrap_or(u32::MAX)
}

/// The whole envelope for all nodes; `None` if it is too large. The note on it says of which level of a tree it is.
fn control(envelope: &Envelope, topic: &str, terms: &Terms) -> Option<Outgoing> {
    let mut properties = PropertiesBuf::new();
    if let Some(tag) = envelope.tag.as_ref().filter(|_| terms.is_v5()) {
        let note = Note {
            tag: tag.clone(),
            retained_at: 0,
            qos: QoS::AtLeastOnce,
            expires_in: None,
            publisher: None,
        };
        let text = note.to_text();
        properties.push(Property::UserProperty(NAME, &text)).ok()?;
    }
    let mut bytes = Vec::new();
    envelope.encode(&mut bytes);
    let control = Outgoing {
        topic: topic.to_owned(),
        qos: QoS::AtLeastOnce.min(terms.limits.maximum_qos),
        retain: false,
        properties,
        payload: Payload::Envelope(bytes),
        is_control: true,
    };
    control.fits(terms).then_some(control)
}
