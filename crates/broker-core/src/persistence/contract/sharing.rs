//! Promises 1 to 8 where two handles are open on one place, as two processes have them: each sees
//! what the other writes, and neither spoils the other's work. Where a place has one handle at a
//! time, these cases see that the second is refused, and that the first does not notice.

use std::sync::Arc;
use std::thread;

use super::Factory;
use super::batches::observe;
use super::samples::{
    dequeue, drop_retained, drop_session, drop_will, enqueue, furnished, key, mark, message,
    packet_id, put_session, received, released, retain, session, subscribe, unsubscribe,
};
use super::subject::{Contents, Subject, text};
use crate::Message;
use crate::persistence::{InflightStage, Operation, SessionKey};

/// Both handles, or none where the second one was refused.
fn both<F: Factory>(subject: Subject<'_, F>) -> Option<[Subject<'_, F>; 2]> {
    subject.commit(furnished(&key("first", 1), "n"));
    let before = subject.contents("first", "n");
    let second = subject.second();
    if second.is_none() {
        // Twice, since a refusal must not take the place from the first one.
        assert!(subject.second().is_none());
        assert_eq!(subject.contents("first", "n"), before);
    }
    subject.commit([drop_session(&key("first", 1))]);
    assert_eq!(subject.contents("first", "n"), Contents::default());
    second.map(|second| [subject, second])
}

/// Promise 2, for who looks from elsewhere: sessions, subscriptions, queues with their stages, packet
/// identifiers, retained messages and wills, in both directions, as they come and as they go.
pub(super) fn a_second_handle_finds_what_the_first_wrote<F: Factory>(subject: Subject<'_, F>) {
    let Some([one, other]) = both(subject) else {
        return;
    };
    for (round, [writer, reader]) in [[&one, &other], [&other, &one], [&one, &other]]
        .into_iter()
        .enumerate()
    {
        let key = key(&format!("c{round}"), 1);
        let client = &*key.client;
        let assert_same = |wanted_sessions: usize| {
            let found = reader.contents(client, "n");
            assert_eq!(found, writer.contents(client, "n"));
            assert_eq!(reader.clients(), writer.clients());
            assert_eq!(reader.clients().len(), wanted_sessions);
            assert_eq!(reader.retained(Some("a/#")), writer.retained(Some("a/#")));
            found
        };
        assert_same(0);
        writer.commit(furnished(&key, "n"));
        assert_eq!(assert_same(1).session, Some(session(&key)));
        writer.commit([
            unsubscribe(&key, "a/+"),
            subscribe(&key, "b/#", 7),
            mark(&key, 1, packet_id(1), InflightStage::Released),
            mark(&key, 2, packet_id(2), InflightStage::Published),
            enqueue(&key, 3, &message("a/b", "waits")),
            released(&key, packet_id(7)),
            retain("a/b", client),
            retain("a/c", client),
        ]);
        let found = assert_same(1);
        assert_eq!(found.subscriptions.len(), 1);
        assert_eq!(reader.sequences(client), [1, 2, 3]);
        assert_eq!(found.incoming, [packet_id(8)]);
        assert_eq!(reader.retained(Some("a/+")).len(), 2);
        // The reader writes to what the writer has put there.
        reader.commit([
            dequeue(&key, 1),
            received(&key, packet_id(9)),
            drop_will(&key),
            drop_retained("a/b"),
        ]);
        let found = assert_same(1);
        assert_eq!(reader.sequences(client), [2, 3]);
        assert_eq!((found.incoming.len(), found.will), (2, None));
        assert_eq!(writer.retained_topics(None), ["a/c"]);
        reader.commit([drop_session(&key), drop_retained("a/c")]);
        assert_eq!(assert_same(0), Contents::default());
    }
}

