//! What publishers were told and what subscribers got, and the judgement over both.

use std::collections::BTreeMap;
use std::fmt;

use mqtt_codec::QoS;

/// A stream of numbered messages: one publisher, one topic, one quality of service.
pub type Stream = usize;

/// One message: which stream, and its number in it, from 0.
pub type Number = usize;

/// What is known of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// On its way; whether it has arrived nobody knows.
    Sent,
    /// PUBACK or PUBCOMP has come: whoever subscribes must get it.
    Acknowledged,
    /// The broker has said no. It may still have delivered it.
    Refused,
}

#[derive(Debug)]
struct Published {
    topic: String,
    qos: QoS,
    fates: Vec<Fate>,
}

/// What one subscriber got of one stream.
#[derive(Debug)]
struct Received {
    /// The lower of both sides' quality of service.
    qos: QoS,
    /// How often each message came, less what the QoS 2 exchange showed to be the same.
    counts: Vec<u8>,
    /// The highest number so far.
    highest: Option<Number>,
}

/// Everything that is counted.
#[derive(Debug, Default)]
pub struct Ledger {
    streams: Vec<Published>,
    received: BTreeMap<(usize, Stream), Received>,
    subscribers: Vec<String>,
    findings: Findings,
    /// Grows whenever anything comes: who waits for the end looks at it.
    events: u64,
}

/// What must be zero, and what may be anything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    pub sent: usize,
    pub acknowledged: usize,
    pub refused: usize,
    pub deliveries: usize,
    /// Acknowledged, and somebody who subscribes did not get it.
    pub lost: usize,
    /// QoS 2 all the way, and it came more than once.
    pub duplicates_qos_2: usize,
    /// The same at QoS 1, where that is allowed.
    pub duplicates_qos_1: usize,
    /// Came for the first time after a later one of its stream.
    pub out_of_order: usize,
    /// CONNACK said that there is no session, and there had been one.
    pub sessions_lost: usize,
    /// A packet identifier stood for two messages at one time.
    pub identifiers_mixed_up: usize,
    /// Came to somebody who did not subscribe to it, or with contents that nobody sent.
    pub strangers: usize,
    /// Streams whose retained message is not the last one acknowledged.
    pub retained_wrong: usize,
    /// The first few of what is wrong, in words.
    pub examples: Vec<String>,
}

const EXAMPLES: usize = 12;

impl Findings {
    fn example(&mut self, text: impl FnOnce() -> String) {
        if self.examples.len() < EXAMPLES {
            self.examples.push(text());
        }
    }

    /// Whether anything happened that must not.
    pub fn is_clean(&self) -> bool {
        let wrong = self.lost
            + self.duplicates_qos_2
            + self.out_of_order
            + self.sessions_lost
            + self.identifiers_mixed_up
            + self.strangers
            + self.retained_wrong;
        wrong == 0
    }

    /// Fails the test if anything happened that must not, or nothing at all.
    pub fn assert_clean(&self) {
        assert!(self.is_clean(), "{self}");
        assert!(self.acknowledged > 0 && self.deliveries > 0, "{self}");
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "sent {}, acknowledged {}, refused {}, deliveries {}; lost {}, QoS 2 duplicates {}, \
             out of order {}, sessions lost {}, identifiers mixed up {}, strangers {}, \
             retained wrong {}; QoS 1 duplicates {} (allowed)",
            self.sent,
            self.acknowledged,
            self.refused,
            self.deliveries,
            self.lost,
            self.duplicates_qos_2,
            self.out_of_order,
            self.sessions_lost,
            self.identifiers_mixed_up,
            self.strangers,
            self.retained_wrong,
            self.duplicates_qos_1
        )?;
        for example in &self.examples {
            write!(f, "\n    {example}")?;
        }
        Ok(())
    }
}

impl Ledger {
    pub fn add_stream(&mut self, topic: String, qos: QoS) -> Stream {
        self.streams.push(Published {
            topic,
            qos,
            fates: Vec::new(),
        });
        self.streams.len() - 1
    }

    /// A subscriber that is to get these streams, each at most at this quality of service. To be
    /// called before anything is published.
    pub fn add_subscriber(&mut self, name: String, streams: &[(Stream, QoS)]) -> usize {
        let subscriber = self.subscribers.len();
        self.subscribers.push(name);
        for &(stream, granted) in streams {
            let received = Received {
                qos: granted.min(self.streams[stream].qos),
                counts: Vec::new(),
                highest: None,
            };
            self.received.insert((subscriber, stream), received);
        }
        subscriber
    }

