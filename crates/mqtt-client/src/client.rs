//! The connection, and what is asked of the server over it, one thing at a time.

mod exchange;
mod limits;
mod under_way;

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use bytes::BytesMut;
use mqtt_codec::{
    Connect, Disconnect, OwnedPacket, OwnedPubAck, OwnedPubRec, OwnedPublish, Packet, PacketId,
    Properties, PropertiesBuf, Property, PubAck, PubComp, PubRec, PubRel, QoS, ReasonCode,
    Subscribe, SubscribeFiltersBuf, SubscriptionOptions, Version,
};
use tokio::time::{self, Instant};

use crate::connector::Connector;
use crate::error::ClientError;
use crate::options::Options;
use crate::transport::Transport;
use exchange::Ping;
pub use limits::ServerLimits;
pub use under_way::ClientEvent;
use under_way::{Answer, UnderWay};

/// Messages that are kept while an answer is waited for.
const INBOX: usize = 10_000;

/// What a client subscribes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// The topic filter.
    pub filter: String,
    /// QoS, and in MQTT 5.0 what else there is to choose.
    pub options: SubscriptionOptions,
}

impl Subscription {
    /// At this QoS at most, everything else as MQTT 3.1.1 has it.
    #[must_use]
    pub fn new(filter: impl Into<String>, qos: QoS) -> Self {
        let options = SubscriptionOptions {
            qos,
            ..SubscriptionOptions::default()
        };
        Self {
            filter: filter.into(),
            options,
        }
    }
}

/// A connection to a server, after its CONNACK. Dropped, it is lost without a word, and the server publishes
/// the will; [`disconnect`](Self::disconnect) takes leave.
pub struct Client {
    transport: Transport,
    input: BytesMut,
    /// What is still to be sent.
    output: BytesMut,
    /// Whether sending was not waited for to the end.
    is_sending: bool,
    /// Since when the server takes nothing of what is to be sent, if there is anything.
    waits_since: Option<Instant>,
    /// Whether it is an event that all was sent.
    tells_sent: bool,
    version: Version,
    timeout: Duration,
    /// After so long without a packet of ours a PINGREQ is due.
    ping_after: Option<Duration>,
    last_sent: Instant,
    /// Those that are not answered yet, in their order.
    pings: VecDeque<Ping>,
    last_packet_id: u16,
    session_present: bool,
    assigned_client_id: Option<String>,
    /// What came while something else was waited for.
    inbox: VecDeque<OwnedPublish>,
    /// Messages at QoS 2 that have come, and whose PUBREL has not.
    begun: HashSet<PacketId>,
    under_way: UnderWay,
    limits: ServerLimits,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Client").finish_non_exhaustive()
    }
}

impl Client {
    /// Connects, and waits for CONNACK (MQTT 5.0, section 3.1).
    ///
    /// # Errors
    /// The server cannot be reached, refuses the client, or does not answer within
    /// [`timeout`](Options::timeout).
    pub async fn connect(options: &Options) -> Result<Self, ClientError> {
        let connected = async { Connector::new(options).await?.connect(options).await };
        let connected = time::timeout(options.timeout, connected).await;
        connected.unwrap_or(Err(ClientError::TimedOut))
    }

    pub(crate) async fn connected(
        connector: &Connector,
        options: &Options,
    ) -> Result<Self, ClientError> {
        let subprotocol = match options.version {
            Version::V31 => "mqttv3.1",
            Version::V311 | Version::V5 => "mqtt",
        };
        let transport = Transport::open(connector, &options.address, subprotocol).await?;
        let mut client = Self {
            transport,
            input: BytesMut::new(),
            output: BytesMut::new(),
            is_sending: false,
            waits_since: None,
            tells_sent: false,
            version: options.version,
            timeout: options.timeout,
            ping_after: ping_after(options.keep_alive_secs),
            last_sent: Instant::now(),
            pings: VecDeque::new(),
            last_packet_id: 0,
            session_present: false,
            assigned_client_id: None,
            inbox: VecDeque::new(),
            begun: HashSet::new(),
            under_way: UnderWay::default(),
            limits: ServerLimits::of(options.version, Properties::EMPTY),
        };
        let mut properties = PropertiesBuf::new();
        for property in options.properties.as_properties().iter() {
            properties.push(property)?;
        }
        if options.version.is_v5() && options.session_expiry_secs > 0 {
            properties.push(Property::SessionExpiryInterval(options.session_expiry_secs))?;
        }
        let address = &options.address;
        let user_name = options.user_name.as_ref().or(address.user_name.as_ref());
        let of_address = address.password.as_ref().map(String::as_bytes);
        let connect = Connect {
            clean_start: options.clean_start,
            keep_alive: options.keep_alive_secs,
            will: options.will.as_ref().map(|will| will.as_will()),
            username: user_name.map(String::as_str),
            password: options.password.as_deref().or(of_address),
            properties: properties.as_properties(),
            ..Connect::new(options.version, &options.client_id)
        };
        client.send(&Packet::Connect(connect)).await?;
        match client.packet().await? {
            OwnedPacket::ConnAck(connack) => {
                let properties = connack.properties.as_properties();
                if connack.reason_code.is_error() {
                    let reason = properties.reason_string().map(str::to_owned);
                    return Err(ClientError::Refused(connack.reason_code, reason));
                }
                client.session_present = connack.session_present;
                client.assigned_client_id =
                    properties.assigned_client_identifier().map(str::to_owned);
                client.limits = ServerLimits::of(options.version, properties);
                if let Some(secs) = properties.server_keep_alive() {
                    client.ping_after = ping_after(secs);
                }
                Ok(client)
            }
            other => Err(unexpected(&other)),
        }
    }

