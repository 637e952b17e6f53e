//! A broker, its clients' network connections, a store and a clock, all in one thread.
//!
//! The driver here does what the crate's text asks of one, and is as lazy as it may be: it polls a
//! connection only when it was woken or something happened to it, so a wake-up that is missing
//! shows as a packet that does not arrive. Nothing here waits: a broker that would go on for ever
//! fails the test.

// The fuzz targets drive the same broker, and take this file in by its path.
#[path = "net/line.rs"]
mod line;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use broker_core::persistence::{Answer, Persistence};
use broker_core::{
    Broker, BrokerOptions, CloseCause, Connection, Effects, Message, MessageParts, Outbox, Ticket,
    Timestamp,
};
use mqtt_codec::{Connect, OwnedPacket, Packet, QoS, Version};

use line::{Line, Woken, commit, poll_answer};

use super::ledger::{Ledger, Traces};
use super::store::{Mood, Store};

/// Turns after which a broker that is still busy is taken to be so for ever.
const TURNS_MAX: usize = 200_000;

/// Commits of one connection that may be under way at a time.
const COMMITS_MAX: usize = 3;

/// When the tests begin.
const START: Timestamp = Timestamp::from_millis(1_700_000_000_000);

/// The handle that tests hold; cheap to clone.
#[derive(Clone)]
pub(crate) struct Net(Rc<RefCell<Inner>>);

struct Inner {
    broker: Arc<Broker>,
    store: Option<Arc<Store>>,
    now: Timestamp,
    effects: Effects,
    lines: Vec<Line>,
    /// Commits of the broker's own.
    commits: Vec<(Answer<()>, Ticket)>,
    traces: Traces,
    is_checked: bool,
}

impl Net {
    pub(crate) fn new() -> Self {
        Self::with(BrokerOptions::default())
    }

    pub(crate) fn with(options: BrokerOptions) -> Self {
        Self::make(options, None)
    }

    pub(crate) fn with_store(options: BrokerOptions) -> (Self, Arc<Store>) {
        let store = Store::new();
        (Self::make(options, Some(Arc::clone(&store))), store)
    }

    fn make(options: BrokerOptions, store: Option<Arc<Store>>) -> Self {
        let net = Self(Rc::new(RefCell::new(Inner {
            broker: Broker::new(options),
            store,
            now: START,
            effects: Effects::new(),
            lines: Vec::new(),
            commits: Vec::new(),
            traces: Traces::default(),
            is_checked: true,
        })));
        net.0.borrow_mut().restore();
        net
    }

    pub(crate) fn broker(&self) -> Arc<Broker> {
        Arc::clone(&self.0.borrow().broker)
    }

    /// A new network connection; returns its number.
    pub(crate) fn open(&self) -> usize {
        let mut net = self.0.borrow_mut();
        let connection = Connection::new(&net.broker, net.now);
        let max_inflight = net.broker.options().max_inflight;
        net.lines.push(Line {
            connection: Some(connection),
            woken: Arc::new(Woken(AtomicBool::new(true))),
            commits: VecDeque::new(),
            inbound: Vec::new(),
            writing: Outbox::default(),
            reads: true,
            outbound: Vec::new(),
            packets: VecDeque::new(),
            version: Version::V311,
            max_inflight,
            closed: None,
            ledger: Ledger::default(),
        });
        net.lines.len() - 1
    }

    /// The client sends a packet.
    pub(crate) fn send(&self, line: usize, packet: &Packet<'_>) {
        let mut bytes = Vec::new();
        let version = self.0.borrow().lines[line].version;
        packet
            .encode(version, &mut bytes)
            .expect("the test sends what can be encoded");
        self.send_raw(line, &bytes);
    }

    /// The client sends bytes.
    pub(crate) fn send_raw(&self, line: usize, bytes: &[u8]) {
        let mut net = self.0.borrow_mut();
        net.lines[line].inbound.extend_from_slice(bytes);
        net.run();
    }

    /// The next packet that has arrived at the client.
    pub(crate) fn next(&self, line: usize) -> Option<OwnedPacket> {
        self.0.borrow_mut().lines[line].packets.pop_front()
    }

