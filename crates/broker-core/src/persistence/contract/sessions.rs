//! Promises 5, 6 and 7: what is late or said twice does no harm, sessions are separate, and of a
//! session that is dropped nothing stays.

use super::Factory;
use super::draw::Draw;
use super::samples::{
    FAR, SEED, dequeue, drop_retained, drop_session, drop_will, enqueue, furnished, key, mark,
    message, packet_id, put_session, received, released, session, subscribe, unsubscribe,
};
use super::subject::{Contents, Subject};
use crate::persistence::{InflightStage, Operation, SessionKey, StoredSession};

/// Every operation on the contents of a session, on all that [`furnished`] puts there.
fn changes(key: &SessionKey) -> Vec<Operation> {
    vec![
        subscribe(key, "a/+", 99),
        subscribe(key, "new", 99),
        unsubscribe(key, "b/#"),
        enqueue(key, 1, &message("new", "new")),
        enqueue(key, 3, &message("new", "new")),
        mark(key, 1, packet_id(1), InflightStage::Published),
        mark(key, 2, packet_id(2), InflightStage::Released),
        dequeue(key, 1),
        received(key, packet_id(9)),
        released(key, packet_id(7)),
    ]
}

/// Promise 11: nothing is there, and that is no error.
pub(super) fn an_empty_store_knows_nothing<F: Factory>(subject: Subject<'_, F>) {
    assert_eq!(subject.clients(), []);
    assert_eq!(subject.contents("c", "n"), Contents::default());
    assert_eq!(subject.retained(None), []);
    assert_eq!(subject.retained(Some("#")), []);
    assert_eq!(subject.retained(Some("a/b")), []);
    assert_eq!(subject.wills("n"), []);
}

pub(super) fn a_session_is_found_as_it_was_put<F: Factory>(subject: Subject<'_, F>) {
    let connected = session(&key("connected", 1));
    let away = StoredSession {
        session: key("away", 2),
        expiry_interval_secs: u32::MAX,
        disconnected_at: Some(FAR),
    };
    subject.commit([&connected, &away].map(|one| Operation::PutSession(one.clone())));
    assert_eq!(subject.session("connected").as_ref(), Some(&connected));
    assert_eq!(subject.session("away").as_ref(), Some(&away));
    assert_eq!(subject.session("connect"), None);
    assert_eq!(subject.sessions(None, 10), [away, connected]);
}

/// Promise 5.
pub(super) fn putting_a_session_again_replaces_the_record_and_keeps_the_contents<F: Factory>(
    subject: Subject<'_, F>,
) {
    let key = key("c", 1);
    subject.commit(furnished(&key, "n"));
    let mut wanted = subject.contents("c", "n");
    for disconnected_at in [Some(FAR), None] {
        let record = StoredSession {
            session: key.clone(),
            expiry_interval_secs: 5,
            disconnected_at,
        };
        wanted.session = Some(record.clone());
        subject.commit([Operation::PutSession(record)]);
        assert_eq!(subject.contents("c", "n"), wanted);
        assert_eq!(subject.clients().len(), 1);
    }
}

/// Promise 7, when a client starts anew.
pub(super) fn a_later_incarnation_removes_the_earlier_one_with_its_contents<F: Factory>(
    subject: Subject<'_, F>,
) {
    subject.commit(furnished(&key("c", 1), "n"));
    subject.commit([put_session(&key("c", 5))]);
    let new = || Contents {
        session: Some(session(&key("c", 5))),
        ..Contents::default()
    };
    assert_eq!(subject.contents("c", "n"), new());
    assert_eq!(subject.clients().len(), 1);
    // What the broker says of the old one afterwards is late.
    subject.commit([drop_will(&key("c", 1)), drop_session(&key("c", 1))]);
    assert_eq!(subject.contents("c", "n"), new());
}

/// Promise 5: a batch of an earlier session that comes late.
pub(super) fn an_earlier_incarnation_changes_nothing<F: Factory>(subject: Subject<'_, F>) {
    subject.commit(furnished(&key("c", 5), "n"));
    let wanted = subject.contents("c", "n");
    subject.commit(furnished(&key("c", 4), "n"));
    assert_eq!(subject.contents("c", "n"), wanted);
    subject.commit([drop_session(&key("c", 4))]);
    assert_eq!(subject.contents("c", "n"), wanted);
}

/// Promise 5: neither an earlier nor a later incarnation may change the contents.
pub(super) fn operations_of_another_incarnation_change_nothing<F: Factory>(
    subject: Subject<'_, F>,
) {
    subject.commit(furnished(&key("c", 5), "n"));
    let wanted = subject.contents("c", "n");
    for incarnation in [4, 6] {
        for change in changes(&key("c", incarnation)) {
            let shown = format!("{change:?}");
            subject.commit([change]);
            assert_eq!(subject.contents("c", "n"), wanted, "after {shown}");
        }
    }
    subject.commit([drop_session(&key("c", 6))]);
    assert_eq!(subject.contents("c", "n"), wanted);
    // The same operations do have an effect where the incarnation is the right one.
    for change in changes(&key("c", 5)) {
        let before = subject.contents("c", "n");
        let shown = format!("{change:?}");
        subject.commit([change]);
        assert_ne!(subject.contents("c", "n"), before, "after {shown}");
    }
}

