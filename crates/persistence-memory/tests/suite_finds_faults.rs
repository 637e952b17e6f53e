//! The contract suite is worth what it finds: a store with one fault does not pass the case that is
//! about it.

#![expect(clippy::unwrap_used, reason = "the store in memory always answers")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};

use broker_core::Message;
use broker_core::persistence::contract::{CASES, Factory, block_on, run_case};
use broker_core::persistence::{
    Answer, Batch, InflightStage, Operation, Persistence, StoredOutgoing, StoredSession,
    StoredSubscription, StoredWill,
};
use mqtt_codec::PacketId;
use persistence_memory::MemoryPersistence;
use topic_trie::{TopicFilter, TopicName};

/// What is wrong with a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// Nothing.
    None,
    /// Operations are committed one at a time.
    NotAtomic,
    /// A batch is applied from its end.
    BackwardBatches,
    /// The last operation of a large batch is lost.
    LosesTheLastOfMany,
    /// The batch is left as it was.
    KeepsTheBatch,
    /// A batch is applied when the next one comes.
    Late,
    /// Client identifiers are told apart by their first colon only.
    CutsAtColons,
    /// Client identifiers are compared without regard to case.
    IgnoresCase,
    /// Numbers go through a `double`.
    RoundsNumbers,
    /// Incarnations are not looked at.
    IgnoresIncarnations,
    /// The will of a session stays when it is dropped.
    ForgetsTheWill,
    /// A released message is kept.
    KeepsReleased,
    /// Messages come as they were written.
    Unordered,
    /// A page begins with the one that it should begin behind.
    PagesOverlap,
    /// A page has one record more than asked for.
    PagesTooLong,
    /// Wildcards in front match topics with `$`.
    ShowsDollar,
    /// `a/#` does not match `a`.
    ForgetsParent,
    /// The node of a will does not matter.
    IgnoresNodes,
    /// Each session has a copy of the message.
    Copies,
    /// The shared subscription of a message is lost.
    DropsShares,
    /// Properties are lost.
    DropsProperties,
    /// Opening again finds nothing.
    Forgets,
}

/// Each fault, and a case that finds it.
const FOUND_BY: [(Fault, &str); 21] = [
    (Fault::NotAtomic, "a_reader_never_sees_a_part_of_a_batch"),
    (Fault::BackwardBatches, "a_batch_is_applied_in_its_order"),
    (
        Fault::LosesTheLastOfMany,
        "ten_thousand_operations_are_one_batch",
    ),
    (Fault::KeepsTheBatch, "a_batch_is_left_empty"),
    (
        Fault::Late,
        "batches_one_after_the_other_apply_in_that_order",
    ),
    (Fault::CutsAtColons, "hostile_identifiers_are_kept_apart"),
    (Fault::IgnoresCase, "hostile_identifiers_are_kept_apart"),
    (
        Fault::RoundsNumbers,
        "numbers_may_be_as_large_as_their_types",
    ),
    (
        Fault::IgnoresIncarnations,
        "operations_of_another_incarnation_change_nothing",
    ),
    (
        Fault::ForgetsTheWill,
        "dropping_a_session_leaves_nothing_of_it",
    ),
    (Fault::KeepsReleased, "a_released_message_is_no_longer_kept"),
    (
        Fault::Unordered,
        "messages_come_in_the_order_of_their_numbers",
    ),
    (
        Fault::PagesOverlap,
        "a_page_may_start_behind_what_is_not_there",
    ),
    (Fault::PagesTooLong, "a_limit_of_zero_gives_nothing"),
    (
        Fault::ShowsDollar,
        "a_wildcard_in_front_does_not_match_dollar_topics",
    ),
    (Fault::ForgetsParent, "filters_find_what_they_match"),
    (Fault::IgnoresNodes, "wills_are_found_by_their_node"),
    (Fault::Copies, "a_message_for_many_sessions_is_stored_once"),
    (
        Fault::DropsShares,
        "a_queued_message_is_found_as_it_was_put",
    ),
    (Fault::DropsProperties, "every_part_of_a_message_survives"),
    (Fault::Forgets, "all_is_there_after_opening_again"),
];

