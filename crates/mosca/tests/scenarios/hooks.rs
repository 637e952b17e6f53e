//! A program's async hooks, as clients see them on their sockets: who comes in, publishes, subscribes and
//! receives, what the program is told, and who waits for it.

use std::sync::Arc;

use mosca::{
    AsyncHooks, Authentication, Client as Known, CloseCause, ForwardVerdict, Login, Message,
    MessageParts, PublishVerdict, Server, SubscribeVerdict, Timestamp,
};
use mqtt_codec::{
    Connect, Disconnect, OwnedPacket, Packet, Properties, PubAck, Publish, QoS, ReasonCode,
    Subscribe, SubscribeFiltersBuf, SubscriptionOptions, Unsubscribe, UnsubscribeFiltersBuf,
    Version, Will,
};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, mpsc};

use crate::client::{Client, encoded, id, start, within};

/// Decides by names, topics and payloads: what is called "slow" waits for the gate, "panic" panics.
struct Program {
    gate: Arc<Semaphore>,
    heard: mpsc::UnboundedSender<String>,
}

/// The server, and the test's hold on its program.
struct Stage {
    server: Server,
    gate: Arc<Semaphore>,
    heard: mpsc::UnboundedReceiver<String>,
}

impl Program {
    /// What all methods do about these words.
    async fn think(&self, word: &str) {
        match word {
            "slow" => {
                let permit = self.gate.acquire().await;
                permit.expect("it is never closed").forget();
            }
            "panic" => panic!("as the test wants it"),
            _ => {}
        }
    }

    async fn note(&self, what: String) {
        // Not at once, as a database would.
        tokio::task::yield_now().await;
        // The test may have heard enough.
        let _sent = self.heard.send(what);
    }
}

impl AsyncHooks for Program {
    async fn authenticate(&self, login: Login) -> Authentication {
        let Some(name) = login.user_name else {
            return Authentication::not_authorized();
        };
        self.think(&name).await;
        match login.password.as_deref() {
            Some(b"pencil") => Authentication::accept(name),
            _ => Authentication::bad_credentials(),
        }
    }

    async fn authorize_publish(&self, _: Arc<Known>, message: Arc<Message>) -> PublishVerdict {
        self.think(message.topic()).await;
        match message.topic() {
            "upper" => PublishVerdict::Replace(message.payload().to_ascii_uppercase()),
            "forbidden" => PublishVerdict::DENY,
            "nowhere" => PublishVerdict::Ignore,
            _ => PublishVerdict::Allow,
        }
    }

    async fn authorize_subscribe(&self, _: Arc<Known>, filter: String, _: QoS) -> SubscribeVerdict {
        self.think(&filter).await;
        match filter.as_str() {
            "forbidden" => SubscribeVerdict::DENY,
            "low" => SubscribeVerdict::AllowAt(QoS::AtMostOnce),
            _ => SubscribeVerdict::Allow,
        }
    }

    async fn authorize_forward(&self, client: Arc<Known>, message: Arc<Message>) -> ForwardVerdict {
        let payload = String::from_utf8_lossy(message.payload());
        match client.user().is_some_and(|user| **user == *payload) {
            true => ForwardVerdict::Deny,
            false => ForwardVerdict::Allow,
        }
    }

    async fn on_connected(&self, client: Arc<Known>, session_present: bool) {
        let user = client.user().expect("nobody comes in without a name");
        self.note(format!("connected {user} {session_present}"))
            .await;
    }

    async fn on_disconnected(&self, client: Arc<Known>, cause: CloseCause) {
        self.note(format!("disconnected {}: {cause}", client.client_id()))
            .await;
    }

    async fn on_published(&self, client: Option<Arc<Known>>, message: Arc<Message>) {
        let client = client.map_or("nobody".to_owned(), |client| client.client_id().to_string());
        let payload = String::from_utf8_lossy(message.payload());
        self.note(format!("published {client} {} {payload}", message.topic()))
            .await;
    }

    async fn on_delivered(&self, client: Arc<Known>, message: Arc<Message>, qos: QoS) {
        let (topic, payload) = (message.topic(), String::from_utf8_lossy(message.payload()));
        let qos = qos.as_u8();
        self.note(format!(
            "delivered {} {topic} {payload} {qos}",
            client.client_id()
        ))
        .await;
    }

