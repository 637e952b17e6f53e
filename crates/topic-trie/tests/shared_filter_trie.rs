//! `SharedFilterTrie` gives the answers of `FilterTrie`, from many threads, and its generations
//! never let a publisher keep a match that has become wrong.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

mod model;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Barrier, mpsc};
use std::thread;

use model::{Change, Model, changes, filter, name, topics};
use proptest::prelude::*;
use topic_trie::SharedFilterTrie;

fn matches(trie: &SharedFilterTrie<u8, u32>, topic: &str) -> Vec<(u8, u32)> {
    let mut found = Vec::new();
    trie.matches_into(name(topic), &mut found);
    found.sort_unstable();
    found
}

fn contents(trie: &SharedFilterTrie<u8, u32>) -> Vec<(String, u8, u32)> {
    let mut all = Vec::new();
    trie.for_each(|filter, &key, &value| all.push((filter.as_str().to_owned(), key, value)));
    all.sort_unstable();
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// The second half of the promise about generations, that they seldom change otherwise, is
    /// tested below.
    #[test]
    fn any_sequence_agrees_with_a_list_and_changes_the_generation_with_the_answer(
        steps in prop::collection::vec(changes(), 1..200),
        watched in prop::collection::vec(topics(), 1..10),
    ) {
        let mut model = Model::default();
        let trie = SharedFilterTrie::new();
        let mut known: Vec<_> =
            watched.iter().map(|topic| (trie.generation(name(topic)), Vec::new())).collect();
        // Of all filters that are stored.
        let mut ids = HashMap::new();
        for change in steps {
            match change {
                Change::Insert(text, key, value) => {
                    let (id, replaced) = trie.insert_with_id(filter(&text), key, value);
                    prop_assert_eq!(replaced, model.insert(&text, key, value));
                    prop_assert_eq!(trie.get(filter(&text), &key), Some(value));
                    prop_assert_eq!(*ids.entry(text).or_insert(id), id);
                }
                Change::Remove(text, key) => {
                    prop_assert_eq!(trie.get(filter(&text), &key), model.get(&text, key));
                    let (id, removed) = trie.remove_with_id(filter(&text), &key).unzip();
                    prop_assert_eq!(removed, model.remove(&text, key));
                    prop_assert!(id.is_none() || id == ids.get(&text).copied());
                }
                Change::RemoveOldest(count) => {
                    for (text, key, value) in model.0.drain(..count.min(model.0.len())) {
                        let id = ids[&text];
                        prop_assert_eq!(trie.remove_by_id(id, &u8::MAX), None);
                        prop_assert_eq!(trie.remove_by_id(id, &key), Some(value));
                        prop_assert_eq!(trie.remove_by_id(id, &key), None);
                    }
                }
            }
            ids.retain(|text, _| model.0.iter().any(|(stored, ..)| stored == text));
            for (text, id) in &ids {
                let stored = trie.filter(*id);
                prop_assert_eq!(stored.as_ref().map(|stored| stored.as_str()), Some(&**text));
            }
            for (topic, (generation, answer)) in watched.iter().zip(&mut known) {
                let now = model.matches(topic);
                prop_assert_eq!(&matches(&trie, topic), &now);
                let new_generation = trie.generation_at(trie.watch(name(topic)));
                prop_assert!(now == *answer || new_generation != *generation);
                (*generation, *answer) = (new_generation, now);
            }
            prop_assert_eq!(trie.len(), model.0.len());
        }
        model.0.sort_unstable();
        prop_assert_eq!(contents(&trie), model.0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Each thread has a key of its own, so the outcome does not depend on their order; the filters
    /// are the same for all, so they meet in the same nodes.
    #[test]
    fn threads_that_change_the_same_filters_leave_what_they_would_have_alone(
        scripts in prop::collection::vec(prop::collection::vec(changes(), 1..300), 3..=3),
        watched in topics(),
    ) {
        let trie = SharedFilterTrie::new();
        let start = Barrier::new(scripts.len());
        let work = |own: u8, script: Vec<Change>| {
            let mut model = Model::default();
            start.wait();
            for change in script {
                match change {
                    Change::Insert(text, _, value) => {
                        let replaced = trie.insert(filter(&text), own, value);
                        assert_eq!(replaced, model.insert(&text, own, value));
                    }
                    Change::Remove(text, _) => {
                        assert_eq!(trie.remove(filter(&text), &own), model.remove(&text, own));
                    }
                    Change::RemoveOldest(count) => {
                        for (text, ..) in model.0.drain(..count.min(model.0.len())) {
                            assert!(trie.remove(filter(&text), &own).is_some());
                        }
                    }
                }
                let of_own = |&(key, _): &(u8, u32)| key == own;
                let found: Vec<_> =
                    matches(&trie, &watched).into_iter().filter(of_own).collect();
                assert_eq!(found, model.matches(&watched));
            }
            model
        };
        let work = &work;
        let models: Vec<Model> = thread::scope(|scope| {
            let threads: Vec<_> = (0..)
                .zip(scripts)
                .map(|(own, script)| scope.spawn(move || work(own, script)))
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let mut all: Vec<_> = models.into_iter().flat_map(|model| model.0).collect();
        all.sort_unstable();
        prop_assert_eq!(trie.len(), all.len());
        prop_assert_eq!(contents(&trie), all);
    }
}

/// The publisher's side of the protocol, against a subscriber that says each change aloud: once
/// the publisher has heard of a value, neither a match nor a remembered match may be older.
#[test]
fn a_remembered_match_is_never_older_than_what_the_publisher_has_heard_of() {
    for text in ["a/b/c", "a/b/+", "a/b/c/#", "a/+/c", "a/#", "+/b/c", "#"] {
        let trie = SharedFilterTrie::new();
        trie.insert(filter(text), 1, 0);
        let announced = AtomicU64::new(0);
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                for value in 1..=20_000 {
                    trie.insert(filter(text), 1, value);
                    announced.store(value, Ordering::Release);
                }
                is_over.store(true, Ordering::Release);
            });
            let watch = trie.watch(name("a/b/c"));
            let mut known = None;
            let mut found = Vec::new();
            while !is_over.load(Ordering::Acquire) {
                let heard = announced.load(Ordering::Acquire);
                let generation = trie.generation_at(watch);
                if known != Some(generation) {
                    found.clear();
                    trie.matches_into(name("a/b/c"), &mut found);
                    known = Some(generation);
                }
                assert_eq!(found.len(), 1);
                assert!(found[0].1 >= heard, "{text}: {} after {heard}", found[0].1);
            }
        });
    }
}

