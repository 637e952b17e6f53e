//! Why a text is not a topic name, a topic filter or a shared subscription.

/// The rule that a text breaks. Positions are byte offsets into the text that was given.
///
/// A broker answers most of these by closing the connection (topic name in a PUBLISH) or with a
/// failure code in SUBACK (topic filter in a SUBSCRIBE).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum TopicError {
    /// The text has no characters at all [MQTT-4.7.3-1].
    #[error("the topic is empty")]
    Empty,
    /// The text is longer than 65,535 bytes of UTF-8 [MQTT-4.7.3-3].
    #[error("the topic has {bytes} bytes, more than the 65535 that MQTT can carry")]
    TooLong {
        /// Length of the text, in bytes.
        bytes: usize,
    },
    /// The text contains U+0000 [MQTT-4.7.3-2].
    #[error("the topic contains the null character at byte {at}")]
    NullCharacter {
        /// Where the first null character is.
        at: usize,
    },
    /// A topic name contains `+` or `#`, which belong into filters only
    /// [MQTT-4.7.1-1 in 3.1.1, MQTT-4.7.0-1 in 5.0].
    #[error("the topic name contains a wildcard at byte {at}")]
    WildcardInName {
        /// Where the first wildcard is.
        at: usize,
    },
    /// `#` is not alone in its level, or is not in the last level
    /// [MQTT-4.7.1-2 in 3.1.1, MQTT-4.7.1-1 in 5.0].
    #[error("'#' at byte {at} is not the whole of the last level")]
    MultiLevelWildcard {
        /// Where the misplaced `#` is.
        at: usize,
    },
    /// `+` is not alone in its level [MQTT-4.7.1-3 in 3.1.1, MQTT-4.7.1-2 in 5.0].
    #[error("'+' at byte {at} is not the whole of its level")]
    SingleLevelWildcard {
        /// Where the misplaced `+` is.
        at: usize,
    },
    /// `$share/` is followed by an empty share name [MQTT-4.8.2-1].
    #[error("the share name is empty")]
    EmptyShareName,
    /// The share name contains `+` or `#` [MQTT-4.8.2-2].
    #[error("the share name contains a wildcard at byte {at}")]
    WildcardInShareName {
        /// Where the first wildcard is.
        at: usize,
    },
    /// `$share/name` is not followed by `/` and a topic filter [MQTT-4.8.2-2].
    #[error("the shared subscription has no topic filter")]
    ShareWithoutFilter,
}

/// The longest topic name or topic filter, in bytes of UTF-8 [MQTT-4.7.3-3].
pub const MAX_TOPIC_BYTES: usize = 65_535;

/// The rules that hold for names and filters alike, except the null character, which both look
/// for in the pass that they make anyway.
pub(crate) fn check_length(text: &str) -> Result<(), TopicError> {
    match text.len() {
        0 => Err(TopicError::Empty),
        1..=MAX_TOPIC_BYTES => Ok(()),
        bytes => Err(TopicError::TooLong { bytes }),
    }
}
