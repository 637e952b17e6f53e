//! Promises 4, 5 and 9 for retained messages: one for each topic, found by filters as section 4.7
//! of the specification says.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;

use topic_trie::{TopicFilter, TopicName};

use super::Factory;
use super::draw::Draw;
use super::samples::{
    SEED, drop_retained, drop_session, enqueue, key, message, put_session, retain, subscribe,
};
use super::subject::{Subject, text};
use crate::Message;

pub(super) fn a_retained_message_is_found_by_its_topic<F: Factory>(subject: Subject<'_, F>) {
    subject.commit([retain("a/b", "x")]);
    assert_eq!(subject.retained(Some("a/b")), [message("a/b", "x")]);
    for other in ["a", "a/", "a/b/", "/a/b", "A/b", "a/b/c", "a/bc", "b"] {
        assert_eq!(subject.retained(Some(other)), [], "{other:?}");
    }
}

/// Promise 5, by another message and by the same.
pub(super) fn a_retained_message_is_replaced<F: Factory>(subject: Subject<'_, F>) {
    subject.commit([retain("a/c", "other")]);
    for payload in ["one", "two", "two", "one"] {
        subject.commit([retain("a/b", payload)]);
        assert_eq!(subject.retained(Some("a/b")), [message("a/b", payload)]);
        assert_eq!(subject.retained_topics(None), ["a/b", "a/c"]);
    }
}

/// Promises 1 and 5.
pub(super) fn one_of_many_writers_wins<F: Factory>(subject: Subject<'_, F>) {
    thread::scope(|scope| {
        for writer in 0..5 {
            let subject = &subject;
            scope.spawn(move || {
                for number in 0..20 {
                    subject.commit([retain("a/b", &format!("{writer} {number}"))]);
                }
            });
        }
    });
    let found = subject.retained(Some("a/b"));
    assert_eq!(found.len(), 1);
    assert!(
        text(&found[0]).ends_with(" 19"),
        "{:?} is no writer's last word",
        text(&found[0])
    );
}

pub(super) fn a_retained_message_is_removed<F: Factory>(subject: Subject<'_, F>) {
    subject.commit(["a", "a/b", "a/b/c"].map(|topic| retain(topic, "x")));
    for _ in 0..2 {
        subject.commit([drop_retained("a/b")]);
        assert_eq!(subject.retained_topics(None), ["a", "a/b/c"]);
        assert_eq!(subject.retained(Some("a/b")), []);
    }
    subject.commit([retain("a/b", "again")]);
    assert_eq!(subject.retained_topics(Some("a/#")), ["a", "a/b", "a/b/c"]);
}

/// Stores the topics and compares what each filter finds.
fn assert_found<F: Factory>(subject: &Subject<'_, F>, topics: &[&str], table: &[(&str, &[&str])]) {
    subject.commit(topics.iter().map(|topic| retain(topic, topic)));
    for (filter, wanted) in table {
        let found = subject.retained(Some(filter));
        let topics: Vec<&str> = found.iter().map(|message| message.topic()).collect();
        assert_eq!(&topics[..], *wanted, "by {filter:?}");
        assert!(
            found.iter().all(|message| text(message) == message.topic()),
            "by {filter:?}"
        );
    }
}

/// Promise 9.
pub(super) fn filters_find_what_they_match<F: Factory>(subject: Subject<'_, F>) {
    let topics = [
        "a", "a/b", "a/b/c", "a/bb", "a/c", "a/d/c", "aa", "b", "b/b",
    ];
    let table: &[(&str, &[&str])] = &[
        ("#", &topics),
        ("+", &["a", "aa", "b"]),
        ("a/#", &["a", "a/b", "a/b/c", "a/bb", "a/c", "a/d/c"]),
        ("a/+", &["a/b", "a/bb", "a/c"]),
        ("+/b", &["a/b", "b/b"]),
        ("a/+/c", &["a/b/c", "a/d/c"]),
        ("+/+", &["a/b", "a/bb", "a/c", "b/b"]),
        ("+/b/#", &["a/b", "a/b/c", "b/b"]),
        ("a/b/#", &["a/b", "a/b/c"]),
        ("+/+/+/#", &["a/b/c", "a/d/c"]),
        ("c/#", &[]),
        ("a/+/+/+", &[]),
    ];
    assert_found(&subject, &topics, table);
}

/// Promise 9 [MQTT-4.7.2-1].
pub(super) fn a_wildcard_in_front_does_not_match_dollar_topics<F: Factory>(
    subject: Subject<'_, F>,
) {
    let topics = ["$", "$SYS", "$SYS/a", "$SYS/a/b", "a", "a/$SYS", "a/$SYS/b"];
    let table: &[(&str, &[&str])] = &[
        ("#", &["a", "a/$SYS", "a/$SYS/b"]),
        ("+", &["a"]),
        ("+/a", &[]),
        ("+/a/#", &[]),
        ("+/$SYS", &["a/$SYS"]),
        ("a/#", &["a", "a/$SYS", "a/$SYS/b"]),
        ("a/+", &["a/$SYS"]),
        ("$", &["$"]),
        ("$SYS/#", &["$SYS", "$SYS/a", "$SYS/a/b"]),
        ("$SYS/+", &["$SYS/a"]),
        ("$SYS/+/b", &["$SYS/a/b"]),
        ("$SYS/a", &["$SYS/a"]),
    ];
    assert_found(&subject, &topics, table);
}

