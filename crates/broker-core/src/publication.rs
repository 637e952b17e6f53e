//! One message being handed to its receivers: encoded once per form, kept once if it must wait.

use std::sync::Arc;

use mqtt_codec::{PacketId, PlainPublish, PropertiesBuf, QoS, Version};

use crate::frame::Head;
use crate::outbox::{Outbox, SHARED_PAYLOAD_MIN};
use crate::session::Terms;
use crate::topic_aliases::Naming;
use crate::{Message, MessageParts, Timestamp};

/// A message on its way to its receivers.
pub(crate) struct Publication<'a> {
    parts: MessageParts<'a>,
    /// Made when someone has to keep it as it was published.
    message: Option<Arc<Message>>,
    /// Made when the first receiver has to keep it and may not do so for as long as was asked for.
    limited: Option<Arc<Message>>,
    /// When queues are to let go of it.
    queued_until: Timestamp,
    /// Set where one session alone receives it, and nothing of it travels in properties: the packet
    /// is encoded where it belongs.
    plain: Option<PlainPublish<'a>>,
    frames: &'a mut Frames,
    now: Timestamp,
    /// Whether it is on a topic of the broker's own.
    is_own: bool,
}

/// The forms of a PUBLISH that were encoded already: protocol version × QoS × retain flag.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    bytes: Vec<u8>,
    /// With the number of each; 12 at most.
    forms: Vec<(u8, Form)>,
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
    kind: Kind,
    /// All of it; `usize::MAX` if it cannot be encoded.
    pub(crate) bytes: usize,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    /// Without properties, and for nobody else.
    Plain,
    /// One that several receivers can have.
    Form(Form),
    /// With something that is the receiver's own.
    Own,
}

impl<'a> Publication<'a> {
    pub(crate) fn new(parts: MessageParts<'a>, frames: &'a mut Frames, now: Timestamp) -> Self {
        frames.bytes.clear();
        frames.forms.clear();
        Self {
            parts,
            message: None,
            limited: None,
            queued_until: Timestamp::MAX,
            plain: None,
            frames,
            now,
            is_own: false,
        }
    }

    /// A message that is kept already.
    pub(crate) fn of(message: &'a Arc<Message>, frames: &'a mut Frames, now: Timestamp) -> Self {
        let mut publication = Self::new(message.parts(), frames, now);
        publication.message = Some(Arc::clone(message));
        publication
    }

    /// A message on a topic of the broker's own.
    pub(crate) fn own(parts: MessageParts<'a>, frames: &'a mut Frames, now: Timestamp) -> Self {
        Self {
            is_own: true,
            ..Self::new(parts, frames, now)
        }
    }

    /// Whether it is no traffic of clients, and not counted as such.
    pub(crate) fn is_own(&self) -> bool {
        self.is_own
    }

    /// How many sessions receive it, as far as is known before it is delivered.
    #[inline]
    pub(crate) fn note_receivers(&mut self, receivers: usize) {
        let parts = &self.parts;
        if receivers == 1 && parts.properties.is_empty() && parts.expires == Timestamp::MAX {
            self.plain = PlainPublish::new(parts.topic, parts.payload);
        }
    }

