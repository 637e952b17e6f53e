//! Subscriptions come and go: in the router, among those of their session, and in the store.

use std::sync::Arc;

use super::{Asked, Broker};
use crate::persistence::{Batch, Operation};
use crate::session::{Filters, Session};
use crate::subscription::{Subscription, SubscriptionOptions};

/// What became of a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subscribed {
    /// There is one more.
    New,
    /// It has taken the place of an earlier one with the same filter.
    Replaced,
    /// The session has too many.
    TooMany,
    /// The session belongs to another connection now.
    Gone,
}

impl Broker {
    /// Adds a subscription, or replaces one with the same filter. False if the session has too
    /// many, or is not this connection's any more.
    pub(crate) fn subscribe(
        &self,
        session: &Arc<Session>,
        epoch: u32,
        filter: &str,
        asked: Asked<'_>,
        options: SubscriptionOptions,
        batch: &mut Batch,
    ) -> Subscribed {
        let mut state = session.state();
        if !state.is_current(epoch) {
            return Subscribed::Gone;
        }
        // Under the session's lock: when the session ends, every filter that it names is in the
        // router, and none comes into the router afterwards.
        let max = self.options.max_subscriptions_per_session;
        let subscribed = self.route_to(session, &mut state.filters, filter, asked, options, max);
        if subscribed == Subscribed::TooMany {
            self.counters.refused_subscriptions.add(1);
        } else if session.is_durable() {
            batch.push(Operation::PutSubscription {
                session: session.key().clone(),
                filter: filter.into(),
                options,
            });
        }
        subscribed
    }

    /// Removes a subscription and says what it was; `None` if there was none. What waits of one
    /// that was shared is the caller's to hand over.
    pub(crate) fn unsubscribe<'a>(
        &self,
        session: &Arc<Session>,
        epoch: u32,
        filter: &'a str,
        batch: &mut Batch,
    ) -> Option<Asked<'a>> {
        let asked = Asked::parse(filter)?;
        let mut state = session.state();
        if !state.is_current(epoch)
            || !self.stop_routing_to(session, &mut state.filters, filter, asked)
        {
            return None;
        }
        if let (Some(replays), Asked::Own(filter)) = (&mut state.replays, asked) {
            replays.remove(filter);
        }
        if session.is_durable() {
            batch.push(Operation::DropSubscription {
                session: session.key().clone(),
                filter: filter.into(),
            });
        }
        Some(asked)
    }

    /// Puts a subscription into the router and among those of the session, or replaces it. Does
    /// nothing if it is one more and the session has `max` of them.
    pub(super) fn route_to(
        &self,
        session: &Arc<Session>,
        filters: &mut Filters,
        text: &str,
        asked: Asked<'_>,
        options: SubscriptionOptions,
        max: usize,
    ) -> Subscribed {
        let is_full = filters.len() >= max;
        match asked {
            Asked::Own(filter) => {
                let key = session.id().into();
                if is_full && self.subscriptions.get(filter, &key).is_none() {
                    return Subscribed::TooMany;
                }
                let session = Arc::clone(session);
                let subscription = Subscription::Own { session, options };
                let (id, replaced) = self.subscriptions.insert_with_id(filter, key, subscription);
                if replaced.is_some() {
                    return Subscribed::Replaced;
                }
                filters.add(id);
                self.need_filter(filter);
            }
            Asked::Shared(shared) => {
                let is_new = !filters.has_shared(text);
                if is_full && is_new {
                    return Subscribed::TooMany;
                }
                self.join_group(session, text, shared.filter(), options);
                if !is_new {
                    return Subscribed::Replaced;
                }
                filters.add_shared(text);
            }
        }
        Subscribed::New
    }

    /// Takes a subscription out of the router and from those of the session. False if it is not
    /// there.
    pub(super) fn stop_routing_to(
        &self,
        session: &Session,
        filters: &mut Filters,
        text: &str,
        asked: Asked<'_>,
    ) -> bool {
        match asked {
            Asked::Own(filter) => {
                let key = session.id().into();
                let removed = self.subscriptions.remove_with_id(filter, &key);
                if let Some((id, _)) = &removed {
                    filters.remove(*id);
                    self.need_filter_no_more(filter);
                }
                removed.is_some()
            }
            Asked::Shared(_) => {
                let was_there = filters.remove_shared(text);
                if was_there {
                    self.leave_group(session, text);
                }
                was_there
            }
        }
    }
}
