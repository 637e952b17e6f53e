//! Threads that look things up: a lookup may have to wait for the disk, and no thread of a runtime
//! should.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use broker_core::persistence::{Answer, PersistenceError};
use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

use crate::engine::Engine;
use crate::error::Failure;
use crate::shared::{Shared, guarded};

type Job = Box<dyn FnOnce(&Shared) + Send>;

pub(crate) struct Readers {
    jobs: Arc<Jobs>,
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Jobs {
    state: Mutex<(VecDeque<Job>, bool)>,
    changed: Condvar,
}

impl Readers {
    pub(crate) fn start(shared: &Arc<Shared>) -> io::Result<Self> {
        let mut readers = Self {
            jobs: Arc::default(),
            shared: Arc::clone(shared),
            threads: Vec::new(),
        };
        for number in 0..shared.options.reader_threads {
            let (jobs, shared) = (Arc::clone(&readers.jobs), Arc::clone(shared));
            let thread = thread::Builder::new()
                .name(format!("store-reader-{number}"))
                .spawn(move || jobs.work(&shared))?;
            readers.threads.push(thread);
        }
        Ok(readers)
    }

    /// Has a thread look something up. If nobody waits for the answer any more when its turn comes,
    /// nothing is looked up.
    pub(crate) fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Engine) -> Result<T, Failure> + Send + 'static,
    ) -> Answer<T> {
        let (sender, receiver) = oneshot::channel();
        let job: Job = Box::new(move |shared: &Shared| {
            if sender.is_closed() {
                return;
            }
            let found = shared
                .engine()
                .and_then(|engine| guarded(|| question(&engine)))
                .map_err(|failure| PersistenceError::from(shared.explain(failure)));
            let _ = sender.send(found);
        });
        self.jobs.state.lock().0.push_back(job);
        self.jobs.changed.notify_one();
        Answer::pending(async move {
            let closed = || Failure::unavailable("it was closed");
            receiver.await.unwrap_or_else(|_| Err(closed().into()))
        })
    }

    /// Answers what has been asked, and ends.
    pub(crate) fn stop(&mut self) {
        self.jobs.state.lock().1 = true;
        self.jobs.changed.notify_all();
        for thread in self.threads.drain(..) {
            // It has caught its panics.
            let _ = thread.join();
        }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }
}

impl Jobs {
    fn work(&self, shared: &Shared) {
        while let Some(job) = self.next() {
            job(shared);
        }
    }

    fn next(&self) -> Option<Job> {
        let mut state = self.state.lock();
        loop {
            if let Some(job) = state.0.pop_front() {
                return Some(job);
            }
            if state.1 {
                return None;
            }
            self.changed.wait(&mut state);
        }
    }
}