    /// Takes the first packet for which `wanted` gives something.
    pub(crate) fn take<T>(
        &self,
        line: usize,
        wanted: impl Fn(&OwnedPacket) -> Option<T>,
    ) -> Option<T> {
        let packets = &mut self.0.borrow_mut().lines[line].packets;
        let place = packets.iter().position(|packet| wanted(packet).is_some())?;
        packets.remove(place).and_then(|packet| wanted(&packet))
    }

    /// Messages that came to the client without a topic name, an alias in its place.
    pub(crate) fn unnamed(&self, line: usize) -> usize {
        self.0.borrow().lines[line].ledger.unnamed()
    }

    /// The version of the last CONNECT on this line.
    #[allow(dead_code, reason = "for the fuzz target")]
    pub(crate) fn version(&self, line: usize) -> Version {
        self.0.borrow().lines[line].version
    }

    /// Bytes that a client has sent and the broker has not read.
    pub(crate) fn waiting_input(&self, line: usize) -> usize {
        self.0.borrow().lines[line].inbound.len()
    }

    /// Why the broker closed the connection, if it has.
    pub(crate) fn closed(&self, line: usize) -> Option<CloseCause> {
        self.0.borrow().lines[line].closed
    }

    /// The network connection breaks.
    pub(crate) fn lose(&self, line: usize) {
        let mut net = self.0.borrow_mut();
        net.lose(line);
        net.run();
    }

    /// Whether the client reads what it is sent.
    pub(crate) fn set_reads(&self, line: usize, reads: bool) {
        let mut net = self.0.borrow_mut();
        net.lines[line].reads = reads;
        net.lines[line].woken.0.store(true, Ordering::SeqCst);
        net.run();
    }

    /// The driver of a connection is cancelled, whatever it was doing.
    pub(crate) fn cancel(&self, line: usize) {
        let mut net = self.0.borrow_mut();
        if let Some(store) = &net.store {
            store.set_behind();
        }
        let line = &mut net.lines[line];
        line.commits.clear();
        line.connection = None;
        line.closed.get_or_insert(CloseCause::ConnectionLost);
        net.run();
    }

    /// Time passes, and what is due in it happens when it is due.
    pub(crate) fn advance(&self, duration: Duration) {
        let mut net = self.0.borrow_mut();
        let until = net.now + duration;
        for _ in 0..TURNS_MAX {
            let connections = net.lines.iter().filter_map(|line| line.connection.as_ref());
            let next = connections
                .filter_map(Connection::poll_timeout)
                .chain(net.broker.poll_timeout())
                .min()
                .filter(|next| *next <= until);
            net.now = next.unwrap_or(until).max(net.now);
            net.keep_time();
            net.run();
            if next.is_none() {
                return;
            }
        }
        panic!("time does not pass");
    }

    /// Time passes, and nobody looks what is due.
    pub(crate) fn sleep(&self, duration: Duration) {
        let mut net = self.0.borrow_mut();
        net.now = net.now + duration;
    }

    /// Messages of the broker's own.
    pub(crate) fn broker_publishes(&self, parts: MessageParts<'_>) {
        let mut net = self.0.borrow_mut();
        net.traces.topics.insert(parts.topic.to_owned());
        let now = net.now;
        let Inner {
            broker, effects, ..
        } = &mut *net;
        broker
            .publish(now, &Message::new(parts), effects)
            .expect("a topic name");
        net.settle_broker();
        net.run();
    }

    /// The program around the broker has it do something.
    pub(crate) fn program<T>(&self, act: impl FnOnce(&Arc<Broker>, &mut Effects) -> T) -> T {
        let mut net = self.0.borrow_mut();
        let Inner {
            broker, effects, ..
        } = &mut *net;
        let done = act(broker, effects);
        effects.wake();
        net.run();
        done
    }

    /// What clients may do has changed.
    pub(crate) fn reauthorize(&self) {
        self.program(|broker, effects| broker.reauthorize(effects));
    }

