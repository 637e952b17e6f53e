//! Who may come in: enhanced authentication (MQTT 5.0 section 4.12) through a trait.
//!
//! A client names an authentication method in CONNECT. The broker looks for it among
//! [`BrokerOptions::authentication_methods`](crate::BrokerOptions::authentication_methods), begins an
//! exchange, and carries data between client and method until the method accepts or refuses:
//!
//! ```text
//!   client                        broker                        method
//!     │ CONNECT (method, data) ────► │ begin, step(data) ──────────► │
//!     │ ◄──────── AUTH 0x18 (data)   │ ◄─────────── Continue (data)  │   any number of times, up to
//!     │ AUTH 0x18 (data) ──────────► │ step(data) ─────────────────► │   max_authentication_rounds
//!     │ ◄────────── CONNACK (data)   │ ◄───────────── Accept (data)  │
//! ```
//!
//! Later, AUTH 0x19 begins the same exchange once more on the live connection; it ends with AUTH 0x00
//! or, if the method refuses, with DISCONNECT. `crates/broker-core/src/connection/authenticate.rs`
//! has the rules of who may say what when.

use core::future::Future;
use core::pin::Pin;
use std::sync::Arc;

use mqtt_codec::{ReasonCode, Version};

/// One authentication method, under the name by which clients ask for it.
///
/// ```
/// use broker_core::{
///     AuthenticationExchange, AuthenticationMethod, AuthenticationRefusal, AuthenticationRequest,
///     AuthenticationStep, Verdict,
/// };
///
/// /// Lets in who knows the answer.
/// struct Riddle;
///
/// impl AuthenticationMethod for Riddle {
///     fn name(&self) -> &str {
///         "RIDDLE"
///     }
///
///     fn begin(&self, _client: &AuthenticationRequest<'_>) -> Box<dyn AuthenticationExchange> {
///         Box::new(Asking)
///     }
/// }
///
/// struct Asking;
/// struct Asked;
///
/// impl AuthenticationExchange for Asking {
///     fn step(self: Box<Self>, _data: Option<Vec<u8>>) -> Verdict<AuthenticationStep> {
///         Verdict::Ready(AuthenticationStep::Continue {
///             data: Some(b"what has keys and opens no door?".to_vec()),
///             next: Box::new(Asked),
///         })
///     }
/// }
///
/// impl AuthenticationExchange for Asked {
///     fn step(self: Box<Self>, data: Option<Vec<u8>>) -> Verdict<AuthenticationStep> {
///         // A lookup that takes its time would be `Verdict::pending(async move { … })`.
///         Verdict::Ready(match data.as_deref() {
///             Some(b"a piano") => AuthenticationStep::Accept {
///                 data: None,
///                 user: Some("pianist".into()),
///             },
///             _ => AuthenticationStep::Refuse(AuthenticationRefusal::default()),
///         })
///     }
/// }
///
/// let options = broker_core::BrokerOptions {
///     authentication_methods: vec![std::sync::Arc::new(Riddle)],
///     ..Default::default()
/// };
/// ```
pub trait AuthenticationMethod: Send + Sync {
    /// The authentication method as clients write it in CONNECT, compared byte by byte (section
    /// 3.1.2.11.9).
    fn name(&self) -> &str;

    /// A client wants to be authenticated. Nothing is decided yet: the first
    /// [`step`](AuthenticationExchange::step) follows at once, with the authentication data of the
    /// same packet.
    fn begin(&self, client: &AuthenticationRequest<'_>) -> Box<dyn AuthenticationExchange>;
}

/// One exchange with one client. Each step uses it up and says what comes next.
///
/// # Cancellation
/// An exchange is dropped, and with it the future of a pending step, as soon as the connection ends
/// for any other reason: the client disconnects or is lost, time runs out, the server closes. A
/// future may so be dropped at any `.await`; what must not be left undone belongs into a task of its
/// own.
pub trait AuthenticationExchange: Send {
    /// The client's turn is over: this is its authentication data, `None` if the packet had none,
    /// which is not the same as data of no bytes.
    ///
    /// It is called on the connection's task, so what takes more than a few microseconds (a lookup
    /// over the network, the hashing of a password) belongs into [`Verdict::Pending`]. While that
    /// is awaited nothing else of the client is handled before CONNACK; on a live connection
    /// everything else goes on.
    fn step(self: Box<Self>, data: Option<Vec<u8>>) -> Verdict<AuthenticationStep>;
}

/// What CONNECT says of a client that wants to be authenticated. `Debug` does not show the password.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct AuthenticationRequest<'a> {
    /// The version that the client speaks.
    pub version: Version,
    /// The client identifier. Empty if the client wants to be assigned one.
    pub client_id: &'a str,
    /// The user name in CONNECT: what the client claims, not what anybody has verified. `None` when
    /// a live connection is authenticated anew, since CONNECT is not kept.
    pub user_name: Option<&'a str>,
    /// The password in CONNECT; `None` as for the user name.
    pub password: Option<&'a [u8]>,
    /// Whom the connection belongs to so far: when it is authenticated anew, or what carries it has
    /// shown who the client is ([`Connection::certify`](crate::Connection::certify)).
    pub user: Option<&'a str>,
}

