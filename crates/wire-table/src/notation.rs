//! The notation of bytes: from text that shows the fields of a packet to what goes over the wire.
//!
//! | written | stands for |
//! | --- | --- |
//! | `0A` | a byte |
//! | `"text"` | the bytes of a text |
//! | `s"text"` | a string: its length in two bytes, and the text |
//! | `< … >` | the same for any bytes |
//! | `( … )` | what follows the first byte of a packet: the remaining length, and the rest |
//! | `{ … }` | properties: in MQTT 5.0 their length and they themselves, nothing before |
//! | `[ … ]` | what is there in MQTT 5.0 only |
//! | `9*0A` | a byte as often as it says |
//! | `protocol` | protocol name and level of the version |

use std::iter::Peekable;
use std::str::Chars;

use crate::Version;

/// The bytes that `text` stands for in this version.
pub(crate) fn bytes(text: &str, version: Version) -> Result<Vec<u8>, String> {
    let mut reader = Reader {
        chars: text.chars().peekable(),
        version,
    };
    let bytes = reader.sequence(None)?;
    Ok(bytes)
}

struct Reader<'a> {
    chars: Peekable<Chars<'a>>,
    version: Version,
}

impl Reader<'_> {
    /// Everything up to the closing bracket, or to the end.
    fn sequence(&mut self, end: Option<char>) -> Result<Vec<u8>, String> {
        let mut out = Vec::new();
        loop {
            match self.chars.next() {
                None if end.is_none() => return Ok(out),
                None => return Err("a bracket is not closed".to_owned()),
                found if found == end => return Ok(out),
                Some(c) if c.is_whitespace() => {}
                Some('"') => out.extend(self.text()?),
                Some('s') if self.chars.peek() == Some(&'"') => {
                    self.chars.next();
                    let text = self.text()?;
                    out.extend(with_short_length(&text)?);
                }
                Some('<') => {
                    let inner = self.sequence(Some('>'))?;
                    out.extend(with_short_length(&inner)?);
                }
                Some('(') => {
                    let inner = self.sequence(Some(')'))?;
                    out.extend(with_variable_length(&inner)?);
                }
                Some('{') => {
                    let inner = self.sequence(Some('}'))?;
                    if self.version == Version::V5 {
                        out.extend(with_variable_length(&inner)?);
                    }
                }
                Some('[') => {
                    let inner = self.sequence(Some(']'))?;
                    if self.version == Version::V5 {
                        out.extend(inner);
                    }
                }
                Some(c) => self.word(c, &mut out)?,
            }
        }
    }

    /// The inside of quotes. There is no way to write a quote in it.
    fn text(&mut self) -> Result<Vec<u8>, String> {
        let mut text = String::new();
        loop {
            match self.chars.next() {
                Some('"') => return Ok(text.into_bytes()),
                Some(c) => text.push(c),
                None => return Err("a quote is not closed".to_owned()),
            }
        }
    }

    /// A byte, a byte many times, or a name.
    fn word(&mut self, first: char, out: &mut Vec<u8>) -> Result<(), String> {
        let mut word = String::from(first);
        while let Some(&c) = self.chars.peek()
            && (c.is_alphanumeric() || c == '*')
        {
            word.push(c);
            self.chars.next();
        }
        if word == "protocol" {
            out.extend(with_short_length(self.version.protocol_name().as_bytes())?);
            out.push(self.version.level());
            return Ok(());
        }
        let (times, byte) = word.split_once('*').unwrap_or(("1", &word));
        let parsed = (times.parse::<usize>(), u8::from_str_radix(byte, 16));
        match parsed {
            (Ok(times), Ok(value)) if byte.len() == 2 => {
                out.extend(std::iter::repeat_n(value, times));
                Ok(())
            }
            _ => Err(format!("`{word}` stands for nothing")),
        }
    }
}

fn with_short_length(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let length = u16::try_from(bytes.len()).map_err(|_| "longer than 65,535 bytes".to_owned())?;
    Ok([&length.to_be_bytes(), bytes].concat())
}

fn with_variable_length(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    let mut left = bytes.len();
    loop {
        let group = u8::try_from(left % 128).unwrap_or_default();
        left /= 128;
        if left == 0 {
            out.push(group);
            break;
        }
        out.push(group | 0x80);
    }
    if out.len() > 4 {
        return Err("longer than any packet".to_owned());
    }
    out.extend_from_slice(bytes);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_stands_for_its_bytes() {
        let cases: [(&str, &[u8], &[u8]); 12] = [
            ("", b"", b""),
            ("0A ff", b"\x0A\xFF", b"\x0A\xFF"),
            ("\"a b\"", b"a b", b"a b"),
            ("s\"ab\"", b"\0\x02ab", b"\0\x02ab"),
            ("<FF FE>", b"\0\x02\xFF\xFE", b"\0\x02\xFF\xFE"),
            ("10()", b"\x10\0", b"\x10\0"),
            (
                "30 (s\"t\" {} 01)",
                b"\x30\x04\0\x01t\x01",
                b"\x30\x05\0\x01t\0\x01",
            ),
            ("{ 23 00 01 }", b"", b"\x03\x23\0\x01"),
            (
                "40 (00 01 [10 00])",
                b"\x40\x02\0\x01",
                b"\x40\x04\0\x01\x10\0",
            ),
            ("3*61", b"aaa", b"aaa"),
            ("protocol", b"\0\x04MQTT\x04", b"\0\x04MQTT\x05"),
            ("<(<>)>", b"\0\x03\x02\0\0", b"\0\x03\x02\0\0"),
        ];
        for (text, before, since) in cases {
            assert_eq!(bytes(text, Version::V311).as_deref(), Ok(before), "{text}");
            assert_eq!(bytes(text, Version::V5).as_deref(), Ok(since), "{text}");
        }
        assert_eq!(
            bytes("protocol", Version::V31).as_deref(),
            Ok(&b"\0\x06MQIsdp\x03"[..])
        );
    }

    #[test]
    fn lengths_take_as_many_bytes_as_they_need() {
        let long = bytes("30 (128*61)", Version::V5).unwrap();
        assert_eq!(long[..3], [0x30, 0x80, 1]);
        let longer = bytes("30 (20000*61)", Version::V5).unwrap();
        assert_eq!(longer[..4], [0x30, 0xA0, 0x9C, 1]);
    }

    #[test]
    fn what_stands_for_nothing_is_refused() {
        for text in [
            "1",
            "0G",
            "ABC",
            "(",
            "10 )",
            "\"a",
            "s a",
            "x*61",
            "<70000*61>",
        ] {
            assert!(bytes(text, Version::V5).is_err(), "{text}");
        }
    }
}
