//! One network connection, as its driver sees it: bytes in, bytes out, and commits in between.

use std::collections::VecDeque;
use std::future::Future;
use std::io::IoSlice;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use broker_core::persistence::{Answer, Persistence, PersistenceError};
use broker_core::{CloseCause, Connection, Effects, Outbox, Output, Ticket, Timestamp};
use mqtt_codec::{Decoded, OwnedPacket, Packet, Version, decode};

use super::super::ledger::{Ledger, Traces};
use super::super::store::Store;
use super::{COMMITS_MAX, TURNS_MAX};

/// One network connection.
pub(super) struct Line {
    pub(super) connection: Option<Connection>,
    pub(super) woken: Arc<Woken>,
    /// What is being committed: as with a server, more is handled meanwhile.
    pub(super) commits: VecDeque<(Answer<()>, Ticket)>,
    /// Bytes on their way to the broker.
    pub(super) inbound: Vec<u8>,
    /// Bytes that the client does not read.
    pub(super) writing: Outbox,
    pub(super) reads: bool,
    /// Bytes and packets on their way to the client.
    pub(super) outbound: Vec<u8>,
    pub(super) packets: VecDeque<OwnedPacket>,
    pub(super) version: Version,
    pub(super) max_inflight: u16,
    pub(super) closed: Option<CloseCause>,
    pub(super) ledger: Ledger,
}

