//! Walking over any names by what is said about each finds what matches, and nothing is jumped over.

use std::collections::BTreeSet;
use std::ops::Bound;

use proptest::prelude::*;
use topic_trie::{TopicFilter, TopicName};

use super::*;

/// Names of a few levels; `!` and `0` stand before and behind the separator.
fn topic() -> impl Strategy<Value = String> {
    prop::collection::vec("[ab!0é]{0,2}", 1..4)
        .prop_map(|levels| levels.join("/"))
        .prop_flat_map(
            |topic| prop_oneof![8 => Just(topic.clone()), 1 => Just(format!("${topic}"))],
        )
        .prop_filter("a name is not empty", |topic| !topic.is_empty())
}

fn filter() -> impl Strategy<Value = String> {
    let level = prop_oneof![2 => "[ab!0é]{0,2}", 2 => Just("+".to_owned())];
    (prop::collection::vec(level, 0..4), any::<bool>())
        .prop_map(|(mut levels, rest)| {
            if rest || levels.is_empty() {
                levels.push("#".to_owned());
            }
            levels.join("/")
        })
        .prop_filter("a filter is not empty", |filter| !filter.is_empty())
}

fn next_of<'t>(topics: &'t BTreeSet<String>, from: &[u8]) -> Option<&'t String> {
    let from = core::str::from_utf8(from).unwrap();
    let mut behind = topics.range::<str, _>((Bound::Included(from), Bound::Unbounded));
    behind.next()
}

proptest! {
    #[test]
    fn a_walk_finds_what_matches(
        topics in prop::collection::btree_set(topic(), 0..60), filter in filter(),
    ) {
        let mut found = Vec::new();
        let mut from = first(&filter);
        while let Some(topic) = next_of(&topics, &from) {
            match look(&filter, topic) {
                Verdict::Match => {
                    found.push(topic.clone());
                    from = [topic.as_bytes(), b"\0"].concat();
                }
                Verdict::NotBefore(next) => {
                    prop_assert!(next.as_slice() > topic.as_bytes(), "{topic}: {next:?}");
                    from = next;
                }
                Verdict::NoMore => break,
            }
        }
        let rule = TopicFilter::new(&filter).unwrap();
        let wanted: Vec<String> = topics
            .iter()
            .filter(|topic| rule.matches(TopicName::new(topic).unwrap()))
            .cloned()
            .collect();
        prop_assert_eq!(found, wanted);
    }
}

/// The point of it: among a million names, few are looked at.
#[test]
fn what_cannot_match_is_jumped_over() {
    let mut topics = BTreeSet::new();
    for site in 0..100 {
        for device in 0..100 {
            for value in ["humidity", "state", "temperature"] {
                topics.insert(format!("site-{site:02}/device-{device:02}/{value}"));
            }
        }
    }
    for (filter, matches, most) in [
        ("site-42/device-42/state", 1, 4),
        ("site-42/#", 300, 302),
        ("site-42/+/state", 100, 302),
        ("+/device-42/state", 100, 502),
        ("+/device-42", 0, 401),
        ("$SYS/#", 0, 1),
    ] {
        let (mut found, mut looked) = (0, 0);
        let mut from = first(filter);
        while let Some(topic) = next_of(&topics, &from) {
            looked += 1;
            match look(filter, topic) {
                Verdict::Match => {
                    found += 1;
                    from = [topic.as_bytes(), b"\0"].concat();
                }
                Verdict::NotBefore(next) => from = next,
                Verdict::NoMore => break,
            }
        }
        assert_eq!(found, matches, "{filter}");
        assert!(looked <= most, "{filter}: looked at {looked}");
    }
}
