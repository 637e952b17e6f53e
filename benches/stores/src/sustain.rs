//! Writing for minutes, so that the engine writes files and merges them meanwhile: how long a commit takes
//! then, and what the store takes up on the disk.
//!
//! Each caller has a session whose queue is kept at the same length: it commits a message behind, of 100
//! bytes and of 1 KiB in turn, and the removal of the oldest one, so that what was removed piles up in the
//! files; each tenth commit replaces a retained message. In the middle a session with a long queue is
//! dropped. In the end all queues are emptied.

use std::cell::{Cell, RefCell};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use broker_core::persistence::{Operation, Persistence};

use crate::load::{commit, enqueue, key, message, percentiles, put_session};

type Store = Arc<dyn Persistence>;

/// Messages that wait for each session.
const QUEUED: u64 = 500;
const RETAINED: u64 = 10_000;
/// Messages that the session has which is dropped.
const DROPPED: u64 = 300_000;
/// Between two lines.
const WINDOW: Duration = Duration::from_secs(10);

pub struct Course {
    pub callers: usize,
    pub time: Duration,
    /// Commits per second of all callers, as far as the store bears them.
    pub rate: f64,
}

struct State {
    course: Course,
    start: Instant,
    stop: Cell<bool>,
    taken: RefCell<Vec<Duration>>,
}

pub async fn run(store: &Store, folder: &Path, course: Course) {
    commit(
        store,
        (0..course.callers).map(|caller| put_session(key(caller))),
    )
    .await;
    let long = key(course.callers);
    commit(store, [put_session(long.clone())]).await;
    for first in (0..DROPPED).step_by(1_000) {
        let operations = (first..first + 1_000).map(|number| enqueue(long.clone(), number, 100));
        commit(store, operations).await;
    }
    let callers = course.callers;
    let state = Rc::new(State {
        course,
        start: Instant::now(),
        stop: Cell::new(false),
        taken: RefCell::default(),
    });
    println!("begins with {}", on_disk(folder));
    let local = tokio::task::LocalSet::new();
    let ends: Vec<_> = (0..callers)
        .map(|caller| local.spawn_local(call(Arc::clone(store), caller, Rc::clone(&state))))
        .collect();
    let all = local.run_until(windows(store, folder, &state, long)).await;
    local.await;
    let length = state.start.elapsed().as_secs_f64();
    println!(
        "all: {:.0} /s, {}",
        all.len() as f64 / length,
        percentiles(&all)
    );
    for (caller, end) in ends.into_iter().enumerate() {
        let next = end.await.expect("a caller");
        let rest = (next.saturating_sub(QUEUED)..next).map(|sequence| Operation::Dequeue {
            session: key(caller),
            sequence,
        });
        commit(store, rest).await;
    }
    println!("queues are empty: {}", on_disk(folder));
}

/// Commits until it is to stop; gives its next number.
async fn call(store: Store, caller: usize, state: Rc<State>) -> u64 {
    let every = Duration::from_secs_f64(state.course.callers as f64 / state.course.rate);
    let mut due = state.start + every.mul_f64(caller as f64 / state.course.callers as f64);
    let mut next = 0;
    while !state.stop.get() {
        tokio::time::sleep_until(due.into()).await;
        // What could not be done in time is not made up for.
        due = (due + every).max(Instant::now());
        let size = if next % 2 == 0 { 100 } else { 1_024 };
        let mut operations = vec![enqueue(key(caller), next, size)];
        if let Some(oldest) = next.checked_sub(QUEUED) {
            operations.push(Operation::Dequeue {
                session: key(caller),
                sequence: oldest,
            });
        }
        if next % 10 == 0 {
            let topic = (next / 10 * state.course.callers as u64 + caller as u64) % RETAINED;
            operations.push(Operation::PutRetained {
                message: message(&format!("site/device-{topic}/value"), size),
            });
        }
        let begin = Instant::now();
        commit(&store, operations).await;
        state.taken.borrow_mut().push(begin.elapsed());
        next += 1;
    }
    next
}

/// Prints what each while was like; gives how long all commits took.
async fn windows(
    store: &Store,
    folder: &Path,
    state: &State,
    long: broker_core::persistence::SessionKey,
) -> Vec<Duration> {
    let mut all = Vec::new();
    let mut dropped = false;
    while state.start.elapsed() < state.course.time {
        tokio::time::sleep(WINDOW).await;
        let mut taken = state.taken.take();
        taken.sort_unstable();
        println!(
            "{:>4.0} s: {:>6.0} /s, {}; {}",
            state.start.elapsed().as_secs_f64(),
            taken.len() as f64 / WINDOW.as_secs_f64(),
            percentiles(&taken),
            on_disk(folder)
        );
        all.extend(taken);
        if !dropped && state.start.elapsed() > state.course.time / 2 {
            dropped = true;
            let session = long.clone();
            commit(store, [Operation::DropSession { session }]).await;
            println!("a session with {DROPPED} messages was dropped");
        }
    }
    state.stop.set(true);
    all.sort_unstable();
    all
}

/// What compacting a store makes of it that was emptied.
pub fn compacted(folder: &Path) {
    println!("closed: {}", on_disk(folder));
    let mut go_on = |_| std::ops::ControlFlow::Continue(());
    persistence_fjall::maintenance::compact(folder, &mut go_on).expect("to compact");
    println!("compacted: {}", on_disk(folder));
}

/// Bytes of journals and of files, as they take up space.
fn on_disk(folder: &Path) -> String {
    let (mut journals, mut files) = ((0, 0), (0, 0));
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(folder) else {
            continue;
        };
        for entry in entries.flatten() {
            let Ok(data) = entry.metadata() else { continue };
            let path = entry.path();
            if data.is_dir() {
                folders.push(path);
                continue;
            }
            let is_journal = path.extension().is_some_and(|end| end == "jnl");
            let count = if is_journal {
                &mut journals
            } else {
                &mut files
            };
            count.0 += 1;
            // What was reserved and not written takes up nothing.
            count.1 += std::os::unix::fs::MetadataExt::blocks(&data) * 512;
        }
    }
    let mebibytes = |bytes: u64| bytes as f64 / (1 << 20) as f64;
    format!(
        "{} journals {:.0} MiB, {} files {:.0} MiB",
        journals.0,
        mebibytes(journals.1),
        files.0,
        mebibytes(files.1)
    )
}
