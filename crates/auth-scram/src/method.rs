//! The method as the broker knows it: looks the user up, draws the nonce, and says what becomes of
//! the client.

use std::sync::Arc;

use broker_core::{
    AuthenticationExchange, AuthenticationMethod, AuthenticationRefusal, AuthenticationRequest,
    AuthenticationStep, Verdict,
};
use mqtt_codec::ReasonCode;

use crate::exchange::{Challenge, Failure};
use crate::message::{ClientFirst, MessageError, encode};
use crate::{ITERATIONS_MIN, ScramCredential, ScramCredentials, ScramError, ScramLookup, random};

/// SCRAM-SHA-256, to be put among
/// [`authentication_methods`](broker_core::BrokerOptions::authentication_methods).
///
/// The two steps of a client cost the server a few microseconds besides the lookup; the work of the
/// iterations is the client's.
#[derive(Clone)]
pub struct ScramSha256 {
    shared: Arc<Shared>,
}

struct Shared {
    credentials: Box<dyn ScramCredentials>,
    /// What the salts of users who do not exist are made of.
    secret: [u8; 32],
    iterations: u32,
}

/// The client's first message is to come.
struct Beginning {
    shared: Arc<Shared>,
    /// It was asked for.
    asked: bool,
}

/// The client's proof is to come.
struct Challenged {
    challenge: Challenge,
    user: String,
    /// Whether there is such a user.
    exists: bool,
}

impl ScramSha256 {
    /// The method, with these credentials.
    ///
    /// # Errors
    /// If the system gives no random bytes.
    pub fn new(credentials: impl ScramCredentials + 'static) -> Result<Self, ScramError> {
        Ok(Self::with_secret(credentials, random()?))
    }

    /// The method with a secret of one's own instead of a random one. A user who does not exist is
    /// answered with a salt that is derived from it: with the same secret it stays the same across
    /// restarts, and on all servers that share it, as that of a user who exists does.
    pub fn with_secret(credentials: impl ScramCredentials + 'static, secret: [u8; 32]) -> Self {
        Self {
            shared: Arc::new(Shared {
                credentials: Box::new(credentials),
                secret,
                iterations: ITERATIONS_MIN,
            }),
        }
    }

    /// The iterations that a user who does not exist is told: those of the users who do, or their
    /// number tells who exists. So do their salts if they are not of 16 bytes, as those made by
    /// [`ScramCredential::from_password`] are. Default: [`ITERATIONS_MIN`]. To be called before the
    /// method is cloned; later it has no effect.
    #[must_use]
    pub fn with_iterations(self, iterations: u32) -> Self {
        let shared = match Arc::try_unwrap(self.shared) {
            Ok(shared) => Arc::new(Shared {
                iterations,
                ..shared
            }),
            // It is in use already, and stays as it is.
            Err(shared) => shared,
        };
        Self { shared }
    }
}

impl AuthenticationMethod for ScramSha256 {
    fn name(&self) -> &str {
        "SCRAM-SHA-256"
    }

    fn begin(&self, _client: &AuthenticationRequest<'_>) -> Box<dyn AuthenticationExchange> {
        Box::new(Beginning {
            shared: Arc::clone(&self.shared),
            asked: false,
        })
    }
}

impl AuthenticationExchange for Beginning {
    fn step(mut self: Box<Self>, data: Option<Vec<u8>>) -> Verdict<AuthenticationStep> {
        let Some(data) = data else {
            if self.asked {
                return Verdict::Ready(malformed(MessageError::Syntax));
            }
            // It could have come in CONNECT, and may come now.
            self.asked = true;
            return Verdict::Ready(AuthenticationStep::Continue {
                data: None,
                next: self,
            });
        };
        let first = match ClientFirst::parse(&data) {
            Ok(first) => first,
            Err(error) => return Verdict::Ready(malformed(error)),
        };
        let shared = self.shared;
        match shared.credentials.find(&first.user) {
            Verdict::Ready(lookup) => Verdict::Ready(shared.challenge(first, lookup)),
            Verdict::Pending(lookup) => Verdict::pending(async move {
                let lookup = lookup.await;
                shared.challenge(first, lookup)
            }),
        }
    }
}

impl Shared {
    fn challenge(&self, first: ClientFirst, lookup: ScramLookup) -> AuthenticationStep {
        // Made for those who exist as well, so that it takes as long.
        let fake = ScramCredential::fake(&self.secret, &first.user, self.iterations);
        let (credential, exists) = match lookup {
            ScramLookup::Known(credential) => (credential, true),
            ScramLookup::Unknown => (fake, false),
            ScramLookup::Unavailable => return unavailable(),
        };
        let Ok(nonce) = random::<18>() else {
            return unavailable();
        };
        let user = first.user.clone();
        // No character of base64 is a comma.
        let (challenge, message) = Challenge::new(first, &credential, &encode(&nonce));
        AuthenticationStep::Continue {
            data: Some(message.into_bytes()),
            next: Box::new(Challenged {
                challenge,
                user,
                exists,
            }),
        }
    }
}

impl AuthenticationExchange for Challenged {
    fn step(self: Box<Self>, data: Option<Vec<u8>>) -> Verdict<AuthenticationStep> {
        let proved = self.challenge.finish(&data.unwrap_or_default());
        Verdict::Ready(match proved {
            Ok(message) if self.exists => AuthenticationStep::Accept {
                data: Some(message.into_bytes()),
                user: Some(self.user.into()),
            },
            Ok(_) | Err(Failure::Proof) => {
                AuthenticationStep::Refuse(AuthenticationRefusal::default())
            }
            Err(Failure::Message(error)) => malformed(error),
        })
    }
}

fn malformed(error: MessageError) -> AuthenticationStep {
    AuthenticationStep::Refuse(AuthenticationRefusal {
        reason_string: Some(error.to_string()),
        ..AuthenticationRefusal::default()
    })
}

fn unavailable() -> AuthenticationStep {
    AuthenticationStep::Refuse(AuthenticationRefusal {
        reason_code: ReasonCode::ServerUnavailable,
        reason_string: None,
    })
}

impl core::fmt::Debug for ScramSha256 {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("ScramSha256").finish_non_exhaustive()
    }
}
