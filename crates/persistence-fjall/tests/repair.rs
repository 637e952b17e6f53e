//! A store whose journals were torn by the loss of power is repaired: what was written up to some moment
//! is there afterwards, all of it and nothing else, what was cut off is said and copied, and the store
//! can be gone on with.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test ends where a store cannot answer"
)]

use std::fs;
use std::io::{Read, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use broker_core::persistence::contract::block_on;
use broker_core::persistence::{
    Batch, Operation, Persistence, SessionKey, StoredSession, SubscriptionIds,
};
use broker_core::{Message, MessageParts, Timestamp};
use mqtt_codec::QoS;
use persistence_fjall::maintenance::{MaintenanceError, Progress, Repaired, repair, verify};
use persistence_fjall::{Durability, FjallOptions, FjallPersistence, OpenError};

const BATCHES: u64 = 30;

fn options() -> FjallOptions {
    FjallOptions {
        durability: Durability::Os,
        ..FjallOptions::default()
    }
}

/// A message in two queues, and retained; the one before leaves the first queue.
fn batch(number: u64) -> Batch {
    let key = |client: &str| SessionKey {
        client: client.into(),
        incarnation: 1,
    };
    let message = Message::new(MessageParts {
        topic: &format!("topic/{number}"),
        properties: &[],
        payload: &[number as u8; 40],
        qos: QoS::AtLeastOnce,
        retain: true,
        expires: Timestamp::MAX,
    });
    let mut operations = vec![Operation::PutRetained {
        message: message.clone(),
    }];
    for client in ["c", "d"] {
        operations.push(Operation::PutSession(StoredSession {
            session: key(client),
            expiry_interval_secs: 1,
            disconnected_at: None,
        }));
        operations.push(Operation::Enqueue {
            session: key(client),
            sequence: number,
            message: message.clone(),
            qos: QoS::AtLeastOnce,
            retain: false,
            subscription_ids: SubscriptionIds::None,
            shared: None,
            packet_id: None,
        });
    }
    if let Some(sequence) = number.checked_sub(1) {
        operations.push(Operation::Dequeue {
            session: key("d"),
            sequence,
        });
    }
    operations.into_iter().collect()
}

/// How many of the batches are there: all up to one, whole, and none behind it.
fn prefix(store: &FjallPersistence) -> u64 {
    let sequences = |client| -> Vec<u64> {
        let queue = block_on(store.outgoing(client, None, 1_000)).unwrap();
        queue.iter().map(|one| one.sequence).collect()
    };
    let found = sequences("c");
    let count = found.len() as u64;
    assert_eq!(found, (0..count).collect::<Vec<_>>());
    let last: Vec<u64> = count.checked_sub(1).into_iter().collect();
    assert_eq!(sequences("d"), last);
    let retained = block_on(store.retained(None, None, 1_000)).unwrap();
    assert_eq!(retained.len() as u64, count);
    count
}

/// The bytes of a journal; it is a hole behind them.
fn written(journal: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    let file = fs::File::open(journal).unwrap();
    file.take(1 << 20).read_to_end(&mut bytes).unwrap();
    let end = bytes.iter().rposition(|byte| *byte != 0);
    bytes.truncate(end.map_or(0, |at| at + 1));
    bytes
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &target),
            false if target.extension().is_some_and(|end| end == "jnl") => {
                fs::write(target, written(&entry.path())).unwrap();
            }
            false => drop(fs::copy(entry.path(), target).unwrap()),
        }
    }
}

/// A store as it is while a broker has it, and how long the journal was after each batch.
struct Image {
    folder: tempfile::TempDir,
    lengths: Vec<usize>,
}

