//! Who comes in by a JSON Web Token, whose keys and signatures are all openssl's.

use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::broker::{Broker, text, wait_for};
use crate::process::{Line, Process};

/// What openssl says when it is given something.
fn openssl(folder: &Path, arguments: &[&str]) -> Vec<u8> {
    let mut command = Command::new("openssl");
    let output = command.current_dir(folder).args(arguments).output();
    let output = output.unwrap();
    assert!(output.status.success(), "openssl {arguments:?}: {output:?}");
    output.stdout
}

/// Keys of all three kinds in a folder: `secret`, `rsa.key` and `rsa.pub`, `ec.key` and `ec.pub`.
fn keys() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    openssl(path, &["rand", "-hex", "-out", "secret", "32"]);
    let rsa = ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"];
    let ec = ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"];
    for (name, options) in [("rsa", rsa), ("ec", ec)] {
        let (private, public) = (format!("{name}.key"), format!("{name}.pub"));
        openssl(
            path,
            &[&["genpkey", "-out", &private], &options[..]].concat(),
        );
        openssl(path, &["pkey", "-in", &private, "-pubout", "-out", &public]);
    }
    folder
}

fn signed_part(algorithm: &str, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let header = json!({ "alg": algorithm, "typ": "JWT" });
    format!("{}.{}", part(&header), part(claims))
}

