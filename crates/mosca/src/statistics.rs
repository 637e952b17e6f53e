//! Statistics of the server, published below `$SYS` in a fixed rhythm: under mosca's names, and under those that
//! dashboards for mosquitto read.
//!
//! All of them are retained, in memory alone, so that who subscribes sees them at once. Nothing here is on the way of
//! a message: figures are read when it is time.

mod average;
mod date;
mod figures;
mod memory;
mod topics;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use broker_core::{Effects, Message, MessageParts, Timestamp};
use mqtt_codec::QoS;
use tokio::time::{Instant, MissedTickBehavior};

use self::figures::{Figures, Report};
use crate::settle::{Commits, settle_broker};
use crate::shared::Shared;

/// Publishes statistics again and again, for the first time after one interval.
pub(crate) async fn publish_statistics(shared: Arc<Shared>, id: Arc<str>, interval: Duration) {
    let started = shared.clock.now();
    let interval = interval.max(Duration::from_millis(1));
    let mut ticks = tokio::time::interval_at(Instant::now() + interval, interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut report = Report::begin(started, Figures::read(&shared, started));
    let mut publisher = Publisher::new(&id);
    let mut sampled = started;
    loop {
        ticks.tick().await;
        let now = shared.clock.now();
        report.update(Figures::read(&shared, started), now - sampled);
        sampled = now;
        publisher.publish(&shared, &report, now);
    }
}

/// What was said last.
struct Publisher {
    prefix: String,
    /// What mosquitto would not say twice, by its topic.
    said: HashMap<String, String>,
    effects: Effects,
}

impl Publisher {
    fn new(id: &str) -> Self {
        Self {
            prefix: format!("$SYS/{id}"),
            said: HashMap::new(),
            effects: Effects::new(),
        }
    }

    /// Says all of mosca's, as mosca does, and of mosquitto's what has changed, as mosquitto does.
    fn publish(&mut self, shared: &Shared, report: &Report, now: Timestamp) {
        for (name, payload) in topics::of_mosca(report) {
            let topic = format!("{}/{name}", self.prefix);
            self.say(shared, &topic, &payload, now);
        }
        for (name, payload) in topics::of_mosquitto(report) {
            if self.said.get(&name) != Some(&payload) {
                self.say(shared, &format!("$SYS/broker/{name}"), &payload, now);
                self.said.insert(name, payload);
            }
        }
        // There is nothing for the store in it.
        settle_broker(shared, &mut self.effects, &mut Commits::default());
    }

    fn say(&mut self, shared: &Shared, topic: &str, payload: &str, now: Timestamp) {
        let message = Message::new(MessageParts {
            topic,
            properties: &[],
            payload: payload.as_bytes(),
            qos: QoS::AtMostOnce,
            retain: true,
            expires: Timestamp::MAX,
        });
        // The id was found to stand in topic names before the start.
        let _published = shared.broker.publish(now, &message, &mut self.effects);
    }
}
