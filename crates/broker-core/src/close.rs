//! Why a connection ends, and what each side is told of it.

use mqtt_codec::{DecodeError, Disconnect, ReasonCode, Version};

use crate::persistence::PersistenceError;

/// Why a network connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloseCause {
    /// The client sent DISCONNECT, with this reason.
    Disconnected(ReasonCode),
    /// The network connection broke, or the client closed it without DISCONNECT.
    ConnectionLost,
    /// The client sent something that cannot be decoded.
    Malformed(DecodeError),
    /// The client sent a well-formed packet that breaks a rule.
    Protocol(Violation),
    /// CONNECT was refused.
    Refused(ReasonCode),
    /// The client was authenticated anew and did not pass (MQTT 5.0 section 4.12.1).
    AuthenticationFailed(ReasonCode),
    /// The client has asked for what it may not do, or may not stay any longer
    /// ([`Hooks`](crate::Hooks)).
    NotAuthorized,
    /// No complete CONNECT came in time.
    ConnectTimeout,
    /// The exchange of an authentication method took too long, before CONNACK or on a live
    /// connection.
    AuthenticationTimeout,
    /// Nothing came for one and a half times the keep alive.
    KeepAliveTimeout,
    /// The network connection has taken nothing for as long as it may
    /// ([`write_timeout`](crate::BrokerOptions::write_timeout)). It would not take a DISCONNECT either.
    SlowReader,
    /// The client does not read as fast as messages come for it
    /// ([`SlowConsumerPolicy::Disconnect`](crate::SlowConsumerPolicy::Disconnect)).
    OutboxFull,
    /// There is no memory for a packet of which the end has not come
    /// ([`max_total_partial_bytes`](crate::BrokerOptions::max_total_partial_bytes)).
    NoRoom,
    /// Another connection came with the same client identifier.
    TakenOver,
    /// The server is going down.
    ServerShutdown,
    /// The server is going down, and the client is sent to another: 0x9C for now, 0x9D for good.
    Redirected(ReasonCode),
    /// The client asked for what takes a larger SUBACK or UNSUBACK than its maximum packet size
    /// [MQTT-3.1.2-24], and would wait for it in vain. Nothing was subscribed or unsubscribed.
    ReplyTooLarge,
    /// The program around the broker wants it so, for this reason
    /// ([`Broker::disconnect`](crate::Broker::disconnect)).
    Administrative(ReasonCode),
    /// The store did not accept what had to become durable, or could not be read.
    StoreFailed,
    /// The same, because it is full.
    StoreFull,
}

