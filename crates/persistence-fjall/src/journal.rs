//! The journals, looked at before the engine does.
//!
//! A process that was killed, or a machine that lost power, may leave the last batch in part, with
//! zeros or something older where the rest should be. Nobody was told that it is stored, and it is cut
//! off here: the engine takes some of what can stand there for damage, and would not open the store.
//! A batch in front of others that is not whole *is* damage, and said to be; what is behind it is not
//! thrown away, unless that is asked for: see [`crate::maintenance::repair`].
//!
//! A batch is a start (tag 1, number of entries, sequence number), the entries (tag 2: kind,
//! compression, part, lengths of key, value and stored value; tag 4: a part), and an end (tag 3, the sum
//! of the entries, four letters). Numbers have their low byte first.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::Xxh3;

use crate::error::{Failure, FailureKind, damaged};

const START: u8 = 1;
const ITEM: u8 = 2;
const END: u8 = 3;
const CLEAR: u8 = 4;
const TRAILER: [u8; 4] = [b'F', b'J', b'L', 3];

/// Of a journal what is not a whole batch is looked through for so many bytes.
const SEARCHED_BYTES: usize = 256 << 20;

/// What is wrong with the journals: all in front of it can be read.
pub(crate) struct Damage {
    /// Where.
    pub(crate) journal: PathBuf,
    /// Where the last batch ends that is whole.
    pub(crate) whole: u64,
    /// Bytes behind it, up to the last one that is not zero.
    pub(crate) bytes: u64,
    /// Batches behind that can be read, here and in newer journals.
    pub(crate) batches: u64,
    /// Newer journals.
    pub(crate) newer: Vec<PathBuf>,
}

/// Cuts off what is left of a batch at the end of the newest journal in the engine's folder.
pub(crate) fn cut_off_torn_batch(data: &Path) -> Result<(), Failure> {
    let Some(damage) = find_damage::<Failure>(data, &mut |_, _| Ok(()))? else {
        return Ok(());
    };
    let (path, whole) = (damage.journal, damage.whole);
    if damage.batches > 0 || !damage.newer.is_empty() {
        let batches = damage.batches;
        return Err(damaged(
            path.display(),
            format!(
                "the batch at byte {whole} cannot be read, and there are others behind it ({batches} \
                 can be read): `mosca db repair` keeps what is in front"
            ),
        ));
    }
    tracing::warn!(
        path = %path.display(),
        bytes = damage.bytes,
        "cut off the last batch of the journal, which had not been written whole"
    );
    cut(&path, whole)
}

/// Ends a journal behind its last whole batch.
pub(crate) fn cut(path: &Path, whole: u64) -> Result<(), Failure> {
    let file = OpenOptions::new().write(true).open(path).map_err(failed)?;
    file.set_len(whole)
        .and_then(|()| file.sync_all())
        .map_err(|error| Failure {
            kind: FailureKind::Unavailable,
            reason: error.to_string(),
        })
}

/// Looks for the first batch that cannot be read. `report` is told how many journals were looked at,
/// and how many there are.
pub(crate) fn find_damage<E: From<Failure>>(
    data: &Path,
    report: &mut dyn FnMut(usize, usize) -> Result<(), E>,
) -> Result<Option<Damage>, E> {
    let journals = journals(data).map_err(failed)?;
    for (at, journal) in journals.iter().enumerate() {
        report(at, journals.len())?;
        let whole = whole_batches(journal).map_err(failed)?;
        let rest = rest(journal, whole).map_err(failed)?;
        if rest.is_empty() {
            continue;
        }
        let newer: Vec<PathBuf> = journals.iter().skip(at + 1).cloned().collect();
        let mut batches = count_batches(&rest);
        for journal in &newer {
            batches += count_batches(&all_of(journal).map_err(failed)?);
        }
        return Ok(Some(Damage {
            journal: journal.clone(),
            whole,
            bytes: match rest.len() < SEARCHED_BYTES {
                true => u64::try_from(rest.len()).unwrap_or(u64::MAX),
                false => fs::metadata(journal).map_err(failed)?.len() - whole,
            },
            batches,
            newer,
        }));
    }
    report(journals.len(), journals.len())?;
    Ok(None)
}

fn failed(error: io::Error) -> Failure {
    Failure::from(fjall::Error::Io(error))
}

