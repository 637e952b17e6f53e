//! Servers and queues for programs without a runtime.

use std::fmt;
use std::future::IntoFuture;
use std::ops::Deref;
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};

use crate::options::ServerBuilder;
use crate::server::{Server, StartError};

/// Time that a server has to close which is dropped.
const DROPPED: Duration = Duration::from_secs(5);

/// Time that its threads have afterwards.
const THREADS_END: Duration = Duration::from_secs(1);

/// A [`Server`] on threads of its own, for programs that are not async; made by
/// [`ServerBuilder::start_on_own_threads`]. All methods of a server are there; what they return that is to
/// be awaited goes to [`block_on`](Self::block_on).
///
/// Dropping it closes it within five seconds. When [`close`](Self::close) has returned, or it was dropped,
/// its threads are gone. In a thread of a runtime, where nobody may wait like that, dropping it cuts all
/// connections off instead, and its threads end on their own.
///
/// ```
/// use std::time::Duration;
/// use mosca::{Interface, Server};
///
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let server = Server::builder()
///         .listen(Interface::mqtt("127.0.0.1:0"))
///         .start_on_own_threads(1)?;
///     let mut readings = server.subscribe("plant/#")?;
///     server.block_on(server.publish_to("plant/2/pressure", "1013"))?;
///
///     let reading = readings.blocking_recv().ok_or("the server has closed")?;
///     assert_eq!(reading.payload(), b"1013");
///     assert_eq!(server.close(Duration::from_secs(5)), 0);
///     assert!(readings.blocking_recv().is_none());
///     Ok(())
/// }
/// ```
pub struct BlockingServer {
    server: Server,
    /// `None` when it has closed.
    runtime: Option<Runtime>,
}

impl ServerBuilder {
    /// [`start`](Self::start) for programs that have no tokio runtime: on so many threads of the server's
    /// own, at least one.
    ///
    /// # Errors
    /// Those of [`start`](Self::start), and if the system gives it no threads.
    ///
    /// # Panics
    /// In a thread of a runtime.
    pub fn start_on_own_threads(self, threads: usize) -> Result<BlockingServer, StartError> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(threads.max(1))
            .thread_name("mosca")
            .enable_all()
            .build()
            .map_err(StartError::Threads)?;
        let server = runtime.block_on(self.start())?;
        Ok(BlockingServer {
            server,
            runtime: Some(runtime),
        })
    }
}

impl BlockingServer {
    /// Waits for whatever is to be awaited.
    ///
    /// # Panics
    /// In a thread of a runtime.
    pub fn block_on<F: IntoFuture>(&self, future: F) -> F::Output {
        let future = future.into_future();
        match &self.runtime {
            Some(runtime) => runtime.block_on(future),
            None => broker_core::block_on(future),
        }
    }

    /// [`Server::close`]: waits until all connections have ended, for `limit` at most, and returns the number
    /// of those that had not ended by then and were cut off.
    ///
    /// # Panics
    /// In a thread of a runtime.
    pub fn close(mut self, limit: Duration) -> usize {
        self.close_within(limit)
    }

    fn close_within(&mut self, limit: Duration) -> usize {
        let Some(runtime) = self.runtime.take() else {
            return 0;
        };
        let left = runtime.block_on(self.server.close_within(limit));
        runtime.shutdown_timeout(THREADS_END);
        left
    }
}

impl Deref for BlockingServer {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

impl Drop for BlockingServer {
    fn drop(&mut self) {
        if Handle::try_current().is_err() {
            self.close_within(DROPPED);
        } else if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl fmt::Debug for BlockingServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BlockingServer").field(&self.server).finish()
    }
}