    pub fn topic(&self, stream: Stream) -> &str {
        &self.streams[stream].topic
    }

    pub fn qos(&self, stream: Stream) -> QoS {
        self.streams[stream].qos
    }

    /// The next message of a stream is about to be sent; its number.
    pub fn next_number(&mut self, stream: Stream) -> Number {
        let fates = &mut self.streams[stream].fates;
        fates.push(Fate::Sent);
        fates.len() - 1
    }

    pub fn acknowledged(&mut self, stream: Stream, number: Number) {
        self.streams[stream].fates[number] = Fate::Acknowledged;
        self.events += 1;
    }

    pub fn refused(&mut self, stream: Stream, number: Number) {
        self.streams[stream].fates[number] = Fate::Refused;
        self.events += 1;
    }

    /// A message has come that the exchange did not show to be one that was there already.
    pub fn delivered(&mut self, subscriber: usize, stream: Stream, number: Number) {
        self.events += 1;
        self.findings.deliveries += 1;
        let sent = self.streams.get(stream).map_or(0, |s| s.fates.len());
        let name = &self.subscribers[subscriber];
        let Some(received) = self.received.get_mut(&(subscriber, stream)) else {
            self.findings.strangers += 1;
            self.findings
                .example(|| format!("{name} got stream {stream}, which it has not subscribed to"));
            return;
        };
        if number >= sent {
            self.findings.strangers += 1;
            self.findings
                .example(|| format!("{name} got number {number} of stream {stream}: never sent"));
            return;
        }
        if received.counts.len() <= number {
            received.counts.resize(number + 1, 0);
        }
        let count = &mut received.counts[number];
        *count = count.saturating_add(1);
        let topic = &self.streams[stream].topic;
        if *count > 1 {
            if received.qos == QoS::ExactlyOnce {
                self.findings.duplicates_qos_2 += 1;
                self.findings
                    .example(|| format!("{name} got {topic} {number} again at QoS 2"));
            } else {
                self.findings.duplicates_qos_1 += 1;
            }
        } else if let Some(highest) = received.highest.filter(|&highest| highest > number) {
            self.findings.out_of_order += 1;
            self.findings
                .example(|| format!("{name} got {topic} {number} after {highest}"));
        }
        received.highest = received.highest.max(Some(number));
    }

    pub fn session_lost(&mut self, client: &str) {
        self.findings.sessions_lost += 1;
        self.findings
            .example(|| format!("the session of {client} is gone"));
    }

    pub fn identifier_mixed_up(&mut self, client: &str, packet_id: u16) {
        self.findings.identifiers_mixed_up += 1;
        self.findings.example(|| {
            format!("{client}: packet identifier {packet_id} stands for two messages at one time")
        });
    }

    pub fn stranger(&mut self, client: &str, what: &str) {
        self.findings.strangers += 1;
        self.findings.example(|| format!("{client} got {what}"));
    }

    /// Whoever waits for the end waits for as long as this changes.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// Acknowledged messages that are still to come.
    pub fn missing(&self) -> usize {
        self.received
            .iter()
            .map(|(&(_, stream), received)| missing(&self.streams[stream], received).count())
            .sum()
    }

    /// Compares retained messages, topic to number, with the last ones that were acknowledged.
    pub fn check_retained(&mut self, streams: &[Stream], found: &BTreeMap<String, Number>) {
        for &stream in streams {
            let published = &self.streams[stream];
            let fates = &published.fates;
            let expected = fates.iter().rposition(|&fate| fate == Fate::Acknowledged);
            let retained = found.get(&published.topic).copied();
            // One that nobody knows of may have arrived.
            let later = |number: Number| {
                expected.is_none_or(|expected| number > expected)
                    && fates[number] != Fate::Acknowledged
            };
            if retained != expected && !retained.is_some_and(later) {
                self.findings.retained_wrong += 1;
                let topic = &published.topic;
                self.findings.example(|| {
                    format!(
                        "{topic} has {retained:?} retained; the last acknowledged is {expected:?}"
                    )
                });
            }
        }
    }

    /// The sum at the end.
    pub fn findings(&self) -> Findings {
        let mut findings = self.findings.clone();
        for stream in &self.streams {
            findings.sent += stream.fates.len();
            let count = |fate| stream.fates.iter().filter(|&&f| f == fate).count();
            findings.acknowledged += count(Fate::Acknowledged);
            findings.refused += count(Fate::Refused);
        }
        for (&(subscriber, stream), received) in &self.received {
            let published = &self.streams[stream];
            for number in missing(published, received) {
                findings.lost += 1;
                let (name, topic) = (&self.subscribers[subscriber], &published.topic);
                findings.example(|| format!("{name} never got {topic} {number}"));
            }
        }
        findings
    }
}

