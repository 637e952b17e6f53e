//! JSON Web Tokens, from any bytes: the token of a client, and claims that somebody has really signed.
//!
//! What nobody has signed lets nobody in. Of what was signed it lets in who has a user and a time that is not
//! over, and only him; rights that come with it can be asked.

use std::sync::LazyLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use auth_jwt::{JwtHooks, JwtOptions, KeyFile, Keys};
use authorizer::Grant;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use broker_core::{Authentication, Hooks as _, LoginRequest, Verdict};
use mqtt_codec::Version;
use ring::hmac;
use serde_json::Value;

const SECRET: [u8; 32] = [7; 32];

static HOOKS: LazyLock<JwtHooks> = LazyLock::new(|| {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), SECRET).expect("a file");
    let keys = Keys::load(&[KeyFile::Secret(file.path().to_owned())]).expect("a key");
    let options = JwtOptions {
        leeway: Duration::ZERO,
        ..JwtOptions::default()
    };
    JwtHooks::new(keys, options)
});

/// A token; and claims, behind a header if there is a line end.
pub fn jwt(data: &[u8]) {
    assert!(accepted(data).is_none(), "nobody has signed it");
    let (header, claims) = match data.iter().position(|byte| *byte == b'\n') {
        Some(at) => (&data[..at], &data[at + 1..]),
        None => (&br#"{"alg":"HS256"}"#[..], data),
    };
    let signed = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header),
        URL_SAFE_NO_PAD.encode(claims)
    );
    let key = hmac::Key::new(hmac::HMAC_SHA256, &SECRET);
    let signature = hmac::sign(&key, signed.as_bytes());
    let token = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature));
    let Some((user, grant)) = accepted(token.as_bytes()) else {
        return;
    };
    let header: Value = serde_json::from_slice(header).expect("a header");
    assert_eq!(header["alg"], "HS256");
    let claims: Value = serde_json::from_slice(claims).expect("claims");
    assert_eq!(claims["sub"], *user);
    assert!(!user.is_empty() && claims["aud"].is_null());
    let exp = claims["exp"].as_f64().expect("a time");
    let until = grant.until().expect("it expires");
    let since_1970 = until.duration_since(UNIX_EPOCH).expect("after 1970");
    // As far as there are seconds in so large a number.
    assert!((since_1970.as_secs_f64() - exp).abs() <= exp * 1e-9);
    let lately = SystemTime::now() - Duration::from_secs(60);
    assert!(until > lately, "{claims}");
    if let Some(permissions) = grant.permissions() {
        assert!(!permissions.may_subscribe("#/a"));
        let _ = permissions.may_publish("a/b");
    }
}

fn accepted(password: &[u8]) -> Option<(String, Grant)> {
    let mut login = LoginRequest::new(Version::V5, "client");
    login.password = Some(password);
    match HOOKS.authenticate(&login) {
        Verdict::Ready(Authentication::Accept { user, data }) => {
            let grant = data
                .expect("data")
                .downcast_ref::<Grant>()
                .expect("a grant")
                .clone();
            Some((user.expect("a user").to_string(), grant))
        }
        Verdict::Ready(Authentication::Refuse(_)) => None,
        _ => panic!("it neither lets in nor refuses"),
    }
}

/// Claims, with headers and without, and a token.
pub fn seeds() -> Vec<Vec<u8>> {
    let good = r#"{"sub":"eve","exp":4000000000,"nbf":1,"acl":{"publish":["a/%u/**"]}}"#;
    let rules = r#"{"sub":"eve","exp":4e9,"acl":[{"deny":"all","topic":"a/%c"},{"allow":"all","topic":"**"}]}"#;
    let others = r#"{"sub":"eve","exp":1,"aud":["a"],"iss":"b"}"#;
    let headers = [
        r#"{"alg":"HS256","kid":"a"}"#,
        r#"{"alg":"none"}"#,
        r#"{"alg":"HS256","crit":["a"]}"#,
    ];
    let token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJlIn0.AAAA";
    let claims = [good, rules, others];
    let with_headers = headers.map(|header| format!("{header}\n{good}"));
    let all = claims.map(str::to_owned).into_iter().chain(with_headers);
    all.chain([token.to_owned()])
        .map(String::into_bytes)
        .collect()
}
