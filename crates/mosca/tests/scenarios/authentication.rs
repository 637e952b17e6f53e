//! Authentication methods that take their time, over sockets: the client goes meanwhile, or the
//! server, or there are very many.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use mosca::{
    AuthenticationExchange, AuthenticationMethod, AuthenticationRefusal, AuthenticationRequest,
    AuthenticationStep, Server, ServerBuilder, Verdict,
};
use mqtt_codec::{
    Connect, Disconnect, OwnedAuth, OwnedPacket, Packet, PropertiesBuf, Property, Publish,
    ReasonCode, Version,
};
use tokio::sync::Semaphore;

use crate::client::{Client, Pair, encoded, start, wait_for_connections, within};

const METHOD: &str = "GATE";

/// Asks for a word, and lets in who says "pass" once a gate is opened.
struct Gate {
    opened: Arc<Semaphore>,
    /// Verdicts that are waited for.
    pending: Arc<AtomicUsize>,
}

#[derive(Clone)]
struct Asking {
    opened: Arc<Semaphore>,
    pending: Arc<AtomicUsize>,
    asked: bool,
}

/// Counts a verdict for as long as it is waited for.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl AuthenticationMethod for Gate {
    fn name(&self) -> &str {
        METHOD
    }

    fn begin(&self, _client: &AuthenticationRequest<'_>) -> Box<dyn AuthenticationExchange> {
        Box::new(Asking {
            opened: Arc::clone(&self.opened),
            pending: Arc::clone(&self.pending),
            asked: false,
        })
    }
}

impl AuthenticationExchange for Asking {
    fn step(mut self: Box<Self>, data: Option<Vec<u8>>) -> Verdict<AuthenticationStep> {
        if !self.asked && data.is_none() {
            self.asked = true;
            return Verdict::Ready(AuthenticationStep::Continue {
                data: Some(b"word?".to_vec()),
                next: self,
            });
        }
        self.pending.fetch_add(1, Ordering::SeqCst);
        let counted = Counted(Arc::clone(&self.pending));
        Verdict::pending(async move {
            let _counted = counted;
            let permit = self.opened.acquire().await;
            permit.expect("it is never closed").forget();
            if data.as_deref() == Some(b"pass") {
                AuthenticationStep::Accept {
                    data: None,
                    user: Some("somebody".into()),
                }
            } else {
                AuthenticationStep::Refuse(AuthenticationRefusal::default())
            }
        })
    }
}

/// A server with a gate: how to open it, and how many wait in front of it.
async fn gated(builder: ServerBuilder) -> (Server, Arc<Semaphore>, Arc<AtomicUsize>) {
    let opened = Arc::new(Semaphore::new(0));
    let pending = Arc::new(AtomicUsize::new(0));
    let gate = Arc::new(Gate {
        opened: Arc::clone(&opened),
        pending: Arc::clone(&pending),
    });
    let builder = builder.broker(|options| options.authentication_methods.push(gate));
    (start(builder).await, opened, pending)
}