    async fn on_subscribed(&self, client: Arc<Known>, filter: String, qos: QoS) {
        let qos = qos.as_u8();
        self.note(format!("subscribed {} {filter} {qos}", client.client_id()))
            .await;
    }

    async fn on_unsubscribed(&self, client: Arc<Known>, filter: String) {
        self.note(format!("unsubscribed {} {filter}", client.client_id()))
            .await;
    }

    async fn on_pingreq(&self, client: Arc<Known>) {
        self.note(format!("ping {}", client.client_id())).await;
    }
}

impl Stage {
    async fn set() -> Self {
        let gate = Arc::new(Semaphore::new(0));
        let (sender, heard) = mpsc::unbounded_channel();
        let program = Program {
            gate: Arc::clone(&gate),
            heard: sender,
        };
        let server = start(Server::builder().async_hooks(program)).await;
        Self {
            server,
            gate,
            heard,
        }
    }

    async fn enter(&self, version: Version, name: &str) -> Client {
        let connect = credentials(version, name, Some(name), b"pencil");
        Client::connect_with(&self.server, &connect).await
    }

    /// CONNECT, and the reason code of CONNACK.
    async fn knock(&self, connect: &Connect<'_>) -> ReasonCode {
        let mut client = Client::open(&self.server, connect.version).await;
        client.send(Packet::Connect(*connect)).await;
        match client.receive().await {
            OwnedPacket::ConnAck(connack) => connack.reason_code,
            other => panic!("CONNACK expected, not {other:?}"),
        }
    }

    /// The server itself publishes "x".
    async fn publish(&self, topic: &str) {
        let message = Message::new(MessageParts {
            topic,
            properties: &[],
            payload: b"x",
            qos: QoS::AtMostOnce,
            retain: false,
            expires: Timestamp::MAX,
        });
        let published = within("publish", self.server.publish(&message)).await;
        published.expect("there is no store to refuse it");
    }

    /// The program hears exactly this next, apart from what the broker says of itself.
    async fn expect(&mut self, what: &str) {
        let is_own = |heard: &String| heard.starts_with("published nobody $SYS/");
        loop {
            let heard = within(what, self.heard.recv()).await;
            if !heard.as_ref().is_some_and(is_own) {
                return assert_eq!(heard.as_deref(), Some(what));
            }
        }
    }
}

fn credentials<'a>(
    version: Version,
    client_id: &'a str,
    username: Option<&'a str>,
    password: &'a [u8],
) -> Connect<'a> {
    Connect {
        username,
        password: username.map(|_| password),
        ..Connect::new(version, client_id)
    }
}

async fn subscribe(client: &mut Client, filters: &[&str]) -> Vec<ReasonCode> {
    let mut buffer = SubscribeFiltersBuf::new();
    for filter in filters {
        let options = SubscriptionOptions::new(QoS::ExactlyOnce);
        buffer.push(filter, options).unwrap();
    }
    let subscribe = Subscribe {
        packet_id: id(1),
        properties: Properties::EMPTY,
        filters: buffer.as_filters(),
    };
    client.send(Packet::Subscribe(subscribe)).await;
    match client.receive().await {
        OwnedPacket::SubAck(suback) => suback.reason_codes,
        other => panic!("SUBACK expected, not {other:?}"),
    }
}

/// PUBLISH at QoS 1, and the reason code of PUBACK.
async fn publish(client: &mut Client, topic: &str, payload: &str) -> ReasonCode {
    client
        .publish_at_least_once(7, topic, payload.as_bytes())
        .await;
    match client.receive().await {
        OwnedPacket::PubAck(puback) => puback.reason_code,
        other => panic!("PUBACK expected, not {other:?}"),
    }
}

async fn receive(client: &mut Client) -> (String, String) {
    let publish = client.receive_publish().await;
    if let Some(packet_id) = publish.packet_id {
        client.send(Packet::PubAck(PubAck::new(packet_id))).await;
    }
    let payload = String::from_utf8_lossy(&publish.payload).into_owned();
    (publish.topic, payload)
}

