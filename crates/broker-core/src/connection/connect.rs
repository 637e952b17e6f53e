//! CONNECT: accepted with a session, or refused with the word that the client's version has for it
//! (sections 3.1 and 3.2).

use std::sync::Arc;

use mqtt_codec::{ConnAck, Connect, DecodeError, PropertiesBuf, PropertySet, ReasonCode, Version};
use topic_trie::TopicName;

use super::admission::Admission;
use super::authenticate::{Granted, bytes_max};
use super::connack::{Settled, connack_properties, refusing_connack};
use super::publish::has_its_format;
use super::{Connected, Connection, Context, Extras, LastWords, Phase};
use crate::broker::{Broker, Refusal, Request};
use crate::close::CloseCause;
use crate::effects::Effects;
use crate::events::EventSet;
use crate::hooks::Event;
use crate::options::{BrokerOptions, PACKET_SIZE_MAX};
use crate::outbox::Outbox;
use crate::own_topics::is_of_the_broker;
use crate::reason::of_refusal;
use crate::session::{Link, Presence};
use crate::topic_aliases::{InboundAliases, OutboundAliases};
use crate::will::Will;
use crate::{Message, MessageParts, Timestamp};

impl Connection {
    /// Whether this CONNECT, if it is accepted, takes the place of a connection that its client has
    /// now [MQTT-3.1.4-3]. That one may not have been asked yet for all that came on it, DISCONNECT
    /// perhaps; a driver can see to that first.
    ///
    /// False for a CONNECT that is refused whoever else is there, and for one that begins an
    /// authentication or is for hooks to decide: how long its answer takes must not tell a stranger who is connected. An
    /// authentication takes its time anyway, in which the others are heard.
    pub fn would_displace(&self, connect: &Connect<'_>) -> bool {
        matches!(self.phase, Phase::Awaiting(_))
            && connect.properties.authentication_method().is_none()
            && !self.broker.options().require_enhanced_authentication
            && !self.asks_hooks()
            && self.broker.redirected().is_none()
            && self.broker.is_connected(connect.client_id)
    }

    pub(super) fn handle_connect(
        &mut self,
        now: Timestamp,
        connect: &Connect<'_>,
        effects: &mut Effects,
    ) -> Result<(), CloseCause> {
        if let Phase::Awaiting(awaiting) = &mut self.phase {
            awaiting.version = connect.version;
        }
        self.broker.counters().connects.add(1);
        if let Err(Refusal(reason)) = self.check_redirect() {
            self.refuse(reason, None, bytes_max(connect));
            return Ok(());
        }
        if let Some(method) = connect.properties.authentication_method() {
            return self.begin_authentication(now, connect, method, effects);
        }
        if self.broker.options().require_enhanced_authentication {
            self.broker.counters().authentication_failures.add(1);
            self.refuse(ReasonCode::NotAuthorized, None, bytes_max(connect));
            return Ok(());
        }
        self.check_in(now, connect, None, effects);
        Ok(())
    }

    /// An authentication method has accepted the client, or it does not name one: asks hooks, if there are
    /// any.
    pub(super) fn check_in(
        &mut self,
        now: Timestamp,
        connect: &Connect<'_>,
        granted: Option<Granted>,
        effects: &mut Effects,
    ) {
        if self.asks_hooks() {
            self.begin_admission(now, connect, granted);
        } else {
            let admission = granted.map(|granted| {
                Box::new(Admission {
                    granted: Some(granted),
                    ..Admission::default()
                })
            });
            self.admit(now, connect, admission, effects);
        }
    }

    /// Who the client is, is settled: gives it its session, or says why it gets none. A session of
    /// which the store knows more than the broker is read first.
    pub(super) fn admit(
        &mut self,
        now: Timestamp,
        connect: &Connect<'_>,
        admission: Option<Box<Admission>>,
        effects: &mut Effects,
    ) {
        let load = self
            .broker
            .begin_load(now, connect.client_id, connect.clean_start);
        if let Some(load) = load {
            self.begin_loading(now, connect, admission, load, effects);
        } else {
            self.enter(now, connect, admission, effects);
        }
    }

