//! What waits for all clients together: its limit, who is hurt by it and who is not, and that all of it is
//! given back.

use std::time::Duration;

use broker_core::BrokerOptions;
use mqtt_codec::OwnedPacket;
use proptest::prelude::*;

use crate::harness::store::Store;
use crate::harness::*;

const KB: usize = 1 << 10;

fn with_bytes(max_total_queued_bytes: usize) -> BrokerOptions {
    BrokerOptions {
        max_total_queued_bytes,
        ..BrokerOptions::default()
    }
}

/// A session whose client is away.
fn leave(net: &Net, name: &str, filter: &str) -> Dial {
    let dial = net.dial(name).resuming();
    let client = dial.connect();
    client.subscribe(filter, 2);
    client.lose();
    dial
}

/// Lets messages wait for many who are away until no more of them do.
fn pile_up(net: &Net, publisher: &Client, size: usize) {
    for number in 0..20 {
        leave(net, &format!("away-{number}"), "pile");
    }
    let payload = "x".repeat(size);
    let dropped = || net.broker().counters().dropped_total_full.get();
    for _ in 0..1_000 {
        if dropped() >= 100 {
            return;
        }
        publisher.publish(qos1("pile", &payload));
    }
    panic!("{:?}", net.broker().sizes());
}

#[test]
fn those_who_are_away_take_no_more_together_than_they_may_and_honest_clients_get_their_messages() {
    let net = Net::with(with_bytes(400 * KB));
    let publisher = net.connect("publisher");
    let honest = net.connect("honest");
    honest.subscribe("honest", 2);
    let modest = leave(&net, "modest", "modest");
    pile_up(&net, &publisher, KB);
    let sizes = net.broker().sizes();
    // One quarter is left for those for whom nothing waits.
    assert!(
        (300 * KB..400 * KB).contains(&sizes.queued_bytes),
        "{sizes:?}"
    );
    for number in 0..100 {
        let payload = format!("{number:3000}");
        for (qos, publish) in [qos0, qos1, qos2].into_iter().enumerate() {
            publisher.publish(publish("honest", &payload));
            honest.expect(qos as u8, "honest", &payload);
        }
    }
    let large = "x".repeat(10 * KB);
    publisher.publish(qos1("honest", &large));
    honest.expect(1, "honest", &large);
    publisher.publish(qos1("modest", "waits"));
    modest.connect().expect(1, "modest", "waits");
    // Those who return get what has waited, and make room.
    for number in 0..20 {
        let client = net.dial(&format!("away-{number}")).resuming().connect();
        while let Some(packet) = client.try_next() {
            let OwnedPacket::Publish(publish) = packet else {
                panic!("{packet:?}");
            };
            client.acknowledge(&publish);
        }
    }
    assert_eq!(net.broker().sizes().queued_bytes, 0);
    assert_eq!(net.broker().sizes().queued_messages, 0);
}

#[test]
fn very_many_small_messages_have_a_limit_of_their_own() {
    let net = Net::with(BrokerOptions {
        max_total_queued_messages: 1_000,
        ..BrokerOptions::default()
    });
    let publisher = net.connect("publisher");
    let honest = net.connect("honest");
    honest.subscribe("honest", 1);
    pile_up(&net, &publisher, 0);
    let sizes = net.broker().sizes();
    assert!((750..=1_000).contains(&sizes.queued_messages), "{sizes:?}");
    for _ in 0..100 {
        publisher.publish(qos1("honest", "x"));
        honest.expect(1, "honest", "x");
    }
}

#[test]
fn what_waits_for_sockets_is_a_part_of_it_also_while_it_is_written() {
    let net = Net::with(with_bytes(100 * KB));
    let publisher = net.connect("publisher");
    let slow: Vec<Client> = (0..10)
        .map(|number| {
            let slow = net.connect(&format!("slow-{number}"));
            slow.subscribe("flood", 0);
            slow.stop_reading();
            slow
        })
        .collect();
    let honest = net.connect("honest");
    honest.subscribe("flood", 0);
    let payload = "x".repeat(3 * KB);
    for _ in 0..100 {
        publisher.publish(qos0("flood", &payload));
        honest.expect(0, "flood", &payload);
    }
    let sizes = net.broker().sizes();
    assert!(
        (75 * KB..150 * KB).contains(&sizes.queued_bytes),
        "{sizes:?}"
    );
    let counters = net.broker();
    assert!(counters.counters().dropped_total_full.get() > 0);
    assert_eq!(counters.counters().dropped_slow_reader.get(), 0);
    for slow in &slow {
        slow.read_on();
    }
    assert_eq!(net.broker().sizes().queued_bytes, 0);
}

