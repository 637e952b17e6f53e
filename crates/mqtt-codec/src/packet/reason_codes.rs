//! The list of reason codes at the end of SUBACK and UNSUBACK: one byte per topic filter,
//! in the order of the filters \[MQTT-3.9.3-1\].

use crate::ReasonCode;

/// Reason codes, borrowed from a packet or from a slice of the sender's.
#[derive(Clone, Copy)]
pub struct ReasonCodes<'a>(Source<'a>);

#[derive(Clone, Copy)]
enum Source<'a> {
    /// Bytes of a decoded packet; each is a reason code.
    Wire(&'a [u8]),
    List(&'a [ReasonCode]),
}

impl<'a> ReasonCodes<'a> {
    /// No code, as in the UNSUBACK of MQTT 3.x.
    pub const EMPTY: Self = Self(Source::List(&[]));

    /// The codes to send.
    #[must_use]
    pub const fn new(codes: &'a [ReasonCode]) -> Self {
        Self(Source::List(codes))
    }

    /// The bytes, if each of them is a code that `allowed` accepts.
    pub(crate) fn validate(wire: &'a [u8], allowed: impl Fn(ReasonCode) -> bool) -> Option<Self> {
        wire.iter()
            .all(|&byte| ReasonCode::from_u8(byte).is_some_and(&allowed))
            .then_some(Self(Source::Wire(wire)))
    }

    /// The number of codes.
    #[must_use]
    pub const fn len(&self) -> usize {
        match self.0 {
            Source::Wire(bytes) => bytes.len(),
            Source::List(codes) => codes.len(),
        }
    }

    /// Whether there is no code.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The codes in order.
    #[must_use]
    pub fn iter(&self) -> ReasonCodesIter<'a> {
        ReasonCodesIter(self.0)
    }
}

impl<'a> From<&'a [ReasonCode]> for ReasonCodes<'a> {
    fn from(codes: &'a [ReasonCode]) -> Self {
        Self::new(codes)
    }
}

impl<'a> IntoIterator for ReasonCodes<'a> {
    type Item = ReasonCode;
    type IntoIter = ReasonCodesIter<'a>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl PartialEq for ReasonCodes<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for ReasonCodes<'_> {}

impl core::fmt::Debug for ReasonCodes<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Iterator over reason codes; see [`ReasonCodes::iter`].
#[derive(Clone)]
pub struct ReasonCodesIter<'a>(Source<'a>);

impl Iterator for ReasonCodesIter<'_> {
    type Item = ReasonCode;

    fn next(&mut self) -> Option<ReasonCode> {
        match &mut self.0 {
            Source::Wire(bytes) => {
                let (&byte, rest) = bytes.split_first()?;
                *bytes = rest;
                ReasonCode::from_u8(byte)
            }
            Source::List(codes) => {
                let (&code, rest) = codes.split_first()?;
                *codes = rest;
                Some(code)
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let len = ReasonCodes(self.0).len();
        (len, Some(len))
    }
}

impl ExactSizeIterator for ReasonCodesIter<'_> {}
impl core::iter::FusedIterator for ReasonCodesIter<'_> {}

impl core::fmt::Debug for ReasonCodesIter<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        ReasonCodes(self.0).fmt(f)
    }
}
