//! A record: the byte of the format, then MessagePack.

use rmp_serde::{Deserializer, Serializer, decode};
use serde::{Deserialize, Serialize};

use crate::RecordError;

/// The format that is written, and the only one so far: the first byte of each record.
pub const FORMAT: u8 = 1;

/// More than any record needs: hostile bytes cannot make the reader recurse.
const MAX_DEPTH: usize = 8;

/// Writes the fields behind the byte of the format; `size_hint` in bytes spares growing.
pub(crate) fn encode(fields: &impl Serialize, size_hint: usize) -> Result<Vec<u8>, RecordError> {
    let mut bytes = Vec::with_capacity(size_hint);
    bytes.push(FORMAT);
    fields
        .serialize(&mut Serializer::new(&mut bytes))
        .map_err(RecordError::TooLarge)?;
    Ok(bytes)
}

/// Reads the fields; what they borrow, they borrow from `bytes`.
pub(crate) fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, RecordError> {
    let (format, rest) = bytes.split_first().ok_or(RecordError::Empty)?;
    if *format != FORMAT {
        return Err(RecordError::UnknownFormat { found: *format });
    }
    let mut reader = Deserializer::from_read_ref(rest);
    reader.set_max_depth(MAX_DEPTH);
    let fields = T::deserialize(&mut reader).map_err(RecordError::Malformed)?;
    // The reader does not tell where it stands. Only at the end is there no marker to be read;
    // what is asked for is something that has nothing inside, where markers could be missing.
    match <()>::deserialize(&mut reader) {
        Err(decode::Error::InvalidMarkerRead(_)) => Ok(fields),
        _ => Err(RecordError::Trailing),
    }
}
