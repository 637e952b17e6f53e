//! Promise 2, as far as it can be seen from inside a process: what was committed is there when the
//! place is opened again.

use super::Factory;
use super::samples::{
    dequeue, drop_retained, drop_session, drop_will, enqueue, furnished, key, mark, message,
    packet_id, put_session, received, released, retain, subscribe, unsubscribe, waiting,
};
use super::subject::{Contents, Subject};
use crate::persistence::InflightStage;

const CLIENTS: [&str; 3] = ["a", "a:b", "é"];

fn furnish<F: Factory>(subject: &Subject<'_, F>) {
    for client in CLIENTS {
        let key = key(client, 7);
        subject.commit(furnished(&key, "n"));
        subject.commit([
            mark(&key, 1, packet_id(1), InflightStage::Released),
            mark(&key, 2, packet_id(2), InflightStage::Published),
            enqueue(&key, 3, &message("a/b", "waits")),
            retain(client, client),
        ]);
    }
}

/// Everything there is.
fn everything<F: Factory>(subject: &Subject<'_, F>) -> (Vec<Contents>, Vec<String>) {
    let contents = CLIENTS
        .iter()
        .map(|client| subject.contents(client, "n"))
        .collect();
    (contents, subject.retained_topics(None))
}

pub(super) fn all_is_there_after_opening_again<F: Factory>(mut subject: Subject<'_, F>) {
    furnish(&subject);
    let wanted = everything(&subject);
    for _ in 0..3 {
        subject.reopen();
        assert_eq!(everything(&subject), wanted);
    }
}

/// Also when it happened on top of what was there after an earlier crash.
pub(super) fn all_is_there_after_a_crash<F: Factory>(mut subject: Subject<'_, F>) {
    furnish(&subject);
    for round in 0..3 {
        let wanted = everything(&subject);
        subject.crash();
        assert_eq!(everything(&subject), wanted);
        subject.commit([
            retain("round", &round.to_string()),
            drop_session(&key("a", 7)),
        ]);
    }
    assert_eq!(subject.contents("a", "n"), Contents::default());
}

pub(super) fn what_was_removed_stays_removed<F: Factory>(mut subject: Subject<'_, F>) {
    furnish(&subject);
    let (one, other) = (key("a", 7), key("a:b", 7));
    subject.commit([
        drop_session(&one),
        unsubscribe(&other, "a/+"),
        unsubscribe(&other, "b/#"),
        dequeue(&other, 1),
        dequeue(&other, 2),
        released(&other, packet_id(7)),
        released(&other, packet_id(8)),
        drop_will(&other),
        drop_retained("a"),
        // Removed and put again: not gone.
        dequeue(&other, 3),
        enqueue(&other, 3, &message("a/b", "again")),
    ]);
    subject.reopen();
    assert_eq!(subject.contents("a", "n"), Contents::default());
    let found = subject.contents("a:b", "n");
    assert_eq!(found.outgoing, [waiting(3, &message("a/b", "again"))]);
    assert_eq!(
        (found.subscriptions, found.incoming, found.will),
        (vec![], vec![], None)
    );
    assert_eq!(subject.retained_topics(None), ["a:b", "é"]);
}

/// What comes after opening again takes its place behind what was there, and replaces it where it
/// has the same name.
pub(super) fn numbers_go_on_after_opening_again<F: Factory>(mut subject: Subject<'_, F>) {
    let (earlier, key, later) = (key("c", 6), key("c", 7), key("c", 8));
    subject.commit([put_session(&key), enqueue(&key, 2, &message("a", "two"))]);
    subject.reopen();
    subject.commit([enqueue(&key, 3, &message("a", "three"))]);
    subject.reopen();
    subject.commit([
        enqueue(&key, 1, &message("a", "one")),
        enqueue(&key, 2, &message("a", "other two")),
        subscribe(&key, "a", 1),
        received(&key, packet_id(1)),
    ]);
    subject.reopen();
    assert_eq!(subject.queued_texts("c"), ["one", "other two", "three"]);
    // The incarnation is known as well.
    subject.commit([put_session(&earlier), drop_session(&earlier)]);
    assert_eq!(subject.sequences("c"), [1, 2, 3]);
    subject.commit([put_session(&later)]);
    subject.reopen();
    assert_eq!(subject.sequences("c"), [] as [u64; 0]);
}

/// Promise 11: what another version has written is neither read nor changed, and who is to help is
/// told what was found and what is understood.
pub(super) fn a_place_of_another_format_is_refused<F: Factory>(mut subject: Subject<'_, F>) {
    furnish(&subject);
    let wanted = everything(&subject);
    let mut understood = None;
    for version in [7_654_321, 0, u32::MAX] {
        let Some(known) = subject.spoil_version(version) else {
            return;
        };
        assert_ne!(known, version);
        assert_eq!(*understood.get_or_insert(known), known);
        for _ in 0..2 {
            let Err(error) = subject.open_again() else {
                panic!("version {version} was opened, where {known} is understood");
            };
            for number in [version, known] {
                assert!(
                    error.contains(&number.to_string()),
                    "{error:?} does not speak of version {number}"
                );
            }
        }
    }
    // Refused is not damaged: with its own version back it is as it was.
    if let Some(known) = understood {
        subject.spoil_version(known);
        assert_eq!(subject.open_again(), Ok(()));
        assert_eq!(everything(&subject), wanted);
    }
}
