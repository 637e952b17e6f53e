//! What many bad connections leave behind: nothing. Measured as the resident memory of this process,
//! which is why this is a test program of its own with one test.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    dead_code,
    reason = "all of this is a test, and uses only a part of the client"
)]

#[path = "harness/client.rs"]
mod client;

use std::time::Duration;

use mosca::Server;
use mqtt_codec::{Connect, Packet, Publish, Version};

use client::{Client, Pair, VERSIONS, encoded, start, wait_for_connections};

/// Half packets at one time; each of them announces all that MQTT can express.
const HALF_PACKETS: usize = 200;

/// Bad connections one after the other. A leak of one kilobyte each would be 10 MB.
const BAD_CONNECTIONS: usize = 10_000;

const MB: usize = 1 << 20;

/// Resident memory of this process, in bytes.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kilobytes = line.unwrap().split_whitespace().nth(1).unwrap();
    kilobytes.parse::<usize>().unwrap() * 1_024
}

/// Beginnings of all kinds, each on a connection of its own, some behind a CONNECT.
async fn bad_connections(server: &Server, number: usize) {
    let wrong: [&[u8]; 4] = [
        &[0x30, 0xFF, 0xFF, 0xFF, 0x7F, 0, 9],
        b"GET / HTTP/1.1\r\n\r\n",
        &[0x10, 0x0C, 0, 4, b'M', b'Q'],
        &[0x36, 5, 0, 1, b'a', 0, 1],
    ];
    for round in 0..number {
        let version = VERSIONS[round % 3];
        let name = format!("client-{round}");
        let mut client = Client::open(server, version).await;
        if round % 2 == 0 {
            client.say_hello(&Connect::new(version, &name)).await;
        }
        client.write(wrong[round % 4]).await;
        if round % 4 % 2 == 1 {
            client.last_words().await;
        }
    }
    wait_for_connections(server, 2).await;
}

#[tokio::test]
async fn bad_connections_and_half_packets_leave_the_memory_as_it_was() {
    let server =
        start(Server::builder().broker(|options| options.max_packet_size_bytes = u32::MAX)).await;
    let pair = Pair::start(&server).await;
    // Once for what is there once: worker memory, tables, the allocator's own.
    bad_connections(&server, 1_000).await;
    let before = resident();
    bad_connections(&server, BAD_CONNECTIONS).await;
    let grown = resident().saturating_sub(before);
    eprintln!("{BAD_CONNECTIONS} bad connections: {grown} bytes more than {before}");
    assert!(
        grown < 4 * MB,
        "{grown} bytes more after {BAD_CONNECTIONS} connections"
    );
    assert_eq!(server.sizes().sessions, 2);

    let before = resident();
    let mut halves = Vec::new();
    for number in 0..HALF_PACKETS {
        let name = format!("half-{number}");
        let mut client = Client::connect(&server, Version::V5, &name).await;
        client
            .write(&[0x30, 0xFF, 0xFF, 0xFF, 0x7F, 0, 1, b'a'])
            .await;
        client.write(&[0; 1_000]).await;
        halves.push(client);
    }
    // The same again that is large enough for memory of its own.
    let publish = encoded(
        Packet::Publish(Publish::new("a", &[0; 100_000])),
        Version::V5,
    );
    for client in &mut halves {
        client.write(&publish[..40_000]).await;
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    let grown = resident().saturating_sub(before);
    let sent = HALF_PACKETS * 41_000;
    eprintln!("{HALF_PACKETS} half packets of 256 MB, {sent} bytes sent: {grown} bytes more");
    // Twice what was sent, and the clients' part of it.
    assert!(grown < 3 * sent + 4 * MB, "{grown} bytes for {sent}");
    drop(halves);
    wait_for_connections(&server, 2).await;
    assert!(pair.stop().await > 0);
}
