//! Drawn operations, against a store that is nothing but lists: whatever came before, every lookup
//! answers as the [`Model`] does, also after opening again, after a crash, and through two handles.

use core::fmt::Debug;
use std::sync::Arc;

use mqtt_codec::QoS;
use topic_trie::TopicFilter;

use super::draw::Draw;
use super::samples::{
    FAR, SEED, dequeue, drop_retained, drop_session, drop_will, enqueue, key, mark, message,
    packet_id, put_outgoing, received, released, subscribe, unsubscribe, waiting,
};
use super::subject::Subject;
use super::{Factory, Model};
use crate::Message;
use crate::persistence::{
    Answer, InflightStage, Operation, Persistence, SessionKey, StoredOutgoing, StoredSession,
    StoredWill, SubscriptionIds,
};

const CLIENTS: [&str; 5] = ["a", "a/b", "a:", "a:1", "é"];
const FILTERS: [&str; 8] = ["#", "+", "+/b", "a/#", "$a/#", "a/b", "+/+/c", "a/+"];
const TOPICS: [&str; 7] = ["$a/b", "a", "a/", "a/b", "a/b/c", "a/c", "b/b"];
const NODES: [&str; 3] = ["a", "m", "n"];

/// Greater than any sequence number; there are more of them than a store would keep in one block.
const SEQUENCES: usize = 400;

/// Operations in a batch at most.
const BATCH: usize = 24;

/// Draws operations, lookups and what happens to the store.
struct Drawn {
    draw: Draw,
    /// Two messages of different sizes for each topic, the same ones in every operation.
    messages: Vec<Arc<Message>>,
}

impl Drawn {
    fn new(seed: u64) -> Self {
        let both = |topic| [message(topic, "x"), message(topic, vec![7; 3_000])];
        Self {
            draw: Draw::new(seed),
            messages: TOPICS.into_iter().flat_map(both).collect(),
        }
    }

    fn key(&mut self) -> SessionKey {
        let incarnation = [1, 1, 1, 2, 3][self.draw.below(5)];
        key(self.draw.of(&CLIENTS), incarnation)
    }

    fn message(&mut self) -> Arc<Message> {
        let at = self.draw.below(self.messages.len());
        Arc::clone(&self.messages[at])
    }

    /// Mostly near the front, so that what is there is met again.
    fn sequence(&mut self) -> u64 {
        let below = [8, 40, SEQUENCES][self.draw.below(3)];
        self.draw.below(below) as u64
    }

    fn packet_id(&mut self) -> mqtt_codec::PacketId {
        packet_id(1 + self.draw.below(6) as u16)
    }

    fn put_session(&mut self) -> Operation {
        Operation::PutSession(StoredSession {
            session: self.key(),
            expiry_interval_secs: self.draw.below(3) as u32,
            disconnected_at: [None, Some(FAR)][self.draw.below(2)],
        })
    }

    fn enqueue(&mut self) -> Operation {
        let (key, sequence, message) = (self.key(), self.sequence(), self.message());
        if self.draw.below(3) > 0 {
            return enqueue(&key, sequence, &message);
        }
        let id = self.packet_id();
        put_outgoing(
            &key,
            StoredOutgoing {
                qos: QoS::ExactlyOnce,
                retain: sequence.is_multiple_of(2),
                subscription_ids: SubscriptionIds::Many([9, 300].into()),
                shared: Some("$share/g/a".into()),
                inflight: Some((id, InflightStage::Published)),
                ..waiting(sequence, &message)
            },
        )
    }

