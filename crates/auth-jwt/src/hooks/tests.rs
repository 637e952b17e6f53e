//! Which tokens let a client in, and as whom. Of each kind of signature one at least is from elsewhere than
//! from the library that checks it: from openssl, or from RFC 7515.

use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use broker_core::AuthenticationRefusal;
use jsonwebtoken::errors::ErrorKind;
use mqtt_codec::{ReasonCode, Version};
use proptest::prelude::*;
use ring::hmac;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RsaKeyPair};
use serde_json::{Value, json};

use super::*;
use crate::{ClaimValue, KeyFile};

const SECRET: &[u8] = b"thirty-two bytes at the very least";

/// In seconds since 1970.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap().as_secs()
}

fn part(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

fn unsigned(header: &Value, claims: &Value) -> String {
    format!("{}.{}", part(header), part(claims))
}

fn with(signed: String, signature: &[u8]) -> String {
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn hs256(secret: &[u8], header: &Value, claims: &Value) -> String {
    let signed = unsigned(header, claims);
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    let signature = hmac::sign(&key, signed.as_bytes());
    with(signed, signature.as_ref())
}

fn signed(claims: &Value) -> String {
    hs256(SECRET, &json!({ "alg": "HS256", "typ": "JWT" }), claims)
}

fn good() -> Value {
    json!({ "sub": "eve", "exp": now() + 3_600 })
}

/// A folder with files of keys.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    fn secret(&self) -> KeyFile {
        KeyFile::Secret(self.write("secret", SECRET))
    }
}

fn hooks(files: &[KeyFile], options: JwtOptions) -> JwtHooks {
    JwtHooks::new(Keys::load(files).unwrap(), options)
}

fn with_secret(options: JwtOptions) -> JwtHooks {
    hooks(&[Folder::new().secret()], options)
}

/// With the token as password.
fn answer(hooks: &JwtHooks, token: &str) -> Authentication {
    let mut login = LoginRequest::new(Version::V5, "phone");
    login.user_name = Some("anything");
    login.password = Some(token.as_bytes());
    hooks.answer(&login)
}

fn user(answer: &Authentication) -> Option<&str> {
    match answer {
        Authentication::Accept { user, .. } => user.as_deref(),
        _ => None,
    }
}

fn is_refused(answer: &Authentication) -> bool {
    let refused = |reason| {
        matches!(answer, Authentication::Refuse(AuthenticationRefusal { reason_code, .. })
            if *reason_code == reason)
    };
    refused(ReasonCode::BadUserNameOrPassword) || refused(ReasonCode::NotAuthorized)
}

#[test]
fn times_are_held_to_with_leeway_and_what_is_no_time_is_no_token() {
    // Far enough from what is asked about for a test that is slow.
    let (leeway, now) = (1_000, now());
    let hooks = with_secret(JwtOptions {
        leeway: Duration::from_secs(leeway),
        ..JwtOptions::default()
    });
    let later = now + 10_000;
    for (claims, is_good) in [
        (json!({ "exp": later }), true),
        (json!({ "exp": now - leeway / 2 }), true),
        (json!({ "exp": now - leeway }), false),
        (json!({ "exp": later as f64 + 0.5 }), true),
        (json!({}), false),
        (json!({ "exp": null }), false),
        (json!({ "exp": later.to_string() }), false),
        (json!({ "exp": [later] }), false),
        (json!({ "exp": -1 }), false),
        (json!({ "exp": 1e300 }), false),
        (json!({ "exp": u64::MAX }), false),
        (json!({ "exp": later, "nbf": now + leeway }), true),
        (json!({ "exp": later, "nbf": now + 2 * leeway }), false),
        (json!({ "exp": later, "nbf": "0" }), false),
        (json!({ "exp": later, "nbf": -1 }), false),
    ] {
        let mut claims = claims;
        claims["sub"] = json!("eve");
        let answer = answer(&hooks, &signed(&claims));
        assert_eq!(user(&answer).is_some(), is_good, "{claims}");
        assert_eq!(is_refused(&answer), !is_good, "{claims}");
    }
    let forever = with_secret(JwtOptions {
        require_expiry: false,
        ..JwtOptions::default()
    });
    assert_eq!(
        user(&answer(&forever, &signed(&json!({ "sub": "eve" })))),
        Some("eve")
    );
    let late = signed(&json!({ "sub": "eve", "exp": 7 }));
    assert!(is_refused(&answer(&forever, &late)));
}

