//! A parent that speaks MQTT 3.1.1 alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use backend_mqtt::Version;
use mqtt_client::QoS;
use test_servers::mosquitto::Mosquitto;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::{Peer, child, mosquitto, start, until, url, within};

/// How an older server turns down MQTT 5.0.
#[derive(Clone, Copy, Debug)]
enum Refusal {
    /// CONNACK in its own words: "unacceptable protocol version".
    ConnAck,
    Close,
}

/// A door in front of a broker, through which no MQTT 5.0 goes.
struct Door {
    url: String,
    refused: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Door {
    async fn before(broker: &Mosquitto, refusal: Refusal) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("mqtt://{}", listener.local_addr().unwrap());
        let port = broker.port();
        let refused = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&refused);
        let task = tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let counted = Arc::clone(&counted);
                tokio::spawn(async move {
                    let _ended = pass(client, port, refusal, &counted).await;
                });
            }
        });
        Self { url, refused, task }
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn pass(
    mut client: TcpStream,
    port: u16,
    refusal: Refusal,
    refused: &AtomicUsize,
) -> std::io::Result<()> {
    // Fixed header with a length of one byte or two, `MQTT` with its length, the version.
    let mut beginning = [0; 8];
    client.read_exact(&mut beginning).await?;
    let mut rest = [0; 2];
    client.read_exact(&mut rest).await?;
    let bytes = [&beginning[..], &rest].concat();
    let name = bytes.windows(4).position(|it| it == b"MQTT").unwrap();
    if bytes[name + 4] == 5 {
        refused.fetch_add(1, Ordering::SeqCst);
        if let Refusal::ConnAck = refusal {
            client.write_all(&[0x20, 2, 0, 1]).await?;
        }
        return client.shutdown().await;
    }
    let mut broker = TcpStream::connect(("127.0.0.1", port)).await?;
    broker.write_all(&bytes).await?;
    copy_bidirectional(&mut client, &mut broker).await?;
    Ok(())
}

#[tokio::test]
async fn a_parent_that_refuses_5_is_spoken_to_in_3() {
    for refusal in [Refusal::ConnAck, Refusal::Close] {
        let parent = mosquitto().start();
        let door = Door::before(&parent, refusal).await;
        let (a, b) = (
            child(&door.url, |_| {}).await,
            child(&door.url, |_| {}).await,
        );
        assert_eq!(door.refused.load(Ordering::SeqCst), 2, "{refusal:?}");
        let mut listener = Peer::subscribed(&url(&b), "listener", &["t"]).await;
        let mut speaker = Peer::connect(&url(&a), "speaker").await;
        speaker.publish("t", "in 3.1.1").await;
        listener.hears("t", "in 3.1.1").await;
        // Who is asked for 5.0 does not do with less.
        let error = start(&door.url, |it| it.version = Some(Version::V5)).await;
        error.unwrap_err();
    }
}

#[tokio::test]
async fn a_node_without_no_local_delivers_its_own_messages_once() {
    let parent = mosquitto().start();
    let server = child(&parent.url(), |it| it.version = Some(Version::V311)).await;
    let mut above = Peer::connect(&parent.url(), "above").await;
    let mut peer = Peer::subscribed(&url(&server), "peer", &["t/+"]).await;
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
        for _ in 0..5 {
            peer.publish_at(qos, "t/1", "the same").await;
            peer.hears("t/1", "the same").await;
        }
    }
    // All of them have been at the parent, and come back: what is behind them has come.
    peer.publish("t/2", "end").await;
    peer.hears("t/2", "end").await;
    above.publish("t/3", "from above").await;
    peer.hears("t/3", "from above").await;
    // What somebody else says is none of the node's own.
    for _ in 0..2 {
        above.publish("t/1", "the same").await;
        peer.hears("t/1", "the same").await;
    }
}

#[tokio::test]
async fn what_is_retained_crosses_once_without_user_properties_too() {
    let parent = mosquitto().start();
    let mut servers = Vec::new();
    for _ in 0..3 {
        servers.push(child(&parent.url(), |it| it.version = Some(Version::V311)).await);
    }
    let mut listener = Peer::subscribed(&url(&servers[1]), "listener", &["t/+"]).await;
    let mut speaker = Peer::connect(&url(&servers[0]), "speaker").await;
    for number in 0..10 {
        speaker.retain("t/1", &number.to_string()).await;
        listener.hears("t/1", &number.to_string()).await;
    }
    speaker.publish("t/2", "end").await;
    listener.hears("t/2", "end").await;
    until("all at a node that has not asked", || {
        servers[2].counters().received_from_nodes.get() == 10
    })
    .await;
    let mut late = Peer::subscribed(&url(&servers[2]), "late", &["t/1"]).await;
    assert!(late.hears("t/1", "9").await.retain);
}

#[tokio::test]
async fn a_client_has_one_connection_in_3_too() {
    let parent = mosquitto().start();
    let older = |it: &mut backend_mqtt::MqttBackendOptions| it.version = Some(Version::V311);
    let (a, b) = (
        child(&parent.url(), older).await,
        child(&parent.url(), older).await,
    );
    let mut first = Peer::connect(&url(&a), "client").await;
    let _second = Peer::connect(&url(&b), "client").await;
    let closed = within("the end of the first connection", first.0.receive()).await;
    closed.unwrap_err();
}
