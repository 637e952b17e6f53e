//! Version 2: a signature, what kind of connection it is, a length, and so many bytes, of which the
//! first are addresses.

use std::net::{IpAddr, SocketAddr};

use crate::{Decoded, HEADER_BYTES_MAX, Header, HeaderError, begins};

const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";

/// Bytes in front of the addresses.
const START_BYTES: usize = 16;

/// The version and the command.
const LOCAL: u8 = 0x20;
const PROXY: u8 = 0x21;

/// The family of addresses and the transport: TCP over IPv4 and over IPv6.
const TCP4: u8 = 0x11;
const TCP6: u8 = 0x21;

pub(crate) fn decode(bytes: &[u8]) -> Result<Decoded, HeaderError> {
    if !begins(bytes, &SIGNATURE) {
        return Err(HeaderError::None);
    }
    let Some((start, rest)) = bytes.split_first_chunk::<START_BYTES>() else {
        return Ok(Decoded::Incomplete {
            missing: START_BYTES - bytes.len(),
        });
    };
    let [.., command, family, high, low] = *start;
    if ![LOCAL, PROXY].contains(&command) {
        return Err(HeaderError::Malformed);
    }
    let length = usize::from(u16::from_be_bytes([high, low]));
    if START_BYTES + length > HEADER_BYTES_MAX {
        return Err(HeaderError::TooLong);
    }
    let Some(body) = rest.get(..length) else {
        return Ok(Decoded::Incomplete {
            missing: length - rest.len(),
        });
    };
    let source = match (command, family) {
        (PROXY, TCP4) => Some(source::<4>(body)?),
        (PROXY, TCP6) => Some(source::<16>(body)?),
        // A health check, or addresses that are none of the Internet's.
        _ => None,
    };
    Ok(Decoded::Header(Header {
        source,
        size: START_BYTES + length,
    }))
}

/// The first of two addresses of `N` bytes, and of two ports.
fn source<const N: usize>(body: &[u8]) -> Result<SocketAddr, HeaderError>
where
    IpAddr: From<[u8; N]>,
{
    let split = |bytes| <[u8]>::split_first_chunk::<N>(bytes);
    let found = split(body).and_then(|(source, rest)| {
        let (_destination, ports) = split(rest)?;
        let (port, _) = ports.split_first_chunk::<4>()?;
        let [high, low, ..] = *port;
        let port = u16::from_be_bytes([high, low]);
        Some(SocketAddr::new(IpAddr::from(*source), port))
    });
    found.ok_or(HeaderError::Malformed)
}