    /// Gives the client its session, all of which is known that has to be, or says why it gets none.
    pub(super) fn enter(
        &mut self,
        now: Timestamp,
        connect: &Connect<'_>,
        mut admission: Option<Box<Admission>>,
        effects: &mut Effects,
    ) {
        let denied = admission.as_mut().map_or(Vec::new(), |admission| {
            core::mem::take(&mut admission.denied)
        });
        match self.accept(now, connect, admission, effects) {
            Ok((mut connected, session_present)) => {
                let broker = &self.broker;
                if connected.noticed(broker, EventSet::ALL).is_some() || !denied.is_empty() {
                    let mut context = connected.context(broker, now, effects);
                    connected.begin(&denied, session_present, &mut context);
                }
                self.phase = Phase::Connected(connected);
            }
            Err(refusal) => self.refuse_connect(refusal, connect),
        }
    }

    /// Refuses a CONNECT for what it asks for, or because there are too many.
    pub(super) fn refuse_connect(&mut self, refusal: Refusal, connect: &Connect<'_>) {
        let Refusal(reason) = refusal;
        let is_of_the_server = matches!(
            reason,
            ReasonCode::QuotaExceeded
                | ReasonCode::ServerUnavailable
                | ReasonCode::ServerShuttingDown
        );
        if !is_of_the_server {
            self.broker.counters().refused_connects.add(1);
        }
        self.refuse(reason, None, bytes_max(connect));
    }

    /// CONNECT cannot be decoded. The client hears of it where its version has a word for it.
    pub(super) fn refuse_malformed_connect(
        &mut self,
        version: Option<Version>,
        error: DecodeError,
    ) {
        self.broker.counters().protocol_errors.add(1);
        let reason = match error.connect_return_code() {
            _ if version.is_some_and(Version::is_v5) => Some(error.reason_code()),
            code => code.map(ReasonCode::from),
        };
        let mut outbox = Outbox::default();
        if let Some(reason) = reason {
            // If it is the version that is not known, the form of 3.1.1 is the one that every
            // client of an older or unknown version can read [MQTT-3.1.2-2].
            let version = version.unwrap_or(Version::V311);
            let none = PropertiesBuf::new();
            // What the client's maximum is cannot be known of a packet that cannot be decoded.
            outbox = refusing_connack(version, reason, &none, &error.to_string(), usize::MAX);
            self.broker.tally.add_sent(outbox.len());
        }
        let last = LastWords {
            outbox,
            ..LastWords::new(self.version())
        };
        self.phase = Phase::Closing {
            cause: CloseCause::Malformed(error),
            last: Box::new(last),
        };
    }

    /// Whether clients are served here at all.
    fn check_redirect(&self) -> Result<(), Refusal> {
        let Some(redirect) = self.broker.redirected() else {
            return Ok(());
        };
        self.broker.counters().redirected.add(1);
        Err(Refusal(redirect.reason_code()))
    }

    /// CONNACK that refuses, where the client's version has a word for the reason and the client
    /// has room for it. `words` is the reason string, if it is not to be the usual one.
    pub(super) fn refusal(
        &self,
        reason_code: ReasonCode,
        words: Option<&str>,
        bytes_max: usize,
    ) -> Outbox {
        let base = match reason_code {
            ReasonCode::UseAnotherServer | ReasonCode::ServerMoved => {
                self.broker.redirected().map(|to| to.properties())
            }
            _ => None,
        };
        let words = words.unwrap_or(of_refusal(reason_code));
        let base = base.unwrap_or_default();
        let outbox = refusing_connack(self.version(), reason_code, &base, words, bytes_max);
        if !outbox.is_empty() {
            self.broker.tally.add_sent(outbox.len());
        }
        outbox
    }

    pub(super) fn refuse(&mut self, reason: ReasonCode, words: Option<&str>, bytes_max: usize) {
        let last = LastWords {
            outbox: self.refusal(reason, words, bytes_max),
            ..LastWords::new(self.version())
        };
        self.phase = Phase::Closing {
            cause: CloseCause::Refused(reason),
            last: Box::new(last),
        };
    }

