//! What is published comes: whole, in order, or not unnoticed.

use mqtt_codec::QoS;

use super::Factory;
use super::member::{Heard, Member, message, rich};
use crate::backend::Content;

/// Promise 1: every part of an envelope comes as it was, the tag included.
pub(super) async fn what_is_published_comes_whole<F: Factory>(factory: &F) {
    let engine = factory.create();
    let mut a = Member::join(factory, &engine, "a").await;
    let mut b = Member::join(factory, &engine, "b").await;
    b.subscribe(&["t/#"]).await.unwrap();
    let contents = [
        rich("t/0", QoS::AtMostOnce, 0),
        rich("t/1", QoS::AtLeastOnce, 0),
        rich("t/2", QoS::ExactlyOnce, u64::MAX),
        message("t/empty", b""),
        Content::Connected {
            client: "client \u{1f600}".into(),
            at: u64::MAX - 1,
        },
    ];
    for content in contents {
        let sent = a.envelope(content);
        assert_eq!(a.membership.publish(vec![sent.clone()]).await.unwrap(), 0);
        let mut received = b.receive().await;
        // An engine may count the time that an envelope was with it.
        if let (
            Content::Message {
                expires_in: Some(is),
                ..
            },
            Content::Message {
                expires_in: Some(was),
                ..
            },
        ) = (&mut received.content, &sent.content)
        {
            assert!(*is <= *was);
            *is = *was;
        }
        assert_eq!(received, sent);
    }
}

/// Promise 4: no character of a topic or a filter has a meaning but those of MQTT.
pub(super) async fn topics_and_filters_may_have_any_characters<F: Factory>(factory: &F) {
    let engine = factory.create();
    let mut a = Member::join(factory, &engine, "a").await;
    let mut b = Member::join(factory, &engine, "b").await;
    let long = "long/".repeat(800);
    let topics = [
        "tr/",
        "tr",
        "/lead",
        "//",
        "a.b",
        "a/b",
        "a_b",
        "b[in]/x",
        "q?",
        "s*",
        "a>b",
        ">",
        "*",
        "with space",
        "\\",
        "\"quoted\"",
        "\u{fc}/\u{1f600}",
        "{}",
        "$other/x",
        &long,
    ];
    for topic in topics {
        b.subscribe(&[topic]).await.unwrap();
        a.say(topic, topic).await.unwrap();
        assert_eq!(b.hear().await, (topic.to_owned(), topic.to_owned()));
    }
    for (filter, topic) in [("b[in]/+", "b[in]/y"), ("*/+", "*/z"), ("a.b/#", "a.b/c/d")] {
        b.subscribe(&[filter]).await.unwrap();
        a.say(topic, "").await.unwrap();
        assert_eq!(b.hear().await.0, topic);
    }
}

/// Promise 4: a filter finds all that it matches as section 4.7 has it.
pub(super) async fn filters_match_as_in_mqtt<F: Factory>(factory: &F) {
    let cases: [(&str, &[&str]); 9] = [
        ("#", &["a", "a/b", "/", "/a/", "a//b"]),
        ("a/#", &["a", "a/", "a/b", "a/b/c"]),
        ("+", &["a", "b c"]),
        ("+/+", &["a/b", "/b", "a/", "/"]),
        ("+/b/#", &["a/b", "/b", "a/b/c"]),
        ("a/+/c", &["a/b/c", "a//c"]),
        ("a/b", &["a/b"]),
        ("/+", &["/a", "/"]),
        ("$x/#", &["$x", "$x/y"]),
    ];
    for (filter, topics) in cases {
        let engine = factory.create();
        let mut a = Member::join(factory, &engine, "a").await;
        let mut b = Member::join(factory, &engine, "b").await;
        b.subscribe(&[filter]).await.unwrap();
        for topic in topics {
            a.say(topic, filter).await.unwrap();
            assert_eq!(b.hear().await, ((*topic).to_owned(), filter.to_owned()));
        }
    }
}

/// Promise 2: first copies of what is on one topic come in their order, through batches of any size.
pub(super) async fn a_topic_keeps_its_order<F: Factory>(factory: &F) {
    let engine = factory.create();
    let mut a = Member::join(factory, &engine, "a").await;
    let mut b = Member::join(factory, &engine, "b").await;
    b.subscribe(&["t/+", "#", "t/1"]).await.unwrap();
    let mut number = 0_u64;
    for size in [1, 7, 64, 128] {
        let batch = (0..size).map(|_| {
            number += 1;
            let topic = format!("t/{}", number % 3);
            let mut content = message(&topic, number.to_string().as_bytes());
            if let Content::Message { retained_at, .. } = &mut content {
                // Some of them for nodes that have not asked for the topic as well.
                *retained_at = number * u64::from(number.is_multiple_of(4));
            }
            a.envelope(content)
        });
        let batch = batch.collect();
        a.membership.publish(batch).await.unwrap();
    }
    let mut last = [0; 3];
    for _ in 0..number {
        let (topic, payload) = b.hear().await;
        let lane: usize = topic[2..].parse().unwrap();
        let now: u64 = payload.parse().unwrap();
        assert!(last[lane] < now, "{now} behind {}", last[lane]);
        last[lane] = now;
    }
}