/// Nothing is lost, and nearly nothing is in memory.
#[test]
fn with_a_lasting_store_what_has_no_room_in_memory_waits_in_the_store() {
    let (net, _store) = Net::with_store(with_bytes(40 * KB));
    let publisher = net.connect("publisher");
    let slow = net.dial("slow").resuming().connect();
    slow.subscribe("a", 1);
    slow.stop_reading();
    let filling = "x".repeat(KB);
    for number in 0..200 {
        publisher.publish(qos1("a", &format!("{filling}{number}")));
    }
    let sizes = net.broker().sizes();
    assert!(sizes.queued_bytes < 60 * KB, "{sizes:?}");
    slow.read_on();
    for number in 0..200 {
        slow.expect(1, "a", &format!("{filling}{number}"));
    }
    slow.expect_nothing();
    assert_eq!(net.broker().counters().dropped_total_full.get(), 0);
    assert_eq!(net.broker().sizes().queued_bytes, 0);
}

const CLIENTS: usize = 4;
const LIMIT: usize = 60 * KB;
const LARGEST: usize = 12 * KB;
const INFLIGHT: u16 = 30;

#[derive(Clone, Debug)]
enum Step {
    Connect { who: usize, lasts: bool },
    Subscribe { who: usize, shared: bool },
    Unsubscribe { who: usize, shared: bool },
    Publish { qos: u8, bytes: usize, times: usize },
    StopReading { who: usize },
    Read { who: usize, acknowledged: usize },
    Lose { who: usize },
    Cancel { who: usize },
    Disconnect { who: usize },
    Wait { secs: u64 },
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    let who = 0..CLIENTS;
    let bytes = prop_oneof![Just(0), Just(KB), Just(LARGEST)];
    prop_oneof![
        6 => (who.clone(), any::<bool>()).prop_map(|(who, lasts)| Step::Connect { who, lasts }),
        4 => (who.clone(), any::<bool>()).prop_map(|(who, shared)| Step::Subscribe { who, shared }),
        1 => (who.clone(), any::<bool>())
            .prop_map(|(who, shared)| Step::Unsubscribe { who, shared }),
        8 => (0..3_u8, bytes, 1..30_usize)
            .prop_map(|(qos, bytes, times)| Step::Publish { qos, bytes, times }),
        3 => who.clone().prop_map(|who| Step::StopReading { who }),
        5 => (who.clone(), 0..40_usize)
            .prop_map(|(who, acknowledged)| Step::Read { who, acknowledged }),
        2 => who.clone().prop_map(|who| Step::Lose { who }),
        1 => who.clone().prop_map(|who| Step::Cancel { who }),
        1 => who.prop_map(|who| Step::Disconnect { who }),
        1 => prop_oneof![Just(1), Just(600)].prop_map(|secs| Step::Wait { secs }),
        1 => Just(Step::Crash),
    ]
}

fn filter(shared: bool) -> &'static str {
    if shared { "$share/group/a" } else { "a" }
}

