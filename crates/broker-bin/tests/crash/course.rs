//! The course of a crash test: clients of all kinds work through a broker that something happens to;
//! when it is over all is brought to an end, and judged.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use mqtt_codec::{
    OwnedPacket, Packet, PacketId, Properties, QoS, Subscribe, SubscribeFiltersBuf,
    SubscriptionOptions, Version,
};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::broker::Broker;
use super::chance::Chance;
use super::ledger::{Findings, Ledger, Stream};
use super::link::{Identity, Link};
use super::message;
use super::publisher::Publisher;
use super::subscriber::{Habit, Subscriber};

const PUBLISHERS: usize = 6;

/// When nothing has come for so long and something is missing, nothing more will: a machine that is
/// busy with something else may stop for seconds. Where nothing is missing the shorter one is enough.
const QUIET: Duration = Duration::from_secs(20);
const QUIET_AND_WHOLE: Duration = Duration::from_millis(500);

/// No part of a course takes longer.
const LIMIT: Duration = Duration::from_secs(120);

/// Clients at work, with a broker between them.
pub struct Course {
    pub broker: Broker,
    pub chance: Chance,
    ledger: Arc<Mutex<Ledger>>,
    draining: watch::Sender<bool>,
    publishers: JoinSet<()>,
    subscribers: JoinSet<()>,
    retained: Vec<Stream>,
    began: Instant,
}

/// A subscriber as the table has it.
struct Role {
    client_id: &'static str,
    version: Version,
    receive_maximum: Option<u16>,
    filters: &'static [(&'static str, QoS)],
    habit: Habit,
}

/// Some identifiers are the beginnings of others, or look like filters and keys.
const ROLES: [Role; 7] = [
    Role {
        client_id: "s",
        version: Version::V5,
        receive_maximum: None,
        filters: &[
            ("crash/#", QoS::ExactlyOnce),
            ("latest/#", QoS::AtLeastOnce),
        ],
        habit: Habit::Stays,
    },
    Role {
        client_id: "s:1",
        version: Version::V311,
        receive_maximum: None,
        filters: &[("crash/+/two", QoS::ExactlyOnce)],
        habit: Habit::Stays,
    },
    Role {
        client_id: "s:1:2",
        version: Version::V5,
        receive_maximum: Some(5),
        filters: &[("crash/#", QoS::ExactlyOnce)],
        habit: Habit::Wanders,
    },
    Role {
        client_id: "s/#",
        version: Version::V311,
        receive_maximum: None,
        filters: &[("crash/#", QoS::AtLeastOnce)],
        habit: Habit::Wanders,
    },
    Role {
        client_id: "s/+ é*",
        version: Version::V5,
        receive_maximum: Some(20),
        // They overlap: one copy, at the higher quality.
        filters: &[
            ("crash/0/#", QoS::ExactlyOnce),
            ("crash/+/two", QoS::AtLeastOnce),
            ("latest/#", QoS::ExactlyOnce),
        ],
        habit: Habit::Wanders,
    },
    Role {
        client_id: "s{1}",
        version: Version::V5,
        receive_maximum: None,
        filters: &[
            ("crash/+/one", QoS::AtLeastOnce),
            ("crash/+/two", QoS::ExactlyOnce),
        ],
        habit: Habit::IsAway,
    },
    Role {
        client_id: "s\u{1F600}",
        version: Version::V311,
        receive_maximum: None,
        filters: &[("crash/1/+", QoS::ExactlyOnce)],
        habit: Habit::IsAway,
    },
];

impl Role {
    /// What it must get, each stream at the highest quality of the filters that match.
    fn streams(&self, ledger: &Ledger, streams: &[Stream]) -> Vec<(Stream, QoS)> {
        let granted = |stream: Stream| {
            let topic = ledger.topic(stream);
            let matching = self
                .filters
                .iter()
                .filter(|(filter, _)| matches(filter, topic));
            matching.map(|&(_, qos)| qos).max()
        };
        let granted = streams
            .iter()
            .map(|&stream| Some((stream, granted(stream)?)));
        granted.flatten().collect()
    }
}

