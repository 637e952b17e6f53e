//! Retained messages by a filter: ranges by the literal part, and jumps over what cannot match.

use std::ops::Bound;
use std::sync::Arc;

use broker_core::Message;
use fjall::Readable;
use persistence_records::decode_message;

use crate::error::{Failure, damaged};
use crate::lookup::{Lookup, PAGE_BYTES, behind, text};
use crate::seek::{Verdict, first, look};

/// Names that are passed over one by one before it is worth to jump.
const STEPS: usize = 8;

/// A page being filled.
struct Page {
    messages: Vec<Arc<Message>>,
    bytes: usize,
    limit: usize,
}

impl Page {
    fn is_full(&self) -> bool {
        self.messages.len() >= self.limit || self.bytes >= PAGE_BYTES
    }

    fn push(&mut self, topic: &[u8], record: &[u8]) -> Result<(), Failure> {
        let message = decode_message(record).map_err(|error| {
            let topic = String::from_utf8_lossy(topic);
            damaged(format!("the retained message of {topic:?}"), error)
        })?;
        self.bytes += message.size_bytes();
        self.messages.push(message);
        Ok(())
    }
}

/// Where the walk goes on.
enum Next {
    At(Vec<u8>),
    End,
}

impl Lookup<'_> {
    pub(crate) fn retained(
        &self,
        filter: Option<&str>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Arc<Message>>, Failure> {
        let mut page = Page {
            messages: Vec::new(),
            bytes: 0,
            limit,
        };
        match filter {
            None => self.all_retained(after, &mut page)?,
            Some(filter) if !filter.contains(['+', '#']) => {
                let wanted = after.is_none_or(|after| filter.as_bytes() > after.as_bytes());
                let record = self.get(&self.engine.retained, filter.as_bytes())?;
                if let Some(record) = record.filter(|_| wanted && !page.is_full()) {
                    page.push(filter.as_bytes(), &record)?;
                }
            }
            Some(filter) => {
                let from = first(filter);
                let mut from = match after {
                    Some(after) if after.as_bytes() >= &*from => {
                        Bound::Excluded(after.as_bytes().to_vec())
                    }
                    _ if from.is_empty() => Bound::Unbounded,
                    _ => Bound::Included(from),
                };
                while let Next::At(next) = self.walk(filter, from, &mut page)? {
                    from = Bound::Included(next);
                }
            }
        }
        Ok(page.messages)
    }

    fn all_retained(&self, after: Option<&str>, page: &mut Page) -> Result<(), Failure> {
        for entry in self
            .at
            .range::<&[u8], _>(&self.engine.retained, behind(after))
        {
            if page.is_full() {
                break;
            }
            let (topic, record) = entry.into_inner()?;
            page.push(&topic, &record)?;
        }
        Ok(())
    }

    /// Walks on for as long as it does not pay to jump.
    fn walk(&self, filter: &str, from: Bound<Vec<u8>>, page: &mut Page) -> Result<Next, Failure> {
        let mut not_before: Vec<u8> = Vec::new();
        let mut passed = 0;
        let range = (from, Bound::Unbounded);
        for entry in self.at.range(&self.engine.retained, range) {
            if page.is_full() {
                return Ok(Next::End);
            }
            // The message is read only where it is wanted.
            let (topic, record) =
                entry.into_inner_if(|topic| **topic >= *not_before && matches(filter, topic))?;
            if let Some(record) = record {
                page.push(&topic, &record)?;
                passed = 0;
                continue;
            }
            passed += 1;
            if *topic < *not_before {
                if passed > STEPS {
                    return Ok(Next::At(not_before));
                }
                continue;
            }
            match look(filter, text("a retained message", &topic)?) {
                Verdict::Match => {}
                Verdict::NotBefore(next) => not_before = next,
                Verdict::NoMore => return Ok(Next::End),
            }
        }
        Ok(Next::End)
    }
}

fn matches(filter: &str, topic: &[u8]) -> bool {
    core::str::from_utf8(topic).is_ok_and(|topic| look(filter, topic) == Verdict::Match)
}
