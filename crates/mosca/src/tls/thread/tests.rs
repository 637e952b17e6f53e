//! Which thread does what, shown by a choice of the server's certificate that says where it is made, and that
//! waits or panics when it is told to.

use std::mem;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use test_servers::certificates::{Authority, Subject};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert, ServerConfig};
use tokio_rustls::rustls::sign::CertifiedKey;

use super::*;
use crate::tls::tests::connector;
use crate::tls::{Configs, Tls, TlsOptions};
use crate::{Interface, Server};

/// Longer than anything takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// Chooses as another one does.
#[derive(Debug)]
struct Watched {
    choice: Arc<dyn ResolvesServerCert>,
    /// The threads of all choices.
    threads: Mutex<Vec<Option<String>>>,
    /// What the next choice waits for.
    gate: Mutex<Option<mpsc::Receiver<()>>>,
    waits: Notify,
    /// The next choice panics.
    panics: AtomicBool,
}

impl ResolvesServerCert for Watched {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = thread::current().name().map(str::to_owned);
        self.threads.lock().unwrap().push(name);
        let gate = self.gate.lock().unwrap().take();
        if let Some(gate) = gate {
            self.waits.notify_one();
            // In the thread of the test nobody would ever open it.
            gate.recv_timeout(PATIENCE / 2).unwrap();
        }
        assert!(!self.panics.swap(false, Ordering::Relaxed), "as asked for");
        self.choice.resolve(hello)
    }
}

impl Watched {
    /// Has the next choice wait until something is sent.
    fn close_gate(&self) -> mpsc::Sender<()> {
        let (open, gate) = mpsc::channel();
        *self.gate.lock().unwrap() = Some(gate);
        open
    }
}

/// TLS whose choice of a certificate is watched.
fn watched(authority: &Authority) -> (Tls, Arc<Watched>) {
    let issued = authority.issue("server", &Subject::server("localhost"));
    let tls = Tls::load(TlsOptions::new(&issued.certificate, &issued.key)).unwrap();
    let Configs { mqtt, http } = tls.current();
    let watched = Arc::new(Watched {
        choice: Arc::clone(&mqtt.cert_resolver),
        threads: Mutex::default(),
        gate: Mutex::default(),
        waits: Notify::new(),
        panics: AtomicBool::new(false),
    });
    let watch = |config: Arc<ServerConfig>| {
        let mut config = ServerConfig::clone(&config);
        config.cert_resolver = Arc::clone(&watched) as _;
        Arc::new(config)
    };
    *tls.inner.current.write().unwrap() = Configs {
        mqtt: watch(mqtt),
        http: watch(http),
    };
    (tls, watched)
}

async fn within<F: Future>(what: &str, future: F) -> F::Output {
    let result = tokio::time::timeout(PATIENCE, future).await;
    result.unwrap_or_else(|_| panic!("{what} took too long"))
}

async fn shake(authority: &Authority, address: SocketAddr) -> io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from("localhost").unwrap();
    let shaken = connector(authority).connect(name, stream);
    within("the handshake", shaken).await
}

/// Asks for something, and compares the answer.
async fn ask<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, request: &[u8], answer: &[u8]) {
    stream.write_all(request).await.unwrap();
    let mut read = vec![0; answer.len()];
    within("the answer", stream.read_exact(&mut read))
        .await
        .unwrap();
    assert_eq!(read, answer);
}

/// CONNECT of MQTT 3.1.1 without a client identifier.
const CONNECT: &[u8] = b"\x10\x0C\0\x04MQTT\x04\x02\0\0\0\0";
const CONNACK: &[u8] = &[0x20, 2, 0, 0];
const PINGREQ: &[u8] = &[0xC0, 0];
const PINGRESP: &[u8] = &[0xD0, 0];

/// The server has the thread of the test.
#[tokio::test]
async fn who_is_connected_is_served_while_a_handshake_keeps_its_thread_busy() {
    let authority = Authority::new("Test CA");
    let (tls, watched) = watched(&authority);
    let server = Server::builder()
        .listen(Interface::mqtt("127.0.0.1:0").tls(&tls))
        .listen(Interface::websocket("127.0.0.1:0").tls(&tls))
        .listen(Interface::http("127.0.0.1:0").tls(&tls))
        .start()
        .await
        .unwrap();
    let address = server.local_addresses()[0];
    let mut connected = shake(&authority, address).await.unwrap();
    ask(&mut connected, CONNECT, CONNACK).await;
    for address in server.local_addresses() {
        let open = watched.close_gate();
        let coming = shake(&authority, *address);
        let meanwhile = async {
            within("the handshake's begin", watched.waits.notified()).await;
            ask(&mut connected, PINGREQ, PINGRESP).await;
            open.send(()).unwrap();
        };
        let (come, ()) = tokio::join!(coming, meanwhile);
        come.unwrap();
    }
    let threads = mem::take(&mut *watched.threads.lock().unwrap());
    assert_eq!(threads, vec![Some(NAME.to_owned()); 4]);
    drop(connected);
    assert_eq!(server.close(PATIENCE).await, 0);
}

