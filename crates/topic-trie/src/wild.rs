//! Filters with wildcards: a tree with a node for each level.
//!
//! ```text
//!                 (root)                 filters: plant/+/pressure   a
//!           "plant" │                             plant/#            b
//!                   ●──── below ──► [b]           plant/2/+          c
//!            plus ╱   ╲ "2"
//!                ●     ●
//!     "pressure" │     │ plus
//!                ●     ●
//!                │     └─ here ──► [c]
//!                └─ here ──► [a]
//! ```
//!
//! Nodes live in one list and refer to each other by index. An edge to a level with a text is an
//! entry of one hash table, keyed by (parent, text); the edge of a `+` is a field of the parent; a
//! `#` needs no node, its keys hang `below` the level before it. A node exists only while a filter
//! passes through it or ends in it. Nothing here recurses: a filter may have 65,536 levels.

use std::hash::Hash;
use std::mem;

use crate::dense::{self, NONE, SMALL};
use crate::filter::TopicFilter;
use crate::hash::{self, Seed};
use crate::index::Index;
use crate::keys::Keys;
use crate::label::Label;

pub(crate) struct Wild<K, V> {
    pub(crate) nodes: Vec<Node>,
    /// First of the unused nodes, which are chained through `parent`.
    free: u32,
    unused: usize,
    /// (parent, level) to child; the key is read from the child.
    pub(crate) edges: Index,
    pub(crate) ends: Vec<End<K, V>>,
    pub(crate) seed: Seed,
}

/// One cache line.
#[repr(align(64))]
pub(crate) struct Node {
    pub(crate) label: Label,
    /// Hash of (parent, label).
    edge: u32,
    pub(crate) parent: u32,
    /// How many edges with a text lead on from here.
    pub(crate) named: u32,
    /// The node for `+`.
    pub(crate) plus: u32,
    /// The end of the filter that is spelled by the way from the root to here.
    pub(crate) here: u32,
    /// The end of that filter with `/#` behind it.
    pub(crate) below: u32,
}

/// Where a filter ends: who subscribed to it.
pub(crate) struct End<K, V> {
    pub(crate) keys: Keys<K, V>,
    node: u32,
    place: Place,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Here,
    Below,
}

pub(crate) const ROOT: u32 = 0;

impl Node {
    fn new(label: Label, edge: u32, parent: u32) -> Self {
        Self {
            label,
            edge,
            parent,
            named: 0,
            plus: NONE,
            here: NONE,
            below: NONE,
        }
    }

    fn end(&mut self, place: Place) -> &mut u32 {
        match place {
            Place::Here => &mut self.here,
            Place::Below => &mut self.below,
        }
    }

    fn is_needed(&self) -> bool {
        self.named > 0 || self.plus != NONE || self.here != NONE || self.below != NONE
    }
}

impl<K, V> Wild<K, V> {
    pub(crate) fn new(seed: Seed) -> Self {
        let (nodes, ends) = (Vec::new(), Vec::new());
        Self {
            nodes,
            free: NONE,
            unused: 0,
            edges: Index::new(),
            ends,
            seed,
        }
    }

    pub(crate) fn filter_count(&self) -> usize {
        self.ends.len()
    }

