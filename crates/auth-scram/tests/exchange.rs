//! Whole exchanges between the method and a client that was written apart from it.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "all of this is a test"
)]

mod client;

use std::collections::HashMap;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use auth_scram::{ScramCredential, ScramLookup, ScramSha256};
use broker_core::{
    AuthenticationExchange, AuthenticationMethod, AuthenticationRefusal, AuthenticationRequest,
    AuthenticationStep, Verdict,
};
use client::{ScramClient, question};
use mqtt_codec::{ReasonCode, Version};

fn users() -> HashMap<String, ScramCredential> {
    let credential = |password| ScramCredential::from_password(password, 4_096).unwrap();
    HashMap::from([
        ("user".to_owned(), credential("pencil")),
        ("a,b=c".to_owned(), credential("p\u{2168}")),
    ])
}

fn begin(method: &ScramSha256) -> Box<dyn AuthenticationExchange> {
    assert_eq!(method.name(), "SCRAM-SHA-256");
    method.begin(&AuthenticationRequest::new(Version::V5, "client"))
}

fn step(exchange: Box<dyn AuthenticationExchange>, data: &str) -> AuthenticationStep {
    wait(exchange.step(Some(data.as_bytes().to_vec())))
}

fn wait<T>(verdict: Verdict<T>) -> T {
    match verdict {
        Verdict::Ready(value) => value,
        Verdict::Pending(future) => {
            match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(value) => value,
                Poll::Pending => panic!("nothing here takes its time"),
            }
        }
    }
}

/// The server's question, and the exchange that takes the answer.
fn challenged(method: &ScramSha256, first: &str) -> (String, Box<dyn AuthenticationExchange>) {
    match step(begin(method), first) {
        AuthenticationStep::Continue {
            data: Some(data),
            next,
        } => (String::from_utf8(data).unwrap(), next),
        AuthenticationStep::Refuse(refusal) => panic!("{refusal:?}"),
        _ => panic!("a challenge expected"),
    }
}

/// What comes of a whole exchange: who the client is, or why not.
fn play(method: &ScramSha256, client: &ScramClient) -> Result<String, AuthenticationRefusal> {
    let (challenge, exchange) = challenged(method, &client.first());
    let (last, verifier) = client.last(&challenge);
    match step(exchange, &last) {
        AuthenticationStep::Accept { data, user } => {
            assert_eq!(data, Some(verifier.into_bytes()), "the server's own proof");
            Ok(user.unwrap().to_string())
        }
        AuthenticationStep::Refuse(refusal) => Err(refusal),
        AuthenticationStep::Continue { .. } => panic!("it should be over"),
    }
}

#[test]
fn who_knows_the_password_is_let_in_under_his_name() {
    let method = ScramSha256::new(users()).unwrap();
    let played = |user: &str, password: &str| play(&method, &ScramClient::new(user, password));
    assert_eq!(played("user", "pencil"), Ok("user".to_owned()));
    assert_eq!(played("us\u{AD}er", "pencil"), Ok("user".to_owned()));
    assert_eq!(played("a=2Cb=3Dc", "pIX"), Ok("a,b=c".to_owned()));
    for header in ["y,,", "n,a=user,", "y,a=user,"] {
        let client = ScramClient {
            header,
            ..ScramClient::new("user", "pencil")
        };
        assert_eq!(play(&method, &client), Ok("user".to_owned()), "{header}");
    }
}

#[test]
fn a_wrong_password_and_a_wrong_name_look_the_same() {
    let method = ScramSha256::new(users()).unwrap();
    let refused = Err(AuthenticationRefusal::default());
    for (user, password) in [
        ("user", "Pencil"),
        ("user", "pencil "),
        ("User", "pencil"),
        ("nobody", "pencil"),
    ] {
        let client = ScramClient::new(user, password);
        assert_eq!(play(&method, &client), refused, "{user} {password}");
    }
    let ask = |user: &str| question(&challenged(&method, &ScramClient::new(user, "").first()).0);
    let (known, unknown) = (ask("user"), ask("nobody"));
    assert_eq!(known.salt.len(), unknown.salt.len());
    assert_eq!(known.iterations, unknown.iterations);
    assert_eq!(known.nonce.len(), unknown.nonce.len());
    assert_eq!(unknown.salt, ask("nobody").salt, "stays the same");
    assert_ne!(unknown.salt, ask("somebody").salt);
    assert_ne!(unknown.nonce, ask("nobody").nonce);
}

