//! Shared subscriptions: `$share/{share name}/{topic filter}` (MQTT 5.0 section 4.8.2).

use crate::error::TopicError;
use crate::filter::TopicFilter;

/// The two parts of a shared subscription.
///
/// ```
/// use topic_trie::{SharedFilter, TopicError};
///
/// let shared = SharedFilter::parse("$share/workers/jobs/+")?.ok_or(TopicError::Empty)?;
/// assert_eq!(shared.share_name(), "workers");
/// assert_eq!(shared.filter().as_str(), "jobs/+");
/// assert_eq!(SharedFilter::parse("jobs/+")?, None);
/// # Ok::<(), TopicError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SharedFilter<'a> {
    share_name: &'a str,
    filter: TopicFilter<'a>,
}

impl<'a> SharedFilter<'a> {
    /// Takes a SUBSCRIBE's topic filter apart. `None` means that it does not begin with `$share/`
    /// and so is no shared subscription; whether it is a valid filter is then not looked at.
    ///
    /// # Errors
    /// [`TopicError::EmptyShareName`] for `$share//…`, [`TopicError::WildcardInShareName`] for
    /// `$share/a+/…`, [`TopicError::ShareWithoutFilter`] for `$share/a` and `$share/a/`, and what
    /// [`TopicFilter::new`] says about the rest of the text. [`TopicError::TooLong`] looks at the
    /// whole text. Positions count from the start of the whole text.
    pub fn parse(text: &'a str) -> Result<Option<Self>, TopicError> {
        let Some(rest) = text.strip_prefix(PREFIX) else {
            return Ok(None);
        };
        crate::error::check_length(text)?;
        let (share_name, filter) = match rest.split_once('/') {
            Some((name, filter)) => (name, Some(filter)),
            None => (rest, None),
        };
        if share_name.is_empty() {
            return Err(TopicError::EmptyShareName);
        }
        for (at, byte) in (PREFIX.len()..).zip(share_name.bytes()) {
            match byte {
                0 => return Err(TopicError::NullCharacter { at }),
                b'+' | b'#' => return Err(TopicError::WildcardInShareName { at }),
                _ => {}
            }
        }
        let Some(filter) = filter.filter(|filter| !filter.is_empty()) else {
            return Err(TopicError::ShareWithoutFilter);
        };
        let skipped = text.len() - filter.len();
        let filter = TopicFilter::new(filter).map_err(|error| moved(error, skipped))?;
        Ok(Some(Self { share_name, filter }))
    }

    /// The share name: at least one character, without `/`, `+` and `#` [MQTT-4.8.2-2].
    pub fn share_name(self) -> &'a str {
        self.share_name
    }

    /// What the group subscribes to.
    pub fn filter(self) -> TopicFilter<'a> {
        self.filter
    }
}

fn moved(error: TopicError, by: usize) -> TopicError {
    match error {
        TopicError::NullCharacter { at } => TopicError::NullCharacter { at: at + by },
        TopicError::MultiLevelWildcard { at } => TopicError::MultiLevelWildcard { at: at + by },
        TopicError::SingleLevelWildcard { at } => TopicError::SingleLevelWildcard { at: at + by },
        other => other,
    }
}

const PREFIX: &str = "$share/";

#[cfg(test)]
mod tests {
    use super::*;

    /// [MQTT-4.8.2-1], [MQTT-4.8.2-2]
    #[test]
    fn shared_filters_are_taken_apart() {
        for (text, name, filter) in [
            ("$share/g/a", "g", "a"),
            ("$share/g/#", "g", "#"),
            ("$share/g//", "g", "/"),
            ("$share/g//finance", "g", "/finance"),
            ("$share/$share/$share/g/a", "$share", "$share/g/a"),
            ("$share/é/+/b", "é", "+/b"),
        ] {
            let shared = SharedFilter::parse(text).unwrap().unwrap();
            assert_eq!(
                (shared.share_name(), shared.filter().as_str()),
                (name, filter)
            );
            assert_eq!(TopicFilter::new(text).unwrap().shared(), Ok(Some(shared)));
        }
    }

    #[test]
    fn other_filters_are_not_shared() {
        for text in [
            "a",
            "$share",
            "$SHARE/g/a",
            "/$share/g/a",
            "$shared/g/a",
            "+/g/a",
        ] {
            assert_eq!(SharedFilter::parse(text), Ok(None), "{text}");
        }
    }

    /// [MQTT-4.8.2-1], [MQTT-4.8.2-2]
    #[test]
    fn shared_filters_that_break_a_rule_are_refused_with_the_place() {
        let long = format!("$share/g/{}", "x".repeat(65_535));
        for (text, error) in [
            ("$share/", TopicError::EmptyShareName),
            ("$share//a", TopicError::EmptyShareName),
            ("$share/g", TopicError::ShareWithoutFilter),
            ("$share/g/", TopicError::ShareWithoutFilter),
            ("$share/+/a", TopicError::WildcardInShareName { at: 7 }),
            ("$share/g#/a", TopicError::WildcardInShareName { at: 8 }),
            ("$share/#", TopicError::WildcardInShareName { at: 7 }),
            ("$share/g\0/a", TopicError::NullCharacter { at: 8 }),
            ("$share/g/a#", TopicError::MultiLevelWildcard { at: 10 }),
            ("$share/g/+a", TopicError::SingleLevelWildcard { at: 9 }),
            ("$share/g/a\0", TopicError::NullCharacter { at: 10 }),
            (&long, TopicError::TooLong { bytes: 65_544 }),
        ] {
            assert_eq!(SharedFilter::parse(text), Err(error), "{text:.20}");
        }
    }
}
