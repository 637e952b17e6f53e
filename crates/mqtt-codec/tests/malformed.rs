//! Malformed packets, and the rule that each of them breaks. Every rule has a row.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test may panic, in its helpers too"
)]

use mqtt_codec::{DecodeError as E, Decoded, DecodedConnect, ErrorKind, Version, decode};

const V31: &[Version] = &[Version::V31];
const V311: &[Version] = &[Version::V311];
const V5: &[Version] = &[Version::V5];
const V3: &[Version] = &[Version::V31, Version::V311];
const SINCE_311: &[Version] = &[Version::V311, Version::V5];
const ALL: &[Version] = &[Version::V31, Version::V311, Version::V5];

/// What is wrong, in which versions, the first byte, the body, the rule.
type Row = (&'static str, &'static [Version], u8, &'static [u8], E);

#[rustfmt::skip]
const FIXED_HEADERS: &[Row] = &[
    ("packet type 0", ALL, 0x00, b"", E::ReservedPacketType),
    ("packet type 15 before 5.0", V3, 0xF0, b"", E::ReservedPacketType),
    ("[MQTT-2.1.3-1] CONNECT with flags", ALL, 0x11, b"", E::ReservedHeaderFlags),
    ("[MQTT-2.1.3-1] CONNACK with flags", ALL, 0x21, b"", E::ReservedHeaderFlags),
    ("[MQTT-2.1.3-1] PUBACK with flags", ALL, 0x42, b"", E::ReservedHeaderFlags),
    ("[MQTT-2.1.3-1] PUBREC with flags", ALL, 0x58, b"", E::ReservedHeaderFlags),
    ("[MQTT-3.6.1-1] PUBREL without its flags", ALL, 0x60, b"", E::ReservedHeaderFlags),
    ("[MQTT-3.6.1-1] PUBREL with DUP", SINCE_311, 0x6A, b"", E::ReservedHeaderFlags),
    ("PUBREL with RETAIN", ALL, 0x63, b"", E::ReservedHeaderFlags),
    ("[MQTT-2.1.3-1] PUBCOMP with flags", ALL, 0x71, b"", E::ReservedHeaderFlags),
    ("[MQTT-3.8.1-1] SUBSCRIBE without its flags", ALL, 0x80, b"", E::ReservedHeaderFlags),
    ("[MQTT-3.8.1-1] SUBSCRIBE with DUP", SINCE_311, 0x8A, b"", E::ReservedHeaderFlags),
    ("[MQTT-2.1.3-1] SUBACK with flags", ALL, 0x92, b"", E::ReservedHeaderFlags),
    ("[MQTT-3.10.1-1] UNSUBSCRIBE without its flags", ALL, 0xA0, b"", E::ReservedHeaderFlags),
    ("[MQTT-2.1.3-1] UNSUBACK with flags", ALL, 0xB2, b"", E::ReservedHeaderFlags),
    ("[MQTT-2.1.3-1] PINGREQ with flags", ALL, 0xC1, b"", E::ReservedHeaderFlags),
    ("[MQTT-2.1.3-1] PINGRESP with flags", ALL, 0xD8, b"", E::ReservedHeaderFlags),
    ("[MQTT-3.14.1-1] DISCONNECT with flags", ALL, 0xE1, b"", E::ReservedHeaderFlags),
    ("[MQTT-3.15.1-1] AUTH with flags", V5, 0xF1, b"", E::ReservedHeaderFlags),
    ("[MQTT-3.3.1-4] PUBLISH of QoS 3", ALL, 0x36, b"\0\x01t\0\x01", E::QosReserved),
    ("[MQTT-3.3.1-2] DUP on QoS 0", ALL, 0x38, b"\0\x01t", E::DupOnQos0),
];

#[rustfmt::skip]
const CONNECTS: &[Row] = &[
    ("[MQTT-3.1.2-1] another protocol name", ALL, 0x10, b"\0\x04MQTX\x04\x02\0\0\0\0", E::ProtocolNameUnknown),
    ("protocol name in lower case", ALL, 0x10, b"\0\x04mqtt\x04\x02\0\0\0\0", E::ProtocolNameUnknown),
    ("protocol name that is not UTF-8", ALL, 0x10, b"\0\x02\xFF\xFE\x04\x02\0\0\0\0", E::ProtocolNameUnknown),
    ("[MQTT-3.1.2-2] level 6", ALL, 0x10, b"\0\x04MQTT\x06\x02\0\0\0\0", E::ProtocolLevelUnsupported),
    ("[MQTT-3.1.2-2] level 0", ALL, 0x10, b"\0\x04MQTT\0", E::ProtocolLevelUnsupported),
    ("level 3 under the name of 3.1.1", ALL, 0x10, b"\0\x04MQTT\x03\x02\0\0\0\0", E::ProtocolLevelUnsupported),
    ("level 4 under the name of 3.1", ALL, 0x10, b"\0\x06MQIsdp\x04\x02\0\0\0\0", E::ProtocolLevelUnsupported),
    ("level of a bridge", ALL, 0x10, b"\0\x04MQTT\x84\x02\0\0\0\0", E::ProtocolLevelUnsupported),
    ("no level", ALL, 0x10, b"\0\x04MQTT", E::UnexpectedEnd),
    ("no flags", ALL, 0x10, b"\0\x04MQTT\x04", E::UnexpectedEnd),
    ("half a keep alive", ALL, 0x10, b"\0\x04MQTT\x04\x02\0", E::UnexpectedEnd),
    ("[MQTT-3.1.3-3] no client identifier", ALL, 0x10, b"\0\x04MQTT\x04\x02\0\0", E::UnexpectedEnd),
    ("client identifier beyond the end", ALL, 0x10, b"\0\x04MQTT\x04\x02\0\0\0\x02a", E::UnexpectedEnd),
    ("[MQTT-3.1.3-4] client identifier not UTF-8", ALL, 0x10, b"\0\x04MQTT\x04\x02\0\0\0\x01\x80", E::StringNotUtf8),
    ("[MQTT-1.5.4-2] client identifier with U+0000", ALL, 0x10, b"\0\x04MQTT\x04\x02\0\0\0\x01\0", E::StringContainsNul),
    ("[MQTT-3.1.2-3] reserved flag, 3.1.1", ALL, 0x10, b"\0\x04MQTT\x04\x03\0\0\0\0", E::ConnectFlagReserved),
    ("[MQTT-3.1.2-3] reserved flag, 5.0", ALL, 0x10, b"\0\x04MQTT\x05\x03\0\0\0\0\0", E::ConnectFlagReserved),
    ("[MQTT-3.1.2-11] will QoS without will, 3.1.1", ALL, 0x10, b"\0\x04MQTT\x04\x0A\0\0\0\0", E::WillFlagsWithoutWill),
    ("[MQTT-3.1.2-11] will QoS without will, 5.0", ALL, 0x10, b"\0\x04MQTT\x05\x12\0\0\0\0\0", E::WillFlagsWithoutWill),
    ("[MQTT-3.1.2-13] will retain without will", ALL, 0x10, b"\0\x04MQTT\x05\x22\0\0\0\0\0", E::WillFlagsWithoutWill),
    ("[MQTT-3.1.2-12] will QoS 3, 3.1", ALL, 0x10, b"\0\x06MQIsdp\x03\x1E\0\0\0\0\0\x01t\0\0", E::QosReserved),
    ("[MQTT-3.1.2-12] will QoS 3, 3.1.1", ALL, 0x10, b"\0\x04MQTT\x04\x1E\0\0\0\0\0\x01t\0\0", E::QosReserved),
    ("[MQTT-3.1.2-12] will QoS 3, 5.0", ALL, 0x10, b"\0\x04MQTT\x05\x1E\0\0\0\0\0\0\0\x01t\0\0", E::QosReserved),
    ("[MQTT-3.1.2-9] will flag, but no will", ALL, 0x10, b"\0\x04MQTT\x04\x06\0\0\0\0", E::UnexpectedEnd),
    ("[MQTT-3.1.2-9] will without its payload", ALL, 0x10, b"\0\x04MQTT\x04\x06\0\0\0\0\0\x01t", E::UnexpectedEnd),
    ("[MQTT-3.1.3-11] will topic not UTF-8", ALL, 0x10, b"\0\x04MQTT\x04\x06\0\0\0\0\0\x01\xC0\0\0", E::StringNotUtf8),
    ("[MQTT-3.1.2-17] user name flag, but no user name", ALL, 0x10, b"\0\x04MQTT\x04\x82\0\0\0\0", E::UnexpectedEnd),
    ("[MQTT-3.1.3-12] user name not UTF-8", ALL, 0x10, b"\0\x04MQTT\x04\x82\0\0\0\0\0\x01\xFF", E::StringNotUtf8),
    ("[MQTT-3.1.2-19] password flag, but no password", ALL, 0x10, b"\0\x04MQTT\x04\xC2\0\0\0\0\0\x01u", E::UnexpectedEnd),
    ("3.1.1 [MQTT-3.1.2-22] password alone", ALL, 0x10, b"\0\x04MQTT\x04\x42\0\0\0\0\0\x01p", E::PasswordWithoutUserName),
    ("password alone, 3.1", ALL, 0x10, b"\0\x06MQIsdp\x03\x42\0\0\0\0\0\x01p", E::PasswordWithoutUserName),
    ("[MQTT-3.1.2-16] user name without its flag", ALL, 0x10, b"\0\x04MQTT\x04\x02\0\0\0\0\0\x01u", E::TrailingBytes),
    ("[MQTT-3.1.2-18] password without its flag", ALL, 0x10, b"\0\x04MQTT\x04\x82\0\0\0\0\0\x01u\0\x01p", E::TrailingBytes),
    ("no property length", ALL, 0x10, b"\0\x04MQTT\x05\x02\0\0", E::UnexpectedEnd),
    ("properties beyond the end", ALL, 0x10, b"\0\x04MQTT\x05\x02\0\0\x05\x11\0\0\0", E::UnexpectedEnd),
    ("property that CONNECT does not have", ALL, 0x10, b"\0\x04MQTT\x05\x02\0\0\x02\x01\x01\0\0", E::PropertyNotAllowed),
    ("will delay outside the will", ALL, 0x10, b"\0\x04MQTT\x05\x02\0\0\x05\x18\0\0\0\x01\0\0", E::PropertyNotAllowed),
    ("session expiry inside the will", ALL, 0x10, b"\0\x04MQTT\x05\x06\0\0\0\0\0\x05\x11\0\0\0\x01\0\x01t\0\0", E::PropertyNotAllowed),
    ("session expiry twice", ALL, 0x10, b"\0\x04MQTT\x05\x02\0\0\x0A\x11\0\0\0\x01\x11\0\0\0\x01\0\0", E::PropertyDuplicate),
    ("receive maximum 0", ALL, 0x10, b"\0\x04MQTT\x05\x02\0\0\x03\x21\0\0\0\0", E::ReceiveMaximumZero),
    ("maximum packet size 0", ALL, 0x10, b"\0\x04MQTT\x05\x02\0\0\x05\x27\0\0\0\0\0\0", E::MaximumPacketSizeZero),
    ("request problem information 2", ALL, 0x10, b"\0\x04MQTT\x05\x02\0\0\x02\x17\x02\0\0", E::PropertyNotZeroOrOne),
    ("request response information 255", ALL, 0x10, b"\0\x04MQTT\x05\x02\0\0\x02\x19\xFF\0\0", E::PropertyNotZeroOrOne),
    ("authentication data without method", ALL, 0x10, b"\0\x04MQTT\x05\x02\0\0\x04\x16\0\x01d\0\0", E::AuthenticationDataWithoutMethod),
    ("property that reaches beyond its block", ALL, 0x10, b"\0\x04MQTT\x05\x02\0\0\x03\x11\0\0\0\0\0\0", E::UnexpectedEnd),
];

#[rustfmt::skip]
const CONNACKS: &[Row] = &[
    ("empty", ALL, 0x20, b"", E::UnexpectedEnd),
    ("no code", ALL, 0x20, b"\0", E::UnexpectedEnd),
    ("[MQTT-3.2.2-1] reserved flag", SINCE_311, 0x20, b"\x02\0\0", E::ConnAckFlagsReserved),
    ("[MQTT-3.2.2-6] session present on refusal, 3.1.1", V311, 0x20, b"\x01\x05", E::SessionPresentOnRefusal),
    ("[MQTT-3.2.2-6] session present on refusal, 5.0", V5, 0x20, b"\x01\x87\0", E::SessionPresentOnRefusal),
    ("return code 6", V3, 0x20, b"\0\x06", E::ReasonCodeNotAllowed),
    ("[MQTT-3.2.2-8] reason code of PUBACK", V5, 0x20, b"\0\x10\0", E::ReasonCodeNotAllowed),
    ("[MQTT-3.2.2-8] a return code in 5.0", V5, 0x20, b"\0\x05\0", E::ReasonCodeNotAllowed),
    ("no property length", V5, 0x20, b"\0\0", E::UnexpectedEnd),
    ("properties before 5.0", V3, 0x20, b"\0\0\0", E::TrailingBytes),
    ("behind the properties", V5, 0x20, b"\0\0\0\0", E::TrailingBytes),
    ("maximum QoS 2", V5, 0x20, b"\0\0\x02\x24\x02", E::PropertyNotZeroOrOne),
    ("retain available 2", V5, 0x20, b"\0\0\x02\x25\x02", E::PropertyNotZeroOrOne),
    ("server keep alive twice", V5, 0x20, b"\0\0\x06\x13\0\x01\x13\0\x01", E::PropertyDuplicate),
    ("topic alias in CONNACK", V5, 0x20, b"\0\0\x03\x23\0\x01", E::PropertyNotAllowed),
];

#[rustfmt::skip]
const PUBLISHES: &[Row] = &[
    ("empty", ALL, 0x30, b"", E::UnexpectedEnd),
    ("topic name beyond the end", ALL, 0x30, b"\0\x02t", E::UnexpectedEnd),
    ("[MQTT-4.7.3-1] no topic name", V3, 0x30, b"\0\0", E::TopicNameEmpty),
    ("no topic name and no alias", V5, 0x30, b"\0\0\0", E::TopicNameEmpty),
    ("[MQTT-1.5.4-2] topic name with U+0000", V3, 0x30, b"\0\x03a\0b", E::StringContainsNul),
    ("[MQTT-1.5.4-1] a surrogate", V3, 0x30, b"\0\x03\xED\xA0\x80", E::StringNotUtf8),
    ("[MQTT-1.5.4-1] an overlong encoding", V3, 0x30, b"\0\x02\xC0\x80", E::StringNotUtf8),
    ("[MQTT-1.5.4-1] half a character", V3, 0x30, b"\0\x01\xE2", E::StringNotUtf8),
    ("[MQTT-1.5.4-1] above U+10FFFF", V3, 0x30, b"\0\x04\xF4\x90\x80\x80", E::StringNotUtf8),
    ("no packet identifier", ALL, 0x32, b"\0\x01t\0", E::UnexpectedEnd),
    ("[MQTT-2.2.1-3] packet identifier 0", V3, 0x32, b"\0\x01t\0\0", E::PacketIdentifierZero),
    ("[MQTT-2.2.1-3] packet identifier 0, QoS 2", V5, 0x34, b"\0\x01t\0\0\0", E::PacketIdentifierZero),
    ("no property length", V5, 0x30, b"\0\x01t", E::UnexpectedEnd),
    ("[MQTT-1.5.5-1] property length padded", V5, 0x30, b"\0\x01t\x80\0", E::VariableByteIntegerNotMinimal),
    ("property length of five bytes", V5, 0x30, b"\0\x01t\x80\x80\x80\x80\x01", E::VariableByteIntegerTooLong),
    ("properties beyond the end", V5, 0x30, b"\0\x01t\x02\x01", E::UnexpectedEnd),
    ("unknown property", V5, 0x30, b"\0\x01t\x02\x04\0", E::PropertyUnknown),
    ("unknown property of two bytes", V5, 0x30, b"\0\x01t\x03\xA6\x01\0", E::PropertyUnknown),
    ("property of CONNECT", V5, 0x30, b"\0\x01t\x03\x21\0\x01", E::PropertyNotAllowed),
    ("[MQTT-3.3.2-8] topic alias 0", V5, 0x30, b"\0\x01t\x03\x23\0\0", E::TopicAliasZero),
    ("topic alias twice", V5, 0x30, b"\0\x01t\x06\x23\0\x01\x23\0\x01", E::PropertyDuplicate),
    ("payload format twice", V5, 0x30, b"\0\x01t\x04\x01\0\x01\0", E::PropertyDuplicate),
    ("payload format 2", V5, 0x30, b"\0\x01t\x02\x01\x02", E::PropertyNotZeroOrOne),
    ("subscription identifier 0", V5, 0x30, b"\0\x01t\x02\x0B\0", E::SubscriptionIdentifierZero),
    ("subscription identifier padded", V5, 0x30, b"\0\x01t\x03\x0B\x81\0", E::VariableByteIntegerNotMinimal),
    ("[MQTT-1.5.7-1] user property name not UTF-8", V5, 0x30, b"\0\x01t\x06\x26\0\x01\xFF\0\0", E::StringNotUtf8),
    ("[MQTT-1.5.7-1] user property value with U+0000", V5, 0x30, b"\0\x01t\x06\x26\0\0\0\x01\0", E::StringContainsNul),
    ("user property without its value", V5, 0x30, b"\0\x01t\x04\x26\0\x01n", E::UnexpectedEnd),
    ("[MQTT-3.3.2-13] response topic not UTF-8", V5, 0x30, b"\0\x01t\x04\x08\0\x01\xFF", E::StringNotUtf8),
    ("[MQTT-3.3.2-19] content type not UTF-8", V5, 0x30, b"\0\x01t\x04\x03\0\x01\xFF", E::StringNotUtf8),
];

#[rustfmt::skip]
const ACKNOWLEDGEMENTS: &[Row] = &[
    ("PUBACK without packet identifier", ALL, 0x40, b"\x01", E::UnexpectedEnd),
    ("PUBACK of packet identifier 0", ALL, 0x40, b"\0\0", E::PacketIdentifierZero),
    ("PUBACK with a reason code before 5.0", V3, 0x40, b"\0\x01\0", E::TrailingBytes),
    ("[MQTT-3.4.2-1] PUBACK with a code of PUBREL", V5, 0x40, b"\0\x01\x92", E::ReasonCodeNotAllowed),
    ("PUBACK with an unassigned code", V5, 0x40, b"\0\x01\x7F", E::ReasonCodeNotAllowed),
    ("PUBACK with properties beyond the end", V5, 0x40, b"\0\x01\0\x01", E::UnexpectedEnd),
    ("PUBACK with bytes behind the properties", V5, 0x40, b"\0\x01\0\0\0", E::TrailingBytes),
    ("PUBACK with two reason strings", V5, 0x40, b"\0\x01\0\x06\x1F\0\0\x1F\0\0", E::PropertyDuplicate),
    ("PUBREC of packet identifier 0", ALL, 0x50, b"\0\0", E::PacketIdentifierZero),
    ("[MQTT-3.5.2-1] PUBREC with a code of SUBACK", V5, 0x50, b"\0\x01\x01", E::ReasonCodeNotAllowed),
    ("PUBREL of packet identifier 0", ALL, 0x62, b"\0\0", E::PacketIdentifierZero),
    ("[MQTT-3.6.2-1] PUBREL with a code of PUBACK", V5, 0x62, b"\0\x01\x10", E::ReasonCodeNotAllowed),
    ("PUBCOMP of packet identifier 0", ALL, 0x70, b"\0\0", E::PacketIdentifierZero),
    ("[MQTT-3.7.2-1] PUBCOMP with a code of PUBACK", V5, 0x70, b"\0\x01\x97", E::ReasonCodeNotAllowed),
    ("PUBCOMP with a content type", V5, 0x70, b"\0\x01\0\x03\x03\0\0", E::PropertyNotAllowed),
];

#[rustfmt::skip]
const SUBSCRIPTIONS: &[Row] = &[
    ("SUBSCRIBE of packet identifier 0", V3, 0x82, b"\0\0\0\x01a\0", E::PacketIdentifierZero),
    ("SUBSCRIBE of packet identifier 0", V5, 0x82, b"\0\0\0\0\x01a\0", E::PacketIdentifierZero),
    ("[MQTT-3.8.3-2] SUBSCRIBE without a filter", V3, 0x82, b"\0\x01", E::NoTopicFilter),
    ("[MQTT-3.8.3-2] SUBSCRIBE without a filter", V5, 0x82, b"\0\x01\0", E::NoTopicFilter),
    ("filter without options", V3, 0x82, b"\0\x01\0\x01a", E::UnexpectedEnd),
    ("second filter without options", V3, 0x82, b"\0\x01\0\x01a\0\0\x01b", E::UnexpectedEnd),
    ("[MQTT-3.8.3-1] filter not UTF-8", V3, 0x82, b"\0\x01\0\x01\xF8\0", E::StringNotUtf8),
    ("[MQTT-1.5.4-2] filter with U+0000", V5, 0x82, b"\0\x01\0\0\x01\0\0", E::StringContainsNul),
    ("QoS 3", V3, 0x82, b"\0\x01\0\x01a\x03", E::SubscriptionQosReserved),
    ("QoS 3", V5, 0x82, b"\0\x01\0\0\x01a\x03", E::SubscriptionQosReserved),
    ("no local before 5.0", V3, 0x82, b"\0\x01\0\x01a\x04", E::SubscriptionOptionsReserved),
    ("[MQTT-3.8.3-5] options bit 6", V5, 0x82, b"\0\x01\0\0\x01a\x40", E::SubscriptionOptionsReserved),
    ("[MQTT-3.8.3-5] options bit 7", V5, 0x82, b"\0\x01\0\0\x01a\x80", E::SubscriptionOptionsReserved),
    ("retain handling 3", V5, 0x82, b"\0\x01\0\0\x01a\x30", E::RetainHandlingReserved),
    ("two subscription identifiers", V5, 0x82, b"\0\x01\x04\x0B\x01\x0B\x02\0\x01a\0", E::PropertyDuplicate),
    ("reason string in SUBSCRIBE", V5, 0x82, b"\0\x01\x03\x1F\0\0\0\x01a\0", E::PropertyNotAllowed),
    ("SUBACK without a code", V3, 0x90, b"\0\x01", E::NoReasonCode),
    ("SUBACK without a code", V5, 0x90, b"\0\x01\0", E::NoReasonCode),
    ("SUBACK of packet identifier 0", V3, 0x90, b"\0\0\0", E::PacketIdentifierZero),
    ("SUBACK with QoS 3", V3, 0x90, b"\0\x01\x03", E::ReasonCodeNotAllowed),
    ("3.1.1 [MQTT-3.9.3-2] SUBACK with a code of 5.0", V3, 0x90, b"\0\x01\x87", E::ReasonCodeNotAllowed),
    ("[MQTT-3.9.3-2] SUBACK with a code of UNSUBACK", V5, 0x90, b"\0\x01\0\x11", E::ReasonCodeNotAllowed),
    ("UNSUBSCRIBE of packet identifier 0", V3, 0xA2, b"\0\0\0\x01a", E::PacketIdentifierZero),
    ("[MQTT-3.10.3-2] UNSUBSCRIBE without a filter", V3, 0xA2, b"\0\x01", E::NoTopicFilter),
    ("[MQTT-3.10.3-2] UNSUBSCRIBE without a filter", V5, 0xA2, b"\0\x01\0", E::NoTopicFilter),
    ("[MQTT-3.10.3-1] filter not UTF-8", V5, 0xA2, b"\0\x01\0\0\x01\xFF", E::StringNotUtf8),
    ("half a filter", V3, 0xA2, b"\0\x01\0\x01a\0", E::UnexpectedEnd),
    ("subscription identifier in UNSUBSCRIBE", V5, 0xA2, b"\0\x01\x02\x0B\x01\0\x01a", E::PropertyNotAllowed),
    ("UNSUBACK with codes before 5.0", V3, 0xB0, b"\0\x01\0", E::TrailingBytes),
    ("UNSUBACK without a code", V5, 0xB0, b"\0\x01\0", E::NoReasonCode),
    ("[MQTT-3.11.3-2] UNSUBACK with a code of SUBACK", V5, 0xB0, b"\0\x01\0\x01", E::ReasonCodeNotAllowed),
];

#[rustfmt::skip]
const THE_REST: &[Row] = &[
    ("PINGREQ with a body", ALL, 0xC0, b"\0", E::TrailingBytes),
    ("PINGRESP with a body", ALL, 0xD0, b"\0", E::TrailingBytes),
    ("DISCONNECT with a body before 5.0", V3, 0xE0, b"\0", E::TrailingBytes),
    ("[MQTT-3.14.2-1] DISCONNECT with a code of CONNACK", V5, 0xE0, b"\x84", E::ReasonCodeNotAllowed),
    ("DISCONNECT with bytes behind the properties", V5, 0xE0, b"\0\0\0", E::TrailingBytes),
    ("DISCONNECT with an authentication method", V5, 0xE0, b"\0\x03\x15\0\0", E::PropertyNotAllowed),
    ("[MQTT-3.15.2-1] AUTH with another code", V5, 0xF0, b"\x87\x03\x15\0\0", E::ReasonCodeNotAllowed),
    ("AUTH with a code alone", V5, 0xF0, b"\x18", E::UnexpectedEnd),
    ("AUTH without a method", V5, 0xF0, b"\x18\0", E::AuthenticationMethodMissing),
    ("AUTH with data but no method", V5, 0xF0, b"\x18\x03\x16\0\0", E::AuthenticationDataWithoutMethod),
    ("AUTH with two methods", V5, 0xF0, b"\x18\x06\x15\0\0\x15\0\0", E::PropertyDuplicate),
];

/// Rows whose remaining length is itself what is wrong: the whole input.
#[rustfmt::skip]
const REMAINING_LENGTHS: &[(&str, &[Version], &[u8], E)] = &[
    ("five bytes", ALL, b"\x30\x80\x80\x80\x80\x01", E::VariableByteIntegerTooLong),
    ("a fourth byte that goes on", ALL, b"\x30\xFF\xFF\xFF\xFF", E::VariableByteIntegerTooLong),
    ("[MQTT-1.5.5-1] zero in two bytes", ALL, b"\xC0\x80\0", E::VariableByteIntegerNotMinimal),
    ("[MQTT-1.5.5-1] zero in three bytes", ALL, b"\xC0\x80\x80\0", E::VariableByteIntegerNotMinimal),
    ("[MQTT-1.5.5-1] zero in four bytes", ALL, b"\xC0\x80\x80\x80\0", E::VariableByteIntegerNotMinimal),
    ("[MQTT-1.5.5-1] five in two bytes", V31, b"\x30\x85\0\0\x01tab", E::VariableByteIntegerNotMinimal),
];

fn rows() -> impl Iterator<Item = &'static Row> {
    [
        FIXED_HEADERS,
        CONNECTS,
        CONNACKS,
        PUBLISHES,
        ACKNOWLEDGEMENTS,
        SUBSCRIPTIONS,
        THE_REST,
    ]
    .into_iter()
    .flatten()
}

