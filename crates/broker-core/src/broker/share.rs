//! Shared subscriptions as the broker has them: who joins and leaves which group, which member a
//! message goes to, and where the messages of a member go that is gone (MQTT 5.0 section 4.8.2).
//!
//! When a connection ends, what its session has not acknowledged goes to members that are connected,
//! if there are any; else it waits for the client to return. When a session ends it goes to any
//! member that is left. QoS 2 that was sent goes nowhere else, and what a client refused is gone.

use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use core::time::Duration;
use std::sync::Arc;

use dashmap::{DashMap, Entry};
use hashbrown::{HashMap, HashSet};
use mqtt_codec::QoS;
use topic_trie::{SharedFilter, TopicFilter};

use super::Broker;
use crate::Timestamp;
use crate::effects::{Change, Effects, Release};
use crate::publication::Publication;
use crate::session::{
    DeliveryEffects, Move, Origin, Outgoing, Parcel, Refused, Rules, Session, Share, State, Terms,
};
use crate::share::{Chosen, Group, Search};
use crate::subscription::{SubscriberId, Subscription, SubscriptionOptions};

/// When messages that could not be given away yet, or were about to be, are looked at again.
const HAND_OVER_AGAIN: Duration = Duration::from_millis(200);

/// Messages given away at one time when a client has gone: others wait for the same thread, and a
/// store takes all of them in one batch.
const MOVE_MAX: usize = 2_000;

/// When the next of them are, if not all could be given away at one time.
const GO_ON: Duration = Duration::from_millis(10);

/// When it is looked again for a page of a queue that others are to get.
const READ_AGAIN: Duration = Duration::from_secs(1);

/// Members that are asked before the rest of a group is gathered, when the one that was chosen does
/// not take a message.
const NEAREST: usize = 8;

/// Messages in a row that none of a group's members has room for, until no more of a move are
/// offered to it: with full queues all around each would be offered to every member.
const FULL_MAX: usize = 16;

/// A message that no member of a group takes.
struct NotTaken {
    /// Why the first who could not has not taken it.
    first: Refused,
    /// Whether a smaller one may find a taker.
    too_large: bool,
}

/// A group that messages are moved to.
struct Taker {
    group: Option<Arc<Group>>,
    /// Messages in a row that nobody in it had room for.
    full: usize,
}

/// All groups, by the whole texts of their subscriptions.
///
/// Who joins or leaves does so with the place in the map locked. So a group that is in the map has a
/// member and is in the router, and one that is not is in neither.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    by_text: DashMap<Arc<str>, Arc<Group>>,
    memberships: AtomicUsize,
    next: AtomicU64,
}

impl Groups {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.by_text.len()
    }

    /// Their members, a session counted once for each group.
    pub(crate) fn memberships(&self) -> usize {
        self.memberships.load(Ordering::Relaxed)
    }

    fn get(&self, text: &str) -> Option<Arc<Group>> {
        self.by_text
            .get(text)
            .map(|group| Arc::clone(group.value()))
    }

    fn has(&self, text: &str) -> bool {
        self.by_text.contains_key(text)
    }

    /// The group of this text, or one without members that stands for it.
    pub(super) fn find_or_stand_in(&self, text: &Arc<str>) -> Arc<Group> {
        self.get(text)
            .unwrap_or_else(|| Group::new(self.new_id(), Arc::clone(text)))
    }

    fn new_id(&self) -> SubscriberId {
        SubscriberId::group(self.next.fetch_add(1, Ordering::Relaxed))
    }

    /// Lets go of all members: messages in their queues name the groups by which they came, and so
    /// each would keep the other in memory after the broker is gone.
    pub(super) fn release_members(&self) {
        for group in &self.by_text {
            group.release_members();
        }
    }

    #[cfg(any(test, feature = "invariants"))]
    pub(super) fn all(&self) -> Vec<Arc<Group>> {
        let groups = self.by_text.iter();
        groups.map(|group| Arc::clone(group.value())).collect()
    }
}

/// What a filter is, once it is known to be valid.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Asked<'a> {
    /// A filter of the session's own.
    Own(TopicFilter<'a>),
    /// A shared subscription.
    Shared(SharedFilter<'a>),
}

impl<'a> Asked<'a> {
    /// Takes a filter apart. `None` if it is none.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        match SharedFilter::parse(text) {
            Ok(Some(shared)) => Some(Self::Shared(shared)),
            Ok(None) => TopicFilter::new(text).ok().map(Self::Own),
            Err(_) => None,
        }
    }

    /// What topics are matched with.
    pub(crate) fn filter(self) -> TopicFilter<'a> {
        match self {
            Self::Own(filter) => filter,
            Self::Shared(shared) => shared.filter(),
        }
    }
}

