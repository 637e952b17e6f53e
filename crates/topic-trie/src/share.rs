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
