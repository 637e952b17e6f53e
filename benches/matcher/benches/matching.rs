//! Criterion's view of matching: one topic after the other out of 65,536, at three sizes.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use matcher_bench::dataset::{self, DataSet};
use matcher_bench::matchers::{Engine, Matcher};
use matcher_bench::nested::{Nested, StdNested};
use rmqtt::trie::TopicTree;
use topic_trie::{FilterTrie, SharedFilterTrie, TopicName};

fn matching<M: Matcher>(criterion: &mut Criterion, data: &DataSet, size: &str) {
    let mut matcher = M::new();
    data.filters
        .iter()
        .for_each(|filter| matcher.insert(filter));
    let mut topics = data.topics.iter().cycle();
    criterion.bench_function(&format!("match/{size}/{}", M::NAME), |bencher| {
        bencher.iter(|| topics.next().map(|topic| black_box(matcher.matches(topic))));
    });
}

fn matchers(criterion: &mut Criterion) {
    for (size, count) in [("1k", 1_000), ("100k", 100_000), ("1M", 1_000_000)] {
        let data = dataset::generate(count);
        matching::<FilterTrie<u64, u64>>(criterion, &data, size);
        matching::<SharedFilterTrie<u64, u64>>(criterion, &data, size);
        matching::<Nested>(criterion, &data, size);
        matching::<StdNested>(criterion, &data, size);
        matching::<TopicTree<u64>>(criterion, &data, size);
        matching::<Engine>(criterion, &data, size);
    }
}

fn remembered(criterion: &mut Criterion) {
    let trie = SharedFilterTrie::<u64, u64>::new();
    let topic = TopicName::new("site-0001/area-2/line-3/dev-0123456789ab/temperature");
    let Ok(topic) = topic else { return };
    let watch = trie.watch(topic);
    criterion.bench_function("check a topic name", |bencher| {
        bencher.iter(|| TopicName::new(black_box(topic.as_str())));
    });
    criterion.bench_function("generation of a watched topic", |bencher| {
        bencher.iter(|| trie.generation_at(black_box(watch)));
    });
    criterion.bench_function("generation of a topic", |bencher| {
        bencher.iter(|| trie.generation(black_box(topic)));
    });
}

criterion_group!(benches, remembered, matchers);
criterion_main!(benches);
