//! A message that waited in a session, as the packet that its client gets.

use std::sync::Arc;

use mqtt_codec::{PacketId, PropertiesBuf, QoS, Version};

use super::Link;
use super::outgoing::Entry;
use super::terms::{Refused, Terms};
use crate::effects::Effects;
use crate::frame::{Head, put_pubrel};
use crate::outbox::{Outbox, SHARED_PAYLOAD_MIN};
use crate::own_topics::is_own_text;
use crate::publication::{PreparedPacket, Publication, remaining_secs};
use crate::topic_aliases::Naming;
use crate::{Message, Timestamp};

/// The naming with which a packet is one that the client takes; with a new topic alias if there is
/// room for it.
pub(super) fn naming_that_fits(
    link: &Link,
    head: &Head<'_>,
    scratch: &mut PropertiesBuf,
) -> Option<Naming> {
    let bytes_max = link.maximum_packet_size as usize;
    let naming = link.naming(head.topic);
    let mut fits = |naming: &Naming| {
        let bytes = head.named(*naming).packet_bytes(scratch);
        bytes.is_some_and(|bytes| bytes <= bytes_max)
    };
    Some(naming)
        .filter(&mut fits)
        .or_else(|| naming.without_new_alias().filter(&mut fits))
}

/// Writes a message of the queue to the outbox.
pub(super) fn put_publish(
    outbox: &mut Outbox,
    head: &Head<'_>,
    message: &Arc<Message>,
    effects: &mut Effects,
) {
    let before = outbox.len();
    outbox.reuse(&mut effects.scratch.outboxes);
    outbox.put(|flat| head.put(flat, &mut effects.scratch.frames.properties));
    if message.payload().len() >= SHARED_PAYLOAD_MIN {
        outbox.put_shared(Arc::clone(message));
    } else {
        outbox.put(|flat| flat.extend_from_slice(message.payload()));
    }
    if !is_own_text(message.topic()) {
        let sent = &mut effects.traffic.sent;
        sent.packet(outbox.len() - before);
        sent.message(message.payload().len());
    }
}

/// Writes PUBREL for a message that the client has received.
pub(super) fn put_release(
    outbox: &mut Outbox,
    version: Version,
    packet_id: PacketId,
    effects: &mut Effects,
) {
    outbox.reuse(&mut effects.scratch.outboxes);
    let before = outbox.len();
    outbox.put(|flat| put_pubrel(flat, version, packet_id));
    effects.traffic.sent.packet(outbox.len() - before);
}

/// The head of the packet for a message of the queue.
pub(super) fn entry_head<'a>(
    entry: &'a Entry,
    message: &'a Message,
    packet_id: PacketId,
    version: Version,
    now: Timestamp,
) -> Head<'a> {
    Head {
        version,
        dup: entry.sent,
        qos: entry.qos,
        retain: entry.retain,
        packet_id: (entry.qos != QoS::AtMostOnce).then_some(packet_id),
        topic: message.topic(),
        topic_alias: None,
        properties: message.properties(),
        expiry_secs: remaining_secs(message.expires(), now),
        subscription_ids: entry.subscription_ids(),
        payload: message.payload(),
    }
}

/// The packet for a client to whom it would be too large with a new topic alias.
#[cold]
pub(super) fn packet_without_new_alias(
    publication: &mut Publication<'_>,
    link: &Link,
    terms: &Terms<'_>,
    naming: Naming,
) -> Result<PreparedPacket, Refused> {
    let smaller = naming.without_new_alias().ok_or(Refused::TooLarge)?;
    let packet = publication.packet(link.version, terms, smaller);
    if packet.bytes <= link.maximum_packet_size as usize {
        Ok(packet)
    } else {
        Err(Refused::TooLarge)
    }
}
