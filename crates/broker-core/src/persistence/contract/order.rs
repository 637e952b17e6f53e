//! Promise 3: batches apply in the order in which they were handed over, however many are under way,
//! whoever hands them over, and whoever still waits for the answers.
//!
//! The batches are links of a chain: each one writes a record of each kind under its own number, and
//! overwrites that of its predecessor. If any two went the wrong way round, so did two neighbours,
//! and the later one's mark on the earlier one's records is missing.

use core::future::Future;
use core::ops::RangeInclusive;
use core::pin::Pin;
use core::task::Poll;
use std::sync::Mutex;
use std::thread;

use super::Factory;
use super::draw::Draw;
use super::samples::{
    SEED, enqueue, key, message, packet_id, put_session, put_will, received, released, retain,
    subscribe,
};
use super::subject::{Subject, text};
use crate::persistence::{
    Answer, Operation, Persistence, SessionKey, StoredOutgoing, StoredSession,
};

/// Sessions that the links are spread over, so that a store that works on several at once is found.
const SESSIONS: u64 = 7;

/// The session that every link leaves a message in.
const LOG: &str = "log";

/// The node of the wills.
const NODE: &str = "n";

/// Whose subscription and message a link writes.
fn owner(number: u64) -> SessionKey {
    key(&format!("owner {}", number % SESSIONS), 1)
}

/// The client whose session and will a link writes.
fn own_client(number: u64) -> String {
    format!("own {number:05}")
}

fn own_filter(number: u64) -> String {
    format!("f/{number:05}")
}

fn own_topic(number: u64) -> String {
    format!("t/{number:05}")
}

/// What is there before the first link.
fn prepare<F: Factory>(subject: &Subject<'_, F>) {
    subject.commit([put_session(&key(LOG, 1))]);
    subject.commit((0..SESSIONS).map(|number| put_session(&owner(number))));
}

/// A record of each kind under the name of `at`, with the number of the link that wrote it.
fn mark(at: u64, link: u64) -> Vec<Operation> {
    let (owner, own, link_text) = (owner(at), key(&own_client(at), 1), link.to_string());
    vec![
        Operation::PutSession(StoredSession {
            session: own.clone(),
            expiry_interval_secs: link as u32,
            disconnected_at: None,
        }),
        put_will(&own, NODE, &link_text),
        subscribe(&owner, &own_filter(at), link as u32),
        enqueue(&owner, at, &message("a/b", &link_text)),
        retain(&own_topic(at), &link_text),
    ]
}

/// One batch of the chain; links count from 1.
fn link(number: u64) -> Vec<Operation> {
    let log = key(LOG, 1);
    let mut operations = mark(number - 1, number);
    operations.extend(mark(number, number));
    operations.extend([
        released(&log, packet_id(number as u16 - 1)),
        received(&log, packet_id(number as u16)),
        enqueue(&log, number, &message("a/b", number.to_string())),
    ]);
    operations
}

/// The number of the link that wrote last under this name, in each kind of record.
fn marks<F: Factory>(subject: &Subject<'_, F>, at: u64) -> [Option<u64>; 5] {
    let owner = owner(at);
    let parsed = |text: String| text.parse().ok();
    let before = |name: fn(u64) -> String| at.checked_sub(1).map(name);
    let will = subject.ask(|store| store.wills(NODE, before(own_client).as_deref(), 1));
    let will = will
        .iter()
        .find(|will| *will.session.client == *own_client(at));
    let filter = before(own_filter);
    let subscription =
        subject.ask(|store| store.subscriptions(&owner.client, filter.as_deref(), 1));
    let subscription = subscription
        .iter()
        .find(|one| *one.filter == *own_filter(at));
    let queued = subject.outgoing_page(&owner.client, at.checked_sub(1), 1);
    let queued = queued.iter().find(|one| one.sequence == at);
    let retained = subject.retained(Some(&own_topic(at)));
    [
        subject
            .session(&own_client(at))
            .map(|session| session.expiry_interval_secs.into()),
        will.and_then(|will| parsed(text(&will.message))),
        subscription.map(|one| one.options.identifier.into()),
        queued.and_then(|one| parsed(text(one.message.as_ref()?))),
        retained.first().and_then(|message| parsed(text(message))),
    ]
}

/// All links that are found in the log.
fn logged<F: Factory>(subject: &Subject<'_, F>) -> Vec<u64> {
    let mut found: Vec<u64> = Vec::new();
    loop {
        let page = subject.outgoing_page(LOG, found.last().copied(), 1_000);
        let Some(last) = page.last() else {
            return found;
        };
        assert!(found.last() != Some(&last.sequence), "the same page again");
        found.extend(page.iter().map(|outgoing| outgoing.sequence));
    }
}

