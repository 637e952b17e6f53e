//! What the section `authentication` may say.

use std::time::Duration;

use auth_http::HttpOptions;
use auth_jwt::{ClaimValue, JwtOptions, KeyFile, TokenPlace};

use super::*;

#[test]
fn tokens_have_keys_and_say_what_is_asked_for() {
    let jwt = |section: Json| {
        let config = read(&json!({ "authentication": { "jwt": section } }))?;
        Ok::<_, String>(config.access.jwt.unwrap())
    };
    let least = jwt(json!({ "secretFiles": ["/s"] })).unwrap();
    assert_eq!(least.keys, [KeyFile::Secret("/s".into())]);
    assert_eq!(least.options, JwtOptions::default());
    let most = jwt(json!({
        "secretFiles": ["/s"],
        "publicKeyFiles": ["/p", "/q"],
        "jwksFiles": ["/j"],
        "tokenIn": "userName",
        "leewaySecs": 5,
        "requireExpiry": false,
        "issuers": ["a"],
        "audiences": ["b", "c"],
        "userClaim": "name",
        "requiredClaims": { "cid": "%c", "tenant": "acme" },
        "aclClaim": "rights",
        "requireAcl": true,
        "disconnectAtExpiry": false,
    }))
    .unwrap();
    let pem = |path: &str| KeyFile::Pem(path.into());
    let secret = KeyFile::Secret("/s".into());
    let jwks = KeyFile::Jwks("/j".into());
    assert_eq!(most.keys, [secret, pem("/p"), pem("/q"), jwks]);
    let expected = JwtOptions {
        place: TokenPlace::UserName,
        leeway: Duration::from_secs(5),
        require_expiry: false,
        issuers: vec!["a".to_owned()],
        audiences: vec!["b".to_owned(), "c".to_owned()],
        user_claim: "name".to_owned(),
        required_claims: vec![
            ("cid".to_owned(), ClaimValue::ClientId),
            ("tenant".to_owned(), ClaimValue::Text("acme".to_owned())),
        ],
        acl_claim: "rights".to_owned(),
        require_acl: true,
        disconnect_at_expiry: false,
    };
    assert_eq!(most.options, expected);
    for (section, words) in [
        (
            json!({}),
            &[
                "`authentication.jwt.publicKeyFiles` is missing",
                "secretFiles",
            ][..],
        ),
        (
            json!({ "secretFiles": "/s" }),
            &["`authentication.jwt.secretFiles`", "a list"],
        ),
        (
            json!({ "secretFiles": ["/s"], "leewaySecs": 86_401 }),
            &["leewaySecs` is 86401", "86400 s"],
        ),
        (
            json!({ "secretFiles": ["/s"], "tokenIn": "header" }),
            &["tokenIn", "password, userName"],
        ),
        (
            json!({ "secretFiles": ["/s"], "requiredClaims": { "a": 1 } }),
            &["requiredClaims.a` is 1", "a text"],
        ),
        (
            json!({ "secretFiles": ["/s"], "tokenIn": "userName", "requiredClaims": { "sub": "%u" } }),
            &["requiredClaims` has %u"],
        ),
        (
            json!({ "secretFiles": ["/s"], "audience": "b" }),
            &["`authentication.jwt.audience` is no option", "`audiences`?"],
        ),
    ] {
        let said = jwt(section).unwrap_err();
        assert!(words.iter().all(|word| said.contains(word)), "{said}");
    }
}

#[test]
fn a_service_has_its_url_and_says_how_much_it_may_take() {
    let http = |section: Json| {
        let config = read(&json!({ "authentication": { "http": section } }))?;
        Ok::<_, String>(config.access.http.unwrap())
    };
    let least = http(json!({ "authenticateUrl": "http://a/b" })).unwrap();
    assert_eq!(least, HttpOptions::new("http://a/b"));
    let most = http(json!({
        "authenticateUrl": "https://a/b",
        "authorizeUrl": "http://c",
        "headers": { "authorization": "Bearer us" },
        "caPath": "/ca.pem",
        "timeout": 1_500,
        "maxRequests": 2,
        "maxWaiting": 3,
        "maxResponseBytes": 4,
        "cacheTtl": 0,
        "cacheEntries": 5,
    }));
    let expected = HttpOptions {
        authenticate_url: "https://a/b".to_owned(),
        authorize_url: Some("http://c".to_owned()),
        headers: vec![("authorization".to_owned(), "Bearer us".to_owned())],
        ca: Some("/ca.pem".into()),
        timeout: Duration::from_millis(1_500),
        requests_max: 2,
        waiting_max: 3,
        response_bytes_max: 4,
        cache_ttl: Duration::ZERO,
        cache_entries: 5,
    };
    assert_eq!(most.unwrap(), expected);
    let with = |key: &str, value: Json| {
        let mut section = json!({ "authenticateUrl": "http://a" });
        section[key] = value;
        http(section).unwrap_err()
    };
    for (said, words) in [
        (
            http(json!({})).unwrap_err(),
            &["`authentication.http.authenticateUrl` is missing"][..],
        ),
        (
            with("timeout", json!(0)),
            &["`authentication.http.timeout` is 0", "60000 ms"],
        ),
        (with("maxRequests", json!(0)), &["maxRequests` is 0"]),
        (
            with("headers", json!({ "authorization": ["secret"] })),
            &["headers.authorization` is a list that is not shown"],
        ),
        (
            with("url", json!("x")),
            &["`authentication.http.url` is no option"],
        ),
    ] {
        assert!(words.iter().all(|word| said.contains(word)), "{said}");
        assert!(!said.contains("secret"), "{said}");
    }
}
