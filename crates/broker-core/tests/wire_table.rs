//! The wire table against the core, without sockets.
//!
//! A CONNECT that cannot be decoded is left out: what its version has to be told is for the driver
//! to find out, so those rows are the server's.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may panic, in its helpers too"
)]

use std::sync::Arc;
use std::task::Waker;

use broker_core::{Broker, BrokerOptions, Connection, Effects, Output, Timestamp};
use mqtt_codec::{
    Connect, Decoded, Packet, PacketId, Properties, QoS, Subscribe, SubscribeFiltersBuf,
    SubscriptionOptions, Version, decode,
};
use wire_table::{Before, Case, Codec, Outcome};

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

#[test]
fn every_row_is_answered_as_the_table_says() {
    let cases = wire_table::cases().unwrap();
    let is_for_the_driver =
        |case: &&Case| case.before == Before::Nothing && matches!(case.codec, Codec::Refuses(_));
    let (mut checked, mut wrong) = (0, Vec::new());
    for case in cases.iter().filter(|case| !is_for_the_driver(case)) {
        checked += 1;
        let answer = Line::answer(case);
        if !is_expected(case, &answer) {
            wrong.push(format!("{}: {answer:02X?}", case.name));
        }
    }
    assert!(checked > 0);
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// What came back, and whether the connection was closed behind it.
#[derive(Debug)]
struct Answer {
    bytes: Vec<u8>,
    is_closed: bool,
}

fn is_expected(case: &Case, answer: &Answer) -> bool {
    let bytes = answer.bytes.as_slice();
    // Properties, which may come behind the codes, are for other tests.
    match &case.outcome {
        Outcome::Answers(expected) => bytes == expected && !answer.is_closed,
        Outcome::Accepts => bytes.starts_with(&[0x20]) && bytes[3] == 0 && !answer.is_closed,
        Outcome::Returns(code) => {
            bytes.starts_with(&[0x20]) && bytes[3] == *code && answer.is_closed
        }
        Outcome::Closes => bytes.is_empty() && answer.is_closed,
        Outcome::Disconnects(code) => {
            bytes.starts_with(&[0xE0]) && bytes[2] == *code && answer.is_closed
        }
    }
}

/// One network connection of a broker of its own.
struct Line {
    connection: Connection,
    effects: Effects,
    sent: Vec<u8>,
    is_closed: bool,
}

impl Line {
    fn answer(case: &Case) -> Answer {
        let broker: Arc<Broker> = Broker::new(BrokerOptions {
            max_topic_bytes: 65_535,
            ..BrokerOptions::default()
        });
        let mut line = Self {
            connection: Connection::new(&broker, NOW),
            effects: Effects::new(),
            sent: Vec::new(),
            is_closed: false,
        };
        let version = match case.version {
            wire_table::Version::V31 => Version::V31,
            wire_table::Version::V311 => Version::V311,
            wire_table::Version::V5 => Version::V5,
        };
        if case.before != Before::Nothing {
            line.hear(&encoded(
                Packet::Connect(Connect::new(version, "client")),
                version,
            ));
        }
        if case.before == Before::Subscribe {
            let mut filters = SubscribeFiltersBuf::new();
            let options = SubscriptionOptions::new(QoS::ExactlyOnce);
            filters.push("t", options).unwrap();
            let subscribe = Subscribe {
                packet_id: PacketId::new(1).unwrap(),
                properties: Properties::EMPTY,
                filters: filters.as_filters(),
            };
            line.hear(&encoded(Packet::Subscribe(subscribe), version));
        }
        line.sent.clear();
        line.hear(&case.sent);
        Answer {
            bytes: line.sent,
            is_closed: line.is_closed,
        }
    }

    /// Hands over what the client sent, and takes what comes of it.
    fn hear(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() && self.connection.closing().is_none() {
            let max = self.connection.max_packet_size();
            match decode(bytes, self.connection.version(), max) {
                Ok(Decoded::Packet { packet, size }) => {
                    self.connection
                        .handle_packet(NOW, packet, &mut self.effects);
                    bytes = &bytes[size..];
                }
                Ok(Decoded::Incomplete { .. }) => break,
                Err(error) => {
                    self.connection
                        .handle_malformed(NOW, error, &mut self.effects);
                }
            }
        }
        self.settle();
        loop {
            let output = self
                .connection
                .poll_output(NOW, Waker::noop(), &mut self.effects);
            self.settle();
            match output {
                Output::Idle => return,
                Output::Close(_) => {
                    self.is_closed = true;
                    return;
                }
                Output::Write(mut outbox) => {
                    while !outbox.is_empty() {
                        let mut slices = [std::io::IoSlice::new(&[]); 8];
                        let filled = outbox.slices(&mut slices);
                        let mut written = 0;
                        for slice in &slices[..filled] {
                            written += slice.len();
                            self.sent.extend_from_slice(slice);
                        }
                        outbox.advance(written);
                    }
                }
            }
        }
    }

    /// A store that takes everything at once.
    fn settle(&mut self) {
        self.effects.batch().drain().for_each(drop);
        self.connection.handle_committed_now(NOW, &mut self.effects);
        self.effects.wake();
    }
}

fn encoded(packet: Packet<'_>, version: Version) -> Vec<u8> {
    let mut bytes = Vec::new();
    packet.encode(version, &mut bytes).unwrap();
    bytes
}
