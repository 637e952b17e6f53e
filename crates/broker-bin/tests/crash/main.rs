//! The crash test: clients publish and subscribe at QoS 1 and 2 over real sockets, the broker is killed
//! again and again, and what was acknowledged is compared with what came.
//!
//! `MOSCA_TEST_SEED` repeats the decisions of a run (its seed is printed), `MOSCA_TEST_KILLS` sets how
//! often the broker is killed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    unreachable_pub,
    dead_code,
    reason = "all of this is a test, and uses only a part of what the real clients need"
)]

mod broker;
mod chance;
mod course;
mod ledger;
mod link;
mod message;
#[path = "../real_clients/process.rs"]
mod process;
mod publisher;
mod subscriber;

use chance::Chance;
use course::{Course, run};

/// How often the broker is killed in each test of a store.
fn kills() -> usize {
    std::env::var("MOSCA_TEST_KILLS").map_or(25, |text| text.parse().unwrap())
}

/// Without this test, one that finds nothing says nothing.
#[test]
fn a_store_in_memory_loses_what_was_acknowledged_and_that_is_found() {
    let seed = Chance::seed();
    run(async {
        let mut course = Course::begin(&["--persistence", "memory"], seed).await;
        course.work(500).await;
        course.kill(3).await;
        let (findings, _) = course.finish("memory").await;
        assert!(findings.lost > 0, "{findings}");
        assert!(findings.sessions_lost > 0, "{findings}");
        assert!(findings.acknowledged > 0, "{findings}");
    });
}

/// Nothing is found where nothing happens: what the test does itself is in order.
#[test]
fn without_a_crash_nothing_is_found() {
    let seed = Chance::seed();
    run(async {
        let mut course = Course::begin(&["--persistence", "memory"], seed).await;
        for _ in 0..5 {
            course.work(1_000).await;
        }
        let (findings, _) = course.finish("memory without a crash").await;
        assert!(findings.is_clean(), "{findings}");
        assert!(
            findings.acknowledged > 0 && findings.deliveries > 0,
            "{findings}"
        );
    });
}
