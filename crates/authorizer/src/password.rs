//! What is kept of a password, and whether somebody knows it.
//!
//! Old entries have PBKDF2-HMAC-SHA1, as mosca made them; new ones argon2id (RFC 9106), in the notation
//! that is common for it: `$argon2id$v=19$m=19456,t=2,p=1$salt$hash`.

use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use subtle::ConstantTimeEq;

const PBKDF2_ITERATIONS: u32 = 10_000;
const PBKDF2_HASH_BYTES: usize = 128;
const SALT_BYTES: usize = 16;
const HASH_BYTES: usize = 32;
const MEMORY_KIB_MAX: u32 = 1_048_576;
const PASSES_MAX: u32 = 64;
const LANES_MAX: u32 = 16;

/// How much work it is to check a new password with argon2id, and so to guess one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashCost {
    /// Memory in KiB, from 8 to 1,048,576. As much is taken for each password that is being checked.
    pub memory_kib: u32,
    /// How often it is gone through, from 1 to 64.
    pub passes: u32,
}

impl Default for HashCost {
    /// 19 MiB, twice.
    fn default() -> Self {
        Self {
            memory_kib: 19_456,
            passes: 2,
        }
    }
}

/// Why a password could not be made into what is kept of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PasswordError {
    /// It is empty: nobody could log in with it.
    #[error("the password is empty")]
    Empty,
    /// The [`HashCost`] is out of its ranges.
    #[error("the cost of hashing is out of its range")]
    Cost,
    /// The system gives no random bytes.
    #[error("the system gives no random bytes")]
    NoRandomness,
}

/// What is kept of a password.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Secret {
    Pbkdf2 {
        salt: Box<[u8]>,
        hash: Box<[u8]>,
    },
    Argon2id {
        params: Cost,
        salt: Box<[u8]>,
        hash: Box<[u8]>,
    },
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cost {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

impl Secret {
    /// Takes as long as `cost` says.
    pub(crate) fn new(password: &[u8], cost: HashCost) -> Result<Self, PasswordError> {
        if password.is_empty() {
            return Err(PasswordError::Empty);
        }
        let params = Cost {
            memory_kib: cost.memory_kib,
            passes: cost.passes,
            lanes: 1,
        };
        let params = params.checked().ok_or(PasswordError::Cost)?;
        let mut salt = [0; SALT_BYTES];
        getrandom::fill(&mut salt).map_err(|_| PasswordError::NoRandomness)?;
        let mut hash = [0; HASH_BYTES];
        params
            .hash(password, &salt, &mut hash)
            .ok_or(PasswordError::Cost)?;
        Ok(Self::Argon2id {
            params,
            salt: salt.into(),
            hash: hash.into(),
        })
    }

    /// The salt and the hash of mosca's users file, `None` if they are not what it writes.
    pub(crate) fn from_pbkdf2(salt: &str, hash: &str) -> Option<Self> {
        let salt = STANDARD.decode(salt).ok().filter(|salt| !salt.is_empty())?;
        let hash = STANDARD.decode(hash).ok()?;
        (hash.len() == PBKDF2_HASH_BYTES).then(|| Self::Pbkdf2 {
            salt: salt.into(),
            hash: hash.into(),
        })
    }

    /// The notation for argon2id, `None` if it is another one or asks for more than can be borne.
    pub(crate) fn from_argon2id(text: &str) -> Option<Self> {
        let mut parts = text.strip_prefix("$argon2id$v=19$")?.split('$');
        let (costs, salt, hash, None) = (parts.next()?, parts.next()?, parts.next()?, parts.next())
        else {
            return None;
        };
        let mut costs = costs.split(',');
        let mut cost = |key: &str| costs.next()?.strip_prefix(key)?.parse::<u32>().ok();
        let params = Cost {
            memory_kib: cost("m=")?,
            passes: cost("t=")?,
            lanes: cost("p=")?,
        };
        if costs.next().is_some() {
            return None;
        }
        let salt = STANDARD_NO_PAD.decode(salt).ok()?;
        let hash = STANDARD_NO_PAD.decode(hash).ok()?;
        let sizes = (8..=64).contains(&salt.len()) && (16..=64).contains(&hash.len());
        Some(Self::Argon2id {
            params: params.checked().filter(|_| sizes)?,
            salt: salt.into(),
            hash: hash.into(),
        })
    }

    /// The salt, if it has a place of its own in the users file, and the hash.
    pub(crate) fn written(&self) -> (Option<String>, String) {
        match self {
            Self::Pbkdf2 { salt, hash } => (Some(STANDARD.encode(salt)), STANDARD.encode(hash)),
            Self::Argon2id { params, salt, hash } => {
                let Cost {
                    memory_kib,
                    passes,
                    lanes,
                } = params;
                let salt = STANDARD_NO_PAD.encode(salt);
                let hash = STANDARD_NO_PAD.encode(hash);
                let text =
                    format!("$argon2id$v=19$m={memory_kib},t={passes},p={lanes}${salt}${hash}");
                (None, text)
            }
        }
    }

    /// Whether this is the password. It takes as long as it was made to take, whatever the answer is.
    pub(crate) fn verify(&self, password: &[u8]) -> bool {
        match self {
            Self::Pbkdf2 { salt, hash } => {
                let mut found = [0; PBKDF2_HASH_BYTES];
                pbkdf2::pbkdf2_hmac::<sha1::Sha1>(password, salt, PBKDF2_ITERATIONS, &mut found);
                found.as_slice().ct_eq(hash).into()
            }
            Self::Argon2id { params, salt, hash } => {
                let mut found = vec![0; hash.len()];
                let hashed = params.hash(password, salt, &mut found).is_some();
                hashed & bool::from(found.as_slice().ct_eq(hash))
            }
        }
    }

    /// One of the same kind that no password fits, to be checked for users that do not exist.
    pub(crate) fn like(&self) -> Self {
        let zeros = |bytes: &[u8]| vec![0; bytes.len()].into_boxed_slice();
        match self {
            Self::Pbkdf2 { salt, hash } => Self::Pbkdf2 {
                salt: salt.clone(),
                hash: zeros(hash),
            },
            Self::Argon2id { params, salt, hash } => Self::Argon2id {
                params: *params,
                salt: salt.clone(),
                hash: zeros(hash),
            },
        }
    }

    /// What [`Secret::like`] goes by: secrets with the same answer take the same time.
    pub(crate) fn kind(&self) -> (u32, u32, u32) {
        match self {
            Self::Pbkdf2 { .. } => (0, 0, 0),
            Self::Argon2id { params, .. } => (params.memory_kib, params.passes, params.lanes),
        }
    }
}

impl core::fmt::Debug for Secret {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Secret")
    }
}

