//! Retained messages of a filter, while there are more and more of them.

use std::hint::black_box;

use topic_trie::{Cursor, Progress, TopicFilter, TopicMap, TopicNameBuf};

use crate::law::{Law, Series, sizes};
use crate::matching::topic;
use crate::time;

/// Topics looked at in one step, as the broker does.
const STEP: usize = 1_000;

fn map(topics: usize) -> TopicMap<TopicNameBuf> {
    let mut map = TopicMap::new();
    for number in 0..topics {
        map.insert(topic(number / 10, number % 10).parse().expect("a topic"));
    }
    map
}

/// All that a filter matches.
pub fn look_up(max: usize) -> Law {
    let sizes = sizes(1_000, 1_000_000, max);
    let maps: Vec<_> = sizes.iter().map(|size| map(*size)).collect();
    let series = |name, filter: fn(usize) -> String, hits: usize| Series {
        name,
        points: sizes
            .iter()
            .zip(&maps)
            .map(|(&size, map)| {
                let filters: Vec<String> = (0..1_000)
                    .map(|number| filter((number * 7_919) % (size / 10)))
                    .collect();
                let mut at = 0;
                let ns = time::each(|| {
                    at = (at + 1) % filters.len();
                    let mut found = 0;
                    map.matches(TopicFilter::new(&filters[at]).expect("a filter"), |topic| {
                        black_box(topic);
                        found += 1;
                    });
                    assert_eq!(found, hits);
                });
                (size, ns / hits as f64)
            })
            .collect(),
    };
    Law {
        title: "Look up retained messages",
        x: "retained messages",
        y: "ns per message found",
        series: vec![
            series("exact", |device| topic(device, 3), 1),
            series("+ at the end", |device| last(device, "+"), 10),
            series("# at the end", |device| last(device, "#"), 10),
            series(
                "+ above a device",
                |device| {
                    let (site, area) = (device / 1_000, device / 100 % 10);
                    format!("site-{site}/area-{area}/+/device-{device}/metric-3")
                },
                1,
            ),
        ],
    }
}

/// The first step, after which the client has its first messages.
pub fn first(max: usize) -> Law {
    let sizes = sizes(1_000, 1_000_000, max);
    let maps: Vec<_> = sizes.iter().map(|size| map(*size)).collect();
    let series = |name, filter: &str| Series {
        name,
        points: sizes
            .iter()
            .zip(&maps)
            .map(|(&size, map)| {
                let filter = TopicFilter::new(filter).expect("a filter");
                let ns = time::each(|| {
                    let (mut found, mut cursor) = (0, Cursor::new());
                    while found == 0 {
                        let progress = map.matches_from(filter, &mut cursor, STEP, |topic| {
                            black_box(topic);
                            found += 1;
                        });
                        assert!(found > 0 || progress == Progress::More);
                    }
                });
                (size, ns)
            })
            .collect(),
    };
    Law {
        title: "Begin to send retained messages",
        x: "retained messages",
        y: "ns until the first step is done",
        series: vec![
            series("#", "#"),
            series("+/+/+/+/+", "+/+/+/+/+"),
            series("+/area-0/line-0/#", "+/area-0/line-0/#"),
            series("+/+/+/device-99/metric-3", "+/+/+/device-99/metric-3"),
        ],
    }
}

fn last(device: usize, wildcard: &str) -> String {
    let topic = topic(device, 0);
    let (head, _) = topic.rsplit_once('/').expect("five levels");
    format!("{head}/{wildcard}")
}
