//! From the socket to the worker's buffer, and what is kept between two reads: the start of a packet,
//! or what has come while it is decided whether the client may come in.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use broker_core::{CloseCause, Timestamp};
use tokio::io::ReadBuf;

use super::input::handle_input;
use super::partial::Partial;
use super::receivers_first::receivers_first;
use super::{Driver, PARTIAL_SMALL};
use crate::network::Network;
use crate::worker::{READ_BYTES, READ_BYTES_MAX, Worker};

/// Bytes from which on a packet is a large one for reading.
pub(super) const LARGE_PACKET: usize = 4_096;

impl<S: Network> Driver<S> {
    /// Reads once and handles what has come. True if all has been read and receivers are to write first;
    /// an error means that nothing more will come.
    pub(super) fn read(
        &mut self,
        now: Timestamp,
        worker: &mut Worker,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<bool>> {
        if self.connection.is_pausing() {
            // What is not read now is held back by the network; also the end, which comes behind it.
            return Poll::Pending;
        }
        if self.connection.is_deciding() {
            return self.read_ahead(worker, context);
        }
        if self.is_giving_way() {
            return self.give_way(now, worker, context).map(|()| Ok(false));
        }
        if self.partial.len() > PARTIAL_SMALL {
            return self.read_large(now, worker, context);
        }
        let Worker { input, effects } = &mut *worker;
        let kept = self.partial.len();
        // Where one large packet comes, others are likely to follow. What follows CONNECT may have to be
        // kept.
        let is_large =
            kept + self.partial.missing() >= LARGE_PACKET && !self.connection.awaits_connect();
        let room = if is_large { READ_BYTES_MAX } else { READ_BYTES };
        let room = input.get_mut(..room).unwrap_or_default();
        let Some((front, back)) = room.split_at_mut_checked(kept) else {
            return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
        };
        front.copy_from_slice(self.partial.bytes());
        let mut buffer = ReadBuf::new(back);
        ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer))?;
        let read = buffer.filled().len();
        let is_all = buffer.remaining() > 0;
        if read == 0 {
            return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
        }
        let all = input.get(..kept + read).unwrap_or_default();
        if self.keep_connect(all) {
            return self.give_way(now, worker, context).map(|()| Ok(false));
        }
        let (used, missing) = handle_input(&mut self.connection, all, now, effects);
        let answers = effects.has_replies();
        self.partial = Partial::new(all.get(used..).unwrap_or_default(), missing);
        let woken = self.settle(now, worker);
        Poll::Ready(Ok(is_all && receivers_first(answers, woken)))
    }

    /// Reads while something is being decided. What comes is kept for later; that is limited, and there
    /// is reading at all only to see whether a client that wants to come in is still there.
    fn read_ahead(
        &mut self,
        worker: &mut Worker,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<bool>> {
        let room = PARTIAL_SMALL.saturating_sub(self.partial.len());
        if room == 0 {
            return Poll::Pending;
        }
        let mut buffer = ReadBuf::new(worker.input.get_mut(..room).unwrap_or_default());
        ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer))?;
        if buffer.filled().is_empty() {
            // Who publishes, takes leave and goes is not lost because somebody thinks about the message:
            // all of that came before the end, which comes again when it has been handled.
            if self.connection.is_connected() || self.partial.len() > 0 {
                return Poll::Pending;
            }
            return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
        }
        self.partial.extend(buffer.filled(), 0);
        Poll::Ready(Ok(false))
    }

    /// Counts what is kept of a packet that goes on, and closes the connection if there is no memory for
    /// it.
    pub(super) fn count_partial(&mut self, now: Timestamp, worker: &mut Worker) {
        if self.partial.count(&self.shared.broker) {
            return;
        }
        self.partial = Partial::default();
        self.connection
            .close(now, CloseCause::NoRoom, &mut worker.effects);
        self.settle(now, worker);
    }

    /// Reads on in a packet that is too large for the worker's buffer. Its memory grows with what
    /// has come, so that nobody gets it by announcing a large packet.
    fn read_large(
        &mut self,
        now: Timestamp,
        worker: &mut Worker,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<bool>> {
        let missing = self.partial.missing();
        let room = missing.min(READ_BYTES_MAX);
        let mut buffer = ReadBuf::new(worker.input.get_mut(..room).unwrap_or_default());
        ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer))?;
        let come = buffer.filled();
        if come.is_empty() {
            return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
        }
        let kept = self.partial.len();
        self.partial.extend(come, missing.min(kept.max(READ_BYTES)));
        // A client that sends a large packet over a slow line cannot say in between that it lives.
        if self.partial.len() / PARTIAL_SMALL > kept / PARTIAL_SMALL {
            self.connection.hear(now, 0);
        }
        if self.partial.missing() == 0 {
            let all = self.partial.take();
            let (used, missing) =
                handle_input(&mut self.connection, &all, now, &mut worker.effects);
            self.partial = Partial::new(all.get(used..).unwrap_or_default(), missing);
            self.settle(now, worker);
            // Of large packets no more than one is on its way to the store.
            if let Some(commits) = &mut self.commits {
                commits.is_alone = true;
            }
        }
        Poll::Ready(Ok(false))
    }
}
