//! All matchers beside each other: `compare <filters> [rounds]`.
//!
//! Each round lets each matcher look up all topics once, one matcher after the other, so that what
//! else happens on the machine happens to all of them. Time is the processor's time of this thread.
//! Printed are the best and the middle round, and the middle of the rounds' ratios to the first
//! matcher.

use std::hint::black_box;

use matcher_bench::dataset::{self, DataSet};
use matcher_bench::matchers::{Engine, Matcher};
use matcher_bench::nested::{Nested, StdNested};
use matcher_bench::processor_time;
use rmqtt::trie::TopicTree;
use topic_trie::{FilterTrie, SharedFilterTrie};

struct Contestant<'a> {
    name: &'static str,
    look_up: Box<dyn Fn() -> (u64, u64) + 'a>,
    rounds: Vec<f64>,
}

fn contestant<M: Matcher + 'static>(data: &DataSet) -> Contestant<'_> {
    let mut matcher = M::new();
    data.filters
        .iter()
        .for_each(|filter| matcher.insert(filter));
    let look_up = move || {
        data.topics.iter().fold((0, 0), |sum: (u64, u64), topic| {
            let found = black_box(matcher.matches(topic));
            (sum.0 + found.0, sum.1.wrapping_add(found.1))
        })
    };
    Contestant {
        name: M::NAME,
        look_up: Box::new(look_up),
        rounds: Vec::new(),
    }
}

fn middle(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_unstable_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let count = arguments
        .next()
        .and_then(|count| count.parse().ok())
        .unwrap_or(100_000);
    let rounds = arguments
        .next()
        .and_then(|rounds| rounds.parse().ok())
        .unwrap_or(15);
    let data = dataset::generate(count);
    let mut contestants = [
        contestant::<FilterTrie<u64, u64>>(&data),
        contestant::<SharedFilterTrie<u64, u64>>(&data),
        contestant::<Nested>(&data),
        contestant::<StdNested>(&data),
        contestant::<TopicTree<u64>>(&data),
        contestant::<Engine>(&data),
    ];
    let expected = (contestants[0].look_up)();
    for contestant in &contestants {
        assert_eq!(
            (contestant.look_up)(),
            expected,
            "{} finds something else",
            contestant.name
        );
    }
    for _ in 0..rounds {
        for contestant in &mut contestants {
            let start = processor_time();
            black_box((contestant.look_up)());
            let time = (processor_time() - start) as f64;
            contestant.rounds.push(time / data.topics.len() as f64);
        }
    }
    let first = contestants[0].rounds.clone();
    for Contestant { name, rounds, .. } in &contestants {
        let ratios = rounds
            .iter()
            .zip(&first)
            .map(|(time, first)| time / first)
            .collect();
        println!(
            "{name:24} {count:8} filters: best {:6.0} ns, middle {:6.0} ns, ratio {:5.2}",
            rounds.iter().copied().fold(f64::MAX, f64::min),
            middle(rounds.clone()),
            middle(ratios),
        );
    }
}
