//! The parts of a certificate (RFC 5280, section 4.1): as little as it takes to come to its names, and to the
//! time for which it is valid.

/// Tags of ASN.1 (X.690).
pub(super) mod tag {
    pub(in crate::tls) const OBJECT_IDENTIFIER: u8 = 0x06;
    pub(in crate::tls) const OCTET_STRING: u8 = 0x04;
    pub(in crate::tls) const UTF8_STRING: u8 = 0x0C;
    pub(in crate::tls) const PRINTABLE_STRING: u8 = 0x13;
    pub(in crate::tls) const IA5_STRING: u8 = 0x16;
    pub(in crate::tls) const UTC_TIME: u8 = 0x17;
    pub(in crate::tls) const GENERALIZED_TIME: u8 = 0x18;
    pub(in crate::tls) const SEQUENCE: u8 = 0x30;
    pub(in crate::tls) const SET: u8 = 0x31;
    /// The certificate's version, and its extensions.
    pub(in crate::tls) const VERSION: u8 = 0xA0;
    pub(in crate::tls) const EXTENSIONS: u8 = 0xA3;
    /// Kinds of subject alternative names.
    pub(in crate::tls) const RFC822_NAME: u8 = 0x81;
    pub(in crate::tls) const DNS_NAME: u8 = 0x82;
    pub(in crate::tls) const URI: u8 = 0x86;
}

/// The parts of a certificate that we look at.
pub(super) struct ToBeSigned<'a> {
    pub(super) validity: &'a [u8],
    pub(super) subject: &'a [u8],
    pub(super) extensions: Option<&'a [u8]>,
}

/// The parts of a certificate in DER.
pub(super) fn to_be_signed(certificate: &[u8]) -> Option<ToBeSigned<'_>> {
    let certificate = Items(certificate).of(tag::SEQUENCE)?;
    let mut fields = Items(Items(certificate).of(tag::SEQUENCE)?);
    // A certificate of version 1 does not say so.
    let (first, _) = fields.next()?;
    if first == tag::VERSION {
        let _serial_number = fields.next()?;
    }
    let _signature = fields.of(tag::SEQUENCE)?;
    let _issuer = fields.of(tag::SEQUENCE)?;
    let validity = fields.of(tag::SEQUENCE)?;
    let subject = fields.of(tag::SEQUENCE)?;
    let _public_key = fields.of(tag::SEQUENCE)?;
    let extensions = fields.find(|(tag, _)| *tag == tag::EXTENSIONS);
    Some(ToBeSigned {
        validity,
        subject,
        extensions: extensions.map(|(_, extensions)| extensions),
    })
}

/// The items in the contents of another one: tags and contents, up to the first that is none.
#[derive(Clone, Copy)]
pub(super) struct Items<'a>(pub(super) &'a [u8]);

impl<'a> Items<'a> {
    /// The contents of the next item, if it has this tag.
    pub(super) fn of(&mut self, tag: u8) -> Option<&'a [u8]> {
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
