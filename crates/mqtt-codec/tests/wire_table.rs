//! The wire table against the codec: what decodes, and which rule is named where something does not.

#![allow(clippy::panic, reason = "a test may panic, in its helpers too")]

use mqtt_codec::{Decoded, Version, decode};
use wire_table::{Case, Codec};

#[test]
fn every_row_decodes_or_is_refused_as_the_table_says() {
    let cases = wire_table::cases().unwrap();
    let wrong: Vec<String> = cases
        .iter()
        .filter_map(|case| {
            let found = decode_all(case);
            (found != case.codec).then(|| format!("{}: {found:?}", case.name))
        })
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn decode_all(case: &Case) -> Codec {
    let version = match case.version {
        wire_table::Version::V31 => Version::V31,
        wire_table::Version::V311 => Version::V311,
        wire_table::Version::V5 => Version::V5,
    };
    let mut rest = case.sent.as_slice();
    while !rest.is_empty() {
        match decode(rest, version, usize::MAX) {
            Ok(Decoded::Packet { size, .. }) => rest = rest.split_at(size).1,
            Ok(Decoded::Incomplete { .. }) => return Codec::Incomplete,
            Err(error) => return Codec::Refuses(format!("{error:?}")),
        }
    }
    Codec::Decodes
}
