//! What the broker has to do with hooks apart from connections: the subscriptions that they are asked
//! about, and what happens without a connection.

use super::Broker;
use crate::MessageParts;
use crate::effects::Effects;
use crate::events::EventSet;
use crate::hooks::{Answer, Event, Failed, HookSet, Hooked};
use crate::session::Session;

impl Broker {
    /// Its hooks, if it has any.
    #[inline]
    pub(crate) fn hooked(&self) -> Option<&Hooked> {
        self.hooked.as_deref()
    }

    /// Whether it has hooks that want something.
    #[inline]
    pub(crate) fn wants(&self, what: impl FnOnce(&HookSet) -> bool) -> bool {
        self.hooked().is_some_and(|hooked| what(&hooked.wanted))
    }

    /// Has hooks asked anew about each client that is connected: whether it may stay
    /// ([`Hooks::may_stay`](crate::Hooks::may_stay)), may have its will, and may have each of its
    /// subscriptions; those that it may not have any longer end. To be called when the answers may have
    /// changed. Each connection does so in its own task, before it handles the next packet.
    ///
    /// A session whose client is away is asked about when the client returns: until then messages are
    /// queued for it as before.
    pub fn reauthorize(&self, effects: &mut Effects) {
        self.sessions
            .for_each(|session| reauthorize(session, effects));
    }

    /// [`reauthorize`](Self::reauthorize) for the client with this client identifier alone, if it is connected.
    pub fn reauthorize_client(&self, client_id: &str, effects: &mut Effects) {
        if let Some(session) = self.sessions.get(client_id) {
            reauthorize(&session, effects);
        }
    }

    /// The topic filters of a client's session, as the client wrote them.
    pub(crate) fn filters_of(&self, client_id: &str) -> Vec<String> {
        let Some(session) = self.sessions.get(client_id) else {
            return Vec::new();
        };
        let state = session.state();
        let shared: Vec<String> = state.filters.shared().map(String::from).collect();
        let own: Vec<_> = state.filters.own().collect();
        drop(state);
        let own = own
            .into_iter()
            .filter_map(|id| self.subscriptions.filter(id));
        own.map(|filter| filter.as_str().to_owned())
            .chain(shared)
            .collect()
    }

    /// Tells watchers and hooks of a message that no client has published.
    pub(super) fn notify_published(&self, message: MessageParts<'_>, effects: &mut Effects) {
        if self.watchers.or_hooks_notice(EventSet::PUBLISHED) {
            let client = None;
            self.notify(&Event::Published { client, message }, effects);
        }
    }

    /// Tells watchers and hooks of something for which nobody waits.
    pub(crate) fn notify(&self, event: &Event<'_>, effects: &mut Effects) {
        self.tell_watchers(event, effects);
        match self.tell_hooks(event) {
            Answer::Ready(Ok(())) => {}
            Answer::Ready(Err(Failed)) => self.counters.hook_failures.add(1),
            Answer::Pending(future) => effects.loose.push(future),
        }
    }

    /// Tells hooks of something, if they want to know.
    pub(crate) fn tell_hooks(&self, event: &Event<'_>) -> Answer<()> {
        let wanting = |hooked: &&Hooked| hooked.told.contains(event.kind());
        match self.hooked().filter(wanting) {
            Some(hooked) => hooked.ask(|hooks| hooks.notify(event)),
            None => Answer::Ready(Ok(())),
        }
    }
}

fn reauthorize(session: &Session, effects: &mut Effects) {
    let mut state = session.state();
    if let Some(link) = &mut state.link {
        link.reauthorize = true;
        link.asleep = false;
        effects.wakes.extend(link.waker.clone());
    }
}
