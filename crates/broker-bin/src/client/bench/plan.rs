//! Who publishes where, who subscribes to what, and so how many copies of a message there are to come.

use std::collections::BTreeSet;

use topic_trie::{SharedFilter, SharedFilterTrie, TopicError, TopicFilter, TopicName};

/// How many clients there are of each kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Roles {
    pub(super) publishers: u32,
    pub(super) subscribers: u32,
    /// Those that only stay connected.
    pub(super) idle: u32,
}

impl Roles {
    pub(super) fn all(self) -> u64 {
        [self.publishers, self.subscribers, self.idle]
            .map(u64::from)
            .iter()
            .sum()
    }
}

/// A pattern for the client of this number.
pub(super) fn numbered(pattern: &str, number: u32) -> String {
    pattern.replace("%i", &number.to_string())
}

/// What this subscriber subscribes to where no filter is named: with as many subscribers as publishers each hears
/// one of them. With fewer they share the publishers out, with more several hear the same one.
pub(super) fn dealt(topic: &str, roles: Roles, subscriber: u32) -> Vec<String> {
    let Roles {
        publishers,
        subscribers,
        ..
    } = roles;
    // Those who publish may be elsewhere.
    let publishers = if publishers == 0 {
        subscribers
    } else {
        publishers
    };
    let mine = if subscribers >= publishers {
        vec![numbered(
            topic,
            subscriber.checked_rem(publishers).unwrap_or_default(),
        )]
    } else {
        let step = usize::try_from(subscribers).unwrap_or(usize::MAX).max(1);
        let mine = (subscriber..publishers).step_by(step);
        mine.map(|publisher| numbered(topic, publisher)).collect()
    };
    // Of a pattern without a number there is one topic.
    let topics: BTreeSet<_> = mine.into_iter().collect();
    topics.into_iter().collect()
}

/// Those who get each message once.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Receiver {
    Subscriber(u32),
    /// All who share a filter by this name.
    Share(String),
}

/// The subscriptions that there are.
#[derive(Default)]
pub(super) struct Receivers {
    filters: SharedFilterTrie<Receiver, ()>,
}

impl Receivers {
    pub(super) fn add(&self, subscriber: u32, filter: &str) -> Result<(), TopicError> {
        let (filter, receiver) = match SharedFilter::parse(filter)? {
            Some(shared) => (
                shared.filter(),
                Receiver::Share(shared.share_name().to_owned()),
            ),
            None => (TopicFilter::new(filter)?, Receiver::Subscriber(subscriber)),
        };
        self.filters.insert(filter, receiver, ());
        Ok(())
    }

    /// So many copies of a message to this topic are to come.
    pub(super) fn of(&self, topic: &str) -> u64 {
        let mut copies = 0;
        if let Ok(topic) = TopicName::new(topic) {
            self.filters.matches(topic, |_, ()| copies += 1);
        }
        copies
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roles(publishers: u32, subscribers: u32) -> Roles {
        Roles {
            publishers,
            subscribers,
            idle: 0,
        }
    }

    #[test]
    fn subscribers_share_the_publishers_out() {
        let dealt = |publishers, subscribers| -> Vec<String> {
            let roles = roles(publishers, subscribers);
            let all = (0..subscribers).map(|number| dealt("t/%i", roles, number).join(" "));
            all.collect()
        };
        assert_eq!(dealt(2, 2), ["t/0", "t/1"]);
        assert_eq!(dealt(5, 2), ["t/0 t/2 t/4", "t/1 t/3"]);
        assert_eq!(dealt(2, 3), ["t/0", "t/1", "t/0"]);
        assert_eq!(dealt(0, 2), ["t/0", "t/1"]);
        assert_eq!(super::dealt("t", roles(3, 2), 0), ["t"]);
    }

    #[test]
    fn a_group_that_shares_gets_a_message_once() {
        let receivers = Receivers::default();
        for (subscriber, filter) in [
            (0, "$share/a/t/#"),
            (1, "$share/a/t/#"),
            (2, "$share/b/t/#"),
            (3, "$share/a/t/+"),
            (4, "t/1"),
            (5, "t/1"),
            (6, "u"),
        ] {
            receivers.add(subscriber, filter).unwrap();
        }
        assert_eq!(receivers.of("t/1"), 5);
        assert_eq!(receivers.of("t/2"), 3);
        assert_eq!(receivers.of("u"), 1);
        assert_eq!(receivers.of("v"), 0);
    }
}
