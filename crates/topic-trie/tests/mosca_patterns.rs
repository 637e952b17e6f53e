//! The pairs of filters and topics that the tests of the Node.js mosca have, with the answers of the
//! specification, which are not always mosca's.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use topic_trie::{SharedFilterTrie, TopicFilter, TopicName};

#[test]
fn filters_match_as_the_specification_has_it() {
    for (filters, topic, does_match) in [
        (&["hello/#"][..], "hello/world", true),
        (&["hello/+"], "hello/world", true),
        (&["#"], "test/topic", true),
        (&["#"], "/test/topic", true),
        (&["foo/#"], "foo/bar/baz", true),
        (&["foo/+/baz"], "foo/bar/baz", true),
        (&["foo/#"], "foo", true),
        (&["/#"], "/foo", true),
        (&["test/topic/"], "test/topic", false),
        (
            &["+/+/+/+/+/+/+/+/+/+/test"],
            "one/two/three/four/five/six/seven/eight/nine/ten/test",
            true,
        ),
        (&["/test/topic"], "test/topic", false),
        (&["/test//topic"], "/test/topic", false),
        (&["/test//topic"], "/test//topic", true),
        // mosca says no: an empty level was none to it.
        (&["/test/+/topic"], "/test//topic", true),
        (&["#"], "$SYS/hello", false),
        (&["/#"], "$SYS/hello", false),
        (&["/+/hello"], "$SYS/hello", false),
        (&["$SYS/hello"], "$SYS/hello", true),
        (&["#", "$SYS/#"], "$SYS/hello", true),
    ] {
        let trie = SharedFilterTrie::new();
        for (key, filter) in (0_u32..).zip(filters) {
            trie.insert(TopicFilter::new(filter).unwrap(), key, ());
        }
        let mut found = Vec::new();
        trie.matches_into(TopicName::new(topic).unwrap(), &mut found);
        assert_eq!(!found.is_empty(), does_match, "{filters:?} and {topic}");
    }
}

#[test]
fn filters_that_the_specification_forbids_are_none() {
    for filter in ["hello/#/world/#", "/test/#/topic", "hello/#/there/#"] {
        assert!(TopicFilter::new(filter).is_err(), "{filter}");
    }
}
