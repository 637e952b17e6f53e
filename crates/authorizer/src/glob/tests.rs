//! The facts about patterns one by one, and patterns against a matcher that only recurses.

use proptest::prelude::*;

use super::*;

#[test]
fn what_is_known_of_mosca_s_patterns() {
    for (pattern, matching, other) in [
        (
            "**",
            &["a/b", "/a/b", "a//b", "$SYS/x", "#", "+/+", ""][..],
            &["a/.x", ".x", ".x/a"][..],
        ),
        ("*", &["a"], &["a/b", "/a", "", ".a"]),
        (
            "/topic/*",
            &["/topic/a"],
            &["/topic/a/b", "topic/a", "/topic/.a"],
        ),
        (
            "/topic/**",
            &["/topic/", "/topic/a/b"],
            &["/topic", "/topic/a/.b"],
        ),
        (
            "/topic/**/buu",
            &["/topic/other/long/buu", "/topic/buu"],
            &["/topic/other"],
        ),
        (
            "hello/**/*",
            &["hello/x", "hello/x/y/z"],
            &["hello", "hello/"],
        ),
        ("a/**", &["a/#", "a/+/b"], &["a", "b/a"]),
        (
            "a/*",
            &["a/b/", "a/b", "a//b", "a/+", "a/#"],
            &["a/", "a", "a/b/c", "a/.x"],
        ),
        ("a?c", &["abc", "aüc"], &["ac", "abbc", "a/c"]),
        ("?x", &["ax"], &[".x"]),
        ("[xy]/a", &["x/a", "y/a"], &["z/a", "xy/a"]),
        ("[!x]", &["y"], &["x", ".", ""]),
        ("{a,b}/c", &["a/c", "b/c"], &["c/c", "{a,b}/c"]),
        ("+(a|b)", &["a", "ab", "bba"], &["", "abc", "+(a|b)"]),
        ("x/!(a)", &["x/b", "x/aa"], &["x/a", "x/", "x/.b"]),
        // In front it is the sign for all but the rest.
        ("!(a)", &["a", "b"], &["(a)"]),
        ("a!(b)c", &["ac", "axc"], &["abc"]),
        (
            "!secret",
            &["a", "a/b", ".x", "secret/a"],
            &["secret", "secret/"],
        ),
        ("!!a", &["a"], &["b"]),
        ("#a", &[], &["#a", "a"]),
        (r"\#a", &["#a"], &["a"]),
        (r"a\*", &["a*"], &["ab"]),
        ("a/+/b", &["a/+/b"], &["a/x/b"]),
        (".x/*", &[".x/a"], &["ax/a"]),
        ("  a  ", &["a"], &["  a  "]),
        ("Topic", &["Topic"], &["topic"]),
    ] {
        let glob = Glob::new(pattern).unwrap();
        for topic in matching {
            assert!(glob.matches(topic), "{pattern} matches {topic:?}");
        }
        for topic in other {
            assert!(!glob.matches(topic), "{pattern} does not match {topic:?}");
        }
    }
}

#[test]
fn what_is_too_much_is_refused() {
    for (pattern, error) in [
        ("a".repeat(1_025), GlobError::TooLong),
        ("a/".repeat(60), GlobError::TooLong),
        ("{a,b}".repeat(9), GlobError::TooManyAlternatives),
        ("*(!(a))".to_owned(), GlobError::Negation),
        ("x!(a)!(b)".to_owned(), GlobError::Negation),
        ("a\u{FDD0}".to_owned(), GlobError::Noncharacter),
    ] {
        assert_eq!(Glob::new(&pattern).err(), Some(error), "{pattern}");
    }
    assert!(Glob::new(&"a".repeat(1_024)).is_ok());
    assert!(Glob::new(&["a"; 60].join("/")).is_ok());
}

