//! The property block of a packet: validated once, then read lazily from the packet's
//! own bytes (MQTT 5.0 section 2.2.2). [`PropertiesBuf`] is the same block being built.

use alloc::vec::Vec;
use bytes::BufMut;

use crate::{
    DecodeError, EncodeError, PayloadFormat, Property, PropertyId, PropertySet, QoS,
    cursor::Cursor,
    encode::{put_variable_byte_integer, variable_byte_integer_len},
    header::MAX_REMAINING_LENGTH,
    property::{property_id, property_value, skip_value},
};

/// The properties of one packet, borrowed from its bytes.
///
/// Everything was checked when the packet was decoded: types, ranges, duplicates and
/// whether the packet may carry them. So the getters cannot fail; they return `None`
/// where a property is absent, at the cost of one bit test. Before MQTT 5.0, and in a
/// `Properties::default()`, the block is empty. Equality compares the bytes, so order
/// counts.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Properties<'a> {
    raw: &'a [u8],
    present: PropertySet,
}

impl<'a> Properties<'a> {
    /// No property at all.
    pub const EMPTY: Self = Self {
        raw: &[],
        present: PropertySet::EMPTY,
    };

    /// Reads the length and the block behind it, and holds it against the rules.
    #[inline]
    pub(crate) fn decode(
        cursor: &mut Cursor<'a>,
        allowed: PropertySet,
    ) -> Result<Self, DecodeError> {
        match cursor.variable_byte_integer()? {
            0 => Ok(Self::EMPTY),
            len => Self::validate(cursor.sub(len as usize)?.remaining(), allowed),
        }
    }

    /// Reads a block that was kept as [`raw`](Self::raw) bytes, and checks it anew. Of
    /// Subscription Identifiers it accepts one, if `allowed` has them.
    ///
    /// ```
    /// use mqtt_codec::{Properties, PropertiesBuf, Property, PropertySet};
    ///
    /// let mut kept = PropertiesBuf::new();
    /// kept.push(Property::ContentType("text/plain"))?;
    /// let bytes = kept.as_properties().raw().to_vec();
    ///
    /// let again = Properties::from_raw(&bytes, PropertySet::FORWARDED)?;
    /// assert_eq!(again.content_type(), Some("text/plain"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The first rule that the block breaks; among them that it has nothing but `allowed`
    /// properties.
    pub fn from_raw(raw: &'a [u8], allowed: PropertySet) -> Result<Self, DecodeError> {
        Self::validate(raw, allowed)
    }

    fn validate(raw: &'a [u8], allowed: PropertySet) -> Result<Self, DecodeError> {
        let mut present = PropertySet::EMPTY;
        let mut cursor = Cursor::new(raw);
        while !cursor.is_empty() {
            let id = cursor.read(property_id)?;
            if !allowed.contains(id) {
                return Err(DecodeError::PropertyNotAllowed);
            }
            if present.contains(id) {
                present.insert_again(id);
                if !present.is_subset(allowed) || !PropertySet::may_repeat(id) {
                    return Err(DecodeError::PropertyDuplicate);
                }
            }
            present.insert(id);
            cursor.read(|input| property_value(id, input))?;
        }
        if present.contains(PropertyId::AuthenticationData)
            && !present.contains(PropertyId::AuthenticationMethod)
        {
            return Err(DecodeError::AuthenticationDataWithoutMethod);
        }
        Ok(Self { raw, present })
    }

