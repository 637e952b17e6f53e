//! Promises 1 and 3: a batch is applied whole or not at all, in its order, and after those that were
//! committed before it.

use core::future::Future;
use core::pin::Pin;
use core::sync::atomic::{AtomicU64, Ordering};
use core::task::Poll;
use std::thread;

use super::Factory;
use super::draw::Draw;
use super::samples::{
    SEED, dequeue, drop_retained, drop_session, drop_will, enqueue, furnished, key, mark, message,
    packet_id, put_session, put_will, received, released, retain, subscribe, unsubscribe,
};
use super::subject::{Contents, Subject, text};
use crate::persistence::{
    Batch, InflightStage, Operation, Persistence, PersistenceError, SessionKey, StoredSession,
};

/// The client, the topic and the node of the stamps.
const NAME: &str = "stamped";

/// Commits between which a concurrent reader gets its turn.
const TURN: u64 = 64;

/// Writes the same number into every kind of record.
fn stamp(key: &SessionKey, number: u32) -> Vec<Operation> {
    let text = number.to_string();
    vec![
        Operation::PutSession(StoredSession {
            session: key.clone(),
            expiry_interval_secs: number,
            disconnected_at: None,
        }),
        subscribe(key, "a/b", number),
        enqueue(key, 1, &message("a/b", &text)),
        retain(NAME, &text),
        put_will(key, NAME, &text),
    ]
}

/// The records that a stamp is written to.
const KINDS: usize = 5;

/// Reads the number back from one kind of record.
fn read_stamp<F: Factory>(subject: &Subject<'_, F>, kind: usize) -> u32 {
    let number = |texts: Vec<String>| match &texts[..] {
        [text] => text.parse().unwrap_or(0),
        _ => panic!("not one record: {texts:?}"),
    };
    match kind {
        0 => subject
            .session(NAME)
            .map_or(0, |session| session.expiry_interval_secs),
        1 => match &subject.subscriptions(NAME)[..] {
            [subscription] => subscription.options.identifier,
            other => panic!("not one subscription: {other:?}"),
        },
        2 => number(subject.queued_texts(NAME)),
        3 => number(subject.retained(Some(NAME)).iter().map(text).collect()),
        _ => number(
            subject
                .wills(NAME)
                .iter()
                .map(|will| text(&will.message))
                .collect(),
        ),
    }
}

fn read_all_stamps<F: Factory>(subject: &Subject<'_, F>) -> Vec<u32> {
    (0..KINDS).map(|kind| read_stamp(subject, kind)).collect()
}

/// Promise 1: the same operations in another order have another effect.
pub(super) fn a_batch_is_applied_in_its_order<F: Factory>(subject: Subject<'_, F>) {
    let key = key("c", 1);
    let message = message("a/b", "x");
    subject.commit([
        put_session(&key),
        subscribe(&key, "gone", 1),
        unsubscribe(&key, "gone"),
        unsubscribe(&key, "here"),
        subscribe(&key, "here", 1),
        enqueue(&key, 1, &message),
        dequeue(&key, 1),
        dequeue(&key, 2),
        enqueue(&key, 2, &message),
        received(&key, packet_id(1)),
        released(&key, packet_id(1)),
        released(&key, packet_id(2)),
        received(&key, packet_id(2)),
        retain("gone", "x"),
        drop_retained("gone"),
        drop_retained("here"),
        retain("here", "x"),
        put_will(&key, "n", "gone"),
        drop_will(&key),
        put_will(&key, "n", "here"),
    ]);
    let found = subject.contents("c", "n");
    assert_eq!(
        found
            .subscriptions
            .iter()
            .map(|one| &*one.filter)
            .collect::<Vec<_>>(),
        ["here"]
    );
    assert_eq!(subject.sequences("c"), [2]);
    assert_eq!(found.incoming, [packet_id(2)]);
    assert_eq!(subject.retained_topics(None), ["here"]);
    assert_eq!(
        found.will.map(|will| text(&will.message)).as_deref(),
        Some("here")
    );

    // A session begins, ends and begins within one batch; only the last beginning counts.
    let mut operations = furnished(&key, "n");
    operations.extend([
        drop_session(&key),
        put_session(&key),
        subscribe(&key, "new", 1),
    ]);
    subject.commit(operations);
    let found = subject.contents("c", "n");
    assert_eq!(
        found
            .subscriptions
            .iter()
            .map(|one| &*one.filter)
            .collect::<Vec<_>>(),
        ["new"]
    );
    assert_eq!(
        (found.outgoing, found.incoming, found.will),
        (vec![], vec![], None)
    );
}

