//! Names in a client's certificate (RFC 5280, sections 4.1.2.6 and 4.2.1.6).
//!
//! The certificate has been verified by then, so that its form is known to be right. Anything unexpected is
//! no name.

use super::parts::{Items, tag, to_be_signed};

/// 2.5.4.3
const COMMON_NAME: [u8; 3] = [0x55, 0x04, 0x03];

/// 2.5.29.17
const SUBJECT_ALT_NAME: [u8; 3] = [0x55, 0x1D, 0x11];

/// Bytes of the longest user name that MQTT can express.
const NAME_BYTES_MAX: usize = 65_535;

/// The common name of the subject, if there is exactly one.
pub(crate) fn common_name(certificate: &[u8]) -> Option<&str> {
    let mut names = Items(to_be_signed(certificate)?.subject).flat_map(|(tag, set)| {
        let attributes = if tag == tag::SET { set } else { &[] };
        Items(attributes).filter_map(|(_, attribute)| {
            let mut parts = Items(attribute);
            let kind = parts.of(tag::OBJECT_IDENTIFIER)?;
            (kind == COMMON_NAME).then(|| parts.next())
        })
    });
    let name = match names.next()?? {
        (tag::UTF8_STRING | tag::PRINTABLE_STRING | tag::IA5_STRING, name) => text(name),
        _ => None,
    };
    name.filter(|_| names.next().is_none())
}

/// The first subject alternative name that is a DNS name, an e-mail address or a URI.
pub(crate) fn alternative_name(certificate: &[u8]) -> Option<&str> {
    let extensions = Items(to_be_signed(certificate)?.extensions?).of(tag::SEQUENCE)?;
    let names = Items(extensions).find_map(|(_, extension)| {
        let mut parts = Items(extension);
        let kind = parts.of(tag::OBJECT_IDENTIFIER)?;
        // Between them there may be whether it is critical.
        let value = parts.find(|(tag, _)| *tag == tag::OCTET_STRING);
        (kind == SUBJECT_ALT_NAME).then_some(value?.1)
    })?;
    let names = Items(names).of(tag::SEQUENCE)?;
    let name =
        Items(names).find(|(tag, _)| matches!(*tag, tag::RFC822_NAME | tag::DNS_NAME | tag::URI));
    text(name?.1)
}

/// What can be a user name: not empty, and without the characters that MQTT forbids.
fn text(name: &[u8]) -> Option<&str> {
    let name = str::from_utf8(name).ok()?;
    let is_name = !name.is_empty() && name.len() <= NAME_BYTES_MAX && !name.contains('\0');
    is_name.then_some(name)
}