    #[inline]
    pub(crate) fn parts(&self) -> &MessageParts<'a> {
        &self.parts
    }

    /// No queue keeps it for longer than this, in seconds from now; `u32::MAX` says nothing.
    #[inline]
    pub(crate) fn limit_queueing(&mut self, secs: u32) {
        if secs != u32::MAX {
            self.queued_until = self.now.after_secs(secs);
        }
    }

    /// The message in a form that can be kept, as it was published.
    pub(crate) fn original(&mut self) -> Arc<Message> {
        Arc::clone(self.message.get_or_insert_with(|| Message::new(self.parts)))
    }

    /// The message in a form that can be kept in a queue.
    pub(crate) fn message(&mut self) -> Arc<Message> {
        if self.parts.expires <= self.queued_until {
            return self.original();
        }
        let parts = MessageParts {
            expires: self.queued_until,
            ..self.parts
        };
        Arc::clone(self.limited.get_or_insert_with(|| Message::new(parts)))
    }

    /// Bytes of topic, properties and payload.
    pub(crate) fn size_bytes(&self) -> usize {
        self.parts.topic.len() + self.parts.properties.len() + self.parts.payload.len()
    }

    /// The packet on these terms. Asked for once for each receiver; what several can have is encoded
    /// once for all of them.
    #[inline(always)]
    pub(crate) fn packet(
        &mut self,
        version: Version,
        terms: &Terms<'_>,
        naming: Naming,
    ) -> PreparedPacket {
        let (kind, bytes) = if is_own(version, terms, naming) {
            (Kind::Own, self.own_bytes(version, terms, naming))
        } else if let Some(plain) = self.plain {
            (Kind::Plain, plain.encoded_len(version, terms.qos))
        } else {
            let form = self.form(version, terms.qos, terms.retain);
            let bytes = match form.end - form.start {
                0 => usize::MAX,
                encoded if self.is_shared() => encoded + self.parts.payload.len(),
                encoded => encoded,
            };
            (Kind::Form(form), bytes)
        };
        PreparedPacket {
            naming,
            kind,
            bytes,
        }
    }

    #[inline(never)]
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
        match packet.kind {
            Kind::Plain => self.put_plain(outbox, version, terms, packet_id),
            Kind::Form(form) => self.put_form(outbox, form, packet_id),
            Kind::Own => self.put_own(outbox, version, terms, packet.naming, packet_id),
        }
        if self.is_shared() {
            let message = self.message();
            outbox.put_shared(message);
        }
    }

    /// Appends a packet without properties, up to a payload that is shared.
    #[inline]
    fn put_plain(
        &self,
        outbox: &mut Outbox,
        version: Version,
        terms: &Terms<'_>,
        packet_id: Option<PacketId>,
    ) {
        let Some(plain) = &self.plain else {
            return;
        };
        outbox.put(|flat| {
            let id = packet_id.unwrap_or(PacketId::MIN);
            plain.encode_head(version, terms.qos, terms.retain, id, flat);
            if !self.is_shared() {
                flat.extend_from_slice(self.parts.payload);
            }
        });
    }

    /// Appends a packet that is one receiver's own, up to a payload that is shared.
    #[inline(never)]
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

    #[inline(always)]
    fn form(&mut self, version: Version, qos: QoS, retain: bool) -> Form {
        let number = u8::from(version.is_v5()) * 6 + qos.as_u8() * 2 + u8::from(retain);
        let mut known = self.frames.forms.iter();
        match known.find(|(known, _)| *known == number) {
            Some((_, form)) => *form,
            None => self.encode_form(number, version, qos, retain),
        }
    }

    #[inline(never)]
    fn encode_form(&mut self, number: u8, version: Version, qos: QoS, retain: bool) -> Form {
        let packet_id = (qos != QoS::AtMostOnce).then_some(PacketId::MIN);
        let is_shared = self.is_shared();
        let Frames {
            bytes,
            forms,
            properties,
        } = &mut *self.frames;
        let start = bytes.len();
        let head = head(&self.parts, self.now, version, qos, retain, packet_id);
        let id_at = head.put(bytes, properties);
        if id_at.is_some() && !is_shared {
            bytes.extend_from_slice(self.parts.payload);
        }
        let form = Form {
            start,
            end: bytes.len(),
            id_at: id_at.unwrap_or(start).saturating_sub(start),
        };
        forms.push((number, form));
        form
    }
}

/// The head of a packet that all receivers can have.
#[inline]
fn head<'a>(
    parts: &MessageParts<'a>,
    now: Timestamp,
    version: Version,
    qos: QoS,
    retain: bool,
    packet_id: Option<PacketId>,
) -> Head<'a> {
    Head {
        version,
        dup: false,
        qos,
        retain,
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
    Head {
        topic: naming.topic(parts.topic),
        topic_alias: naming.alias(),
        subscription_ids: terms.subscription_ids.as_slice(),
        ..head(parts, now, version, terms.qos, terms.retain, packet_id)
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
