//! What the containers take from the allocator, and that they give it back.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;

use topic_trie::{Cursor, FilterTrie, Progress, SharedFilterTrie};
use topic_trie::{TopicFilter, TopicMap, TopicName, TopicNameBuf};

thread_local! {
    /// Of this thread alone, because tests run side by side.
    static BYTES: Cell<isize> = const { Cell::new(0) };
    static CALLS: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

// The library itself contains no unsafe code; an allocator cannot be written without.
#[allow(
    unsafe_code,
    reason = "passes every call on to the system's allocator, unchanged"
)]
// SAFETY: the counters do not allocate and touch no memory of the caller.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        BYTES.set(BYTES.get() + layout.size() as isize);
        CALLS.set(CALLS.get() + 1);
        // SAFETY: the caller keeps the promises about `layout`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        BYTES.set(BYTES.get() - layout.size() as isize);
        // SAFETY: `at` came from `alloc` with this `layout`.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const COUNT: usize = 100_000;

/// As devices subscribe: mostly their own topics, some wildcards.
fn text(number: usize) -> String {
    let (site, device) = (number % 50, number / 3);
    match number % 10 {
        0 => format!("site{site}/+/dev{device}/{number}"),
        1 => format!("site{site}/hall/dev{number}/#"),
        _ => format!("site{site}/hall/dev{device}/{number}"),
    }
}

fn filter(text: &str) -> TopicFilter<'_> {
    TopicFilter::new(text).unwrap()
}

fn name(text: &str) -> TopicName<'_> {
    TopicName::new(text).unwrap()
}

/// Runs `work` and returns by how much it made the memory of this thread grow, in bytes.
fn growth(work: impl FnOnce()) -> isize {
    let before = BYTES.get();
    work();
    BYTES.get() - before
}

#[test]
fn filters_take_little_and_removed_ones_nothing() {
    let texts: Vec<_> = (0..COUNT).map(text).collect();
    let text_bytes: usize = texts.iter().map(String::len).sum();
    let mut trie = FilterTrie::<u64, u64>::new();
    assert_eq!(growth(|| drop(FilterTrie::<u64, u64>::new())), 0);

    let full = growth(|| {
        for (key, text) in (0..).zip(&texts) {
            trie.insert(filter(text), key, 0);
        }
    });
    let beyond = (full as f64 - text_bytes as f64) / COUNT as f64;
    assert!(
        beyond < 75.0,
        "{beyond} bytes for each filter beyond its text"
    );

    // From the middle outwards, so that what is left is scattered over the tables.
    let mut left = full;
    for step in 0..COUNT {
        let at = (step * 37 + COUNT / 2) % COUNT;
        left += growth(|| {
            trie.remove(filter(&texts[at]), &(at as u64)).unwrap();
        });
        if step == COUNT * 9 / 10 {
            assert!(
                left < full / 2,
                "{left} of {full} bytes for a tenth of the filters"
            );
        }
    }
    assert!(trie.is_empty());
    assert!(left < 16_384, "{left} of {full} bytes for no filters");
}

#[test]
fn the_shared_trie_gives_memory_back() {
    let texts: Vec<_> = (0..COUNT).map(text).collect();
    let trie = SharedFilterTrie::<u64, u64>::new();
    let mut left = growth(|| {
        for text in &texts {
            trie.insert(filter(text), 1, 0);
        }
    });
    let full = left;
    left += growth(|| {
        for text in &texts {
            trie.remove(filter(text), &1).unwrap();
        }
    });
    assert!(left < full / 20, "{left} of {full} bytes for no filters");
}

#[test]
fn ten_thousand_keys_of_one_filter_come_and_go() {
    let mut trie = FilterTrie::<u64, u64>::new();
    trie.insert(filter("news/#"), 0, 0);
    let grown = growth(|| {
        for key in 1..10_000 {
            trie.insert(filter("news/#"), key, key);
        }
    });
    assert!(grown < 10_000 * 50, "{grown} bytes for 10,000 keys");
    let left = growth(|| {
        for key in 1..10_000 {
            assert_eq!(trie.remove(filter("news/#"), &key), Some(key));
        }
    });
    assert_eq!(grown + left, 0);
}

#[test]
fn topics_take_little_and_removed_ones_nothing() {
    let topics: Vec<_> = (0..COUNT)
        .map(|number| text(number).replace(['+', '#'], "x"))
        .collect();
    let values: Vec<Arc<TopicNameBuf>> = topics
        .iter()
        .map(|topic| Arc::new(topic.parse().unwrap()))
        .collect();
    let mut map = TopicMap::new();
    let full = growth(|| {
        for value in &values {
            map.insert(Arc::clone(value));
        }
    });
    let each = full as f64 / COUNT as f64;
    assert!(each < 25.0, "{each} bytes for each pointer to a value");
    let left = full
        + growth(|| {
            for topic in &topics {
                map.remove(name(topic)).unwrap();
            }
        });
    assert!(left < 1024, "{left} of {full} bytes for no topics");
}

#[test]
fn checking_and_matching_allocate_nothing() {
    let texts: Vec<_> = (0..1000).map(text).collect();
    let mut trie = FilterTrie::new();
    let shared = SharedFilterTrie::new();
    let mut map = TopicMap::new();
    // More filters that match one topic than there is room for on the stack.
    let many: Vec<_> = (0..50).map(|count| "x/".repeat(count) + "#").collect();
    for text in texts.iter().chain(&many) {
        trie.insert(filter(text), 1, ());
        shared.insert(filter(text), 1, ());
    }
    let topics: Vec<_> = texts
        .iter()
        .map(|text| text.replace(['+', '#'], "x"))
        .collect();
    for topic in &topics {
        map.insert(name(topic).to_buf());
    }
    let deep = "x/".repeat(50);
    let mut hits = 0;
    let mut found = Vec::with_capacity(10_000);
    let before = CALLS.get();
    for topic in topics.iter().chain([&deep]) {
        let topic = name(topic);
        trie.matches(topic, |_, ()| hits += 1);
        shared.matches(topic, |_, ()| hits += 1);
        shared.matches_into(topic, &mut found);
        hits += usize::from(shared.generation(topic) == 0);
        map.matches(topic.into(), |_| hits += 1);
        hits += texts
            .iter()
            .filter(|text| filter(text).matches(topic))
            .count();
    }
    assert_eq!(CALLS.get(), before);
    assert!(hits >= 4000, "{hits}");

    // A cursor owns one text, which grows to the length of the longest topic.
    let mut cursor = Cursor::new();
    while map.matches_from(filter("+/hall/#"), &mut cursor, 1, |_| {}) == Progress::More {}
    assert!(CALLS.get() - before < 5);
}