impl Broker {
    /// Puts the session into a group. The first one puts the group into the router.
    pub(super) fn join_group(
        &self,
        session: &Arc<Session>,
        text: &str,
        filter: TopicFilter<'_>,
        options: SubscriptionOptions,
    ) {
        let text: Arc<str> = text.into();
        let entry = self.groups.by_text.entry(Arc::clone(&text));
        let group = entry.or_insert_with(|| {
            let group = Group::new(self.groups.new_id(), text);
            let subscription = Subscription::Shared(Arc::clone(&group));
            self.subscriptions.insert(filter, group.id(), subscription);
            self.need_filter(filter);
            group
        });
        if group.put(session, options) {
            self.groups.memberships.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Takes the session out of a group. The last one takes the group out of the router.
    pub(super) fn leave_group(&self, session: &Session, text: &str) {
        let Entry::Occupied(entry) = self.groups.by_text.entry(text.into()) else {
            return;
        };
        let group = entry.get();
        if group.remove(session.id()) {
            self.groups.memberships.fetch_sub(1, Ordering::Relaxed);
        }
        if group.len() == 0 {
            if let Some(Asked::Shared(shared)) = Asked::parse(text) {
                self.subscriptions.remove(shared.filter(), &group.id());
                self.need_filter_no_more(shared.filter());
            }
            entry.remove();
        }
    }

    /// A session's client has come, or has gone: the groups of its shared subscriptions are told.
    pub(super) fn tell_groups(&self, session: &Session, state: &State) {
        for text in state.filters.shared() {
            if let Some(group) = self.groups.get(text) {
                group.tell(session.id());
            }
        }
    }

    /// Hands a published message to one member of a group.
    pub(super) fn deliver_to_group(
        &self,
        group: &Arc<Group>,
        publication: &mut Publication<'_>,
        rules: Rules<'_>,
        effects: &mut DeliveryEffects<'_>,
    ) {
        let search = Search::anybody(publication.parts().qos);
        let origin = Origin::Published;
        if let Err(not_taken) = self.offer(group, search, origin, publication, rules, effects)
            && !publication.is_own()
        {
            rules.counters.count_refused(not_taken.first);
        }
    }

    /// Offers a message to the members of a group until one takes it.
    ///
    /// # Errors
    /// If nobody does.
    fn offer(
        &self,
        group: &Arc<Group>,
        search: Search,
        origin: Origin,
        publication: &mut Publication<'_>,
        rules: Rules<'_>,
        effects: &mut DeliveryEffects<'_>,
    ) -> Result<(), NotTaken> {
        let mut not_taken = NotTaken {
            first: Refused::Away,
            too_large: false,
        };
        let strategy = self.options.shared_subscription_strategy;
        let Some(chosen) = group.choose(strategy, search) else {
            return Err(not_taken);
        };
        let mut takes = |chosen: &Chosen| {
            let options = &chosen.member.options;
            let terms = Terms {
                // At most what was granted to this one [MQTT-4.8.2-3].
                qos: options.qos.min(publication.parts().qos),
                retain: publication.parts().retain && options.retain_as_published,
                subscription_ids: &options.subscription_ids(),
                share: Some(Share {
                    group,
                    connected: chosen.connected,
                    origin,
                }),
            };
            let session = &chosen.member.session;
            let Err(refused) = session.deliver(publication, &terms, rules, effects) else {
                return true;
            };
            if not_taken.first == Refused::Away {
                not_taken.first = refused;
            }
            not_taken.too_large |= refused == Refused::TooLarge;
            false
        };
        if takes(&chosen) {
            return Ok(());
        }
        // The nearest are mostly enough. If they are not, they are asked again with all others:
        // who is near may have changed meanwhile.
        for limit in [NEAREST, usize::MAX] {
            let others = group.others(search, chosen.member.session.id(), limit);
            if others.iter().any(&mut takes) {
                return Ok(());
            }
            if others.len() < limit {
                break;
            }
        }
        Err(not_taken)
    }

    /// The session's client is not connected: what it shares with others and has not acknowledged
    /// goes to those that are.
    pub(super) fn hand_over(&self, now: Timestamp, session: &Arc<Session>, effects: &mut Effects) {
        let mut state = session.state();
        if state.link.is_some() || state.ended || !state.has_shared {
            return;
        }
        let reads_on = !state.is_unread && state.outgoing.has_tail();
        let begun = if effects.uncommitted {
            // It would be gone here and not have arrived there, for a store.
            Move {
                pending: true,
                ..Move::default()
            }
        } else {
            state.outgoing.begin_move(MOVE_MAX)
        };
        drop(state);
        let search = Search {
            qos: QoS::AtMostOnce,
            except: Some(session.id()),
            connected_only: true,
            acknowledged_only: true,
        };
        let Move {
            parcels,
            pending,
            more,
        } = begun;
        let moved = !parcels.is_empty() && self.give(now, session, parcels, search, effects);
        let is_done = !moved && !pending;
        let is_read = is_done && reads_on && self.reads_for_others(session);
        let mut state = session.state();
        if state.link.is_some() || state.ended {
            return;
        }
        state.hand_over_due = match (moved, more) {
            (true, true) => now + GO_ON,
            (true, false) if reads_on => now + GO_ON,
            // A move may fail, and what is not committed yet may not go.
            (true, false) => now + HAND_OVER_AGAIN,
            (false, _) if pending => now + HAND_OVER_AGAIN,
            // The page calls for it when it is there. If it cannot be read, it is tried again.
            (false, _) if is_read => now + READ_AGAIN,
            (false, _) if reads_on && state.outgoing.has_uncommitted_tail() => {
                now + HAND_OVER_AGAIN
            }
            // There is nothing, or the others have no room for it.
            (false, _) => Timestamp::MAX,
        };
        if state.hand_over_due == Timestamp::MAX && self.spills(session) {
            state
                .outgoing
                .get_mut()
                .into_iter()
                .for_each(Outgoing::spill);
        }
        self.set_deadline(session, &state);
    }

    /// Begins to read more of a session's queue for other members of its groups, if there are any
    /// that are connected.
    fn reads_for_others(&self, session: &Arc<Session>) -> bool {
        let search = Search {
            except: Some(session.id()),
            connected_only: true,
            ..Search::anybody(QoS::AtLeastOnce)
        };
        let groups = session
            .state()
            .filters
            .shared()
            .map(|text| self.groups.get(text))
            .collect();
        let groups: Vec<Option<Arc<Group>>> = groups;
        let mut others = groups.iter().flatten();
        others.any(|group| group.has_any(search)) && self.begin_hand_over(session)
    }

    /// The session has left groups: what came by them and was never sent goes to others, if there
    /// are any; else it is delivered here [MQTT-3.10.4-3].
    pub(crate) fn hand_over_unsent(
        &self,
        now: Timestamp,
        session: &Arc<Session>,
        mut left: HashSet<&str>,
        effects: &mut Effects,
    ) {
        left.retain(|text| self.groups.has(text));
        if left.is_empty() {
            return;
        }
        let mut state = session.state();
        if !state.has_shared {
            return;
        }
        let parcels = state.outgoing.begin_move_unsent(&left);
        drop(state);
        let search = Search {
            acknowledged_only: true,
            except: Some(session.id()),
            ..Search::anybody(QoS::AtMostOnce)
        };
        if !parcels.is_empty() {
            self.give(now, session, parcels, search, effects);
        }
    }

    /// Gives messages of a session that goes on to other members. What nobody takes stays. True if
    /// anything was given.
    fn give(
        &self,
        now: Timestamp,
        session: &Arc<Session>,
        mut parcels: Vec<Parcel>,
        search: Search,
        effects: &mut Effects,
    ) -> bool {
        let begun = parcels.len();
        self.pass_on(
            now,
            &mut parcels,
            search,
            Origin::Taken,
            effects,
            |sequence, batch| {
                session.note_dequeued(sequence, batch);
            },
        );
        let moved = parcels.len() < begun;
        let mut state = session.state();
        if moved {
            let release = Release::new(session, Change::Given);
            effects.ticket.releases.push(release);
        }
        if state.ended {
            drop(state);
            self.inherit(now, session, parcels, effects);
            return moved;
        }
        state.outgoing.keep(&parcels);
        // What stays may hold up what came after it.
        effects.wakes.extend(state.take_waker());
        moved
    }

    /// A session has ended, and others get what it had not acknowledged.
    pub(super) fn inherit(
        &self,
        now: Timestamp,
        session: &Session,
        mut parcels: Vec<Parcel>,
        effects: &mut Effects,
    ) {
        let search = Search {
            except: Some(session.id()),
            ..Search::anybody(QoS::AtMostOnce)
        };
        self.pass_on(
            now,
            &mut parcels,
            search,
            Origin::Inherited,
            effects,
            |_, _| {},
        );
        let lost = parcels.len() as u64;
        self.counters.dropped_shared.add(lost);
    }

    /// Offers messages to the members of their groups; leaves those that nobody takes.
    fn pass_on(
        &self,
        now: Timestamp,
        parcels: &mut Vec<Parcel>,
        search: Search,
        origin: Origin,
        effects: &mut Effects,
        mut note_taken: impl FnMut(u64, &mut crate::persistence::Batch),
    ) {
        let rules = self.rules(now);
        // The group as it is now: by the one that the message came through, which may be gone.
        let mut found: HashMap<Arc<str>, Taker> = HashMap::new();
        parcels.retain(|parcel| {
            let text = parcel.group.text();
            let taker = found.entry_ref(text).or_insert_with(|| Taker {
                group: self.groups.get(text),
                full: 0,
            });
            let Some(group) = taker.group.as_ref().filter(|_| taker.full < FULL_MAX) else {
                return true;
            };
            let search = Search {
                qos: parcel.message.qos(),
                ..search
            };
            let (scratch, mut rest) = effects.split();
            let mut publication = Publication::of(&parcel.message, scratch.frames, now);
            match self.offer(group, search, origin, &mut publication, rules, &mut rest) {
                Ok(()) => {
                    taker.full = 0;
                    note_taken(parcel.sequence, &mut effects.batch);
                    self.counters.redistributed_shared.add(1);
                    false
                }
                Err(not_taken) => {
                    taker.full += usize::from(!not_taken.too_large);
                    true
                }
            }
        });
    }
}