    fn accept(
        &mut self,
        now: Timestamp,
        connect: &Connect<'_>,
        mut admission: Option<Box<Admission>>,
        effects: &mut Effects,
    ) -> Result<(Connected, bool), Refusal> {
        let origin = self.take_origin();
        let options = self.broker.options();
        let assigned_client_id = match assigned(&mut admission) {
            None => assign_client_id(connect, options)?,
            assigned => assigned,
        };
        let client: Arc<str> = match &assigned_client_id {
            Some(assigned) => assigned.as_str().into(),
            None => connect.client_id.into(),
        };
        let will = connect
            .will
            .map(|will| accept_will(&will, &self.broker))
            .transpose()?;
        let (expiry, told_expiry) = session_expiry(connect, options);
        let (keep_alive, told_keep_alive) = keep_alive(connect, options);
        let settled = Settled {
            session_expiry_secs: told_expiry,
            server_keep_alive_secs: told_keep_alive,
            response_information: response_information(connect, &client, options),
            assigned_client_id,
        };
        let presence = origin.presence(now, connect, &client, admission.as_deref());
        let request = Request {
            client,
            clean_start: connect.clean_start,
            expiry_interval_secs: expiry,
            link: link(connect, options, keep_alive, presence),
            will,
        };
        let version = connect.version;
        let granted = admission.as_ref();
        let granted = granted.and_then(|admission| admission.granted.as_ref());
        let properties =
            connack_properties(version, options, &settled, granted).unwrap_or_default();
        let connack = ConnAck {
            properties: properties.as_properties(),
            ..ConnAck::new(false, ReasonCode::Success)
        };
        // A client that takes no packet as large as what it has to be told cannot be served.
        let bytes_max = request.link.maximum_packet_size as usize;
        let encoded = connack.encoded_len(version);
        if encoded.is_ok_and(|bytes| bytes > bytes_max) {
            return Err(Refusal(ReasonCode::PacketTooLarge));
        }
        let greet = |flat: &mut Vec<u8>, session_present: bool| {
            let connack = ConnAck {
                session_present,
                ..connack
            };
            let _encoded = connack.encode(version, flat);
        };
        let attached = self.broker.attach(now, request, greet, effects)?;
        let connected = Connected {
            session: attached.session,
            epoch: attached.epoch,
            version,
            begun: 0,
            greeted: false,
            extras: extras(connect, admission, origin.certified),
        };
        Ok((connected, attached.present))
    }
}

impl Connected {
    /// The client has its session: what hooks have decided on it takes effect, and who wants to hears of it.
    fn begin(&mut self, denied: &[String], session_present: bool, context: &mut Context<'_>) {
        for filter in denied {
            self.lose_filter(filter, context);
        }
        if let Some(client) = &self.noticed(context.broker, EventSet::ALL) {
            let event = Event::Connected {
                client,
                session_present,
            };
            self.notify(&event, context);
        }
    }
}

/// What a client of MQTT 5 has asked for and most do not, if this one does.
fn extras(
    connect: &Connect<'_>,
    admission: Option<Box<Admission>>,
    certified: Option<Arc<str>>,
) -> Option<Box<Extras>> {
    let (granted, client) = match admission {
        Some(admission) => (admission.granted, admission.client),
        None => (None, None),
    };
    let maximum_packet_size = connect.properties.maximum_packet_size();
    let declines_problem_information =
        connect.properties.request_problem_information() == Some(false);
    let has_any = maximum_packet_size.is_some() || declines_problem_information;
    (has_any || granted.is_some() || certified.is_some() || client.is_some()).then(|| {
        Box::new(Extras {
            topics: None,
            maximum_packet_size,
            declines_problem_information,
            topic_aliases: InboundAliases::default(),
            refill: None,
            forwarding: None,
            blocked_until: None,
            authenticated: granted.map(Granted::into_authenticated),
            certified,
            client,
            asking: None,
            pace: None,
            unfinished: None,
        })
    })
}

/// What the session has to know of the connection.
fn link(
    connect: &Connect<'_>,
    options: &BrokerOptions,
    keep_alive_secs: u16,
    presence: Presence,
) -> Link {
    let receive_maximum = connect
        .properties
        .receive_maximum()
        .map_or(options.max_inflight, |maximum| {
            maximum.min(options.max_inflight)
        });
    Link {
        version: connect.version,
        receive_maximum: receive_maximum.max(1),
        maximum_packet_size: connect
            .properties
            .maximum_packet_size()
            .unwrap_or(PACKET_SIZE_MAX),
        topic_aliases: OutboundAliases::new(
            connect
                .properties
                .topic_alias_maximum()
                .map_or(0, |maximum| {
                    maximum.min(options.outbound_topic_alias_maximum)
                }),
        ),
        keep_alive_secs,
        presence: Box::new(presence),
        waker: None,
        asleep: false,
        close: None,
        reauthorize: false,
    }
}

/// The client identifier that the client has been assigned already, if it has.
fn assigned(admission: &mut Option<Box<Admission>>) -> Option<String> {
    admission.as_mut()?.assigned_client_id.take()
}