/// Promise 9: a slash at either end, or two in a row, make a level without characters.
pub(super) fn empty_levels_are_levels<F: Factory>(subject: Subject<'_, F>) {
    let topics = ["/", "//", "/a", "a", "a/", "a//", "a//b", "a/b"];
    let table: &[(&str, &[&str])] = &[
        ("#", &topics),
        ("/#", &["/", "//", "/a"]),
        ("+", &["a"]),
        ("/+", &["/", "/a"]),
        ("+/+", &["/", "/a", "a/", "a/b"]),
        ("+/", &["/", "a/"]),
        ("a/", &["a/"]),
        ("a/+", &["a/", "a/b"]),
        ("a/#", &["a", "a/", "a//", "a//b", "a/b"]),
        ("a/+/b", &["a//b"]),
        ("a//+", &["a//", "a//b"]),
        ("+//+", &["//", "a//", "a//b"]),
    ];
    assert_found(&subject, &topics, table);
}

/// Promise 4: those whose topics begin with `$` too.
pub(super) fn without_a_filter_all_are_found<F: Factory>(subject: Subject<'_, F>) {
    let topics = ["$SYS/a", "/", "a", "a/b", "b", "é", "\u{e000}", "\u{10000}"];
    subject.commit(topics.iter().rev().map(|topic| retain(topic, "x")));
    assert_eq!(subject.retained_topics(None), topics);
}

/// Promise 9: what a pattern language, a query or a file name would make of these must not matter.
pub(super) fn characters_with_a_meaning_elsewhere_have_none_here<F: Factory>(
    subject: Subject<'_, F>,
) {
    const LEVELS: [&str; 18] = [
        " ", "\"", "$a", "%", "'", "(a|b)", "*", ".", "..", ".*", "0:1", "?", "[ab]", "\\", "^a",
        "_", "a$", "{a}",
    ];
    let owned: Vec<String> = LEVELS.iter().map(|level| format!("x/{level}/y")).collect();
    let mut topics: Vec<&str> = owned.iter().map(|topic| &**topic).collect();
    topics.sort_unstable();
    assert_found(
        &subject,
        &topics,
        &[("x/+/y", &topics), ("x/#", &topics), ("#", &topics)],
    );
    assert_found(&subject, &["x/b/y"], &[("x/b/y", &["x/b/y"])]);
    for topic in &topics {
        assert_found(&subject, &[], &[(topic, &[topic])]);
        let below = format!("{topic}/#");
        assert_found(&subject, &[], &[(&below, &[topic])]);
    }
}

/// Promises 4 and 9: filters and topics as drawn, whole and in pages, while messages come and go;
/// `TopicFilter::matches` and a sorted map say what must be found.
pub(super) fn drawn_filters_find_what_the_rules_say<F: Factory>(subject: Subject<'_, F>) {
    const LEVELS: [&str; 9] = ["", "a", "b", "ab", "$a", "é", "z", "-", "0"];
    let mut draw = Draw::new(SEED);
    let mut model: BTreeMap<String, Arc<Message>> = BTreeMap::new();
    for round in 0..40 {
        let mut operations = Vec::new();
        for _ in 0..subject.scale().retained_messages / 40 {
            let topic = drawn_text(&mut draw, &LEVELS);
            if TopicName::new(&topic).is_err() {
                continue;
            }
            if draw.below(4) == 0 {
                model.remove(&topic);
                operations.push(drop_retained(&topic));
            } else {
                let payload = round.to_string();
                model.insert(topic.clone(), message(&topic, &payload));
                operations.push(retain(&topic, &payload));
            }
        }
        subject.commit(operations);
        for _ in 0..10 {
            let mut filter = drawn_text(&mut draw, &[&LEVELS[..], &["+"; 6]].concat());
            if draw.below(3) == 0 {
                filter.push_str("/#");
            }
            let Ok(parsed) = TopicFilter::new(&filter) else {
                continue;
            };
            let matches = |message: &&Arc<Message>| {
                TopicName::new(message.topic()).is_ok_and(|topic| parsed.matches(topic))
            };
            let wanted: Vec<_> = model.values().filter(matches).cloned().collect();
            assert_eq!(subject.retained(Some(&filter)), wanted, "by {filter:?}");
            let limit = 1 + draw.below(7);
            assert_eq!(
                in_pages(&subject, &filter, limit),
                wanted,
                "by {filter:?} {limit} a page"
            );
        }
    }
    assert_eq!(
        subject.retained(None),
        model.into_values().collect::<Vec<_>>()
    );
}

fn drawn_text(draw: &mut Draw, levels: &[&str]) -> String {
    let count = 1 + draw.below(4);
    let drawn: Vec<&str> = (0..count).map(|_| draw.of(levels)).collect();
    drawn.join("/")
}

fn in_pages<F: Factory>(subject: &Subject<'_, F>, filter: &str, limit: usize) -> Vec<Arc<Message>> {
    let mut found: Vec<Arc<Message>> = Vec::new();
    loop {
        let after = found.last().map(|message| message.topic());
        let page = subject.retained_page(Some(filter), after, limit);
        assert!(
            page.len() <= limit,
            "{} where {limit} were asked for",
            page.len()
        );
        if page.is_empty() {
            return found;
        }
        assert!(found.last() != page.last(), "the same page again");
        found.extend(page);
    }
}

/// Promise 7: a retained message belongs to nobody.
pub(super) fn retained_messages_outlive_sessions<F: Factory>(subject: Subject<'_, F>) {
    let key = key("a/b", 1);
    subject.commit([
        put_session(&key),
        subscribe(&key, "a/b", 1),
        enqueue(&key, 1, &message("a/b", "x")),
        retain("a/b", "x"),
    ]);
    subject.commit([drop_session(&key)]);
    assert_eq!(subject.retained(None), [message("a/b", "x")]);
}
