//! One matcher, one size: time per insert, match and remove, and memory per filter.
//!
//! `measure <matcher> <filters> [rounds]`; one process for each, so that the resident set of one is not the
//! heap that another one left behind.

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering};

use matcher_bench::dataset::{self, DataSet};
use matcher_bench::matchers::{Engine, Matcher};
use matcher_bench::nested::{Nested, StdNested};
use matcher_bench::processor_time;
use rmqtt::trie::TopicTree;
use topic_trie::{FilterTrie, SharedFilterTrie};

static BYTES: AtomicUsize = AtomicUsize::new(0);

/// Counts what is asked for; what the allocator adds to it shows in the resident set only.
struct Counting;

// SAFETY: every call is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        BYTES.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps the promises about `layout`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        BYTES.fetch_add(size.wrapping_sub(layout.size()), Ordering::Relaxed);
        // SAFETY: `at` came from `alloc` with this `layout`.
        unsafe { System.realloc(at, layout, size) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        BYTES.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: `at` came from `alloc` with this `layout`.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Bytes of physical memory, from /proc.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok());
    pages.unwrap_or(0) * 4096
}

fn measure<M: Matcher>(data: &DataSet, rounds: usize) {
    // The clock can be 4 ms late: of small sets there are as many as make 100,000 filters.
    let copies = (100_000 / data.filters.len()).max(1);
    let count = data.filters.len() * copies;
    let text_bytes: usize = data
        .filters
        .iter()
        .map(|filter| filter.text.len())
        .sum::<usize>()
        * copies;
    let mut order: Vec<_> = (0..data.filters.len()).collect();
    let mut random = dataset::Random::new(7);
    for at in (1..order.len()).rev() {
        order.swap(at, random.below(at as u64 + 1) as usize);
    }
    let mut matchers = Vec::with_capacity(copies);
    let (heap_before, resident_before) = (BYTES.load(Ordering::Relaxed), resident());
    let per = |count: usize, start: u64| (processor_time() - start) as f64 / count as f64;

    let start = processor_time();
    for _ in 0..copies {
        let mut matcher = M::new();
        data.filters
            .iter()
            .for_each(|filter| matcher.insert(filter));
        matchers.push(matcher);
    }
    let insert = per(count, start);
    let heap = BYTES.load(Ordering::Relaxed) - heap_before;
    let resident = resident().saturating_sub(resident_before);

    // The best of several rounds: the machine has other things to do as well.
    let (mut best, mut hits) = (f64::MAX, 0);
    for _ in 0..rounds {
        let start = processor_time();
        let found = data
            .topics
            .iter()
            .map(|topic| black_box(matchers[0].matches(topic)).0);
        hits = found.sum();
        best = best.min(per(data.topics.len(), start));
    }

    let start = processor_time();
    for matcher in &mut matchers {
        order
            .iter()
            .for_each(|&at| matcher.remove(at, &data.filters[at]));
    }
    let remove = per(count, start);
    let left = (BYTES.load(Ordering::Relaxed) - heap_before) / copies;

    println!(
        "{:24} {:8} filters: match {best:8.0} ns ({:.1} hits), insert {insert:6.0} ns, \
         remove {remove:6.0} ns, beyond text {:6.1} B heap {:6.1} B resident, left {left} B",
        M::NAME,
        data.filters.len(),
        hits as f64 / data.topics.len() as f64,
        heap.saturating_sub(text_bytes) as f64 / count as f64,
        resident.saturating_sub(text_bytes) as f64 / count as f64,
    );
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let matcher = arguments.next().unwrap_or_default();
    let count = arguments
        .next()
        .and_then(|count| count.parse().ok())
        .unwrap_or(100_000);
    let rounds = arguments
        .next()
        .and_then(|rounds| rounds.parse().ok())
        .unwrap_or(7);
    let data = dataset::generate(count);
    match &*matcher {
        "trie" => measure::<FilterTrie<u64, u64>>(&data, rounds),
        "shared" => measure::<SharedFilterTrie<u64, u64>>(&data, rounds),
        "nested" => measure::<Nested>(&data, rounds),
        "std-nested" => measure::<StdNested>(&data, rounds),
        "rmqtt" => measure::<TopicTree<u64>>(&data, rounds),
        "engine" => measure::<Engine>(&data, rounds),
        _ => eprintln!(
            "usage: measure trie|shared|nested|std-nested|rmqtt|engine <filters> [rounds]"
        ),
    }
}
