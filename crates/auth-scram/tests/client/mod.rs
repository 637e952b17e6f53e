//! The client's side of SCRAM-SHA-256, written for tests from RFC 5802 alone: it shares nothing with
//! the server's side but SHA-256 and base64.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

/// One client in one exchange.
pub(crate) struct ScramClient {
    pub(crate) header: &'static str,
    /// With its escapes.
    pub(crate) user: String,
    pub(crate) password: String,
    pub(crate) nonce: String,
}

impl ScramClient {
    pub(crate) fn new(user: &str, password: &str) -> Self {
        Self {
            header: "n,,",
            user: user.to_owned(),
            password: password.to_owned(),
            nonce: "fyko+d2lbbFgONRv9qkxdawL".to_owned(),
        }
    }

    fn bare(&self) -> String {
        format!("n={},r={}", self.user, self.nonce)
    }

    pub(crate) fn first(&self) -> String {
        format!("{}{}", self.header, self.bare())
    }

    /// The proof for what the server has asked, and what the server has to say to that.
    pub(crate) fn last(&self, challenge: &str) -> (String, String) {
        let Question {
            nonce,
            salt,
            iterations,
        } = question(challenge);
        assert!(nonce.starts_with(&self.nonce), "{challenge}");
        assert!(nonce.len() >= self.nonce.len() + 18, "{challenge}");
        let binding = STANDARD.encode(self.header);
        let without_proof = format!("c={binding},r={nonce}");
        let signed = format!("{},{challenge},{without_proof}", self.bare());

        let salted = pbkdf2(self.password.as_bytes(), &salt, iterations);
        let client_key = hmac(&salted, b"Client Key");
        let stored_key = sha256(&client_key);
        let signature = hmac(&stored_key, signed.as_bytes());
        let proof: Vec<u8> = client_key
            .iter()
            .zip(signature)
            .map(|(a, b)| a ^ b)
            .collect();
        let server_key = hmac(&salted, b"Server Key");
        let verifier = hmac(&server_key, signed.as_bytes());
        (
            format!("{without_proof},p={}", STANDARD.encode(proof)),
            format!("v={}", STANDARD.encode(verifier)),
        )
    }
}

/// The server's first message.
pub(crate) struct Question {
    pub(crate) nonce: String,
    pub(crate) salt: Vec<u8>,
    pub(crate) iterations: u32,
}

pub(crate) fn question(challenge: &str) -> Question {
    let parts: Vec<&str> = challenge.split(',').collect();
    let [nonce, salt, iterations] = &parts[..] else {
        panic!("three attributes expected: {challenge}");
    };
    Question {
        nonce: nonce.strip_prefix("r=").expect("the nonce").to_owned(),
        salt: STANDARD
            .decode(salt.strip_prefix("s=").expect("the salt"))
            .expect("base64"),
        iterations: iterations
            .strip_prefix("i=")
            .and_then(|count| count.parse().ok())
            .expect("the iterations"),
    }
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// RFC 2104, for keys that are no longer than a block.
fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    assert!(key.len() <= 64);
    let padded = |with: u8| {
        let mut block = [with; 64];
        for (byte, key) in block.iter_mut().zip(key) {
            *byte ^= key;
        }
        block.to_vec()
    };
    let mut inner = padded(0x36);
    inner.extend_from_slice(message);
    let mut outer = padded(0x5C);
    outer.extend_from_slice(&sha256(&inner));
    sha256(&outer)
}

/// RFC 8018, its first block.
fn pbkdf2(password: &[u8], salt: &[u8], iterations: u32) -> [u8; 32] {
    let mut step = hmac(password, &[salt, &[0, 0, 0, 1]].concat());
    let mut sum = step;
    for _ in 1..iterations {
        step = hmac(password, &step);
        for (sum, step) in sum.iter_mut().zip(step) {
            *sum ^= step;
        }
    }
    sum
}