#[test]
fn issuer_audience_and_names_have_to_be_those_that_are_asked_for() {
    let check = |options: JwtOptions, more: Value, is_good: bool| {
        let mut claims = good();
        let fields = claims.as_object_mut().unwrap();
        fields.extend(more.as_object().unwrap().clone());
        let hooks = with_secret(options.clone());
        let answer = answer(&hooks, &signed(&claims));
        assert_eq!(user(&answer).is_some(), is_good, "{claims} {options:?}");
    };
    let defaults = JwtOptions::default;
    let issuers = || JwtOptions {
        issuers: vec!["a".into(), "b".into()],
        ..defaults()
    };
    check(issuers(), json!({ "iss": "b" }), true);
    check(issuers(), json!({ "iss": "c" }), false);
    check(issuers(), json!({ "iss": 7 }), false);
    check(issuers(), json!({}), false);
    check(defaults(), json!({ "iss": "c" }), true);
    let audiences = || JwtOptions {
        audiences: vec!["a".into(), "b".into()],
        ..defaults()
    };
    check(audiences(), json!({ "aud": "a" }), true);
    check(audiences(), json!({ "aud": ["x", "b"] }), true);
    check(audiences(), json!({ "aud": ["x"] }), false);
    check(audiences(), json!({ "aud": {} }), false);
    check(audiences(), json!({}), false);
    check(defaults(), json!({ "aud": "a" }), false);
    check(defaults(), json!({ "aud": [] }), false);
    check(defaults(), json!({ "sub": "" }), false);
    check(defaults(), json!({ "sub": 7 }), false);
    let name = || JwtOptions {
        user_claim: "name".into(),
        ..defaults()
    };
    check(name(), json!({ "name": "x" }), true);
    check(name(), json!({}), false);
    let required = || JwtOptions {
        required_claims: vec![
            ("sub".into(), ClaimValue::UserName),
            ("cid".into(), ClaimValue::ClientId),
            ("tenant".into(), ClaimValue::Text("acme".into())),
        ],
        ..defaults()
    };
    let all = json!({ "sub": "anything", "cid": "phone", "tenant": "acme" });
    check(required(), all.clone(), true);
    for name in ["sub", "cid", "tenant"] {
        for other in [json!("other"), json!(""), json!(null), json!(["phone"])] {
            let mut claims = all.clone();
            claims[name] = other;
            check(required(), claims, false);
        }
    }
    let acl = || JwtOptions {
        require_acl: true,
        ..defaults()
    };
    check(acl(), json!({ "acl": [] }), true);
    check(acl(), json!({}), false);
    check(defaults(), json!({ "acl": "**" }), false);
    check(defaults(), json!({ "acl": null }), false);
}

#[test]
fn a_token_brings_a_thousand_rules_and_no_more() {
    let hooks = with_secret(JwtOptions::default());
    let rule = json!({ "allow": "publish", "topic": "a" });
    let acl: [fn(&Value, usize) -> Value; 2] = [
        |rule, rules| json!(vec![rule; rules]),
        // The patterns of both lists count together.
        |_, rules| json!({ "publish": vec!["a"; rules - 400], "subscribe": vec!["a"; 400] }),
    ];
    for acl in acl {
        for (rules, is_good) in [(1_000, true), (1_001, false)] {
            let mut claims = good();
            claims["acl"] = acl(&rule, rules);
            let answer = answer(&hooks, &signed(&claims));
            assert_eq!(user(&answer).is_some(), is_good, "{rules}");
            assert_eq!(is_refused(&answer), !is_good, "{rules}");
        }
    }
}