    pub(crate) fn shut_down(&self) {
        let mut net = self.0.borrow_mut();
        let Inner {
            broker, effects, ..
        } = &mut *net;
        broker.shut_down(effects);
        net.settle_broker();
        net.run();
        net.is_checked = false;
    }

    /// Lets the driver go on after something has changed that it is not told of, as a store's mood.
    pub(crate) fn run(&self) {
        self.0.borrow_mut().run();
    }

    /// The process dies and a new one starts over the same store.
    pub(crate) fn crash_and_restart(&self) {
        self.0.borrow_mut().crash_and_restart();
    }
}

impl Inner {
    /// The process dies and a new one starts over the same store.
    fn crash_and_restart(&mut self) {
        let net = self;
        let store = Arc::clone(net.store.as_ref().expect("a test with a store"));
        store.crash();
        for line in &mut net.lines {
            line.commits.clear();
            line.connection = None;
            line.closed.get_or_insert(CloseCause::ConnectionLost);
        }
        net.broker = Broker::new(net.broker.options().clone());
        net.effects = Effects::new();
        net.commits.clear();
        net.restore();
        net.run();
    }

    /// The broker gets to know what the store has, if there is one.
    fn restore(&mut self) {
        let Some(store) = &self.store else { return };
        // Whatever a test has told it: a store that a broker starts over answers.
        let mood = store.mood();
        store.set_mood(Mood::Willing);
        let persistence: Arc<dyn Persistence> = Arc::clone(store) as _;
        let restored = pin!(
            self.broker
                .restore(self.now, &persistence, &mut self.effects)
        );
        let Poll::Ready(result) = restored.poll(&mut Context::from_waker(Waker::noop())) else {
            panic!("this store answers at once");
        };
        result.expect("this store can be read");
        store.set_mood(mood);
    }

    /// Goes on until nobody has anything to do.
    fn run(&mut self) {
        for _ in 0..TURNS_MAX {
            let mut busy = self.settle_commits();
            for number in 0..self.lines.len() {
                busy |= self.turn(number);
            }
            if !busy {
                self.broker.check_invariants();
                return;
            }
        }
        panic!("the broker goes on for ever");
    }

    /// One turn of one connection's task. False if it had nothing to do.
    fn turn(&mut self, number: usize) -> bool {
        let now = self.now;
        let Self {
            lines,
            effects,
            store,
            traces,
            ..
        } = self;
        let store = store.as_deref();
        let line = &mut lines[number];
        if line.connection.is_none() {
            return false;
        }
        let done = line
            .commits
            .front_mut()
            .and_then(|(answer, _)| poll_answer(answer));
        if let Some(result) = done
            && let Some((_, ticket)) = line.commits.pop_front()
        {
            match result {
                Ok(()) => line.connection().handle_committed(now, ticket, effects),
                Err(error) => {
                    line.connection()
                        .handle_commit_failed(now, ticket, &error, effects);
                }
            }
            line.settle(now, store, effects);
            line.wake();
            return true;
        }
        if line.waits_for_store() {
            line.connection().hold_keep_alive(true);
            return false;
        }
        line.connection().hold_keep_alive(false);
        let mut busy = false;
        if line.closed.is_none() && line.woken.0.swap(false, Ordering::SeqCst) {
            busy = true;
            let waker = Waker::from(Arc::clone(&line.woken));
            line.connection().handle_woken(now, &waker, effects);
            line.settle(now, store, effects);
            line.hear_verdict(now, store, effects, traces);
            line.write(now, store, effects);
        }
        busy |= line.read(now, store, effects, traces);
        // It may have been assigned one.
        let client = line.connection().client_id().map(|id| id.to_string());
        traces.clients.extend(client);
        busy
    }

    fn keep_time(&mut self) {
        let now = self.now;
        for _ in 0..2 {
            while self.broker.handle_timeout(now, &mut self.effects) {}
            let mut nobody = Context::from_waker(Waker::noop());
            self.broker.poll_estates(&mut nobody);
        }
        self.settle_broker();
        let Self {
            lines,
            effects,
            store,
            ..
        } = self;
        for line in lines {
            if let Some(connection) = &mut line.connection
                && connection.poll_timeout().is_some_and(|until| until <= now)
            {
                connection.handle_timeout(now, effects);
                line.settle(now, store.as_deref(), effects);
                line.wake();
            }
        }
    }

