//! Filters with wildcards: a tree with a node for each level that several filters have in common.
//!
//! ```text
//!                  (root)                filters: plant/+/pressure   a
//!            "plant" │                            plant/#            b
//!                    ●──── below ──► b            plant/2/+          c
//!             plus ╱   ╲ "2"                      plant/2/x/y        d
//!   "+/pressure" a      ●                         plant/2            e
//!                plus ╱ │ ╲ "x"
//!               "+" c   │  d "x/y"
//!                      here ──► e
//! ```
//!
//! Each filter is an *end*, which has its keys. From the level on that no other filter has in common
//! with it, it is a *leaf*: the rest of its text is its `tail`, and takes no nodes. A filter that
//! shares more with it makes nodes of what they share. A filter whose whole way is nodes ends `here`,
//! or, with a `#` as its last level, `below`.
//!
//! Nodes and ends live in a list each and refer to each other by index. An edge to a level with a
//! text is an entry of one hash table, keyed by (parent, text); the edge of a `+` is a field of the
//! parent. A node exists only while a filter passes through it or ends in it. Nothing here recurses:
//! a filter may have 65,536 levels.

mod compact;
mod text;

use std::hash::Hash;
use std::mem;

use crate::blocks::Blocks;
use crate::dense::{self, NONE};
use crate::filter::TopicFilter;
use crate::hash::{self, Seed};
use crate::index::Index;
use crate::keys::Keys;
use crate::label::Label;
use crate::levels::{self, Levels};
use crate::slots::Slots;

pub(crate) struct Wild<K, V> {
    nodes: Vec<Node>,
    /// First of the unused nodes, which are chained through `parent`.
    free: u32,
    unused: usize,
    /// (parent, level) to child; the key is read from the child.
    edges: Index,
    ends: Blocks<End<K, V>>,
    slots: Slots,
    seed: Seed,
}

/// One cache line.
#[repr(align(64))]
pub(crate) struct Node {
    label: Label,
    /// Hash of (parent, label).
    edge: u32,
    parent: u32,
    /// How many edges with a text lead on from here.
    named: u32,
    /// The child for `+`.
    pub(crate) plus: u32,
    /// The end of the filter that is spelled by the way from the root to here.
    pub(crate) here: u32,
    /// The end of that filter with `/#` behind it.
    pub(crate) below: u32,
}

/// Where a filter ends: who subscribed to it.
struct End<K, V> {
    keys: Keys<K, V>,
    /// Of a leaf, the levels behind `node`; else empty, as it also is for one empty level.
    tail: Label,
    node: u32,
    slot: u32,
}

/// How an end hangs on its node.
enum Link {
    Here,
    Below,
    /// A leaf that begins with `+`.
    Plus,
    /// A leaf that begins with a text; its hash.
    Edge(u32),
}

pub(crate) const ROOT: u32 = 0;

/// Set in the number of a child that is a leaf: the rest is the number of the end. Also set in
/// [`NONE`].
const LEAF: u32 = 1 << 31;

/// The end that a child is, if it is no node.
#[inline]
pub(crate) fn leaf(child: u32) -> Option<u32> {
    (child & LEAF != 0 && child != NONE).then_some(child & !LEAF)
}

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

    fn is_needed(&self) -> bool {
        self.named > 0 || self.plus != NONE || self.here != NONE || self.below != NONE
    }
}

impl<K, V> End<K, V> {
    /// Whether this leaf hangs on `node` and begins with the level `text`.
    #[inline]
    fn is_child(&self, node: u32, text: &str) -> bool {
        self.node == node
            && self
                .tail
                .as_bytes()
                .strip_prefix(text.as_bytes())
                .is_some_and(|rest| matches!(rest, [] | [b'/', ..]))
    }
}