#[test]
fn the_token_may_be_the_user_name() {
    let hooks = with_secret(JwtOptions {
        place: TokenPlace::UserName,
        ..JwtOptions::default()
    });
    let token = signed(&good());
    let mut login = LoginRequest::new(Version::V311, "phone");
    login.user_name = Some(&token);
    assert_eq!(user(&hooks.answer(&login)), Some("eve"));
    login.password = Some(token.as_bytes());
    login.user_name = Some("eve");
    assert!(is_refused(&hooks.answer(&login)));
}

#[test]
fn rights_come_with_the_token_and_end_with_it() {
    let hooks = with_secret(JwtOptions::default());
    let exp = now() + 100;
    let claims = json!({ "sub": "eve", "exp": exp, "acl": { "publish": ["own/%u/%c"] } });
    let Authentication::Accept { user, data } = answer(&hooks, &signed(&claims)) else {
        panic!("it is good");
    };
    let client = Client::new("phone", Version::V5).with_user(user.unwrap());
    let client = Arc::new(client.with_data(data.unwrap()));
    let grant: &authorizer::Grant = client.data().unwrap();
    let until = SystemTime::UNIX_EPOCH + Duration::from_secs(exp + 60);
    assert_eq!(grant.until(), Some(until), "leeway included");
    let rights = grant.permissions().unwrap();
    assert!(rights.may_publish("own/eve/phone") && !rights.may_publish("own/eve/x"));
    assert!(!rights.may_subscribe("own/eve/phone"));
    assert!(matches!(hooks.may_stay(&client), Verdict::Ready(true)));
    hooks.notify(&Event::Connected {
        client: &client,
        session_present: false,
    });
    assert!(hooks.due_at(until - Duration::from_secs(1)).is_empty());
    assert_eq!(hooks.due_at(until), ["phone".into()]);
    let stays = with_secret(JwtOptions {
        disconnect_at_expiry: false,
        ..JwtOptions::default()
    });
    let Authentication::Accept { data, .. } = answer(&stays, &signed(&claims)) else {
        panic!("it is good");
    };
    let client = Client::new("phone", Version::V5).with_data(data.unwrap());
    assert_eq!(client.data::<authorizer::Grant>().unwrap().until(), None);
}

#[test]
fn a_token_that_is_no_good_is_refused_and_what_is_no_token_is_left_to_others() {
    let alone = with_secret(JwtOptions::default());
    let first = with_secret(JwtOptions::default()).passing_strangers();
    let token = signed(&good());
    assert_eq!(user(&answer(&first, &token)), Some("eve"));
    for password in [
        "",
        "password",
        "a.b.c",
        "..",
        "eyJhbGciOiJIUzI1NiJ9",
        "e30.e30.AAAA",
    ] {
        assert!(is_refused(&answer(&alone, password)), "{password}");
        assert!(
            matches!(answer(&first, password), Authentication::Pass),
            "{password}"
        );
    }
    let nobody = LoginRequest::new(Version::V5, "phone");
    assert!(is_refused(&alone.answer(&nobody)));
    assert!(matches!(first.answer(&nobody), Authentication::Pass));
    let (signed, signature) = token.rsplit_once('.').unwrap();
    for bad in [
        format!("{signed}."),
        format!("{signed}.{signature}A"),
        format!("{signed}.{}", &signature[1..]),
        format!("{signed}.{signature}="),
        format!("{signed}x.{signature}"),
        format!("{signed}.x.{signature}"),
    ] {
        assert!(is_refused(&answer(&alone, &bad)), "{bad}");
        assert!(user(&answer(&first, &bad)).is_none(), "{bad}");
    }
    let critical = json!({ "alg": "HS256", "crit": ["exp"] });
    assert!(is_refused(&answer(
        &first,
        &hs256(SECRET, &critical, &good())
    )));
    let other = b"another secret of sufficient length!";
    let header = json!({ "alg": "HS256" });
    assert!(is_refused(&answer(&first, &hs256(other, &header, &good()))));
    for no_object in [json!([]), json!("eve"), json!(null)] {
        assert!(is_refused(&answer(
            &first,
            &super::tests::signed(&no_object)
        )));
    }
    assert!(
        is_refused(&answer(&hooks(&[], JwtOptions::default()), &token)),
        "no keys"
    );
}

