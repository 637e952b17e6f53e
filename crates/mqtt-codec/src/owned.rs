//! Packets that own their memory, for those who need to keep one.
//!
//! Decoding never makes these. Each is the twin of a borrowed packet: `to_owned()` there
//! copies, `as_packet()` here borrows back without copying.

use alloc::{string::String, vec::Vec};
use bytes::Bytes;

use crate::{
    Auth, ConnAck, Connect, Disconnect, Packet, PacketId, PropertiesBuf, PubAck, PubComp, PubRec,
    PubRel, Publish, QoS, ReasonCode, ReasonCodes, SubAck, Subscribe, SubscribeFiltersBuf,
    UnsubAck, Unsubscribe, UnsubscribeFiltersBuf, Version, Will,
};

/// Writes an owned struct, and the two ways between it and its borrowed twin.
///
/// A field is `name: Owned = (to owned, to borrowed)`, both as closures.
macro_rules! owned {
    ($($(#[$meta:meta])* $owned:ident = $borrowed:ident, $as_borrowed:ident {
        $($(#[$fmeta:meta])* $field:ident: $type:ty = ($to_owned:expr, $to_borrowed:expr);)+
    })+) => {
        $(
            $(#[$meta])*
            #[derive(Clone, PartialEq, Eq)]
            pub struct $owned { $($(#[$fmeta])* pub $field: $type,)+ }

            impl $owned {
                /// Borrows the packet back, without copying.
                #[must_use]
                pub fn $as_borrowed(&self) -> $borrowed<'_> {
                    let Self { $($field,)+ } = self;
                    $borrowed { $($field: $to_borrowed,)+ }
                }
            }

            /// As the borrowed packet is shown, and so without what that does not show.
            impl core::fmt::Debug for $owned {
                fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                    core::fmt::Debug::fmt(&self.$as_borrowed(), f)
                }
            }

            impl $borrowed<'_> {
                /// Copies the packet into memory of its own.
                #[must_use]
                pub fn to_owned(&self) -> $owned {
                    let Self { $($field,)+ } = *self;
                    $owned { $($field: $to_owned,)+ }
                }
            }

            impl From<$borrowed<'_>> for $owned {
                fn from(packet: $borrowed<'_>) -> Self {
                    packet.to_owned()
                }
            }
        )+
    };
}

owned! {
    /// [`Connect`] that owns its memory.
    OwnedConnect = Connect, as_connect {
        /// See [`Connect::version`].
        version: Version = (version, *version);
        /// See [`Connect::clean_start`].
        clean_start: bool = (clean_start, *clean_start);
        /// Seconds; see [`Connect::keep_alive`].
        keep_alive: u16 = (keep_alive, *keep_alive);
        /// See [`Connect::client_id`].
        client_id: String = (client_id.into(), client_id);
        /// See [`Connect::will`].
        will: Option<OwnedWill> = (
            will.map(OwnedWill::from),
            will.as_ref().map(OwnedWill::as_will)
        );
        /// See [`Connect::username`].
        username: Option<String> = (username.map(String::from), username.as_deref());
        /// See [`Connect::password`].
        password: Option<Vec<u8>> = (password.map(Vec::from), password.as_deref());
        /// See [`Connect::properties`].
        properties: PropertiesBuf = (properties.into(), properties.as_properties());
    }

    /// [`Will`] that owns its memory.
    OwnedWill = Will, as_will {
        /// See [`Will::qos`].
        qos: QoS = (qos, *qos);
        /// See [`Will::retain`].
        retain: bool = (retain, *retain);
        /// See [`Will::topic`].
        topic: String = (topic.into(), topic);
        /// See [`Will::payload`]; cheap to clone.
        payload: Bytes = (Bytes::copy_from_slice(payload), payload);
        /// See [`Will::properties`].
        properties: PropertiesBuf = (properties.into(), properties.as_properties());
    }

    /// [`ConnAck`] that owns its memory.
    OwnedConnAck = ConnAck, as_connack {
        /// See [`ConnAck::session_present`].
        session_present: bool = (session_present, *session_present);
        /// See [`ConnAck::reason_code`].
        reason_code: ReasonCode = (reason_code, *reason_code);
        /// See [`ConnAck::properties`].
        properties: PropertiesBuf = (properties.into(), properties.as_properties());
    }

    /// [`Publish`] that owns its memory.
    OwnedPublish = Publish, as_publish {
        /// See [`Publish::dup`].
        dup: bool = (dup, *dup);
        /// See [`Publish::qos`].
        qos: QoS = (qos, *qos);
        /// See [`Publish::retain`].
        retain: bool = (retain, *retain);
        /// See [`Publish::topic`].
        topic: String = (topic.into(), topic);
        /// See [`Publish::packet_id`].
        packet_id: Option<PacketId> = (packet_id, *packet_id);
        /// See [`Publish::properties`].
        properties: PropertiesBuf = (properties.into(), properties.as_properties());
        /// See [`Publish::payload`]; cheap to clone.
        payload: Bytes = (Bytes::copy_from_slice(payload), payload);
    }

    /// [`PubAck`] that owns its memory.
    OwnedPubAck = PubAck, as_puback {
        /// See [`PubAck::packet_id`].
        packet_id: PacketId = (packet_id, *packet_id);
        /// See [`PubAck::reason_code`].
        reason_code: ReasonCode = (reason_code, *reason_code);
        /// See [`PubAck::properties`].
        properties: PropertiesBuf = (properties.into(), properties.as_properties());
    }

    /// [`PubRec`] that owns its memory.
    OwnedPubRec = PubRec, as_pubrec {
        /// See [`PubRec::packet_id`].
        packet_id: PacketId = (packet_id, *packet_id);
        /// See [`PubRec::reason_code`].
        reason_code: ReasonCode = (reason_code, *reason_code);
        /// See [`PubRec::properties`].
        properties: PropertiesBuf = (properties.into(), properties.as_properties());
    }

    /// [`PubRel`] that owns its memory.
    OwnedPubRel = PubRel, as_pubrel {
        /// See [`PubRel::packet_id`].
        packet_id: PacketId = (packet_id, *packet_id);
        /// See [`PubRel::reason_code`].
        reason_code: ReasonCode = (reason_code, *reason_code);
        /// See [`PubRel::properties`].
        properties: PropertiesBuf = (properties.into(), properties.as_properties());
    }

    /// [`PubComp`] that owns its memory.
    OwnedPubComp = PubComp, as_pubcomp {
        /// See [`PubComp::packet_id`].
        packet_id: PacketId = (packet_id, *packet_id);
        /// See [`PubComp::reason_code`].
        reason_code: ReasonCode = (reason_code, *reason_code);
        /// See [`PubComp::properties`].
        properties: PropertiesBuf = (properties.into(), properties.as_properties());
    }

    /// [`Subscribe`] that owns its memory.
    OwnedSubscribe = Subscribe, as_subscribe {
        /// See [`Subscribe::packet_id`].
        packet_id: PacketId = (packet_id, *packet_id);
        /// See [`Subscribe::properties`].
        properties: PropertiesBuf = (properties.into(), properties.as_properties());
        /// See [`Subscribe::filters`].
        filters: SubscribeFiltersBuf = (filters.into(), filters.as_filters());
    }

    /// [`SubAck`] that owns its memory.
    OwnedSubAck = SubAck, as_suback {
        /// See [`SubAck::packet_id`].
        packet_id: PacketId = (packet_id, *packet_id);
        /// See [`SubAck::properties`].
        properties: PropertiesBuf = (properties.into(), properties.as_properties());
        /// See [`SubAck::reason_codes`].
        reason_codes: Vec<ReasonCode> = (
            reason_codes.iter().collect(),
            ReasonCodes::new(reason_codes)
        );
    }

    /// [`Unsubscribe`] that owns its memory.
    OwnedUnsubscribe = Unsubscribe, as_unsubscribe {
        /// See [`Unsubscribe::packet_id`].
        packet_id: PacketId = (packet_id, *packet_id);
        /// See [`Unsubscribe::properties`].
        properties: PropertiesBuf = (properties.into(), properties.as_properties());
        /// See [`Unsubscribe::filters`].
        filters: UnsubscribeFiltersBuf = (filters.into(), filters.as_filters());
    }

    /// [`UnsubAck`] that owns its memory.
    OwnedUnsubAck = UnsubAck, as_unsuback {
        /// See [`UnsubAck::packet_id`].
        packet_id: PacketId = (packet_id, *packet_id);
        /// See [`UnsubAck::properties`].
        properties: PropertiesBuf = (properties.into(), properties.as_properties());
        /// See [`UnsubAck::reason_codes`].
        reason_codes: Vec<ReasonCode> = (
            reason_codes.iter().collect(),
            ReasonCodes::new(reason_codes)
        );
    }

    /// [`Disconnect`] that owns its memory.
    OwnedDisconnect = Disconnect, as_disconnect {
        /// See [`Disconnect::reason_code`].
        reason_code: ReasonCode = (reason_code, *reason_code);
        /// See [`Disconnect::properties`].
        properties: PropertiesBuf = (properties.into(), properties.as_properties());
    }

    /// [`Auth`] that owns its memory.
    OwnedAuth = Auth, as_auth {
        /// See [`Auth::reason_code`].
        reason_code: ReasonCode = (reason_code, *reason_code);
        /// See [`Auth::properties`].
        properties: PropertiesBuf = (properties.into(), properties.as_properties());
    }
}

/// Any packet, with memory of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "as in `Packet`")]
pub enum OwnedPacket {
    Connect(OwnedConnect),
    ConnAck(OwnedConnAck),
    Publish(OwnedPublish),
    PubAck(OwnedPubAck),
    PubRec(OwnedPubRec),
    PubRel(OwnedPubRel),
    PubComp(OwnedPubComp),
    Subscribe(OwnedSubscribe),
    SubAck(OwnedSubAck),
    Unsubscribe(OwnedUnsubscribe),
    UnsubAck(OwnedUnsubAck),
    PingReq,
    PingResp,
    Disconnect(OwnedDisconnect),
    Auth(OwnedAuth),
}

impl OwnedPacket {
    /// Borrows the packet back, without copying; also the way to encode it.
    #[must_use]
    pub fn as_packet(&self) -> Packet<'_> {
        match self {
            Self::Connect(packet) => Packet::Connect(packet.as_connect()),
            Self::ConnAck(packet) => Packet::ConnAck(packet.as_connack()),
            Self::Publish(packet) => Packet::Publish(packet.as_publish()),
            Self::PubAck(packet) => Packet::PubAck(packet.as_puback()),
            Self::PubRec(packet) => Packet::PubRec(packet.as_pubrec()),
            Self::PubRel(packet) => Packet::PubRel(packet.as_pubrel()),
            Self::PubComp(packet) => Packet::PubComp(packet.as_pubcomp()),
            Self::Subscribe(packet) => Packet::Subscribe(packet.as_subscribe()),
            Self::SubAck(packet) => Packet::SubAck(packet.as_suback()),
            Self::Unsubscribe(packet) => Packet::Unsubscribe(packet.as_unsubscribe()),
            Self::UnsubAck(packet) => Packet::UnsubAck(packet.as_unsuback()),
            Self::PingReq => Packet::PingReq,
            Self::PingResp => Packet::PingResp,
            Self::Disconnect(packet) => Packet::Disconnect(packet.as_disconnect()),
            Self::Auth(packet) => Packet::Auth(packet.as_auth()),
        }
    }
}

impl Packet<'_> {
    /// Copies the packet into memory of its own.
    #[must_use]
    pub fn to_owned(&self) -> OwnedPacket {
        match self {
            Self::Connect(packet) => OwnedPacket::Connect(packet.to_owned()),
            Self::ConnAck(packet) => OwnedPacket::ConnAck(packet.to_owned()),
            Self::Publish(packet) => OwnedPacket::Publish(packet.to_owned()),
            Self::PubAck(packet) => OwnedPacket::PubAck(packet.to_owned()),
            Self::PubRec(packet) => OwnedPacket::PubRec(packet.to_owned()),
            Self::PubRel(packet) => OwnedPacket::PubRel(packet.to_owned()),
            Self::PubComp(packet) => OwnedPacket::PubComp(packet.to_owned()),
            Self::Subscribe(packet) => OwnedPacket::Subscribe(packet.to_owned()),
            Self::SubAck(packet) => OwnedPacket::SubAck(packet.to_owned()),
            Self::Unsubscribe(packet) => OwnedPacket::Unsubscribe(packet.to_owned()),
            Self::UnsubAck(packet) => OwnedPacket::UnsubAck(packet.to_owned()),
            Self::PingReq => OwnedPacket::PingReq,
            Self::PingResp => OwnedPacket::PingResp,
            Self::Disconnect(packet) => OwnedPacket::Disconnect(packet.to_owned()),
            Self::Auth(packet) => OwnedPacket::Auth(packet.to_owned()),
        }
    }
}

impl From<Packet<'_>> for OwnedPacket {
    fn from(packet: Packet<'_>) -> Self {
        packet.to_owned()
    }
}