    fn operation(&mut self) -> Operation {
        let key = self.key();
        match self.draw.below(40) {
            0..3 => self.put_session(),
            3 => drop_session(&key),
            4..7 => subscribe(&key, self.draw.of(&FILTERS), self.draw.below(3) as u32),
            7..9 => unsubscribe(&key, self.draw.of(&FILTERS)),
            9..12 => Operation::PutRetained {
                message: self.message(),
            },
            12..14 => drop_retained(self.draw.of(&TOPICS)),
            14..23 => self.enqueue(),
            23..27 => {
                let stage = [InflightStage::Published, InflightStage::Released];
                let stage = stage[self.draw.below(2)];
                mark(&key, self.sequence(), self.packet_id(), stage)
            }
            27..32 => dequeue(&key, self.sequence()),
            32..34 => received(&key, self.packet_id()),
            34..36 => released(&key, self.packet_id()),
            36..39 => Operation::PutWill(StoredWill {
                session: key,
                node: self.draw.of(&NODES).into(),
                message: self.message(),
                delay_secs: 3,
                expiry_interval_secs: None,
            }),
            _ => drop_will(&key),
        }
    }

    /// Some operations; now and then one message for all sessions, or a run of messages for one.
    fn batch(&mut self) -> Vec<Operation> {
        let mut operations: Vec<Operation> = (0..self.draw.below(BATCH))
            .map(|_| self.operation())
            .collect();
        match self.draw.below(8) {
            0 => {
                let (message, sequence) = (self.message(), self.sequence());
                let each = CLIENTS
                    .iter()
                    .map(|client| enqueue(&key(client, 1), sequence, &message));
                operations.extend(each);
            }
            1 => {
                let (key, first) = (self.key(), self.sequence());
                let run = (first..first + 20).map(|at| enqueue(&key, at, &self.message()));
                operations.extend(run.collect::<Vec<_>>());
            }
            _ => {}
        }
        operations
    }

    /// One of the names, one between them, or none.
    fn after<'n>(&mut self, names: &[&'n str]) -> Option<&'n str> {
        let names = [names, &["", "a!", "zz"]].concat();
        (self.draw.below(3) > 0)
            .then(|| self.draw.of(&names))
            .filter(|name| !name.is_empty())
    }
}

/// A page is what the model says, or the beginning of it, and empty only if that is.
fn assert_page<T: PartialEq + Debug>(found: &[T], wanted: &[T], what: &dyn Fn() -> String) {
    let fits = wanted.starts_with(found) && found.is_empty() == wanted.is_empty();
    assert!(
        fits,
        "{}: {found:#?}, where it should be {wanted:#?}",
        what()
    );
}

/// Compares one drawn lookup of each kind.
fn assert_some<F: Factory>(subject: &Subject<'_, F>, model: &Model, drawn: &mut Drawn) {
    let limit = [0, 1, 2, 3, 7, 1_000, usize::MAX][drawn.draw.below(7)];
    let client = drawn.draw.of(&CLIENTS);
    let node = drawn.draw.of(&NODES);

    let after = drawn.after(&CLIENTS);
    let what = || format!("{limit} sessions or wills of {node:?} after {after:?}");
    assert_page(
        &subject.sessions(after, limit),
        &model.sessions(after, limit),
        &what,
    );
    let wills = subject.ask(|store| store.wills(node, after, limit));
    assert_page(&wills, &model.wills(node, after, limit), &what);

    assert_eq!(subject.session(client), model.session(client));
    assert_eq!(subject.incoming(client), model.incoming(client));
    assert_eq!(subject.queue(client), model.queue(client));
    let after = drawn.after(&FILTERS);
    let found = subject.ask(|store| store.subscriptions(client, after, limit));
    let what = || format!("{limit} subscriptions of {client:?} after {after:?}");
    assert_page(&found, &model.subscriptions(client, after, limit), &what);

    let after = [None, Some(drawn.sequence())][drawn.draw.below(2)];
    let what = || format!("{limit} messages of {client:?} after {after:?}");
    let found = subject.outgoing_page(client, after, limit);
    assert_page(&found, &model.outgoing(client, after, limit), &what);

    let text = (drawn.draw.below(4) > 0).then(|| drawn.draw.of(&FILTERS));
    let filter = text.and_then(|text| TopicFilter::new(text).ok());
    let after = drawn.after(&TOPICS);
    let what = || format!("{limit} retained by {text:?} after {after:?}");
    let found = subject.ask(|store| store.retained(filter, after, limit));
    assert_page(&found, &model.retained(filter, after, limit), &what);
}

