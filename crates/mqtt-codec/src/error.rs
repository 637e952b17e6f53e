//! What can be wrong: one variant per broken rule, and what to answer the peer.

use crate::{ConnectReturnCode, ReasonCode};

/// Whose fault a refused packet is, in the words of MQTT 5.0 section 1.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The bytes cannot be parsed as the specification says (Malformed Packet).
    Malformed,
    /// The bytes parse, but say something that is not allowed (Protocol Error).
    Protocol,
    /// The packet may be right, but this receiver does not take it: too large, or
    /// of a protocol that it does not speak.
    Unsupported,
}

/// Writes [`DecodeError`]: each rule with its text, its kind and its reason code.
macro_rules! decode_errors {
    ($($(#[$meta:meta])* $variant:ident, $kind:ident, $reason:ident, $text:literal;)+) => {
        /// The rule that the received bytes break.
        ///
        /// One byte in size. After any of these the stream cannot be trusted any more:
        /// answer with [`reason_code`](Self::reason_code) (MQTT 5.0) or
        /// [`connect_return_code`](Self::connect_return_code) (MQTT 3.x, if there is
        /// one) and close the network connection (MQTT 5.0 section 4.13).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
        #[non_exhaustive]
        pub enum DecodeError {
            $($(#[$meta])* #[error($text)] $variant,)+
        }

        impl DecodeError {
            /// Every rule, in the order of their declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// Malformed, a protocol error, or simply not supported here.
            #[must_use]
            pub const fn kind(self) -> ErrorKind {
                match self { $(Self::$variant => ErrorKind::$kind,)+ }
            }

            /// The reason code for the CONNACK or DISCONNECT that MQTT 5.0 wants sent
            /// before the network connection is closed. Always an error code.
            #[must_use]
            pub const fn reason_code(self) -> ReasonCode {
                match self { $(Self::$variant => ReasonCode::$reason,)+ }
            }
        }
    };
}

decode_errors! {
    // Fixed header (section 2.1).
    /// Packet type 0, or 15 before MQTT 5.0 (table 2-1).
    ReservedPacketType, Malformed, MalformedPacket, "packet type is reserved";
    /// The low four bits of the first byte differ from table 2-2 \[MQTT-2.1.3-1\].
    ReservedHeaderFlags, Malformed, MalformedPacket, "reserved flags of the fixed header are wrong";
    /// A variable byte integer goes on after its fourth byte (section 1.5.5).
    VariableByteIntegerTooLong, Malformed, MalformedPacket, "variable byte integer is longer than four bytes";
    /// A variable byte integer uses more bytes than needed \[MQTT-1.5.5-1\].
    VariableByteIntegerNotMinimal, Malformed, MalformedPacket, "variable byte integer is not in its shortest form";
    /// The packet is larger than the limit given to [`decode`](crate::decode);
    /// known from the fixed header alone \[MQTT-3.1.2-24\].
    PacketTooLarge, Unsupported, PacketTooLarge, "packet is larger than the maximum packet size";

    // Fields.
    /// A field reaches beyond the end of its packet or property block.
    UnexpectedEnd, Malformed, MalformedPacket, "packet ends inside a field";
    /// Bytes are left after the last field.
    TrailingBytes, Malformed, MalformedPacket, "bytes are left after the last field of the packet";
    /// A string is not well-formed UTF-8, or encodes a surrogate \[MQTT-1.5.4-1\].
    StringNotUtf8, Malformed, MalformedPacket, "string is not well-formed UTF-8";
    /// A string contains U+0000 \[MQTT-1.5.4-2\].
    StringContainsNul, Malformed, MalformedPacket, "string contains the null character";
    /// A packet identifier is zero \[MQTT-2.2.1-3\].
    PacketIdentifierZero, Protocol, ProtocolError, "packet identifier is zero";
    /// A QoS of 3 in PUBLISH \[MQTT-3.3.1-4\], or in a will \[MQTT-3.1.2-12\].
    QosReserved, Malformed, MalformedPacket, "QoS is 3, which is reserved";
    /// A reason or return code that the specification does not list for this packet.
    ReasonCodeNotAllowed, Malformed, MalformedPacket, "reason code is not one of this packet type";

    // CONNECT (section 3.1).
    /// The protocol name is neither `MQTT` nor `MQIsdp` \[MQTT-3.1.2-1\].
    ProtocolNameUnknown, Unsupported, UnsupportedProtocolVersion, "protocol name is not one of MQTT";
    /// The protocol level is none that goes with the protocol name \[MQTT-3.1.2-2\].
    ProtocolLevelUnsupported, Unsupported, UnsupportedProtocolVersion, "protocol level is not supported";
    /// Bit 0 of the connect flags is set \[MQTT-3.1.2-3\].
    ConnectFlagReserved, Malformed, MalformedPacket, "reserved connect flag is set";
    /// Will QoS or will retain without the will flag \[MQTT-3.1.2-11\], \[MQTT-3.1.2-13\].
    WillFlagsWithoutWill, Malformed, MalformedPacket, "will QoS or will retain is set without a will";
    /// A password without a user name, before MQTT 5.0 \[MQTT-3.1.2-22\] of 3.1.1.
    PasswordWithoutUserName, Malformed, MalformedPacket, "password is present without a user name";

    // CONNACK (section 3.2).
    /// A reserved bit of the acknowledge flags is set \[MQTT-3.2.2-1\].
    ConnAckFlagsReserved, Malformed, MalformedPacket, "reserved acknowledge flag is set";
    /// Session present together with a refusal \[MQTT-3.2.2-6\].
    SessionPresentOnRefusal, Protocol, ProtocolError, "session present is set although the connection is refused";

    // PUBLISH (section 3.3).
    /// DUP on a QoS 0 message \[MQTT-3.3.1-2\].
    DupOnQos0, Malformed, MalformedPacket, "DUP is set on a QoS 0 message";
    /// No topic name, and no topic alias in its place (section 3.3.2.1, \[MQTT-4.7.3-1\]).
    TopicNameEmpty, Protocol, ProtocolError, "topic name is empty and there is no topic alias";

    // SUBSCRIBE, UNSUBSCRIBE and their acknowledgements (sections 3.8 to 3.11).
    /// No topic filter in SUBSCRIBE \[MQTT-3.8.3-2\] or UNSUBSCRIBE \[MQTT-3.10.3-2\].
    NoTopicFilter, Protocol, ProtocolError, "there is no topic filter";
    /// A reserved bit of the subscription options is set \[MQTT-3.8.3-5\].
    SubscriptionOptionsReserved, Malformed, MalformedPacket, "reserved bits of the subscription options are set";
    /// A maximum QoS of 3 in SUBSCRIBE (section 3.8.3.1).
    SubscriptionQosReserved, Protocol, ProtocolError, "maximum QoS of a subscription is 3";
    /// Retain handling is 3 (section 3.8.3.1).
    RetainHandlingReserved, Protocol, ProtocolError, "retain handling is 3";
    /// SUBACK or UNSUBACK without any reason code.
    NoReasonCode, Protocol, ProtocolError, "there is no reason code";

    // Properties (section 2.2.2).
    /// An identifier that no packet has.
    PropertyUnknown, Malformed, MalformedPacket, "property identifier is unknown";
    /// A property that this packet type does not have.
    PropertyNotAllowed, Malformed, MalformedPacket, "property is not allowed in this packet type";
    /// A property twice that may be there once.
    PropertyDuplicate, Protocol, ProtocolError, "property is present more than once";
    /// A byte other than 0 and 1 in a property that is yes or no, or in Maximum QoS.
    PropertyNotZeroOrOne, Protocol, ProtocolError, "property value is neither 0 nor 1";
    /// Receive Maximum of zero (section 3.1.2.11.3).
    ReceiveMaximumZero, Protocol, ProtocolError, "receive maximum is zero";
    /// Maximum Packet Size of zero (section 3.1.2.11.4).
    MaximumPacketSizeZero, Protocol, ProtocolError, "maximum packet size is zero";
    /// Topic Alias of zero \[MQTT-3.3.2-8\].
    TopicAliasZero, Protocol, TopicAliasInvalid, "topic alias is zero";
    /// Subscription Identifier of zero (section 3.8.2.1.2).
    SubscriptionIdentifierZero, Protocol, ProtocolError, "subscription identifier is zero";
    /// Authentication Data without an Authentication Method (section 3.1.2.11.10).
    AuthenticationDataWithoutMethod, Protocol, ProtocolError, "authentication data is present without an authentication method";
    /// AUTH without an Authentication Method (section 3.15.2.2.2).
    AuthenticationMethodMissing, Protocol, ProtocolError, "AUTH is without an authentication method";
}

impl DecodeError {
    /// The CONNACK return code for an MQTT 3.x client whose CONNECT is refused.
    ///
    /// `None` where 3.x wants the network connection closed without a word, which is
    /// every rule but the protocol level \[MQTT-3.1.2-2\].
    #[must_use]
    pub const fn connect_return_code(self) -> Option<ConnectReturnCode> {
        match self {
            Self::ProtocolLevelUnsupported => Some(ConnectReturnCode::UnacceptableProtocolVersion),
            _ => None,
        }
    }
}

/// Why a packet cannot be written. The buffer is as it was before the call.
///
/// What encodes without an error also decodes without one, and to the same packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// A string or binary field is longer than 65,535 bytes.
    #[error("string or binary field is longer than 65,535 bytes")]
    FieldTooLong,
    /// The remaining length would be above 268,435,455 bytes.
    #[error("packet is larger than the protocol can express")]
    PacketTooLarge,
    /// The buffer has fewer writable bytes than the packet needs.
    #[error("buffer has no room for the packet")]
    BufferTooSmall {
        /// Bytes that the packet takes.
        needed: usize,
    },
    /// A string contains U+0000.
    #[error("string contains the null character")]
    StringContainsNul,
    /// QoS 1 or 2 without a packet identifier, or QoS 0 with one.
    #[error("packet identifier does not go with the QoS")]
    PacketIdentifierMismatch,
    /// DUP on QoS 0.
    #[error("DUP is set on a QoS 0 message")]
    DupOnQos0,
    /// An empty topic name without a topic alias (the alias exists only in MQTT 5.0).
    #[error("topic name is empty and there is no topic alias")]
    TopicNameEmpty,
    /// SUBSCRIBE or UNSUBSCRIBE without a topic filter.
    #[error("there is no topic filter")]
    NoTopicFilter,
    /// SUBACK or UNSUBACK without a reason code.
    #[error("there is no reason code")]
    NoReasonCode,
    /// A password without a user name, before MQTT 5.0.
    #[error("password is present without a user name")]
    PasswordWithoutUserName,
    /// Session present in a CONNACK that refuses.
    #[error("session present is set although the connection is refused")]
    SessionPresentOnRefusal,
    /// This packet type cannot carry this reason code, or MQTT 3.x has no return code
    /// for it.
    #[error("reason code is not one of this packet type and version")]
    ReasonCodeNotAllowed,
    /// AUTH before MQTT 5.0.
    #[error("packet type does not exist in this protocol version")]
    NotInVersion,
    /// A property that this packet type does not have, or more than one Subscription
    /// Identifier outside PUBLISH.
    #[error("property is not allowed in this packet type")]
    PropertyNotAllowed,
    /// A property twice that may be there once.
    #[error("property is present more than once")]
    PropertyDuplicate,
    /// A property value outside its range, such as a Receive Maximum of zero.
    #[error("property value is out of range")]
    PropertyOutOfRange,
    /// Authentication Data without a method, or AUTH with properties but without one.
    #[error("authentication method is missing")]
    AuthenticationMethodMissing,
}
