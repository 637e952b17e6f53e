//! The data set and the matchers that the benches and programs of this crate put side by side.

pub mod dataset;
pub mod matchers;
pub mod nested;

/// Nanoseconds for which this thread has run on a processor.
pub fn processor_time() -> u64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    stat.split(' ')
        .next()
        .and_then(|time| time.parse().ok())
        .unwrap_or(0)
}
