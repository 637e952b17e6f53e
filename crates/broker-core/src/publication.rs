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
    frames: &'a mut Frames,
    now: Timestamp,
}

/// The forms of a PUBLISH that were encoded already: protocol version × QoS × retain flag.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    bytes: Vec<u8>,
    forms: [Option<Form>; 12],
    pub(crate) properties: PropertiesBuf,
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
        frames.forms = [None; 12];
        Self {
            parts,
            message: None,
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
        if is_own(version, terms, naming) {
            let bytes = self.own_bytes(version, terms, naming);
            let form = None;
            return PreparedPacket {
                naming,
                form,
                bytes,
            };
        }
        let form = self.form(version, terms.qos, terms.retain);
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
        let mut properties = core::mem::take(&mut self.frames.properties);
        let head = self.own_head(version, terms, naming, id);
        let bytes = head.packet_bytes(&mut properties).unwrap_or(usize::MAX);
        self.frames.properties = properties;
        bytes
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
        let mut properties = core::mem::take(&mut self.frames.properties);
        let head = self.own_head(version, terms, naming, packet_id);
        outbox.put(|flat| head.put(flat, &mut properties));
        if !self.is_shared() {
            outbox.put(|flat| flat.extend_from_slice(self.parts.payload));
        }
        self.frames.properties = properties;
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

    /// The head of a packet that all receivers can have.
    fn head(
        &self,
        version: Version,
        qos: QoS,
        retain: bool,
        packet_id: Option<PacketId>,
    ) -> Head<'_> {
        Head {
            version,
            dup: false,
            qos,
            retain,
            packet_id,
            topic: self.parts.topic,
            topic_alias: None,
            properties: self.parts.properties,
            expiry_secs: remaining_secs(self.parts.expires, self.now),
            subscription_ids: &[],
            payload: self.parts.payload,
        }
    }

    /// The head of a packet that is one receiver's own.
    fn own_head<'b>(
        &'b self,
        version: Version,
        terms: &Terms<'b>,
        naming: Naming,
        packet_id: Option<PacketId>,
    ) -> Head<'b> {
        Head {
            topic: naming.topic(self.parts.topic),
            topic_alias: naming.alias(),
            subscription_ids: terms.subscription_ids.as_slice(),
            ..self.head(version, terms.qos, terms.retain, packet_id)
        }
    }

    #[inline]
    fn is_shared(&self) -> bool {
        self.parts.payload.len() >= SHARED_PAYLOAD_MIN
    }

    #[inline]
    fn form(&mut self, version: Version, qos: QoS, retain: bool) -> Form {
        let index =
            usize::from(version.is_v5()) * 6 + usize::from(qos.as_u8()) * 2 + usize::from(retain);
        match self.frames.forms.get(index) {
            Some(Some(form)) => *form,
            _ => self.encode_form(index, version, qos, retain),
        }
    }

    #[inline(never)]
    fn encode_form(&mut self, index: usize, version: Version, qos: QoS, retain: bool) -> Form {
        let packet_id = (qos != QoS::AtMostOnce).then_some(PacketId::MIN);
        let start = self.frames.bytes.len();
        let mut bytes = core::mem::take(&mut self.frames.bytes);
        let mut properties = core::mem::take(&mut self.frames.properties);
        let head = self.head(version, qos, retain, packet_id);
        let id_at = head.put(&mut bytes, &mut properties);
        if id_at.is_some() && !self.is_shared() {
            bytes.extend_from_slice(self.parts.payload);
        }
        let id_at = id_at.unwrap_or(start).saturating_sub(start);
        let form = Form {
            start,
            end: bytes.len(),
            id_at,
        };
        self.frames.bytes = bytes;
        self.frames.properties = properties;
        if let Some(slot) = self.frames.forms.get_mut(index) {
            *slot = Some(form);
        }
        form
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
