//! Connections that have not been let in yet, and their time for that: one queue instead of a timer
//! for each of them.
//!
//! All get the same time, so they are in the order in which it ends. They are called when it does, and not
//! ten times a second as all else that is due is: of thousands that came one after the other hundreds
//! would be closed in one go then, and everybody else would wait for that. To close one takes some twenty
//! microseconds, and forty with TLS; so they are called one by one, and between two of them those have their turn
//! who have something to say.

use std::collections::BTreeMap;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use broker_core::Timestamp;
use tokio::sync::Notify;

use crate::clock::Clock;

/// The least time between two looks at who is due.
const STEP: Duration = Duration::from_millis(2);

/// Those who wait.
#[derive(Default)]
pub(crate) struct Lobby {
    waiting: Mutex<Waiting>,
    /// Somebody waits, and nobody did before.
    entered: Notify,
}

#[derive(Default)]
struct Waiting {
    next: u64,
    /// By the order of arrival.
    places: BTreeMap<u64, (Timestamp, Waker)>,
}

/// A place in the lobby, given back when it is dropped.
pub(crate) struct Place {
    lobby: Arc<Lobby>,
    number: Option<u64>,
}

impl Lobby {
    /// A place for one who has not said how to call him.
    pub(crate) fn enter(self: &Arc<Self>) -> Place {
        Place {
            lobby: Arc::clone(self),
            number: None,
        }
    }

    /// Calls everybody whose time has come, for ever. While nobody waits it sleeps.
    ///
    /// # Cancel safety
    /// Nobody is forgotten if the future is dropped and another one made.
    pub(crate) async fn watch(&self, clock: Clock) {
        loop {
            let Some(first) = self.first() else {
                self.entered.notified().await;
                continue;
            };
            let left = first.as_millis().saturating_sub(clock.now().as_millis());
            tokio::time::sleep(STEP.max(Duration::from_millis(left))).await;
            while self.call_one(clock.now()) {
                tokio::task::yield_now().await;
            }
        }
    }

    /// When the first is due.
    fn first(&self) -> Option<Timestamp> {
        let waiting = self.lock();
        waiting.places.values().next().map(|(until, _)| *until)
    }

    /// Calls the first one if its time has come, and says whether it has.
    fn call_one(&self, now: Timestamp) -> bool {
        let mut waiting = self.lock();
        let first = waiting.places.first_entry();
        let Some(due) = first.filter(|first| first.get().0 <= now) else {
            return false;
        };
        let (_, waker) = due.remove();
        drop(waiting);
        waker.wake();
        true
    }

    /// Calls everybody.
    pub(crate) fn call_all(&self) {
        let all = mem::take(&mut self.lock().places);
        all.into_values().for_each(|(_, waker)| waker.wake());
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Nothing in here panics half-way.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Calls by `waker` when the time has come, or everybody is called; until then this has to be
    /// said only once more if there is another waker.
    pub(crate) fn wait(&mut self, until: Timestamp, waker: &Waker) {
        let mut waiting = self.lobby.lock();
        let number = *self.number.get_or_insert_with(|| {
            waiting.next += 1;
            waiting.next
        });
        let known = waiting.places.get(&number);
        if !known.is_some_and(|(_, known)| known.will_wake(waker)) {
            let was_empty = waiting.places.is_empty();
            waiting.places.insert(number, (until, waker.clone()));
            drop(waiting);
            if was_empty {
                self.lobby.entered.notify_one();
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            self.lobby.lock().places.remove(&number);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Calls(AtomicUsize);

    impl Wake for Calls {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    impl Calls {
        fn count(&self) -> usize {
            self.0.load(Ordering::Relaxed)
        }
    }

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn who_waits_is_called_once_when_his_time_has_come() {
        let lobby = Arc::new(Lobby::default());
        let calls = [(); 3].map(|()| Arc::new(Calls::default()));
        let mut places = [(); 3].map(|()| lobby.enter());
        for (number, place) in places.iter_mut().enumerate() {
            let waker = Waker::from(Arc::clone(&calls[number]));
            place.wait(at(10 + number as u64), &waker);
            place.wait(at(10 + number as u64), &waker);
        }
        let [first, second, third] = &calls;
        assert!(!lobby.call_one(at(9)));
        assert_eq!(first.count(), 0);
        assert!(lobby.call_one(at(10)));
        assert!(!lobby.call_one(at(10)));
        assert_eq!((first.count(), second.count()), (1, 0));
        let [_, second_place, _] = places;
        drop(second_place);
        lobby.call_all();
        assert_eq!((first.count(), second.count(), third.count()), (1, 0, 1));
        assert!(lobby.lock().places.is_empty());
    }

    #[tokio::test]
    async fn who_is_due_is_called_without_being_asked_for_whenever_he_came() {
        let clock = Clock::start();
        let lobby = Arc::new(Lobby::default());
        let watched = Arc::clone(&lobby);
        let watch = tokio::spawn(async move { watched.watch(clock).await });
        for round in 0..2 {
            // The second time nobody has been there for a while.
            let called = [(); 12].map(|()| Arc::new(Called::default()));
            let places: Vec<Place> = called
                .iter()
                .map(|called| wait(&lobby, called, clock))
                .collect();
            for called in &called {
                called.0.notified().await;
            }
            assert!(lobby.lock().places.is_empty(), "round {round}");
            drop(places);
        }
        watch.abort();
    }

    #[derive(Default)]
    struct Called(Notify);

    impl Wake for Called {
        fn wake(self: Arc<Self>) {
            self.0.notify_one();
        }
    }

    fn wait(lobby: &Arc<Lobby>, called: &Arc<Called>, clock: Clock) -> Place {
        let mut place = lobby.enter();
        let until = clock.now() + Duration::from_millis(20);
        place.wait(until, &Waker::from(Arc::clone(called)));
        place
    }

    #[test]
    fn of_many_that_are_due_one_is_called_at_a_time() {
        let lobby = Arc::new(Lobby::default());
        let calls = Arc::new(Calls::default());
        let waker = Waker::from(Arc::clone(&calls));
        let mut places = [(); 3].map(|()| lobby.enter());
        for place in &mut places {
            place.wait(at(10), &waker);
        }
        for called in 1..=places.len() {
            assert!(lobby.call_one(at(10)));
            assert_eq!(calls.count(), called);
        }
        assert!(!lobby.call_one(at(10)));
        assert_eq!(calls.count(), places.len());
    }
}