impl<'a> AuthenticationRequest<'a> {
    /// A client without user name and password, for tests of a method.
    #[must_use]
    pub const fn new(version: Version, client_id: &'a str) -> Self {
        Self {
            version,
            client_id,
            user_name: None,
            password: None,
            user: None,
        }
    }
}

impl core::fmt::Debug for AuthenticationRequest<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("AuthenticationRequest")
            .field("version", &self.version)
            .field("client_id", &self.client_id)
            .field("user_name", &self.user_name)
            .field("has_password", &self.password.is_some())
            .field("user", &self.user)
            .finish()
    }
}

/// What becomes of an exchange after a step of the client's.
///
/// Data is at most 65,535 bytes, as much as MQTT can express; with more the exchange fails with 0x83.
pub enum AuthenticationStep {
    /// The client has to say more: it is sent AUTH with 0x18.
    Continue {
        /// Authentication data for the client.
        data: Option<Vec<u8>>,
        /// What takes the client's answer.
        next: Box<dyn AuthenticationExchange>,
    },
    /// The client is authenticated: it is sent CONNACK, or AUTH with 0x00 on a live connection.
    Accept {
        /// Authentication data for the client, for methods in which the server proves itself too.
        data: Option<Vec<u8>>,
        /// Who the client is; see [`Connection::user`](crate::Connection::user). On a live
        /// connection this has to be the same as before: otherwise the exchange fails with 0x87.
        user: Option<Arc<str>>,
    },
    /// The client is not let in, or loses its connection.
    Refuse(AuthenticationRefusal),
}

/// Why a client is not let in, as far as it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthenticationRefusal {
    /// The reason code of CONNACK, or of DISCONNECT on a live connection. One that the packet
    /// cannot carry is replaced by 0x87.
    pub reason_code: ReasonCode,
    /// The reason string (section 3.2.2.3.9). It is left out where the client has no room for it.
    /// Better tell the client little: who guesses learns from it.
    pub reason_string: Option<String>,
}

impl Default for AuthenticationRefusal {
    /// Not authorized (0x87), without a reason string.
    fn default() -> Self {
        Self {
            reason_code: ReasonCode::NotAuthorized,
            reason_string: None,
        }
    }
}

/// A decision: made already, or to be awaited.
///
/// One that is made at once costs no allocation and no suspension.
///
/// ```
/// use broker_core::Verdict;
///
/// let at_once = Verdict::Ready(true);
/// let later = Verdict::pending(async { true });
/// assert!(matches!(at_once, Verdict::Ready(true)));
/// assert!(matches!(later, Verdict::Pending(_)));
/// ```
pub enum Verdict<T> {
    /// The decision.
    Ready(T),
    /// The decision will come. The future is polled on the connection's task, and dropped when the
    /// connection ends before it is ready.
    Pending(Pin<Box<dyn Future<Output = T> + Send>>),
}

impl<T> Verdict<T> {
    /// A decision that `future` will make.
    pub fn pending(future: impl Future<Output = T> + Send + 'static) -> Self {
        Self::Pending(Box::pin(future))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_that_is_logged_does_not_show_the_password() {
        let request = AuthenticationRequest {
            user_name: Some("name"),
            password: Some(b"pencil"),
            ..AuthenticationRequest::new(Version::V5, "client")
        };
        let shown = format!("{request:?}");
        assert!(shown.contains(r#"user_name: Some("name"), has_password: true"#));
        assert!(
            !shown.contains("pencil") && !shown.contains("112"),
            "{shown}"
        );
    }
}
