//! Promises 6, 7 and 8 together: of a session that goes nothing stays, and of all others nothing
//! goes, however much they have in common with it.

use std::sync::Arc;

use mqtt_codec::QoS;

use super::Factory;
use super::samples::{
    drop_session, enqueue, key, mark, message, packet_id, put_outgoing, put_session, put_will,
    received, retain, session, subscribe, waiting,
};
use super::subject::{Contents, Subject};
use crate::Message;
use crate::persistence::{InflightStage, Operation, SessionKey, StoredOutgoing, SubscriptionIds};

/// The one that goes is the third; the others are what a store could take for it or for a part of it.
const CLIENTS: [&str; 9] = [
    "clien", "Client", "client", "client:", "client:1", "client/#", "client1", "client ", "t",
];

/// Which of them goes.
const GOES: &str = CLIENTS[2];

/// Records of each kind that each session has.
const EACH: u16 = 120;

/// Everything that a session can have, with what it shares with all others: the messages, their
/// numbers, the filters, the packet identifiers, the share and the node.
fn crowded(key: &SessionKey, shared: &Arc<Message>) -> Vec<Operation> {
    let mut operations = vec![put_session(key), put_will(key, "n", &key.client)];
    for number in 1..=EACH {
        let sequence = u64::from(number);
        operations.push(subscribe(key, &format!("f/{number}/#"), u32::from(number)));
        operations.push(received(key, packet_id(number)));
        let own = message("own", format!("{} {number}", key.client));
        operations.push(put_outgoing(
            key,
            StoredOutgoing {
                qos: QoS::ExactlyOnce,
                subscription_ids: SubscriptionIds::Many([1, 2].into()),
                shared: Some("$share/g/f".into()),
                ..waiting(sequence, if number % 2 == 0 { shared } else { &own })
            },
        ));
        if number % 3 == 0 {
            let stage = [InflightStage::Published, InflightStage::Released][number as usize % 2];
            operations.push(mark(key, sequence, packet_id(number), stage));
        }
    }
    operations
}

/// Stores all sessions, lets one go, and compares what is left with what was there. The second of
/// the batches by which it goes finds it gone.
fn assert_only_it_goes<F: Factory>(
    subject: &Subject<'_, F>,
    going: [Vec<Operation>; 2],
    stays: &Contents,
) {
    let shared = message("a/b", vec![0xA5; 10_000]);
    subject.commit(
        CLIENTS
            .iter()
            .flat_map(|client| crowded(&key(client, 5), &shared)),
    );
    subject.commit([retain(GOES, "x"), retain("f/1/x", "x")]);
    let before = CLIENTS.map(|client| subject.contents(client, "n"));
    let retained = subject.retained(None);
    for going in going {
        subject.commit(going);
        for (client, before) in CLIENTS.iter().zip(&before) {
            let found = subject.contents(client, "n");
            assert_eq!(
                &found,
                if *client == GOES { stays } else { before },
                "{client:?}"
            );
        }
        assert_eq!(subject.retained(None), retained);
    }
    let left = CLIENTS.len() - usize::from(*stays == Contents::default());
    assert_eq!(subject.clients().len(), left);
    assert_eq!(subject.wills("n").len(), CLIENTS.len() - 1);
    // Nothing of it shows under the name when there is such a session again.
    let again = Contents {
        session: Some(session(&key(GOES, 9))),
        ..Contents::default()
    };
    subject.commit([put_session(&key(GOES, 9))]);
    assert_eq!(subject.contents(GOES, "n"), again);
    // The others go the same way, one by one, and the last one has all that it had.
    for (at, client) in CLIENTS.iter().enumerate() {
        subject.commit([drop_session(&key(client, 5)), drop_session(&key(client, 9))]);
        for (client, before) in CLIENTS.iter().zip(&before).skip(at + 1) {
            let found = subject.outgoing(client).len();
            assert_eq!(
                found,
                if *client == GOES {
                    0
                } else {
                    before.outgoing.len()
                }
            );
        }
    }
    assert_eq!(subject.clients(), []);
    assert_eq!(subject.wills("n"), []);
    assert_eq!(subject.retained(None), retained);
}

pub(super) fn a_session_that_is_dropped_takes_all_of_it_and_nothing_else<F: Factory>(
    subject: Subject<'_, F>,
) {
    let going = || vec![drop_session(&key(GOES, 5))];
    assert_only_it_goes(&subject, [going(), going()], &Contents::default());
}

pub(super) fn a_session_that_is_succeeded_takes_all_of_it_and_nothing_else<F: Factory>(
    subject: Subject<'_, F>,
) {
    let successor = Contents {
        session: Some(session(&key(GOES, 6))),
        ..Contents::default()
    };
    let going = || vec![put_session(&key(GOES, 6))];
    assert_only_it_goes(&subject, [going(), going()], &successor);
}

/// It is changed and dropped within one batch: what the batch has put goes with what was there.
pub(super) fn a_session_that_is_changed_and_dropped_at_once_leaves_nothing<F: Factory>(
    subject: Subject<'_, F>,
) {
    let owner = key(GOES, 5);
    let new = message("new", "new");
    let operations = vec![
        enqueue(&owner, 1, &new),
        enqueue(&owner, 1_000, &new),
        subscribe(&owner, "new", 1),
        received(&owner, packet_id(1_000)),
        drop_session(&owner),
        enqueue(&owner, 2, &new),
        subscribe(&owner, "late", 1),
        received(&owner, packet_id(2_000)),
    ];
    // A will needs no session: it would stay the second time.
    let with_will = [vec![put_will(&owner, "n", "new")], operations.clone()].concat();
    assert_only_it_goes(&subject, [with_will, operations], &Contents::default());
}

/// Promise 8, where a session goes with a queue of messages that are its own: they go with it.
pub(super) fn what_only_a_dropped_session_had_gives_its_room_back<F: Factory>(
    subject: Subject<'_, F>,
) {
    let size = subject.scale().payload_bytes / 8;
    let (one, other) = (key("c", 1), key("c:", 1));
    let kept = message("a/b", vec![1; size]);
    subject.commit([put_session(&other), enqueue(&other, 1, &kept)]);
    let before = subject.stored_message_bytes();
    for round in 0..3 {
        let owner = key("c", round + 1);
        let own = |number: u8| message("a/b", vec![number; size]);
        let enqueue = (0..8).map(|number| enqueue(&owner, number.into(), &own(number)));
        subject.commit([put_session(&owner)].into_iter().chain(enqueue));
        if let (Some(before), Some(now)) = (before, subject.stored_message_bytes()) {
            // Those of the round before went when this session took its place.
            let grown = now.saturating_sub(before);
            assert!(
                grown <= 10 * size as u64,
                "{grown} bytes for 8 messages of {size}"
            );
        }
    }
    subject.commit([drop_session(&key(&one.client, 3))]);
    if let (Some(before), Some(now)) = (before, subject.stored_message_bytes()) {
        let grown = now.saturating_sub(before);
        assert!(grown < size as u64, "{grown} bytes are left of the session");
    }
    assert!(subject.outgoing("c:")[0].message.as_deref() == Some(&*kept));
}
