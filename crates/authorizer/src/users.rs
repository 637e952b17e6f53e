//! The users file: who there is, by which password, and with which rights.
//!
//! The page of the crate says what may be in it.

mod entry;
mod file;

use entry::Entry;
pub(crate) use entry::{Action, Rule};

use crate::glob::{Glob, GlobError};
use crate::password::{HashCost, PasswordError, Secret};

/// The users of a file, in its order.
///
/// ```
/// use authorizer::{HashCost, Users};
///
/// let mut users = Users::default();
/// users.set_password("eve", b"pencil", HashCost::default(), Some("a/*"), None)?;
/// let written = users.to_json();
/// assert!(written.contains("\"authorizePublish\": \"a/*\""));
/// assert_eq!(Users::from_json(&written)?, users);
/// # Ok::<(), authorizer::UsersError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Users {
    entries: Vec<(String, Entry)>,
}

/// What is wrong with a users file, or with what should be written into it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UsersError {
    /// The file could not be read, locked or written.
    #[error("the users file {}: {error}", path.display())]
    File {
        /// Which file.
        path: std::path::PathBuf,
        /// What the system says.
        #[source]
        error: std::io::Error,
    },
    /// The file is not one of users. It was not touched.
    #[error("the users file {}: {error}", path.display())]
    Corrupt {
        /// Which file.
        path: std::path::PathBuf,
        /// What it is and where, with line and column.
        #[source]
        error: serde_json::Error,
    },
    /// The text is not one of a users file.
    #[error("{0}")]
    Text(
        /// What it is and where, with line and column.
        #[source]
        serde_json::Error,
    ),
    /// A pattern cannot be one.
    #[error("the pattern {pattern:?}: {error}")]
    Pattern {
        /// Which one.
        pattern: String,
        /// Why.
        #[source]
        error: GlobError,
    },
    /// A password cannot be one.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// A user with this name would be a group or what clients without a name are.
    #[error("{0:?} is a group or anonymous, not a user")]
    NoUser(
        /// The name.
        String,
    ),
}

impl Users {
    /// Reads what a users file has in it.
    ///
    /// # Errors
    /// [`UsersError::Text`].
    pub fn from_json(text: &str) -> Result<Self, UsersError> {
        Self::parse(text).map_err(UsersError::Text)
    }

    /// The text of the file, indented by two spaces as mosca does it.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Of what is written nothing can fail: keys are text, and nothing is written to but memory.
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }

    /// Gives `name` a password, which is hashed with argon2id and the `cost`, and adds the user if there
    /// is none of that name. Takes the time of the hashing, so not in an asynchronous task.
    ///
    /// A pattern that is not given becomes `**` again, as mosca's `adduser` has it: the user is replaced.
    /// Rules and groups of an older entry stay, and then a pattern that is not given stays, too.
    ///
    /// # Errors
    /// [`UsersError::Pattern`], [`UsersError::Password`], [`UsersError::NoUser`]; then nothing changes.
    pub fn set_password(
        &mut self,
        name: &str,
        password: &[u8],
        cost: HashCost,
        publish: Option<&str>,
        subscribe: Option<&str>,
    ) -> Result<(), UsersError> {
        for pattern in [publish, subscribe].into_iter().flatten() {
            Glob::new(pattern).map_err(|error| UsersError::Pattern {
                pattern: pattern.to_owned(),
                error,
            })?;
        }
        let known = self.entries.iter().position(|(known, _)| known == name);
        let known = known.and_then(|at| self.entries.get_mut(at));
        if known.as_ref().is_some_and(|(_, entry)| !entry.is_user()) {
            return Err(UsersError::NoUser(name.to_owned()));
        }
        let secret = Secret::new(password, cost)?;
        let pattern = |given: Option<&str>| given.map(str::to_owned);
        match known {
            Some((_, entry)) => {
                let stays = entry.rules.is_some() || entry.groups.is_some();
                entry.secret = Some(secret);
                if publish.is_some() || !stays {
                    entry.publish = pattern(publish).or_else(|| Some("**".to_owned()));
                }
                if subscribe.is_some() || !stays {
                    entry.subscribe = pattern(subscribe).or_else(|| Some("**".to_owned()));
                }
            }
            None => self.entries.push((
                name.to_owned(),
                Entry {
                    secret: Some(secret),
                    publish: pattern(publish).or_else(|| Some("**".to_owned())),
                    subscribe: pattern(subscribe).or_else(|| Some("**".to_owned())),
                    ..Entry::default()
                },
            )),
        }
        Ok(())
    }

    /// Removes a user, and says whether there was one of that name.
    ///
    /// # Errors
    /// [`UsersError::NoUser`]: others may be in the group.
    pub fn remove(&mut self, name: &str) -> Result<bool, UsersError> {
        let Some(at) = self.entries.iter().position(|(known, _)| known == name) else {
            return Ok(false);
        };
        if self
            .entries
            .get(at)
            .is_some_and(|(_, entry)| !entry.is_user())
        {
            return Err(UsersError::NoUser(name.to_owned()));
        }
        self.entries.remove(at);
        Ok(true)
    }

    /// The names of the users, those without a password among them, in the order of the file.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let users = self.entries.iter().filter(|(_, entry)| entry.is_user());
        users.map(|(name, _)| name.as_str())
    }

    /// What everybody may do, and by which password they come in.
    pub(crate) fn accounts(&self) -> impl Iterator<Item = Account<'_>> {
        self.entries
            .iter()
            .filter(|(_, entry)| !entry.is_group)
            .map(|(name, entry)| Account {
                name,
                secret: entry.secret.as_ref(),
                is_anonymous: entry.is_anonymous,
                rules: self.rules(entry),
            })
    }

    fn rules(&self, entry: &Entry) -> Vec<Rule> {
        let mut rules = entry.own_rules();
        for group in entry.groups.iter().flatten() {
            let found = self.entries.iter().find(|(name, _)| name == group);
            rules.extend(
                found
                    .map(|(_, group)| group.own_rules())
                    .unwrap_or_default(),
            );
        }
        rules
    }
}

/// One entry that clients may be.
pub(crate) struct Account<'a> {
    pub(crate) name: &'a str,
    pub(crate) secret: Option<&'a Secret>,
    /// Whether it is that of clients without a name.
    pub(crate) is_anonymous: bool,
    pub(crate) rules: Vec<Rule>,
}

#[cfg(test)]
mod tests;
