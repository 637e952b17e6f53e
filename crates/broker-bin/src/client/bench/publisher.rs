//! A client that publishes: at its rate, or as fast as it is acknowledged.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mqtt_client::{Client, ClientError, ClientEvent, PacketId, Publish, QoS, ReasonCode};
use tokio::sync::OwnedSemaphorePermit;

use super::course::{Course, Pacing, Phase};
use super::crew::Member;
use super::plan;
use super::stamp::Stamp;
use crate::client::args::quality;

/// What has become of the messages of a publisher.
#[derive(Clone, Copy, Debug)]
pub(super) struct Published {
    pub(super) publisher: u32,
    /// Those that have to reach subscribers: that were acknowledged, or at QoS 0 sent.
    pub(super) messages: u64,
}

impl Member {
    pub(super) async fn publish(
        mut self,
        turn: Option<OwnedSemaphorePermit>,
        publisher: u32,
    ) -> Published {
        let mut published = Published {
            publisher,
            messages: 0,
        };
        let Some(mut client) = self.connect(turn).await else {
            return published;
        };
        self.is_ready();
        let worked = self.publish_all(&mut client, &mut published).await;
        self.leave(client, worked).await;
        published
    }

    async fn publish_all(
        &mut self,
        client: &mut Client,
        published: &mut Published,
    ) -> Result<(), ClientError> {
        let phase = self.stay(client, Phase::is_publishing, |_| {}).await?;
        let Phase::Publishing(pacing) = phase else {
            return Ok(());
        };
        let course = Arc::clone(&self.course);
        let mut messages = Messages::new(&course, self.number, published.publisher);
        let window = usize::from(course.args.inflight.min(client.receive_maximum()));
        let mut is_done = false;
        loop {
            is_done |= course.args.messages == Some(messages.sent);
            if is_done && messages.under_way.is_empty() {
                return Ok(());
            }
            let may_send = !is_done && messages.under_way.len() < window;
            let oldest = messages.under_way.front().map(|it| it.sent);
            tokio::select! {
                event = client.event() => {
                    if let ClientEvent::Acknowledged { packet_id, reason_code } = event? {
                        messages.acknowledged(packet_id, reason_code, published);
                    }
                }
                due = due(pacing.as_deref(), published.publisher, messages.sent), if may_send => {
                    messages.send(client, due, published).await?;
                }
                _ = self.reach(Phase::is_draining), if !is_done => is_done = true,
                () = expired(oldest, course.timeout()) => return Err(ClientError::TimedOut),
            }
        }
    }
}

/// When the message is due, as soon as it is: now, where there is no rate.
async fn due(pacing: Option<&Pacing>, publisher: u32, message: u64) -> Instant {
    let Some(pacing) = pacing else {
        return Instant::now();
    };
    let due = pacing.schedule.due(publisher, message);
    while Instant::now() < due {
        pacing.pacer.turn(publisher).await;
    }
    due
}

/// Waits until a message has been unanswered for so long.
async fn expired(sent: Option<Instant>, timeout: Duration) {
    match sent {
        Some(sent) => tokio::time::sleep_until((sent + timeout).into()).await,
        None => std::future::pending().await,
    }
}

/// The messages of a publisher.
struct Messages<'a> {
    course: &'a Course,
    /// The client's number among all.
    client: u32,
    publisher: u32,
    topic: String,
    qos: QoS,
    payload: Vec<u8>,
    sent: u64,
    /// At QoS 1 and 2, in the order in which they were sent.
    under_way: VecDeque<UnderWay>,
}

struct UnderWay {
    packet_id: PacketId,
    due: Instant,
    sent: Instant,
}

impl<'a> Messages<'a> {
    fn new(course: &'a Course, client: u32, publisher: u32) -> Self {
        let size = usize::try_from(course.args.size).unwrap_or_default();
        Self {
            course,
            client,
            publisher,
            topic: plan::numbered(&course.args.topic, publisher),
            qos: quality(course.args.qos),
            payload: vec![0; size],
            sent: 0,
            under_way: VecDeque::new(),
        }
    }

    async fn send(
        &mut self,
        client: &mut Client,
        due: Instant,
        published: &mut Published,
    ) -> Result<(), ClientError> {
        let stamp = Stamp {
            run: self.course.meter.run,
            publisher: self.publisher,
            message: self.sent,
            due_ns: self.course.meter.nanos(due),
        };
        stamp.write(&mut self.payload);
        let message = Publish {
            qos: self.qos,
            retain: self.course.args.retain,
            ..Publish::new(&self.topic, &self.payload)
        };
        let packet_id = client.begin_publish(&message).await?;
        self.sent += 1;
        match packet_id {
            Some(packet_id) => self.under_way.push_back(UnderWay {
                packet_id,
                due,
                sent: Instant::now(),
            }),
            None => published.messages += 1,
        }
        self.course
            .meter
            .count(self.client, |sample| sample.sent += 1);
        Ok(())
    }

    fn acknowledged(
        &mut self,
        packet_id: PacketId,
        reason_code: ReasonCode,
        published: &mut Published,
    ) {
        let now = Instant::now();
        // Mostly the first one.
        let found = self
            .under_way
            .iter()
            .position(|it| it.packet_id == packet_id);
        let Some(message) = found.and_then(|index| self.under_way.remove(index)) else {
            return;
        };
        if reason_code.is_error() {
            let words = format!("a message is refused: {}", reason_code.as_str());
            self.course.meter.error(words);
            self.course
                .meter
                .count(self.client, |sample| sample.rejected += 1);
            return;
        }
        published.messages += 1;
        self.course.meter.count(self.client, |sample| {
            sample.acknowledged += 1;
            let took = now.saturating_duration_since(message.due);
            sample.acknowledging.record(took);
        });
    }
}
