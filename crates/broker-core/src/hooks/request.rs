//! What hooks are asked and told, and what they may answer.

use core::net::SocketAddr;
use std::sync::Arc;

use mqtt_codec::{Properties, QoS, ReasonCode, Version};

use super::{Client, ClientData};
use crate::Message;
use crate::authentication::AuthenticationRefusal;
use crate::close::CloseCause;
use crate::message::MessageParts;

/// Which methods of [`Hooks`](crate::Hooks) are called.
///
/// ```
/// use broker_core::HookSet;
///
/// let only_publish = HookSet { authorize_publish: true, ..HookSet::NONE };
/// assert_eq!(only_publish.or(HookSet::NONE), only_publish);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HookSet {
    /// [`authenticate`](crate::Hooks::authenticate) and [`may_stay`](crate::Hooks::may_stay).
    pub authenticate: bool,
    /// [`authorize_publish`](crate::Hooks::authorize_publish).
    pub authorize_publish: bool,
    /// [`authorize_subscribe`](crate::Hooks::authorize_subscribe).
    pub authorize_subscribe: bool,
    /// [`authorize_forward`](crate::Hooks::authorize_forward).
    pub authorize_forward: bool,
    /// [`notify`](crate::Hooks::notify) of [`Event::Connected`].
    pub connected: bool,
    /// [`notify`](crate::Hooks::notify) of [`Event::Disconnected`].
    pub disconnected: bool,
    /// [`notify`](crate::Hooks::notify) of [`Event::Published`].
    pub published: bool,
    /// [`notify`](crate::Hooks::notify) of [`Event::Delivered`]. With this a message stays in memory until it
    /// is acknowledged, also in a session that ends with its connection.
    pub delivered: bool,
    /// [`notify`](crate::Hooks::notify) of [`Event::Subscribed`].
    pub subscribed: bool,
    /// [`notify`](crate::Hooks::notify) of [`Event::Unsubscribed`].
    pub unsubscribed: bool,
    /// [`notify`](crate::Hooks::notify) of [`Event::PingReq`].
    pub pingreq: bool,
}

impl HookSet {
    /// No method.
    pub const NONE: Self = Self {
        authenticate: false,
        authorize_publish: false,
        authorize_subscribe: false,
        authorize_forward: false,
        connected: false,
        disconnected: false,
        published: false,
        delivered: false,
        subscribed: false,
        unsubscribed: false,
        pingreq: false,
    };

    /// All methods.
    pub const ALL: Self = Self {
        authenticate: true,
        authorize_publish: true,
        authorize_subscribe: true,
        authorize_forward: true,
        connected: true,
        disconnected: true,
        published: true,
        delivered: true,
        subscribed: true,
        unsubscribed: true,
        pingreq: true,
    };

    /// Those of either.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self {
            authenticate: self.authenticate | other.authenticate,
            authorize_publish: self.authorize_publish | other.authorize_publish,
            authorize_subscribe: self.authorize_subscribe | other.authorize_subscribe,
            authorize_forward: self.authorize_forward | other.authorize_forward,
            connected: self.connected | other.connected,
            disconnected: self.disconnected | other.disconnected,
            published: self.published | other.published,
            delivered: self.delivered | other.delivered,
            subscribed: self.subscribed | other.subscribed,
            unsubscribed: self.unsubscribed | other.unsubscribed,
            pingreq: self.pingreq | other.pingreq,
        }
    }
}

/// What CONNECT says of a client that wants to come in. `Debug` does not show the password.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct LoginRequest<'a> {
    /// The version that the client speaks.
    pub version: Version,
    /// The client identifier; the one that it is about to be assigned if it sent none.
    pub client_id: &'a str,
    /// The user name in CONNECT.
    pub user_name: Option<&'a str>,
    /// The password in CONNECT.
    pub password: Option<&'a [u8]>,
    /// Who the client is by what carries the connection, such as a certificate
    /// ([`Connection::certify`](crate::Connection::certify)).
    pub certified: Option<&'a Arc<str>>,
    /// From where it connects; see [`Client::address`].
    pub address: Option<SocketAddr>,
    /// Clean start, or clean session.
    pub clean_start: bool,
    /// The keep alive in seconds, 0 for none.
    pub keep_alive_secs: u16,
}

impl<'a> LoginRequest<'a> {
    /// A client without user name and password, for tests of hooks.
    #[must_use]
    pub const fn new(version: Version, client_id: &'a str) -> Self {
        Self {
            version,
            client_id,
            user_name: None,
            password: None,
            certified: None,
            address: None,
            clean_start: true,
            keep_alive_secs: 0,
        }
    }
}

impl core::fmt::Debug for LoginRequest<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("LoginRequest")
            .field("version", &self.version)
            .field("client_id", &self.client_id)
            .field("user_name", &self.user_name)
            .field("has_password", &self.password.is_some())
            .field("certified", &self.certified)
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

