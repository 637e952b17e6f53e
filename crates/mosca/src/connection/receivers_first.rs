//! A message goes out to its receivers before it is acknowledged to the publisher.
//!
//! Each of the two is a system call of several microseconds, and it is the message that somebody waits
//! for. So a publisher whose input has woken receivers goes behind them with its PUBACK or PUBREC. To the
//! end of the line once is not enough: when several publishers were heard together, the receivers that the
//! last of them wakes stand behind the first of them. The second time all are in front.

use std::task::{Context, Poll};

use super::{Driver, Stage};
use crate::network::Network;

/// Receivers up to which the publisher waits for them. With more of them, one acknowledgement in front
/// holds up nobody, while the publisher would wait for all and send less at a time.
const RECEIVERS_MAX: usize = 2;

/// Whether the tasks that were woken are to write before one that `answers` its client.
pub(super) fn receivers_first(answers: bool, woken: usize) -> bool {
    answers && (1..=RECEIVERS_MAX).contains(&woken)
}

impl<S: Network> Driver<S> {
    /// Comes back when the receivers that stand in line by then have had their turn.
    pub(super) fn let_receivers_pass(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if let Stage::Serving = self.stage {
            self.stage = Stage::LettingPass;
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::io;
    use std::net::SocketAddr;
    use std::pin::Pin;
    use std::sync::{Arc, Mutex};

    use mqtt_codec::{
        Connect, Packet, PacketId, Properties, Publish, QoS, Subscribe, SubscribeFiltersBuf,
        SubscriptionOptions, Version,
    };
    use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

    use super::super::tests::shared;
    use super::*;
    use crate::network::Stream;
    use crate::peer::Address;

    /// A client that says its pieces, one for each read; what it is sent is noted, with its name, where all
    /// note it.
    struct Client {
        name: &'static str,
        says: VecDeque<Vec<u8>>,
        heard: Arc<Mutex<Vec<(&'static str, u8)>>>,
    }

    impl AsyncRead for Client {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _context: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            let Some(piece) = self.says.pop_front() else {
                return Poll::Pending;
            };
            buffer.put_slice(&piece);
            Poll::Ready(Ok(()))
        }
    }

    impl AsyncWrite for Client {
        fn poll_write(
            self: Pin<&mut Self>,
            _context: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.heard.lock().unwrap().push((self.name, bytes[0] >> 4));
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    impl Stream for Client {}

    impl Network for Client {
        type Peer = Address;

        fn owes_farewell(&self) -> bool {
            false
        }
    }

    fn bytes(packet: &Packet<'_>) -> Vec<u8> {
        let mut bytes = Vec::new();
        packet.encode(Version::V311, &mut bytes).unwrap();
        bytes
    }

    fn subscribe(topic: &str) -> Vec<u8> {
        let mut filters = SubscribeFiltersBuf::new();
        let at_least_once = SubscriptionOptions::new(QoS::AtLeastOnce);
        filters.push(topic, at_least_once).unwrap();
        bytes(&Packet::Subscribe(Subscribe {
            packet_id: PacketId::MIN,
            properties: Properties::EMPTY,
            filters: filters.as_filters(),
        }))
    }

    fn publish(topic: &str) -> Vec<u8> {
        bytes(&Packet::Publish(Publish {
            qos: QoS::AtLeastOnce,
            packet_id: Some(PacketId::MIN),
            ..Publish::new(topic, b"")
        }))
    }

    /// What all heard in which order, when two publish at once to a receiver each.
    #[tokio::test]
    async fn publishers_heard_together_are_answered_behind_all_receivers() {
        const PUBLISH: u8 = 3;
        const PUBACK: u8 = 4;
        let shared = shared();
        let heard = Arc::default();
        let peer = Address::from(SocketAddr::from(([127, 0, 0, 1], 1)));
        let clients = [
            ("receiver of a", subscribe("a")),
            ("receiver of b", subscribe("b")),
            ("publisher of a", publish("a")),
            ("publisher of b", publish("b")),
        ];
        for (name, says) in clients {
            let connect = bytes(&Packet::Connect(Connect::new(Version::V311, name)));
            let client = Client {
                name,
                says: [connect, says].into(),
                heard: Arc::clone(&heard),
            };
            tokio::spawn(Driver::new(client, peer, Arc::clone(&shared), 0));
        }
        while heard.lock().unwrap().len() < 8 {
            tokio::task::yield_now().await;
        }
        let mut heard = heard.lock().unwrap().clone();
        heard.retain(|(_, packet)| [PUBLISH, PUBACK].contains(packet));
        let in_order = [
            ("receiver of a", PUBLISH),
            ("receiver of b", PUBLISH),
            ("publisher of a", PUBACK),
            ("publisher of b", PUBACK),
        ];
        assert_eq!(heard, in_order);
    }

    #[test]
    fn an_answer_waits_for_few_receivers_and_nothing_waits_for_none() {
        assert!(receivers_first(true, 1));
        assert!(receivers_first(true, RECEIVERS_MAX));
        assert!(!receivers_first(true, RECEIVERS_MAX + 1));
        assert!(!receivers_first(true, 0));
        assert!(!receivers_first(false, 1));
    }
}
