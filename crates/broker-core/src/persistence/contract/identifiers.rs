//! Promise 6: names are opaque. Whatever characters a store uses to put its keys together, there is
//! a client that has them in its identifier.

use super::Factory;
use super::samples::{
    FAR, drop_session, enqueue, furnished, key, message, put_session, retain, session, subscribe,
    subscription,
};
use super::subject::{Contents, Subject};
use crate::persistence::{Operation, Persistence, StoredSession, StoredWill};

/// Names with characters that mean something to someone, and names that are equal in the eyes of
/// someone (case, accents, spaces), but not in those of MQTT.
pub(super) const HOSTILE: [&str; 58] = [
    "a",
    "aa",
    "ab",
    "abc",
    "A",
    "a ",
    " a",
    "a b",
    "a\t",
    "a\n",
    "a\r\n",
    "a:",
    "a:b",
    "a:b:c",
    ":a",
    "::",
    "a/",
    "a/b",
    "/a",
    "/",
    "//",
    "a/b/c",
    "+",
    "a/+",
    "#",
    "a/#",
    "*",
    "a*",
    "?",
    "$",
    "$SYS",
    "$share/g/a",
    "a.b",
    ".",
    "..",
    "../a",
    "a\\b",
    "\\",
    "'",
    "\"",
    "`",
    "{a}",
    "[a]",
    "%",
    "a%2Fb",
    "a_",
    "0",
    "-1",
    "null",
    "é",
    "e\u{301}",
    "ß",
    "\u{1}",
    "\u{7f}",
    "\u{feff}a",
    "\u{e000}",
    "\u{10000}",
    "\u{10ffff}",
];

/// The longest text that MQTT can carry, in bytes.
const LONGEST: usize = 65_535;

/// Promise 6.
pub(super) fn hostile_identifiers_are_kept_apart<F: Factory>(subject: Subject<'_, F>) {
    let node = |client: &str| format!("node of {client}");
    for client in HOSTILE {
        subject.commit(furnished(&key(client, 1), &node(client)));
    }
    let contents: Vec<Contents> = HOSTILE
        .iter()
        .map(|client| subject.contents(client, &node(client)))
        .collect();
    for (client, found) in HOSTILE.iter().zip(&contents) {
        assert_eq!(found.session, Some(session(&key(client, 1))), "{client:?}");
        assert_eq!(found.subscriptions.len(), 2, "{client:?}");
        assert_eq!(subject.queued_texts(client), [*client, *client]);
        assert_eq!(found.incoming.len(), 2, "{client:?}");
        assert!(found.will.is_some(), "{client:?}");
        assert_eq!(subject.wills(&node(client)).len(), 1, "{client:?}");
    }
    // Every second one goes, and the others do not notice.
    subject.commit(
        HOSTILE
            .iter()
            .step_by(2)
            .map(|client| drop_session(&key(client, 1))),
    );
    for (at, client) in HOSTILE.iter().enumerate() {
        let found = subject.contents(client, &node(client));
        let gone = Contents::default();
        assert_eq!(
            &found,
            if at % 2 == 0 { &gone } else { &contents[at] },
            "{client:?}"
        );
    }
}

/// Promise 4, where the order of bytes is not that of an alphabet nor that of UTF-16.
pub(super) fn identifiers_come_in_the_order_of_their_bytes<F: Factory>(subject: Subject<'_, F>) {
    let mut sorted = HOSTILE;
    sorted.sort_unstable();
    for name in HOSTILE {
        subject.commit(furnished(&key(name, 1), "n"));
        subject.commit([subscribe(&key("a", 1), name, 3)]);
    }
    assert!(subject.clients().iter().map(|client| &**client).eq(sorted));
    let wills = subject.wills("n");
    assert!(wills.iter().map(|will| &*will.session.client).eq(sorted));
    // One of the filters that `furnished` brings is not among the names.
    let mut filters = [&sorted[..], &["b/#"]].concat();
    filters.sort_unstable();
    filters.dedup();
    assert!(filters.contains(&"a/+"));
    assert!(
        subject
            .subscriptions("a")
            .iter()
            .map(|one| &*one.filter)
            .eq(filters)
    );

    for (at, name) in sorted.iter().enumerate() {
        let next = subject.sessions(Some(name), 1);
        let next = next.first().map(|session| &*session.session.client);
        assert_eq!(next, sorted.get(at + 1).copied(), "after {name:?}");
    }
}