/// Promise 5: no session comes into being by its contents.
pub(super) fn operations_on_an_unknown_session_change_nothing<F: Factory>(subject: Subject<'_, F>) {
    subject.commit(changes(&key("c", 1)));
    assert_eq!(subject.contents("c", "n"), Contents::default());
    assert_eq!(subject.clients(), []);
    // Nor does any of it show when the session does.
    subject.commit([put_session(&key("c", 1))]);
    let wanted = Contents {
        session: Some(session(&key("c", 1))),
        ..Contents::default()
    };
    assert_eq!(subject.contents("c", "n"), wanted);
    // The same in the rest of a batch after the session was dropped.
    let mut operations = vec![drop_session(&key("c", 1))];
    operations.extend(changes(&key("c", 1)));
    subject.commit(operations);
    assert_eq!(subject.contents("c", "n"), Contents::default());
}

/// Promise 5.
pub(super) fn dropping_what_is_not_there_changes_nothing<F: Factory>(subject: Subject<'_, F>) {
    let nowhere = [
        drop_session(&key("x", 1)),
        drop_will(&key("x", 1)),
        drop_retained("x"),
    ];
    subject.commit(nowhere.clone());
    subject.commit(furnished(&key("c", 1), "n"));
    let wanted = subject.contents("c", "n");
    subject.commit(nowhere);
    subject.commit([
        unsubscribe(&key("c", 1), "a/b"),
        dequeue(&key("c", 1), 3),
        released(&key("c", 1), packet_id(9)),
    ]);
    assert_eq!(subject.contents("c", "n"), wanted);
}

/// Promise 7, also when it is said twice.
pub(super) fn dropping_a_session_leaves_nothing_of_it<F: Factory>(subject: Subject<'_, F>) {
    let key = key("c", 1);
    subject.commit(furnished(&key, "n"));
    for _ in 0..2 {
        subject.commit([drop_session(&key)]);
        assert_eq!(subject.contents("c", "n"), Contents::default());
        assert_eq!(subject.clients(), []);
        assert_eq!(subject.wills("n"), []);
    }
}

/// Promise 6.
pub(super) fn dropping_a_session_touches_nobody_else<F: Factory>(subject: Subject<'_, F>) {
    let clients = ["a", "ab", "b"];
    for client in clients {
        subject.commit(furnished(&key(client, 1), "n"));
    }
    let wanted = clients.map(|client| subject.contents(client, "n"));
    subject.commit([drop_session(&key("ab", 1))]);
    assert_eq!(subject.contents("a", "n"), wanted[0]);
    assert_eq!(subject.contents("ab", "n"), Contents::default());
    assert_eq!(subject.contents("b", "n"), wanted[2]);
}

/// Promise 7: nothing of the old session comes back with the name, nor with the incarnation.
pub(super) fn a_session_that_comes_back_starts_empty<F: Factory>(subject: Subject<'_, F>) {
    subject.commit(furnished(&key("c", 1), "n"));
    subject.commit([drop_session(&key("c", 1)), put_session(&key("c", 1))]);
    let wanted = Contents {
        session: Some(session(&key("c", 1))),
        ..Contents::default()
    };
    assert_eq!(subject.contents("c", "n"), wanted);
}

/// Promises 6 and 7, for thousands, in an order of going other than that of coming.
pub(super) fn many_sessions_come_and_go<F: Factory>(subject: Subject<'_, F>) {
    let mut keys: Vec<SessionKey> = (0..subject.scale().sessions)
        .map(|number| key(&format!("c{number:06}"), 1))
        .collect();
    let sorted: Vec<_> = keys.iter().map(|key| key.client.clone()).collect();
    let mut draw = Draw::new(SEED);
    draw.shuffle(&mut keys);
    for chunk in keys.chunks(1_000) {
        subject.commit(
            chunk
                .iter()
                .flat_map(|key| [put_session(key), subscribe(key, "a", 1)]),
        );
    }
    assert!(
        subject.clients() == sorted,
        "some sessions are missing, or not in order"
    );
    draw.shuffle(&mut keys);
    let mut kept = keys.split_off(keys.len() / 2);
    for chunk in keys.chunks(1_000) {
        subject.commit(chunk.iter().map(drop_session));
    }
    kept.sort_by(|one, other| one.client.cmp(&other.client));
    let kept: Vec<_> = kept.into_iter().map(|key| key.client).collect();
    assert!(subject.clients() == kept, "the wrong sessions are left");
    assert!(
        kept.iter()
            .all(|client| subject.subscriptions(client).len() == 1)
    );
}