/// Section 4.7 for the filters above.
fn matches(filter: &str, topic: &str) -> bool {
    let (mut levels, mut topic) = (filter.split('/'), topic.split('/'));
    loop {
        match (levels.next(), topic.next()) {
            (Some("#"), _) | (None, None) => return true,
            (Some(level), Some(word)) if level == "+" || level == word => {}
            _ => return false,
        }
    }
}

impl Course {
    /// Starts the broker, lets everybody subscribe, and lets the publishers begin.
    pub async fn begin(arguments: &[&str], seed: u64) -> Self {
        let mut broker = Broker::new(arguments.iter().map(|&text| text.to_owned()).collect());
        broker.start().await;
        let mut course = Self {
            broker,
            chance: Chance::new(seed),
            ledger: Arc::default(),
            draining: watch::Sender::new(false),
            publishers: JoinSet::new(),
            subscribers: JoinSet::new(),
            retained: Vec::new(),
            began: Instant::now(),
        };
        let streams = course.add_streams();
        course.add_subscribers(&streams.concat()).await;
        course.add_publishers(&streams);
        course.began = Instant::now();
        course
    }

    /// For each publisher one stream at QoS 1, one at QoS 2, and one that is retained.
    fn add_streams(&mut self) -> Vec<Vec<Stream>> {
        let mut ledger = self.ledger.lock().unwrap();
        let mut streams = Vec::new();
        for publisher in 0..PUBLISHERS {
            let one = ledger.add_stream(format!("crash/{publisher}/one"), QoS::AtLeastOnce);
            let two = ledger.add_stream(format!("crash/{publisher}/two"), QoS::ExactlyOnce);
            let qos = [QoS::AtLeastOnce, QoS::ExactlyOnce][publisher % 2];
            let latest = ledger.add_stream(format!("latest/{publisher}"), qos);
            self.retained.push(latest);
            streams.push(vec![one, two, latest]);
        }
        streams
    }

    async fn add_subscribers(&mut self, streams: &[Stream]) {
        let (sender, mut subscribed) = mpsc::channel(1);
        for (role, fork) in ROLES.iter().zip(100..) {
            let number = {
                let mut ledger = self.ledger.lock().unwrap();
                let streams = role.streams(&ledger, streams);
                ledger.add_subscriber(role.client_id.to_owned(), &streams)
            };
            let filters = role.filters.iter();
            let subscriber = Subscriber {
                identity: Identity {
                    client_id: role.client_id.to_owned(),
                    version: role.version,
                    receive_maximum: role.receive_maximum,
                },
                number,
                filters: filters
                    .map(|&(filter, qos)| (filter.to_owned(), qos))
                    .collect(),
                habit: role.habit,
                ledger: Arc::clone(&self.ledger),
                port: self.broker.port(),
                draining: self.draining.subscribe(),
                chance: self.chance.fork(fork),
                subscribed: Some(sender.clone()),
                unreleased: HashMap::new(),
            };
            self.subscribers.spawn(subscriber.run());
        }
        drop(sender);
        // Ends when all of them have dropped theirs.
        let all = tokio::time::timeout(LIMIT, subscribed.recv()).await;
        assert_eq!(all, Ok(None), "not all could subscribe");
    }

    fn add_publishers(&mut self, streams: &[Vec<Stream>]) {
        for (number, streams) in streams.iter().enumerate() {
            let identity = Identity {
                client_id: format!("p:{number}"),
                version: [Version::V5, Version::V311, Version::V31][number % 3],
                receive_maximum: None,
            };
            let streams = streams.iter().enumerate();
            let publisher = Publisher::new(
                identity,
                streams
                    .map(|(place, &stream)| (stream, place == 2))
                    .collect(),
                Arc::clone(&self.ledger),
                self.broker.port(),
                self.draining.subscribe(),
                self.chance.fork(200 + number as u64),
                Duration::from_millis(15),
            );
            self.publishers.spawn(publisher.run());
        }
    }

    /// Kills the broker so often, at moments by chance, each time after `before` has run, and starts it
    /// again on the same store.
    pub async fn kill(&mut self, times: usize) {
        for _ in 0..times {
            // Now and then while it starts.
            if self.chance.percent(15) {
                self.broker.kill().await;
                let after = Duration::from_millis(self.chance.below(120));
                self.broker.kill_while_starting(after).await;
                self.broker.start().await;
                continue;
            }
            self.work(800).await;
            self.broker.kill().await;
            self.broker.start().await;
        }
    }

