//! `TopicMap`, which has nobody to be compared with but the standard library:
//! `retained <topics>` prints the time per insertion, replacement, lookup and enumerated topic, with
//! the standard `HashMap` beside it where it can do the same.

use std::collections::HashMap;
use std::hint::black_box;

use matcher_bench::dataset::{self, Random};
use matcher_bench::processor_time;
use topic_trie::{Cursor, Progress, TopicFilter, TopicMap, TopicName, TopicNameBuf};

/// The best of five; each repeats the work until the clock, which can be 4 ms late, does not matter.
fn time(what: &str, count: usize, mut work: impl FnMut()) {
    let mut best = f64::MAX;
    for _ in 0..5 {
        let (start, mut times) = (processor_time(), 0);
        let spent = loop {
            work();
            times += 1;
            let spent = processor_time() - start;
            if spent > 80_000_000 {
                break spent as f64 / f64::from(times);
            }
        };
        best = best.min(spent / count as f64);
    }
    println!("{what:44} {best:8.1} ns");
}

fn main() {
    let count = std::env::args()
        .nth(1)
        .and_then(|count| count.parse().ok())
        .unwrap_or(50_000);
    let topics = shuffled_topics(count);
    let names: Vec<_> = topics
        .iter()
        .filter_map(|text| TopicName::new(text).ok())
        .collect();
    let all = TopicFilter::new("#").expect("is valid");

    let mut map = TopicMap::new();
    time("TopicMap: insert and drop", count, || {
        map = TopicMap::new();
        for &name in &names {
            map.insert((TopicNameBuf::from(name), 1_u64));
        }
    });
    let mut hash_map = HashMap::new();
    time("HashMap: insert and drop", count, || {
        hash_map = HashMap::new();
        for &name in &names {
            hash_map.insert(Box::<str>::from(name.as_str()), 1_u64);
        }
    });
    time("TopicMap: replace", count, || {
        for &name in &names {
            black_box(map.insert((TopicNameBuf::from(name), 2)));
        }
    });
    time("HashMap: replace", count, || {
        for &name in &names {
            black_box(
                hash_map
                    .get_mut(name.as_str())
                    .map(|value| std::mem::replace(value, 2)),
            );
        }
    });
    time("TopicMap: exact filter", count, || {
        for &name in &names {
            map.matches(name.into(), |value| {
                black_box(value);
            });
        }
    });
    time("TopicMap: `#`, per topic", count, || {
        map.matches(all, |value| {
            black_box(value);
        });
    });
    time("TopicMap: `#` in steps of 256, per topic", count, || {
        let mut cursor = Cursor::new();
        while map.matches_from(all, &mut cursor, 256, |value| {
            black_box(value);
        }) == Progress::More
        {}
    });
    let metric = TopicFilter::new("+/+/+/+/pressure").expect("is valid");
    let mut hits = 0;
    map.matches(metric, |_| hits += 1);
    time("TopicMap: `+/+/+/+/pressure`, per hit", hits, || {
        map.matches(metric, |value| {
            black_box(value);
        });
    });
}

/// Devices do not report in the order of their topics.
fn shuffled_topics(count: usize) -> Vec<String> {
    let mut random = Random::new(1);
    let mut topics = dataset::topics(count);
    for at in (1..topics.len()).rev() {
        topics.swap(at, random.below(at as u64 + 1) as usize);
    }
    topics
}