    /// Whether the server had a session of this client.
    #[must_use]
    pub fn session_present(&self) -> bool {
        self.session_present
    }

    /// The identifier that the server has given to a client that had none (MQTT 5.0).
    #[must_use]
    pub fn assigned_client_id(&self) -> Option<&str> {
        self.assigned_client_id.as_deref()
    }

    /// Publishes a message, and waits until the server is done with it: for PUBACK at QoS 1, for PUBCOMP at
    /// QoS 2. Its packet identifier is chosen here. Returns the reason code, which says in MQTT 5.0 whether
    /// anybody has subscribed.
    ///
    /// # Errors
    /// [`Refused`](ClientError::Refused) if the server does not take this message, after which the
    /// connection goes on. After any other error, and if it is not waited for to the end, the
    /// message may or may not have been published.
    pub async fn publish(&mut self, mut message: OwnedPublish) -> Result<ReasonCode, ClientError> {
        message.dup = false;
        message.packet_id = None;
        if message.qos == QoS::AtMostOnce {
            self.send(&Packet::Publish(message.as_publish())).await?;
            return Ok(ReasonCode::Success);
        }
        let id = self.next_packet_id()?;
        message.packet_id = Some(id);
        self.send(&Packet::Publish(message.as_publish())).await?;
        let (reason_code, properties) = self
            .answer(|packet| match packet {
                OwnedPacket::PubAck(OwnedPubAck {
                    packet_id,
                    reason_code,
                    properties,
                })
                | OwnedPacket::PubRec(OwnedPubRec {
                    packet_id,
                    reason_code,
                    properties,
                }) if *packet_id == id => Some((*reason_code, properties.clone())),
                _ => None,
            })
            .await?;
        if reason_code.is_error() {
            let reason = properties.as_properties().reason_string();
            return Err(ClientError::Refused(reason_code, reason.map(str::to_owned)));
        }
        if message.qos == QoS::ExactlyOnce {
            self.send(&Packet::PubRel(PubRel::new(id))).await?;
            self.answer(|packet| match packet {
                OwnedPacket::PubComp(ack) if ack.packet_id == id => Some(()),
                _ => None,
            })
            .await?;
        }
        Ok(reason_code)
    }

    /// Subscribes, and waits for SUBACK (MQTT 5.0, section 3.8). Returns a code for each filter, in their order:
    /// the QoS that is granted, or why nothing is.
    ///
    /// # Errors
    /// The connection is lost, or there is no filter.
    pub async fn subscribe(
        &mut self,
        subscriptions: &[Subscription],
    ) -> Result<Vec<ReasonCode>, ClientError> {
        let mut filters = SubscribeFiltersBuf::new();
        for Subscription { filter, options } in subscriptions {
            filters.push(filter, *options)?;
        }
        let id = self.next_packet_id()?;
        let subscribe = Subscribe {
            packet_id: id,
            properties: Properties::EMPTY,
            filters: filters.as_filters(),
        };
        self.send(&Packet::Subscribe(subscribe)).await?;
        self.answer(|packet| match packet {
            OwnedPacket::SubAck(ack) if ack.packet_id == id => {
                Some(ack.as_suback().reason_codes.iter().collect())
            }
            _ => None,
        })
        .await
    }

    /// The next message, however long it takes. It is acknowledged when it is returned; a message at QoS 2
    /// that comes a second time is not returned again.
    ///
    /// Nothing is lost if this is not waited for to the end.
    ///
    /// # Errors
    /// The connection is lost, or the server says that it ends it.
    pub async fn receive(&mut self) -> Result<OwnedPublish, ClientError> {
        while self.inbox.is_empty() {
            self.take_next().await?;
        }
        self.flush().await?;
        // There is one.
        self.inbox.pop_front().ok_or(ClientError::Closed)
    }

    /// Handles the next packet, whichever it is. What answers it is sent before the next one is waited for.
    async fn take_next(&mut self) -> Result<(), ClientError> {
        let packet = self.packet().await?;
        self.take_any(packet)
    }

