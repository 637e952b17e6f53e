//! Brokers below brokers.

use std::io::Read as _;
use std::process::{Command, Stdio};

use mqtt_client::{Property, Publish, QoS};
use test_servers::find_program;

use crate::{Peer, child, mosquitto, prefix, until, url, within};

#[tokio::test]
async fn all_of_a_tree_of_three_levels_talk_to_each_other() {
    let root = mosquitto().start();
    let mut middles = Vec::new();
    let mut leaves = Vec::new();
    for _ in 0..2 {
        let middle = child(&root.url(), |it| it.prefix = prefix("/s")).await;
        leaves.push(child(&url(&middle), |it| it.prefix = prefix("/t")).await);
        middles.push(middle);
    }
    let mut peers = vec![(
        Peer::subscribed(&root.url(), "root", &["/s//t/#"]).await,
        "/s//t/",
    )];
    for (middle, id) in middles.iter().zip(["middle 1", "middle 2"]) {
        peers.push((Peer::subscribed(&url(middle), id, &["/t/#"]).await, "/t/"));
    }
    for (leaf, id) in leaves.iter().zip(["leaf 1", "leaf 2"]) {
        peers.push((Peer::subscribed(&url(leaf), id, &["#"]).await, ""));
    }
    for speaker in 0..peers.len() {
        for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
            let payload = format!("{speaker} at {qos:?}");
            let (peer, below) = &mut peers[speaker];
            peer.publish_at(qos, &format!("{below}x"), &payload).await;
            for (peer, below) in &mut peers {
                let heard = peer.hears(&format!("{below}x"), &payload).await;
                assert_eq!(heard.qos, qos, "{payload}");
            }
        }
    }
}

#[tokio::test]
async fn a_message_keeps_its_properties_through_the_tree_and_each_level_takes_off_its_own() {
    let root = mosquitto().start();
    let mut leaves = Vec::new();
    let mut middles = Vec::new();
    for _ in 0..2 {
        let middle = child(&root.url(), |it| it.prefix = prefix("/s")).await;
        leaves.push(child(&url(&middle), |it| it.prefix = prefix("/t")).await);
        middles.push(middle);
    }
    let mut listener = Peer::subscribed(&url(&leaves[1]), "listener", &["x"]).await;
    let mut speaker = Peer::connect(&url(&leaves[0]), "speaker").await;
    let properties = [
        Property::ContentType("text/plain"),
        Property::UserProperty("mosca-node", "of the publisher"),
        Property::MessageExpiryInterval(3_600),
    ];
    speaker.publish_with("x", &properties).await;
    let heard = listener.hears("x", "").await;
    let heard = heard.properties.as_properties();
    assert_eq!(heard.content_type(), Some("text/plain"));
    assert!(matches!(
        heard.message_expiry_interval(),
        Some(3_500..=3_600)
    ));
    let own: Vec<_> = heard.user_properties().collect();
    assert_eq!(own, [("mosca-node", "of the publisher")]);
    assert_eq!(leaves[1].counters().received_from_nodes.get(), 1);
}

#[tokio::test]
async fn plain_clients_of_mosquitto_and_clients_of_a_child_hear_each_other() {
    let parent = mosquitto().start();
    let server = child(&parent.url(), |_| {}).await;
    let mut peer = Peer::subscribed(&url(&server), "peer", &["down/+"]).await;
    let port = parent.port().to_string();
    for version in ["mqttv31", "mqttv311", "mqttv5"] {
        let published = Command::new(find_program("MOSCA_TEST_MOSQUITTO_PUB", "mosquitto_pub"))
            .args([
                "-p", &port, "-V", version, "-q", "1", "-t", "down/1", "-m", version,
            ])
            .status();
        assert!(published.unwrap().success());
        peer.hears("down/1", version).await;
    }
    let mut listener = Command::new(find_program("MOSCA_TEST_MOSQUITTO_SUB", "mosquitto_sub"))
        .args([
            "-p", &port, "-q", "1", "-t", "up/+", "-C", "1", "-F", "%t %p",
        ])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    within("mosquitto_sub to hear", async {
        // Nobody says when it has subscribed.
        while listener.try_wait().unwrap().is_none() {
            peer.publish("up/1", "from below").await;
        }
    })
    .await;
    let mut heard = String::new();
    listener
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut heard)
        .unwrap();
    assert_eq!(heard, "up/1 from below\n");
}

#[tokio::test]
async fn a_client_has_one_connection_at_whichever_child() {
    let parent = mosquitto().start();
    let (a, b) = (
        child(&parent.url(), |_| {}).await,
        child(&parent.url(), |_| {}).await,
    );
    let mut first = Peer::connect(&url(&a), "client").await;
    let _second = Peer::connect(&url(&b), "client").await;
    let closed = within("the end of the first connection", first.0.receive()).await;
    closed.unwrap_err();
    until("the takeover", || a.counters().takeovers.get() == 1).await;
    // Who is no node of the same broker keeps its own.
    let stranger = child(&parent.url(), |it| it.nodes = false).await;
    let mut third = Peer::subscribed(&url(&stranger), "client", &["t"]).await;
    let _fourth = Peer::connect(&url(&a), "client").await;
    let message = Publish::new("t", b"still there");
    third.publish_whole(message).await;
    third.hears("t", "still there").await;
}
