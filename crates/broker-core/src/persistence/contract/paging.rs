//! Promise 4 across pages: of any size, from anywhere, and while the list changes.

use super::Factory;
use super::draw::Draw;
use super::samples::{
    SEED, dequeue, drop_retained, drop_session, drop_will, enqueue, key, message, put_session,
    put_will, retain, subscribe, unsubscribe,
};
use super::subject::Subject;
use crate::persistence::{Operation, Persistence};
use topic_trie::TopicFilter;

/// Whose subscriptions, messages and wills the lists are made of.
const NAME: &str = "owner";

/// The lists that a store has.
#[derive(Clone, Copy, Debug)]
enum List {
    Sessions,
    Subscriptions,
    Outgoing,
    Retained,
    RetainedByFilter,
    Wills,
}

const LISTS: [List; 6] = [
    List::Sessions,
    List::Subscriptions,
    List::Outgoing,
    List::Retained,
    List::RetainedByFilter,
    List::Wills,
];

impl List {
    /// What has to be there before there can be an entry.
    fn prepare(self) -> Vec<Operation> {
        match self {
            Self::Subscriptions | Self::Outgoing => vec![put_session(&key(NAME, 1))],
            // Topics that the filter does not match, on both sides of each that it does.
            Self::RetainedByFilter => (0..400)
                .flat_map(|entry| [format!("{entry:05}"), format!("{entry:05}/x/y")])
                .map(|topic| retain(&topic, "another"))
                .collect(),
            _ => Vec::new(),
        }
    }

    fn put(self, entry: u64) -> Operation {
        let (owner, name) = (key(NAME, 1), self.name(entry));
        match self {
            Self::Sessions => put_session(&key(&name, 1)),
            Self::Subscriptions => subscribe(&owner, &name, 1),
            Self::Outgoing => enqueue(&owner, entry, &message("a", "x")),
            Self::Retained | Self::RetainedByFilter => retain(&name, "x"),
            Self::Wills => put_will(&key(&name, 1), NAME, "x"),
        }
    }

    fn remove(self, entry: u64) -> Operation {
        let (owner, name) = (key(NAME, 1), self.name(entry));
        match self {
            Self::Sessions => drop_session(&key(&name, 1)),
            Self::Subscriptions => unsubscribe(&owner, &name),
            Self::Outgoing => dequeue(&owner, entry),
            Self::Retained | Self::RetainedByFilter => drop_retained(&name),
            Self::Wills => drop_will(&key(&name, 1)),
        }
    }

    /// The order of the names is that of the numbers.
    fn name(self, entry: u64) -> String {
        match self {
            Self::RetainedByFilter => format!("{entry:05}/x"),
            _ => format!("{entry:05}"),
        }
    }

    fn page<F: Factory>(
        self,
        subject: &Subject<'_, F>,
        after: Option<u64>,
        limit: usize,
    ) -> Vec<u64> {
        let name = after.map(|entry| self.name(entry));
        let name = name.as_deref();
        let entries = |names: Vec<String>| {
            let number = |name: String| name.split('/').next().and_then(|text| text.parse().ok());
            names.into_iter().filter_map(number).collect()
        };
        let topics = |filter| {
            let page = subject.ask(|store| store.retained(filter, name, limit));
            entries(
                page.iter()
                    .map(|message| message.topic().to_owned())
                    .collect(),
            )
        };
        match self {
            Self::Sessions => {
                let page = subject.sessions(name, limit);
                entries(
                    page.iter()
                        .map(|one| one.session.client.to_string())
                        .collect(),
                )
            }
            Self::Subscriptions => {
                let page = subject.ask(|store| store.subscriptions(NAME, name, limit));
                entries(page.iter().map(|one| one.filter.to_string()).collect())
            }
            Self::Outgoing => {
                let page = subject.outgoing_page(NAME, after, limit);
                page.iter().map(|one| one.sequence).collect()
            }
            Self::Retained => topics(None),
            Self::RetainedByFilter => topics(TopicFilter::new("+/x").ok()),
            Self::Wills => {
                let page = subject.ask(|store| store.wills(NAME, name, limit));
                entries(
                    page.iter()
                        .map(|one| one.session.client.to_string())
                        .collect(),
                )
            }
        }
    }

    /// All pages, until there is an empty one. Between two of them something may happen.
    fn walk<F: Factory>(
        self,
        subject: &Subject<'_, F>,
        limit: usize,
        mut between: impl FnMut(u64),
    ) -> Vec<u64> {
        let mut found = Vec::new();
        loop {
            let page = self.page(subject, found.last().copied(), limit);
            assert!(
                page.len() <= limit,
                "{self:?}: {} where {limit} were asked for",
                page.len()
            );
            let Some(last) = page.last().copied() else {
                return found;
            };
            assert!(found.last() != Some(&last), "{self:?}: the same page again");
            found.extend(page);
            between(last);
        }
    }
}

