//! The computation between the two messages of the client (RFC 5802 section 3): without chance and
//! without a lookup, both of which come in as arguments.

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::ScramCredential;
use crate::hmac;
use crate::message::{ClientFinal, ClientFirst, MessageError, encode};

/// What the server has asked a client, and what it has to check the answer.
pub(crate) struct Challenge {
    gs2_header: String,
    /// What is signed so far: the client's first message and the server's.
    signed: String,
    nonce: String,
    stored_key: [u8; 32],
    server_key: [u8; 32],
}

/// Why a proof is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The message is not what it should be.
    Message(MessageError),
    /// The client does not know the password.
    Proof,
}

impl Challenge {
    /// The challenge, and the server's first message.
    pub(crate) fn new(
        first: ClientFirst,
        credential: &ScramCredential,
        server_nonce: &str,
    ) -> (Self, String) {
        let nonce = first.nonce + server_nonce;
        let salt = encode(credential.salt());
        let message = format!("r={nonce},s={salt},i={}", credential.iterations());
        let challenge = Self {
            gs2_header: first.gs2_header,
            signed: format!("{},{message}", first.bare),
            nonce,
            stored_key: *credential.stored_key(),
            server_key: *credential.server_key(),
        };
        (challenge, message)
    }

    /// Checks the client's proof; the server's last message, which proves the server.
    pub(crate) fn finish(self, message: &[u8]) -> Result<String, Failure> {
        let last = ClientFinal::parse(message).map_err(Failure::Message)?;
        if last.nonce != self.nonce {
            return Err(Failure::Message(MessageError::Nonce));
        }
        if last.channel_binding != self.gs2_header.as_bytes() {
            return Err(Failure::Message(MessageError::ChannelBindingData));
        }
        let signed = [self.signed.as_bytes(), b",", last.without_proof.as_bytes()];
        let mut client_key = hmac(&self.stored_key, &signed);
        for (key, proof) in client_key.iter_mut().zip(last.proof) {
            *key ^= proof;
        }
        let stored_key: [u8; 32] = Sha256::digest(client_key).into();
        if !bool::from(stored_key.ct_eq(&self.stored_key)) {
            return Err(Failure::Proof);
        }
        let signature = hmac(&self.server_key, &signed);
        Ok(format!("v={}", encode(&signature)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use std::sync::OnceLock;

    /// It takes its time.
    static CREDENTIAL: OnceLock<ScramCredential> = OnceLock::new();

    const FIRST: &str = "n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
    const SERVER_NONCE: &str = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
    const FINAL: &str = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                         p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";

    fn challenge(first: &str) -> (Challenge, String) {
        let credential = CREDENTIAL.get_or_init(|| {
            let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
            ScramCredential::with_salt("pencil", salt, 4_096).unwrap()
        });
        let first = ClientFirst::parse(first.as_bytes()).unwrap();
        Challenge::new(first, credential, SERVER_NONCE)
    }

    /// RFC 7677 section 3.
    #[test]
    fn the_exchange_of_the_specification() {
        let (challenge, server_first) = challenge(FIRST);
        assert_eq!(
            server_first,
            "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
             s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
        );
        assert_eq!(
            challenge.finish(FINAL.as_bytes()).unwrap(),
            "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
        );
    }

    #[test]
    fn anything_else_is_not_accepted() {
        let finish = |first: &str, last: &str| challenge(first).0.finish(last.as_bytes()).err();
        let wrong_proof = FINAL.replace("p=dHzb", "p=dHzc");
        assert_eq!(finish(FIRST, &wrong_proof), Some(Failure::Proof));
        let other_nonce = FINAL.replace("k0,", "k1,");
        let nonce = Failure::Message(MessageError::Nonce);
        assert_eq!(finish(FIRST, &other_nonce), Some(nonce));
        assert_eq!(
            finish(FIRST, &FINAL.replace("%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0", "")),
            Some(nonce),
            "the client's own half"
        );
        let binding = Failure::Message(MessageError::ChannelBindingData);
        assert_eq!(finish(FIRST, &FINAL.replace("biws", "eSws")), Some(binding));
        // The client said y first, and signs n now: somebody has changed it on the way.
        let downgraded = FIRST.replacen("n,,", "y,,", 1);
        assert_eq!(finish(&downgraded, FINAL), Some(binding));
        // What was signed is not what was sent.
        let other_user = FIRST.replace("n=user", "n=root");
        assert_eq!(finish(&other_user, FINAL), Some(Failure::Proof));
        assert_eq!(
            finish(FIRST, &FINAL.replace(",p=", ",x=1,p=")),
            Some(Failure::Proof)
        );
        // Each bit of the proof counts.
        let proof = STANDARD
            .decode("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")
            .unwrap();
        for bit in 0..256 {
            let mut proof = proof.clone();
            proof[bit / 8] ^= 1 << (bit % 8);
            let start = FINAL.rfind("p=").unwrap() + 2;
            let last = format!("{}{}", &FINAL[..start], STANDARD.encode(proof));
            assert_eq!(finish(FIRST, &last), Some(Failure::Proof), "bit {bit}");
        }
    }
}
