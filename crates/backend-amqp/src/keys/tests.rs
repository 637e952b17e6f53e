//! Keys against the matcher of MQTT and a model of AMQP's.

use proptest::prelude::*;

use super::*;

fn keys(prefix: &str) -> Keys {
    Keys::new(Prefix::new(prefix).unwrap()).unwrap()
}

fn filter(text: &str) -> TopicFilter<'_> {
    TopicFilter::new(text).unwrap()
}

/// What a topic exchange does: `*` is one word, `#` is any number of them.
fn is_bound(binding: &[&str], key: &[&str]) -> bool {
    match (binding, key) {
        ([], []) => true,
        (["#", rest @ ..], _) => {
            is_bound(rest, key)
                || key
                    .split_first()
                    .is_some_and(|(_, key)| is_bound(binding, key))
        }
        (["*", binding @ ..], [_, key @ ..]) => is_bound(binding, key),
        ([word, binding @ ..], [same, key @ ..]) => word == same && is_bound(binding, key),
        _ => false,
    }
}

fn words(key: &str) -> Vec<&str> {
    key.split('.').collect()
}

/// Whether a node with this filter gets a message on this topic: also by a key that is always bound.
fn gets(keys: &Keys, filter: TopicFilter<'_>, topic: &str) -> bool {
    let Some(key) = keys.topic(topic) else {
        return true;
    };
    let binding = keys.filter(filter);
    binding.is_some_and(|it| is_bound(&words(&it), &words(&key)))
}

#[test]
fn keys_are_readable_and_say_what_has_a_meaning_there() {
    for (topic, key) in [
        ("plant/7/temp", "plant.7.temp"),
        ("a.b", "a%2Eb"),
        ("a*/#b", "a%2A.%23b"),
        ("50%", "50%25"),
        ("/", "%.%"),
        ("/lead", "%.lead"),
        ("tr/", "tr.%"),
        ("$SYS/x", "$SYS.x"),
    ] {
        // `#` is no part of a topic name, but may be one of a level some day.
        assert_eq!(keys("").topic(topic).as_deref(), Some(key), "{topic}");
    }
    for (text, key) in [
        ("#", "#"),
        ("+/a/#", "*.a.#"),
        ("+", "*"),
        ("a.b/+", "a%2Eb.*"),
    ] {
        assert_eq!(
            keys("").filter(filter(text)).as_deref(),
            Some(key),
            "{text}"
        );
    }
    assert_eq!(keys("s/1").topic("t").as_deref(), Some("s.1.t"));
    assert_eq!(keys("s").filter(filter("#")).as_deref(), Some("s.#"));
}

#[test]
fn what_another_program_writes_is_a_topic_or_none() {
    for (key, topic) in [
        ("a.b", "a/b"),
        ("50%", "50%"),
        ("%zz.%2", "%zz/%2"),
        ("a..b", "a//b"),
        ("100%.%25.%2e", "100%/%/%2e"),
    ] {
        let place = match is_reserved(key.split('.').next().unwrap()) {
            true => Place::Elsewhere,
            false => Place::Topic(topic.to_owned()),
        };
        assert_eq!(keys("").place(key), place, "{key}");
    }
    for key in ["", "a+b", "%nodes", "%nodes.t", "s", "s.%nodes", "t.s"] {
        let place = keys("s").place(key);
        match key {
            "s.%nodes" => assert_eq!(place, Place::Topic("%nodes".to_owned())),
            _ => assert_eq!(place, Place::Elsewhere, "{key}"),
        }
    }
}

#[test]
fn nodes_of_different_prefixes_have_different_keys() {
    let all = ["", "s", "s/t", "/", "s//"].map(keys);
    for (number, one) in all.iter().enumerate() {
        assert_eq!(one.place(one.nodes()), Place::Ours);
        assert_eq!(one.place(one.long()), Place::Ours);
        for other in &all[..number] {
            assert_eq!(one.place(other.nodes()), Place::Elsewhere);
            assert_eq!(other.place(one.long()), Place::Elsewhere);
        }
    }
    assert!(Keys::new(Prefix::new(&"s".repeat(179)).unwrap()).is_some());
    assert!(Keys::new(Prefix::new(&"s".repeat(180)).unwrap()).is_none());
}

