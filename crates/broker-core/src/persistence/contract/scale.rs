//! Large amounts: what takes a store minutes instead of seconds if its costs are quadratic.

use core::fmt::Debug;
use core::ops::Range;
use std::sync::Arc;

use super::Factory;
use super::draw::Draw;
use super::samples::{
    SEED, dequeue, drop_session, enqueue, key, mark, message, packet_id, put_session, retain,
};
use super::subject::{Contents, Subject, text};
use crate::Message;
use crate::persistence::{InflightStage, Operation, SessionKey, StoredOutgoing};

/// How much the cases on large amounts ask for, and how long those take that go on until something
/// has been seen.
///
/// There are two levels: [`FULL`](Self::FULL) for stores inside of the process, and
/// [`SERVER`](Self::SERVER) for those that every call takes a network to. A store's tests should take
/// a minute with the level that they choose. A single number may be changed where it is the only one
/// that takes long:
///
/// ```
/// use broker_core::persistence::contract::Scale;
///
/// let scale = Scale { fan_out: 1_000, ..Scale::SERVER };
/// assert!(scale.fan_out < Scale::FULL.fan_out);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scale {
    /// Messages in the queue of one session, where they come and go in any order.
    pub queued_messages: usize,
    /// Messages in the queue of one session, where it is read from one end to the other.
    pub streamed_messages: usize,
    /// Sessions that one large message waits for.
    pub fan_out: usize,
    /// Retained messages among which filters find few; 10,000 at least.
    pub searched_messages: usize,
    /// Operations in one batch.
    pub batch_operations: usize,
    /// Batches handed over before any answer is looked at; 10,000 at most.
    pub batches_under_way: u64,
    /// Sessions.
    pub sessions: usize,
    /// Retained messages that drawn filters are tried on.
    pub retained_messages: usize,
    /// Changes that a reader must have seen before a case on concurrent readers ends.
    pub observed_changes: usize,
    /// Batches of drawn operations that are compared with a model.
    pub model_batches: usize,
    /// Bytes of the largest payload.
    pub payload_bytes: usize,
}

impl Scale {
    /// What a store inside of the process is expected to bear.
    pub const FULL: Self = Self {
        queued_messages: 100_000,
        streamed_messages: 1_000_000,
        fan_out: 10_000,
        searched_messages: 1_000_000,
        batch_operations: 10_000,
        batches_under_way: 300,
        sessions: 10_000,
        retained_messages: 400,
        observed_changes: 200,
        model_batches: 1_000,
        payload_bytes: 1 << 20,
    };

    /// The same for a store behind a network: the fan-out and the sizes of batches and payloads are
    /// the same; of what is written record by record and call by call there is less.
    pub const SERVER: Self = Self {
        queued_messages: 20_000,
        streamed_messages: 100_000,
        searched_messages: 100_000,
        batches_under_way: 150,
        sessions: 5_000,
        observed_changes: 40,
        model_batches: 200,
        ..Self::FULL
    };
}

/// Operations in a batch and records in a page where neither is what a case is about.
const CHUNK: usize = 1_000;

/// Operations in a batch where there are very many.
const LARGE_CHUNK: usize = 10_000;

/// Fills the queue of a session with numbers in the order given.
fn fill<F: Factory>(subject: &Subject<'_, F>, client: &str, numbers: &[u64]) {
    let key = key(client, 1);
    let message = message("a/b", "one of many");
    subject.commit([put_session(&key)]);
    for chunk in numbers.chunks(CHUNK) {
        subject.commit(chunk.iter().map(|number| enqueue(&key, *number, &message)));
    }
}

/// Hands the pages of a queue to `each`, one after the other.
fn walk<F: Factory>(
    subject: &Subject<'_, F>,
    client: &str,
    mut each: impl FnMut(Vec<StoredOutgoing>),
) {
    let mut after = None;
    loop {
        let page = subject.outgoing_page(client, after, CHUNK);
        let len = page.len();
        assert!(len <= CHUNK, "a page of {len} where {CHUNK} were asked for");
        let Some(last) = page.last() else { break };
        assert!(after != Some(last.sequence), "the same page again");
        after = Some(last.sequence);
        each(page);
    }
}

/// Reads the queue of a session in pages and compares the numbers.
fn assert_queue<F: Factory>(subject: &Subject<'_, F>, client: &str, wanted: &[u64]) {
    let mut found = Vec::with_capacity(wanted.len());
    walk(subject, client, |page| {
        found.extend(page.iter().map(|outgoing| outgoing.sequence));
    });
    assert_same(&found, wanted);
    let queue = subject.queue(client);
    assert_eq!(
        (queue.messages, queue.last),
        (wanted.len() as u64, wanted.last().copied())
    );
}

