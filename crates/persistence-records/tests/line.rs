//! The line in which batches wait for their writer: order, bounds, and who gives up.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use broker_core::persistence::{Answer, Operation, PersistenceError};
use persistence_records::{GroupLimits, Line, Waiting};
use proptest::prelude::*;

const ALL: GroupLimits = GroupLimits {
    batches: usize::MAX,
    operations: usize::MAX,
    bytes: usize::MAX,
};

const LONG: Duration = Duration::from_secs(60);

fn line(batches: usize) -> Line {
    Line::new("the store", batches, usize::MAX)
}

/// A batch that can be told from others.
fn batch(name: usize, operations: usize) -> Vec<Operation> {
    let topic = || name.to_string().into();
    let one = || Operation::DropRetained { topic: topic() };
    std::iter::repeat_with(one).take(operations).collect()
}

fn names<'a>(group: impl IntoIterator<Item = &'a Waiting>) -> Vec<usize> {
    let name = |one: &Waiting| match one.operations.first()? {
        Operation::DropRetained { topic } => topic.parse().ok(),
        _ => None,
    };
    group.into_iter().filter_map(name).collect()
}

/// Looks once whether there is an answer.
fn look<F: Future>(future: F) -> Option<F::Output> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

struct Unpark(thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        thread::park_timeout(LONG);
    }
}

#[test]
fn a_full_line_keeps_callers_waiting_in_their_order_and_refuses_nobody() {
    let line = line(2);
    let mut answers: Vec<Answer<()>> = (0..10).map(|name| line.push(batch(name, 1))).collect();
    assert_eq!(line.len(), 2);
    for answer in &mut answers {
        assert!(look(answer).is_none());
    }
    let mut taken = Vec::new();
    while !line.is_empty() {
        let group = line.take(&GroupLimits { batches: 1, ..ALL });
        assert!(line.len() <= 2);
        taken.extend(names(&group));
        group.into_iter().for_each(|one| one.answer(Ok(())));
    }
    assert_eq!(taken, (0..10).collect::<Vec<_>>());
    for answer in answers {
        look(answer).expect("an answer").unwrap();
    }
}

#[test]
fn what_waits_behind_the_line_goes_with_who_waits_for_it() {
    let line = line(1);
    let mut answers: Vec<_> = (0..5).map(|name| Some(line.push(batch(name, 1)))).collect();
    // The first is in the line, and nobody has to wait for it there.
    answers[0] = None;
    answers[2] = None;
    answers[4] = None;
    assert_eq!(names(&line.take(&ALL)), [0, 1, 3]);
}

#[test]
fn a_million_that_were_given_up_take_no_room() {
    let line = line(1);
    let first = line.push(batch(0, 1));
    let waits = line.push(batch(1, 1));
    for name in 2..1_000_000 {
        drop(line.push(batch(name, 0)));
    }
    let text = format!("{line:?}");
    assert!(text.len() < 10_000, "{} bytes", text.len());
    assert_eq!(names(&line.take(&ALL)), [0, 1]);
    drop((first, waits));
}

#[test]
fn a_batch_larger_than_all_room_is_let_in_alone() {
    let line = Line::new("the store", 10, 100);
    let answers = [
        line.push(batch(0, 1_000)),
        line.push(batch(1, 1)),
        line.push(batch(2, 1_000)),
    ];
    assert_eq!(line.len(), 1);
    assert_eq!(names(&line.take(&GroupLimits { bytes: 1, ..ALL })), [0]);
    assert_eq!(names(&line.take(&GroupLimits { bytes: 1, ..ALL })), [1]);
    assert_eq!(names(&line.take(&GroupLimits { bytes: 1, ..ALL })), [2]);
    drop(answers);
}

#[test]
fn a_group_is_bounded_and_never_empty() {
    let line = line(100);
    let answers = [1, 1, 3, 100, 0, 0, 0].map(|operations| line.push(batch(7, operations)));
    let take = |limits| {
        let group = line.take(&limits);
        group
            .iter()
            .map(|one| one.operations.len())
            .collect::<Vec<_>>()
    };
    let most = |operations| GroupLimits { operations, ..ALL };
    assert_eq!(take(GroupLimits { batches: 2, ..ALL }), [1, 1]);
    assert_eq!(take(most(50)), [3]);
    assert_eq!(take(most(50)), [100]);
    // An empty one costs an answer.
    assert_eq!(take(most(2)), [0, 0]);
    assert_eq!(take(GroupLimits { batches: 0, ..ALL }), [0]);
    assert!(take(ALL).is_empty());
    drop(answers);
}

