//! Promise 5 for the subscriptions of a session.

use mqtt_codec::QoS;

use super::Factory;
use super::identifiers::HOSTILE;
use super::samples::{key, put_session, put_subscription, subscribe, subscription, unsubscribe};
use super::subject::Subject;
use crate::persistence::StoredSubscription;
use crate::subscription::SubscriptionOptions;

/// Every option in every value.
fn variants() -> Vec<StoredSubscription> {
    let mut all = Vec::new();
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
        for (no_local, retain_as_published) in
            [(false, false), (false, true), (true, false), (true, true)]
        {
            for identifier in [0, 1, 268_435_455] {
                let options = SubscriptionOptions {
                    qos,
                    no_local,
                    retain_as_published,
                    identifier,
                };
                let filter = format!("f/{:03}", all.len()).into();
                all.push(StoredSubscription { filter, options });
            }
        }
    }
    all
}

pub(super) fn a_subscription_is_found_as_it_was_put<F: Factory>(subject: Subject<'_, F>) {
    let key = key("c", 1);
    subject.commit([put_session(&key)]);
    subject.commit(
        variants()
            .into_iter()
            .map(|one| put_subscription(&key, one)),
    );
    assert_eq!(subject.subscriptions("c"), variants());
    assert_eq!(subject.subscriptions("d"), []);
}

/// Promise 5: also when nothing about it is new.
pub(super) fn a_subscription_is_replaced_by_one_with_its_filter<F: Factory>(
    subject: Subject<'_, F>,
) {
    let key = key("c", 1);
    subject.commit([put_session(&key), subscribe(&key, "b", 9)]);
    for variant in variants() {
        for _ in 0..2 {
            let wanted = StoredSubscription {
                filter: "a".into(),
                ..variant.clone()
            };
            subject.commit([put_subscription(&key, wanted.clone())]);
            assert_eq!(subject.subscriptions("c"), [wanted, subscription("b", 9)]);
        }
    }
}

/// Promise 5: a filter removes itself, not what it matches.
pub(super) fn a_subscription_is_removed_by_its_filter<F: Factory>(subject: Subject<'_, F>) {
    let key = key("c", 1);
    let filters = ["#", "+/b", "a/#", "a/+", "a/b"];
    subject.commit([put_session(&key)]);
    subject.commit(filters.map(|filter| subscribe(&key, filter, 1)));
    let mut left = filters.to_vec();
    for filter in ["a/+", "#", "a/#", "+/b", "a/b"] {
        subject.commit([unsubscribe(&key, filter)]);
        left.retain(|other| *other != filter);
        assert!(
            subject
                .subscriptions("c")
                .iter()
                .map(|one| &*one.filter)
                .eq(left.clone())
        );
    }
}

/// Promise 6.
pub(super) fn filters_of_subscriptions_are_opaque<F: Factory>(subject: Subject<'_, F>) {
    let keys = [key("a", 1), key("a/", 1)];
    let mut sorted = HOSTILE;
    sorted.sort_unstable();
    for key in &keys {
        subject.commit([put_session(key)]);
        subject.commit(HOSTILE.iter().map(|filter| subscribe(key, filter, 1)));
    }
    for filter in HOSTILE {
        subject.commit([unsubscribe(&keys[0], filter)]);
        let found = subject.subscriptions("a");
        assert!(found.iter().all(|one| &*one.filter != filter), "{filter:?}");
    }
    assert_eq!(subject.subscriptions("a"), []);
    assert!(
        subject
            .subscriptions("a/")
            .iter()
            .map(|one| &*one.filter)
            .eq(sorted)
    );
}

pub(super) fn looking_does_not_change_subscriptions<F: Factory>(subject: Subject<'_, F>) {
    let key = key("c", 1);
    subject.commit([put_session(&key), subscribe(&key, "a", 1)]);
    for _ in 0..3 {
        assert_eq!(subject.subscriptions("c"), [subscription("a", 1)]);
    }
}
