//! The parent does not admit the node, goes away, or says nothing any more.

use std::time::Duration;

use mosca::backend::BackendState;
use mqtt_client::{Property, TlsOptions};
use test_servers::RefusingPort;

use crate::{Peer, child, mosquitto, start, until, url};

#[tokio::test]
async fn a_server_does_not_start_if_the_parent_does_not_admit_it_and_says_why() {
    let parent = mosquitto().user("site", "secret").start();
    let login = |password: &'static str| {
        move |it: &mut backend_mqtt::MqttBackendOptions| {
            it.user_name = Some("site".to_owned());
            it.password = Some(password.as_bytes().to_vec());
        }
    };
    let error = start(&parent.url(), login("wrong")).await.unwrap_err();
    let text = chain(&error);
    assert!(
        text.contains("not authorized") || text.contains("password"),
        "{text}"
    );
    assert!(
        text.contains(&parent.url()) && !text.contains("wrong"),
        "{text}"
    );
    start(&parent.url(), login("secret")).await.unwrap();
    let with_password = parent.url().replace("//", "//site:secret@");
    start(&with_password, |_| {}).await.unwrap();

    let nobody = RefusingPort::take();
    let address = format!("mqtt://127.0.0.1:{}", nobody.number());
    let error = chain(&start(&address, |_| {}).await.unwrap_err());
    assert!(error.contains(&address), "{error}");
    // TLS is asked for where it is not spoken.
    let secure = parent.url().replace("mqtt:", "mqtts:");
    let mut tls = TlsOptions::default();
    tls.insecure = true;
    start(&secure, |it| it.tls = tls).await.unwrap_err();
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

#[tokio::test]
async fn a_parent_that_goes_away_and_comes_back_is_found_again() {
    let mut parent = mosquitto().start();
    let server = child(&parent.url(), |_| {}).await;
    let is = |state| server.backend_state() == Some(state);
    let mut peer = Peer::subscribed(&url(&server), "peer", &["t/+"]).await;
    for round in ["first", "second"] {
        parent.kill();
        until("the loss", || is(BackendState::Lost)).await;
        // Its own clients are served meanwhile.
        peer.publish("t/1", round).await;
        peer.hears("t/1", round).await;
        parent.start_again();
        until("the parent", || is(BackendState::Connected)).await;
        // A filter that is new is said behind those that are said anew.
        peer.subscribe(&[&format!("{round}/#")]).await;
        let mut above = Peer::subscribed(&parent.url(), "above", &["up"]).await;
        above.publish("t/2", round).await;
        peer.hears("t/2", round).await;
        peer.publish("up", round).await;
        above.hears("up", round).await;
    }
    assert_eq!(server.close(Duration::from_secs(30)).await, 0);
}

#[tokio::test]
async fn a_parent_that_says_nothing_any_more_is_lost() {
    let parent = mosquitto().start();
    let server = child(&parent.url(), |it| it.timeout = Duration::from_secs(2)).await;
    let is = |state| server.backend_state() == Some(state);
    let mut peer = Peer::connect(&url(&server), "peer").await;
    parent.pause();
    peer.publish("t", "to nobody").await;
    until("the loss", || is(BackendState::Lost)).await;
    assert_eq!(server.counters().not_forwarded_to_nodes.get(), 1);
    parent.resume();
    until("the parent", || is(BackendState::Connected)).await;
    let mut above = Peer::subscribed(&parent.url(), "above", &["u"]).await;
    peer.publish("u", "again").await;
    above.hears("u", "again").await;
}

#[tokio::test]
async fn what_looks_like_a_note_of_a_node_and_is_none_stays_with_its_message() {
    let parent = mosquitto().start();
    let server = child(&parent.url(), |_| {}).await;
    let mut peer = Peer::subscribed(&url(&server), "peer", &["t"]).await;
    let mut above = Peer::connect(&parent.url(), "above").await;
    for forged in [
        "",
        "1",
        "1 ff 2a 0 9 - n",
        "1 zz 2a 0 1 - n",
        "2 ff 2a 0 1 - n c d",
        "\u{1f600}",
    ] {
        above
            .publish_with("t", &[Property::UserProperty("mosca-node", forged)])
            .await;
        let heard = peer.hears("t", "").await;
        let properties: Vec<_> = heard.properties.as_properties().user_properties().collect();
        assert_eq!(properties, [("mosca-node", forged)]);
    }
    // And what is no envelope on the topic of nodes.
    above.publish("$mosca/nodes", "no envelope").await;
    above.publish("t", "goes on").await;
    peer.hears("t", "goes on").await;
}