/// Compares long lists without printing them.
fn assert_same<T: PartialEq + Debug>(found: &[T], wanted: &[T]) {
    let difference = found
        .iter()
        .zip(wanted)
        .position(|(found, wanted)| found != wanted);
    assert_eq!(
        difference.map(|at| (at, &found[at], &wanted[at])),
        None,
        "position, found, wanted"
    );
    assert_eq!(found.len(), wanted.len());
}

/// Promise 7, at a cost in proportion to the queue at most.
pub(super) fn a_long_queue_is_dropped_at_once<F: Factory>(subject: Subject<'_, F>) {
    let numbers: Vec<u64> = (1..=subject.scale().queued_messages as u64).collect();
    fill(&subject, "c", &numbers);
    fill(&subject, "d", &numbers[..10]);
    subject.commit([drop_session(&key("c", 1))]);
    assert_eq!(subject.contents("c", "n"), Contents::default());
    assert_queue(&subject, "d", &numbers[..10]);
}

/// Promise 4: half a queue drawn in any order, taken out again in any order.
pub(super) fn a_long_queue_takes_any_order<F: Factory>(subject: Subject<'_, F>) {
    let mut draw = Draw::new(SEED);
    let mut numbers: Vec<u64> = (1..=subject.scale().queued_messages as u64 / 2).collect();
    let key = key("c", 1);
    draw.shuffle(&mut numbers);
    fill(&subject, "c", &numbers);

    draw.shuffle(&mut numbers);
    let mut kept = numbers.split_off(numbers.len() / 2);
    for chunk in numbers.chunks(CHUNK) {
        let dequeue = |number: &u64| Operation::Dequeue {
            session: key.clone(),
            sequence: *number,
        };
        subject.commit(chunk.iter().map(dequeue));
    }
    kept.sort_unstable();
    assert_queue(&subject, "c", &kept);
}

/// Promise 4, on a queue that no one would want whole: it is read page by page, each message being
/// one of its own, and emptied from the front, as by a client that has come back; what has not been
/// read yet stays, and the front is found however much was in front of it.
pub(super) fn a_long_queue_is_streamed_and_emptied_from_the_front<F: Factory>(
    subject: Subject<'_, F>,
) {
    let key = key("c", 1);
    let count = subject.scale().streamed_messages as u64;
    subject.commit([put_session(&key)]);
    for first in (1..=count).step_by(LARGE_CHUNK) {
        let numbers = first..(first + LARGE_CHUNK as u64).min(count + 1);
        let of = |number: u64| enqueue(&key, number, &message("a/b", number.to_string()));
        subject.commit(numbers.map(of));
    }
    let mut next = 1;
    walk(&subject, "c", |page| {
        for outgoing in page {
            assert_eq!(outgoing.sequence, next);
            let found = outgoing.message.as_ref().map(text);
            assert_eq!(found, Some(next.to_string()));
            next += 1;
        }
    });
    assert_eq!(next, count + 1);

    // Half of it goes, and the next page is always at the front.
    let mut first = 1;
    while first <= count / 2 {
        let numbers = first..first + (count / 10).min(LARGE_CHUNK as u64);
        first = numbers.end;
        subject.commit(numbers.map(|number| dequeue(&key, number)));
        let page = subject.outgoing_page("c", None, 10);
        let wanted = first..(first + page.len() as u64);
        assert!(!page.is_empty() && page.iter().map(|one| one.sequence).eq(wanted));
    }
    subject.commit([drop_session(&key)]);
    assert_eq!(subject.outgoing_page("c", None, 10), []);
}

/// Promise 8, of a large message for very many sessions: it takes its room once, and gives it back
/// when the last of them has dequeued it, has PUBREC for it, or is dropped.
pub(super) fn a_large_message_for_very_many_is_stored_once<F: Factory>(subject: Subject<'_, F>) {
    let keys: Vec<SessionKey> = (0..subject.scale().fan_out)
        .map(|number| key(&format!("c{number:05}"), 1))
        .collect();
    let size = subject.scale().payload_bytes;
    let shared = message("a/b", vec![0xA5; size]);
    for chunk in keys.chunks(LARGE_CHUNK) {
        subject.commit(chunk.iter().map(put_session));
    }
    let before = subject.stored_message_bytes();
    let grown = || {
        let now = subject.stored_message_bytes();
        before
            .zip(now)
            .map_or(0, |(before, now)| now.saturating_sub(before))
    };
    // One batch, since the promise is about one.
    subject.commit(keys.iter().map(|key| enqueue(key, 1, &shared)));
    assert!(
        grown() < 2 * size as u64,
        "{} bytes for one message of {size}",
        grown()
    );
    let mut keys = keys;
    let last = keys.pop();
    for (at, chunk) in keys.chunks(keys.len() / 5 + 1).enumerate() {
        subject.commit(chunk.iter().map(|key| match at % 3 {
            0 => dequeue(key, 1),
            1 => drop_session(key),
            _ => mark(key, 1, packet_id(1), InflightStage::Released),
        }));
        assert!(
            grown() < 2 * size as u64,
            "{} bytes for one message of {size}",
            grown()
        );
        for key in last.iter() {
            let found = subject.outgoing(&key.client);
            assert!(
                found[0].message.as_deref() == Some(&*shared),
                "it is gone too early"
            );
        }
    }
    if let Some(last) = last {
        subject.commit([dequeue(&last, 1)]);
    }
    assert!(
        grown() < size as u64 / 2,
        "{} bytes although nobody waits",
        grown()
    );
}

