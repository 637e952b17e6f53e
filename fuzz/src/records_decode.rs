//! The records of the stores, from any bytes.
//!
//! The first byte chooses the record. What is accepted can be written again, and is read from that as
//! the same; everything else is an error. A key is read by parts that the bytes choose.

use std::sync::Arc;

use broker_core::persistence::{InflightStage, SessionKey, StoredWill};
use broker_core::{Message, MessageParts, SubscriptionOptions, Timestamp};
use mqtt_codec::{PacketId, QoS};
use persistence_records::{
    Key, KeyReader, MessageId, OutgoingRecord, RecordError, SessionRecord, decode_message,
    decode_subscription, decode_will, encode_message, encode_subscription, encode_will,
};

/// One record, or one key.
pub fn records_decode(data: &[u8]) {
    let Some((&choice, bytes)) = data.split_first() else {
        return;
    };
    match choice % 6 {
        0 => again(
            decode_message(bytes),
            |message| encode_message(message),
            decode_message,
        ),
        1 => again(
            SessionRecord::decode(bytes),
            SessionRecord::encode,
            SessionRecord::decode,
        ),
        2 => again(
            decode_subscription(bytes),
            encode_subscription,
            decode_subscription,
        ),
        3 => again(
            OutgoingRecord::decode(bytes),
            OutgoingRecord::encode,
            OutgoingRecord::decode,
        ),
        4 => {
            let read = |bytes: &[u8]| decode_will("client".into(), bytes);
            again(read(bytes), encode_will, read);
        }
        _ => key(bytes),
    }
}

fn again<T: PartialEq + core::fmt::Debug>(
    read: Result<T, RecordError>,
    write: impl Fn(&T) -> Result<Vec<u8>, RecordError>,
    read_again: impl Fn(&[u8]) -> Result<T, RecordError>,
) {
    match read {
        Ok(record) => {
            let written = write(&record).unwrap_or_else(|error| panic!("{record:?}: {error}"));
            let found = read_again(&written).unwrap_or_else(|error| panic!("{record:?}: {error}"));
            assert_eq!(found, record);
        }
        // An operator reads it.
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// Each of the first bytes says which part is read next from those behind them.
fn key(bytes: &[u8]) {
    let (parts, bytes) = bytes.split_at(bytes.len().min(4));
    let mut reader = KeyReader::new(bytes);
    let mut written = Key::new();
    let mut canonical = true;
    for part in parts {
        written = match part % 5 {
            0 => reader.byte().map(|byte| written.clone().byte(byte)),
            1 => reader.number().map(|number| written.clone().number(number)),
            2 => reader.short().map(|short| written.clone().short(short)),
            3 => {
                // A length may be written with zeros in front, which no store does.
                canonical = false;
                reader.name().map(|name| written.clone().name(name))
            }
            _ => reader.ordered().map(|name| written.clone().ordered(&name)),
        }
        .unwrap_or(written);
        if reader.clone().end().is_ok() {
            break;
        }
    }
    let rest = reader.last().unwrap_or_default();
    let written = written.last(rest).into_bytes();
    assert!(written.len() <= bytes.len());
    if canonical && !rest.is_empty() {
        assert!(bytes.ends_with(rest.as_bytes()));
    }
}

/// A record of each kind, and a key, each behind the byte that chooses it.
pub fn seeds() -> Vec<Vec<u8>> {
    let message = |expires| {
        Message::new(MessageParts {
            topic: "a/b",
            properties: &[1, 1],
            payload: b"payload",
            qos: QoS::ExactlyOnce,
            retain: true,
            expires,
        })
    };
    let session = SessionRecord {
        incarnation: 300,
        number: 70_000,
        expiry_interval_secs: u32::MAX,
        disconnected_at: Some(Timestamp::from_millis(1 << 40)),
    };
    let options = SubscriptionOptions {
        qos: QoS::AtLeastOnce,
        no_local: true,
        retain_as_published: false,
        identifier: 9,
    };
    let outgoing = |message, inflight| OutgoingRecord {
        message,
        expires: Timestamp::from_millis(1 << 40),
        bytes: 300,
        qos: QoS::ExactlyOnce,
        retain: false,
        subscription_ids: vec![1, 268_435_455].into(),
        shared: Some(Arc::from("$share/group/a/#")),
        inflight,
    };
    let published = PacketId::new(7).map(|packet_id| (packet_id, InflightStage::Published));
    let released = PacketId::new(65_535).map(|packet_id| (packet_id, InflightStage::Released));
    let will = StoredWill {
        session: SessionKey {
            client: "client".into(),
            incarnation: 1,
        },
        node: "node".into(),
        message: message(Timestamp::MAX),
        delay_secs: 5,
        expiry_interval_secs: Some(60),
    };
    let key = Key::new()
        .name("sensor/1")
        .ordered("a\0b")
        .number(7)
        .short(9)
        .last("rest");
    let written = [
        (0, encode_message(&message(Timestamp::MAX))),
        (0, encode_message(&message(Timestamp::from_millis(1 << 40)))),
        (1, session.encode()),
        (2, encode_subscription(&options)),
        (3, outgoing(Some(MessageId(1 << 70)), published).encode()),
        (3, outgoing(None, released).encode()),
        (4, encode_will(&will)),
        (5, Ok([&[3, 4, 1, 2], key.as_bytes()].concat())),
    ];
    let seed = |(choice, bytes): (u8, Result<Vec<u8>, RecordError>)| {
        let bytes = bytes.unwrap_or_else(|error| panic!("a seed: {error}"));
        [&[choice], &*bytes].concat()
    };
    written.into_iter().map(seed).collect()
}
