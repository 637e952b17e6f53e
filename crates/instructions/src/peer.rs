//! A client without a socket, and the broker that it talks to: what a driver does for each packet,
//! and nothing more.

use std::io::IoSlice;
use std::sync::Arc;
use std::task::Waker;

use broker_core::persistence::{Answer, Persistence};
use broker_core::{Broker, BrokerOptions, Connection, Effects, Output, Timestamp};
use mqtt_codec::{Decoded, PacketId, QoS, Version, decode};
use persistence_memory::MemoryPersistence;

use crate::packets;

/// Broker, store, and what a worker thread owns.
pub struct World {
    /// The broker.
    pub broker: Arc<Broker>,
    store: MemoryPersistence,
    effects: Effects,
    /// The time, which stands still unless it is changed.
    pub now: Timestamp,
}

impl World {
    /// With the options of the command.
    pub fn new() -> Self {
        Self::with_options(BrokerOptions::default())
    }

    /// With other options.
    pub fn with_options(options: BrokerOptions) -> Self {
        Self {
            broker: Broker::new(options),
            store: MemoryPersistence::new(),
            effects: Effects::new(),
            now: Timestamp::from_millis(1_000_000),
        }
    }

    /// A client that is connected.
    pub fn connect(&mut self, version: Version, client_id: &str, keep: bool) -> Peer {
        let mut peer = self.accept();
        let connect = packets::connect(version, client_id, keep);
        self.send(&mut peer, &connect);
        self.receive(&mut peer);
        assert_eq!(peer.received.first(), Some(&0x20), "CONNACK");
        peer
    }

    /// One that has not said a word yet.
    pub fn accept(&mut self) -> Peer {
        Peer {
            connection: Connection::new(&self.broker, self.now),
            received: Vec::new(),
        }
    }

    /// One that is connected and has subscribed.
    pub fn subscriber(
        &mut self,
        version: Version,
        client_id: &str,
        keep: bool,
        qos: QoS,
        filters: &[&str],
    ) -> Peer {
        let mut peer = self.connect(version, client_id, keep);
        for some in filters.chunks(100) {
            self.send(&mut peer, &packets::subscribe(version, qos, some));
            self.receive(&mut peer);
            assert_eq!(peer.received.first(), Some(&0x90), "SUBACK");
        }
        peer
    }

    /// The client's bytes arrive, whole packets all of them.
    pub fn send(&mut self, peer: &mut Peer, mut bytes: &[u8]) {
        let connection = &mut peer.connection;
        let all = bytes.len();
        while !bytes.is_empty() {
            let decoded = decode(bytes, connection.version(), connection.max_packet_size());
            let Ok(Decoded::Packet { packet, size }) = decoded else {
                unreachable!("whole packets");
            };
            self.effects.note_received(size);
            connection.handle_packet(self.now, packet, &mut self.effects);
            bytes = bytes.get(size..).unwrap_or_default();
            while connection.is_unfinished() {
                connection.take_step(self.now, &mut self.effects);
            }
        }
        connection.hear(self.now, all);
        self.settle(connection);
    }

    /// The client takes everything that there is for it, into `received`.
    pub fn receive(&mut self, peer: &mut Peer) {
        peer.received.clear();
        loop {
            let output = peer
                .connection
                .poll_output(self.now, Waker::noop(), &mut self.effects);
            self.settle(&mut peer.connection);
            let Output::Write(mut outbox) = output else {
                return;
            };
            while !outbox.is_empty() {
                let mut slices = [IoSlice::new(&[]); 8];
                let filled = outbox.slices(&mut slices);
                let mut written = 0;
                for slice in slices.get(..filled).unwrap_or_default() {
                    peer.received.extend_from_slice(slice);
                    written += slice.len();
                }
                outbox.advance(written);
            }
            self.effects.recycle(outbox);
        }
    }

    /// The connection is lost.
    pub fn lose(&mut self, peer: &mut Peer) {
        peer.connection.handle_lost(self.now, &mut self.effects);
        self.settle(&mut peer.connection);
    }

    /// What is due by now is done. True if there is more.
    pub fn handle_timeout(&mut self) -> bool {
        let broker = Arc::clone(&self.broker);
        let more = broker.handle_timeout(self.now, &mut self.effects);
        loop {
            self.commit();
            let ticket = self.effects.take_ticket();
            broker.handle_committed(self.now, ticket, &mut self.effects);
            self.effects.wake();
            if self.effects.batch().is_empty() {
                return more;
            }
        }
    }

    fn commit(&mut self) {
        let batch = self.effects.batch();
        if !batch.is_empty() {
            let answer = self.store.commit(batch);
            assert!(
                matches!(answer, Answer::Ready(Ok(()))),
                "memory answers at once"
            );
        }
        batch.drain().for_each(drop);
    }

    fn settle(&mut self, connection: &mut Connection) {
        self.broker.count_traffic(&mut self.effects);
        loop {
            self.commit();
            connection.handle_committed_now(self.now, &mut self.effects);
            if self.effects.batch().is_empty() {
                self.effects.wake();
                return;
            }
        }
    }
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

/// A client.
pub struct Peer {
    /// Its connection.
    pub connection: Connection,
    /// The bytes of the last [`World::receive`].
    pub received: Vec<u8>,
}

impl Peer {
    /// Whether the last that came was one PUBLISH, and its packet identifier, read without a decoder
    /// so that the step is the broker's work: it stands behind the topic name.
    pub fn packet_id(&self) -> PacketId {
        let [0x32..=0x37, _, high, low, rest @ ..] = &*self.received else {
            unreachable!("a PUBLISH at QoS 1 or 2: {:?}", self.received);
        };
        let topic = usize::from(u16::from_be_bytes([*high, *low]));
        let bytes = rest.get(topic..).and_then(<[u8]>::first_chunk);
        bytes
            .and_then(|bytes| PacketId::new(u16::from_be_bytes(*bytes)))
            .expect("a packet identifier")
    }

    /// The first byte of the last that came, and how many bytes there were.
    pub fn got(&self) -> (Option<u8>, usize) {
        (self.received.first().copied(), self.received.len())
    }
}
