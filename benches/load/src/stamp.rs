//! What each payload begins with: when the message was sent, by whom, and its number.
//!
//! ```text
//! | sent, ns since the start (8) | source (4) | sequence number (4) | filling |
//! ```
//! All little-endian. The rest of the payload is filling and never looked at.

/// Bytes of a stamp, and so of the smallest payload.
pub const STAMP_LEN: usize = 16;

/// The first bytes of a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Nanoseconds since the start of the run.
    pub sent_ns: u64,
    /// The publisher.
    pub source: u32,
    /// Counts the publisher's messages from 0.
    pub sequence: u32,
}

impl Stamp {
    /// `None` if the payload is too short to be one of ours.
    #[inline]
    pub fn read(payload: &[u8]) -> Option<Self> {
        let bytes: &[u8; STAMP_LEN] = payload.first_chunk()?;
        let [a, b, c, d, e, f, g, h, s0, s1, s2, s3, n0, n1, n2, n3] = *bytes;
        Some(Self {
            sent_ns: u64::from_le_bytes([a, b, c, d, e, f, g, h]),
            source: u32::from_le_bytes([s0, s1, s2, s3]),
            sequence: u32::from_le_bytes([n0, n1, n2, n3]),
        })
    }

    /// Writes over the start of `payload`, which must be long enough.
    #[inline]
    pub fn write(&self, payload: &mut [u8]) {
        payload[..8].copy_from_slice(&self.sent_ns.to_le_bytes());
        payload[8..12].copy_from_slice(&self.source.to_le_bytes());
        payload[12..16].copy_from_slice(&self.sequence.to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_comes_back_from_its_bytes() {
        let stamp = Stamp {
            sent_ns: 0x0102_0304_0506_0708,
            source: 7,
            sequence: u32::MAX,
        };
        let mut payload = [0xEE; 20];
        stamp.write(&mut payload);
        assert_eq!(Stamp::read(&payload), Some(stamp));
        assert_eq!(payload[16..], [0xEE; 4]);
    }

    #[test]
    fn a_payload_that_is_too_short_is_not_ours() {
        assert_eq!(Stamp::read(&[0; STAMP_LEN - 1]), None);
    }
}
