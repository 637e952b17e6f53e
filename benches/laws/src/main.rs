//! How the cost of what a broker does grows with what it holds, in one process and without sockets.
//!
//! `cargo run --release -- [--out FILE] [--only TEXT] [--max SIZE]` prints a table of each law with the
//! exponent of its growth over the last step and over all: 0 says that the size does not matter, 1 that
//! the cost grows with it, 2 that it is quadratic. `--out` writes the points as JSON, from which
//! `cargo xtask bench --peers` draws its plots. Each cost is the best of several rounds, so that
//! whatever else runs on the machine disturbs little.

mod deadlines;
mod law;
mod matching;
mod queue;
mod retained;
mod shared;
mod subscriptions;
mod time;

use law::Law;

/// As in the command.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures one law, up to this size.
type Measure = fn(usize) -> Law;

const LAWS: [(&str, Measure); 15] = [
    ("match", matching::matches),
    ("retained exact", retained::look_up),
    ("retained first", retained::first),
    ("subscribe", subscriptions::subscribe),
    ("leave", subscriptions::leave),
    ("overlap", subscriptions::overlap),
    ("connect", deadlines::connect),
    ("idle", deadlines::idle),
    ("session expiry", deadlines::expiry_storm),
    ("will", deadlines::will_storm),
    ("queue push", queue::push),
    ("queue take", queue::take),
    ("shared away", shared::away),
    ("shared choice", shared::connected),
    ("shared come and go", shared::come_and_go),
];

fn main() {
    let mut out = None;
    let mut only = String::new();
    let mut max = 1_000_000;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let value = arguments.next();
        match (argument.as_str(), value) {
            ("--out", Some(file)) => out = Some(file),
            ("--only", Some(text)) => only = text,
            ("--max", Some(size)) => max = size.parse().expect("--max wants a number"),
            _ => panic!("usage: laws [--out FILE] [--only TEXT] [--max SIZE]"),
        }
    }
    let mut laws = Vec::new();
    for (name, measure) in LAWS {
        if name.contains(&only) {
            let law = measure(max);
            println!("{law}");
            laws.push(law);
        }
    }
    if let Some(file) = out {
        std::fs::write(&file, law::json(&laws)).expect("the file can be written");
    }
}