/// Reading.
impl<K, V> Wild<K, V> {
    pub(crate) fn new(seed: Seed) -> Self {
        Self {
            nodes: Vec::new(),
            free: NONE,
            unused: 0,
            edges: Index::new(),
            ends: Blocks::new(),
            slots: Slots::new(),
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

    /// Its index is dropped before an end is removed.
    #[inline]
    fn end(&self, at: u32) -> &End<K, V> {
        self.ends.item(at)
    }

    #[inline]
    pub(crate) fn keys(&self, end: u32) -> &Keys<K, V> {
        &self.end(end).keys
    }

    /// The child that, if any, `parent` has for a level with this hash; or another one, if two edges
    /// have the same hash.
    #[inline]
    pub(crate) fn likely_child(&self, parent: u32, hash: u32) -> u32 {
        self.edges.first(hash::mix(parent, hash))
    }

    /// The child of `parent` for the level `text`, whose hash is `hash`, or `NONE`; most likely it
    /// is `likely`. Of a leaf only the first level has been compared.
    #[inline]
    pub(crate) fn child(&self, likely: u32, parent: u32, hash: u32, text: &str) -> u32 {
        let is_child = |child: u32| match leaf(child) {
            Some(end) => self.end(end).is_child(parent, text),
            None => {
                let node = self.node(child);
                node.parent == parent && node.label.as_bytes() == text.as_bytes()
            }
        };
        if likely == NONE || is_child(likely) {
            return likely;
        }
        self.edges
            .find(hash::mix(parent, hash), is_child)
            .unwrap_or(NONE)
    }

    /// Whether the tail of a leaf, behind its first level of `first` bytes, matches the `rest` of a
    /// topic.
    #[inline]
    pub(crate) fn leaf_matches(&self, end: u32, first: usize, rest: Option<&str>) -> bool {
        let tail = self.end(end).tail.as_bytes().get(first + 1..);
        levels::rest_matches(tail, rest.map(str::as_bytes))
    }

    /// The child of `parent` for one level of a filter, `#` apart.
    fn child_for(&self, parent: u32, level: &str) -> u32 {
        match level {
            "+" => self.node(parent).plus,
            _ => {
                let hash = hash::of_text(&self.seed, level.as_bytes());
                self.child(self.likely_child(parent, hash), parent, hash, level)
            }
        }
    }

    /// The end of `filter`, if it is stored.
    fn find(&self, filter: TopicFilter<'_>) -> Option<u32> {
        self.nodes.first()?;
        let mut at = ROOT;
        let mut levels = filter.levels();
        loop {
            let end = match levels.rest() {
                None => self.node(at).here,
                Some("#") => self.node(at).below,
                Some(rest) => {
                    let child = self.child_for(at, levels.next()?);
                    match leaf(child) {
                        Some(end) => {
                            return (self.end(end).tail.as_bytes() == rest.as_bytes())
                                .then_some(end);
                        }
                        None if child == NONE => NONE,
                        None => {
                            at = child;
                            continue;
                        }
                    }
                }
            };
            return (end != NONE).then_some(end);
        }
    }

    /// The end that has this slot.
    fn end_at(&self, slot: u32) -> Option<u32> {
        let at = self.slots.place(slot)?;
        (self.ends.get(at)?.slot == slot).then_some(at)
    }

    /// How the end hangs on its node that is known there by this number.
    fn link(&self, number: u32, end: &End<K, V>) -> Link {
        let node = self.node(end.node);
        if node.here == number {
            Link::Here
        } else if node.below == number {
            Link::Below
        } else if node.plus == LEAF | number {
            Link::Plus
        } else {
            let (first, _) = levels::cut(end.tail.as_bytes());
            Link::Edge(hash::of_text(&self.seed, first))
        }
    }
}

/// Changing the tree.
impl<K, V> Wild<K, V> {
    #[expect(
        clippy::indexing_slicing,
        reason = "an index is dropped before its node is freed"
    )]
    fn node_mut(&mut self, at: u32) -> &mut Node {
        &mut self.nodes[at as usize]
    }

