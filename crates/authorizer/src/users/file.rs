//! The file itself: read strictly, written whole or not at all.
//!
//! What is written goes to another file in the same folder, which then takes the place of the old one. So
//! whoever reads sees the old users or the new ones, also after a crash, and a file that could not be read
//! is never written over. Who changes it holds a lock on a third file, `.NAME.lock`, which stays there.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use super::{Users, UsersError};

/// What a users file may be long: 64 MiB, some 200,000 users.
const BYTES_MAX: u64 = 64 << 20;

impl Users {
    /// Reads the file at `path`. It blocks.
    ///
    /// # Errors
    /// [`UsersError::File`] if there is none, it cannot be read, or is longer than 64 MiB;
    /// [`UsersError::Corrupt`] if it is no users file.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, UsersError> {
        let path = path.as_ref();
        let text = read(path).map_err(|error| file_error(path, error))?;
        Self::parse(&text).map_err(|error| UsersError::Corrupt {
            path: path.to_owned(),
            error,
        })
    }

    /// Writes the file at `path`, whatever was in there: see [`Users::edit`] for changes.
    /// It blocks.
    ///
    /// The file can be read and written by its owner alone (mode 0600), who stays the same; of a
    /// symbolic link what it leads to is written.
    ///
    /// # Errors
    /// [`UsersError::File`]. What was there is there still.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), UsersError> {
        let path = path.as_ref();
        let written = real_place(path).and_then(|path| write(&path, &self.to_json()));
        written.map_err(|error| file_error(path, error))
    }

    /// Reads the file at `path`, or begins a new one if there is none, changes the users, and writes them
    /// if they have changed. It blocks, also while somebody else is at it, in this process or another.
    ///
    /// ```
    /// use authorizer::{HashCost, Users};
    ///
    /// # let folder = tempfile::tempdir()?;
    /// let path = folder.path().join("credentials.json");
    /// Users::edit(&path, |users| {
    ///     users.set_password("eve", b"pencil", HashCost::default(), None, None)
    /// })?;
    /// assert_eq!(Users::load(&path)?.names().collect::<Vec<_>>(), ["eve"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// What [`Users::load`] and [`Users::save`] say, or `change`; then the file is as it was.
    pub fn edit<T>(
        path: impl AsRef<Path>,
        change: impl FnOnce(&mut Self) -> Result<T, UsersError>,
    ) -> Result<T, UsersError> {
        let path = path.as_ref();
        let place = real_place(path).map_err(|error| file_error(path, error))?;
        let _held = lock(&place).map_err(|error| file_error(path, error))?;
        let before = match Self::load(&place) {
            Err(UsersError::File { error, .. }) if error.kind() == io::ErrorKind::NotFound => None,
            loaded => Some(loaded?),
        };
        let mut users = before.clone().unwrap_or_default();
        let answer = change(&mut users)?;
        if before.unwrap_or_default() != users {
            users.save(&place)?;
        }
        Ok(answer)
    }
}

fn file_error(path: &Path, error: io::Error) -> UsersError {
    UsersError::File {
        path: path.to_owned(),
        error,
    }
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?
        .take(BYTES_MAX + 1)
        .read_to_string(&mut text)?;
    if text.len() as u64 > BYTES_MAX {
        return Err(io::Error::other("it is longer than 64 MiB"));
    }
    Ok(text)
}

/// What a symbolic link leads to; the path itself if there is nothing yet.
fn real_place(path: &Path) -> io::Result<PathBuf> {
    match fs::canonicalize(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(path.to_owned()),
        found => found,
    }
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

fn name_of(path: &Path) -> io::Result<String> {
    match path.file_name() {
        Some(name) => Ok(name.to_string_lossy().into_owned()),
        None => Err(io::Error::other("it is a folder")),
    }
}

/// Held until it is dropped.
fn lock(path: &Path) -> io::Result<File> {
    let path = folder(path).join(format!(".{}.lock", name_of(path)?));
    let mut options = File::options();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path)?;
    file.lock()?;
    Ok(file)
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    let folder = folder(path);
    // It has mode 0600 from the beginning.
    let mut file = tempfile::Builder::new()
        .prefix(&format!(".{}.", name_of(path)?))
        .tempfile_in(folder)?;
    file.write_all(text.as_bytes())?;
    #[cfg(unix)]
    keep_owner(path, file.as_file())?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    #[cfg(unix)]
    File::open(folder)?.sync_all()?;
    Ok(())
}

/// An administrator who changes the file does not take it away from the broker that reads it.
#[cfg(unix)]
fn keep_owner(path: &Path, file: &File) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt, fchown};
    let Ok(before) = fs::metadata(path) else {
        return Ok(());
    };
    let now = file.metadata()?;
    if (before.uid(), before.gid()) == (now.uid(), now.gid()) {
        return Ok(());
    }
    fchown(file, Some(before.uid()), Some(before.gid()))
}
