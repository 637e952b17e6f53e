//! Topics of a node below a prefix of the engine's: what is `t` here is `<prefix>/t` there.

use topic_trie::{TopicFilter, TopicFilterBuf, TopicName};

/// The longest topic that MQTT can express, in bytes (section 1.5.4 of MQTT 5.0).
const TOPIC_BYTES_MAX: usize = 65_535;

/// What stands in front of a node's topics where the engine has them.
///
/// Nodes of one prefix have their topics in common; a client of the engine itself finds them below the prefix.
/// The empty prefix, which is the default, changes nothing.
///
/// ```
/// use broker_core::backend::Prefix;
///
/// let prefix = Prefix::new("/site/7")?;
/// assert_eq!(prefix.topic("/door").as_deref(), Some("/site/7//door"));
/// assert_eq!(prefix.strip("/site/7//door"), Some("/door"));
/// assert_eq!(prefix.strip("/site/70/door"), None);
/// assert!(Prefix::new("site/+").is_err());
/// # Ok::<(), broker_core::backend::PrefixError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Prefix {
    /// With the separator at its end, unless there is none.
    text: Box<str>,
}

/// Why a text cannot be a prefix of topics.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{prefix}` cannot stand in front of topics: it is no topic name")]
pub struct PrefixError {
    prefix: String,
}

impl Prefix {
    /// A prefix of one or several levels. A `/` at its end is the one that separates it from the topic.
    ///
    /// # Errors
    /// If it is no topic name: it has a wildcard or the character U+0000, or is too long.
    pub fn new(prefix: &str) -> Result<Self, PrefixError> {
        if prefix.is_empty() {
            return Ok(Self::default());
        }
        let separator = if prefix.ends_with('/') { "" } else { "/" };
        let text = format!("{prefix}{separator}");
        match TopicName::new(&text) {
            Ok(_) => Ok(Self { text: text.into() }),
            Err(_) => Err(PrefixError {
                prefix: prefix.to_owned(),
            }),
        }
    }

    /// The prefix with the separator at its end; empty if there is none.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The topic name that the engine has for this one of the node's; `None` if it is too long.
    pub fn topic(&self, topic: &str) -> Option<String> {
        let length = self.text.len() + topic.len();
        (length <= TOPIC_BYTES_MAX).then(|| [&self.text, topic].concat())
    }

    /// The topic filter that the engine has for this one of the node's; `None` if it is too long.
    pub fn filter(&self, filter: TopicFilter<'_>) -> Option<TopicFilterBuf> {
        let text = self.topic(filter.as_str())?;
        TopicFilter::new(&text).ok().map(TopicFilter::to_buf)
    }

    /// The node's topic name for this one of the engine's; `None` if it is of somebody else's.
    pub fn strip<'a>(&self, topic: &'a str) -> Option<&'a str> {
        topic
            .strip_prefix(&*self.text)
            .filter(|rest| !rest.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_separator_stands_once_and_filters_stay_filters() {
        let filter = |prefix: &str, filter| {
            let filter = TopicFilter::new(filter).unwrap();
            let filter = Prefix::new(prefix).unwrap().filter(filter).unwrap();
            filter.as_filter().as_str().to_owned()
        };
        assert_eq!(filter("s", "#"), "s/#");
        assert_eq!(filter("s/", "+/a"), "s/+/a");
        assert_eq!(filter("", "/a"), "/a");
        assert_eq!(Prefix::new("s/").unwrap(), Prefix::new("s").unwrap());
        assert_eq!(Prefix::new("").unwrap(), Prefix::default());
    }

    #[test]
    fn what_is_not_below_the_prefix_is_not_the_nodes() {
        let prefix = Prefix::new("s").unwrap();
        for other in ["s", "s/", "t/s/a", ""] {
            assert_eq!(prefix.strip(other), None, "{other}");
        }
        assert_eq!(Prefix::default().strip("a"), Some("a"));
    }

    #[test]
    fn what_is_too_long_with_the_prefix_is_said() {
        let longest = "t".repeat(TOPIC_BYTES_MAX - 2);
        let prefix = Prefix::new("s").unwrap();
        assert!(prefix.topic(&longest).is_some());
        assert!(prefix.topic(&(longest + "t")).is_none());
        assert!(Prefix::new(&"s".repeat(TOPIC_BYTES_MAX)).is_err());
    }
}
