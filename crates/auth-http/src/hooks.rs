//! The service, as a broker asks it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Instant, SystemTime};

use authorizer::{Grant, Grants};
use broker_core::{
    Authentication, AuthenticationRefusal, Client, Escaped, Event, HookSet, Hooks, LoginRequest,
    PublishRequest, PublishVerdict, SubscribeRequest, SubscribeVerdict, Verdict,
};
use bytes::Bytes;
use hyper::Uri;
use mqtt_codec::ReasonCode;

use crate::answer::{Answer, Details};
use crate::cache::Cache;
use crate::service::{Service, is_secure, url};
use crate::{HttpError, HttpOptions, question};

/// Asks a service on HTTP. Needs a tokio runtime.
#[derive(Clone, Debug)]
pub struct HttpHooks {
    shared: Arc<Shared>,
    passes_strangers: bool,
}

#[derive(Debug)]
struct Shared {
    service: Service,
    authenticate: Uri,
    authorize: Option<Uri>,
    cache: Cache,
    grants: Grants,
    asked: AtomicU64,
    failed: AtomicU64,
    cached: AtomicU64,
    is_down: AtomicBool,
}

/// What has been counted since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HttpCounters {
    /// Questions that the service was asked.
    pub asked: u64,
    /// Those of them that it has not answered as it should, in time.
    pub failed: u64,
    /// Questions about rights that were answered by what it has said before.
    pub cached: u64,
}

/// What the service says of something that a client wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Right {
    Allowed,
    Denied,
    /// It says nothing.
    Unknown,
}

impl From<Right> for PublishVerdict {
    fn from(right: Right) -> Self {
        match right {
            Right::Allowed => Self::Allow,
            Right::Denied => Self::DENY,
            Right::Unknown => Self::Deny(ReasonCode::ImplementationSpecificError),
        }
    }
}

impl Right {
    /// A subscription that is held outlives the failure of the service: its client has to come again.
    fn to_subscribe(self, is_held: bool) -> SubscribeVerdict {
        match self {
            Self::Allowed => SubscribeVerdict::Allow,
            Self::Denied => SubscribeVerdict::DENY,
            Self::Unknown if is_held => SubscribeVerdict::Disconnect,
            Self::Unknown => SubscribeVerdict::Deny(ReasonCode::ImplementationSpecificError),
        }
    }
}

impl HttpHooks {
    /// Reads the certificates of authorities, for https; nobody is asked yet. Whom the service
    /// ignores is refused.
    ///
    /// # Errors
    /// [`HttpError`] if the options make no sense.
    pub fn new(options: HttpOptions) -> Result<Self, HttpError> {
        let authenticate = url(&options.authenticate_url)?;
        let authorize = options.authorize_url.as_deref().map(url).transpose()?;
        let has_secure_url = is_secure(&authenticate) || authorize.as_ref().is_some_and(is_secure);
        let shared = Shared {
            service: Service::new(&options, has_secure_url)?,
            authenticate,
            authorize,
            cache: Cache::new(options.cache_ttl, options.cache_entries),
            grants: Grants::new(),
            asked: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            cached: AtomicU64::new(0),
            is_down: AtomicBool::new(false),
        };
        Ok(Self {
            shared: Arc::new(shared),
            passes_strangers: false,
        })
    }

    /// Leaves those whom the service ignores to the next hooks of a
    /// [`HookChain`](broker_core::HookChain). Without others behind it this would let them in.
    #[must_use]
    pub fn passing_strangers(self) -> Self {
        Self {
            passes_strangers: true,
            ..self
        }
    }

    /// Forgets what the service has said of rights. To be called before the broker's
    /// [`reauthorize`](broker_core::Broker::reauthorize), or that hears old answers.
    pub fn forget(&self) {
        self.shared.cache.clear();
    }

    /// The client identifiers of those whose time is over since the last call; see
    /// [`Grants::due`](authorizer::Grants::due).
    #[must_use]
    pub fn due(&self) -> Vec<Arc<str>> {
        self.shared.grants.due(SystemTime::now())
    }

    /// What has been counted.
    #[must_use]
    pub fn counters(&self) -> HttpCounters {
        let shared = &self.shared;
        HttpCounters {
            asked: shared.asked.load(Ordering::Relaxed),
            failed: shared.failed.load(Ordering::Relaxed),
            cached: shared.cached.load(Ordering::Relaxed),
        }
    }

