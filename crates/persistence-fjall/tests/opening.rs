//! Who may open what.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::ops::ControlFlow;
use std::process::{Command, Stdio};
use std::time::Duration;

use persistence_fjall::maintenance::{MaintenanceError, dump, verify};
use persistence_fjall::{Durability, FjallOptions, FjallPersistence, OpenError};

const PATH: &str = "MOSCA_TEST_STORE";

/// The other process: the test that needs one starts it.
#[test]
fn have_the_store_until_the_end_of_the_input() {
    let Ok(path) = std::env::var(PATH) else {
        return;
    };
    let store = FjallPersistence::open(path, FjallOptions::default());
    println!("opened");
    std::io::stdout().flush().unwrap();
    let _ = std::io::stdin().read(&mut [0]);
    drop(store.unwrap());
}

#[test]
fn a_second_process_is_told_who_has_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let mut other = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture"])
        .arg("have_the_store_until_the_end_of_the_input")
        .env(PATH, &path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(other.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("opened")));

    let wanted = format!(
        "the store in {} is in use by another process, whose id is {}: stop it first, or choose \
         another path",
        path.display(),
        other.id()
    );
    let refused = FjallPersistence::open(&path, FjallOptions::default()).unwrap_err();
    assert!(matches!(refused, OpenError::InUse { .. }));
    assert_eq!(refused.to_string(), wanted);
    let mut go_on = |_| ControlFlow::Continue(());
    assert_eq!(verify(&path, &mut go_on).unwrap_err().to_string(), wanted);

    drop(other.stdin.take());
    assert!(other.wait().unwrap().success());
    FjallPersistence::open(&path, FjallOptions::default()).unwrap();
}

#[test]
fn the_same_process_is_told_that_it_has_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let store = FjallPersistence::open(folder.path(), FjallOptions::default()).unwrap();
    let refused = FjallPersistence::open(folder.path(), FjallOptions::default()).unwrap_err();
    assert!(
        refused.to_string().contains("in use by this process"),
        "{refused}"
    );
    drop(store);
    FjallPersistence::open(folder.path(), FjallOptions::default()).unwrap();
}

#[test]
fn a_folder_with_something_else_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("letter.txt"), "dear").unwrap();
    let refused = FjallPersistence::open(folder.path(), FjallOptions::default()).unwrap_err();
    assert!(matches!(&refused, OpenError::Foreign { found, .. } if found == "letter.txt"));
    let names: Vec<_> = fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(names.len(), 1, "nothing was added");

    let file = folder.path().join("letter.txt");
    let refused = FjallPersistence::open(&file, FjallOptions::default()).unwrap_err();
    assert!(matches!(refused, OpenError::Io { .. }), "{refused}");
}

#[test]
fn another_format_is_named() {
    let folder = tempfile::tempdir().unwrap();
    drop(FjallPersistence::open(folder.path(), FjallOptions::default()).unwrap());
    for (text, named) in [
        ("mosca store on fjall, format 2\n", "format 2, and"),
        ("something else", "format unknown (\"something else\"), and"),
    ] {
        fs::write(folder.path().join("format"), text).unwrap();
        let refused = FjallPersistence::open(folder.path(), FjallOptions::default()).unwrap_err();
        assert!(matches!(refused, OpenError::Format { .. }), "{refused}");
        let text = refused.to_string();
        assert!(
            text.contains(named) && text.contains("understands format 1"),
            "{text}"
        );
    }
}

/// A process that was killed while it made the store: there was nothing in it yet.
#[test]
fn a_store_that_was_not_completed_is_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    drop(FjallPersistence::open(folder.path(), FjallOptions::default()).unwrap());
    fs::remove_file(folder.path().join("format")).unwrap();
    fs::remove_file(folder.path().join("data/version")).unwrap();
    FjallPersistence::open(folder.path(), FjallOptions::default()).unwrap();
}

#[test]
fn looking_after_a_store_does_not_make_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("none");
    let mut go_on = |_| ControlFlow::Continue(());
    let refused = dump(&path, &mut Vec::new(), &mut go_on).unwrap_err();
    assert!(matches!(
        refused,
        MaintenanceError::Open(OpenError::Missing { .. })
    ));
    assert!(!path.exists());
}

#[test]
fn an_option_out_of_its_range_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let defaults = FjallOptions::default;
    let hour = Duration::from_secs(3_601);
    for (options, name) in [
        (
            FjallOptions {
                reader_threads: 0,
                ..defaults()
            },
            "reader_threads",
        ),
        (
            FjallOptions {
                worker_threads: 65,
                ..defaults()
            },
            "worker_threads",
        ),
        (
            FjallOptions {
                memtable_bytes: 1,
                ..defaults()
            },
            "memtable_bytes",
        ),
        (
            FjallOptions {
                journal_bytes: 1 << 20,
                ..defaults()
            },
            "journal_bytes",
        ),
        (
            FjallOptions {
                max_queued_batches: 0,
                ..defaults()
            },
            "max_queued_batches",
        ),
        (
            FjallOptions {
                durability: Durability::Interval(hour),
                ..defaults()
            },
            "durability",
        ),
    ] {
        let refused = FjallPersistence::open(folder.path(), options).unwrap_err();
        assert!(refused.to_string().contains(name), "{refused}");
    }
}
