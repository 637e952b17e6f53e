//! N publishers, each to a subscriber of its own. Closed loop.

use clap::Args;

use crate::audience::Pairs;
use crate::cli::{Closed, Common, Load};
use crate::failure::Failure;
use crate::figures::Figures;
use crate::flow::{self, Plan};

/// Arguments of `pairs`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Publishers, and subscribers
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    pairs: u32,
    #[command(flatten)]
    load: Load,
    #[command(flatten)]
    closed: Closed,
    #[command(flatten)]
    pub common: Common,
}

/// Runs it.
pub fn run(arguments: &Arguments) -> Result<Figures, Failure> {
    let pairs = arguments.pairs as usize;
    let topics = |index| format!("{}pair/{index}", arguments.common.topic_prefix);
    let window = arguments.closed.window(pairs, arguments.load.payload);
    let plan = Plan {
        scenario: "pairs",
        topics: (0..pairs).map(topics).collect(),
        filters: (0..pairs).map(|index| vec![topics(index)]).collect(),
        window,
        source_window: window,
    };
    flow::run(
        &arguments.common,
        &arguments.load,
        &arguments.closed,
        plan,
        Pairs::new(pairs),
    )
}
