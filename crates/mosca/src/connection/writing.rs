//! Writing, and what happens while the socket takes nothing.

use std::io::IoSlice;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use broker_core::{CloseCause, Output, Timestamp};

use super::{Driver, SLICES, Stage};
use crate::network::Network;
use crate::worker::Worker;

/// How far writing has come.
pub(super) enum Written {
    /// All of it; there is nothing more to say for now.
    All,
    /// The socket takes no more for now.
    Blocked,
    /// All of it, and the connection is to be closed.
    Close(CloseCause),
    /// The socket is broken.
    Lost,
}

impl<S: Network> Driver<S> {
    /// Writes until there is nothing more to write or the socket takes no more. While it is waited for
    /// the store it writes what is there and asks for no more, since that could need another commit.
    pub(super) fn write(
        &mut self,
        now: Timestamp,
        worker: &mut Worker,
        context: &mut Context<'_>,
    ) -> Written {
        let mut took = false;
        let written = self.write_all(&mut took, now, worker, context);
        match written {
            Written::Blocked => {
                let took = self.stream.has_moved(took);
                self.connection.handle_blocked(now, took);
                self.set_time(now);
            }
            Written::All => {
                self.connection.handle_drained();
                if let Stage::Timed(_) = self.stage {
                    self.set_time(now);
                }
            }
            Written::Close(_) | Written::Lost => {}
        }
        written
    }

    /// The same, and whether the stream took anything.
    fn write_all(
        &mut self,
        took: &mut bool,
        now: Timestamp,
        worker: &mut Worker,
        context: &mut Context<'_>,
    ) -> Written {
        loop {
            if self.writing.is_empty() {
                worker.effects.recycle(mem::take(&mut self.writing));
                if self.waits_for_store() {
                    return self.flushed(Written::All, context);
                }
                let waker = context.waker();
                let output = self.connection.poll_output(now, waker, &mut worker.effects);
                self.settle(now, worker);
                match output {
                    Output::Write(outbox) => self.writing = outbox,
                    Output::Idle => return self.flushed(Written::All, context),
                    Output::Close(cause) => return self.flushed(Written::Close(cause), context),
                }
            }
            let mut slices = [IoSlice::new(&[]); SLICES];
            let filled = self.writing.slices(&mut slices);
            let slices = slices.get(..filled).unwrap_or_default();
            let stream = Pin::new(&mut self.stream);
            let result = match slices {
                [only] => stream.poll_write(context, only),
                several => stream.poll_write_vectored(context, several),
            };
            match result {
                Poll::Pending => return Written::Blocked,
                Poll::Ready(Ok(written)) if written > 0 => {
                    *took = true;
                    self.writing.advance(written);
                }
                Poll::Ready(_) => return Written::Lost,
            }
        }
    }

    /// What writing has come to, now that the stream has taken everything: it may keep some of it to
    /// itself, as TLS does while the socket takes nothing. For TCP there is nothing to be done.
    fn flushed(&mut self, written: Written, context: &mut Context<'_>) -> Written {
        match Pin::new(&mut self.stream).poll_flush(context) {
            Poll::Ready(Ok(())) => written,
            Poll::Pending => Written::Blocked,
            Poll::Ready(Err(_)) => Written::Lost,
        }
    }

    /// Asks whether the broker wants the connection closed. While the socket takes nothing nobody
    /// else does: there is no next output yet.
    pub(super) fn ask_whether_to_close(
        &mut self,
        now: Timestamp,
        worker: &mut Worker,
        waker: &Waker,
    ) {
        let effects = &mut worker.effects;
        self.connection.handle_woken(now, waker, effects);
        self.settle(now, worker);
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future as _;
    use std::sync::Arc;
    use std::time::Duration;

    use broker_core::BrokerOptions;
    use mqtt_codec::{Connect, Packet, Version};

    use super::super::tests::{CONNACK, Script, driver, shared, shared_with};
    use super::*;
    use crate::shared::Shared;

    /// A client that is connected and has so many bytes to take, of which it takes none.
    fn blocked(shared: &Arc<Shared>, waiting: usize) -> Driver<Script> {
        let version = Version::V311;
        let mut input = Vec::new();
        let connect = Packet::Connect(Connect::new(version, "client"));
        connect.encode(version, &mut input).unwrap();
        let mut driver = driver(shared, vec![input], usize::MAX);
        let mut context = Context::from_waker(Waker::noop());
        assert!(Pin::new(&mut driver).poll(&mut context).is_pending());
        driver.stream.room = 0;
        let pings = [0xC0, 0].repeat(waiting / 2);
        driver.stream.pieces.push_back(pings);
        while !driver.stream.pieces.is_empty() {
            assert!(Pin::new(&mut driver).poll(&mut context).is_pending());
        }
        assert!(Pin::new(&mut driver).poll(&mut context).is_pending());
        driver
    }

    /// Any byte begins the time anew, and there is a timer only while something waits.
    #[tokio::test]
    async fn the_time_for_writing_runs_only_while_the_socket_takes_nothing() {
        let shared = shared();
        let mut driver = blocked(&shared, 1_000);
        let mut context = Context::from_waker(Waker::noop());
        let mut last = driver.connection.poll_timeout().unwrap();
        for room in [0, 1, 0, 500, 0] {
            // The clock counts in milliseconds.
            let before = shared.clock.now();
            while shared.clock.now() == before {
                tokio::task::yield_now().await;
            }
            driver.stream.room = room;
            assert!(Pin::new(&mut driver).poll(&mut context).is_pending());
            assert!(matches!(driver.stage, Stage::Timed(_)));
            let until = driver.connection.poll_timeout().unwrap();
            assert_eq!(until > last, room > 0, "{room} bytes taken");
            last = until;
        }
        driver.stream.room = usize::MAX;
        assert!(Pin::new(&mut driver).poll(&mut context).is_pending());
        assert_eq!(driver.connection.poll_timeout(), None);
        assert!(matches!(driver.stage, Stage::Serving));
        assert_eq!(driver.stream.written.len(), CONNACK.len() + 1_000);
    }

    /// Its task is woken by nothing but the timer.
    #[tokio::test]
    async fn a_client_that_takes_nothing_in_time_is_left_without_last_words() {
        let options = BrokerOptions {
            write_timeout: Duration::from_millis(20),
            ..BrokerOptions::default()
        };
        let shared = shared_with(options);
        let driver = blocked(&shared, 2);
        let task = tokio::spawn(driver);
        let left = tokio::time::timeout(Duration::from_secs(30), task).await;
        left.expect("it does not wait for ever").unwrap();
        assert_eq!(shared.open_connections(), 0);
        assert_eq!(shared.broker.sizes().sessions, 0);
        assert_eq!(shared.broker.counters().slow_readers_closed.get(), 1);
    }
}