/// Compares everything.
fn assert_all<F: Factory>(subject: &Subject<'_, F>, model: &Model) {
    let sessions = model.sessions(None, usize::MAX);
    assert!(
        subject
            .clients()
            .into_iter()
            .eq(sessions.into_iter().map(|one| one.session.client))
    );
    for client in CLIENTS {
        assert_eq!(subject.session(client), model.session(client));
        assert_eq!(
            subject.subscriptions(client),
            model.subscriptions(client, None, usize::MAX)
        );
        assert_eq!(
            subject.outgoing(client),
            model.outgoing(client, None, usize::MAX)
        );
        assert_eq!(subject.incoming(client), model.incoming(client));
        assert_eq!(subject.queue(client), model.queue(client));
    }
    for node in NODES {
        assert_eq!(subject.wills(node), model.wills(node, None, usize::MAX));
    }
    assert_eq!(
        subject.retained(None),
        model.retained(None, None, usize::MAX)
    );
}

/// Hands over a drawn batch, and does with the model what it says.
fn hand_over<F: Factory>(
    subject: &Subject<'_, F>,
    model: &mut Model,
    drawn: &mut Drawn,
) -> Answer<()> {
    let operations = drawn.batch();
    operations
        .iter()
        .for_each(|operation| model.apply(operation.clone()));
    subject.start(operations)
}

fn settle<F: Factory>(subject: &Subject<'_, F>, answers: &mut Vec<Answer<()>>) {
    for answer in answers.drain(..) {
        let outcome = subject.block_on(answer);
        assert!(outcome.is_ok(), "{outcome:?}");
    }
}

/// All promises but those on time and size. Up to four batches are under way at a time; what is
/// compared is what was answered.
pub(super) fn drawn_batches_do_what_the_model_says<F: Factory>(mut subject: Subject<'_, F>) {
    let (mut model, mut drawn) = (Model::default(), Drawn::new(SEED));
    for step in 0..subject.scale().model_batches {
        let mut answers = Vec::new();
        for _ in 0..[1, 1, 1, 4][drawn.draw.below(4)] {
            answers.push(hand_over(&subject, &mut model, &mut drawn));
        }
        settle(&subject, &mut answers);
        assert_some(&subject, &model, &mut drawn);
        match drawn.draw.below(60) {
            0 => subject.reopen(),
            1 => drop(subject.crash()),
            _ if step % 30 > 0 => continue,
            _ => {}
        }
        assert_all(&subject, &model);
    }
    assert_all(&subject, &model);
}

/// The same where each batch is handed over through one of two handles, and each lookup made through
/// one of them. A place with one handle is opened again instead.
pub(super) fn drawn_batches_through_two_handles_do_what_the_model_says<F: Factory>(
    mut subject: Subject<'_, F>,
) {
    let (mut model, mut drawn) = (Model::default(), Drawn::new(SEED + 1));
    let second = subject.second();
    for _ in 0..subject.scale().model_batches / 5 {
        if second.is_none() && drawn.draw.below(10) == 0 {
            subject.reopen();
        }
        let handles = [&subject, second.as_ref().unwrap_or(&subject)];
        let writer = handles[drawn.draw.below(2)];
        let mut answers = vec![hand_over(writer, &mut model, &mut drawn)];
        settle(writer, &mut answers);
        let reader = handles[drawn.draw.below(2)];
        assert_some(reader, &model, &mut drawn);
    }
    assert_all(&subject, &model);
    assert_all(second.as_ref().unwrap_or(&subject), &model);
}
