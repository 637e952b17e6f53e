//! The users, as hooks of a broker.
//!
//! Who logs in gets its rights then. When the users change, rights are found anew the next time that they are
//! asked for, and [`Broker::reauthorize`](broker_core::Broker::reauthorize) asks for those of everybody.

use std::sync::Arc;

use broker_core::{
    Authentication, AuthenticationRefusal, Client, HookSet, Hooks, LoginRequest, PublishRequest,
    PublishVerdict, SubscribeRequest, SubscribeVerdict, Verdict,
};

use crate::authorizer::{Authorizer, Login, Permissions, Refusal};
use crate::grant::Grant;
use crate::known::{Known, Whose};

/// An [`Authorizer`] that a broker asks.
///
/// Of a client whom it has let in itself it knows the user, and the rules of the file hold for it. Others
/// are judged by who they are according to whom has let them in:
///
/// - who has come by a certificate, or by an authentication method such as SCRAM, may do what the file says
///   of the user of that name, who needs no password there; if it has none, what clients without a name may do, where `%u` is that name;
///   and if there is no such entry, nothing;
/// - the same holds for who was let in by other hooks, unless these have left a [`Grant`] with rights
///   of their own: then those hold, and the file is not asked.
///
/// ```
/// use std::sync::Arc;
/// use authorizer::{Authorizer, AuthorizerHooks, AuthorizerOptions, Users};
/// use broker_core::BrokerOptions;
///
/// let users = Users::from_json(r#"{"guest": {"anonymous": true, "authorizeSubscribe": "news/**"}}"#)?;
/// let authorizer = Arc::new(Authorizer::new(&users, AuthorizerOptions::default()));
/// let options = BrokerOptions {
///     hooks: Some(Arc::new(AuthorizerHooks::new(Arc::clone(&authorizer)))),
///     ..BrokerOptions::default()
/// };
/// // Later: `authorizer.reload(path)?`, and then the broker's `reauthorize`.
/// # Ok::<(), authorizer::UsersError>(())
/// ```
#[derive(Debug)]
pub struct AuthorizerHooks {
    authorizer: Arc<Authorizer>,
    passes_strangers: bool,
}

/// What is left at a client that was let in here: its rights at some time.
struct Rights {
    /// It has come by something better than a password, and need not be in the file.
    is_certified: bool,
    known: Known,
}

impl AuthorizerHooks {
    /// Who is not among the users is refused.
    #[must_use]
    pub const fn new(authorizer: Arc<Authorizer>) -> Self {
        Self {
            authorizer,
            passes_strangers: false,
        }
    }

    /// Leaves who is not among the users that have a password, and who has a password and no name, to the next
    /// hooks of a [`HookChain`](broker_core::HookChain): at once, so that the time that the answer takes tells who is
    /// among them. Without others behind it this would let everybody in.
    #[must_use]
    pub fn passing_strangers(self) -> Self {
        Self {
            passes_strangers: true,
            ..self
        }
    }

    /// For a client that has shown who it is by something better than a password.
    fn certified(&self, name: &Arc<str>, client_id: &str) -> Authentication {
        let generation = self.authorizer.generation();
        match self.authorizer.permissions_of_known(Some(name), client_id) {
            Some(permissions) => {
                let whose = Whose {
                    generation,
                    user: Some(name),
                    client_id,
                };
                let known = Known::found(permissions, whose);
                accept(Some(Arc::clone(name)), known, true)
            }
            None if self.passes_strangers => Authentication::Pass,
            None => Authentication::not_authorized(),
        }
    }

    /// What the client may do; `None` if it should not be here.
    fn ask<T>(&self, client: &Client, ask: impl FnOnce(&Permissions) -> T) -> Option<T> {
        let (user, client_id) = (client.user().map(AsRef::as_ref), client.client_id());
        let vouched_for = || self.authorizer.permissions_of_known(user, client_id);
        let whose = Whose {
            generation: self.authorizer.generation(),
            user: client.user(),
            client_id,
        };
        if let Some(rights) = client.data::<Rights>() {
            let find = || match rights.is_certified {
                true => vouched_for(),
                false => self.authorizer.permissions(user, client_id),
            };
            return rights.known.ask(whose, find, ask);
        }
        match client.data::<Grant>() {
            Some(grant) => match grant.permissions() {
                Some(permissions) => Some(ask(permissions)),
                None => grant.of_users().ask(whose, vouched_for, ask),
            },
            None => vouched_for().as_ref().map(ask),
        }
    }