/// Patterns for which a search that goes back takes longer than anybody can wait: that this ends shows
/// that none is made.
#[test]
fn no_pattern_makes_matching_explode() {
    let long = "a".repeat(2_000);
    for pattern in [
        "*a".repeat(40) + "b",
        "+(+(+(a|aa)|a*)|*(a))b".to_owned(),
        "*(*(*(*(*(a)))))b".to_owned(),
        format!("{}b", "?(a)".repeat(200)),
    ] {
        assert!(!Glob::new(&pattern).unwrap().matches(&long), "{pattern}");
    }
    let deep = "a/".repeat(2_000);
    let pattern = "**/a/".repeat(29) + "b";
    let glob = Glob::new(&pattern).unwrap();
    assert!(
        !glob.matches(&deep)
            && !glob.covers(&format!("{deep}#"))
            && glob.touches(&format!("{deep}#"))
    );
    let groups = format!("{}a{}", "+(".repeat(300), ")".repeat(300));
    assert!(Glob::new(&groups).unwrap().matches("aaa"));
}

#[test]
fn names_in_place_of_placeholders_are_only_names() {
    let matches = |pattern: &str, user, client: &str, topic: &str| {
        let glob = Glob::with_names(pattern, user, client).unwrap();
        glob.map(|glob| glob.matches(topic))
    };
    assert_eq!(matches("u/%u/%c", Some("eve"), "c", "u/eve/c"), Some(true));
    for odd in [
        "*", "**", "?", "{a,b}", "[a]", "!a", "\\", "@(a)", ".x", "$s", "a,b",
    ] {
        assert_eq!(
            matches("c/%c", None, odd, &format!("c/{odd}")),
            Some(true),
            "{odd}"
        );
        assert_eq!(matches("c/%c", None, odd, "c/a"), Some(false), "{odd}");
        assert_eq!(
            matches("c/{%c,z}", None, odd, &format!("c/{odd}")),
            Some(true),
            "{odd}"
        );
        assert_eq!(
            matches("c/x%c*", None, odd, &format!("c/x{odd}y")),
            Some(true),
            "{odd}"
        );
    }
    assert_eq!(matches("%c", None, "#a", "a"), None, "no comment either");
    for not_a_level in ["", "a/b", "+", "#", "a+"] {
        assert_eq!(
            matches("c/%c", None, not_a_level, "c/"),
            None,
            "{not_a_level}"
        );
        assert_eq!(
            matches("c/%u", Some(not_a_level), "c", "c/"),
            None,
            "{not_a_level}"
        );
    }
    assert_eq!(matches("c/%u", None, "c", "c/"), None, "nobody");
    assert!(Glob::new("%u").unwrap().matches("%u"), "not without names");
}

/// minimatch's rules for levels, as a search through all ways; of one level only names and `*`.
fn naive(pattern: &[&str], topic: &[&str]) -> bool {
    match (pattern, topic) {
        ([], []) | ([], [""]) => true,
        (["**"], [_, ..]) => topic.iter().all(|level| !level.starts_with('.')),
        (["**", rest @ ..], [first, others @ ..]) => {
            naive(rest, topic) || (!first.starts_with('.') && naive(pattern, others))
        }
        ([one, rest @ ..], [first, others @ ..]) => {
            let same = match *one {
                "*" => !first.is_empty() && !first.starts_with('.'),
                name => name == *first,
            };
            same && naive(rest, others)
        }
        _ => false,
    }
}

/// The topics that a pattern grants to subscribers, as a search through all ways.
fn granted(pattern: &[&str], topic: &[&str]) -> bool {
    match (pattern, topic) {
        ([], []) => true,
        (["**", rest @ ..], _) if granted(rest, topic) => true,
        (["#"], _) => true,
        (["**", ..], [_, others @ ..]) => granted(pattern, others),
        (["*" | "+", rest @ ..], [_, others @ ..]) => granted(rest, others),
        ([name, rest @ ..], [first, others @ ..]) => name == first && granted(rest, others),
        _ => false,
    }
}

