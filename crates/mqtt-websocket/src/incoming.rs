//! From what comes off the network to what the client's binary frames carry: in place, in pieces of
//! any size. RFC 6455, sections 5.2 to 5.5.

use std::io::Cursor;
use std::mem;

use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

/// Bytes of the longest head of a frame.
const HEAD_BYTES: usize = 14;

/// Bytes that a control frame may carry at most.
const CONTROL_BYTES: u64 = 125;

/// A rule of WebSocket was broken. RFC 6455, section 7.4.1.
const PROTOCOL_ERROR: u16 = 1002;

/// A kind of data that we do not take.
const UNSUPPORTED: u16 = 1003;

/// What a frame carries is not what its kind has to: here, a reason that is not UTF-8.
const INVALID_DATA: u16 = 1007;

/// How far reading has come. All that is kept of the input is the start of a head and what a control
/// frame carries.
#[derive(Default)]
pub(super) struct Incoming {
    head: [u8; HEAD_BYTES],
    head_len: u8,
    /// The last data frame was not the last of its message.
    within_message: bool,
    /// The frame whose head is complete, and whose payload is not.
    frame: Option<Frame>,
    control: Vec<u8>,
}

struct Frame {
    kind: Kind,
    /// Begins with the byte for what comes next.
    mask: [u8; 4],
    left: u64,
}

#[derive(Clone, Copy)]
enum Kind {
    Data,
    Ping,
    Pong,
    Close,
}

/// Why no more frames are read, and the code for our close frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct End {
    /// None for a client that gave none either.
    pub(super) code: Option<u16>,
    pub(super) why: &'static str,
}

impl End {
    const fn broken(why: &'static str) -> Self {
        Self {
            code: Some(PROTOCOL_ERROR),
            why,
        }
    }

    /// The client's close frame: it gets its own code back.
    fn by_client(body: &[u8]) -> Self {
        let code = match body.split_first_chunk() {
            None if body.is_empty() => None,
            Some((code, reason)) => match u16::from_be_bytes(*code) {
                code if !may_be_sent(code) => Some(PROTOCOL_ERROR),
                _ if str::from_utf8(reason).is_err() => Some(INVALID_DATA),
                code => Some(code),
            },
            None => Some(PROTOCOL_ERROR),
        };
        Self {
            code,
            why: "the client has closed the WebSocket",
        }
    }
}

/// Whether a close frame may have this code: one that is registered, but not those for what is no close
/// frame (1005, 1006, 1015), or one that is free for libraries and applications. RFC 6455, section 7.4, and
/// IANA's registry of close codes.
fn may_be_sent(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

/// Whether a head says a length in as few bytes as it can. RFC 6455, section 5.2.
fn is_minimal(head: &[u8], length: u64) -> bool {
    match head.get(1).map(|byte| byte & 0x7F) {
        Some(126) => length >= 126,
        Some(127) => length > u64::from(u16::MAX),
        _ => true,
    }
}

/// What came of some input.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Decoded {
    /// As many bytes at the start of the input are now what data frames carry.
    pub(super) payload: usize,
    /// The last ping, which is the one to answer.
    pub(super) ping: Option<Vec<u8>>,
    pub(super) end: Option<End>,
}

impl Incoming {
    pub(super) fn owned_bytes(&self) -> usize {
        self.control.capacity()
    }

    /// Decodes all of `bytes`. What data frames carry moves to their start.
    pub(super) fn decode(&mut self, bytes: &mut [u8]) -> Decoded {
        let mut decoded = Decoded::default();
        let mut at = 0;
        loop {
            if let Some(frame) = &mut self.frame {
                let rest = bytes.get_mut(at..).unwrap_or_default();
                let here =
                    usize::try_from(frame.left).map_or(rest.len(), |left| left.min(rest.len()));
                let piece = rest.get_mut(..here).unwrap_or_default();
                unmask(piece, &mut frame.mask);
                frame.left -= here as u64;
                match frame.kind {
                    Kind::Data => {
                        bytes.copy_within(at..at + here, decoded.payload);
                        decoded.payload += here;
                    }
                    Kind::Ping | Kind::Close => self.control.extend_from_slice(piece),
                    Kind::Pong => {}
                }
                at += here;
                if frame.left > 0 {
                    return decoded;
                }
                match self.frame.take().map(|frame| frame.kind) {
                    Some(Kind::Ping) => decoded.ping = Some(mem::take(&mut self.control)),
                    Some(Kind::Close) => {
                        decoded.end = Some(End::by_client(&mem::take(&mut self.control)));
                        return decoded;
                    }
                    _ => {}
                }
            }
            let Some(rest @ [_, ..]) = bytes.get(at..) else {
                return decoded;
            };
            match self.begin(rest) {
                Ok(used) => at += used,
                Err(end) => {
                    decoded.end = Some(end);
                    return decoded;
                }
            }
        }
    }

