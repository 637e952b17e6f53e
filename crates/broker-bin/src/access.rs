//! Who may come in, and what clients may do: from choices to hooks, and what is read again on SIGHUP.
//!
//! The users file is asked first, then tokens, then a service on HTTP. Who is not known to the one is left to the
//! next.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use auth_http::{HttpHooks, HttpOptions};
use auth_jwt::{JwtHooks, JwtOptions, KeyError, KeyFile, Keys};
use authorizer::{Authorizer, AuthorizerHooks, AuthorizerOptions, Changes, Users, UsersError};
use mosca::{Escaped, HookChain, Hooks};

/// By what clients are known. If nothing is chosen everybody may do everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct AccessChoice {
    /// mosca's users file.
    pub(crate) users_file: Option<PathBuf>,
    /// JSON Web Tokens.
    pub(crate) jwt: Option<JwtChoice>,
    /// A service on HTTP.
    pub(crate) http: Option<HttpOptions>,
}

/// Which tokens are good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct JwtChoice {
    /// Where the keys are.
    pub(crate) keys: Vec<KeyFile>,
    /// What a token has to say.
    pub(crate) options: JwtOptions,
}

/// What was chosen, open.
pub(crate) struct Access {
    users: Option<(PathBuf, Arc<Authorizer>)>,
    tokens: Option<(Vec<KeyFile>, Arc<JwtHooks>)>,
    service: Option<HttpHooks>,
}

/// The file that a failure is about, if it is about one.
pub(crate) fn path_of(error: &anyhow::Error) -> Option<&Path> {
    let of_users = || match error.downcast_ref()? {
        UsersError::File { path, .. } | UsersError::Corrupt { path, .. } => Some(path.as_path()),
        _ => None,
    };
    let of_keys = error.downcast_ref().map(KeyError::path);
    of_keys.or_else(of_users)
}

impl Access {
    /// Reads all files.
    pub(crate) fn open(choice: &AccessChoice) -> anyhow::Result<Self> {
        let users = match &choice.users_file {
            Some(path) => {
                let users = Users::load(path)?;
                let authorizer = Authorizer::new(&users, AuthorizerOptions::default());
                Some((path.clone(), Arc::new(authorizer)))
            }
            None => None,
        };
        let tokens = match &choice.jwt {
            Some(JwtChoice { keys, options }) => {
                let hooks = JwtHooks::new(Keys::load(keys)?, options.clone());
                // The chain refuses whom nobody knows.
                Some((keys.clone(), Arc::new(hooks.passing_strangers())))
            }
            None => None,
        };
        let service = choice.http.clone().map(HttpHooks::new).transpose()?;
        Ok(Self {
            users,
            tokens,
            service: service.map(HttpHooks::passing_strangers),
        })
    }

    /// What the server asks, if it has to ask at all.
    pub(crate) fn hooks(&self) -> Option<HookChain> {
        let mut all: Vec<Arc<dyn Hooks>> = Vec::new();
        if let Some((_, authorizer)) = &self.users {
            let users = AuthorizerHooks::new(Arc::clone(authorizer));
            // Alone they take the same time for users that there are and for others.
            let is_alone = self.tokens.is_none() && self.service.is_none();
            all.push(Arc::new(if is_alone {
                users
            } else {
                users.passing_strangers()
            }));
        }
        if let Some((_, tokens)) = &self.tokens {
            all.push(Arc::<JwtHooks>::clone(tokens));
        }
        if let Some(service) = &self.service {
            all.push(Arc::new(service.clone()));
        }
        let chain = |all: Vec<_>| all.into_iter().fold(HookChain::new(), HookChain::then);
        (!all.is_empty()).then(|| chain(all))
    }

    /// Whether there are clients that have to go at some time.
    pub(crate) fn expires(&self) -> bool {
        self.tokens.is_some() || self.service.is_some()
    }

    /// The client identifiers of those whose time is over since the last call.
    pub(crate) fn due(&self) -> Vec<Arc<str>> {
        let tokens = self.tokens.iter().flat_map(|(_, hooks)| hooks.due());
        let service = self.service.iter().flat_map(HttpHooks::due);
        tokens.chain(service).collect()
    }

    /// Reads all files again, says how that went, and whether clients have to be asked about again.
    pub(crate) async fn reload(&self) -> bool {
        if let Some(service) = &self.service {
            service.forget();
        }
        // Keys count for those who come from now on.
        self.reload_keys().await;
        self.reload_users().await
    }

    async fn reload_users(&self) -> bool {
        let Some((path, authorizer)) = self.users.clone() else {
            return false;
        };
        match read_again(move || authorizer.reload(path)).await {
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

    async fn reload_keys(&self) {
        let Some((files, hooks)) = self.tokens.clone() else {
            return;
        };
        match read_again(move || Keys::load(&files)).await {
            Ok(keys) => {
                let count = keys.len();
                hooks.replace(keys);
                tracing::info!(keys = count, "the keys of tokens were read again");
            }
            Err(error) => {
                tracing::error!(error = %Escaped(&error), "the keys of tokens stay as they were");
            }
        }
    }
}

/// A large file takes its time, which is not that of a thread with clients.
async fn read_again<T, E>(read: impl FnOnce() -> Result<T, E> + Send + 'static) -> anyhow::Result<T>
where
    T: Send + 'static,
    E: std::error::Error + Send + Sync + 'static,
{
    Ok(tokio::task::spawn_blocking(read).await??)
}
