//! SCRAM-SHA-256 (RFC 5802, RFC 7677) as an authentication method of MQTT 5 (section 4.12).
//!
//! Client and server prove to each other that they know a password, or what was derived from it,
//! without sending it. Who listens learns nothing that would let him in, and who steals the server's
//! [`ScramCredential`]s has to guess passwords before he can use them.
//!
//! ```text
//!   client                                      server
//!   CONNECT  n,,n=user,r=NONCE ───────────────►           name, and half of the nonce
//!            ◄─────────── r=NONCE…,s=SALT,i=4096 AUTH     the other half, what to derive with
//!   AUTH     c=biws,r=NONCE…,p=PROOF ─────────►           the client knows the password
//!            ◄───────────────────── v=SIGNATURE CONNACK   the server knows of it, too
//! ```
//!
//! ```
//! use std::collections::HashMap;
//! use std::sync::Arc;
//! use auth_scram::{ScramCredential, ScramSha256};
//!
//! let mut users = HashMap::new();
//! users.insert("sensor-7".to_owned(), ScramCredential::from_password("pencil", 4_096)?);
//! let options = broker_core::BrokerOptions {
//!     authentication_methods: vec![Arc::new(ScramSha256::new(users)?)],
//!     require_enhanced_authentication: true,
//!     ..Default::default()
//! };
//! # Ok::<(), auth_scram::ScramError>(())
//! ```
//!
//! # What it does and does not
//!
//! - No channel binding: MQTT knows nothing of the TLS session below. A client that insists on it
//!   (`p=`) is refused; one that could but believes that the server cannot (`y`) is right.
//! - No acting for others: an authorization identity has to be the user's own name.
//! - User names and passwords are prepared by SASLprep (RFC 4013), so that one that was typed in
//!   composed characters equals one in decomposed ones.
//! - Whether a user exists is not told: one who does not is asked for a proof like everybody else,
//!   with a salt that stays the same, and then fails in the same words. For that to hold all
//!   credentials need the same number of iterations and salts of 16 bytes; see
//!   [`ScramSha256::with_iterations`].
//! - The [`user`](broker_core::Connection::user) of the connection is the name inside the exchange.
//!   The user name of CONNECT has no part in it.
//! - Which client identifiers a user may take is not its business: every user who is let in may take any,
//!   and with it the session, the messages and the will of whoever has it. Where users do not trust each
//!   other, wrap the method in one that compares [`AuthenticationRequest::client_id`] with the user's name.
//!
//! [`AuthenticationRequest::client_id`]: broker_core::AuthenticationRequest::client_id

mod credential;
mod credentials;
mod exchange;
mod message;
mod method;

pub use credential::{ITERATIONS_MIN, ScramCredential};
pub use credentials::{ScramCredentials, ScramLookup};
pub use method::ScramSha256;

/// What can go wrong when credentials are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScramError {
    /// The system gives no random bytes.
    #[error("the system gives no random bytes")]
    NoRandomness,
    /// The password is empty, or has characters that SASLprep does not allow (RFC 4013).
    #[error("the password is empty or has characters that are not allowed in one")]
    Password,
    /// Fewer iterations than [`ITERATIONS_MIN`].
    #[error("fewer than 4,096 iterations")]
    Iterations,
}

/// HMAC-SHA-256 over the parts, one after the other.
fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    use ::hmac::{Hmac, KeyInit, Mac};
    let Ok(mut hmac) = Hmac::<sha2::Sha256>::new_from_slice(key) else {
        // A key of any length will do; should one not, nothing matches what comes out.
        return [0; 32];
    };
    for part in parts {
        hmac.update(part);
    }
    hmac.finalize().into_bytes().into()
}

fn random<const N: usize>() -> Result<[u8; N], ScramError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| ScramError::NoRandomness)?;
    Ok(bytes)
}

/// The page of the crate compiles and holds.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct OwnPage;