fn frame(first: u8, body: &[u8]) -> Vec<u8> {
    let len = u8::try_from(body.len()).expect("rows are short");
    assert!(len < 0x80, "rows are short");
    [&[first, len], body].concat()
}

#[test]
fn each_row_breaks_its_rule() {
    for &(what, versions, first, body, rule) in rows() {
        for &version in versions {
            let found = decode(&frame(first, body), version, usize::MAX).map(|_| ());
            assert_eq!(found, Err(rule), "{what}, {version:?}");
        }
    }
    for &(what, versions, input, rule) in REMAINING_LENGTHS {
        for &version in versions {
            let found = decode(input, version, usize::MAX).map(|_| ());
            assert_eq!(found, Err(rule), "remaining length: {what}, {version:?}");
        }
    }
}

/// A rule that no row breaks would be a rule that nobody knows to be checked.
#[test]
fn each_rule_has_a_row() {
    for &rule in E::ALL {
        let in_rows = rows().any(|row| row.4 == rule);
        let in_lengths = REMAINING_LENGTHS.iter().any(|row| row.3 == rule);
        // The limit is an argument, not a packet: `limits.rs` has its tests.
        assert!(
            in_rows || in_lengths || rule == E::PacketTooLarge,
            "{rule:?}"
        );
    }
}

