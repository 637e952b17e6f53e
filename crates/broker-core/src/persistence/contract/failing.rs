//! A store that fails on command, or keeps its caller waiting: for tests of what uses a store.

use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use std::collections::VecDeque;
use std::sync::Arc;

use mqtt_codec::PacketId;
use parking_lot::Mutex;
use topic_trie::TopicFilter;

use crate::Message;
use crate::persistence::{
    Answer, Batch, Persistence, PersistenceError, StoredOutgoing, StoredQueue, StoredSession,
    StoredSubscription, StoredWill,
};

/// What a [`FailingPersistence`] does with the calls that it gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Behaviour {
    /// Hands them on to the store inside.
    #[default]
    Pass,
    /// Answers them with [`PersistenceError::Unavailable`] at once. The store inside does not hear
    /// of them.
    Fail,
    /// Keeps them, with answers that are pending, until the test says what becomes of them:
    /// [`release`](FailingPersistence::release) or [`fail_held`](FailingPersistence::fail_held).
    Hold,
}

/// Wraps a store and fails on command.
///
/// At first it hands everything on. A commit that fails has left the batch empty and has applied
/// nothing of it, as the trait promises.
///
/// ```
/// use broker_core::persistence::contract::{Behaviour, FailingPersistence, block_on};
/// use broker_core::persistence::{Batch, Persistence};
///
/// fn example(store: impl Persistence) {
///     let store = FailingPersistence::new(store);
///     store.set_commits(Behaviour::Hold);
///     let answer = store.commit(&mut Batch::new());
///     assert_eq!(store.held(), 1);
///
///     // Here a test would look at what its subject does meanwhile.
///     assert!(store.release(0));
///     assert!(block_on(answer).is_ok());
///
///     store.set_commits(Behaviour::Fail);
///     assert!(block_on(store.commit(&mut Batch::new())).is_err());
/// }
/// ```
pub struct FailingPersistence<P> {
    inner: P,
    state: Mutex<State<P>>,
}

struct State<P> {
    commits: Behaviour,
    lookups: Behaviour,
    /// Calls that are let through before all fail; `None` for any number.
    left: Option<u64>,
    calls: u64,
    held: VecDeque<Box<dyn Held<P>>>,
}

impl<P: Persistence> FailingPersistence<P> {
    /// Wraps a store; nothing fails yet.
    pub fn new(inner: P) -> Self {
        let state = State {
            commits: Behaviour::Pass,
            lookups: Behaviour::Pass,
            left: None,
            calls: 0,
            held: VecDeque::new(),
        };
        Self {
            inner,
            state: Mutex::new(state),
        }
    }

    /// The store inside, which never fails on command.
    pub fn inner(&self) -> &P {
        &self.inner
    }

    /// What is done with commits from now on.
    pub fn set_commits(&self, behaviour: Behaviour) {
        self.state.lock().commits = behaviour;
    }

    /// What is done with lookups from now on.
    pub fn set_lookups(&self, behaviour: Behaviour) {
        self.state.lock().lookups = behaviour;
    }

    /// Lets `calls` more calls through, commits and lookups alike, and fails all that come after
    /// them, until [`heal`](Self::heal).
    pub fn fail_after(&self, calls: u64) {
        self.state.lock().left = Some(calls);
    }

    /// Hands everything on again. Calls that are held stay so.
    pub fn heal(&self) {
        let mut state = self.state.lock();
        state.commits = Behaviour::Pass;
        state.lookups = Behaviour::Pass;
        state.left = None;
    }

    /// Calls so far, whatever became of them.
    pub fn calls(&self) -> u64 {
        self.state.lock().calls
    }

    /// Calls that are held at the moment, those included whose answers were dropped.
    pub fn held(&self) -> usize {
        self.state.lock().held.len()
    }

    /// Hands a held call on to the store inside, and wakes who waits for its answer. 0 is the one
    /// that came first. A store applies commits in the order in which they came; one that does not
    /// is what its callers would have to live with if they depended on less, so any order can be
    /// tried. False if there are not so many.
    ///
    /// A commit is applied by this call, even if its answer has been dropped.
    pub fn release(&self, index: usize) -> bool {
        let held = self.state.lock().held.remove(index);
        held.map(|held| held.pass(&self.inner)).is_some()
    }

