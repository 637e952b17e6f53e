//! A process that is killed while it writes has lost nothing that it was told is stored, and what it
//! leaves is what was written up to some moment, with nothing missing before.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test ends where a store cannot answer"
)]

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::ops::ControlFlow;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use broker_core::persistence::contract::block_on;
use broker_core::persistence::{
    Batch, Operation, Persistence, SessionKey, StoredSession, SubscriptionIds,
};
use broker_core::{Message, MessageParts, Timestamp};
use mqtt_codec::QoS;
use persistence_fjall::{Durability, FjallOptions, FjallPersistence, maintenance};

const PATH: &str = "MOSCA_TEST_STORE";
const FIRST: &str = "MOSCA_TEST_FIRST";
const DURABILITY: &str = "MOSCA_TEST_DURABILITY";

/// Batches under way at a time.
const WINDOW: usize = 64;

fn options(durability: &str) -> FjallOptions {
    FjallOptions {
        durability: match durability {
            "always" => Durability::Always,
            "interval" => Durability::Interval(Duration::from_millis(20)),
            _ => Durability::Os,
        },
        // Files are written and merged while the process is killed.
        memtable_bytes: 1 << 20,
        ..FjallOptions::default()
    }
}

fn key(client: &str, incarnation: u64) -> SessionKey {
    SessionKey {
        client: client.into(),
        incarnation,
    }
}

fn put_session(key: SessionKey) -> Operation {
    Operation::PutSession(StoredSession {
        session: key,
        expiry_interval_secs: u32::MAX,
        disconnected_at: None,
    })
}

fn message(topic: &str, number: u64) -> Arc<Message> {
    let text = number.to_string();
    let mut payload = text.clone().into_bytes();
    payload.resize(text.len() + 700, b' ');
    Message::new(MessageParts {
        topic,
        properties: &[],
        payload: &payload,
        qos: QoS::AtLeastOnce,
        retain: false,
        expires: Timestamp::MAX,
    })
}

fn enqueue(session: SessionKey, sequence: u64, message: &Arc<Message>) -> Operation {
    Operation::Enqueue {
        session,
        sequence,
        message: Arc::clone(message),
        qos: QoS::AtLeastOnce,
        retain: false,
        subscription_ids: SubscriptionIds::None,
        shared: None,
        packet_id: None,
    }
}

/// What the process writes as number `number`: a message for two sessions, one of which is dropped
/// and made anew again and again, and a retained message that says how far it has come.
fn batch(number: u64) -> Batch {
    let (kept, dropped) = (key("kept", 1), key("dropped", number / 100 + 1));
    let both = message("a/b", number);
    let mut operations = vec![put_session(kept.clone()), put_session(dropped.clone())];
    operations.extend([
        enqueue(kept.clone(), number, &both),
        enqueue(dropped, number, &both),
        Operation::PutRetained {
            message: message("last", number),
        },
    ]);
    if let Some(old) = number.checked_sub(500) {
        operations.push(Operation::Dequeue {
            session: kept,
            sequence: old,
        });
    }
    operations.into_iter().collect()
}

/// The process that is killed: the other tests start it, and say where it is to write.
#[test]
fn write_until_killed() {
    if std::env::var_os(PATH).is_none() {
        return;
    }
    let variable = |name| std::env::var(name).unwrap();
    let options = options(&variable(DURABILITY));
    let store = FjallPersistence::open(variable(PATH), options).unwrap();
    let mut under_way = VecDeque::new();
    for number in variable(FIRST).parse::<u64>().unwrap().. {
        under_way.push_back((number, store.commit(&mut batch(number))));
        if under_way.len() >= WINDOW {
            let (number, answer) = under_way.pop_front().unwrap();
            block_on(answer).unwrap();
            println!("stored {number}");
            std::io::stdout().flush().unwrap();
        }
    }
}

/// Ends the process however the test ends.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts the process, and kills it once it was told that `count` batches are stored; gives the
/// number of the last.
fn kill_after(path: &Path, durability: &str, first: u64, count: usize) -> u64 {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture", "write_until_killed"])
        .env(PATH, path)
        .env(FIRST, first.to_string())
        .env(DURABILITY, durability)
        .stdout(Stdio::piped())
        .spawn();
    let mut child = Killed(child.unwrap());
    let mut lines = BufReader::new(child.0.stdout.take().unwrap()).lines();
    let mut last = None;
    let mut next = || {
        for line in lines.by_ref() {
            let line = line.ok()?;
            if let Some((_, number)) = line.split_once("stored ") {
                return number.parse::<u64>().ok();
            }
        }
        None
    };
    for _ in 0..count {
        last = Some(next().unwrap_or_else(|| panic!("the process ended by itself")));
    }
    // No warning, no last words: SIGKILL.
    child.0.kill().unwrap();
    // What it had been told before it was killed counts too.
    while let Some(number) = next() {
        last = Some(number);
    }
    last.unwrap()
}

/// What is there: gives the number of the last batch.
fn check(path: &Path, durability: &str) -> u64 {
    let store = FjallPersistence::open(path, options(durability)).unwrap();
    let retained = block_on(store.retained(None, None, 10)).unwrap();
    let text = std::str::from_utf8(retained.first().unwrap().payload()).unwrap();
    let last: u64 = text.trim().parse().unwrap();

    let queue = |client: &str| -> Vec<u64> {
        let mut found: Vec<u64> = Vec::new();
        loop {
            let page = block_on(store.outgoing(client, found.last().copied(), 1_000)).unwrap();
            if page.is_empty() {
                return found;
            }
            found.extend(page.iter().map(|one| {
                let message = one.message.as_ref().unwrap();
                let text = std::str::from_utf8(message.payload()).unwrap();
                assert_eq!(text.trim(), one.sequence.to_string());
                one.sequence
            }));
        }
    };
    let wanted: Vec<u64> = (last.saturating_sub(499)..=last).collect();
    assert_eq!(queue("kept"), wanted);
    assert_eq!(
        queue("dropped"),
        (last / 100 * 100..=last).collect::<Vec<_>>()
    );
    assert_eq!(
        block_on(store.queue("kept")).unwrap().messages,
        wanted.len() as u64
    );
    last
}

fn killed_again_and_again(durability: &str) {
    let folder = tempfile::tempdir().unwrap();
    let mut first = 0;
    for round in 0..5 {
        let stored = kill_after(folder.path(), durability, first, 300 + 531 * round);
        let found = check(folder.path(), durability);
        assert!(found >= stored, "{stored} was stored, {found} is there");
        first = found + 1;
    }
    let verified = maintenance::verify(folder.path(), &mut |_| ControlFlow::Continue(()));
    assert_eq!(verified.unwrap().faults, [] as [String; 0]);
}

#[test]
fn a_process_that_is_killed_has_lost_nothing_that_was_answered() {
    killed_again_and_again("always");
}

/// The operating system lives on, and has it.
#[test]
fn nor_has_one_that_does_not_wait_for_the_disk() {
    killed_again_and_again("interval");
    killed_again_and_again("os");
}
