//! `TopicFilter`: what a subscription asks for (MQTT section 4.7), with its match rule spelled
//! out for one filter and one topic.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;

use crate::error::{TopicError, check_length};
use crate::levels::Levels;
use crate::name::TopicName;
use crate::owned_text::impl_owned_text;
use crate::share::SharedFilter;
use crate::special;

/// A valid topic filter, borrowed: 1 to 65,535 bytes of UTF-8 without U+0000, in which `+` is the
/// whole of its level and `#` the whole of the last one.
///
/// ```
/// use topic_trie::{TopicError, TopicFilter, TopicName};
///
/// let filter = TopicFilter::new("plant/+/pressure/#")?;
/// assert!(filter.matches(TopicName::new("plant/2/pressure")?));
/// assert!(!filter.matches(TopicName::new("plant/2/3/pressure")?));
/// assert_eq!(TopicFilter::new("plant#"), Err(TopicError::MultiLevelWildcard { at: 5 }));
/// # Ok::<(), TopicError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicFilter<'a>(&'a str);

impl<'a> TopicFilter<'a> {
    /// Checks `text` against the rules for topic filters. `$share/…` is accepted as the ordinary
    /// filter that it is in MQTT 3.1.1; see [`TopicFilter::shared`] for what MQTT 5.0 makes of it.
    ///
    /// # Errors
    /// The first rule that is broken: [`TopicError::Empty`], [`TopicError::TooLong`],
    /// [`TopicError::NullCharacter`], [`TopicError::MultiLevelWildcard`] or
    /// [`TopicError::SingleLevelWildcard`].
    pub fn new(text: &'a str) -> Result<Self, TopicError> {
        check_length(text)?;
        let bytes = text.as_bytes();
        let mut from = 0;
        // Most bytes are none that a rule is about.
        while let Some(next) = bytes.get(from..).and_then(special::first_in) {
            let at = from + next;
            // What stands before the first byte and after the last one ends a level as well.
            let before = at
                .checked_sub(1)
                .and_then(|at| bytes.get(at))
                .unwrap_or(&b'/');
            let after = bytes.get(at + 1);
            let begins_level = *before == b'/';
            match bytes.get(at) {
                Some(b'#') if !begins_level || after.is_some() => {
                    return Err(TopicError::MultiLevelWildcard { at });
                }
                Some(b'+') if !begins_level || after.is_some_and(|&after| after != b'/') => {
                    return Err(TopicError::SingleLevelWildcard { at });
                }
                Some(0) => return Err(TopicError::NullCharacter { at }),
                _ => from = at + 1,
            }
        }
        Ok(Self(text))
    }

    /// For texts that were checked when they were stored.
    pub(crate) fn of_stored(text: &'a str) -> Self {
        Self(text)
    }

    /// The text, as it was given.
    #[inline]
    pub fn as_str(self) -> &'a str {
        self.0
    }

    /// The levels, from left to right; a wildcard is a level of one character.
    pub fn levels(self) -> Levels<'a> {
        Levels::new(self.0)
    }

    /// How many levels there are: slashes plus one, from 1 to 65,536. Each can cost a node of the
    /// trie, so a broker compares this with its limit before it stores a filter.
    pub fn level_count(self) -> usize {
        Levels::count_in(self.0)
    }

    /// Whether there is a `+` or `#`. Without one, a filter matches the one topic that is written
    /// like it.
    pub fn is_wildcard(self) -> bool {
        special::is_in(self.0.as_bytes())
    }

    /// The topic name that is written like this filter, if it has no wildcards.
    pub fn as_name(self) -> Option<TopicName<'a>> {
        (!self.is_wildcard()).then(|| TopicName::of_stored(self.0))
    }

    /// Whether a message published to `topic` is for this filter (MQTT sections 4.7.1 and 4.7.2).
    /// Takes time proportional to the shorter text and no memory.
    pub fn matches(self, topic: TopicName<'_>) -> bool {
        if topic.is_dollar() && matches!(self.0.as_bytes().first(), Some(b'+' | b'#')) {
            return false;
        }
        let mut names = topic.levels();
        for wanted in self.levels() {
            // `a/#` also matches `a`, so `#` is looked at before a level is asked for.
            if wanted == "#" {
                return true;
            }
            match names.next() {
                Some(level) if wanted == "+" || wanted == level => {}
                _ => return false,
            }
        }
        names.next().is_none()
    }

    /// Reads the filter as a shared subscription of MQTT 5.0 (section 4.8.2): `None` if it does not
    /// begin with `$share/`.
    ///
    /// # Errors
    /// See [`SharedFilter::parse`].
    pub fn shared(self) -> Result<Option<SharedFilter<'a>>, TopicError> {
        SharedFilter::parse(self.0)
    }

    /// A copy that owns its text.
    pub fn to_buf(self) -> TopicFilterBuf {
        TopicFilterBuf(self.0.into())
    }
}

impl<'a> From<TopicName<'a>> for TopicFilter<'a> {
    fn from(name: TopicName<'a>) -> Self {
        Self(name.as_str())
    }
}

impl<'a> TryFrom<&'a str> for TopicFilter<'a> {
    type Error = TopicError;

    fn try_from(text: &'a str) -> Result<Self, TopicError> {
        Self::new(text)
    }
}

impl AsRef<str> for TopicFilter<'_> {
    fn as_ref(&self) -> &str {
        self.0
    }
}

impl fmt::Display for TopicFilter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl fmt::Debug for TopicFilter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TopicFilter({:?})", self.0)
    }
}

/// A valid topic filter that owns its text. Everything but storage is on [`TopicFilter`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicFilterBuf(Box<str>);

