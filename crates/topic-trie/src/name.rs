//! `TopicName`: a topic that a message can be published to (MQTT section 4.7).

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;

use crate::error::{TopicError, check_length};
use crate::levels::Levels;
use crate::owned_text::impl_owned_text;
use crate::special;

/// A valid topic name, borrowed: 1 to 65,535 bytes of UTF-8 without U+0000, `+` and `#`.
///
/// Checking takes one pass over the bytes and no memory, so a broker can make one of these out of
/// its receive buffer for every PUBLISH.
///
/// Two names are equal when their characters are: nothing is normalised [MQTT-4.7.3-4].
///
/// ```
/// use topic_trie::{TopicError, TopicName};
///
/// let name = TopicName::new("plant/2/pressure")?;
/// assert_eq!(name.levels().count(), 3);
/// assert_eq!(TopicName::new("plant/+"), Err(TopicError::WildcardInName { at: 6 }));
/// # Ok::<(), TopicError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicName<'a>(&'a str);

impl<'a> TopicName<'a> {
    /// Checks `text` against the rules for topic names.
    ///
    /// # Errors
    /// The first rule that is broken: [`TopicError::Empty`], [`TopicError::TooLong`],
    /// [`TopicError::NullCharacter`] or [`TopicError::WildcardInName`].
    #[inline]
    pub fn new(text: &'a str) -> Result<Self, TopicError> {
        check_length(text)?;
        if special::is_in(text.as_bytes()) {
            return Err(first_forbidden(text));
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

    /// The levels, from left to right. `Levels::count` walks the text; see also
    /// [`TopicName::level_count`].
    pub fn levels(self) -> Levels<'a> {
        Levels::new(self.0)
    }

    /// How many levels there are: slashes plus one, from 1 to 65,536. A broker that wants to bound
    /// the depth of what it stores compares this with its limit first.
    pub fn level_count(self) -> usize {
        Levels::count_in(self.0)
    }

    /// Whether the name begins with `$`, and is therefore hidden from filters that begin with a
    /// wildcard [MQTT-4.7.2-1].
    #[inline]
    pub fn is_dollar(self) -> bool {
        self.0.as_bytes().first() == Some(&b'$')
    }

    /// A copy that owns its text.
    pub fn to_buf(self) -> TopicNameBuf {
        TopicNameBuf(self.0.into())
    }
}

#[cold]
fn first_forbidden(text: &str) -> TopicError {
    let mut bytes = text.bytes().enumerate();
    match bytes.find(|(_, byte)| matches!(byte, 0 | b'+' | b'#')) {
        Some((at, 0)) => TopicError::NullCharacter { at },
        Some((at, _)) => TopicError::WildcardInName { at },
        None => TopicError::Empty,
    }
}

impl<'a> TryFrom<&'a str> for TopicName<'a> {
    type Error = TopicError;

    fn try_from(text: &'a str) -> Result<Self, TopicError> {
        Self::new(text)
    }
}

impl AsRef<str> for TopicName<'_> {
    fn as_ref(&self) -> &str {
        self.0
    }
}

impl fmt::Display for TopicName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl fmt::Debug for TopicName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TopicName({:?})", self.0)
    }
}

/// A valid topic name that owns its text. Everything but storage is on [`TopicName`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicNameBuf(Box<str>);

impl TopicNameBuf {
    /// The borrowed form.
    #[inline]
    pub fn as_name(&self) -> TopicName<'_> {
        TopicName(&self.0)
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

impl_owned_text!(TopicNameBuf from TopicName, by as_name);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valid_names_are_taken_as_they_are() {
        let long = "x".repeat(65_535);
        for text in [
            "a",
            "/",
            "//",
            "a/",
            "/a",
            "a b",
            "$SYS/up",
            "$",
            "é/日本",
            "\u{1}",
            &long,
        ] {
            assert_eq!(TopicName::new(text).map(TopicName::as_str), Ok(text));
            assert_eq!(text.parse::<TopicNameBuf>().unwrap().as_str(), text);
        }
    }

    /// [MQTT-4.7.1-1] of 3.1.1 and [MQTT-4.7.0-1] of 5.0 (wildcards), [MQTT-4.7.3-1] (empty),
    /// [MQTT-4.7.3-2] (U+0000), [MQTT-4.7.3-3] (length).
    #[test]
    fn names_that_break_a_rule_are_refused_with_the_place() {
        let long = "x".repeat(65_536);
        let behind_blocks = format!("{}+", "x".repeat(40));
        for (text, error) in [
            ("", TopicError::Empty),
            (long.as_str(), TopicError::TooLong { bytes: 65_536 }),
            ("a\0b", TopicError::NullCharacter { at: 1 }),
            ("\0", TopicError::NullCharacter { at: 0 }),
            ("+", TopicError::WildcardInName { at: 0 }),
            ("a/+/b", TopicError::WildcardInName { at: 2 }),
            ("a/b#", TopicError::WildcardInName { at: 3 }),
            (&behind_blocks, TopicError::WildcardInName { at: 40 }),
        ] {
            assert_eq!(TopicName::new(text), Err(error));
            assert_eq!(TopicNameBuf::try_from(text.to_owned()), Err(error));
        }
    }

    #[test]
    fn a_forbidden_byte_is_found_at_every_place() {
        for length in 1..70 {
            for at in 0..length {
                for (byte, error) in [
                    ('\0', TopicError::NullCharacter { at }),
                    ('+', TopicError::WildcardInName { at }),
                    ('#', TopicError::WildcardInName { at }),
                ] {
                    let mut text = "x".repeat(length);
                    text.replace_range(at..=at, &byte.to_string());
                    assert_eq!(TopicName::new(&text), Err(error));
                }
            }
        }
    }

    #[test]
    fn no_other_byte_is_forbidden_at_any_place() {
        for length in 1..20 {
            for at in 0..length {
                for other in (1..0x100_u32).filter_map(char::from_u32) {
                    let mut text = "x".repeat(length);
                    text.replace_range(at..=at, &other.to_string());
                    let is_forbidden = other == '+' || other == '#';
                    assert_eq!(TopicName::new(&text).is_err(), is_forbidden, "{text}");
                }
            }
        }
    }

    #[test]
    fn levels_are_cut_at_every_slash() {
        for (text, levels) in [
            ("a", vec!["a"]),
            ("a/b", vec!["a", "b"]),
            ("/a", vec!["", "a"]),
            ("a/", vec!["a", ""]),
            ("/", vec!["", ""]),
            ("a//b", vec!["a", "", "b"]),
            ("é/日本", vec!["é", "日本"]),
        ] {
            let name = TopicName::new(text).unwrap();
            assert_eq!(name.levels().collect::<Vec<_>>(), levels);
            assert_eq!(name.level_count(), levels.len());
        }
    }
}
