//! Who may come in, and what clients may do: from choices to hooks, and what is read again on SIGHUP.

use std::path::PathBuf;
use std::sync::Arc;

use authorizer::{Authorizer, AuthorizerHooks, AuthorizerOptions, Changes, Users, UsersError};
use mosca::{Escaped, HookChain};

use crate::args::Args;

/// By what clients are known. If nothing is chosen everybody may do everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct AccessChoice {
    /// mosca's users file.
    pub(crate) users_file: Option<PathBuf>,
}

impl AccessChoice {
    /// With the users file of the command line, if it has one.
    pub(crate) fn or_users_of(self, args: &Args) -> Self {
        Self {
            users_file: args.credentials.clone().or(self.users_file),
        }
    }
}

/// What was chosen, open.
pub(crate) struct Access {
    users: Option<(PathBuf, Arc<Authorizer>)>,
}

impl Access {
    /// Reads all files.
    pub(crate) fn open(choice: &AccessChoice) -> Result<Self, UsersError> {
        let users = match &choice.users_file {
            Some(path) => {
                let users = Users::load(path)?;
                let authorizer = Authorizer::new(&users, AuthorizerOptions::default());
                Some((path.clone(), Arc::new(authorizer)))
            }
            None => None,
        };
        Ok(Self { users })
    }

    /// What the server asks, if it has to ask at all.
    pub(crate) fn hooks(&self) -> Option<HookChain> {
        let (_, authorizer) = self.users.as_ref()?;
        let users = AuthorizerHooks::new(Arc::clone(authorizer));
        Some(HookChain::new().then(Arc::new(users)))
    }

    /// Reads all files again, says how that went, and whether clients have to be asked about again.
    pub(crate) async fn reload(&self) -> bool {
        let Some((path, authorizer)) = self.users.clone() else {
            return false;
        };
        // A large file takes its time, which is not that of a thread with clients.
        let read = tokio::task::spawn_blocking(move || authorizer.reload(path));
        match read
            .await
            .map_err(anyhow::Error::from)
            .and_then(|it| Ok(it?))
        {
            Ok(Changes {
                removed,
                rules,
                passwords,
            }) => {
                tracing::info!(
                    removed = removed.len(),
                    other_rules = rules.len(),
                    other_passwords = passwords.len(),
                    "the users were read again"
                );
                true
            }
            Err(error) => {
                tracing::error!(error = %Escaped(&error), "the users stay as they were");
                false
            }
        }
    }
}
