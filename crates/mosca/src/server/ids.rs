//! Numbers and names that a server gives out once.

use std::sync::atomic::Ordering;

use super::Server;
use crate::random::random_hex;

impl Server {
    /// A number that this server has given to nobody else since it started, counted from 0. mosca has it to
    /// recognize copies of one message; here whoever has several filters that match a message receives it
    /// once without that, and the number is for programs that number what they publish.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// let server = mosca::Server::builder().start().await?;
    /// assert_ne!(server.next_dedup_id(), server.next_dedup_id());
    /// # Ok::<(), mosca::StartError>(())
    /// # }).unwrap();
    /// ```
    pub fn next_dedup_id(&self) -> u64 {
        self.next_dedup_id.fetch_add(1, Ordering::Relaxed)
    }

    /// 32 hexadecimal digits that nobody has had before and nobody can guess: 128 random bits, as in the
    /// client identifiers that are assigned.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// let server = mosca::Server::builder().start().await?;
    /// let request = server.generate_unique_id();
    /// server.publish_to("jobs", "now").response_topic("answers", Some(request.as_bytes())).await?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub fn generate_unique_id(&self) -> String {
        random_hex::<16>()
    }
}
