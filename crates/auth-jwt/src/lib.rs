//! JSON Web Tokens (RFC 7519) as the credentials of MQTT clients: signed with HS256, RS256 or ES256, checked
//! here with keys from files.
//!
//! A client sends its token as password, or as user name, of CONNECT, with any version of MQTT. What is
//! checked:
//!
//! 1. The signature. **Each key is good for one algorithm**: a token whose header names another one is
//!    refused, and so is one without a signature (`none`), so nobody can have the public key of RS256 taken
//!    for a secret of HS256. With `kid` in the header only the keys of that name are tried, and
//!    those without a name. A token with extensions that have to be understood (`crit`) is refused.
//! 2. The times: `exp`, which has to be there unless [`JwtOptions::require_expiry`] is off, and `nbf`.
//!    A time that is none is a refusal, not a claim less.
//! 3. `iss` and `aud`. A token for some audience is refused if none is configured, as RFC 7519 has it.
//! 4. The user, from `sub`, and whatever else is [required](JwtOptions::required_claims), such as that a
//!    claim is the client identifier.
//! 5. The rights in `acl`, in the words of the users file ([`authorizer::Acl`]). Without that claim the token
//!    says nothing of rights: other hooks may, and where there are none the client may do everything.
//!
//! When the token expires the client is disconnected with 0x87; see [`JwtHooks::due`].
//!
//! ```
//! use auth_jwt::{JwtHooks, JwtOptions, KeyFile, Keys};
//! use broker_core::BrokerOptions;
//!
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("secret");
//! # std::fs::write(&path, [7; 32])?;
//! let keys = Keys::load(&[KeyFile::Secret(path)])?;
//! let hooks = JwtHooks::new(keys, JwtOptions {
//!     issuers: vec!["https://login.example".to_owned()],
//!     ..JwtOptions::default()
//! });
//! let options = BrokerOptions {
//!     hooks: Some(std::sync::Arc::new(hooks)),
//!     ..BrokerOptions::default()
//! };
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod claims;
mod hooks;
mod keys;
mod provider;

use std::time::Duration;

pub use hooks::JwtHooks;
pub use keys::{KEYS_MAX, KeyError, KeyFile, Keys};

/// Longest [`JwtOptions::leeway`]: a day. More counts as so much.
pub const LEEWAY_MAX: Duration = Duration::from_secs(86_400);

/// Where in CONNECT a client has its token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TokenPlace {
    /// It is the password; the user name may be anything, unless a claim has to have it.
    #[default]
    Password,
    /// It is the user name.
    UserName,
}

/// What the value of a claim has to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClaimValue {
    /// The user name of CONNECT. Refuses all where the token is the user name.
    UserName,
    /// The client identifier; where CONNECT has none, the one that was assigned, which no token can know.
    ClientId,
    /// This text.
    Text(String),
}

/// What a token has to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JwtOptions {
    /// Where clients have it.
    pub place: TokenPlace,
    /// How much clocks may differ, whole seconds up to [`LEEWAY_MAX`]: a token is good for so long before
    /// `nbf` and after `exp`.
    pub leeway: Duration,
    /// Whether a token without `exp` is refused.
    pub require_expiry: bool,
    /// Who may have issued it (`iss`); anybody if there are none.
    pub issuers: Vec<String>,
    /// For whom it has to be (`aud`): for one of these. If there are none, a token for anybody in
    /// particular is refused.
    pub audiences: Vec<String>,
    /// The claim that names the user, a text that is not empty.
    pub user_claim: String,
    /// Claims that have to be there, and to have these values.
    pub required_claims: Vec<(String, ClaimValue)>,
    /// The claim that says what the client may do; see [`authorizer::Acl`].
    pub acl_claim: String,
    /// Whether a token without that claim is refused.
    pub require_acl: bool,
    /// Whether a client is disconnected when its token expires, or stays as long as it likes.
    pub disconnect_at_expiry: bool,
}

impl Default for JwtOptions {
    /// The password, a minute of leeway, `exp` required, any issuer, no audience, the user from `sub`, no
    /// other claims required, rights from `acl` if it is there, disconnected when the token expires.
    fn default() -> Self {
        Self {
            place: TokenPlace::Password,
            leeway: Duration::from_secs(60),
            require_expiry: true,
            issuers: Vec::new(),
            audiences: Vec::new(),
            user_claim: "sub".to_owned(),
            required_claims: Vec::new(),
            acl_claim: "acl".to_owned(),
            require_acl: false,
            disconnect_at_expiry: true,
        }
    }
}

/// The page of the crate compiles and holds.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct OwnPage;
