//! One topic, N subscribers. Closed loop.

use clap::Args;

use crate::audience::Everybody;
use crate::cli::{Closed, Common, Load};
use crate::failure::Failure;
use crate::figures::Figures;
use crate::flow::{self, Plan};

/// Arguments of `fanout`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Subscribers
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    subs: u32,
    /// Publishers, all to the same topic
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pubs: u32,
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
    let topic = format!("{}out", arguments.common.topic_prefix);
    let window = arguments.closed.window(subscribers, arguments.load.payload);
    let plan = Plan {
        scenario: "fanout",
        topics: vec![topic.clone(); publishers],
        filters: vec![vec![topic]; subscribers],
        window,
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
