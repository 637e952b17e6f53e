//! A publisher as MQTT wants it: what is not acknowledged is kept, and sent again in order, with DUP,
//! on the next connection; of a QoS 2 message that was received only PUBREL goes out again.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mqtt_codec::{OwnedPacket, Packet, PacketId, PubRel, Publish, QoS, Version};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::chance::Chance;
use super::ledger::{Ledger, Number, Stream};
use super::link::{Ended, Identity, Link, Port};
use super::message;

/// Messages that may be under way.
const WINDOW: usize = 16;

/// One message in the session of the publisher.
struct Flight {
    packet_id: PacketId,
    stream: Stream,
    number: Number,
    filling: usize,
    /// PUBREC has come, so that PUBREL is what goes out again.
    is_received: bool,
}

/// A publisher, with the part of its session that is its own.
pub struct Publisher {
    pub identity: Identity,
    /// What it publishes, and whether it is retained.
    pub streams: Vec<(Stream, bool)>,
    pub ledger: Arc<Mutex<Ledger>>,
    pub port: Port,
    /// True when nothing new is to be published.
    pub draining: watch::Receiver<bool>,
    pub chance: Chance,
    /// Between bursts.
    pub pause: Duration,
    flights: VecDeque<Flight>,
    next_packet_id: u16,
    is_known: bool,
}

impl Publisher {
    pub fn new(
        identity: Identity,
        streams: Vec<(Stream, bool)>,
        ledger: Arc<Mutex<Ledger>>,
        port: Port,
        draining: watch::Receiver<bool>,
        chance: Chance,
        pause: Duration,
    ) -> Self {
        Self {
            identity,
            streams,
            ledger,
            port,
            draining,
            chance,
            pause,
            flights: VecDeque::new(),
            next_packet_id: 1,
            is_known: false,
        }
    }

    /// Publishes until it is told to stop, and then until all is acknowledged.
    pub async fn run(mut self) {
        loop {
            let (link, connack) = Link::establish(&mut self.port, &self.identity).await;
            // MQTT 3.1 cannot say whether there is a session.
            let can_tell = self.identity.version != Version::V31;
            if self.is_known && can_tell && !connack.session_present {
                let client = self.identity.client_id.clone();
                self.ledger.lock().unwrap().session_lost(&client);
            }
            self.is_known = true;
            if let Ok(()) = self.converse(link).await {
                return;
            }
        }
    }

    /// One connection; `Ok` when there is nothing left to do.
    async fn converse(&mut self, mut link: Link) -> Result<(), Ended> {
        for flight in &self.flights {
            self.put(&mut link, flight, true);
        }
        link.flush().await?;
        // Now and then it breaks its own connection off.
        let lives = Duration::from_millis(200 + self.chance.below(6_000));
        let end = Instant::now() + lives;
        let mut next_burst = Instant::now();
        loop {
            if *self.draining.borrow() {
                if self.flights.is_empty() {
                    return Ok(());
                }
            } else if Instant::now() >= end {
                return Err(Ended);
            }
            tokio::select! {
                packet = link.next() => {
                    self.handle(&mut link, packet?);
                    while let Some(packet) = link.take() {
                        self.handle(&mut link, packet);
                    }
                }
                () = sleep_until(next_burst) => {
                    next_burst = Instant::now() + self.pause;
                    if !*self.draining.borrow() {
                        self.burst(&mut link);
                    }
                }
            }
            link.flush().await?;
        }
    }

    fn put(&self, link: &mut Link, flight: &Flight, dup: bool) {
        if flight.is_received {
            return link.put(Packet::PubRel(PubRel::new(flight.packet_id)));
        }
        let (topic, qos) = {
            let ledger = self.ledger.lock().unwrap();
            (
                ledger.topic(flight.stream).to_owned(),
                ledger.qos(flight.stream),
            )
        };
        let payload = message::payload(flight.stream, flight.number, flight.filling);
        let is_retained =
            |&(stream, retained): &(Stream, bool)| stream == flight.stream && retained;
        link.put(Packet::Publish(Publish {
            dup,
            qos,
            retain: self.streams.iter().any(is_retained),
            packet_id: Some(flight.packet_id),
            ..Publish::new(&topic, &payload)
        }));
    }

    /// Publishes a few messages, as far as the window has room.
    fn burst(&mut self, link: &mut Link) {
        for _ in 0..=self.chance.below(4) {
            if self.flights.len() >= WINDOW {
                return;
            }
            let choice = self.chance.below(self.streams.len() as u64);
            let (stream, _) = self.streams[usize::try_from(choice).unwrap()];
            let number = self.ledger.lock().unwrap().next_number(stream);
            let filling = if self.chance.percent(3) { 20_000 } else { 200 };
            let flight = Flight {
                packet_id: self.free_packet_id(),
                stream,
                number,
                filling: usize::try_from(self.chance.below(filling)).unwrap(),
                is_received: false,
            };
            self.put(link, &flight, false);
            self.flights.push_back(flight);
        }
    }

    fn free_packet_id(&mut self) -> PacketId {
        loop {
            let id = PacketId::new(self.next_packet_id).unwrap();
            // Few, so that they come round often.
            self.next_packet_id = self.next_packet_id % 40 + 1;
            if self.flights.iter().all(|flight| flight.packet_id != id) {
                return id;
            }
        }
    }

    fn handle(&mut self, link: &mut Link, packet: OwnedPacket) {
        match packet {
            OwnedPacket::PubAck(puback) => {
                let refused = puback.reason_code.is_error();
                self.finish(puback.packet_id, QoS::AtLeastOnce, refused);
            }
            OwnedPacket::PubRec(pubrec) if pubrec.reason_code.is_error() => {
                self.finish(pubrec.packet_id, QoS::ExactlyOnce, true);
            }
            OwnedPacket::PubRec(pubrec) => {
                let mut flights = self.flights.iter_mut();
                let flight = flights.find(|flight| flight.packet_id == pubrec.packet_id);
                if let Some(flight) = flight {
                    flight.is_received = true;
                }
                link.put(Packet::PubRel(PubRel::new(pubrec.packet_id)));
            }
            OwnedPacket::PubComp(pubcomp) => {
                self.finish(pubcomp.packet_id, QoS::ExactlyOnce, false);
            }
            // The broker says farewell, and ends the connection.
            OwnedPacket::Disconnect(_) => {}
            other => {
                let client = &self.identity.client_id;
                let what = format!("{other:?}");
                self.ledger.lock().unwrap().stranger(client, &what);
            }
        }
    }

    /// The exchange of this packet identifier is over.
    fn finish(&mut self, packet_id: PacketId, qos: QoS, refused: bool) {
        let mut ledger = self.ledger.lock().unwrap();
        let found = self
            .flights
            .iter()
            .position(|flight| flight.packet_id == packet_id && ledger.qos(flight.stream) == qos);
        let Some(flight) = found.and_then(|place| self.flights.remove(place)) else {
            let what = format!("an acknowledgement of {packet_id:?}, which is not under way");
            ledger.stranger(&self.identity.client_id, &what);
            return;
        };
        if refused {
            ledger.refused(flight.stream, flight.number);
        } else {
            ledger.acknowledged(flight.stream, flight.number);
        }
    }
}
