//! Shared subscriptions: the members of one, and which of them a message goes to (MQTT 5.0 section
//! 4.8.2).
//!
//! A group is the whole text of a shared subscription, `$share/{name}/{filter}`; sessions that
//! subscribe to the same text are its members. It decides who is next, and knows nothing of what
//! becomes of the message: whether a session takes it is the session's decision, and then the next
//! member is asked.
//!
//! Its lock is held for a choice only, and none other is taken meanwhile. So a choice goes by what
//! sessions have told the group, whether they are connected, and by a number that they let everybody
//! read, how many messages they are owed. Both may be a moment old when the session is asked.
//!
//! Members that are connected, that are away and keep messages, and that are away and keep none are
//! apart from each other: a choice does not walk over those that cannot take the message.

use std::collections::BTreeMap;
use std::sync::Arc;

use mqtt_codec::QoS;
use parking_lot::Mutex;

use crate::options::ShareStrategy;
use crate::session::{Session, SessionId};
use crate::subscription::{SubscriberId, SubscriptionOptions};

/// Members drawn at random before the next connected one behind the last draw is taken.
const DRAWS: usize = 4;

/// Connected members of which the one that is owed least is taken. They come in turn, so in a larger
/// group all are compared over time, and a choice costs no more than in one of this size.
const COMPARED: usize = 256;

/// The sessions that share one filter.
#[derive(Debug)]
pub(crate) struct Group {
    id: SubscriberId,
    text: Arc<str>,
    members: Mutex<Members>,
}

/// The members, by session in each part.
#[derive(Debug, Default)]
struct Members {
    connected: BTreeMap<SessionId, Member>,
    /// The connected ones once more, in no order: to draw from.
    lots: Vec<SessionId>,
    /// Away, and what comes waits for them.
    waiting: BTreeMap<SessionId, Member>,
    /// Away, and nothing is kept for them.
    unreachable: BTreeMap<SessionId, Member>,
    /// Who is next, where the strategy has an order: the first from here on.
    cursor: SessionId,
    /// Numbers drawn so far.
    draws: u64,
    /// With whom the group stays.
    favourite: Option<SessionId>,
}

/// One session in a group.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) session: Arc<Session>,
    pub(crate) options: SubscriptionOptions,
    /// Where it stands in the lots, while it is connected.
    lot: usize,
}

/// Who may be given a message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Search {
    /// The message's quality of service.
    pub(crate) qos: QoS,
    /// Not this one.
    pub(crate) except: Option<SessionId>,
    /// Only members that are connected.
    pub(crate) connected_only: bool,
    /// Only members that receive it with an acknowledgement.
    pub(crate) acknowledged_only: bool,
}

/// A member that was chosen.
#[derive(Clone, Debug)]
pub(crate) struct Chosen {
    pub(crate) member: Member,
    /// Whether it was chosen because it is connected, and not for its queue.
    pub(crate) connected: bool,
}

impl Group {
    /// A group without members.
    pub(crate) fn new(id: SubscriberId, text: Arc<str>) -> Arc<Self> {
        Arc::new(Self {
            id,
            text,
            members: Mutex::default(),
        })
    }

    /// Its name in the router.
    pub(crate) fn id(&self) -> SubscriberId {
        self.id
    }

    /// The whole text of the subscription.
    pub(crate) fn text(&self) -> &Arc<str> {
        &self.text
    }

    /// Adds a member, or gives it other options. False if it was one before. To be called with the
    /// session's state locked, so that it stays connected, or away, until
    /// [`tell`](Self::tell) is called.
    pub(crate) fn put(&self, session: &Arc<Session>, options: SubscriptionOptions) -> bool {
        let mut members = self.members.lock();
        let is_new = members.take(session.id()).is_none();
        members.add(Member {
            session: Arc::clone(session),
            options,
            lot: 0,
        });
        is_new
    }