/// However the bytes of a malformed packet arrive, the same rule is found, and once it has
/// been found more bytes do not change it.
#[test]
fn a_malformed_packet_stays_malformed_while_it_arrives() {
    for &(what, versions, first, body, rule) in rows() {
        let frame = frame(first, body);
        for &version in versions {
            let mut refused = false;
            for end in 0..=frame.len() {
                match decode(&frame[..end], version, usize::MAX) {
                    Ok(Decoded::Incomplete { needed }) => {
                        assert!(!refused && needed > 0 && end < frame.len(), "{what}, {end}");
                    }
                    found => {
                        assert_eq!(found, Err(rule), "{what}, {end}");
                        refused = true;
                    }
                }
            }
            assert!(refused, "{what}");
        }
    }
}

/// Each rule tells an operator what happened and a client what the specification wants it
/// to be told: 0x81 for malformed packets, some other error for the rest.
#[test]
fn each_rule_has_its_answer() {
    for &rule in E::ALL {
        let code = rule.reason_code();
        assert!(code.is_error(), "{rule:?}");
        assert_eq!(
            rule.kind() == ErrorKind::Malformed,
            code.as_u8() == 0x81,
            "{rule:?}"
        );
        let text = rule.to_string();
        assert!(text.len() > 8 && text.len() < 100, "{rule:?}: {text}");
        assert_eq!(
            E::ALL
                .iter()
                .filter(|other| other.to_string() == text)
                .count(),
            1,
            "{text}"
        );
        // 3.1.1 section 3.2.2.3 has a return code for one broken rule only.
        let expected = (rule == E::ProtocolLevelUnsupported).then_some(1);
        let found = rule.connect_return_code().map(|code| code.as_u8());
        assert_eq!(found, expected, "{rule:?}");
    }
    assert_eq!(size_of::<E>(), 1);
}

