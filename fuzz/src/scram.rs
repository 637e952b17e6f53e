//! SCRAM-SHA-256 against a client that says anything.
//!
//! The input is cut in two: the first message and the second. Either may be taken as it is, or be
//! put into the place of a part of a message that is right, so that the fuzzer gets behind the first
//! check of each. Nobody who does not know the password is let in, whatever he says; the keys of the
//! one user are those of a password that is not in here.

use std::collections::HashMap;

use auth_scram::{ScramCredential, ScramSha256};
use broker_core::{
    AuthenticationExchange, AuthenticationMethod, AuthenticationRequest, AuthenticationStep,
    Verdict,
};
use mqtt_codec::Version;

fn step(exchange: Box<dyn AuthenticationExchange>, data: &[u8]) -> AuthenticationStep {
    match exchange.step(Some(data.to_vec())) {
        Verdict::Ready(step) => step,
        Verdict::Pending(_) => panic!("a map answers at once"),
    }
}

/// One exchange.
pub fn scram(data: &[u8]) {
    let Some((&choice, data)) = data.split_first() else {
        return;
    };
    let cut = data.iter().position(|byte| *byte == b'|');
    let (one, two) = data.split_at(cut.unwrap_or(data.len()));
    let two = two.get(1..).unwrap_or_default();

    let keys = ([7; 32], [9; 32]);
    let user = ScramCredential::from_keys(b"salt".to_vec(), 4_096, keys.0, keys.1)
        .unwrap_or_else(|error| panic!("{error}"));
    let method = ScramSha256::with_secret(HashMap::from([("user".to_owned(), user)]), [1; 32]);
    let first = match choice % 4 {
        0 => one.to_vec(),
        1 => [b"n,,n=", one, b",r=nonce"].concat(),
        2 => [b"n,,n=user,r=", one].concat(),
        _ => [b"n,,n=user,r=nonce", one].concat(),
    };
    let exchange = method.begin(&AuthenticationRequest::new(Version::V5, "client"));
    let (challenge, exchange) = match step(exchange, &first) {
        AuthenticationStep::Continue {
            data: Some(data),
            next,
        } => (String::from_utf8(data).unwrap_or_default(), next),
        AuthenticationStep::Continue { data: None, .. } => panic!("a challenge without data"),
        AuthenticationStep::Accept { .. } => panic!("let in without a proof"),
        AuthenticationStep::Refuse(refusal) => {
            assert!(refusal.reason_code.is_error());
            return;
        }
    };
    let nonce = challenge
        .strip_prefix("r=")
        .and_then(|rest| rest.split(',').next())
        .unwrap_or_else(|| panic!("{challenge}"));
    // 18 random bytes behind what the client has sent.
    let own = nonce.len().checked_sub(24).and_then(|end| nonce.get(..end));
    let own = format!("r={}", own.unwrap_or_default());
    assert!(own.len() > 2, "{challenge}");
    assert!(
        String::from_utf8_lossy(&first).contains(&own),
        "{challenge}"
    );
    assert!(challenge.len() <= 65_535);

    let last = match choice / 4 % 4 {
        0 => two.to_vec(),
        1 => [b"c=biws,r=", nonce.as_bytes(), b",p=", two].concat(),
        2 => [b"c=biws,r=", nonce.as_bytes(), two].concat(),
        _ => {
            let proof = b"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
            [b"c=biws,r=", nonce.as_bytes(), two, b",p=", proof].concat()
        }
    };
    match step(exchange, &last) {
        AuthenticationStep::Refuse(refusal) => assert!(refusal.reason_code.is_error()),
        AuthenticationStep::Accept { .. } => panic!("let in without the password"),
        AuthenticationStep::Continue { .. } => panic!("a third round"),
    }
}
