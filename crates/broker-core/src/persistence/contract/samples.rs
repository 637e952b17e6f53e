//! What the cases put into stores: names, messages and operations, with the fields that a case does
//! not care about filled in.

use std::sync::Arc;

use mqtt_codec::{PacketId, QoS};

use crate::persistence::{
    InflightStage, Operation, SessionKey, StoredOutgoing, StoredSession, StoredSubscription,
    StoredWill, SubscriptionIds,
};
use crate::subscription::SubscriptionOptions;
use crate::{Message, MessageParts, Timestamp};

/// The year 2100: what expires then has not expired.
pub(super) const FAR: Timestamp = Timestamp::from_millis(4_102_444_800_000);

/// A seed for each use of drawn numbers would prove nothing more than this one.
pub(super) const SEED: u64 = 20_26;

pub(super) fn key(client: &str, incarnation: u64) -> SessionKey {
    SessionKey {
        client: client.into(),
        incarnation,
    }
}

pub(super) fn packet_id(number: u16) -> PacketId {
    PacketId::new(number).unwrap_or(PacketId::MIN)
}

pub(super) fn message(topic: &str, payload: impl AsRef<[u8]>) -> Arc<Message> {
    Message::new(MessageParts {
        topic,
        properties: &[],
        payload: payload.as_ref(),
        qos: QoS::AtLeastOnce,
        retain: false,
        expires: Timestamp::MAX,
    })
}

pub(super) fn session(key: &SessionKey) -> StoredSession {
    StoredSession {
        session: key.clone(),
        expiry_interval_secs: 3_600,
        disconnected_at: None,
    }
}

pub(super) fn put_session(key: &SessionKey) -> Operation {
    Operation::PutSession(session(key))
}

pub(super) fn drop_session(key: &SessionKey) -> Operation {
    Operation::DropSession {
        session: key.clone(),
    }
}

/// A subscription; its identifier tells it from others with the same filter.
pub(super) fn subscription(filter: &str, identifier: u32) -> StoredSubscription {
    StoredSubscription {
        filter: filter.into(),
        options: SubscriptionOptions {
            qos: QoS::AtLeastOnce,
            no_local: false,
            retain_as_published: false,
            identifier,
        },
    }
}

pub(super) fn put_subscription(key: &SessionKey, subscription: StoredSubscription) -> Operation {
    let StoredSubscription { filter, options } = subscription;
    Operation::PutSubscription {
        session: key.clone(),
        filter,
        options,
    }
}

pub(super) fn subscribe(key: &SessionKey, filter: &str, identifier: u32) -> Operation {
    put_subscription(key, subscription(filter, identifier))
}

pub(super) fn unsubscribe(key: &SessionKey, filter: &str) -> Operation {
    Operation::DropSubscription {
        session: key.clone(),
        filter: filter.into(),
    }
}

/// A message in a queue that waits at QoS 1.
pub(super) fn waiting(sequence: u64, message: &Arc<Message>) -> StoredOutgoing {
    StoredOutgoing {
        sequence,
        message: Some(Arc::clone(message)),
        qos: QoS::AtLeastOnce,
        retain: false,
        subscription_ids: SubscriptionIds::None,
        shared: None,
        inflight: None,
    }
}

/// The operation that makes of an empty place in the queue what is described.
pub(super) fn put_outgoing(key: &SessionKey, outgoing: StoredOutgoing) -> Operation {
    let Some(message) = outgoing.message else {
        panic!("a message is enqueued before it can be released");
    };
    Operation::Enqueue {
        session: key.clone(),
        sequence: outgoing.sequence,
        message,
        qos: outgoing.qos,
        retain: outgoing.retain,
        subscription_ids: outgoing.subscription_ids,
        shared: outgoing.shared,
        packet_id: outgoing.inflight.map(|(packet_id, _)| packet_id),
    }
}

pub(super) fn enqueue(key: &SessionKey, sequence: u64, message: &Arc<Message>) -> Operation {
    put_outgoing(key, waiting(sequence, message))
}

pub(super) fn dequeue(key: &SessionKey, sequence: u64) -> Operation {
    Operation::Dequeue {
        session: key.clone(),
        sequence,
    }
}

pub(super) fn mark(
    key: &SessionKey,
    sequence: u64,
    packet_id: PacketId,
    stage: InflightStage,
) -> Operation {
    Operation::MarkInflight {
        session: key.clone(),
        sequence,
        packet_id,
        stage,
    }
}

pub(super) fn received(key: &SessionKey, packet_id: PacketId) -> Operation {
    Operation::IncomingReceived {
        session: key.clone(),
        packet_id,
    }
}

pub(super) fn released(key: &SessionKey, packet_id: PacketId) -> Operation {
    Operation::IncomingReleased {
        session: key.clone(),
        packet_id,
    }
}

pub(super) fn retain(topic: &str, payload: &str) -> Operation {
    Operation::PutRetained {
        message: message(topic, payload),
    }
}

pub(super) fn drop_retained(topic: &str) -> Operation {
    Operation::DropRetained {
        topic: topic.into(),
    }
}

pub(super) fn will(key: &SessionKey, node: &str, payload: &str) -> StoredWill {
    StoredWill {
        session: key.clone(),
        node: node.into(),
        message: message("wills", payload),
        delay_secs: 0,
        expiry_interval_secs: None,
    }
}

pub(super) fn put_will(key: &SessionKey, node: &str, payload: &str) -> Operation {
    Operation::PutWill(will(key, node, payload))
}

pub(super) fn drop_will(key: &SessionKey) -> Operation {
    Operation::DropWill {
        session: key.clone(),
    }
}

/// A session with something of each kind in it: two subscriptions, two messages, two packet
/// identifiers and a will.
pub(super) fn furnished(key: &SessionKey, node: &str) -> Vec<Operation> {
    vec![
        put_session(key),
        subscribe(key, "a/+", 1),
        subscribe(key, "b/#", 2),
        enqueue(key, 1, &message("a/b", &*key.client)),
        enqueue(key, 2, &message("b/b", &*key.client)),
        received(key, packet_id(7)),
        received(key, packet_id(8)),
        put_will(key, node, &key.client),
    ]
}