impl Image {
    fn new() -> Self {
        let (live, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let path = live.path().join("store");
        let store = FjallPersistence::open(&path, options()).unwrap();
        let mut lengths = Vec::new();
        for number in 0..BATCHES {
            block_on(store.commit(&mut batch(number))).unwrap();
            lengths.push(written(&path.join("data/0.jnl")).len());
        }
        copy(&path, folder.path());
        Self { folder, lengths }
    }

    /// A copy with another journal.
    fn torn(&self, change: impl FnOnce(&mut Vec<u8>)) -> tempfile::TempDir {
        let torn = tempfile::tempdir().unwrap();
        copy(self.folder.path(), torn.path());
        let journal = torn.path().join("data/0.jnl");
        let mut bytes = fs::read(&journal).unwrap();
        change(&mut bytes);
        fs::write(journal, bytes).unwrap();
        torn
    }

    /// Batches that end up to there.
    fn up_to(&self, at: usize) -> u64 {
        self.lengths.iter().filter(|length| **length <= at).count() as u64
    }
}

fn go_on(_: Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// Repairs, and has the store gone on with; gives what was done, and how many batches were there.
fn repaired(path: &Path) -> (Repaired, u64) {
    let repaired = repair(path, &mut go_on).unwrap();
    assert_eq!(repaired.verified.faults, [] as [String; 0]);
    let again = repair(path, &mut go_on).unwrap();
    assert_eq!((again.cut, &again.verified), (None, &repaired.verified));
    let store = FjallPersistence::open(path, options()).unwrap();
    let count = prefix(&store);
    for number in count..BATCHES {
        block_on(store.commit(&mut batch(number))).unwrap();
    }
    drop(store);
    let store = FjallPersistence::open(path, options()).unwrap();
    assert_eq!(prefix(&store), BATCHES);
    (repaired, count)
}

fn refused(path: &Path) -> String {
    match FjallPersistence::open(path, options()) {
        Err(error @ OpenError::Damaged { .. }) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

/// Pages in the middle that had not reached the disk, while those behind them had.
#[test]
fn what_is_in_front_of_a_hole_stays_and_the_rest_is_copied() {
    let image = Image::new();
    let end = *image.lengths.last().unwrap();
    for hole in (image.lengths[1]..image.lengths[20]).step_by(401) {
        let torn = image.torn(|bytes| bytes[hole..hole + 300].fill(0));
        let before = fs::read(torn.path().join("data/0.jnl")).unwrap();
        let text = refused(torn.path());
        assert!(text.contains("mosca db repair"), "{text}");
        assert!(matches!(
            verify(torn.path(), &mut go_on),
            Err(MaintenanceError::Open(OpenError::Damaged { .. }))
        ));

        let (repaired, count) = repaired(torn.path());
        assert_eq!(count, image.up_to(hole), "hole at {hole}");
        let cut = repaired.cut.unwrap();
        let whole = image.lengths[count as usize - 1];
        assert_eq!((cut.at, cut.bytes), (whole as u64, (end - whole) as u64));
        let behind = image.lengths.iter().skip(1);
        let behind = behind.zip(&image.lengths);
        let readable = behind.filter(|(_, begin)| **begin >= hole + 300).count();
        assert_eq!(cut.batches, readable as u64);
        let copied = fs::read(cut.copy.join(format!("0.jnl-from-{whole}"))).unwrap();
        assert!(copied == before[whole..], "what is cut off is copied");
    }
}

#[test]
fn a_bit_that_has_turned_costs_its_batch_and_those_behind() {
    let image = Image::new();
    let end = *image.lengths.last().unwrap();
    for at in (image.lengths[0]..end).step_by(149) {
        let torn = image.torn(|bytes| bytes[at] ^= 0x10);
        let (_, count) = repaired(torn.path());
        assert_eq!(count, image.up_to(at), "byte {at} of {end}");
    }
}

/// What opening a store puts right by itself repairing does too, and says so.
#[test]
fn a_journal_that_ends_early_or_in_zeros_or_in_something_else_keeps_what_is_whole() {
    let image = Image::new();
    let end = *image.lengths.last().unwrap();
    for at in (image.lengths[0]..end).step_by(307) {
        let truncated = image.torn(|bytes| bytes.truncate(at));
        let zeros = image.torn(|bytes| {
            bytes.truncate(at);
            bytes.resize(at + 8_192, 0);
        });
        let garbage = image.torn(|bytes| {
            bytes.truncate(at);
            bytes.extend((0..900_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8));
        });
        for torn in [truncated, zeros, garbage] {
            let (_, count) = repaired(torn.path());
            assert_eq!(count, image.up_to(at), "{at} of {end}");
        }
    }
    let (untouched, count) = repaired(image.torn(|_| {}).path());
    assert_eq!((untouched.cut, count), (None, BATCHES));
}

/// A store with several journals: the middle of one is torn, so the newer ones go too; and the newest is
/// not there at all.
#[test]
fn journals_behind_a_torn_one_go_with_it_and_a_missing_one_is_an_end() {
    let live = tempfile::tempdir().unwrap();
    let path = live.path().join("store");
    // However slowly files are written, the first journal is not in the way.
    let roomy = FjallOptions {
        journal_bytes: 1 << 30,
        ..options()
    };
    let store = FjallPersistence::open(&path, roomy).unwrap();
    let big = |number: u64| {
        let mut payload = vec![0; 200_000];
        let mut state = number + 1;
        payload.fill_with(|| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(99);
            (state >> 56) as u8
        });
        let message = Message::new(MessageParts {
            topic: &format!("topic/{number}"),
            properties: &[],
            payload: &payload,
            qos: QoS::AtLeastOnce,
            retain: true,
            expires: Timestamp::MAX,
        });
        Operation::PutRetained { message }
    };
    let journals = || -> Vec<PathBuf> {
        let entries = fs::read_dir(path.join("data")).unwrap();
        let mut found: Vec<PathBuf> = entries
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|end| end == "jnl"))
            .collect();
        found.sort();
        found
    };
    // The session keeps the first journal: its part is not written to a file.
    block_on(store.commit(&mut batch(0))).unwrap();
    let mut number = 0;
    while journals().len() < 2 {
        let mut batch: Batch = [big(number)].into_iter().collect();
        block_on(store.commit(&mut batch)).unwrap();
        number += 1;
        assert!(number < 5_000, "the journal does not end");
    }
    for number in 1..10 {
        block_on(store.commit(&mut batch(number))).unwrap();
    }
    drop(store);
    let journals = journals();
    assert_eq!(journals.len(), 2, "{journals:?}");

    let missing = tempfile::tempdir().unwrap();
    copy_all(&path, missing.path());
    fs::remove_file(
        missing
            .path()
            .join("data")
            .join(journals[1].file_name().unwrap()),
    )
    .unwrap();
    let found = repair(missing.path(), &mut go_on).unwrap();
    assert_eq!((found.cut, found.verified.fault_count), (None, 0));
    assert_eq!(found.verified.queued, 2, "of the first batch alone");

    // A byte at the end of the first journal, in what has not become a file.
    let mut file = fs::OpenOptions::new()
        .append(true)
        .open(&journals[0])
        .unwrap();
    file.write_all(b"what is no batch").unwrap();
    drop(file);
    let text = refused(&path);
    assert!(text.contains("mosca db repair"), "{text}");
    let found = repair(&path, &mut go_on).unwrap();
    let cut = found.cut.unwrap();
    assert_eq!(cut.journal, journals[0]);
    assert!(cut.batches >= 9, "{cut:?}");
    assert!(cut.copy.join(journals[1].file_name().unwrap()).exists());
    assert_eq!(found.verified.fault_count, 0, "{:?}", found.verified.faults);
    assert_eq!(found.verified.queued, 2);
}

fn copy_all(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy_all(&entry.path(), &target),
            false => drop(fs::copy(entry.path(), target).unwrap()),
        }
    }
}

#[test]
fn what_cannot_be_repaired_is_refused_and_a_cancelled_repair_changes_nothing() {
    let image = Image::new();
    let torn = image.torn(|bytes| bytes[image.lengths[3] + 20] ^= 1);
    let before = fs::read(torn.path().join("data/0.jnl")).unwrap();
    let cancelled = repair(torn.path(), &mut |_| ControlFlow::Break(()));
    assert!(matches!(cancelled, Err(MaintenanceError::Cancelled)));
    assert!(before == fs::read(torn.path().join("data/0.jnl")).unwrap());

    let nothing = tempfile::tempdir().unwrap();
    assert!(matches!(
        repair(nothing.path(), &mut go_on),
        Err(MaintenanceError::Open(OpenError::Missing { .. }))
    ));
    let store = FjallPersistence::open(image.folder.path(), options()).unwrap();
    assert!(matches!(
        repair(image.folder.path(), &mut go_on),
        Err(MaintenanceError::Open(OpenError::InUse { .. }))
    ));
    assert_eq!(prefix(&store), BATCHES);
}
