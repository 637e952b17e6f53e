//! Shared subscriptions: the members of one, and which of them a message goes to (MQTT 5.0 section
//! 4.8.2).
//!
//! A group is the whole text of a shared subscription, `$share/{name}/{filter}`; sessions that
//! subscribe to the same text are its members. It decides who is next, and knows nothing of what
//! becomes of the message: whether a session takes it is the session's decision, and then the next
//! member is asked.
//!
//! Its lock is held for a choice only, and none other is taken meanwhile. So a choice goes by two
//! numbers that sessions let everybody read: whether they are connected, and how many messages they
//! are owed. Both may be a moment old.

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

#[derive(Debug, Default)]
struct Members {
    /// By ascending session.
    list: Vec<Member>,
    /// Who is next, where the strategy has an order.
    cursor: usize,
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

    /// Adds a member, or gives it other options. False if it was one before.
    pub(crate) fn put(&self, member: Member) -> bool {
        let mut members = self.members.lock();
        match members.place(member.session.id()) {
            Ok(place) => {
                if let Some(known) = members.list.get_mut(place) {
                    known.options = member.options;
                }
                false
            }
            Err(place) => {
                members.list.insert(place, member);
                members.cursor += usize::from(place < members.cursor);
                true
            }
        }
    }

    /// Removes a member. False if it was none.
    pub(crate) fn remove(&self, session: SessionId) -> bool {
        let mut members = self.members.lock();
        let Ok(place) = members.place(session) else {
            return false;
        };
        members.list.remove(place);
        members.cursor -= usize::from(place < members.cursor);
        if members.favourite == Some(session) {
            members.favourite = None;
        }
        true
    }

    /// Lets go of all members: the broker ends.
    pub(crate) fn release_members(&self) {
        let members = core::mem::take(&mut *self.members.lock());
        // With the lock given back: the last hold on a session may be among them.
        drop(members);
    }

    /// How many members there are.
    pub(crate) fn len(&self) -> usize {
        self.members.lock().list.len()
    }

    /// Whether this session is a member.
    #[cfg(any(test, feature = "invariants"))]
    pub(crate) fn has(&self, session: SessionId) -> bool {
        self.members.lock().place(session).is_ok()
    }

    /// Who gets a message: a connected member by the strategy, or where there is none, one whose
    /// session keeps the message for it.
    pub(crate) fn choose(&self, strategy: ShareStrategy, search: Search) -> Option<Chosen> {
        let mut members = self.members.lock();
        let connected = match strategy {
            ShareStrategy::RoundRobin => members.next(|member| search.finds_connected(member)),
            ShareStrategy::Random => members.draw(&self.text, search),
            ShareStrategy::Sticky => members.favourite(search),
            ShareStrategy::LeastInflight => members.least_owed(search),
        };
        let place = connected.or_else(|| members.next(|member| search.finds_away(member)))?;
        members.cursor = place + 1;
        members.list.get(place).map(|member| Chosen {
            member: member.clone(),
            connected: connected.is_some(),
        })
    }

    /// Who else may get it, in the order in which to ask when the one that was chosen does not take
    /// it: connected members, then those whose sessions keep it; so many of them at most.
    pub(crate) fn others(&self, search: Search, chosen: SessionId, limit: usize) -> Vec<Chosen> {
        let members = self.members.lock();
        let find = |connected: bool| {
            let others = members.ring().filter_map(|place| members.list.get(place));
            others
                .filter(move |member| match connected {
                    true => search.finds_connected(member),
                    false => search.finds_away(member),
                })
                .filter(|member| member.session.id() != chosen)
                .map(move |member| Chosen {
                    member: member.clone(),
                    connected,
                })
        };
        find(true).chain(find(false)).take(limit).collect()
    }
}

impl Members {
    fn place(&self, session: SessionId) -> Result<usize, usize> {
        self.list
            .binary_search_by_key(&session, |member| member.session.id())
    }

    /// All places, from the cursor round to the one before it.
    fn ring(&self) -> impl Iterator<Item = usize> + use<> {
        let cursor = self.cursor.min(self.list.len());
        (cursor..self.list.len()).chain(0..cursor)
    }

    fn is(&self, place: usize, wanted: impl Fn(&Member) -> bool) -> bool {
        self.list.get(place).is_some_and(wanted)
    }

    /// The first from the cursor on.
    fn next(&self, wanted: impl Fn(&Member) -> bool) -> Option<usize> {
        self.ring().find(|place| self.is(*place, &wanted))
    }

