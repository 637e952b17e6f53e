//! The steps whose instructions are counted. `cargo xtask instructions` builds this program and runs
//! it under callgrind.
//!
//! `instructions` prints the names of the steps and how often each is to be taken, and
//! `instructions NAME COUNT` takes one of them so often. A caller that does so for two counts and
//! subtracts has the cost of the steps alone: whatever else the program does, it does in both runs.

#![expect(
    clippy::print_stdout,
    clippy::expect_used,
    reason = "a program that measures and prints; a step that does not what it is named for must stop it"
)]

mod decode;
mod encode;
mod matching;
mod routing;
mod sessions;

use std::process::ExitCode;

/// As in the command: what memory costs is a part of what a step costs.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// One thing that is done again and again.
struct Step {
    name: &'static str,
    /// How often it is to be taken to be measured: a multiple of the rounds after which it repeats
    /// itself, and little for one that takes long.
    count: u32,
    /// Prepares everything and gives the step, which may be taken without an end.
    prepare: fn() -> Box<dyn FnMut()>,
}

const fn step(name: &'static str, count: u32, prepare: fn() -> Box<dyn FnMut()>) -> Step {
    Step {
        name,
        count,
        prepare,
    }
}

/// All steps. A name stays what it is, or its history is lost.
const STEPS: [Step; 28] = [
    step("decode_publish_v311", 1_000, decode::publish_v311),
    step("decode_publish_v5", 1_000, decode::publish_v5),
    step(
        "decode_publish_v5_properties",
        1_000,
        decode::publish_properties,
    ),
    step("decode_subscribe_v5", 1_000, decode::subscribe),
    step("decode_connect_v5", 1_000, decode::connect),
    step("encode_publish_v5", 1_000, encode::publish),
    step("match_exact", 2_000, matching::exact),
    step("match_wildcards", 2_000, matching::wildcards),
    step("match_nothing", 2_000, matching::nothing),
    step("retained_exact", 2_000, matching::retained_exact),
    step("retained_plus", 2_000, matching::retained_plus),
    step("publish_qos_0", 1_000, routing::qos_0),
    step("publish_qos_1", 1_000, routing::qos_1),
    step("publish_qos_2", 1_000, routing::qos_2),
    step("publish_qos_1_v5", 1_000, routing::qos_1_v5),
    step("publish_qos_1_stored", 1_000, routing::qos_1_stored),
    step("publish_qos_2_stored", 1_000, routing::qos_2_stored),
    step("publish_to_nobody", 1_000, routing::to_nobody),
    step("publish_many_topics", 2_000, routing::many_topics),
    step("publish_retained", 2_000, routing::retained),
    step("publish_shared", 1_000, routing::shared),
    step("fan_out_100_qos_0", 100, routing::fan_out_qos_0),
    step("fan_out_100_qos_1", 100, routing::fan_out_qos_1),
    step("publish_16_in_a_batch", 100, routing::batch),
    step("connect_disconnect", 1_000, sessions::connect),
    step("resume_and_leave", 1_000, sessions::resume),
    step("subscribe_unsubscribe", 1_000, sessions::subscribe),
    step("ping", 1_000, sessions::ping),
];

/// Steps taken before any is counted: until then buffers grow and caches fill.
const WARM_UP: u32 = 2_000;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match *arguments {
        [] => {
            for Step { name, count, .. } in STEPS {
                println!("{name}\t{count}");
            }
            ExitCode::SUCCESS
        }
        [name, count] => match (STEPS.iter().find(|step| step.name == name), count.parse()) {
            (Some(step), Ok(count)) => {
                take(step, WARM_UP.min(2 * step.count), count);
                ExitCode::SUCCESS
            }
            _ => ExitCode::from(2),
        },
        _ => ExitCode::from(2),
    }
}

fn take(step: &Step, warm_up: u32, count: u32) {
    let mut take = (step.prepare)();
    // One loop for both, so that they run the same code.
    for _ in 0..u64::from(warm_up) + u64::from(count) {
        take();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each step checks what it brings about, and fails where it does something else.
    #[test]
    fn every_step_does_what_it_is_named_for() {
        for step in &STEPS {
            println!("{}", step.name);
            take(step, 10, 10);
        }
    }

    #[test]
    fn names_are_unique() {
        let names: std::collections::BTreeSet<_> = STEPS.iter().map(|step| step.name).collect();
        assert_eq!(names.len(), STEPS.len());
    }
}
