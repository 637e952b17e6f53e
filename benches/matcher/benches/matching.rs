//! Criterion's view of matching: one topic after the other out of 65,536, at three sizes.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use matcher_bench::dataset::{self, DataSet};
use matcher_bench::matchers::{Engine, Matcher};
use matcher_bench::nested::{Nested, StdNested};
use rmqtt::trie::TopicTree;
use topic_trie::{FilterTrie, SharedFilterTrie};

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

criterion_group!(benches, matchers);
criterion_main!(benches);
