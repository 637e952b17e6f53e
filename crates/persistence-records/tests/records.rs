//! What is written is read back as it was, and nothing else is read as a record.

use std::sync::Arc;

use broker_core::persistence::{
    InflightStage, SessionKey, StoredSession, StoredWill, SubscriptionIds,
};
use broker_core::{Message, MessageParts, SubscriptionOptions, Timestamp};
use mqtt_codec::{PacketId, QoS};
use persistence_records::{
    FORMAT, MessageId, OutgoingRecord, RecordError, SessionRecord, decode_message,
    decode_subscription, decode_will, encode_message, encode_subscription, encode_will,
};
use proptest::collection::vec;
use proptest::prelude::*;

fn qos() -> impl Strategy<Value = QoS> {
    prop_oneof![
        Just(QoS::AtMostOnce),
        Just(QoS::AtLeastOnce),
        Just(QoS::ExactlyOnce)
    ]
}

fn timestamp() -> impl Strategy<Value = Timestamp> {
    prop_oneof![
        any::<u64>().prop_map(Timestamp::from_millis),
        Just(Timestamp::MAX),
        Just(Timestamp::from_millis(0)),
    ]
}

fn message() -> impl Strategy<Value = Arc<Message>> {
    let bytes = || vec(any::<u8>(), 0..300);
    (
        any::<String>(),
        bytes(),
        bytes(),
        qos(),
        any::<bool>(),
        timestamp(),
    )
        .prop_map(|(topic, properties, payload, qos, retain, expires)| {
            Message::new(MessageParts {
                topic: &topic,
                properties: &properties,
                payload: &payload,
                qos,
                retain,
                expires,
            })
        })
}

fn inflight() -> impl Strategy<Value = Option<(PacketId, InflightStage)>> {
    let stage = prop_oneof![
        Just(InflightStage::Published),
        Just(InflightStage::Released)
    ];
    let packet_id = any::<u16>().prop_map(PacketId::new);
    (packet_id, stage).prop_map(|(packet_id, stage)| packet_id.map(|number| (number, stage)))
}

fn outgoing() -> impl Strategy<Value = OutgoingRecord> {
    let message = prop_oneof![any::<u64>().prop_map(u128::from), any::<u128>()];
    (
        proptest::option::of(message),
        (timestamp(), any::<u64>()),
        qos(),
        any::<bool>(),
        vec(1..=268_435_455_u32, 0..4),
        proptest::option::of(any::<String>()),
        inflight(),
    )
        .prop_map(
            |(message, (expires, bytes), qos, retain, ids, shared, inflight)| OutgoingRecord {
                message: message.map(MessageId),
                expires,
                bytes,
                qos,
                retain,
                subscription_ids: ids.into(),
                shared: shared.map(Arc::from),
                inflight,
            },
        )
}

fn session() -> impl Strategy<Value = SessionRecord> {
    let disconnected_at = proptest::option::of(timestamp());
    (any::<u64>(), any::<u64>(), any::<u32>(), disconnected_at).prop_map(
        |(incarnation, number, expiry_interval_secs, disconnected_at)| SessionRecord {
            incarnation,
            number,
            expiry_interval_secs,
            disconnected_at,
        },
    )
}

fn will() -> impl Strategy<Value = StoredWill> {
    let expiry = proptest::option::of(any::<u32>());
    (
        any::<u64>(),
        any::<String>(),
        message(),
        any::<u32>(),
        expiry,
    )
        .prop_map(
            |(incarnation, node, message, delay_secs, expiry_interval_secs)| StoredWill {
                session: SessionKey {
                    client: "c".into(),
                    incarnation,
                },
                node: node.into(),
                message,
                delay_secs,
                expiry_interval_secs,
            },
        )
}

