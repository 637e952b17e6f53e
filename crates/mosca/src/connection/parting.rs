//! How a connection parts: the last words, and then the time to hear them.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use broker_core::CloseCause;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use super::giving_way::let_others_run;
use super::{Driver, READS_PER_TURN, Stage};
use crate::network::Network;
use crate::worker::Worker;

/// Bytes thrown away after the last words, so that the client reads them before it sees a reset.
const DISCARDED_MAX: u32 = 16 << 20;

impl<S: Network> Driver<S> {
    /// Everything was said. Whoever ended the connection himself waits for nothing more; the
    /// others get the time to hear it.
    pub(super) fn part(&mut self, cause: CloseCause) {
        self.log_close();
        self.stage = match cause {
            CloseCause::Disconnected(_) | CloseCause::ConnectionLost => self.stage_of_loss(),
            _ => self.stage_of_farewell(),
        };
    }

    fn stage_of_farewell(&self) -> Stage {
        let until = tokio::time::sleep(self.shared.discard_time());
        Stage::Discarding(Box::pin(until), DISCARDED_MAX)
    }

    /// The stage after the client has left.
    pub(super) fn stage_of_loss(&self) -> Stage {
        if self.stream.owes_farewell() {
            self.stage_of_farewell()
        } else {
            Stage::Lost
        }
    }
}

/// Ends our direction, and reads what the client still sends until it has ended its own: a reset
/// would take the last words away from it.
pub(super) fn discard<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    until: &mut Pin<Box<Sleep>>,
    left: &mut u32,
    worker: &mut Worker,
    context: &mut Context<'_>,
) -> Poll<()> {
    if until.as_mut().poll(context).is_ready() {
        return Poll::Ready(());
    }
    if ready!(Pin::new(&mut *stream).poll_shutdown(context)).is_err() {
        return Poll::Ready(());
    }
    for _ in 0..READS_PER_TURN {
        let mut buffer = ReadBuf::new(&mut worker.input);
        if ready!(Pin::new(&mut *stream).poll_read(context, &mut buffer)).is_err() {
            return Poll::Ready(());
        }
        let read = u32::try_from(buffer.filled().len()).unwrap_or(u32::MAX);
        if read == 0 || read >= *left {
            return Poll::Ready(());
        }
        *left -= read;
    }
    let_others_run(context)
}
