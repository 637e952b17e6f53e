//! AUTH: enhanced authentication before CONNACK and on a live connection (MQTT 5.0 sections 3.15 and
//! 4.12).
//!
//! The same [`Exchange`] serves both. Before CONNACK it stands in [`Deciding`], beside the CONNECT
//! that is not answered yet, and nothing but AUTH and DISCONNECT may come [MQTT-3.1.2-30]. On a live
//! connection it stands in [`Authenticated`], and everything else goes on.

use core::task::{Context as TaskContext, Poll};
use std::sync::Arc;

use mqtt_codec::{
    Auth, ConnAck, Connect, Disconnect, EncodeError, OwnedConnect, Packet, PropertiesBuf,
    ReasonCode, Version,
};

use super::exchange::{Exchange, Said, check_method, encode_auth, put_method};
use super::origin::Origin;
use super::{Awaiting, Connected, Connection, Context, Phase};
use crate::Timestamp;
use crate::authentication::{AuthenticationMethod, AuthenticationRequest};
use crate::close::{CloseCause, Violation};
use crate::effects::Effects;
use crate::options::PACKET_SIZE_MAX;
use crate::outbox::Outbox;

/// A connection whose CONNECT has come and is not decided on.
pub(super) struct Deciding {
    /// Without its password, which the method has seen.
    pub(super) connect: OwnedConnect,
    pub(super) until: Timestamp,
    exchange: Exchange,
    /// AUTH on its way to the client.
    pub(super) outbox: Outbox,
    origin: Origin,
}

/// How a connection was authenticated.
pub(super) struct Authenticated {
    method: Arc<dyn AuthenticationMethod>,
    pub(super) user: Option<Arc<str>>,
    /// It is being authenticated anew, until then at most.
    again: Option<(Timestamp, Exchange)>,
    /// Why the method refused to, in words for the client.
    words: Option<String>,
}

/// What a method has granted to a connection that gets its session now.
pub(super) struct Granted {
    method: Arc<dyn AuthenticationMethod>,
    data: Option<Vec<u8>>,
    user: Option<Arc<str>>,
}

impl Connection {
    /// Who the client is, as the authentication method or hooks have found out, or else as what carries the
    /// connection has shown ([`certify`](Self::certify)). `None` if nobody has: the user name in its
    /// CONNECT is a claim, and nobody's word.
    ///
    /// A method may know a client under another name than the user name of its CONNECT: SCRAM's is
    /// the one inside the exchange.
    pub fn user(&self) -> Option<&Arc<str>> {
        let extras = self.connected()?.extras.as_ref()?;
        if let Some(client) = &extras.client {
            return client.user();
        }
        let authenticated = extras.authenticated.as_ref();
        let certified = extras.certified.as_ref();
        authenticated
            .and_then(|authenticated| authenticated.user.as_ref())
            .or(certified)
    }

    /// Whether no further packet may be handed over: it is being decided whether the client may come
    /// in, or do what it has asked for, or read what the store has for it, until [`poll_verdict`](Self::poll_verdict) is ready, or a
    /// packet [is unfinished](Self::is_unfinished), or the client [pauses](Self::is_pausing). What has
    /// arrived already is to be kept, and handed over then.
    pub fn is_deciding(&self) -> bool {
        let extras = self
            .connected()
            .and_then(|connected| connected.extras.as_ref());
        extras.is_some_and(|extras| extras.is_busy()) || self.is_being_let_in()
    }

    fn is_being_let_in(&self) -> bool {
        match &self.phase {
            Phase::Deciding(deciding) => deciding.exchange.is_thinking(),
            Phase::Admitting(_) | Phase::Loading(_) => true,
            _ => false,
        }
    }

    /// Whether somebody has been asked and has not answered:
    /// [`poll_verdict`](Self::poll_verdict) has something to wait for.
    pub fn awaits_verdict(&self) -> bool {
        match &self.phase {
            Phase::Connected(connected) => {
                let reauthentication = connected.reauthentication();
                connected.asking().is_some()
                    || reauthentication.is_some_and(|(_, exchange)| exchange.is_thinking())
            }
            _ => self.is_being_let_in(),
        }
    }

