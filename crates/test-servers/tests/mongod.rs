//! MongoDB comes, keeps what it is told to keep, and goes.

use bson::{Document, doc};
use test_servers::mongod::{Mongod, MongodSet};

fn insert(id: i32) -> Document {
    doc! {
        "insert": "things",
        "documents": [{ "_id": id }],
        "writeConcern": { "w": "majority", "j": true },
    }
}

fn count(server: &Mongod) -> i32 {
    let answer = server.command("test", doc! { "count": "things" });
    answer.get_i32("n").unwrap_or(-1)
}

#[test]
fn what_a_server_was_told_is_there_after_it_was_killed() {
    let mut server = Mongod::new().start();
    server.command("test", insert(1));
    server.kill();
    assert!(server.try_command("test", insert(2)).is_err());
    server.start_again();
    server.command("test", insert(3));
    assert_eq!(count(&server), 2);
    let folder = server.folder().to_owned();
    drop(server);
    assert!(!folder.exists());
}

#[test]
fn a_standalone_server_has_no_replica_set() {
    let server = Mongod::new().standalone().start();
    let hello = server.command("admin", doc! { "hello": 1 });
    assert_eq!(hello.get("setName"), None);
    server.command("test", insert(1));
}

#[test]
fn a_password_is_asked_for() {
    let server = Mongod::new().user("someone", "secret").start();
    let error = server.try_command("test", insert(1)).unwrap_err();
    assert!(error.contains("authentication"), "{error}");
}

#[test]
fn another_takes_over_when_the_primary_steps_down_or_is_gone() {
    let mut set = MongodSet::start();
    let first = set.await_primary();
    set.members()[first].command("test", insert(1));
    set.step_down(5);
    let second = set.await_primary();
    assert_ne!(first, second);
    set.members()[second].command("test", insert(2));
    set.members()[second].kill();
    let third = set.await_primary();
    assert_eq!(count(&set.members()[third]), 2);
    set.members()[second].start_again();
}