/// The acknowledged messages of a stream that have not come.
fn missing<'a>(
    published: &'a Published,
    received: &'a Received,
) -> impl Iterator<Item = Number> + 'a {
    published
        .fates
        .iter()
        .enumerate()
        .filter(|&(number, &fate)| {
            fate == Fate::Acknowledged && received.counts.get(number).is_none_or(|&n| n == 0)
        })
        .map(|(number, _)| number)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One stream at this quality, three messages acknowledged, one subscriber at QoS 2.
    fn ledger(qos: QoS) -> Ledger {
        let mut ledger = Ledger::default();
        let stream = ledger.add_stream("a/b".to_owned(), qos);
        ledger.add_subscriber("s".to_owned(), &[(stream, QoS::ExactlyOnce)]);
        for number in 0..3 {
            assert_eq!(ledger.next_number(stream), number);
            ledger.acknowledged(stream, number);
        }
        ledger
    }

    fn after(qos: QoS, deliveries: &[Number]) -> Findings {
        let mut ledger = ledger(qos);
        for &number in deliveries {
            ledger.delivered(0, 0, number);
        }
        ledger.findings()
    }

    #[test]
    fn what_came_once_and_in_order_is_clean() {
        for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
            let findings = after(qos, &[0, 1, 2]);
            assert!(findings.is_clean(), "{findings}");
            assert_eq!((findings.sent, findings.acknowledged), (3, 3));
        }
    }

    #[test]
    fn what_was_acknowledged_and_did_not_come_is_lost() {
        let findings = after(QoS::AtLeastOnce, &[0, 2]);
        assert_eq!(findings.lost, 1);
        assert!(!findings.is_clean());
        assert_eq!(findings.examples, ["s never got a/b 1"]);
        assert_eq!(ledger(QoS::AtLeastOnce).missing(), 3);
    }

    #[test]
    fn what_was_not_acknowledged_or_refused_need_not_come() {
        let mut ledger = Ledger::default();
        let stream = ledger.add_stream("a".to_owned(), QoS::AtLeastOnce);
        ledger.add_subscriber("s".to_owned(), &[(stream, QoS::AtLeastOnce)]);
        ledger.next_number(stream);
        let refused = ledger.next_number(stream);
        ledger.refused(stream, refused);
        assert_eq!(ledger.missing(), 0);
        assert!(ledger.findings().is_clean());
    }

    #[test]
    fn what_came_twice_counts_by_its_quality() {
        let findings = after(QoS::ExactlyOnce, &[0, 1, 1, 2]);
        assert_eq!(findings.duplicates_qos_2, 1);
        assert!(!findings.is_clean());
        // Sent again by the publisher, in order, and so delivered again.
        let findings = after(QoS::AtLeastOnce, &[0, 1, 0, 1, 2]);
        assert_eq!(findings.duplicates_qos_1, 2);
        assert!(findings.is_clean(), "{findings}");
    }

    #[test]
    fn what_came_first_after_a_later_one_is_out_of_order() {
        let findings = after(QoS::AtLeastOnce, &[0, 2, 1]);
        assert_eq!((findings.out_of_order, findings.lost), (1, 0));
        assert!(!findings.is_clean());
    }

    #[test]
    fn what_nobody_sent_or_subscribed_to_is_strange() {
        for (stream, number) in [(0, 3), (7, 0)] {
            let mut ledger = ledger(QoS::AtLeastOnce);
            ledger.delivered(0, stream, number);
            assert_eq!(ledger.findings().strangers, 1);
        }
    }

    #[test]
    fn the_retained_message_is_the_last_acknowledged_or_one_on_its_way() {
        let found = |number: Option<Number>| {
            let pairs = number.map(|number| ("a/b".to_owned(), number));
            pairs.into_iter().collect::<BTreeMap<_, _>>()
        };
        for (retained, wrong) in [(Some(2), 0), (Some(1), 1), (None, 1), (Some(3), 0)] {
            let mut ledger = ledger(QoS::AtLeastOnce);
            // On its way.
            ledger.next_number(0);
            ledger.check_retained(&[0], &found(retained));
            assert_eq!(ledger.findings().retained_wrong, wrong, "{retained:?}");
        }
    }
}
