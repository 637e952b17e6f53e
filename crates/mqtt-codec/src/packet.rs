//! The packets of MQTT, one file each; this one tells them apart.

mod ack;
mod auth;
mod connack;
mod connect;
mod disconnect;
mod plain_publish;
mod puback;
mod pubcomp;
mod publish;
mod pubrec;
mod pubrel;
mod reason_codes;
mod suback;
mod subscribe;
mod unsuback;
mod unsubscribe;

pub use auth::Auth;
pub use connack::ConnAck;
pub use connect::{Connect, Will};
pub use disconnect::Disconnect;
pub use plain_publish::PlainPublish;
pub use puback::PubAck;
pub use pubcomp::PubComp;
pub use publish::{PatchError, Publish, PublishHead, patch_dup, patch_packet_id};
pub use pubrec::PubRec;
pub use pubrel::PubRel;
pub use reason_codes::{ReasonCodes, ReasonCodesIter};
pub use suback::SubAck;
pub use subscribe::{
    RetainHandling, Subscribe, SubscribeFilters, SubscribeFiltersBuf, SubscribeFiltersIter,
    Subscription, SubscriptionOptions,
};
pub use unsuback::UnsubAck;
pub use unsubscribe::{
    Unsubscribe, UnsubscribeFilters, UnsubscribeFiltersBuf, UnsubscribeFiltersIter,
};

use bytes::BufMut;

use crate::{
    DecodeError, EncodeError, FixedHeader, PacketType, Version, cursor::Cursor, encode::Encode,
};

