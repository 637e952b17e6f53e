//! Topics and topic filters as keys of a topic exchange.
//!
//! The levels of a topic are the words of a routing key: `plant/7/temp` is `plant.7.temp`. Within a level what has
//! a meaning there is written as `%` and two hexadecimal digits (`.`, `*`, `#`, and `%` itself), and a level
//! without a character is `%` alone. So two topics never have one key, and no word is shorter than the `*` that
//! stands for it in the key of a filter. A key has 255 bytes at most, and topics have more: those with a long
//! key go under one that every node binds from the start, and so does what is for all nodes.

use broker_core::backend::Prefix;
use topic_trie::{TopicFilter, TopicName};

/// The longest key of AMQP, in bytes.
const KEY_BYTES_MAX: usize = 255;

/// The longest key of a topic. With the two bytes of `.#` behind it, it is a key still: so a filter that has no
/// key matches only topics that have none, also where its `#` stands for nothing.
const TOPIC_KEY_BYTES_MAX: usize = KEY_BYTES_MAX - 2;

/// The longest key of a prefix: words that are reserved stand in front of it, and topics behind it.
const PREFIX_KEY_BYTES_MAX: usize = 180;

/// What has a meaning in keys. No level that was escaped begins with `%` and a small letter, so words that do
/// are free for other purposes.
const ESCAPES: [(char, &str); 4] = [('.', "%2E"), ('*', "%2A"), ('#', "%23"), ('%', "%25")];

/// The keys of the nodes of one prefix.
#[derive(Debug)]
pub(crate) struct Keys {
    prefix: Prefix,
    /// The key for all nodes.
    nodes: String,
    /// The key of all topics that are too long for one of their own.
    long: String,
}

/// What a key says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The topic.
    Topic(String),
    /// That the message is for all nodes of this prefix, or its topic is too long.
    Ours,
    /// That it is none of this node's.
    Elsewhere,
}

impl Keys {
    /// None if the prefix is too long.
    pub(crate) fn new(prefix: Prefix) -> Option<Self> {
        let name = prefix.as_str().strip_suffix('/').unwrap_or_default();
        let mut words = String::new();
        if !prefix.as_str().is_empty() {
            words.push('.');
            push_words(&mut words, name, push_level);
        }
        (words.len() <= PREFIX_KEY_BYTES_MAX).then(|| Self {
            nodes: format!("%nodes{words}"),
            long: format!("%long{words}"),
            prefix,
        })
    }

    /// The key for all nodes.
    pub(crate) fn nodes(&self) -> &str {
        &self.nodes
    }

    /// The key of all topics that are too long for one of their own.
    pub(crate) fn long(&self) -> &str {
        &self.long
    }

    /// The key of a topic; none if it would be too long.
    pub(crate) fn topic(&self, topic: &str) -> Option<String> {
        // No need to write out what is too long in any case.
        if topic.len() > TOPIC_KEY_BYTES_MAX {
            return None;
        }
        let mut key = String::new();
        push_words(&mut key, &self.prefix.topic(topic)?, push_level);
        (key.len() <= TOPIC_KEY_BYTES_MAX).then_some(key)
    }

    /// The key that binds what a filter matches; none if that has no keys of its own.
    pub(crate) fn filter(&self, filter: TopicFilter<'_>) -> Option<String> {
        if filter.as_str().len() > KEY_BYTES_MAX {
            return None;
        }
        let mut key = String::new();
        push_words(
            &mut key,
            &self.prefix.topic(filter.as_str())?,
            |key, level| match level {
                "+" => key.push('*'),
                "#" => key.push('#'),
                _ => push_level(key, level),
            },
        );
        let longest = match key.ends_with('#') {
            true => KEY_BYTES_MAX,
            false => TOPIC_KEY_BYTES_MAX,
        };
        (key.len() <= longest).then_some(key)
    }

    /// What a key says, whoever has made it.
    pub(crate) fn place(&self, key: &str) -> Place {
        if key == self.nodes || key == self.long {
            return Place::Ours;
        }
        if key.split('.').next().is_some_and(is_reserved) {
            return Place::Elsewhere;
        }
        let topic = topic(key);
        match self.prefix.strip(&topic) {
            Some(topic) if TopicName::new(topic).is_ok() => Place::Topic(topic.to_owned()),
            _ => Place::Elsewhere,
        }
    }
}

/// Whether no level of a topic is written like this.
fn is_reserved(word: &str) -> bool {
    let mut letters = word.chars();
    letters.next() == Some('%') && letters.next().is_some_and(|it| it.is_ascii_lowercase())
}

fn push_words(key: &mut String, levels: &str, push: impl Fn(&mut String, &str)) {
    for (number, level) in levels.split('/').enumerate() {
        if number > 0 {
            key.push('.');
        }
        push(key, level);
    }
}

fn push_level(key: &mut String, level: &str) {
    if level.is_empty() {
        key.push('%');
    }
    for letter in level.chars() {
        match ESCAPES.iter().find(|(it, _)| *it == letter) {
            Some((_, escape)) => key.push_str(escape),
            None => key.push(letter),
        }
    }
}

/// The topic of a key. What another program has written with `%` and is no escape stays as it is.
fn topic(key: &str) -> String {
    let mut topic = String::with_capacity(key.len());
    for (number, word) in key.split('.').enumerate() {
        if number > 0 {
            topic.push('/');
        }
        if word != "%" {
            push_word(&mut topic, word);
        }
    }
    topic
}

fn push_word(topic: &mut String, word: &str) {
    let mut rest = word;
    while let Some((before, _)) = rest.split_once('%') {
        topic.push_str(before);
        let escaped = rest.get(before.len()..).unwrap_or_default();
        let found = ESCAPES.iter().find(|(_, it)| escaped.starts_with(it));
        let (letter, length) = found.map_or(('%', 1), |(letter, it)| (*letter, it.len()));
        topic.push(letter);
        rest = escaped.get(length..).unwrap_or_default();
    }
    topic.push_str(rest);
}

#[cfg(test)]
#[path = "keys/tests.rs"]
mod tests;
