//! The network: cuts what comes, and takes what goes, as a schedule says.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// One end for the WebSocket, and one to look at.
#[derive(Clone, Default)]
pub struct Wire(pub Rc<RefCell<State>>);

/// What is on its way, and what was written.
#[derive(Default)]
pub struct State {
    /// One byte for each time that something is asked of the network, over and over: 0 lets it wait,
    /// 255 lets a write fail, others are the bytes that go at a time. Without any everything goes.
    pub schedule: Vec<u8>,
    asked: usize,
    pub is_vectored: bool,
    incoming: VecDeque<u8>,
    is_over: bool,
    pub written: Vec<u8>,
    pub is_shut_down: bool,
    /// A write has failed.
    pub is_broken: bool,
    /// It has let somebody wait, so he will be woken.
    pub owes_waking: bool,
}

impl State {
    /// How many bytes go now.
    fn portion(&mut self) -> Option<usize> {
        self.asked += 1;
        let index = self.asked.checked_rem(self.schedule.len());
        match index.and_then(|index| self.schedule.get(index)).copied() {
            Some(0) => None,
            Some(portion @ 1..200) => Some(usize::from(portion)),
            _ => Some(usize::MAX),
        }
    }

    fn fails(&self) -> bool {
        let index = self.asked.checked_rem(self.schedule.len());
        index.is_some_and(|index| self.schedule[index] == 255)
    }

    /// The client sends.
    pub fn arrive(&mut self, bytes: &[u8]) {
        if !self.is_over {
            self.incoming.extend(bytes);
        }
    }

    /// The client ends its direction.
    pub fn end(&mut self) {
        self.is_over = true;
    }

    /// Whether the client may still send.
    pub fn is_over(&self) -> bool {
        self.is_over
    }

    /// From now on it takes all that it is given.
    pub fn recover(&mut self) {
        self.schedule.clear();
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut state = self.0.borrow_mut();
        let portion = state.portion().unwrap_or_default();
        let here = portion.min(state.incoming.len()).min(buffer.remaining());
        if here == 0 && (portion == 0 || !state.is_over) && buffer.remaining() > 0 {
            state.owes_waking = true;
            return Poll::Pending;
        }
        let (first, second) = state.incoming.as_slices();
        let of_first = here.min(first.len());
        buffer.put_slice(&first[..of_first]);
        buffer.put_slice(&second[..here - of_first]);
        state.incoming.drain(..here);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut state = self.0.borrow_mut();
        assert!(!state.is_shut_down, "written behind the end");
        let Some(portion) = state.portion() else {
            state.owes_waking = true;
            return Poll::Pending;
        };
        if state.fails() || state.is_broken {
            state.is_broken = true;
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let used = if state.is_vectored { slices.len() } else { 1 };
        let before = state.written.len();
        let bytes = slices.iter().take(used).flat_map(|slice| slice.iter());
        let bytes: Vec<u8> = bytes.take(portion).copied().collect();
        assert!(!bytes.is_empty(), "nothing is written, and asks to be");
        state.written.extend(bytes);
        Poll::Ready(Ok(state.written.len() - before))
    }

    fn is_write_vectored(&self) -> bool {
        self.0.borrow().is_vectored
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.borrow_mut().is_shut_down = true;
        Poll::Ready(Ok(()))
    }
}
