//! RFC 6455, section 5.2, for who has all bytes at once.

/// A frame with its mask taken off.
#[derive(Debug, PartialEq, Eq)]
pub struct Frame {
    /// The last of its message.
    pub is_final: bool,
    /// The three reserved bits.
    pub reserved: u8,
    pub opcode: u8,
    pub is_masked: bool,
    /// What its head announces.
    pub length: u64,
    /// In as few bytes as it can.
    pub is_minimal: bool,
    /// As much of it as there is.
    pub payload: Vec<u8>,
}

impl Frame {
    pub fn is_whole(&self) -> bool {
        self.payload.len() as u64 == self.length
    }
}

/// The frames of a stream, the last of which may not be whole, and the bytes of a head that is not.
pub fn frames(mut bytes: &[u8]) -> (Vec<Frame>, &[u8]) {
    let mut found = Vec::new();
    while let Some((frame, size)) = frame(bytes) {
        bytes = &bytes[size..];
        let is_whole = frame.is_whole();
        found.push(frame);
        if !is_whole {
            break;
        }
    }
    (found, bytes)
}

fn frame(bytes: &[u8]) -> Option<(Frame, usize)> {
    let [first, second, ..] = *bytes else {
        return None;
    };
    let (length, at, least) = match second & 0x7F {
        126 => (
            u64::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?)),
            4,
            126,
        ),
        127 => (
            u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?),
            10,
            1 << 16,
        ),
        short => (u64::from(short), 2, 0),
    };
    let is_masked = second & 0x80 != 0;
    let (mask, at) = match is_masked {
        true => (bytes.get(at..at + 4)?, at + 4),
        false => (&[0; 4][..], at),
    };
    let here = usize::try_from(length)
        .unwrap_or(usize::MAX)
        .min(bytes.len() - at);
    let payload = bytes[at..at + here].iter().zip(mask.iter().cycle());
    let frame = Frame {
        is_final: first & 0x80 != 0,
        reserved: first >> 4 & 7,
        opcode: first & 15,
        is_masked,
        length,
        is_minimal: length >= least,
        payload: payload.map(|(byte, key)| byte ^ key).collect(),
    };
    Some((frame, at + here))
}

/// What a client has said.
#[derive(Debug, Default)]
pub struct Reference {
    /// What its data frames carry.
    pub payload: Vec<u8>,
    pub pings: Vec<Vec<u8>>,
    /// The code that ends the conversation: none for a close frame without one.
    pub end: Option<Option<u16>>,
}

const BROKEN: Option<u16> = Some(1002);

impl Reference {
    pub fn of(bytes: &[u8]) -> Self {
        let mut said = Self::default();
        let mut is_within_message = false;
        for frame in frames(bytes).0 {
            said.end = said.take(&frame, &mut is_within_message);
            if said.end.is_some() {
                break;
            }
        }
        said
    }

    fn take(&mut self, frame: &Frame, is_within_message: &mut bool) -> Option<Option<u16>> {
        let is_control = frame.opcode >= 8;
        let is_possible = frame.is_masked && frame.reserved == 0 && frame.length >> 63 == 0;
        if !is_possible
            || !frame.is_minimal
            || is_control && (!frame.is_final || frame.length > 125)
        {
            return Some(BROKEN);
        }
        match frame.opcode {
            0 | 2 if *is_within_message == (frame.opcode == 0) => {
                *is_within_message = !frame.is_final;
                self.payload.extend(&frame.payload);
                None
            }
            1 => Some(Some(1003)),
            9 | 10 if !frame.is_whole() => None,
            9 => {
                self.pings.push(frame.payload.clone());
                None
            }
            10 => None,
            8 if !frame.is_whole() => None,
            8 => Some(match frame.payload[..] {
                [] => None,
                [_] => BROKEN,
                [high, low, ref reason @ ..] => match u16::from_be_bytes([high, low]) {
                    1000..=1003 | 1007..=1014 | 3000..=4999 if str::from_utf8(reason).is_err() => {
                        Some(1007)
                    }
                    code @ (1000..=1003 | 1007..=1014 | 3000..=4999) => Some(code),
                    _ => BROKEN,
                },
            }),
            _ => Some(BROKEN),
        }
    }
}
