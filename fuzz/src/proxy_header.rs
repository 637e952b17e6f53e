//! The header of the PROXY protocol, in front of anything.
//!
//! The first byte chooses a beginning that is right, so that the fuzzer gets behind the first check.
//! Whoever reads as many bytes as are said to be missing comes to the same end as who has them all,
//! and never reads a byte beyond the header.

use proxy_protocol::{Decoded, HEADER_BYTES_MAX, decode};

const STARTS: [&[u8]; 5] = [
    b"",
    b"PROXY ",
    b"PROXY TCP4 192.0.2.7 192.0.2.1 ",
    b"\r\n\r\n\0\r\nQUIT\n\x21",
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0C",
];

/// One connection.
pub fn proxy_header(data: &[u8]) {
    let Some((&choice, data)) = data.split_first() else {
        return;
    };
    let start = STARTS[usize::from(choice) % STARTS.len()];
    let bytes = [start, data].concat();
    let whole = decode(&bytes);
    if let Ok(Decoded::Header(header)) = whole {
        assert!(header.size <= bytes.len() && header.size <= HEADER_BYTES_MAX);
        // What stands behind it does not count.
        assert_eq!(decode(&bytes[..header.size]), whole);
    }
    let mut read = 0;
    let in_pieces = loop {
        match decode(&bytes[..read]) {
            Ok(Decoded::Incomplete { missing }) => {
                assert!(missing > 0);
                read += missing;
                assert!(read <= HEADER_BYTES_MAX);
                if read > bytes.len() {
                    break whole;
                }
            }
            decided => break decided,
        }
    };
    match (whole, in_pieces) {
        (Ok(_), pieces) => assert_eq!(pieces, whole),
        // Which of several faults is seen first may depend on how much has come.
        (Err(_), pieces) => assert!(!matches!(pieces, Ok(Decoded::Header(_)))),
    }
}
