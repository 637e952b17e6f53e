//! One property of MQTT 5.0: its identifier, its type on the wire, its allowed values
//! (section 2.2.2, table 2-4). Which packet may carry which is in `property_set.rs`.

use bytes::BufMut;
use nom::{
    Parser,
    bytes::complete::take,
    combinator::map,
    number::complete::{be_u16, be_u32, u8},
};

use crate::{
    DecodeError, EncodeError, QoS,
    cursor::{Parsed, binary_data, utf8_string, variable_byte_integer},
    encode::{
        binary_len, put_binary, put_string, put_variable_byte_integer, string_len,
        variable_byte_integer_len,
    },
    header::MAX_REMAINING_LENGTH,
};

/// The identifiers of table 2-4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
#[expect(
    missing_docs,
    reason = "each is documented at its variant of `Property`"
)]
pub enum PropertyId {
    PayloadFormatIndicator = 0x01,
    MessageExpiryInterval = 0x02,
    ContentType = 0x03,
    ResponseTopic = 0x08,
    CorrelationData = 0x09,
    SubscriptionIdentifier = 0x0B,
    SessionExpiryInterval = 0x11,
    AssignedClientIdentifier = 0x12,
    ServerKeepAlive = 0x13,
    AuthenticationMethod = 0x15,
    AuthenticationData = 0x16,
    RequestProblemInformation = 0x17,
    WillDelayInterval = 0x18,
    RequestResponseInformation = 0x19,
    ResponseInformation = 0x1A,
    ServerReference = 0x1C,
    ReasonString = 0x1F,
    ReceiveMaximum = 0x21,
    TopicAliasMaximum = 0x22,
    TopicAlias = 0x23,
    MaximumQos = 0x24,
    RetainAvailable = 0x25,
    UserProperty = 0x26,
    MaximumPacketSize = 0x27,
    WildcardSubscriptionAvailable = 0x28,
    SubscriptionIdentifiersAvailable = 0x29,
    SharedSubscriptionAvailable = 0x2A,
}

impl PropertyId {
    /// The identifier with this value, if there is one.
    #[must_use]
    pub const fn from_u8(value: u8) -> Option<Self> {
        Some(match value {
            0x01 => Self::PayloadFormatIndicator,
            0x02 => Self::MessageExpiryInterval,
            0x03 => Self::ContentType,
            0x08 => Self::ResponseTopic,
            0x09 => Self::CorrelationData,
            0x0B => Self::SubscriptionIdentifier,
            0x11 => Self::SessionExpiryInterval,
            0x12 => Self::AssignedClientIdentifier,
            0x13 => Self::ServerKeepAlive,
            0x15 => Self::AuthenticationMethod,
            0x16 => Self::AuthenticationData,
            0x17 => Self::RequestProblemInformation,
            0x18 => Self::WillDelayInterval,
            0x19 => Self::RequestResponseInformation,
            0x1A => Self::ResponseInformation,
            0x1C => Self::ServerReference,
            0x1F => Self::ReasonString,
            0x21 => Self::ReceiveMaximum,
            0x22 => Self::TopicAliasMaximum,
            0x23 => Self::TopicAlias,
            0x24 => Self::MaximumQos,
            0x25 => Self::RetainAvailable,
            0x26 => Self::UserProperty,
            0x27 => Self::MaximumPacketSize,
            0x28 => Self::WildcardSubscriptionAvailable,
            0x29 => Self::SubscriptionIdentifiersAvailable,
            0x2A => Self::SharedSubscriptionAvailable,
            _ => return None,
        })
    }

    /// The byte that goes on the wire.
    #[must_use]
    pub const fn as_u8(self) -> u8 {
        self as u8
    }
}

/// What a payload is (section 3.3.2.3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum PayloadFormat {
    /// Unspecified bytes.
    #[default]
    Bytes,
    /// UTF-8 text; the codec does not look whether it is.
    Utf8,
}

