//! A message of the parent's as the envelope that it carries.

use std::time::Duration;

use broker_core::backend::{Content, Envelope, StampClock, Tag};
use broker_core::persistence::ClientId;
use broker_core::{Escaped, Message, MessageParts, Timestamp};
use mqtt_codec::{OwnedPublish, Properties, PropertiesBuf, Property, PropertySet, QoS};
use topic_trie::TopicName;

use crate::note::{NAME, Note, notes};
use crate::outgoing::whole_secs;
use crate::terms::Terms;

/// What a message of the parent's is.
#[derive(Debug)]
pub(crate) enum Arrived {
    /// What a node has said to all nodes.
    ToAllNodes(Envelope),
    /// What was published on a topic of the node's.
    Message(Envelope),
}

/// Reads it; `None` if it is not for the node. What has no note of a node on it is of a client of the parent's: if
/// it is retained there it is so here, from now on.
pub(crate) fn arrived(
    message: &OwnedPublish,
    terms: &Terms,
    stamps: &StampClock,
    now: Timestamp,
) -> Option<Arrived> {
    let properties = message.properties.as_properties();
    // One more note is one more level of a tree: nodes below the parent's children say that to each other.
    if terms.is_control(&message.topic) && notes(properties).nth(1).is_none() {
        return to_all_nodes(&message.payload, stamps).map(Arrived::ToAllNodes);
    }
    let topic = terms.prefix.strip(&message.topic)?;
    TopicName::new(topic).ok()?;
    let note = last_note(properties);
    let rest = without_note(properties, note.is_some());
    let seconds = properties.message_expiry_interval();
    let marks = match note {
        Some(note) => Marks::of_node(note, seconds),
        None => Marks::of_client(message, seconds, stamps, now),
    };
    stamps.hear(marks.retained_at);
    let parts = MessageParts {
        topic,
        properties: rest.as_properties().raw(),
        payload: &message.payload,
        qos: marks.qos,
        retain: marks.retained_at > 0,
        expires: Timestamp::MAX,
    };
    let content = Content::Message {
        message: Message::new(parts),
        expires_in: marks.expires_in,
        publisher: marks.publisher,
        retained_at: marks.retained_at,
    };
    let tag = marks.tag;
    Some(Arrived::Message(Envelope { tag, content }))
}

fn to_all_nodes(payload: &[u8], stamps: &StampClock) -> Option<Envelope> {
    let envelope = Envelope::decode(payload);
    let envelope = envelope.inspect_err(|error| {
        tracing::debug!(error = %Escaped(error), "what is no message of a node came on the topic of nodes");
    });
    let envelope = envelope.ok()?;
    hear(&envelope, stamps);
    Some(envelope)
}

/// Notes when what it says has happened.
pub(crate) fn hear(envelope: &Envelope, stamps: &StampClock) {
    if let Content::Message {
        retained_at: at, ..
    }
    | Content::Connected { at, .. } = &envelope.content
    {
        stamps.hear(*at);
    }
}

/// What a message does not say by itself.
struct Marks {
    tag: Option<Tag>,
    qos: QoS,
    expires_in: Option<Duration>,
    publisher: Option<ClientId>,
    retained_at: u64,
}

impl Marks {
    fn of_node(note: Note, seconds: Option<u32>) -> Self {
        Self {
            expires_in: note.expires_in.map(|left| still_left(left, seconds)),
            tag: Some(note.tag),
            qos: note.qos,
            publisher: note.publisher,
            retained_at: note.retained_at,
        }
    }

    fn of_client(
        message: &OwnedPublish,
        seconds: Option<u32>,
        stamps: &StampClock,
        now: Timestamp,
    ) -> Self {
        Self {
            tag: None,
            qos: message.qos,
            expires_in: seconds.map(|left| Duration::from_secs(left.into())),
            publisher: None,
            retained_at: if message.retain { stamps.next(now) } else { 0 },
        }
    }
}

/// What is left of it, given the seconds that the parent has left: it subtracts whole ones for the time that the
/// message was there.
fn still_left(left: Duration, seconds: Option<u32>) -> Duration {
    let seconds = seconds.unwrap_or(u32::MAX);
    let waited = whole_secs(left).saturating_sub(seconds);
    left.saturating_sub(Duration::from_secs(waited.into()))
}

/// The note of the node of this level: the last one. A property of that name which is none is the publisher's.
fn last_note(properties: Properties<'_>) -> Option<Note> {
    let named = properties
        .user_properties()
        .filter(|(name, _)| *name == NAME);
    named.last().and_then(|(_, text)| Note::from_text(text))
}

/// The properties that travel with the message, without the note at the end.
fn without_note(properties: Properties<'_>, has_note: bool) -> PropertiesBuf {
    let is_note = |property: &Property<'_>| matches!(property, Property::UserProperty(NAME, _));
    let mut before = match has_note {
        true => properties.iter().filter(is_note).count().saturating_sub(1),
        false => usize::MAX,
    };
    let mut rest = PropertiesBuf::new();
    for property in properties.iter() {
        if !PropertySet::FORWARDED.contains(property.id()) {
            continue;
        }
        if is_note(&property) {
            if before == 0 {
                continue;
            }
            before -= 1;
        }
        // Each was in one packet with the others.
        let _fits = rest.push(property);
    }
    rest
}