    /// Asks for the verdict that is awaited. Ready when none is, or when it has come and was acted
    /// on, which brings about effects like a packet does; otherwise the task is woken when it comes.
    ///
    /// To be called neither while a batch of this connection is being committed, nor again without
    /// having dealt with the effects. When the connection ends, the verdict is not awaited any
    /// longer: what was going to make it is dropped.
    pub fn poll_verdict(
        &mut self,
        now: Timestamp,
        task: &mut TaskContext<'_>,
        effects: &mut Effects,
    ) -> Poll<()> {
        let result = match &mut self.phase {
            Phase::Admitting(_) => return self.poll_admission(now, task, effects),
            Phase::Loading(_) => return self.poll_loading(now, task, effects),
            Phase::Deciding(deciding) if deciding.exchange.is_thinking() => {
                let said = core::task::ready!(deciding.exchange.poll(task));
                self.go_on(now, said, effects)
            }
            Phase::Connected(connected) => {
                let mut context = connected.context(&self.broker, now, effects);
                core::task::ready!(connected.poll_connected(task, &mut context))
            }
            _ => return Poll::Ready(()),
        };
        if let Err(cause) = result {
            self.close(now, cause, effects);
        }
        Poll::Ready(())
    }

    /// CONNECT has named a method.
    pub(super) fn begin_authentication(
        &mut self,
        now: Timestamp,
        connect: &Connect<'_>,
        method: &str,
        effects: &mut Effects,
    ) -> Result<(), CloseCause> {
        let methods = &self.broker.options().authentication_methods;
        let Some(method) = methods.iter().find(|known| known.name() == method) else {
            self.broker.counters().authentication_failures.add(1);
            self.refuse(
                ReasonCode::BadAuthenticationMethod,
                None,
                bytes_max(connect),
            );
            return Ok(());
        };
        let Phase::Awaiting(awaiting) = &self.phase else {
            return Err(CloseCause::Protocol(Violation::SecondConnect));
        };
        let until = awaiting.until;
        let method = Arc::clone(method);
        let origin = self.take_origin();
        let request = AuthenticationRequest {
            version: connect.version,
            client_id: connect.client_id,
            user_name: connect.username,
            password: connect.password,
            user: origin.certified.as_deref(),
        };
        let data = connect.properties.authentication_data();
        let (exchange, said) = Exchange::begin(&method, &request, data);
        let without_password = Connect {
            password: None,
            ..*connect
        };
        self.phase = Phase::Deciding(Box::new(Deciding {
            connect: without_password.to_owned(),
            until,
            exchange,
            outbox: Outbox::default(),
            origin,
        }));
        said.map_or(Ok(()), |said| self.go_on(now, said, effects))
    }

    /// A packet has come between CONNECT and CONNACK.
    pub(super) fn handle_before_connack(
        &mut self,
        now: Timestamp,
        packet: &Packet<'_>,
        effects: &mut Effects,
    ) -> Result<(), CloseCause> {
        let Phase::Deciding(deciding) = &mut self.phase else {
            return Ok(());
        };
        match packet {
            // Nobody answers what he has not been asked yet.
            Packet::Auth(_) if !deciding.outbox.is_empty() => {
                Err(CloseCause::Protocol(Violation::UnexpectedAuth))
            }
            Packet::Auth(auth) => {
                let max_rounds = self.broker.options().max_authentication_rounds;
                let said = deciding.exchange.hear(auth, max_rounds)?;
                said.map_or(Ok(()), |said| self.go_on(now, said, effects))
            }
            Packet::Disconnect(disconnect) => Err(CloseCause::Disconnected(disconnect.reason_code)),
            Packet::Connect(_) => Err(CloseCause::Protocol(Violation::SecondConnect)),
            _ => Err(CloseCause::Protocol(Violation::BeforeConnAck)),
        }
    }

