//! The file of a Unix socket: made when the interface is bound, removed when it is closed.

use std::fs;
use std::io;
use std::os::unix::fs::{self as unix, FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use tokio::net::{UnixListener, UnixSocket};

use super::Permissions;

/// Removes the file when it is dropped, unless it is somebody else's by then.
pub(crate) struct SocketFile {
    path: PathBuf,
    /// Which file it is: device and number.
    identity: Option<(u64, u64)>,
}

impl SocketFile {
    /// Listens at `path`. A socket there that nobody listens to was left by a process that did not
    /// come to remove it, and is replaced; anything else there is an error. Nobody can connect before the
    /// file has its `permissions`.
    pub(super) fn bind(
        path: &Path,
        permissions: Permissions,
        backlog: u32,
    ) -> io::Result<(UnixListener, Self)> {
        match fs::symlink_metadata(path) {
            Err(_) => {}
            Ok(found) if !found.file_type().is_socket() => {
                let error = "there is a file that is no socket";
                return Err(io::Error::new(io::ErrorKind::AlreadyExists, error));
            }
            Ok(_) => match UnixStream::connect(path) {
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                    fs::remove_file(path)?;
                }
                // Left for `bind` to complain about.
                _ => {}
            },
        }
        let socket = UnixSocket::new_stream()?;
        socket.bind(path)?;
        let file = Self {
            path: path.to_owned(),
            identity: identity(path),
        };
        // A new owner may cost some bits of the mode, so these come last.
        if permissions.group.is_some() {
            unix::lchown(path, None, permissions.group)?;
        }
        if let Some(mode) = permissions.mode {
            fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
        }
        Ok((socket.listen(backlog)?, file))
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.identity.is_some() && self.identity == identity(&self.path) {
            // If it cannot be removed the next start will try.
            let _removed = fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    let found = fs::symlink_metadata(path).ok()?;
    Some((found.dev(), found.ino()))
}