/// What openssl makes of a key on P-256 and one of RSA: private in PKCS #8, public in PEM.
struct Pair {
    private: Vec<u8>,
    public: PathBuf,
}

fn openssl(folder: &Path, arguments: &[&str]) -> Vec<u8> {
    let output = std::process::Command::new("openssl")
        .current_dir(folder)
        .args(arguments)
        .output()
        .unwrap();
    assert!(output.status.success(), "openssl {arguments:?}: {output:?}");
    output.stdout
}

fn pair(folder: &Folder, name: &str, options: &[&str]) -> Pair {
    let folder = folder.0.path();
    let (private, public) = (format!("{name}.key"), format!("{name}.pub"));
    openssl(folder, &[&["genpkey", "-out", &private], options].concat());
    openssl(
        folder,
        &["pkey", "-in", &private, "-pubout", "-out", &public],
    );
    Pair {
        private: openssl(
            folder,
            &[
                "pkcs8", "-topk8", "-nocrypt", "-in", &private, "-outform", "DER",
            ],
        ),
        public: folder.join(public),
    }
}

const RSA: [&str; 4] = ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"];
const EC: [&str; 4] = ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"];

/// Signed by openssl.
fn rs256(folder: &Folder, pair: &Pair, header: &Value, claims: &Value) -> (String, Value) {
    let signed = unsigned(header, claims);
    folder.write("rsa.der", &pair.private);
    folder.write("signed", &signed);
    let arguments = [
        "dgst", "-sha256", "-keyform", "DER", "-sign", "rsa.der", "signed",
    ];
    let signature = openssl(folder.0.path(), &arguments);
    let key = RsaKeyPair::from_pkcs8(&pair.private).unwrap();
    let public: ring::signature::RsaPublicKeyComponents<Vec<u8>> = key.public().into();
    let jwk = json!({
        "kty": "RSA", "alg": "RS256", "use": "sig",
        "n": URL_SAFE_NO_PAD.encode(public.n), "e": URL_SAFE_NO_PAD.encode(public.e),
    });
    (with(signed, &signature), jwk)
}

fn es256(pair: &Pair, header: &Value, claims: &Value) -> (String, Value) {
    let random = SystemRandom::new();
    let key =
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &pair.private, &random).unwrap();
    let signed = unsigned(header, claims);
    let signature = key.sign(&random, signed.as_bytes()).unwrap();
    let point = key.public_key().as_ref();
    let jwk = json!({
        "kty": "EC", "crv": "P-256",
        "x": URL_SAFE_NO_PAD.encode(&point[1..33]), "y": URL_SAFE_NO_PAD.encode(&point[33..]),
    });
    (with(signed, signature.as_ref()), jwk)
}

