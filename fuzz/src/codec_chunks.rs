//! However a stream is cut into chunks, the same packets come out of it, and the same error
//! ends it.

use mqtt_codec::{DecodeError, Decoded, OwnedPacket, Version, decode};

/// Two bytes choose the version and how the stream is cut; the others are the stream.
pub fn chunks(data: &[u8]) {
    let [choice, seed, stream @ ..] = data else {
        return;
    };
    let version = match choice % 3 {
        0 => Version::V31,
        1 => Version::V311,
        _ => Version::V5,
    };
    let limit = match choice / 3 % 4 {
        0 => 16,
        1 => 128,
        _ => usize::MAX,
    };
    let whole = read_all(stream, version, limit, |_| stream.len());
    let mut state = u32::from(*seed) | 1;
    let cut = read_all(stream, version, limit, |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        1 + (state >> 24) as usize % 9
    });
    assert_eq!(whole, cut);
    // Waiting for exactly what was asked for is enough to get on.
    assert_eq!(whole, read_all(stream, version, limit, |needed| needed));
}

/// The packets of a stream that arrives in chunks of the sizes that `next` gives for what
/// is needed, the error that ended it, and the bytes that were left over.
fn read_all(
    stream: &[u8],
    version: Version,
    limit: usize,
    mut next: impl FnMut(usize) -> usize,
) -> (Vec<OwnedPacket>, Option<DecodeError>, usize) {
    let (mut taken, mut arrived, mut packets) = (0, 0, Vec::new());
    loop {
        match decode(&stream[taken..arrived], version, limit) {
            Ok(Decoded::Packet { packet, size }) => {
                assert!(size <= limit);
                packets.push(packet.to_owned());
                taken += size;
            }
            Ok(Decoded::Incomplete { needed }) => {
                assert!(needed > 0);
                // What waits for its end is never more than a packet may be.
                assert!(arrived - taken < limit);
                if arrived == stream.len() {
                    return (packets, None, arrived - taken);
                }
                arrived = stream.len().min(arrived + next(needed).max(1));
            }
            Err(error) => return (packets, Some(error), stream.len() - taken),
        }
    }
}