/// Promise 6, at the largest size, where the difference may be in the last byte.
pub(super) fn identifiers_may_be_as_long_as_mqtt_allows<F: Factory>(subject: Subject<'_, F>) {
    let prefix = "x".repeat(LONGEST - 1);
    let names = [prefix.clone(), format!("{prefix}x"), format!("{prefix}y")];
    for name in &names {
        let key = key(name, 1);
        subject.commit(furnished(&key, name));
        subject.commit([
            subscribe(&key, name, 4),
            enqueue(&key, 3, &message(name, name)),
            retain(name, name),
        ]);
    }
    let clients = subject.clients();
    assert!(
        clients
            .iter()
            .map(|client| &**client)
            .eq(names.iter().map(|name| &**name))
    );
    for name in &names {
        let found = subject.contents(name, name);
        assert!(found.subscriptions.last() == Some(&subscription(name, 4)));
        assert!(found.outgoing[2].message.as_deref() == Some(&*message(name, name)));
        assert!(found.will.is_some_and(|will| *will.node == **name));
        assert!(subject.retained(Some(name)) == [message(name, name)]);
    }
    assert!(subject.retained_topics(None) == names);
    assert!(subject.retained_topics(Some("+")) == names);
    subject.commit([
        drop_session(&key(&names[0], 1)),
        drop_session(&key(&names[2], 1)),
    ]);
    assert_eq!(subject.clients().len(), 1);
    assert_eq!(subject.subscriptions(&names[1]).len(), 3);
    assert_eq!(subject.subscriptions(&names[0]).len(), 0);
}

/// Promise 6: numbers beyond those that a `double` or a signed integer can hold.
pub(super) fn numbers_may_be_as_large_as_their_types<F: Factory>(subject: Subject<'_, F>) {
    const NUMBERS: [u64; 11] = [
        0,
        1,
        255,
        256,
        u32::MAX as u64,
        1 << 32,
        1 << 53,
        (1 << 53) + 1,
        i64::MAX as u64,
        i64::MAX as u64 + 1,
        u64::MAX,
    ];
    // Sequence numbers.
    let owner = key("c", 1);
    let shared = message("a/b", "x");
    subject.commit([put_session(&owner)]);
    subject.commit(
        NUMBERS
            .iter()
            .rev()
            .map(|number| enqueue(&owner, *number, &shared)),
    );
    assert_eq!(subject.sequences("c"), NUMBERS);
    for (at, number) in NUMBERS.iter().enumerate() {
        let next = subject.outgoing_page("c", Some(*number), 1);
        let next = next.first().map(|outgoing| outgoing.sequence);
        assert_eq!(next, NUMBERS.get(at + 1).copied(), "after {number}");
    }

    // Incarnations, each greater than the one before.
    let mut stored = Vec::new();
    for incarnation in NUMBERS {
        let owner = key("i", incarnation);
        subject.commit([put_session(&owner), subscribe(&owner, "a", 1)]);
        assert_eq!(subject.session("i"), Some(session(&owner)));
        for earlier in &stored {
            subject.commit([drop_session(earlier), put_session(earlier)]);
        }
        assert_eq!(subject.session("i"), Some(session(&owner)));
        assert_eq!(subject.subscriptions("i").len(), 1);
        stored.push(owner);
    }
}

/// Intervals in seconds, to "for ever" and the largest delay, and subscription identifiers.
pub(super) fn intervals_may_be_as_large_as_their_types<F: Factory>(subject: Subject<'_, F>) {
    let owner = key("c", 1);
    let shared = message("a/b", "x");
    for number in [0, 1, 268_435_455, i32::MAX as u32 + 1, u32::MAX] {
        let record = StoredSession {
            session: owner.clone(),
            expiry_interval_secs: number,
            disconnected_at: Some(FAR),
        };
        let will = StoredWill {
            session: owner.clone(),
            node: "n".into(),
            message: shared.clone(),
            delay_secs: number,
            expiry_interval_secs: Some(number),
        };
        let subscription = subscription("a", number.min(268_435_455));
        subject.commit([
            Operation::PutSession(record.clone()),
            Operation::PutWill(will.clone()),
            subscribe(&owner, "a", number.min(268_435_455)),
        ]);
        assert_eq!(subject.session("c"), Some(record));
        assert_eq!(subject.wills("n"), [will]);
        assert_eq!(
            subject.ask(|store| store.subscriptions("c", None, 1)),
            [subscription]
        );
    }
}