/// A rule that a well-formed packet broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Violation {
    /// A packet other than CONNECT came first [MQTT-3.1.0-1].
    #[error("the first packet is not CONNECT")]
    NotConnected,
    /// A second CONNECT [MQTT-3.1.0-2].
    #[error("second CONNECT")]
    SecondConnect,
    /// A packet that only a server sends.
    #[error("a packet that only a server sends")]
    ServerPacket,
    /// PUBACK, PUBREC or PUBCOMP that is not the next step of the delivery it names (section 4.3):
    /// PUBREC for a message at QoS 1, PUBACK for one at QoS 2, PUBCOMP before PUBREL.
    #[error("an acknowledgement that does not belong to the QoS of its message")]
    OutOfOrder,
    /// AUTH without an authentication method in CONNECT [MQTT-4.12.0-7], or out of turn.
    #[error("AUTH that nobody waits for")]
    UnexpectedAuth,
    /// AUTH with another authentication method than CONNECT [MQTT-4.12.0-5] [MQTT-4.12.1-1].
    #[error("another authentication method than in CONNECT")]
    AuthenticationMethod,
    /// Something else than AUTH and DISCONNECT although an authentication method was named in
    /// CONNECT and CONNACK has not come [MQTT-3.1.2-30].
    #[error("a packet before CONNACK that does not authenticate")]
    BeforeConnAck,
    /// A topic name with a wildcard, or otherwise not a topic name [MQTT-3.3.2-2].
    #[error("malformed topic name")]
    TopicName,
    /// A topic name that is longer or has more levels than the options allow.
    #[error("topic name too long or with too many levels")]
    TopicNameLimit,
    /// A response topic that is not a topic name [MQTT-3.3.2-14].
    #[error("malformed response topic")]
    ResponseTopic,
    /// A topic alias of 0, or above the topic alias maximum of CONNACK [MQTT-3.3.2-8]
    /// [MQTT-3.3.2-9].
    #[error("topic alias above the maximum")]
    TopicAlias,
    /// A topic alias in place of the topic name that stands for none (section 3.3.4).
    #[error("topic alias that stands for no topic name")]
    UnknownTopicAlias,
    /// A subscription identifier in a PUBLISH from a client [MQTT-3.3.4-6].
    #[error("subscription identifier in a PUBLISH from a client")]
    SubscriptionIdentifier,
    /// More QoS 2 messages begun than the receive maximum allows [MQTT-3.3.4-7].
    #[error("receive maximum exceeded")]
    ReceiveMaximum,
    /// A QoS 0 message whose payload is not UTF-8, although its payload format indicator says so
    /// (section 3.3.2.3.2).
    #[error("payload is not what its format indicator says")]
    PayloadFormat,
    /// A quality of service above the maximum [MQTT-3.2.2-11].
    #[error("QoS not supported")]
    Qos,
    /// A retained message although they are not available [MQTT-3.2.2-14].
    #[error("retained messages not supported")]
    Retain,
    /// A topic filter that is not one [MQTT-4.7.1-1].
    #[error("malformed topic filter")]
    TopicFilter,
    /// A subscription that was refused, in MQTT 3.1, whose SUBACK cannot say so.
    #[error("subscription refused")]
    SubscriptionRefused,
    /// A wildcard although the server announced that it has none (section 3.2.2.3.11).
    #[error("wildcard subscriptions not supported")]
    WildcardSubscription,
    /// A subscription identifier although the server announced that it has none (section
    /// 3.2.2.3.12).
    #[error("subscription identifiers not supported")]
    SubscriptionIdentifiers,
    /// A shared subscription although the server announced that it has none (section 3.2.2.3.13).
    #[error("shared subscriptions not supported")]
    SharedSubscription,
    /// No Local on a shared subscription [MQTT-3.8.3-4].
    #[error("No Local on a shared subscription")]
    SharedNoLocal,
    /// DISCONNECT sets a session expiry interval although CONNECT had none (section 3.14.2.2.2).
    #[error("session expiry interval set at DISCONNECT but not at CONNECT")]
    SessionExpiry,
}

impl Violation {
    /// The reason code that an MQTT 5 client sees in DISCONNECT.
    pub const fn reason_code(self) -> ReasonCode {
        match self {
            Self::NotConnected
            | Self::SecondConnect
            | Self::ServerPacket
            | Self::OutOfOrder
            | Self::UnexpectedAuth
            | Self::AuthenticationMethod
            | Self::BeforeConnAck
            | Self::UnknownTopicAlias
            | Self::ResponseTopic
            | Self::SubscriptionIdentifier
            | Self::SharedNoLocal
            | Self::SessionExpiry => ReasonCode::ProtocolError,
            // "Topic name invalid" and "topic filter invalid" are for those that are well-formed and not
            // accepted.
            Self::TopicName | Self::TopicFilter => ReasonCode::MalformedPacket,
            Self::TopicNameLimit => ReasonCode::TopicNameInvalid,
            Self::TopicAlias => ReasonCode::TopicAliasInvalid,
            Self::ReceiveMaximum => ReasonCode::ReceiveMaximumExceeded,
            Self::PayloadFormat => ReasonCode::PayloadFormatInvalid,
            Self::Qos => ReasonCode::QosNotSupported,
            Self::Retain => ReasonCode::RetainNotSupported,
            Self::SubscriptionRefused => ReasonCode::TopicFilterInvalid,
            Self::WildcardSubscription => ReasonCode::WildcardSubscriptionsNotSupported,
            Self::SubscriptionIdentifiers => ReasonCode::SubscriptionIdentifiersNotSupported,
            Self::SharedSubscription => ReasonCode::SharedSubscriptionsNotSupported,
        }
    }
}

