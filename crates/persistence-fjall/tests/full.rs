//! A disk that is full: it is said, nothing that was answered is lost, and the store goes on by itself
//! when there is space again.
//!
//! Mounts a small file system in memory, for which it needs the right to; without it, it fails.

#![expect(
    clippy::unwrap_used,
    reason = "a test ends where a store cannot answer"
)]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use broker_core::persistence::contract::block_on;
use broker_core::persistence::{
    Batch, Operation, Persistence, PersistenceError, SessionKey, StoredSession, SubscriptionIds,
};
use broker_core::{Message, MessageParts, Timestamp};
use mqtt_codec::QoS;
use persistence_fjall::{FjallOptions, FjallPersistence, maintenance};

/// Room for a store, and a file that can be removed to make some.
struct SmallDisk {
    folder: tempfile::TempDir,
}

impl SmallDisk {
    fn new(mebibytes: usize, ballast: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o"])
            .arg(format!("size={mebibytes}m"))
            .arg("mosca-test")
            .arg(folder.path())
            .status();
        assert!(
            mounted.is_ok_and(|status| status.success()),
            "this test mounts a small tmpfs: run it as root, or where mounting is allowed"
        );
        let disk = Self { folder };
        let mut file = fs::File::create(disk.ballast()).unwrap();
        for _ in 0..ballast {
            file.write_all(&vec![1; 1 << 20]).unwrap();
        }
        disk
    }

    fn ballast(&self) -> PathBuf {
        self.folder.path().join("ballast")
    }

    fn store(&self) -> PathBuf {
        self.folder.path().join("store")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg(self.folder.path()).status();
        assert!(unmounted.is_ok_and(|status| status.success()) || thread::panicking());
    }
}

/// 64 KiB that cannot be compressed.
fn payload(number: u64) -> Vec<u8> {
    let mut state = number + 1;
    let words = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_be_bytes()
    });
    words.take(8_192).flatten().collect()
}

fn batch(number: u64) -> Batch {
    let session = SessionKey {
        client: "c".into(),
        incarnation: 1,
    };
    let message = Message::new(MessageParts {
        topic: "a/b",
        properties: &[],
        payload: &payload(number),
        qos: QoS::AtLeastOnce,
        retain: false,
        expires: Timestamp::MAX,
    });
    let operations = [
        Operation::PutSession(StoredSession {
            session: session.clone(),
            expiry_interval_secs: u32::MAX,
            disconnected_at: None,
        }),
        Operation::Enqueue {
            session,
            sequence: number,
            message,
            qos: QoS::AtLeastOnce,
            retain: false,
            subscription_ids: SubscriptionIds::None,
            shared: None,
            packet_id: None,
        },
    ];
    operations.into_iter().collect()
}

fn options(retry: Duration) -> FjallOptions {
    FjallOptions {
        retry,
        memtable_bytes: 4 << 20,
        ..FjallOptions::default()
    }
}

/// What is there is what was answered, whole.
fn check(store: &FjallPersistence, stored: &[u64]) {
    let mut found = Vec::new();
    loop {
        let page = block_on(store.outgoing("c", found.last().copied(), 1_000)).unwrap();
        if page.is_empty() {
            break;
        }
        for one in page {
            let message = one.message.unwrap();
            assert!(
                message.payload() == payload(one.sequence),
                "{}",
                one.sequence
            );
            found.push(one.sequence);
        }
    }
    assert_eq!(found, stored);
}

fn verify(path: &Path) {
    let verified = maintenance::verify(path, &mut |_| std::ops::ControlFlow::Continue(()));
    assert_eq!(verified.unwrap().faults, [] as [String; 0]);
}

#[test]
fn a_full_disk_is_an_error_that_loses_nothing_and_ends_by_itself() {
    let disk = SmallDisk::new(64, 36);
    let options = || options(Duration::from_millis(300));
    let store = FjallPersistence::open(disk.store(), options()).unwrap();
    let mut stored = Vec::new();
    let mut refused = 0;
    for number in 0..1_000 {
        match block_on(store.commit(&mut batch(number))) {
            Ok(()) => stored.push(number),
            Err(PersistenceError::Full(reason)) => {
                let text = reason.to_string();
                assert!(text.contains(&disk.store().display().to_string()), "{text}");
                refused += 1;
            }
            Err(error) => panic!("{error}"),
        }
        if refused == 3 {
            break;
        }
    }
    assert!(refused == 3 && stored.len() > 50, "{} stored", stored.len());
    // What is there can be read meanwhile.
    check(&store, &stored);

    fs::remove_file(disk.ballast()).unwrap();
    for number in 2_000..2_050 {
        // It may still be at opening the engine again, for longer than a batch may wait here.
        let deadline = Instant::now() + Duration::from_secs(120);
        while let Err(error) = block_on(store.commit(&mut batch(number))) {
            assert!(Instant::now() < deadline, "{error}");
        }
        stored.push(number);
    }
    check(&store, &stored);
    drop(store);
    let store = FjallPersistence::open(disk.store(), options()).unwrap();
    check(&store, &stored);
    drop(store);
    verify(&disk.store());
}

/// Who may wait for long enough never hears of it.
#[test]
fn a_batch_that_waits_for_space_is_stored_when_there_is_some() {
    let disk = SmallDisk::new(64, 36);
    let store = FjallPersistence::open(disk.store(), options(Duration::from_secs(600))).unwrap();
    let numbers: Vec<u64> = (0..550).collect();
    thread::scope(|scope| {
        let (answered, answers) = mpsc::channel();
        let (store, count) = (&store, numbers.len());
        scope.spawn(move || {
            for number in 0..550 {
                block_on(store.commit(&mut batch(number))).unwrap();
                answered.send(()).unwrap();
            }
        });
        // None for a while: the disk is full, and somebody waits.
        let mut before = 0;
        let deadline = Instant::now() + Duration::from_secs(300);
        loop {
            match answers.recv_timeout(Duration::from_secs(3)) {
                Ok(()) => before += 1,
                // Or the machine is slow.
                Err(_) if before < 50 && Instant::now() < deadline => {}
                Err(_) => break,
            }
        }
        assert!((50..count).contains(&before), "{before}");
        fs::remove_file(disk.ballast()).unwrap();
        assert_eq!(before + answers.iter().count(), count);
    });
    check(&store, &numbers);
}
