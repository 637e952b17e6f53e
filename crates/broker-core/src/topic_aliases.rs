//! Topic aliases: numbers that stand for topic names on one network connection (MQTT 5.0, sections
//! 3.3.2.3.4 and 3.3.4).
//!
//! Each direction of a connection has a table of its own. Both end with the connection
//! [MQTT-3.3.2-7], and a connection without aliases owns no memory for them.

use core::num::NonZeroU16;

use hashbrown::HashMap;

use crate::close::Violation;

/// Topic names up to this long (bytes) are sent as they are: an alias takes as much.
const SHORT_TOPIC_BYTES: usize = 3;

/// The aliases that a client has set.
#[derive(Debug, Default)]
pub(crate) struct InboundAliases {
    topics: HashMap<u16, Box<str>>,
}

impl InboundAliases {
    /// The topic name of a PUBLISH with this alias and this topic name, which is empty where the
    /// alias stands for it. A topic name that is not empty is what the alias stands for from here
    /// on, whatever becomes of the message: section 3.3.4 has the mapping set by the packet.
    pub(crate) fn resolve<'a>(
        &'a mut self,
        alias: u16,
        topic: &'a str,
        maximum: u16,
    ) -> Result<&'a str, Violation> {
        if alias == 0 || alias > maximum {
            return Err(Violation::TopicAlias);
        }
        if topic.is_empty() {
            let known = self.topics.get(&alias);
            return known
                .map(|known| &**known)
                .ok_or(Violation::UnknownTopicAlias);
        }
        // Clients that set the alias with each message are not to cost an allocation each time.
        if self
            .topics
            .get(&alias)
            .is_none_or(|known| **known != *topic)
        {
            self.topics.insert(alias, topic.into());
        }
        Ok(topic)
    }
}

/// The aliases that a client has been told: the first topic names keep them.
#[derive(Debug)]
pub(crate) struct OutboundAliases {
    /// The highest alias to be used.
    maximum: u16,
    aliases: HashMap<Box<str>, NonZeroU16>,
}

/// How a PUBLISH to a client names its topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Naming {
    /// By its topic name.
    Topic,
    /// By its topic name, for which the alias stands from then on.
    Both(NonZeroU16),
    /// By its alias.
    Alias(NonZeroU16),
}

impl OutboundAliases {
    /// The aliases for a client that takes them up to `maximum`; `None` if it takes none.
    pub(crate) fn new(maximum: u16) -> Option<Box<Self>> {
        (maximum > 0).then(|| {
            Box::new(Self {
                maximum,
                aliases: HashMap::new(),
            })
        })
    }

    /// How the next PUBLISH to `topic` is to name it. Nothing has changed until
    /// [`note_sent`](Self::note_sent): the packet may be dropped.
    pub(crate) fn naming(&self, topic: &str) -> Naming {
        if topic.len() <= SHORT_TOPIC_BYTES {
            return Naming::Topic;
        }
        if let Some(alias) = self.aliases.get(topic) {
            return Naming::Alias(*alias);
        }
        let used = u16::try_from(self.aliases.len()).unwrap_or(u16::MAX);
        match used.checked_add(1).and_then(NonZeroU16::new) {
            Some(next) if next.get() <= self.maximum => Naming::Both(next),
            _ => Naming::Topic,
        }
    }

    /// A PUBLISH to `topic` that names it so is on its way to the client.
    pub(crate) fn note_sent(&mut self, topic: &str, naming: Naming) {
        if let Naming::Both(alias) = naming {
            self.aliases.insert(topic.into(), alias);
        }
    }
}

impl Naming {
    /// What goes where the topic name belongs.
    pub(crate) const fn topic(self, topic: &str) -> &str {
        match self {
            Self::Topic | Self::Both(_) => topic,
            Self::Alias(_) => "",
        }
    }

