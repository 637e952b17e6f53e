//! What stores bear: durable commits by one caller and by many, the drain of a long queue, the start
//! with much in the store; and what the engine below a store does by itself on the same disk.
//!
//! `cargo run --release -- [--store NAME] [--callers N] [--seconds N] [--dir PATH] [--small | --commits]`
//! prints a line for each figure. `--broker N` measures a broker over the store on disk instead, with N
//! sessions and a queue of N messages. Another store is one more file in `arm`.
//!
//! With `--rounds N` the store on disk and its engine by itself take turns, N times for each number of
//! callers: see [`turns`]. With `--sustain RATE` that many commits per second go on for `--seconds`: see
//! [`sustain`].

mod arm;
mod broker;
mod engine;
mod load;
mod sustain;
mod turns;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use broker_core::persistence::Persistence;
use persistence_fjall::{FjallOptions, FjallPersistence};
use tempfile::TempDir;

/// As in the command.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

struct Arguments {
    stores: Vec<String>,
    /// Callers that commit at the same time.
    callers: Vec<usize>,
    time: Duration,
    folder: PathBuf,
    /// Less to drain, and to start with.
    small: bool,
    /// Nothing but commits.
    commits: bool,
    /// Sessions of a broker that is measured instead of stores.
    broker: Option<usize>,
    /// Turns of the store on disk and its engine.
    rounds: usize,
    /// Commits per second to go on with.
    sustain: Option<f64>,
}

fn arguments() -> Arguments {
    let mut chosen = Arguments {
        stores: arm::NAMES.map(str::to_owned).into(),
        callers: vec![1, 64, 1_000],
        time: Duration::from_secs(5),
        folder: std::env::temp_dir(),
        small: false,
        commits: false,
        broker: None,
        rounds: 0,
        sustain: None,
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().expect("the option wants a value");
        match argument.as_str() {
            "--store" => chosen.stores = vec![value()],
            "--callers" => {
                chosen.callers = vec![value().parse().expect("--callers wants a number")]
            }
            "--seconds" => {
                let seconds = value().parse().expect("--seconds wants a number");
                chosen.time = Duration::from_secs_f64(seconds);
            }
            "--rounds" => chosen.rounds = value().parse().expect("--rounds wants a number"),
            "--sustain" => {
                chosen.sustain = Some(value().parse().expect("--sustain wants a number"));
            }
            "--dir" => chosen.folder = value().into(),
            "--broker" => chosen.broker = Some(value().parse().expect("--broker wants a number")),
            "--small" => chosen.small = true,
            "--commits" => chosen.commits = true,
            other => panic!("there is no option {other}"),
        }
    }
    chosen
}

fn main() {
    let mut given = std::env::args_os().skip(1);
    if given.next().is_some_and(|first| first == broker::SERVE) {
        let folder = given.next().expect("a folder");
        return broker::serve(Path::new(&folder));
    }
    let arguments = arguments();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    if let Some(sessions) = arguments.broker {
        let folder = tempfile::tempdir_in(&arguments.folder).expect("a folder");
        return broker::run(folder.path(), sessions, &runtime);
    }
    if let Some(rate) = arguments.sustain {
        return sustain(&runtime, &arguments, rate);
    }
    if arguments.rounds > 0 {
        return turns(&runtime, &arguments);
    }
    for name in &arguments.stores {
        for callers in &arguments.callers {
            commits(&runtime, &arguments, name, *callers);
        }
        if !arguments.commits {
            drain(&runtime, &arguments, name);
            start(&runtime, &arguments, name);
        }
    }
}

fn open_fjall(folder: &TempDir) -> Arc<dyn Persistence> {
    let store = FjallPersistence::open(folder.path(), FjallOptions::default());
    Arc::new(store.unwrap_or_else(|error| panic!("{error}")))
}

fn sustain(runtime: &tokio::runtime::Runtime, arguments: &Arguments, rate: f64) {
    let folder = tempfile::tempdir_in(&arguments.folder).expect("a folder");
    let store = open_fjall(&folder);
    let course = sustain::Course {
        callers: 64,
        time: arguments.time,
        rate,
    };
    runtime.block_on(sustain::run(&store, folder.path(), course));
    drop(store);
    sustain::compacted(folder.path());
}

fn turns(runtime: &tokio::runtime::Runtime, arguments: &Arguments) {
    let rounds = turns::Rounds {
        count: arguments.rounds,
        time: arguments.time,
    };
    for callers in arguments.callers.iter().copied() {
        let new = || tempfile::tempdir_in(&arguments.folder).expect("a folder");
        let (own, raw) = (new(), new());
        let store = open_fjall(&own);
        runtime.block_on(turns::compare(&store, raw.path(), callers, &rounds));
    }
}

/// The store between two halves of the time for its engine: what else the machine does changes meanwhile.
fn commits(runtime: &tokio::runtime::Runtime, arguments: &Arguments, name: &str, callers: usize) {
    let time = arguments.time;
    let place = arm::new(name, &arguments.folder);
    let before = place.raw(callers, time / 2);
    let place_of_store = arm::new(name, &arguments.folder);
    let (commits, rate) = runtime.block_on(async {
        let store = place_of_store.open().await;
        load::commits(name, &store, callers, time).await
    });
    if let Some(spent) = place_of_store.spent(commits) {
        println!("{name:8} its engine, for the store      {spent}");
    }
    drop(place_of_store);
    let place = arm::new(name, &arguments.folder);
    let after = place.raw(callers, time / 2);
    if let (Some(before), Some(after)) = (before, after) {
        let raw = (before + after) / 2.0;
        println!(
            "{name:8} its engine, {callers:>5} in a batch  {raw:>10.0} /s   ({before:.0}, {after:.0}); the store has {:.2} of it",
            rate / raw
        );
    }
}

fn drain(runtime: &tokio::runtime::Runtime, arguments: &Arguments, name: &str) {
    let place = arm::new(name, &arguments.folder);
    let messages = if arguments.small { 10_000 } else { 100_000 };
    runtime.block_on(async {
        let store = place.open().await;
        load::drain(name, &store, messages).await;
    });
}

fn start(runtime: &tokio::runtime::Runtime, arguments: &Arguments, name: &str) {
    let place = arm::new(name, &arguments.folder);
    if !place.outlives_process() {
        return;
    }
    let (sessions, retained) = if arguments.small {
        (10_000, 100_000)
    } else {
        (100_000, 1_000_000)
    };
    runtime.block_on(async {
        let store = place.open().await;
        load::fill(&store, sessions, retained).await;
        drop(store);
        let start = Instant::now();
        let store = place.open().await;
        load::list(name, &store, start.elapsed()).await;
    });
}
