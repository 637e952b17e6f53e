//! Retained messages by a filter: by the index as far as the filter has no wildcard, by a pattern
//! that the server applies where it has one in the middle, and then exactly, by the one matcher that
//! the broker has.

use std::sync::Arc;

use broker_core::Message;
use bson::oid::ObjectId;
use bson::{Document, doc};
use topic_trie::{TopicFilter, TopicFilterBuf};

use crate::bodies;
use crate::error::Attempt;
use crate::inner::Inner;
use crate::lookup::{LARGEST_PAGE, Lookup, one_of};
use crate::schema::RETAINED;
use crate::transaction::{Find, Order, Transaction};

/// Bytes of a pattern beyond which it is left to us: the server's library has a limit.
const LONGEST_PATTERN: usize = 16_000;

pub(crate) struct Retained {
    pub(crate) filter: Option<TopicFilterBuf>,
    pub(crate) after: Option<String>,
    pub(crate) limit: usize,
}

impl Lookup for Retained {
    type Answer = Vec<Arc<Message>>;

    async fn read(
        &self,
        inner: &Inner,
        transaction: &mut Transaction<'_>,
    ) -> Attempt<Self::Answer> {
        if self.limit == 0 {
            return Ok(Vec::new());
        }
        let filter = self.filter.as_ref().map(TopicFilterBuf::as_filter);
        let text = filter.map(|filter| filter.as_str());
        let find = Find {
            collection: RETAINED,
            filter: query(text, self.after.as_deref()),
            projection: doc! {},
            order: Order::Ascending,
            limit: None,
        };
        let limit = self.limit.min(LARGEST_PAGE);
        let (mut found, mut bytes) = (Vec::new(), 0_usize);
        transaction
            .find_some(find, limit, |row| {
                if !matches(filter, row.text("_id")?) {
                    return Ok(true);
                }
                let place = (bodies::inline(&row)?, row.maybe_object_id("message")?);
                bytes = bytes.saturating_add(match &place {
                    (Some(message), _) => message.size_bytes(),
                    (None, _) => row.small("bytes")?,
                });
                let fits = found.is_empty() || bytes <= inner.options.page_bytes;
                if fits {
                    found.push(place);
                }
                Ok(fits && found.len() < limit)
            })
            .await?;
        let elsewhere: Vec<ObjectId> = found.iter().filter_map(|place| place.1).collect();
        let bodies = bodies::fetch(transaction, elsewhere).await?;
        found
            .into_iter()
            .map(|place| one_of(place, &bodies))
            .collect()
    }
}

/// A query on topic names in `_id`, for those behind `after`, which finds all that match the filter,
/// and maybe others.
fn query(filter: Option<&str>, after: Option<&str>) -> Document {
    let mut conditions = Vec::new();
    if let Some(after) = after {
        conditions.push(doc! { "_id": { "$gt": after } });
    }
    if let Some(filter) = filter {
        conditions.extend(range(filter));
        conditions.extend(pattern(filter));
    }
    match conditions.len() {
        0 => Document::new(),
        1 => conditions.pop().unwrap_or_default(),
        _ => doc! { "$and": conditions },
    }
}

/// The part of the index that can match.
fn range(filter: &str) -> Option<Document> {
    let wildcard = filter.find(['+', '#']);
    let Some(wildcard) = wildcard else {
        return Some(doc! { "_id": filter });
    };
    // A wildcard stands alone in its level, so what is before it ends with a slash.
    let prefix = filter.get(..wildcard)?;
    let parent = prefix.strip_suffix('/')?;
    // The character behind the slash.
    let below = doc! { "_id": { "$gte": prefix, "$lt": format!("{parent}0") } };
    if filter.get(wildcard..) == Some("#") {
        return Some(doc! { "$or": [{ "_id": parent }, below] });
    }
    Some(below)
}

/// What the server can leave out without sending it here, where there is a `+`.
fn pattern(filter: &str) -> Option<Document> {
    if !filter.contains('+') || filter.len() > LONGEST_PATTERN / 2 {
        return None;
    }
    let (levels, end) = match filter.strip_suffix("/#") {
        // Also what is one level shorter.
        Some(levels) => (levels, "(?:/|\\z)"),
        None => (filter, "\\z"),
    };
    let mut pattern = String::from("\\A");
    for (number, level) in levels.split('/').enumerate() {
        if number > 0 {
            pattern.push('/');
        }
        match level {
            "+" => pattern.push_str("[^/]*"),
            level => escape(level, &mut pattern),
        }
    }
    pattern.push_str(end);
    let pattern = (pattern.len() <= LONGEST_PATTERN).then_some(pattern)?;
    Some(doc! { "_id": { "$regex": pattern } })
}

fn escape(level: &str, pattern: &mut String) {
    for character in level.chars() {
        // A backslash before a letter or a digit would give it a meaning; before others it takes it.
        if character.is_ascii() && !character.is_ascii_alphanumeric() {
            pattern.push('\\');
        }
        pattern.push(character);
    }
}

/// Whether the topic matches, exactly.
fn matches(filter: Option<TopicFilter<'_>>, topic: &str) -> bool {
    filter.is_none_or(|filter| {
        topic_trie::TopicName::new(topic).is_ok_and(|topic| filter.matches(topic))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_index_is_used_as_far_as_there_is_no_wildcard() {
        let below_a = doc! { "_id": { "$gte": "a/", "$lt": "a0" } };
        assert_eq!(query(None, None), doc! {});
        assert_eq!(query(Some("#"), None), doc! {});
        assert_eq!(query(Some("a/b"), None), doc! { "_id": "a/b" });
        assert_eq!(
            query(Some("a/#"), None),
            doc! { "$or": [{ "_id": "a" }, below_a.clone()] }
        );
        assert_eq!(
            query(Some("a/#"), Some("a/b")),
            doc! { "$and": [
                { "_id": { "$gt": "a/b" } },
                { "$or": [{ "_id": "a" }, below_a.clone()] },
            ] }
        );
        let pattern = |text: &str| doc! { "_id": { "$regex": text } };
        assert_eq!(query(Some("+"), None), pattern("\\A[^/]*\\z"));
        assert_eq!(
            query(Some("a/+/b.c/#"), None),
            doc! { "$and": [below_a, pattern("\\Aa/[^/]*/b\\.c(?:/|\\z)")] }
        );
    }
}