/// The batch is empty when `commit` returns, so that it can be filled again at once.
pub(super) fn a_batch_is_left_empty<F: Factory>(subject: Subject<'_, F>) {
    let mut batch: Batch = furnished(&key("c", 1), "n").into_iter().collect();
    let outcome: Result<(), PersistenceError> = subject.block_on(async {
        let answer = subject.store().commit(&mut batch);
        assert!(batch.is_empty(), "{} operations are left", batch.len());
        answer.await
    });
    assert!(outcome.is_ok(), "{outcome:?}");
    batch.push(subscribe(&key("c", 1), "again", 1));
    subject.ask(|store| store.commit(&mut batch));
    assert_eq!(subject.subscriptions("c").len(), 3);
}

/// Promise 1, of nothing.
pub(super) fn an_empty_batch_changes_nothing<F: Factory>(subject: Subject<'_, F>) {
    subject.commit([]);
    subject.commit(furnished(&key("c", 1), "n"));
    let before = subject.contents("c", "n");
    subject.commit([]);
    assert_eq!(subject.contents("c", "n"), before);
}

/// Promise 1: a thread that reads the kinds of records in any order never finds one of an earlier
/// batch after one of a later batch, so all kinds change in one moment.
pub(super) fn a_reader_never_sees_a_part_of_a_batch<F: Factory>(subject: Subject<'_, F>) {
    let key = key(NAME, 1);
    let write = |number: u64| {
        let mut operations = stamp(&key, number as u32);
        operations.push(released(&key, packet_id(number as u16 - 1)));
        operations.push(received(&key, packet_id(number as u16)));
        subject.commit(operations);
    };
    let mut draw = Draw::new(SEED);
    let mut last = 0;
    let read = || {
        for _ in 0..KINDS {
            let kind = draw.below(KINDS + 1);
            let found = match kind {
                KINDS => match subject.incoming(NAME)[..] {
                    [id] => u32::from(id.get()),
                    ref other => panic!("not one packet identifier: {other:?}"),
                },
                _ => read_stamp(&subject, kind),
            };
            assert!(
                found >= last,
                "kind {kind} is of batch {found}, after one of batch {last}"
            );
            last = found;
        }
        u64::from(last)
    };
    observe(subject.scale().observed_changes, write, read);
}

/// Promise 1: ten messages take the place of ten others, in two queues at once, and a reader finds
/// neither nine nor eleven.
pub(super) fn a_reader_never_sees_a_part_of_one_queue<F: Factory>(subject: Subject<'_, F>) {
    const MESSAGES: u64 = 10;
    let keys = [key("one", 1), key("two", 1)];
    let shared = message("a/b", "x");
    let write = |number: u64| {
        let mut operations = Vec::new();
        for key in &keys {
            operations.push(put_session(key));
            for at in 0..MESSAGES {
                operations.push(enqueue(key, number * MESSAGES + at, &shared));
                operations.push(dequeue(key, (number - 1) * MESSAGES + at));
            }
        }
        subject.commit(operations);
    };
    let mut last = 0;
    let read = || {
        for client in ["two", "one"] {
            let found = subject.sequences_at_once(client);
            let number = found.first().map_or(0, |first| first / MESSAGES);
            let wanted: Vec<u64> = (number * MESSAGES..(number + 1) * MESSAGES).collect();
            assert_eq!(found, wanted, "a part of a batch");
            assert!(number >= last, "batch {number} after batch {last}");
            last = number;
        }
        last
    };
    observe(subject.scale().observed_changes, write, read);
}

