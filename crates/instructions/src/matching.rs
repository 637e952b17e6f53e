//! Which filters match a topic name, and which topic names a filter: among 10,000 filters, and among
//! as many topics. Each step takes the next topic, so that many are the measure and not the luck of
//! one in a hash table.

use std::hint::black_box;

use topic_trie::{SharedFilterTrie, TopicFilter, TopicMap, TopicName, TopicNameBuf};

const DEVICES: usize = 1_000;

fn topic(device: usize, metric: usize) -> String {
    const METRICS: [&str; 10] = [
        "temperature",
        "pressure",
        "humidity",
        "vibration",
        "speed",
        "voltage",
        "current",
        "flow",
        "state",
        "alarm",
    ];
    let (site, area, line) = (device / 100, device / 10 % 10, device % 10);
    let metric = METRICS.get(metric % 10).copied().unwrap_or_default();
    format!("site-{site}/area-{area}/line-{line}/device-{device:06}/{metric}")
}

/// Eight metrics of each device exactly, all of each device twice, by `+` and by `#`; and what a few
/// monitors want: an area, and one metric everywhere.
pub(crate) fn filters() -> Vec<String> {
    let mut filters = Vec::new();
    for device in 0..DEVICES {
        let first = topic(device, 0);
        let (device_topic, _) = first.rsplit_once('/').expect("five levels");
        filters.push(format!("{device_topic}/+"));
        filters.push(format!("{device_topic}/#"));
        filters.extend((0..8).map(|metric| topic(device, metric)));
    }
    filters.extend((0..10).map(|site| format!("site-{site}/area-3/#")));
    filters.push("+/+/+/+/alarm".to_owned());
    filters
}

/// Two topics of each device.
pub(crate) fn topics(metrics: [usize; 2]) -> Vec<String> {
    (0..2 * DEVICES)
        .map(|at| {
            let [one, other] = metrics;
            topic(at * 7 % DEVICES, if at % 2 == 0 { one } else { other })
        })
        .collect()
}

/// A filter as each metric has it, and no wildcards anywhere.
pub(crate) fn exact() -> Box<dyn FnMut()> {
    let filters = (0..DEVICES)
        .flat_map(|device| (0..10).map(move |metric| topic(device, metric)))
        .collect();
    each(filters, topics([1, 6]), 1..=1)
}

/// Three filters that match, or four.
pub(crate) fn wildcards() -> Box<dyn FnMut()> {
    each(filters(), topics([1, 6]), 3..=4)
}

/// Of devices that nobody has subscribed to.
pub(crate) fn nothing() -> Box<dyn FnMut()> {
    let topics = topics([1, 6])
        .into_iter()
        .map(|topic| format!("{topic}/x/y"));
    let mut filters = filters();
    filters.retain(|filter| !filter.ends_with('#'));
    each(filters, topics.collect(), 0..=0)
}

fn each(
    filters: Vec<String>,
    topics: Vec<String>,
    expected: std::ops::RangeInclusive<u64>,
) -> Box<dyn FnMut()> {
    let trie = SharedFilterTrie::new();
    for (at, filter) in filters.iter().enumerate() {
        let filter = TopicFilter::new(filter).expect("a filter");
        trie.insert(filter, at as u64, at as u64);
    }
    let mut next = rounds(topics);
    Box::new(move || {
        let topic = next();
        let mut found = 0;
        trie.matches(topic, |key, value| {
            black_box((key, value));
            found += 1;
        });
        assert!(expected.contains(&found), "{topic:?}: {found}");
    })
}

/// One retained message is found by its name.
pub(crate) fn retained_exact() -> Box<dyn FnMut()> {
    let map = retained();
    let mut next = rounds(topics([1, 6]));
    Box::new(move || {
        assert!(black_box(map.get(next())).is_some());
    })
}

/// The ten of a device.
pub(crate) fn retained_plus() -> Box<dyn FnMut()> {
    let map = retained();
    let filters: Vec<String> = topics([1, 6])
        .iter()
        .filter_map(|topic| Some(format!("{}/+", topic.rsplit_once('/')?.0)))
        .collect();
    let mut at = 0;
    Box::new(move || {
        at = (at + 1) % filters.len();
        let filter = filters.get(at).map_or("", String::as_str);
        let filter = TopicFilter::new(filter).expect("a filter");
        let mut found = 0;
        map.matches(filter, |topic| {
            black_box(topic);
            found += 1;
        });
        assert_eq!(found, 10);
    })
}

fn retained() -> TopicMap<TopicNameBuf> {
    let mut map = TopicMap::new();
    for device in 0..DEVICES {
        for metric in 0..10 {
            let topic = topic(device, metric);
            map.insert(topic.parse().expect("a topic"));
        }
    }
    map
}

/// One topic after the other, for ever. Each is checked as it is when it comes in a packet.
fn rounds(topics: Vec<String>) -> impl FnMut() -> TopicName<'static> {
    let topics: &'static [String] = topics.leak();
    let mut at = 0;
    move || {
        at = (at + 1) % topics.len();
        let topic = topics.get(at).map_or("", String::as_str);
        TopicName::new(black_box(topic)).expect("a topic")
    }
}
