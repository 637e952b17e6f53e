//! What somebody says who does not bring it to its end.

use clap::ValueEnum;
use mqtt_codec::{Connect, Packet, Version};

use crate::failure::Failure;

/// How those behave who come only to be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Manner {
    /// Say nothing
    Nothing,
    /// Begin a CONNECT, and go on with a byte per second
    Connect,
    /// CONNECT, begin a PUBLISH, and go on with a byte per second
    Publish,
    /// Half of a request for a WebSocket
    Upgrade,
    /// Half of a TLS ClientHello
    ClientHello,
    /// A whole ClientHello, and no answer to the server's flight
    Handshake,
}

/// Remaining lengths: 30,000 bytes, which brokers take for a CONNECT, and 1,000,000.
const LONG_CONNECT: [u8; 3] = [0xB0, 0xEA, 0x01];
const LONG_PUBLISH: [u8; 3] = [0xC0, 0x84, 0x3D];

const REQUEST: &[u8] =
    b"GET /mqtt HTTP/1.1\r\nHost: broker\r\nUpgrade: websocket\r\nConnection: Upgr";

impl Manner {
    /// As the command line has it.
    pub fn name(self) -> String {
        self.to_possible_value()
            .map(|value| value.get_name().to_owned())
            .unwrap_or_default()
    }

    /// What it says first, and the byte with which it goes on.
    pub fn words(self) -> Result<(Vec<u8>, Option<u8>), Failure> {
        let mut words = Vec::new();
        match self {
            Self::Nothing => {}
            Self::Connect => {
                words.push(0x10);
                words.extend_from_slice(&LONG_CONNECT);
                // Clean session, no keep alive, a client identifier that takes all the rest.
                words.extend_from_slice(b"\0\x04MQTT\x04\x02\0\0\x75\x24");
                return Ok((words, Some(b'x')));
            }
            Self::Publish => {
                // With an empty client identifier the broker finds one, so that they do not take over
                // each other's place.
                let connect = Packet::Connect(Connect::new(Version::V311, ""));
                connect
                    .encode(Version::V311, &mut words)
                    .map_err(Failure::usage)?;
                words.push(0x30);
                words.extend_from_slice(&LONG_PUBLISH);
                words.extend_from_slice(b"\0\x01a");
                return Ok((words, Some(b'x')));
            }
            Self::Upgrade => words.extend_from_slice(REQUEST),
            Self::ClientHello => {
                words = client_hello();
                words.truncate(words.len() / 2);
            }
            Self::Handshake => words = client_hello(),
        }
        Ok((words, None))
    }

    /// Whether a broker has something to say to that.
    pub fn is_answered(self) -> bool {
        matches!(self, Self::Publish | Self::Handshake)
    }
}

/// The first message of TLS 1.3 (RFC 8446, section 4.1.2): any of its cipher suites, X25519, and the
/// signatures that all servers have.
fn client_hello() -> Vec<u8> {
    let mut hello = b"\x03\x03".to_vec();
    // Random by name only, which matters to nobody but us.
    hello.extend_from_slice(&[0x5A; 32]);
    // No session; three cipher suites; no compression.
    hello.extend_from_slice(b"\0\0\x06\x13\x01\x13\x02\x13\x03\x01\0");
    // The key is the base point of the curve.
    let mut key_share = b"\0\x24\0\x1D\0\x20\x09".to_vec();
    key_share.resize(key_share.len() + 31, 0);
    let extensions = [
        (0x0A, &b"\0\x02\0\x1D"[..]),
        (0x0D, b"\0\x08\x04\x03\x08\x04\x08\x07\x04\x01"),
        (0x2B, b"\x02\x03\x04"),
        (0x33, &key_share),
    ];
    let mut all = Vec::new();
    for (kind, body) in extensions {
        all.extend_from_slice(&[0, kind, 0, body.len() as u8]);
        all.extend_from_slice(body);
    }
    hello.extend_from_slice(&[0, all.len() as u8]);
    hello.extend_from_slice(&all);
    let mut message = vec![1, 0, 0, hello.len() as u8];
    message.extend_from_slice(&hello);
    let mut record = vec![0x16, 3, 1, 0, message.len() as u8];
    record.extend_from_slice(&message);
    record
}

#[cfg(test)]
mod tests {
    use mqtt_codec::{Decoded, decode};

    use super::*;

    #[test]
    fn nothing_is_whole_but_the_connect_of_who_publishes() {
        let connect_size = |words: &[u8]| {
            let decoded = decode(words, Version::V311, usize::MAX).unwrap();
            match decoded {
                Decoded::Packet { packet, size } => {
                    assert!(matches!(packet, Packet::Connect(_)));
                    Some(size)
                }
                Decoded::Incomplete { .. } => None,
            }
        };
        let (mut half, byte) = Manner::Connect.words().unwrap();
        assert_eq!(connect_size(&half), None);
        // Fixed header and the rest that it announces: it would be a right one in the end.
        half.resize(4 + 30_000, byte.unwrap());
        assert_eq!(connect_size(&half), Some(half.len()));
        let (words, _) = Manner::Publish.words().unwrap();
        let publish = &words[connect_size(&words).unwrap()..];
        let decoded = decode(publish, Version::V311, usize::MAX).unwrap();
        assert!(matches!(decoded, Decoded::Incomplete { .. }));
    }

    #[test]
    fn the_lengths_in_a_client_hello_fit_into_a_byte_and_each_other() {
        let hello = client_hello();
        assert!(hello.len() < 256, "the longer of two bytes is 0");
        assert_eq!(usize::from(hello[4]) + 5, hello.len());
        assert_eq!(usize::from(hello[8]) + 9, hello.len());
        let (half, _) = Manner::ClientHello.words().unwrap();
        assert_eq!(half, hello[..half.len()]);
        assert!(half.len() < hello.len());
    }
}