/// The node of wills that belong to no session.
const LONE: &str = "lone";

/// The name of what batch `number` puts and the next one removes.
fn passing(kind: &str, number: u64) -> String {
    format!("{kind}/{number:05}")
}

/// The number in such a name.
fn passed(name: &str) -> u64 {
    match name.split('/').nth(1).and_then(|text| text.parse().ok()) {
        Some(number) => number,
        None => panic!("{name:?} has no number"),
    }
}

/// One record of each kind takes the place of another, and one message changes its stage.
fn replacements(number: u64) -> Vec<Operation> {
    let stays = key("stays", 1);
    let (old, new) = (passing("s", number - 1), passing("s", number));
    let lone = |number| key(&passing("w", number), 1);
    let stage = [InflightStage::Published, InflightStage::Released][number as usize % 2];
    let mut operations = furnished(&key(&new, 1), NAME);
    operations.extend([
        drop_session(&key(&old, 1)),
        subscribe(&stays, &new, 1),
        unsubscribe(&stays, &old),
        enqueue(&stays, 1, &message("a", "x")),
        mark(&stays, 1, packet_id(number as u16), stage),
        retain(&new, "x"),
        drop_retained(&old),
        put_will(&lone(number), LONE, "x"),
        drop_will(&lone(number - 1)),
    ]);
    operations
}

/// The kinds of records that [`replacements`] replaces.
const REPLACED: usize = 8;

/// The number of the batch from which one kind of record is; `last` has been seen before.
fn read_replacement<F: Factory>(subject: &Subject<'_, F>, kind: usize, last: u64) -> u64 {
    // The session that was seen last has all that it came with, or nothing.
    let whole_or_gone = |found: usize| match found {
        2 => last,
        0 => last + 1,
        other => panic!("{other} of two"),
    };
    let current = passing("s", last);
    match kind {
        0 => match &subject.sessions(None, 9)[..] {
            [one, other] if &*other.session.client == "stays" => passed(&one.session.client),
            other => panic!("not one session and the one that stays: {other:?}"),
        },
        1 => match &subject.ask(|store| store.subscriptions("stays", None, 9))[..] {
            [one] => passed(&one.filter),
            other => panic!("not one subscription: {other:?}"),
        },
        2 => match &subject.outgoing_page("stays", None, 9)[..] {
            [one] => {
                let Some((id, stage)) = one.inflight else {
                    panic!("it is put and marked in one batch: {one:?}");
                };
                let released = stage == InflightStage::Released;
                let wanted = (id.get() % 2 == 1, id.get() % 2 == 1);
                assert_eq!((released, one.message.is_none()), wanted, "{one:?}");
                id.get().into()
            }
            other => panic!("not one message: {other:?}"),
        },
        3 => match &subject.retained_page(Some("s/+"), None, 9)[..] {
            [one] => passed(one.topic()),
            other => panic!("not one retained message: {other:?}"),
        },
        4 | 5 => {
            let node = [NAME, LONE][kind - 4];
            match &subject.ask(|store| store.wills(node, None, 9))[..] {
                [one] => passed(&one.session.client),
                other => panic!("not one will: {other:?}"),
            }
        }
        6 => whole_or_gone(subject.outgoing_page(&current, None, 9).len()),
        _ => whole_or_gone(subject.incoming(&current).len()),
    }
}