/// Promise 2: what is for all nodes comes to all of them, whatever they have subscribed to, and in order.
pub(super) async fn what_is_for_all_nodes_comes_in_order_and_needs_no_filter<F: Factory>(
    factory: &F,
) {
    let engine = factory.create();
    let mut a = Member::join(factory, &engine, "a").await;
    let mut others = [
        Member::join(factory, &engine, "b").await,
        Member::join(factory, &engine, "c").await,
    ];
    others[1].subscribe(&["t"]).await.unwrap();
    let contents = (1..=50_u64).map(|at| match at % 2 {
        0 => rich("t", QoS::AtLeastOnce, at),
        _ => Content::Connected {
            client: "x".into(),
            at,
        },
    });
    let contents: Vec<_> = contents.collect();
    for some in contents.chunks(9) {
        let batch = some.iter().map(|content| a.envelope(content.clone()));
        let batch = batch.collect();
        a.membership.publish(batch).await.unwrap();
    }
    for other in &mut others {
        let (mut messages, mut clients) = (2, 1);
        for _ in &contents {
            let (next, is) = match other.receive().await.content {
                Content::Message { retained_at, .. } => (&mut messages, retained_at),
                Content::Connected { at, .. } => (&mut clients, at),
            };
            assert_eq!(is, *next);
            *next += 2;
        }
    }
}

/// The answer of `publish`: what is too large for the engine is counted, and what is beside it comes.
pub(super) async fn a_large_message_comes_or_is_refused_alone<F: Factory>(factory: &F) {
    let engine = factory.create();
    let mut a = Member::join(factory, &engine, "a").await;
    let mut b = Member::join(factory, &engine, "b").await;
    b.subscribe(&["+"]).await.unwrap();
    let large = vec![b'x'; 5 << 20];
    let batch = vec![
        a.envelope(message("before", b"")),
        a.envelope(message("large", &large)),
        a.envelope(message("behind", b"")),
    ];
    let refused = a.membership.publish(batch).await.unwrap();
    let mut topics = Vec::new();
    while topics.len() + refused < 3 {
        topics.push(b.hear().await.0);
    }
    assert!(refused <= 1);
    assert!(topics.iter().any(|it| it == "before") && topics.iter().any(|it| it == "behind"));
}

/// Promises 1 and 8: what does not come of very many is counted.
pub(super) async fn very_many_come_or_are_missed<F: Factory>(factory: &F) {
    const MANY: usize = 5_000;
    let engine = factory.create();
    let mut a = Member::join(factory, &engine, "a").await;
    let mut b = Member::join_with(factory, &engine, "b", 100).await;
    b.subscribe(&["#"]).await.unwrap();
    let batch = (0..MANY).map(|number| a.envelope(message(&format!("t/{number}"), b"payload")));
    let batch = batch.collect();
    let publishing = a.membership.publish(batch);
    let receiving = async {
        let mut received = 0;
        while received + usize::try_from(b.missed).unwrap() < MANY {
            received += usize::from(matches!(b.next().await, Heard::Envelope(_)));
        }
        received
    };
    let (published, received) = join(publishing, receiving).await;
    assert_eq!(published.unwrap(), 0);
    assert!(received >= 100, "{received}");
}

/// Promise 6: a node that takes nothing does not keep others from theirs, and what it misses is told.
pub(super) async fn a_slow_node_holds_up_nobody_for_long<F: Factory>(factory: &F) {
    const MANY: usize = 200;
    let engine = factory.create();
    let mut a = Member::join(factory, &engine, "a").await;
    let mut quick = Member::join(factory, &engine, "quick").await;
    let mut slow = Member::join_with(factory, &engine, "slow", 10).await;
    for node in [&quick, &slow] {
        node.subscribe(&["#"]).await.unwrap();
    }
    for number in 0..MANY {
        a.say("t", &number.to_string()).await.unwrap();
        assert_eq!(quick.hear().await.1, number.to_string());
    }
    let mut received = 0;
    while received + usize::try_from(slow.missed).unwrap() < MANY {
        received += usize::from(matches!(slow.next().await, Heard::Envelope(_)));
    }
    assert!(received > 0);
}

/// Both, side by side.
async fn join<A: Future, B: Future>(a: A, b: B) -> (A::Output, B::Output) {
    let (mut a, mut b) = (core::pin::pin!(a), core::pin::pin!(b));
    let (mut first, mut second) = (None, None);
    core::future::poll_fn(|task| {
        use core::task::Poll;
        if first.is_none()
            && let Poll::Ready(output) = a.as_mut().poll(task)
        {
            first = Some(output);
        }
        if second.is_none()
            && let Poll::Ready(output) = b.as_mut().poll(task)
        {
            second = Some(output);
        }
        match (first.take(), second.take()) {
            (Some(a), Some(b)) => Poll::Ready((a, b)),
            (a, b) => {
                (first, second) = (a, b);
                Poll::Pending
            }
        }
    })
    .await
}