/// MQTT's rules (MQTT 5.0 section 4.7).
fn subscribed(filter: &[&str], topic: &[&str], is_first: bool) -> bool {
    let hidden =
        |topic: &[&str]| is_first && topic.first().is_some_and(|level| level.starts_with('$'));
    match (filter, topic) {
        ([], []) => true,
        (["#"], _) => !hidden(topic),
        (["+", rest @ ..], [_, others @ ..]) => !hidden(topic) && subscribed(rest, others, false),
        ([name, rest @ ..], [first, others @ ..]) => {
            name == first && subscribed(rest, others, false)
        }
        _ => false,
    }
}

fn some_levels(names: &'static [&'static str]) -> impl Strategy<Value = Vec<&'static str>> {
    prop::collection::vec(prop::sample::select(names), 1..=4)
}

const NAMES: &[&str] = &["a", "b", ".x", "", "$s"];
const IN_FILTERS: &[&str] = &["a", "b", ".x", "", "$s", "+", "+", "+"];
const IN_PATTERNS: &[&str] = &["a", "b", ".x", "", "$s", "*", "*", "**", "**", "+", "#"];

/// What the wildcards of a filter may stand for: all names in patterns, and one that is in none.
const FOR_WILDCARDS: [&str; 6] = ["a", "b", ".x", "", "$s", "other"];

/// Topics that the filter matches: all with up to two levels in place of `#`, and some with more.
fn topics(filter: &[&'static str]) -> Vec<Vec<&'static str>> {
    let mut all = vec![vec![]];
    for level in filter {
        let more = |topic: &Vec<&'static str>| -> Vec<Vec<&'static str>> {
            let with = |names: &[&'static str]| [topic.as_slice(), names].concat();
            match *level {
                "+" => FOR_WILDCARDS.iter().map(|name| with(&[name])).collect(),
                "#" => {
                    let two = |one| FOR_WILDCARDS.map(|other| with(&[one, other]));
                    let mut all = vec![topic.clone()];
                    all.extend(FOR_WILDCARDS.iter().map(|name| with(&[name])));
                    all.extend(FOR_WILDCARDS.iter().flat_map(|name| two(name)));
                    all.extend((3..=5).map(|count| with(&vec!["other"; count])));
                    all
                }
                name => vec![with(&[name])],
            }
        };
        all = all.iter().flat_map(more).collect();
    }
    all.retain(|topic| !topic.join("/").is_empty() && subscribed(filter, topic, true));
    all
}

fn filter_of(mut levels: Vec<&'static str>, open: bool) -> Vec<&'static str> {
    if open {
        levels.push("#");
    }
    levels
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, ..ProptestConfig::default() })]

    #[test]
    fn levels_match_as_in_the_search_through_all_ways(
        pattern in some_levels(IN_PATTERNS),
        topic in some_levels(NAMES),
    ) {
        let (pattern, topic) = (pattern.join("/"), topic.join("/"));
        let is_something = !pattern.is_empty() && !pattern.starts_with('#');
        let expected = naive(
            &levels(&pattern).collect::<Vec<_>>(),
            &levels(&topic).collect::<Vec<_>>(),
        );
        prop_assert_eq!(Glob::new(&pattern).unwrap().matches(&topic), expected && is_something);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 800, ..ProptestConfig::default() })]

    /// Sound and complete: what is covered is granted, and what is granted and allowed by mosca is covered.
    #[test]
    fn a_filter_is_covered_if_all_of_its_topics_are(
        pattern in some_levels(IN_PATTERNS),
        filter in some_levels(IN_FILTERS),
        open in any::<bool>(),
    ) {
        let filter = filter_of(filter, open);
        let text = filter.join("/");
        let pattern = pattern.join("/");
        let levels: Vec<&str> = levels(&pattern).collect();
        let glob = Glob::new(&pattern).unwrap();
        let is_wildcard = text.contains(['+', '#']);
        let all = topics(&filter).iter().all(|topic| granted(&levels, topic));
        prop_assert_eq!(
            glob.covers(&text),
            glob.matches(&text) && (all || !is_wildcard),
            "{} {}", pattern, text
        );
    }

    /// What is denied is never missed: neither what the pattern matches nor what it grants.
    #[test]
    fn a_filter_is_touched_if_one_of_its_topics_is(
        pattern in some_levels(IN_PATTERNS),
        filter in some_levels(IN_FILTERS),
        open in any::<bool>(),
    ) {
        let filter = filter_of(filter, open);
        let text = filter.join("/");
        let pattern = pattern.join("/");
        let glob = Glob::new(&pattern).unwrap();
        let negated = Glob::new(&format!("!{pattern}")).unwrap();
        let levels: Vec<&str> = levels(&pattern).collect();
        if glob.is_nothing() {
            return Ok(());
        }
        for topic in &topics(&filter) {
            let name = topic.join("/");
            if glob.matches(&name) || granted(&levels, topic) {
                prop_assert!(glob.touches(&text), "{} {} {}", pattern, text, name);
                prop_assert!(glob.touches(&name), "{} {}", pattern, name);
                prop_assert!(!negated.covers(&text) || text == name, "{} {}", pattern, text);
            } else if !granted(&levels, topic) {
                prop_assert!(negated.touches(&text), "{} {} {}", pattern, text, name);
            }
        }
    }
}

