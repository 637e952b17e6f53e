//! Names in a client's certificate (RFC 5280, sections 4.1.2.6 and 4.2.1.6).
//!
//! The certificate has been verified by then, so that its form is known to be right. What is read here
//! is as little as it takes to come to the names, and anything unexpected is no name.

/// Tags of ASN.1 (X.690).
mod tag {
    pub(super) const OBJECT_IDENTIFIER: u8 = 0x06;
    pub(super) const OCTET_STRING: u8 = 0x04;
    pub(super) const UTF8_STRING: u8 = 0x0C;
    pub(super) const PRINTABLE_STRING: u8 = 0x13;
    pub(super) const IA5_STRING: u8 = 0x16;
    pub(super) const SEQUENCE: u8 = 0x30;
    pub(super) const SET: u8 = 0x31;
    /// The certificate's version, and its extensions.
    pub(super) const VERSION: u8 = 0xA0;
    pub(super) const EXTENSIONS: u8 = 0xA3;
    /// Kinds of subject alternative names.
    pub(super) const RFC822_NAME: u8 = 0x81;
    pub(super) const DNS_NAME: u8 = 0x82;
    pub(super) const URI: u8 = 0x86;
}

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

/// The parts of a certificate that have names.
struct ToBeSigned<'a> {
    subject: &'a [u8],
    extensions: Option<&'a [u8]>,
}

fn to_be_signed(certificate: &[u8]) -> Option<ToBeSigned<'_>> {
    let certificate = Items(certificate).of(tag::SEQUENCE)?;
    let mut fields = Items(Items(certificate).of(tag::SEQUENCE)?);
    // A certificate of version 1 does not say so.
    let (first, _) = fields.next()?;
    if first == tag::VERSION {
        let _serial_number = fields.next()?;
    }
    let _signature = fields.of(tag::SEQUENCE)?;
    let _issuer = fields.of(tag::SEQUENCE)?;
    let _validity = fields.of(tag::SEQUENCE)?;
    let subject = fields.of(tag::SEQUENCE)?;
    let _public_key = fields.of(tag::SEQUENCE)?;
    let extensions = fields.find(|(tag, _)| *tag == tag::EXTENSIONS);
    Some(ToBeSigned {
        subject,
        extensions: extensions.map(|(_, extensions)| extensions),
    })
}

/// What can be a user name: not empty, and without the characters that MQTT forbids.
fn text(name: &[u8]) -> Option<&str> {
    let name = str::from_utf8(name).ok()?;
    let is_name = !name.is_empty() && name.len() <= NAME_BYTES_MAX && !name.contains('\0');
    is_name.then_some(name)
}

/// The items in the contents of another one: tags and contents, up to the first that is none.
#[derive(Clone, Copy)]
struct Items<'a>(&'a [u8]);

impl<'a> Items<'a> {
    /// The contents of the next item, if it has this tag.
    fn of(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.next()
            .filter(|(found, _)| *found == tag)
            .map(|(_, contents)| contents)
    }
}

impl<'a> Iterator for Items<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            0..=0x7F => (usize::from(first), rest),
            // Nothing in a certificate is longer than what four bytes can express; 0x80 is a length that
            // is not known.
            0x81..=0x84 => {
                let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7F))?;
                let length = bytes.iter().fold(0, |length: usize, byte| {
                    length.wrapping_shl(8) | usize::from(*byte)
                });
                (length, rest)
            }
            _ => return None,
        };
        let (contents, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, contents))
    }
}