/// One property with its value, borrowed from the packet.
///
/// Intervals are in seconds, sizes in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Property<'a> {
    /// PUBLISH, will: what the payload is (3.3.2.3.2).
    PayloadFormatIndicator(PayloadFormat),
    /// PUBLISH, will: lifetime of the message in seconds (3.3.2.3.3).
    MessageExpiryInterval(u32),
    /// PUBLISH, will: what the content is, in the application's words (3.3.2.3.9).
    ContentType(&'a str),
    /// PUBLISH, will: the topic name for a response (3.3.2.3.5).
    ResponseTopic(&'a str),
    /// PUBLISH, will: tells which request a response is for (3.3.2.3.6).
    CorrelationData(&'a [u8]),
    /// PUBLISH (any number), SUBSCRIBE (one): 1 to 268,435,455 (3.8.2.1.2).
    SubscriptionIdentifier(u32),
    /// CONNECT, CONNACK, DISCONNECT: seconds that the session outlives its connection;
    /// `u32::MAX` means for ever (3.1.2.11.2).
    SessionExpiryInterval(u32),
    /// CONNACK: the client identifier that the server chose (3.2.2.3.7).
    AssignedClientIdentifier(&'a str),
    /// CONNACK: keep alive in seconds, in place of the client's (3.2.2.3.14).
    ServerKeepAlive(u16),
    /// CONNECT, CONNACK, AUTH: name of the enhanced authentication (3.1.2.11.9).
    AuthenticationMethod(&'a str),
    /// CONNECT, CONNACK, AUTH: data of that method (3.1.2.11.10).
    AuthenticationData(&'a [u8]),
    /// CONNECT: whether reason strings and user properties are wanted (3.1.2.11.7).
    RequestProblemInformation(bool),
    /// Will: seconds between the connection's end and the will (3.1.3.2.2).
    WillDelayInterval(u32),
    /// CONNECT: whether response information is wanted (3.1.2.11.6).
    RequestResponseInformation(bool),
    /// CONNACK: a basis for response topics (3.2.2.3.15).
    ResponseInformation(&'a str),
    /// CONNACK, DISCONNECT: another server to use (3.2.2.3.16).
    ServerReference(&'a str),
    /// Every acknowledgement, DISCONNECT, AUTH: text for a human (3.2.2.3.9).
    ReasonString(&'a str),
    /// CONNECT, CONNACK: unacknowledged QoS 1 and 2 messages that the sender of this
    /// takes at a time, 1 to 65,535 (3.1.2.11.3).
    ReceiveMaximum(u16),
    /// CONNECT, CONNACK: the highest topic alias that the sender of this takes (3.1.2.11.5).
    TopicAliasMaximum(u16),
    /// PUBLISH: stands for a topic name, 1 to 65,535 (3.3.2.3.4).
    TopicAlias(u16),
    /// CONNACK: the highest QoS that the server takes, 0 or 1 (3.2.2.3.4).
    MaximumQos(QoS),
    /// CONNACK: whether retained messages are supported (3.2.2.3.5).
    RetainAvailable(bool),
    /// Every packet that has properties, any number: name and value (2.2.2.2).
    UserProperty(&'a str, &'a str),
    /// CONNECT, CONNACK: largest packet that the sender of this takes, in bytes, from
    /// 1 (3.1.2.11.4).
    MaximumPacketSize(u32),
    /// CONNACK: whether wildcards in filters are supported (3.2.2.3.11).
    WildcardSubscriptionAvailable(bool),
    /// CONNACK: whether subscription identifiers are supported (3.2.2.3.12).
    SubscriptionIdentifiersAvailable(bool),
    /// CONNACK: whether shared subscriptions are supported (3.2.2.3.13).
    SharedSubscriptionAvailable(bool),
}

/// A byte that says yes or no.
fn boolean(input: &[u8]) -> Parsed<'_, bool> {
    match u8(input)? {
        (rest, 0) => Ok((rest, false)),
        (rest, 1) => Ok((rest, true)),
        _ => Err(nom::Err::Failure(DecodeError::PropertyNotZeroOrOne)),
    }
}

/// The two kinds of payload.
fn payload_format(input: &[u8]) -> Parsed<'_, PayloadFormat> {
    map(boolean, |utf8| match utf8 {
        true => PayloadFormat::Utf8,
        false => PayloadFormat::Bytes,
    })
    .parse(input)
}

/// QoS 0 or 1: a server that takes 2 leaves the property out (section 3.2.2.3.4).
fn maximum_qos(input: &[u8]) -> Parsed<'_, QoS> {
    map(boolean, |one| match one {
        true => QoS::AtLeastOnce,
        false => QoS::AtMostOnce,
    })
    .parse(input)
}

/// A number for which zero is against the rules.
fn non_zero<'a, O: Copy + PartialEq + From<u8>>(
    number: impl Parser<&'a [u8], Output = O, Error = DecodeError>,
    zero: DecodeError,
) -> impl Parser<&'a [u8], Output = O, Error = DecodeError> {
    let mut number = number;
    move |input| match number.parse(input)? {
        (_, value) if value == O::from(0) => Err(nom::Err::Failure(zero)),
        parsed => Ok(parsed),
    }
}

/// The identifier in front of a value.
#[inline]
pub(crate) fn property_id(input: &[u8]) -> Parsed<'_, PropertyId> {
    let (rest, byte) = u8(input)?;
    match PropertyId::from_u8(byte) {
        Some(id) => Ok((rest, id)),
        None => Err(nom::Err::Failure(DecodeError::PropertyUnknown)),
    }
}

/// The value that belongs to `id`, with its range checked.
pub(crate) fn property_value(id: PropertyId, input: &[u8]) -> Parsed<'_, Property<'_>> {
    use PropertyId as Id;
    match id {
        Id::PayloadFormatIndicator => {
            map(payload_format, Property::PayloadFormatIndicator).parse(input)
        }
        Id::MessageExpiryInterval => map(be_u32, Property::MessageExpiryInterval).parse(input),
        Id::ContentType => map(utf8_string, Property::ContentType).parse(input),
        Id::ResponseTopic => map(utf8_string, Property::ResponseTopic).parse(input),
        Id::CorrelationData => map(binary_data, Property::CorrelationData).parse(input),
        Id::SubscriptionIdentifier => {
            let zero = DecodeError::SubscriptionIdentifierZero;
            let number = non_zero(variable_byte_integer, zero);
            map(number, Property::SubscriptionIdentifier).parse(input)
        }
        Id::SessionExpiryInterval => map(be_u32, Property::SessionExpiryInterval).parse(input),
        Id::AssignedClientIdentifier => {
            map(utf8_string, Property::AssignedClientIdentifier).parse(input)
        }
        Id::ServerKeepAlive => map(be_u16, Property::ServerKeepAlive).parse(input),
        Id::AuthenticationMethod => map(utf8_string, Property::AuthenticationMethod).parse(input),
        Id::AuthenticationData => map(binary_data, Property::AuthenticationData).parse(input),
        Id::RequestProblemInformation => {
            map(boolean, Property::RequestProblemInformation).parse(input)
        }
        Id::WillDelayInterval => map(be_u32, Property::WillDelayInterval).parse(input),
        Id::RequestResponseInformation => {
            map(boolean, Property::RequestResponseInformation).parse(input)
        }
        Id::ResponseInformation => map(utf8_string, Property::ResponseInformation).parse(input),
        Id::ServerReference => map(utf8_string, Property::ServerReference).parse(input),
        Id::ReasonString => map(utf8_string, Property::ReasonString).parse(input),
        Id::ReceiveMaximum => {
            let number = non_zero(be_u16, DecodeError::ReceiveMaximumZero);
            map(number, Property::ReceiveMaximum).parse(input)
        }
        Id::TopicAliasMaximum => map(be_u16, Property::TopicAliasMaximum).parse(input),
        Id::TopicAlias => {
            let number = non_zero(be_u16, DecodeError::TopicAliasZero);
            map(number, Property::TopicAlias).parse(input)
        }
        Id::MaximumQos => map(maximum_qos, Property::MaximumQos).parse(input),
        Id::RetainAvailable => map(boolean, Property::RetainAvailable).parse(input),
        Id::UserProperty => map((utf8_string, utf8_string), |(name, value)| {
            Property::UserProperty(name, value)
        })
        .parse(input),
        Id::MaximumPacketSize => {
            let number = non_zero(be_u32, DecodeError::MaximumPacketSizeZero);
            map(number, Property::MaximumPacketSize).parse(input)
        }
        Id::WildcardSubscriptionAvailable => {
            map(boolean, Property::WildcardSubscriptionAvailable).parse(input)
        }
        Id::SubscriptionIdentifiersAvailable => {
            map(boolean, Property::SubscriptionIdentifiersAvailable).parse(input)
        }
        Id::SharedSubscriptionAvailable => {
            map(boolean, Property::SharedSubscriptionAvailable).parse(input)
        }
    }
}

/// Steps over the value that belongs to `id` without looking at it.
#[inline]
pub(crate) fn skip_value(id: PropertyId, input: &[u8]) -> Parsed<'_, ()> {
    use PropertyId as Id;
    let (rest, _) = match id {
        Id::PayloadFormatIndicator
        | Id::RequestProblemInformation
        | Id::RequestResponseInformation
        | Id::MaximumQos
        | Id::RetainAvailable
        | Id::WildcardSubscriptionAvailable
        | Id::SubscriptionIdentifiersAvailable
        | Id::SharedSubscriptionAvailable => take(1usize)(input)?,
        Id::ServerKeepAlive | Id::ReceiveMaximum | Id::TopicAliasMaximum | Id::TopicAlias => {
            take(2usize)(input)?
        }
        Id::MessageExpiryInterval
        | Id::SessionExpiryInterval
        | Id::WillDelayInterval
        | Id::MaximumPacketSize => take(4usize)(input)?,
        Id::SubscriptionIdentifier => {
            let (rest, _) = variable_byte_integer(input)?;
            (rest, input)
        }
        Id::UserProperty => {
            let (rest, _) = binary_data(input)?;
            binary_data(rest)?
        }
        _ => binary_data(input)?,
    };
    Ok((rest, ()))
}

impl Property<'_> {
    /// The identifier that goes in front of the value.
    #[must_use]
    pub const fn id(&self) -> PropertyId {
        match self {
            Self::PayloadFormatIndicator(_) => PropertyId::PayloadFormatIndicator,
            Self::MessageExpiryInterval(_) => PropertyId::MessageExpiryInterval,
            Self::ContentType(_) => PropertyId::ContentType,
            Self::ResponseTopic(_) => PropertyId::ResponseTopic,
            Self::CorrelationData(_) => PropertyId::CorrelationData,
            Self::SubscriptionIdentifier(_) => PropertyId::SubscriptionIdentifier,
            Self::SessionExpiryInterval(_) => PropertyId::SessionExpiryInterval,
            Self::AssignedClientIdentifier(_) => PropertyId::AssignedClientIdentifier,
            Self::ServerKeepAlive(_) => PropertyId::ServerKeepAlive,
            Self::AuthenticationMethod(_) => PropertyId::AuthenticationMethod,
            Self::AuthenticationData(_) => PropertyId::AuthenticationData,
            Self::RequestProblemInformation(_) => PropertyId::RequestProblemInformation,
            Self::WillDelayInterval(_) => PropertyId::WillDelayInterval,
            Self::RequestResponseInformation(_) => PropertyId::RequestResponseInformation,
            Self::ResponseInformation(_) => PropertyId::ResponseInformation,
            Self::ServerReference(_) => PropertyId::ServerReference,
            Self::ReasonString(_) => PropertyId::ReasonString,
            Self::ReceiveMaximum(_) => PropertyId::ReceiveMaximum,
            Self::TopicAliasMaximum(_) => PropertyId::TopicAliasMaximum,
            Self::TopicAlias(_) => PropertyId::TopicAlias,
            Self::MaximumQos(_) => PropertyId::MaximumQos,
            Self::RetainAvailable(_) => PropertyId::RetainAvailable,
            Self::UserProperty(..) => PropertyId::UserProperty,
            Self::MaximumPacketSize(_) => PropertyId::MaximumPacketSize,
            Self::WildcardSubscriptionAvailable(_) => PropertyId::WildcardSubscriptionAvailable,
            Self::SubscriptionIdentifiersAvailable(_) => {
                PropertyId::SubscriptionIdentifiersAvailable
            }
            Self::SharedSubscriptionAvailable(_) => PropertyId::SharedSubscriptionAvailable,
        }
    }

    /// Bytes on the wire, identifier included, if the value may go there.
    pub(crate) fn checked_len(&self) -> Result<usize, EncodeError> {
        let in_range = match *self {
            Self::SubscriptionIdentifier(id) => (1..=MAX_REMAINING_LENGTH).contains(&(id as usize)),
            Self::ReceiveMaximum(value) | Self::TopicAlias(value) => value != 0,
            Self::MaximumPacketSize(value) => value != 0,
            Self::MaximumQos(qos) => qos != QoS::ExactlyOnce,
            _ => true,
        };
        if !in_range {
            return Err(EncodeError::PropertyOutOfRange);
        }
        Ok(1 + match *self {
            Self::PayloadFormatIndicator(_)
            | Self::RequestProblemInformation(_)
            | Self::RequestResponseInformation(_)
            | Self::MaximumQos(_)
            | Self::RetainAvailable(_)
            | Self::WildcardSubscriptionAvailable(_)
            | Self::SubscriptionIdentifiersAvailable(_)
            | Self::SharedSubscriptionAvailable(_) => 1,
            Self::ServerKeepAlive(_)
            | Self::ReceiveMaximum(_)
            | Self::TopicAliasMaximum(_)
            | Self::TopicAlias(_) => 2,
            Self::MessageExpiryInterval(_)
            | Self::SessionExpiryInterval(_)
            | Self::WillDelayInterval(_)
            | Self::MaximumPacketSize(_) => 4,
            Self::SubscriptionIdentifier(id) => variable_byte_integer_len(id as usize),
            Self::ContentType(text)
            | Self::ResponseTopic(text)
            | Self::AssignedClientIdentifier(text)
            | Self::AuthenticationMethod(text)
            | Self::ResponseInformation(text)
            | Self::ServerReference(text)
            | Self::ReasonString(text) => string_len(text)?,
            Self::CorrelationData(bytes) | Self::AuthenticationData(bytes) => binary_len(bytes)?,
            Self::UserProperty(name, value) => string_len(name)? + string_len(value)?,
        })
    }

    /// Writes what [`checked_len`](Self::checked_len) has measured.
    pub(crate) fn put(&self, buf: &mut impl BufMut) {
        buf.put_u8(self.id().as_u8());
        match *self {
            Self::PayloadFormatIndicator(format) => buf.put_u8(format as u8),
            Self::RequestProblemInformation(yes)
            | Self::RequestResponseInformation(yes)
            | Self::RetainAvailable(yes)
            | Self::WildcardSubscriptionAvailable(yes)
            | Self::SubscriptionIdentifiersAvailable(yes)
            | Self::SharedSubscriptionAvailable(yes) => buf.put_u8(u8::from(yes)),
            Self::MaximumQos(qos) => buf.put_u8(qos.as_u8()),
            Self::ServerKeepAlive(value)
            | Self::ReceiveMaximum(value)
            | Self::TopicAliasMaximum(value)
            | Self::TopicAlias(value) => buf.put_u16(value),
            Self::MessageExpiryInterval(value)
            | Self::SessionExpiryInterval(value)
            | Self::WillDelayInterval(value)
            | Self::MaximumPacketSize(value) => buf.put_u32(value),
            Self::SubscriptionIdentifier(id) => put_variable_byte_integer(buf, id as usize),
            Self::ContentType(text)
            | Self::ResponseTopic(text)
            | Self::AssignedClientIdentifier(text)
            | Self::AuthenticationMethod(text)
            | Self::ResponseInformation(text)
            | Self::ServerReference(text)
            | Self::ReasonString(text) => put_string(buf, text),
            Self::CorrelationData(bytes) | Self::AuthenticationData(bytes) => {
                put_binary(buf, bytes);
            }
            Self::UserProperty(name, value) => {
                put_string(buf, name);
                put_string(buf, value);
            }
        }
    }
}