/// The client identifier to assign, if the client sent none and may do so.
pub(super) fn assign_client_id(
    connect: &Connect<'_>,
    options: &BrokerOptions,
) -> Result<Option<String>, Refusal> {
    let too_long = connect.client_id.len() > options.max_client_id_bytes
        || connect.version == Version::V31
            && connect.client_id.chars().count() > options.max_client_id_chars_v31;
    if too_long {
        return Err(Refusal(ReasonCode::ClientIdentifierNotValid));
    }
    if !connect.client_id.is_empty() {
        return Ok(None);
    }
    let may_be_empty = match connect.version {
        // At least one character (MQTT 3.1, section 3.1).
        Version::V31 => false,
        // Only without a session that would have to be found again [MQTT-3.1.3-7].
        Version::V311 => connect.clean_start,
        Version::V5 => true,
    };
    if may_be_empty {
        Ok(Some((options.assign_client_id)()))
    } else {
        Err(Refusal(ReasonCode::ClientIdentifierNotValid))
    }
}

/// Whether a will may have this topic name, whoever's it is.
pub(super) fn may_have_topic(topic: &str, options: &BrokerOptions) -> bool {
    TopicName::new(topic)
        .is_ok_and(|name| options.allows_topic(topic, name.levels()) && !is_of_the_broker(name))
}

fn accept_will(will: &mqtt_codec::Will<'_>, broker: &Broker) -> Result<Will, Refusal> {
    let options = broker.options();
    let topic = TopicName::new(will.topic).map_err(|_| Refusal(ReasonCode::MalformedPacket))?;
    if !options.allows_topic(will.topic, topic.levels()) {
        return Err(Refusal(ReasonCode::TopicNameInvalid));
    }
    let response = will.properties.response_topic();
    if response.is_some_and(|topic| TopicName::new(topic).is_err()) {
        return Err(Refusal(ReasonCode::ProtocolError));
    }
    if is_of_the_broker(topic) {
        return Err(Refusal(ReasonCode::NotAuthorized));
    }
    if will.qos > options.max_qos {
        return Err(Refusal(ReasonCode::QosNotSupported));
    }
    if will.retain && !options.retain_available {
        return Err(Refusal(ReasonCode::RetainNotSupported));
    }
    if !has_its_format(will.payload, &will.properties, broker) {
        return Err(Refusal(ReasonCode::PayloadFormatInvalid));
    }
    let mut forwarded = PropertiesBuf::new();
    // Nothing is there twice that may not be: the properties were decoded.
    let _extended = forwarded.extend(will.properties, PropertySet::FORWARDED);
    Ok(Will {
        message: Message::new(MessageParts {
            topic: will.topic,
            properties: forwarded.as_properties().raw(),
            payload: will.payload,
            qos: will.qos,
            retain: will.retain,
            expires: Timestamp::MAX,
        }),
        delay_secs: will.properties.will_delay_interval().unwrap_or(0),
        expiry_interval_secs: will.properties.message_expiry_interval(),
        due: Timestamp::MAX,
    })
}

/// The session expiry interval in seconds, and whether to tell the client.
fn session_expiry(connect: &Connect<'_>, options: &BrokerOptions) -> (u32, Option<u32>) {
    if !connect.version.is_v5() {
        let granted = if connect.clean_start {
            0
        } else {
            options.legacy_session_expiry_secs
        };
        return (granted, None);
    }
    let wanted = connect.properties.session_expiry_interval().unwrap_or(0);
    let granted = wanted.min(options.max_session_expiry_secs);
    (granted, (granted != wanted).then_some(granted))
}

/// The keep alive in seconds, and whether to tell the client (section 3.2.2.3.14 of 5.0).
fn keep_alive(connect: &Connect<'_>, options: &BrokerOptions) -> (u16, Option<u16>) {
    let maximum = options.max_keep_alive_secs;
    let wanted = connect.keep_alive;
    if maximum == u16::MAX || (1..=maximum).contains(&wanted) {
        return (wanted, None);
    }
    (maximum, connect.version.is_v5().then_some(maximum))
}

/// What a client that asked for it is told of its response topics [MQTT-3.1.2-28].
fn response_information(
    connect: &Connect<'_>,
    client: &str,
    options: &BrokerOptions,
) -> Option<String> {
    let wanted = connect.properties.request_response_information() == Some(true);
    let make = options.response_information.as_ref().filter(|_| wanted)?;
    Some(make(client))
}
