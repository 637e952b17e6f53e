//! An engine that fails and hesitates on command, and says what it was asked for.

use core::future::poll_fn;
use core::task::{Context, Poll, Waker};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use parking_lot::Mutex;
use topic_trie::TopicFilterBuf;

use crate::backend::{
    Answer, Backend, BackendError, BackendState, Envelope, Inbound, Membership, NodeId,
};

/// Another engine behind a switch. Clones are the same engine.
#[derive(Debug)]
pub struct Controlled<B> {
    inner: Arc<B>,
    switch: Arc<Switch>,
}

impl<B> Clone for Controlled<B> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            switch: Arc::clone(&self.switch),
        }
    }
}

#[derive(Debug, Default)]
struct Switch(Mutex<Setting>);

#[derive(Debug, Default)]
struct Setting {
    is_lost: bool,
    is_held: bool,
    waiting: Vec<Waker>,
    inbounds: Vec<Inbound>,
    filters: HashMap<Arc<str>, BTreeSet<String>>,
}

impl<B: Backend> Controlled<B> {
    /// The engine as it is, until something else is said.
    pub fn new(inner: B) -> Self {
        Self {
            inner: Arc::new(inner),
            switch: Arc::default(),
        }
    }

    /// All nodes lose the engine, and it forgets their filters, as far as [`filters`](Self::filters) says.
    pub fn lose(&self) {
        let mut setting = self.switch.0.lock();
        setting.is_lost = true;
        setting.filters.clear();
        for inbound in &setting.inbounds {
            inbound.set_state(BackendState::Lost);
        }
    }

    /// The engine is back.
    pub fn restore(&self) {
        let mut setting = self.switch.0.lock();
        setting.is_lost = false;
        for inbound in &setting.inbounds {
            inbound.set_state(BackendState::Connected);
        }
    }

    /// From now on nothing is answered.
    pub fn hold(&self) {
        self.switch.0.lock().is_held = true;
    }

    /// What was not answered is, and what is asked from now on too.
    pub fn let_go(&self) {
        let mut setting = self.switch.0.lock();
        setting.is_held = false;
        let waiting = core::mem::take(&mut setting.waiting);
        drop(setting);
        waiting.into_iter().for_each(Waker::wake);
    }

    /// The topic filters that the node of this name has asked for and not cancelled.
    pub fn filters(&self, node: &str) -> BTreeSet<String> {
        let filters = &self.switch.0.lock().filters;
        filters.get(node).cloned().unwrap_or_default()
    }
}

impl Switch {
    fn check(&self) -> Result<(), BackendError> {
        match self.0.lock().is_lost {
            true => Err(BackendError::Unavailable("switched off".into())),
            false => Ok(()),
        }
    }

    fn poll_go(&self, task: &Context<'_>) -> Poll<()> {
        let mut setting = self.0.lock();
        if !setting.is_held {
            return Poll::Ready(());
        }
        setting.waiting.push(task.waker().clone());
        Poll::Pending
    }

    /// What `begin` begins, once nothing is held back.
    fn pass<T: 'static>(
        self: &Arc<Self>,
        begin: impl FnOnce() -> Answer<T> + Send + 'static,
    ) -> Answer<T> {
        let switch = Arc::clone(self);
        Box::pin(async move {
            poll_fn(|task| switch.poll_go(task)).await;
            switch.check()?;
            begin().await
        })
    }
}

impl<B: Backend> Backend for Controlled<B> {
    fn join(&self, node: NodeId, inbound: Inbound) -> Answer<Arc<dyn Membership>> {
        let Self { inner, switch } = self.clone();
        let name = Arc::clone(&node.name);
        Box::pin(async move {
            switch.check()?;
            let inner = inner.join(node, inbound.clone()).await?;
            switch.0.lock().inbounds.push(inbound);
            let member = ControlledMembership {
                inner,
                switch,
                name,
            };
            Ok(Arc::new(member) as Arc<dyn Membership>)
        })
    }
}

struct ControlledMembership {
    inner: Arc<dyn Membership>,
    switch: Arc<Switch>,
    name: Arc<str>,
}

impl ControlledMembership {
    fn change(
        &self,
        filters: Vec<TopicFilterBuf>,
        note: fn(&mut BTreeSet<String>, &str) -> bool,
        call: fn(&dyn Membership, Vec<TopicFilterBuf>) -> Answer<()>,
    ) -> Answer<()> {
        let (inner, switch) = (Arc::clone(&self.inner), Arc::clone(&self.switch));
        let name = Arc::clone(&self.name);
        self.switch.pass(move || {
            let mut setting = switch.0.lock();
            let noted = setting.filters.entry(name).or_default();
            for filter in &filters {
                note(noted, filter.as_str());
            }
            drop(setting);
            call(&*inner, filters)
        })
    }
}

impl Membership for ControlledMembership {
    fn publish(&self, batch: Vec<Envelope>) -> Answer<usize> {
        let inner = Arc::clone(&self.inner);
        self.switch.pass(move || inner.publish(batch))
    }

    fn subscribe(&self, filters: Vec<TopicFilterBuf>) -> Answer<()> {
        let note = |noted: &mut BTreeSet<String>, filter: &str| noted.insert(filter.into());
        self.change(filters, note, |inner, filters| inner.subscribe(filters))
    }

    fn unsubscribe(&self, filters: Vec<TopicFilterBuf>) -> Answer<()> {
        let note = |noted: &mut BTreeSet<String>, filter: &str| noted.remove(filter);
        self.change(filters, note, |inner, filters| inner.unsubscribe(filters))
    }

    fn leave(&self) -> Answer<()> {
        self.inner.leave()
    }
}
