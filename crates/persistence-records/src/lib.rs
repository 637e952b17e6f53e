//! What stores that keep things have in common: the bytes in which they keep what the broker gives them,
//! records and keys; the [`Line`] in which it waits to be written; and the [`Filler`] that imports use.
//!
//! A record is a byte that names the format, then MessagePack: an array of fields without their
//! names. What was written by an earlier version of the broker can be read by every later one; what
//! was written by a later one is refused with an error that says so. Reading never panics, whatever
//! the bytes are.
//!
//! | record | encoded by | read by |
//! | --- | --- | --- |
//! | a message | [`encode_message`] | [`decode_message`] |
//! | what is known of a session | [`SessionRecord::encode`] | [`SessionRecord::decode`] |
//! | what a subscription was granted | [`encode_subscription`] | [`decode_subscription`] |
//! | a message on its way to a session, without the message | [`OutgoingRecord::encode`] | [`OutgoingRecord::decode`] |
//! | a will, with its message | [`encode_will`] | [`decode_will`] |
//!
//! Names that are part of a key (a client identifier, a filter, a sequence number) are not repeated
//! in the record, except for those of a will. [`Key`] puts keys together so that no two names
//! collide, and [`KeyReader`] takes them apart.
//!
//! ```
//! use broker_core::{Message, MessageParts, Timestamp};
//! use mqtt_codec::QoS;
//! use persistence_records::{decode_message, encode_message};
//!
//! let message = Message::new(MessageParts {
//!     topic: "a/b",
//!     properties: &[],
//!     payload: b"hello",
//!     qos: QoS::AtLeastOnce,
//!     retain: false,
//!     expires: Timestamp::MAX,
//! });
//! let bytes = encode_message(&message).unwrap();
//! assert_eq!(decode_message(&bytes).unwrap(), message);
//!
//! let error = decode_message(&[9, 1, 2]).unwrap_err();
//! assert_eq!(
//!     error.to_string(),
//!     "the record is of format 9, and this version of mosca reads format 1: \
//!      it was written by a later one"
//! );
//! ```

mod error;
mod fields;
mod import;
mod key;
mod line;
mod message;
mod outgoing;
mod record;
mod session;
mod subscription;
mod will;

pub use error::RecordError;
pub use import::{Filler, ImportProgress, Imported, ImportedSession};
pub use key::{Key, KeyError, KeyReader};
pub use line::{GroupLimits, Line, Waiting};
pub use message::{decode_message, encode_message};
pub use outgoing::{MessageId, OutgoingRecord};
pub use record::FORMAT;
pub use session::SessionRecord;
pub use subscription::{decode_subscription, encode_subscription};
pub use will::{decode_will, encode_will};
