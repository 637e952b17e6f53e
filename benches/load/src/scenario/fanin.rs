//! N publishers on topics of their own; each of M subscribers gets all by a wildcard. Closed loop.

use clap::Args;

use crate::audience::Everybody;
use crate::cli::{Closed, Common, Load};
use crate::failure::Failure;
use crate::figures::Figures;
use crate::flow::{self, Plan};

/// Arguments of `fanin`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Publishers
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    pubs: u32,
    /// Subscribers
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    subs: u32,
    #[command(flatten)]
    load: Load,
    #[command(flatten)]
    closed: Closed,
    #[command(flatten)]
    pub common: Common,
}

/// Runs it.
pub fn run(arguments: &Arguments) -> Result<Figures, Failure> {
    let (publishers, subscribers) = (arguments.pubs as usize, arguments.subs as usize);
    let prefix = &arguments.common.topic_prefix;
    let window = arguments.closed.window(subscribers, arguments.load.payload);
    let plan = Plan {
        scenario: "fanin",
        topics: (0..publishers)
            .map(|index| format!("{prefix}in/{index}"))
            .collect(),
        filters: vec![vec![format!("{prefix}in/#")]; subscribers],
        window,
        // A subscriber's window is shared by all who feed it.
        source_window: window / arguments.pubs,
    };
    flow::run(
        &arguments.common,
        &arguments.load,
        &arguments.closed,
        plan,
        Everybody::new(publishers, subscribers),
    )
}
