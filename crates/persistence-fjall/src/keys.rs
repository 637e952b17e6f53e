//! The keys under which things are kept, where they are more than a name.

use mqtt_codec::PacketId;
use persistence_records::{Key, KeyError, KeyReader};

/// The longest key that the engine takes.
const MAX_KEY_BYTES: usize = 65_535;

/// Bytes in front of what is the session's: its number, and the kind.
const PREFIX_BYTES: usize = 9;

/// The longest filter that fits into a key whole. Longer ones share a record with all that begin in
/// the same way: see [`crate::subscriptions`].
pub(crate) const MAX_FILTER_BYTES: usize = MAX_KEY_BYTES - PREFIX_BYTES;

/// In `meta`: the next number for a session, reserved in blocks.
pub(crate) const NEXT_SESSION: &[u8] = b"next session";
/// In `meta`: the next number for a message, reserved in blocks.
pub(crate) const NEXT_MESSAGE: &[u8] = b"next message";
/// In `meta`: there once a message was stored that expires some day.
pub(crate) const SOMETHING_EXPIRES: &[u8] = b"something expires";
/// In `meta`, in front of the number of a session that was dropped and whose contents are to go.
pub(crate) const DROPPED: u8 = b'd';

/// Kinds of contents.
pub(crate) const INCOMING: u8 = b'i';
pub(crate) const OUTGOING: u8 = b'o';
/// Behind all that are in the queue.
pub(crate) const QUEUE: u8 = b'q';
pub(crate) const SUBSCRIPTION: u8 = b's';

/// What of a session's contents a key is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content<'a> {
    Incoming(PacketId),
    Outgoing(u64),
    /// How much there is of the latter.
    Queue,
    /// The filter, or as much of it as fits.
    Subscription(&'a [u8]),
}

pub(crate) fn dropped(session: u64) -> Vec<u8> {
    Key::new().byte(DROPPED).number(session).into_bytes()
}

pub(crate) fn contents(session: u64) -> Vec<u8> {
    Key::new().number(session).into_bytes()
}

pub(crate) fn kind(session: u64, kind: u8) -> Vec<u8> {
    Key::new().number(session).byte(kind).into_bytes()
}

pub(crate) fn outgoing(session: u64, sequence: u64) -> Vec<u8> {
    let key = Key::new().number(session).byte(OUTGOING).number(sequence);
    key.into_bytes()
}

pub(crate) fn incoming(session: u64, packet_id: PacketId) -> Vec<u8> {
    let key = Key::new().number(session).byte(INCOMING);
    key.short(packet_id.get()).into_bytes()
}

pub(crate) fn subscription(session: u64, filter: &[u8]) -> Vec<u8> {
    let mut key = kind(session, SUBSCRIPTION);
    key.extend_from_slice(filter.get(..MAX_FILTER_BYTES).unwrap_or(filter));
    key
}

/// Whose contents a key is of, and which.
pub(crate) fn read_contents(key: &[u8]) -> Result<(u64, Content<'_>), KeyError> {
    let mut reader = KeyReader::new(key);
    let session = reader.number()?;
    let content = match reader.byte()? {
        INCOMING => {
            let packet_id = PacketId::new(reader.short()?).ok_or(KeyError::TooShort)?;
            reader.end()?;
            Content::Incoming(packet_id)
        }
        OUTGOING => {
            let sequence = reader.number()?;
            reader.end()?;
            Content::Outgoing(sequence)
        }
        QUEUE => {
            reader.end()?;
            Content::Queue
        }
        SUBSCRIPTION => Content::Subscription(key.get(PREFIX_BYTES..).unwrap_or_default()),
        _ => return Err(KeyError::NotAName),
    };
    Ok((session, content))
}

/// A key or a value that is nothing but a number.
pub(crate) fn read_number(bytes: &[u8]) -> Result<u64, KeyError> {
    let mut reader = KeyReader::new(bytes);
    let number = reader.number()?;
    reader.end()?;
    Ok(number)
}