    /// Fails a held call, and wakes who waits for its answer. The store inside does not hear of it.
    /// False if there are not so many.
    pub fn fail_held(&self, index: usize) -> bool {
        let held = self.state.lock().held.remove(index);
        held.map(|held| held.fail()).is_some()
    }

    /// Hands on all held calls in the order in which they came.
    pub fn release_all(&self) {
        while self.release(0) {}
    }

    fn call<T: Send + 'static>(
        &self,
        behaviour: impl FnOnce(&State<P>) -> Behaviour,
        call: impl FnOnce(&P) -> Answer<T> + Send + 'static,
    ) -> Answer<T> {
        let mut state = self.state.lock();
        state.calls += 1;
        let behaviour = match &mut state.left {
            Some(0) => Behaviour::Fail,
            Some(left) => {
                *left -= 1;
                behaviour(&state)
            }
            None => behaviour(&state),
        };
        match behaviour {
            Behaviour::Pass => {
                drop(state);
                call(&self.inner)
            }
            Behaviour::Fail => Answer::Ready(Err(failure())),
            Behaviour::Hold => {
                let slot = Arc::new(Mutex::new(Slot::Waiting(Waker::noop().clone())));
                state.held.push_back(Box::new(HeldCall {
                    call,
                    slot: Arc::clone(&slot),
                }));
                Answer::Pending(Box::pin(HeldAnswer(slot)))
            }
        }
    }

    fn lookup<T: Send + 'static>(
        &self,
        call: impl FnOnce(&P) -> Answer<T> + Send + 'static,
    ) -> Answer<T> {
        self.call(|state| state.lookups, call)
    }
}

fn failure() -> PersistenceError {
    PersistenceError::Unavailable("told to fail by a test".into())
}

impl<P> fmt::Debug for FailingPersistence<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state.lock();
        f.debug_struct("FailingPersistence")
            .field("commits", &state.commits)
            .field("lookups", &state.lookups)
            .field("left", &state.left)
            .field("held", &state.held.len())
            .finish_non_exhaustive()
    }
}

impl<P: Persistence> Persistence for FailingPersistence<P> {
    fn commit(&self, batch: &mut Batch) -> Answer<()> {
        let mut batch: Batch = batch.drain().collect();
        self.call(|state| state.commits, move |inner| inner.commit(&mut batch))
    }

    fn sessions(&self, after: Option<&str>, limit: usize) -> Answer<Vec<StoredSession>> {
        let after = after.map(str::to_owned);
        self.lookup(move |inner| inner.sessions(after.as_deref(), limit))
    }

    fn session(&self, client: &str) -> Answer<Option<StoredSession>> {
        let client = client.to_owned();
        self.lookup(move |inner| inner.session(&client))
    }

    fn subscriptions(
        &self,
        client: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Answer<Vec<StoredSubscription>> {
        let (client, after) = (client.to_owned(), after.map(str::to_owned));
        self.lookup(move |inner| inner.subscriptions(&client, after.as_deref(), limit))
    }

    fn outgoing(
        &self,
        client: &str,
        after: Option<u64>,
        limit: usize,
    ) -> Answer<Vec<StoredOutgoing>> {
        let client = client.to_owned();
        self.lookup(move |inner| inner.outgoing(&client, after, limit))
    }

    fn queue(&self, client: &str) -> Answer<StoredQueue> {
        let client = client.to_owned();
        self.lookup(move |inner| inner.queue(&client))
    }

    fn incoming(&self, client: &str) -> Answer<Vec<PacketId>> {
        let client = client.to_owned();
        self.lookup(move |inner| inner.incoming(&client))
    }

    fn retained(
        &self,
        filter: Option<TopicFilter<'_>>,
        after: Option<&str>,
        limit: usize,
    ) -> Answer<Vec<Arc<Message>>> {
        let filter = filter.map(TopicFilter::to_buf);
        let after = after.map(str::to_owned);
        self.lookup(move |inner| {
            let filter = filter.as_ref().map(|filter| filter.as_filter());
            inner.retained(filter, after.as_deref(), limit)
        })
    }

    fn wills(&self, node: &str, after: Option<&str>, limit: usize) -> Answer<Vec<StoredWill>> {
        let (node, after) = (node.to_owned(), after.map(str::to_owned));
        self.lookup(move |inner| inner.wills(&node, after.as_deref(), limit))
    }

    /// Always: what uses a store is to be tested with all that it does over one that lasts.
    fn outlives_process(&self) -> bool {
        true
    }
}

/// A call that waits for the test's word.
trait Held<P>: Send {
    fn pass(self: Box<Self>, inner: &P);
    fn fail(self: Box<Self>);
}

struct HeldCall<T, C> {
    call: C,
    slot: Arc<Mutex<Slot<T>>>,
}

/// What the one who waits finds.
enum Slot<T> {
    Waiting(Waker),
    Answered(Answer<T>),
}

impl<P, T: Send, C: FnOnce(&P) -> Answer<T> + Send> Held<P> for HeldCall<T, C> {
    fn pass(self: Box<Self>, inner: &P) {
        let Self { call, slot } = *self;
        answer(&slot, call(inner));
    }

