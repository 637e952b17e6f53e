//! What is asked of a store, and how long it takes.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use broker_core::persistence::{
    Batch, Operation, Persistence, SessionKey, StoredSession, SubscriptionIds,
};
use broker_core::{Message, MessageParts, SubscriptionOptions, Timestamp};
use mqtt_codec::QoS;

type Store = Arc<dyn Persistence>;

/// As a sensor may send them.
const SENSOR_BYTES: usize = 100;

pub fn key(number: usize) -> SessionKey {
    SessionKey {
        client: format!("client-{number:07}").into(),
        incarnation: 1,
    }
}

pub fn put_session(session: SessionKey) -> Operation {
    Operation::PutSession(StoredSession {
        session,
        expiry_interval_secs: u32::MAX,
        disconnected_at: None,
    })
}

pub fn message(topic: &str, payload_bytes: usize) -> Arc<Message> {
    Message::new(MessageParts {
        topic,
        properties: &[],
        payload: &vec![b'x'; payload_bytes],
        qos: QoS::AtLeastOnce,
        retain: false,
        expires: Timestamp::MAX,
    })
}

pub fn enqueue(session: SessionKey, sequence: u64, payload_bytes: usize) -> Operation {
    Operation::Enqueue {
        session,
        sequence,
        message: message("site/device/value", payload_bytes),
        qos: QoS::AtLeastOnce,
        retain: false,
        subscription_ids: SubscriptionIds::None,
        shared: None,
        packet_id: None,
    }
}

pub async fn commit(store: &Store, operations: impl IntoIterator<Item = Operation>) {
    let mut batch: Batch = operations.into_iter().collect();
    store.commit(&mut batch).await.expect("a commit");
}

/// Callers that each commit a message for a session of their own, again and again: a publish at QoS 1 to
/// a subscriber that is away.
pub struct Callers {
    /// How many messages each has committed.
    committed: Rc<RefCell<Vec<u64>>>,
}

/// What was committed in a while.
pub struct Taken {
    /// How long each took, the shortest first.
    pub each: Vec<Duration>,
    pub elapsed: Duration,
    /// Seconds of processors.
    pub cpu: f64,
}

impl Taken {
    /// Commits per second.
    pub fn rate(&self) -> f64 {
        self.each.len() as f64 / self.elapsed.as_secs_f64()
    }
}

impl Callers {
    pub async fn new(store: &Store, callers: usize) -> Self {
        commit(store, (0..callers).map(|caller| put_session(key(caller)))).await;
        Self {
            committed: Rc::new(RefCell::new(vec![0; callers])),
        }
    }

    /// Commits for so long.
    pub async fn commit(&mut self, store: &Store, time: Duration) -> Taken {
        let taken = Rc::new(RefCell::new(Vec::new()));
        let callers = self.committed.borrow().len();
        let (start, cpu) = (Instant::now(), cpu_seconds());
        let local = tokio::task::LocalSet::new();
        for caller in 0..callers {
            let (store, taken) = (Arc::clone(store), Rc::clone(&taken));
            let committed = Rc::clone(&self.committed);
            local.spawn_local(async move {
                while start.elapsed() < time {
                    let begin = Instant::now();
                    let sequence = committed.borrow()[caller];
                    commit(&store, [enqueue(key(caller), sequence, SENSOR_BYTES)]).await;
                    taken.borrow_mut().push(begin.elapsed());
                    committed.borrow_mut()[caller] += 1;
                    // A store that answers at once would let nobody else have a turn.
                    tokio::task::yield_now().await;
                }
            });
        }
        local.await;
        let (elapsed, cpu) = (start.elapsed(), cpu_seconds() - cpu);
        let mut each = taken.take();
        each.sort_unstable();
        Taken { each, elapsed, cpu }
    }
}

/// Of times, the shortest first.
pub fn percentiles(each: &[Duration]) -> String {
    let at = |part: f64| {
        let place = (each.len() as f64 * part) as usize;
        each.get(place)
            .or(each.last())
            .map_or(0.0, |time| time.as_secs_f64() * 1e3)
    };
    format!(
        "ms: median {:.2}, p99 {:.2}, p99.9 {:.2}, most {:.2}",
        at(0.5),
        at(0.99),
        at(0.999),
        at(1.0)
    )
}

