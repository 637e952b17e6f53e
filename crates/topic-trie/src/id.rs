//! `FilterId`: eight bytes in place of a filter's text.

/// Names a filter of one trie for as long as the filter is stored there, that is, has a key.
///
/// Who subscribed to what has to be remembered somewhere, so that a client that goes takes its
/// subscriptions along. The trie has the texts already; an id is enough to
/// [remove](crate::SharedFilterTrie::remove_by_id) a subscription or to read its
/// [filter](crate::SharedFilterTrie::filter).
///
/// When the last key of a filter is removed, its id may become that of another filter. So an id is
/// good for as long as whoever keeps it has a key under it. In another trie it means nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FilterId {
    pub(crate) part: u32,
    pub(crate) slot: u32,
}