/// One short of a page, exactly one, one more; exactly two; and more than there can be.
pub(super) fn pages_of_any_size_give_all_in_order<F: Factory>(subject: Subject<'_, F>) {
    for list in LISTS {
        subject.commit(list.prepare());
        let mut wanted = Vec::new();
        for count in 0..=12_u64 {
            for limit in [1, 2, 3, 4, 6, 11, 12, 13, usize::MAX] {
                assert_eq!(
                    list.walk(&subject, limit, |_| {}),
                    wanted,
                    "{list:?}, {limit} a page"
                );
            }
            subject.commit([list.put(count * 2)]);
            wanted.push(count * 2);
        }
        subject.commit(wanted.iter().map(|entry| list.remove(*entry)));
        subject.commit([drop_session(&key(NAME, 1))]);
    }
}

/// Before the first, between any two, behind the last.
pub(super) fn a_page_may_start_behind_what_is_not_there<F: Factory>(subject: Subject<'_, F>) {
    for list in [
        List::Outgoing,
        List::Sessions,
        List::Subscriptions,
        List::Wills,
        List::Retained,
    ] {
        subject.commit(list.prepare());
        subject.commit([3, 5, 7].map(|entry| list.put(entry)));
    }
    let table: [(u64, &[u64]); 8] = [
        (0, &[3, 5, 7]),
        (2, &[3, 5, 7]),
        (3, &[5, 7]),
        (4, &[5, 7]),
        (5, &[7]),
        (6, &[7]),
        (7, &[]),
        (99_999, &[]),
    ];
    for list in [
        List::Outgoing,
        List::Sessions,
        List::Subscriptions,
        List::Wills,
        List::Retained,
    ] {
        for (after, wanted) in table {
            assert_eq!(
                list.page(&subject, Some(after), 10),
                wanted,
                "{list:?} after {after}"
            );
        }
    }
}

pub(super) fn a_limit_of_zero_gives_nothing<F: Factory>(subject: Subject<'_, F>) {
    for list in LISTS {
        subject.commit(list.prepare());
        subject.commit([list.put(1)]);
        assert_eq!(list.page(&subject, None, 0), [], "{list:?}");
        assert_eq!(list.page(&subject, None, 1), [1], "{list:?}");
    }
}

fn assert_what_stays_is_found<F: Factory>(subject: &Subject<'_, F>, list: List) {
    let mut draw = Draw::new(SEED);
    // Of three numbers in a row one stays, one is there at first, and one is not.
    let stays = |entry: u64| entry.is_multiple_of(3);
    subject.commit(list.prepare());
    subject.commit(
        (0..300)
            .filter(|entry| entry % 3 != 2)
            .map(|entry| list.put(entry)),
    );
    for limit in [1, 2, 7, 64] {
        let found = list.walk(subject, limit, |last| {
            let mut operations = Vec::new();
            if !stays(last) {
                // The next page starts behind what is not there any more.
                operations.push(list.remove(last));
            }
            for _ in 0..5 {
                let entry = draw.below(300) as u64;
                match (stays(entry), draw.below(2)) {
                    // It stays, but is written again.
                    (true, _) | (false, 0) => operations.push(list.put(entry)),
                    (false, _) => operations.push(list.remove(entry)),
                }
            }
            subject.commit(operations);
        });
        assert!(
            found.is_sorted_by(|one, next| one < next),
            "{list:?}: {found:?} is not in order"
        );
        let stayed: Vec<u64> = found.into_iter().filter(|entry| stays(*entry)).collect();
        let wanted: Vec<u64> = (0..300).filter(|entry| stays(*entry)).collect();
        assert_eq!(stayed, wanted, "{list:?}, {limit} a page");
    }
}

pub(super) fn what_stays_is_found_while_others_come_and_go<F: Factory>(subject: Subject<'_, F>) {
    for list in [
        List::Outgoing,
        List::Subscriptions,
        List::Wills,
        List::Retained,
    ] {
        assert_what_stays_is_found(&subject, list);
    }
    subject.commit([drop_session(&key(NAME, 1))]);
    assert_what_stays_is_found(&subject, List::Sessions);
}

pub(super) fn filtered_pages_find_what_stays<F: Factory>(subject: Subject<'_, F>) {
    assert_what_stays_is_found(&subject, List::RetainedByFilter);
}
