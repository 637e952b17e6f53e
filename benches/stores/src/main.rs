//! What stores bear: durable commits by one caller and by many, the drain of a long queue, the start
//! with much in the store; and what the engine of the store on disk does by itself on the same disk.
//!
//! `cargo run --release -- [--store fjall|memory|raw] [--seconds N] [--dir PATH] [--small]` prints a line
//! for each figure. Another store is one more arm of [`open`].

mod load;
mod raw;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use broker_core::persistence::Persistence;
use persistence_fjall::{FjallOptions, FjallPersistence};
use persistence_memory::MemoryPersistence;

/// As in the command.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Callers that commit at the same time.
const CALLERS: [usize; 3] = [1, 64, 1_000];

/// A store by its name, in a folder or a database of its own; opened again, it has what it had.
fn open(name: &str, folder: &Path) -> Arc<dyn Persistence> {
    match name {
        "fjall" => {
            let store = FjallPersistence::open(folder, FjallOptions::default());
            Arc::new(store.unwrap_or_else(|error| panic!("{error}")))
        }
        "memory" => Arc::new(MemoryPersistence::new()),
        _ => panic!("there is no store {name:?}"),
    }
}

struct Arguments {
    stores: Vec<String>,
    time: Duration,
    folder: PathBuf,
    small: bool,
}

fn arguments() -> Arguments {
    let mut chosen = Arguments {
        stores: ["raw", "fjall", "memory"].map(str::to_owned).into(),
        time: Duration::from_secs(5),
        folder: std::env::temp_dir(),
        small: false,
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().expect("the option wants a value");
        match argument.as_str() {
            "--store" => chosen.stores = vec![value()],
            "--seconds" => {
                let seconds = value().parse().expect("--seconds wants a number");
                chosen.time = Duration::from_secs(seconds);
            }
            "--dir" => chosen.folder = value().into(),
            "--small" => chosen.small = true,
            other => panic!("there is no option {other}"),
        }
    }
    chosen
}

fn main() {
    let Arguments {
        stores,
        time,
        folder,
        small,
    } = arguments();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    let new = || tempfile::tempdir_in(&folder).expect("a folder");
    for name in &stores {
        if name == "raw" {
            CALLERS
                .iter()
                .for_each(|callers| raw::commits(new().path(), *callers, time));
            continue;
        }
        for callers in CALLERS {
            let folder = new();
            let store = open(name, folder.path());
            runtime.block_on(load::commits(name, &store, callers, time));
        }
        let folder = new();
        let store = open(name, folder.path());
        runtime.block_on(load::drain(name, &store, 100_000));
        drop(store);
        // What does not outlive its process has nothing to start with.
        if name != "memory" {
            let (sessions, retained) = if small {
                (10_000, 100_000)
            } else {
                (100_000, 1_000_000)
            };
            let folder = new();
            let store = open(name, folder.path());
            runtime.block_on(load::fill(&store, sessions, retained));
            drop(store);
            let start = std::time::Instant::now();
            let store = open(name, folder.path());
            let opened = start.elapsed();
            runtime.block_on(load::list(name, &store, opened));
        }
    }
}
