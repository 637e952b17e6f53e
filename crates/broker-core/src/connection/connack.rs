//! CONNACK: what the client has to know of the server and of what was settled (section 3.2).

use mqtt_codec::{
    ConnAck, EncodeError, Properties, PropertiesBuf, Property, QoS, ReasonCode, Version,
};

use super::authenticate::Granted;
use crate::options::{BrokerOptions, PACKET_SIZE_MAX};
use crate::outbox::Outbox;
use crate::reason::put_explained;

/// What was settled with the client, as far as it has to be told.
pub(super) struct Settled {
    pub(super) assigned_client_id: Option<String>,
    /// Only if it is not what the client asked for.
    pub(super) session_expiry_secs: Option<u32>,
    pub(super) server_keep_alive_secs: Option<u16>,
    pub(super) response_information: Option<String>,
}

/// CONNACK with this reason. One for which 3.x has no return code is not sent: the connection just
/// closes.
pub(super) fn refusing_connack(
    version: Version,
    reason_code: ReasonCode,
    base: &PropertiesBuf,
    words: &str,
    bytes_max: usize,
) -> Outbox {
    let encode = |properties: Properties<'_>, flat: &mut Vec<u8>| {
        let connack = ConnAck {
            properties,
            ..ConnAck::new(false, reason_code)
        };
        connack.encode(version, flat)
    };
    let mut outbox = Outbox::default();
    outbox.put(|flat| put_explained(base, words, bytes_max, flat, encode));
    outbox
}

/// What the client has to know of the server (section 3.2.2.3 of 5.0).
pub(super) fn connack_properties(
    version: Version,
    options: &BrokerOptions,
    settled: &Settled,
    granted: Option<&Granted>,
) -> Result<PropertiesBuf, EncodeError> {
    let mut properties = PropertiesBuf::new();
    if !version.is_v5() {
        return Ok(properties);
    }
    if let Some(secs) = settled.session_expiry_secs {
        properties.push(Property::SessionExpiryInterval(secs))?;
    }
    properties.push(Property::ReceiveMaximum(options.receive_maximum.max(1)))?;
    if options.max_qos < QoS::ExactlyOnce {
        properties.push(Property::MaximumQos(options.max_qos))?;
    }
    if !options.retain_available {
        properties.push(Property::RetainAvailable(false))?;
    }
    if options.max_packet_size_bytes < PACKET_SIZE_MAX {
        properties.push(Property::MaximumPacketSize(
            options.max_packet_size_bytes.max(1),
        ))?;
    }
    if options.topic_alias_maximum > 0 {
        properties.push(Property::TopicAliasMaximum(options.topic_alias_maximum))?;
    }
    if let Some(id) = &settled.assigned_client_id {
        properties.push(Property::AssignedClientIdentifier(id))?;
    }
    if !options.wildcard_subscriptions {
        properties.push(Property::WildcardSubscriptionAvailable(false))?;
    }
    if !options.subscription_identifiers {
        properties.push(Property::SubscriptionIdentifiersAvailable(false))?;
    }
    if !options.shared_subscriptions {
        properties.push(Property::SharedSubscriptionAvailable(false))?;
    }
    if let Some(secs) = settled.server_keep_alive_secs {
        properties.push(Property::ServerKeepAlive(secs))?;
    }
    if let Some(information) = &settled.response_information {
        // One that cannot be expressed is not sent; the rest matters more.
        let _pushed = properties.push(Property::ResponseInformation(information));
    }
    if let Some(granted) = granted {
        granted.put(&mut properties)?;
    }
    Ok(properties)
}