    /// The alias that goes with it.
    pub(crate) fn alias(self) -> Option<u16> {
        match self {
            Self::Topic => None,
            Self::Both(alias) | Self::Alias(alias) => Some(alias.get()),
        }
    }

    /// How to name the topic of a packet that is too large by the alias that it would be the first to
    /// have. An alias that is known already is never longer than the name.
    pub(crate) fn without_new_alias(self) -> Option<Self> {
        matches!(self, Self::Both(_)).then_some(Self::Topic)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// MQTT 5.0: [MQTT-3.3.2-8] [MQTT-3.3.2-9] [MQTT-3.3.2-12]
    #[test]
    fn an_alias_stands_for_the_topic_name_that_it_came_with_last() {
        let mut aliases = InboundAliases::default();
        assert_eq!(aliases.resolve(2, "", 2), Err(Violation::UnknownTopicAlias));
        assert_eq!(aliases.resolve(2, "a", 2), Ok("a"));
        assert_eq!(aliases.resolve(2, "", 2), Ok("a"));
        assert_eq!(aliases.resolve(2, "b", 2), Ok("b"));
        assert_eq!(aliases.resolve(2, "", 2), Ok("b"));
        assert_eq!(aliases.resolve(1, "", 2), Err(Violation::UnknownTopicAlias));
        for alias in [0, 3, u16::MAX] {
            assert_eq!(aliases.resolve(alias, "a", 2), Err(Violation::TopicAlias));
            assert_eq!(aliases.resolve(alias, "", 2), Err(Violation::TopicAlias));
        }
        assert_eq!(aliases.resolve(1, "a", 0), Err(Violation::TopicAlias));
    }

    /// MQTT 5.0: [MQTT-3.3.2-11]
    #[test]
    fn the_first_topics_that_are_sent_keep_their_aliases() {
        let mut aliases = OutboundAliases::new(2).unwrap();
        let one = NonZeroU16::MIN;
        let two = NonZeroU16::new(2).unwrap();
        assert_eq!(aliases.naming("a/bc"), Naming::Both(one));
        assert_eq!(
            aliases.naming("d/ef"),
            Naming::Both(one),
            "nothing was sent"
        );
        aliases.note_sent("a/bc", Naming::Both(one));
        assert_eq!(aliases.naming("a/bc"), Naming::Alias(one));
        aliases.note_sent("a/bc", Naming::Alias(one));
        assert_eq!(aliases.naming("d/ef"), Naming::Both(two));
        aliases.note_sent("d/ef", Naming::Topic);
        assert_eq!(aliases.naming("d/ef"), Naming::Both(two));
        aliases.note_sent("d/ef", Naming::Both(two));
        assert_eq!(aliases.naming("g/hi"), Naming::Topic, "there are no more");
        assert_eq!(aliases.naming("d/ef"), Naming::Alias(two));
        assert_eq!(aliases.naming("a/b"), Naming::Topic, "it is short");
    }

    #[test]
    fn all_aliases_that_a_number_can_name_are_used_and_none_twice() {
        let mut aliases = OutboundAliases::new(u16::MAX).unwrap();
        for number in 1..=u16::MAX {
            let topic = format!("topic/{number}");
            let naming = aliases.naming(&topic);
            assert_eq!(naming.alias(), Some(number));
            aliases.note_sent(&topic, naming);
        }
        assert_eq!(aliases.naming("topic/0"), Naming::Topic);
    }

    /// MQTT 5.0: [MQTT-3.1.2-27]
    #[test]
    fn without_aliases_there_is_no_table() {
        assert!(OutboundAliases::new(0).is_none());
    }

    #[test]
    fn only_a_new_alias_can_be_left_out() {
        let one = NonZeroU16::MIN;
        assert_eq!(Naming::Both(one).without_new_alias(), Some(Naming::Topic));
        assert_eq!(Naming::Alias(one).without_new_alias(), None);
        assert_eq!(Naming::Topic.without_new_alias(), None);
    }
}
