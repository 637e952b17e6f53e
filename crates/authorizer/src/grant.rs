//! What somebody else than the users file has said of a client: rights of its own, and until when they hold.

use std::sync::Arc;
use std::time::SystemTime;

use serde::Deserialize;

use crate::authorizer::Permissions;
use crate::glob::Glob;
use crate::known::Known;
use crate::rules::Rules;
use crate::users::{Action, Rule};

/// Most rules of an [`Acl`].
pub const ACL_RULES_MAX: usize = 1_000;

/// Rules that come with a client, from a token or a service that knows it, in the words of the users file:
/// a list of `rules`, or an object of two lists of patterns.
///
/// ```
/// use authorizer::Acl;
///
/// let listed: Acl = serde_json::from_str(r#"[
///     {"deny": "all", "topic": "home/safe"}, {"allow": "all", "topic": "home/%u/**"}
/// ]"#)?;
/// let eve = listed.permissions(Some("eve".into()), "phone");
/// assert!(eve.may_publish("home/eve/door") && !eve.may_publish("home/adam/door"));
///
/// let short: Acl = serde_json::from_str(r#"{"publish": ["home/*"], "subscribe": []}"#)?;
/// assert!(!short.permissions(None, "phone").may_subscribe("home/door"));
/// # Ok::<(), serde_json::Error>(())
/// ```
///
/// Patterns may have `%u` and `%c` in them. Up to [`ACL_RULES_MAX`] rules; more are an error, as is all that
/// the users file does not know.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "RawAcl")]
pub struct Acl {
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "neither a list of rules nor an object of patterns, or one of them is wrong"
)]
enum RawAcl {
    Rules(Vec<Rule>),
    Patterns(Patterns),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Patterns {
    #[serde(default)]
    publish: Vec<String>,
    #[serde(default)]
    subscribe: Vec<String>,
}

impl TryFrom<RawAcl> for Acl {
    type Error = String;

    fn try_from(raw: RawAcl) -> Result<Self, String> {
        let rules = match raw {
            RawAcl::Rules(rules) => rules,
            RawAcl::Patterns(Patterns { publish, subscribe }) => {
                let publish = publish.into_iter().map(|it| (Action::Publish, it));
                let subscribe = subscribe.into_iter().map(|it| (Action::Subscribe, it));
                let rules = publish.chain(subscribe).map(|(action, pattern)| {
                    Glob::with_names(&pattern, Some("user"), "client")
                        .map_err(|error| format!("the pattern {pattern:?}: {error}"))?;
                    Ok(Rule {
                        allows: true,
                        action,
                        pattern,
                        with_names: true,
                    })
                });
                rules.collect::<Result<_, String>>()?
            }
        };
        if rules.len() > ACL_RULES_MAX {
            return Err(format!("there are more than {ACL_RULES_MAX} rules"));
        }
        Ok(Self { rules })
    }
}

impl Acl {
    /// Allows all that `**` allows in a users file.
    #[must_use]
    pub fn everything() -> Self {
        let rule = Rule {
            allows: true,
            action: Action::All,
            pattern: "**".to_owned(),
            with_names: false,
        };
        Self { rules: vec![rule] }
    }

    /// What a client of this user may do.
    #[must_use]
    pub fn permissions(&self, user: Option<Arc<str>>, client_id: &str) -> Permissions {
        let rules = Rules::new(&self.rules, user.as_deref(), client_id);
        Permissions::new(user, rules)
    }
}

/// What hooks leave at a client that they have let in
/// ([`Authentication::Accept`](broker_core::Authentication::Accept)): which rights it brings with it, and
/// until when. [`AuthorizerHooks`](crate::AuthorizerHooks) holds to it; hooks that make one ask it
/// themselves as well.
#[derive(Clone, Debug, Default)]
pub struct Grant {
    permissions: Option<Permissions>,
    until: Option<SystemTime>,
    /// What the users file says of the client, which holds where there are no permissions here.
    of_users: Known,
}

impl Grant {
    /// With these rights, or `None` if nothing is said of them.
    #[must_use]
    pub const fn new(permissions: Option<Permissions>, until: Option<SystemTime>) -> Self {
        Self {
            permissions,
            until,
            of_users: Known::nothing(),
        }
    }

    /// The rights, if anything was said of them.
    #[must_use]
    pub const fn permissions(&self) -> Option<&Permissions> {
        self.permissions.as_ref()
    }

    pub(crate) const fn of_users(&self) -> &Known {
        &self.of_users
    }

    /// Whether nothing is said of rights, or they are what is asked for.
    pub(crate) fn may(&self, ask: impl FnOnce(&Permissions) -> bool) -> bool {
        self.permissions.as_ref().is_none_or(ask)
    }

    /// When the client has to go; `None` for never.
    #[must_use]
    pub const fn until(&self) -> Option<SystemTime> {
        self.until
    }

    /// Whether the client has to go.
    #[must_use]
    pub fn is_over(&self, now: SystemTime) -> bool {
        self.until.is_some_and(|until| until <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn acl(text: &str) -> Result<Acl, String> {
        serde_json::from_str(text).map_err(|error: serde_json::Error| error.to_string())
    }

    #[test]
    fn what_the_users_file_does_not_know_is_an_error() {
        for wrong in [
            "null",
            "7",
            r#""a""#,
            r#"{"publish": "a"}"#,
            r#"{"publish": ["a"], "subscribes": []}"#,
            r#"{"publish": ["{1..999}"]}"#,
            r#"[{"allow": "publish"}]"#,
            r#"[{"allow": "publish", "deny": "all", "topic": "a"}]"#,
            r#"[{"allow": "forward", "topic": "a"}]"#,
            r#"[{"allow": "publish", "topic": "{1..999}"}]"#,
        ] {
            assert!(acl(wrong).is_err(), "{wrong}");
        }
        let many = vec![r#"{"allow": "all", "topic": "a"}"#; ACL_RULES_MAX + 1];
        let error = acl(&format!("[{}]", many.join(","))).unwrap_err();
        assert!(error.contains("1000 rules"), "{error}");
        assert!(acl(&format!("[{}]", many[1..].join(","))).is_ok());
    }

    #[test]
    fn without_a_rule_nothing_is_allowed() {
        for empty in ["[]", "{}"] {
            let nothing = acl(empty).unwrap().permissions(None, "c");
            assert!(!nothing.may_publish("a") && !nothing.may_subscribe("a"));
        }
    }

    #[test]
    fn a_grant_is_over_when_its_time_has_come() {
        let now = SystemTime::now();
        assert!(!Grant::default().is_over(now));
        assert!(Grant::new(None, Some(now)).is_over(now));
        let later = now + Duration::from_secs(1);
        assert!(!Grant::new(None, Some(later)).is_over(now));
    }
}