/// [MQTT-3.1.4-2]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_in_is_what_authenticate_says() {
    let stage = Stage::set().await;
    for (name, password, expected, older) in [
        (Some("eve"), "pencil", ReasonCode::Success, 0),
        (Some("eve"), "pen", ReasonCode::BadUserNameOrPassword, 4),
        (None, "", ReasonCode::NotAuthorized, 5),
        (Some("panic"), "pencil", ReasonCode::NotAuthorized, 5),
    ] {
        for version in [Version::V31, Version::V311, Version::V5] {
            let connect = credentials(version, "client", name, password.as_bytes());
            let reason_code = stage.knock(&connect).await;
            if version.is_v5() {
                assert_eq!(reason_code, expected);
            } else {
                let code = reason_code.connect_return_code().map(|code| code.as_u8());
                assert_eq!(code, Some(older), "{name:?} {version:?}");
            }
        }
    }
    assert_eq!(stage.server.counters().hook_failures.get(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_is_rewritten_denied_or_goes_nowhere() {
    let stage = Stage::set().await;
    let mut receiver = stage.enter(Version::V311, "receiver").await;
    receiver.subscribe("#", QoS::AtLeastOnce).await;
    let mut publisher = stage.enter(Version::V5, "publisher").await;
    for (topic, expected) in [
        ("upper", ReasonCode::Success),
        ("forbidden", ReasonCode::NotAuthorized),
        ("nowhere", ReasonCode::Success),
        ("panic", ReasonCode::ImplementationSpecificError),
        ("last", ReasonCode::Success),
    ] {
        assert_eq!(
            publish(&mut publisher, topic, "words").await,
            expected,
            "{topic}"
        );
    }
    for (topic, payload) in [("upper", "WORDS"), ("last", "words")] {
        let received = receive(&mut receiver).await;
        assert_eq!(received, (topic.to_owned(), payload.to_owned()));
    }
    let counters = stage.server.counters();
    assert_eq!(counters.denied_publishes.get(), 1);
    assert_eq!(counters.hook_failures.get(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_filter_is_granted_lowered_or_denied() {
    let stage = Stage::set().await;
    let filters = ["a", "forbidden", "low", "panic", "b"];
    let mut client = stage.enter(Version::V5, "new").await;
    let expected = [
        ReasonCode::GrantedQos2,
        ReasonCode::NotAuthorized,
        ReasonCode::granted(QoS::AtMostOnce),
        ReasonCode::ImplementationSpecificError,
        ReasonCode::GrantedQos2,
    ];
    assert_eq!(subscribe(&mut client, &filters).await, expected);
    let mut client = stage.enter(Version::V311, "old").await;
    let expected = [
        ReasonCode::GrantedQos2,
        ReasonCode::UnspecifiedError,
        ReasonCode::granted(QoS::AtMostOnce),
        ReasonCode::UnspecifiedError,
        ReasonCode::GrantedQos2,
    ];
    assert_eq!(subscribe(&mut client, &filters).await, expected);
    for topic in ["forbidden", "panic"] {
        stage.publish(topic).await;
    }
    client.ping().await;
    assert_eq!(stage.server.counters().denied_subscriptions.get(), 2);
}

/// Here who would get back what bears its own name.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_is_withheld_from_one_client_and_sent_to_another() {
    let stage = Stage::set().await;
    let mut clients = [
        stage.enter(Version::V311, "one").await,
        stage.enter(Version::V5, "two").await,
    ];
    for client in &mut clients {
        client.subscribe("a", QoS::AtLeastOnce).await;
    }
    let mut publisher = stage.enter(Version::V5, "publisher").await;
    for payload in ["one", "two", "all"] {
        assert_eq!(
            publish(&mut publisher, "a", payload).await,
            ReasonCode::Success
        );
    }
    for (client, expected) in clients.iter_mut().zip([["two", "all"], ["one", "all"]]) {
        for payload in expected {
            assert_eq!(receive(client).await.1, payload);
        }
        client.ping().await;
    }
    assert_eq!(stage.server.counters().denied_forwards.get(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_program_hears_of_all_that_happens() {
    let mut stage = Stage::set().await;
    for version in [Version::V311, Version::V5] {
        let mut client = stage.enter(version, "eve").await;
        stage.expect("connected eve false").await;
        client.subscribe("upper", QoS::AtLeastOnce).await;
        stage.expect("subscribed eve upper 1").await;
        client.publish_at_least_once(1, "upper", b"words").await;
        stage.expect("published eve upper WORDS").await;
        // PUBLISH and PUBACK come in either order.
        let mut acknowledged = 0;
        for _ in 0..2 {
            match client.receive().await {
                OwnedPacket::Publish(publish) => {
                    let puback = PubAck::new(publish.packet_id.unwrap());
                    client.send(Packet::PubAck(puback)).await;
                }
                OwnedPacket::PubAck(_) => acknowledged += 1,
                other => panic!("not expected: {other:?}"),
            }
        }
        assert_eq!(acknowledged, 1);
        stage.expect("delivered eve upper WORDS 1").await;
        client.ping().await;
        stage.expect("ping eve").await;
        let mut filters = UnsubscribeFiltersBuf::new();
        filters.push("upper").unwrap();
        let unsubscribe = Unsubscribe {
            packet_id: id(2),
            properties: Properties::EMPTY,
            filters: filters.as_filters(),
        };
        client.send(Packet::Unsubscribe(unsubscribe)).await;
        stage.expect("unsubscribed eve upper").await;
        assert!(matches!(client.receive().await, OwnedPacket::UnsubAck(_)));
        stage.publish("a").await;
        stage.expect("published nobody a x").await;
        drop(client);
        stage.expect("disconnected eve: connection lost").await;
    }
}

/// Its next packets wait, in their order, and so does nobody else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hook_that_takes_its_time_holds_up_its_own_client_alone() {
    let stage = Stage::set().await;
    let mut other = stage.enter(Version::V311, "other").await;
    other.subscribe("#", QoS::AtMostOnce).await;

    // One that is still to come in.
    let mut slow = Client::open(&stage.server, Version::V5).await;
    let connect = credentials(Version::V5, "slow", Some("slow"), b"pencil");
    slow.send(Packet::Connect(connect)).await;
    other.ping().await;
    stage.gate.add_permits(1);
    assert!(matches!(slow.receive().await, OwnedPacket::ConnAck(_)));

    // One that publishes.
    let first = Publish {
        qos: QoS::AtLeastOnce,
        packet_id: Some(id(1)),
        ..Publish::new("slow", b"1")
    };
    let mut bytes = encoded(Packet::Publish(first), Version::V5);
    bytes.extend(encoded(
        Packet::Publish(Publish::new("a", b"2")),
        Version::V5,
    ));
    bytes.extend(encoded(Packet::PingReq, Version::V5));
    slow.write(&bytes).await;
    other.publish("b", b"x").await;
    assert_eq!(receive(&mut other).await.0, "b");
    other.ping().await;
    stage.gate.add_permits(1);
    for topic in ["slow", "a"] {
        assert_eq!(receive(&mut other).await.0, topic);
    }
    assert_eq!(slow.receive_puback().await, id(1));
    assert_eq!(slow.receive().await, OwnedPacket::PingResp);
}

/// Clients that publish once and go do not wait to see what becomes of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_sent_before_the_client_left_counts_although_a_hook_thinks() {
    let stage = Stage::set().await;
    let mut other = stage.enter(Version::V311, "other").await;
    other.subscribe("#", QoS::AtMostOnce).await;
    let will = Will {
        qos: QoS::AtMostOnce,
        retain: false,
        topic: "will",
        payload: b"lost",
        properties: Properties::EMPTY,
    };
    for name in ["eve", "slow"] {
        let connect = Connect {
            will: Some(will),
            ..credentials(Version::V311, "hasty", Some(name), b"pencil")
        };
        let publish = |topic| Packet::Publish(Publish::new(topic, b"x"));
        let disconnect = Packet::Disconnect(Disconnect::new(ReasonCode::Success));
        let packets = [
            Packet::Connect(connect),
            publish("slow"),
            publish("a"),
            disconnect,
        ];
        let bytes: Vec<u8> = packets
            .into_iter()
            .flat_map(|packet| encoded(packet, Version::V311))
            .collect();
        let mut hasty = TcpStream::connect(stage.server.local_addresses()[0])
            .await
            .unwrap();
        hasty.write_all(&bytes).await.unwrap();
        // As far as the server can tell it is gone: what is not read by a socket that is closed would
        // reset the connection.
        hasty.shutdown().await.unwrap();
        other.ping().await;
        stage.gate.add_permits(if name == "slow" { 2 } else { 1 });
        for topic in ["slow", "a"] {
            assert_eq!(receive(&mut other).await.0, topic, "{name}");
        }
        other.ping().await;
    }
}
