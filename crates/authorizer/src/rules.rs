//! What a client may do: the rules of its user, with the names in them.

use std::sync::Arc;

use topic_trie::TopicFilter;

use crate::glob::Glob;
use crate::users::{Action, Rule};

/// The rules as they are asked.
#[derive(Clone, Debug)]
pub(crate) struct Rules(Arc<[Compiled]>);

#[derive(Debug)]
struct Compiled {
    allows: bool,
    action: Action,
    /// `None` if a name that should be in it is no level of a topic: then nothing is what is allowed,
    /// and everything what is denied.
    glob: Option<Glob>,
}

impl Rules {
    /// For a client of the user, or of nobody.
    pub(crate) fn new(rules: &[Rule], user: Option<&str>, client_id: &str) -> Self {
        let compiled = rules.iter().map(|rule| {
            let glob = if rule.with_names {
                Glob::with_names(&rule.pattern, user, client_id)
            } else {
                Glob::new(&rule.pattern).map(Some)
            };
            Compiled {
                allows: rule.allows,
                action: rule.action,
                // Reading the users has made sure that it is a pattern. With long names in it may
                // be one no longer, and is then one without names.
                glob: glob.ok().flatten(),
            }
        });
        Self(compiled.collect())
    }

    /// Whether the rules are the same for all clients of a user.
    pub(crate) fn are_fixed(rules: &[Rule]) -> bool {
        !rules.iter().any(|rule| {
            rule.with_names && (rule.pattern.contains("%u") || rule.pattern.contains("%c"))
        })
    }

    pub(crate) fn publish(&self, topic: &str) -> bool {
        let about = self
            .0
            .iter()
            .filter(|rule| rule.action != Action::Subscribe);
        for Compiled { allows, glob, .. } in about {
            match (allows, glob) {
                (true, Some(glob)) if glob.matches(topic) => return true,
                (false, None) => return false,
                (false, Some(glob)) if glob.touches(topic) => return false,
                _ => {}
            }
        }
        false
    }

    /// All topics of the filter have to be allowed by one rule, and none denied by one before it.
    pub(crate) fn subscribe(&self, filter: &str) -> bool {
        let Ok(Ok(shared)) = TopicFilter::new(filter).map(TopicFilter::shared) else {
            return false;
        };
        let filter = shared.map_or(filter, |shared| shared.filter().as_str());
        let about = self.0.iter().filter(|rule| rule.action != Action::Publish);
        for Compiled { allows, glob, .. } in about {
            match (allows, glob) {
                (true, Some(glob)) if glob.covers(filter) => return true,
                (false, None) => return false,
                (false, Some(glob)) if glob.touches(filter) => return false,
                _ => {}
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::users::Users;

    fn rules(text: &str, user: Option<&str>, client: &str) -> Rules {
        let users = Users::from_json(&format!(
            r#"{{"n": {{"anonymous": true, "rules": [{text}]}}}}"#
        ));
        let users = users.unwrap();
        let rules = users.accounts().next().unwrap().rules;
        Rules::new(&rules, user, client)
    }

    #[test]
    fn the_first_rule_that_is_about_a_topic_decides() {
        let rules = rules(
            r#"{"allow": "publish", "topic": "a/open"}, {"deny": "all", "topic": "a/**"},
               {"allow": "all", "topic": "**"}, {"deny": "all", "topic": "b"}"#,
            None,
            "c",
        );
        for (topic, publish, subscribe) in [
            ("a/open", true, false),
            ("a/x", false, false),
            ("a//x", false, false),
            ("a/.x", false, false),
            ("b", true, true),
            ("c/x", true, true),
        ] {
            assert_eq!(rules.publish(topic), publish, "{topic}");
            assert_eq!(rules.subscribe(topic), subscribe, "{topic}");
        }
        for (filter, admitted) in [
            ("#", false),
            ("+/x", false),
            ("b/#", true),
            ("+", false),
            ("/+", true),
        ] {
            assert_eq!(rules.subscribe(filter), admitted, "{filter}");
        }
    }

    #[test]
    fn without_a_rule_the_answer_is_no() {
        let rules = rules("", None, "c");
        assert!(!rules.publish("a") && !rules.subscribe("a"));
    }

    #[test]
    fn a_shared_subscription_is_as_good_as_its_filter() {
        let rules = rules(r#"{"allow": "subscribe", "topic": "a/*"}"#, None, "c");
        assert!(rules.subscribe("a/+") && rules.subscribe("$share/g/a/+"));
        for filter in [
            "$share/g/a/#",
            "$share/a/+",
            "$share/g",
            "$share/+/a/b",
            "a/#/b",
            "",
            "a/b+",
        ] {
            assert!(!rules.subscribe(filter), "{filter}");
        }
    }

    #[test]
    fn system_topics_can_be_denied_to_those_who_may_see_all_others() {
        let rules = rules(
            r#"{"deny": "all", "topic": "$SYS/**"}, {"allow": "all", "topic": "**"}"#,
            None,
            "c",
        );
        assert!(rules.subscribe("#") && rules.subscribe("+/b"));
        assert!(
            !rules.subscribe("$SYS/#") && !rules.subscribe("$SYS/a") && !rules.publish("$SYS/a")
        );
    }

    #[test]
    fn a_name_that_is_no_level_allows_nothing_and_denies_everything() {
        let text = r#"{"allow": "all", "topic": "own/%u/%c/**"}"#;
        assert!(rules(text, Some("u"), "c").subscribe("own/u/c/#"));
        assert!(!rules(text, Some("u"), "c").subscribe("own/u/+/#"));
        for (user, client) in [
            (None, "c"),
            (Some("u"), "c/d"),
            (Some("u"), "#"),
            (Some("u/v"), "c"),
        ] {
            let rules = rules(text, user, client);
            assert!(!rules.publish("own/u/c/d/x") && !rules.publish("own//c/x"));
        }
        let text = r#"{"deny": "all", "topic": "%c/secret"}, {"allow": "all", "topic": "**"}"#;
        assert!(
            rules(text, None, "c").publish("d/secret")
                && !rules(text, None, "c").publish("c/secret")
        );
        assert!(!rules(text, None, "c/d").publish("x"));
    }

    #[test]
    fn a_long_name_is_still_a_name() {
        let long = "c".repeat(60_000);
        let rules = rules(r#"{"allow": "publish", "topic": "x/%c*"}"#, None, &long);
        assert!(
            !rules.publish("x/c"),
            "it takes too many states to be a part of a level"
        );
        let text = r#"{"allow": "publish", "topic": "x/%c"}"#;
        assert!(self::rules(text, None, &long).publish(&format!("x/{long}")));
    }
}