#[test]
fn a_line_that_is_closed_says_so_and_gives_out_what_it_has() {
    let line = line(1);
    let first = line.push(batch(1, 1));
    let behind = line.push(batch(2, 1));
    line.close();
    let refused = look(line.push(batch(3, 1))).expect("an answer");
    assert_eq!(
        refused.unwrap_err().to_string(),
        "the store is unavailable: the store was closed"
    );
    assert!(!line.is_done());
    let group = line.take(&ALL);
    assert_eq!(names(&group), [1, 2]);
    assert!(line.is_done());
    // A writer that ends without an answer.
    drop(group);
    for answer in [first, behind] {
        let outcome = look(answer).expect("an answer");
        assert!(matches!(outcome, Err(PersistenceError::Unavailable(_))));
    }
}

#[test]
fn what_is_put_back_comes_first_and_keeps_its_time() {
    let line = line(3);
    let answers: Vec<_> = (0..5).map(|name| line.push(batch(name, 1))).collect();
    let group = line.take(&GroupLimits { batches: 2, ..ALL });
    let since: Vec<_> = group.iter().map(Waiting::since).collect();
    line.put_back(group.into_iter());
    assert_eq!(line.len(), 5);
    let overdue = line.take_overdue(Duration::ZERO);
    assert_eq!(names(&overdue), [0, 1, 2, 3, 4]);
    assert_eq!(overdue[0].since(), since[0]);
    assert_eq!(overdue[1].since(), since[1]);
    assert!(line.take_overdue(Duration::ZERO).is_empty());
    drop(answers);
}

#[test]
fn a_thread_waits_for_as_many_as_it_wants_or_for_what_else_there_will_be() {
    let line = line(3);
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            line.wait(3, LONG);
            line.len()
        });
        let answers: Vec<_> = (0..3).map(|name| line.push(batch(name, 1))).collect();
        assert_eq!(writer.join().unwrap(), 3);
        // More than find room.
        let writer = scope.spawn(|| line.wait(1_000, LONG));
        let behind = line.push(batch(3, 1));
        writer.join().unwrap();
        line.take(&ALL);
        let writer = scope.spawn(|| line.wait(1_000, LONG));
        line.close();
        writer.join().unwrap();
        drop((answers, behind));
    });
    let open = self::line(3);
    open.wait(1, Duration::from_millis(1));
    assert!(open.is_empty());
}

#[test]
fn a_task_waits_for_as_many_as_it_wants_or_for_what_else_there_will_be() {
    let line = line(3);
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            block_on(line.reached(3));
            line.len()
        });
        let answers: Vec<_> = (0..3).map(|name| line.push(batch(name, 1))).collect();
        assert_eq!(writer.join().unwrap(), 3);
        let writer = scope.spawn(|| block_on(line.reached(1_000)));
        let behind = line.push(batch(3, 1));
        writer.join().unwrap();
        line.take(&ALL);
        let writer = scope.spawn(|| block_on(line.reached(1_000)));
        line.close();
        writer.join().unwrap();
        drop((answers, behind));
    });
}

proptest! {
    /// Whatever comes, is taken and is given up: what is taken is in the order of the calls, and all that
    /// somebody still waits for is taken.
    #[test]
    fn nothing_that_somebody_waits_for_is_lost_or_moved(
        steps in prop::collection::vec((0..3_u8, 0..40_usize), 1..200),
        room in 1..8_usize,
    ) {
        let line = line(room);
        let mut answers: Vec<Option<Answer<()>>> = Vec::new();
        let mut taken = Vec::new();
        for (step, number) in steps {
            match step {
                0 => answers.push(Some(line.push(batch(answers.len(), 1)))),
                1 => if let Some(answer) = answers.get_mut(number) {
                    *answer = None;
                },
                _ => taken.extend(names(&line.take(&GroupLimits { batches: number % 4, ..ALL }))),
            }
            prop_assert!(line.len() <= room);
        }
        taken.extend(names(&line.take(&ALL)));
        prop_assert!(taken.is_sorted_by(|one, next| one < next));
        let waiting = (0..answers.len()).filter(|name| answers[*name].is_some());
        prop_assert!(waiting.into_iter().all(|name| taken.contains(&name)));
    }
}