async fn wait_for_pending(pending: &AtomicUsize, number: usize) {
    within("verdicts", async {
        while pending.load(Ordering::SeqCst) != number {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

fn properties(data: Option<&str>) -> PropertiesBuf {
    let mut properties = PropertiesBuf::new();
    properties
        .push(Property::AuthenticationMethod(METHOD))
        .unwrap();
    if let Some(data) = data {
        properties
            .push(Property::AuthenticationData(data.as_bytes()))
            .unwrap();
    }
    properties
}

/// CONNECT that names the method, with its data.
fn hello(client_id: &str, data: Option<&str>) -> Vec<u8> {
    let properties = properties(data);
    let connect = Connect {
        properties: properties.as_properties(),
        ..Connect::new(Version::V5, client_id)
    };
    encoded(Packet::Connect(connect), Version::V5)
}

fn auth(reason_code: ReasonCode, data: Option<&str>) -> Vec<u8> {
    let auth = OwnedAuth {
        reason_code,
        properties: properties(data),
    };
    encoded(Packet::Auth(auth.as_auth()), Version::V5)
}

fn connack_reason(packet: &OwnedPacket) -> ReasonCode {
    match packet {
        OwnedPacket::ConnAck(connack) => connack.reason_code,
        other => panic!("CONNACK expected, not {other:?}"),
    }
}

async fn refused(client: &mut Client, reason: ReasonCode) {
    let words = client.last_words().await;
    let [connack] = &words[..] else {
        panic!("CONNACK expected, not {words:?}");
    };
    assert_eq!(connack_reason(connack), reason);
}

async fn pass(server: &Server, opened: &Semaphore) -> Client {
    let mut client = Client::open(server, Version::V5).await;
    client.write(&hello("client", Some("pass"))).await;
    opened.add_permits(1);
    assert_eq!(connack_reason(&client.receive().await), ReasonCode::Success);
    client
}

/// However the bytes of the exchange are cut, and however long the verdict takes.
#[tokio::test]
async fn an_exchange_over_a_socket_ends_with_connack() {
    let (server, opened, pending) = gated(Server::builder()).await;
    let mut client = Client::open(&server, Version::V5).await;
    for byte in hello("client", None) {
        client.write(&[byte]).await;
    }
    let OwnedPacket::Auth(question) = client.receive().await else {
        panic!("AUTH expected");
    };
    assert_eq!(question.reason_code, ReasonCode::ContinueAuthentication);
    assert_eq!(question.properties, properties(Some("word?")));
    let answer = auth(ReasonCode::ContinueAuthentication, Some("pass"));
    let (front, back) = answer.split_at(answer.len() - 1);
    client.write(front).await;
    client.write(back).await;
    wait_for_pending(&pending, 1).await;
    assert_eq!(server.sizes().sessions, 0);
    opened.add_permits(1);
    assert_eq!(connack_reason(&client.receive().await), ReasonCode::Success);
    client.ping().await;
    assert_eq!(pending.load(Ordering::SeqCst), 0);

    let mut stranger = Client::open(&server, Version::V5).await;
    stranger.write(&hello("stranger", Some("what?"))).await;
    opened.add_permits(1);
    refused(&mut stranger, ReasonCode::NotAuthorized).await;
    assert_eq!(server.counters().authentication_failures.get(), 1);
}

/// MQTT 5.0: [MQTT-3.1.4-6]
#[tokio::test]
async fn what_stands_behind_connect_waits_for_the_verdict() {
    let (server, opened, pending) = gated(Server::builder()).await;
    let disconnect = Packet::Disconnect(Disconnect::new(ReasonCode::Success));
    let disconnect = encoded(disconnect, Version::V5);
    let publish = encoded(Packet::Publish(Publish::new("a", b"x")), Version::V5);
    // Behind CONNECT in one write, then more: first of all nothing happens.
    let cases = [
        ("pass", disconnect, Some(ReasonCode::Success), None),
        (
            "pass",
            publish.clone(),
            Some(ReasonCode::Success),
            Some(ReasonCode::ProtocolError),
        ),
        (
            "what?",
            publish.repeat(50_000),
            Some(ReasonCode::NotAuthorized),
            None,
        ),
    ];
    for (word, behind, connack, last) in cases {
        let client = Client::open(&server, Version::V5).await;
        let (reader, mut writer) = client.stream.into_split();
        let mut bytes = hello("client", Some(word));
        bytes.extend_from_slice(&behind);
        let writing = tokio::spawn(async move {
            // The server need not take all of it.
            let _taken = tokio::io::AsyncWriteExt::write_all(&mut writer, &bytes).await;
            writer
        });
        wait_for_pending(&pending, 1).await;
        opened.add_permits(1);
        let mut buffer = Vec::new();
        let mut reader = reader;
        within(
            "the end",
            tokio::io::AsyncReadExt::read_to_end(&mut reader, &mut buffer),
        )
        .await
        .unwrap();
        drop(writing.await.unwrap());
        let mut told = Vec::new();
        let mut rest = &buffer[..];
        while let Ok(mqtt_codec::Decoded::Packet { packet, size }) =
            mqtt_codec::decode(rest, Version::V5, usize::MAX)
        {
            told.push(match packet {
                Packet::ConnAck(connack) => connack.reason_code,
                Packet::Disconnect(disconnect) => disconnect.reason_code,
                other => panic!("{other:?}"),
            });
            rest = &rest[size..];
        }
        let expected: Vec<_> = connack.into_iter().chain(last).collect();
        assert_eq!(told, expected, "{word}");
    }
    wait_for_connections(&server, 0).await;
}

#[tokio::test]
async fn a_client_that_goes_during_a_pending_verdict_is_noticed() {
    let (server, _opened, pending) = gated(Server::builder()).await;
    let pair = Pair::start(&server).await;
    for behind in [&b""[..], b"\xC0\0"] {
        let mut client = Client::open(&server, Version::V5).await;
        client.write(&hello("client", Some("pass"))).await;
        client.write(behind).await;
        wait_for_pending(&pending, 1).await;
        drop(client);
        wait_for_connections(&server, 2).await;
        assert_eq!(pending.load(Ordering::SeqCst), 0, "nobody waits any more");
    }
    assert!(pair.stop().await > 0);
    assert_eq!(server.sizes().sessions, 2, "the pair's");
}

#[tokio::test]
async fn a_flood_of_exchanges_without_an_end_is_over_when_time_is_up() {
    let limit = Duration::from_secs(2);
    let builder = Server::builder().broker(|options| options.connect_timeout = limit);
    let (server, _opened, pending) = gated(builder).await;
    let pair = Pair::start(&server).await;
    let mut clients = Vec::new();
    let since = Instant::now();
    for number in 0..100 {
        let mut client = Client::open(&server, Version::V5).await;
        let word = (number % 2 == 0).then_some("pass");
        client.write(&hello("client", word)).await;
        clients.push(client);
    }
    for client in &mut clients {
        let words = client.last_words().await;
        let connack = words.last().expect("CONNACK");
        assert_eq!(connack_reason(connack), ReasonCode::NotAuthorized);
    }
    assert!(since.elapsed() >= limit);
    drop(clients);
    wait_for_connections(&server, 2).await;
    assert_eq!(pending.load(Ordering::SeqCst), 0);
    assert_eq!(server.counters().authentication_failures.get(), 100);
    assert!(pair.stop().await > 0);
}

#[tokio::test]
async fn closing_the_server_ends_exchanges_too() {
    let (server, opened, pending) = gated(Server::builder()).await;
    let mut live = pass(&server, &opened).await;
    let mut asked = Client::open(&server, Version::V5).await;
    asked.write(&hello("asked", None)).await;
    assert!(matches!(asked.receive().await, OwnedPacket::Auth(_)));
    let mut waiting = Client::open(&server, Version::V5).await;
    waiting.write(&hello("waiting", Some("pass"))).await;
    wait_for_pending(&pending, 1).await;
    live.write(&auth(ReasonCode::ReAuthenticate, Some("pass")))
        .await;
    wait_for_pending(&pending, 2).await;
    let close = server.close(Duration::from_secs(10));
    let watch = async {
        refused(&mut asked, ReasonCode::ServerUnavailable).await;
        refused(&mut waiting, ReasonCode::ServerUnavailable).await;
        live.assert_ends_with(ReasonCode::ServerShuttingDown, "close")
            .await;
        drop((asked, waiting, live));
    };
    let (left, ()) = within("close", async { tokio::join!(close, watch) }).await;
    assert_eq!(left, 0);
    assert_eq!(pending.load(Ordering::SeqCst), 0);
}

/// MQTT 5.0: [MQTT-4.12.1-1] [MQTT-4.12.1-2]
#[tokio::test]
async fn a_re_authentication_disturbs_nothing_and_ends_with_auth() {
    let (server, opened, pending) = gated(Server::builder()).await;
    let mut client = pass(&server, &opened).await;
    for _ in 0..3 {
        client
            .write(&auth(ReasonCode::ReAuthenticate, Some("pass")))
            .await;
        wait_for_pending(&pending, 1).await;
        client.ping().await;
        opened.add_permits(1);
        let OwnedPacket::Auth(done) = client.receive().await else {
            panic!("AUTH expected");
        };
        assert_eq!(done.reason_code, ReasonCode::Success);
        assert_eq!(done.properties, properties(None));
        client.ping().await;
    }
    client
        .write(&auth(ReasonCode::ReAuthenticate, Some("what?")))
        .await;
    opened.add_permits(1);
    client
        .assert_ends_with(ReasonCode::NotAuthorized, "refused")
        .await;
}

#[tokio::test]
async fn a_re_authentication_that_is_not_done_in_time_ends_the_connection() {
    let limit = Duration::from_secs(1);
    let builder = Server::builder().broker(|options| options.connect_timeout = limit);
    let (server, opened, pending) = gated(builder).await;
    for word in [None, Some("pass")] {
        let mut client = pass(&server, &opened).await;
        // One that is done sets no limit to what comes after it.
        client
            .write(&auth(ReasonCode::ReAuthenticate, Some("pass")))
            .await;
        opened.add_permits(1);
        assert!(matches!(client.receive().await, OwnedPacket::Auth(_)));
        tokio::time::sleep(limit * 2).await;
        client.ping().await;
        let since = Instant::now();
        client.write(&auth(ReasonCode::ReAuthenticate, word)).await;
        if word.is_none() {
            assert!(matches!(client.receive().await, OwnedPacket::Auth(_)));
        }
        client
            .assert_ends_with(ReasonCode::NotAuthorized, "late")
            .await;
        let took = since.elapsed();
        assert!((limit..limit * 30).contains(&took), "{took:?}");
        assert_eq!(pending.load(Ordering::SeqCst), 0);
    }
}
