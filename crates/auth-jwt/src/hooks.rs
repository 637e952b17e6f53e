//! Tokens, as a broker asks for them.

use std::sync::Arc;
use std::time::SystemTime;

use authorizer::Grants;
use broker_core::{
    Authentication, Client, Escaped, Event, HookSet, Hooks, LoginRequest, PublishRequest,
    PublishVerdict, SubscribeRequest, SubscribeVerdict, Verdict,
};
use jsonwebtoken::Validation;
use parking_lot::RwLock;

use crate::claims::{self, Bearer};
use crate::{JwtOptions, Keys, TokenPlace};

/// Lets in who has a good token, and holds them to what it says.
///
/// A signature takes the connection's task up to some 100 µs.
#[derive(Debug)]
pub struct JwtHooks {
    keys: RwLock<Arc<Keys>>,
    options: JwtOptions,
    validation: Validation,
    grants: Grants,
    passes_strangers: bool,
}

impl JwtHooks {
    /// Who has no token is refused.
    #[must_use]
    pub fn new(keys: Keys, options: JwtOptions) -> Self {
        Self {
            keys: RwLock::new(Arc::new(keys)),
            validation: claims::validation(&options),
            options,
            grants: Grants::new(),
            passes_strangers: false,
        }
    }

    /// Leaves those who have no token to the next hooks of a [`HookChain`](broker_core::HookChain); a token
    /// that is no good is refused nevertheless. Without others behind it this would let everybody in.
    #[must_use]
    pub fn passing_strangers(self) -> Self {
        Self {
            passes_strangers: true,
            ..self
        }
    }

    /// Other keys from now on. Who is connected stays for as long as its token says.
    pub fn replace(&self, keys: Keys) {
        *self.keys.write() = Arc::new(keys);
    }

    /// The client identifiers of those whose tokens have expired since the last call. Each is to be given to
    /// the broker's [`reauthorize_client`](broker_core::Broker::reauthorize_client), which ends its
    /// connection; who calls this once a second has nobody stay longer than a second too long. Without it a
    /// client is disconnected when it publishes or subscribes.
    #[must_use]
    pub fn due(&self) -> Vec<Arc<str>> {
        self.due_at(SystemTime::now())
    }

    fn due_at(&self, now: SystemTime) -> Vec<Arc<str>> {
        self.grants.due(now)
    }

    /// `None` for those without a token.
    fn check(&self, login: &LoginRequest<'_>) -> Option<Result<Bearer, String>> {
        let text = match self.options.place {
            TokenPlace::Password => core::str::from_utf8(login.password?).ok()?,
            TokenPlace::UserName => login.user_name?,
        };
        is_token(text).then(|| self.bearer(text, login))
    }

    fn bearer(&self, token: &str, login: &LoginRequest<'_>) -> Result<Bearer, String> {
        let keys = Arc::clone(&self.keys.read());
        let claims = keys.claims(token, &self.validation);
        let claims = claims.map_err(|error| error.to_string())?;
        let bearer = Bearer::new(&claims, login, &self.options, SystemTime::now());
        bearer.map_err(str::to_owned)
    }

    fn answer(&self, login: &LoginRequest<'_>) -> Authentication {
        match self.check(login) {
            Some(Ok(Bearer { user, grant })) => Authentication::Accept {
                user: Some(user),
                data: Some(Arc::new(grant)),
            },
            Some(Err(reason)) => {
                // The client learns nothing of it, but who runs the broker may.
                tracing::debug!(
                    client_id = %Escaped(&login.client_id),
                    reason = %Escaped(&reason),
                    "a token is refused"
                );
                Authentication::bad_credentials()
            }
            None if self.passes_strangers => Authentication::Pass,
            None if login.user_name.is_some() => Authentication::bad_credentials(),
            None => Authentication::not_authorized(),
        }
    }
}

/// Whether it looks like a token, and not like a password, say: an object of JSON and two further things in
/// base64url, with dots between them (RFC 7515 section 3.1).
fn is_token(text: &str) -> bool {
    let is_base64url = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let mut parts = text.split('.');
    text.starts_with("ey")
        && parts.clone().count() == 3
        && parts.all(|part| part.bytes().all(is_base64url))
}

impl Hooks for JwtHooks {
    fn wanted(&self) -> HookSet {
        HookSet {
            authenticate: true,
            authorize_publish: true,
            authorize_subscribe: true,
            connected: self.options.disconnect_at_expiry,
            disconnected: self.options.disconnect_at_expiry,
            ..HookSet::NONE
        }
    }

    fn authenticate(&self, login: &LoginRequest<'_>) -> Verdict<Authentication> {
        Verdict::Ready(self.answer(login))
    }

    fn authorize_publish(
        &self,
        client: &Arc<Client>,
        publish: &PublishRequest<'_>,
    ) -> Verdict<PublishVerdict> {
        Verdict::Ready(self.grants.authorize_publish(client, publish))
    }

    fn authorize_subscribe(
        &self,
        client: &Arc<Client>,
        subscribe: &SubscribeRequest<'_>,
    ) -> Verdict<SubscribeVerdict> {
        Verdict::Ready(self.grants.authorize_subscribe(client, subscribe))
    }

    fn may_stay(&self, client: &Arc<Client>) -> Verdict<bool> {
        Verdict::Ready(self.grants.may_stay(client))
    }

    fn notify(&self, event: &Event<'_>) -> Verdict<()> {
        self.grants.notify(event);
        Verdict::Ready(())
    }
}

#[cfg(test)]
mod tests;
