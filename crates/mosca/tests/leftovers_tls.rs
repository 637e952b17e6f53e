//! A server that is closed in the middle of TLS handshakes leaves no thread and no socket, and neither does a client
//! that goes in the middle of one. A test program of its own, because it counts for the whole process; one test,
//! because two would count each other.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "all of this is a test"
)]

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mosca::{Interface, Server, ServerBuilder, Tls, TlsOptions};
use test_servers::certificates::{Authority, Subject};
use tokio::runtime::Builder;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore};

/// Longer than anything takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// Threads, and what is open.
fn here() -> (usize, usize) {
    let count = |folder: &str| fs::read_dir(folder).unwrap().count();
    (count("/proc/self/task"), count("/proc/self/fd"))
}

/// Waits until it is so. The system may show a thread for a moment longer than it is there.
fn wait_for(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}: {:?}", here());
        std::thread::yield_now();
    }
}

/// The first thing that a client says over TLS.
fn client_hello() -> Vec<u8> {
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    let name = "localhost".try_into().unwrap();
    let mut client = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut hello = Vec::new();
    client.write_tls(&mut hello).unwrap();
    hello
}

/// Clients in the middle of a handshake: one has said nothing, one a part of the first thing, and one all of it, has its
/// answer, and says no more.
fn in_mid_handshake(address: SocketAddr) -> [TcpStream; 3] {
    let hello = client_hello();
    [0, hello.len() / 2, hello.len()].map(|said| {
        let mut client = TcpStream::connect(address).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        client.write_all(&hello[..said]).unwrap();
        if said == hello.len() {
            client.read_exact(&mut [0; 100]).unwrap();
        }
        client
    })
}

#[test]
fn handshakes_that_are_cut_short_leave_nothing() {
    let authority = Authority::new("Test CA");
    let issued = authority.issue("server", &Subject::server("localhost"));
    let tls = Tls::load(TlsOptions::new(&issued.certificate, &issued.key)).unwrap();
    let secure = || Server::builder().listen(Interface::mqtt("127.0.0.1:0").tls(&tls));
    // The first runtime of a process opens what tokio keeps for signals from then on.
    drop(Server::builder().start_on_own_threads(1).unwrap());
    for threads in [1, 3] {
        on_threads_of_its_own(threads, &secure);
    }
    in_the_thread_of_a_program(&secure);
}

fn on_threads_of_its_own(threads: usize, secure: &dyn Fn() -> ServerBuilder) {
    let before = here();
    for closes in [true, false] {
        let server = secure().start_on_own_threads(threads).unwrap();
        let idle = here();
        let expected = before.0 + 2 * threads;
        assert_eq!(idle.0, expected, "those that serve, and as many for TLS");
        for _ in 0..3 {
            drop(in_mid_handshake(server.local_addresses()[0]));
            wait_for("they have left", || server.open_connections() == 0);
            assert_eq!(here(), idle);
        }
        assert_eq!(server.network_counters().failed_handshakes, 9);
        let clients = in_mid_handshake(server.local_addresses()[0]);
        wait_for("they are there", || server.open_connections() == 3);
        if closes {
            assert_eq!(server.close(PATIENCE), 0);
        } else {
            drop(server);
        }
        for mut client in clients {
            // The rest of the answer, and the end, unless what was said is unread.
            let _over_or_reset = client.read_to_end(&mut Vec::new());
        }
        wait_for("nothing is left", || here() == before);
    }
}

/// There the thread for TLS is the only one that a server has.
fn in_the_thread_of_a_program(secure: &dyn Fn() -> ServerBuilder) {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let before = here();
    for closes in [true, false] {
        let server = runtime.block_on(secure().start()).unwrap();
        assert_eq!(here().0, before.0 + 1);
        let address = server.local_addresses()[0];
        let clients = std::thread::spawn(move || in_mid_handshake(address));
        runtime.block_on(async {
            while server.open_connections() < 3 || !clients.is_finished() {
                tokio::task::yield_now().await;
            }
        });
        if closes {
            assert_eq!(runtime.block_on(server.close(PATIENCE)), 0);
        } else {
            drop(server);
        }
        drop(clients.join().unwrap());
        // What is left in the runtime of a server that was dropped ends there.
        let turn = || runtime.block_on(tokio::task::yield_now());
        wait_for("nothing is left", || {
            turn();
            here() == before
        });
    }
}
