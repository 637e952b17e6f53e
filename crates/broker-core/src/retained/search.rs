//! The retained messages that match a filter, looked up a few at a time: there may be a million.

use std::collections::VecDeque;
use std::sync::Arc;

use topic_trie::{Cursor, Progress, TopicFilter, TopicFilterBuf};

use super::RetainedMessages;
use crate::{Message, Timestamp};

/// How far the search for one filter has come.
#[derive(Debug)]
pub(crate) struct RetainedSearch {
    filter: TopicFilterBuf,
    cursor: Cursor,
    /// Found and not taken: what one step finds at most.
    found: VecDeque<Arc<Message>>,
    is_over: bool,
}

impl RetainedSearch {
    pub(crate) fn new(filter: TopicFilter<'_>) -> Self {
        Self {
            filter: filter.to_buf(),
            cursor: Cursor::new(),
            found: VecDeque::new(),
            is_over: false,
        }
    }

    pub(crate) fn filter(&self) -> TopicFilter<'_> {
        self.filter.as_filter()
    }

    /// The next one that was found.
    pub(crate) fn found(&self) -> Option<&Arc<Message>> {
        self.found.front()
    }

    /// Takes it.
    pub(crate) fn take(&mut self) -> Option<Arc<Message>> {
        self.found.pop_front()
    }

    /// Whether there is nothing more to be found.
    pub(crate) fn is_over(&self) -> bool {
        self.is_over
    }

    /// Looks for more of them.
    pub(crate) fn step(&mut self, retained: &RetainedMessages, now: Timestamp) {
        let filter = self.filter.as_filter();
        let progress = retained.step(filter, &mut self.cursor, now, &mut self.found);
        self.is_over = progress == Progress::Done;
    }
}
