//! How many connections there may be, and how fast they may come. Clients are told apart by their addresses
//! on the loopback network, which is not exempt here.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use mosca::{Interface, IpNetwork, Rate, Server, ServerBuilder, StreamRefused, Tls, TlsOptions};
use mqtt_codec::{Connect, Packet, Version};
use test_servers::certificates::{Authority, Subject};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
use tokio::net::{TcpSocket, TcpStream};

use crate::client::{Client, encoded, wait_for_connections, within};
use crate::log::Log;

/// A server for which nobody is exempt.
fn strict() -> ServerBuilder {
    Server::builder()
        .exempt_networks([])
        .connect_rate_per_address(None)
}

fn plain() -> Interface {
    Interface::mqtt("127.0.0.1:0").connect_rate(None)
}

async fn start(builder: ServerBuilder) -> Server {
    builder.start().await.unwrap()
}

/// A connection from 127.0.0.`host` to one of the server's interfaces.
async fn dial(server: &Server, interface: usize, host: u8) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    let source = SocketAddr::from(([127, 0, 0, host], 0));
    socket.bind(source).unwrap();
    let address = server.local_addresses()[interface];
    let stream = within("TCP connection", socket.connect(address)).await;
    stream.unwrap()
}

/// Says `hello` on it; true if CONNACK comes, false if it is closed instead.
async fn is_let_in(stream: &mut TcpStream, hello: &[u8], client_id: &str) -> bool {
    let connect = Connect::new(Version::V311, client_id);
    let connect = encoded(Packet::Connect(connect), Version::V311);
    // It may have been closed already.
    let _written = stream.write_all(&[hello, &connect].concat()).await;
    let mut connack = [0; 4];
    let read = within("CONNACK", stream.read_exact(&mut connack)).await;
    assert!(read.is_err() || connack == [0x20, 2, 0, 0], "{connack:?}");
    read.is_ok()
}

/// The connection, if it is let in.
async fn enter(server: &Server, interface: usize, host: u8) -> Option<TcpStream> {
    let mut stream = dial(server, interface, host).await;
    let name = format!("{interface}-{host}-{}", stream.local_addr().unwrap().port());
    is_let_in(&mut stream, b"", &name).await.then_some(stream)
}

#[tokio::test]
async fn a_server_takes_no_more_connections_than_it_may_on_all_interfaces_together() {
    let server = start(strict().max_connections(3).listen(plain()).listen(plain())).await;
    let first = enter(&server, 0, 1).await.unwrap();
    let _second = enter(&server, 1, 2).await.unwrap();
    let (_client, stream) = duplex(64);
    server.streams().serve(stream, "a pipe").unwrap();
    for interface in [0, 1] {
        assert!(enter(&server, interface, 3).await.is_none());
    }
    let refused = server.streams().serve(duplex(64).1, "another");
    assert_eq!(refused, Err(StreamRefused::ServerFull(3)));
    assert_eq!(server.network_counters().refused_connections, 3);
    drop(first);
    wait_for_connections(&server, 2).await;
    assert!(enter(&server, 1, 3).await.is_some());
}

#[tokio::test]
async fn an_address_has_no_more_connections_than_it_may_and_others_are_not_held_up() {
    let builder = strict().max_connections_per_address(2);
    let server = start(builder.listen(plain()).listen(plain())).await;
    let first = enter(&server, 0, 2).await.unwrap();
    let _second = enter(&server, 1, 2).await.unwrap();
    for interface in [0, 1, 0] {
        assert!(enter(&server, interface, 2).await.is_none());
        assert!(enter(&server, interface, 3).await.is_some());
        wait_for_connections(&server, 2).await;
    }
    let counters = server.network_counters();
    assert_eq!(counters.refused_per_address, 3);
    assert_eq!(counters.refused_connections, 0);
    drop(first);
    wait_for_connections(&server, 1).await;
    assert!(enter(&server, 0, 2).await.is_some());
}

#[tokio::test]
async fn a_connection_that_has_not_come_as_far_as_mqtt_counts_for_its_address() {
    let authority = Authority::new("Test CA");
    let issued = authority.issue("a", &Subject::server("localhost"));
    let tls = Tls::load(TlsOptions::new(&issued.certificate, &issued.key)).unwrap();
    let builder = strict().max_connections_per_address(1);
    let server = start(builder.listen(plain().tls(&tls)).listen(plain())).await;
    let handshake = dial(&server, 0, 2).await;
    wait_for_at_least(&server, 1).await;
    assert!(enter(&server, 1, 2).await.is_none());
    assert!(enter(&server, 1, 3).await.is_some());
    drop(handshake);
    wait_for_connections(&server, 0).await;
    assert!(enter(&server, 1, 2).await.is_some());
}

