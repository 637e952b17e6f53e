//! A payload of 1 MiB, which no buffer on the way holds in one piece, arrives byte for byte.

use crate::broker::{Broker, scratch_file};
use crate::client::{Client, Payload, Publish, Subscribe};

const BYTES: usize = 1 << 20;

pub fn one_mebibyte(client: Client) {
    let payload = noise(BYTES);
    let file = scratch_file("payload");
    std::fs::write(&file, &payload).unwrap();

    let broker = Broker::start();
    let mut subscriber = client.subscribe(&broker, &Subscribe::new("sub", "files/+", 2));
    for qos in [0, 1, 2] {
        client.publish(
            &broker,
            &Publish::new("files/a", qos, Payload::File(file.clone())),
        );
        let message = subscriber.message();
        assert_eq!(message.qos, u64::from(qos));
        assert_eq!(message.payload.len(), BYTES);
        let first_difference = message
            .payload
            .iter()
            .zip(&payload)
            .position(|(a, b)| a != b);
        assert_eq!(first_difference, None, "the payload differs at this byte");
    }
    subscriber.stop();
    std::fs::remove_file(file).unwrap();
}

/// All byte values, and no period that a lost or doubled block could hide in (xorshift).
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    };
    (0..length).map(|_| next()).collect()
}
