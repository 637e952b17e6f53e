//! Hooks as async methods, for programs that decide by asking somebody else: a database, a service.

use std::future::Future;
use std::sync::Arc;

use broker_core::{
    Authentication, Client, CloseCause, Event, ForwardRequest, ForwardVerdict, HookSet, Hooks,
    Login, LoginRequest, Message, MessageParts, PublishRequest, PublishVerdict, SubscribeRequest,
    SubscribeVerdict, Timestamp, Verdict,
};
use mqtt_codec::{PropertiesBuf, PropertySet, QoS};

/// [`Hooks`] whose methods are async. Given to [`ServerBuilder::async_hooks`](crate::ServerBuilder::async_hooks).
///
/// A method that takes its time holds up the client that it is about, and nobody else. One that panics, or
/// takes longer than [`hook_timeout`](crate::BrokerOptions::hook_timeout), refuses that one request.
///
/// # Cancel safety
/// A future is dropped when its client has gone, so it may end at any `.await`. Those of
/// [`on_disconnected`](Self::on_disconnected), and of [`on_published`](Self::on_published) without a client, are
/// run to their end.
///
/// ```
/// use std::sync::Arc;
/// use mosca::{Authentication, AsyncHooks, Client, HookSet, Login, Message, PublishVerdict, Server};
///
/// struct Accounts;
///
/// impl AsyncHooks for Accounts {
///     fn wanted(&self) -> HookSet {
///         HookSet { authenticate: true, authorize_publish: true, ..HookSet::NONE }
///     }
///
///     async fn authenticate(&self, login: Login) -> Authentication {
///         // Ask a database here.
///         match (login.user_name.as_deref(), login.password.as_deref()) {
///             (Some("eve"), Some(b"pencil")) => Authentication::accept("eve"),
///             (Some(_), _) => Authentication::bad_credentials(),
///             (None, _) => Authentication::not_authorized(),
///         }
///     }
///
///     async fn authorize_publish(&self, _: Arc<Client>, message: Arc<Message>) -> PublishVerdict {
///         if message.topic().starts_with("public/") {
///             PublishVerdict::Allow
///         } else {
///             PublishVerdict::DENY
///         }
///     }
/// }
///
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let server = Server::builder().async_hooks(Accounts).start().await?;
/// # Ok::<(), mosca::StartError>(())
/// # }).unwrap();
/// ```
pub trait AsyncHooks: Send + Sync + 'static {
    /// Which of the other methods are called. What is not named here costs nothing: by default all are.
    fn wanted(&self) -> HookSet {
        HookSet::ALL
    }

    /// A client wants to come in; see [`Hooks::authenticate`].
    fn authenticate(&self, login: Login) -> impl Future<Output = Authentication> + Send {
        let _ = login;
        async { Authentication::Pass }
    }

    /// A client publishes, or names a will; see [`Hooks::authorize_publish`].
    fn authorize_publish(
        &self,
        client: Arc<Client>,
        message: Arc<Message>,
    ) -> impl Future<Output = PublishVerdict> + Send {
        let _ = (client, message);
        async { PublishVerdict::Allow }
    }

    /// A client subscribes to a topic filter, or has it already and is asked about again; see
    /// [`Hooks::authorize_subscribe`].
    fn authorize_subscribe(
        &self,
        client: Arc<Client>,
        filter: String,
        qos: QoS,
    ) -> impl Future<Output = SubscribeVerdict> + Send {
        let _ = (client, filter, qos);
        async { SubscribeVerdict::Allow }
    }

    /// A message is about to be sent to a client; see [`Hooks::authorize_forward`].
    fn authorize_forward(
        &self,
        client: Arc<Client>,
        message: Arc<Message>,
    ) -> impl Future<Output = ForwardVerdict> + Send {
        let _ = (client, message);
        async { ForwardVerdict::Allow }
    }

    /// Whether a client may stay; see [`Hooks::may_stay`].
    fn may_stay(&self, client: Arc<Client>) -> impl Future<Output = bool> + Send {
        let _ = client;
        async { true }
    }

    /// A client was let in. Its next packet waits for this.
    fn on_connected(
        &self,
        client: Arc<Client>,
        session_present: bool,
    ) -> impl Future<Output = ()> + Send {
        let _ = (client, session_present);
        async {}
    }

    /// The connection of a client has ended.
    fn on_disconnected(
        &self,
        client: Arc<Client>,
        cause: CloseCause,
    ) -> impl Future<Output = ()> + Send {
        let _ = (client, cause);
        async {}
    }

    /// A message was published and handed to its receivers: by a client, whose PUBACK or PUBREC waits for
    /// this, or by the server, the program around it, or as a will.
    fn on_published(
        &self,
        client: Option<Arc<Client>>,
        message: Arc<Message>,
    ) -> impl Future<Output = ()> + Send {
        let _ = (client, message);
        async {}
    }

    /// A client has acknowledged a message at QoS 1 or 2; see [`Event::Delivered`]. The client's next packet
    /// waits for this.
    fn on_delivered(
        &self,
        client: Arc<Client>,
        message: Arc<Message>,
        qos: QoS,
    ) -> impl Future<Output = ()> + Send {
        let _ = (client, message, qos);
        async {}
    }

    /// A client has subscribed. Its next packet waits for this.
    fn on_subscribed(
        &self,
        client: Arc<Client>,
        filter: String,
        qos: QoS,
    ) -> impl Future<Output = ()> + Send {
        let _ = (client, filter, qos);
        async {}
    }

    /// A client has cancelled a subscription, or may not have it any longer. Its next packet waits for this.
    fn on_unsubscribed(
        &self,
        client: Arc<Client>,
        filter: String,
    ) -> impl Future<Output = ()> + Send {
        let _ = (client, filter);
        async {}
    }

    /// A client has sent PINGREQ. Its next packet waits for this.
    fn on_pingreq(&self, client: Arc<Client>) -> impl Future<Output = ()> + Send {
        let _ = client;
        async {}
    }
}

