//! Headers as load balancers send them, in pieces, and what is no header.

use super::*;

/// A header of version 2.
fn binary(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
    bytes.extend([command, family]);
    bytes.extend(u16::try_from(body.len()).unwrap().to_be_bytes());
    bytes.extend(body);
    bytes
}

fn headers() -> Vec<(Vec<u8>, Option<&'static str>)> {
    let v4 = [192, 0, 2, 7, 192, 0, 2, 1, 0x9C, 0x40, 0x07, 0x5B];
    let mut v6 = [0; 36];
    (v6[0], v6[1], v6[15], v6[31], v6[33]) = (0x20, 0x01, 7, 1, 80);
    // An extension behind the addresses: the name that was asked for by TLS.
    let with_extension = [&v4[..], &[2, 0, 3], b"a.b"].concat();
    vec![
        (
            b"PROXY TCP4 192.0.2.7 192.0.2.1 40000 1883\r\n".to_vec(),
            Some("192.0.2.7:40000"),
        ),
        (
            b"PROXY TCP6 2001:db8::7 2001:db8::1 40000 1883\r\n".to_vec(),
            Some("[2001:db8::7]:40000"),
        ),
        (b"PROXY UNKNOWN\r\n".to_vec(), None),
        (b"PROXY UNKNOWN anything at all 7\r\n".to_vec(), None),
        (
            format!("PROXY TCP6 {0} {0} 65535 65535\r\n", ["ffff"; 8].join(":")).into_bytes(),
            Some("[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"),
        ),
        (binary(0x21, 0x11, &v4), Some("192.0.2.7:40000")),
        (binary(0x21, 0x11, &with_extension), Some("192.0.2.7:40000")),
        (binary(0x21, 0x21, &v6), Some("[2001::7]:80")),
        // For itself, with addresses that do not count.
        (binary(0x20, 0x11, &v4), None),
        (binary(0x20, 0, &[]), None),
        // Unix sockets, and no family.
        (binary(0x21, 0x31, &[0; 216]), None),
        (binary(0x21, 0, &[]), None),
    ]
}

/// Whoever reads as many bytes as are missing reads the header and nothing else.
#[test]
fn headers_are_decoded_wherever_they_are_cut_and_no_byte_behind_them_is_asked_for() {
    for (bytes, source) in headers() {
        let expected = Header {
            source: source.map(|source| source.parse().unwrap()),
            size: bytes.len(),
        };
        let what = String::from_utf8_lossy(&bytes).into_owned();
        let more = [&bytes[..], b"\x10\x0C\r\nPROXY "].concat();
        assert_eq!(decode(&bytes), Ok(Decoded::Header(expected)), "{what}");
        assert_eq!(decode(&more), Ok(Decoded::Header(expected)), "{what}");
        for cut in 0..bytes.len() {
            match decode(&bytes[..cut]) {
                Ok(Decoded::Incomplete { missing }) => {
                    assert!(missing > 0 && cut + missing <= bytes.len(), "{what}, {cut}");
                }
                other => panic!("{what}, {cut}: {other:?}"),
            }
        }
        let mut read = 0;
        while let Ok(Decoded::Incomplete { missing }) = decode(&bytes[..read]) {
            read += missing;
        }
        assert_eq!(read, bytes.len(), "{what}");
    }
}

#[test]
fn what_is_no_header_is_said_to_be_none() {
    let long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(92));
    let mut version = binary(0x31, 0x11, &[0; 12]);
    assert_eq!(decode(&version), Err(HeaderError::Malformed));
    version[12] = 0x22;
    for (bytes, error) in [
        (&b"\x10\x0C\0\x04MQTT"[..], HeaderError::None),
        (b"\x16\x03\x01", HeaderError::None),
        (b"PUT / HTTP/1.1\r\n", HeaderError::None),
        (b"PROXYTCP4 ", HeaderError::None),
        (b"\r\n\r\n\0\r\nQUIT\r", HeaderError::None),
        (&version, HeaderError::Malformed),
        (&binary(0x21, 0x11, &[0; 11]), HeaderError::Malformed),
        (&binary(0x21, 0x21, &[0; 35]), HeaderError::Malformed),
        (&binary(0x21, 0x11, &[0; 4_081]), HeaderError::TooLong),
        (
            b"PROXY TCP4 192.0.2.7 192.0.2.1 40000\r\n",
            HeaderError::Malformed,
        ),
        (
            b"PROXY TCP4 192.0.2.7 192.0.2.1 1 2 3\r\n",
            HeaderError::Malformed,
        ),
        (
            b"PROXY TCP4 192.0.2.7  192.0.2.1 1 2\r\n",
            HeaderError::Malformed,
        ),
        (
            b"PROXY TCP4 192.0.2.7 192.0.2.1 65536 2\r\n",
            HeaderError::Malformed,
        ),
        (
            b"PROXY TCP4 192.0.2.7 192.0.2.1 +1 2\r\n",
            HeaderError::Malformed,
        ),
        (
            b"PROXY TCP4 2001:db8::7 2001:db8::1 1 2\r\n",
            HeaderError::Malformed,
        ),
        (
            b"PROXY TCP6 192.0.2.7 192.0.2.1 1 2\r\n",
            HeaderError::Malformed,
        ),
        (
            b"PROXY UDP4 192.0.2.7 192.0.2.1 1 2\r\n",
            HeaderError::Malformed,
        ),
        (b"PROXY \xFF\r\n      ", HeaderError::Malformed),
        (long.as_bytes(), HeaderError::TooLong),
    ] {
        assert_eq!(
            decode(bytes),
            Err(error),
            "{:?}",
            String::from_utf8_lossy(bytes)
        );
    }
}