#[test]
fn every_fault_is_found() {
    // Dozens of panics are what this test wants; nobody wants to read them.
    std::panic::set_hook(Box::new(|_| {}));
    let missed: Vec<_> = FOUND_BY
        .iter()
        .filter(|(fault, case)| {
            assert!(CASES.contains(case), "no case {case}");
            catch_unwind(AssertUnwindSafe(|| run_case(case, fault))).is_ok()
        })
        .collect();
    drop(std::panic::take_hook());
    assert!(missed.is_empty(), "{missed:?}");
}

/// What is found above is the fault, and nothing else about the store that has it.
#[test]
fn without_a_fault_every_case_passes() {
    for (_, case) in FOUND_BY {
        run_case(case, &Fault::None);
    }
}

impl Factory for Fault {
    type Place = Arc<Mutex<Arc<MemoryPersistence>>>;
    type Store = Faulty;

    fn create(&self) -> Self::Place {
        Arc::default()
    }

    fn open(&self, place: &Self::Place) -> Faulty {
        let mut place = place.lock().unwrap();
        if *self == Self::Forgets {
            *place = Arc::default();
        }
        Faulty {
            fault: *self,
            inner: Arc::clone(&place),
            late: Mutex::default(),
        }
    }

    fn crash_image(&self, _: &Self::Place) -> Option<Self::Place> {
        None
    }

    fn stored_message_bytes(&self, _: &Self::Place, store: &Faulty) -> Option<u64> {
        let mut messages = std::collections::HashMap::new();
        for session in block_on(store.inner.sessions(None, usize::MAX)).unwrap() {
            let queue = store
                .inner
                .outgoing(&session.session.client, None, usize::MAX);
            for message in block_on(queue)
                .unwrap()
                .into_iter()
                .filter_map(|one| one.message)
            {
                messages.insert(Arc::as_ptr(&message), message.size_bytes() as u64);
            }
        }
        Some(messages.into_values().sum())
    }
}

/// A store in memory with a fault.
struct Faulty {
    fault: Fault,
    inner: Arc<MemoryPersistence>,
    late: Mutex<Vec<Operation>>,
}

impl Faulty {
    fn has(&self, fault: Fault) -> bool {
        self.fault == fault
    }

    fn client(&self, client: &str) -> String {
        match self.fault {
            Fault::CutsAtColons => client.split(':').next().unwrap_or_default().to_owned(),
            Fault::IgnoresCase => client.to_lowercase(),
            _ => client.to_owned(),
        }
    }

    fn commit_all(&self, operations: impl IntoIterator<Item = Operation>) {
        block_on(self.inner.commit(&mut operations.into_iter().collect())).unwrap();
    }

    /// An operation with the fault in it.
    fn spoil(&self, mut operation: Operation) -> Operation {
        if let Operation::PutSession(stored) = &mut operation {
            stored.session.client = self.client(&stored.session.client).into();
        }
        let incarnation = |client: &str| {
            let there = block_on(self.inner.session(client)).unwrap();
            there.map_or(0, |there| there.session.incarnation)
        };
        match &mut operation {
            Operation::PutSubscription { session, .. }
            | Operation::DropSubscription { session, .. }
            | Operation::Dequeue { session, .. }
            | Operation::MarkInflight { session, .. }
            | Operation::Enqueue { session, .. }
            | Operation::IncomingReceived { session, .. }
            | Operation::IncomingReleased { session, .. } => {
                session.client = self.client(&session.client).into();
                if self.has(Fault::IgnoresIncarnations) {
                    session.incarnation = incarnation(&session.client);
                }
            }
            _ => {}
        }
        match &mut operation {
            Operation::Enqueue { sequence, .. } if self.has(Fault::RoundsNumbers) => {
                *sequence = *sequence as f64 as u64;
            }
            Operation::Enqueue { message, .. } if self.has(Fault::Copies) => {
                *message = Message::new(message.parts());
            }
            Operation::Enqueue { message, .. } if self.has(Fault::DropsProperties) => {
                *message = Message::new(broker_core::MessageParts {
                    properties: &[],
                    ..message.parts()
                });
            }
            Operation::Enqueue { shared, .. } if self.has(Fault::DropsShares) => *shared = None,
            Operation::MarkInflight { stage, .. } if self.has(Fault::KeepsReleased) => {
                *stage = InflightStage::Published;
            }
            _ => {}
        }
        operation
    }