/// Promise 1, for who looks from elsewhere.
pub(super) fn a_second_handle_sees_no_part_of_a_batch<F: Factory>(subject: Subject<'_, F>) {
    const TOPICS: u32 = 5;
    let Some([writer, reader]) = both(subject) else {
        return;
    };
    let keys = [key("one", 1), key("two", 1)];
    let write = |number: u64| {
        let shared = message("a/b", number.to_string());
        let mut operations: Vec<Operation> = (0..TOPICS)
            .map(|topic| retain(&format!("t/{topic}"), &number.to_string()))
            .collect();
        for key in &keys {
            operations.extend([put_session(key), subscribe(key, "f", number as u32)]);
            for at in 0..10 {
                operations.push(enqueue(key, number * 10 + at, &shared));
                operations.push(dequeue(key, (number - 1) * 10 + at));
            }
        }
        writer.commit(operations);
    };
    let mut last = 0;
    let read = || {
        // Each of these is of one batch, and none of an earlier one than was seen before.
        let queue = reader.sequences_at_once("two");
        let number = queue.first().map_or(0, |first| first / 10);
        assert!(queue.into_iter().eq(number * 10..(number + 1) * 10));
        let topics: Vec<u64> = reader
            .retained(Some("t/+"))
            .iter()
            .filter_map(|message| text(message).parse().ok())
            .collect();
        assert!(topics == [topics[0]; TOPICS as usize], "{topics:?}");
        let identifier = u64::from(reader.subscriptions("one")[0].options.identifier);
        assert!(last <= number && number <= topics[0] && topics[0] <= identifier);
        last = identifier;
        last
    };
    observe(writer.scale().observed_changes / 4, write, read);
}

/// Promises 1, 3 and 6: each writes to sessions of its own and both to the same topics. What is found
/// at the end is whole, in order, and the same through both.
pub(super) fn two_handles_write_at_the_same_time<F: Factory>(subject: Subject<'_, F>) {
    const TOPICS: u64 = 3;
    let Some(handles) = both(subject) else {
        return;
    };
    let rounds = handles[0].scale().batches_under_way / 3;
    thread::scope(|scope| {
        for (at, handle) in handles.iter().enumerate() {
            scope.spawn(move || {
                let keys = [key(&format!("{at} one"), 1), key(&format!("{at} two"), 1)];
                handle.commit(keys.iter().map(put_session));
                for number in 1..=rounds {
                    let shared = message("a/b", format!("{at} {number}"));
                    let mut operations: Vec<Operation> = keys
                        .iter()
                        .map(|key| enqueue(key, number, &shared))
                        .collect();
                    operations.push(subscribe(&keys[0], &format!("f/{number:05}"), 1));
                    operations.push(dequeue(&keys[1], number / 2));
                    let topic = format!("t/{}", number % TOPICS);
                    operations.push(Operation::PutRetained {
                        message: message(&topic, format!("{at} {number}")),
                    });
                    handle.commit(operations);
                }
            });
        }
    });
    let [one, other] = &handles;
    for at in 0..2 {
        for (client, first) in [("one", 1), ("two", rounds / 2 + 1)] {
            let client = format!("{at} {client}");
            let found = one.contents(&client, "n");
            assert_eq!(found, other.contents(&client, "n"));
            assert!(
                one.sequences(&client).into_iter().eq(first..=rounds),
                "{client}"
            );
            let wanted = (first..=rounds).map(|number| format!("{at} {number}"));
            assert!(one.queued_texts(&client).into_iter().eq(wanted), "{client}");
        }
        let filters = one.subscriptions(&format!("{at} one"));
        assert_eq!(filters.len() as u64, rounds);
    }
    let retained = one.retained(Some("t/+"));
    assert_eq!(retained, other.retained(Some("t/+")));
    assert_eq!(retained.len() as u64, TOPICS);
    for message in retained {
        let text = text(&message);
        let number: u64 = text
            .split(' ')
            .nth(1)
            .and_then(|text| text.parse().ok())
            .unwrap_or(0);
        assert!(number + TOPICS > rounds, "{text:?} is nobody's last word");
    }
}