    #[inline]
    #[expect(
        clippy::indexing_slicing,
        reason = "an index is dropped before its node is freed"
    )]
    pub(crate) fn node(&self, at: u32) -> &Node {
        &self.nodes[at as usize]
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "an index is dropped before its node is freed"
    )]
    fn node_mut(&mut self, at: u32) -> &mut Node {
        &mut self.nodes[at as usize]
    }

    #[inline]
    pub(crate) fn keys(&self, end: u32) -> Option<&Keys<K, V>> {
        self.ends.get(end as usize).map(|end| &end.keys)
    }

    /// The node that, if any, is the child of `parent` for a level with this hash; or another node,
    /// if two edges have the same hash.
    #[inline]
    pub(crate) fn likely_child(&self, parent: u32, hash: u32) -> u32 {
        self.edges.first(hash::mix(parent, hash))
    }

    /// The child of `parent` for the level `text`, whose hash is `hash`, or `NONE`; most likely it
    /// is `likely`.
    #[inline]
    pub(crate) fn child(&self, likely: u32, parent: u32, hash: u32, text: &str) -> u32 {
        let is_child = |at: u32| {
            let node = self.node(at);
            node.parent == parent && node.label.as_bytes() == text.as_bytes()
        };
        if likely == NONE || is_child(likely) {
            return likely;
        }
        self.edges
            .find(hash::mix(parent, hash), is_child)
            .unwrap_or(NONE)
    }

    fn named(&self, parent: u32, hash: u32, text: &str) -> u32 {
        self.child(self.likely_child(parent, hash), parent, hash, text)
    }

    /// Calls `report` with each filter and what is stored for it.
    pub(crate) fn for_each(&self, mut report: impl FnMut(&str, &K, &V)) {
        let mut text = String::new();
        let mut way = Vec::new();
        for end in &self.ends {
            let mut at = end.node;
            while at != ROOT {
                way.push(at);
                at = self.node(at).parent;
            }
            text.clear();
            for at in way.drain(..).rev() {
                let label = str::from_utf8(self.node(at).label.as_bytes()).unwrap_or_default();
                text.push_str(label);
                text.push('/');
            }
            match end.place {
                Place::Here => text.truncate(text.len().saturating_sub(1)),
                Place::Below => text.push('#'),
            }
            end.keys.for_each(|key, value| report(&text, key, value));
        }
    }

    /// Where the filter ends in the tree, if all of its levels are there.
    fn find(&self, filter: TopicFilter<'_>) -> Option<(u32, Place)> {
        let mut at = ROOT;
        self.nodes.first()?;
        for level in filter.levels() {
            at = match level {
                "#" => return Some((at, Place::Below)),
                "+" => self.node(at).plus,
                _ => self.named(at, hash::of_text(&self.seed, level), level),
            };
            if at == NONE {
                return None;
            }
        }
        Some((at, Place::Here))
    }

    fn end_of(&self, filter: TopicFilter<'_>) -> Option<u32> {
        let (at, place) = self.find(filter)?;
        let node = self.node(at);
        let end = match place {
            Place::Here => node.here,
            Place::Below => node.below,
        };
        (end != NONE).then_some(end)
    }

    fn add_node(&mut self, node: Node) -> u32 {
        if self.free == NONE {
            let at = dense::next_index(&self.nodes);
            dense::push(&mut self.nodes, node);
            return at;
        }
        let at = self.free;
        let place = self.node_mut(at);
        let next = place.parent;
        *place = node;
        self.free = next;
        self.unused -= 1;
        at
    }

    fn add_child(&mut self, parent: u32, hash: u32, level: &str) -> u32 {
        let edge = hash::mix(parent, hash);
        let child = self.add_node(Node::new(Label::new(level), edge, parent));
        self.edges.insert(edge, child);
        self.node_mut(parent).named += 1;
        child
    }

    fn add_plus(&mut self, parent: u32) -> u32 {
        let child = self.add_node(Node::new(Label::new("+"), 0, parent));
        self.node_mut(parent).plus = child;
        child
    }

    /// Frees the nodes from `at` towards the root that no filter needs any more.
    fn prune(&mut self, mut at: u32) {
        while at != ROOT && !self.node(at).is_needed() {
            let (parent, edge) = (self.node(at).parent, self.node(at).edge);
            if self.node(parent).plus == at {
                self.node_mut(parent).plus = NONE;
            } else {
                self.edges.remove(edge, at);
                self.node_mut(parent).named -= 1;
            }
            let free = self.free;
            *self.node_mut(at) = Node::new(Label::new(""), 0, free);
            self.free = at;
            self.unused += 1;
            at = parent;
        }
        let used = self.nodes.len() - self.unused;
        if self.nodes.len() > SMALL && used < self.nodes.len() / 4 {
            self.compact(used);
        }
    }

    /// Moves the used nodes together and gives the rest of the memory back. Takes time in
    /// proportion to the nodes, but only after three quarters of them were removed one by one.
    fn compact(&mut self, used: usize) {
        // Unused nodes are the ones that nothing needs, except the root, which stays the first.
        let mut moved_to = vec![NONE; self.nodes.len()];
        let mut next = ROOT;
        for (place, (at, node)) in moved_to.iter_mut().zip((ROOT..).zip(&self.nodes)) {
            if at == ROOT || node.is_needed() {
                *place = next;
                next += 1;
            }
        }
        let moved = |at: u32| moved_to.get(at as usize).copied().unwrap_or(NONE);
        let mut edges = Index::new();
        let mut nodes = Vec::with_capacity(used + used / 4);
        for (at, mut node) in (ROOT..).zip(mem::take(&mut self.nodes)) {
            if moved(at) == NONE {
                continue;
            }
            let is_plus = node.edge == 0 && node.label.as_bytes() == b"+";
            (node.parent, node.plus) = (moved(node.parent), moved(node.plus));
            if at != ROOT && !is_plus {
                let text = str::from_utf8(node.label.as_bytes()).unwrap_or_default();
                node.edge = hash::mix(node.parent, hash::of_text(&self.seed, text));
                edges.insert(node.edge, moved(at));
            }
            nodes.push(node);
        }
        for end in &mut self.ends {
            end.node = moved(end.node);
        }
        (self.nodes, self.edges, self.free, self.unused) = (nodes, edges, NONE, 0);
    }
}

