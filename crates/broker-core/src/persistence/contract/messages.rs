//! Every part of a message comes back as it was put, by whichever way it was stored.

use std::sync::Arc;

use mqtt_codec::QoS;

use super::Factory;
use super::samples::{FAR, enqueue, key, put_session};
use super::subject::Subject;
use crate::persistence::{Operation, StoredSession, StoredWill};
use crate::{Message, MessageParts, Timestamp};

/// A message with something in every part.
const FULL: MessageParts<'static> = MessageParts {
    topic: "sensors/é/1",
    // Payload format indicator, content type and a user property, as they are on the wire.
    properties: b"\x01\x01\x03\x00\x01x\x26\x00\x01a\x00\x01b",
    payload: b"21.5",
    qos: QoS::ExactlyOnce,
    retain: true,
    expires: FAR,
};

/// Stores a message in a queue, as a retained message and as a will, and compares what is found.
fn assert_survives<F: Factory>(subject: &Subject<'_, F>, parts: MessageParts<'_>) {
    let key = key("c", 1);
    let put = Message::new(parts);
    subject.commit([
        put_session(&key),
        enqueue(&key, 1, &put),
        Operation::PutRetained {
            message: Arc::clone(&put),
        },
        Operation::PutWill(StoredWill {
            session: key.clone(),
            node: "n".into(),
            message: Arc::clone(&put),
            delay_secs: 0,
            expiry_interval_secs: None,
        }),
    ]);
    let outgoing = subject.outgoing("c");
    let queued = outgoing
        .first()
        .and_then(|outgoing| outgoing.message.clone());
    let retained = subject.retained(Some(parts.topic)).pop();
    let will = subject.wills("n").pop().map(|will| will.message);
    for (way, found) in [("queued", queued), ("retained", retained), ("will", will)] {
        let found = found.unwrap_or_else(|| panic!("{way}: it is not there"));
        assert_eq!(found, put, "{way}");
        assert!(
            found.payload() == parts.payload,
            "{way}: the payload is another one"
        );
        assert_eq!(found.properties(), parts.properties, "{way}");
        assert_eq!(found.expires(), parts.expires, "{way}");
    }
}

pub(super) fn every_part_of_a_message_survives<F: Factory>(subject: Subject<'_, F>) {
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
        for retain in [true, false] {
            assert_survives(
                &subject,
                MessageParts {
                    qos,
                    retain,
                    ..FULL
                },
            );
        }
    }
    assert_survives(
        &subject,
        MessageParts {
            properties: &[],
            ..FULL
        },
    );
    assert_survives(
        &subject,
        MessageParts {
            properties: &[0xFF; 70_000],
            ..FULL
        },
    );
    assert_survives(&subject, MessageParts { topic: "/", ..FULL });
}

/// A payload is bytes: none, zeros, and no text in any encoding.
pub(super) fn payloads_of_any_bytes_survive<F: Factory>(subject: Subject<'_, F>) {
    let every_byte: Vec<u8> = (0..=u8::MAX).collect();
    for payload in [
        &b""[..],
        b"\0",
        b"\0\0\0",
        &every_byte,
        b"\xC3\x28",
        b"\xED\xA0\x80",
        b"\xEF\xBB\xBFx",
    ] {
        assert_survives(&subject, MessageParts { payload, ..FULL });
    }
}

pub(super) fn a_large_payload_survives<F: Factory>(subject: Subject<'_, F>) {
    let size = subject.scale().payload_bytes;
    // No part of it is like another, so none can take another's place.
    let payload: Vec<u8> = (0..size as u32 / 4).flat_map(u32::to_be_bytes).collect();
    assert_survives(
        &subject,
        MessageParts {
            payload: &payload,
            ..FULL
        },
    );
}

/// To the millisecond, from the epoch to never.
pub(super) fn times_survive<F: Factory>(subject: Subject<'_, F>) {
    for millis in [
        FAR.as_millis(),
        FAR.as_millis() + 1,
        i64::MAX as u64,
        u64::MAX - 1,
        u64::MAX,
    ] {
        let expires = Timestamp::from_millis(millis);
        assert_survives(&subject, MessageParts { expires, ..FULL });
    }
    for millis in [
        0,
        1,
        1_700_000_000_001,
        FAR.as_millis() + 1,
        i64::MAX as u64,
        u64::MAX,
    ] {
        let record = StoredSession {
            session: key("c", 1),
            expiry_interval_secs: 7,
            disconnected_at: Some(Timestamp::from_millis(millis)),
        };
        subject.commit([Operation::PutSession(record.clone())]);
        assert_eq!(subject.session("c"), Some(record));
    }
}