    fn fail(self: Box<Self>) {
        answer(&self.slot, Answer::Ready(Err(failure())));
    }
}

fn answer<T>(slot: &Mutex<Slot<T>>, answer: Answer<T>) {
    let before = core::mem::replace(&mut *slot.lock(), Slot::Answered(answer));
    if let Slot::Waiting(waker) = before {
        waker.wake();
    }
}

struct HeldAnswer<T>(Arc<Mutex<Slot<T>>>);

impl<T> Future for HeldAnswer<T> {
    type Output = Result<T, PersistenceError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut *self.0.lock() {
            Slot::Waiting(waker) => {
                waker.clone_from(context.waker());
                Poll::Pending
            }
            Slot::Answered(answer) => Pin::new(answer).poll(context),
        }
    }
}

#[cfg(test)]
mod tests {
    use core::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;
    use std::thread;

    use super::super::block_on;
    use super::super::samples::{key, put_session};
    use super::*;
    use crate::persistence::SessionKey;

    /// Knows the sessions that were put, in the order of the batches.
    #[derive(Default)]
    struct Journal(Mutex<Vec<SessionKey>>);

    impl Journal {
        fn names(&self) -> Vec<String> {
            self.0
                .lock()
                .iter()
                .map(|key| key.client.to_string())
                .collect()
        }
    }

    impl Persistence for Journal {
        fn commit(&self, batch: &mut Batch) -> Answer<()> {
            for operation in batch.drain() {
                if let crate::persistence::Operation::PutSession(stored) = operation {
                    self.0.lock().push(stored.session);
                }
            }
            Answer::ready(())
        }

        fn sessions(&self, _: Option<&str>, _: usize) -> Answer<Vec<StoredSession>> {
            Answer::ready(Vec::new())
        }

        fn session(&self, client: &str) -> Answer<Option<StoredSession>> {
            let found = self
                .0
                .lock()
                .iter()
                .find(|key| &*key.client == client)
                .cloned();
            Answer::ready(found.map(|key| super::super::samples::session(&key)))
        }

        fn subscriptions(
            &self,
            _: &str,
            _: Option<&str>,
            _: usize,
        ) -> Answer<Vec<StoredSubscription>> {
            Answer::ready(Vec::new())
        }

        fn outgoing(&self, _: &str, _: Option<u64>, _: usize) -> Answer<Vec<StoredOutgoing>> {
            Answer::ready(Vec::new())
        }

        fn queue(&self, _: &str) -> Answer<StoredQueue> {
            Answer::ready(StoredQueue::default())
        }

        fn incoming(&self, _: &str) -> Answer<Vec<PacketId>> {
            Answer::ready(Vec::new())
        }

        fn retained(
            &self,
            _: Option<TopicFilter<'_>>,
            _: Option<&str>,
            _: usize,
        ) -> Answer<Vec<Arc<Message>>> {
            Answer::ready(Vec::new())
        }

        fn wills(&self, _: &str, _: Option<&str>, _: usize) -> Answer<Vec<StoredWill>> {
            Answer::ready(Vec::new())
        }
    }

    fn store() -> FailingPersistence<Journal> {
        FailingPersistence::new(Journal::default())
    }

    fn put(store: &FailingPersistence<Journal>, client: &str) -> Answer<()> {
        let mut batch: Batch = [put_session(&key(client, 1))].into_iter().collect();
        let answer = store.commit(&mut batch);
        assert!(batch.is_empty());
        answer
    }

    #[derive(Default)]
    struct Wakes(AtomicUsize);

    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn everything_passes_at_first() {
        let store = store();
        assert!(
            matches!(put(&store, "a"), Answer::Ready(Ok(()))),
            "it answers as the inner one"
        );
        assert!(block_on(store.session("a")).unwrap().is_some());
        assert_eq!((store.calls(), store.held()), (2, 0));
    }

