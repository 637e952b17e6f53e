//! The one bounded cursor that every packet is read through.
//!
//! A [`Cursor`] cannot leave its slice, [`sub`](Cursor::sub) makes one that cannot leave
//! a part of it, and [`finish`](Cursor::finish) refuses trailing bytes. The parsers that
//! it drives are nom's; those for MQTT's own data types (section 1.5) stand below it.
//! They run only on packets that have arrived whole, so running out of bytes is
//! [`DecodeError::UnexpectedEnd`]; "more bytes are needed" is decided in `header.rs`.

use nom::{
    IResult,
    bytes::complete::take,
    error::{ErrorKind, ParseError},
    number::complete::{be_u16, u8},
};

use crate::{DecodeError, PacketId, text::text};

/// What every parser of this crate returns.
pub(crate) type Parsed<'a, O> = IResult<&'a [u8], O, DecodeError>;

impl<I> ParseError<I> for DecodeError {
    /// nom's own parsers are used here only for "so many bytes", which fails in one way.
    fn from_error_kind(_input: I, _kind: ErrorKind) -> Self {
        Self::UnexpectedEnd
    }

    fn append(_input: I, _kind: ErrorKind, other: Self) -> Self {
        other
    }
}

/// The error of a nom parser, as the rule that was broken.
#[inline(always)]
fn rule(error: nom::Err<DecodeError>) -> DecodeError {
    match error {
        nom::Err::Error(error) | nom::Err::Failure(error) => error,
        nom::Err::Incomplete(_) => DecodeError::UnexpectedEnd,
    }
}

/// A position in a slice that has arrived completely.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    #[inline(always)]
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Runs a parser and moves behind what it took.
    #[inline(always)]
    pub(crate) fn read<O>(
        &mut self,
        parser: impl FnOnce(&'a [u8]) -> Parsed<'a, O>,
    ) -> Result<O, DecodeError> {
        let (rest, output) = parser(self.rest).map_err(rule)?;
        self.rest = rest;
        Ok(output)
    }

    #[inline(always)]
    pub(crate) fn u8(&mut self) -> Result<u8, DecodeError> {
        self.read(u8)
    }

    #[inline(always)]
    pub(crate) fn u16(&mut self) -> Result<u16, DecodeError> {
        self.read(be_u16)
    }

    #[inline(always)]
    pub(crate) fn string(&mut self) -> Result<&'a str, DecodeError> {
        self.read(utf8_string)
    }

    #[inline(always)]
    pub(crate) fn binary(&mut self) -> Result<&'a [u8], DecodeError> {
        self.read(binary_data)
    }

    #[inline(always)]
    pub(crate) fn variable_byte_integer(&mut self) -> Result<u32, DecodeError> {
        self.read(variable_byte_integer)
    }

    #[inline(always)]
    pub(crate) fn packet_id(&mut self) -> Result<PacketId, DecodeError> {
        PacketId::new(self.u16()?).ok_or(DecodeError::PacketIdentifierZero)
    }

    /// A cursor over the next `len` bytes, which it cannot leave.
    #[inline(always)]
    pub(crate) fn sub(&mut self, len: usize) -> Result<Self, DecodeError> {
        self.read(take(len)).map(Self::new)
    }

    /// Everything that is left.
    #[inline(always)]
    pub(crate) fn remaining(&mut self) -> &'a [u8] {
        core::mem::take(&mut self.rest)
    }

    #[inline(always)]
    pub(crate) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Refuses bytes behind the last field.
    #[inline(always)]
    pub(crate) const fn finish(self) -> Result<(), DecodeError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(DecodeError::TrailingBytes)
        }
    }
}

/// Binary data: two bytes of length, then so many bytes (section 1.5.6).
#[inline(always)]
pub(crate) fn binary_data(input: &[u8]) -> Parsed<'_, &[u8]> {
    let (input, len) = be_u16(input)?;
    take(len)(input)
}

/// A UTF-8 encoded string: two bytes of length, then text without U+0000 (section 1.5.4).
#[inline(always)]
pub(crate) fn utf8_string(input: &[u8]) -> Parsed<'_, &str> {
    let (rest, bytes) = binary_data(input)?;
    match text(bytes) {
        Ok(text) => Ok((rest, text)),
        Err(error) => Err(nom::Err::Failure(error)),
    }
}

/// A variable byte integer of one to four bytes, in its shortest form (section 1.5.5).
#[inline(always)]
pub(crate) fn variable_byte_integer(input: &[u8]) -> Parsed<'_, u32> {
    let mut value = 0;
    let mut rest = input;
    for shift in [0, 7, 14, 21] {
        let (after, byte) = u8(rest)?;
        rest = after;
        value |= u32::from(byte & 0x7F) << shift;
        if byte & 0x80 == 0 {
            if byte == 0 && shift > 0 {
                return Err(nom::Err::Failure(
                    DecodeError::VariableByteIntegerNotMinimal,
                ));
            }
            return Ok((rest, value));
        }
    }
    Err(nom::Err::Failure(DecodeError::VariableByteIntegerTooLong))
}
