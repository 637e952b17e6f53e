//! `TopicMap` gives the same answers as a look at every topic, at once or in steps.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

mod model;

use std::collections::{BTreeMap, BTreeSet};

use model::{filter, filters, naive_match, name, topics};
use proptest::prelude::*;
use topic_trie::{Cursor, Progress, TopicMap, TopicNameBuf};

type Value = (TopicNameBuf, u32);

fn value(topic: &str, value: u32) -> Value {
    (topic.parse().unwrap(), value)
}

fn matches(map: &TopicMap<Value>, text: &str) -> Vec<(String, u32)> {
    let mut found = Vec::new();
    map.matches(filter(text), |(topic, value)| {
        found.push((topic.to_string(), *value))
    });
    found
}

fn expected(model: &BTreeMap<String, u32>, text: &str) -> Vec<(String, u32)> {
    let hits = model.iter().filter(|(topic, _)| naive_match(text, topic));
    hits.map(|(topic, &value)| (topic.clone(), value)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn any_sequence_of_changes_and_matches_agrees_with_a_list(
        steps in prop::collection::vec(
            (topics(), any::<u32>(), prop::bool::weighted(0.7), filters()), 1..200),
    ) {
        let mut model = BTreeMap::new();
        let mut map = TopicMap::new();
        for (topic, number, adds, text) in steps {
            let before = model.get(&topic).map(|&number| value(&topic, number));
            if adds {
                prop_assert_eq!(map.insert(value(&topic, number)), before);
                model.insert(topic.clone(), number);
            } else {
                prop_assert_eq!(map.remove(name(&topic)), before);
                model.remove(&topic);
            }
            let found = map.get(name(&topic)).map(|(_, number)| number);
            prop_assert_eq!(found, model.get(&topic));
            prop_assert_eq!(map.len(), model.len());
            prop_assert!(map.iter().map(|(topic, _)| topic.as_str()).eq(model.keys()));
            prop_assert_eq!(matches(&map, &text), expected(&model, &text));
        }
    }

    #[test]
    fn steps_report_what_stays_exactly_once_and_nothing_twice(
        start in prop::collection::vec(topics(), 0..100),
        text in filters(),
        changes in prop::collection::vec((topics(), any::<bool>()), 0..300),
        limit in 0..5usize,
    ) {
        let mut map = TopicMap::new();
        for topic in &start {
            map.insert(value(topic, 0));
        }
        let mut stayed: BTreeSet<_> = start.into_iter().collect();
        let mut changes = changes.into_iter();
        let mut reported = BTreeSet::new();
        let mut cursor = Cursor::new();
        loop {
            let mut looked = 0;
            let progress = map.matches_from(filter(&text), &mut cursor, limit, |(topic, _)| {
                looked += 1;
                assert!(naive_match(&text, topic.as_str()));
                assert!(reported.insert(topic.as_str().to_owned()), "{topic} came twice");
            });
            prop_assert!(looked <= limit.max(1));
            if progress == Progress::Done {
                break;
            }
            if let Some((topic, adds)) = changes.next() {
                if adds {
                    map.insert(value(&topic, 0));
                } else {
                    map.remove(name(&topic));
                    stayed.remove(&topic);
                }
            }
        }
        prop_assert!(cursor.is_done());
        for topic in stayed.iter().filter(|topic| naive_match(&text, topic)) {
            prop_assert!(reported.contains(topic), "{} was left out", topic);
        }
    }
}

/// [MQTT-4.7.2-1], and section 4.7.1.2: `#` includes the parent level.
#[test]
fn dollar_topics_and_parents_follow_the_specification() {
    let mut map = TopicMap::new();
    for topic in [
        "$SYS/up", "a", "a!", "a/", "a/b", "a/b/c", "a0", "/", "!/b", "%/b",
    ] {
        map.insert(value(topic, 0));
    }
    let topics = |text| {
        matches(&map, text)
            .into_iter()
            .map(|hit| hit.0)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        topics("#"),
        ["!/b", "%/b", "/", "a", "a!", "a/", "a/b", "a/b/c", "a0"]
    );
    assert_eq!(topics("+/+"), ["!/b", "%/b", "/", "a/", "a/b"]);
    assert_eq!(topics("a/#"), ["a", "a/", "a/b", "a/b/c"]);
    assert_eq!(topics("$SYS/#"), ["$SYS/up"]);
    assert_eq!(topics("+/b/#"), ["!/b", "%/b", "a/b", "a/b/c"]);
}

/// A filter whose wildcard stands for few levels must not look at all that is below them.
#[test]
fn a_match_skips_what_cannot_match() {
    let mut map = TopicMap::new();
    for (site, sensor) in (0..10).flat_map(|site| (0..1000).map(move |sensor| (site, sensor))) {
        map.insert(value(&format!("{site}/sensors/{sensor}/value"), 0));
    }
    map.insert(value("7/state", 7));
    let steps = |text: &str| {
        let (mut cursor, mut steps, mut hits) = (Cursor::new(), 1, 0);
        while map.matches_from(filter(text), &mut cursor, 1, |_| hits += 1) == Progress::More {
            steps += 1;
        }
        (hits, steps)
    };
    let (hits, looked_at) = steps("+/state");
    assert_eq!(hits, 1);
    assert!(looked_at < 40, "{looked_at} topics looked at");
    let (hits, looked_at) = steps("5/sensors/+/value");
    assert_eq!(hits, 1000);
    assert!(looked_at < 1010, "{looked_at} topics looked at");
    let (hits, looked_at) = steps("+/sensors/77/#");
    assert_eq!(hits, 10);
    assert!(looked_at < 60, "{looked_at} topics looked at");
}