/// A [`LoginRequest`] that owns its memory, and may so be thought about for longer than its packet is there.
/// `Debug` does not show the password.
#[derive(Clone)]
#[non_exhaustive]
pub struct Login {
    /// The version that the client speaks.
    pub version: Version,
    /// The client identifier; the one that it is about to be assigned if it sent none.
    pub client_id: String,
    /// The user name in CONNECT.
    pub user_name: Option<String>,
    /// The password in CONNECT.
    pub password: Option<Vec<u8>>,
    /// Who the client is by what carries the connection; see [`LoginRequest::certified`].
    pub certified: Option<Arc<str>>,
    /// From where it connects; see [`Client::address`].
    pub address: Option<SocketAddr>,
    /// Clean start, or clean session.
    pub clean_start: bool,
    /// The keep alive in seconds, 0 for none.
    pub keep_alive_secs: u16,
}

impl Login {
    /// Borrows it back, without copying.
    #[must_use]
    pub fn as_request(&self) -> LoginRequest<'_> {
        LoginRequest {
            version: self.version,
            client_id: &self.client_id,
            user_name: self.user_name.as_deref(),
            password: self.password.as_deref(),
            certified: self.certified.as_ref(),
            address: self.address,
            clean_start: self.clean_start,
            keep_alive_secs: self.keep_alive_secs,
        }
    }
}

impl From<&LoginRequest<'_>> for Login {
    fn from(login: &LoginRequest<'_>) -> Self {
        Self {
            version: login.version,
            client_id: login.client_id.to_owned(),
            user_name: login.user_name.map(str::to_owned),
            password: login.password.map(<[u8]>::to_vec),
            certified: login.certified.cloned(),
            address: login.address,
            clean_start: login.clean_start,
            keep_alive_secs: login.keep_alive_secs,
        }
    }
}

impl core::fmt::Debug for Login {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.as_request().fmt(f)
    }
}

/// Whether a client is let in.
#[derive(Clone)]
pub enum Authentication {
    /// It is not known here. It is let in unless somebody else is asked as well; it is the user that its
    /// certificate says, or nobody.
    Pass,
    /// It is let in.
    Accept {
        /// Who it is. `None` for nobody in particular.
        user: Option<Arc<str>>,
        /// Found again at the client by [`Client::data`].
        data: Option<ClientData>,
    },
    /// It is not let in. A reason code that CONNACK cannot carry becomes 0x87; 3.x clients are told
    /// the return code that is nearest, such as 4 for 0x86 and 5 for 0x87.
    Refuse(AuthenticationRefusal),
}

impl Authentication {
    /// The client is this user.
    #[must_use]
    pub fn accept(user: impl Into<Arc<str>>) -> Self {
        Self::Accept {
            user: Some(user.into()),
            data: None,
        }
    }

    /// There is no such user, or this is not the password: 0x86, return code 4 for 3.x clients.
    #[must_use]
    pub fn bad_credentials() -> Self {
        Self::Refuse(AuthenticationRefusal {
            reason_code: ReasonCode::BadUserNameOrPassword,
            reason_string: None,
        })
    }

    /// The client may not connect: 0x87, return code 5 for 3.x clients.
    #[must_use]
    pub fn not_authorized() -> Self {
        Self::Refuse(AuthenticationRefusal::default())
    }
}

impl core::fmt::Debug for Authentication {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Pass => f.write_str("Pass"),
            Self::Accept { user, data } => f
                .debug_struct("Accept")
                .field("user", user)
                .field("has_data", &data.is_some())
                .finish(),
            Self::Refuse(refusal) => f.debug_tuple("Refuse").field(refusal).finish(),
        }
    }
}

/// A message that a client publishes, or wants to have published.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct PublishRequest<'a> {
    /// The topic name.
    pub topic: &'a str,
    /// The application's bytes.
    pub payload: &'a [u8],
    /// The quality of service.
    pub qos: QoS,
    /// Whether it is to be retained.
    pub retain: bool,
    /// The properties of PUBLISH, or those of the will; none from 3.x clients.
    pub properties: Properties<'a>,
    /// Whether it is the will of a CONNECT.
    pub is_will: bool,
}

impl<'a> PublishRequest<'a> {
    /// A message at QoS 0, for tests of hooks.
    #[must_use]
    pub const fn new(topic: &'a str, payload: &'a [u8]) -> Self {
        Self {
            topic,
            payload,
            qos: QoS::AtMostOnce,
            retain: false,
            properties: Properties::EMPTY,
            is_will: false,
        }
    }
}

/// What becomes of a message that a client publishes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PublishVerdict {
    /// It is published.
    Allow,
    /// It is published with this payload instead.
    Replace(Vec<u8>),
    /// It is acknowledged as if it were, and goes nowhere. Of a will: there is none.
    Ignore,
    /// It is not published, and counted (`denied_publishes`). An MQTT 5 client is told this reason code in
    /// PUBACK or PUBREC (0x87 if it is none that they can carry), and nothing at QoS 0; a 3.x client, to
    /// whom nobody can say it, is disconnected. A CONNECT with such a will is refused with 0x87.
    Deny(ReasonCode),
    /// The client is disconnected, an MQTT 5 client with 0x87. A CONNECT with such a will is refused.
    Disconnect,
}

