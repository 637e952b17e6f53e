//! One write to a LevelDB, as it is in logs and in tables.

use std::io;

use crate::bytes::Bytes;

const DELETED: u8 = 0;
const PUT: u8 = 1;

/// What was written last to a key, or before that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) key: Vec<u8>,
    /// Later writes have higher ones.
    pub(crate) sequence: u64,
    /// `None` if the key was deleted.
    pub(crate) value: Option<Vec<u8>>,
}

impl Entry {
    /// From a table, where sequence and kind are behind the key.
    pub(crate) fn of_table(mut key: Vec<u8>, value: &[u8]) -> Option<Self> {
        let at = key.len().checked_sub(8)?;
        let tag = Bytes::new(key.get(at..)?).u64()?;
        key.truncate(at);
        let [kind, ..] = tag.to_le_bytes();
        Some(Self {
            key,
            sequence: tag >> 8,
            value: value_of(kind, || Some(value))?,
        })
    }

    /// All that a record of a log has written.
    pub(crate) fn of_log(record: &[u8]) -> Option<Vec<Self>> {
        let mut bytes = Bytes::new(record);
        let (first, count) = (bytes.u64()?, bytes.u32()?);
        let mut entries = Vec::new();
        for number in 0..u64::from(count) {
            let kind = bytes.u8()?;
            let key = bytes.text()?.to_vec();
            entries.push(Self {
                key,
                sequence: first.checked_add(number)?,
                value: value_of(kind, || bytes.text())?,
            });
        }
        bytes.is_empty().then_some(entries)
    }
}

fn value_of<'a>(kind: u8, value: impl FnOnce() -> Option<&'a [u8]>) -> Option<Option<Vec<u8>>> {
    match kind {
        DELETED => Some(None),
        PUT => value().map(|value| Some(value.to_vec())),
        _ => None,
    }
}

/// What a file says that is not as LevelDB writes it.
pub(crate) fn damaged() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "this is not what LevelDB writes",
    )
}
