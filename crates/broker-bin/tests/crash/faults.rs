//! Stores that fail while the broker lives: nothing that was acknowledged is lost, the log says what is
//! wrong, and when the store is back the broker goes on by itself.

use std::time::{Duration, Instant};

use test_servers::mongod::MongodSet;
use test_servers::redis::Redis;

use super::chance::Chance;
use super::course::{Course, run};

/// So long a store is away at most until the broker must be at work again once it is back.
const RECOVERY: Duration = Duration::from_secs(40);

/// Waits until something has been acknowledged that was not by now.
async fn wait_for_progress(course: &Course) -> Duration {
    let (start, before) = (Instant::now(), course.acknowledged());
    while course.acknowledged() <= before {
        assert!(
            start.elapsed() < RECOVERY,
            "nothing is acknowledged any more"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    start.elapsed()
}

/// What the log says above the level of information.
fn complaints(log: &[String]) -> Vec<&String> {
    let loud = |line: &&String| line.contains("WARN") || line.contains("ERROR");
    log.iter().filter(loud).collect()
}

#[test]
fn redis_that_stands_still_for_ten_seconds_loses_nothing() {
    let seed = Chance::seed();
    let redis = Redis::durable().start();
    run(async {
        let mut course = Course::begin(&["--persistence", &redis.url()], seed).await;
        course.work(1_500).await;
        redis.pause();
        // What was under way may still come.
        tokio::time::sleep(Duration::from_millis(500)).await;
        let before = course.acknowledged();
        tokio::time::sleep(Duration::from_millis(9_500)).await;
        let after = course.acknowledged();
        redis.resume();
        let recovery = wait_for_progress(&course).await;
        println!("Redis was away, back at work after {recovery:.1?}");
        assert_eq!(before, after, "acknowledged without a store");
        course.work(1_500).await;
        let (findings, mut broker) = course.finish("Redis stands still").await;
        findings.assert_clean();
        assert_eq!(broker.starts.len(), 1);
        broker.terminate().await;
        let said = complaints(&broker.log);
        let port = redis.port().to_string();
        assert!(
            said.iter()
                .any(|line| line.contains("Redis") && line.contains(&port)),
            "the log does not say what is wrong: {said:?}"
        );
    });
}

#[test]
fn a_primary_of_mongodb_that_steps_down_or_dies_loses_nothing() {
    let seed = Chance::seed();
    let set = MongodSet::start();
    run(async {
        let mut course = Course::begin(&["--persistence", &set.url()], seed).await;
        course.work(1_500).await;
        // Not here: the clients go on meanwhile.
        let stepping_down = tokio::task::spawn_blocking(move || {
            set.step_down(10);
            set
        });
        let mut set = stepping_down.await.unwrap();
        let recovery = wait_for_progress(&course).await;
        println!("a primary stepped down, and after {recovery:.1?} another is at work");
        course.work(1_500).await;
        let primary = set.await_primary();
        set.members()[primary].kill();
        let recovery = wait_for_progress(&course).await;
        println!("a primary died, and after {recovery:.1?} another is at work");
        course.work(1_500).await;
        let (findings, mut broker) = course.finish("MongoDB changes its primary").await;
        findings.assert_clean();
        assert_eq!(broker.starts.len(), 1);
        broker.terminate().await;
    });
}
