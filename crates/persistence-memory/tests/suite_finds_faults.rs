//! The contract suite is worth what it finds: a store with one fault does not pass the case that is
//! about it.

#![expect(clippy::unwrap_used, reason = "the store in memory always answers")]

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};

use broker_core::Message;
use broker_core::persistence::contract::{CASES, Factory, Scale, block_on, run_case};
use broker_core::persistence::{
    Answer, Batch, InflightStage, Operation, Persistence, SessionKey, StoredOutgoing, StoredQueue,
    StoredSession, StoredSubscription, StoredWill,
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
    /// The bytes of a released message are still counted.
    CountsReleased,
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
    /// A batch is applied when someone asks for its answer.
    Lazy,
    /// Of batches that wait together the last one is applied first.
    LastFirst,
    /// A crash takes a batch out of the middle.
    LosesTheMiddle,
    /// A second handle has a store of its own.
    Alone,
    /// Handles do not see subscriptions that other handles have written.
    CachesSubscriptions,
    /// The version is not looked at.
    IgnoresVersions,
    /// Another version is refused without a reason.
    HidesVersions,
    /// Lookups by a client's name find what belongs to `name:…`, too.
    LeaksPrefixes,
    /// A filter is kept under the names of its client and its own without anything between them.
    JoinsNames,
    /// `name:…` goes with `name`.
    DropsPrefixes,
    /// A successor has the subscriptions of its predecessor.
    KeepsOnSuccession,
    /// Sessions are dropped before all else of a batch is done.
    DropsFirst,
    /// What messages took up is never given back.
    LeaksMessages,
    /// Seconds are counted in 32 bits.
    ShortSeconds,
    /// What has expired takes with it what stands in its place.
    ExpiresSuccessors,
    /// Sessions go when their time has come.
    ExpiresSessions,
    /// Where a page begins is not looked at.
    SamePageAgain,
    /// No more than a thousand messages of a queue are ever found.
    ShortQueues,
    /// No more than a thousand retained messages are looked at.
    ShortSearches,
}

