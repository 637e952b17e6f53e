//! What a message says of itself, so that whoever gets it knows which one it is.

use super::ledger::{Number, Stream};

/// The payload: stream, number, and `filling` bytes behind them that follow from both.
pub fn payload(stream: Stream, number: Number, filling: usize) -> Vec<u8> {
    let mut payload = Vec::with_capacity(8 + filling);
    payload.extend(u32::try_from(stream).unwrap().to_be_bytes());
    payload.extend(u32::try_from(number).unwrap().to_be_bytes());
    payload.resize(8 + filling, fill(stream, number));
    payload
}

/// Stream and number, if the whole payload is what was sent.
pub fn read(payload: &[u8]) -> Option<(Stream, Number)> {
    let (stream, rest) = payload.split_first_chunk()?;
    let (number, filling) = rest.split_first_chunk()?;
    let stream = u32::from_be_bytes(*stream) as usize;
    let number = u32::from_be_bytes(*number) as usize;
    let expected = fill(stream, number);
    filling
        .iter()
        .all(|&byte| byte == expected)
        .then_some((stream, number))
}

fn fill(stream: Stream, number: Number) -> u8 {
    u8::try_from((stream * 31 + number * 7) % 251).unwrap()
}
