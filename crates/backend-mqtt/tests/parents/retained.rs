//! What is retained at the parent is at its children, and the other way round.

use crate::{Peer, child, mosquitto, prefix, until, url};

#[tokio::test]
async fn what_a_client_of_the_parent_retains_is_retained_at_the_child() {
    let parent = mosquitto().start();
    let mut above = Peer::connect(&parent.url(), "above").await;
    above.retain("s/before", "1").await;
    let server = child(&parent.url(), |it| it.prefix = prefix("s")).await;
    let mut first = Peer::subscribed(&url(&server), "first", &["#"]).await;
    first.hears("before", "1").await;
    above.retain("s/after", "2").await;
    first.hears("after", "2").await;
    above.retain("s/after", "3").await;
    first.hears("after", "3").await;
    above.retain("s/before", "").await;
    first.hears("before", "").await;
    let mut late = Peer::subscribed(&url(&server), "late", &["#"]).await;
    let kept = late.hears("after", "3").await;
    assert!(kept.retain);
    above.publish("s/end", "").await;
    late.hears("end", "").await;
}

#[tokio::test]
async fn what_is_retained_below_is_at_the_parent_and_at_all_its_children() {
    let parent = mosquitto().start();
    let mut servers = Vec::new();
    for _ in 0..2 {
        servers.push(child(&parent.url(), |it| it.prefix = prefix("s")).await);
    }
    let stranger = child(&parent.url(), |it| it.nodes = false).await;
    let mut speaker = Peer::connect(&url(&servers[0]), "speaker").await;
    for payload in ["1", "2"] {
        speaker.retain("kept", payload).await;
    }
    until("both at the other child", || {
        servers[1].counters().received_from_nodes.get() == 2
    })
    .await;
    for (broker, topic) in [(parent.url(), "s/kept"), (url(&servers[1]), "kept")] {
        let mut late = Peer::subscribed(&broker, "late", &[topic]).await;
        assert!(late.hears(topic, "2").await.retain);
    }
    // It is told what it asks for.
    assert_eq!(stranger.counters().received_from_nodes.get(), 0);
    let mut late = Peer::subscribed(&url(&stranger), "late", &["s/+"]).await;
    late.hears("s/kept", "2").await;
}

#[tokio::test]
async fn who_hears_of_a_change_twice_hands_it_on_once() {
    let parent = mosquitto().start();
    let (a, b) = (
        child(&parent.url(), |_| {}).await,
        child(&parent.url(), |_| {}).await,
    );
    let mut listener = Peer::subscribed(&url(&b), "listener", &["#", "t/+", "t/1"]).await;
    let mut speaker = Peer::connect(&url(&a), "speaker").await;
    for number in 0..20 {
        speaker.retain("t/1", &number.to_string()).await;
        listener.hears("t/1", &number.to_string()).await;
    }
    until("all copies", || {
        b.counters().repeated_from_nodes.get() >= 20
    })
    .await;
    assert_eq!(b.counters().received_from_nodes.get(), 20);
}
