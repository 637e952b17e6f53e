//! A server that has no file descriptors left accepts again when it has some. A test program of its
//! own, because it takes them from the whole process.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    dead_code,
    reason = "all of this is a test, and uses only a part of the client"
)]

#[path = "harness/client.rs"]
mod client;

use std::net::TcpStream;

use mqtt_codec::Version;

use client::{Client, plain_server, wait_for_connections};

#[tokio::test]
async fn a_server_without_file_descriptors_accepts_again_when_it_has_some() {
    let server = plain_server().await;
    let mut first = Client::connect(&server, Version::V5, "first").await;
    let open = std::fs::read_dir("/proc/self/fd").unwrap().count() as u64;
    let (_, hard) = rlimit::Resource::NOFILE.get().unwrap();
    rlimit::Resource::NOFILE.set(open + 40, hard).unwrap();
    let address = server.local_addresses()[0];
    let mut held = Vec::new();
    // The clients take all of them: the server, which runs on this thread, has no turn in between,
    // and can accept none of what the system has connected.
    let error = loop {
        match TcpStream::connect(address) {
            Ok(stream) => held.push(stream),
            Err(error) => break error,
        }
    };
    assert_eq!(error.raw_os_error(), Some(24), "EMFILE, not {error}");
    for _ in 0..10 {
        first.ping().await;
    }
    assert_eq!(server.open_connections(), 1);
    held.clear();
    let mut second = Client::connect(&server, Version::V5, "second").await;
    second.ping().await;
    wait_for_connections(&server, 2).await;
}
