//! `load`: puts a load on an MQTT broker from outside, measures it, and checks every delivery.
//!
//! One thread and one event loop (`net.rs`), in whose spare time a crowd works that is there to disturb
//! (`crowd.rs`). The way of a message: encoded beforehand (`block.rs`), sent when the window allows it (`closed_loop.rs`), received and entered into the books
//! (`parties.rs`, `sequences.rs`), judged at the end. Each scenario is a file below `scenario/`.

mod audience;
mod block;
mod city;
mod cli;
mod closed_loop;
mod connection;
mod crowd;
mod dial;
mod failure;
mod feed;
mod figures;
mod flow;
mod latency;
mod meter;
mod nap;
mod net;
mod open_loop;
mod packet_ids;
mod parties;
mod process;
mod scenario;
mod seen;
mod sequences;
mod stamp;
mod subscriptions;

use std::io::Write;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::cli::Common;
use crate::failure::Failure;
use crate::figures::Figures;
use crate::scenario::{
    churn, durable, fanin, fanout, idle, offline, pairs, rate, retained, silent, slow_reader,
    stored, subscribe_storm, unsubscribe, wildcards,
};

/// A load generator that measures MQTT brokers from outside and checks every delivery
///
/// Exit status: 0 all is well; 1 a check failed (messages lost, doubled, out of order, misrouted);
/// 2 wrong arguments; 3 no connection, or the conversation broke.
#[derive(Debug, Parser)]
#[command(name = "load", max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    scenario: Scenario,
}

#[derive(Debug, Subcommand)]
enum Scenario {
    /// N publishers, each to a subscriber of its own
    Pairs(pairs::Arguments),
    /// N publishers on topics of their own; each subscriber gets all by a wildcard
    Fanin(fanin::Arguments),
    /// One topic, N subscribers
    Fanout(fanout::Arguments),
    /// Many wildcard subscriptions, of which each message matches a known number
    Wildcards(wildcards::Arguments),
    /// Pairs at a fixed rate; latency from the time at which a message was due
    Rate(rate::Arguments),
    /// Many connections that do nothing
    Idle(idle::Arguments),
    /// Clients that come, subscribe, publish to themselves and leave
    Churn(churn::Arguments),
    /// Store retained messages, fetch them by wildcards and one by one, clear them
    Retained(retained::Arguments),
    /// Queue messages for clients that are away; they return
    Offline(offline::Arguments),
    /// Subscribe many filters at once, and unsubscribe all of them
    SubscribeStorm(subscribe_storm::Arguments),
    /// A client with many filters gives them up: what does another one notice?
    Unsubscribe(unsubscribe::Arguments),
    /// A client that never reads among fast ones: what do they notice?
    SlowReader(slow_reader::Arguments),
    /// Pairs beside many connections that say nothing, or half of what they should: what do they notice?
    Silent(silent::Arguments),
    /// Publishes to persistent sessions, there or away: how many are acknowledged?
    Durable(durable::Arguments),
    /// Leave retained messages and sessions in the broker's store, or see whether they are there
    Stored(stored::Arguments),
}

impl Scenario {
    fn common(&self) -> &Common {
        match self {
            Self::Pairs(arguments) => &arguments.common,
            Self::Fanin(arguments) => &arguments.common,
            Self::Fanout(arguments) => &arguments.common,
            Self::Wildcards(arguments) => &arguments.common,
            Self::Rate(arguments) => &arguments.common,
            Self::Idle(arguments) => &arguments.common,
            Self::Churn(arguments) => &arguments.common,
            Self::Retained(arguments) => &arguments.common,
            Self::Offline(arguments) => &arguments.common,
            Self::SubscribeStorm(arguments) => &arguments.common,
            Self::Unsubscribe(arguments) => &arguments.common,
            Self::SlowReader(arguments) => &arguments.common,
            Self::Silent(arguments) => &arguments.common,
            Self::Durable(arguments) => &arguments.common,
            Self::Stored(arguments) => &arguments.common,
        }
    }

    fn run(&self) -> Result<Figures, Failure> {
        match self {
            Self::Pairs(arguments) => pairs::run(arguments),
            Self::Fanin(arguments) => fanin::run(arguments),
            Self::Fanout(arguments) => fanout::run(arguments),
            Self::Wildcards(arguments) => wildcards::run(arguments),
            Self::Rate(arguments) => rate::run(arguments),
            Self::Idle(arguments) => idle::run(arguments),
            Self::Churn(arguments) => churn::run(arguments),
            Self::Retained(arguments) => retained::run(arguments),
            Self::Offline(arguments) => offline::run(arguments),
            Self::SubscribeStorm(arguments) => subscribe_storm::run(arguments),
            Self::Unsubscribe(arguments) => unsubscribe::run(arguments),
            Self::SlowReader(arguments) => slow_reader::run(arguments),
            Self::Silent(arguments) => silent::run(arguments),
            Self::Durable(arguments) => durable::run(arguments),
            Self::Stored(arguments) => stored::run(arguments),
        }
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let common = arguments.scenario.common();
    if let Err(failure) = prepare(common) {
        return end_with(&failure);
    }
    match arguments.scenario.run() {
        Ok(figures) => report(&figures, common.json),
        Err(failure) => end_with(&failure),
    }
}

/// As many descriptors as allowed, exact sleeps, and one processor if asked for.
fn prepare(common: &Common) -> Result<(), Failure> {
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < hard
    {
        // If it is refused, connecting fails where the limit is reached, and says so.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
    // The pauses between polls are shorter than the 50 us by which the kernel may round them up.
    let _ = nix::sys::prctl::set_timerslack(1);
    if let Some(processor) = common.pin {
        let mut set = nix::sched::CpuSet::new();
        set.set(processor).map_err(Failure::usage)?;
        nix::sched::sched_setaffinity(nix::unistd::Pid::from_raw(0), &set)
            .map_err(Failure::usage)?;
    }
    Ok(())
}

fn report(figures: &Figures, as_json: bool) -> ExitCode {
    let text = if as_json {
        figures.to_json() + "\n"
    } else {
        figures.to_table()
    };
    // A reader that has gone away does not change what was found.
    let _ = std::io::stdout().write_all(text.as_bytes());
    for error in figures.errors() {
        complain(error);
    }
    ExitCode::from(u8::from(!figures.errors().is_empty()))
}

fn end_with(failure: &Failure) -> ExitCode {
    complain(&failure.to_string());
    ExitCode::from(failure.exit_status())
}

fn complain(reason: &str) {
    let _ = writeln!(std::io::stderr(), "load: {reason}");
}
