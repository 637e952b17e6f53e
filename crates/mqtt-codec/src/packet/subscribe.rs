//! SUBSCRIBE: topic filters and what is wanted of each (section 3.8).
//!
//! ```text
//! | packet identifier (2) | properties (5.0) | topic filter | options (1) | … |
//!
//! options: reserved (2 bits), retain handling (2), retain as published, no local, QoS (2)
//! ```
//!
//! The list stays what it is on the wire. [`SubscribeFilters`] walks over it;
//! [`SubscribeFiltersBuf`] builds it.

use alloc::vec::Vec;
use bytes::BufMut;

use crate::{
    DecodeError, EncodeError, PacketId, PacketType, Properties, QoS, Version,
    cursor::Cursor,
    encode::{Encode, impl_encode, put_string, string_len},
    property_set::allowed,
};

/// SUBSCRIBE: asks for subscriptions (section 3.8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subscribe<'a> {
    /// Comes back in the SUBACK.
    pub packet_id: PacketId,
    /// Subscription identifier and user properties (MQTT 5.0).
    pub properties: Properties<'a>,
    /// At least one filter with its options.
    pub filters: SubscribeFilters<'a>,
}

/// What a subscriber does with retained messages when it subscribes (section 3.8.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
#[repr(u8)]
pub enum RetainHandling {
    /// Send them, whether or not the subscription is new.
    #[default]
    Send = 0,
    /// Send them if the subscription is new.
    SendIfNew = 1,
    /// Do not send them.
    DoNotSend = 2,
}

/// The options of one topic filter (section 3.8.3.1). Before MQTT 5.0 only the QoS is on
/// the wire; the rest is then at its default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct SubscriptionOptions {
    /// The highest QoS wanted.
    pub qos: QoS,
    /// Whether the client's own messages are to stay away. With a shared subscription
    /// this is a protocol error \[MQTT-3.8.3-4\]: the server has to look.
    pub no_local: bool,
    /// Whether RETAIN is to be forwarded as published.
    pub retain_as_published: bool,
    /// Retained messages on subscribing.
    pub retain_handling: RetainHandling,
}

impl SubscriptionOptions {
    /// The options of MQTT 3.x: a QoS and nothing else.
    #[must_use]
    pub const fn new(qos: QoS) -> Self {
        Self {
            qos,
            no_local: false,
            retain_as_published: false,
            retain_handling: RetainHandling::Send,
        }
    }

    /// The byte on the wire, in the form of MQTT 5.0.
    #[must_use]
    #[inline]
    pub const fn as_u8(self) -> u8 {
        self.qos.as_u8()
            | (self.no_local as u8) << 2
            | (self.retain_as_published as u8) << 3
            | (self.retain_handling as u8) << 4
    }

    /// Reads the byte of MQTT 5.0; that of 3.x is the same with the other bits zero.
    #[inline]
    fn from_u8(byte: u8) -> Result<Self, DecodeError> {
        if byte & 0b1100_0000 != 0 {
            return Err(DecodeError::SubscriptionOptionsReserved);
        }
        Ok(Self {
            qos: QoS::from_u8(byte & 0b11).ok_or(DecodeError::SubscriptionQosReserved)?,
            no_local: byte & 0b100 != 0,
            retain_as_published: byte & 0b1000 != 0,
            retain_handling: match byte >> 4 {
                0 => RetainHandling::Send,
                1 => RetainHandling::SendIfNew,
                2 => RetainHandling::DoNotSend,
                _ => return Err(DecodeError::RetainHandlingReserved),
            },
        })
    }
}

/// One entry of a SUBSCRIBE.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Subscription<'a> {
    /// The topic filter, checked as a string only: whether its wildcards stand where they
    /// may, and whether it is empty, is for the topic matcher to say.
    pub filter: &'a str,
    /// What is wanted of it.
    pub options: SubscriptionOptions,
}

/// The validated entries of a SUBSCRIBE, borrowed from its bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SubscribeFilters<'a> {
    raw: &'a [u8],
    len: usize,
}