#[test]
fn at_the_longest_key_nothing_is_lost() {
    for length in 245..260 {
        let topic = "x".repeat(length);
        for text in [topic.clone(), format!("{topic}/#"), format!("{topic}/+/#")] {
            let below = format!("{topic}/y");
            for topic in [&topic, &below] {
                let is_match = filter(&text).matches(TopicName::new(topic).unwrap());
                assert!(
                    !is_match || gets(&keys(""), filter(&text), topic),
                    "{length}"
                );
            }
        }
        // As many levels as that, none of which has a character.
        let (levels, pluses) = ("/".repeat(length / 2), "+/".repeat(length / 2) + "+");
        assert!(gets(&keys(""), filter(&pluses), &levels), "{length}");
        for text in [topic, levels, pluses] {
            let key = keys("").filter(filter(&text));
            assert!(key.is_none_or(|it| it.len() <= KEY_BYTES_MAX));
        }
    }
}

fn level() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[ab.*%$]{0,3}",
        1 => Just("nodes".to_owned()),
        1 => Just("%nodes".to_owned()),
        1 => Just("x".repeat(120)),
    ]
}

fn topic_text() -> impl Strategy<Value = String> {
    prop::collection::vec(level(), 1..5)
        .prop_map(|levels| levels.join("/"))
        .prop_filter("a topic has a character", |it| !it.is_empty())
}

fn filter_text() -> impl Strategy<Value = String> {
    let level = prop_oneof![3 => level(), 2 => Just("+".to_owned())];
    (prop::collection::vec(level, 0..5), any::<bool>())
        .prop_map(|(mut levels, is_open)| {
            if is_open || levels.is_empty() {
                levels.push("#".to_owned());
            }
            levels.join("/")
        })
        .prop_filter("a filter has a character", |it| !it.is_empty())
}

proptest! {
    #[test]
    fn a_filter_is_bound_to_what_it_matches_and_to_little_else(
        prefix in prop_oneof![Just(String::new()), "[a.%]{1,3}(/b)?"],
        text in filter_text(),
        topic in topic_text(),
    ) {
        let keys = keys(&prefix);
        let filter = TopicFilter::new(&text).unwrap();
        let name = TopicName::new(&topic).unwrap();
        let gets = gets(&keys, filter, &topic);
        prop_assert!(gets || !filter.matches(name));
        // Nodes look at what begins with `$` again, and at what is long.
        if gets && !name.is_dollar() && keys.topic(&topic).is_some() {
            prop_assert!(filter.matches(name));
        }
    }

    #[test]
    fn a_key_is_that_of_one_topic_and_says_which(
        prefix in prop_oneof![Just(String::new()), "[a.%]{1,3}(/b)?"],
        topic in topic_text(),
    ) {
        let keys = keys(&prefix);
        if let Some(key) = keys.topic(&topic) {
            prop_assert!(key.len() <= TOPIC_KEY_BYTES_MAX);
            prop_assert_eq!(keys.place(&key), Place::Topic(topic));
        }
    }

    #[test]
    fn a_binding_is_that_of_one_filter(one in filter_text(), other in filter_text()) {
        let keys = keys("");
        let bindings = [&one, &other].map(|it| keys.filter(TopicFilter::new(it).unwrap()));
        if let [Some(first), Some(second)] = bindings {
            prop_assert_eq!(first == second, one == other);
        }
    }

    #[test]
    fn any_key_says_something(key in "\\PC{0,60}", prefix in "[a-c/]{0,4}") {
        if let Place::Topic(topic) = keys(&prefix).place(&key) {
            prop_assert!(TopicName::new(&topic).is_ok());
        }
    }
}