fn all_of(journal: &Path) -> io::Result<Vec<u8>> {
    rest(journal, 0)
}

/// What is in a journal from a byte on, without the zeros at its end.
fn rest(journal: &Path, from: u64) -> io::Result<Vec<u8>> {
    let mut file = File::open(journal)?;
    file.seek(SeekFrom::Start(from))?;
    let mut rest = Vec::new();
    let most = u64::try_from(SEARCHED_BYTES).unwrap_or(u64::MAX);
    file.take(most).read_to_end(&mut rest)?;
    let end = rest.iter().rposition(|byte| *byte != 0);
    rest.truncate(end.map_or(0, |end| end + 1));
    Ok(rest)
}

/// How many whole batches are somewhere in these bytes.
fn count_batches(bytes: &[u8]) -> u64 {
    let (mut at, mut found) = (0, 0);
    while let Some(behind) = bytes.get(at..).filter(|behind| !behind.is_empty()) {
        let length = match behind.first() {
            Some(&START) => batch(&mut &*behind).ok(),
            _ => None,
        };
        found += u64::from(length.is_some());
        let length = length.and_then(|length| usize::try_from(length).ok());
        at += length.unwrap_or(1);
    }
    found
}

/// The journals, the oldest first.
fn journals(data: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(data) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut found: Vec<(u64, PathBuf)> = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let number = name.and_then(|name| name.strip_suffix(".jnl")?.parse().ok());
        found.extend(number.map(|number| (number, path)));
    }
    found.sort_unstable();
    Ok(found.into_iter().map(|(_, path)| path).collect())
}

/// Where the last of the batches ends that can be read from the beginning on.
fn whole_batches(path: &Path) -> io::Result<u64> {
    let mut reader = BufReader::new(File::open(path)?);
    let mut whole = 0;
    while let Ok(bytes) = batch(&mut reader) {
        whole += bytes;
    }
    Ok(whole)
}

/// Reads a batch; gives how long it is.
fn batch(reader: &mut impl Read) -> io::Result<u64> {
    let torn = || io::Error::from(io::ErrorKind::InvalidData);
    let [START] = array(reader)? else {
        return Err(torn());
    };
    let entries = u32::from_le_bytes(array(reader)?);
    let _sequence: [u8; 8] = array(reader)?;
    let (mut bytes, mut sum) = (13, Xxh3::new());
    for _ in 0..entries {
        bytes += entry(reader, &mut sum)?;
    }
    let [END] = array(reader)? else {
        return Err(torn());
    };
    let wanted = u64::from_le_bytes(array(reader)?);
    let trailer: [u8; 4] = array(reader)?;
    match wanted == sum.digest() && trailer == TRAILER {
        true => Ok(bytes + 13),
        false => Err(torn()),
    }
}

/// Reads an entry of a batch; gives how long it is.
fn entry(reader: &mut impl Read, sum: &mut Xxh3) -> io::Result<u64> {
    match array(reader)? {
        [CLEAR] => {
            let part: [u8; 8] = array(reader)?;
            sum.update(&[CLEAR]);
            sum.update(&part);
            Ok(9)
        }
        [ITEM] => {
            // Kind, compression, part; lengths of the key, of the value, and as it is stored.
            let head: [u8; 10] = array(reader)?;
            let (key, value, stored): ([u8; 2], [u8; 4], [u8; 4]) =
                (array(reader)?, array(reader)?, array(reader)?);
            sum.update(&[ITEM]);
            for part in [&head[..], &key, &value, &stored] {
                sum.update(part);
            }
            let rest = u64::from(u16::from_le_bytes(key)) + u64::from(u32::from_le_bytes(stored));
            let mut left = rest;
            let mut buffer = [0; 8_192];
            while left > 0 {
                let most = usize::try_from(left)
                    .unwrap_or(usize::MAX)
                    .min(buffer.len());
                let piece = buffer.get_mut(..most).unwrap_or_default();
                reader.read_exact(piece)?;
                sum.update(piece);
                left = left.saturating_sub(u64::try_from(most).unwrap_or(u64::MAX));
            }
            Ok(21 + rest)
        }
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

fn array<const N: usize>(reader: &mut impl Read) -> io::Result<[u8; N]> {
    let mut array = [0; N];
    reader.read_exact(&mut array)?;
    Ok(array)
}
