//! One message being handed to its receivers: encoded once per form, kept once if it must wait.

use std::sync::Arc;

use mqtt_codec::{PacketId, PropertiesBuf, QoS, Version};

use crate::frame::Head;
use crate::outbox::{Outbox, SHARED_PAYLOAD_MIN};
use crate::session::Terms;
use crate::topic_aliases::Naming;
use crate::{Message, MessageParts, Timestamp};

/// A message on its way to its receivers.
pub(crate) struct Publication<'a> {
    parts: MessageParts<'a>,
    /// Made when the first receiver has to keep it.
    message: Option<Arc<Message>>,
    /// Whether no more than one session receives it: its packet is encoded where it belongs.
    single: bool,
    frames: &'a mut Frames,
    now: Timestamp,
}

/// The forms of a PUBLISH that were encoded already: protocol version × QoS × retain flag.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    bytes: Vec<u8>,
    /// One for each combination that there is a receiver for.
    forms: Vec<(FormKey, Form)>,
    pub(crate) properties: PropertiesBuf,
}

/// What makes two packets differ to whose receivers nothing is said of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FormKey {
    version: Version,
    qos: QoS,
    retain: bool,
}

/// Where a form lies in [`Frames::bytes`]; empty if there is no such packet.
#[derive(Clone, Copy, Debug)]
struct Form {
    start: usize,
    end: usize,
    /// Where in the form the packet identifier goes; 0 if there is none.
    id_at: usize,
}

/// A packet for one receiver, before it is put into an outbox.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PreparedPacket {
    pub(crate) naming: Naming,
    /// `None` for one that is the receiver's own.
    form: Option<Form>,
    /// All of it; `usize::MAX` if it cannot be encoded.
    pub(crate) bytes: usize,
}

impl<'a> Publication<'a> {
    pub(crate) fn new(parts: MessageParts<'a>, frames: &'a mut Frames, now: Timestamp) -> Self {
        frames.bytes.clear();
        frames.forms.clear();
        Self {
            parts,
            message: None,
            single: false,
            frames,
            now,
        }
    }

    /// A message that is kept already.
    pub(crate) fn of(message: &'a Arc<Message>, frames: &'a mut Frames, now: Timestamp) -> Self {
        let mut publication = Self::new(message.parts(), frames, now);
        publication.message = Some(Arc::clone(message));
        publication
    }

    /// How many sessions receive it, as far as is known before it is delivered.
    pub(crate) fn note_receivers(&mut self, receivers: usize) {
        self.single = receivers == 1;
    }