/// Topics by number, three levels below one: sites of 100 rooms of 100 devices.
fn device(number: usize) -> String {
    let (site, room, device) = (number / 10_000, number / 100 % 100, number % 100);
    format!("site/{site:03}/{room:02}/{device:02}")
}

/// All pages of what matches; as long as there are more, no page is empty or longer than asked for.
fn in_pages<F: Factory>(
    subject: &Subject<'_, F>,
    filter: &str,
    after: Option<&str>,
    limit: usize,
) -> Vec<Arc<Message>> {
    let mut found: Vec<Arc<Message>> = Vec::new();
    loop {
        let after = found.last().map_or(after, |message| Some(message.topic()));
        let page = subject.retained_page(Some(filter), after, limit);
        assert!(
            page.len() <= limit,
            "{} where {limit} were asked for",
            page.len()
        );
        if page.is_empty() {
            return found;
        }
        assert!(found.last() != page.last(), "the same page again");
        found.extend(page);
    }
}

/// Promises 4 and 9, where few match of very many: by a whole topic, by a wildcard at each level, and
/// in pages from anywhere.
pub(super) fn few_are_found_among_very_many_retained_messages<F: Factory>(subject: Subject<'_, F>) {
    let count = subject.scale().searched_messages;
    let sites = count / 10_000;
    for first in (0..count).step_by(LARGE_CHUNK) {
        let numbers: Range<usize> = first..(first + LARGE_CHUNK).min(count);
        subject.commit(numbers.map(|number| retain(&device(number), &number.to_string())));
    }
    let mut draw = Draw::new(SEED);
    let assert_found = |found: Vec<Arc<Message>>, wanted: Vec<usize>| {
        let wanted: Vec<_> = wanted
            .into_iter()
            .map(|at| (device(at), at.to_string()))
            .collect();
        let found: Vec<_> = found
            .iter()
            .map(|message| (message.topic().to_owned(), text(message)))
            .collect();
        assert_same(&found, &wanted);
    };
    for _ in 0..10 {
        let (number, site) = (draw.below(count), draw.below(sites));
        let (room, last) = (draw.below(100), draw.below(100));
        let at = |site: usize, room: usize, last: usize| site * 10_000 + room * 100 + last;
        assert_found(subject.retained(Some(&device(number))), vec![number]);
        assert_found(
            in_pages(&subject, &format!("site/{site:03}/+/{last:02}"), None, 7),
            (0..100).map(|room| at(site, room, last)).collect(),
        );
        assert_found(
            in_pages(&subject, &format!("site/+/{room:02}/{last:02}"), None, 7),
            (0..sites).map(|site| at(site, room, last)).collect(),
        );
        assert_found(
            in_pages(&subject, &format!("site/{site:03}/{room:02}/#"), None, 33),
            (0..100).map(|last| at(site, room, last)).collect(),
        );
        // A page from anywhere, of all.
        for filter in ["#", "site/#", "+/+/+/+"] {
            let page = subject.retained_page(Some(filter), Some(&device(number)), 5);
            let (wanted, there) = (number + 1..count.min(number + 6), page.len());
            assert!(there > 0 || wanted.is_empty());
            assert_found(page, wanted.take(there).collect());
        }
        assert_found(
            subject.retained(Some(&format!("site/{site:03}/{room:02}"))),
            vec![],
        );
        assert_found(
            subject.retained(Some(&format!("other/{site:03}/+/{last:02}"))),
            vec![],
        );
        assert_found(subject.retained(Some("site")), vec![]);
    }
    // A whole site.
    let site = draw.below(sites);
    let found = in_pages(&subject, &format!("site/{site:03}/#"), None, CHUNK);
    assert_found(found, (site * 10_000..(site + 1) * 10_000).collect());
}
