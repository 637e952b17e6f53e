//! A LevelDB in a folder, read as it stands: nothing in it is changed, so whoever wants to goes back to it.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use crate::bytes::Bytes;
use crate::entry::{Entry, damaged};
use crate::log_file::Records;
use crate::table::Table;

/// How keys are ordered if nobody wants something else.
const BYTEWISE: &[u8] = b"leveldb.BytewiseComparator";

/// A key and its value.
pub(crate) type Pair = (Vec<u8>, Vec<u8>);

/// The file that cannot be read, and why.
pub(crate) type Failure = (PathBuf, io::Error);

/// All that is in a LevelDB, in the order of its keys.
#[derive(Debug)]
pub(crate) struct Database {
    sources: Vec<Source>,
    /// The next entry of each source, and whose it is.
    heads: BinaryHeap<Reverse<Head>>,
    /// Whose entries are older, or deleted.
    last: Option<Vec<u8>>,
    /// Logs of which the rest cannot be read.
    damaged_logs: Vec<PathBuf>,
}

/// In the order in which they count: by key, and of one key the newest first.
type Head = (Vec<u8>, Reverse<u64>, usize, Option<Vec<u8>>);

/// Entries in order.
#[derive(Debug)]
enum Source {
    Table(PathBuf, Table),
    Logs(std::vec::IntoIter<Entry>),
}

/// Which files count, as the manifest says.
#[derive(Debug, Default, PartialEq, Eq)]
struct Version {
    tables: BTreeSet<u64>,
    /// Logs from this one on.
    log: u64,
    /// And this one.
    log_before: u64,
}

impl Database {
    pub(crate) fn open(folder: &Path) -> Result<Self, Failure> {
        let in_folder = |name: &str| folder.join(name);
        let named =
            |path: &Path, result: io::Result<Vec<u8>>| result.map_err(|it| (path.to_owned(), it));
        let current = in_folder("CURRENT");
        let name = named(&current, fs::read(&current))?;
        let name = String::from_utf8_lossy(&name);
        let manifest = in_folder(name.trim_end());
        let edits = named(&manifest, fs::read(&manifest))?;
        let version = Version::read(&edits).ok_or_else(|| (manifest, damaged()))?;
        let mut sources = Vec::new();
        for &number in &version.tables {
            let path = table_in(folder, number);
            let table = File::open(&path).and_then(Table::open);
            let table = table.map_err(|error| (path.clone(), error))?;
            sources.push(Source::Table(path, table));
        }
        let logs = version
            .logs_in(folder)
            .map_err(|it| (folder.to_owned(), it))?;
        let mut entries = BTreeMap::new();
        let mut damaged_logs = Vec::new();
        for path in logs {
            let read = Records::read(&named(&path, fs::read(&path))?);
            for record in read.records {
                let written = Entry::of_log(&record).ok_or_else(|| (path.clone(), damaged()))?;
                let written = written.into_iter();
                entries.extend(written.map(|it| ((it.key.clone(), Reverse(it.sequence)), it)));
            }
            if read.is_damaged {
                damaged_logs.push(path);
            }
        }
        let entries: Vec<Entry> = entries.into_values().collect();
        sources.push(Source::Logs(entries.into_iter()));
        let mut database = Self {
            sources,
            heads: BinaryHeap::new(),
            last: None,
            damaged_logs,
        };
        for source in 0..database.sources.len() {
            database.advance(source)?;
        }
        Ok(database)
    }

    /// Logs of which the rest cannot be read.
    pub(crate) fn damaged_logs(&self) -> &[PathBuf] {
        &self.damaged_logs
    }

    /// The next key that is not deleted, and its value.
    pub(crate) fn next(&mut self) -> Result<Option<Pair>, Failure> {
        while let Some(Reverse((key, _, source, value))) = self.heads.pop() {
            self.advance(source)?;
            if self.last.as_ref() == Some(&key) {
                continue;
            }
            self.last = Some(key.clone());
            if let Some(value) = value {
                return Ok(Some((key, value)));
            }
        }
        Ok(None)
    }

    fn advance(&mut self, number: usize) -> Result<(), Failure> {
        let entry = match self.sources.get_mut(number) {
            Some(Source::Table(path, table)) => {
                table.next().map_err(|error| (path.clone(), error))?
            }
            Some(Source::Logs(entries)) => entries.next(),
            None => None,
        };
        let head = entry.map(|it| Reverse((it.key, Reverse(it.sequence), number, it.value)));
        self.heads.extend(head);
        Ok(())
    }
}

/// `.sst` is what tables were called until 2013.
fn table_in(folder: &Path, number: u64) -> PathBuf {
    let path = folder.join(format!("{number:06}.ldb"));
    match path.exists() {
        true => path,
        false => folder.join(format!("{number:06}.sst")),
    }
}

impl Version {
    /// What the edits in a manifest come to. `None` if they are no edits, or of keys in another order.
    fn read(manifest: &[u8]) -> Option<Self> {
        let mut version = Self::default();
        let edits = Records::read(manifest);
        for edit in &edits.records {
            version.apply(&mut Bytes::new(edit))?;
        }
        let is_whole = !edits.records.is_empty() && !edits.is_damaged;
        is_whole.then_some(version)
    }

    fn apply(&mut self, edit: &mut Bytes<'_>) -> Option<()> {
        let (mut added, mut deleted) = (Vec::new(), Vec::new());
        while !edit.is_empty() {
            match edit.varint()? {
                // The comparator.
                1 if edit.text()? == BYTEWISE => {}
                2 => self.log = edit.varint()?,
                9 => self.log_before = edit.varint()?,
                // The next number of a file, and the last sequence.
                3 | 4 => {
                    let _number = edit.varint()?;
                }
                // Where the next compaction of a level begins.
                5 => {
                    let _level_and_key = (edit.varint()?, edit.text()?);
                }
                6 => {
                    let _level = edit.varint()?;
                    deleted.push(edit.varint()?);
                }
                7 => {
                    let _level = edit.varint()?;
                    added.push(edit.varint()?);
                    let _size_and_keys = (edit.varint()?, edit.text()?, edit.text()?);
                }
                _ => return None,
            }
        }
        // A file that only changes its level is deleted and added.
        for number in deleted {
            self.tables.remove(&number);
        }
        self.tables.extend(added);
        Some(())
    }

    /// The logs that count, the oldest first.
    fn logs_in(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        let mut logs = BTreeMap::new();
        for file in fs::read_dir(folder)? {
            let path = file?.path();
            let number = path.file_stem().and_then(|it| it.to_str()?.parse().ok());
            let is_log = path.extension().is_some_and(|it| it == "log");
            let number =
                number.filter(|&it: &u64| is_log && (it >= self.log || it == self.log_before));
            logs.extend(number.map(|number| (number, path)));
        }
        Ok(logs.into_values().collect())
    }
}