/// Async hooks as the broker calls them.
pub(crate) struct Adapted<H>(pub(crate) Arc<H>);

impl<H: AsyncHooks> Adapted<H> {
    /// A verdict of one of the methods.
    fn later<T, F>(&self, call: impl FnOnce(Arc<H>) -> F) -> Verdict<T>
    where
        F: Future<Output = T> + Send + 'static,
    {
        Verdict::pending(call(Arc::clone(&self.0)))
    }
}

impl<H: AsyncHooks> Hooks for Adapted<H> {
    fn wanted(&self) -> HookSet {
        self.0.wanted()
    }

    fn authenticate(&self, login: &LoginRequest<'_>) -> Verdict<Authentication> {
        let login = Login::from(login);
        self.later(|hooks| async move { hooks.authenticate(login).await })
    }

    fn authorize_publish(
        &self,
        client: &Arc<Client>,
        publish: &PublishRequest<'_>,
    ) -> Verdict<PublishVerdict> {
        let (client, message) = (Arc::clone(client), message_of(publish));
        self.later(|hooks| async move { hooks.authorize_publish(client, message).await })
    }

    fn authorize_subscribe(
        &self,
        client: &Arc<Client>,
        subscribe: &SubscribeRequest<'_>,
    ) -> Verdict<SubscribeVerdict> {
        let client = Arc::clone(client);
        let (filter, qos) = (subscribe.filter.to_owned(), subscribe.qos);
        self.later(|hooks| async move { hooks.authorize_subscribe(client, filter, qos).await })
    }

    fn authorize_forward(
        &self,
        client: &Arc<Client>,
        forward: &ForwardRequest<'_>,
    ) -> Verdict<ForwardVerdict> {
        let (client, message) = (Arc::clone(client), Arc::clone(forward.message));
        self.later(|hooks| async move { hooks.authorize_forward(client, message).await })
    }

    fn may_stay(&self, client: &Arc<Client>) -> Verdict<bool> {
        let client = Arc::clone(client);
        self.later(|hooks| async move { hooks.may_stay(client).await })
    }

    fn notify(&self, event: &Event<'_>) -> Verdict<()> {
        match *event {
            Event::Connected {
                client,
                session_present,
            } => {
                let client = Arc::clone(client);
                self.later(|hooks| async move { hooks.on_connected(client, session_present).await })
            }
            Event::Disconnected { client, cause } => {
                let client = Arc::clone(client);
                self.later(|hooks| async move { hooks.on_disconnected(client, cause).await })
            }
            Event::Published { client, message } => {
                let (client, message) = (client.cloned(), Message::new(message));
                self.later(|hooks| async move { hooks.on_published(client, message).await })
            }
            Event::Delivered {
                client,
                message,
                qos,
            } => {
                let (client, message) = (Arc::clone(client), Arc::clone(message));
                self.later(|hooks| async move { hooks.on_delivered(client, message, qos).await })
            }
            Event::Subscribed {
                client,
                filter,
                qos,
            } => {
                let (client, filter) = (Arc::clone(client), filter.to_owned());
                self.later(|hooks| async move { hooks.on_subscribed(client, filter, qos).await })
            }
            Event::Unsubscribed { client, filter } => {
                let (client, filter) = (Arc::clone(client), filter.to_owned());
                self.later(|hooks| async move { hooks.on_unsubscribed(client, filter).await })
            }
            Event::PingReq { client } => {
                let client = Arc::clone(client);
                self.later(|hooks| async move { hooks.on_pingreq(client).await })
            }
            // Whatever else there is to tell another day.
            _ => Verdict::Ready(()),
        }
    }
}

/// A function that says who comes in.
pub(crate) struct Deciding<F>(pub(crate) F);

impl<F> Hooks for Deciding<F>
where
    F: Fn(&LoginRequest<'_>) -> Authentication + Send + Sync,
{
    fn wanted(&self) -> HookSet {
        HookSet {
            authenticate: true,
            ..HookSet::NONE
        }
    }

    fn authenticate(&self, login: &LoginRequest<'_>) -> Verdict<Authentication> {
        Verdict::Ready((self.0)(login))
    }
}

/// The message that a client wants to have published.
fn message_of(publish: &PublishRequest<'_>) -> Arc<Message> {
    let mut forwarded = PropertiesBuf::new();
    // Nothing is there twice that may not be: the properties were decoded.
    let _extended = forwarded.extend(publish.properties, PropertySet::FORWARDED);
    Message::new(MessageParts {
        topic: publish.topic,
        properties: forwarded.as_properties().raw(),
        payload: publish.payload,
        qos: publish.qos,
        retain: publish.retain,
        expires: Timestamp::MAX,
    })
}
