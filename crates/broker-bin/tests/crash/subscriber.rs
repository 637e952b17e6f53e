//! A subscriber as MQTT wants it: it acknowledges in order, though not always at once, and knows a
//! QoS 2 message that comes again by its packet identifier.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mqtt_codec::{
    Disconnect, OwnedPacket, OwnedPublish, Packet, PacketId, Properties, PubAck, PubComp, PubRec,
    QoS, ReasonCode, Subscribe, SubscribeFiltersBuf, SubscriptionOptions,
};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use super::chance::Chance;
use super::ledger::{Ledger, Number, Stream};
use super::link::{Ended, Identity, Link, Port};
use super::message;

/// How much of the time a subscriber is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Habit {
    /// Whenever the broker is.
    Stays,
    /// Comes and goes.
    Wanders,
    /// Goes after it has subscribed, and comes back at the end.
    IsAway,
}

/// A subscriber, with the part of its session that is its own.
pub struct Subscriber {
    pub identity: Identity,
    pub number: usize,
    pub filters: Vec<(String, QoS)>,
    pub habit: Habit,
    pub ledger: Arc<Mutex<Ledger>>,
    pub port: Port,
    pub draining: watch::Receiver<bool>,
    pub chance: Chance,
    /// Told when the subscriptions are acknowledged.
    pub subscribed: Option<mpsc::Sender<()>>,
    /// QoS 2 messages that have come and were not released.
    pub unreleased: HashMap<PacketId, (Stream, Number)>,
}

/// What is to be said for a message.
enum Owed {
    PubAck(PacketId),
    PubRec(PacketId),
}

impl Subscriber {
    /// Subscribes, and receives until the end of the test.
    pub async fn run(mut self) {
        loop {
            if self.subscribed.is_none() {
                self.stay_away().await;
            }
            let (link, connack) = Link::establish(&mut self.port, &self.identity).await;
            if self.subscribed.is_none() && !connack.session_present {
                let client = self.identity.client_id.clone();
                self.ledger.lock().unwrap().session_lost(&client);
            }
            if !connack.session_present {
                self.unreleased.clear();
            }
            let _ended = self.converse(link).await;
        }
    }

    async fn stay_away(&mut self) {
        let time = match self.habit {
            Habit::Stays => return,
            Habit::Wanders => Duration::from_millis(self.chance.below(3_000)),
            Habit::IsAway => Duration::from_secs(3_600),
        };
        let mut draining = self.draining.clone();
        tokio::select! {
            () = tokio::time::sleep(time) => {}
            _ = draining.wait_for(|&draining| draining) => {}
        }
    }

    /// How long a connection lasts if nobody else ends it.
    fn lifetime(&mut self) -> Duration {
        let millis = match self.habit {
            Habit::IsAway => 1,
            Habit::Wanders => 50 + self.chance.below(2_000),
            Habit::Stays => 2_000 + self.chance.below(20_000),
        };
        Duration::from_millis(millis)
    }

    async fn converse(&mut self, mut link: Link) -> Result<(), Ended> {
        if self.subscribed.is_some() {
            self.subscribe(&mut link).await?;
        }
        let end = Instant::now() + self.lifetime();
        let mut owed = VecDeque::new();
        let mut next_round = Instant::now();
        loop {
            let draining = *self.draining.borrow();
            if !draining && Instant::now() >= end {
                if self.chance.percent(50) {
                    let farewell = Disconnect::new(ReasonCode::NORMAL_DISCONNECTION);
                    link.put(Packet::Disconnect(farewell));
                    link.flush().await?;
                }
                return Err(Ended);
            }
            let mut draining = self.draining.clone();
            tokio::select! {
                packet = link.next() => {
                    self.handle(&mut link, packet?, &mut owed);
                    while let Some(packet) = link.take() {
                        self.handle(&mut link, packet, &mut owed);
                    }
                }
                () = sleep_until(next_round) => {
                    next_round = Instant::now() + Duration::from_millis(10 + self.chance.below(60));
                }
                _ = draining.wait_for(|&draining| draining), if !*self.draining.borrow() => {}
            }
            // Mostly at once, sometimes later; always in order ([MQTT-4.6.0-2], [MQTT-4.6.0-3]).
            if *self.draining.borrow() || self.chance.percent(70) {
                pay(&mut link, &mut owed);
            }
            link.flush().await?;
        }
    }

    async fn subscribe(&mut self, link: &mut Link) -> Result<(), Ended> {
        let mut filters = SubscribeFiltersBuf::new();
        for (filter, qos) in &self.filters {
            filters
                .push(filter, SubscriptionOptions::new(*qos))
                .unwrap();
        }
        link.put(Packet::Subscribe(Subscribe {
            packet_id: PacketId::new(1).unwrap(),
            properties: Properties::EMPTY,
            filters: filters.as_filters(),
        }));
        link.flush().await?;
        match link.next().await? {
            OwnedPacket::SubAck(suback) => {
                assert!(!suback.reason_codes.iter().any(|code| code.is_error()));
                // Dropped, as a sign that it is done.
                self.subscribed = None;
                Ok(())
            }
            other => panic!("SUBACK expected, not {other:?}"),
        }
    }

    fn handle(&mut self, link: &mut Link, packet: OwnedPacket, owed: &mut VecDeque<Owed>) {
        match packet {
            OwnedPacket::Publish(publish) => self.receive(&publish, owed),
            OwnedPacket::PubRel(pubrel) => {
                self.unreleased.remove(&pubrel.packet_id);
                link.put(Packet::PubComp(PubComp::new(pubrel.packet_id)));
            }
            // The broker says farewell, and ends the connection.
            OwnedPacket::Disconnect(_) => {}
            other => {
                let what = format!("{other:?}");
                let client = &self.identity.client_id;
                self.ledger.lock().unwrap().stranger(client, &what);
            }
        }
    }

    fn receive(&mut self, publish: &OwnedPublish, owed: &mut VecDeque<Owed>) {
        let client = &self.identity.client_id;
        let mut ledger = self.ledger.lock().unwrap();
        let Some((stream, number)) = message::read(&publish.payload) else {
            let topic = &publish.topic;
            ledger.stranger(client, &format!("{topic} with contents that nobody sent"));
            return;
        };
        match (publish.qos, publish.packet_id) {
            (QoS::AtLeastOnce, Some(id)) => {
                owed.push_back(Owed::PubAck(id));
                ledger.delivered(self.number, stream, number);
            }
            (QoS::ExactlyOnce, Some(id)) => {
                owed.push_back(Owed::PubRec(id));
                match self.unreleased.insert(id, (stream, number)) {
                    None => ledger.delivered(self.number, stream, number),
                    // The same again.
                    Some(earlier) if earlier == (stream, number) => {}
                    Some(_) => ledger.identifier_mixed_up(client, id.get()),
                }
            }
            _ => ledger.stranger(client, "a message at QoS 0"),
        }
    }
}

/// Says all that is owed.
fn pay(link: &mut Link, owed: &mut VecDeque<Owed>) {
    for owed in owed.drain(..) {
        match owed {
            Owed::PubAck(id) => link.put(Packet::PubAck(PubAck::new(id))),
            Owed::PubRec(id) => link.put(Packet::PubRec(PubRec::new(id))),
        }
    }
}
