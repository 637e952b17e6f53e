//! Stores that fail while the broker lives: nothing that was acknowledged is lost, the log says what is
//! wrong, and when the store is back the broker goes on by itself.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use test_servers::Folder;
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
fn redis_that_stands_still_for_fifteen_seconds_loses_nothing() {
    let seed = Chance::seed();
    let redis = Redis::durable().start();
    run(async {
        let mut course = Course::begin(&["--persistence", &redis.url()], seed).await;
        course.work(1_500).await;
        redis.pause();
        // What was under way may still come.
        tokio::time::sleep(Duration::from_millis(500)).await;
        let before = course.acknowledged();
        // The store gives the connection up after ten seconds without an answer, and says so.
        tokio::time::sleep(Duration::from_millis(14_500)).await;
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

/// The log says of each of these primaries that it is gone and that there is one again, once each
/// and not for each message, and says nothing else.
fn assert_told_of(log: &[String], primaries: &[u16]) {
    const GONE: &str = "MongoDB cannot be written to: publishers wait until it can";
    const BACK: &str = "MongoDB can be written to again";
    let said = complaints(log);
    let mut pairs = said.chunks(2);
    assert!(
        pairs.all(|pair| pair.len() == 2 && pair[0].contains(GONE) && pair[1].contains(BACK)),
        "{said:?}"
    );
    // One that stays away is not tried by each group anew, but an election may fail.
    assert!(said.len() <= 6 * primaries.len(), "{said:?}");
    for port in primaries {
        let place = said
            .iter()
            .position(|line| line.contains(GONE) && line.contains(&format!("127.0.0.1:{port}")));
        let back = place.and_then(|place| said.get(place + 1));
        assert!(
            back.is_some_and(|line| line.contains("after=")),
            "of {port} the log does not tell: {said:?}"
        );
    }
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
            let before = set.await_primary();
            set.step_down(10);
            (set, before)
        });
        let (mut set, before) = stepping_down.await.unwrap();
        let mut ports = vec![set.members()[before].port()];
        let recovery = wait_for_progress(&course).await;
        println!("a primary stepped down, and after {recovery:.1?} another is at work");
        course.work(1_500).await;
        let primary = set.await_primary();
        ports.push(set.members()[primary].port());
        set.members()[primary].kill();
        let recovery = wait_for_progress(&course).await;
        println!("a primary died, and after {recovery:.1?} another is at work");
        course.work(1_500).await;
        let (findings, mut broker) = course.finish("MongoDB changes its primary").await;
        findings.assert_clean();
        assert_eq!(broker.starts.len(), 1);
        broker.terminate().await;
        assert_told_of(&broker.log, &ports);
    });
}

/// A small disk of one's own. It takes root, as does installing what the tests need.
struct Disk {
    folder: Folder,
}

impl Disk {
    fn of_mebibytes(mebibytes: u32) -> Self {
        let folder = Folder::new("crash-disk");
        let disk = Self { folder };
        let size = format!("size={mebibytes}m");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &size, "tmpfs"]);
        let status = mount.arg(disk.path()).status().unwrap();
        assert!(
            status.success(),
            "this test has to mount a small disk, as root"
        );
        disk
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Takes all space but this.
    fn fill(&self, left: u64) {
        let output = Command::new("df")
            .args(["--output=avail", "-B1"])
            .arg(self.path())
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let free: u64 = text.lines().last().unwrap().trim().parse().unwrap();
        let filling = usize::try_from(free.saturating_sub(left)).unwrap();
        std::fs::write(self.path().join("filling"), vec![0; filling]).unwrap();
    }

    fn empty(&self) {
        std::fs::remove_file(self.path().join("filling")).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

#[test]
fn a_disk_that_is_full_loses_nothing_that_was_acknowledged() {
    let seed = Chance::seed();
    let disk = Disk::of_mebibytes(400);
    let path = disk.path().join("db");
    run(async {
        let mut course = Course::begin(&["--db", path.to_str().unwrap()], seed).await;
        course.work(1_500).await;
        disk.fill(1 << 20);
        // Until nothing is acknowledged any more.
        let start = Instant::now();
        let (mut known, mut since) = (course.acknowledged(), Instant::now());
        while since.elapsed() < Duration::from_secs(2) {
            assert!(start.elapsed() < RECOVERY, "the disk does not get full");
            tokio::time::sleep(Duration::from_millis(50)).await;
            if course.acknowledged() > known {
                (known, since) = (course.acknowledged(), Instant::now());
            }
        }
        println!("the disk is full after {:.1?}", start.elapsed());
        disk.empty();
        let recovery = wait_for_progress(&course).await;
        println!("there is room again, back at work after {recovery:.1?}");
        course.work(1_500).await;
        // And what is on the disk is whole.
        course.broker.kill().await;
        course.broker.start().await;
        let (findings, mut broker) = course.finish("a full disk").await;
        findings.assert_clean();
        broker.terminate().await;
        let said = complaints(&broker.log);
        assert!(
            said.iter()
                .any(|line| line.contains("full") || line.contains("No space")),
            "the log does not say what is wrong: {said:?}"
        );
    });
}