/// Promise 1, of what goes and of what changes its stage: in one batch one session takes the place of
/// another, and so does one record of each other kind. A reader finds one of each, never none, never
/// two, never half of one, and none older than what it has seen.
pub(super) fn a_reader_never_sees_what_is_half_gone<F: Factory>(subject: Subject<'_, F>) {
    let stays = key("stays", 1);
    subject.commit([put_session(&stays)]);
    let write = |number: u64| subject.commit(replacements(number));
    let mut draw = Draw::new(SEED);
    let mut last = 1;
    let read = || {
        for _ in 0..REPLACED {
            let kind = draw.below(REPLACED);
            let number = read_replacement(&subject, kind, last);
            assert!(
                number >= last,
                "kind {kind} is of batch {number}, after one of batch {last}"
            );
            last = number;
        }
        last
    };
    observe(subject.scale().observed_changes, write, read);
}

/// Lets one thread write batches 1, 2, 3 … while another reads; `read` tells which one it saw last.
/// Ends when the reader has seen that many changes, which it is given the time to do.
pub(super) fn observe(changes: usize, write: impl Fn(u64), mut read: impl FnMut() -> u64 + Send) {
    write(1);
    let rounds = AtomicU64::new(0);
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let (mut seen, mut last) = (0, 0);
            while seen < changes {
                let found = read();
                seen += usize::from(found != last);
                last = found;
                rounds.fetch_add(1, Ordering::SeqCst);
            }
        });
        let mut number = 1;
        while !reader.is_finished() {
            let before = rounds.load(Ordering::SeqCst);
            for _ in 0..TURN {
                number += 1;
                assert!(
                    number < u64::from(u16::MAX),
                    "the reader does not see what is written"
                );
                write(number);
            }
            while rounds.load(Ordering::SeqCst) == before && !reader.is_finished() {
                thread::yield_now();
            }
        }
    });
}

/// Promise 3.
pub(super) fn batches_one_after_the_other_apply_in_that_order<F: Factory>(subject: Subject<'_, F>) {
    let key = key(NAME, 1);
    for number in 1..=20 {
        subject.commit(stamp(&key, number));
        assert_eq!(read_all_stamps(&subject), [number; KINDS]);
    }
}

/// Promise 1, where the caller has gone: a batch whose answer was dropped, before it was looked at
/// or after, is there or is not there.
pub(super) fn a_dropped_answer_leaves_all_or_nothing<F: Factory>(subject: Subject<'_, F>) {
    let key = key(NAME, 1);
    subject.commit(stamp(&key, 1));
    let mut last = 1;
    for number in 2..40 {
        let mut batch: Batch = stamp(&key, number).into_iter().collect();
        subject.block_on(async {
            let mut answer = subject.store().commit(&mut batch);
            if number % 2 == 0 {
                let looked_at = |context: &mut core::task::Context<'_>| {
                    Poll::Ready(Pin::new(&mut answer).poll(context).is_ready())
                };
                core::future::poll_fn(looked_at).await;
            }
        });
        // It may come into force between two of these, but not in part.
        for kind in (0..KINDS).chain((0..KINDS).rev()) {
            let found = read_stamp(&subject, kind);
            assert!((last..=number).contains(&found), "{found} after {last}");
            last = found;
        }
    }
}

/// Promise 1, of a large batch.
pub(super) fn ten_thousand_operations_are_one_batch<F: Factory>(subject: Subject<'_, F>) {
    let keys: Vec<SessionKey> = (0..10)
        .map(|number| key(&format!("c{number}"), 1))
        .collect();
    let messages = (subject.scale().batch_operations / keys.len()) as u64;
    let shared = message("a/b", "x");
    let mut operations: Vec<Operation> = keys.iter().map(put_session).collect();
    for sequence in 1..=messages {
        operations.extend(keys.iter().map(|key| enqueue(key, sequence, &shared)));
    }
    subject.commit(operations);
    for key in &keys {
        assert_eq!(
            subject.sequences(&key.client),
            (1..=messages).collect::<Vec<_>>()
        );
    }
    subject.commit(keys.iter().map(drop_session));
    assert!(
        keys.iter()
            .all(|key| subject.contents(&key.client, "n") == Contents::default())
    );
}
