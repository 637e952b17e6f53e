//! The section `authentication`: by what clients are known, and what decides on what they may do.

use std::time::Duration;

use auth_http::HttpOptions;
use auth_jwt::{ClaimValue, JwtOptions, KeyFile, TokenPlace};

use super::section::Section;
use crate::access::{AccessChoice, JwtChoice};

const PLACES: [(&str, TokenPlace); 2] = [
    ("password", TokenPlace::Password),
    ("userName", TokenPlace::UserName),
];

pub(super) fn read(section: &Section<'_>) -> AccessChoice {
    AccessChoice {
        users_file: section.path("usersFile"),
        jwt: section.section("jwt").map(|it| jwt(&it)),
        http: section.section("http").map(|it| http(&it)),
    }
}

/// `jwt`: tokens, and the keys with which they are signed.
fn jwt(section: &Section<'_>) -> JwtChoice {
    let kinds: [(_, fn(_) -> _); 3] = [
        ("secretFiles", KeyFile::Secret),
        ("publicKeyFiles", KeyFile::Pem),
        ("jwksFiles", KeyFile::Jwks),
    ];
    let keys = kinds.into_iter().flat_map(|(key, kind)| {
        let files = section.texts(key);
        files.map(move |file| kind(file.into()))
    });
    let defaults = JwtOptions::default();
    let place = section.word("tokenIn", &PLACES);
    let leeway = section.number("leewaySecs");
    let required = section.named_texts("requiredClaims");
    let options = JwtOptions {
        place: place.unwrap_or_default(),
        leeway: leeway.map_or(defaults.leeway, Duration::from_secs),
        require_expiry: section.flag("requireExpiry").unwrap_or(true),
        issuers: section.texts("issuers").map(str::to_owned).collect(),
        audiences: section.texts("audiences").map(str::to_owned).collect(),
        user_claim: section.string("userClaim").unwrap_or(defaults.user_claim),
        required_claims: required.map(required_claim).collect(),
        acl_claim: section.string("aclClaim").unwrap_or(defaults.acl_claim),
        require_acl: section.flag("requireAcl").unwrap_or(false),
        disconnect_at_expiry: section.flag("disconnectAtExpiry").unwrap_or(true),
    };
    let keys = keys.collect();
    JwtChoice { keys, options }
}

/// `%u` and `%c` are what they are in the patterns of the users file.
fn required_claim((name, value): (&str, &str)) -> (String, ClaimValue) {
    let value = match value {
        "%u" => ClaimValue::UserName,
        "%c" => ClaimValue::ClientId,
        text => ClaimValue::Text(text.to_owned()),
    };
    (name.to_owned(), value)
}

/// `http`: a service that is asked.
fn http(section: &Section<'_>) -> HttpOptions {
    let defaults = HttpOptions::new(section.text("authenticateUrl").unwrap_or_default());
    let headers = section.named_texts("headers");
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let time = |key, default| section.number(key).map_or(default, Duration::from_millis);
    let count = |key, default| section.number(key).unwrap_or(default);
    HttpOptions {
        authorize_url: section.string("authorizeUrl"),
        headers: headers.collect(),
        ca: section.path("caPath"),
        timeout: time("timeout", defaults.timeout),
        requests_max: count("maxRequests", defaults.requests_max),
        waiting_max: count("maxWaiting", defaults.waiting_max),
        response_bytes_max: count("maxResponseBytes", defaults.response_bytes_max),
        cache_ttl: time("cacheTtl", defaults.cache_ttl),
        cache_entries: count("cacheEntries", defaults.cache_entries),
        ..defaults
    }
}
