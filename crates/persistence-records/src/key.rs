//! Keys made of several parts, in which no two names collide, whatever characters they are of.
//!
//! There are three ways to put a name into a key. [`Key::name`] says its length first: short, but
//! names are then in the order of their lengths. [`Key::ordered`] ends it with a mark that no name
//! contains, so that keys are in the order of the names' bytes, one that is a prefix of another
//! before it. [`Key::last`] adds it as it is, which is in order too, but nothing can follow.

use std::borrow::Cow;

/// A byte that must be followed by one that says what it is.
const ESCAPE: u8 = 0;
/// Behind [`ESCAPE`]: the name ends here. Less than what any longer name has in this place.
const END: u8 = 1;
/// Behind [`ESCAPE`]: the byte itself.
const ITSELF: u8 = 0xFF;

/// A key that is being put together.
///
/// ```
/// use persistence_records::Key;
///
/// let subscription = |client, filter| Key::new().byte(b's').name(client).last(filter).into_bytes();
/// assert_ne!(subscription("a", "b/c"), subscription("ab", "/c"));
///
/// let session = |client| Key::new().ordered(client).number(7).into_bytes();
/// assert!(session("a") < session("a/b"));
/// assert!(session("a/b") < session("b"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    bytes: Vec<u8>,
}

impl Key {
    /// An empty key.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a byte, to tell kinds of keys apart.
    #[must_use]
    pub fn byte(mut self, byte: u8) -> Self {
        self.bytes.push(byte);
        self
    }

    /// Adds a number in eight bytes; keys are in the order of the numbers.
    #[must_use]
    pub fn number(mut self, number: u64) -> Self {
        self.bytes.extend_from_slice(&number.to_be_bytes());
        self
    }

    /// Adds a number in two bytes, a packet identifier for example; keys are in the order of the
    /// numbers.
    #[must_use]
    pub fn short(mut self, number: u16) -> Self {
        self.bytes.extend_from_slice(&number.to_be_bytes());
        self
    }

    /// Adds a name with its length in front, in as many bytes as it needs, seven bits in each.
    #[must_use]
    pub fn name(mut self, name: &str) -> Self {
        let mut length = name.len();
        while length >= 0x80 {
            self.bytes.push(length as u8 | 0x80);
            length >>= 7;
        }
        self.bytes.push(length as u8);
        self.bytes.extend_from_slice(name.as_bytes());
        self
    }

    /// Adds a name with a mark at its end; keys are in the order of the names' bytes.
    #[must_use]
    pub fn ordered(mut self, name: &str) -> Self {
        for byte in name.bytes() {
            self.bytes.push(byte);
            if byte == ESCAPE {
                self.bytes.push(ITSELF);
            }
        }
        self.bytes.extend_from_slice(&[ESCAPE, END]);
        self
    }

    /// Adds a name as it is, as the last part.
    #[must_use]
    pub fn last(mut self, name: &str) -> Self {
        self.bytes.extend_from_slice(name.as_bytes());
        self
    }

    /// The bytes so far.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The bytes.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// Why bytes are not the key that was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The key ends within a part.
    #[error("the key is too short")]
    TooShort,
    /// There are bytes behind the last part.
    #[error("the key is too long")]
    TooLong,
    /// A name is not UTF-8, or its length or its end is not as [`Key`] writes it.
    #[error("the key has a name that is none")]
    NotAName,
}

/// Takes a key apart, in the order in which it was put together.
///
/// ```
/// use persistence_records::{Key, KeyReader};
///
/// let key = Key::new().byte(b'o').name("sensor-1").number(7).into_bytes();
/// let mut reader = KeyReader::new(&key);
/// assert_eq!(reader.byte(), Ok(b'o'));
/// assert_eq!(reader.name(), Ok("sensor-1"));
/// assert_eq!(reader.number(), Ok(7));
/// assert_eq!(reader.end(), Ok(()));
/// ```
#[derive(Clone, Debug)]
pub struct KeyReader<'a> {
    rest: &'a [u8],
}

impl<'a> KeyReader<'a> {
    /// Begins at the front of a key.
    pub fn new(key: &'a [u8]) -> Self {
        Self { rest: key }
    }

    /// A part that [`Key::byte`] has written.
    ///
    /// # Errors
    /// If the key ends here.
    pub fn byte(&mut self) -> Result<u8, KeyError> {
        let [byte] = self.array()?;
        Ok(byte)
    }

    /// A part that [`Key::number`] has written.
    ///
    /// # Errors
    /// If there are less than eight bytes.
    pub fn number(&mut self) -> Result<u64, KeyError> {
        self.array().map(u64::from_be_bytes)
    }

    /// A part that [`Key::short`] has written.
    ///
    /// # Errors
    /// If there are less than two bytes.
    pub fn short(&mut self) -> Result<u16, KeyError> {
        self.array().map(u16::from_be_bytes)
    }

    /// A part that [`Key::name`] has written.
    ///
    /// # Errors
    /// If there is no name.
    pub fn name(&mut self) -> Result<&'a str, KeyError> {
        let mut length: usize = 0;
        let mut shift = 0;
        loop {
            let byte = self.byte()?;
            // Names of 2^35 bytes and more do not fit into a key anyway.
            if shift > 28 {
                return Err(KeyError::NotAName);
            }
            length |= usize::from(byte & 0x7F) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                break;
            }
        }
        let (name, rest) = self
            .rest
            .split_at_checked(length)
            .ok_or(KeyError::TooShort)?;
        self.rest = rest;
        core::str::from_utf8(name).map_err(|_| KeyError::NotAName)
    }

    /// A part that [`Key::ordered`] has written; borrowed unless it contains U+0000.
    ///
    /// # Errors
    /// If there is no name.
    pub fn ordered(&mut self) -> Result<Cow<'a, str>, KeyError> {
        let mut whole: Vec<u8> = Vec::new();
        loop {
            let at = self.rest.iter().position(|byte| *byte == ESCAPE);
            let (piece, rest) = at
                .and_then(|at| self.rest.split_at_checked(at))
                .ok_or(KeyError::TooShort)?;
            let (what, rest) = match rest {
                [_, what, rest @ ..] => (*what, rest),
                _ => return Err(KeyError::TooShort),
            };
            self.rest = rest;
            match what {
                END if whole.is_empty() => {
                    let name = core::str::from_utf8(piece).map_err(|_| KeyError::NotAName)?;
                    return Ok(Cow::Borrowed(name));
                }
                END => {
                    whole.extend_from_slice(piece);
                    let name = String::from_utf8(whole).map_err(|_| KeyError::NotAName)?;
                    return Ok(Cow::Owned(name));
                }
                ITSELF => {
                    whole.extend_from_slice(piece);
                    whole.push(ESCAPE);
                }
                _ => return Err(KeyError::NotAName),
            }
        }
    }

    /// What [`Key::last`] has written: all that is left.
    ///
    /// # Errors
    /// If it is not UTF-8.
    pub fn last(self) -> Result<&'a str, KeyError> {
        core::str::from_utf8(self.rest).map_err(|_| KeyError::NotAName)
    }

    /// Makes sure that nothing is left.
    ///
    /// # Errors
    /// If there is.
    pub fn end(self) -> Result<(), KeyError> {
        match self.rest {
            [] => Ok(()),
            _ => Err(KeyError::TooLong),
        }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], KeyError> {
        let (array, rest) = self.rest.split_first_chunk().ok_or(KeyError::TooShort)?;
        self.rest = rest;
        Ok(*array)
    }
}