#[test]
fn the_salt_of_nobody_depends_on_the_secret_and_its_iterations_are_an_option() {
    let ask = |secret: u8| {
        let method = ScramSha256::with_secret(HashMap::new(), [secret; 32]).with_iterations(9_999);
        question(&challenged(&method, "n,,n=nobody,r=x").0)
    };
    assert_eq!(ask(1).salt, ask(1).salt);
    assert_ne!(ask(1).salt, ask(2).salt);
    assert_eq!(ask(1).iterations, 9_999);
}

/// Whoever is not known cannot make up for it by any password.
#[test]
fn nobody_is_let_in_who_is_not_known() {
    let method = ScramSha256::with_secret(HashMap::new(), [0; 32]);
    let (challenge, exchange) = challenged(&method, "n,,n=nobody,r=x");
    let last = format!(
        "c=biws,r={},p=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        question(&challenge).nonce
    );
    assert!(matches!(
        step(exchange, &last),
        AuthenticationStep::Refuse(_)
    ));
}

#[test]
fn the_first_message_may_come_after_connect_but_not_never() {
    let method = ScramSha256::new(users()).unwrap();
    let AuthenticationStep::Continue { data: None, next } = wait(begin(&method).step(None)) else {
        panic!("an empty question expected");
    };
    let client = ScramClient::new("user", "pencil");
    let AuthenticationStep::Continue { next, .. } = step(next, &client.first()) else {
        panic!("a challenge expected");
    };
    assert!(matches!(
        wait(next.step(None)),
        AuthenticationStep::Refuse(_)
    ));
    let AuthenticationStep::Continue { next, .. } = wait(begin(&method).step(None)) else {
        panic!("an empty question expected");
    };
    assert!(matches!(
        wait(next.step(None)),
        AuthenticationStep::Refuse(_)
    ));
}

#[test]
fn an_error_of_the_client_is_called_by_its_name() {
    let method = ScramSha256::new(users()).unwrap();
    for (first, words) in [
        ("p=tls-unique,,n=user,r=a", "channel binding"),
        ("n,,m=x,n=user,r=a", "extension"),
        ("n,a=root,n=user,r=a", "authorization identity"),
        ("hello", "RFC 5802"),
    ] {
        let AuthenticationStep::Refuse(refusal) = step(begin(&method), first) else {
            panic!("{first} was not refused");
        };
        assert_eq!(refusal.reason_code, ReasonCode::NotAuthorized);
        let told = refusal.reason_string.unwrap();
        assert!(told.contains(words), "{told}");
    }
}

#[test]
fn a_lookup_may_take_its_time_or_fail() {
    let known = ScramCredential::from_password("pencil", 4_096).unwrap();
    let method = ScramSha256::new(move |user: &str| {
        let lookup = match user {
            "user" => ScramLookup::Known(known.clone()),
            "down" => ScramLookup::Unavailable,
            _ => ScramLookup::Unknown,
        };
        Verdict::pending(async move { lookup })
    })
    .unwrap();
    let client = ScramClient::new("user", "pencil");
    assert_eq!(play(&method, &client), Ok("user".to_owned()));
    let stranger = ScramClient::new("stranger", "pencil");
    let refused = Err(AuthenticationRefusal::default());
    assert_eq!(play(&method, &stranger), refused);
    let AuthenticationStep::Refuse(refusal) = step(begin(&method), "n,,n=down,r=a") else {
        panic!("it was not refused");
    };
    assert_eq!(refusal.reason_code, ReasonCode::ServerUnavailable);
}