    fn end_mut(&mut self, at: u32) -> &mut End<K, V> {
        self.ends.item_mut(at)
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

    /// Adds a node to `parent`, which has no child for this level.
    fn add_child(&mut self, parent: u32, level: &str) -> u32 {
        if level == "+" {
            let child = self.add_node(Node::new(Label::new(level), 0, parent));
            self.node_mut(parent).plus = child;
            return child;
        }
        let edge = hash::mix(parent, hash::of_text(&self.seed, level.as_bytes()));
        let child = self.add_node(Node::new(Label::new(level), edge, parent));
        self.add_edge(parent, edge, child);
        child
    }

    fn add_edge(&mut self, parent: u32, edge: u32, child: u32) {
        self.edges.insert(edge, child);
        self.node_mut(parent).named += 1;
    }

    /// Hangs an end on `node` for a filter of which this is the `rest`, and returns its tail. There
    /// is neither an end nor a child yet for it.
    fn attach(&mut self, end: u32, node: u32, rest: Option<&str>) -> Label {
        let Some(rest) = rest else {
            self.node_mut(node).here = end;
            return Label::new("");
        };
        if rest == "#" {
            self.node_mut(node).below = end;
            return Label::new("");
        }
        match Levels::new(rest).next().unwrap_or_default() {
            "+" => self.node_mut(node).plus = LEAF | end,
            first => {
                let edge = hash::mix(node, hash::of_text(&self.seed, first.as_bytes()));
                self.add_edge(node, edge, LEAF | end);
            }
        }
        Label::new(rest)
    }

    /// Takes an end off its node.
    fn detach(&mut self, at: u32) {
        let end = self.end(at);
        let (node, link) = (end.node, self.link(at, end));
        match link {
            Link::Here => self.node_mut(node).here = NONE,
            Link::Below => self.node_mut(node).below = NONE,
            Link::Plus => self.node_mut(node).plus = NONE,
            Link::Edge(first) => {
                self.edges.remove(hash::mix(node, first), LEAF | at);
                self.node_mut(node).named -= 1;
            }
        }
    }

    /// The end that had the number `from` is number `to` now.
    fn renumber(&mut self, from: u32, to: u32) {
        let end = self.end(to);
        let (node, slot, link) = (end.node, end.slot, self.link(from, end));
        match link {
            Link::Here => self.node_mut(node).here = to,
            Link::Below => self.node_mut(node).below = to,
            Link::Plus => self.node_mut(node).plus = LEAF | to,
            Link::Edge(first) => {
                let edge = hash::mix(node, first);
                self.edges.renumber(edge, LEAF | from, LEAF | to);
            }
        }
        self.slots.moved(slot, to);
    }

    /// Makes nodes of the levels that a leaf has in common with `rest`, at least one, and hangs the
    /// leaf on the last of them. Returns that node and what is left of `rest`.
    fn split<'a>(&mut self, leaf: u32, rest: &'a str) -> (u32, Levels<'a>) {
        self.detach(leaf);
        let end = self.end_mut(leaf);
        let mut at = end.node;
        let tail = mem::replace(&mut end.tail, Label::new(""));
        let (mut held, mut wanted) = (Levels::new(tail.as_str()), Levels::new(rest));
        while let Some(level) = held.clone().next()
            && held.rest() != Some("#")
            && wanted.clone().next() == Some(level)
        {
            at = self.add_child(at, level);
            held.next();
            wanted.next();
        }
        let tail = self.attach(leaf, at, held.rest());
        let end = self.end_mut(leaf);
        (end.tail, end.node) = (tail, at);
        (at, wanted)
    }

    fn remove_end(&mut self, at: u32) {
        self.detach(at);
        let Some(End { node, slot, .. }) = self.ends.swap_remove(at) else {
            return;
        };
        self.slots.release(slot);
        let last = self.ends.next_index();
        if at != last {
            self.renumber(last, at);
        }
        self.prune(node);
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
        self.compact_if_sparse();
    }
}

impl<K: Eq + Hash, V> Wild<K, V> {
    /// Returns the filter's slot and what was stored for the key.
    pub(crate) fn insert(&mut self, filter: TopicFilter<'_>, key: K, value: V) -> (u32, Option<V>) {
        if self.nodes.is_empty() {
            self.nodes.push(Node::new(Label::new(""), 0, ROOT));
        }
        let mut at = ROOT;
        let mut levels = filter.levels();
        let (rest, end) = loop {
            let rest = levels.rest();
            let text = match rest {
                None => break (rest, self.node(at).here),
                Some("#") => break (rest, self.node(at).below),
                Some(text) => text,
            };
            let child = self.child_for(at, levels.next().unwrap_or_default());
            match leaf(child) {
                Some(end) if self.end(end).tail.as_bytes() == text.as_bytes() => break (rest, end),
                Some(end) => (at, levels) = self.split(end, text),
                None if child == NONE => break (rest, NONE),
                None => at = child,
            }
        };
        if end != NONE {
            let end = self.ends.get_mut(end);
            let seed = &self.seed;
            return end.map_or((NONE, None), |end| {
                (end.slot, end.keys.insert(seed, key, value))
            });
        }
        let end = self.ends.next_index();
        let tail = self.attach(end, at, rest);
        let slot = self.slots.take(end);
        self.ends.push(End {
            keys: Keys::One(key, value),
            tail,
            node: at,
            slot,
        });
        (slot, None)
    }

    /// Returns the filter's slot, and what was stored for the key.
    pub(crate) fn remove(&mut self, filter: TopicFilter<'_>, key: &K) -> Option<(u32, V)> {
        let end = self.find(filter)?;
        let slot = self.end(end).slot;
        Some((slot, self.remove_key(end, key)?))
    }

    /// Removes a key of the filter with this slot.
    pub(crate) fn remove_at(&mut self, slot: u32, key: &K) -> Option<V> {
        self.remove_key(self.end_at(slot)?, key)
    }

    fn remove_key(&mut self, end: u32, key: &K) -> Option<V> {
        let keys = &mut self.ends.get_mut(end)?.keys;
        let value = keys.remove(&self.seed, key)?;
        if keys.is_empty() {
            self.remove_end(end);
        }
        Some(value)
    }

    pub(crate) fn get(&self, filter: TopicFilter<'_>, key: &K) -> Option<&V> {
        self.keys(self.find(filter)?).get(&self.seed, key)
    }
}
