//! Large amounts: what takes a store seconds instead of milliseconds if its costs are quadratic.

use core::fmt::Debug;

use super::Factory;
use super::draw::Draw;
use super::samples::{SEED, drop_session, enqueue, key, message, put_session};
use super::subject::{Contents, Subject};
use crate::persistence::Operation;

/// How much the cases on large amounts ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scale {
    /// Messages in the queue of one session.
    pub queued_messages: usize,
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
    /// Bytes of the largest payload.
    pub payload_bytes: usize,
}

impl Scale {
    /// What a store is expected to bear.
    pub const FULL: Self = Self {
        queued_messages: 100_000,
        batch_operations: 10_000,
        batches_under_way: 300,
        sessions: 10_000,
        retained_messages: 400,
        observed_changes: 200,
        payload_bytes: 1 << 20,
    };
}

/// Operations in a batch and records in a page where neither is what a case is about.
const CHUNK: usize = 1_000;

/// Fills the queue of a session with numbers in the order given.
fn fill<F: Factory>(subject: &Subject<'_, F>, client: &str, numbers: &[u64]) {
    let key = key(client, 1);
    let message = message("a/b", "one of many");
    subject.commit([put_session(&key)]);
    for chunk in numbers.chunks(CHUNK) {
        subject.commit(chunk.iter().map(|number| enqueue(&key, *number, &message)));
    }
}

/// Reads the queue of a session in pages and compares the numbers.
fn assert_queue<F: Factory>(subject: &Subject<'_, F>, client: &str, wanted: &[u64]) {
    let mut found = Vec::with_capacity(wanted.len());
    let mut after = None;
    loop {
        let page = subject.outgoing_page(client, after, CHUNK);
        assert!(
            page.len() <= CHUNK,
            "a page of {} where {CHUNK} were asked for",
            page.len()
        );
        let Some(last) = page.last() else { break };
        after = Some(last.sequence);
        found.extend(page.iter().map(|outgoing| outgoing.sequence));
    }
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

/// Promise 4, on a queue that no one would want whole.
pub(super) fn a_long_queue_is_read_in_pages<F: Factory>(subject: Subject<'_, F>) {
    let numbers: Vec<u64> = (1..=subject.scale().queued_messages as u64).collect();
    fill(&subject, "c", &numbers);
    assert_queue(&subject, "c", &numbers);
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