/// Each fault, and a case that finds it.
const FOUND_BY: &[(Fault, &str)] = &[
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
        Fault::CountsReleased,
        "the_size_of_a_queue_is_that_of_its_list",
    ),
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
    (
        Fault::Lazy,
        "batches_under_way_apply_in_the_order_of_their_calls",
    ),
    (Fault::Lazy, "the_order_of_calls_holds_across_threads"),
    (Fault::Lazy, "what_was_answered_is_seen_with_all_before_it"),
    (Fault::Lazy, "a_dropped_answer_does_not_move_the_others"),
    (
        Fault::LastFirst,
        "batches_under_way_apply_in_the_order_of_their_calls",
    ),
    (Fault::LastFirst, "the_order_of_calls_holds_across_threads"),
    (
        Fault::LastFirst,
        "what_was_answered_is_seen_with_all_before_it",
    ),
    (
        Fault::LastFirst,
        "a_dropped_answer_does_not_move_the_others",
    ),
    (
        Fault::LosesTheMiddle,
        "after_a_crash_a_prefix_of_the_batches_is_there",
    ),
    (Fault::Alone, "a_second_handle_finds_what_the_first_wrote"),
    (Fault::Alone, "two_handles_write_at_the_same_time"),
    (
        Fault::CachesSubscriptions,
        "a_second_handle_finds_what_the_first_wrote",
    ),
    (
        Fault::CachesSubscriptions,
        "a_session_moves_from_one_handle_to_the_other",
    ),
    (Fault::NotAtomic, "a_second_handle_sees_no_part_of_a_batch"),
    (
        Fault::Copies,
        "a_message_is_freed_with_the_last_whichever_handle_drops_it",
    ),
    (
        Fault::IgnoresVersions,
        "a_place_of_another_format_is_refused",
    ),
    (Fault::HidesVersions, "a_place_of_another_format_is_refused"),
    (Fault::NotAtomic, "a_reader_never_sees_what_is_half_gone"),
    (
        Fault::Unordered,
        "the_order_per_client_and_topic_holds_while_many_publish",
    ),
    (
        Fault::LeaksPrefixes,
        "names_and_numbers_do_not_run_together",
    ),
    (Fault::LeaksPrefixes, "hostile_identifiers_are_kept_apart"),
    (Fault::IgnoresNodes, "two_names_do_not_run_together"),
    (Fault::JoinsNames, "two_names_do_not_run_together"),
    (
        Fault::DropsPrefixes,
        "a_session_that_is_dropped_takes_all_of_it_and_nothing_else",
    ),
    (
        Fault::KeepsOnSuccession,
        "a_session_that_is_succeeded_takes_all_of_it_and_nothing_else",
    ),
    (
        Fault::DropsFirst,
        "a_session_that_is_changed_and_dropped_at_once_leaves_nothing",
    ),
    (
        Fault::LeaksMessages,
        "what_only_a_dropped_session_had_gives_its_room_back",
    ),
    (
        Fault::LeaksMessages,
        "a_large_message_for_very_many_is_stored_once",
    ),
    (
        Fault::Copies,
        "a_large_message_for_very_many_is_stored_once",
    ),
    (
        Fault::ShortSeconds,
        "a_message_that_has_not_expired_is_kept",
    ),
    (
        Fault::ExpiresSuccessors,
        "what_has_expired_does_not_take_its_successor_with_it",
    ),
    (
        Fault::SamePageAgain,
        "a_queued_message_is_found_as_it_was_put",
    ),
    (Fault::SamePageAgain, "pages_of_any_size_give_all_in_order"),
    (Fault::SamePageAgain, "a_long_queue_takes_any_order"),
    (
        Fault::ExpiresSessions,
        "sessions_and_wills_do_not_expire_by_themselves",
    ),
    (
        Fault::ShortQueues,
        "a_long_queue_is_streamed_and_emptied_from_the_front",
    ),
    (
        Fault::ShortSearches,
        "few_are_found_among_very_many_retained_messages",
    ),
];

/// Faults in what batches do, and in what lookups find: drawn batches find them without looking.
const FOUND_BY_DRAWING: &[Fault] = &[
    Fault::BackwardBatches,
    Fault::IgnoresIncarnations,
    Fault::ForgetsTheWill,
    Fault::KeepsReleased,
    Fault::CountsReleased,
    Fault::Unordered,
    Fault::PagesOverlap,
    Fault::PagesTooLong,
    Fault::ShowsDollar,
    Fault::ForgetsParent,
    Fault::IgnoresNodes,
    Fault::DropsShares,
    Fault::Forgets,
    Fault::LastFirst,
    Fault::LeaksPrefixes,
    Fault::DropsPrefixes,
    Fault::KeepsOnSuccession,
    Fault::DropsFirst,
];

#[test]
fn every_fault_is_found() {
    // Dozens of panics are what this test wants; nobody wants to read them.
    std::panic::set_hook(Box::new(|_| {}));
    let drawn = "drawn_batches_do_what_the_model_says";
    let shared = "drawn_batches_through_two_handles_do_what_the_model_says";
    let drawn = FOUND_BY_DRAWING.iter().map(|fault| (*fault, drawn));
    let shared = [Fault::Alone, Fault::CachesSubscriptions].map(|fault| (fault, shared));
    let all = FOUND_BY.iter().copied().chain(drawn).chain(shared);
    let missed: Vec<_> = all
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
    for case in CASES {
        run_case(case, &Fault::None);
    }
}

/// Milliseconds since the epoch; what expires before has expired.
const LONG_AGO: u64 = 1_500_000_000_000;

/// The version that the store understands.
const VERSION: u32 = 3;

