//! Sending clients to another server (MQTT 5.0 section 4.11).

use std::sync::Arc;

use mqtt_codec::{PropertiesBuf, Property, ReasonCode};

/// Where clients are to go instead of here, and for how long; see
/// [`Broker::redirect`](crate::Broker::redirect).
///
/// ```
/// use broker_core::Redirect;
///
/// let redirect = Redirect::temporary("mqtt.example.org:1883");
/// assert_eq!(redirect.server_reference(), "mqtt.example.org:1883");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    server_reference: Arc<str>,
    permanent: bool,
}

impl Redirect {
    /// For now: clients are told 0x9C, use another server, and may come back later.
    ///
    /// `server_reference` is a list of names separated by spaces, each a host with an optional
    /// port, such as `mqtt.example.org:1883` or `[2001:db8::1]:1883` (section 4.11). It is sent as
    /// it stands. One longer than 65,535 bytes or with a null character cannot be sent; clients
    /// are then told the reason alone.
    pub fn temporary(server_reference: impl Into<Arc<str>>) -> Self {
        Self {
            server_reference: server_reference.into(),
            permanent: false,
        }
    }

    /// For good: clients are told 0x9D, server moved. `server_reference` as in
    /// [`temporary`](Self::temporary).
    pub fn permanent(server_reference: impl Into<Arc<str>>) -> Self {
        Self {
            permanent: true,
            ..Self::temporary(server_reference)
        }
    }

    /// Where clients are sent.
    pub fn server_reference(&self) -> &str {
        &self.server_reference
    }

    /// Whether they are to stay away for good.
    pub fn is_permanent(&self) -> bool {
        self.permanent
    }

    /// What stands beside the reason code: the server reference, unless it is one that cannot be
    /// expressed.
    pub(crate) fn properties(&self) -> PropertiesBuf {
        let mut properties = PropertiesBuf::new();
        let _pushed = properties.push(Property::ServerReference(&self.server_reference));
        properties
    }

    /// What they are told.
    pub(crate) fn reason_code(&self) -> ReasonCode {
        if self.permanent {
            ReasonCode::ServerMoved
        } else {
            ReasonCode::UseAnotherServer
        }
    }
}