impl CloseCause {
    /// The reason code of the DISCONNECT that an MQTT 5 client gets before the connection is
    /// closed (section 4.13); `None` where none is to be sent.
    pub fn disconnect_reason(self) -> Option<ReasonCode> {
        match self {
            Self::Disconnected(_)
            | Self::ConnectionLost
            | Self::Refused(_)
            | Self::ConnectTimeout
            | Self::SlowReader => None,
            Self::Malformed(error) => Some(match error.reason_code() {
                // For CONNACK alone; here it comes from a second CONNECT.
                ReasonCode::UnsupportedProtocolVersion => ReasonCode::ProtocolError,
                reason => reason,
            }),
            Self::Protocol(violation) => Some(violation.reason_code()),
            Self::AuthenticationFailed(reason) => Some(reason),
            Self::AuthenticationTimeout | Self::NotAuthorized => Some(ReasonCode::NotAuthorized),
            Self::KeepAliveTimeout => Some(ReasonCode::KeepAliveTimeout),
            Self::OutboxFull | Self::NoRoom => Some(ReasonCode::QuotaExceeded),
            Self::TakenOver => Some(ReasonCode::SessionTakenOver),
            Self::ServerShutdown => Some(ReasonCode::ServerShuttingDown),
            Self::Redirected(reason) | Self::Administrative(reason) => Some(reason),
            Self::ReplyTooLarge => Some(ReasonCode::PacketTooLarge),
            Self::StoreFailed => Some(ReasonCode::ImplementationSpecificError),
            Self::StoreFull => Some(ReasonCode::QuotaExceeded),
        }
    }

    /// What the Node.js mosca says of such an end, as the second argument of its event `clientDisconnected`,
    /// for programs that compare it; `None` where it has no word of its own for it.
    ///
    /// ```
    /// use broker_core::CloseCause;
    ///
    /// assert_eq!(CloseCause::ConnectionLost.mosca_reason(), Some("close"));
    /// assert_eq!(CloseCause::ConnectTimeout.mosca_reason(), None);
    /// ```
    pub fn mosca_reason(self) -> Option<&'static str> {
        match self {
            Self::Disconnected(_) => Some("disconnect request"),
            Self::ConnectionLost => Some("close"),
            Self::KeepAliveTimeout => Some("keepalive timeout"),
            Self::TakenOver => Some("new connection request"),
            Self::NotAuthorized => Some("publish not authorized"),
            Self::ServerShutdown | Self::Redirected(_) => Some("server closed"),
            Self::Malformed(_)
            | Self::Protocol(_)
            | Self::Refused(_)
            | Self::AuthenticationFailed(_)
            | Self::ConnectTimeout
            | Self::AuthenticationTimeout
            | Self::SlowReader
            | Self::OutboxFull
            | Self::NoRoom
            | Self::ReplyTooLarge
            | Self::Administrative(_)
            | Self::StoreFailed
            | Self::StoreFull => None,
        }
    }

    /// The end that somebody wants, who says this reason. One that DISCONNECT of a server cannot carry
    /// becomes 0x98.
    pub(crate) fn administrative(reason: ReasonCode) -> Self {
        let can_be_sent =
            reason.is_error() && Disconnect::new(reason).encoded_len(Version::V5).is_ok();
        Self::Administrative(match can_be_sent {
            true => reason,
            false => ReasonCode::AdministrativeAction,
        })
    }

    /// Why a connection closes whose batch failed.
    pub(crate) fn of_failed_commit(error: &PersistenceError) -> Self {
        match error {
            PersistenceError::Full(_) => Self::StoreFull,
            PersistenceError::Unavailable(_) | PersistenceError::Damaged(_) => Self::StoreFailed,
        }
    }

    /// Whether it is the store that has failed.
    pub(crate) fn is_of_the_store(self) -> bool {
        matches!(self, Self::StoreFailed | Self::StoreFull)
    }

    /// Whether the client takes less than is sent to it.
    pub(crate) fn is_slow_reader(self) -> bool {
        matches!(self, Self::SlowReader | Self::OutboxFull)
    }

    /// Whether the client has not shown who it is.
    pub(crate) fn is_failed_authentication(self) -> bool {
        matches!(
            self,
            Self::AuthenticationFailed(_) | Self::AuthenticationTimeout
        )
    }

    /// Whether the will is dropped instead of published: only a DISCONNECT with reason code 0x00,
    /// which all are before MQTT 5, drops it [MQTT-3.14.4-3].
    pub fn drops_will(self) -> bool {
        matches!(self, Self::Disconnected(ReasonCode::NORMAL_DISCONNECTION))
    }
}

