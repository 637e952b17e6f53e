//! Who has a session, or is connected, and is asked about again.

use super::*;

#[test]
fn the_subscriptions_of_a_session_are_asked_about_when_its_client_returns() {
    for later in [false, true] {
        let (net, script) = Script::net(SUBSCRIBE.or(EVENTS));
        let client = net.dial("client").expiry(1_000).connect();
        subscribe(&net, client.line(), &["a", "b", "$share/g/c"]);
        client.lose();
        script.heard();
        let deny = Say::Subscribe(SubscribeVerdict::DENY);
        if later {
            script.say([Say::Wait, Say::Wait, Say::Wait]);
        } else {
            script.say([
                deny.clone(),
                Say::Subscribe(SubscribeVerdict::Allow),
                deny.clone(),
            ]);
        }
        let dial = net.dial("client").expiry(1_000).resuming();
        let line = dial.send().line();
        if later {
            assert_eq!(connack(&net, line), None);
            script.answer(&net, deny.clone());
            script.answer(&net, Say::Subscribe(SubscribeVerdict::Allow));
            script.answer(&net, deny);
        }
        assert_eq!(connack(&net, line), Some((true, ReasonCode::Success)));
        let heard = script.heard();
        assert!(
            heard[..3]
                .iter()
                .all(|heard| heard.starts_with("held client ")),
            "{heard:?}"
        );
        assert_eq!(
            heard
                .iter()
                .filter(|heard| heard.starts_with("unsubscribed"))
                .count(),
            2
        );
        assert_eq!(net.broker().sizes().subscriptions, 1);
        assert_eq!(net.broker().counters().denied_subscriptions.get(), 2);
    }
}

#[test]
fn who_is_asked_about_again_loses_what_he_may_not_have_any_more() {
    for later in [false, true] {
        let wanted = ENTRY.or(PUBLISH).or(SUBSCRIBE).or(EVENTS);
        let (net, script) = Script::net(wanted);
        let watcher = net.connect("watcher");
        watcher.subscribe("w", 0);
        let client = net.dial("client").v5().will(qos0("w", "gone")).connect();
        subscribe(&net, client.line(), &["a", "b"]);
        let says = [
            Say::Stay(true),
            Say::Publish(PublishVerdict::DENY),
            Say::Subscribe(SubscribeVerdict::DENY),
            Say::Subscribe(SubscribeVerdict::Allow),
        ];
        // The order of the sessions is nobody's business: the watcher's answers are not scripted.
        net.lose(watcher.line());
        script.heard();
        if later {
            script.say(says.clone().map(|_| Say::Wait));
        } else {
            script.say(says.clone());
        }
        net.reauthorize();
        if later {
            for say in says {
                publish(&net, client.line(), qos0("b", "x"));
                assert_eq!(received(&net, client.line()), [""; 0], "nothing is handled");
                script.answer(&net, say);
            }
        }
        let heard = script.heard();
        assert_eq!(heard[..2], ["stay client", "will client w"]);
        assert!(heard[2].starts_with("held client "));
        assert_eq!(net.broker().sizes().subscriptions, 1);
        assert_eq!(net.closed(client.line()), None);

        script.say([Say::Stay(false)]);
        net.reauthorize();
        assert_eq!(net.closed(client.line()), Some(CloseCause::NotAuthorized));
        // The will went before.
        assert_eq!(net.broker().sizes().sessions, 0);
        let wills = |heard: &String| heard == "published the broker w";
        assert!(!script.heard().iter().any(wills));
    }
}
