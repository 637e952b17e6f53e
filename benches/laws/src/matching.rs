//! Which filters match a topic, while there are more and more filters. Each topic matches as many in
//! a large set as in a small one.

use std::hint::black_box;

use topic_trie::{SharedFilterTrie, TopicFilter, TopicName};

use crate::law::{Law, Series, sizes};
use crate::time;

/// The topic of a device's metric: 10 sites of 10 areas for each 1,000 devices.
pub fn topic(device: usize, metric: usize) -> String {
    let (site, area) = (device / 1_000, device / 100 % 10);
    format!(
        "site-{site}/area-{area}/line-{}/device-{device}/metric-{metric}",
        device % 10
    )
}

pub fn matches(max: usize) -> Law {
    let sizes = sizes(1_000, 1_000_000, max);
    let series = |name, filter: fn(usize) -> String, hits| {
        Series::measure(name, &sizes, |size| {
            let trie = SharedFilterTrie::new();
            for number in 0..size {
                let filter = filter(number);
                trie.insert(
                    TopicFilter::new(&filter).expect("a filter"),
                    number as u64,
                    (),
                );
            }
            let topics: Vec<String> = (0..1_000)
                .map(|number| topic((number * 7_919) % (size / 10), number % 10))
                .collect();
            let mut at = 0;
            time::each(|| {
                at = (at + 1) % topics.len();
                let topic = TopicName::new(&topics[at]).expect("a topic");
                let mut found = 0;
                trie.matches(topic, |key, ()| {
                    black_box(key);
                    found += 1;
                });
                assert_eq!(found, hits);
            })
        })
    };
    Law {
        title: "Match a topic",
        x: "subscriptions",
        y: "ns per topic",
        series: vec![
            series("exact, 1 hit", |number| topic(number / 10, number % 10), 1),
            // Ten of each device, each another one's.
            series("+ at the end, 10 hits", |number| last(number / 10, "+"), 10),
            series("# at the end, 10 hits", |number| last(number / 10, "#"), 10),
            series(
                "+ in the middle, 1 hit",
                |number| {
                    let device = number / 10;
                    let site = device / 1_000;
                    format!("site-{site}/+/+/device-{device}/metric-{}", number % 10)
                },
                1,
            ),
        ],
    }
}

fn last(device: usize, wildcard: &str) -> String {
    let topic = topic(device, 0);
    let (head, _) = topic.rsplit_once('/').expect("five levels");
    format!("{head}/{wildcard}")
}
