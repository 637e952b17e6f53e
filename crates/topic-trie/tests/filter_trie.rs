//! `FilterTrie` gives the same answers as a plain list, whatever is done in whatever order.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

mod model;

use model::{Change, Model, changes, filter, filters, naive_match, name, topics};
use proptest::prelude::*;
use topic_trie::FilterTrie;

fn matches(trie: &FilterTrie<u8, u32>, topic: &str) -> Vec<(u8, u32)> {
    let mut found = Vec::new();
    trie.matches(name(topic), |&key, &value| found.push((key, value)));
    found.sort_unstable();
    found
}

fn contents(trie: &FilterTrie<u8, u32>) -> Vec<(String, u8, u32)> {
    let mut all = Vec::new();
    trie.for_each(|filter, &key, &value| all.push((filter.as_str().to_owned(), key, value)));
    all.sort_unstable();
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn one_filter_matches_as_the_naive_matcher_says(text in filters(), topic in topics()) {
        prop_assert_eq!(filter(&text).matches(name(&topic)), naive_match(&text, &topic));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_sequence_of_changes_and_matches_agrees_with_a_list(
        steps in prop::collection::vec((changes(), topics()), 1..300),
    ) {
        let mut model = Model::default();
        let mut trie = FilterTrie::new();
        for (change, topic) in steps {
            match change {
                Change::Insert(text, key, value) => {
                    let replaced = trie.insert(filter(&text), key, value);
                    prop_assert_eq!(replaced, model.insert(&text, key, value));
                    prop_assert_eq!(trie.get(filter(&text), &key), Some(&value));
                }
                Change::Remove(text, key) => {
                    prop_assert_eq!(trie.get(filter(&text), &key).copied(), model.get(&text, key));
                    prop_assert_eq!(trie.remove(filter(&text), &key), model.remove(&text, key));
                    prop_assert_eq!(trie.get(filter(&text), &key), None);
                }
                Change::RemoveOldest(count) => {
                    for (text, key, value) in model.0.drain(..count.min(model.0.len())) {
                        prop_assert_eq!(trie.remove(filter(&text), &key), Some(value));
                    }
                }
            }
            prop_assert_eq!(matches(&trie, &topic), model.matches(&topic));
            prop_assert_eq!(trie.len(), model.0.len());
            prop_assert_eq!(trie.filter_count(), model.filter_count());
        }
        model.0.sort_unstable();
        prop_assert_eq!(contents(&trie), model.0);
    }

    #[test]
    fn keys_of_one_filter_come_and_go_at_any_number(
        steps in prop::collection::vec((0..120u8, any::<u32>(), prop::bool::weighted(0.6)), 1..600),
        text in prop::sample::select(&["a/b", "a/+", "#"][..]),
    ) {
        let mut model = Model::default();
        let mut trie = FilterTrie::new();
        for (key, value, adds) in steps {
            if adds {
                let replaced = trie.insert(filter(text), key, value);
                prop_assert_eq!(replaced, model.insert(text, key, value));
            } else {
                prop_assert_eq!(trie.remove(filter(text), &key), model.remove(text, key));
            }
            let probe = key ^ 1;
            prop_assert_eq!(trie.get(filter(text), &probe).copied(), model.get(text, probe));
            prop_assert_eq!(trie.len(), model.0.len());
        }
        prop_assert_eq!(matches(&trie, "a/b"), model.matches("a/b"));
    }
}

#[test]
fn the_filter_that_equals_the_topic_comes_first_and_the_keys_of_one_together() {
    let mut trie = FilterTrie::new();
    for key in 0..3 {
        for text in ["+/+", "+/b", "a/+", "a/b", "a/#", "#", "a/b/#", "+/#"] {
            trie.insert(filter(text), (text, key), ());
        }
    }
    let mut found = Vec::new();
    trie.matches(name("a/b"), |&(text, _), ()| found.push(text));
    assert_eq!(found.len(), 24);
    found.dedup();
    assert_eq!(found[0], "a/b");
    found.sort_unstable();
    let all = ["#", "+/#", "+/+", "+/b", "a/#", "a/+", "a/b", "a/b/#"];
    assert_eq!(found, all);
}

/// [MQTT-4.7.2-1]
#[test]
fn filters_that_begin_with_a_wildcard_do_not_see_dollar_topics() {
    let mut trie = FilterTrie::new();
    for text in ["#", "+", "+/#", "+/a", "$SYS/#", "$SYS/+", "$SYS/a"] {
        trie.insert(filter(text), text, ());
    }
    let mut found = Vec::new();
    trie.matches(name("$SYS/a"), |&text, ()| found.push(text));
    found.sort_unstable();
    assert_eq!(found, ["$SYS/#", "$SYS/+", "$SYS/a"]);
}

/// The longest filter has 65,536 levels. Nothing may recurse over them: the thread has a stack of
/// 128 KiB.
#[test]
fn the_deepest_filters_need_no_stack() {
    let work = || {
        let slashes = "/".repeat(65_535);
        let pluses = format!("{}/", "+/".repeat(32_767));
        let all = format!("{}/#", "/".repeat(65_533));
        let mut trie = FilterTrie::new();
        for text in [&slashes, &pluses, &all] {
            trie.insert(filter(text), 1, ());
        }
        let mut hits = 0;
        trie.matches(name(&slashes), |_, ()| hits += 1);
        trie.matches(name(&"/".repeat(32_768)), |_, ()| hits += 10);
        assert_eq!(hits, 2 + 10);
        for text in [&slashes, &pluses, &all] {
            assert_eq!(trie.remove(filter(text), &1), Some(()));
        }
        assert!(trie.is_empty());
    };
    std::thread::Builder::new()
        .stack_size(128 << 10)
        .spawn(work)
        .unwrap()
        .join()
        .unwrap();
}

/// The number of branches is at most the number of nodes of filters that match so far: all 2^12
/// ways to write twelve levels with `a` and `+` match one topic, once each.
#[test]
fn every_way_to_spell_a_topic_is_found_once() {
    let mut trie = FilterTrie::new();
    for way in 0..1u32 << 12 {
        let levels: Vec<_> = (0..12)
            .map(|level| if way >> level & 1 == 0 { "a" } else { "+" })
            .collect();
        trie.insert(filter(&levels.join("/")), way, ());
    }
    let mut found = Vec::new();
    trie.matches(name(&["a"; 12].join("/")), |&way, ()| found.push(way));
    found.sort_unstable();
    assert_eq!(found, (0..1 << 12).collect::<Vec<_>>());
}

/// Reuses freed places and moves the remaining ones together, many times over.
#[test]
fn waves_of_filters_leave_the_survivors_intact() {
    let mut trie = FilterTrie::new();
    let text = |wave: u32, number: u32| match number % 3 {
        0 => format!("wave{wave}/{number}/exact"),
        1 => format!("wave{wave}/+/{number}/a-level-longer-than-22-bytes/+"),
        _ => format!("wave{wave}/{number}/#"),
    };
    let is_survivor = |number: u32| number % 97 < 3;
    for wave in 0..6 {
        for number in 0..4000 {
            assert_eq!(trie.insert(filter(&text(wave, number)), wave, number), None);
        }
        for number in (0..4000).filter(|&number| !is_survivor(number)) {
            assert_eq!(
                trie.remove(filter(&text(wave, number)), &wave),
                Some(number)
            );
        }
        for (wave, number) in (0..=wave).flat_map(|wave| (0..4000).map(move |n| (wave, n))) {
            let topic = text(wave, number).replace('+', "x").replace('#', "y/z");
            let mut found = Vec::new();
            trie.matches(name(&topic), |&wave, &number| found.push((wave, number)));
            let expected = if is_survivor(number) {
                vec![(wave, number)]
            } else {
                vec![]
            };
            assert_eq!(found, expected, "{topic}");
        }
    }
}