impl TopicFilterBuf {
    /// The borrowed form.
    #[inline]
    pub fn as_filter(&self) -> TopicFilter<'_> {
        TopicFilter(&self.0)
    }

    /// The text, as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Gives the text away.
    pub fn into_boxed_str(self) -> Box<str> {
        self.0
    }
}

impl_owned_text!(TopicFilterBuf from TopicFilter, by as_filter);

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(filter: &str, topic: &str) -> bool {
        TopicFilter::new(filter)
            .unwrap()
            .matches(TopicName::new(topic).unwrap())
    }

    #[test]
    fn valid_filters_are_taken_as_they_are() {
        let long = format!("{}/#", "x".repeat(65_533));
        for text in [
            "a",
            "/",
            "#",
            "+",
            "+/+",
            "/+",
            "+/",
            "/#",
            "a/#",
            "a/+/b",
            "+/#",
            "//",
            "$share/g/a",
            "$SYS/#",
            "é/+",
            &long,
        ] {
            assert_eq!(TopicFilter::new(text).map(TopicFilter::as_str), Ok(text));
            assert_eq!(text.parse::<TopicFilterBuf>().unwrap().as_str(), text);
        }
    }

    /// [MQTT-4.7.1-2] and [MQTT-4.7.1-3] of 3.1.1, which are [MQTT-4.7.1-1] and [MQTT-4.7.1-2] of
    /// 5.0 (where wildcards may stand); [MQTT-4.7.3-1], [MQTT-4.7.3-2], [MQTT-4.7.3-3].
    #[test]
    fn filters_that_break_a_rule_are_refused_with_the_place() {
        let long = "x".repeat(65_536);
        for (text, error) in [
            ("", TopicError::Empty),
            (long.as_str(), TopicError::TooLong { bytes: 65_536 }),
            ("a/\0", TopicError::NullCharacter { at: 2 }),
            ("a#", TopicError::MultiLevelWildcard { at: 1 }),
            ("a/b#", TopicError::MultiLevelWildcard { at: 3 }),
            ("#/a", TopicError::MultiLevelWildcard { at: 0 }),
            ("a/#/b", TopicError::MultiLevelWildcard { at: 2 }),
            ("a/#/", TopicError::MultiLevelWildcard { at: 2 }),
            ("##", TopicError::MultiLevelWildcard { at: 0 }),
            ("#+", TopicError::MultiLevelWildcard { at: 0 }),
            ("a+", TopicError::SingleLevelWildcard { at: 1 }),
            ("+a", TopicError::SingleLevelWildcard { at: 0 }),
            ("a/+b/c", TopicError::SingleLevelWildcard { at: 2 }),
            ("++", TopicError::SingleLevelWildcard { at: 0 }),
            ("a/+#", TopicError::SingleLevelWildcard { at: 2 }),
        ] {
            assert_eq!(TopicFilter::new(text), Err(error));
            assert_eq!(TopicFilterBuf::try_from(text.to_owned()), Err(error));
        }
    }

    /// The examples of sections 4.7.1.2 and 4.7.1.3 (wildcards) and 4.7.3 (case, leading and
    /// trailing slash, spaces).
    #[test]
    fn the_examples_of_the_specification_match() {
        for (filter, topic) in [
            ("sport/tennis/player1/#", "sport/tennis/player1"),
            ("sport/tennis/player1/#", "sport/tennis/player1/ranking"),
            (
                "sport/tennis/player1/#",
                "sport/tennis/player1/score/wimbledon",
            ),
            ("sport/#", "sport"),
            ("#", "anything/at/all"),
            ("sport/tennis/+", "sport/tennis/player1"),
            ("sport/+", "sport/"),
            ("+/+", "/finance"),
            ("/+", "/finance"),
            ("+", "finance"),
            ("+/tennis/#", "sport/tennis/player1"),
            ("sport/+/player1", "sport/tennis/player1"),
            ("Accounts payable", "Accounts payable"),
        ] {
            assert!(matches(filter, topic), "{filter} {topic}");
        }
        for (filter, topic) in [
            ("sport/tennis/+", "sport/tennis/player1/ranking"),
            ("sport/+", "sport"),
            ("+", "/finance"),
            ("ACCOUNTS", "Accounts"),
            ("finance", "/finance"),
            ("finance/", "finance"),
            ("a", "ab"),
            ("a/b", "a"),
        ] {
            assert!(!matches(filter, topic), "{filter} {topic}");
        }
    }

    /// [MQTT-4.7.2-1]
    #[test]
    fn filters_that_begin_with_a_wildcard_do_not_see_dollar_topics() {
        for filter in ["#", "+", "+/#", "+/monitor/Clients"] {
            assert!(!matches(filter, "$SYS/monitor/Clients"), "{filter}");
            assert!(!matches(filter, "$SYS"), "{filter}");
        }
        assert!(matches("$SYS/#", "$SYS/monitor/Clients"));
        assert!(matches("$SYS/#", "$SYS"));
        assert!(matches("$SYS/monitor/+", "$SYS/monitor/Clients"));
        assert!(matches("a/+", "a/$b"));
        assert!(matches("a/#", "a/$b/c"));
    }

    /// [MQTT-4.7.3-4]: no normalisation. The two spellings of the letter are different characters.
    #[test]
    fn spellings_that_look_alike_are_different_topics() {
        assert!(matches("\u{e9}", "\u{e9}"));
        assert!(!matches("\u{e9}", "e\u{301}"));
    }

    #[test]
    fn only_filters_without_wildcards_are_names() {
        assert_eq!(
            TopicFilter::new("a/b").unwrap().as_name(),
            TopicName::new("a/b").ok()
        );
        assert_eq!(TopicFilter::new("a/+").unwrap().as_name(), None);
        assert_eq!(TopicFilter::new("#").unwrap().as_name(), None);
    }
}