#[test]
fn each_key_is_good_for_its_own_algorithm_alone() {
    let folder = Folder::new();
    let (rsa, ec) = (pair(&folder, "rsa", &RSA), pair(&folder, "ec", &EC));
    let header = |algorithm: &str| json!({ "alg": algorithm });
    let (rsa_token, _) = rs256(&folder, &rsa, &header("RS256"), &good());
    let (ec_token, _) = es256(&ec, &header("ES256"), &good());
    let files = [
        KeyFile::Pem(rsa.public.clone()),
        KeyFile::Pem(ec.public.clone()),
        folder.secret(),
    ];
    let tokens = [rsa_token, ec_token, signed(&good())];
    for (number, file) in files.iter().enumerate() {
        let hooks = hooks(std::slice::from_ref(file), JwtOptions::default());
        for (other, token) in tokens.iter().enumerate() {
            let answer = answer(&hooks, token);
            assert_eq!(user(&answer).is_some(), number == other, "{file:?} {token}");
        }
    }
    let all = hooks(&files, JwtOptions::default());
    assert!(
        tokens
            .iter()
            .all(|token| user(&answer(&all, token)).is_some())
    );
    // What is public is no secret, in whichever form somebody may take it for one.
    let pem = std::fs::read(&rsa.public).unwrap();
    let lines = String::from_utf8(pem.clone()).unwrap();
    let body: String = lines
        .lines()
        .filter(|line| !line.starts_with('-'))
        .collect();
    let der = STANDARD.decode(&body).unwrap();
    for secret in [&pem[..], lines.trim_end().as_bytes(), body.as_bytes(), &der] {
        for algorithm in ["HS256", "hs256", "RS256", "none"] {
            let token = hs256(secret, &header(algorithm), &good());
            assert!(is_refused(&answer(&all, &token)), "{algorithm}");
        }
    }
    for algorithm in [
        "none", "None", "NONE", "", "HS512", "RS384", "PS256", "ES384", "EdDSA",
    ] {
        let unsigned = unsigned(&header(algorithm), &good());
        assert!(
            is_refused(&answer(&all, &format!("{unsigned}."))),
            "{algorithm}"
        );
        let token = hs256(SECRET, &header(algorithm), &good());
        assert!(is_refused(&answer(&all, &token)), "{algorithm}");
    }
}

#[test]
fn a_key_set_has_its_keys_by_name() {
    let folder = Folder::new();
    let (rsa, ec) = (pair(&folder, "rsa", &RSA), pair(&folder, "ec", &EC));
    let named = |algorithm: &str, kid: &str| json!({ "alg": algorithm, "kid": kid });
    let (rsa_token, mut rsa_key) = rs256(&folder, &rsa, &named("RS256", "r"), &good());
    let (ec_token, mut ec_key) = es256(&ec, &named("ES256", "e"), &good());
    rsa_key["kid"] = json!("r");
    ec_key["kid"] = json!("e");
    let secret = json!({ "kty": "oct", "kid": "s", "k": URL_SAFE_NO_PAD.encode(SECRET) });
    let others = [
        json!({ "kty": "OKP", "crv": "Ed25519", "x": "AAAA" }),
        json!({ "kty": "oct", "k": "c2hvcnQ" }),
        json!({ "kty": "RSA", "use": "enc", "n": rsa_key["n"], "e": rsa_key["e"] }),
        json!({ "kty": "EC", "crv": "P-256", "alg": "ES512", "x": ec_key["x"], "y": ec_key["y"] }),
        json!({}),
    ];
    let set = |keys: &[&Value]| {
        let keys: Vec<_> = others.iter().chain(keys.iter().copied()).collect();
        KeyFile::Jwks(folder.write("set", json!({ "keys": keys }).to_string()))
    };
    let all = hooks(&[set(&[&rsa_key, &ec_key, &secret])], JwtOptions::default());
    assert_eq!(all.keys.read().len(), 3);
    let by_secret = |kid| hs256(SECRET, &named("HS256", kid), &good());
    for token in [&rsa_token, &ec_token, &by_secret("s"), &signed(&good())] {
        assert_eq!(user(&answer(&all, token)), Some("eve"), "{token}");
    }
    assert!(is_refused(&answer(&all, &by_secret("e"))));
    assert!(is_refused(&answer(
        &all,
        &rs256(&folder, &rsa, &named("RS256", "s"), &good()).0
    )));
    // Other keys from now on.
    all.replace(Keys::load(&[set(&[&ec_key])]).unwrap());
    assert!(is_refused(&answer(&all, &rsa_token)));
    assert_eq!(user(&answer(&all, &ec_token)), Some("eve"));
    let error = Keys::load(&[set(&[])]).unwrap_err().to_string();
    assert!(error.contains("set: none of its keys"), "{error}");
}

