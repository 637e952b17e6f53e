//! The format of LevelDB's logs, of which the manifest is one: records in pieces, in blocks of 32 KiB.

use crate::bytes::{Bytes, crc_of};

const BLOCK: usize = 32 * 1_024;
/// Checksum, length and kind.
const HEAD: usize = 7;

const FULL: u8 = 1;
const FIRST: u8 = 2;
const MIDDLE: u8 = 3;
const LAST: u8 = 4;

/// The records of a log, in their order.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Records {
    pub(crate) records: Vec<Vec<u8>>,
    /// Whether something behind them is not as LevelDB writes it. That the end is missing is no damage: what was being
    /// written when the process died was acknowledged to nobody.
    pub(crate) is_damaged: bool,
}

impl Records {
    pub(crate) fn read(log: &[u8]) -> Self {
        let mut read = Self::default();
        read.is_damaged = read.append(log).is_none();
        read
    }

    /// `None` if there is damage.
    fn append(&mut self, log: &[u8]) -> Option<()> {
        let mut begun: Option<Vec<u8>> = None;
        for block in log.chunks(BLOCK) {
            let is_last = block.len() < BLOCK;
            let mut block = Bytes::new(block);
            while block.len() >= HEAD {
                let (sum, length, kind) = (block.u32()?, block.u16()?, block.u8()?);
                if (sum, length, kind) == (0, 0, 0) {
                    // Room that the system has made in advance.
                    break;
                }
                let piece = match block.take(length.into()) {
                    Some(piece) => piece,
                    None if is_last => return Some(()),
                    None => return None,
                };
                if sum != crc_of(&[&[kind], piece]) {
                    return None;
                }
                match (kind, &mut begun) {
                    (FULL, None) => self.records.push(piece.to_vec()),
                    (FIRST, None) => begun = Some(piece.to_vec()),
                    (MIDDLE, Some(record)) => record.extend_from_slice(piece),
                    (LAST, Some(record)) => {
                        record.extend_from_slice(piece);
                        self.records.extend(begun.take());
                    }
                    _ => return None,
                }
            }
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A log as LevelDB writes it.
    fn log(texts: &[&[u8]]) -> Vec<u8> {
        let mut log = Vec::new();
        for text in texts {
            let mut rest = *text;
            let mut is_first = true;
            loop {
                let room = BLOCK - log.len() % BLOCK;
                if room < HEAD {
                    log.resize(log.len() + room, 0);
                    continue;
                }
                let (piece, behind) = rest.split_at(rest.len().min(room - HEAD));
                let kind = match (is_first, behind.is_empty()) {
                    (true, true) => FULL,
                    (true, false) => FIRST,
                    (false, false) => MIDDLE,
                    (false, true) => LAST,
                };
                log.extend(crc_of(&[&[kind], piece]).to_le_bytes());
                log.extend(u16::try_from(piece.len()).unwrap().to_le_bytes());
                log.push(kind);
                log.extend(piece);
                (rest, is_first) = (behind, false);
                if rest.is_empty() {
                    break;
                }
            }
        }
        log
    }

    #[test]
    fn records_of_any_length_are_put_together() {
        let long = vec![7; 3 * BLOCK];
        let nearly = vec![8; BLOCK - 2 * HEAD - 3];
        let texts: [&[u8]; 5] = [b"one", &nearly, &long, b"", b"last"];
        let read = Records::read(&log(&texts));
        assert_eq!(read.records, texts);
        assert!(!read.is_damaged);
    }

    #[test]
    fn what_is_cut_off_is_no_damage_and_what_is_wrong_is() {
        let whole = log(&[b"one", b"two", b"three"]);
        for end in 0..whole.len() {
            let read = Records::read(&whole[..end]);
            let expected = [10, 20].iter().filter(|&&at| end >= at).count();
            assert_eq!(
                (read.records.len(), read.is_damaged),
                (expected, false),
                "{end}"
            );
        }
        // A length that is too large looks like an end that is missing.
        for at in [0, 1, 2, 3, 4, 6, 7, 8, 9] {
            let mut wrong = whole.clone();
            wrong[at] ^= 1;
            let read = Records::read(&wrong);
            assert!(read.is_damaged && read.records.is_empty(), "{at}");
        }
        let made_in_advance = [&whole[..], &[0; 100]].concat();
        assert!(!Records::read(&made_in_advance).is_damaged);
    }
}