    fn draw(&mut self, text: &str, search: Search) -> Option<usize> {
        let count = self.list.len() as u64;
        let seed = fnv1a(text);
        for _ in 0..DRAWS {
            self.draws = self.draws.wrapping_add(1);
            let place = splitmix64(seed ^ self.draws).checked_rem(count)?;
            self.cursor = usize::try_from(place).unwrap_or(0);
            if self.is(self.cursor, |member| search.finds_connected(member)) {
                return Some(self.cursor);
            }
        }
        self.next(|member| search.finds_connected(member))
    }

    fn favourite(&mut self, search: Search) -> Option<usize> {
        let known = self.favourite.and_then(|known| self.place(known).ok());
        let known = known.filter(|place| self.is(*place, |member| search.finds_connected(member)));
        let place = known.or_else(|| self.next(|member| search.finds_connected(member)))?;
        self.favourite = self.list.get(place).map(|member| member.session.id());
        Some(place)
    }

    fn least_owed(&self, search: Search) -> Option<usize> {
        let mut best: Option<(u32, usize)> = None;
        let mut compared = 0;
        for place in self.ring() {
            let Some(member) = self.list.get(place) else {
                continue;
            };
            if !search.finds_connected(member) {
                continue;
            }
            let owed = member.session.owed();
            if best.is_none_or(|(least, _)| owed < least) {
                best = Some((owed, place));
            }
            compared += 1;
            if owed == 0 || compared == COMPARED {
                break;
            }
        }
        best.map(|(_, place)| place)
    }
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

    fn finds_connected(&self, member: &Member) -> bool {
        member.session.is_connected() && self.allows(member)
    }

    fn finds_away(&self, member: &Member) -> bool {
        !self.connected_only
            && self.qos.min(member.options.qos) > QoS::AtMostOnce
            && member.session.is_durable()
            && !member.session.is_connected()
            && self.allows(member)
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
            group.put(member(number, QoS::ExactlyOnce));
        }
        group
    }

    fn member(number: u64, qos: QoS) -> Member {
        let session = Session::new(SessionId(number), "client".into(), 100, true);
        session.set_connected(true);
        Member {
            session,
            options: SubscriptionOptions {
                qos,
                no_local: false,
                retain_as_published: false,
                identifier: 0,
            },
        }
    }

    fn with_session(group: &Group, number: u64, change: impl FnOnce(&Session)) {
        let members = group.members.lock();
        let place = members.place(SessionId(number)).unwrap();
        change(&members.list[place].session);
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
        group.put(member(1, QoS::AtMostOnce));
        assert_eq!(chosen(&group, RoundRobin, 3), [4, 1, 2]);
        with_session(&group, 3, |session| session.set_connected(false));
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
            with_session(&group, away, |session| session.set_connected(false));
        }
        assert_eq!(chosen(&group, ShareStrategy::Random, 50), [4; 50]);
    }

    #[test]
    fn sticky_stays_until_its_member_goes() {
        use ShareStrategy::Sticky;
        let group = group(3);
        assert_eq!(chosen(&group, Sticky, 3), [1, 1, 1]);
        with_session(&group, 1, |session| session.set_connected(false));
        assert_eq!(chosen(&group, Sticky, 2), [2, 2]);
        with_session(&group, 1, |session| session.set_connected(true));
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
            with_session(&group, number, |session| session.set_owed(owed));
        }
        assert_eq!(chosen(&group, LeastInflight, 4), [2, 3, 2, 3]);
        with_session(&group, 1, |session| session.set_owed(0));
        assert_eq!(chosen(&group, LeastInflight, 2), [1, 1]);
    }

    /// Whoever publishes waits for the choice.
    #[test]
    fn least_inflight_compares_so_many_members_at_one_time_and_all_of_them_in_turn() {
        use ShareStrategy::LeastInflight;
        let group = group(600);
        for number in 1..=600 {
            let owed = if number == 300 { 1 } else { 2 };
            with_session(&group, number, |session| session.set_owed(owed));
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
        group.put(member(4, QoS::AtMostOnce));
        for away in [1, 3, 4] {
            with_session(&group, away, |session| session.set_connected(false));
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
        with_session(&group, 2, |session| session.set_connected(false));
        assert_eq!(chosen(&group, ShareStrategy::Sticky, 3), [3, 1, 2]);
    }

    #[test]
    fn a_member_that_subscribes_again_is_there_once_with_its_new_options() {
        let group = group(1);
        assert!(!group.put(member(1, QoS::AtMostOnce)));
        assert_eq!(group.len(), 1);
        let chosen = group.choose(ShareStrategy::RoundRobin, Search::anybody(QoS::ExactlyOnce));
        assert_eq!(chosen.unwrap().member.options.qos, QoS::AtMostOnce);
        assert!(group.remove(SessionId(1)));
        assert!(!group.remove(SessionId(1)));
    }
}
