//! Clients with hundreds of filters end their sessions: the filters leave the router in steps, and
//! no client sees it.

use std::time::Duration;

use broker_core::{Effects, Timestamp};

use crate::harness::*;

/// More than leave at once and in two steps.
const MANY: usize = 300;

fn topic(number: usize) -> String {
    format!("many/{number}")
}

fn subscribe_to_many(client: &Client, prefix: &str) {
    for number in 0..MANY {
        client.subscribe(&format!("{prefix}{}", topic(number)), 1);
    }
}

fn publish_to_all(net: &Net) {
    let publisher = net.connect("publisher");
    for number in 0..MANY {
        publisher.publish(qos1(&topic(number), "x"));
    }
    publisher.disconnect();
}

#[test]
fn who_comes_back_at_once_gets_what_it_asks_for_now_and_nothing_else() {
    for takes_over in [false, true] {
        for lasting in [false, true] {
            let net = Net::new();
            let first = match lasting {
                true => net.dial("client").resuming().connect(),
                false => net.connect("client"),
            };
            subscribe_to_many(&first, "");
            assert_eq!(net.broker().sizes().subscriptions, MANY);
            if !takes_over {
                first.disconnect();
            }
            let second = net.connect("client");
            assert!(!second.connack.session_present);
            assert_eq!(net.broker().sizes().subscriptions, 0);
            let due = net.broker().poll_timeout();
            assert!(due.is_some(), "the router still has some of them");

            second.subscribe(&topic(MANY - 1), 1);
            publish_to_all(&net);
            second.expect(1, &topic(MANY - 1), "x");
            second.expect_nothing();

            net.advance(Duration::from_secs(1));
            assert_eq!(net.broker().poll_timeout(), None);
            assert_eq!(net.broker().sizes().subscriptions, 1);
            publish_to_all(&net);
            second.expect(1, &topic(MANY - 1), "x");
            second.expect_nothing();
        }
    }
}

#[test]
fn what_is_shared_goes_to_those_who_are_still_there() {
    let net = Net::new();
    let [leaver, other] = ["leaver", "other"].map(|name| net.connect(name));
    subscribe_to_many(&leaver, "$share/group/");
    other.subscribe(&format!("$share/group/{}", topic(MANY - 1)), 1);
    leaver.disconnect();
    assert_eq!(net.broker().sizes().subscriptions, 1);
    for _ in 0..3 {
        publish_to_all(&net);
        other.expect(1, &topic(MANY - 1), "x");
        other.expect_nothing();
    }
    let late = net.connect("late");
    late.subscribe(&format!("$share/group/{}", topic(MANY - 2)), 1);
    net.advance(Duration::from_secs(1));
    assert_eq!(net.broker().sizes().subscriptions, 2);
    assert_eq!(net.broker().sizes().shared_subscriptions, 2);
    publish_to_all(&net);
    other.expect(1, &topic(MANY - 1), "x");
    late.expect(1, &topic(MANY - 2), "x");
}

#[test]
fn one_call_takes_a_part_of_them_out_of_the_router() {
    let net = Net::new();
    let client = net.connect("client");
    subscribe_to_many(&client, "");
    client.disconnect();
    let now = Timestamp::from_millis(0);
    let mut effects = Effects::new();
    let mut calls = 1;
    while net.broker().handle_timeout(now, &mut effects) {
        calls += 1;
    }
    assert_eq!(calls, 3, "128 of {MANY} at a time");
    assert_eq!(net.broker().poll_timeout(), None);
}
