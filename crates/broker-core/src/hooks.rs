//! What the program around the broker decides and hears of: who comes in, who publishes, subscribes and
//! receives what, and what has happened.
//!
//! Each method of [`Hooks`] answers with a [`Verdict`]: at once, which costs nothing but the call, or
//! later, by a future. While one is awaited nothing else of *that client* is handled, and everybody
//! else goes on. A call or a future that panics, or is not ready within
//! [`hook_timeout`](crate::BrokerOptions::hook_timeout), counts as a refusal of that one request
//! (`hook_failures`).
//!
//! Only those methods are called that [`Hooks::wanted`] names; with none of them set, and without hooks,
//! a message pays one comparison.

mod chain;
mod client;
mod guard;
mod request;

use std::sync::Arc;

pub use chain::HookChain;
pub use client::{Client, ClientData};
pub(crate) use guard::{Answer, Failed, Guarded, Hooked};
pub use request::{
    Authentication, Event, ForwardRequest, ForwardVerdict, HookSet, Login, LoginRequest,
    PublishRequest, PublishVerdict, SubscribeRequest, SubscribeVerdict,
};

use crate::authentication::Verdict;

/// Decides for the broker, and hears what happens; see the options'
/// [`hooks`](crate::BrokerOptions::hooks).
///
/// All methods are called on the task of the connection that they are about, so what takes more than a
/// few microseconds belongs into [`Verdict::Pending`].
///
/// # Cancellation
/// A future is dropped when the connection ends for any other reason, or its time is up. The futures of
/// [`notify`](Hooks::notify) about an end are not: the driver runs them to their end.
///
/// ```
/// use std::sync::Arc;
/// use broker_core::{
///     Authentication, BrokerOptions, Client, HookSet, Hooks, LoginRequest, PublishRequest,
///     PublishVerdict, Verdict,
/// };
///
/// /// Everybody needs a name and publishes below it.
/// struct OwnNames;
///
/// impl Hooks for OwnNames {
///     fn wanted(&self) -> HookSet {
///         HookSet { authenticate: true, authorize_publish: true, ..HookSet::NONE }
///     }
///
///     fn authenticate(&self, login: &LoginRequest<'_>) -> Verdict<Authentication> {
///         Verdict::Ready(match login.user_name {
///             Some(name) => Authentication::accept(name),
///             None => Authentication::not_authorized(),
///         })
///     }
///
///     fn authorize_publish(
///         &self,
///         client: &Arc<Client>,
///         publish: &PublishRequest<'_>,
///     ) -> Verdict<PublishVerdict> {
///         let user = client.user().map_or("", |user| user);
///         let is_own = publish.topic.split('/').next() == Some(user);
///         Verdict::Ready(if is_own { PublishVerdict::Allow } else { PublishVerdict::DENY })
///     }
/// }
///
/// let options = BrokerOptions { hooks: Some(Arc::new(OwnNames)), ..BrokerOptions::default() };
/// ```
pub trait Hooks: Send + Sync {
    /// Which of the other methods are called. Asked once, when the broker is made.
    fn wanted(&self) -> HookSet;

    /// A client has sent CONNECT and names no authentication method. Asked before the client takes the
    /// place of a connection of the same client identifier.
    ///
    /// [`Authentication::Pass`] lets it in: nobody has an opinion.
    fn authenticate(&self, login: &LoginRequest<'_>) -> Verdict<Authentication> {
        let _ = login;
        Verdict::Ready(Authentication::Pass)
    }

    /// A client publishes, or names a will in CONNECT ([`PublishRequest::is_will`]). A message at QoS 2
    /// that is sent again is not asked about again, and what is published to `$SYS` is refused without
    /// asking.
    fn authorize_publish(
        &self,
        client: &Arc<Client>,
        publish: &PublishRequest<'_>,
    ) -> Verdict<PublishVerdict> {
        let _ = (client, publish);
        Verdict::Ready(PublishVerdict::Allow)
    }

    /// A client subscribes to a topic filter that is well-formed and within the limits, or comes back to
    /// a session that has the filter ([`SubscribeRequest::is_held`]). Filters of one SUBSCRIBE are asked
    /// about one after the other.
    fn authorize_subscribe(
        &self,
        client: &Arc<Client>,
        subscribe: &SubscribeRequest<'_>,
    ) -> Verdict<SubscribeVerdict> {
        let _ = (client, subscribe);
        Verdict::Ready(SubscribeVerdict::Allow)
    }

    /// A message is about to be sent to a client: live, retained, or from its queue. What comes behind
    /// it waits for the verdict, and nothing else of the client does.
    ///
    /// Asked when it is the message's turn, once for each client and message. What was sent and not
    /// acknowledged is sent again as it was. Only a broker that starts again over its store, or has
    /// read a session from it once more, asks about messages that were sent before: to those a hook
    /// should answer as it has. A message whose verdict was awaited when the connection ended is asked
    /// about on the next one, or for another member of its shared subscription.
    fn authorize_forward(
        &self,
        client: &Arc<Client>,
        forward: &ForwardRequest<'_>,
    ) -> Verdict<ForwardVerdict> {
        let _ = (client, forward);
        Verdict::Ready(ForwardVerdict::Allow)
    }

    /// Whether a client that is connected may stay: asked of each by
    /// [`Broker::reauthorize`](crate::Broker::reauthorize), before its will and its subscriptions are asked
    /// about again. Only where [`HookSet::authenticate`] is set.
    fn may_stay(&self, client: &Arc<Client>) -> Verdict<bool> {
        let _ = client;
        Verdict::Ready(true)
    }

    /// Something has happened; see [`Event`] for what waits for the verdict.
    fn notify(&self, event: &Event<'_>) -> Verdict<()> {
        let _ = event;
        Verdict::Ready(())
    }
}