proptest! {
    #[test]
    fn a_message_is_read_as_it_was_written(message in message()) {
        prop_assert_eq!(decode_message(&encode_message(&message).unwrap()).unwrap(), message);
    }

    #[test]
    fn a_session_is_read_as_it_was_written(record in session()) {
        prop_assert_eq!(SessionRecord::decode(&record.encode().unwrap()).unwrap(), record);
    }

    #[test]
    fn a_subscription_is_read_as_it_was_written(
        qos in qos(), no_local: bool, retain_as_published: bool, identifier: u32,
    ) {
        let options = SubscriptionOptions { qos, no_local, retain_as_published, identifier };
        let bytes = encode_subscription(&options).unwrap();
        prop_assert_eq!(decode_subscription(&bytes).unwrap(), options);
    }

    #[test]
    fn an_outgoing_message_is_read_as_it_was_written(record in outgoing()) {
        prop_assert_eq!(OutgoingRecord::decode(&record.encode().unwrap()).unwrap(), record);
    }

    #[test]
    fn a_will_is_read_as_it_was_written(will in will()) {
        let bytes = encode_will(&will).unwrap();
        prop_assert_eq!(decode_will("c".into(), &bytes).unwrap(), will);
    }

    /// A part of a record is never a record, nor is a record with something behind it.
    #[test]
    fn what_is_cut_or_continued_is_refused(
        message in message(), record in outgoing(), cut: prop::sample::Index, more in vec(any::<u8>(), 1..9),
    ) {
        let message = encode_message(&message).unwrap();
        prop_assert!(decode_message(&message[..cut.index(message.len())]).is_err());
        prop_assert!(decode_message(&[&*message, &*more].concat()).is_err());
        let record = record.encode().unwrap();
        prop_assert!(OutgoingRecord::decode(&record[..cut.index(record.len())]).is_err());
        prop_assert!(OutgoingRecord::decode(&[&*record, &*more].concat()).is_err());
    }

    #[test]
    fn hostile_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..200)) {
        read_all(&bytes);
        read_all(&[&[FORMAT], &*bytes].concat());
    }

    /// Nearly right: one byte of a record is another.
    #[test]
    fn a_changed_byte_is_read_or_refused(
        will in will(), record in outgoing(), at: prop::sample::Index, byte: u8,
    ) {
        for mut bytes in [encode_will(&will).unwrap(), record.encode().unwrap()] {
            let at = at.index(bytes.len());
            bytes[at] = byte;
            read_all(&bytes);
        }
    }
}

fn read_all(bytes: &[u8]) {
    let _ = decode_message(bytes);
    let _ = SessionRecord::decode(bytes);
    let _ = decode_subscription(bytes);
    let _ = OutgoingRecord::decode(bytes);
    let _ = decode_will("c".into(), bytes);
}