/// Promises 5 and 7: a client that starts anew elsewhere ends what it had here; what the first handle
/// says of it afterwards is late.
pub(super) fn a_session_moves_from_one_handle_to_the_other<F: Factory>(subject: Subject<'_, F>) {
    let Some([one, other]) = both(subject) else {
        return;
    };
    let (earlier, later) = (key("c", 1), key("c", 2));
    one.commit(furnished(&earlier, "n"));
    other.commit([put_session(&later), subscribe(&later, "new", 1)]);
    let wanted = one.contents("c", "n");
    assert_eq!(wanted.session, Some(session(&later)));
    assert_eq!((wanted.subscriptions.len(), wanted.outgoing.len()), (1, 0));
    one.commit([
        enqueue(&earlier, 9, &message("a/b", "late")),
        subscribe(&earlier, "late", 1),
        received(&earlier, packet_id(1)),
        drop_session(&earlier),
        put_session(&earlier),
    ]);
    assert_eq!(one.contents("c", "n"), wanted);
    assert_eq!(other.contents("c", "n"), wanted);
    // Back again, with what it has.
    one.commit([enqueue(&later, 1, &message("a/b", "x"))]);
    other.commit([dequeue(&later, 1), enqueue(&later, 2, &message("a/b", "y"))]);
    assert_eq!(one.queued_texts("c"), ["y"]);
    one.commit([drop_session(&later)]);
    assert_eq!(other.contents("c", "n"), Contents::default());
}

/// Promise 8: two handles take a message out of many queues at the same time, each half of them;
/// whoever still waits for it has it, and with the last one it is gone.
pub(super) fn a_message_is_freed_with_the_last_whichever_handle_drops_it<F: Factory>(
    subject: Subject<'_, F>,
) {
    const SESSIONS: usize = 40;
    let Some(handles) = both(subject) else {
        return;
    };
    let [one, other] = &handles;
    let size = one.scale().payload_bytes / 4;
    let keys: Vec<SessionKey> = (0..SESSIONS)
        .map(|at| key(&format!("c{at:03}"), 1))
        .collect();
    // Two messages of the same content, one written through each handle, in the same queues.
    let shared: Vec<Arc<Message>> = (0..2).map(|_| message("a/b", vec![0x5A; size])).collect();
    one.commit(keys.iter().map(put_session));
    let before = one.stored_message_bytes();
    let grown = || {
        let now = one.stored_message_bytes();
        before
            .zip(now)
            .map_or(0, |(before, now)| now.saturating_sub(before))
    };
    for (at, handle) in handles.iter().enumerate() {
        let sequence = at as u64 + 1;
        handle.commit(keys.iter().map(|key| enqueue(key, sequence, &shared[at])));
    }
    assert!(
        grown() <= 4 * size as u64,
        "{} bytes for two messages of {size}",
        grown()
    );
    let (last, rest) = (&keys[SESSIONS - 1], &keys[..SESSIONS - 1]);
    thread::scope(|scope| {
        for (at, handle) in handles.iter().enumerate() {
            scope.spawn(move || {
                for (number, key) in rest.iter().enumerate() {
                    // One of the two messages by each handle, and one session in five whole.
                    let sequence = ((at + number) % 2) as u64 + 1;
                    handle.commit([match number % 5 {
                        0 => drop_session(key),
                        1 => mark(key, sequence, packet_id(1), InflightStage::Released),
                        _ => dequeue(key, sequence),
                    }]);
                }
            });
        }
    });
    for handle in &handles {
        let found = handle.outgoing(&last.client);
        let messages: Vec<_> = found.iter().filter_map(|one| one.message.clone()).collect();
        assert!(messages == shared, "the last one has them no longer");
    }
    one.commit([dequeue(last, 2)]);
    assert!(other.outgoing(&last.client)[0].message.as_deref() == Some(&*shared[0]));
    assert!(
        grown() <= 2 * size as u64,
        "{} bytes for one message of {size}",
        grown()
    );
    other.commit([drop_session(last)]);
    assert!(
        grown() < size as u64,
        "{} bytes although nobody waits",
        grown()
    );
}