#[tokio::test]
async fn where_handshakes_do_not_keep_up_clients_wait_with_the_system() {
    const COMING: usize = 60;
    /// One, whose handshake keeps the thread busy, and two turns.
    const LET_IN_MAX: usize = 1 + 8;

    let authority = Authority::new("Test CA");
    let (tls, watched) = watched(&authority);
    let server = Server::builder()
        .listen(Interface::mqtt("127.0.0.1:0").tls(&tls))
        .listen(Interface::mqtt("127.0.0.1:0"))
        .start()
        .await
        .unwrap();
    let [secure, plain] = [0, 1].map(|number| server.local_addresses()[number]);
    let mut connected = TcpStream::connect(plain).await.unwrap();
    ask(&mut connected, CONNECT, CONNACK).await;
    let open = watched.close_gate();
    let first = shake(&authority, secure);
    let crowd = async {
        within("the handshake's begin", watched.waits.notified()).await;
        let mut crowd = Vec::new();
        for _ in 0..COMING {
            crowd.push(TcpStream::connect(secure).await.unwrap());
        }
        // Many turns of the thread that accepts.
        for _ in 0..2 * COMING {
            ask(&mut connected, PINGREQ, PINGRESP).await;
        }
        let open_now = server.open_connections() - 1;
        assert!(open_now <= LET_IN_MAX, "{open_now}");
        open.send(()).unwrap();
        crowd
    };
    let (first, crowd) = tokio::join!(first, crowd);
    let _first = first.unwrap();
    within("all of them", async {
        while server.open_connections() < 2 + COMING {
            tokio::task::yield_now().await;
        }
    })
    .await;
    drop(crowd);
}

#[tokio::test]
async fn a_handshake_that_panics_ends_its_connection_and_nothing_else() {
    let authority = Authority::new("Test CA");
    let (tls, watched) = watched(&authority);
    let interface = Interface::mqtt("127.0.0.1:0").tls(&tls);
    let server = Server::builder().listen(interface).start().await.unwrap();
    let address = server.local_addresses()[0];
    watched.panics.store(true, Ordering::Relaxed);
    shake(&authority, address).await.unwrap_err();
    let mut next = shake(&authority, address).await.unwrap();
    ask(&mut next, CONNECT, CONNACK).await;
    within("the count", async {
        while server.network_counters().failed_handshakes == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(server.network_counters().failed_handshakes, 1);
    assert_eq!(server.open_connections(), 1);
}

#[tokio::test]
async fn what_is_under_way_ends_with_the_thread_which_is_waited_for_no_longer_than_told() {
    for waits in [true, false] {
        let thread = HandshakeThread::start().unwrap();
        let (held, dropped) = oneshot::channel::<Infallible>();
        thread.runtime().spawn(async move {
            let _held = held;
            std::future::pending::<()>().await;
        });
        let (open, gate) = mpsc::channel::<()>();
        let (begun, begins) = oneshot::channel();
        thread.runtime().spawn(async move {
            begun.send(()).unwrap();
            gate.recv_timeout(PATIENCE / 2).unwrap();
        });
        within("its begin", begins).await.unwrap();
        if waits {
            open.send(()).unwrap();
            within("its end", thread.end(Instant::now() + PATIENCE)).await;
        } else {
            // It is busy.
            within("no end", thread.end(Instant::now())).await;
            open.send(()).unwrap();
        }
        assert!(within("the end of all", dropped).await.is_err());
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn it_alone_has_a_lower_priority() {
    let priority = || rustix::process::getpriority_process(None).unwrap();
    let before = priority();
    let thread = HandshakeThread::start().unwrap();
    let inside = thread.runtime().spawn(async move { priority() });
    assert_eq!(inside.await.unwrap(), (before + NICER).min(19));
    assert_eq!(priority(), before);
    thread.end(Instant::now() + PATIENCE).await;
}
