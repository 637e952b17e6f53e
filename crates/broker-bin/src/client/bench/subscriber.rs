//! A client that subscribes, and measures how long messages took.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use mqtt_client::{Client, ClientError, Subscription};
use tokio::sync::OwnedSemaphorePermit;

use super::course::Phase;
use super::crew::Member;
use super::plan;
use super::stamp::Stamp;
use crate::client::args::quality;

/// Topic filters in one packet.
const FILTERS: usize = 1_000;

impl Member {
    pub(super) async fn subscribe(mut self, turn: Option<OwnedSemaphorePermit>, subscriber: u32) {
        let Some(mut client) = self.connect(turn).await else {
            return;
        };
        let subscribed = self.subscribe_all(&mut client, subscriber).await;
        self.is_ready();
        let worked = match subscribed {
            Ok(()) => self.hear(&mut client).await,
            Err(error) => Err(error),
        };
        self.leave(client, worked).await;
    }

    async fn subscribe_all(&self, client: &mut Client, subscriber: u32) -> Result<(), ClientError> {
        let args = &self.course.args;
        let filters = match &args.filter {
            Some(filter) => vec![plan::numbered(filter, subscriber)],
            None => plan::dealt(&args.topic, self.course.roles, subscriber),
        };
        let qos = quality(args.subscribe_qos());
        for filters in filters.chunks(FILTERS) {
            let subscriptions: Vec<_> = filters
                .iter()
                .map(|filter| Subscription::new(filter, qos))
                .collect();
            let granted = client.subscribe(&subscriptions).await?;
            for (filter, code) in filters.iter().zip(granted) {
                if code.is_error() {
                    return Err(ClientError::Refused(code, None));
                }
                // It was looked at when the command line was read.
                let _added = self.course.receivers.add(subscriber, filter);
            }
        }
        Ok(())
    }

    async fn hear(&mut self, client: &mut Client) -> Result<(), ClientError> {
        let course = Arc::clone(&self.course);
        let mut seen = Seen::default();
        let number = self.number;
        let stayed = self.stay(client, Phase::is_over, |message| {
            let now = Instant::now();
            let stamp = Stamp::read(&message.payload);
            let stamp = stamp.filter(|stamp| stamp.run == course.meter.run);
            let is_new = stamp.is_some_and(|stamp| seen.is_new(stamp));
            course.meter.count(number, |sample| match stamp {
                None => sample.foreign += 1,
                Some(_) if !is_new => sample.repeated += 1,
                Some(stamp) => {
                    sample.received += 1;
                    sample.last = sample.last.max(Some(now));
                    if let Some(due) = course.meter.time(stamp.due_ns) {
                        sample.delivering.record(now.saturating_duration_since(due));
                    }
                }
            });
        });
        stayed.await.map(drop)
    }
}

/// Of each publisher, the number that its next message has.
#[derive(Debug, Default)]
struct Seen(HashMap<u32, u64>);

impl Seen {
    /// Whether the message is the first copy of it. MQTT keeps the order of a publisher's messages, so one behind a
    /// later one is taken for a copy.
    fn is_new(&mut self, stamp: Stamp) -> bool {
        let next = self.0.entry(stamp.publisher).or_default();
        let is_new = stamp.message >= *next;
        if is_new {
            *next = stamp.message.saturating_add(1);
        }
        is_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_message_of_each_publisher_is_new_once() {
        let mut seen = Seen::default();
        let mut is_new = |publisher, message| {
            seen.is_new(Stamp {
                run: 0,
                publisher,
                message,
                due_ns: 0,
            })
        };
        assert!(is_new(0, 0) && is_new(1, 0) && is_new(0, 1));
        assert!(!is_new(0, 1) && !is_new(0, 0));
        assert!(is_new(0, 3), "some were lost in between");
        assert!(!is_new(0, 2));
    }
}
