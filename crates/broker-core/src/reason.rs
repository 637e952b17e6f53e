//! Reason strings: what MQTT 5 clients are told in words beside a reason code, for the people who
//! look for the error (sections 3.2.2.3.9, 3.4.2.2.2, 3.14.2.2.3 and their likes).
//!
//! Errors alone get one. Clients that do not want them (request problem information 0) get them in
//! CONNACK and DISCONNECT only [MQTT-3.1.2-29], and a packet that would grow too large for the
//! client by it goes without.

use mqtt_codec::{EncodeError, Properties, PropertiesBuf, Property, ReasonCode};

/// Why CONNECT was refused.
pub(crate) const fn of_refusal(reason: ReasonCode) -> &'static str {
    match reason {
        ReasonCode::ServerUnavailable => "the server takes no clients at the moment",
        ReasonCode::QuotaExceeded => "the server has as many sessions as it takes",
        ReasonCode::ClientIdentifierNotValid => "the client identifier is missing or too long",
        ReasonCode::TopicNameInvalid => "the will's topic is too long or has too many levels",
        ReasonCode::MalformedPacket => "the will's topic is malformed",
        ReasonCode::ProtocolError => "the will's response topic is malformed",
        ReasonCode::PayloadFormatInvalid => "the will's payload is not UTF-8",
        ReasonCode::QosNotSupported => "the will's QoS is not supported",
        ReasonCode::RetainNotSupported => "retained wills are not supported",
        ReasonCode::PacketTooLarge => "the maximum packet size is too small for CONNACK",
        ReasonCode::BadAuthenticationMethod => "the authentication method is not supported",
        other => other.as_str(),
    }
}

/// Why a PUBLISH was not accepted, for PUBACK and PUBREC.
pub(crate) const fn of_publish(reason: ReasonCode) -> &'static str {
    match reason {
        ReasonCode::NotAuthorized => "not authorized to publish to this topic",
        ReasonCode::QuotaExceeded => "not retained: the limit on retained messages is reached",
        ReasonCode::PayloadFormatInvalid => "the payload is not UTF-8",
        other => other.as_str(),
    }
}

/// Why a subscription was not granted, or not removed.
pub(crate) const fn of_subscription(reason: ReasonCode) -> &'static str {
    match reason {
        ReasonCode::QuotaExceeded => "the session has as many subscriptions as it may have",
        ReasonCode::TopicFilterInvalid => "a topic filter is malformed, too long or too deep",
        ReasonCode::NotAuthorized => "not authorized to subscribe to a topic filter",
        other => other.as_str(),
    }
}

/// Appends a packet with the properties of `base` and a reason string; without the string where the
/// packet would be larger with it than `bytes_max`, and not at all where it is too large even so.
pub(crate) fn put_explained(
    base: &PropertiesBuf,
    words: &str,
    bytes_max: usize,
    flat: &mut Vec<u8>,
    encode: impl Fn(Properties<'_>, &mut Vec<u8>) -> Result<usize, EncodeError>,
) {
    let mut explained = base.clone();
    // Without the string if it is one that cannot be sent.
    let _pushed = explained.push(Property::ReasonString(words));
    let before = flat.len();
    for properties in [&explained, base] {
        // Replies are made of parts that were checked; one that cannot be encoded is not sent.
        match encode(properties.as_properties(), flat) {
            Ok(bytes) if bytes <= bytes_max => return,
            _ => flat.truncate(before),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mqtt_codec::{PacketId, PubAck, Version};

    fn puback(bytes_max: usize) -> Vec<u8> {
        let mut flat = vec![7];
        let encode = |properties: Properties<'_>, flat: &mut Vec<u8>| {
            let puback = PubAck {
                reason_code: ReasonCode::QuotaExceeded,
                properties,
                ..PubAck::new(PacketId::MIN)
            };
            puback.encode(Version::V5, flat)
        };
        put_explained(&PropertiesBuf::new(), "full", bytes_max, &mut flat, encode);
        flat
    }

    /// MQTT 5.0: [MQTT-3.4.2-2]
    #[test]
    fn a_reason_string_is_left_out_where_it_does_not_fit() {
        let with = [
            7, 0x40, 11, 0, 1, 0x97, 7, 0x1F, 0, 4, b'f', b'u', b'l', b'l',
        ];
        let without = [7, 0x40, 3, 0, 1, 0x97];
        assert_eq!(puback(usize::MAX), with);
        assert_eq!(puback(13), with);
        assert_eq!(puback(12), without);
        assert_eq!(puback(5), without);
        assert_eq!(puback(4), [7], "too large even so");
    }

    #[test]
    fn every_reason_has_words_that_a_property_can_carry() {
        for reason in ReasonCode::ALL {
            for words in [
                of_refusal(*reason),
                of_publish(*reason),
                of_subscription(*reason),
            ] {
                assert!((1..100).contains(&words.len()), "{reason}: {words}");
            }
        }
    }
}