impl<K: Eq + Hash, V> Wild<K, V> {
    pub(crate) fn insert(&mut self, filter: TopicFilter<'_>, key: K, value: V) -> Option<V> {
        if self.nodes.is_empty() {
            self.nodes.push(Node::new(Label::new(""), 0, ROOT));
        }
        let (mut at, mut place) = (ROOT, Place::Here);
        for level in filter.levels() {
            match level {
                "#" => place = Place::Below,
                "+" => {
                    let plus = self.node(at).plus;
                    at = if plus == NONE {
                        self.add_plus(at)
                    } else {
                        plus
                    };
                }
                _ => {
                    let hash = hash::of_text(&self.seed, level);
                    let child = self.named(at, hash, level);
                    at = if child == NONE {
                        self.add_child(at, hash, level)
                    } else {
                        child
                    };
                }
            }
        }
        let next = dense::next_index(&self.ends);
        let end = self.node_mut(at).end(place);
        if *end == NONE {
            *end = next;
            dense::push(
                &mut self.ends,
                End {
                    keys: Keys::One(key, value),
                    node: at,
                    place,
                },
            );
            return None;
        }
        let end = *end as usize;
        let keys = &mut self.ends.get_mut(end)?.keys;
        keys.insert(&self.seed, key, value)
    }

    pub(crate) fn remove(&mut self, filter: TopicFilter<'_>, key: &K) -> Option<V> {
        let end = self.end_of(filter)?;
        let End { keys, node, place } = self.ends.get_mut(end as usize)?;
        let (node, place) = (*node, *place);
        let value = keys.remove(&self.seed, key)?;
        if keys.is_empty() {
            *self.node_mut(node).end(place) = NONE;
            self.ends.swap_remove(end as usize);
            if let Some(moved) = self.ends.get(end as usize) {
                let (node, place) = (moved.node, moved.place);
                *self.node_mut(node).end(place) = end;
            }
            dense::shrink(&mut self.ends);
            self.prune(node);
        }
        Some(value)
    }

    pub(crate) fn get(&self, filter: TopicFilter<'_>, key: &K) -> Option<&V> {
        self.keys(self.end_of(filter)?)?.get(&self.seed, key)
    }
}