    fn may(&self, client: &Client, ask: impl FnOnce(&Permissions) -> bool) -> bool {
        self.ask(client, ask).unwrap_or(false)
    }
}

impl Hooks for AuthorizerHooks {
    fn wanted(&self) -> HookSet {
        HookSet {
            authenticate: true,
            authorize_publish: true,
            authorize_subscribe: true,
            ..HookSet::NONE
        }
    }

    fn authenticate(&self, login: &LoginRequest<'_>) -> Verdict<Authentication> {
        if let Some(name) = login.certified {
            return Verdict::Ready(self.certified(name, login.client_id));
        }
        let is_known = match login.user_name {
            Some(name) => self.authorizer.has_password_of(name),
            // A password without a name may be something that others know, such as a token.
            None => login.password.is_none() && self.authorizer.has_anonymous(),
        };
        if !is_known && self.passes_strangers {
            return Verdict::Ready(Authentication::Pass);
        }
        let authorizer = Arc::clone(&self.authorizer);
        let user = login.user_name.map(str::to_owned);
        let password = login.password.map(<[u8]>::to_vec);
        let client_id = login.client_id.to_owned();
        let address = login.address.map(|address| address.ip());
        let version = login.version;
        Verdict::pending(async move {
            // From before the decision: if the users change meanwhile, it is found anew.
            let generation = authorizer.generation();
            let login = Login {
                user: user.as_deref(),
                password: password.as_deref(),
                address,
                client_id: &client_id,
            };
            match authorizer.authenticate(login).await {
                Ok(permissions) => {
                    let user = permissions.user().cloned();
                    let whose = Whose {
                        generation,
                        user: user.as_ref(),
                        client_id: &client_id,
                    };
                    let known = Known::found(permissions, whose);
                    accept(user, known, false)
                }
                Err(refusal) => Authentication::Refuse(AuthenticationRefusal {
                    reason_code: refusal.reason_code(version),
                    reason_string: words(refusal),
                }),
            }
        })
    }

    fn authorize_publish(
        &self,
        client: &Arc<Client>,
        publish: &PublishRequest<'_>,
    ) -> Verdict<PublishVerdict> {
        let may = self.may(client, |it| it.may_publish(publish.topic));
        Verdict::Ready(if may {
            PublishVerdict::Allow
        } else {
            PublishVerdict::DENY
        })
    }

    fn authorize_subscribe(
        &self,
        client: &Arc<Client>,
        subscribe: &SubscribeRequest<'_>,
    ) -> Verdict<SubscribeVerdict> {
        let may = self.may(client, |it| it.may_subscribe(subscribe.filter));
        Verdict::Ready(if may {
            SubscribeVerdict::Allow
        } else {
            SubscribeVerdict::DENY
        })
    }

    /// Who has lost its user has to go, and so does who has no name when there is nothing any more that
    /// such clients may do. Who was let in by others may stay for as long as they say so.
    fn may_stay(&self, client: &Arc<Client>) -> Verdict<bool> {
        let was_let_in_here = client.data::<Rights>().is_some();
        Verdict::Ready(!was_let_in_here || self.ask(client, |_| ()).is_some())
    }
}

fn accept(user: Option<Arc<str>>, known: Known, is_certified: bool) -> Authentication {
    let rights = Rights {
        is_certified,
        known,
    };
    Authentication::Accept {
        user,
        data: Some(Arc::new(rights)),
    }
}

/// Who has to wait is told for how long; others learn nothing.
fn words(refusal: Refusal) -> Option<String> {
    match refusal {
        Refusal::TooManyFailures { wait } => {
            let secs = wait.as_secs().saturating_add(1);
            Some(format!("logging in has failed too often; wait {secs} s"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