#[derive(Default)]
pub(super) struct Woken(pub(super) AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl Line {
    pub(super) fn connection(&mut self) -> &mut Connection {
        self.connection.as_mut().expect("it is being driven")
    }

    pub(super) fn wake(&self) {
        self.woken.0.store(true, Ordering::SeqCst);
    }

    /// Whether nothing more may be handled before a commit is done.
    pub(super) fn waits_for_store(&self) -> bool {
        let connection = self.connection.as_ref().expect("it is being driven");
        let may_go_on = connection.is_greeted() && connection.closing().is_none();
        !self.commits.is_empty() && (self.commits.len() >= COMMITS_MAX || !may_go_on)
    }

    /// The duty after each batch of input, and after each `poll_output`.
    pub(super) fn settle(&mut self, now: Timestamp, store: Option<&Store>, effects: &mut Effects) {
        for _ in 0..TURNS_MAX {
            let connection = self.connection.as_mut().expect("it is being driven");
            let mut answer = commit(store, effects);
            let is_behind = !self.commits.is_empty();
            match poll_answer(&mut answer) {
                Some(Ok(())) if !is_behind || effects.may_overtake() => {
                    connection.handle_committed_now(now, effects);
                }
                Some(Err(error)) if !is_behind => {
                    let ticket = effects.take_ticket();
                    connection.handle_commit_failed(now, ticket, &error, effects);
                    self.wake();
                }
                known => {
                    let answer = match known {
                        Some(Ok(())) => Answer::ready(()),
                        Some(Err(error)) => Answer::Ready(Err(error)),
                        None => answer,
                    };
                    self.commits.push_back((answer, effects.take_ticket()));
                    effects.wake();
                    return;
                }
            }
            effects.wake();
            if effects.batch().is_empty() {
                return;
            }
        }
        panic!("there is always something more to commit");
    }

    /// Goes on with what is unfinished, and asks for the verdict that is awaited. What has come meanwhile is handled before anything is
    /// written.
    pub(super) fn hear_verdict(
        &mut self,
        now: Timestamp,
        store: Option<&Store>,
        effects: &mut Effects,
        traces: &mut Traces,
    ) {
        if !self.waits_for_store() && self.connection().is_unfinished() {
            self.connection().take_step(now, effects);
            self.settle(now, store, effects);
            self.read(now, store, effects, traces);
            self.wake();
        }
        if self.waits_for_store() || !self.connection().awaits_verdict() {
            return;
        }
        let waker = Waker::from(Arc::clone(&self.woken));
        let mut task = Context::from_waker(&waker);
        let verdict = self.connection().poll_verdict(now, &mut task, effects);
        if verdict.is_ready() {
            self.settle(now, store, effects);
            self.read(now, store, effects, traces);
            self.wake();
        }
    }

    /// Writes until there is nothing more to write, or the client does not read, or a commit has
    /// to be waited for.
    pub(super) fn write(&mut self, now: Timestamp, store: Option<&Store>, effects: &mut Effects) {
        for _ in 0..TURNS_MAX {
            if !self.writing.is_empty() {
                if !self.reads {
                    self.woken.0.store(false, Ordering::SeqCst);
                    let connection = self.connection();
                    connection.handle_blocked(now, false);
                    // Who takes nothing takes no last words.
                    self.closed = connection
                        .closing()
                        .filter(|cause| *cause == CloseCause::SlowReader);
                    return;
                }
                let outbox = core::mem::take(&mut self.writing);
                self.deliver(outbox, effects);
            }
            if self.waits_for_store() {
                return;
            }
            let connection = self.connection.as_mut().expect("it is being driven");
            let waker = Waker::from(Arc::clone(&self.woken));
            let output = connection.poll_output(now, &waker, effects);
            self.settle(now, store, effects);
            match output {
                Output::Idle => {
                    self.connection().handle_drained();
                    return;
                }
                Output::Write(outbox) => {
                    assert!(
                        !outbox.is_empty(),
                        "an empty write would be taken for a lost one"
                    );
                    self.writing = outbox;
                }
                Output::Close(cause) => {
                    self.closed = Some(cause);
                    return;
                }
            }
        }
        panic!("there is always something more to write");
    }

    /// Hands over all that has arrived. False if nothing has, or it has to wait.
    pub(super) fn read(
        &mut self,
        now: Timestamp,
        store: Option<&Store>,
        effects: &mut Effects,
        traces: &mut Traces,
    ) -> bool {
        let waits = self.waits_for_store();
        let connection = self.connection.as_mut().expect("it is being driven");
        let is_blocked = !self.writing.is_empty() && !connection.accepts_input();
        if self.inbound.is_empty() || waits || is_blocked {
            return false;
        }
        let mut used = 0;
        while used < self.inbound.len()
            && connection.closing().is_none()
            && !connection.is_deciding()
        {
            let rest = &self.inbound[used..];
            match decode(rest, connection.version(), connection.max_packet_size()) {
                Ok(Decoded::Packet { packet, size }) => {
                    if let Packet::Connect(connect) = &packet
                        && connection.awaits_connect()
                    {
                        self.version = connect.version;
                        self.ledger.sent(&packet, self.max_inflight);
                    } else if !matches!(packet, Packet::Connect(_)) {
                        self.ledger.sent(&packet, self.max_inflight);
                    }
                    traces.note(&packet, &mut self.ledger);
                    connection.handle_packet(now, packet, effects);
                    used += size;
                }
                Ok(Decoded::Incomplete { .. }) => break,
                Err(error) => connection.handle_malformed(now, error, effects),
            }
        }
        if connection.closing().is_some() {
            used = self.inbound.len();
        }
        if used == 0 {
            return false;
        }
        connection.hear(now, used);
        self.inbound.drain(..used);
        self.settle(now, store, effects);
        self.wake();
        true
    }

    /// The client reads.
    pub(super) fn deliver(&mut self, mut outbox: Outbox, effects: &mut Effects) {
        let before = self.outbound.len();
        let len = outbox.len();
        while !outbox.is_empty() {
            let mut slices = [IoSlice::new(&[]); 3];
            let filled = outbox.slices(&mut slices);
            let written: usize = slices[..filled].iter().map(|slice| slice.len()).sum();
            for slice in &slices[..filled] {
                self.outbound.extend_from_slice(slice);
            }
            outbox.advance(written);
        }
        assert_eq!(
            self.outbound.len() - before,
            len,
            "an outbox knows its length"
        );
        effects.recycle(outbox);
        let mut used = 0;
        while let Ok(Decoded::Packet { packet, size }) =
            decode(&self.outbound[used..], self.version, usize::MAX)
        {
            let mut packet = packet.to_owned();
            self.ledger.received(&mut packet, size);
            self.packets.push_back(packet);
            used += size;
        }
        assert_eq!(
            used,
            self.outbound.len(),
            "the broker writes whole packets of the version"
        );
        self.outbound.clear();
    }
}

pub(super) fn commit(store: Option<&Store>, effects: &mut Effects) -> Answer<()> {
    let batch = effects.batch();
    match store {
        Some(store) if !batch.is_empty() => store.commit(batch),
        _ => {
            batch.drain().for_each(drop);
            Answer::ready(())
        }
    }
}

pub(super) fn poll_answer(answer: &mut Answer<()>) -> Option<Result<(), PersistenceError>> {
    match pin!(answer).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => Some(result),
        Poll::Pending => None,
    }
}
