//! Which properties are there, and which packet may carry which (table 2-4 of MQTT 5.0).

use crate::PropertyId;

/// A set of property identifiers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct PropertySet(u64);

/// Kept beside the identifiers, all of which are below 43: a Subscription Identifier is
/// present more than once.
const SEVERAL_SUBSCRIPTION_IDENTIFIERS: u64 = 1 << 63;

impl PropertySet {
    /// No property.
    pub const EMPTY: Self = Self(0);

    /// What a server forwards unchanged from a PUBLISH or a will to its receivers
    /// (sections 3.3.2.3.2 to 3.3.2.3.9): all but expiry, alias and subscription
    /// identifiers.
    pub const FORWARDED: Self = Self::of(&[
        PropertyId::PayloadFormatIndicator,
        PropertyId::ContentType,
        PropertyId::ResponseTopic,
        PropertyId::CorrelationData,
        PropertyId::UserProperty,
    ]);

    /// The set of these identifiers.
    #[must_use]
    pub const fn of(mut ids: &[PropertyId]) -> Self {
        let mut bits = 0;
        while let [id, rest @ ..] = ids {
            bits |= 1 << *id as u8;
            ids = rest;
        }
        Self(bits)
    }

    /// Whether `id` is in the set.
    #[must_use]
    #[inline]
    pub const fn contains(self, id: PropertyId) -> bool {
        self.0 >> id as u8 & 1 != 0
    }

    /// Whether the set has no identifier.
    #[must_use]
    #[inline]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    #[inline]
    pub(crate) const fn insert(&mut self, id: PropertyId) {
        self.0 |= 1 << id as u8;
    }

    /// Remembers that the identifier is there once more.
    #[inline]
    pub(crate) const fn insert_again(&mut self, id: PropertyId) {
        self.insert(id);
        if matches!(id, PropertyId::SubscriptionIdentifier) {
            self.0 |= SEVERAL_SUBSCRIPTION_IDENTIFIERS;
        }
    }

    /// Whether some packet may carry the property more than once.
    pub(crate) const fn may_repeat(id: PropertyId) -> bool {
        matches!(
            id,
            PropertyId::UserProperty | PropertyId::SubscriptionIdentifier
        )
    }

    /// Whether every identifier is also in `other`; several Subscription Identifiers only
    /// if `other` allows several.
    #[inline]
    pub(crate) const fn is_subset(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }
}

/// Which packet may carry which property (table 2-4).
pub(crate) mod allowed {
    use super::{PropertyId as Id, PropertySet, SEVERAL_SUBSCRIPTION_IDENTIFIERS};

    pub(crate) const CONNECT: PropertySet = PropertySet::of(&[
        Id::SessionExpiryInterval,
        Id::AuthenticationMethod,
        Id::AuthenticationData,
        Id::RequestProblemInformation,
        Id::RequestResponseInformation,
        Id::ReceiveMaximum,
        Id::TopicAliasMaximum,
        Id::UserProperty,
        Id::MaximumPacketSize,
    ]);
    pub(crate) const WILL: PropertySet = PropertySet::of(&[
        Id::PayloadFormatIndicator,
        Id::MessageExpiryInterval,
        Id::ContentType,
        Id::ResponseTopic,
        Id::CorrelationData,
        Id::WillDelayInterval,
        Id::UserProperty,
    ]);
    pub(crate) const CONNACK: PropertySet = PropertySet::of(&[
        Id::SessionExpiryInterval,
        Id::AssignedClientIdentifier,
        Id::ServerKeepAlive,
        Id::AuthenticationMethod,
        Id::AuthenticationData,
        Id::ResponseInformation,
        Id::ServerReference,
        Id::ReasonString,
        Id::ReceiveMaximum,
        Id::TopicAliasMaximum,
        Id::MaximumQos,
        Id::RetainAvailable,
        Id::UserProperty,
        Id::MaximumPacketSize,
        Id::WildcardSubscriptionAvailable,
        Id::SubscriptionIdentifiersAvailable,
        Id::SharedSubscriptionAvailable,
    ]);
    pub(crate) const PUBLISH: PropertySet = PropertySet(
        PropertySet::of(&[
            Id::PayloadFormatIndicator,
            Id::MessageExpiryInterval,
            Id::ContentType,
            Id::ResponseTopic,
            Id::CorrelationData,
            Id::SubscriptionIdentifier,
            Id::TopicAlias,
            Id::UserProperty,
        ])
        .0 | SEVERAL_SUBSCRIPTION_IDENTIFIERS,
    );
    pub(crate) const SUBSCRIBE: PropertySet =
        PropertySet::of(&[Id::SubscriptionIdentifier, Id::UserProperty]);
    pub(crate) const UNSUBSCRIBE: PropertySet = PropertySet::of(&[Id::UserProperty]);
    /// PUBACK, PUBREC, PUBREL, PUBCOMP, SUBACK and UNSUBACK.
    pub(crate) const ACKNOWLEDGEMENT: PropertySet =
        PropertySet::of(&[Id::ReasonString, Id::UserProperty]);
    pub(crate) const DISCONNECT: PropertySet = PropertySet::of(&[
        Id::SessionExpiryInterval,
        Id::ServerReference,
        Id::ReasonString,
        Id::UserProperty,
    ]);
    pub(crate) const AUTH: PropertySet = PropertySet::of(&[
        Id::AuthenticationMethod,
        Id::AuthenticationData,
        Id::ReasonString,
        Id::UserProperty,
    ]);
}
