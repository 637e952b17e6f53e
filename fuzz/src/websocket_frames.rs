//! The server's side of a WebSocket, between a network that cuts what comes and takes what goes as it
//! likes, and somebody who reads and writes portions of any size.
//!
//! A client sends frames, right ones and wrong ones, or any bytes. What is read has to be what a decoder
//! finds that has all bytes at once; what is written has to be whole frames that carry what was given to
//! write, answers to pings, and in the end a close frame with the right code. Nobody waits without having
//! a reason to be woken, and nothing is kept but a little.

mod reference;
mod script;
mod wire;

use std::cell::RefMut;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use mqtt_websocket::{Terms, WebSocket};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use reference::{Frame, Reference, frames};
pub use script::seeds;
use script::{Script, frame};
use wire::{State, Wire};

/// A request that is agreed to.
const REQUEST: &[u8] = b"GET /mqtt HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n\
    Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// Bytes that a connection may own while its request is not answered, and afterwards.
const OPENING_BYTES: usize = 24 << 10;
const OPEN_BYTES: usize = 600;

/// What it takes to remember bytes that were read with the request.
const KEPT_BYTES: usize = 64;

const STEPS_MAX: usize = 200;

/// Bytes of frames that a client sends at most, and about as many that are written.
const SENT_MAX: usize = 150_000;

/// Opcodes.
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// The code of a close frame of who has nothing to complain about.
const NORMAL: u16 = 1000;

/// Sizes of buffers to read into, and of slices to write.
const SIZES: [usize; 8] = [1, 2, 3, 14, 64, 126, 4_096, 65_536];

#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Both ends of a connection.
struct Ends {
    socket: WebSocket<Wire>,
    wire: Wire,
    woken: Arc<Woken>,
    /// All frames that the client has sent.
    sent: Vec<u8>,
    /// How much of that was read by somebody else, who has answered the request.
    kept: usize,
    /// What came of reading.
    read: Vec<u8>,
    /// Reading is over: the client has ended its direction, or there was an error.
    end: Option<Result<(), io::ErrorKind>>,
    /// What was given to write, and how much of it was taken.
    offered: Vec<u8>,
    taken: usize,
}

/// One connection.
pub fn websocket_frames(data: &[u8]) {
    let mut script = Script(data);
    let Some(choice) = script.byte() else {
        return;
    };
    let schedule = script.bytes(usize::from(choice % 8)).to_vec();
    let mut ends = Ends::new(schedule, choice & 8 != 0);
    if choice & 0x30 == 0x30 {
        return ends.ask_for_anything(script.0);
    }
    if choice & 0x80 != 0 {
        ends.begin_upgraded(&mut script);
    } else if !ends.open() {
        return;
    }
    for _ in 0..STEPS_MAX {
        let Some(step) = script.byte() else {
            break;
        };
        ends.step(step, &mut script);
        assert!(ends.socket.owned_bytes() <= OPEN_BYTES + ends.kept);
        if ends.state().is_broken {
            break;
        }
    }
    ends.finish(choice & 0x40 != 0);
    ends.judge();
}

impl Ends {
    fn new(schedule: Vec<u8>, is_vectored: bool) -> Self {
        let wire = Wire::default();
        {
            let mut state = wire.0.borrow_mut();
            (state.schedule, state.is_vectored) = (schedule, is_vectored);
        }
        Self {
            socket: WebSocket::new(wire.clone(), &Arc::new(Terms::default())),
            wire,
            woken: Arc::default(),
            sent: Vec::new(),
            kept: 0,
            read: Vec::new(),
            end: None,
            offered: Vec::new(),
            taken: 0,
        }
    }