#[test]
fn a_file_without_a_key_is_an_error_that_says_why() {
    let folder = Folder::new();
    let curve = ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"];
    let small = ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"];
    let rsa = pair(&folder, "rsa", &RSA);
    for (file, what) in [
        (KeyFile::Secret("/nowhere".into()), "No such file"),
        (
            KeyFile::Secret(folder.write("short", "thirty-one bytes are too little\n")),
            "32 bytes",
        ),
        (KeyFile::Pem(folder.write("secret", SECRET)), "PEM"),
        (KeyFile::Pem(folder.0.path().join("rsa.key")), "PEM"),
        (KeyFile::Pem(pair(&folder, "curve", &curve).public), "P-256"),
        (KeyFile::Pem(pair(&folder, "small", &small).public), "2048"),
        (KeyFile::Jwks(rsa.public), "no JWK set"),
        (
            KeyFile::Jwks(folder.write("empty", r#"{"keys": []}"#)),
            "none of its keys",
        ),
        (
            KeyFile::Secret(folder.write("long", vec![0; (1 << 20) + 1])),
            "longer",
        ),
    ] {
        let error = Keys::load(&[file]).unwrap_err().to_string();
        assert!(error.contains(what), "{error}");
    }
    let many = vec![folder.secret(); crate::KEYS_MAX + 1];
    assert!(Keys::load(&many).is_err() && Keys::load(&many[1..]).is_ok());
}

/// RFC 7515, appendices A.1 and A.3. Both have expired in 2011.
#[test]
fn the_examples_of_rfc_7515_are_good() {
    const CLAIMS: &str = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    let folder = Folder::new();
    for (key, header, signature) in [
        (
            json!({ "kty": "oct", "k": "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow" }),
            "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9",
            "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
        ),
        (
            json!({ "kty": "EC", "crv": "P-256",
                "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
                "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0" }),
            "eyJhbGciOiJFUzI1NiJ9",
            "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
        ),
    ] {
        let set = folder.write("set", json!({ "keys": [key] }).to_string());
        let keys = Keys::load(&[KeyFile::Jwks(set)]).unwrap();
        let token = format!("{header}.{CLAIMS}.{signature}");
        let mut validation = claims::validation(&JwtOptions::default());
        let error = keys.claims(&token, &validation).unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::ExpiredSignature, "{header}");
        validation.validate_exp = false;
        let claims = keys.claims(&token, &validation).unwrap();
        assert_eq!(claims["iss"], "joe", "{header}");
    }
}

proptest! {
    /// Whatever is changed in a good token, it is good no more; whatever else comes is no token.
    #[test]
    fn nothing_but_what_was_signed_is_good(at in any::<prop::sample::Index>(), byte: u8, text in "\\PC*") {
        let hooks = with_secret(JwtOptions::default());
        let token = signed(&good());
        let mut changed = token.clone().into_bytes();
        let at = at.index(changed.len());
        changed[at] = byte;
        let mut login = LoginRequest::new(Version::V5, "phone");
        login.password = Some(&changed);
        let answer = hooks.answer(&login);
        prop_assert_eq!(user(&answer).is_some(), changed == token.as_bytes());
        prop_assert!(user(&super::tests::answer(&hooks, &text)).is_none());
        let third = format!("{}.{text}.{text}", part(&json!({ "alg": "HS256" })));
        prop_assert!(user(&super::tests::answer(&hooks, &third)).is_none());
    }

    /// Whatever stands in a file of keys, it is keys or an error.
    #[test]
    fn any_file_is_keys_or_none(text in "\\PC{0,400}") {
        let folder = Folder::new();
        let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(&text));
        for file in [
            KeyFile::Pem(folder.write("pem", &pem)),
            KeyFile::Pem(folder.write("text", &text)),
            KeyFile::Jwks(folder.write("set", format!(r#"{{"keys": [{text:?}]}}"#))),
        ] {
            prop_assert!(Keys::load(&[file]).is_err());
        }
    }
}