    /// Lets the clients work for some time below this.
    pub async fn work(&mut self, millis: u64) {
        let millis = 20 + self.chance.below(millis);
        tokio::time::sleep(Duration::from_millis(millis)).await;
    }

    /// How many messages are acknowledged by now.
    pub fn acknowledged(&self) -> usize {
        self.ledger.lock().unwrap().findings().acknowledged
    }

    /// Ends publishing, waits until everything is delivered or nothing moves any more, and judges.
    pub async fn finish(mut self, name: &str) -> (Findings, Broker) {
        let worked = self.began.elapsed();
        self.draining.send_replace(true);
        while let Ok(Some(ended)) = tokio::time::timeout(LIMIT, self.publishers.join_next()).await {
            ended.expect("a publisher ends without a defect");
        }
        let unfinished = self.publishers.len();
        self.wait_for_silence().await;
        self.check_retained().await;
        while let Some(ended) = self.subscribers.try_join_next() {
            ended.expect("a subscriber ends without a defect");
        }
        let mut findings = self.ledger.lock().unwrap().findings();
        if unfinished > 0 {
            findings
                .examples
                .push(format!("{unfinished} publishers did not come to their end"));
            findings.lost += unfinished;
        }
        let mut starts = self.broker.starts.clone();
        starts.sort();
        println!(
            "{name}: {} kills in {worked:.1?}, all over after {:.1?}; starts: median {:.0?}, \
             longest {:.0?}; {findings}",
            self.broker.kills,
            self.began.elapsed(),
            starts[starts.len() / 2],
            starts[starts.len() - 1],
        );
        let panics = self.broker.panics();
        assert!(panics.is_empty(), "{name}: {panics:?}");
        (findings, self.broker)
    }

    /// Until all has come and nothing more does, or nothing has come for long.
    async fn wait_for_silence(&self) {
        let start = Instant::now();
        let (mut events, mut since) = (u64::MAX, Instant::now());
        loop {
            let (now, missing) = {
                let ledger = self.ledger.lock().unwrap();
                (ledger.events(), ledger.missing())
            };
            if now != events {
                (events, since) = (now, Instant::now());
            }
            let enough = match missing {
                0 => QUIET_AND_WHOLE,
                _ => QUIET,
            };
            if since.elapsed() >= enough || start.elapsed() > LIMIT {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// A new client asks for all retained messages.
    async fn check_retained(&self) {
        let identity = Identity {
            client_id: "who asks at the end".to_owned(),
            version: Version::V5,
            receive_maximum: None,
        };
        let mut found = BTreeMap::new();
        let asking = async {
            let mut port = self.broker.port();
            let (mut link, _) = Link::establish(&mut port, &identity).await;
            let mut filters = SubscribeFiltersBuf::new();
            let options = SubscriptionOptions::new(QoS::AtMostOnce);
            filters.push("latest/#", options).unwrap();
            link.put(Packet::Subscribe(Subscribe {
                packet_id: PacketId::new(1).unwrap(),
                properties: Properties::EMPTY,
                filters: filters.as_filters(),
            }));
            link.flush().await.expect("the broker runs");
            while found.len() < self.retained.len() {
                if let OwnedPacket::Publish(publish) = link.next().await.expect("the broker runs") {
                    let (stream, number) = message::read(&publish.payload).expect("ours");
                    assert_eq!(self.ledger.lock().unwrap().topic(stream), &*publish.topic);
                    found.insert(publish.topic.to_string(), number);
                }
            }
        };
        // Those that do not come are found to be wrong.
        let _late = tokio::time::timeout(QUIET, asking).await;
        let mut ledger = self.ledger.lock().unwrap();
        ledger.check_retained(&self.retained, &found);
    }
}

/// Runs a course on a runtime of its own; its tasks end with it.
pub fn run<F: Future>(course: F) -> F::Output {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().build().unwrap();
    let output = runtime.block_on(course);
    runtime.shutdown_timeout(Duration::from_secs(1));
    output
}
