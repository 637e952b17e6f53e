//! What the server stores of a password (RFC 5802 section 3).
//!
//! ```text
//!   salted password = PBKDF2(password, salt, iterations)
//!   client key = HMAC(salted password, "Client Key")     stored key = SHA-256(client key)
//!   server key = HMAC(salted password, "Server Key")
//! ```

use sha2::{Digest, Sha256};

use crate::{ScramError, hmac, random};

/// Fewest iterations that RFC 7677 allows.
pub const ITERATIONS_MIN: u32 = 4_096;

/// Bytes of a salt that is made here.
pub(crate) const SALT_BYTES: usize = 16;

/// What is stored of one user's password: enough to check a proof, not enough to make one.
///
/// Still a secret: whoever has it can try passwords against it, and can pose as the server. It shows
/// nothing of itself in `Debug`.
///
/// ```
/// use auth_scram::ScramCredential;
///
/// let credential = ScramCredential::from_password("pencil", 4_096)?;
/// let stored = (
///     credential.salt().to_vec(),
///     credential.iterations(),
///     *credential.stored_key(),
///     *credential.server_key(),
/// );
/// let (salt, iterations, stored_key, server_key) = stored;
/// let again = ScramCredential::from_keys(salt, iterations, stored_key, server_key)?;
/// assert!(again == credential);
/// # Ok::<(), auth_scram::ScramError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct ScramCredential {
    salt: Vec<u8>,
    iterations: u32,
    stored_key: [u8; 32],
    server_key: [u8; 32],
}

impl ScramCredential {
    /// Derives it from a password, with a new random salt of 16 bytes.
    ///
    /// The time it takes grows with `iterations`, which is at least [`ITERATIONS_MIN`], 4,096. The
    /// client spends the same time at each connect, the server none: 4,096 suits devices with a small
    /// processor and a random key for a password; passwords that people choose deserve 100,000 and
    /// more, since they are what a thief of the credentials has to guess.
    ///
    /// # Errors
    /// If the password is empty or has characters that SASLprep does not allow, the iterations are
    /// too few, or the system gives no random bytes.
    pub fn from_password(password: &str, iterations: u32) -> Result<Self, ScramError> {
        Self::with_salt(password, random::<SALT_BYTES>()?.to_vec(), iterations)
    }

    /// [`from_password`](Self::from_password) with a salt that is there already, for credentials
    /// that were made elsewhere and are to be found again.
    ///
    /// # Errors
    /// If the password or the iterations are not acceptable.
    pub fn with_salt(password: &str, salt: Vec<u8>, iterations: u32) -> Result<Self, ScramError> {
        if iterations < ITERATIONS_MIN {
            return Err(ScramError::Iterations);
        }
        let password = stringprep::saslprep(password).map_err(|_| ScramError::Password)?;
        if password.is_empty() {
            return Err(ScramError::Password);
        }
        let mut salted = [0; 32];
        pbkdf2::pbkdf2_hmac::<Sha256>(password.as_bytes(), &salt, iterations, &mut salted);
        let client_key = hmac(&salted, &[b"Client Key"]);
        Ok(Self {
            salt,
            iterations,
            stored_key: Sha256::digest(client_key).into(),
            server_key: hmac(&salted, &[b"Server Key"]),
        })
    }

    /// Puts it together from what was stored: by this crate, or by another program, as PostgreSQL
    /// and MongoDB keep the same four values.
    ///
    /// # Errors
    /// If the iterations are too few.
    pub fn from_keys(
        salt: Vec<u8>,
        iterations: u32,
        stored_key: [u8; 32],
        server_key: [u8; 32],
    ) -> Result<Self, ScramError> {
        if iterations < ITERATIONS_MIN {
            return Err(ScramError::Iterations);
        }
        Ok(Self {
            salt,
            iterations,
            stored_key,
            server_key,
        })
    }

    /// One that fits no password, for a user who does not exist: always the same for the same name
    /// and secret.
    pub(crate) fn fake(secret: &[u8; 32], user: &str, iterations: u32) -> Self {
        let mut salt = hmac(secret, &[b"salt", user.as_bytes()]).to_vec();
        salt.truncate(SALT_BYTES);
        Self {
            salt,
            iterations,
            stored_key: hmac(secret, &[b"stored", user.as_bytes()]),
            server_key: hmac(secret, &[b"server", user.as_bytes()]),
        }
    }

    /// What the password is salted with.
    pub fn salt(&self) -> &[u8] {
        &self.salt
    }

    /// How often the password is hashed.
    pub fn iterations(&self) -> u32 {
        self.iterations
    }

    /// What a client's proof is checked against.
    pub fn stored_key(&self) -> &[u8; 32] {
        &self.stored_key
    }

    /// What the server's own proof is made with.
    pub fn server_key(&self) -> &[u8; 32] {
        &self.server_key
    }
}

impl core::fmt::Debug for ScramCredential {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("ScramCredential")
            .field("iterations", &self.iterations)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_weak_or_no_password_makes_no_credential() {
        let make = |password, iterations| {
            ScramCredential::with_salt(password, b"salt".to_vec(), iterations).err()
        };
        assert_eq!(make("pencil", 4_096), None);
        assert_eq!(make("pencil", 4_095), Some(ScramError::Iterations));
        assert_eq!(make("", 4_096), Some(ScramError::Password));
        assert_eq!(make("a\u{0}b", 4_096), Some(ScramError::Password));
        // Mapped to nothing.
        assert_eq!(make("\u{AD}", 4_096), Some(ScramError::Password));
        let short = ScramCredential::from_keys(Vec::new(), 4_095, [0; 32], [0; 32]);
        assert_eq!(short.err(), Some(ScramError::Iterations));
    }

    /// RFC 4013 section 3.
    #[test]
    fn passwords_that_sasl_prep_makes_equal_are_equal() {
        let make = |password| ScramCredential::with_salt(password, vec![1], 4_096).unwrap();
        assert!(make("I\u{AD}X") == make("IX"));
        assert!(make("\u{2168}") == make("IX"));
        assert!(make("user") != make("USER"));
    }

    #[test]
    fn a_salt_is_never_the_same_twice_and_the_keys_stay_out_of_the_log() {
        let one = ScramCredential::from_password("pencil", 4_096).unwrap();
        let two = ScramCredential::from_password("pencil", 4_096).unwrap();
        assert_ne!(one.salt(), two.salt());
        assert_ne!(one.stored_key(), two.stored_key());
        let shown = format!("{one:?}");
        assert_eq!(shown, "ScramCredential { iterations: 4096, .. }");
    }
}
