//! What the server has said of itself in CONNACK (MQTT 5.0, section 3.2.2.3).

use mqtt_codec::{Properties, QoS, Version};

use super::Client;

/// What a server takes, and what it can do; where it has not said so, as the specification has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerLimits {
    /// Messages at QoS 1 and 2 that may be under way to it, from 1; 65,535 where it does not say.
    pub receive_maximum: u16,
    /// The highest QoS at which it takes messages.
    pub maximum_qos: QoS,
    /// The largest packet that it takes, in bytes; `None` if it has not named one.
    pub maximum_packet_size: Option<u32>,
    /// Whether it retains messages; it closes the connection over one that is to be retained if not.
    pub retain_available: bool,
    /// Whether a subscription may have an identifier: never before MQTT 5.0.
    pub subscription_identifiers_available: bool,
}

/// Those of a server of MQTT 5.0 that has not said any.
impl Default for ServerLimits {
    fn default() -> Self {
        Self::of(Version::V5, Properties::EMPTY)
    }
}

impl ServerLimits {
    pub(super) fn of(version: Version, connack: Properties<'_>) -> Self {
        let identifiers = connack.subscription_identifiers_available();
        Self {
            receive_maximum: connack.receive_maximum().unwrap_or(u16::MAX),
            maximum_qos: connack.maximum_qos().unwrap_or(QoS::ExactlyOnce),
            maximum_packet_size: connack.maximum_packet_size(),
            retain_available: connack.retain_available().unwrap_or(true),
            subscription_identifiers_available: version.is_v5() && identifiers.unwrap_or(true),
        }
    }
}

impl Client {
    /// What the server has said of itself.
    #[must_use]
    pub fn limits(&self) -> &ServerLimits {
        &self.limits
    }

    /// Messages at QoS 1 and 2 that the server takes at one time (MQTT 5.0, section 3.2.2.3.3); 65,535 where it
    /// does not say.
    #[must_use]
    pub fn receive_maximum(&self) -> u16 {
        self.limits.receive_maximum
    }
}
