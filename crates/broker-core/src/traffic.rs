//! What goes to and fro between clients and broker, counted without making anybody wait.
//!
//! Each worker counts with plain additions in its [`Effects`](crate::Effects), and adds what a batch of input has
//! brought to the broker's totals when it is over, in a lane that few others use at the same time.

use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// What has gone to and fro since the broker was made; see [`Broker::traffic`](crate::Broker::traffic).
///
/// What the broker publishes on topics of its own is not in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Traffic {
    /// From clients. A message counts when it is published: not one that was refused, nor one at QoS 2 that came
    /// once more.
    pub received: Flow,
    /// To clients. Counted when it is handed to the connection, which may be lost before it is written.
    pub sent: Flow,
}

/// One direction of [`Traffic`]. Numbers only ever grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Flow {
    /// MQTT packets of every type.
    pub packets: u64,
    /// Their bytes, without those of TCP, TLS and WebSocket.
    pub bytes: u64,
    /// Application messages: PUBLISH.
    pub messages: u64,
    /// Bytes of their payloads.
    pub payload_bytes: u64,
}

impl Flow {
    /// One packet of so many bytes.
    #[inline]
    pub(crate) fn packet(&mut self, bytes: usize) {
        self.packets += 1;
        self.bytes += bytes as u64;
    }

    /// A message with a payload of so many bytes.
    #[inline]
    pub(crate) fn message(&mut self, payload_bytes: usize) {
        self.messages += 1;
        self.payload_bytes += payload_bytes as u64;
    }
}

impl Traffic {
    /// Whether nothing has been counted that has to be added to the totals: what is not a packet comes with one.
    #[inline]
    fn is_empty(&self) -> bool {
        self.received.packets | self.sent.packets == 0
    }
}

/// Lanes of the totals.
const LANES: usize = 8;

/// A lane of its own, as far as there are enough.
#[derive(Debug)]
pub(crate) struct LaneNumber(usize);

impl Default for LaneNumber {
    fn default() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed) % LANES)
    }
}

/// The totals of a broker.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    lanes: [Lane; LANES],
}

/// Apart from other lanes, also for processors that fetch two lines of memory at a time.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Lane {
    received: Total,
    sent: Total,
}

/// All of one direction.
#[derive(Debug, Default)]
struct Total {
    packets: AtomicU64,
    bytes: AtomicU64,
    messages: AtomicU64,
    payload_bytes: AtomicU64,
}

impl Total {
    #[inline]
    fn add(&self, flow: &Flow) {
        self.packets.fetch_add(flow.packets, Ordering::Relaxed);
        self.bytes.fetch_add(flow.bytes, Ordering::Relaxed);
        if flow.messages > 0 {
            let payload_bytes = flow.payload_bytes;
            self.messages.fetch_add(flow.messages, Ordering::Relaxed);
            self.payload_bytes
                .fetch_add(payload_bytes, Ordering::Relaxed);
        }
    }

    fn add_to(&self, flow: &mut Flow) {
        flow.packets += self.packets.load(Ordering::Relaxed);
        flow.bytes += self.bytes.load(Ordering::Relaxed);
        flow.messages += self.messages.load(Ordering::Relaxed);
        flow.payload_bytes += self.payload_bytes.load(Ordering::Relaxed);
    }
}

impl Tally {
    /// Adds what was counted, which begins anew.
    #[inline]
    pub(crate) fn take(&self, lane: &LaneNumber, traffic: &mut Traffic) {
        if !traffic.is_empty() {
            self.add(lane, traffic);
            *traffic = Traffic::default();
        }
    }

    fn add(&self, lane: &LaneNumber, traffic: &Traffic) {
        if let Some(lane) = self.lanes.get(lane.0) {
            lane.received.add(&traffic.received);
            lane.sent.add(&traffic.sent);
        }
    }

    /// A packet that is sent once in the life of a connection.
    #[cold]
    pub(crate) fn add_sent(&self, bytes: usize) {
        let mut traffic = Traffic::default();
        traffic.sent.packet(bytes);
        self.add(&LaneNumber(0), &traffic);
    }

    pub(crate) fn total(&self) -> Traffic {
        let mut all = Traffic::default();
        for lane in &self.lanes {
            lane.received.add_to(&mut all.received);
            lane.sent.add_to(&mut all.sent);
        }
        all
    }
}

/// How many clients are connected, and have been at most.
#[derive(Debug, Default)]
pub(crate) struct Presence {
    connected: AtomicUsize,
    maximum: AtomicUsize,
}

impl Presence {
    /// A session has a connection.
    pub(crate) fn enter(&self) {
        let connected = self.connected.fetch_add(1, Ordering::Relaxed) + 1;
        self.maximum.fetch_max(connected, Ordering::Relaxed);
    }

    /// It has none any more.
    pub(crate) fn leave(&self) {
        self.connected.fetch_sub(1, Ordering::Relaxed);
    }

    /// Now, and at most so far.
    pub(crate) fn count(&self) -> (usize, usize) {
        let connected = self.connected.load(Ordering::Relaxed);
        (connected, self.maximum.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_workers_count_adds_up() {
        let tally = Tally::default();
        let mut expected = Traffic::default();
        for worker in 0..20 {
            let lane = LaneNumber::default();
            let mut traffic = Traffic::default();
            tally.take(&lane, &mut traffic);
            for bytes in 0..worker {
                for flow in [&mut traffic.received, &mut expected.received] {
                    flow.packet(bytes);
                    flow.message(1);
                }
                for flow in [&mut traffic.sent, &mut expected.sent] {
                    flow.packet(2 * bytes);
                }
            }
            tally.take(&lane, &mut traffic);
            assert_eq!(traffic, Traffic::default());
        }
        tally.add_sent(7);
        expected.sent.packet(7);
        assert_eq!(tally.total(), expected);
    }
}