/// Where a faulty store lives.
struct Place {
    store: Mutex<Arc<MemoryPersistence>>,
    version: Mutex<u32>,
    /// Every batch, if the fault is one of crashes.
    journal: Mutex<Vec<Vec<Operation>>>,
    /// Bytes of all messages that were ever queued.
    ever: Mutex<u64>,
}

impl Default for Place {
    fn default() -> Self {
        Self {
            store: Mutex::default(),
            version: Mutex::new(VERSION),
            journal: Mutex::default(),
            ever: Mutex::default(),
        }
    }
}

impl Factory for Fault {
    type Place = Arc<Place>;
    type Store = Arc<Faulty>;

    /// A fault shows in small amounts as well.
    fn scale(&self) -> Scale {
        Scale {
            streamed_messages: 3_000,
            fan_out: 30,
            searched_messages: 20_000,
            ..Scale::SERVER
        }
    }

    fn create(&self) -> Self::Place {
        Arc::default()
    }

    fn open(&self, place: &Self::Place) -> Arc<Faulty> {
        let mut store = place.store.lock().unwrap();
        if *self == Self::Forgets {
            *store = Arc::default();
        }
        Arc::new(Faulty {
            fault: *self,
            inner: Arc::clone(&store),
            place: Arc::clone(place),
            late: Mutex::default(),
            waiting: Arc::default(),
            cached: Mutex::default(),
        })
    }

    fn try_open(&self, place: &Self::Place) -> Result<Arc<Faulty>, String> {
        let found = *place.version.lock().unwrap();
        match self {
            Self::IgnoresVersions => {}
            Self::HidesVersions if found != VERSION => return Err("it does not fit".into()),
            _ if found != VERSION => return Err(format!("version {found} where I know {VERSION}")),
            Self::Alone => return Ok(self.open(&Arc::default())),
            _ => {}
        }
        Ok(self.open(place))
    }

    fn spoil_version(&self, place: &Self::Place, version: u32) -> Option<u32> {
        *place.version.lock().unwrap() = version;
        Some(VERSION)
    }

    fn crash_image(&self, place: &Self::Place) -> Option<Self::Place> {
        if *self != Self::LosesTheMiddle {
            return None;
        }
        let image = Self::Place::default();
        let journal = place.journal.lock().unwrap();
        let lost = journal.len().checked_sub(2);
        for (at, operations) in journal.iter().enumerate() {
            if Some(at) != lost {
                let store = image.store.lock().unwrap();
                block_on(store.commit(&mut operations.iter().cloned().collect())).unwrap();
            }
        }
        Some(image)
    }

    fn stored_message_bytes(&self, place: &Self::Place, store: &Arc<Faulty>) -> Option<u64> {
        if *self == Self::LeaksMessages {
            return Some(*place.ever.lock().unwrap());
        }
        let mut messages = HashMap::new();
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
    place: Arc<Place>,
    late: Mutex<Vec<Operation>>,
    waiting: Arc<Mutex<Vec<Vec<Operation>>>>,
    cached: Mutex<HashMap<String, Vec<StoredSubscription>>>,
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

    /// The sessions whose names begin with this one and a colon.
    fn behind(&self, client: &str) -> Vec<SessionKey> {
        let prefix = format!("{client}:");
        let all = block_on(self.inner.sessions(None, usize::MAX)).unwrap();
        let all = all.into_iter().map(|stored| stored.session);
        all.filter(|session| session.client.starts_with(&prefix))
            .collect()
    }

    /// How many are asked for when so many were.
    fn limit(&self, limit: usize) -> usize {
        limit.saturating_add(usize::from(self.has(Fault::PagesTooLong)))
    }
}

impl Factory for Unshared {
    type Place = Arc<Place>;
    type Store = Arc<Faulty>;

    const SHARED: bool = false;

    fn create(&self) -> Self::Place {
        Arc::default()
    }

    fn open(&self, place: &Self::Place) -> Arc<Faulty> {
        Fault::None.open(place)
    }