#[test]
fn filters_and_the_grants_that_admit_them() {
    for (pattern, admitted, refused) in [
        (
            "**",
            &["#", "+", "+/+", "a/#", "a", "$SYS/#", "/#"][..],
            &["a/.x", "a/.x/+"][..],
        ),
        ("*", &["+", "a"], &["#", "+/a", "/+"]),
        ("a/*", &["a/+", "a/b"], &["a/#", "+/b", "a/+/+", "#"]),
        ("a/**", &["a/#", "a/+/b/#", "a/b"], &["#", "+/b", "a"]),
        ("a/*/b", &["a/+/b", "a/c/b"], &["a/+/+", "a/#"]),
        ("a/+/b", &["a/+/b"], &["a/c/b", "a/+/c"]),
        ("a/#", &["a/#"], &["a/b", "a"]),
        ("{a,b}/**", &["a/#", "b/+"], &["+/a", "#"]),
        ("a*/b", &["abc/b"], &["+/b"]),
        ("?", &["a"], &["+"]),
        ("x/!(a)", &["x/b"], &["x/+", "x/a"]),
        ("!secret/**", &["open/#"], &["#", "secret/x", "+/x"]),
        ("!$SYS/**", &["#", "+/a"], &["$SYS/#", "$SYS/a"]),
        ("a", &[], &["a/#/b", "a+", "#/a"]),
    ] {
        let glob = Glob::new(pattern).unwrap();
        for filter in admitted {
            assert!(glob.covers(filter), "{pattern} admits {filter}");
        }
        for filter in refused {
            assert!(!glob.covers(filter), "{pattern} does not admit {filter}");
        }
    }
}

#[test]
fn what_denies_meets_every_filter_that_could_see_it() {
    for (pattern, met, missed) in [
        (
            "secret/**",
            &[
                "#",
                "secret",
                "secret/a",
                "+/a",
                "secret/.x",
                "secret//a",
                "+/#",
            ][..],
            &["open/#", "secrets"][..],
        ),
        (
            "$SYS/**",
            &["$SYS/#", "$SYS/a", "$SYS"],
            &["#", "+/a", "+/#"],
        ),
        (
            "a/b",
            &["a//b", "a/b/", "a/+/b", "a/b/#", "a/+"],
            &["b/#", "a", "/a/b"],
        ),
        ("s*/x", &["+/x", "sa/x", "#"], &["a/x", "+/y"]),
        ("!open/**", &["#", "closed"], &["open/a", "open/#"]),
    ] {
        let glob = Glob::new(pattern).unwrap();
        for filter in met {
            assert!(glob.touches(filter), "{pattern} meets {filter}");
        }
        for filter in missed {
            assert!(!glob.touches(filter), "{pattern} does not meet {filter}");
        }
    }
}
