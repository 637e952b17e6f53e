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
use crate::wild::{ROOT, Wild};

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
                nodes.push(Place { tree, at: ROOT });
            }
        }
        // At the root, wildcards are passed over for `$` topics [MQTT-4.7.2-1].
        let mut wildcards = !self.topic.is_dollar();
        for (depth, level) in self.topic.levels().enumerate() {
            if nodes.is_empty() {
                break;
            }
            self.step(depth, level, wildcards, nodes, next);
            wildcards = true;
            mem::swap(&mut nodes, &mut next);
        }
        for place in nodes.iter() {
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
    fn step(
        &mut self,
        depth: usize,
        level: &str,
        wildcards: bool,
        nodes: &Places,
        next: &mut Places,
    ) {
        let hash = hash::of_text(self.parts.seed, level);
        let mut children = Scratch::<u32, INLINE>::new();
        for place in nodes.iter() {
            children.push(
                self.tree(place)
                    .map_or(NONE, |tree| tree.likely_child(place.at, hash)),
            );
        }
        if let Some(probe) = &mut self.probe {
            probe.go_on(depth);
        }
        next.clear();
        for (place, likely) in nodes.iter().zip(children.iter()) {
            let Some(tree) = self.tree(place) else {
                continue;
            };
            let node = tree.node(place.at);
            let named = tree.child(likely, place.at, hash, level);
            if named != NONE {
                next.push(Place { at: named, ..place });
            }
            if wildcards {
                if node.plus != NONE {
                    next.push(Place {
                        at: node.plus,
                        ..place
                    });
                }
                self.add_end(place.tree, node.below);
            }
        }
    }

    #[inline]
    fn tree(&self, place: Place) -> Option<&'a Wild<K, V>> {
        *self.parts.trees.get(place.tree as usize)?
    }

    #[inline]
    fn add_end(&mut self, tree: u32, at: u32) {
        if at != NONE {
            if self.ends.is_full() {
                self.report_ends();
            }
            self.ends.push(Place { tree, at });
        }
    }

    #[inline]
    fn report_ends(&mut self) {
        if let Some(probe) = self.probe.take()
            && let Some(keys) = probe.finish(self.topic.as_str())
        {
            keys.for_each(&mut self.report);
        }
        for end in self.ends.iter() {
            let tree = *self.parts.trees.get(end.tree as usize).unwrap_or(&None);
            if let Some(keys) = tree.and_then(|tree| tree.keys(end.at)) {
                keys.for_each(&mut self.report);
            }
        }
        self.ends.clear();
    }
}

/// Up to so many nodes at one level need no memory but the stack.
const INLINE: usize = 16;
