//! The start of a packet that goes on in what is not read yet.

use broker_core::{Broker, PartialBytes};

/// A pointer, and while there is nothing no memory besides: an idle connection has one of these.
#[derive(Default)]
pub(super) struct Partial {
    start: Option<Box<Start>>,
}

struct Start {
    bytes: Vec<u8>,
    missing: usize,
    counted: Option<PartialBytes>,
}

impl Partial {
    /// Keeps `bytes`, which lack `missing` further ones, as far as is known. A new vector even if an
    /// old one had room: what is idle owns no memory.
    pub(super) fn new(bytes: &[u8], missing: usize) -> Self {
        let start = (!bytes.is_empty()).then(|| {
            Box::new(Start {
                bytes: bytes.to_vec(),
                missing,
                counted: None,
            })
        });
        Self { start }
    }

    /// What has come.
    pub(super) fn bytes(&self) -> &[u8] {
        self.start.as_ref().map_or(&[], |start| &start.bytes)
    }

    /// How many bytes have come.
    pub(super) fn len(&self) -> usize {
        self.bytes().len()
    }

    /// How many bytes it lacks, as far as is known.
    pub(super) fn missing(&self) -> usize {
        self.start.as_ref().map_or(0, |start| start.missing)
    }

    /// Takes what has come.
    pub(super) fn take(&mut self) -> Vec<u8> {
        self.start.take().map_or_else(Vec::new, |start| start.bytes)
    }

    /// More has come. If there is no room for it, there will be for `room` bytes.
    pub(super) fn extend(&mut self, come: &[u8], room: usize) {
        let start = self.start.get_or_insert_with(|| {
            Box::new(Start {
                bytes: Vec::new(),
                missing: 0,
                counted: None,
            })
        });
        if start.bytes.capacity() - start.bytes.len() < come.len() {
            start.bytes.reserve_exact(room.max(come.len()));
        }
        start.bytes.extend_from_slice(come);
        start.missing = start.missing.saturating_sub(come.len());
    }

    /// Counts the memory that it owns among that of all connections. False if there is no room for it.
    pub(super) fn count(&mut self, broker: &Broker) -> bool {
        self.start.as_mut().is_none_or(|start| {
            let bytes = start.bytes.capacity();
            broker.count_partial(&mut start.counted, bytes)
        })
    }

    /// Bytes of memory that it owns for what has come.
    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.start
            .as_ref()
            .map_or(0, |start| start.bytes.capacity())
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future as _;
    use std::pin::Pin;
    use std::sync::Arc;
    use std::task::{Context, Waker};

    use broker_core::{BrokerOptions, CloseCause};
    use mqtt_codec::{Connect, Packet, Publish, Version};

    use super::super::Driver;
    use super::super::tests::{Script, driver, shared_with};
    use crate::shared::Shared;

    /// Goes on until nothing more has come.
    fn run(driver: &mut Driver<Script>) {
        let mut context = Context::from_waker(Waker::noop());
        for _ in 0..20 {
            let _ended = Pin::new(&mut *driver).poll(&mut context);
        }
    }

    /// A client that has sent so much of a large packet.
    fn half(shared: &Arc<Shared>, name: &str, bytes: usize) -> Driver<Script> {
        let mut input = Vec::new();
        let connect = Packet::Connect(Connect::new(Version::V5, name));
        connect.encode(Version::V5, &mut input).unwrap();
        let mut driver = driver(shared, vec![input], usize::MAX);
        run(&mut driver);
        let mut publish = Vec::new();
        let large = Packet::Publish(Publish::new("a", &[0; 150_000]));
        large.encode(Version::V5, &mut publish).unwrap();
        publish.truncate(bytes);
        driver.stream.pieces.push_back(publish);
        run(&mut driver);
        driver
    }

    #[tokio::test]
    async fn packets_that_are_not_whole_have_a_limit_together_and_who_is_beyond_it_is_told() {
        let shared = shared_with(BrokerOptions {
            max_total_partial_bytes: 300_000,
            ..BrokerOptions::default()
        });
        let counted = || shared.broker.sizes().partial_bytes;
        let mut first = half(&shared, "first", 100_000);
        let second = half(&shared, "second", 100_000);
        assert!((200_000..=300_000).contains(&counted()), "{}", counted());
        let before = counted();
        let third = half(&shared, "third", 100_000);
        assert_eq!(third.connection.closing(), Some(CloseCause::NoRoom));
        let connack = first.stream.written.len();
        let disconnect = third.stream.written.get(connack..).unwrap();
        assert_eq!((disconnect[0], disconnect[2]), (0xE0, 0x97));
        let counters = shared.broker.counters();
        assert_eq!(counters.refused_partial_packets.get(), 1);
        assert_eq!(counted(), before);
        // Who sends little at a time is not concerned.
        let small = half(&shared, "small", 3_000);
        assert_eq!(small.connection.closing(), None);
        assert_eq!(counted(), before);
        // What is whole, or lost, is given back.
        first.stream.pieces.push_back(vec![0; 60_000]);
        run(&mut first);
        assert_eq!(counted(), before / 2);
        drop(second);
        assert_eq!(counted(), 0);
        let fourth = half(&shared, "fourth", 100_000);
        assert_eq!(fourth.connection.closing(), None);
    }
}
