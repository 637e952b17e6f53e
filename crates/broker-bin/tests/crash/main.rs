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
mod faults;
mod ledger;
mod link;
mod message;
#[path = "../real_clients/process.rs"]
mod process;
mod publisher;
mod subscriber;

use chance::Chance;
use course::{Course, run};
use test_servers::Folder;
use test_servers::mongod::Mongod;
use test_servers::redis::Redis;

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

/// Everything that was acknowledged is on the disk.
#[test]
fn over_fjall_nothing_is_lost_when_the_broker_is_killed() {
    let seed = Chance::seed();
    let folder = Folder::new("crash-fjall");
    let path = folder.path().join("db");
    run(async {
        let mut course = Course::begin(&["--db", path.to_str().unwrap()], seed).await;
        course.kill(kills()).await;
        course.finish("fjall").await.0.assert_clean();
    });
}

/// What a killed process has written the system still has.
#[test]
fn over_fjall_that_leaves_it_to_the_system_nothing_is_lost_when_the_broker_is_killed() {
    let seed = Chance::seed();
    let folder = Folder::new("crash-fjall-os");
    let path = folder.path().join("db");
    run(async {
        let arguments = ["--db", path.to_str().unwrap(), "--durability", "os"];
        let mut course = Course::begin(&arguments, seed).await;
        course.kill(kills()).await;
        course.finish("fjall, os").await.0.assert_clean();
    });
}

/// Redis that has on its disk what it has acknowledged; the broker alone is killed.
#[test]
fn over_redis_nothing_is_lost_when_the_broker_is_killed() {
    let seed = Chance::seed();
    let redis = Redis::durable().start();
    run(async {
        let mut course = Course::begin(&["--persistence", &redis.url()], seed).await;
        course.kill(kills()).await;
        course.finish("Redis").await.0.assert_clean();
    });
}

#[test]
fn over_redis_nothing_is_lost_when_both_are_killed() {
    let seed = Chance::seed();
    let mut redis = Redis::durable().start();
    run(async {
        let mut course = Course::begin(&["--persistence", &redis.url()], seed).await;
        for _ in 0..kills() {
            course.work(700).await;
            if course.chance.percent(50) {
                // The broker is there for a while, without its store.
                redis.kill();
                course.work(60).await;
                course.broker.kill().await;
            } else {
                course.broker.kill().await;
                redis.kill();
            }
            redis.start_again();
            course.broker.start().await;
        }
        course.finish("Redis, killed too").await.0.assert_clean();
    });
}

/// A broker that is killed leaves a transaction behind, and what that has touched MongoDB would let
/// nobody else touch for a minute: the next broker ends it.
#[test]
fn over_mongodb_nothing_is_lost_when_the_broker_is_killed() {
    let seed = Chance::seed();
    let mongod = Mongod::new().start();
    run(async {
        let mut course = Course::begin(&["--persistence", &mongod.url()], seed).await;
        course.kill(kills()).await;
        course.finish("MongoDB").await.0.assert_clean();
    });
}