fn token(signed: &str, signature: &[u8]) -> String {
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// Signed with what is in a file of the folder, without its line end.
fn hs256(folder: &Path, file: &str, claims: &Value) -> String {
    let signed = signed_part("HS256", claims);
    let secret = std::fs::read_to_string(folder.join(file)).unwrap();
    let hex: String = secret
        .trim_end()
        .bytes()
        .map(|it| format!("{it:02x}"))
        .collect();
    std::fs::write(folder.join("signed"), &signed).unwrap();
    let key = format!("hexkey:{hex}");
    let arguments = [
        "dgst", "-sha256", "-mac", "HMAC", "-macopt", &key, "-binary", "signed",
    ];
    token(&signed, &openssl(folder, &arguments))
}

/// Signed with a private key.
fn by_key(folder: &Path, algorithm: &str, file: &str, claims: &Value) -> String {
    let signed = signed_part(algorithm, claims);
    std::fs::write(folder.join("signed"), &signed).unwrap();
    let signature = openssl(folder, &["dgst", "-sha256", "-sign", file, "signed"]);
    if algorithm == "ES256" {
        token(&signed, &two_numbers(&signature))
    } else {
        token(&signed, &signature)
    }
}

/// openssl writes the numbers of a signature on P-256 in DER, with a byte of sign, and without leading zeros.
fn two_numbers(der: &[u8]) -> Vec<u8> {
    let mut numbers = Vec::new();
    let mut rest = &der[2..];
    while let [2, length, more @ ..] = rest {
        let (number, behind) = more.split_at(usize::from(*length));
        let number = &number[number.len().saturating_sub(32)..];
        numbers.extend(std::iter::repeat_n(0, 32 - number.len()));
        numbers.extend(number);
        rest = behind;
    }
    assert_eq!(numbers.len(), 64);
    numbers
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

/// Good for an hour.
fn claims(more: Value) -> Value {
    let mut claims = json!({ "sub": "eve", "aud": "mqtt", "iss": "us", "exp": now() + 3_600 });
    let fields = claims.as_object_mut().unwrap();
    fields.extend(more.as_object().unwrap().clone());
    claims
}

/// The section of the config file for these keys.
fn section(folder: &Path) -> Value {
    json!({
        "secretFiles": [folder.join("secret")],
        "publicKeyFiles": [folder.join("rsa.pub"), folder.join("ec.pub")],
        "issuers": ["us"],
        "audiences": ["mqtt", "others"],
        "leewaySecs": 0,
    })
}

fn broker(folder: TempDir) -> Broker {
    let section = section(folder.path());
    Broker::with_config(folder, &json!({ "jwt": section }))
}

fn may_publish(broker: &Broker, token: &str, topic: &str) -> (bool, String) {
    broker.publish(Some(("anybody", token)), &["-V", "5", "-t", topic])
}

fn lets_in(broker: &Broker, token: &str) -> bool {
    let (is_content, said) = may_publish(broker, token, "a");
    let is_refused = said.contains("Bad User Name or Password");
    assert_ne!(is_content, is_refused, "{said}");
    is_content
}

#[test]
fn each_algorithm_lets_in_who_has_a_token_that_is_good() {
    let keys = keys();
    let path = keys.path().to_owned();
    let broker = broker(keys);
    let good = claims(json!({ "aud": ["x", "mqtt"], "nbf": now() - 60 }));
    for token in [
        hs256(&path, "secret", &good),
        by_key(&path, "RS256", "rsa.key", &good),
        by_key(&path, "ES256", "ec.key", &good),
    ] {
        assert!(lets_in(&broker, &token), "{token}");
        for version in ["mqttv31", "mqttv311"] {
            let arguments = ["-V", version, "-t", "a"];
            let (is_content, said) = broker.publish(Some(("x", &token)), &arguments);
            assert!(is_content, "{version}: {said}");
        }
    }
}

#[test]
fn no_other_token_lets_in() {
    let keys = keys();
    let path = keys.path().to_owned();
    let broker = broker(keys);
    for wrong in [
        json!({ "exp": now() - 60 }),
        json!({ "exp": null }),
        json!({ "exp": "tomorrow" }),
        json!({ "nbf": now() + 3_600 }),
        json!({ "aud": "else" }),
        json!({ "aud": null }),
        json!({ "iss": "them" }),
        json!({ "sub": "" }),
        json!({ "acl": { "publish": "**" } }),
    ] {
        let wrong = claims(wrong);
        assert!(
            !lets_in(&broker, &hs256(&path, "secret", &wrong)),
            "{wrong}"
        );
        assert!(
            !lets_in(&broker, &by_key(&path, "ES256", "ec.key", &wrong)),
            "{wrong}"
        );
    }
    let good = claims(json!({}));
    for algorithm in ["none", "None", "HS256", "RS256"] {
        let unsigned = signed_part(algorithm, &good);
        assert!(!lets_in(&broker, &format!("{unsigned}.")), "{algorithm}");
    }
    // What everybody has is no secret.
    for public in ["rsa.pub", "ec.pub"] {
        assert!(!lets_in(&broker, &hs256(&path, public, &good)), "{public}");
    }
    // A key is for its own algorithm, and for what it has signed.
    let other = by_key(&path, "RS384", "rsa.key", &good);
    assert!(!lets_in(&broker, &other));
    let rsa = by_key(&path, "RS256", "rsa.key", &good);
    let (_, signature) = rsa.rsplit_once('.').unwrap();
    let adams = signed_part("RS256", &claims(json!({ "sub": "adam" })));
    assert!(!lets_in(&broker, &format!("{adams}.{signature}")));
    assert!(!lets_in(&broker, "pencil"));
    let (is_content, said) = broker.publish(None, &["-V", "5", "-t", "a"]);
    assert!(!is_content && said.contains("Not authorized"), "{said}");
    assert!(lets_in(&broker, &rsa), "the one that was signed is good");
}

#[test]
fn a_token_says_what_its_bearer_may_do() {
    let keys = keys();
    let path = keys.path().to_owned();
    let broker = broker(keys);
    let acl = json!([
        { "deny": "publish", "topic": "own/eve/secret" },
        { "allow": "publish", "topic": "own/%u/**" },
        { "allow": "subscribe", "topic": "news/*" },
    ]);
    let token = hs256(&path, "secret", &claims(json!({ "acl": acl })));
    for (topic, is_allowed) in [
        ("own/eve/a", true),
        ("own/eve/secret", false),
        ("own/adam/a", false),
    ] {
        let (_, said) = may_publish(&broker, &token, topic);
        assert_eq!(said.contains("RC:135"), !is_allowed, "{topic}: {said}");
        assert_eq!(said.contains("RC:16"), is_allowed, "{topic}: {said}");
    }
    let eve = Some(("eve", token.as_str()));
    for filter in ["news/#", "own/eve/#"] {
        let mut denied = broker.client("mosquitto_sub", eve, &["-V", "5", "-t", filter]);
        wait_for(&mut denied, "All subscription requests were denied");
    }
    broker.subscribe(("eve", &token), &["-t", "news/+"]);
}

#[test]
fn who_has_a_token_that_expires_is_disconnected_and_others_stay() {
    let keys = keys();
    let path = keys.path().to_owned();
    let broker = broker(keys);
    let lasting = hs256(&path, "secret", &claims(json!({})));
    let mut stays = broker.subscribe(("x", &lasting), &["-t", "a", "-C", "1"]);
    for version in ["mqttv5", "mqttv311"] {
        // On a busy machine the token may have expired before the program has started.
        let mut came = [4, 16, 64].into_iter().filter_map(|secs| {
            let short = claims(json!({ "exp": now() + secs }));
            let short = hs256(&path, "secret", &short);
            let arguments = ["-V", version, "-t", "b"];
            let mut client = broker.client("mosquitto_sub", Some(("x", &short)), &arguments);
            let said = client.wait_for("answer", |line| {
                let (Line::Out(line) | Line::Err(line)) = line;
                let is_answer = line.contains("Subscribed (mid: ") || line.contains("onnection");
                is_answer.then(|| line.clone())
            });
            said.contains("Subscribed").then_some(client)
        });
        let mut goes = came
            .next()
            .expect("none of the tokens was good for long enough");
        if version == "mqttv5" {
            let said = wait_for(&mut goes, "DISCONNECT");
            assert!(said.contains("135"), "{said}");
        } else {
            // Nobody can tell it why. It tries again, and is refused.
            wait_for(&mut goes, "bad user name or password");
        }
    }
    assert!(lets_in(&broker, &lasting));
    assert_eq!(wait_for(&mut stays, "message "), "message a");
    stays.succeed();
}

#[test]
fn hangup_reads_the_keys_again_and_leaves_them_if_they_are_bad() {
    let keys = keys();
    let path = keys.path().to_owned();
    let mut broker = broker(keys);
    let good = claims(json!({}));
    let (by_secret, by_rsa) = (
        hs256(&path, "secret", &good),
        by_key(&path, "RS256", "rsa.key", &good),
    );
    let mut connected = broker.subscribe(("x", &by_secret), &["-t", "a", "-C", "1"]);
    openssl(&path, &["rand", "-hex", "-out", "secret", "32"]);
    let by_other = hs256(&path, "secret", &good);
    assert!(lets_in(&broker, &by_secret.clone()) && !lets_in(&broker, &by_other));
    assert_eq!(wait_for(&mut connected, "message "), "message a");
    connected.succeed();
    let mut connected = broker.subscribe(("x", &by_secret), &["-t", "a", "-C", "1"]);
    broker.hangup("the keys of tokens were read again");
    assert!(!lets_in(&broker, &by_secret) && lets_in(&broker, &by_other));
    assert_eq!(
        wait_for(&mut connected, "message "),
        "message a",
        "it stays"
    );
    connected.succeed();
    std::fs::write(path.join("rsa.pub"), "no key").unwrap();
    let line = broker.hangup("the keys of tokens stay as they were");
    assert!(line.contains("rsa.pub") && line.contains("PEM"), "{line}");
    assert!(lets_in(&broker, &by_rsa) && lets_in(&broker, &by_other));
}

#[test]
fn the_users_file_comes_first_and_has_the_rights_of_tokens_that_say_nothing_of_them() {
    let keys = keys();
    let path = keys.path().to_owned();
    let users = json!({ "eve": crate::users::old_entry("pencil", "b", "**") });
    std::fs::write(path.join("users.json"), users.to_string()).unwrap();
    let authentication = json!({ "usersFile": path.join("users.json"), "jwt": section(&path) });
    let broker = Broker::with_config(keys, &authentication);
    let publish = |user, topic| broker.publish(Some(user), &["-V", "5", "-t", topic]);
    assert!(publish(("eve", "pencil"), "b").1.contains("RC:16"));
    assert!(publish(("eve", "pencil"), "a").1.contains("RC:135"));
    let token = |more| hs256(&path, "secret", &claims(more));
    // As the users file has it.
    let plain = token(json!({}));
    assert!(publish(("anybody", &plain), "b").1.contains("RC:16"));
    assert!(publish(("anybody", &plain), "a").1.contains("RC:135"));
    // As the token has it.
    let own = token(json!({ "acl": { "publish": ["a"] } }));
    assert!(publish(("anybody", &own), "a").1.contains("RC:16"));
    assert!(publish(("anybody", &own), "b").1.contains("RC:135"));
    // Who is in the users file needs the password that is there.
    assert!(!publish(("eve", &plain), "b").0);
    // Whom nobody knows may not come in, and whom one knows only by name may do nothing.
    assert!(!publish(("adam", "pencil"), "b").0);
    let adam = token(json!({ "sub": "adam" }));
    assert!(publish(("anybody", &adam), "b").1.contains("RC:135"));
}

#[test]
fn without_keys_that_can_be_read_the_broker_does_not_start() {
    let keys = keys();
    let path = keys.path();
    let config = path.join("config.json");
    std::fs::write(path.join("ec.pub"), "no key").unwrap();
    for (section, words) in [
        (section(path), "ec.pub: it has no public key"),
        (
            json!({ "issuers": ["us"] }),
            "`authentication.jwt.publicKeyFiles` is missing",
        ),
    ] {
        let content = json!({ "port": 0, "authentication": { "jwt": section } });
        std::fs::write(&config, content.to_string()).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_mosca"));
        let mut process = Process::start("mosca", command.arg("--config").arg(&config));
        process.wait_for(words, |line| match line {
            Line::Err(line) => line.contains(words).then_some(()),
            Line::Out(line) => panic!("it starts: {line}"),
        });
        let (status, more) = process.finish();
        let more: Vec<_> = more.into_iter().map(text).collect();
        assert_eq!((status.code(), more.len()), (Some(1), 0), "{more:?}");
    }
}
