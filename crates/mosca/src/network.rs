//! What a connection asks of the network besides reading and writing.

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// What carries a connection: a stream of bytes that ends in its own way.
pub(crate) trait Network: AsyncRead + AsyncWrite + Unpin {
    /// Whether the client waits for a farewell although nothing more is read from it, since it has
    /// taken its leave or broken a rule below MQTT. `poll_shutdown` says it.
    fn owes_farewell(&self) -> bool;
}

/// The end of the stream is all that there is to say.
impl Network for TcpStream {
    fn owes_farewell(&self) -> bool {
        false
    }
}