impl Cost {
    fn checked(self) -> Option<Self> {
        let fits = (8 * self.lanes.max(1)..=MEMORY_KIB_MAX).contains(&self.memory_kib)
            && (1..=PASSES_MAX).contains(&self.passes)
            && (1..=LANES_MAX).contains(&self.lanes);
        fits.then_some(self)
    }

    fn hash(self, password: &[u8], salt: &[u8], hash: &mut [u8]) -> Option<()> {
        let params =
            Params::new(self.memory_kib, self.passes, self.lanes, Some(hash.len())).ok()?;
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(password, salt, hash)
            .ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHEAP: HashCost = HashCost {
        memory_kib: 64,
        passes: 1,
    };

    /// Made with `hashlib.pbkdf2_hmac("sha1", b"test", salt, 10000, 128)` of Python.
    #[test]
    fn a_hash_that_another_implementation_made_as_mosca_does_is_known() {
        let secret = Secret::from_pbkdf2(SALT, HASH).unwrap();
        assert!(secret.verify(b"test"));
        assert!(!secret.verify(b"Test") && !secret.verify(b""));
        assert_eq!(secret.written(), (Some(SALT.to_owned()), HASH.to_owned()));
        assert!(!secret.like().verify(b"test"));
    }

    const SALT: &str =
        "Z6z+vNTx5atBgrVOHgAYKLTRcUvWOtsqpEUp8ly/Br6kXc15VKAbnBf+KU1YnvMHlbmGI0UpPM9o68OnlNf0Gw==";
    const HASH: &str = "qS4HwbZqF8Ozj592DNzwJs6Q56BdDvteoOPfxLN/VSLTnwqxCCzZslmxtMrZa6aEOTdUSxBCs7lrMkTklmYde9rI6OGKknNoIsc/PFUkZwNHnLdQIiMwbxuwtgz/ZdA5kWWx2A3kkj9iSFLm8PEWFc2v74no24RveOeKV8oGpkY=";

    /// Made with argon2-cffi of Python.
    #[test]
    fn an_argon2id_hash_that_another_implementation_made_is_known() {
        let text = "$argon2id$v=19$m=19456,t=2,p=1$c2l4dGVlbiBieXRlcyAuLg$S6Nd+zvPpDdyRCDcDYeGfkM+rwQiX4gseZx1I88sx/o";
        let secret = Secret::from_argon2id(text).unwrap();
        assert!(secret.verify(b"pencil") && !secret.verify(b"Pencil"));
        assert_eq!(secret.written(), (None, text.to_owned()));
    }

    #[test]
    fn a_new_password_is_known_and_salted() {
        let one = Secret::new(b"pencil", CHEAP).unwrap();
        let other = Secret::new(b"pencil", CHEAP).unwrap();
        assert_ne!(one, other);
        assert!(one.verify(b"pencil") && !one.verify(b"pen") && !one.like().verify(b"pencil"));
        assert_eq!(Secret::from_argon2id(&one.written().1), Some(one.clone()));
        assert_eq!(format!("{one:?}"), "Secret");
        assert_eq!(Secret::new(b"", CHEAP), Err(PasswordError::Empty));
        let dear = HashCost {
            memory_kib: MEMORY_KIB_MAX + 1,
            passes: 1,
        };
        assert_eq!(Secret::new(b"x", dear), Err(PasswordError::Cost));
    }

    #[test]
    fn what_is_no_hash_is_none() {
        let salt = "c2FsdHNhbHQ";
        let hash = "c2FsdHNhbHRzYWx0c2FsdA";
        let right = format!("$argon2id$v=19$m=64,t=1,p=1${salt}${hash}");
        assert!(Secret::from_argon2id(&right).is_some());
        for (from, to) in [
            ("argon2id", "argon2i"),
            ("v=19", "v=16"),
            ("m=64", "m=7"),
            ("m=64", "m=4294967295"),
            ("t=1", "t=0"),
            ("t=1", "t=65"),
            ("p=1", "p=0"),
            ("p=1", "p=1,q=1"),
            ("p=1", "p=17"),
            (salt, "c2Fs"),
            (hash, "c2Fs"),
            (hash, "!"),
            ("$m", "$m$m"),
        ] {
            assert!(
                Secret::from_argon2id(&right.replace(from, to)).is_none(),
                "{from} {to}"
            );
        }
        assert!(Secret::from_pbkdf2("", HASH).is_none());
        assert!(Secret::from_pbkdf2(SALT, SALT).is_none());
        assert!(Secret::from_pbkdf2(SALT, "%").is_none());
    }
}
