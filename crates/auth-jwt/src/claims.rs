//! What a token that was signed has to say (RFC 7519 section 4.1) so that a client is let in by it.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use authorizer::{Acl, Grant};
use broker_core::LoginRequest;
use jsonwebtoken::Validation;
use serde_json::{Map, Value};

use crate::{ClaimValue, JwtOptions, LEEWAY_MAX};

/// What is asked of all tokens, whoever the client is. Algorithms belong to the keys.
pub(crate) fn validation(options: &JwtOptions) -> Validation {
    let mut required = HashSet::new();
    let mut validation = Validation {
        leeway: options.leeway.min(LEEWAY_MAX).as_secs(),
        validate_nbf: true,
        ..Validation::default()
    };
    if options.require_expiry {
        required.insert("exp".to_owned());
    }
    if !options.issuers.is_empty() {
        validation.set_issuer(&options.issuers);
        required.insert("iss".to_owned());
    }
    if !options.audiences.is_empty() {
        validation.set_audience(&options.audiences);
        required.insert("aud".to_owned());
    }
    validation.required_spec_claims = required;
    validation
}

/// Who comes with a token, and with which rights.
#[derive(Debug)]
pub(crate) struct Bearer {
    pub(crate) user: Arc<str>,
    pub(crate) grant: Grant,
}

impl Bearer {
    /// Checks claims that have stood up to the [`validation`]. Otherwise says what is wrong, for the log.
    pub(crate) fn new(
        claims: &Map<String, Value>,
        login: &LoginRequest<'_>,
        options: &JwtOptions,
        now: SystemTime,
    ) -> Result<Self, &'static str> {
        if options.audiences.is_empty() && claims.get("aud").is_some_and(|it| !it.is_null()) {
            return Err("it is for somebody else");
        }
        let until = expiry(claims, options)?;
        if until.is_some_and(|until| until <= now) {
            return Err("it has expired");
        }
        let user = text(claims, &options.user_claim).ok_or("it says not who the user is")?;
        for (claim, value) in &options.required_claims {
            let required = match value {
                ClaimValue::UserName => login.user_name,
                ClaimValue::ClientId => Some(login.client_id),
                ClaimValue::Text(text) => Some(text.as_str()),
            };
            if required.is_none() || text(claims, claim) != required {
                return Err("a required claim is missing or has another value");
            }
        }
        let user: Arc<str> = user.into();
        let permissions = match claims.get(&options.acl_claim) {
            None if options.require_acl => return Err("it says nothing of rights"),
            None => None,
            Some(acl) => {
                let acl: Acl = serde_json::from_value(acl.clone())
                    .map_err(|_| "what it says of rights cannot be understood")?;
                Some(acl.permissions(Some(Arc::clone(&user)), login.client_id))
            }
        };
        let until = until.filter(|_| options.disconnect_at_expiry);
        Ok(Self {
            user,
            grant: Grant::new(permissions, until),
        })
    }
}

/// A text that is not empty.
fn text<'a>(claims: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    let text = claims.get(name)?.as_str();
    text.filter(|text| !text.is_empty())
}

/// When it is over, leeway included: `exp` is in seconds since 1970, and fractions of them.
fn expiry(
    claims: &Map<String, Value>,
    options: &JwtOptions,
) -> Result<Option<SystemTime>, &'static str> {
    let Some(exp) = claims.get("exp").filter(|exp| !exp.is_null()) else {
        return Ok(None);
    };
    let since_1970 = exp
        .as_f64()
        .and_then(|secs| Duration::try_from_secs_f64(secs).ok());
    let until = since_1970.and_then(|it| SystemTime::UNIX_EPOCH.checked_add(it));
    let until = until.and_then(|it| it.checked_add(options.leeway.min(LEEWAY_MAX)));
    until.map(Some).ok_or("`exp` is no time")
}