    /// The block as it stood in the packet, without its length in front.
    #[must_use]
    #[inline]
    pub const fn raw(&self) -> &'a [u8] {
        self.raw
    }

    /// Whether there is no property.
    #[must_use]
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.raw.is_empty()
    }

    /// Whether the property is there; costs one bit test.
    #[must_use]
    #[inline]
    pub const fn contains(&self, id: PropertyId) -> bool {
        self.present.contains(id)
    }

    /// All properties, in the order of the packet.
    #[must_use]
    #[inline]
    pub const fn iter(&self) -> PropertyIter<'a> {
        PropertyIter {
            cursor: Cursor::new(self.raw),
        }
    }

    /// The first property with this identifier; skips over the others unread.
    #[must_use]
    #[inline]
    pub fn get(&self, id: PropertyId) -> Option<Property<'a>> {
        if self.present.contains(id) {
            self.find(id)
        } else {
            None
        }
    }

    fn find(&self, id: PropertyId) -> Option<Property<'a>> {
        let mut cursor = Cursor::new(self.raw);
        loop {
            let found = cursor.read(property_id).ok()?;
            if found == id {
                return cursor.read(|input| property_value(id, input)).ok();
            }
            cursor.read(|input| skip_value(found, input)).ok()?;
        }
    }

    /// All user properties as (name, value), in their order \[MQTT-3.3.2-18\].
    pub fn user_properties(&self) -> impl Iterator<Item = (&'a str, &'a str)> + Clone + use<'a> {
        self.of_id(PropertyId::UserProperty)
            .filter_map(|property| match property {
                Property::UserProperty(name, value) => Some((name, value)),
                _ => None,
            })
    }

    /// All subscription identifiers, in their order; at most one in a SUBSCRIBE.
    pub fn subscription_identifiers(&self) -> impl Iterator<Item = u32> + Clone + use<'a> {
        self.of_id(PropertyId::SubscriptionIdentifier)
            .filter_map(|property| match property {
                Property::SubscriptionIdentifier(id) => Some(id),
                _ => None,
            })
    }

    /// An iterator that has nothing to do if the property is absent.
    fn of_id(&self, id: PropertyId) -> PropertyIter<'a> {
        if self.present.contains(id) {
            self.iter()
        } else {
            Self::EMPTY.iter()
        }
    }

    /// Whether a packet that allows `allowed` can carry this block.
    #[inline]
    pub(crate) fn check(&self, allowed: PropertySet) -> Result<(), EncodeError> {
        if !self.present.is_subset(allowed) {
            return Err(EncodeError::PropertyNotAllowed);
        }
        if self.present.contains(PropertyId::AuthenticationData)
            && !self.present.contains(PropertyId::AuthenticationMethod)
        {
            return Err(EncodeError::AuthenticationMethodMissing);
        }
        Ok(())
    }

    /// Bytes of the block with its length, if a packet that allows `allowed` can carry it.
    #[inline]
    pub(crate) fn checked_len(&self, allowed: PropertySet) -> Result<usize, EncodeError> {
        self.check(allowed)?;
        if self.raw.len() > MAX_REMAINING_LENGTH {
            return Err(EncodeError::PacketTooLarge);
        }
        Ok(variable_byte_integer_len(self.raw.len()) + self.raw.len())
    }

    #[inline]
    pub(crate) fn put(&self, buf: &mut impl BufMut) {
        if self.raw.is_empty() {
            return buf.put_u8(0);
        }
        put_variable_byte_integer(buf, self.raw.len());
        buf.put_slice(self.raw);
    }
}

/// Writes one getter per property that is there at most once.
macro_rules! getters {
    ($($(#[$meta:meta])* $name:ident: $id:ident -> $value:ty;)+) => {
        impl<'a> Properties<'a> {
            $(
                $(#[$meta])*
                #[must_use]
                #[inline]
                pub fn $name(&self) -> Option<$value> {
                    match self.get(PropertyId::$id) {
                        Some(Property::$id(value)) => Some(value),
                        _ => None,
                    }
                }
            )+
        }
    };
}

getters! {
    /// What the payload is (PUBLISH, will).
    payload_format: PayloadFormatIndicator -> PayloadFormat;
    /// Lifetime of the message in seconds (PUBLISH, will).
    message_expiry_interval: MessageExpiryInterval -> u32;
    /// What the content is, in the application's words (PUBLISH, will).
    content_type: ContentType -> &'a str;
    /// The topic name for a response (PUBLISH, will).
    response_topic: ResponseTopic -> &'a str;
    /// Tells which request a response is for (PUBLISH, will).
    correlation_data: CorrelationData -> &'a [u8];
    /// The first subscription identifier (SUBSCRIBE has no more than one).
    subscription_identifier: SubscriptionIdentifier -> u32;
    /// Seconds that the session outlives its connection; `u32::MAX` means for ever
    /// (CONNECT, CONNACK, DISCONNECT).
    session_expiry_interval: SessionExpiryInterval -> u32;
    /// The client identifier that the server chose (CONNACK).
    assigned_client_identifier: AssignedClientIdentifier -> &'a str;
    /// Keep alive in seconds, in place of the client's (CONNACK).
    server_keep_alive: ServerKeepAlive -> u16;
    /// Name of the enhanced authentication (CONNECT, CONNACK, AUTH).
    authentication_method: AuthenticationMethod -> &'a str;
    /// Data of the enhanced authentication (CONNECT, CONNACK, AUTH).
    authentication_data: AuthenticationData -> &'a [u8];
    /// Whether reason strings and user properties are wanted; absent means yes (CONNECT).
    request_problem_information: RequestProblemInformation -> bool;
    /// Seconds between the connection's end and the will; absent means 0 (will).
    will_delay_interval: WillDelayInterval -> u32;
    /// Whether response information is wanted; absent means no (CONNECT).
    request_response_information: RequestResponseInformation -> bool;
    /// A basis for response topics (CONNACK).
    response_information: ResponseInformation -> &'a str;
    /// Another server to use (CONNACK, DISCONNECT).
    server_reference: ServerReference -> &'a str;
    /// Text for a human (acknowledgements, DISCONNECT, AUTH).
    reason_string: ReasonString -> &'a str;
    /// Unacknowledged QoS 1 and 2 messages taken at a time; absent means 65,535
    /// (CONNECT, CONNACK).
    receive_maximum: ReceiveMaximum -> u16;
    /// Highest topic alias taken; absent means 0 (CONNECT, CONNACK).
    topic_alias_maximum: TopicAliasMaximum -> u16;
    /// The alias that stands for, or is to stand for, the topic name (PUBLISH).
    topic_alias: TopicAlias -> u16;
    /// Highest QoS taken; absent means 2 (CONNACK).
    maximum_qos: MaximumQos -> QoS;
    /// Whether retained messages are supported; absent means yes (CONNACK).
    retain_available: RetainAvailable -> bool;
    /// Largest packet taken, in bytes; absent means no limit (CONNECT, CONNACK).
    maximum_packet_size: MaximumPacketSize -> u32;
    /// Whether wildcard subscriptions are supported; absent means yes (CONNACK).
    wildcard_subscription_available: WildcardSubscriptionAvailable -> bool;
    /// Whether subscription identifiers are supported; absent means yes (CONNACK).
    subscription_identifiers_available: SubscriptionIdentifiersAvailable -> bool;
    /// Whether shared subscriptions are supported; absent means yes (CONNACK).
    shared_subscription_available: SharedSubscriptionAvailable -> bool;
}

impl core::fmt::Debug for Properties<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<'a> IntoIterator for Properties<'a> {
    type Item = Property<'a>;
    type IntoIter = PropertyIter<'a>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Iterator over a validated property block; see [`Properties::iter`].
#[derive(Debug, Clone)]
pub struct PropertyIter<'a> {
    cursor: Cursor<'a>,
}

impl<'a> Iterator for PropertyIter<'a> {
    type Item = Property<'a>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.cursor.is_empty() {
            return None;
        }
        let id = self.cursor.read(property_id).ok()?;
        self.cursor.read(|input| property_value(id, input)).ok()
    }
}

impl core::iter::FusedIterator for PropertyIter<'_> {}

/// A property block being built for sending.
///
/// What is pushed is checked at once (ranges, lengths, duplicates); whether the packet
/// may carry it is checked when the packet is encoded. [`clear`](Self::clear) keeps the
/// memory, so one block can serve many packets. An empty block owns no memory.
///
/// ```
/// use mqtt_codec::{PropertiesBuf, Property};
///
/// let mut properties = PropertiesBuf::new();
/// properties.push(Property::TopicAlias(3))?;
/// properties.push(Property::UserProperty("unit", "kelvin"))?;
/// assert_eq!(properties.as_properties().topic_alias(), Some(3));
/// # Ok::<(), mqtt_codec::EncodeError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct PropertiesBuf {
    raw: Vec<u8>,
    present: PropertySet,
}

