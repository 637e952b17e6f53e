//! What a PUBLISH to a remembered topic costs: the check of its name and of the generation.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use topic_trie::{SharedFilterTrie, TopicName};

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

criterion_group!(benches, remembered);
criterion_main!(benches);