    /// The method has said something before CONNACK.
    fn go_on(
        &mut self,
        now: Timestamp,
        said: Said,
        effects: &mut Effects,
    ) -> Result<(), CloseCause> {
        let Phase::Deciding(deciding) = &mut self.phase else {
            return Ok(());
        };
        let bytes_max = bytes_max(&deciding.connect.as_connect());
        match said {
            Said::Continue(data) => {
                let name = deciding.exchange.method.name();
                let auth = encode_auth(ReasonCode::ContinueAuthentication, name, data.as_deref());
                match auth {
                    Ok(auth) if auth.len() <= bytes_max => {
                        deciding.outbox.put(|flat| flat.extend_from_slice(&auth));
                    }
                    _ => self.refuse(ReasonCode::PacketTooLarge, None, bytes_max),
                }
                Ok(())
            }
            Said::Accept(data, user) => {
                let awaiting = Phase::Awaiting(Box::new(Awaiting {
                    until: deciding.until,
                    version: deciding.version(),
                    origin: core::mem::take(&mut deciding.origin),
                }));
                let phase = core::mem::replace(&mut self.phase, awaiting);
                if let Phase::Deciding(deciding) = phase {
                    let granted = Granted {
                        method: deciding.exchange.method,
                        data,
                        user,
                    };
                    let connect = deciding.connect.as_connect();
                    self.check_in(now, &connect, Some(granted), effects);
                }
                Ok(())
            }
            Said::Refuse(refusal) => {
                self.broker.counters().authentication_failures.add(1);
                let reason = for_connack(refusal.reason_code);
                self.refuse(reason, refusal.reason_string.as_deref(), bytes_max);
                Ok(())
            }
        }
    }

    /// The connection closes before CONNACK: what the client is told instead, as long as it has
    /// not gone itself. DISCONNECT would be wrong here [MQTT-3.14.0-1].
    pub(super) fn undecided_words(&self, bytes_max: usize, cause: CloseCause) -> Outbox {
        let reason = match cause {
            CloseCause::Disconnected(_) | CloseCause::ConnectionLost => return Outbox::default(),
            CloseCause::ServerShutdown | CloseCause::Redirected(_) => self
                .broker
                .redirected()
                .map_or(ReasonCode::ServerUnavailable, |to| to.reason_code()),
            CloseCause::StoreFailed | CloseCause::StoreFull => ReasonCode::ServerUnavailable,
            _ => for_connack(
                cause
                    .disconnect_reason()
                    .unwrap_or(ReasonCode::NotAuthorized),
            ),
        };
        self.refusal(reason, Some(&cause.to_string()), bytes_max)
    }
}

impl Deciding {
    /// The version that CONNECT names.
    pub(super) fn version(&self) -> Version {
        self.connect.as_connect().version
    }
}

impl Connected {
    /// Asks for what hooks have to say, and for what an authentication method has.
    fn poll_connected(
        &mut self,
        task: &mut TaskContext<'_>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), CloseCause>> {
        let is_asking = self.asking().is_some();
        if is_asking && let Poll::Ready(result) = self.poll_asking(task, context) {
            return Poll::Ready(result);
        }
        let exchange = self.reauthentication_mut();
        match exchange.filter(|(_, exchange)| exchange.is_thinking()) {
            Some((_, exchange)) => {
                let said = core::task::ready!(exchange.poll(task));
                Poll::Ready(self.go_on(said, context))
            }
            None if is_asking => Poll::Pending,
            None => Poll::Ready(Ok(())),
        }
    }

    /// How it was authenticated, if a method has done so.
    pub(super) fn authenticated(&self) -> Option<&Authenticated> {
        self.extras.as_ref()?.authenticated.as_ref()
    }

    fn authenticated_mut(&mut self) -> Option<&mut Authenticated> {
        self.extras.as_mut()?.authenticated.as_mut()
    }

    /// Until when the re-authentication has to be over, if one goes on.
    pub(super) fn reauthentication_until(&self) -> Option<Timestamp> {
        self.reauthentication().map(|(until, _)| *until)
    }

    /// What its method says in words when it refuses to go on with the client.
    pub(super) fn take_words(&mut self) -> Option<String> {
        self.authenticated_mut()?.words.take()
    }

    fn reauthentication(&self) -> Option<&(Timestamp, Exchange)> {
        self.authenticated()?.again.as_ref()
    }

    fn reauthentication_mut(&mut self) -> Option<&mut (Timestamp, Exchange)> {
        self.authenticated_mut()?.again.as_mut()
    }