#[test]
fn a_match_goes_on_while_another_one_is_held_up() {
    let trie = SharedFilterTrie::new();
    for text in ["a/b", "a/+", "#"] {
        trie.insert(filter(text), 1, ());
    }
    let (first_is_inside, second_may_start) = mpsc::channel();
    let (second_is_done, first_may_go_on) = mpsc::channel();
    thread::scope(|scope| {
        let trie = &trie;
        scope.spawn(move || {
            // Held up in each of the parts that a match reads.
            trie.matches(name("a/b"), |_, ()| {
                first_is_inside.send(()).unwrap();
                first_may_go_on.recv().unwrap();
            });
        });
        for () in second_may_start {
            let mut hits = 0;
            trie.matches(name("a/b"), |_, ()| hits += 1);
            assert_eq!(hits, 3);
            assert_eq!(trie.get(filter("a/+"), &1), Some(()));
            second_is_done.send(()).unwrap();
        }
    });
}

/// Clients that come and go with topics of their own, as most do, must not cost everyone else what
/// they remember. Counters are shared by hash, so a few changes in a hundred may.
#[test]
fn private_topics_seldom_change_the_generation_of_others() {
    for (own, limit) in [
        ("clients/{}/in", 20),
        ("clients/{}/in/+", 20),
        ("clients/{}/#", 20),
    ] {
        let trie = SharedFilterTrie::new();
        let watch = trie.watch(name("clients/other/in"));
        let (mut changed, mut generation) = (0, trie.generation_at(watch));
        for number in 0..1000 {
            trie.insert(filter(&own.replace("{}", &number.to_string())), 1, ());
            let now = trie.generation_at(watch);
            changed += u32::from(now != generation);
            generation = now;
        }
        assert!(changed < limit, "{own}: {changed} of 1000");
    }
}

#[test]
fn removing_what_is_not_there_leaves_the_generation() {
    let trie = SharedFilterTrie::<u8, ()>::new();
    trie.insert(filter("a/#"), 1, ());
    let generation = trie.generation(name("a/b"));
    assert_eq!(trie.remove(filter("a/#"), &2), None);
    assert_eq!(trie.remove(filter("a/b"), &1), None);
    assert_eq!(trie.remove(filter("#"), &1), None);
    assert_eq!(trie.generation(name("a/b")), generation);
}
