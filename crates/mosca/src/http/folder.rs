//! Files of a folder: which path is which file, and that none is outside of it.
//!
//! The library resolves paths and answers requests for ranges and for what has changed; whatever it
//! wants to open or to look at comes through here.

use std::ffi::OsStr;
use std::fs::Metadata;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use broker_core::{Escaped, Quoted};
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Request, Response, StatusCode};
use tokio::io::{AsyncRead, AsyncSeek, ReadBuf};
use tower_http::services::ServeDir;
use tower_http::services::fs::{Backend, DefaultServeDirFallback, File};

use super::{Body, not_found, text};

/// A folder whose files are served, but for those whose name begins with a dot.
#[derive(Clone, Debug)]
pub(super) struct Folder {
    files: Files,
    service: ServeDir<DefaultServeDirFallback, Files>,
}

/// What may be opened.
#[derive(Clone, Debug)]
struct Files {
    path: Arc<Path>,
    /// The last file could not be read although it is there.
    failing: Arc<AtomicBool>,
}

impl Folder {
    pub(super) fn new(path: PathBuf) -> Self {
        let files = Files {
            path: path.into(),
            failing: Arc::default(),
        };
        // Paths that are opened are looked for below `path`, whatever this one is.
        let service = ServeDir::with_backend("", files.clone()).ignore_multi_range_requests(true);
        Self { files, service }
    }

    pub(super) fn path(&self) -> &Path {
        &self.files.path
    }

    /// The file, or why not. What the request carries is not looked at.
    pub(super) async fn answer<B>(&self, request: &Request<B>) -> Response<Body> {
        let path = request.uri().path();
        // A browser would take `//a/` for a server of that name if it were sent there.
        if path.starts_with("//") {
            return not_found();
        }
        let mut asked = Request::new(http_body_util::Empty::<bytes::Bytes>::new());
        *asked.method_mut() = request.method().clone();
        *asked.uri_mut() = request.uri().clone();
        *asked.headers_mut() = request.headers().clone();
        let answered = self.service.clone().try_call(asked).await;
        let failed = answered.as_ref().err().filter(|error| !is_absent(error));
        self.files.note(path, failed);
        match answered {
            Ok(response) if response.status() == StatusCode::NOT_FOUND => not_found(),
            Ok(response) => with_charset(response.map(Body::Right)),
            Err(error) if is_absent(&error) => not_found(),
            Err(_) => text(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error\n"),
        }
    }
}

impl Files {
    /// What goes on for long is a warning when it begins, and only then.
    fn note(&self, path: &str, failed: Option<&io::Error>) {
        let Some(error) = failed else {
            self.failing.store(false, Ordering::Relaxed);
            return;
        };
        let folder = self.path.display();
        if self.failing.swap(true, Ordering::Relaxed) {
            tracing::debug!(%folder, path = %Quoted(path), error = %Escaped(error), "a file cannot be read");
        } else {
            tracing::warn!(%folder, path = %Quoted(path), error = %Escaped(error), "a file cannot be read");
        }
    }

    /// The file or folder at `path` of this folder, wherever links lead to within it.
    fn find(&self, path: &Path) -> io::Result<(PathBuf, Metadata)> {
        let mut names = Vec::new();
        for component in path.components() {
            match component {
                Component::CurDir => {}
                Component::Normal(name) if !is_hidden(name) => names.push(name),
                _ => return Err(io::ErrorKind::NotFound.into()),
            }
        }
        let folder = self.path.canonicalize()?;
        let found = folder.join(names.iter().collect::<PathBuf>());
        let found = found.canonicalize()?;
        let inside = found.strip_prefix(&folder);
        let inside = inside.map_err(|_| io::ErrorKind::NotFound)?;
        // A link leads to no hidden file either.
        if inside.iter().any(is_hidden) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let metadata = found.metadata()?;
        // To open one of the others may take for ever.
        if !metadata.is_dir() && !metadata.is_file() {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok((found, metadata))
    }
}

fn is_hidden(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b".")
}

/// Whether there is no such file, as far as anybody else is concerned.
fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound
            | io::ErrorKind::PermissionDenied
            | io::ErrorKind::NotADirectory
            | io::ErrorKind::IsADirectory
            | io::ErrorKind::InvalidInput
            | io::ErrorKind::InvalidFilename
    )
}

/// Text is what it is everywhere else.
fn with_charset(mut response: Response<Body>) -> Response<Body> {
    if let Some(kind) = response.headers_mut().get_mut(CONTENT_TYPE) {
        let text = kind.to_str().unwrap_or_default();
        let is_bare = text.starts_with("text/") && !text.contains("charset");
        if is_bare && let Ok(whole) = HeaderValue::from_str(&format!("{text}; charset=utf-8")) {
            *kind = whole;
        }
    }
    response
}

type Soon<'a, T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send + 'a>>;

/// Runs what may wait for a disk where nobody waits for it.
async fn aside<T: Send + 'static>(
    find: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(find).await?
}

impl Backend for Files {
    type File = Opened;
    type Metadata = Metadata;
    type OpenFuture = Soon<'static, Opened>;
    type MetadataFuture = Soon<'static, Metadata>;

    fn open(&self, path: PathBuf) -> Self::OpenFuture {
        let files = self.clone();
        Box::pin(aside(move || {
            let (found, _) = files.find(&path)?;
            Ok(Opened(std::fs::File::open(found)?.into()))
        }))
    }

    fn metadata(&self, path: PathBuf) -> Self::MetadataFuture {
        let files = self.clone();
        Box::pin(aside(move || Ok(files.find(&path)?.1)))
    }
}

/// A file that is being served.
struct Opened(tokio::fs::File);

impl AsyncRead for Opened {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_read(context, buffer)
    }
}

impl AsyncSeek for Opened {
    fn start_seek(self: Pin<&mut Self>, position: io::SeekFrom) -> io::Result<()> {
        Pin::new(&mut self.get_mut().0).start_seek(position)
    }

    fn poll_complete(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<u64>> {
        Pin::new(&mut self.get_mut().0).poll_complete(context)
    }
}

impl File for Opened {
    type Metadata = Metadata;
    type MetadataFuture<'a> = Soon<'a, Metadata>;

    fn metadata(&self) -> Self::MetadataFuture<'_> {
        Box::pin(self.0.metadata())
    }
}