    #[test]
    fn a_commit_that_fails_is_not_heard_of_inside() {
        let store = store();
        store.set_commits(Behaviour::Fail);
        assert!(matches!(
            put(&store, "a"),
            Answer::Ready(Err(PersistenceError::Unavailable(_)))
        ));
        assert_eq!(store.inner().names(), [""; 0]);
        assert!(
            block_on(store.session("a")).unwrap().is_none(),
            "lookups go on"
        );
        store.heal();
        assert!(block_on(put(&store, "b")).is_ok());
        assert_eq!(store.inner().names(), ["b"]);
    }

    #[test]
    fn lookups_fail_on_their_own() {
        let store = store();
        store.set_lookups(Behaviour::Fail);
        assert!(block_on(put(&store, "a")).is_ok());
        assert!(block_on(store.session("a")).is_err());
        assert!(block_on(store.sessions(None, 1)).is_err());
        assert!(block_on(store.subscriptions("a", None, 1)).is_err());
        assert!(block_on(store.outgoing("a", None, 1)).is_err());
        assert!(block_on(store.incoming("a")).is_err());
        assert!(block_on(store.retained(None, None, 1)).is_err());
        assert!(block_on(store.wills("n", None, 1)).is_err());
    }

    #[test]
    fn calls_fail_after_so_many() {
        let store = store();
        store.fail_after(2);
        assert!(block_on(put(&store, "a")).is_ok());
        assert!(block_on(store.session("a")).is_ok());
        assert!(block_on(store.session("a")).is_err());
        assert!(block_on(put(&store, "b")).is_err());
        assert_eq!(store.inner().names(), ["a"]);
        assert_eq!(store.calls(), 4);
        store.heal();
        assert!(block_on(put(&store, "c")).is_ok());
    }

    #[test]
    fn held_commits_are_released_in_the_order_that_a_test_wants() {
        let store = store();
        store.set_commits(Behaviour::Hold);
        let wakes = Arc::new(Wakes::default());
        let waker = Waker::from(Arc::clone(&wakes));
        let mut context = Context::from_waker(&waker);
        let mut answers = ["a", "b", "c", "d"].map(|client| put(&store, client));
        for answer in &mut answers {
            assert!(Pin::new(answer).poll(&mut context).is_pending());
        }
        assert_eq!((store.held(), store.inner().names().len()), (4, 0));

        assert!(store.release(1));
        assert!(store.fail_held(1), "what came third is the second now");
        assert_eq!(wakes.0.load(Ordering::SeqCst), 2);
        let [a, b, c, d] = &mut answers;
        assert!(Pin::new(&mut *a).poll(&mut context).is_pending());
        assert!(matches!(
            Pin::new(b).poll(&mut context),
            Poll::Ready(Ok(()))
        ));
        assert!(matches!(
            Pin::new(c).poll(&mut context),
            Poll::Ready(Err(_))
        ));
        assert_eq!(store.inner().names(), ["b"]);

        store.release_all();
        assert!(matches!(
            Pin::new(a).poll(&mut context),
            Poll::Ready(Ok(()))
        ));
        assert!(matches!(
            Pin::new(d).poll(&mut context),
            Poll::Ready(Ok(()))
        ));
        assert_eq!(store.inner().names(), ["b", "a", "d"]);
        assert!(!store.release(0) && !store.fail_held(0));
    }

    #[test]
    fn a_held_commit_whose_answer_was_dropped_is_applied_or_failed_as_any_other() {
        let store = store();
        store.set_commits(Behaviour::Hold);
        drop(put(&store, "a"));
        drop(put(&store, "b"));
        assert!(store.fail_held(0) && store.release(0));
        assert_eq!(store.inner().names(), ["b"]);
    }

    #[test]
    fn held_lookups_see_the_store_as_it_is_when_they_are_released() {
        let store = store();
        store.set_lookups(Behaviour::Hold);
        let answer = store.session("a");
        assert!(block_on(put(&store, "a")).is_ok());
        thread::scope(|scope| {
            let waiting = scope.spawn(|| block_on(answer));
            assert!(store.release(0));
            assert!(waiting.join().unwrap().unwrap().is_some());
        });
    }
}
