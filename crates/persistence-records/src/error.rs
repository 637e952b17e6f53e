//! What can be wrong with a record.

use broker_core::persistence::PersistenceError;

use crate::FORMAT;

/// Why bytes are not a record, or something cannot be made one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// There are no bytes at all.
    #[error("the record is empty")]
    Empty,
    /// The record is of a format that this version does not know.
    #[error(
        "the record is of format {found}, and this version of mosca reads format {FORMAT}: \
         it was written by a later one"
    )]
    UnknownFormat {
        /// The first byte.
        found: u8,
    },
    /// The bytes are not MessagePack, or not of the fields that the record has.
    #[error("the record cannot be read: {0}")]
    Malformed(#[source] rmp_serde::decode::Error),
    /// There are bytes behind the last field.
    #[error("there is more behind the end of the record")]
    Trailing,
    /// A field has a value that it cannot have.
    #[error("{field} is {found}, and can only be {allowed}")]
    OutOfRange {
        /// Which field, with an article.
        field: &'static str,
        /// What was found.
        found: u64,
        /// What it can be.
        allowed: &'static str,
    },
    /// The record cannot be written: something in it is longer than MessagePack can express, 4 GiB.
    #[error("the record cannot be written: {0}")]
    TooLarge(#[source] rmp_serde::encode::Error),
}

impl RecordError {
    /// What a store answers: that it is damaged, at this key.
    ///
    /// ```
    /// use persistence_records::{SessionRecord, RecordError};
    ///
    /// let error = SessionRecord::decode(&[]).unwrap_err().at("session \"sensor-1\"");
    /// assert_eq!(
    ///     error.to_string(),
    ///     "the store is damaged: session \"sensor-1\": the record is empty"
    /// );
    /// ```
    #[must_use]
    pub fn at(self, key: impl core::fmt::Display) -> PersistenceError {
        PersistenceError::Damaged(format!("{key}: {self}").into())
    }
}