    /// Commits what the broker itself has brought about.
    fn settle_broker(&mut self) {
        for _ in 0..TURNS_MAX {
            let answer = commit(self.store.as_deref(), &mut self.effects);
            let ticket = self.effects.take_ticket();
            self.effects.wake();
            self.commits.push((answer, ticket));
            self.settle_commits();
            if self.effects.batch().is_empty() {
                return;
            }
        }
        panic!("there is always something more to commit");
    }

    fn settle_commits(&mut self) -> bool {
        let mut busy = false;
        for (mut answer, ticket) in core::mem::take(&mut self.commits) {
            match poll_answer(&mut answer) {
                Some(Ok(())) => self
                    .broker
                    .handle_committed(self.now, ticket, &mut self.effects),
                Some(Err(_)) => self.broker.handle_commit_failed(ticket),
                None => {
                    self.commits.push((answer, ticket));
                    continue;
                }
            }
            busy = true;
        }
        self.effects.wake();
        busy
    }

    fn lose(&mut self, number: usize) {
        let Self {
            lines,
            effects,
            store,
            now,
            commits,
            ..
        } = self;
        let line = &mut lines[number];
        let Some(connection) = &mut line.connection else {
            return;
        };
        // What is being committed goes on, though nobody is left to be answered.
        commits.extend(line.commits.drain(..));
        connection.handle_lost(*now, effects);
        line.closed = connection.closing();
        line.settle(*now, store.as_deref(), effects);
        if line.commits.is_empty() {
            line.connection = None;
        }
    }

    /// Everybody goes for ever; then nothing may be left.
    fn finish(&mut self) {
        self.is_checked = false;
        for number in 0..self.lines.len() {
            self.lose(number);
        }
        self.run();
        self.clean_up();
        if self.store.as_ref().is_some_and(|store| store.is_behind()) {
            // What could not be removed then is found again by the next broker, and removed.
            self.crash_and_restart();
            self.clean_up();
        }
        self.broker.check_invariants();
        let sizes = self.broker.sizes();
        let left = sizes.sessions
            + sizes.subscriptions
            + sizes.retained_messages
            + sizes.retained_bytes
            + sizes.queued_messages
            + sizes.queued_bytes
            + sizes.partial_bytes
            + sizes.deadlines;
        assert_eq!(left, 0, "something is left behind: {sizes:?}");
        let stored = self
            .store
            .as_ref()
            .map_or(Vec::new(), |store| store.contents());
        assert_eq!(stored, [""; 0], "something is left behind in the store");
    }

    /// Sessions and retained messages end.
    fn clean_up(&mut self) {
        for client in self.traces.clients.clone() {
            let mut connection = Connection::new(&self.broker, self.now);
            let connect = Connect::new(Version::V311, &client);
            connection.handle_packet(self.now, Packet::Connect(connect), &mut self.effects);
            let mut nobody = Context::from_waker(Waker::noop());
            while connection.awaits_verdict() {
                let verdict = connection.poll_verdict(self.now, &mut nobody, &mut self.effects);
                assert!(verdict.is_ready(), "what tests ask is answered in the end");
            }
            connection.handle_lost(self.now, &mut self.effects);
            self.settle_broker();
        }
        for topic in self.traces.topics.clone() {
            let nothing = Message::new(MessageParts {
                topic: &topic,
                properties: &[],
                payload: &[],
                qos: QoS::AtMostOnce,
                retain: true,
                expires: Timestamp::MAX,
            });
            // Also what is not a topic name was sent, to see that it is refused.
            let _ = self.broker.publish(self.now, &nothing, &mut self.effects);
            self.settle_broker();
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if self.is_checked && !std::thread::panicking() {
            if let Some(store) = &self.store {
                while store.held() > 0 {
                    store.let_go(0);
                }
                store.set_mood(Mood::Willing);
            }
            self.run();
            self.finish();
        }
    }
}
