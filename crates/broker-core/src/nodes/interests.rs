//! The topic filters that a node needs from others, counted by reference, and those of which the engine was
//! told.

use core::task::{Context, Poll};
use std::task::Waker;

use hashbrown::{HashMap, HashSet};
use parking_lot::Mutex;
use topic_trie::{TopicFilter, TopicFilterBuf};

use crate::own_topics::asks_for_the_broker;

/// What is to be said to the engine; see [`Broker::poll_filter_changes`](crate::Broker::poll_filter_changes).
#[derive(Debug, Default, PartialEq, Eq)]
pub struct FilterChanges {
    /// Filters that are needed and were not before.
    pub subscribe: Vec<TopicFilterBuf>,
    /// Filters that are needed no more.
    pub unsubscribe: Vec<TopicFilterBuf>,
    /// The [version](crate::Broker::filters_version) that is reached with them.
    pub version: u64,
}

/// Who needs what.
#[derive(Debug, Default)]
pub(crate) struct Interests(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    counts: HashMap<Box<str>, usize>,
    asked: HashSet<Box<str>>,
    /// Those in one of the two above and not in the other, so there are no more of them than of those.
    changed: HashSet<Box<str>>,
    /// Grows with each change.
    version: u64,
    waker: Option<Waker>,
}

impl Interests {
    /// One more needs the filter.
    pub(crate) fn add(&self, filter: TopicFilter<'_>) {
        if asks_for_the_broker(filter) {
            return;
        }
        let mut state = self.0.lock();
        if let Some(count) = state.counts.get_mut(filter.as_str()) {
            *count += 1;
            return;
        }
        state.counts.insert(filter.as_str().into(), 1);
        state.note(filter.as_str());
    }

    /// One who needed the filter does so no more.
    pub(crate) fn remove(&self, filter: TopicFilter<'_>) {
        let mut state = self.0.lock();
        let Some(count) = state.counts.get_mut(filter.as_str()) else {
            return;
        };
        *count -= 1;
        if *count == 0 {
            state.counts.remove(filter.as_str());
            state.note(filter.as_str());
        }
    }

    /// The version of what is needed.
    pub(crate) fn version(&self) -> u64 {
        self.0.lock().version
    }

    /// Takes what the engine has to be told, if there is anything.
    pub(crate) fn poll_changes(&self, task: &Context<'_>) -> Poll<FilterChanges> {
        let mut state = self.0.lock();
        if state.changed.is_empty() {
            state.waker = Some(task.waker().clone());
            return Poll::Pending;
        }
        let mut changes = FilterChanges {
            version: state.version,
            ..FilterChanges::default()
        };
        let changed = core::mem::take(&mut state.changed);
        for filter in changed {
            let Ok(parsed) = TopicFilter::new(&filter).map(TopicFilter::to_buf) else {
                continue;
            };
            if state.counts.contains_key(&filter) {
                changes.subscribe.push(parsed);
                state.asked.insert(filter);
            } else {
                changes.unsubscribe.push(parsed);
                state.asked.remove(&filter);
            }
        }
        Poll::Ready(changes)
    }

    /// The engine has forgotten all filters: it is to be told them again.
    pub(crate) fn repeat(&self) {
        let mut state = self.0.lock();
        state.asked.clear();
        state.changed = state.counts.keys().cloned().collect();
        state.wake();
    }
}

impl State {
    /// The filter is needed now, or is so no more.
    fn note(&mut self, filter: &str) {
        self.version += 1;
        if self.counts.contains_key(filter) == self.asked.contains(filter) {
            self.changed.remove(filter);
        } else {
            self.changed.insert(filter.into());
        }
        self.wake();
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    const FILTERS: [&str; 4] = ["a", "a/#", "+", "$SYS/#"];

    fn filter(number: usize) -> TopicFilter<'static> {
        TopicFilter::new(FILTERS[number]).unwrap()
    }

    proptest! {
        #[test]
        fn the_engine_has_what_is_needed_after_each_change_and_nothing_is_said_twice(
            steps in prop::collection::vec((0..4_usize, 0..4_usize), 0..200),
        ) {
            let interests = Interests::default();
            let (mut counts, mut engine) = ([0; 4], BTreeSet::new());
            let task = Context::from_waker(Waker::noop());
            for (number, step) in steps {
                match step {
                    0 => {
                        counts[number] += 1;
                        interests.add(filter(number));
                    }
                    1 if counts[number] > 0 => {
                        counts[number] -= 1;
                        interests.remove(filter(number));
                    }
                    2 => {
                        let Poll::Ready(changes) = interests.poll_changes(&task) else {
                            continue;
                        };
                        prop_assert_eq!(changes.version, interests.version());
                        for gone in changes.unsubscribe {
                            prop_assert!(engine.remove(gone.as_str()));
                        }
                        for new in changes.subscribe {
                            prop_assert!(engine.insert(new.as_str().to_owned()));
                        }
                        let needed = (0..3).filter(|it| counts[*it] > 0);
                        let needed: BTreeSet<_> = needed.map(|it| FILTERS[it].to_owned()).collect();
                        prop_assert_eq!(&engine, &needed);
                    }
                    3 => {
                        engine.clear();
                        interests.repeat();
                    }
                    _ => {}
                }
            }
        }
    }
}
