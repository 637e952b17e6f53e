//! What a parent does not take.

use mosca::backend::BackendState;
use mqtt_client::{Property, Publish, QoS};
use test_servers::mosquitto::Mosquitto;

use crate::{Peer, child, mosquitto, prefix, until, url};

#[tokio::test]
async fn what_is_too_large_for_the_parent_is_counted_and_the_rest_goes_on() {
    let parent = mosquitto().option("max_packet_size", "2000").start();
    let server = child(&parent.url(), |_| {}).await;
    let mut above = Peer::subscribed(&parent.url(), "above", &["t"]).await;
    let mut peer = Peer::connect(&url(&server), "peer").await;
    let counters = server.counters();
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce] {
        peer.publish_at(qos, "t", &"x".repeat(3_000)).await;
    }
    peer.publish("t", &"x".repeat(1_700)).await;
    above.hears("t", &"x".repeat(1_700)).await;
    until("the count", || counters.not_forwarded_to_nodes.get() == 2).await;
    assert_eq!(server.backend_state(), Some(BackendState::Connected));
}

#[tokio::test]
async fn a_parent_that_can_do_less_gets_no_more() {
    let parent = mosquitto()
        .option("max_qos", "1")
        .option("retain_available", "false")
        .start();
    let (a, b) = (
        child(&parent.url(), |_| {}).await,
        child(&parent.url(), |_| {}).await,
    );
    let mut listener = Peer::subscribed(&url(&b), "listener", &["t"]).await;
    let mut speaker = Peer::connect(&url(&a), "speaker").await;
    speaker.publish_at(QoS::ExactlyOnce, "t", "1").await;
    // The nodes tell each other what it was.
    assert_eq!(listener.hears("t", "1").await.qos, QoS::ExactlyOnce);
    speaker.retain("t", "2").await;
    listener.hears("t", "2").await;
    let mut late = Peer::subscribed(&url(&b), "late", &["t"]).await;
    assert!(late.hears("t", "2").await.retain);
}

#[tokio::test]
async fn a_parent_that_does_not_allow_a_topic_refuses_that_alone() {
    let folder = test_servers::Folder::new("acl");
    let file = folder.path().join("acl");
    std::fs::write(&file, "topic readwrite s/open/#\n").unwrap();
    let parent = mosquitto()
        .option("acl_file", &file.display().to_string())
        .start();
    let server = child(&parent.url(), |it| it.prefix = prefix("s")).await;
    let mut above = Peer::subscribed(&parent.url(), "above", &["s/open/#"]).await;
    // To connect is told on the topic of nodes, which is not allowed either.
    let mut peer = Peer::connect(&url(&server), "peer").await;
    peer.publish("closed/1", "").await;
    peer.retain("open/1", "kept").await;
    peer.publish("open/2", "end").await;
    above.hears("s/open/1", "kept").await;
    above.hears("s/open/2", "end").await;
    let counters = server.counters();
    until("the counts", || {
        counters.not_forwarded_to_nodes.get() == 1 && counters.forwarded_to_nodes.get() == 2
    })
    .await;
}

/// Mosquitto ends the connection over each of these topics.
#[tokio::test]
async fn no_client_ends_the_connection_of_its_node_by_what_it_says() {
    let parent = mosquitto().start();
    let (a, b) = (
        child(&parent.url(), |_| {}).await,
        child(&parent.url(), |_| {}).await,
    );
    let mut listener = Peer::connect(&url(&b), "listener").await;
    let mut speaker = Peer::connect(&url(&a), "speaker").await;
    let deep = "/".repeat(200);
    let wild = "+/".repeat(200) + "+";
    for (topic, filter) in [
        ("a\u{1}b", "a\u{1}b"),
        ("\u{fdd0}/x", "+/x"),
        (&*deep, &*wild),
    ] {
        listener.subscribe(&[filter]).await;
        speaker.publish(topic, "to nodes alone").await;
        listener.hears(topic, "to nodes alone").await;
    }
    listener.subscribe(&["t"]).await;
    let odd = [
        Property::ContentType("\u{2}"),
        Property::UserProperty("a", "\u{7f}"),
    ];
    for property in odd {
        speaker.publish_with("t", &[property]).await;
        listener.hears("t", "").await;
    }
    assert!(
        [&a, &b]
            .iter()
            .all(|it| it.backend_state() == Some(BackendState::Connected))
    );
    // It is the same connection: nothing was said anew.
    for server in [&a, &b] {
        assert_eq!(server.counters().not_forwarded_to_nodes.get(), 0);
    }
    // Who is no node of others counts it.
    let lonely = child(&parent.url(), |it| it.nodes = false).await;
    let mut peer = Peer::connect(&url(&lonely), "lonely").await;
    peer.publish("a\u{1}b", "").await;
    until("the count", || {
        lonely.counters().not_forwarded_to_nodes.get() == 1
    })
    .await;
}

/// Mosquitto ends the connection if more are under way.
#[tokio::test]
async fn no_more_is_under_way_than_the_parent_allows() {
    const MESSAGES: usize = 300;
    let parent = Mosquitto::new()
        .option("max_inflight_messages", "3")
        .start();
    let server = child(&parent.url(), |_| {}).await;
    let mut above = Peer::subscribed(&parent.url(), "above", &["t"]).await;
    let mut peer = Peer::connect(&url(&server), "peer").await;
    for number in 0..MESSAGES {
        let qos = [QoS::AtLeastOnce, QoS::ExactlyOnce][number % 2];
        let payload = number.to_string();
        let message = Publish {
            qos,
            ..Publish::new("t", payload.as_bytes())
        };
        peer.0.begin_publish(&message).await.unwrap();
    }
    // What is at another quality of service waits for those before it: all come in their order.
    for number in 0..MESSAGES {
        above.hears("t", &number.to_string()).await;
    }
    let counters = server.counters();
    assert_eq!(counters.not_forwarded_to_nodes.get(), 0);
}
