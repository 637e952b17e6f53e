//! What each payload begins with: whose message it is, its number, and when it was due.
//!
//! ```text
//! | run (4) | publisher (4) | number of the message (8) | due, ns since the start of the run (8) | filling |
//! ```
//! All big-endian. The filling is zeros, and never looked at.

/// Bytes of a stamp, and so of the smallest payload.
pub(super) const LEN: usize = 24;

/// The first bytes of a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    /// Drawn at random for each run, so that what others publish to the same topics is told apart.
    pub(super) run: u32,
    /// The number of the publisher.
    pub(super) publisher: u32,
    /// Counts the messages of the publisher from 0.
    pub(super) message: u64,
    /// When it was to be sent, on the clock of this process.
    pub(super) due_ns: u64,
}

impl Stamp {
    /// `None` if it is none of ours.
    pub(super) fn read(payload: &[u8]) -> Option<Self> {
        let (run, rest) = payload.split_first_chunk()?;
        let (publisher, rest) = rest.split_first_chunk()?;
        let (message, rest) = rest.split_first_chunk()?;
        let (due_ns, _filling) = rest.split_first_chunk()?;
        Some(Self {
            run: u32::from_be_bytes(*run),
            publisher: u32::from_be_bytes(*publisher),
            message: u64::from_be_bytes(*message),
            due_ns: u64::from_be_bytes(*due_ns),
        })
    }

    /// Over the first bytes of `payload`, as far as there are so many.
    pub(super) fn write(&self, payload: &mut [u8]) {
        let parts = self.run.to_be_bytes().into_iter();
        let parts = parts
            .chain(self.publisher.to_be_bytes())
            .chain(self.message.to_be_bytes())
            .chain(self.due_ns.to_be_bytes());
        for (byte, part) in payload.iter_mut().zip(parts) {
            *byte = part;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_comes_back_from_its_bytes() {
        let stamp = Stamp {
            run: 0x0102_0304,
            publisher: 7,
            message: u64::MAX,
            due_ns: 0x1112_1314_1516_1718,
        };
        let mut payload = [0xEE; LEN + 2];
        stamp.write(&mut payload);
        assert_eq!(Stamp::read(&payload), Some(stamp));
        assert_eq!(payload[LEN..], [0xEE; 2]);
        assert_eq!(Stamp::read(&payload[..LEN]), Some(stamp));
        assert_eq!(Stamp::read(&payload[..LEN - 1]), None);
    }
}
