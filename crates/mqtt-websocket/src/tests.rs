//! Frames in pieces of every size, in both directions, against another implementation of them.

use std::task::Waker;

use tungstenite::protocol::frame::coding::{Control, Data, OpCode};
use tungstenite::protocol::frame::{Frame, FrameHeader, FrameSocket};

use super::*;

/// A stream that takes portions no larger than `takes`, and every other time none.
#[derive(Default)]
struct Slow {
    written: Vec<u8>,
    takes: usize,
    blocked: bool,
}

impl AsyncRead for Slow {
    fn poll_read(
        self: Pin<&mut Self>,
        _context: &mut Context<'_>,
        _buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}

impl AsyncWrite for Slow {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.blocked = !self.blocked;
        if self.blocked {
            return Poll::Pending;
        }
        let bytes = slices.iter().flat_map(|slice| slice.iter().copied());
        let (before, takes) = (self.written.len(), self.takes);
        self.written.extend(bytes.take(takes));
        Poll::Ready(Ok(self.written.len() - before))
    }

    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

fn masked(opcode: OpCode, is_final: bool, payload: &[u8]) -> Vec<u8> {
    let mask = [1, 20, 133, 255];
    let header = FrameHeader {
        opcode,
        is_final,
        mask: Some(mask),
        ..FrameHeader::default()
    };
    let mut frame = Vec::new();
    header.format(payload.len() as u64, &mut frame).unwrap();
    let keys = mask.iter().cycle();
    frame.extend(payload.iter().zip(keys).map(|(byte, key)| byte ^ key));
    frame
}

#[test]
fn what_frames_carry_does_not_depend_on_how_the_network_cuts_them() {
    let noise: Vec<u8> = (0..70_000_usize).map(|at| (at * at / 7) as u8).collect();
    let (binary, more) = (OpCode::Data(Data::Binary), OpCode::Data(Data::Continue));
    let ping = OpCode::Control(Control::Ping);
    let bytes = [
        masked(binary, true, &noise[..1]),
        masked(binary, true, &[]),
        masked(binary, false, &noise[1..126]),
        masked(ping, true, &[]),
        masked(more, false, &noise[126..252]),
        masked(ping, true, b"ping"),
        masked(OpCode::Control(Control::Pong), true, b"pong"),
        masked(more, true, &noise[252..]),
        masked(OpCode::Control(Control::Close), true, &[15, 160]),
        masked(OpCode::Data(Data::Text), true, b"after the end"),
    ]
    .concat();
    for size in (1..40).chain([125, 126, 127, 4_096, 65_536, bytes.len()]) {
        let mut incoming = Incoming::default();
        let (mut carried, mut pings, mut end) = (Vec::new(), Vec::new(), None);
        for piece in bytes.chunks(size) {
            let mut piece = piece.to_vec();
            let decoded = incoming.decode(&mut piece);
            carried.extend_from_slice(&piece[..decoded.payload]);
            pings.extend(decoded.ping);
            end = decoded.end;
            if end.is_some() {
                break;
            }
        }
        assert!(carried == noise, "pieces of {size}");
        assert_eq!(pings.last().unwrap(), b"ping", "pieces of {size}");
        assert_eq!(end.unwrap().code, Some(4_000), "pieces of {size}");
    }
}

/// RFC 6455, section 5.2: "the minimal number of bytes MUST be used to encode the length".
#[test]
fn a_length_in_more_bytes_than_it_needs_ends_the_connection() {
    let with_16 = |length: u16| [&[0x82, 0xFE][..], &length.to_be_bytes(), &[0; 4]].concat();
    let with_64 = |length: u64| [&[0x82, 0xFF][..], &length.to_be_bytes(), &[0; 4]].concat();
    for (head, is_minimal) in [
        (vec![0x82, 0xFD, 0, 0, 0, 0], true),
        (with_16(0), false),
        (with_16(125), false),
        (with_16(126), true),
        (with_16(u16::MAX), true),
        (with_64(0), false),
        (with_64(126), false),
        (with_64(65_535), false),
        (with_64(65_536), true),
    ] {
        for size in 1..=head.len() {
            let mut incoming = Incoming::default();
            let ends = head
                .chunks(size)
                .filter_map(|piece| incoming.decode(&mut piece.to_vec()).end);
            let codes: Vec<_> = ends.map(|end| end.code).collect();
            let expected = if is_minimal {
                vec![]
            } else {
                vec![Some(1_002)]
            };
            assert_eq!(codes, expected, "{head:x?} in pieces of {size}");
        }
    }
}

/// RFC 6455, sections 5.5.1 and 7.4.
#[test]
fn a_close_frame_is_answered_with_its_code_if_it_may_have_it_and_its_reason_is_text() {
    let with = |code: u16, reason: &[u8]| [&code.to_be_bytes()[..], reason].concat();
    let mut cases = vec![
        (vec![], None),
        (vec![3], Some(1_002)),
        (
            with(1_000, "auf Wiedersehen, mañana".as_bytes()),
            Some(1_000),
        ),
        (with(1_000, b"\xC3\x28"), Some(1_007)),
        (with(4_000, b"cut \xE2\x82"), Some(1_007)),
        (with(1_005, b"\xFF"), Some(1_002)),
    ];
    let valid = [
        1_000, 1_003, 1_007, 1_011, 1_012, 1_014, 3_000, 3_999, 4_000, 4_999,
    ];
    let invalid = [
        0, 999, 1_004, 1_005, 1_006, 1_015, 1_016, 1_100, 2_000, 2_999, 5_000, 65_535,
    ];
    cases.extend(valid.map(|code| (with(code, b""), Some(code))));
    cases.extend(invalid.map(|code| (with(code, b""), Some(1_002))));
    for (body, code) in cases {
        let mut close = masked(OpCode::Control(Control::Close), true, &body);
        let decoded = Incoming::default().decode(&mut close);
        assert_eq!(decoded.end.unwrap().code, code, "{body:x?}");
    }
}

/// Writes all of `bytes` as the driver does: what was not taken is offered again.
fn write_all(socket: &mut WebSocket<Slow>, bytes: &[u8], parts: usize) {
    let mut context = Context::from_waker(Waker::noop());
    let mut at = 0;
    while at < bytes.len() {
        let slices: Vec<IoSlice<'_>> = bytes[at..].chunks(parts).map(IoSlice::new).collect();
        match Pin::new(&mut *socket).poll_write_vectored(&mut context, &slices) {
            Poll::Ready(written) => at += written.unwrap(),
            Poll::Pending => {}
        }
    }
}

#[test]
fn what_is_written_is_whole_frames_whatever_the_network_takes_at_a_time() {
    for takes in [1, 2, 3, 9, 64, 1 << 20] {
        for (length, parts) in [(1, 1), (125, 7), (126, 126), (300, 1), (70_000, 1_000)] {
            let mut socket = WebSocket::new(Slow::default(), &Arc::default());
            socket.stream.takes = takes;
            socket.phase = Phase::Open;
            let bytes: Vec<u8> = (0..length).map(|at: usize| at as u8).collect();
            write_all(&mut socket, &bytes, parts);
            socket.outgoing.answer(b"first");
            socket.outgoing.answer(b"second");
            write_all(&mut socket, &bytes, parts);
            let mut context = Context::from_waker(Waker::noop());
            let mut closing = Pin::new(&mut socket);
            while closing.as_mut().poll_shutdown(&mut context).is_pending() {}

            let what = format!("{length} bytes in parts of {parts}, {takes} at a time");
            let mut frames = FrameSocket::new(&socket.stream.written[..]);
            let (mut carried, mut control) = (Vec::new(), Vec::new());
            while let Some(frame) = frames.read(None).unwrap() {
                let frame: Frame = frame;
                assert!(
                    frame.header().is_final && frame.header().mask.is_none(),
                    "{what}"
                );
                match frame.header().opcode {
                    OpCode::Data(Data::Binary) => carried.extend_from_slice(frame.payload()),
                    OpCode::Control(kind) => control.push((kind, frame.into_payload().to_vec())),
                    other @ OpCode::Data(_) => panic!("{what}: {other:?}"),
                }
            }
            assert!(carried == bytes.repeat(2), "{what}");
            let expected = [
                (Control::Pong, b"second".to_vec()),
                (Control::Close, 1_000_u16.to_be_bytes().to_vec()),
            ];
            assert_eq!(control, expected, "{what}");
        }
    }
}

/// The driver would have to wait for the rest of the frame, so no close frame can follow.
#[test]
fn a_frame_that_is_broken_off_is_not_followed_by_another() {
    let mut socket = WebSocket::new(Slow::default(), &Arc::default());
    (socket.stream.takes, socket.phase) = (5, Phase::Open);
    let mut context = Context::from_waker(Waker::noop());
    let mut pinned = Pin::new(&mut socket);
    while pinned
        .as_mut()
        .poll_write(&mut context, b"123456")
        .is_pending()
    {}
    while pinned.as_mut().poll_shutdown(&mut context).is_pending() {}
    assert_eq!(socket.stream.written, b"\x82\x06123");
}

/// Half of it is TCP's; the rest is paid by every connection, idle or not.
#[test]
fn an_idle_websocket_is_small_and_owns_no_buffer() {
    let size = size_of::<WebSocket<tokio::net::TcpStream>>();
    assert!(size <= 256, "{size} bytes");
    let mut socket = WebSocket::new(Slow::default(), &Arc::default());
    (socket.stream.takes, socket.phase) = (1 << 20, Phase::Open);
    write_all(&mut socket, &[0; 100_000], 1_000);
    let mut ping = masked(OpCode::Control(Control::Ping), true, &[1; 100]);
    let decoded = socket.incoming.decode(&mut ping);
    socket.outgoing.answer(&decoded.ping.unwrap());
    let mut context = Context::from_waker(Waker::noop());
    let mut pinned = Pin::new(&mut socket);
    while pinned.as_mut().poll_flush(&mut context).is_pending() {}
    // One frame with its head, and the answer with its own.
    assert_eq!(socket.stream.written.len(), 100_010 + 102);
    assert_eq!(socket.owned_bytes(), 0);
}