/// Prints what callers commit in a while. Returns how many commits, and how many per second.
pub async fn commits(name: &str, store: &Store, callers: usize, time: Duration) -> (u64, f64) {
    let taken = Callers::new(store, callers).await.commit(store, time).await;
    println!(
        "{name:8} commits, {callers:>5} callers      {:>10.0} /s   {}; {:.1} us of CPU each",
        taken.rate(),
        percentiles(&taken.each),
        taken.cpu * 1e6 / taken.each.len() as f64
    );
    (taken.each.len() as u64, taken.rate())
}

/// What this process has had of the processors.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // Behind the name, which may have spaces in it: the time of the program and that of the system.
    let fields = stat.rsplit(')').next().unwrap_or_default().split(' ');
    let ticks: f64 = fields.skip(12).take(2).flat_map(str::parse::<f64>).sum();
    ticks / 100.0
}

/// A client returns and takes what has waited for it, a page after the other.
pub async fn drain(name: &str, store: &Store, messages: u64) {
    commit(store, [put_session(key(0))]).await;
    for first in (0..messages).step_by(1_000) {
        commit(
            store,
            (first..first + 1_000).map(|number| enqueue(key(0), number, SENSOR_BYTES)),
        )
        .await;
    }
    let start = Instant::now();
    let mut after = None;
    loop {
        let client = key(0).client;
        let page = store.outgoing(&client, after, 1_000).await.expect("a page");
        let Some(last) = page.last() else { break };
        after = Some(last.sequence);
        let dequeue = page.iter().map(|one| Operation::Dequeue {
            session: key(0),
            sequence: one.sequence,
        });
        commit(store, dequeue).await;
    }
    let rate = messages as f64 / start.elapsed().as_secs_f64();
    println!("{name:8} drain of {messages}, pages of 1,000 {rate:>10.0} /s");
}

pub async fn fill(store: &Store, sessions: usize, retained: usize) {
    let numbers: Vec<usize> = (0..sessions).collect();
    for chunk in numbers.chunks(1_000) {
        commit(store, chunk.iter().map(|number| put_session(key(*number)))).await;
    }
    let numbers: Vec<usize> = (0..retained).collect();
    for chunk in numbers.chunks(1_000) {
        let retain = |number: &usize| Operation::PutRetained {
            message: message(
                &format!("site/{}/device-{number}/value", number % 100),
                SENSOR_BYTES,
            ),
        };
        commit(store, chunk.iter().map(retain)).await;
    }
}

/// So many sessions, each with a subscription of its own, and one in a hundred with one that is shared
/// and a message that waits for it.
pub async fn fill_sessions(store: &Store, sessions: usize) {
    let numbers: Vec<usize> = (0..sessions).collect();
    let options = SubscriptionOptions {
        qos: QoS::AtLeastOnce,
        no_local: false,
        retain_as_published: false,
        identifier: 0,
    };
    let subscribe = |number: usize, filter: &str| Operation::PutSubscription {
        session: key(number),
        filter: filter.into(),
        options,
    };
    for chunk in numbers.chunks(1_000) {
        let operations = chunk.iter().flat_map(|number| {
            let own = subscribe(
                *number,
                &format!("site/{}/device-{number}/command", number % 100),
            );
            let shares = number % 100 == 0;
            let shared = shares.then(|| subscribe(*number, "$share/workers/site/+/jobs"));
            let waiting = shares.then(|| enqueue(key(*number), 1, SENSOR_BYTES));
            let session = [put_session(key(*number)), own];
            session.into_iter().chain(shared).chain(waiting)
        });
        commit(store, operations).await;
    }
}

/// What a broker reads when it starts.
pub async fn list(name: &str, store: &Store, opened: Duration) {
    let start = Instant::now();
    let (mut sessions, mut after) = (0, None::<String>);
    loop {
        let page = store
            .sessions(after.as_deref(), 1_000)
            .await
            .expect("a page");
        let Some(last) = page.last() else { break };
        after = Some(last.session.client.to_string());
        sessions += page.len();
    }
    let listed = start.elapsed();
    let start = Instant::now();
    let (mut retained, mut after) = (0, None::<String>);
    loop {
        let page = store
            .retained(None, after.as_deref(), 1_000)
            .await
            .expect("a page");
        let Some(last) = page.last() else { break };
        after = Some(last.topic().to_owned());
        retained += page.len();
    }
    println!(
        "{name:8} start: opened in {:.2} s, {sessions} sessions in {:.2} s, {retained} retained messages in {:.2} s",
        opened.as_secs_f64(),
        listed.as_secs_f64(),
        start.elapsed().as_secs_f64()
    );
}
