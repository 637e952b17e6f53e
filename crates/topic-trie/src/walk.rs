//! The walk of one topic through the stored filters.
//!
//! In a large trie, nearly all of the time is spent waiting for memory. So the walk asks for as
//! much as it can at once: it goes level by level, with all nodes that the beginning of the topic
//! leads to, looks up all edges of a level before it reads the nodes behind them, takes the steps of
//! the search for the whole text in between, and reads the subscribers last.

use std::mem;

use crate::dense::NONE;
use crate::exact::{Exact, Probe};
use crate::hash::{self, Seed};
use crate::name::TopicName;
use crate::scratch::Scratch;
use crate::wild::{self, ROOT, Wild};

/// Where matching filters may be.
pub(crate) struct Parts<'a, K, V, const TREES: usize> {
    pub(crate) exact: Option<&'a Exact<K, V>>,
    pub(crate) trees: [Option<&'a Wild<K, V>>; TREES],
    /// The seed of all of them.
    pub(crate) seed: &'a Seed,
}

impl<K, V, const TREES: usize> Parts<'_, K, V, TREES> {
    /// Calls `report` for each key of each filter that matches `topic`, whose hash is `hash`.
    #[inline]
    pub(crate) fn matches(&self, topic: TopicName<'_>, hash: u32, report: impl FnMut(&K, &V)) {
        let probe = self.exact.map(|exact| exact.probe(hash));
        Walk {
            parts: self,
            topic,
            probe,
            ends: Places::new(),
            report,
        }
        .run();
    }
}

/// A node or an end, and which of the trees it is in.
#[derive(Clone, Copy, Default)]
struct Place {
    tree: u32,
    at: u32,
    /// Of a node, the child that is likely to be the next one.
    likely: u32,
}

impl Place {
    #[inline]
    fn new(tree: u32, at: u32) -> Self {
        Self {
            tree,
            at,
            likely: NONE,
        }
    }
}

/// One level of the topic.
struct Step<'a> {
    depth: usize,
    level: &'a str,
    /// The levels behind it.
    rest: Option<&'a str>,
    /// Whether wildcards stand for it.
    wildcards: bool,
}

type Places = Scratch<Place, INLINE>;

struct Walk<'a, K, V, const TREES: usize, R> {
    parts: &'a Parts<'a, K, V, TREES>,
    topic: TopicName<'a>,
    /// The search for the filter that equals the topic.
    probe: Option<Probe<'a, K, V>>,
    /// Where filters with wildcards that match end.
    ends: Places,
    report: R,
}

impl<'a, K, V, const TREES: usize, R: FnMut(&K, &V)> Walk<'a, K, V, TREES, R> {
    #[inline]
    fn run(mut self) {
        let (mut nodes, mut next) = (&mut Places::new(), &mut Places::new());
        for (tree, part) in (0..).zip(&self.parts.trees) {
            if part.is_some_and(|part| part.filter_count() > 0) {
                nodes.push(Place::new(tree, ROOT));
            }
        }
        // At the root, wildcards are passed over for `$` topics [MQTT-4.7.2-1].
        let mut wildcards = !self.topic.is_dollar();
        let mut levels = self.topic.levels();
        for depth in 0.. {
            let Some(level) = levels.next().filter(|_| !nodes.is_empty()) else {
                break;
            };
            let step = Step {
                depth,
                level,
                rest: levels.rest(),
                wildcards,
            };
            self.step(&step, nodes, next);
            wildcards = true;
            mem::swap(&mut nodes, &mut next);
        }
        for place in nodes.parts().into_iter().flatten() {
            if let Some(tree) = self.tree(place) {
                let node = tree.node(place.at);
                self.add_end(place.tree, node.below);
                self.add_end(place.tree, node.here);
            }
        }
        self.report_ends();
    }

    /// From `nodes` one level down to `next`.
    #[inline]
    fn step(&mut self, step: &Step<'_>, nodes: &mut Places, next: &mut Places) {
        let hash = hash::of_text(self.parts.seed, step.level.as_bytes());
        for part in nodes.parts_mut() {
            for place in part {
                if let Some(tree) = self.tree(place) {
                    place.likely = tree.likely_child(place.at, hash);
                }
            }
        }
        if let Some(probe) = &mut self.probe {
            probe.go_on(step.depth);
        }
        next.clear();
        for part in nodes.parts() {
            for place in part {
                self.step_from(place, hash, step, next);
            }
        }
    }

    #[inline(always)]
    fn step_from(&mut self, place: &Place, hash: u32, step: &Step<'_>, next: &mut Places) {
        let Some(tree) = self.tree(place) else {
            return;
        };
        let node = tree.node(place.at);
        let named = tree.child(place.likely, place.at, hash, step.level);
        self.follow(named, place.tree, step.level.len(), step, next);
        if step.wildcards {
            self.follow(node.plus, place.tree, "+".len(), step, next);
            self.add_end(place.tree, node.below);
        }
    }

    /// Goes on at a child, if there is one: a node, or a leaf whose first level has `first` bytes.
    #[inline(always)]
    fn follow(&mut self, child: u32, tree: u32, first: usize, step: &Step<'_>, next: &mut Places) {
        if child == NONE {
            return;
        }
        match wild::leaf(child) {
            None => next.push(Place::new(tree, child)),
            Some(at) => self.add_leaf(Place::new(tree, at), first, step.rest),
        }
    }

    #[inline(never)]
    fn add_leaf(&mut self, leaf: Place, first: usize, rest: Option<&str>) {
        let tree = self.tree(&leaf);
        if tree.is_some_and(|tree| tree.leaf_matches(leaf.at, first, rest)) {
            self.add_end(leaf.tree, leaf.at);
        }
    }

    #[inline]
    fn tree(&self, place: &Place) -> Option<&'a Wild<K, V>> {
        *self.parts.trees.get(place.tree as usize)?
    }

    #[inline]
    fn add_end(&mut self, tree: u32, at: u32) {
        if at != NONE {
            if self.ends.is_full() {
                self.report_ends();
            }
            self.ends.push(Place::new(tree, at));
        }
    }

    #[inline]
    fn report_ends(&mut self) {
        if let Some(probe) = self.probe.take()
            && let Some(keys) = probe.finish(self.topic.as_str())
        {
            keys.for_each(&mut self.report);
        }
        for end in self.ends.parts().into_iter().flatten() {
            if let Some(Some(tree)) = self.parts.trees.get(end.tree as usize) {
                tree.keys(end.at).for_each(&mut self.report);
            }
        }
        self.ends.clear();
    }
}

/// Up to so many nodes at one level need no memory but the stack.
const INLINE: usize = 16;
