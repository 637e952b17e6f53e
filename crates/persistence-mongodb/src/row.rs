//! Reading documents field by field: what is not as it should be is named, never a panic.

use bson::oid::ObjectId;
use bson::{RawBson, RawBsonRef, RawDocument};
use mqtt_codec::{PacketId, QoS};

use crate::error::{Attempt, Failure};

/// A document of a collection.
#[derive(Clone, Copy)]
pub(crate) struct Row<'a> {
    collection: &'static str,
    raw: &'a RawDocument,
}

impl<'a> Row<'a> {
    pub(crate) fn new(collection: &'static str, raw: &'a RawDocument) -> Self {
        Self { collection, raw }
    }

    /// The store is damaged, here.
    pub(crate) fn damaged(&self, what: impl core::fmt::Display) -> Failure {
        let id = match self.raw.get("_id") {
            Ok(Some(id)) => format!("{id:?}"),
            _ => "no _id".to_owned(),
        };
        Failure::damaged(format!("{} {id}: {what}", self.collection))
    }

    fn get(&self, field: &str) -> Attempt<Option<RawBsonRef<'a>>> {
        match self.raw.get(field) {
            Ok(Some(RawBsonRef::Null)) => Ok(None),
            Ok(found) => Ok(found),
            Err(error) => Err(self.damaged(error)),
        }
    }

    fn maybe<T>(
        &self,
        field: &str,
        wanted: &str,
        read: impl FnOnce(RawBsonRef<'a>) -> Option<T>,
    ) -> Attempt<Option<T>> {
        let Some(value) = self.get(field)? else {
            return Ok(None);
        };
        match read(value) {
            Some(read) => Ok(Some(read)),
            None => Err(self.damaged(format_args!("{field} is not {wanted}"))),
        }
    }

    fn must<T>(&self, field: &str, found: Option<T>) -> Attempt<T> {
        found.ok_or_else(|| self.damaged(format_args!("there is no {field}")))
    }

    pub(crate) fn maybe_text(&self, field: &str) -> Attempt<Option<&'a str>> {
        self.maybe(field, "a string", |value| value.as_str())
    }

    pub(crate) fn text(&self, field: &str) -> Attempt<&'a str> {
        self.must(field, self.maybe_text(field)?)
    }

    pub(crate) fn maybe_int(&self, field: &str) -> Attempt<Option<i64>> {
        self.maybe(field, "an integer", |value| {
            value.as_i64().or_else(|| value.as_i32().map(i64::from))
        })
    }

    pub(crate) fn int(&self, field: &str) -> Attempt<i64> {
        self.must(field, self.maybe_int(field)?)
    }

    /// An integer that has a smaller type in MQTT.
    pub(crate) fn small<T: TryFrom<i64>>(&self, field: &str) -> Attempt<T> {
        T::try_from(self.int(field)?)
            .map_err(|_| self.damaged(format_args!("{field} is out of range")))
    }

    pub(crate) fn flag(&self, field: &str) -> Attempt<bool> {
        let found = self.maybe(field, "true or false", |value| value.as_bool())?;
        Ok(found.unwrap_or_default())
    }

    pub(crate) fn maybe_object_id(&self, field: &str) -> Attempt<Option<ObjectId>> {
        self.maybe(field, "an ObjectId", |value| value.as_object_id())
    }

    pub(crate) fn object_id(&self, field: &str) -> Attempt<ObjectId> {
        self.must(field, self.maybe_object_id(field)?)
    }

    pub(crate) fn maybe_bytes(&self, field: &str) -> Attempt<Option<&'a [u8]>> {
        self.maybe(field, "binary", |value| {
            value.as_binary().map(|binary| binary.bytes)
        })
    }

    pub(crate) fn has(&self, field: &str) -> Attempt<bool> {
        Ok(self.get(field)?.is_some())
    }

    /// The `_id`, where it is a document.
    pub(crate) fn id(&self) -> Attempt<Row<'a>> {
        let raw = self.maybe("_id", "a document", |value| value.as_document())?;
        Ok(Row {
            collection: self.collection,
            raw: self.must("_id", raw)?,
        })
    }

    /// The `_id`, whatever it is.
    pub(crate) fn raw_id(&self) -> Attempt<RawBson> {
        let id = self.maybe("_id", "there", |value| Some(RawBson::from(value)))?;
        self.must("_id", id)
    }

    pub(crate) fn qos(&self) -> Attempt<QoS> {
        let number = self.small("qos")?;
        QoS::from_u8(number).ok_or_else(|| self.damaged("qos is none"))
    }

    pub(crate) fn packet_id(&self, field: &str) -> Attempt<PacketId> {
        PacketId::new(self.small(field)?)
            .ok_or_else(|| self.damaged(format_args!("{field} is no packet identifier")))
    }

    /// Integers in a list.
    pub(crate) fn numbers(&self, field: &str) -> Attempt<Vec<u32>> {
        let array = self.maybe(field, "a list", |value| value.as_array())?;
        let Some(array) = array else {
            return Ok(Vec::new());
        };
        let number = |value: RawBsonRef<'_>| u32::try_from(value.as_i32()?).ok();
        array
            .into_iter()
            .map(|value| {
                value
                    .ok()
                    .and_then(number)
                    .ok_or_else(|| self.damaged(format_args!("{field} holds what is no number")))
            })
            .collect()
    }
}

/// A number of 64 bits without a sign, where only its value matters.
pub(crate) fn signed(number: u64) -> i64 {
    i64::from_ne_bytes(number.to_ne_bytes())
}

/// The number that was stored as [`signed`].
pub(crate) fn unsigned(number: i64) -> u64 {
    u64::from_ne_bytes(number.to_ne_bytes())
}

/// A number of 64 bits without a sign, so that the database has it in the right order.
pub(crate) fn ordered(number: u64) -> i64 {
    signed(number ^ (1 << 63))
}

/// The number that was stored as [`ordered`].
pub(crate) fn from_ordered(number: i64) -> u64 {
    unsigned(number) ^ (1 << 63)
}

#[cfg(test)]
mod tests {
    use bson::{doc, rawdoc};

    use super::*;

    #[test]
    fn numbers_keep_their_value_and_their_order() {
        let numbers = [0, 1, u64::MAX / 2, u64::MAX / 2 + 1, u64::MAX - 1, u64::MAX];
        for number in numbers {
            assert_eq!(unsigned(signed(number)), number);
            assert_eq!(from_ordered(ordered(number)), number);
        }
        assert!(numbers.map(ordered).is_sorted());
    }

    #[test]
    fn what_is_wrong_with_a_document_is_named() {
        let raw = rawdoc! { "_id": "a", "qos": 7, "text": 1, "packet_id": 0, "ids": ["x"] };
        let row = Row::new("things", &raw);
        let complaint = |outcome: Attempt<()>| outcome.unwrap_err().to_string();
        for (outcome, wanted) in [
            (row.qos().map(drop), "qos is none"),
            (row.text("text").map(drop), "text is not a string"),
            (row.text("other").map(drop), "there is no other"),
            (row.small::<u8>("gone").map(drop), "there is no gone"),
            (row.packet_id("packet_id").map(drop), "no packet identifier"),
            (row.numbers("ids").map(drop), "holds what is no number"),
            (row.id().map(drop), "_id is not a document"),
        ] {
            let text = complaint(outcome);
            assert!(
                text.contains("things") && text.contains(wanted),
                "{text:?} does not say {wanted:?}"
            );
        }
        assert!(row.maybe_text("other").unwrap().is_none());
        drop(doc! {});
    }
}
