//! The clients of a run, each in a task of its own.

use std::sync::Arc;
use std::time::Instant;

use mqtt_client::{Client, ClientError, ClientEvent, OwnedPublish};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::task::JoinSet;

use super::course::{Course, Phase};
use super::pace::Schedule;
use super::publisher::Published;

/// Connections that are waited for at one time.
const CONNECTING: usize = 100;

/// All clients that are at work. Dropped, they stop at once.
#[derive(Default)]
pub(super) struct Crew {
    pub(super) publishers: JoinSet<Published>,
    /// Subscribers, and those that are only connected.
    pub(super) others: JoinSet<()>,
}

impl Crew {
    /// Has all of them connect, and waits until all have, or have failed. Those who publish come last, so that
    /// nobody misses anything.
    pub(super) async fn start(&mut self, course: &Arc<Course>, phase: &watch::Receiver<Phase>) {
        let (ready, mut all_ready) = mpsc::channel(1);
        let mut starting = Starting {
            schedule: course
                .args
                .connect_rate
                .map(|rate| Schedule::new(Instant::now(), rate, 1)),
            turns: Arc::new(Semaphore::new(CONNECTING)),
            course,
            phase,
            ready,
            started: 0,
        };
        for subscriber in 0..course.roles.subscribers {
            let (client, turn) = starting.next().await;
            self.others.spawn(client.subscribe(turn, subscriber));
        }
        for _ in 0..course.roles.idle {
            let (client, turn) = starting.next().await;
            self.others.spawn(client.idle(turn));
        }
        for publisher in 0..course.roles.publishers {
            let (client, turn) = starting.next().await;
            self.publishers.spawn(client.publish(turn, publisher));
        }
        drop(starting);
        // Nothing is ever said there: it ends when the last one has let go of its end.
        while all_ready.recv().await.is_some() {}
    }
}

/// Lets clients start one after the other.
struct Starting<'a> {
    course: &'a Arc<Course>,
    phase: &'a watch::Receiver<Phase>,
    ready: mpsc::Sender<()>,
    schedule: Option<Schedule>,
    turns: Arc<Semaphore>,
    started: u32,
}

impl Starting<'_> {
    /// When it is time for the next one: a client, and what it gives back when it is connected.
    async fn next(&mut self) -> (Member, Option<OwnedSemaphorePermit>) {
        let number = self.started;
        self.started += 1;
        if let Some(schedule) = &self.schedule {
            tokio::time::sleep_until(schedule.due(0, u64::from(number)).into()).await;
        }
        // There is always one again: nobody closes it.
        let turn = Arc::clone(&self.turns).acquire_owned().await.ok();
        let client = Member {
            course: Arc::clone(self.course),
            number,
            phase: self.phase.clone(),
            ready: Some(self.ready.clone()),
        };
        (client, turn)
    }
}

/// One client.
pub(super) struct Member {
    pub(super) course: Arc<Course>,
    /// Among all clients.
    pub(super) number: u32,
    phase: watch::Receiver<Phase>,
    /// Held until it is ready for what comes after connecting.
    ready: Option<mpsc::Sender<()>>,
}

impl Member {
    /// `None` if it could not connect, which is counted.
    pub(super) async fn connect(&mut self, turn: Option<OwnedSemaphorePermit>) -> Option<Client> {
        let connected = self.course.connect(self.number).await;
        drop(turn);
        match connected {
            Ok(client) => Some(client),
            Err(error) => {
                self.course.meter.error(error.to_string());
                None
            }
        }
    }

    /// Nobody has to wait for it any more.
    pub(super) fn is_ready(&mut self) {
        self.ready = None;
    }

    /// Waits for a phase. Nothing is lost if this is not waited for to the end.
    pub(super) async fn reach(&mut self, is_it: fn(&Phase) -> bool) -> Phase {
        match self.phase.wait_for(is_it).await {
            Ok(phase) => phase.clone(),
            // Who says which phase it is has gone.
            Err(_) => Phase::Over,
        }
    }

    /// Keeps the connection until a phase, and says what comes meanwhile.
    pub(super) async fn stay(
        &mut self,
        client: &mut Client,
        until: fn(&Phase) -> bool,
        mut heard: impl FnMut(&OwnedPublish),
    ) -> Result<Phase, ClientError> {
        loop {
            tokio::select! {
                event = client.event() => {
                    if let ClientEvent::Message(message) = event? {
                        heard(&message);
                    }
                }
                phase = self.reach(until) => return Ok(phase),
            }
        }
    }

    /// Connected, and no more.
    async fn idle(mut self, turn: Option<OwnedSemaphorePermit>) {
        let Some(mut client) = self.connect(turn).await else {
            return;
        };
        self.is_ready();
        let stayed = self.stay(&mut client, Phase::is_over, |_| {}).await;
        self.leave(client, stayed.map(drop)).await;
    }

    /// Takes leave of the server, unless something went wrong, which is counted.
    pub(super) async fn leave(&self, client: Client, worked: Result<(), ClientError>) {
        let left = match worked {
            Ok(()) => client.disconnect().await,
            Err(error) => Err(error),
        };
        if let Err(error) = left {
            self.course
                .meter
                .count(self.number, |sample| sample.broken += 1);
            self.course.meter.error(error.to_string());
        }
    }
}