    /// What a client may do that has brought no rights of its own.
    fn right<V: Send + 'static>(
        &self,
        client: &Client,
        question: impl FnOnce() -> Bytes,
        verdict: impl FnOnce(Right) -> V + Send + 'static,
    ) -> Verdict<V> {
        let has_own = client
            .data::<Grant>()
            .is_some_and(|it| it.permissions().is_some());
        if has_own || self.shared.authorize.is_none() {
            return Verdict::Ready(verdict(Right::Allowed));
        }
        let question = question();
        if let Some(allowed) = self.shared.cache.get(&question, Instant::now()) {
            self.shared.cached.fetch_add(1, Ordering::Relaxed);
            let right = if allowed {
                Right::Allowed
            } else {
                Right::Denied
            };
            return Verdict::Ready(verdict(right));
        }
        let shared = Arc::clone(&self.shared);
        Verdict::pending(async move { verdict(shared.authorize(question).await) })
    }
}

impl Shared {
    /// `None` if the service has failed.
    async fn ask(&self, url: &Uri, question: Bytes) -> Option<Answer> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        match self.service.ask(url, question).await {
            Ok(answer) => {
                if self.is_down.swap(false, Ordering::Relaxed) {
                    tracing::warn!("the service that knows the clients answers again");
                }
                Some(answer)
            }
            Err(failure) => {
                self.failed.fetch_add(1, Ordering::Relaxed);
                if !self.is_down.swap(true, Ordering::Relaxed) {
                    tracing::error!(
                        error = %Escaped(&failure),
                        "the service that knows the clients has no answer"
                    );
                }
                None
            }
        }
    }

    async fn authorize(&self, question: Bytes) -> Right {
        let Some(url) = &self.authorize else {
            return Right::Allowed;
        };
        let generation = self.cache.generation();
        let Some(answer) = self.ask(url, question.clone()).await else {
            return Right::Unknown;
        };
        let is_allowed = matches!(answer, Answer::Allow(_) | Answer::Ignore);
        self.cache
            .put(&question, is_allowed, generation, Instant::now());
        if is_allowed {
            Right::Allowed
        } else {
            Right::Denied
        }
    }

    async fn authenticate(
        &self,
        question: Bytes,
        known_as: Option<Arc<str>>,
        client_id: &str,
        stranger: Authentication,
    ) -> Authentication {
        match self.ask(&self.authenticate, question).await {
            Some(Answer::Allow(Details { user, acl, until })) => {
                let user = user.map(Arc::from).or(known_as);
                let permissions = acl.map(|acl| acl.permissions(user.clone(), client_id));
                Authentication::Accept {
                    user,
                    data: Some(Arc::new(Grant::new(permissions, until))),
                }
            }
            Some(Answer::BadCredentials) => Authentication::bad_credentials(),
            Some(Answer::Deny) => Authentication::not_authorized(),
            Some(Answer::Ignore) => stranger,
            None => Authentication::Refuse(AuthenticationRefusal {
                reason_code: ReasonCode::ServerUnavailable,
                reason_string: None,
            }),
        }
    }
}

impl Hooks for HttpHooks {
    fn wanted(&self) -> HookSet {
        HookSet {
            authenticate: true,
            authorize_publish: true,
            authorize_subscribe: true,
            connected: true,
            disconnected: true,
            ..HookSet::NONE
        }
    }

    fn authenticate(&self, login: &LoginRequest<'_>) -> Verdict<Authentication> {
        let shared = Arc::clone(&self.shared);
        let question = question::authenticate(login);
        let client_id = login.client_id.to_owned();
        let certified = login.certified.cloned();
        let known_as = certified.or_else(|| login.user_name.map(Arc::from));
        let stranger = if self.passes_strangers {
            Authentication::Pass
        } else {
            Authentication::not_authorized()
        };
        let asked = async move {
            let asked = shared.authenticate(question, known_as, &client_id, stranger);
            asked.await
        };
        Verdict::pending(asked)
    }

    fn authorize_publish(
        &self,
        client: &Arc<Client>,
        publish: &PublishRequest<'_>,
    ) -> Verdict<PublishVerdict> {
        match self.shared.grants.authorize_publish(client, publish) {
            PublishVerdict::Allow => {
                let question = || question::publish(client, publish);
                self.right(client, question, PublishVerdict::from)
            }
            decided => Verdict::Ready(decided),
        }
    }

    fn authorize_subscribe(
        &self,
        client: &Arc<Client>,
        subscribe: &SubscribeRequest<'_>,
    ) -> Verdict<SubscribeVerdict> {
        match self.shared.grants.authorize_subscribe(client, subscribe) {
            SubscribeVerdict::Allow => {
                let question = || question::subscribe(client, subscribe);
                let is_held = subscribe.is_held;
                self.right(client, question, move |right| right.to_subscribe(is_held))
            }
            decided => Verdict::Ready(decided),
        }
    }

    fn may_stay(&self, client: &Arc<Client>) -> Verdict<bool> {
        Verdict::Ready(self.shared.grants.may_stay(client))
    }

    fn notify(&self, event: &Event<'_>) -> Verdict<()> {
        self.shared.grants.notify(event);
        Verdict::Ready(())
    }
}

#[cfg(test)]
mod tests;
