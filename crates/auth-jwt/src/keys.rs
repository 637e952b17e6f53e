//! The keys with which tokens may be signed. Each is good for one algorithm, whatever a token says.

use std::fmt;
use std::path::{Path, PathBuf};

use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, DecodingKeyKind, Validation, decode, decode_header};
use serde_json::{Map, Value};

use crate::provider;

/// Most keys of one set.
pub const KEYS_MAX: usize = 64;

/// Longest file of keys, in bytes.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Shortest secret, in bytes: as long as the hash (RFC 7518 section 3.2).
const SECRET_BYTES_MIN: usize = 32;

/// How many bytes the modulus of an RSA key may have: 2,048 to 8,192 bits.
const MODULUS_BYTES: std::ops::RangeInclusive<usize> = 256..=1_024;

/// Around the modulus there are at least so many in DER (RFC 8017 appendix A.1.1), and at most a few more.
const RSA_DER_BYTES_MORE: usize = 12;

/// A point on P-256, uncompressed: 4, x, y.
const POINT_BYTES: usize = 65;

/// A file with keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyFile {
    /// A secret for HS256: all bytes of the file, but a line end behind them; 32 bytes at least.
    Secret(PathBuf),
    /// A public key in PEM (`BEGIN PUBLIC KEY`): RSA of 2,048 to 8,192 bits for RS256, P-256 for ES256.
    Pem(PathBuf),
    /// A JWK set (RFC 7517) with keys of all three kinds. Keys for other algorithms or other uses in it are
    /// passed over.
    Jwks(PathBuf),
}

/// What is wrong with a file of keys.
#[derive(Debug, thiserror::Error)]
#[error("the file of keys {}: {reason}", path.display())]
pub struct KeyError {
    path: PathBuf,
    reason: Reason,
}

impl KeyError {
    /// Which file it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

#[derive(Debug, thiserror::Error)]
enum Reason {
    #[error(transparent)]
    File(#[from] std::io::Error),
    #[error("it is longer than {FILE_BYTES_MAX} bytes")]
    TooLong,
    #[error("a secret for HS256 has {SECRET_BYTES_MIN} bytes at least")]
    ShortSecret,
    #[error("it has no public key in PEM (BEGIN PUBLIC KEY)")]
    NoPem,
    #[error("the key is neither RSA of 2048 to 8192 bits nor on P-256")]
    OtherKey,
    #[error("it is no JWK set: {0}")]
    NoJwks(serde_json::Error),
    #[error("none of its keys is for RS256, ES256 or HS256")]
    NoKey,
    #[error("with it there are more than {KEYS_MAX} keys")]
    TooMany,
}

struct Key {
    id: Option<String>,
    algorithm: Algorithm,
    key: DecodingKey,
}

impl Key {
    fn secret(bytes: &[u8]) -> Option<Self> {
        Self::new(None, Algorithm::HS256, DecodingKey::from_secret(bytes))
    }

    fn pem(bytes: &[u8]) -> Option<Self> {
        let rsa = DecodingKey::from_rsa_pem(bytes).map(|key| (Algorithm::RS256, key));
        let either =
            rsa.or_else(|_| DecodingKey::from_ec_pem(bytes).map(|key| (Algorithm::ES256, key)));
        let (algorithm, key) = either.ok()?;
        Self::new(None, algorithm, key)
    }

    /// A key of RFC 7517, if it may verify signatures of one of our algorithms.
    fn jwk(value: Value) -> Option<Self> {
        let jwk: Jwk = serde_json::from_value(value).ok()?;
        let (algorithm, named) = match &jwk.algorithm {
            AlgorithmParameters::OctetKey(_) => (Algorithm::HS256, KeyAlgorithm::HS256),
            AlgorithmParameters::RSA(_) => (Algorithm::RS256, KeyAlgorithm::RS256),
            AlgorithmParameters::EllipticCurve(it) if it.curve == EllipticCurve::P256 => {
                (Algorithm::ES256, KeyAlgorithm::ES256)
            }
            _ => return None,
        };
        let is_ours = jwk.common.key_algorithm.is_none_or(|it| it == named);
        let used_for = jwk.common.public_key_use.as_ref();
        let signs = used_for.is_none_or(|used| *used == PublicKeyUse::Signature);
        if !is_ours || !signs {
            return None;
        }
        let key = DecodingKey::from_jwk(&jwk).ok()?;
        Self::new(jwk.common.key_id, algorithm, key)
    }

