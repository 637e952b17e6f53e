//! What mosca 2.3.0 has left in a LevelDB is taken over. `mosca-2.3.0` is such a folder, as `generate.js` has had it made
//! by mosca and LevelDB themselves.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test ends where a store cannot answer"
)]

use std::fs;
use std::path::{Path, PathBuf};

use broker_core::persistence::Persistence;
use leveldb_import::{ImportError, ImportProgress, Imported};
use mqtt_codec::QoS;
use persistence_memory::MemoryPersistence;

const QOS_1: QoS = QoS::AtLeastOnce;

fn left() -> PathBuf {
    Path::new(&std::env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("tests/mosca-2.3.0")
}

/// A copy in which a test may change something.
fn copy() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for file in fs::read_dir(left()).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), folder.path().join(file.file_name())).unwrap();
    }
    folder
}

/// Imports, and returns what was skipped as well.
async fn import(
    folder: &Path,
    store: &dyn Persistence,
) -> Result<(Imported, Vec<String>), ImportError> {
    let mut skipped = Vec::new();
    let told = |progress| {
        if let ImportProgress::Skipped { key, reason } = progress {
            skipped.push(format!("{key}: {reason}"));
        }
    };
    let imported = leveldb_import::read(folder, store, 3_600, told).await?;
    Ok((imported, skipped))
}

/// Sessions, subscriptions, messages, retained messages; and what was there already.
fn counts(it: &Imported) -> ([u64; 4], u64) {
    let counts = [it.sessions, it.subscriptions, it.messages, it.retained];
    (counts, it.present)
}

async fn queue(store: &dyn Persistence, client: &str) -> Vec<(String, Vec<u8>, QoS)> {
    let page = store.outgoing(client, None, 1_000).await.unwrap();
    let entries = page.iter().map(|one| {
        let message = one.message.as_ref().unwrap();
        (
            message.topic().to_owned(),
            message.payload().to_vec(),
            one.qos,
        )
    });
    entries.collect()
}

#[tokio::test(flavor = "current_thread")]
async fn what_mosca_has_left_is_taken_over_in_its_order() {
    let store = MemoryPersistence::new();
    let (imported, skipped) = import(&left(), &store).await.unwrap();
    assert_eq!(skipped, [""; 0]);
    assert_eq!(counts(&imported), ([4, 4, 55, 3], 0));
    let sessions = store.sessions(None, 10).await.unwrap();
    let clients: Vec<&str> = sessions.iter().map(|it| &*it.session.client).collect();
    assert_eq!(clients, ["idle", "late", "sensor", "sensor:7"]);
    for session in &sessions {
        assert_eq!(session.expiry_interval_secs, 3_600);
        let ended = session.disconnected_at.unwrap();
        assert!(ended.as_millis() > 1_700_000_000_000);
    }
    // At QoS 0 mosca 2.3.0 keeps none.
    let filters = store.subscriptions("sensor", None, 10).await.unwrap();
    let filters: Vec<_> = filters
        .iter()
        .map(|it| (&*it.filter, it.options.qos))
        .collect();
    assert_eq!(filters, [("a/#", QOS_1)]);

    // The keys have them in another order: 11 comes before 2.
    let numbered = (0..25).map(|number| {
        let text = format!("message {number}");
        ("a/n".to_owned(), text.into_bytes(), QOS_1)
    });
    let mut expected: Vec<_> = numbered.collect();
    expected.push(("a/long".to_owned(), vec![b'x'; 20_000], QOS_1));
    expected.push(("a/bytes".to_owned(), vec![0, 255, 128, 10], QOS_1));
    assert_eq!(queue(&store, "sensor").await, expected);
    assert_eq!(queue(&store, "sensor:7").await, expected);
    let late = ("c".to_owned(), "ü".as_bytes().to_vec(), QOS_1);
    assert_eq!(queue(&store, "late").await, [late]);
    assert!(queue(&store, "idle").await.is_empty());

    // What was deleted and written again since the table was made is in the log.
    let retained = store.retained(None, None, 10).await.unwrap();
    let retained: Vec<_> = retained
        .iter()
        .map(|it| (it.topic(), it.payload(), it.qos()))
        .collect();
    let expected = [
        ("r/changed", &b"after"[..], QOS_1),
        ("r/kept", &[0, 1, 2, 255], QoS::AtMostOnce),
        ("r/text", b"text", QOS_1),
    ];
    assert_eq!(retained, expected);

    // Again, and nothing happens.
    let (again, _) = import(&left(), &store).await.unwrap();
    assert_eq!(counts(&again), ([0, 0, 0, 0], 4 + 3));
}

/// A log may have been cut off when mosca died, which is not to be told; other damage is.
#[tokio::test(flavor = "current_thread")]
async fn what_is_damaged_is_named_and_what_is_cut_off_is_read_as_far_as_it_goes() {
    let folder = copy();
    let log = folder.path().join("000011.log");
    let whole = fs::read(&log).unwrap();
    fs::write(&log, &whole[..whole.len() - 10]).unwrap();
    let store = MemoryPersistence::new();
    let (imported, _) = import(folder.path(), &store).await.unwrap();
    // The last was the retained text.
    assert_eq!(counts(&imported), ([4, 4, 55, 2], 0));
    let mut wrong = whole.clone();
    wrong[400] ^= 1;
    fs::write(&log, wrong).unwrap();
    let store = MemoryPersistence::new();
    let (imported, skipped) = import(folder.path(), &store).await.unwrap();
    assert_eq!((imported.skipped, skipped.len()), (1, 1), "{skipped:?}");
    assert!(skipped[0].contains("000011.log"), "{skipped:?}");
    fs::remove_file(&log).unwrap();
    let store = MemoryPersistence::new();
    let (imported, _) = import(folder.path(), &store).await.unwrap();
    assert_eq!(counts(&imported), ([3, 3, 52, 3], 0));

    for (file, at) in [("000009.ldb", 700), ("MANIFEST-000010", 20)] {
        let folder = copy();
        let path = folder.path().join(file);
        let mut bytes = fs::read(&path).unwrap();
        bytes[at] ^= 1;
        fs::write(&path, bytes).unwrap();
        let store = MemoryPersistence::new();
        let error = import(folder.path(), &store).await.unwrap_err();
        let words = error.to_string();
        assert!(words.contains(file) && words.contains("LevelDB"), "{words}");
    }
    let nothing = tempfile::tempdir().unwrap();
    let store = MemoryPersistence::new();
    let error = import(nothing.path(), &store).await.unwrap_err();
    assert!(error.to_string().contains("CURRENT"), "{error}");
}

/// Whatever somebody has done to the files, there is an answer.
#[tokio::test(flavor = "current_thread")]
async fn no_byte_that_is_wrong_makes_it_panic() {
    for file in fs::read_dir(left()).unwrap() {
        let file = file.unwrap();
        let whole = fs::read(file.path()).unwrap();
        let folder = copy();
        for at in (0..whole.len()).step_by(1 + whole.len() / 150) {
            let mut bytes = whole.clone();
            bytes[at] = !bytes[at];
            fs::write(folder.path().join(file.file_name()), bytes).unwrap();
            let store = MemoryPersistence::new();
            if let Ok((imported, _)) = import(folder.path(), &store).await {
                assert!(imported.sessions <= 4, "{imported:?}");
            }
        }
    }
}
