//! The users, as they are asked: who is this, and what may it do?

use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use std::collections::HashMap;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use mqtt_codec::{ReasonCode, Version};
use parking_lot::{Mutex, RwLock};
use tokio::sync::Semaphore;

use crate::failures::{FailureLimits, Failures};
use crate::password::Secret;
use crate::rules::Rules;
use crate::users::{Rule, Users, UsersError};

/// What an [`Authorizer`] takes upon itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuthorizerOptions {
    /// How many passwords are hashed at once, at least 1. Each takes one of tokio's threads for blocking
    /// work, a processor, and the memory of its [`HashCost`](crate::HashCost); others wait for their turn.
    pub hashes_at_once: usize,
    /// How addresses are slowed from which logging in fails.
    pub failures: FailureLimits,
}

impl Default for AuthorizerOptions {
    /// Two hashes at once, and [`FailureLimits::default`].
    fn default() -> Self {
        Self {
            hashes_at_once: 2,
            failures: FailureLimits::default(),
        }
    }
}

/// What a client says of itself, and where it comes from. `Debug` does not show the password.
#[derive(Clone, Copy, Default)]
pub struct Login<'a> {
    /// The user name of CONNECT, if it has one.
    pub user: Option<&'a str>,
    /// The password of CONNECT, if it has one.
    pub password: Option<&'a [u8]>,
    /// Where the client comes from: behind a proxy, what that says. Without one, nobody is slowed.
    pub address: Option<IpAddr>,
    /// The client identifier, the assigned one if the client has none.
    pub client_id: &'a str,
}

impl core::fmt::Debug for Login<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Login")
            .field("user", &self.user)
            .field("has_password", &self.password.is_some())
            .field("address", &self.address)
            .field("client_id", &self.client_id)
            .finish()
    }
}

/// Why a client is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// There is no such user, or this is not the password.
    #[error("bad user name or password")]
    BadCredentials,
    /// The client has no user name, and there is nothing that such clients may do.
    #[error("clients without a user name are not let in")]
    NotAuthorized,
    /// Logging in has failed too often from this address. Nobody has looked at the password.
    #[error("logging in has failed too often from this address")]
    TooManyFailures {
        /// When somebody will.
        wait: Duration,
    },
    /// The runtime is shutting down, so nothing was found out.
    #[error("passwords cannot be checked")]
    Unavailable,
}

impl Refusal {
    /// What the client is told in CONNACK. For clients before MQTT 5 a wrong password is "not authorized"
    /// (5), as with mosca, and having to wait is "server unavailable" (3).
    #[must_use]
    pub const fn reason_code(&self, version: Version) -> ReasonCode {
        match self {
            Self::BadCredentials if version.is_v5() => ReasonCode::BadUserNameOrPassword,
            Self::BadCredentials | Self::NotAuthorized => ReasonCode::NotAuthorized,
            Self::TooManyFailures { .. } => ReasonCode::ConnectionRateExceeded,
            Self::Unavailable => ReasonCode::ServerUnavailable,
        }
    }
}

/// What one client may do. It stays what it is when the users change; see [`Authorizer::replace`].
#[derive(Clone, Debug)]
pub struct Permissions {
    user: Option<Arc<str>>,
    rules: Rules,
}

impl Permissions {
    pub(crate) const fn new(user: Option<Arc<str>>, rules: Rules) -> Self {
        Self { user, rules }
    }

    /// Who the client is, `None` if nobody.
    #[must_use]
    pub const fn user(&self) -> Option<&Arc<str>> {
        self.user.as_ref()
    }

    /// Whether the client may publish to the topic name, also by its will. That nobody writes to `$SYS` is
    /// not said here.
    #[must_use]
    pub fn may_publish(&self, topic: &str) -> bool {
        self.rules.publish(topic)
    }

    /// Whether the client may have the topic filter, be it one of a shared subscription: whether it may
    /// see all topics that match. One that is malformed it may not have.
    #[must_use]
    pub fn may_subscribe(&self, filter: &str) -> bool {
        self.rules.subscribe(filter)
    }
}

/// What has changed for whom, so that those who are connected can be looked at. Names are those of users,
/// `None` stands for clients without one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Who is no longer among the users: their clients have to go.
    pub removed: Vec<Option<Arc<str>>>,
    /// Who may do something else than before: [`Authorizer::permissions`] says what, and subscriptions
    /// that they may not have any longer have to end.
    pub rules: Vec<Option<Arc<str>>>,
    /// Who has another password. That is asked for when the client connects the next time.
    pub passwords: Vec<Option<Arc<str>>>,
}

