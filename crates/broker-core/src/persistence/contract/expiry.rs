//! Promise 10: a message whose time has come may go, one whose time has not come stays, and a session
//! stays until the broker says otherwise.

use std::sync::Arc;

use mqtt_codec::QoS;

use super::Factory;
use super::samples::{FAR, enqueue, key, put_session, subscribe};
use super::subject::Subject;
use crate::persistence::{Operation, StoredSession, StoredWill};
use crate::{Message, MessageParts, Timestamp};

/// Times that have passed, some of them in formats that know no others near them.
const PAST: [Timestamp; 3] = [
    Timestamp::from_millis(1),
    Timestamp::from_millis(1_000),
    Timestamp::from_millis(1_000_000_000_000),
];

/// Times to come: beyond what 32 bits can count in milliseconds, in seconds, signed and not, beyond
/// the year 9999, and never.
const FUTURE: [Timestamp; 8] = [
    FAR,
    Timestamp::from_millis((u32::MAX as u64 - 1) * 1_000),
    Timestamp::from_millis((u32::MAX as u64 + 1) * 1_000),
    Timestamp::from_millis(253_402_300_800_000),
    Timestamp::from_millis(1 << 53),
    Timestamp::from_millis(i64::MAX as u64),
    Timestamp::from_millis(i64::MAX as u64 + 1),
    Timestamp::MAX,
];

fn expiring(topic: &str, payload: &str, expires: Timestamp) -> Arc<Message> {
    Message::new(MessageParts {
        topic,
        properties: &[],
        payload: payload.as_bytes(),
        qos: QoS::AtLeastOnce,
        retain: false,
        expires,
    })
}

fn put_retained(message: &Arc<Message>) -> Operation {
    Operation::PutRetained {
        message: Arc::clone(message),
    }
}

/// What stays, as it is found in the queue of one client and among retained messages.
fn assert_there<F: Factory>(subject: &Subject<'_, F>, wanted: &[(u64, Arc<Message>)]) {
    let mut queued: Vec<_> = subject
        .outgoing("c")
        .into_iter()
        .filter_map(|one| Some((one.sequence, one.message?)))
        .collect();
    queued.retain(|(_, message)| !PAST.contains(&message.expires()));
    assert_eq!(queued, wanted);
    let mut retained = subject.retained(Some("stays/#"));
    retained.retain(|message| !PAST.contains(&message.expires()));
    let mut by_topic: Vec<_> = wanted
        .iter()
        .map(|(_, message)| Arc::clone(message))
        .collect();
    by_topic.sort_by(|one, other| one.topic().cmp(other.topic()));
    assert_eq!(retained, by_topic);
}

/// Also after a store that removes what has expired by itself has had the time to do so, and after it
/// was opened again.
pub(super) fn a_message_that_has_not_expired_is_kept<F: Factory>(mut subject: Subject<'_, F>) {
    let key = key("c", 1);
    let mut wanted = Vec::new();
    let mut operations = vec![put_session(&key)];
    for (at, expires) in FUTURE.into_iter().enumerate() {
        // One that has expired before each that has not, and one behind it.
        let gone = expiring(&format!("gone/{at}"), "x", PAST[at % PAST.len()]);
        let stays = expiring(&format!("stays/{at}"), "x", expires);
        let sequence = at as u64 * 3;
        operations.extend([
            enqueue(&key, sequence, &gone),
            enqueue(&key, sequence + 1, &stays),
            enqueue(&key, sequence + 2, &gone),
            put_retained(&gone),
            put_retained(&stays),
        ]);
        wanted.push((sequence + 1, stays));
    }
    subject.commit(operations);
    assert_there(&subject, &wanted);
    subject.await_expiry();
    assert_there(&subject, &wanted);
    subject.reopen();
    assert_there(&subject, &wanted);
}

/// What has expired and was replaced by what has not is not there any more: it must not take its
/// successor with it.
pub(super) fn what_has_expired_does_not_take_its_successor_with_it<F: Factory>(
    subject: Subject<'_, F>,
) {
    let key = key("c", 1);
    let stays = expiring("stays/a", "new", FAR);
    for past in PAST {
        let gone = expiring("stays/a", "old", past);
        let bystander = expiring("gone/a", "old", past);
        let operations = [
            put_session(&key),
            enqueue(&key, 1, &gone),
            put_retained(&gone),
            put_retained(&bystander),
        ];
        // In one batch, and in two.
        let replace = [enqueue(&key, 1, &stays), put_retained(&stays)];
        if past == PAST[0] {
            subject.commit(operations.into_iter().chain(replace));
        } else {
            subject.commit(operations);
            subject.commit(replace);
        }
        assert_there(&subject, &[(1, Arc::clone(&stays))]);
    }
    subject.await_expiry();
    assert_there(&subject, &[(1, stays)]);
}

/// Promise 10: the broker alone knows whether a session is in use, and whether a will was sent.
pub(super) fn sessions_and_wills_do_not_expire_by_themselves<F: Factory>(
    mut subject: Subject<'_, F>,
) {
    let record = |client: &str, expiry_interval_secs, disconnected_at| StoredSession {
        session: key(client, 1),
        expiry_interval_secs,
        disconnected_at,
    };
    let mut wanted = Vec::new();
    for (at, past) in PAST.into_iter().enumerate() {
        for secs in [0, 1, u32::MAX] {
            wanted.push(record(&format!("{at} {secs:010}"), secs, Some(past)));
        }
        wanted.push(record(&format!("{at} connected"), 0, None));
    }
    let gone = expiring("gone/a", "x", PAST[0]);
    let mut operations = vec![put_retained(&gone)];
    for stored in &wanted {
        operations.extend([
            Operation::PutSession(stored.clone()),
            subscribe(&stored.session, "a", 1),
            Operation::PutWill(StoredWill {
                session: stored.session.clone(),
                node: "n".into(),
                message: expiring("wills", "x", FAR),
                delay_secs: 0,
                expiry_interval_secs: Some(0),
            }),
        ]);
    }
    subject.commit(operations);
    subject.await_expiry();
    subject.reopen();
    assert_eq!(subject.sessions(None, 100), wanted);
    assert_eq!(subject.wills("n").len(), wanted.len());
    for stored in &wanted {
        assert_eq!(subject.subscriptions(&stored.session.client).len(), 1);
    }
}
