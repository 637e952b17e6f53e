//! One entry of the users file, and how it is read and written.

use core::fmt;

use serde::de::{self, MapAccess, Visitor};
use serde::ser::{SerializeMap, SerializeStruct};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Users;
use crate::glob::Glob;
use crate::password::Secret;

/// A user, a group, or what clients without a name are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Entry {
    /// Users alone may have one; those without it come in by something else, such as a certificate.
    pub(super) secret: Option<Secret>,
    pub(super) publish: Option<String>,
    pub(super) subscribe: Option<String>,
    pub(super) groups: Option<Vec<String>>,
    pub(super) rules: Option<Vec<Rule>>,
    pub(super) is_anonymous: bool,
    pub(super) is_group: bool,
}

/// What is said of some topics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(crate) allows: bool,
    pub(crate) action: Action,
    pub(crate) pattern: String,
    /// Whether `%u` and `%c` are names.
    pub(crate) with_names: bool,
}

/// What a rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Action {
    Publish,
    Subscribe,
    All,
}

impl Entry {
    /// Whether clients log in by its name.
    pub(super) const fn is_user(&self) -> bool {
        !self.is_group && !self.is_anonymous
    }

    /// Those of the entry itself, in the order in which they are asked.
    pub(super) fn own_rules(&self) -> Vec<Rule> {
        let mut rules = self.rules.clone().unwrap_or_default();
        let everything = self.secret.is_some() && self.rules.is_none() && self.groups.is_none();
        let everything = everything.then(|| "**".to_owned());
        let patterns = [
            (Action::Publish, &self.publish),
            (Action::Subscribe, &self.subscribe),
        ];
        for (action, pattern) in patterns {
            if let Some(pattern) = pattern.as_ref().or(everything.as_ref()) {
                rules.push(Rule {
                    allows: true,
                    action,
                    pattern: pattern.clone(),
                    with_names: false,
                });
            }
        }
        rules
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawEntry {
    salt: Option<String>,
    hash: Option<String>,
    #[serde(rename = "authorizePublish")]
    publish: Option<Pattern>,
    #[serde(rename = "authorizeSubscribe")]
    subscribe: Option<Pattern>,
    groups: Option<Vec<String>>,
    rules: Option<Vec<Rule>>,
    #[serde(default)]
    anonymous: bool,
    #[serde(default)]
    group: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRule {
    allow: Option<Action>,
    deny: Option<Action>,
    topic: Pattern,
}

impl<'de> Deserialize<'de> for Rule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = RawRule::deserialize(deserializer)?;
        let (allows, action) = match (raw.allow, raw.deny) {
            (Some(action), None) => (true, action),
            (None, Some(action)) => (false, action),
            _ => return Err(de::Error::custom("a rule has either `allow` or `deny`")),
        };
        Ok(Self {
            allows,
            action,
            pattern: raw.topic.0,
            with_names: true,
        })
    }
}

impl Serialize for Rule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut rule = serializer.serialize_struct("rule", 2)?;
        rule.serialize_field(if self.allows { "allow" } else { "deny" }, &self.action)?;
        rule.serialize_field("topic", &self.pattern)?;
        rule.end()
    }
}

/// A text that is a pattern, whatever the names are that come into it.
struct Pattern(String);

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match Glob::new(&text).and_then(|_| Glob::with_names(&text, Some("user"), "client")) {
            Ok(_) => Ok(Self(text)),
            Err(error) => {
                let what = format_args!("the pattern {text:?}: {error}");
                Err(de::Error::custom(what))
            }
        }
    }
}

impl Entry {
    fn from_raw(raw: RawEntry) -> Result<Self, &'static str> {
        let secret =
            match (&raw.salt, &raw.hash) {
                (None, None) => None,
                (Some(salt), Some(hash)) => Some(Secret::from_pbkdf2(salt, hash).ok_or(
                    "`salt` and `hash` are not 128 bytes of PBKDF2 and their salt in base64",
                )?),
                (None, Some(hash)) => Some(
                    Secret::from_argon2id(hash)
                        .ok_or("`hash` without `salt` is not one of argon2id")?,
                ),
                (Some(_), None) => return Err("there is a `salt`, but no `hash`"),
            };
        let kinds = [secret.is_some(), raw.anonymous, raw.group];
        if kinds.iter().filter(|kind| **kind).count() > 1 {
            return Err("an entry has one of `hash`, `anonymous` and `group` at most");
        }
        if raw.group && raw.groups.is_some() {
            return Err("a group is in no other groups");
        }
        Ok(Self {
            secret,
            publish: raw.publish.map(|pattern| pattern.0),
            subscribe: raw.subscribe.map(|pattern| pattern.0),
            groups: raw.groups,
            rules: raw.rules,
            is_anonymous: raw.anonymous,
            is_group: raw.group,
        })
    }
}

impl Serialize for Entry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut entry = serializer.serialize_map(None)?;
        if let Some(secret) = &self.secret {
            let (salt, hash) = secret.written();
            if let Some(salt) = salt {
                entry.serialize_entry("salt", &salt)?;
            }
            entry.serialize_entry("hash", &hash)?;
        }
        for (key, is_so) in [("anonymous", self.is_anonymous), ("group", self.is_group)] {
            if is_so {
                entry.serialize_entry(key, &true)?;
            }
        }
        let patterns = [
            ("authorizePublish", &self.publish),
            ("authorizeSubscribe", &self.subscribe),
        ];
        for (key, pattern) in patterns {
            if let Some(pattern) = pattern {
                entry.serialize_entry(key, pattern)?;
            }
        }
        if let Some(groups) = &self.groups {
            entry.serialize_entry("groups", groups)?;
        }
        if let Some(rules) = &self.rules {
            entry.serialize_entry("rules", rules)?;
        }
        entry.end()
    }
}

impl Users {
    pub(super) fn parse(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }
}

impl Serialize for Users {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.entries.iter().map(|(name, entry)| (name, entry)))
    }
}

impl<'de> Deserialize<'de> for Users {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Entries)
    }
}

struct Entries;

impl<'de> Visitor<'de> for Entries {
    type Value = Users;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of users")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Users, A::Error> {
        let mut entries: Vec<(String, Entry)> = Vec::new();
        let mut names = std::collections::HashSet::new();
        while let Some(name) = map.next_key::<String>()? {
            if !names.insert(name.clone()) {
                return Err(de::Error::custom(format_args!("{name:?} is there twice")));
            }
            let entry = Entry::from_raw(map.next_value()?)
                .map_err(|what| de::Error::custom(format_args!("{name:?}: {what}")))?;
            if entry.is_anonymous && entries.iter().any(|(_, other)| other.is_anonymous) {
                return Err(de::Error::custom("`anonymous` is there twice"));
            }
            entries.push((name, entry));
        }
        let groups: std::collections::HashSet<&str> = entries
            .iter()
            .filter(|(_, entry)| entry.is_group)
            .map(|(name, _)| name.as_str())
            .collect();
        for (name, entry) in &entries {
            let missing = |group: &&String| !groups.contains(group.as_str());
            if let Some(group) = entry.groups.iter().flatten().find(missing) {
                let what = format_args!("{name:?} is in {group:?}, which is no group");
                return Err(de::Error::custom(what));
            }
        }
        Ok(Users { entries })
    }
}