/// That the chain is there up to `last` and nothing of what follows.
fn assert_chain<F: Factory>(subject: &Subject<'_, F>, last: u64) {
    assert!(logged(subject).into_iter().eq(1..=last));
    for at in 0..last {
        let wanted = [Some(at + 1); 5];
        assert_eq!(marks(subject, at), wanted, "the records of link {at}");
    }
    let (newest, after) = if last == 0 {
        (None, 0)
    } else {
        (Some(last), last + 1)
    };
    assert_eq!(
        marks(subject, last),
        [newest; 5],
        "of the last link, {last}"
    );
    assert_eq!(
        marks(subject, after.max(1)),
        [None; 5],
        "behind the last link, {last}"
    );
    let ids: Vec<_> = (last > 0)
        .then(|| packet_id(last as u16))
        .into_iter()
        .collect();
    assert_eq!(subject.incoming(LOG), ids);
}

/// Hands over links of the chain, where the factory runs futures.
fn hand_over<F: Factory>(
    subject: &Subject<'_, F>,
    numbers: RangeInclusive<u64>,
) -> Vec<(u64, Answer<()>)> {
    let start = |number| (number, subject.start(link(number)));
    numbers.map(start).collect()
}

/// Promise 3, from one thread: all are handed over before any answer is looked at, and then the
/// answers are looked at in any order.
pub(super) fn batches_under_way_apply_in_the_order_of_their_calls<F: Factory>(
    subject: Subject<'_, F>,
) {
    let links = subject.scale().batches_under_way;
    let mut draw = Draw::new(SEED);
    prepare(&subject);
    let mut answers = hand_over(&subject, 1..=links);
    draw.shuffle(&mut answers);
    for (number, answer) in answers {
        let outcome = subject.block_on(answer);
        assert!(outcome.is_ok(), "link {number}: {outcome:?}");
    }
    assert_chain(&subject, links);
}

/// Promise 3, from several threads: a lock makes the order of the calls known; the answers are
/// awaited by whoever gets to it.
pub(super) fn the_order_of_calls_holds_across_threads<F: Factory>(subject: Subject<'_, F>) {
    let links = subject.scale().batches_under_way;
    prepare(&subject);
    let next = Mutex::new(1);
    thread::scope(|scope| {
        for thread in 0..4_usize {
            let (subject, next) = (&subject, &next);
            scope.spawn(move || {
                let mut answers = Vec::new();
                loop {
                    let mut number = next.lock().unwrap_or_else(|error| error.into_inner());
                    if *number > links {
                        break;
                    }
                    // The first four go round, so that each thread has some, however threads run.
                    if (1..=4).contains(&*number) && *number != thread as u64 + 1 {
                        drop(number);
                        thread::yield_now();
                        continue;
                    }
                    answers.extend(hand_over(subject, *number..=*number));
                    *number += 1;
                    drop(number);
                    // Some wait at once for what they handed over, some for a few, some for all.
                    if answers.len() >= [1, 2, 16, usize::MAX][thread] {
                        settle(subject, &mut answers);
                    }
                    thread::yield_now();
                }
                settle(subject, &mut answers);
            });
        }
    });
    assert_chain(&subject, links);
}

/// Waits for all, the last ones first: they must not keep the others from going on.
fn settle<F: Factory>(subject: &Subject<'_, F>, answers: &mut Vec<(u64, Answer<()>)>) {
    while let Some((number, answer)) = answers.pop() {
        let outcome = subject.block_on(answer);
        assert!(outcome.is_ok(), "link {number}: {outcome:?}");
    }
}

/// Promise 3: once an answer is `Ok`, lookups see that batch and all before it, whatever else is
/// under way.
pub(super) fn what_was_answered_is_seen_with_all_before_it<F: Factory>(subject: Subject<'_, F>) {
    let links = subject.scale().batches_under_way;
    let mut draw = Draw::new(SEED);
    prepare(&subject);
    let mut answers = hand_over(&subject, 1..=links);
    let mut seen = 0;
    while !answers.is_empty() {
        let (number, answer) = answers.remove(draw.below(answers.len()));
        assert!(subject.block_on(answer).is_ok());
        let found = logged(&subject);
        let last = found.last().copied().unwrap_or_default();
        assert!(
            found.into_iter().eq(1..=last),
            "links are missing before {last}"
        );
        assert!(
            last >= number.max(seen),
            "up to {last} after {number} was answered"
        );
        seen = last;
        // Both marks of this link, which a later one may have overwritten.
        let own = marks(&subject, number - 1);
        assert_eq!(own, [Some(number); 5], "link {number} was answered");
        let own = marks(&subject, number);
        assert!(
            own.iter()
                .all(|mark| mark.is_some_and(|mark| mark >= number)),
            "{own:?}"
        );
    }
    assert_chain(&subject, links);
}