    /// Removes a member. False if it was none.
    pub(crate) fn remove(&self, session: SessionId) -> bool {
        let mut members = self.members.lock();
        if members.favourite == Some(session) {
            members.favourite = None;
        }
        members.take(session).is_some()
    }

    /// A member's client has come, or has gone.
    pub(crate) fn tell(&self, session: SessionId) {
        let mut members = self.members.lock();
        if let Some(member) = members.take(session) {
            members.add(member);
        }
    }

    /// Lets go of all members: the broker ends.
    pub(crate) fn release_members(&self) {
        let members = core::mem::take(&mut *self.members.lock());
        // With the lock given back: the last hold on a session may be among them.
        drop(members);
    }

    /// How many members there are.
    pub(crate) fn len(&self) -> usize {
        let members = self.members.lock();
        members.connected.len() + members.waiting.len() + members.unreachable.len()
    }

    /// Whether this session is a member, and if it is, a connected one.
    #[cfg(any(test, feature = "invariants"))]
    pub(crate) fn knows(&self, session: SessionId) -> Option<bool> {
        let members = self.members.lock();
        let is_away = members.waiting.contains_key(&session);
        let is_away = is_away || members.unreachable.contains_key(&session);
        let is_connected = members.connected.contains_key(&session);
        (is_connected || is_away).then_some(is_connected)
    }

    /// Whether anybody who is connected may get a message.
    pub(crate) fn has_any(&self, search: Search) -> bool {
        self.members.lock().next(search).is_some()
    }

    /// Who gets a message: a connected member by the strategy, or where there is none, one whose
    /// session keeps the message for it.
    pub(crate) fn choose(&self, strategy: ShareStrategy, search: Search) -> Option<Chosen> {
        let mut members = self.members.lock();
        let connected = match strategy {
            ShareStrategy::RoundRobin => members.next(search),
            ShareStrategy::Random => members.draw(&self.text, search),
            ShareStrategy::Sticky => members.favourite(search),
            ShareStrategy::LeastInflight => members.least_owed(search),
        };
        let connected = connected.cloned();
        let is_connected = connected.is_some();
        let member = connected.or_else(|| members.waiting(search).next().cloned())?;
        members.cursor = SessionId(member.session.id().0 + 1);
        Some(Chosen {
            member,
            connected: is_connected,
        })
    }

    /// Who else may get it, in the order in which to ask when the one that was chosen does not take
    /// it: connected members, then those whose sessions keep it; so many of them at most.
    pub(crate) fn others(&self, search: Search, chosen: SessionId, limit: usize) -> Vec<Chosen> {
        let members = self.members.lock();
        let connected = members.connected(search).map(|member| (member, true));
        let waiting = members.waiting(search).map(|member| (member, false));
        connected
            .chain(waiting)
            .filter(|(member, _)| member.session.id() != chosen)
            .map(|(member, connected)| Chosen {
                member: member.clone(),
                connected,
            })
            .take(limit)
            .collect()
    }
}

impl Members {
    /// Adds one that is no member.
    fn add(&mut self, mut member: Member) {
        let id = member.session.id();
        if member.session.is_connected() {
            member.lot = self.lots.len();
            self.lots.push(id);
            self.connected.insert(id, member);
        } else if member.options.qos > QoS::AtMostOnce && member.session.is_durable() {
            self.waiting.insert(id, member);
        } else {
            self.unreachable.insert(id, member);
        }
    }

    /// Removes a member.
    fn take(&mut self, id: SessionId) -> Option<Member> {
        let Some(member) = self.connected.remove(&id) else {
            let waiting = self.waiting.remove(&id);
            return waiting.or_else(|| self.unreachable.remove(&id));
        };
        // The last lot takes its place.
        if member.lot < self.lots.len() {
            self.lots.swap_remove(member.lot);
        }
        let moved = self.lots.get(member.lot);
        if let Some(moved) = moved.and_then(|moved| self.connected.get_mut(moved)) {
            moved.lot = member.lot;
        }
        Some(member)
    }