/// Says who may come in, publish and subscribe.
///
/// ```
/// use authorizer::{Authorizer, AuthorizerOptions, HashCost, Login, Users};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let mut users = Users::default();
/// users.set_password("eve", b"pencil", HashCost::default(), Some("home/*"), None)?;
/// let authorizer = Authorizer::new(&users, AuthorizerOptions::default());
///
/// let login = Login { user: Some("eve"), password: Some(b"pencil"), ..Login::default() };
/// let eve = authorizer.authenticate(login).await?;
/// assert!(eve.may_publish("home/door") && !eve.may_publish("garden/door"));
/// assert!(eve.may_subscribe("#"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Authorizer {
    snapshot: RwLock<Arc<Snapshot>>,
    /// How often the users have been replaced; counted after it has been done.
    generation: AtomicU64,
    hashing: Arc<Semaphore>,
    failures: Mutex<Failures>,
}

/// The users at one time.
struct Snapshot {
    users: HashMap<Arc<str>, Account>,
    nobody: Option<Account>,
    /// What is checked for users that do not exist: like the secrets that most have.
    decoy: Option<Arc<Secret>>,
}

struct Account {
    /// Who has none comes in by something else than a password.
    secret: Option<Arc<Secret>>,
    source: Vec<Rule>,
    /// The rules, if they are the same for all clients.
    fixed: Option<Rules>,
}

impl Account {
    fn permissions(&self, user: Option<Arc<str>>, client_id: &str) -> Permissions {
        let rules = match &self.fixed {
            Some(rules) => rules.clone(),
            None => Rules::new(&self.source, user.as_deref(), client_id),
        };
        Permissions { user, rules }
    }
}

impl Snapshot {
    fn new(users: &Users) -> Self {
        let mut found = HashMap::new();
        let mut nobody = None;
        let mut kinds: HashMap<_, (usize, Arc<Secret>)> = HashMap::new();
        for account in users.accounts() {
            let secret = account.secret.map(|secret| Arc::new(secret.clone()));
            if let Some(secret) = &secret {
                let kind = kinds.entry(secret.kind());
                kind.or_insert_with(|| (0, Arc::clone(secret))).0 += 1;
            }
            let fixed = Rules::are_fixed(&account.rules);
            let compiled = Account {
                secret,
                fixed: fixed.then(|| Rules::new(&account.rules, Some(account.name), "")),
                source: account.rules,
            };
            if account.is_anonymous {
                nobody = Some(compiled);
            } else {
                found.insert(Arc::from(account.name), compiled);
            }
        }
        let most = kinds.into_values().max_by_key(|(count, _)| *count);
        Self {
            users: found,
            nobody,
            decoy: most.map(|(_, secret)| Arc::new(secret.like())),
        }
    }

    fn changes_to(&self, next: &Self) -> Changes {
        let mut changes = Changes::default();
        let mut compare = |name: Option<&Arc<str>>, before: &Account, after: Option<&Account>| {
            let Some(after) = after else {
                changes.removed.push(name.cloned());
                return;
            };
            if before.source != after.source {
                changes.rules.push(name.cloned());
            }
            if before.secret != after.secret {
                changes.passwords.push(name.cloned());
            }
        };
        let mut names: Vec<&Arc<str>> = self.users.keys().collect();
        names.sort_unstable();
        for name in names {
            if let Some(before) = self.users.get(name) {
                compare(Some(name), before, next.users.get(name));
            }
        }
        if let Some(before) = &self.nobody {
            compare(None, before, next.nobody.as_ref());
        }
        changes
    }
}

