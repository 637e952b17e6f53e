//! Promise 6: names are opaque. Whatever characters a store uses to put its keys together, there is
//! a client that has them in its identifier.

use super::Factory;
use super::samples::{
    FAR, dequeue, drop_session, enqueue, furnished, key, message, put_session, put_will, retain,
    session, subscribe, subscription,
};
use super::subject::{Contents, Subject};
use crate::persistence::{Operation, Persistence, StoredSession, StoredWill};

/// Names with characters that mean something to someone, and names that are equal in the eyes of
/// someone (case, accents, spaces), but not in those of MQTT.
pub(super) const HOSTILE: [&str; 96] = [
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
    // Keys made of a name and a number, or of two names, that run together.
    "a1",
    "a11",
    "a:1",
    "a:1:1",
    "1",
    "11",
    "01",
    "1e1",
    // Ends of ranges, and what separates in one format or another.
    "a~",
    "~",
    "a!",
    "a\u{7f}",
    "a\u{ff}",
    "a\u{10ffff}",
    "a,b",
    "a;b",
    "a|b",
    "a=b",
    "a&b",
    "a\u{1f}b",
    // Hash tags, groups and names that mean something to a language.
    "{",
    "}",
    "{}",
    "}{",
    "{a}b",
    "b{a}",
    "{{a}}",
    "a$",
    "^a$",
    "(a)",
    "<a>",
    "__proto__",
    "true",
    // Nothing to see.
    " ",
    "\n",
    "\u{85}",
    "\u{200d}",
    "\u{202e}a",
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

/// Promise 6, where a store's keys are made of a name and a number: the end of the one and the
/// beginning of the other could change places.
pub(super) fn names_and_numbers_do_not_run_together<F: Factory>(subject: Subject<'_, F>) {
    // Each has the same digits when they are written one after the other.
    let owners = [
        key("c", 111),
        key("c1", 11),
        key("c11", 1),
        key("c:1", 11),
        key("c:11", 1),
    ];
    for (at, owner) in owners.iter().enumerate() {
        let text = at.to_string();
        subject.commit([
            put_session(owner),
            enqueue(owner, 1, &message("a", &text)),
            enqueue(owner, 11, &message("b", &text)),
            enqueue(owner, 111, &message("c", &text)),
        ]);
    }
    for (at, owner) in owners.iter().enumerate() {
        let client = &*owner.client;
        assert_eq!(subject.session(client), Some(session(owner)));
        assert_eq!(subject.sequences(client), [1, 11, 111]);
        assert_eq!(subject.queued_texts(client), vec![at.to_string(); 3]);
    }
    subject.commit([
        dequeue(&owners[0], 111),
        dequeue(&owners[1], 11),
        drop_session(&owners[2]),
    ]);
    assert_eq!(subject.sequences("c"), [1, 11]);
    assert_eq!(subject.sequences("c1"), [1, 111]);
    assert_eq!(subject.contents("c11", "n"), Contents::default());
    assert_eq!(subject.sequences("c:1"), [1, 11, 111]);
    assert_eq!(subject.sequences("c:11"), [1, 11, 111]);
}

/// Promise 6, where a store's keys are made of two names.
pub(super) fn two_names_do_not_run_together<F: Factory>(subject: Subject<'_, F>) {
    // Each two of them have the same letters when they are written one after the other.
    let pairs = [
        ("x", "y/z"),
        ("x/y", "z"),
        ("x/", "y/z"),
        ("x:", "y:z"),
        ("x", ":y:z"),
        ("x:y", "z"),
    ];
    for (one, other) in pairs {
        let owner = key(one, 1);
        subject.commit([put_session(&owner), subscribe(&owner, other, 1)]);
        subject.commit([put_will(&key(&format!("{one} {other}"), 1), one, other)]);
        subject.commit([put_will(&key(other, 1), one, other)]);
    }
    for (one, _) in pairs {
        let others = || {
            pairs
                .iter()
                .filter(|(this, _)| *this == one)
                .map(|(_, other)| *other)
        };
        let mut wanted: Vec<&str> = others().collect();
        wanted.sort_unstable();
        let found = subject.subscriptions(one);
        assert!(
            found.iter().map(|found| &*found.filter).eq(wanted),
            "{one:?}"
        );

        // A client has one will, of the node that has put one last.
        let node = |client: &str| pairs.iter().rev().find(|(_, other)| *other == client);
        let last = |client: &&str| node(client).is_some_and(|(node, _)| *node == one);
        let mut wanted: Vec<String> = others().map(|other| format!("{one} {other}")).collect();
        wanted.extend(others().filter(last).map(str::to_owned));
        wanted.sort_unstable();
        let found = subject.wills(one);
        assert!(
            found.iter().map(|will| &*will.session.client).eq(wanted),
            "{one:?}"
        );
    }
}