/// [MQTT-3.1.0-1]: whatever comes before CONNECT is known for what it is at its first byte.
#[test]
fn the_first_packet_is_a_connect_or_is_named() {
    use mqtt_codec::{PacketType, decode_connect};

    let connect = frame(0x10, b"\0\x04MQTT\x05\x02\0\x3C\0\0\x01c");
    match decode_connect(&connect, 1024) {
        Ok(DecodedConnect::Connect { connect, size: 16 }) => {
            assert_eq!((connect.version, connect.client_id), (Version::V5, "c"));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(
        decode_connect(&connect[..9], 1024),
        Ok(DecodedConnect::Incomplete { needed: 7 })
    );
    assert_eq!(decode_connect(&connect, 15), Err(E::PacketTooLarge));
    assert_eq!(
        decode_connect(b"", 1024),
        Ok(DecodedConnect::Incomplete { needed: 2 })
    );
    assert_eq!(
        decode_connect(b"\x30", 1024),
        Ok(DecodedConnect::Other(PacketType::Publish))
    );
    assert_eq!(
        decode_connect(b"\xF0", 1024),
        Ok(DecodedConnect::Other(PacketType::Auth))
    );
    assert_eq!(decode_connect(b"\x0F", 1024), Err(E::ReservedPacketType));
    let level_6 = frame(0x10, b"\0\x04MQTT\x06");
    assert_eq!(
        decode_connect(&level_6, 1024),
        Err(E::ProtocolLevelUnsupported)
    );
}
