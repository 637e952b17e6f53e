//! One face for all matchers: texts go in as a broker receives them, keys come out one by one.

use std::str::FromStr;

use mqtt_topic_engine::{
    CacheStrategy, QoS, SubscriptionId, TopicPath, TopicPatternPath, TopicRouter,
};
use rmqtt::topic::Topic;
use rmqtt::trie::TopicTree;
use topic_trie::{FilterTrie, SharedFilterTrie, TopicFilter, TopicName};

use crate::dataset::Filter;
use crate::nested::{Nested, StdNested};

pub trait Matcher {
    const NAME: &'static str;
    fn new() -> Self;
    fn insert(&mut self, filter: &Filter);
    fn remove(&mut self, at: usize, filter: &Filter);
    /// The number of hits and the sum of their keys: touches every result, keeps none.
    fn matches(&self, topic: &str) -> (u64, u64);
}

fn filter(text: &str) -> TopicFilter<'_> {
    TopicFilter::new(text).expect("the data set is valid")
}

fn name(text: &str) -> TopicName<'_> {
    TopicName::new(text).expect("the data set is valid")
}

impl Matcher for FilterTrie<u64, u64> {
    const NAME: &'static str = "topic-trie";

    fn new() -> Self {
        Self::new()
    }

    fn insert(&mut self, stored: &Filter) {
        Self::insert(self, filter(&stored.text), stored.key, 0);
    }

    fn remove(&mut self, _at: usize, stored: &Filter) {
        Self::remove(self, filter(&stored.text), &stored.key).expect("was inserted");
    }

    fn matches(&self, topic: &str) -> (u64, u64) {
        let mut found = (0, 0);
        Self::matches(self, name(topic), |&key, _| {
            found = (found.0 + 1, found.1 + key)
        });
        found
    }
}

impl Matcher for SharedFilterTrie<u64, u64> {
    const NAME: &'static str = "topic-trie, shared";

    fn new() -> Self {
        Self::new()
    }

    fn insert(&mut self, stored: &Filter) {
        Self::insert(self, filter(&stored.text), stored.key, 0);
    }

    fn remove(&mut self, _at: usize, stored: &Filter) {
        Self::remove(self, filter(&stored.text), &stored.key).expect("was inserted");
    }

    fn matches(&self, topic: &str) -> (u64, u64) {
        let mut found = (0, 0);
        Self::matches(self, name(topic), |&key, _| {
            found = (found.0 + 1, found.1 + key)
        });
        found
    }
}

impl Matcher for Nested {
    const NAME: &'static str = "nested maps, fast hash";

    fn new() -> Self {
        Self::default()
    }

    fn insert(&mut self, stored: &Filter) {
        Self::insert(self, filter(&stored.text).as_str(), stored.key, 0);
    }

    fn remove(&mut self, _at: usize, stored: &Filter) {
        Self::remove(self, &stored.text, stored.key).expect("was inserted");
    }

    fn matches(&self, topic: &str) -> (u64, u64) {
        let mut found = (0, 0);
        Self::matches(self, name(topic).as_str(), &mut |key, _| {
            found = (found.0 + 1, found.1 + key);
        });
        found
    }
}

impl Matcher for StdNested {
    const NAME: &'static str = "nested maps, std hash";

    fn new() -> Self {
        Self::default()
    }

    fn insert(&mut self, stored: &Filter) {
        Self::insert(self, filter(&stored.text).as_str(), stored.key, 0);
    }

    fn remove(&mut self, _at: usize, stored: &Filter) {
        Self::remove(self, &stored.text, stored.key).expect("was inserted");
    }

    fn matches(&self, topic: &str) -> (u64, u64) {
        let mut found = (0, 0);
        Self::matches(self, name(topic).as_str(), &mut |key, _| {
            found = (found.0 + 1, found.1 + key);
        });
        found
    }
}

impl Matcher for TopicTree<u64> {
    const NAME: &'static str = "rmqtt";

    fn new() -> Self {
        Self::default()
    }

    fn insert(&mut self, stored: &Filter) {
        let topic = Topic::from_str(&stored.text).expect("the data set is valid");
        Self::insert(self, &topic, stored.key);
    }

    fn remove(&mut self, _at: usize, stored: &Filter) {
        let topic = Topic::from_str(&stored.text).expect("the data set is valid");
        assert!(Self::remove(self, &topic, &stored.key), "was inserted");
    }

    fn matches(&self, topic: &str) -> (u64, u64) {
        let topic = Topic::from_str(topic).expect("the data set is valid");
        let mut found = (0, 0);
        for (_levels, keys) in Self::matches(self, &topic).iter() {
            found = (
                found.0 + keys.len() as u64,
                found.1 + keys.into_iter().sum::<u64>(),
            );
        }
        found
    }
}

/// Gives each subscription a number of its own, by which it is removed.
pub struct Engine {
    router: TopicRouter<u64>,
    ids: Vec<SubscriptionId>,
}

impl Matcher for Engine {
    const NAME: &'static str = "mqtt-topic-engine";

    fn new() -> Self {
        Self {
            router: TopicRouter::new(),
            ids: Vec::new(),
        }
    }

    fn insert(&mut self, stored: &Filter) {
        let pattern = TopicPatternPath::new_from_string(&*stored.text, CacheStrategy::NoCache)
            .expect("the data set is valid");
        self.ids.push(
            self.router
                .add_subscription(pattern, QoS::AtMostOnce, stored.key)
                .1,
        );
    }

    fn remove(&mut self, at: usize, _stored: &Filter) {
        self.router
            .unsubscribe(&self.ids[at])
            .expect("was inserted");
    }

    fn matches(&self, topic: &str) -> (u64, u64) {
        let path = TopicPath::new(topic).expect("the data set is valid");
        let found = self.router.get_subscribers(&path);
        (found.len() as u64, found.iter().map(|hit| hit.2).sum())
    }
}
