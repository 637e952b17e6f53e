//! The section `authentication`: by what clients are known, and what decides on what they may do.

use std::time::Duration;

use auth_http::HttpOptions;
use auth_jwt::{ClaimValue, JwtOptions, KeyFile, LEEWAY_MAX, TokenPlace};

use super::section::{Section, SectionError};
use crate::access::{AccessChoice, JwtChoice};

const PLACES: [(&str, TokenPlace); 2] = [
    ("password", TokenPlace::Password),
    ("userName", TokenPlace::UserName),
];

/// Reads the section to its end.
pub(super) fn read(mut section: Section<'_>) -> Result<AccessChoice, SectionError> {
    let choice = AccessChoice {
        users_file: section.string("usersFile")?.map(Into::into),
        jwt: section.section("jwt")?.map(jwt).transpose()?,
        http: section.section("http")?.map(http).transpose()?,
    };
    section.finish()?;
    Ok(choice)
}

/// `jwt`: tokens, and the keys with which they are signed.
fn jwt(mut section: Section<'_>) -> Result<JwtChoice, SectionError> {
    let mut keys = Vec::new();
    let kinds: [(_, fn(_) -> _); 3] = [
        ("secretFiles", KeyFile::Secret),
        ("publicKeyFiles", KeyFile::Pem),
        ("jwksFiles", KeyFile::Jwks),
    ];
    for (key, kind) in kinds {
        let files = section.strings(key)?;
        keys.extend(files.into_iter().map(|file| kind(file.into())));
    }
    if keys.is_empty() {
        let expected = "a list of files, here or as secretFiles or jwksFiles";
        return Err(section.missing("publicKeyFiles", expected));
    }
    let defaults = JwtOptions::default();
    let claim = |name: Option<&str>, default| name.map_or(default, str::to_owned);
    let place = section.one_of("tokenIn", &PLACES)?;
    let leeway = section.integer("leewaySecs", 0..=LEEWAY_MAX.as_secs(), " s")?;
    let required = section.named_strings("requiredClaims")?;
    let options = JwtOptions {
        place: place.unwrap_or_default(),
        leeway: leeway.map_or(defaults.leeway, Duration::from_secs),
        require_expiry: section.boolean("requireExpiry")?.unwrap_or(true),
        issuers: owned(section.strings("issuers")?),
        audiences: owned(section.strings("audiences")?),
        user_claim: claim(section.string("userClaim")?, defaults.user_claim),
        required_claims: required.into_iter().map(required_claim).collect(),
        acl_claim: claim(section.string("aclClaim")?, defaults.acl_claim),
        require_acl: section.boolean("requireAcl")?.unwrap_or(false),
        disconnect_at_expiry: section.boolean("disconnectAtExpiry")?.unwrap_or(true),
    };
    let by_name = |(_, value): &(String, ClaimValue)| *value == ClaimValue::UserName;
    if options.place == TokenPlace::UserName && options.required_claims.iter().any(by_name) {
        return Err(section.conflict(
            "requiredClaims",
            "has %u, the user name, which is the token itself (tokenIn)",
        ));
    }
    section.finish()?;
    Ok(JwtChoice { keys, options })
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

/// Longest time for an answer, in milliseconds.
const TIMEOUT_MAX_MS: u64 = 60_000;

/// Longest time for which an answer holds, in milliseconds: an hour.
const TTL_MAX_MS: u64 = 3_600_000;

/// `http`: a service that is asked.
fn http(mut section: Section<'_>) -> Result<HttpOptions, SectionError> {
    let url = section.string("authenticateUrl")?;
    let url = url.ok_or_else(|| section.missing("authenticateUrl", "a URL of http or https"))?;
    let headers = section.named_strings("headers")?;
    let headers = headers.into_iter();
    let defaults = HttpOptions::new(url);
    let timeout = section.integer("timeout", 1..=TIMEOUT_MAX_MS, " ms")?;
    let cache_ttl = section.integer("cacheTtl", 0..=TTL_MAX_MS, " ms")?;
    let mut count = |key, range, unit, default| {
        let number = section.integer(key, range, unit)?;
        let number = number.and_then(|number| usize::try_from(number).ok());
        Ok::<_, SectionError>(number.unwrap_or(default))
    };
    let options = HttpOptions {
        requests_max: count("maxRequests", 1..=10_000, "", defaults.requests_max)?,
        waiting_max: count("maxWaiting", 0..=10_000_000, "", defaults.waiting_max)?,
        response_bytes_max: count(
            "maxResponseBytes",
            0..=1 << 24,
            " bytes",
            defaults.response_bytes_max,
        )?,
        cache_entries: count("cacheEntries", 0..=10_000_000, "", defaults.cache_entries)?,
        authorize_url: section.string("authorizeUrl")?.map(str::to_owned),
        headers: headers
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
        ca: section.string("caPath")?.map(Into::into),
        timeout: timeout.map_or(defaults.timeout, Duration::from_millis),
        cache_ttl: cache_ttl.map_or(defaults.cache_ttl, Duration::from_millis),
        ..defaults
    };
    section.finish()?;
    Ok(options)
}

fn owned(texts: Vec<&str>) -> Vec<String> {
    texts.into_iter().map(str::to_owned).collect()
}
