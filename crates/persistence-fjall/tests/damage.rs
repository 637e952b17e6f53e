//! What is in the folder is not what was written: the store says so, or goes on with what was written
//! up to some moment. It never makes anything up.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test ends where a store cannot answer"
)]

use std::fs;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use broker_core::persistence::contract::block_on;
use broker_core::persistence::{Batch, Operation, Persistence, SessionKey, StoredSession};
use broker_core::persistence::{PersistenceError, SubscriptionIds};
use broker_core::{Message, MessageParts, Timestamp};
use mqtt_codec::QoS;
use persistence_fjall::{FjallOptions, FjallPersistence, OpenError};

const BATCHES: u64 = 40;

fn batch(number: u64) -> Batch {
    let session = SessionKey {
        client: "c".into(),
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
    let operations = [
        Operation::PutSession(StoredSession {
            session: session.clone(),
            expiry_interval_secs: 1,
            disconnected_at: None,
        }),
        Operation::PutRetained {
            message: message.clone(),
        },
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

/// How many of the batches are there: all up to one, whole, and none behind it.
fn prefix(store: &FjallPersistence) -> Result<u64, PersistenceError> {
    let queue = block_on(store.outgoing("c", None, 1_000))?;
    let numbers: Vec<u64> = queue.iter().map(|one| one.sequence).collect();
    let count = numbers.len() as u64;
    assert_eq!(numbers, (0..count).collect::<Vec<_>>());
    let retained = block_on(store.retained(None, None, 1_000))?;
    assert_eq!(retained.len() as u64, count);
    for one in queue {
        assert_eq!(one.message.unwrap().payload(), vec![one.sequence as u8; 40]);
    }
    Ok(count)
}

fn journal(folder: &Path) -> PathBuf {
    let entries = fs::read_dir(folder.join("data")).unwrap();
    let mut journals: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "jnl"))
        .collect();
    assert_eq!(journals.len(), 1, "a small store has one journal");
    journals.pop().unwrap()
}

/// The bytes of a journal; it is a hole behind them.
fn written(journal: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    let file = fs::File::open(journal).unwrap();
    file.take(1 << 20).read_to_end(&mut bytes).unwrap();
    let end = bytes
        .iter()
        .rposition(|byte| *byte != 0)
        .map_or(0, |at| at + 1);
    bytes.truncate(end);
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

/// A folder as a crash leaves it, and how long the journal was after each batch.
fn crashed() -> (tempfile::TempDir, Vec<usize>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let image = tempfile::tempdir().unwrap();
    let store = FjallPersistence::open(&path, FjallOptions::default()).unwrap();
    let mut lengths = Vec::new();
    for number in 0..BATCHES {
        block_on(store.commit(&mut batch(number))).unwrap();
        lengths.push(written(&journal(&path)).len());
    }
    copy(&path, image.path());
    (image, lengths)
}

/// Opens a copy of the folder whose journal was changed.
fn open_changed(image: &Path, change: impl FnOnce(&mut Vec<u8>)) -> Result<u64, String> {
    let folder = tempfile::tempdir().unwrap();
    copy(image, folder.path());
    let journal = journal(folder.path());
    let mut bytes = fs::read(&journal).unwrap();
    change(&mut bytes);
    fs::write(&journal, bytes).unwrap();
    let store = match FjallPersistence::open(folder.path(), FjallOptions::default()) {
        Ok(store) => store,
        Err(error @ OpenError::Damaged { .. }) => return Err(error.to_string()),
        Err(error) => panic!("{error}"),
    };
    match prefix(&store) {
        Ok(count) => {
            // It can be gone on with from there.
            for number in count..BATCHES {
                block_on(store.commit(&mut batch(number))).unwrap();
            }
            drop(store);
            let store = FjallPersistence::open(folder.path(), FjallOptions::default()).unwrap();
            assert_eq!(prefix(&store).unwrap(), BATCHES);
            Ok(count)
        }
        Err(PersistenceError::Damaged(reason)) => Err(reason.to_string()),
        Err(error) => panic!("{error}"),
    }
}

/// A write that was torn: everything before it is there.
#[test]
fn a_journal_that_ends_anywhere_gives_all_batches_before() {
    let (image, lengths) = crashed();
    let end = *lengths.last().unwrap();
    let first = lengths[0] - 40;
    let cuts = (first..end)
        .step_by(211)
        .chain(lengths.iter().flat_map(|at| [at - 1, *at]));
    for cut in cuts {
        let whole = lengths.iter().filter(|length| **length <= cut).count() as u64;
        let found = open_changed(image.path(), |bytes| bytes.truncate(cut));
        assert_eq!(found, Ok(whole), "cut at {cut} of {end}");
    }
}

/// A write that was torn, and had other bytes behind: zeros, or what was in the blocks before.
#[test]
fn what_is_behind_a_torn_write_is_not_taken_for_a_batch() {
    let (image, lengths) = crashed();
    let end = *lengths.last().unwrap();
    for cut in (lengths[0]..end).step_by(997) {
        let whole = lengths.iter().filter(|length| **length <= cut).count() as u64;
        let zeros = open_changed(image.path(), |bytes| {
            bytes.truncate(cut);
            bytes.resize(cut + 4_096, 0);
        });
        assert_eq!(zeros, Ok(whole), "zeros from {cut}");
        let garbage = open_changed(image.path(), |bytes| {
            bytes.truncate(cut);
            bytes.extend((0..512_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8));
        });
        assert_eq!(garbage, Ok(whole), "garbage from {cut}");
        // Pages of one write reach the disk in any order: a hole, and the end behind it.
        let hole = open_changed(image.path(), |bytes| {
            let next = lengths
                .iter()
                .find(|length| **length > cut)
                .copied()
                .unwrap_or(end);
            bytes.truncate(next);
            let to = (cut + 20).min(next - 5);
            if let Some(hole) = bytes.get_mut(cut.min(to)..to) {
                hole.fill(0);
            }
        });
        assert!(
            hole == Ok(whole) || hole == Ok(whole + 1),
            "{hole:?}: a hole from {cut}"
        );
    }
}

/// Bits that have turned: all up to some batch, or an error that says so. Never a batch that is in
/// part or another.
#[test]
fn a_journal_with_a_byte_that_has_changed_gives_a_prefix_or_an_error() {
    let (image, lengths) = crashed();
    let end = *lengths.last().unwrap();
    let (mut opened, mut refused) = (0, 0);
    for at in (lengths[0]..end).step_by(173) {
        match open_changed(image.path(), |bytes| bytes[at] ^= 0x55) {
            Ok(_) => opened += 1,
            Err(text) => {
                assert!(text.contains("damaged") || !text.is_empty(), "{text}");
                refused += 1;
            }
        }
    }
    assert!(opened + refused > 20 && refused > 0, "{opened} {refused}");
}

/// Files of the engine whose blocks have changed.
#[test]
fn a_file_with_a_byte_that_has_changed_is_found_out() {
    let folder = tempfile::tempdir().unwrap();
    let store = FjallPersistence::open(folder.path(), FjallOptions::default()).unwrap();
    for number in 0..BATCHES {
        block_on(store.commit(&mut batch(number))).unwrap();
    }
    drop(store);
    // What was in memory is now in files.
    let mut go_on = |_| std::ops::ControlFlow::Continue(());
    persistence_fjall::maintenance::compact(folder.path(), &mut go_on).unwrap();
    let mut files = Vec::new();
    list(&folder.path().join("data/keyspaces"), &mut files);
    files.retain(|file| {
        let kind = file.parent().and_then(Path::file_name);
        kind.is_some_and(|kind| kind == "tables" || kind == "blobs")
    });
    let mut found_out = 0;
    for file in files
        .iter()
        .filter(|file| fs::metadata(file).unwrap().len() > 0)
    {
        let copied = tempfile::tempdir().unwrap();
        copy(folder.path(), copied.path());
        let target = copied
            .path()
            .join(file.strip_prefix(folder.path()).unwrap());
        let mut changed = fs::File::options()
            .read(true)
            .write(true)
            .open(&target)
            .unwrap();
        let mut byte = [0];
        changed.seek(SeekFrom::Start(8)).unwrap();
        if changed.read(&mut byte).unwrap() == 0 {
            continue;
        }
        changed.seek(SeekFrom::Start(8)).unwrap();
        changed.write_all(&[byte[0] ^ 0x55]).unwrap();
        drop(changed);
        match FjallPersistence::open(copied.path(), FjallOptions::default()) {
            Err(OpenError::Damaged { .. } | OpenError::Io { .. }) => found_out += 1,
            Err(error) => panic!("{error}"),
            Ok(store) => match prefix(&store) {
                Ok(count) => assert_eq!(count, BATCHES, "{}", target.display()),
                Err(PersistenceError::Damaged(_)) => found_out += 1,
                Err(error) => panic!("{}: {error}", target.display()),
            },
        }
    }
    assert!(found_out > 0, "{files:?}");
}

/// The lists of files of the engine: what is wrong with them is an error, and nothing is removed.
#[test]
fn a_list_of_files_that_was_changed_is_found_out_before_it_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let store = FjallPersistence::open(folder.path(), FjallOptions::default()).unwrap();
    block_on(store.commit(&mut batch(0))).unwrap();
    drop(store);
    let mut go_on = |_| std::ops::ControlFlow::Continue(());
    persistence_fjall::maintenance::compact(folder.path(), &mut go_on).unwrap();
    let data = folder.path().join("data");
    let mut files = Vec::new();
    list(&data.join("keyspaces"), &mut files);
    let all = files.len();
    // Others may be left of before.
    files.retain(|file| file.ends_with("current"));
    assert_eq!(files.len(), 8, "{files:?}");
    for current in files.clone() {
        let number = fs::read(&current).unwrap()[0];
        files.push(current.with_file_name(format!("v{number}")));
    }
    files.push(data.join("version"));
    for file in &files {
        let bytes = fs::read(file).unwrap();
        let mut images: Vec<Option<Vec<u8>>> = vec![None, Some(Vec::new())];
        images.push(Some(bytes[..bytes.len() - 1].to_vec()));
        for at in (0..bytes.len()).step_by(7) {
            let mut image = bytes.clone();
            image[at] ^= 0xA5;
            images.push(Some(image));
        }
        for image in images {
            match image {
                Some(image) => fs::write(file, image).unwrap(),
                None => fs::remove_file(file).unwrap(),
            }
            let opened = FjallPersistence::open(folder.path(), FjallOptions::default());
            assert!(
                matches!(opened, Err(OpenError::Damaged { .. })),
                "{}: {opened:?}",
                file.display()
            );
        }
        fs::write(file, bytes).unwrap();
    }
    // A part that is not there at all.
    let (part, away) = (data.join("keyspaces/3"), folder.path().join("away"));
    fs::rename(&part, &away).unwrap();
    let opened = FjallPersistence::open(folder.path(), FjallOptions::default());
    assert!(matches!(opened, Err(OpenError::Damaged { .. })));
    fs::rename(&away, &part).unwrap();

    let mut left = Vec::new();
    list(&data.join("keyspaces"), &mut left);
    assert_eq!(left.len(), all);
    let store = FjallPersistence::open(folder.path(), FjallOptions::default()).unwrap();
    assert_eq!(prefix(&store).unwrap(), 1);
}

fn list(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => list(&path, files),
            false => files.push(path),
        }
    }
}
