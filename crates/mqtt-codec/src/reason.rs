//! Reason codes of MQTT 5.0 and CONNACK return codes of MQTT 3.x, and how one
//! becomes the other.

/// Writes an enum over `u8` together with its conversions and its text.
macro_rules! code_enum {
    ($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident = $value:literal, $text:literal;)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum $name { $($(#[$vmeta])* #[doc = concat!("`", stringify!($value), "`: ", $text, ".")] $variant = $value,)+ }

        impl $name {
            /// Every code, in ascending order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The code with this value; `None` if the specification names none.
            #[must_use]
            pub const fn from_u8(value: u8) -> Option<Self> {
                match value { $($value => Some(Self::$variant),)+ _ => None }
            }

            /// The byte that goes on the wire.
            #[must_use]
            pub const fn as_u8(self) -> u8 { self as u8 }

            /// A short text for a log line.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }
        }

        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

code_enum! {
    /// A reason code of MQTT 5.0 (section 2.4). Values from 0x80 up are errors.
    ///
    /// Which codes a packet may carry depends on its type; decoding and encoding
    /// both check it.
    ReasonCode {
        Success = 0x00, "success";
        GrantedQos1 = 0x01, "granted QoS 1";
        GrantedQos2 = 0x02, "granted QoS 2";
        DisconnectWithWill = 0x04, "disconnect with will message";
        NoMatchingSubscribers = 0x10, "no matching subscribers";
        NoSubscriptionExisted = 0x11, "no subscription existed";
        ContinueAuthentication = 0x18, "continue authentication";
        ReAuthenticate = 0x19, "re-authenticate";
        UnspecifiedError = 0x80, "unspecified error";
        MalformedPacket = 0x81, "malformed packet";
        ProtocolError = 0x82, "protocol error";
        ImplementationSpecificError = 0x83, "implementation specific error";
        UnsupportedProtocolVersion = 0x84, "unsupported protocol version";
        ClientIdentifierNotValid = 0x85, "client identifier not valid";
        BadUserNameOrPassword = 0x86, "bad user name or password";
        NotAuthorized = 0x87, "not authorized";
        ServerUnavailable = 0x88, "server unavailable";
        ServerBusy = 0x89, "server busy";
        Banned = 0x8A, "banned";
        ServerShuttingDown = 0x8B, "server shutting down";
        BadAuthenticationMethod = 0x8C, "bad authentication method";
        KeepAliveTimeout = 0x8D, "keep alive timeout";
        SessionTakenOver = 0x8E, "session taken over";
        TopicFilterInvalid = 0x8F, "topic filter invalid";
        TopicNameInvalid = 0x90, "topic name invalid";
        PacketIdentifierInUse = 0x91, "packet identifier in use";
        PacketIdentifierNotFound = 0x92, "packet identifier not found";
        ReceiveMaximumExceeded = 0x93, "receive maximum exceeded";
        TopicAliasInvalid = 0x94, "topic alias invalid";
        PacketTooLarge = 0x95, "packet too large";
        MessageRateTooHigh = 0x96, "message rate too high";
        QuotaExceeded = 0x97, "quota exceeded";
        AdministrativeAction = 0x98, "administrative action";
        PayloadFormatInvalid = 0x99, "payload format invalid";
        RetainNotSupported = 0x9A, "retain not supported";
        QosNotSupported = 0x9B, "QoS not supported";
        UseAnotherServer = 0x9C, "use another server";
        ServerMoved = 0x9D, "server moved";
        SharedSubscriptionsNotSupported = 0x9E, "shared subscriptions not supported";
        ConnectionRateExceeded = 0x9F, "connection rate exceeded";
        MaximumConnectTime = 0xA0, "maximum connect time";
        SubscriptionIdentifiersNotSupported = 0xA1, "subscription identifiers not supported";
        WildcardSubscriptionsNotSupported = 0xA2, "wildcard subscriptions not supported";
    }
}

impl ReasonCode {
    /// What DISCONNECT calls value 0x00.
    pub const NORMAL_DISCONNECTION: Self = Self::Success;
    /// What SUBACK calls value 0x00.
    pub const GRANTED_QOS_0: Self = Self::Success;

    /// Whether the code says that something failed (0x80 and above).
    #[must_use]
    pub const fn is_error(self) -> bool {
        self.as_u8() >= 0x80
    }

    /// What SUBACK answers for a subscription granted at this level.
    #[must_use]
    pub const fn granted(qos: crate::QoS) -> Self {
        match qos {
            crate::QoS::AtMostOnce => Self::Success,
            crate::QoS::AtLeastOnce => Self::GrantedQos1,
            crate::QoS::ExactlyOnce => Self::GrantedQos2,
        }
    }

    /// The CONNACK return code that tells an MQTT 3.x client the same.
    ///
    /// `None` where 3.x has no word for it: then the server closes the network
    /// connection without a CONNACK [MQTT-3.2.2-6].
    #[must_use]
    pub const fn connect_return_code(self) -> Option<ConnectReturnCode> {
        Some(match self {
            Self::Success => ConnectReturnCode::Accepted,
            Self::UnsupportedProtocolVersion => ConnectReturnCode::UnacceptableProtocolVersion,
            Self::ClientIdentifierNotValid => ConnectReturnCode::IdentifierRejected,
            Self::BadUserNameOrPassword => ConnectReturnCode::BadUserNameOrPassword,
            Self::NotAuthorized | Self::Banned | Self::BadAuthenticationMethod => {
                ConnectReturnCode::NotAuthorized
            }
            Self::UnspecifiedError
            | Self::ImplementationSpecificError
            | Self::ServerUnavailable
            | Self::ServerBusy
            | Self::ServerShuttingDown
            | Self::QuotaExceeded
            | Self::UseAnotherServer
            | Self::ServerMoved
            | Self::ConnectionRateExceeded => ConnectReturnCode::ServerUnavailable,
            _ => return None,
        })
    }

    pub(crate) const fn is_for_connack(self) -> bool {
        matches!(
            self,
            Self::Success
                | Self::UnspecifiedError
                | Self::MalformedPacket
                | Self::ProtocolError
                | Self::ImplementationSpecificError
                | Self::UnsupportedProtocolVersion
                | Self::ClientIdentifierNotValid
                | Self::BadUserNameOrPassword
                | Self::NotAuthorized
                | Self::ServerUnavailable
                | Self::ServerBusy
                | Self::Banned
                | Self::BadAuthenticationMethod
                | Self::TopicNameInvalid
                | Self::PacketTooLarge
                | Self::QuotaExceeded
                | Self::PayloadFormatInvalid
                | Self::RetainNotSupported
                | Self::QosNotSupported
                | Self::UseAnotherServer
                | Self::ServerMoved
                | Self::ConnectionRateExceeded
        )
    }

    /// PUBACK and PUBREC share one table (sections 3.4.2.1 and 3.5.2.1).
    pub(crate) const fn is_for_puback(self) -> bool {
        matches!(
            self,
            Self::Success
                | Self::NoMatchingSubscribers
                | Self::UnspecifiedError
                | Self::ImplementationSpecificError
                | Self::NotAuthorized
                | Self::TopicNameInvalid
                | Self::PacketIdentifierInUse
                | Self::QuotaExceeded
                | Self::PayloadFormatInvalid
        )
    }

    /// PUBREL and PUBCOMP share one table (sections 3.6.2.1 and 3.7.2.1).
    pub(crate) const fn is_for_pubrel(self) -> bool {
        matches!(self, Self::Success | Self::PacketIdentifierNotFound)
    }

    pub(crate) const fn is_for_suback(self) -> bool {
        matches!(
            self,
            Self::Success
                | Self::GrantedQos1
                | Self::GrantedQos2
                | Self::UnspecifiedError
                | Self::ImplementationSpecificError
                | Self::NotAuthorized
                | Self::TopicFilterInvalid
                | Self::PacketIdentifierInUse
                | Self::QuotaExceeded
                | Self::SharedSubscriptionsNotSupported
                | Self::SubscriptionIdentifiersNotSupported
                | Self::WildcardSubscriptionsNotSupported
        )
    }

    pub(crate) const fn is_for_unsuback(self) -> bool {
        matches!(
            self,
            Self::Success
                | Self::NoSubscriptionExisted
                | Self::UnspecifiedError
                | Self::ImplementationSpecificError
                | Self::NotAuthorized
                | Self::TopicFilterInvalid
                | Self::PacketIdentifierInUse
        )
    }

    pub(crate) const fn is_for_disconnect(self) -> bool {
        matches!(
            self,
            Self::Success
                | Self::DisconnectWithWill
                | Self::UnspecifiedError
                | Self::MalformedPacket
                | Self::ProtocolError
                | Self::ImplementationSpecificError
                | Self::NotAuthorized
                | Self::ServerBusy
                | Self::ServerShuttingDown
                | Self::BadAuthenticationMethod
                | Self::KeepAliveTimeout
                | Self::SessionTakenOver
                | Self::TopicFilterInvalid
                | Self::TopicNameInvalid
                | Self::ReceiveMaximumExceeded
                | Self::TopicAliasInvalid
                | Self::PacketTooLarge
                | Self::MessageRateTooHigh
                | Self::QuotaExceeded
                | Self::AdministrativeAction
                | Self::PayloadFormatInvalid
                | Self::RetainNotSupported
                | Self::QosNotSupported
                | Self::UseAnotherServer
                | Self::ServerMoved
                | Self::SharedSubscriptionsNotSupported
                | Self::ConnectionRateExceeded
                | Self::MaximumConnectTime
                | Self::SubscriptionIdentifiersNotSupported
                | Self::WildcardSubscriptionsNotSupported
        )
    }

    pub(crate) const fn is_for_auth(self) -> bool {
        matches!(
            self,
            Self::Success | Self::ContinueAuthentication | Self::ReAuthenticate
        )
    }
}

code_enum! {
    /// The return code of a CONNACK in MQTT 3.1 and 3.1.1 (section 3.2.2.3).
    ConnectReturnCode {
        Accepted = 0, "connection accepted";
        UnacceptableProtocolVersion = 1, "unacceptable protocol version";
        IdentifierRejected = 2, "identifier rejected";
        ServerUnavailable = 3, "server unavailable";
        BadUserNameOrPassword = 4, "bad user name or password";
        NotAuthorized = 5, "not authorized";
    }
}

impl From<ConnectReturnCode> for ReasonCode {
    /// Each return code has exactly one counterpart in MQTT 5.0.
    fn from(code: ConnectReturnCode) -> Self {
        match code {
            ConnectReturnCode::Accepted => Self::Success,
            ConnectReturnCode::UnacceptableProtocolVersion => Self::UnsupportedProtocolVersion,
            ConnectReturnCode::IdentifierRejected => Self::ClientIdentifierNotValid,
            ConnectReturnCode::ServerUnavailable => Self::ServerUnavailable,
            ConnectReturnCode::BadUserNameOrPassword => Self::BadUserNameOrPassword,
            ConnectReturnCode::NotAuthorized => Self::NotAuthorized,
        }
    }
}
