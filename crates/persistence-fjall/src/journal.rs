//! The end of the newest journal, looked at before the engine does.
//!
//! A process that was killed, or a machine that lost power, may leave the last batch in part, with
//! zeros or something older where the rest should be. Nobody was told that it is stored, and it is cut
//! off here: the engine takes some of what can stand there for damage, and would not open the store.
//! A batch in front of others that is not whole *is* damage, and said to be; what is behind it is not
//! thrown away.
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

/// Batches in what is cut off are looked for in so many bytes.
const SEARCHED_BYTES: usize = 64 << 20;

/// Cuts off what is left of a batch at the end of the newest journal in the engine's folder.
pub(crate) fn cut_off_torn_batch(data: &Path) -> Result<(), Failure> {
    let failed = |error: io::Error| Failure::from(fjall::Error::Io(error));
    let Some(path) = newest(data).map_err(failed)? else {
        return Ok(());
    };
    let whole = whole_batches(&path).map_err(failed)?;
    let mut rest = Vec::new();
    let mut file = File::open(&path).map_err(failed)?;
    file.seek(SeekFrom::Start(whole)).map_err(failed)?;
    let most = u64::try_from(SEARCHED_BYTES).unwrap_or(u64::MAX);
    file.take(most).read_to_end(&mut rest).map_err(failed)?;
    let end = rest.iter().rposition(|byte| *byte != 0);
    let Some(rest) = end.and_then(|end| rest.get(..=end)) else {
        return Ok(());
    };
    for at in 1..rest.len() {
        let behind = rest.get(at..).unwrap_or_default();
        if behind.first() == Some(&START) && batch(&mut &*behind).is_ok() {
            return Err(damaged(
                path.display(),
                format!("the batch at byte {whole} cannot be read, and others stand behind it"),
            ));
        }
    }
    tracing::warn!(
        path = %path.display(),
        bytes = rest.len(),
        "cut off the last batch of the journal, which had not been written whole"
    );
    let file = OpenOptions::new().write(true).open(&path).map_err(failed)?;
    file.set_len(whole)
        .and_then(|()| file.sync_all())
        .map_err(|error| Failure {
            kind: FailureKind::Unavailable,
            reason: error.to_string(),
        })
}

fn newest(data: &Path) -> io::Result<Option<PathBuf>> {
    let entries = match fs::read_dir(data) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        entries => entries?,
    };
    let mut found: Option<(u64, PathBuf)> = None;
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let number = name.and_then(|name| name.strip_suffix(".jnl")?.parse().ok());
        if let Some(number) = number
            && found.as_ref().is_none_or(|(newest, _)| number > *newest)
        {
            found = Some((number, path));
        }
    }
    Ok(found.map(|(_, path)| path))
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
