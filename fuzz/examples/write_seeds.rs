//! Writes the seeds into `corpus/`, where `cargo fuzz run` looks for them.

use mosca_fuzz::codec_seeds::seeds;
use mosca_fuzz::{jwt, records_decode, users_file, websocket_frames};

/// Target, and how many bytes of choice it wants in front of a packet.
const TARGETS: &[(&str, usize)] = &[
    ("codec_decode_v3", 0),
    ("codec_decode_v5", 0),
    ("codec_roundtrip", 1),
    ("codec_chunks", 2),
];

fn main() -> std::io::Result<()> {
    for (target, prefix) in TARGETS {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("corpus")
            .join(target);
        std::fs::create_dir_all(&folder)?;
        for (number, seed) in seeds().iter().enumerate() {
            // 1 and 2 are MQTT 3.1.1 and 5.0, without a limit of size for the chunks.
            for version in [7, 8].into_iter().take(1 + prefix.min(&1)) {
                let input = [&[version, 0][..*prefix], seed].concat();
                std::fs::write(folder.join(format!("seed-{number:03}-{version}")), input)?;
            }
        }
    }
    let others = [
        ("jwt", jwt::seeds()),
        ("records_decode", records_decode::seeds()),
        ("users_file", users_file::seeds()),
        ("websocket_frames", websocket_frames::seeds()),
    ];
    for (target, seeds) in others {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("corpus")
            .join(target);
        std::fs::create_dir_all(&folder)?;
        for (number, seed) in seeds.iter().enumerate() {
            std::fs::write(folder.join(format!("seed-{number:03}")), seed)?;
        }
    }
    Ok(())
}