impl core::fmt::Display for CloseCause {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Disconnected(reason) if !reason.is_error() => f.write_str("disconnect request"),
            Self::Disconnected(reason) => write!(f, "disconnect request: {reason}"),
            Self::ConnectionLost => f.write_str("connection lost"),
            Self::Malformed(error) => write!(f, "malformed packet: {error}"),
            Self::Protocol(violation) => write!(f, "protocol error: {violation}"),
            Self::Refused(reason) => write!(f, "connection refused: {reason}"),
            Self::AuthenticationFailed(reason) => write!(f, "authentication failed: {reason}"),
            Self::NotAuthorized => f.write_str("not authorized"),
            Self::ConnectTimeout => f.write_str("no CONNECT in time"),
            Self::AuthenticationTimeout => f.write_str("not authenticated in time"),
            Self::KeepAliveTimeout => f.write_str("keep alive timeout"),
            Self::SlowReader => f.write_str("nothing taken in time"),
            Self::OutboxFull => f.write_str("more messages than the client takes"),
            Self::NoRoom => f.write_str("no memory for so many packets that are not whole"),
            Self::TakenOver => f.write_str("session taken over"),
            Self::ServerShutdown => f.write_str("server shutting down"),
            Self::Redirected(reason) => write!(f, "server shutting down: {reason}"),
            Self::ReplyTooLarge => f.write_str("the reply is larger than the client's maximum"),
            Self::Administrative(reason) => write!(f, "disconnected by the program: {reason}"),
            Self::StoreFailed => f.write_str("store failed"),
            Self::StoreFull => f.write_str("store full"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every cause, with what an MQTT 5 client is told. The match below does not compile when a
    /// cause is added that is missing here.
    fn causes() -> Vec<(CloseCause, Option<ReasonCode>)> {
        let mut causes = vec![
            (CloseCause::Disconnected(ReasonCode::Success), None),
            (
                CloseCause::Disconnected(ReasonCode::DisconnectWithWill),
                None,
            ),
            (CloseCause::Disconnected(ReasonCode::UnspecifiedError), None),
            (CloseCause::ConnectionLost, None),
            (CloseCause::Refused(ReasonCode::NotAuthorized), None),
            (
                CloseCause::AuthenticationFailed(ReasonCode::NotAuthorized),
                Some(ReasonCode::NotAuthorized),
            ),
            (CloseCause::ConnectTimeout, None),
            (
                CloseCause::AuthenticationTimeout,
                Some(ReasonCode::NotAuthorized),
            ),
            (
                CloseCause::KeepAliveTimeout,
                Some(ReasonCode::KeepAliveTimeout),
            ),
            (CloseCause::SlowReader, None),
            (CloseCause::OutboxFull, Some(ReasonCode::QuotaExceeded)),
            (CloseCause::NoRoom, Some(ReasonCode::QuotaExceeded)),
            (CloseCause::TakenOver, Some(ReasonCode::SessionTakenOver)),
            (
                CloseCause::ServerShutdown,
                Some(ReasonCode::ServerShuttingDown),
            ),
            (
                CloseCause::Redirected(ReasonCode::UseAnotherServer),
                Some(ReasonCode::UseAnotherServer),
            ),
            (
                CloseCause::Redirected(ReasonCode::ServerMoved),
                Some(ReasonCode::ServerMoved),
            ),
            (CloseCause::ReplyTooLarge, Some(ReasonCode::PacketTooLarge)),
            (
                CloseCause::administrative(ReasonCode::ServerBusy),
                Some(ReasonCode::ServerBusy),
            ),
            (
                CloseCause::administrative(ReasonCode::BadUserNameOrPassword),
                Some(ReasonCode::AdministrativeAction),
            ),
            (
                CloseCause::administrative(ReasonCode::Success),
                Some(ReasonCode::AdministrativeAction),
            ),
            (
                CloseCause::StoreFailed,
                Some(ReasonCode::ImplementationSpecificError),
            ),
            (CloseCause::StoreFull, Some(ReasonCode::QuotaExceeded)),
            (CloseCause::NotAuthorized, Some(ReasonCode::NotAuthorized)),
        ];
        for error in DecodeError::ALL {
            let mut reason = error.reason_code();
            if reason == ReasonCode::UnsupportedProtocolVersion {
                reason = ReasonCode::ProtocolError;
            }
            causes.push((CloseCause::Malformed(*error), Some(reason)));
        }
        for (violation, reason) in violations() {
            causes.push((CloseCause::Protocol(violation), Some(reason)));
        }
        causes
    }

    fn violations() -> Vec<(Violation, ReasonCode)> {
        use ReasonCode as Reason;
        let all = [
            (Violation::NotConnected, Reason::ProtocolError),
            (Violation::SecondConnect, Reason::ProtocolError),
            (Violation::ServerPacket, Reason::ProtocolError),
            (Violation::OutOfOrder, Reason::ProtocolError),
            (Violation::UnexpectedAuth, Reason::ProtocolError),
            (Violation::AuthenticationMethod, Reason::ProtocolError),
            (Violation::BeforeConnAck, Reason::ProtocolError),
            (Violation::TopicName, Reason::MalformedPacket),
            (Violation::TopicNameLimit, Reason::TopicNameInvalid),
            (Violation::ResponseTopic, Reason::ProtocolError),
            (Violation::TopicAlias, Reason::TopicAliasInvalid),
            (Violation::UnknownTopicAlias, Reason::ProtocolError),
            (Violation::SubscriptionIdentifier, Reason::ProtocolError),
            (Violation::ReceiveMaximum, Reason::ReceiveMaximumExceeded),
            (Violation::PayloadFormat, Reason::PayloadFormatInvalid),
            (Violation::Qos, Reason::QosNotSupported),
            (Violation::Retain, Reason::RetainNotSupported),
            (Violation::TopicFilter, Reason::MalformedPacket),
            (Violation::SubscriptionRefused, Reason::TopicFilterInvalid),
            (
                Violation::WildcardSubscription,
                Reason::WildcardSubscriptionsNotSupported,
            ),
            (
                Violation::SubscriptionIdentifiers,
                Reason::SubscriptionIdentifiersNotSupported,
            ),
            (
                Violation::SharedSubscription,
                Reason::SharedSubscriptionsNotSupported,
            ),
            (Violation::SharedNoLocal, Reason::ProtocolError),
            (Violation::SessionExpiry, Reason::ProtocolError),
        ];
        for (violation, _) in all {
            match violation {
                Violation::NotConnected
                | Violation::SecondConnect
                | Violation::ServerPacket
                | Violation::OutOfOrder
                | Violation::UnexpectedAuth
                | Violation::AuthenticationMethod
                | Violation::BeforeConnAck
                | Violation::TopicName
                | Violation::TopicNameLimit
                | Violation::ResponseTopic
                | Violation::TopicAlias
                | Violation::UnknownTopicAlias
                | Violation::SubscriptionIdentifier
                | Violation::ReceiveMaximum
                | Violation::PayloadFormat
                | Violation::Qos
                | Violation::Retain
                | Violation::TopicFilter
                | Violation::SubscriptionRefused
                | Violation::WildcardSubscription
                | Violation::SubscriptionIdentifiers
                | Violation::SharedSubscription
                | Violation::SharedNoLocal
                | Violation::SessionExpiry => {}
            }
        }
        all.to_vec()
    }

    #[test]
    fn each_cause_tells_the_client_what_the_specification_asks_for() {
        for (cause, told) in causes() {
            match cause {
                CloseCause::Disconnected(_)
                | CloseCause::ConnectionLost
                | CloseCause::Malformed(_)
                | CloseCause::Protocol(_)
                | CloseCause::Refused(_)
                | CloseCause::AuthenticationFailed(_)
                | CloseCause::ConnectTimeout
                | CloseCause::AuthenticationTimeout
                | CloseCause::NotAuthorized
                | CloseCause::KeepAliveTimeout
                | CloseCause::SlowReader
                | CloseCause::OutboxFull
                | CloseCause::NoRoom
                | CloseCause::TakenOver
                | CloseCause::ServerShutdown
                | CloseCause::Redirected(_)
                | CloseCause::ReplyTooLarge
                | CloseCause::Administrative(_)
                | CloseCause::StoreFailed
                | CloseCause::StoreFull => {}
            }
            assert_eq!(cause.disconnect_reason(), told, "{cause}");
        }
    }

    /// `Connection` relies on it when it says farewell.
    #[test]
    fn every_reason_that_is_told_can_be_sent_in_disconnect() {
        use mqtt_codec::{Decoded, Disconnect, Version, decode};
        for (cause, told) in causes() {
            let Some(reason) = told else { continue };
            assert!(reason.is_error(), "{cause}");
            let mut bytes = Vec::new();
            Disconnect::new(reason)
                .encode(Version::V5, &mut bytes)
                .unwrap();
            let decoded = decode(&bytes, Version::V5, usize::MAX);
            assert!(
                matches!(decoded, Ok(Decoded::Packet { .. })),
                "{cause}: {reason}"
            );
        }
    }

    #[test]
    fn only_a_normal_disconnect_drops_the_will() {
        for (cause, _) in causes() {
            let polite = cause == CloseCause::Disconnected(ReasonCode::Success);
            assert_eq!(cause.drops_will(), polite, "{cause}");
        }
    }
}
