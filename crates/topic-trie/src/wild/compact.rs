//! Moving the nodes of the tree together when most of them are unused.

use std::mem;

use super::{LEAF, Link, ROOT, Wild, leaf};
use crate::dense::{NONE, SMALL};
use crate::hash;
use crate::index::Index;

impl<K, V> Wild<K, V> {
    /// Gives memory back when three quarters of the nodes are unused. Takes time in proportion to
    /// the nodes and ends, but only after that many nodes were removed one by one.
    pub(super) fn compact_if_sparse(&mut self) {
        let used = self.nodes.len() - self.unused;
        if self.nodes.len() > SMALL && used < self.nodes.len() / 4 {
            self.compact(used);
        }
    }

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
        for at in 0..self.ends.next_index() {
            let end = self.end(at);
            let node = moved(end.node);
            if let Link::Edge(first) = self.link(at, end) {
                edges.insert(hash::mix(node, first), LEAF | at);
            }
            self.end_mut(at).node = node;
        }
        let mut nodes = Vec::with_capacity(used + used / 4);
        for (at, mut node) in (ROOT..).zip(mem::take(&mut self.nodes)) {
            if moved(at) == NONE {
                continue;
            }
            let is_plus = node.edge == 0 && node.label.as_bytes() == b"+";
            node.parent = moved(node.parent);
            if leaf(node.plus).is_none() {
                node.plus = moved(node.plus);
            }
            if at != ROOT && !is_plus {
                let text = hash::of_text(&self.seed, node.label.as_bytes());
                node.edge = hash::mix(node.parent, text);
                edges.insert(node.edge, moved(at));
            }
            nodes.push(node);
        }
        (self.nodes, self.edges, self.free, self.unused) = (nodes, edges, NONE, 0);
    }
}
