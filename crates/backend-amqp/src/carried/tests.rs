//! Envelopes there and back, and what others may send.

use std::time::Duration;

use broker_core::backend::{NodeId, Prefix, Tag};
use proptest::prelude::*;

use super::*;

const FRAME: usize = 131_072;

fn keys(prefix: &str) -> Keys {
    Keys::new(Prefix::new(prefix).unwrap()).unwrap()
}

fn message(topic: &str, properties: &[u8], retained_at: u64) -> Envelope {
    let message = Message::new(MessageParts {
        topic,
        properties,
        payload: b"\0\xffpayload",
        qos: QoS::ExactlyOnce,
        retain: retained_at > 0,
        expires: Timestamp::MAX,
    });
    let content = Content::Message {
        message,
        expires_in: Some(Duration::from_millis(17)),
        publisher: Some("client".into()),
        retained_at,
    };
    envelope(content)
}

fn envelope(content: Content) -> Envelope {
    let node = NodeId::new("node", 7);
    let tag = Some(Tag { node, number: 3 });
    Envelope { tag, content }
}

/// What a node of a prefix makes of a message.
fn arrives(prefix: &str, sent: &Outgoing) -> Option<Envelope> {
    incoming(&keys(prefix), &sent.key, &sent.properties, sent.body()).unwrap()
}

#[test]
fn envelopes_come_whole_at_nodes_of_their_prefix() {
    // A user property of 60,000 bytes, which three times are more than a frame has.
    let mut property = vec![38, 0, 1, b'k', 0xEA, 0x60];
    property.extend([b'v'; 60_000]);
    let large = property.repeat(3);
    let connected = envelope(Content::Connected {
        client: "client".into(),
        at: 5,
    });
    for prefix in ["", "s", "a.b/"] {
        for envelope in [
            message("t/1", &[], 0),
            message("t/1", &[1, 1], 9),
            message(&"long/".repeat(100), &[], 9),
            message("t", &large, 0),
            connected.clone(),
        ] {
            let sent = Outgoing::new(&keys(prefix), envelope.clone(), FRAME);
            assert_eq!(arrives(prefix, &sent), Some(envelope));
        }
    }
}

#[test]
fn the_body_is_the_payload() {
    let sent = Outgoing::new(&keys("s"), message("t/1", &[1, 1], 9), FRAME);
    assert_eq!((&*sent.key, sent.body()), ("s.t.1", &b"\0\xffpayload"[..]));
}

/// A prefix is part of the topic to those who have another one.
#[test]
fn what_nodes_of_a_prefix_say_is_below_it_for_others_and_retains_nothing_there() {
    let sent = Outgoing::new(&keys("s"), message("t", &[], 9), FRAME);
    let Some(Envelope {
        content:
            Content::Message {
                message,
                retained_at,
                ..
            },
        ..
    }) = arrives("", &sent)
    else {
        panic!("it is a message");
    };
    assert_eq!((message.topic(), retained_at), ("s/t", 0));
    assert_eq!(arrives("other", &sent), None);
    let connected = envelope(Content::Connected {
        client: "client".into(),
        at: 5,
    });
    let sent = Outgoing::new(&keys("s"), connected, FRAME);
    assert_eq!(arrives("", &sent), None);
}

#[test]
fn what_has_no_header_is_a_message_from_elsewhere() {
    let plain = BasicProperties::default();
    let came = incoming(&keys("s"), "s.a%2Eb.c", &plain, b"{}")
        .unwrap()
        .unwrap();
    let Content::Message {
        message,
        expires_in: None,
        publisher: None,
        retained_at: 0,
    } = came.content
    else {
        panic!("it is a plain message");
    };
    assert_eq!(came.tag, None);
    assert_eq!((message.topic(), message.payload()), ("a.b/c", &b"{}"[..]));
    assert_eq!((message.qos(), message.retain()), (QoS::AtLeastOnce, false));
    for key in ["t.a", "%nodes.s", "s.+"] {
        assert_eq!(incoming(&keys("s"), key, &plain, b""), Ok(None), "{key}");
    }
}

proptest! {
    #[test]
    fn any_header_is_understood_or_not(
        head: Vec<u8>,
        body: Vec<u8>,
        kind in 0..5,
        key in "[a.%]{0,9}",
    ) {
        let header = match kind {
            0 => AMQPValue::ByteArray(ByteArray::from(head)),
            1 => AMQPValue::LongString(head.into()),
            2 => AMQPValue::Boolean(true),
            3 => AMQPValue::Boolean(false),
            _ => AMQPValue::Void,
        };
        let mut headers = FieldTable::default();
        headers.insert(HEADER.into(), header);
        let properties = BasicProperties::default().with_headers(headers);
        let came = incoming(&keys(""), &key, &properties, &body);
        prop_assert!(kind < 3 || came.is_err());
    }
}
