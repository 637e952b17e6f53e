//! What hooks are told, and who waits for what they do about it.

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