async fn wait_for_at_least(server: &Server, number: usize) {
    within("connections", async {
        while server.open_connections() < number {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// The rate of a few, and then one in a second: how long this takes does not matter, since what the time
/// brings is counted.
const RATE: Rate = Rate::per_sec(1).with_burst(3);

/// Connects until it is refused. Returns how often it was let in.
async fn connect_until_refused(server: &Server, interface: usize, host: u8) -> usize {
    let start = Instant::now();
    let mut entered = 0;
    while enter(server, interface, host).await.is_some() {
        entered += 1;
    }
    let brought = start.elapsed().as_secs() as usize + 1;
    assert!((3..=3 + brought).contains(&entered), "{entered} entered");
    entered
}

#[tokio::test]
async fn connections_come_from_an_address_no_faster_than_they_may() {
    let server = start(strict().connect_rate_per_address(RATE).listen(plain())).await;
    connect_until_refused(&server, 0, 2).await;
    connect_until_refused(&server, 0, 3).await;
    assert_eq!(server.network_counters().refused_connect_rate, 2);
    within("the next token", async {
        while enter(&server, 0, 2).await.is_none() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn connections_come_on_an_interface_no_faster_than_they_may() {
    let builder = strict().listen(plain().connect_rate(RATE)).listen(plain());
    let server = start(builder).await;
    connect_until_refused(&server, 0, 2).await;
    let refused = server.network_counters().refused_connect_rate;
    assert_eq!(refused, 1);
    // Each interface has its own.
    for _ in 0..10 {
        assert!(enter(&server, 1, 2).await.is_some());
    }
    let unlimited = start(Server::builder().listen(plain().connect_rate(RATE))).await;
    for _ in 0..10 {
        assert!(enter(&unlimited, 0, 2).await.is_some(), "it is exempt");
    }
}

#[tokio::test]
async fn exempt_networks_have_no_limits_of_addresses() {
    let limited = || {
        Server::builder()
            .max_connections_per_address(0)
            .listen(plain())
    };
    let server = start(limited()).await;
    assert!(enter(&server, 0, 2).await.is_some(), "loopback is exempt");
    let network = "127.0.0.4/31".parse::<IpNetwork>().unwrap();
    let server = start(limited().exempt_networks([network])).await;
    for (host, is_exempt) in [(3, false), (4, true), (5, true), (6, false)] {
        let entered = enter(&server, 0, host).await;
        assert_eq!(entered.is_some(), is_exempt, "127.0.0.{host}");
    }
}

#[tokio::test]
async fn behind_a_load_balancer_the_address_that_it_names_counts() {
    let builder = strict().max_connections_per_address(1);
    let interface = plain().proxy_protocol(true);
    let server = start(builder.listen(interface)).await;
    let header = |host: u8| format!("PROXY TCP4 192.0.2.{host} 192.0.2.1 40000 1883\r\n");
    let mut open = Vec::new();
    for (host, is_free) in [(7, true), (8, true), (7, false), (8, false), (9, true)] {
        let mut stream = dial(&server, 0, 1).await;
        let name = format!("client-{}", open.len());
        let entered = is_let_in(&mut stream, header(host).as_bytes(), &name).await;
        assert_eq!(entered, is_free, "192.0.2.{host}");
        open.push(stream);
    }
    assert_eq!(server.network_counters().refused_per_address, 2);
    assert_eq!(server.network_counters().failed_handshakes, 0);
    wait_for_connections(&server, 3).await;
    drop(open.remove(0));
    wait_for_connections(&server, 2).await;
    let mut stream = dial(&server, 0, 1).await;
    assert!(is_let_in(&mut stream, header(7).as_bytes(), "again").await);
    // Two that the header names in one network of IPv6.
    for (host, is_free) in [("1:7::1", true), ("1:7::2", false), ("2:7::1", true)] {
        let mut stream = dial(&server, 0, 1).await;
        let header = format!("PROXY TCP6 2001:db8:0:{host} ::1 40000 1883\r\n");
        let entered = is_let_in(&mut stream, header.as_bytes(), host).await;
        assert_eq!(entered, is_free, "{host}");
        open.push(stream);
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_unix_socket_has_no_address() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mqtt.sock");
    let interface = Interface::unix(&path).connect_rate(RATE);
    let builder = strict().max_connections_per_address(0);
    let server = start(builder.listen(interface)).await;
    for number in 0..10 {
        let stream = tokio::net::UnixStream::connect(&path).await.unwrap();
        let mut client = Client::over_stream(stream, Version::V5);
        let name = format!("client-{number}");
        client.say_hello(&Connect::new(Version::V5, &name)).await;
    }
    assert_eq!(server.network_counters(), mosca::NetworkCounters::default());
}

#[tokio::test]
async fn a_stream_counts_for_the_address_that_it_names() {
    let builder = strict()
        .max_connections_per_address(1)
        .connect_rate_per_address(Rate::per_sec(1));
    let server = start(builder).await;
    let streams = server.streams();
    let peer = |host: u8| SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, host)), 7);
    let (ours, theirs) = duplex(64);
    streams.serve(theirs, peer(1)).unwrap();
    let refused = streams.serve(duplex(64).1, peer(1));
    assert_eq!(refused, Err(StreamRefused::AddressFull(1)));
    streams.serve(duplex(64).1, peer(2)).unwrap();
    streams.serve(duplex(64).1, "no address").unwrap();
    streams.serve(duplex(64).1, "no address").unwrap();
    drop(ours);
    wait_for_connections(&server, 0).await;
    let start = Instant::now();
    let mut refused = Ok(());
    while refused.is_ok() {
        refused = streams.serve(duplex(64).1, peer(2));
        wait_for_connections(&server, 0).await;
        assert!(start.elapsed() < Duration::from_secs(60));
    }
    assert_eq!(refused, Err(StreamRefused::TooFast));
}

#[tokio::test]
async fn a_series_of_refusals_is_one_warning() {
    let (log, _guard) = Log::begin();
    let builder = strict().max_connections_per_address(1);
    let server = start(builder.listen(plain())).await;
    let _first = enter(&server, 0, 2).await.unwrap();
    log.take();
    for _ in 0..5 {
        assert!(enter(&server, 0, 2).await.is_none());
        // Others that are let in do not begin a new series.
        drop(enter(&server, 0, 3).await.unwrap());
        wait_for_connections(&server, 1).await;
    }
    let lines = log.take();
    let of = |level: &str| {
        let refusals = lines
            .iter()
            .filter(|line| line.contains("the address has 1"));
        refusals.filter(|line| line.starts_with(level)).count()
    };
    assert_eq!((of("WARN"), of("DEBUG")), (1, 4), "{lines:#?}");
}