    fn try_open(&self, place: &Self::Place) -> Result<Arc<Faulty>, String> {
        match self {
            Self::Refuses => Err("it is open already".into()),
            Self::Opens => Ok(self.open(place)),
            Self::Silent => Err(String::new()),
            Self::Empties => {
                let store = place.store.lock().unwrap();
                let sessions = block_on(store.sessions(None, usize::MAX)).unwrap();
                for StoredSession { session, .. } in sessions {
                    let gone = Operation::DropSession { session };
                    block_on(store.commit(&mut [gone].into_iter().collect())).unwrap();
                }
                Err("it is open already".into())
            }
        }
    }

    fn spoil_version(&self, _: &Self::Place, _: u32) -> Option<u32> {
        None
    }

    fn crash_image(&self, _: &Self::Place) -> Option<Self::Place> {
        None
    }

    fn stored_message_bytes(&self, _: &Self::Place, _: &Arc<Faulty>) -> Option<u64> {
        None
    }
}

/// A place that should have one handle at a time.
#[derive(Debug)]
enum Unshared {
    Refuses,
    Opens,
    /// It says no more than no.
    Silent,
    /// The first handle finds nothing any more.
    Empties,
}

#[test]
fn a_second_handle_where_there_should_be_none_is_found() {
    let case = "a_second_handle_finds_what_the_first_wrote";
    run_case(case, &Unshared::Refuses);
    for factory in [Unshared::Opens, Unshared::Silent, Unshared::Empties] {
        let found = catch_unwind(AssertUnwindSafe(|| run_case(case, &factory))).is_err();
        assert!(found, "{factory:?}");
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
            Fault::Lazy => {
                let inner = Arc::clone(&self.inner);
                return Answer::pending(async move {
                    inner.commit(&mut operations.into_iter().collect()).await
                });
            }
            Fault::LastFirst => {
                let (inner, waiting) = (Arc::clone(&self.inner), Arc::clone(&self.waiting));
                waiting.lock().unwrap().push(operations);
                return Answer::pending(async move {
                    let mut waiting = waiting.lock().unwrap();
                    while let Some(operations) = waiting.pop() {
                        block_on(inner.commit(&mut operations.into_iter().collect()))?;
                    }
                    Ok(())
                });
            }
            Fault::LosesTheMiddle => {
                let mut journal = self.place.journal.lock().unwrap();
                journal.push(operations.clone());
            }
            Fault::BackwardBatches => operations.reverse(),
            Fault::LosesTheLastOfMany if operations.len() > 1_000 => drop(operations.pop()),
            Fault::Late => {
                operations = std::mem::replace(&mut *self.late.lock().unwrap(), operations);
            }
            Fault::DropsFirst => {
                let is_drop = |one: &Operation| matches!(one, Operation::DropSession { .. });
                operations.sort_by_key(|one| !is_drop(one));
            }
            Fault::DropsPrefixes => {
                let gone = operations.iter().filter_map(|one| match one {
                    Operation::DropSession { session } => Some(session),
                    _ => None,
                });
                let neighbours = gone.flat_map(|gone| self.behind(&gone.client));
                let neighbours: Vec<_> = neighbours
                    .map(|session| Operation::DropSession { session })
                    .collect();
                operations.extend(neighbours);
            }
            Fault::KeepsOnSuccession => {
                for operation in operations.clone() {
                    if let Operation::PutSession(stored) = &operation {
                        let session = stored.session.clone();
                        let kept = self.inner.subscriptions(&session.client, None, usize::MAX);
                        let kept = block_on(kept).unwrap().into_iter();
                        operations.extend(kept.map(|one| Operation::PutSubscription {
                            session: session.clone(),
                            filter: one.filter,
                            options: one.options,
                        }));
                    }
                }
            }
            Fault::LeaksMessages => {
                // One that several wait for counts once.
                let messages = operations.iter().filter_map(|one| match one {
                    Operation::Enqueue { message, .. } => Some((Arc::as_ptr(message), message)),
                    _ => None,
                });
                let messages: HashMap<_, _> = messages.collect();
                let bytes = messages.values().map(|message| message.size_bytes() as u64);
                *self.place.ever.lock().unwrap() += bytes.sum::<u64>();
            }
            Fault::ShortSeconds => operations.retain(|one| match one {
                Operation::Enqueue { message, .. } | Operation::PutRetained { message } => {
                    u32::try_from(message.expires().as_millis() / 1_000).is_ok()
                }
                _ => true,
            }),
            Fault::ExpiresSuccessors => {
                for operation in operations.clone() {
                    if let Operation::PutRetained { message } = &operation {
                        let topic = TopicFilter::new(message.topic()).unwrap();
                        let there = block_on(self.inner.retained(Some(topic), None, 1)).unwrap();
                        let mut there = there.iter();
                        if there.any(|there| there.expires().as_millis() < LONG_AGO) {
                            let topic = message.topic().into();
                            operations.push(Operation::DropRetained { topic });
                        }
                    }
                }
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
        if self.has(Fault::ExpiresSessions) {
            let mut page = block_on(self.inner.sessions(after, limit)).unwrap();
            page.retain(|one| one.disconnected_at.is_none() || one.expiry_interval_secs > 1);
            return Answer::ready(page);
        }
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
        if self.has(Fault::JoinsNames) {
            // Whatever begins with this name, less the name.
            let mut found = Vec::new();
            for session in block_on(self.inner.sessions(None, usize::MAX)).unwrap() {
                let owner = &*session.session.client;
                for mut one in block_on(self.inner.subscriptions(owner, None, usize::MAX)).unwrap()
                {
                    let key = format!("{owner}{}", one.filter);
                    if let Some(rest) = key.strip_prefix(client) {
                        one.filter = rest.into();
                        found.push(one);
                    }
                }
            }
            found.retain(|one| after.is_none_or(|after| *one.filter > *after));
            found.sort_by(|one, other| one.filter.cmp(&other.filter));
            found.truncate(limit);
            return Answer::ready(found);
        }
        if self.has(Fault::CachesSubscriptions) {
            let mut cached = self.cached.lock().unwrap();
            let known = cached.entry(client.to_owned()).or_insert_with(|| {
                block_on(self.inner.subscriptions(client, None, usize::MAX)).unwrap()
            });
            let behind = |one: &&StoredSubscription| after.is_none_or(|after| *one.filter > *after);
            return Answer::ready(known.iter().filter(behind).take(limit).cloned().collect());
        }
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
        let after = after.filter(|_| !self.has(Fault::SamePageAgain));
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
        if self.has(Fault::ShortQueues) {
            let first = block_on(self.inner.outgoing(client, None, 1_000)).unwrap();
            page.retain(|one| {
                first
                    .last()
                    .is_some_and(|last| one.sequence <= last.sequence)
            });
        }
        if self.has(Fault::LeaksPrefixes) {
            for other in self.behind(client) {
                page.extend(block_on(self.inner.outgoing(&other.client, after, limit)).unwrap());
            }
            page.sort_by_key(|one| one.sequence);
            page.truncate(limit);
        }
        Answer::ready(page)
    }

    fn queue(&self, client: &str) -> Answer<StoredQueue> {
        let mut queue = block_on(self.inner.queue(&self.client(client))).unwrap();
        if self.has(Fault::CountsReleased) {
            let all = self.inner.outgoing(&self.client(client), None, usize::MAX);
            let released = block_on(all).unwrap().into_iter();
            queue.bytes += 3 * released.filter(|one| one.message.is_none()).count() as u64;
        }
        Answer::ready(queue)
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
        let looked_at = match self.fault {
            Fault::ShortSearches => 1_000,
            _ => usize::MAX,
        };
        let mut page = block_on(self.inner.retained(None, after, looked_at)).unwrap();
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