/// Any packet, borrowed from the bytes that it was decoded from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packet<'a> {
    /// Opens a connection (section 3.1).
    Connect(Connect<'a>),
    /// Answers CONNECT (section 3.2).
    ConnAck(ConnAck<'a>),
    /// Carries a message (section 3.3).
    Publish(Publish<'a>),
    /// Acknowledges a QoS 1 message (section 3.4).
    PubAck(PubAck<'a>),
    /// Second packet of a QoS 2 delivery (section 3.5).
    PubRec(PubRec<'a>),
    /// Third packet of a QoS 2 delivery (section 3.6).
    PubRel(PubRel<'a>),
    /// Last packet of a QoS 2 delivery (section 3.7).
    PubComp(PubComp<'a>),
    /// Asks for subscriptions (section 3.8).
    Subscribe(Subscribe<'a>),
    /// Answers SUBSCRIBE (section 3.9).
    SubAck(SubAck<'a>),
    /// Ends subscriptions (section 3.10).
    Unsubscribe(Unsubscribe<'a>),
    /// Answers UNSUBSCRIBE (section 3.11).
    UnsubAck(UnsubAck<'a>),
    /// Asks whether the server is there (section 3.12).
    PingReq,
    /// Answers PINGREQ (section 3.13).
    PingResp,
    /// Ends the connection on purpose (section 3.14).
    Disconnect(Disconnect<'a>),
    /// A step of the enhanced authentication (section 3.15, MQTT 5.0 only).
    Auth(Auth<'a>),
}

impl<'a> Packet<'a> {
    /// Reads the bytes behind the fixed header; all of them.
    #[inline]
    pub(crate) fn decode_body(
        header: FixedHeader,
        body: &'a [u8],
        version: Version,
    ) -> Result<Self, DecodeError> {
        let body = Cursor::new(body);
        Ok(match header.packet_type() {
            PacketType::Publish => {
                Self::Publish(Publish::decode_body(header.flags(), body, version)?)
            }
            PacketType::PubAck => Self::PubAck(PubAck::decode_body(body, version)?),
            PacketType::PubRec => Self::PubRec(PubRec::decode_body(body, version)?),
            PacketType::PubRel => Self::PubRel(PubRel::decode_body(body, version)?),
            PacketType::PubComp => Self::PubComp(PubComp::decode_body(body, version)?),
            PacketType::Connect => Self::Connect(Connect::decode_body(body)?),
            PacketType::ConnAck => Self::ConnAck(ConnAck::decode_body(body, version)?),
            PacketType::Subscribe => Self::Subscribe(Subscribe::decode_body(body, version)?),
            PacketType::SubAck => Self::SubAck(SubAck::decode_body(body, version)?),
            PacketType::Unsubscribe => Self::Unsubscribe(Unsubscribe::decode_body(body, version)?),
            PacketType::UnsubAck => Self::UnsubAck(UnsubAck::decode_body(body, version)?),
            PacketType::PingReq => {
                body.finish()?;
                Self::PingReq
            }
            PacketType::PingResp => {
                body.finish()?;
                Self::PingResp
            }
            PacketType::Disconnect => Self::Disconnect(Disconnect::decode_body(body, version)?),
            PacketType::Auth => Self::Auth(Auth::decode_body(body)?),
        })
    }

    /// The packet's type.
    #[must_use]
    pub const fn packet_type(&self) -> PacketType {
        match self {
            Self::Connect(_) => PacketType::Connect,
            Self::ConnAck(_) => PacketType::ConnAck,
            Self::Publish(_) => PacketType::Publish,
            Self::PubAck(_) => PacketType::PubAck,
            Self::PubRec(_) => PacketType::PubRec,
            Self::PubRel(_) => PacketType::PubRel,
            Self::PubComp(_) => PacketType::PubComp,
            Self::Subscribe(_) => PacketType::Subscribe,
            Self::SubAck(_) => PacketType::SubAck,
            Self::Unsubscribe(_) => PacketType::Unsubscribe,
            Self::UnsubAck(_) => PacketType::UnsubAck,
            Self::PingReq => PacketType::PingReq,
            Self::PingResp => PacketType::PingResp,
            Self::Disconnect(_) => PacketType::Disconnect,
            Self::Auth(_) => PacketType::Auth,
        }
    }

    /// Bytes that [`encode`](Self::encode) writes for this version, exactly.
    ///
    /// # Errors
    ///
    /// As for [`encode`](Self::encode), the buffer aside.
    pub fn encoded_len(&self, version: Version) -> Result<usize, EncodeError> {
        crate::encode::encoded_len(self, version)
    }

    /// Appends the packet to `buf` and returns how many bytes it took.
    ///
    /// Fields that `version` does not have (properties and reason codes before MQTT 5.0)
    /// are left out. A CONNECT is written in its own [`Connect::version`].
    ///
    /// # Errors
    ///
    /// The packet cannot be expressed, or `buf` has no room for it; `buf` is then
    /// untouched.
    pub fn encode(&self, version: Version, buf: &mut impl BufMut) -> Result<usize, EncodeError> {
        match self {
            Self::Connect(packet) => packet.encode(version, buf),
            Self::ConnAck(packet) => packet.encode(version, buf),
            Self::Publish(packet) => packet.encode(version, buf),
            Self::PubAck(packet) => packet.encode(version, buf),
            Self::PubRec(packet) => packet.encode(version, buf),
            Self::PubRel(packet) => packet.encode(version, buf),
            Self::PubComp(packet) => packet.encode(version, buf),
            Self::Subscribe(packet) => packet.encode(version, buf),
            Self::SubAck(packet) => packet.encode(version, buf),
            Self::Unsubscribe(packet) => packet.encode(version, buf),
            Self::UnsubAck(packet) => packet.encode(version, buf),
            Self::PingReq | Self::PingResp => crate::encode::encode(self, version, buf),
            Self::Disconnect(packet) => packet.encode(version, buf),
            Self::Auth(packet) => packet.encode(version, buf),
        }
    }
}

impl Encode for Packet<'_> {
    fn first_byte(&self) -> u8 {
        match self {
            Self::Publish(packet) => packet.first_byte(),
            _ => self.packet_type().first_byte(),
        }
    }

    fn body_len(&self, version: Version) -> Result<usize, EncodeError> {
        match self {
            Self::Connect(packet) => packet.body_len(version),
            Self::ConnAck(packet) => packet.body_len(version),
            Self::Publish(packet) => packet.body_len(version),
            Self::PubAck(packet) => packet.body_len(version),
            Self::PubRec(packet) => packet.body_len(version),
            Self::PubRel(packet) => packet.body_len(version),
            Self::PubComp(packet) => packet.body_len(version),
            Self::Subscribe(packet) => packet.body_len(version),
            Self::SubAck(packet) => packet.body_len(version),
            Self::Unsubscribe(packet) => packet.body_len(version),
            Self::UnsubAck(packet) => packet.body_len(version),
            Self::PingReq | Self::PingResp => Ok(0),
            Self::Disconnect(packet) => packet.body_len(version),
            Self::Auth(packet) => packet.body_len(version),
        }
    }

    fn write_body(&self, version: Version, buf: &mut impl BufMut) {
        match self {
            Self::Connect(packet) => packet.write_body(version, buf),
            Self::ConnAck(packet) => packet.write_body(version, buf),
            Self::Publish(packet) => packet.write_body(version, buf),
            Self::PubAck(packet) => packet.write_body(version, buf),
            Self::PubRec(packet) => packet.write_body(version, buf),
            Self::PubRel(packet) => packet.write_body(version, buf),
            Self::PubComp(packet) => packet.write_body(version, buf),
            Self::Subscribe(packet) => packet.write_body(version, buf),
            Self::SubAck(packet) => packet.write_body(version, buf),
            Self::Unsubscribe(packet) => packet.write_body(version, buf),
            Self::UnsubAck(packet) => packet.write_body(version, buf),
            Self::PingReq | Self::PingResp => {}
            Self::Disconnect(packet) => packet.write_body(version, buf),
            Self::Auth(packet) => packet.write_body(version, buf),
        }
    }
}

/// `From` for every packet that has a struct.
macro_rules! from_packets {
    ($($name:ident),+) => {
        $(impl<'a> From<$name<'a>> for Packet<'a> {
            fn from(packet: $name<'a>) -> Self {
                Self::$name(packet)
            }
        })+
    };
}

from_packets!(
    Connect,
    ConnAck,
    Publish,
    PubAck,
    PubRec,
    PubRel,
    PubComp,
    Subscribe,
    SubAck,
    Unsubscribe,
    UnsubAck,
    Disconnect,
    Auth
);
