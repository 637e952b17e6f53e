//! The frames that we send: which one is under way, and what waits for its end. RFC 6455, sections
//! 5.2 and 5.5.

use std::io::IoSlice;
use std::mem;

use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

/// Parts of one vectored write: the head of a frame, and what it carries. Of more slices than that the
/// first ones are written, and the others when they come again.
pub(super) const PARTS: usize = 65;

/// Bytes of the longest head of a frame without a mask.
const HEAD_BYTES: usize = 10;

/// How far writing has come.
#[derive(Default)]
pub(super) struct Outgoing {
    /// The head of the data frame under way.
    head: [u8; HEAD_BYTES],
    head_len: u8,
    /// 0 if none is under way.
    head_sent: u8,
    /// What the frame still has to carry.
    left: u64,
    /// Control frames, sent up to `control_sent`.
    control: Vec<u8>,
    control_sent: usize,
    /// The answer to the last ping, while another control frame is under way.
    pong: Vec<u8>,
}

impl Outgoing {
    pub(super) fn owned_bytes(&self) -> usize {
        self.control.capacity() + self.pong.capacity()
    }

    /// What is to be written next of a data frame that carries `total` bytes, the slices; of the
    /// frame that is under way, if one is.
    pub(super) fn frame<'a, 'b>(
        &'a mut self,
        total: u64,
        slices: &'a [IoSlice<'_>],
        parts: &'b mut [IoSlice<'a>; PARTS],
    ) -> &'b [IoSlice<'a>] {
        if self.head_sent == 0 {
            self.left = total;
            let header = header(OpCode::Data(Data::Binary));
            // There is room for the longest one.
            let _written = header.format(total, &mut &mut self.head[..]);
            self.head_len = u8::try_from(header.len(total)).unwrap_or_default();
        }
        let head = usize::from(self.head_sent)..usize::from(self.head_len);
        let head = self.head.get(head).unwrap_or_default();
        let mut left = self.left;
        let carried = slices.iter().filter_map(|slice| {
            let here = usize::try_from(left).map_or(slice.len(), |left| left.min(slice.len()));
            left -= here as u64;
            slice.get(..here)
        });
        let all = std::iter::once(head).chain(carried);
        let mut filled = 0;
        for (part, bytes) in parts.iter_mut().zip(all.filter(|bytes| !bytes.is_empty())) {
            *part = IoSlice::new(bytes);
            filled += 1;
        }
        parts.get(..filled).unwrap_or_default()
    }

    /// The network has taken so many bytes. How many of them the frame carried.
    pub(super) fn frame_sent(&mut self, written: usize) -> usize {
        let of_head = written.min(usize::from(self.head_len - self.head_sent));
        self.head_sent += u8::try_from(of_head).unwrap_or_default();
        let carried = written - of_head;
        self.left -= carried as u64;
        if self.left == 0 {
            self.head_sent = 0;
        }
        carried
    }

    /// The client wants an answer to its ping; to the last one if there are several.
    pub(super) fn answer(&mut self, ping: &[u8]) {
        self.pong = frame_of(Control::Pong, ping);
    }

    /// The last frame, unless a data frame was broken off.
    pub(super) fn close(&mut self, code: Option<u16>) {
        self.pong = Vec::new();
        if self.head_sent == 0 {
            let code = code.map(u16::to_be_bytes);
            let close = frame_of(Control::Close, code.as_ref().map_or(&[], |code| &code[..]));
            self.control.extend(close);
        }
    }

    /// What is to be written now of control frames. They do not interrupt a data frame.
    pub(super) fn control(&mut self) -> Option<&[u8]> {
        if self.head_sent > 0 {
            return None;
        }
        if self.control.is_empty() {
            self.control = mem::take(&mut self.pong);
        }
        self.control
            .get(self.control_sent..)
            .filter(|bytes| !bytes.is_empty())
    }

    /// The network has taken so many bytes of them.
    pub(super) fn control_sent(&mut self, written: usize) {
        self.control_sent += written;
        if self.control_sent >= self.control.len() {
            // What is idle owns no memory.
            (self.control, self.control_sent) = (Vec::new(), 0);
        }
    }
}

fn frame_of(control: Control, payload: &[u8]) -> Vec<u8> {
    let header = header(OpCode::Control(control));
    let length = payload.len() as u64;
    let mut frame = Vec::with_capacity(header.len(length) + payload.len());
    // Writing to a vector cannot fail.
    let _written = header.format(length, &mut frame);
    frame.extend_from_slice(payload);
    frame
}

fn header(opcode: OpCode) -> FrameHeader {
    FrameHeader {
        opcode,
        ..FrameHeader::default()
    }
}
