//! LevelDB's tables: entries in the order of their keys, in blocks that a last block lists.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use crate::bytes::{Bytes, crc_of};
use crate::entry::{Entry, damaged};

/// Two handles and a magic number.
const FOOTER: u64 = 48;
const MAGIC: u64 = 0xDB47_7524_8B80_FB57;
/// Kind and checksum behind each block.
const TRAILER: usize = 5;
/// Blocks have 4 KiB unless one entry is larger; nobody has published more than MQTT can express.
const BLOCK_MAX: usize = 300 << 20;

/// The entries of a table, in the order of their keys, read block after block.
#[derive(Debug)]
pub(crate) struct Table {
    file: File,
    /// Where blocks are that were not read yet, the next one last.
    blocks: Vec<Handle>,
    /// Entries of the block that was read last, the next one last.
    entries: Vec<Entry>,
}

/// Where a block is.
#[derive(Clone, Copy, Debug)]
struct Handle {
    offset: u64,
    length: usize,
}

impl Handle {
    fn read(bytes: &mut Bytes<'_>) -> Option<Self> {
        let (offset, length) = (bytes.varint()?, bytes.length()?);
        (length <= BLOCK_MAX).then_some(Self { offset, length })
    }
}

impl Table {
    pub(crate) fn open(file: File) -> io::Result<Self> {
        let length = file.metadata()?.len();
        let mut footer = [0; FOOTER as usize];
        let start = length.checked_sub(FOOTER).ok_or_else(damaged)?;
        file.read_exact_at(&mut footer, start)?;
        let index = index(&footer).ok_or_else(damaged)?;
        let listed = block(&file, index)?;
        let mut blocks = Vec::new();
        for (_, value) in pairs(&listed).ok_or_else(damaged)? {
            blocks.push(Handle::read(&mut Bytes::new(value)).ok_or_else(damaged)?);
        }
        blocks.reverse();
        Ok(Self {
            file,
            blocks,
            entries: Vec::new(),
        })
    }

    /// The next entry; of one key the newest comes first.
    pub(crate) fn next(&mut self) -> io::Result<Option<Entry>> {
        loop {
            if let Some(entry) = self.entries.pop() {
                return Ok(Some(entry));
            }
            let Some(handle) = self.blocks.pop() else {
                return Ok(None);
            };
            let block = block(&self.file, handle)?;
            let pairs = pairs(&block).ok_or_else(damaged)?;
            let entries = pairs
                .into_iter()
                .rev()
                .map(|(key, value)| Entry::of_table(key, value));
            self.entries = entries.collect::<Option<_>>().ok_or_else(damaged)?;
        }
    }
}

/// Where the last block is, which lists all others.
fn index(footer: &[u8]) -> Option<Handle> {
    let mut bytes = Bytes::new(footer);
    let _of_filters = Handle::read(&mut bytes)?;
    let index = Handle::read(&mut bytes)?;
    let mut magic = Bytes::new(footer.get(footer.len().checked_sub(8)?..)?);
    (magic.u64()? == MAGIC).then_some(index)
}

fn block(file: &File, handle: Handle) -> io::Result<Vec<u8>> {
    let mut block = vec![0; handle.length + TRAILER];
    file.read_exact_at(&mut block, handle.offset)?;
    uncompressed(&block).ok_or_else(damaged)
}

fn uncompressed(block: &[u8]) -> Option<Vec<u8>> {
    let (content, trailer) = block.split_at_checked(block.len().checked_sub(TRAILER)?)?;
    let mut trailer = Bytes::new(trailer);
    let kind = trailer.u8()?;
    if trailer.u32()? != crc_of(&[content, &[kind]]) {
        return None;
    }
    match kind {
        0 => Some(content.to_vec()),
        1 if snap::raw::decompress_len(content).ok()? <= BLOCK_MAX => {
            snap::raw::Decoder::new().decompress_vec(content).ok()
        }
        _ => None,
    }
}

/// Keys and values of a block. Of a key is written what it does not share with the one before.
fn pairs(block: &[u8]) -> Option<Vec<(Vec<u8>, &[u8])>> {
    let (rest, count) = block.split_at_checked(block.len().checked_sub(4)?)?;
    let restarts = usize::try_from(Bytes::new(count).u32()?).ok()?;
    let end = rest.len().checked_sub(restarts.checked_mul(4)?)?;
    let mut bytes = Bytes::new(rest.get(..end)?);
    let mut pairs: Vec<(Vec<u8>, &[u8])> = Vec::new();
    while !bytes.is_empty() {
        let (shared, own, value) = (bytes.length()?, bytes.length()?, bytes.length()?);
        let mut key = match pairs.last() {
            Some((before, _)) => before.get(..shared)?.to_vec(),
            None if shared == 0 => Vec::new(),
            None => return None,
        };
        key.extend_from_slice(bytes.take(own)?);
        pairs.push((key, bytes.take(value)?));
    }
    Some(pairs)
}
