//! What hooks are told, and who waits for what they do about it.

use broker_core::{EventOptions, EventSet, OwnedEvent, Violation};

use super::*;

#[test]
fn what_happens_is_told_in_its_order() {
    let (net, script) = Script::net(EVENTS);
    let client = net.dial("client").v5().will(qos0("w", "gone")).connect();
    subscribe(&net, client.line(), &["a", "b"]);
    publish(&net, client.line(), qos1("a", "1"));
    net.send(client.line(), &Packet::PingReq);
    client.unsubscribe("b");
    client.unsubscribe("never/there");
    client.lose();
    assert_eq!(
        script.heard(),
        [
            "connected client false",
            "subscribed client a 1",
            "subscribed client b 1",
            "published client a",
            "ping client",
            "unsubscribed client b",
            "gone client: connection lost",
            "published the broker w",
        ]
    );
}

#[test]
fn puback_and_pubrec_wait_for_what_is_done_about_the_message_and_so_does_the_next_packet() {
    for message in [qos1("a", "1"), qos2("a", "1")] {
        let (net, script) = Script::net(EVENTS);
        let client = net.connect_v5("client");
        let watcher = net.connect("watcher");
        watcher.subscribe("#", 0);
        script.say([Say::Wait]);
        publish(&net, client.line(), message);
        net.send(client.line(), &Packet::PingReq);
        assert_eq!(received(&net, watcher.line()), ["a 1"]);
        assert_eq!(net.next(client.line()), None);
        script.answer(&net, Say::Done);
        let acknowledged = net.next(client.line());
        match acknowledged {
            Some(OwnedPacket::PubAck(puback)) => {
                assert_eq!(puback.as_puback(), PubAck::new(id(5)));
            }
            Some(OwnedPacket::PubRec(pubrec)) => {
                assert_eq!(pubrec.as_pubrec(), PubRec::new(id(5)));
            }
            other => panic!("{other:?}"),
        }
        assert!(matches!(
            net.next(client.line()),
            Some(OwnedPacket::PingResp)
        ));
    }
}

#[test]
fn a_notice_that_panics_or_never_ends_holds_nobody_for_ever() {
    for say in [Say::Panic, Say::PanicLater, Say::Wait] {
        let (net, script) = Script::net(EVENTS);
        let client = net.connect_v5("client");
        script.say([say]);
        publish(&net, client.line(), qos1("a", "1"));
        net.advance(Duration::from_secs(21));
        let acknowledged = puback(&net, client.line());
        assert_eq!(acknowledged, Some(ReasonCode::NoMatchingSubscribers));
        assert_eq!(net.broker().counters().hook_failures.get(), 1);
    }
}

#[test]
fn who_leaves_while_a_hook_thinks_is_not_waited_for() {
    let (net, script) = Script::net(PUBLISH.or(EVENTS));
    let client = net.connect_v5("client");
    script.heard();
    script.say([Say::Wait]);
    publish(&net, client.line(), qos1("a", "1"));
    net.lose(client.line());
    assert_eq!(
        script.heard(),
        ["publish client a", "gone client: connection lost"]
    );
    assert_eq!(net.broker().sizes().sessions, 0);
}

/// For programs that compare them: what mosca says in `clientDisconnected`.
#[test]
fn ends_are_told_in_moscas_words_where_it_has_some() {
    let (net, script) = Script::net(PUBLISH);
    let mut events = net.broker().watch(EventOptions {
        kinds: EventSet::DISCONNECTED,
        ..EventOptions::default()
    });
    net.connect("1").disconnect();
    net.connect("2").lose();
    let silent = net.dial("3").keep_alive(10).connect();
    net.advance(Duration::from_secs(15));
    silent.expect_closed(CloseCause::KeepAliveTimeout);
    let first = net.connect("4");
    let second = net.connect("4");
    first.expect_closed(CloseCause::TakenOver);
    let denied = net.connect("5");
    script.say([Say::Publish(PublishVerdict::DENY)]);
    publish(&net, denied.line(), qos1("a", "1"));
    denied.expect_closed(CloseCause::NotAuthorized);
    let wrong = net.connect("6");
    net.send(wrong.line(), &Packet::PingResp);
    wrong.expect_closed(CloseCause::Protocol(Violation::ServerPacket));
    net.shut_down();
    second.expect_closed(CloseCause::ServerShutdown);
    let told: Vec<_> = std::iter::from_fn(|| events.try_next())
        .map(|event| match event {
            OwnedEvent::Disconnected { client, cause } => {
                (client.client_id().to_string(), cause.mosca_reason())
            }
            other => panic!("{other:?}"),
        })
        .collect();
    let expected = [
        ("1", Some("disconnect request")),
        ("2", Some("close")),
        ("3", Some("keepalive timeout")),
        ("4", Some("new connection request")),
        ("5", Some("publish not authorized")),
        ("6", None),
        ("4", Some("server closed")),
    ];
    assert_eq!(told, expected.map(|(id, reason)| (id.to_owned(), reason)));
}
