//! A server on its own threads leaves none of them, and no socket. A test program of its own, because it
//! counts for the whole process; one test, because two would count each other.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "all of this is a test"
)]

use std::fs;
use std::net::TcpListener;

use mosca::{Interface, Server};

#[path = "../examples/test_double.rs"]
#[allow(dead_code, unreachable_pub, reason = "a program of its own")]
mod example;

/// Threads, and what is open.
fn here() -> (usize, usize) {
    let count = |folder: &str| fs::read_dir(folder).unwrap().count();
    (count("/proc/self/task"), count("/proc/self/fd"))
}

#[test]
fn a_server_on_its_own_threads_leaves_nothing() {
    // The first runtime of a process opens what tokio keeps for signals from then on.
    drop(Server::builder().start_on_own_threads(1).unwrap());
    let before = here();
    // As a test of somebody's own would use it, and again.
    for _ in 0..3 {
        example::the_thermometer_publishes_what_it_reads().unwrap();
        assert_eq!(here(), before);
    }

    // One that is dropped.
    let server = Server::builder().listen(Interface::mqtt("127.0.0.1:0"));
    let server = server.start_on_own_threads(2).unwrap();
    let mut all = server.subscribe("#").unwrap();
    let address = server.local_addresses()[0];
    assert!(here().0 >= before.0 + 2, "two threads at least");
    server.block_on(server.publish_to("a", "x")).unwrap();
    drop(server);
    assert_eq!(here(), before);
    assert_eq!(all.blocking_recv().unwrap().topic(), "a");
    assert!(all.blocking_recv().is_none(), "it is over");
    drop(TcpListener::bind(address).unwrap());

    // One that cannot start.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let server = Server::builder().listen(Interface::mqtt(address.to_string()));
    let refused = server.start_on_own_threads(1).unwrap_err();
    assert!(
        refused.to_string().contains(&address.to_string()),
        "{refused}"
    );
    drop(taken);
    assert_eq!(here(), before);
}
