//! The header in front of everything else in which a load balancer says who has connected to it.

use std::io;
use std::net::SocketAddr;

use proxy_protocol::{Decoded, decode};
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// Reads the header and nothing else. Returns who has connected, if the load balancer says so.
///
/// # Errors
/// When there is none, or it is not whole when the connection ends.
pub(super) async fn read_header<S: AsyncRead + Unpin>(
    stream: &mut S,
) -> io::Result<Option<SocketAddr>> {
    let mut bytes = Vec::new();
    loop {
        let decoded = decode(&bytes);
        let decoded = decoded.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        let missing = match decoded {
            Decoded::Header(header) => return Ok(header.source),
            Decoded::Incomplete { missing } => missing,
        };
        let had = bytes.len();
        bytes.resize(had + missing, 0);
        let room = bytes.get_mut(had..).unwrap_or_default();
        stream.read_exact(room).await?;
    }
}