impl PublishVerdict {
    /// It is not published: not authorized.
    pub const DENY: Self = Self::Deny(ReasonCode::NotAuthorized);
}

/// A subscription that a client asks for.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct SubscribeRequest<'a> {
    /// The whole topic filter, `$share/name/` of a shared subscription included.
    pub filter: &'a str,
    /// The quality of service that is asked for. For a subscription that is held already, 2.
    pub qos: QoS,
    /// Whether the client has it already: it has come back to its session, or it is
    /// [asked again](crate::Broker::reauthorize).
    pub is_held: bool,
}

impl<'a> SubscribeRequest<'a> {
    /// A filter at QoS 0, for tests of hooks.
    #[must_use]
    pub const fn new(filter: &'a str) -> Self {
        Self {
            filter,
            qos: QoS::AtMostOnce,
            is_held: false,
        }
    }
}

/// What becomes of a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SubscribeVerdict {
    /// It is granted.
    Allow,
    /// It is granted at this quality of service at most. For a subscription that is held already the
    /// same as [`Allow`](Self::Allow).
    AllowAt(QoS),
    /// It is not granted, and counted (`denied_subscriptions`): the filter gets this reason code in SUBACK
    /// (0x87 if it is none that it can carry; 3.1.1: 0x80; a 3.1 client is disconnected). One that is held
    /// already ends.
    Deny(ReasonCode),
    /// The client is disconnected, an MQTT 5 client with 0x87. A client that comes back with such a
    /// filter is refused with 0x87.
    Disconnect,
}

impl SubscribeVerdict {
    /// It is not granted: not authorized.
    pub const DENY: Self = Self::Deny(ReasonCode::NotAuthorized);
}

/// A message that is about to be sent to a client.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ForwardRequest<'a> {
    /// The message as it was published.
    pub message: &'a Arc<Message>,
    /// The quality of service at which it is about to be sent.
    pub qos: QoS,
    /// The retain flag with which it is about to be sent.
    pub retain: bool,
}

impl<'a> ForwardRequest<'a> {
    /// A message at its own quality of service, for tests of hooks.
    #[must_use]
    pub fn new(message: &'a Arc<Message>) -> Self {
        Self {
            message,
            qos: message.qos(),
            retain: false,
        }
    }
}

/// What becomes of a message that is about to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ForwardVerdict {
    /// It is sent.
    Allow,
    /// This one is sent instead, at the same quality of service, or a lower one if it has a lower one.
    /// The retain flag is the same too, unless that of this message differs from that of the message that
    /// was published. One whose topic is no topic name is not sent, and counted (`hook_failures`). What is
    /// kept, in queues and as a retained message, is what was published.
    Replace(Arc<Message>),
    /// It is not sent to this client, and counted (`denied_forwards`). To its session it is as if it had
    /// been acknowledged: it takes no place in the client's window, leaves the store, and if it came by a
    /// shared subscription no other member gets it.
    Deny,
}

/// Something that has happened.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A client was let in; CONNACK is on its way. Its next packet waits for the verdict.
    Connected {
        /// Which.
        client: &'a Arc<Client>,
        /// Whether it goes on with a session.
        session_present: bool,
    },
    /// The connection of a client has ended. Nothing waits for the verdict.
    Disconnected {
        /// Which.
        client: &'a Arc<Client>,
        /// Why.
        cause: CloseCause,
    },
    /// A message was published and handed to its receivers. PUBACK or PUBREC wait for the verdict; where
    /// no client has published it, nothing does.
    Published {
        /// By whom. `None` if by the broker itself, by the program around it, or as a will.
        client: Option<&'a Arc<Client>>,
        /// The message as it was published.
        message: MessageParts<'a>,
    },
    /// A client has got a message: it has answered PUBLISH with PUBACK or, at QoS 2, with PUBREC, and no
    /// reason code of 0x80 or above. Its next packet waits for the verdict. At QoS 0 nobody knows, and
    /// nothing is told.
    ///
    /// Told once for each delivery. After a failed commit, or a crash, a message may be delivered again,
    /// and is then told again.
    Delivered {
        /// Which.
        client: &'a Arc<Client>,
        /// The message as it was sent: [another one](ForwardVerdict::Replace) than was published, if hooks
        /// have said so.
        message: &'a Arc<Message>,
        /// The quality of service at which it was sent.
        qos: QoS,
    },
    /// A client has subscribed. Its next packet waits for the verdict.
    Subscribed {
        /// Which.
        client: &'a Arc<Client>,
        /// The whole topic filter.
        filter: &'a str,
        /// The quality of service that was granted.
        qos: QoS,
    },
    /// A client has cancelled a subscription, or lost it because it may not have it any more. Its next
    /// packet waits for the verdict.
    Unsubscribed {
        /// Which.
        client: &'a Arc<Client>,
        /// The whole topic filter.
        filter: &'a str,
    },
    /// A client has sent PINGREQ. PINGRESP is on its way, its next packet waits for the verdict.
    PingReq {
        /// Which.
        client: &'a Arc<Client>,
    },
}