/// Promise 3, where callers have gone: a batch whose answer was dropped, before it was looked at or
/// after, is there or is not, and those that follow apply in their order all the same.
pub(super) fn a_dropped_answer_does_not_move_the_others<F: Factory>(subject: Subject<'_, F>) {
    let links = subject.scale().batches_under_way;
    let is_dropped = |number: u64| number % 3 == 1 && number < links;
    prepare(&subject);
    let mut answers = Vec::new();
    for number in 1..=links {
        let handed_over = hand_over(&subject, number..=number);
        for (number, mut answer) in handed_over {
            if !is_dropped(number) {
                answers.push((number, answer));
            } else if number % 2 == 0 {
                subject.block_on(core::future::poll_fn(|context| {
                    Poll::Ready(Pin::new(&mut answer).poll(context).is_ready())
                }));
            }
        }
    }
    settle(&subject, &mut answers);
    let found = logged(&subject);
    for number in (1..=links).filter(|number| !is_dropped(*number)) {
        assert!(found.contains(&number), "link {number} is missing");
        let marks = marks(&subject, number - 1);
        assert_eq!(
            marks,
            [Some(number); 5],
            "link {number} came before its predecessor"
        );
    }
}

/// Promises 2 and 3: what is there after a crash, or after the handle was dropped, in the middle of
/// it all, is a beginning of the chain, and no shorter than what was answered.
pub(super) fn after_a_crash_a_prefix_of_the_batches_is_there<F: Factory>(
    mut subject: Subject<'_, F>,
) {
    let links = subject.scale().batches_under_way / 3;
    prepare(&subject);
    let mut first = 1;
    for round in [1, 2, 0] {
        let mut answers = hand_over(&subject, first..=first + links);
        let rest = answers.split_off(answers.len() * round / 3);
        let answered = answers.last().map_or(first - 1, |(number, _)| *number);
        settle(&subject, &mut answers);
        drop(rest);
        let is_image = subject.crash();
        let found = logged(&subject);
        let last = found.last().copied().unwrap_or_default();
        assert!(
            found.into_iter().eq(1..=last),
            "links are missing before {last}"
        );
        assert!(last >= answered, "{last}, although {answered} was answered");
        if !is_image {
            // What the dropped handle was given may still be on its way.
            return;
        }
        assert_chain(&subject, last);
        first = last + 1;
    }
}

/// Promises 3 and 4, as a broker with many publishers has it: each publisher hands over its messages
/// in order, some at a time; each receiver's numbers are drawn before, so that batches may come in
/// another order than the numbers. Whoever reads a queue meanwhile finds a beginning of what each
/// publisher has sent, without a gap.
pub(super) fn the_order_per_client_and_topic_holds_while_many_publish<F: Factory>(
    subject: Subject<'_, F>,
) {
    const PUBLISHERS: usize = 4;
    const CLIENTS: [&str; 3] = ["one", "one:", "two"];
    let messages = subject.scale().batches_under_way / 3;
    subject.commit(CLIENTS.map(|client| put_session(&key(client, 1))));
    let sequences = Mutex::new([0; CLIENTS.len()]);
    let publish = |publisher: usize| {
        let mut answers = Vec::new();
        for number in 1..=messages {
            let shared = message(&format!("t/{publisher}"), number.to_string());
            let mut drawn = [0; CLIENTS.len()];
            {
                let mut next = sequences.lock().unwrap_or_else(|error| error.into_inner());
                next.iter_mut().for_each(|next| *next += 1);
                drawn.copy_from_slice(&*next);
            }
            let each = CLIENTS.iter().zip(drawn);
            let enqueue = each.map(|(client, at)| enqueue(&key(client, 1), at, &shared));
            let answer = subject.start(enqueue);
            answers.push((number, answer));
            if answers.len() > publisher * 3 {
                settle(&subject, &mut answers);
            }
        }
        settle(&subject, &mut answers);
    };
    // How many of each publisher's messages have arrived.
    let arrived = |client: &str, from: &[StoredOutgoing]| {
        let mut arrived = [0; PUBLISHERS];
        for message in from.iter().filter_map(|one| one.message.as_ref()) {
            let publisher = message.topic().split('/').nth(1);
            let publisher: usize = publisher.and_then(|text| text.parse().ok()).unwrap_or(0);
            arrived[publisher] += 1;
            assert_eq!(
                text(message),
                arrived[publisher].to_string(),
                "for {client:?}"
            );
        }
        arrived
    };
    thread::scope(|scope| {
        let publish = &publish;
        let publishers: Vec<_> = (0..PUBLISHERS)
            .map(|publisher| scope.spawn(move || publish(publisher)))
            .collect();
        let mut before = [[0; PUBLISHERS]; CLIENTS.len()];
        while !publishers.iter().all(|publisher| publisher.is_finished()) {
            for (client, before) in CLIENTS.iter().zip(&mut before) {
                let found = arrived(client, &subject.outgoing_page(client, None, 10_000));
                let mut pairs = found.iter().zip(&*before);
                assert!(
                    pairs.all(|(now, before)| now >= before),
                    "{before:?}, then {found:?}"
                );
                *before = found;
            }
        }
    });
    for client in CLIENTS {
        assert_eq!(
            arrived(client, &subject.outgoing(client)),
            [messages; PUBLISHERS]
        );
    }
}