impl PropertiesBuf {
    /// An empty block, without memory of its own.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            raw: Vec::new(),
            present: PropertySet::EMPTY,
        }
    }

    /// Appends one property.
    ///
    /// # Errors
    ///
    /// Its value is out of range or too long, or it is there already and may not be
    /// there twice. The block is then unchanged.
    pub fn push(&mut self, property: Property<'_>) -> Result<(), EncodeError> {
        let len = property.checked_len()?;
        let id = property.id();
        self.note(id)?;
        self.raw.reserve(len);
        property.put(&mut self.raw);
        Ok(())
    }

    /// Appends those of `properties` that are in `keep`, in their order, by copying their
    /// bytes; see [`PropertySet::FORWARDED`].
    ///
    /// # Errors
    ///
    /// One of them is there already and may not be there twice; those before it are kept.
    pub fn extend(
        &mut self,
        properties: Properties<'_>,
        keep: PropertySet,
    ) -> Result<(), EncodeError> {
        if self.raw.is_empty() && properties.present.is_subset(keep) {
            self.raw.extend_from_slice(properties.raw);
            self.present = properties.present;
            return Ok(());
        }
        let mut rest = properties.raw;
        while let Ok((value, id)) = property_id(rest)
            && let Ok((after, ())) = skip_value(id, value)
        {
            if keep.contains(id)
                && let Some(bytes) = rest.get(..rest.len() - after.len())
            {
                self.note(id)?;
                self.raw.extend_from_slice(bytes);
            }
            rest = after;
        }
        Ok(())
    }

    /// The block so far.
    #[must_use]
    pub fn as_properties(&self) -> Properties<'_> {
        Properties {
            raw: &self.raw,
            present: self.present,
        }
    }

    /// Whether nothing was pushed.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.raw.is_empty()
    }

    /// Forgets the properties and keeps the memory.
    pub fn clear(&mut self) {
        self.raw.clear();
        self.present = PropertySet::EMPTY;
    }

    fn note(&mut self, id: PropertyId) -> Result<(), EncodeError> {
        if self.present.contains(id) {
            if !PropertySet::may_repeat(id) {
                return Err(EncodeError::PropertyDuplicate);
            }
            self.present.insert_again(id);
        }
        self.present.insert(id);
        Ok(())
    }
}

impl From<Properties<'_>> for PropertiesBuf {
    fn from(properties: Properties<'_>) -> Self {
        Self {
            raw: properties.raw.into(),
            present: properties.present,
        }
    }
}

impl core::fmt::Debug for PropertiesBuf {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.as_properties().fmt(f)
    }
}
