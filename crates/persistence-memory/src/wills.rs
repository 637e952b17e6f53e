//! Wills: one for each client, found by the node that stored it.

use std::collections::BTreeMap;
use std::sync::Arc;

use broker_core::persistence::{ClientId, StoredWill};

use crate::small_map::behind;

/// All wills, by node and then by client. There are as many nodes as the broker has, so a client's
/// will is found by asking each.
#[derive(Debug, Default)]
pub(crate) struct Wills {
    nodes: BTreeMap<Arc<str>, BTreeMap<ClientId, StoredWill>>,
    len: usize,
}

impl Wills {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn get(&self, client: &str) -> Option<&StoredWill> {
        self.nodes.values().find_map(|wills| wills.get(client))
    }

    pub(crate) fn put(&mut self, will: StoredWill) -> Option<StoredWill> {
        let before = self.remove(&will.session.client);
        let wills = self.nodes.entry(Arc::clone(&will.node)).or_default();
        wills.insert(Arc::clone(&will.session.client), will);
        self.len += 1;
        before
    }

    pub(crate) fn remove(&mut self, client: &str) -> Option<StoredWill> {
        let removed = self
            .nodes
            .values_mut()
            .find_map(|wills| wills.remove(client))?;
        if self
            .nodes
            .get(&removed.node)
            .is_some_and(BTreeMap::is_empty)
        {
            self.nodes.remove(&removed.node);
        }
        self.len -= 1;
        Some(removed)
    }

    pub(crate) fn page(&self, node: &str, after: Option<&str>, limit: usize) -> Vec<StoredWill> {
        let Some(wills) = self.nodes.get(node) else {
            return Vec::new();
        };
        let page = wills.range::<str, _>(behind(after)).take(limit);
        page.map(|(_, will)| will.clone()).collect()
    }
}