    /// Connected members that may get it, from the cursor on and round to the one before it.
    fn connected(&self, search: Search) -> impl Iterator<Item = &Member> {
        ring(&self.connected, self.cursor).filter(move |member| search.allows(member))
    }

    /// Members that are away and may get it.
    fn waiting(&self, search: Search) -> impl Iterator<Item = &Member> {
        let may_wait = !search.connected_only && search.qos > QoS::AtMostOnce;
        let members = may_wait.then(|| ring(&self.waiting, self.cursor));
        let members = members.into_iter().flatten();
        members.filter(move |member| search.allows(member))
    }

    fn next(&self, search: Search) -> Option<&Member> {
        self.connected(search).next()
    }

    fn draw(&mut self, text: &str, search: Search) -> Option<&Member> {
        let count = self.lots.len() as u64;
        let seed = fnv1a(text);
        for _ in 0..DRAWS {
            self.draws = self.draws.wrapping_add(1);
            let lot = splitmix64(seed ^ self.draws).checked_rem(count)?;
            self.cursor = *self.lots.get(usize::try_from(lot).unwrap_or(0))?;
            let drawn = self.connected.get(&self.cursor);
            if drawn.is_some_and(|member| search.allows(member)) {
                break;
            }
        }
        self.next(search)
    }

    fn favourite(&mut self, search: Search) -> Option<&Member> {
        let known = self.favourite.and_then(|known| self.connected.get(&known));
        let known = known.filter(|member| search.allows(member));
        let id = known.or_else(|| self.next(search))?.session.id();
        self.favourite = Some(id);
        self.connected.get(&id)
    }

    fn least_owed(&self, search: Search) -> Option<&Member> {
        let mut best: Option<(u32, &Member)> = None;
        for member in self.connected(search).take(COMPARED) {
            let owed = member.session.owed();
            if best.is_none_or(|(least, _)| owed < least) {
                best = Some((owed, member));
            }
            if owed == 0 {
                break;
            }
        }
        best.map(|(_, member)| member)
    }
}

/// All of them, from one session on and round to the one before it.
fn ring(members: &BTreeMap<SessionId, Member>, from: SessionId) -> impl Iterator<Item = &Member> {
    let behind = members.range(from..);
    // Mostly there is one behind, and the others are not even looked for.
    let before = core::iter::once_with(move || members.range(..from)).flatten();
    behind.chain(before).map(|(_, member)| member)
}

impl Search {
    /// Anybody for a message of this quality.
    pub(crate) fn anybody(qos: QoS) -> Self {
        Self {
            qos,
            except: None,
            connected_only: false,
            acknowledged_only: false,
        }
    }

    fn allows(&self, member: &Member) -> bool {
        let acknowledged = self.qos.min(member.options.qos) > QoS::AtMostOnce;
        self.except != Some(member.session.id()) && (acknowledged || !self.acknowledged_only)
    }
}

/// Spreads a text over 64 bits.
fn fnv1a(text: &str) -> u64 {
    text.bytes().fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
    })
}