    /// Reads on in the head of the next frame, and says how many bytes that took.
    fn begin(&mut self, bytes: &[u8]) -> Result<usize, End> {
        let had = usize::from(self.head_len);
        let room = self.head.get_mut(had..).unwrap_or_default();
        let more = room.len().min(bytes.len());
        for (place, byte) in room.iter_mut().zip(bytes) {
            *place = *byte;
        }
        let mut head = Cursor::new(self.head.get(..had + more).unwrap_or_default());
        let parsed = FrameHeader::parse(&mut head);
        let len = usize::try_from(head.position()).unwrap_or(had);
        match parsed {
            Ok(Some((header, length))) => {
                self.head_len = 0;
                if !is_minimal(&self.head, length) {
                    return Err(End::broken("a WebSocket frame whose length is too long"));
                }
                self.frame = Some(self.check(&header, length)?);
                Ok(len.saturating_sub(had))
            }
            Ok(None) if more > 0 => {
                self.head_len += u8::try_from(more).unwrap_or_default();
                Ok(more)
            }
            Ok(None) | Err(_) => Err(End::broken("a WebSocket frame of no known kind")),
        }
    }

    /// Whether this frame may come now.
    fn check(&mut self, header: &FrameHeader, length: u64) -> Result<Frame, End> {
        let Some(mask) = header.mask else {
            return Err(End::broken("a WebSocket frame without a mask"));
        };
        if header.rsv1 || header.rsv2 || header.rsv3 {
            return Err(End::broken("a WebSocket frame of an extension"));
        }
        if length > i64::MAX.unsigned_abs() {
            return Err(End::broken("a WebSocket frame of an impossible length"));
        }
        let kind = match header.opcode {
            OpCode::Control(_) if !header.is_final || length > CONTROL_BYTES => {
                return Err(End::broken("a WebSocket control frame that is too large"));
            }
            OpCode::Control(Control::Ping) => Kind::Ping,
            OpCode::Control(Control::Pong) => Kind::Pong,
            OpCode::Control(Control::Close) => Kind::Close,
            OpCode::Data(Data::Text) => {
                return Err(End {
                    code: Some(UNSUPPORTED),
                    why: "a WebSocket frame of text",
                });
            }
            OpCode::Data(Data::Binary) if !self.within_message => Kind::Data,
            OpCode::Data(Data::Continue) if self.within_message => Kind::Data,
            OpCode::Data(Data::Binary | Data::Continue) => {
                return Err(End::broken("a WebSocket frame out of its order"));
            }
            OpCode::Control(Control::Reserved(_)) | OpCode::Data(Data::Reserved(_)) => {
                return Err(End::broken("a WebSocket frame of no known kind"));
            }
        };
        if matches!(kind, Kind::Data) {
            self.within_message = !header.is_final;
        }
        Ok(Frame {
            kind,
            mask,
            left: length,
        })
    }
}

/// Takes the mask off `bytes`, and turns it to what follows them.
fn unmask(bytes: &mut [u8], mask: &mut [u8; 4]) {
    let whole = u32::from_ne_bytes(*mask);
    let (words, rest) = bytes.as_chunks_mut::<4>();
    for word in words {
        *word = (u32::from_ne_bytes(*word) ^ whole).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(*mask) {
        *byte ^= key;
    }
    mask.rotate_left(rest.len());
}