    fn state(&self) -> RefMut<'_, State> {
        self.wire.0.borrow_mut()
    }

    /// Whatever is asked for, the answer is one response, and an upgrade only if it was asked for.
    fn ask_for_anything(&mut self, request: &[u8]) {
        self.state().arrive(request);
        self.state().end();
        for _ in 0..20 * (request.len() + 512) {
            if self.end.is_some() {
                break;
            }
            self.read(512);
            assert!(self.socket.owned_bytes() <= OPENING_BYTES);
        }
        assert!(self.read.is_empty());
        let response = String::from_utf8(self.state().written.clone()).unwrap();
        let Some(status) = response.strip_prefix("HTTP/1.1 ") else {
            assert!(
                response.is_empty() || "HTTP/1.1 ".starts_with(&response),
                "{response}"
            );
            return;
        };
        if status.starts_with("101 ") {
            let request = String::from_utf8_lossy(request).to_ascii_lowercase();
            assert!(request.starts_with("get ") && request.contains("websocket"));
        } else {
            let is_broken = self.state().is_broken;
            let end = Some(Err(io::ErrorKind::InvalidData));
            assert!(
                is_broken || status.starts_with('4') && self.end == end,
                "{response}"
            );
        }
    }

    /// Begins where somebody else has answered the request, and has read more than that.
    fn begin_upgraded(&mut self, script: &mut Script<'_>) {
        let kind = script.byte().unwrap_or_default();
        self.sent = match kind {
            0..=199 => frame(kind, script),
            _ => script.bytes(usize::from(kind - 200)).to_vec(),
        };
        self.kept = self.sent.len() + KEPT_BYTES;
        self.socket = WebSocket::upgraded(self.wire.clone(), &self.sent);
    }

    /// Sends the request. `false` if the network did not let the answer through.
    fn open(&mut self) -> bool {
        self.state().arrive(REQUEST);
        let mut polls = 0;
        while !self.state().written.ends_with(b"\r\n\r\n") {
            self.read(512);
            assert!(self.socket.owned_bytes() <= OPENING_BYTES);
            polls += 1;
            if self.state().is_broken || polls > 20 * REQUEST.len() {
                return false;
            }
        }
        // The end of the response has to be noticed.
        self.read(512);
        assert_eq!(self.end, None);
        self.state().written.clear();
        true
    }

    fn step(&mut self, step: u8, script: &mut Script<'_>) {
        match step % 8 {
            0..=2 => {
                let frame = frame(step, script);
                self.send(&frame);
            }
            3 => {
                let bytes = script.bytes(usize::from(step >> 3));
                self.send(bytes);
            }
            4 => self.read(SIZES[usize::from(step >> 3) % SIZES.len()]),
            5 if self.offered.len() < SENT_MAX => {
                let more = SIZES[usize::from(step >> 3) % SIZES.len()] + usize::from(step >> 6);
                let from = self.offered.len();
                self.offered
                    .extend((from..from + more).map(|at| (at % 251) as u8));
                self.write(SIZES[usize::from(step >> 4) % SIZES.len()]);
            }
            5 | 6 => self.write(SIZES[usize::from(step >> 3) % SIZES.len()]),
            _ if step == 255 => self.state().end(),
            _ => {
                let _ = self.poll("flushing", |socket, context| socket.poll_flush(context));
            }
        }
    }

    fn send(&mut self, bytes: &[u8]) {
        if !self.state().is_over() && self.sent.len() < SENT_MAX {
            self.sent.extend(bytes);
            self.state().arrive(bytes);
        }
    }

    fn poll<T>(
        &mut self,
        what: &str,
        act: impl FnOnce(Pin<&mut WebSocket<Wire>>, &mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        self.woken.0.store(false, Ordering::Relaxed);
        self.state().owes_waking = false;
        let waker = Waker::from(Arc::clone(&self.woken));
        let result = act(Pin::new(&mut self.socket), &mut Context::from_waker(&waker));
        if result.is_pending() {
            let is_woken = self.woken.0.load(Ordering::Relaxed);
            assert!(
                is_woken || self.state().owes_waking,
                "{what} waits for ever"
            );
        }
        result
    }

    fn read(&mut self, size: usize) {
        let mut space = vec![0; size];
        let mut buffer = ReadBuf::new(&mut space);
        let result = self.poll("reading", |socket, context| {
            socket.poll_read(context, &mut buffer)
        });
        let come = buffer.filled();
        match result {
            Poll::Pending => assert!(come.is_empty()),
            Poll::Ready(Ok(())) if come.is_empty() => self.end = Some(Ok(())),
            Poll::Ready(Ok(())) => {
                assert_eq!(self.end, None, "something comes behind the end");
                self.read.extend(come);
            }
            Poll::Ready(Err(error)) => {
                assert!(come.is_empty());
                self.end = Some(Err(error.kind()));
            }
        }
    }

    /// Writes what is left of what was offered, in slices.
    fn write(&mut self, slice: usize) {
        let left = self.offered[self.taken..].to_vec();
        if left.is_empty() {
            return;
        }
        // Some more than go into one write.
        let slice = slice.max(left.len() / 100);
        let slices: Vec<IoSlice<'_>> = left.chunks(slice).map(IoSlice::new).collect();
        let result = self.poll("writing", |socket, context| {
            socket.poll_write_vectored(context, &slices)
        });
        if let Poll::Ready(Ok(taken)) = result {
            assert!(taken > 0 && taken <= left.len());
            self.taken += taken;
        }
    }

    /// Whether a frame has been begun, and the network has not got all of it.
    fn is_amid_frame(&self) -> bool {
        let state = self.state();
        let (frames, rest) = frames(&state.written);
        !rest.is_empty() || frames.last().is_some_and(|last| !last.is_whole())
    }

    /// Reads, and writes if it is wanted, to the end, over a network that does not hesitate any more.
    fn finish(&mut self, breaks_off: bool) {
        if self.state().is_broken {
            return;
        }
        self.state().recover();
        while self.end.is_none() {
            let before = self.read.len();
            self.read(70_000);
            let is_woken = self.woken.0.load(Ordering::Relaxed);
            if self.read.len() == before && !is_woken {
                break;
            }
        }
        while !breaks_off && self.taken < self.offered.len() {
            self.write(4_096);
        }
        let flushed = self.poll("flushing", |socket, context| socket.poll_flush(context));
        assert!(matches!(flushed, Poll::Ready(Ok(()))));
        if !self.is_amid_frame() {
            let last = Reference::of(&self.sent).pings.pop();
            assert!(
                self.written(PONG).pop() == last,
                "the last ping is answered"
            );
        }
        for _ in 0..2 {
            let ended = self.poll("the end", |socket, context| socket.poll_shutdown(context));
            assert!(matches!(ended, Poll::Ready(Ok(()))));
        }
        let (came, rest) = frames(&self.sent);
        if rest.is_empty() && came.iter().all(Frame::is_whole) {
            assert_eq!(self.socket.owned_bytes(), 0, "something is kept");
        }
    }

    /// What frames of this kind carry that were written.
    fn written(&self, opcode: u8) -> Vec<Vec<u8>> {
        let frames = frames(&self.state().written).0.into_iter();
        let frames = frames.filter(|frame| frame.opcode == opcode);
        frames.map(|frame| frame.payload).collect()
    }

    /// Compares all that went to and fro with what should have.
    fn judge(&self) {
        let said = Reference::of(&self.sent);
        let is_broken = self.state().is_broken;
        let is_amid = self.is_amid_frame();
        let (frames, rest) = {
            let state = self.state();
            let (frames, rest) = frames(&state.written);
            (frames, rest.len())
        };
        for frame in &frames {
            assert!(
                frame.is_final && !frame.is_masked && frame.reserved == 0,
                "{frame:?}"
            );
            assert!([BINARY, PONG, CLOSE].contains(&frame.opcode), "{frame:?}");
        }
        let carried = self.written(BINARY).concat();
        assert!(
            carried == self.offered[..self.taken],
            "what is written is what was given"
        );
        let mut pings = said.pings.iter();
        for pong in self.written(PONG) {
            let is_whole = !is_amid || frames.last().is_none_or(|last| last.opcode != PONG);
            let answered = pings.any(|ping| *ping == pong || !is_whole && ping.starts_with(&pong));
            assert!(answered, "{pong:x?} is the answer to no ping");
        }
        if is_broken {
            return assert!(said.payload.starts_with(&self.read));
        }
        assert!(self.read == said.payload, "what is read is what was sent");
        let broken_rule = Err(io::ErrorKind::InvalidData);
        let end = said.end.map(|_| broken_rule);
        assert_eq!(self.end, end.or(self.state().is_over().then_some(Ok(()))));
        let code = said.end.unwrap_or(Some(NORMAL));
        let close = code.map_or_else(Vec::new, |code| code.to_be_bytes().to_vec());
        match is_amid {
            true => assert!(self.written(CLOSE).is_empty() && rest < 10),
            false => {
                assert_eq!(self.written(CLOSE), [close]);
                assert_eq!(frames.last().map(|last| last.opcode), Some(CLOSE));
            }
        }
        assert!(self.state().is_shut_down);
    }
}