/// A number in which every bit depends on every bit of `state`.
fn splitmix64(state: u64) -> u64 {
    let mut mixed = state.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(members: u64) -> Arc<Group> {
        let group = Group::new(SubscriberId::group(1), "$share/g/a".into());
        for number in 1..=members {
            put(&group, number, QoS::ExactlyOnce);
        }
        group
    }

    fn put(group: &Group, number: u64, qos: QoS) -> bool {
        let session = Session::new(
            SessionId(number),
            "client".into(),
            100,
            true,
            &Arc::default(),
        );
        let options = SubscriptionOptions {
            qos,
            no_local: false,
            retain_as_published: false,
            identifier: 0,
        };
        session.set_connected(true);
        group.put(&session, options)
    }

    fn set_connected(group: &Group, number: u64, connected: bool) {
        let mut members = group.members.lock();
        if let Some(member) = members.take(SessionId(number)) {
            let session = Arc::clone(&member.session);
            members.add(member);
            drop(members);
            session.set_connected(connected);
            group.tell(SessionId(number));
            assert_eq!(group.knows(SessionId(number)), Some(connected));
        }
    }

    fn set_owed(group: &Group, number: u64, owed: usize) {
        let members = group.members.lock();
        members.connected[&SessionId(number)].session.set_owed(owed);
    }

    fn chosen(group: &Group, strategy: ShareStrategy, times: usize) -> Vec<u64> {
        let search = Search::anybody(QoS::AtLeastOnce);
        (0..times)
            .filter_map(|_| group.choose(strategy, search))
            .map(|chosen| chosen.member.session.id().0)
            .collect()
    }

    #[test]
    fn round_robin_takes_turns_and_joining_or_leaving_does_not_disturb_them() {
        use ShareStrategy::RoundRobin;
        let group = group(4);
        assert_eq!(chosen(&group, RoundRobin, 5), [1, 2, 3, 4, 1]);
        group.remove(SessionId(1));
        assert_eq!(chosen(&group, RoundRobin, 2), [2, 3]);
        put(&group, 1, QoS::AtMostOnce);
        assert_eq!(chosen(&group, RoundRobin, 3), [4, 1, 2]);
        set_connected(&group, 3, false);
        assert_eq!(chosen(&group, RoundRobin, 4), [4, 1, 2, 4]);
        for number in 1..=4 {
            group.remove(SessionId(number));
        }
        assert_eq!(chosen(&group, RoundRobin, 1), []);
    }

    /// With 4,000 draws each of four members is expected 1,000 times, give or take 27 (one standard
    /// deviation); and a member is followed by each with the same chance.
    #[test]
    fn random_spreads_evenly_and_without_an_order() {
        let group = group(4);
        let drawn = chosen(&group, ShareStrategy::Random, 4_000);
        let mut pairs = [0_u32; 16];
        for pair in drawn.windows(2) {
            pairs[usize::try_from((pair[0] - 1) * 4 + pair[1] - 1).unwrap()] += 1;
        }
        assert!(
            pairs.iter().all(|count| (180..=320).contains(count)),
            "{pairs:?}"
        );
        for away in [1, 2, 3] {
            set_connected(&group, away, false);
        }
        assert_eq!(chosen(&group, ShareStrategy::Random, 50), [4; 50]);
    }

    #[test]
    fn sticky_stays_until_its_member_goes() {
        use ShareStrategy::Sticky;
        let group = group(3);
        assert_eq!(chosen(&group, Sticky, 3), [1, 1, 1]);
        set_connected(&group, 1, false);
        assert_eq!(chosen(&group, Sticky, 2), [2, 2]);
        set_connected(&group, 1, true);
        assert_eq!(chosen(&group, Sticky, 2), [2, 2]);
        group.remove(SessionId(2));
        assert_eq!(chosen(&group, Sticky, 2), [3, 3]);
    }

    #[test]
    fn least_inflight_takes_who_is_owed_least_and_takes_turns_among_equals() {
        use ShareStrategy::LeastInflight;
        let group = group(3);
        assert_eq!(chosen(&group, LeastInflight, 4), [1, 2, 3, 1]);
        for (number, owed) in [(1, 2), (2, 1), (3, 1)] {
            set_owed(&group, number, owed);
        }
        assert_eq!(chosen(&group, LeastInflight, 4), [2, 3, 2, 3]);
        set_owed(&group, 1, 0);
        assert_eq!(chosen(&group, LeastInflight, 2), [1, 1]);
    }

    /// Whoever publishes waits for the choice.
    #[test]
    fn least_inflight_compares_so_many_members_at_one_time_and_all_of_them_in_turn() {
        use ShareStrategy::LeastInflight;
        let group = group(600);
        for number in 1..=600 {
            let owed = if number == 300 { 1 } else { 2 };
            set_owed(&group, number, owed);
        }
        assert_eq!(chosen(&group, LeastInflight, 1), [1], "of the first 256");
        assert_eq!(
            chosen(&group, LeastInflight, 43),
            (2..=44).collect::<Vec<_>>()
        );
        assert_eq!(chosen(&group, LeastInflight, 1), [300], "of 45 to 300");
    }

    #[test]
    fn who_is_away_is_asked_last_and_only_where_the_message_can_wait() {
        let group = group(3);
        put(&group, 4, QoS::AtMostOnce);
        for away in [1, 3, 4] {
            set_connected(&group, away, false);
        }
        let search = Search::anybody(QoS::AtLeastOnce);
        let others = |chosen, search| {
            let others = group.others(search, SessionId(chosen), usize::MAX);
            let others = others.into_iter();
            others
                .map(|other| (other.member.session.id().0, other.connected))
                .collect::<Vec<_>>()
        };
        assert_eq!(chosen(&group, ShareStrategy::RoundRobin, 2), [2, 2]);
        assert_eq!(others(2, search), [(3, false), (1, false)]);
        assert_eq!(others(3, search), [(2, true), (1, false)]);
        assert_eq!(others(2, Search::anybody(QoS::AtMostOnce)), []);
        let connected_only = Search {
            connected_only: true,
            ..search
        };
        assert_eq!(others(1, connected_only), [(2, true)]);
        set_connected(&group, 2, false);
        assert_eq!(chosen(&group, ShareStrategy::Sticky, 3), [3, 1, 2]);
    }

    /// Members come, go and connect in any order; a plain map says who is connected.
    #[test]
    fn a_choice_is_among_those_that_are_connected_whoever_came_and_went() {
        let group = group(0);
        let mut known: BTreeMap<u64, bool> = BTreeMap::new();
        for step in 0..5_000 {
            let number = splitmix64(step) % 20;
            match splitmix64(!step) % 4 {
                0 => {
                    let is_new = put(&group, number, QoS::AtLeastOnce);
                    assert_eq!(known.insert(number, true).is_none(), is_new);
                }
                1 => assert_eq!(known.remove(&number), group.knows_and_removes(number)),
                is_connected => {
                    let is_connected = is_connected == 2;
                    set_connected(&group, number, is_connected);
                    known.entry(number).and_modify(|it| *it = is_connected);
                }
            }
            assert_eq!(group.len(), known.len());
            let connected: Vec<u64> = known
                .iter()
                .filter_map(|(number, connected)| connected.then_some(*number))
                .collect();
            let mut round = chosen(&group, ShareStrategy::RoundRobin, connected.len());
            round.sort_unstable();
            assert_eq!(round, connected, "each has its turn");
            if !connected.is_empty() {
                let drawn = chosen(&group, ShareStrategy::Random, 1);
                assert!(connected.contains(&drawn[0]), "{drawn:?} of {connected:?}");
            }
        }
    }

    impl Group {
        fn knows_and_removes(&self, number: u64) -> Option<bool> {
            let known = self.knows(SessionId(number));
            assert_eq!(self.remove(SessionId(number)), known.is_some());
            known
        }
    }

    #[test]
    fn a_member_that_subscribes_again_is_there_once_with_its_new_options() {
        let group = group(1);
        assert!(!put(&group, 1, QoS::AtMostOnce));
        assert_eq!(group.len(), 1);
        let chosen = group.choose(ShareStrategy::RoundRobin, Search::anybody(QoS::ExactlyOnce));
        assert_eq!(chosen.unwrap().member.options.qos, QoS::AtMostOnce);
        assert!(group.remove(SessionId(1)));
        assert!(!group.remove(SessionId(1)));
    }
}