impl<'a> SubscribeFilters<'a> {
    #[inline]
    fn decode(cursor: &mut Cursor<'a>, version: Version) -> Result<Self, DecodeError> {
        let raw = cursor.remaining();
        let mut cursor = Cursor::new(raw);
        let mut len = 0;
        while !cursor.is_empty() {
            cursor.string()?;
            let options = cursor.u8()?;
            if !version.is_v5() && options & 0b1111_1100 != 0 {
                return Err(DecodeError::SubscriptionOptionsReserved);
            }
            SubscriptionOptions::from_u8(options)?;
            len += 1;
        }
        if len == 0 {
            return Err(DecodeError::NoTopicFilter);
        }
        Ok(Self { raw, len })
    }

    /// The number of entries.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no entry; never so in a decoded packet.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The entries, in the order of the packet, which is that of the SUBACK's codes.
    #[must_use]
    #[inline]
    pub const fn iter(&self) -> SubscribeFiltersIter<'a> {
        SubscribeFiltersIter {
            cursor: Cursor::new(self.raw),
            left: self.len,
        }
    }
}

impl<'a> IntoIterator for SubscribeFilters<'a> {
    type Item = Subscription<'a>;
    type IntoIter = SubscribeFiltersIter<'a>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl core::fmt::Debug for SubscribeFilters<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Iterator over the entries of a SUBSCRIBE; see [`SubscribeFilters::iter`].
#[derive(Debug, Clone)]
pub struct SubscribeFiltersIter<'a> {
    cursor: Cursor<'a>,
    left: usize,
}

impl<'a> Iterator for SubscribeFiltersIter<'a> {
    type Item = Subscription<'a>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let filter = self.cursor.string().ok()?;
        let options = SubscriptionOptions::from_u8(self.cursor.u8().ok()?).ok()?;
        self.left -= 1;
        Some(Subscription { filter, options })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for SubscribeFiltersIter<'_> {}
impl core::iter::FusedIterator for SubscribeFiltersIter<'_> {}

/// The entries of a SUBSCRIBE being built.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct SubscribeFiltersBuf {
    raw: Vec<u8>,
    len: usize,
}

impl SubscribeFiltersBuf {
    /// No entry, and no memory.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            raw: Vec::new(),
            len: 0,
        }
    }

    /// Appends an entry.
    ///
    /// # Errors
    ///
    /// The filter is longer than 65,535 bytes or contains U+0000.
    pub fn push(&mut self, filter: &str, options: SubscriptionOptions) -> Result<(), EncodeError> {
        self.raw.reserve(string_len(filter)? + 1);
        put_string(&mut self.raw, filter);
        self.raw.put_u8(options.as_u8());
        self.len += 1;
        Ok(())
    }

    /// The entries so far.
    #[must_use]
    pub fn as_filters(&self) -> SubscribeFilters<'_> {
        SubscribeFilters {
            raw: &self.raw,
            len: self.len,
        }
    }
}

impl From<SubscribeFilters<'_>> for SubscribeFiltersBuf {
    fn from(filters: SubscribeFilters<'_>) -> Self {
        Self {
            raw: filters.raw.into(),
            len: filters.len,
        }
    }
}

impl core::fmt::Debug for SubscribeFiltersBuf {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.as_filters().fmt(f)
    }
}

impl<'a> Subscribe<'a> {
    #[inline]
    pub(crate) fn decode_body(mut body: Cursor<'a>, version: Version) -> Result<Self, DecodeError> {
        Ok(Self {
            packet_id: body.packet_id()?,
            properties: if version.is_v5() {
                Properties::decode(&mut body, allowed::SUBSCRIBE)?
            } else {
                Properties::EMPTY
            },
            filters: SubscribeFilters::decode(&mut body, version)?,
        })
    }
}

impl_encode!(Subscribe<'_>);

impl Encode for Subscribe<'_> {
    fn first_byte(&self) -> u8 {
        PacketType::Subscribe.first_byte()
    }

    fn body_len(&self, version: Version) -> Result<usize, EncodeError> {
        if self.filters.is_empty() {
            return Err(EncodeError::NoTopicFilter);
        }
        let mut len = 2 + self.filters.raw.len();
        if version.is_v5() {
            len += self.properties.checked_len(allowed::SUBSCRIBE)?;
        }
        Ok(len)
    }

    fn write_body(&self, version: Version, buf: &mut impl BufMut) {
        buf.put_u16(self.packet_id.get());
        if version.is_v5() {
            self.properties.put(buf);
            buf.put_slice(self.filters.raw);
        } else {
            for Subscription { filter, options } in self.filters {
                put_string(buf, filter);
                buf.put_u8(options.qos.as_u8());
            }
        }
    }
}