    pub(super) fn handle_auth(
        &mut self,
        auth: &Auth<'_>,
        context: &mut Context<'_>,
    ) -> Result<(), CloseCause> {
        let options = context.broker.options();
        let authenticated = self.extras.as_mut();
        let Some(authenticated) = authenticated.and_then(|extras| extras.authenticated.as_mut())
        else {
            return Err(CloseCause::Protocol(Violation::UnexpectedAuth));
        };
        let said = match &mut authenticated.again {
            Some((_, exchange)) => exchange.hear(auth, options.max_authentication_rounds)?,
            None => {
                // The same method as in CONNECT [MQTT-4.12.1-1].
                check_method(auth, &*authenticated.method)?;
                if auth.reason_code != ReasonCode::ReAuthenticate {
                    return Err(CloseCause::Protocol(Violation::UnexpectedAuth));
                }
                let request = AuthenticationRequest {
                    version: self.version,
                    client_id: self.session.client(),
                    user_name: None,
                    password: None,
                    user: authenticated.user.as_deref(),
                };
                let data = auth.properties.authentication_data();
                let (exchange, said) = Exchange::begin(&authenticated.method, &request, data);
                authenticated.again = Some((context.now + options.connect_timeout, exchange));
                said
            }
        };
        said.map_or(Ok(()), |said| self.go_on(said, context))
    }

    /// The method has said something on a live connection.
    fn go_on(&mut self, said: Said, context: &mut Context<'_>) -> Result<(), CloseCause> {
        let authenticated = self.extras.as_mut();
        let Some(authenticated) = authenticated.and_then(|extras| extras.authenticated.as_mut())
        else {
            return Ok(());
        };
        let (reason, data) = match said {
            Said::Continue(data) => (ReasonCode::ContinueAuthentication, data),
            Said::Accept(data, user) if user == authenticated.user => {
                authenticated.again = None;
                (ReasonCode::Success, data)
            }
            Said::Accept(..) => {
                return Err(CloseCause::AuthenticationFailed(ReasonCode::NotAuthorized));
            }
            Said::Refuse(refusal) => {
                authenticated.words = refusal.reason_string;
                let reason = for_disconnect(refusal.reason_code);
                return Err(CloseCause::AuthenticationFailed(reason));
            }
        };
        let auth = encode_auth(reason, authenticated.method.name(), data.as_deref());
        match auth {
            Ok(auth) if auth.len() <= context.reply_bytes_max => {
                context.reply(|replies| {
                    replies.extend_from_slice(&auth);
                    Ok::<_, EncodeError>(auth.len())
                });
                Ok(())
            }
            // A client that takes no packet as large as its method needs cannot be authenticated.
            _ => Err(CloseCause::AuthenticationFailed(ReasonCode::PacketTooLarge)),
        }
    }
}

impl Granted {
    /// Who the method says that the client is.
    pub(super) fn user(&self) -> Option<&Arc<str>> {
        self.user.as_ref()
    }

    /// What CONNACK says of it [MQTT-4.12.0-5].
    pub(super) fn put(&self, properties: &mut PropertiesBuf) -> Result<(), EncodeError> {
        put_method(properties, self.method.name(), self.data.as_deref())
    }

    /// What a connection keeps of it.
    pub(super) fn into_authenticated(self) -> Authenticated {
        Authenticated {
            method: self.method,
            user: self.user,
            again: None,
            words: None,
        }
    }
}

/// The client's maximum packet size.
pub(super) fn bytes_max(connect: &Connect<'_>) -> usize {
    let told = connect.properties.maximum_packet_size();
    told.unwrap_or(PACKET_SIZE_MAX) as usize
}

/// The reason if it is an error that CONNACK may carry.
pub(super) fn for_connack(reason: ReasonCode) -> ReasonCode {
    let encoded = ConnAck::new(false, reason).encoded_len(Version::V5);
    if reason.is_error() && encoded.is_ok() {
        reason
    } else {
        ReasonCode::NotAuthorized
    }
}

/// The reason if it is an error that DISCONNECT may carry.
fn for_disconnect(reason: ReasonCode) -> ReasonCode {
    let encoded = Disconnect::new(reason).encoded_len(Version::V5);
    if reason.is_error() && encoded.is_ok() {
        reason
    } else {
        ReasonCode::NotAuthorized
    }
}

impl core::fmt::Debug for Deciding {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Deciding")
            .field("method", &self.exchange.method.name())
            .field("until", &self.until)
            .finish_non_exhaustive()
    }
}

impl core::fmt::Debug for Authenticated {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Authenticated")
            .field("method", &self.method.name())
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}