/// After each step the harness compares the total with the sum of what all sessions have, and what is
/// counted of each with what is in its queue and outbox; at the end, when all sessions are gone, the
/// total has to be nothing.
fn check(options: BrokerOptions, has_store: bool, steps: Vec<Step>) {
    let (net, store): (Net, Option<std::sync::Arc<Store>>) = match has_store {
        true => {
            let (net, store) = Net::with_store(options);
            (net, Some(store))
        }
        false => (Net::with(options), None),
    };
    let mut publisher = net.connect("publisher");
    let mut clients: [Option<Client>; CLIENTS] = Default::default();
    for step in steps {
        match step {
            Step::Connect { who, lasts } => {
                let dial = net.dial(&format!("client-{who}"));
                let dial = if lasts {
                    dial.expiry(1_000).resuming()
                } else {
                    dial.v5()
                };
                let client = dial.send();
                assert!(matches!(client.try_next(), Some(OwnedPacket::ConnAck(_))));
                clients[who] = Some(client);
            }
            Step::Publish { qos, bytes, times } => {
                let payload = "x".repeat(bytes);
                for _ in 0..times {
                    publisher.publish([qos0, qos1, qos2][usize::from(qos)]("a", &payload));
                }
            }
            Step::Wait { secs } => net.advance(Duration::from_secs(secs)),
            Step::Crash if store.is_some() => {
                net.crash_and_restart();
                clients = Default::default();
                publisher = net.connect("publisher");
            }
            Step::Crash => {}
            Step::Subscribe { who, .. }
            | Step::Unsubscribe { who, .. }
            | Step::StopReading { who }
            | Step::Read { who, .. }
            | Step::Lose { who }
            | Step::Cancel { who }
            | Step::Disconnect { who } => {
                let Some(client) = clients[who].take().filter(|it| it.closed().is_none()) else {
                    continue;
                };
                if is_kept(&client, step) {
                    clients[who] = Some(client);
                }
            }
        }
        let sizes = net.broker().sizes();
        let over = CLIENTS * (LARGEST + 4 * KB) * 2;
        // What was inflight at a member of a group that has ended waits at another one, whatever there is.
        let inherited = CLIENTS * usize::from(INFLIGHT) * LARGEST;
        assert!(sizes.queued_bytes <= LIMIT + over + inherited, "{sizes:?}");
    }
}

/// Does what one client does; whether it is there still.
fn is_kept(client: &Client, step: Step) -> bool {
    match step {
        Step::Subscribe { shared, .. } => {
            let options = mqtt_codec::SubscriptionOptions::new(mqtt_codec::QoS::ExactlyOnce);
            client.send_subscribe(client.take_id(), filter(shared), options, None);
        }
        Step::Unsubscribe { shared, .. } => {
            client.send_unsubscribe(client.take_id(), filter(shared));
        }
        Step::StopReading { .. } => client.stop_reading(),
        Step::Read { acknowledged, .. } => {
            client.read_on();
            let mut left = acknowledged;
            while let Some(packet) = client.try_next() {
                if let OwnedPacket::Publish(publish) = packet
                    && left > 0
                {
                    left -= 1;
                    client.acknowledge(&publish);
                }
            }
        }
        Step::Lose { .. } => client.lose(),
        Step::Cancel { .. } => client.cancel(),
        Step::Disconnect { .. } => {
            client.read_on();
            client.disconnect();
        }
        _ => {}
    }
    !matches!(
        step,
        Step::Lose { .. } | Step::Cancel { .. } | Step::Disconnect { .. }
    )
}

fn narrow() -> BrokerOptions {
    BrokerOptions {
        queue_window_messages: 20,
        max_inflight: INFLIGHT,
        ..with_bytes(LIMIT)
    }
}

#[test]
fn a_member_of_a_group_inherits_what_was_inflight_beyond_the_limit() {
    let lasting = |who, lasts| Step::Connect { who, lasts };
    let shared = |who| Step::Subscribe { who, shared: true };
    let publish = Step::Publish {
        qos: 1,
        bytes: LARGEST,
        times: 16,
    };
    let ends = lasting(0, false);
    let steps = vec![
        lasting(0, true),
        shared(0),
        publish,
        lasting(2, false),
        shared(2),
        ends,
    ];
    check(narrow(), true, steps);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn the_total_is_the_sum_of_what_sessions_have_and_nothing_at_the_end(
        has_store in any::<bool>(),
        queue_qos_0 in any::<bool>(),
        steps in proptest::collection::vec(step(), 1..60),
    ) {
        let options = BrokerOptions {
            max_total_queued_messages: 200,
            queue_qos_0,
            ..narrow()
        };
        check(options, has_store, steps);
    }
}