    /// `None` if the key is too small or too large for the algorithm.
    fn new(id: Option<String>, algorithm: Algorithm, key: DecodingKey) -> Option<Self> {
        let fits = match (algorithm, key.kind()) {
            (Algorithm::HS256, DecodingKeyKind::SecretOrDer(it)) => it.len() >= SECRET_BYTES_MIN,
            (Algorithm::RS256, DecodingKeyKind::RsaModulusExponent { n, .. }) => {
                MODULUS_BYTES.contains(&n.len())
            }
            (Algorithm::RS256, DecodingKeyKind::SecretOrDer(der)) => {
                der.len() >= MODULUS_BYTES.start() + RSA_DER_BYTES_MORE
            }
            (_, DecodingKeyKind::SecretOrDer(point)) => {
                point.len() == POINT_BYTES && point.first() == Some(&4)
            }
            _ => false,
        };
        fits.then_some(Self { id, algorithm, key })
    }
}

/// Keys, by one of which a token has to be signed.
#[derive(Default)]
pub struct Keys(Vec<Key>);

impl Keys {
    /// Reads all files. It blocks.
    ///
    /// Signatures are verified by `ring` from then on, in all of the process that uses `jsonwebtoken`, unless
    /// the program has installed another provider of cryptography there.
    ///
    /// # Errors
    /// [`KeyError`] names the file and what is wrong with it.
    pub fn load<'a>(files: impl IntoIterator<Item = &'a KeyFile>) -> Result<Self, KeyError> {
        provider::install();
        let mut keys = Self::default();
        for file in files {
            let (KeyFile::Secret(path) | KeyFile::Pem(path) | KeyFile::Jwks(path)) = file;
            let added = read(path).and_then(|bytes| keys.add(file, &bytes));
            added.map_err(|reason| KeyError {
                path: path.clone(),
                reason,
            })?;
        }
        Ok(keys)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none: then no token is good.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn add(&mut self, file: &KeyFile, bytes: &[u8]) -> Result<(), Reason> {
        match file {
            KeyFile::Secret(_) => {
                let secret = bytes.strip_suffix(b"\n").unwrap_or(bytes);
                let secret = secret.strip_suffix(b"\r").unwrap_or(secret);
                self.0.push(Key::secret(secret).ok_or(Reason::ShortSecret)?);
            }
            KeyFile::Pem(_) => {
                // Of a private key, or of a certificate, something would be found, too.
                let text = core::str::from_utf8(bytes).unwrap_or_default();
                if !text.contains("-----BEGIN PUBLIC KEY-----") || text.contains("PRIVATE KEY") {
                    return Err(Reason::NoPem);
                }
                self.0.push(Key::pem(bytes).ok_or(Reason::OtherKey)?);
            }
            KeyFile::Jwks(_) => {
                let set: Set = serde_json::from_slice(bytes).map_err(Reason::NoJwks)?;
                let before = self.0.len();
                self.0.extend(set.keys.into_iter().filter_map(Key::jwk));
                if self.0.len() == before {
                    return Err(Reason::NoKey);
                }
            }
        }
        if self.0.len() > KEYS_MAX {
            return Err(Reason::TooMany);
        }
        Ok(())
    }

    /// What a token says, if one of the keys has signed it that is for its algorithm and, where the token
    /// and the key both say which, of its name; and if it stands up to the `validation`, whose algorithms do
    /// not matter.
    pub(crate) fn claims(
        &self,
        token: &str,
        validation: &Validation,
    ) -> Result<Map<String, Value>, Error> {
        let header = decode_header(token)?;
        // Extensions that have to be understood (RFC 7515 section 4.1.11). None is.
        if header.crit.is_some() {
            return Err(ErrorKind::InvalidToken.into());
        }
        let candidates = self.0.iter().filter(|key| {
            let is_named = match (&header.kid, &key.id) {
                (Some(id), Some(own)) => id == own,
                _ => true,
            };
            is_named && key.algorithm == header.alg
        });
        for candidate in candidates {
            let validation = Validation {
                algorithms: vec![candidate.algorithm],
                ..validation.clone()
            };
            match decode(token, &candidate.key, &validation) {
                Ok(token) => return Ok(token.claims),
                Err(error) if *error.kind() == ErrorKind::InvalidSignature => {}
                Err(error) => return Err(error),
            }
        }
        Err(ErrorKind::InvalidSignature.into())
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.0.iter().map(|key| (&key.id, key.algorithm));
        f.debug_list().entries(shown).finish()
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Reason> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path)?;
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    let is_short = bytes.len() as u64 <= FILE_BYTES_MAX;
    is_short.then_some(bytes).ok_or(Reason::TooLong)
}

/// A JWK set. Keys are read one by one, so that those of which nobody here knows anything do not matter.
#[derive(serde::Deserialize)]
struct Set {
    keys: Vec<Value>,
}