    #[inline]
    pub(crate) fn parts(&self) -> &MessageParts<'a> {
        &self.parts
    }

    /// The message in a form that can be kept.
    pub(crate) fn message(&mut self) -> Arc<Message> {
        Arc::clone(self.message.get_or_insert_with(|| Message::new(self.parts)))
    }

    /// Bytes of topic, properties and payload.
    pub(crate) fn size_bytes(&self) -> usize {
        self.parts.topic.len() + self.parts.properties.len() + self.parts.payload.len()
    }

    /// The packet on these terms. Asked for once for each receiver; what several can have is encoded
    /// once for all of them.
    #[inline]
    pub(crate) fn packet(
        &mut self,
        version: Version,
        terms: &Terms<'_>,
        naming: Naming,
    ) -> PreparedPacket {
        if self.single || is_own(version, terms, naming) {
            let bytes = self.own_bytes(version, terms, naming);
            let form = None;
            return PreparedPacket {
                naming,
                form,
                bytes,
            };
        }
        let key = FormKey {
            version,
            qos: terms.qos,
            retain: terms.retain,
        };
        let form = self.form(key);
        let encoded = form.end - form.start;
        let bytes = match encoded {
            0 => usize::MAX,
            _ if self.is_shared() => encoded + self.parts.payload.len(),
            _ => encoded,
        };
        PreparedPacket {
            naming,
            form: Some(form),
            bytes,
        }
    }

    fn own_bytes(&mut self, version: Version, terms: &Terms<'_>, naming: Naming) -> usize {
        let id = (terms.qos != QoS::AtMostOnce).then_some(PacketId::MIN);
        let head = own_head(&self.parts, self.now, version, terms, naming, id);
        head.packet_bytes(&mut self.frames.properties)
            .unwrap_or(usize::MAX)
    }

    /// Appends a packet that was [prepared](Self::packet) on the same terms.
    #[inline]
    pub(crate) fn put(
        &mut self,
        outbox: &mut Outbox,
        version: Version,
        terms: &Terms<'_>,
        packet: PreparedPacket,
        packet_id: Option<PacketId>,
    ) {
        match packet.form {
            Some(form) => self.put_form(outbox, form, packet_id),
            None => self.put_own(outbox, version, terms, packet.naming, packet_id),
        }
        if self.is_shared() {
            let message = self.message();
            outbox.put_shared(message);
        }
    }

    /// Appends a packet that is one receiver's own, up to a payload that is shared.
    fn put_own(
        &mut self,
        outbox: &mut Outbox,
        version: Version,
        terms: &Terms<'_>,
        naming: Naming,
        packet_id: Option<PacketId>,
    ) {
        let head = own_head(&self.parts, self.now, version, terms, naming, packet_id);
        let is_shared = self.is_shared();
        outbox.put(|flat| {
            head.put(flat, &mut self.frames.properties);
            if !is_shared {
                flat.extend_from_slice(head.payload);
            }
        });
    }

    /// Appends a form that all receivers share to whom nothing is said of their own, up to a payload
    /// that is shared.
    #[inline]
    fn put_form(&self, outbox: &mut Outbox, form: Form, packet_id: Option<PacketId>) {
        let bytes = self.frames.bytes.get(form.start..form.end);
        let bytes = bytes.unwrap_or_default();
        outbox.put(|flat| {
            let at = flat.len() + form.id_at;
            flat.extend_from_slice(bytes);
            if let Some(id) = packet_id
                && let Some(place) = flat.get_mut(at..at + 2)
            {
                place.copy_from_slice(&id.get().to_be_bytes());
            }
        });
    }

    #[inline]
    fn is_shared(&self) -> bool {
        self.parts.payload.len() >= SHARED_PAYLOAD_MIN
    }

    #[inline]
    fn form(&mut self, key: FormKey) -> Form {
        let known = self.frames.forms.iter().find(|(known, _)| *known == key);
        match known {
            Some((_, form)) => *form,
            None => self.encode_form(key),
        }
    }

    #[inline(never)]
    fn encode_form(&mut self, key: FormKey) -> Form {
        let packet_id = (key.qos != QoS::AtMostOnce).then_some(PacketId::MIN);
        let is_shared = self.is_shared();
        let Frames {
            bytes,
            forms,
            properties,
        } = &mut *self.frames;
        let start = bytes.len();
        let id_at = head(&self.parts, self.now, key, packet_id).put(bytes, properties);
        if id_at.is_some() && !is_shared {
            bytes.extend_from_slice(self.parts.payload);
        }
        let form = Form {
            start,
            end: bytes.len(),
            id_at: id_at.unwrap_or(start).saturating_sub(start),
        };
        forms.push((key, form));
        form
    }
}

/// The head of a packet that all receivers can have.
#[inline]
fn head<'a>(
    parts: &MessageParts<'a>,
    now: Timestamp,
    key: FormKey,
    packet_id: Option<PacketId>,
) -> Head<'a> {
    Head {
        version: key.version,
        dup: false,
        qos: key.qos,
        retain: key.retain,
        packet_id,
        topic: parts.topic,
        topic_alias: None,
        properties: parts.properties,
        expiry_secs: remaining_secs(parts.expires, now),
        subscription_ids: &[],
        payload: parts.payload,
    }
}

/// The head of a packet that is one receiver's own.
#[inline]
fn own_head<'a>(
    parts: &MessageParts<'a>,
    now: Timestamp,
    version: Version,
    terms: &Terms<'a>,
    naming: Naming,
    packet_id: Option<PacketId>,
) -> Head<'a> {
    let key = FormKey {
        version,
        qos: terms.qos,
        retain: terms.retain,
    };
    Head {
        topic: naming.topic(parts.topic),
        topic_alias: naming.alias(),
        subscription_ids: terms.subscription_ids.as_slice(),
        ..head(parts, now, key, packet_id)
    }
}

/// Whether a topic alias or subscription identifiers make the packet one receiver's own; before
/// MQTT 5 there are none.
#[inline]
fn is_own(version: Version, terms: &Terms<'_>, naming: Naming) -> bool {
    version.is_v5() && (naming != Naming::Topic || !terms.subscription_ids.as_slice().is_empty())
}

/// The message expiry interval to send: what remains of it, in seconds begun [MQTT-3.3.2-6].
pub(crate) fn remaining_secs(expires: Timestamp, now: Timestamp) -> Option<u32> {
    if expires == Timestamp::MAX {
        return None;
    }
    let secs = (expires - now).as_millis().div_ceil(1_000);
    Some(u32::try_from(secs).unwrap_or(u32::MAX))
}