/// What is in the stores of users: if this fails, they cannot be read any more.
#[test]
fn the_first_format_is_what_it_was() {
    let message = Message::new(MessageParts {
        topic: "é/b",
        properties: &[1, 1],
        payload: b"xyz",
        qos: QoS::ExactlyOnce,
        retain: true,
        expires: Timestamp::from_millis(7),
    });
    let written = b"\x01\x96\xa4\xc3\xa9/b\xc4\x02\x01\x01\xc4\x03xyz\x02\xc3\x07";
    assert_eq!(encode_message(&message).unwrap(), written);
    assert_eq!(decode_message(written).unwrap(), message);

    let session = SessionRecord::new(
        &StoredSession {
            session: SessionKey {
                client: "c".into(),
                incarnation: 300,
            },
            expiry_interval_secs: u32::MAX,
            disconnected_at: None,
        },
        5,
    );
    let written = b"\x01\x94\xcd\x01\x2c\x05\xce\xff\xff\xff\xff\xc0";
    assert_eq!(session.encode().unwrap(), written);
    assert_eq!(SessionRecord::decode(written).unwrap(), session);

    let options = SubscriptionOptions {
        qos: QoS::AtLeastOnce,
        no_local: true,
        retain_as_published: false,
        identifier: 9,
    };
    let written = b"\x01\x94\x01\xc3\xc2\x09";
    assert_eq!(encode_subscription(&options).unwrap(), written);
    assert_eq!(decode_subscription(written).unwrap(), options);

    let outgoing = OutgoingRecord {
        message: Some(MessageId(4)),
        expires: Timestamp::MAX,
        bytes: 11,
        qos: QoS::ExactlyOnce,
        retain: true,
        subscription_ids: SubscriptionIds::from(vec![1, 2]),
        shared: Some("$share/g/a".into()),
        inflight: PacketId::new(6).map(|packet_id| (packet_id, InflightStage::Released)),
    };
    let written = b"\x01\x97\x92\x00\x04\xc0\x0e\x06\x92\x01\x02\xaa$share/g/a\x0b";
    assert_eq!(outgoing.encode().unwrap(), written);
    assert_eq!(OutgoingRecord::decode(written).unwrap(), outgoing);

    let will = StoredWill {
        session: SessionKey {
            client: "c".into(),
            incarnation: 1,
        },
        node: "n".into(),
        message: Arc::clone(&message),
        delay_secs: 2,
        expiry_interval_secs: Some(3),
    };
    let written =
        b"\x01\x95\x01\xa1n\x02\x03\x96\xa4\xc3\xa9/b\xc4\x02\x01\x01\xc4\x03xyz\x02\xc3\x07";
    assert_eq!(encode_will(&will).unwrap(), written);
    assert_eq!(decode_will("c".into(), written).unwrap(), will);
}

#[test]
fn what_a_field_cannot_have_is_refused() {
    // A QoS of 3; a packet identifier of 0 that is said to be released; an unknown flag.
    let message = decode_message(b"\x01\x96\xa0\xc4\x00\xc4\x00\x03\xc3\x07");
    assert_eq!(
        message.unwrap_err().to_string(),
        "the quality of service is 3, and can only be 0, 1 or 2"
    );
    for flags in [0x03, 0x08, 0x10] {
        let bytes = [b"\x01\x96\xc0\xc0", &[flags][..], b"\x00\x90\xc0"].concat();
        let refused = OutgoingRecord::decode(&bytes).unwrap_err();
        assert!(
            matches!(refused, RecordError::OutOfRange { .. }),
            "{refused}"
        );
    }
    let long = "x".repeat(65_536);
    let bytes = [
        b"\x01\x96\xdb\x00\x01\x00\x00",
        long.as_bytes(),
        b"\xc4\x00\xc4\x00\x00\xc2\xc0",
    ]
    .concat();
    assert_eq!(
        decode_message(&bytes).unwrap_err().to_string(),
        "the topic's length is 65536, and can only be 0 to 65,535 bytes"
    );
}

/// A field more or a field less is another format, and would have said so.
#[test]
fn another_number_of_fields_is_refused() {
    assert!(decode_subscription(b"\x01\x93\x01\xc3\xc2").is_err());
    assert!(decode_subscription(b"\x01\x95\x01\xc3\xc2\x09\x09").is_err());
}

/// Arrays in arrays, and lengths of gigabytes: neither stack nor memory is lost to them.
#[test]
fn what_claims_to_be_deep_or_long_is_refused() {
    let deep = [&[FORMAT], &*vec![0x91; 1_000_000]].concat();
    let long = b"\x01\xdd\xff\xff\xff\xff\xdd\xff\xff\xff\xff";
    let payload = b"\x01\x96\xa0\xc4\x00\xc6\xff\xff\xff\xff";
    let ids = b"\x01\x97\xc0\xc0\x00\x00\xdd\xff\xff\xff\xff\x01";
    for bytes in [&*deep, long, payload, ids] {
        read_all(bytes);
        assert!(decode_message(bytes).is_err() && OutgoingRecord::decode(bytes).is_err());
    }
}
