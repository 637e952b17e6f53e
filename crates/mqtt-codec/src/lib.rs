//! MQTT 3.1, 3.1.1 and 5.0 packets: bytes to packets and back, without IO.
//!
//! [`decode`] looks at the start of a byte slice and finds a packet, or that more bytes
//! are needed, or which rule of the protocol is broken. [`Packet::encode`] writes into any
//! [`bytes::BufMut`]. The crate knows nothing of sockets, sessions and clocks.
//!
//! Read on in `cursor.rs` (the bounds that no parser here can forget), `packet/publish.rs`
//! (how one packet is read and written) and `error.rs` (one variant per rule); the tests
//! `tests/wire.rs` and `tests/malformed.rs` show packets byte for byte.
#![doc = ""]
#![doc = include_str!("../README.md")]
#![no_std]

extern crate alloc;

mod cursor;
mod decode;
mod encode;
mod error;
mod fast_ack;
mod fast_publish;
mod header;
mod owned;
mod packet;
mod properties;
mod property;
mod property_set;
mod reason;
mod text;
mod version;

pub use decode::{Decoded, DecodedConnect, decode, decode_by_parsers, decode_connect};
pub use error::{DecodeError, EncodeError, ErrorKind};
pub use header::{FixedHeader, MAX_REMAINING_LENGTH, PacketType, Peeked};
pub use owned::{
    OwnedAuth, OwnedConnAck, OwnedConnect, OwnedDisconnect, OwnedPacket, OwnedPubAck, OwnedPubComp,
    OwnedPubRec, OwnedPubRel, OwnedPublish, OwnedSubAck, OwnedSubscribe, OwnedUnsubAck,
    OwnedUnsubscribe, OwnedWill,
};
pub use packet::{
    Auth, ConnAck, Connect, Disconnect, Packet, PatchError, PlainPublish, PubAck, PubComp, PubRec,
    PubRel, Publish, PublishHead, ReasonCodes, ReasonCodesIter, RetainHandling, SubAck, Subscribe,
    SubscribeFilters, SubscribeFiltersBuf, SubscribeFiltersIter, Subscription, SubscriptionOptions,
    UnsubAck, Unsubscribe, UnsubscribeFilters, UnsubscribeFiltersBuf, UnsubscribeFiltersIter, Will,
    patch_dup, patch_packet_id,
};
pub use properties::{Properties, PropertiesBuf, PropertyIter};
pub use property::{PayloadFormat, Property, PropertyId};
pub use property_set::PropertySet;
pub use reason::{ConnectReturnCode, ReasonCode};
pub use version::{PacketId, QoS, Version};
