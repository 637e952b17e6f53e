//! UNSUBSCRIBE: topic filters to let go of (section 3.10).
//!
//! ```text
//! | packet identifier (2) | properties (5.0) | topic filter | … |
//! ```

use alloc::vec::Vec;
use bytes::BufMut;

use crate::{
    DecodeError, EncodeError, PacketId, PacketType, Properties, Version,
    cursor::Cursor,
    encode::{Encode, impl_encode, put_string, string_len},
    property_set::allowed,
};

/// UNSUBSCRIBE: ends subscriptions (section 3.10).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unsubscribe<'a> {
    /// Comes back in the UNSUBACK.
    pub packet_id: PacketId,
    /// User properties (MQTT 5.0).
    pub properties: Properties<'a>,
    /// At least one filter, checked as a string only.
    pub filters: UnsubscribeFilters<'a>,
}

/// The validated topic filters of an UNSUBSCRIBE, borrowed from its bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct UnsubscribeFilters<'a> {
    raw: &'a [u8],
    len: usize,
}

impl<'a> UnsubscribeFilters<'a> {
    fn decode(cursor: &mut Cursor<'a>) -> Result<Self, DecodeError> {
        let raw = cursor.remaining();
        let mut cursor = Cursor::new(raw);
        let mut len = 0;
        while !cursor.is_empty() {
            cursor.string()?;
            len += 1;
        }
        if len == 0 {
            return Err(DecodeError::NoTopicFilter);
        }
        Ok(Self { raw, len })
    }

    /// The number of filters.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no filter; never so in a decoded packet.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The filters, in the order of the packet.
    #[must_use]
    #[inline]
    pub const fn iter(&self) -> UnsubscribeFiltersIter<'a> {
        UnsubscribeFiltersIter {
            cursor: Cursor::new(self.raw),
            left: self.len,
        }
    }
}

impl<'a> IntoIterator for UnsubscribeFilters<'a> {
    type Item = &'a str;
    type IntoIter = UnsubscribeFiltersIter<'a>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl core::fmt::Debug for UnsubscribeFilters<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Iterator over the filters of an UNSUBSCRIBE; see [`UnsubscribeFilters::iter`].
#[derive(Debug, Clone)]
pub struct UnsubscribeFiltersIter<'a> {
    cursor: Cursor<'a>,
    left: usize,
}

impl<'a> Iterator for UnsubscribeFiltersIter<'a> {
    type Item = &'a str;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let filter = self.cursor.string().ok()?;
        self.left -= 1;
        Some(filter)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for UnsubscribeFiltersIter<'_> {}
impl core::iter::FusedIterator for UnsubscribeFiltersIter<'_> {}

/// The filters of an UNSUBSCRIBE being built.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct UnsubscribeFiltersBuf {
    raw: Vec<u8>,
    len: usize,
}

impl UnsubscribeFiltersBuf {
    /// No filter, and no memory.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            raw: Vec::new(),
            len: 0,
        }
    }

    /// Appends a filter.
    ///
    /// # Errors
    ///
    /// The filter is longer than 65,535 bytes or contains U+0000.
    pub fn push(&mut self, filter: &str) -> Result<(), EncodeError> {
        self.raw.reserve(string_len(filter)?);
        put_string(&mut self.raw, filter);
        self.len += 1;
        Ok(())
    }

    /// The filters so far.
    #[must_use]
    pub fn as_filters(&self) -> UnsubscribeFilters<'_> {
        UnsubscribeFilters {
            raw: &self.raw,
            len: self.len,
        }
    }
}

impl From<UnsubscribeFilters<'_>> for UnsubscribeFiltersBuf {
    fn from(filters: UnsubscribeFilters<'_>) -> Self {
        Self {
            raw: filters.raw.into(),
            len: filters.len,
        }
    }
}

impl core::fmt::Debug for UnsubscribeFiltersBuf {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.as_filters().fmt(f)
    }
}

impl<'a> Unsubscribe<'a> {
    #[inline(never)]
    pub(crate) fn decode_body(mut body: Cursor<'a>, version: Version) -> Result<Self, DecodeError> {
        Ok(Self {
            packet_id: body.packet_id()?,
            properties: if version.is_v5() {
                Properties::decode(&mut body, allowed::UNSUBSCRIBE)?
            } else {
                Properties::EMPTY
            },
            filters: UnsubscribeFilters::decode(&mut body)?,
        })
    }
}

impl_encode!(Unsubscribe<'_>);

impl Encode for Unsubscribe<'_> {
    fn first_byte(&self) -> u8 {
        PacketType::Unsubscribe.first_byte()
    }

    fn body_len(&self, version: Version) -> Result<usize, EncodeError> {
        if self.filters.is_empty() {
            return Err(EncodeError::NoTopicFilter);
        }
        let mut len = 2 + self.filters.raw.len();
        if version.is_v5() {
            len += self.properties.checked_len(allowed::UNSUBSCRIBE)?;
        }
        Ok(len)
    }

    fn write_body(&self, version: Version, buf: &mut impl BufMut) {
        buf.put_u16(self.packet_id.get());
        if version.is_v5() {
            self.properties.put(buf);
        }
        buf.put_slice(self.filters.raw);
    }
}