    /// How many are asked for when so many were.
    fn limit(&self, limit: usize) -> usize {
        limit.saturating_add(usize::from(self.has(Fault::PagesTooLong)))
    }
}

impl Persistence for Faulty {
    fn commit(&self, batch: &mut Batch) -> Answer<()> {
        let mut operations: Vec<Operation> = batch.operations().to_vec();
        if !self.has(Fault::KeepsTheBatch) {
            batch.drain().for_each(drop);
        }
        match self.fault {
            Fault::NotAtomic => {
                for operation in operations {
                    self.commit_all([operation]);
                    std::thread::yield_now();
                }
                return Answer::ready(());
            }
            Fault::BackwardBatches => operations.reverse(),
            Fault::LosesTheLastOfMany if operations.len() > 1_000 => drop(operations.pop()),
            Fault::Late => {
                operations = std::mem::replace(&mut *self.late.lock().unwrap(), operations);
            }
            Fault::ForgetsTheWill => {
                for operation in &operations {
                    if let Operation::DropSession { session } = operation {
                        let wills = block_on(self.inner.wills("n", None, usize::MAX)).unwrap();
                        let own = wills.into_iter().filter(|will| will.session == *session);
                        let kept: Vec<_> = own.map(Operation::PutWill).collect();
                        operations.extend(kept);
                        break;
                    }
                }
            }
            _ => {}
        }
        self.commit_all(
            operations
                .into_iter()
                .map(|operation| self.spoil(operation)),
        );
        Answer::ready(())
    }

    fn sessions(&self, after: Option<&str>, limit: usize) -> Answer<Vec<StoredSession>> {
        self.inner.sessions(after, self.limit(limit))
    }

    fn session(&self, client: &str) -> Answer<Option<StoredSession>> {
        self.inner.session(&self.client(client))
    }

    fn subscriptions(
        &self,
        client: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Answer<Vec<StoredSubscription>> {
        self.inner
            .subscriptions(&self.client(client), after, self.limit(limit))
    }

    fn outgoing(
        &self,
        client: &str,
        after: Option<u64>,
        limit: usize,
    ) -> Answer<Vec<StoredOutgoing>> {
        let overlaps = self.has(Fault::PagesOverlap);
        let after = after.and_then(|after| {
            if overlaps {
                after.checked_sub(1)
            } else {
                Some(after)
            }
        });
        let answer = self
            .inner
            .outgoing(&self.client(client), after, self.limit(limit));
        let mut page = block_on(answer).unwrap();
        if self.has(Fault::Unordered) {
            page.sort_by_key(|one| one.sequence.to_string());
        }
        Answer::ready(page)
    }

    fn incoming(&self, client: &str) -> Answer<Vec<PacketId>> {
        self.inner.incoming(&self.client(client))
    }

    fn retained(
        &self,
        filter: Option<TopicFilter<'_>>,
        after: Option<&str>,
        limit: usize,
    ) -> Answer<Vec<Arc<Message>>> {
        let Some(filter) = filter else {
            return self.inner.retained(None, after, self.limit(limit));
        };
        let mut page = block_on(self.inner.retained(None, after, usize::MAX)).unwrap();
        page.retain(|message| {
            let topic = TopicName::new(message.topic()).unwrap();
            let parent = filter.as_str().strip_suffix("/#");
            let hides = self.has(Fault::ForgetsParent) && parent == Some(topic.as_str());
            let shows = self.has(Fault::ShowsDollar) && filter.as_str() == "#";
            (filter.matches(topic) || shows) && !hides
        });
        page.truncate(self.limit(limit));
        Answer::ready(page)
    }

    fn wills(&self, node: &str, after: Option<&str>, limit: usize) -> Answer<Vec<StoredWill>> {
        let node = if self.has(Fault::IgnoresNodes) {
            "n"
        } else {
            node
        };
        self.inner.wills(node, after, self.limit(limit))
    }
}