    /// Handles a packet where no answer is waited for.
    fn take_any(&mut self, packet: OwnedPacket) -> Result<(), ClientError> {
        match self.take(packet)? {
            None => Ok(()),
            Some(other) => Err(unexpected(&other)),
        }
    }

    /// Takes leave: the server drops the will.
    ///
    /// # Errors
    /// The connection was lost before that.
    pub async fn disconnect(mut self) -> Result<(), ClientError> {
        self.send(&Packet::Disconnect(Disconnect::new(ReasonCode::Success)))
            .await?;
        let timeout = self.timeout;
        let ended = time::timeout(timeout, self.transport.shut_down()).await;
        ended
            .map_err(|_| ClientError::TimedOut)?
            .map_err(ClientError::Io)
    }

    /// Waits for the packet that `pick` takes, and handles what comes in between.
    async fn answer<T>(
        &mut self,
        mut pick: impl FnMut(&OwnedPacket) -> Option<T>,
    ) -> Result<T, ClientError> {
        let timeout = self.timeout;
        let answered = async {
            loop {
                let packet = self.packet().await?;
                let Some(other) = self.take(packet)? else {
                    continue;
                };
                let picked = pick(&other).ok_or_else(|| unexpected(&other))?;
                self.flush().await?;
                return Ok(picked);
            }
        };
        let answered = time::timeout(timeout, answered).await;
        answered.unwrap_or(Err(ClientError::TimedOut))
    }

    /// Handles what belongs to receiving, and to messages under way; anything else comes back.
    fn take(&mut self, packet: OwnedPacket) -> Result<Option<OwnedPacket>, ClientError> {
        let answer = self.under_way.take(&packet);
        match (packet, answer) {
            (_, Some(Answer::Nothing)) => {}
            (_, Some(Answer::Release(release))) => self.put(&Packet::PubRel(release))?,
            (OwnedPacket::Publish(message), None) => self.take_message(message)?,
            (OwnedPacket::PubRel(release), None) => {
                self.begun.remove(&release.packet_id);
                self.put(&Packet::PubComp(PubComp::new(release.packet_id)))?;
            }
            (other, None) => return Ok(Some(other)),
        }
        Ok(None)
    }

    fn take_message(&mut self, message: OwnedPublish) -> Result<(), ClientError> {
        if self.inbox.len() >= INBOX {
            return Err(ClientError::InboxFull);
        }
        let id = message.packet_id;
        let qos = message.qos;
        let is_new = match (qos, id) {
            (QoS::ExactlyOnce, Some(id)) => self.begun.insert(id),
            _ => true,
        };
        if is_new {
            self.inbox.push_back(message);
        }
        match (qos, id) {
            (QoS::AtLeastOnce, Some(id)) => self.put(&Packet::PubAck(PubAck::new(id))),
            (QoS::ExactlyOnce, Some(id)) => self.put(&Packet::PubRec(PubRec::new(id))),
            _ => Ok(()),
        }
    }

    /// One that no message has which is under way.
    fn next_packet_id(&mut self) -> Result<PacketId, ClientError> {
        for _ in 0..=u16::MAX {
            self.last_packet_id = self.last_packet_id.wrapping_add(1);
            if let Some(id) = PacketId::new(self.last_packet_id)
                && !self.under_way.contains(id)
            {
                return Ok(id);
            }
        }
        Err(ClientError::TooMany)
    }
}

/// Three quarters of the keep alive, which leaves time for the packet to arrive; `None` for 0.
fn ping_after(keep_alive_secs: u16) -> Option<Duration> {
    let keep_alive = Duration::from_secs(u64::from(keep_alive_secs));
    (keep_alive_secs > 0).then(|| keep_alive * 3 / 4)
}

fn unexpected(packet: &OwnedPacket) -> ClientError {
    ClientError::Unexpected(match packet {
        OwnedPacket::Connect(_) => "CONNECT",
        OwnedPacket::ConnAck(_) => "CONNACK",
        OwnedPacket::Publish(_) => "PUBLISH",
        OwnedPacket::PubAck(_) => "PUBACK",
        OwnedPacket::PubRec(_) => "PUBREC",
        OwnedPacket::PubRel(_) => "PUBREL",
        OwnedPacket::PubComp(_) => "PUBCOMP",
        OwnedPacket::Subscribe(_) => "SUBSCRIBE",
        OwnedPacket::SubAck(_) => "SUBACK",
        OwnedPacket::Unsubscribe(_) => "UNSUBSCRIBE",
        OwnedPacket::UnsubAck(_) => "UNSUBACK",
        OwnedPacket::PingReq => "PINGREQ",
        OwnedPacket::PingResp => "PINGRESP",
        OwnedPacket::Disconnect(_) => "DISCONNECT",
        OwnedPacket::Auth(_) => "AUTH",
    })
}