impl Authorizer {
    /// For these users.
    #[must_use]
    pub fn new(users: &Users, options: AuthorizerOptions) -> Self {
        let hashes = options.hashes_at_once.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            snapshot: RwLock::new(Arc::new(Snapshot::new(users))),
            generation: AtomicU64::new(0),
            hashing: Arc::new(Semaphore::new(hashes)),
            failures: Mutex::new(Failures::new(options.failures)),
        }
    }

    /// Other users from now on, all at once. Whose password is being checked is judged by the users that
    /// were there when he came.
    pub fn replace(&self, users: &Users) -> Changes {
        let next = Arc::new(Snapshot::new(users));
        let mut snapshot = self.snapshot.write();
        let before = core::mem::replace(&mut *snapshot, Arc::clone(&next));
        drop(snapshot);
        self.generation.fetch_add(1, Ordering::Release);
        before.changes_to(&next)
    }

    /// [`Authorizer::replace`] with what is in the file at `path`. It blocks.
    ///
    /// # Errors
    /// As [`Users::load`]; the users are then those from before.
    pub fn reload(&self, path: impl AsRef<Path>) -> Result<Changes, UsersError> {
        Ok(self.replace(&Users::load(path)?))
    }

    /// What a client may do whose user is known already: when the users have changed, or when somebody else
    /// has found out who it is. `None` if there is no such user any more.
    #[must_use]
    pub fn permissions(&self, user: Option<&str>, client_id: &str) -> Option<Permissions> {
        let snapshot = self.snapshot();
        let Some(user) = user else {
            return Some(snapshot.nobody.as_ref()?.permissions(None, client_id));
        };
        let (name, account) = snapshot.users.get_key_value(user)?;
        Some(account.permissions(Some(Arc::clone(name)), client_id))
    }

    /// The same for a client that somebody else vouches for: who is not among the users may do what
    /// clients without a name may, and `%u` in there is its name.
    pub(crate) fn permissions_of_known(
        &self,
        user: Option<&str>,
        client_id: &str,
    ) -> Option<Permissions> {
        self.permissions(user, client_id).or_else(|| {
            let snapshot = self.snapshot();
            let name = user.map(Arc::from);
            Some(snapshot.nobody.as_ref()?.permissions(name, client_id))
        })
    }

    /// Whether somebody of this name can log in by a password.
    pub(crate) fn has_password_of(&self, name: &str) -> bool {
        let snapshot = self.snapshot();
        let account = snapshot.users.get(name);
        account.is_some_and(|account| account.secret.is_some())
    }

    pub(crate) fn has_anonymous(&self) -> bool {
        self.snapshot().nobody.is_some()
    }

    /// Which users these are. What was found out with an older number may not hold any more.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Finds out whether the client is who it says it is. How long that takes does not depend on whether
    /// there is such a user, as long as all passwords are hashed in the same way.
    ///
    /// Needs a tokio runtime, whose threads for blocking work do the hashing.
    ///
    /// # Errors
    /// [`Refusal`].
    ///
    /// # Cancellation
    /// May be dropped; what is being hashed then is hashed to its end. A client that does not stay for the
    /// answer has failed, as far as the count of its address goes.
    pub async fn authenticate(&self, login: Login<'_>) -> Result<Permissions, Refusal> {
        let snapshot = self.snapshot();
        let Some(user) = login.user else {
            let nobody = snapshot.nobody.as_ref().ok_or(Refusal::NotAuthorized)?;
            return Ok(nobody.permissions(None, login.client_id));
        };
        self.check_wait(login.address)?;
        let attempt = Attempt {
            failures: &self.failures,
            address: login.address,
        };
        let password = login.password.filter(|password| !password.is_empty());
        let password: Arc<[u8]> = password.ok_or(Refusal::BadCredentials)?.into();
        let known = snapshot.users.get_key_value(user);
        let secret = known.and_then(|(_, account)| account.secret.as_ref());
        let secret = secret
            .or(snapshot.decoy.as_ref())
            .ok_or(Refusal::BadCredentials)?;

        let permit = Arc::clone(&self.hashing).acquire_owned().await;
        let Ok(permit) = permit else {
            return Err(attempt.undecided());
        };
        // Others from that address may have failed meanwhile.
        if let Err(refusal) = self.check_wait(login.address) {
            attempt.over();
            return Err(refusal);
        }
        let secret = Arc::clone(secret);
        let hashing = tokio::task::spawn_blocking(move || (secret.verify(&password), permit));
        match (hashing.await, known) {
            (Ok((true, _)), Some((name, account))) => {
                attempt.over();
                Ok(account.permissions(Some(Arc::clone(name)), login.client_id))
            }
            (Ok((_, permit)), _) => {
                // Whose turn is next shall know of it.
                drop(attempt);
                drop(permit);
                Err(Refusal::BadCredentials)
            }
            (Err(_), _) => Err(attempt.undecided()),
        }
    }

    fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.snapshot.read())
    }

    fn check_wait(&self, address: Option<IpAddr>) -> Result<(), Refusal> {
        let wait = address.and_then(|address| self.failures.lock().wait(address, Instant::now()));
        wait.map_or(Ok(()), |wait| Err(Refusal::TooManyFailures { wait }))
    }
}

impl core::fmt::Debug for Authorizer {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Authorizer")
            .field("users", &self.snapshot().users.len())
            .finish_non_exhaustive()
    }
}

/// Somebody tries to log in, and has failed if this is dropped before it is over.
struct Attempt<'a> {
    failures: &'a Mutex<Failures>,
    address: Option<IpAddr>,
}

impl Attempt<'_> {
    /// It has not failed.
    fn over(mut self) {
        self.address = None;
    }

    fn undecided(self) -> Refusal {
        self.over();
        Refusal::Unavailable
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if let Some(address) = self.address {
            self.failures.lock().note(address, Instant::now());
        }
    }
}

#[cfg(test)]
mod tests;
