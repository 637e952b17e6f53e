//! The texts of filters, put together from the tree.

use super::{Link, ROOT, Wild};
use crate::levels;

impl<K, V> Wild<K, V> {
    /// Appends the text of an end's filter to `text`.
    fn write_text(&self, at: u32, text: &mut String) {
        let end = self.end(at);
        let mut way = Vec::new();
        let mut node = end.node;
        while node != ROOT {
            way.push(node);
            node = self.node(node).parent;
        }
        for node in way.into_iter().rev() {
            text.push_str(self.node(node).label.as_str());
            text.push('/');
        }
        match self.link(at, end) {
            Link::Here => text.truncate(text.len().saturating_sub(1)),
            Link::Below => text.push('#'),
            Link::Plus | Link::Edge(_) => text.push_str(end.tail.as_str()),
        }
    }

    /// Calls `report` with each filter and what is stored for it.
    pub(crate) fn for_each(&self, mut report: impl FnMut(&str, &K, &V)) {
        let mut text = String::new();
        for (at, end) in (0..).zip(self.ends.iter()) {
            text.clear();
            self.write_text(at, &mut text);
            end.keys.for_each(|key, value| report(&text, key, value));
        }
    }

    /// The text of the filter with this slot.
    pub(crate) fn text_at(&self, slot: u32) -> Option<String> {
        let mut text = String::new();
        self.write_text(self.end_at(slot)?, &mut text);
        Some(text)
    }

    /// The first two levels of the filter with this slot.
    pub(crate) fn first_levels_at(&self, slot: u32) -> Option<(&[u8], Option<&[u8]>)> {
        let at = self.end_at(slot)?;
        let end = self.end(at);
        let (mut first, mut second) = match self.link(at, end) {
            Link::Here => (None, None),
            Link::Below => (Some(&b"#"[..]), None),
            Link::Plus | Link::Edge(_) => {
                let (first, rest) = levels::cut(end.tail.as_bytes());
                (Some(first), rest.map(|rest| levels::cut(rest).0))
            }
        };
        let mut node = end.node;
        while node != ROOT {
            (first, second) = (Some(self.node(node).label.as_bytes()), first);
            node = self.node(node).parent;
        }
        Some((first?, second))
    }
}
