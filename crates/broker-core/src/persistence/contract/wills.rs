//! Promises 5 to 7 for wills: one for each client, found by the node that stored it.

use super::Factory;
use super::samples::{drop_session, drop_will, key, message, put_session, put_will, session, will};
use super::subject::Subject;
use crate::persistence::{Operation, Persistence, StoredWill};

/// The clients whose wills a node has stored.
fn clients<F: Factory>(subject: &Subject<'_, F>, node: &str) -> Vec<String> {
    subject
        .wills(node)
        .iter()
        .map(|will| will.session.client.to_string())
        .collect()
}

pub(super) fn a_will_is_found_as_it_was_put<F: Factory>(subject: Subject<'_, F>) {
    for (delay_secs, expiry_interval_secs) in [
        (0, None),
        (1, Some(0)),
        (60, Some(1)),
        (u32::MAX, Some(u32::MAX)),
    ] {
        let put = StoredWill {
            session: key("c", 3),
            node: "n".into(),
            message: message("status", "gone"),
            delay_secs,
            expiry_interval_secs,
        };
        // Twice, since putting what is there replaces it.
        for _ in 0..2 {
            subject.commit([Operation::PutWill(put.clone())]);
            assert_eq!(subject.wills("n"), std::slice::from_ref(&put));
        }
    }
}

/// A will does not make a session, nor the other way round.
pub(super) fn a_will_needs_no_session<F: Factory>(subject: Subject<'_, F>) {
    subject.commit([put_will(&key("c", 1), "n", "x"), put_session(&key("d", 1))]);
    assert_eq!(subject.session("c"), None);
    assert_eq!(subject.sessions(None, 10), [session(&key("d", 1))]);
    assert_eq!(clients(&subject, "n"), ["c"]);
    subject.commit([put_session(&key("c", 1))]);
    assert_eq!(clients(&subject, "n"), ["c"]);
    subject.commit([drop_will(&key("c", 1))]);
    assert_eq!(clients(&subject, "n"), [""; 0]);
    assert_eq!(subject.session("c"), Some(session(&key("c", 1))));
}

/// Nodes' names are opaque too.
pub(super) fn wills_are_found_by_their_node<F: Factory>(subject: Subject<'_, F>) {
    let nodes = ["n", "n:", "nn", "N", "n/#", "+", "é"];
    for (at, node) in nodes.iter().enumerate() {
        subject.commit([
            put_will(&key(&format!("c{at}"), 1), node, "x"),
            put_will(&key(&format!("n:c{at}"), 1), node, "x"),
        ]);
    }
    for (at, node) in nodes.iter().enumerate() {
        assert_eq!(
            clients(&subject, node),
            [format!("c{at}"), format!("n:c{at}")],
            "{node:?}"
        );
        let second = subject.ask(|store| store.wills(node, Some(&format!("c{at}")), 1));
        assert_eq!(second, [will(&key(&format!("n:c{at}"), 1), node, "x")]);
    }
    assert_eq!(subject.wills("other"), []);
}

/// A client that goes from one node to another has one will, not two.
pub(super) fn a_will_is_replaced_even_from_another_node<F: Factory>(subject: Subject<'_, F>) {
    subject.commit([put_will(&key("c", 1), "one", "x")]);
    subject.commit([put_will(&key("c", 1), "two", "y")]);
    assert_eq!(subject.wills("one"), []);
    assert_eq!(subject.wills("two"), [will(&key("c", 1), "two", "y")]);
    subject.commit([put_will(&key("c", 2), "one", "z")]);
    assert_eq!(subject.wills("one"), [will(&key("c", 2), "one", "z")]);
    assert_eq!(subject.wills("two"), []);
    subject.commit([drop_will(&key("c", 2))]);
    assert_eq!(
        (subject.wills("one"), subject.wills("two")),
        (vec![], vec![])
    );
}

/// Promise 5: what a batch of another session says of the will is late, or early.
pub(super) fn a_will_of_another_incarnation_is_left_alone<F: Factory>(subject: Subject<'_, F>) {
    subject.commit([put_will(&key("c", 5), "n", "x")]);
    subject.commit([
        drop_will(&key("c", 4)),
        drop_will(&key("c", 6)),
        put_will(&key("c", 4), "n", "late"),
        put_will(&key("c", 4), "other", "late"),
    ]);
    assert_eq!(subject.wills("n"), [will(&key("c", 5), "n", "x")]);
    assert_eq!(subject.wills("other"), []);
    // Sessions of other incarnations come and go without it.
    subject.commit([put_session(&key("c", 4)), drop_session(&key("c", 4))]);
    subject.commit([put_session(&key("c", 6)), drop_session(&key("c", 6))]);
    assert_eq!(subject.wills("n"), [will(&key("c", 5), "n", "x")]);
    subject.commit([drop_session(&key("c", 5))]);
    assert_eq!(
        subject.wills("n").len(),
        1,
        "there is no session, so there is nothing to drop"
    );
    subject.commit([put_will(&key("c", 6), "n", "y")]);
    assert_eq!(subject.wills("n"), [will(&key("c", 6), "n", "y")]);
}

/// Promise 7.
pub(super) fn a_will_goes_with_its_session<F: Factory>(subject: Subject<'_, F>) {
    for successor in [drop_session(&key("c", 1)), put_session(&key("c", 2))] {
        subject.commit([drop_session(&key("c", 2)), put_session(&key("c", 1))]);
        subject.commit([
            put_will(&key("c", 1), "n", "x"),
            put_will(&key("d", 1), "n", "x"),
        ]);
        assert_eq!(clients(&subject, "n"), ["c", "d"]);
        subject.commit([successor]);
        assert_eq!(clients(&subject, "n"), ["d"]);
    }
}
