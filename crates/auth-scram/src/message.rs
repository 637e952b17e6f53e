//! The client's two messages, taken apart (RFC 5802 section 7). Any bytes may come.
//!
//! ```text
//!   first:  n,[a=authzid],n=user,r=nonce[,extensions]      the part before n= is the GS2 header
//!   final:  c=base64 of that header,r=nonce[,extensions],p=base64 of the proof
//! ```

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Longest user name and longest nonce of a client, in bytes.
const TEXT_BYTES_MAX: usize = 1_024;

/// What is wrong with a message. It is told in words: a client that authenticates in vain for one of
/// these has an error in its program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MessageError {
    #[error("SCRAM: the message is not as RFC 5802 has it")]
    Syntax,
    #[error("SCRAM: channel binding is not supported")]
    ChannelBinding,
    #[error("SCRAM: the extension is not supported")]
    Extension,
    #[error("SCRAM: the user name is not acceptable")]
    UserName,
    #[error("SCRAM: the authorization identity is not the user's own")]
    AuthorizationIdentity,
    #[error("SCRAM: the nonce is not the one of this exchange")]
    Nonce,
    #[error("SCRAM: the channel binding data is not that of the first message")]
    ChannelBindingData,
}

/// The client's first message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ClientFirst {
    /// `n,,` or the like: comes back in the second message.
    pub(crate) gs2_header: String,
    /// All behind it, which both sides sign.
    pub(crate) bare: String,
    /// Prepared by SASLprep.
    pub(crate) user: String,
    pub(crate) nonce: String,
}

/// The client's second message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ClientFinal<'a> {
    /// All but the proof, which both sides sign.
    pub(crate) without_proof: &'a str,
    pub(crate) channel_binding: Vec<u8>,
    pub(crate) nonce: &'a str,
    pub(crate) proof: [u8; 32],
}

impl ClientFirst {
    pub(crate) fn parse(message: &[u8]) -> Result<Self, MessageError> {
        let message = text(message)?;
        let (flag, rest) = message.split_once(',').ok_or(MessageError::Syntax)?;
        match flag {
            // A client that could bind the channel and believes that the server cannot is right.
            "n" | "y" => {}
            _ if flag.starts_with("p=") => return Err(MessageError::ChannelBinding),
            _ => return Err(MessageError::Syntax),
        }
        let (identity, bare) = rest.split_once(',').ok_or(MessageError::Syntax)?;
        let header_bytes = message.len() - bare.len();
        let gs2_header = message.get(..header_bytes).ok_or(MessageError::Syntax)?;

        if bare.starts_with("m=") {
            return Err(MessageError::Extension);
        }
        let mut attributes = bare.split(',');
        let user = attribute(attributes.next(), "n=")?;
        let user = prepared(user)?;
        let nonce = nonce(attributes.next())?;
        if nonce.len() > TEXT_BYTES_MAX {
            return Err(MessageError::Syntax);
        }
        check_extensions(attributes)?;
        if !identity.is_empty() {
            let identity = attribute(Some(identity), "a=")?;
            if prepared(identity) != Ok(user.clone()) {
                return Err(MessageError::AuthorizationIdentity);
            }
        }
        Ok(Self {
            gs2_header: gs2_header.to_owned(),
            bare: bare.to_owned(),
            user,
            nonce: nonce.to_owned(),
        })
    }
}

impl<'a> ClientFinal<'a> {
    pub(crate) fn parse(message: &'a [u8]) -> Result<Self, MessageError> {
        let message = text(message)?;
        let (without_proof, proof) = message.rsplit_once(',').ok_or(MessageError::Syntax)?;
        let proof = decode(attribute(Some(proof), "p=")?)?;
        let mut attributes = without_proof.split(',');
        let channel_binding = decode(attribute(attributes.next(), "c=")?)?;
        let nonce = nonce(attributes.next())?;
        check_extensions(attributes)?;
        Ok(Self {
            without_proof,
            channel_binding,
            nonce,
            proof: proof.try_into().map_err(|_| MessageError::Syntax)?,
        })
    }
}

/// UTF-8 without the character that no attribute may contain.
fn text(message: &[u8]) -> Result<&str, MessageError> {
    core::str::from_utf8(message)
        .ok()
        .filter(|text| !text.contains('\0'))
        .ok_or(MessageError::Syntax)
}

/// The value of an attribute that has to be there, and not be empty.
fn attribute<'a>(text: Option<&'a str>, name: &str) -> Result<&'a str, MessageError> {
    text.and_then(|text| text.strip_prefix(name))
        .filter(|value| !value.is_empty())
        .ok_or(MessageError::Syntax)
}

/// Printable ASCII without a comma.
fn nonce(text: Option<&str>) -> Result<&str, MessageError> {
    let nonce = attribute(text, "r=")?;
    if nonce.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(nonce)
    } else {
        Err(MessageError::Syntax)
    }
}

/// What is not known may be there, one letter and a value each, and is signed with the rest.
fn check_extensions<'a>(mut attributes: impl Iterator<Item = &'a str>) -> Result<(), MessageError> {
    let is_extension = |text: &str| {
        let (name, value) = text.split_once('=').unwrap_or_default();
        name.len() == 1 && name.bytes().all(|byte| byte.is_ascii_alphabetic()) && !value.is_empty()
    };
    if attributes.all(is_extension) {
        Ok(())
    } else {
        Err(MessageError::Syntax)
    }
}

/// A user name out of its escapes, prepared by SASLprep.
fn prepared(escaped: &str) -> Result<String, MessageError> {
    if escaped.len() > TEXT_BYTES_MAX {
        return Err(MessageError::UserName);
    }
    let mut name = String::with_capacity(escaped.len());
    let mut parts = escaped.split('=');
    name.push_str(parts.next().unwrap_or_default());
    for part in parts {
        // An equals sign is the beginning of an escape and nothing else.
        let (character, rest) = part
            .strip_prefix("2C")
            .map(|rest| (',', rest))
            .or_else(|| part.strip_prefix("3D").map(|rest| ('=', rest)))
            .ok_or(MessageError::UserName)?;
        name.push(character);
        name.push_str(rest);
    }
    let name = stringprep::saslprep(&name).map_err(|_| MessageError::UserName)?;
    if name.is_empty() {
        return Err(MessageError::UserName);
    }
    Ok(name.into_owned())
}

/// Strict: padded, and no bits behind the last byte.
fn decode(text: &str) -> Result<Vec<u8>, MessageError> {
    STANDARD.decode(text).map_err(|_| MessageError::Syntax)
}

pub(crate) fn encode(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn first(message: &str) -> Result<(String, String, String), MessageError> {
        ClientFirst::parse(message.as_bytes())
            .map(|first| (first.gs2_header, first.user, first.nonce))
    }

    #[test]
    fn first_messages() {
        let ok = |header: &str, user: &str, nonce: &str| {
            Ok((header.to_owned(), user.to_owned(), nonce.to_owned()))
        };
        use MessageError::*;
        let cases = [
            ("n,,n=user,r=abc", ok("n,,", "user", "abc")),
            ("y,,n=user,r=abc", ok("y,,", "user", "abc")),
            ("n,a=user,n=user,r=a", ok("n,a=user,", "user", "a")),
            ("n,a=a=2Cb,n=a=2Cb,r=a", ok("n,a=a=2Cb,", "a,b", "a")),
            ("n,,n=a=2Cb=3D,r=!~=", ok("n,,", "a,b=", "!~=")),
            ("n,,n=user,r=abc,x=1,Z==", ok("n,,", "user", "abc")),
            ("n,,n=\u{2168}\u{AD},r=a", ok("n,,", "IX", "a")),
            ("n,,n=\u{AD},r=a", Err(UserName)),
            ("n,a=other,n=user,r=a", Err(AuthorizationIdentity)),
            ("n,a=us=2,n=user,r=a", Err(AuthorizationIdentity)),
            ("n,user,n=user,r=a", Err(Syntax)),
            ("n,a=,n=user,r=a", Err(Syntax)),
            ("p=tls-unique,,n=user,r=a", Err(ChannelBinding)),
            ("x,,n=user,r=a", Err(Syntax)),
            (",,n=user,r=a", Err(Syntax)),
            ("N,,n=user,r=a", Err(Syntax)),
            ("n,,m=ext,n=user,r=a", Err(Extension)),
            ("n,,n=,r=a", Err(Syntax)),
            ("n,,n=user", Err(Syntax)),
            ("n,,n=user,r=", Err(Syntax)),
            ("n,,n=user,r=a b", Err(Syntax)),
            ("n,,n=user,r=\u{E4}", Err(Syntax)),
            ("n,,r=a,n=user", Err(Syntax)),
            ("n,,n=user,r=a,", Err(Syntax)),
            ("n,,n=user,r=a,xy=1", Err(Syntax)),
            ("n,,n=user,r=a,x=", Err(Syntax)),
            ("n,,n=user,r=a,1=1", Err(Syntax)),
            ("n,,n=a=b,r=a", Err(UserName)),
            ("n,,n=a=2c,r=a", Err(UserName)),
            ("n,,n=a=,r=a", Err(UserName)),
            ("n,,n=a\u{7}b,r=a", Err(UserName)),
            ("n,,n=a\0b,r=a", Err(Syntax)),
            ("n", Err(Syntax)),
            ("n,", Err(Syntax)),
            ("n,,", Err(Syntax)),
            ("", Err(Syntax)),
        ];
        for (message, expected) in cases {
            assert_eq!(first(message), expected, "{message:?}");
        }
        let long = "x".repeat(TEXT_BYTES_MAX);
        assert!(first(&format!("n,,n={long},r={long}")).is_ok());
        assert_eq!(first(&format!("n,,n={long}x,r=a")), Err(UserName));
        assert_eq!(first(&format!("n,,n=a,r={long}x")), Err(Syntax));
        assert_eq!(ClientFirst::parse(b"n,,n=\xFF,r=a"), Err(Syntax));
    }

    #[test]
    fn final_messages() {
        let proof = encode(&[7; 32]);
        let whole = format!("c=biws,r=abc,x=1,p={proof}");
        let parsed = ClientFinal::parse(whole.as_bytes()).unwrap();
        assert_eq!(parsed.without_proof, "c=biws,r=abc,x=1");
        assert_eq!(parsed.channel_binding, b"n,,");
        assert_eq!((parsed.nonce, parsed.proof), ("abc", [7; 32]));
        for wrong in [
            "",
            "p=",
            &format!("p={proof}"),
            &format!("c=biws,p={proof}"),
            &format!("r=abc,c=biws,p={proof}"),
            &format!("c=,r=abc,p={proof}"),
            &format!("c=biw,r=abc,p={proof}"),
            &format!("c=bix=,r=abc,p={proof}"),
            &format!("c=bi ws,r=abc,p={proof}"),
            &format!("c=biws,r=,p={proof}"),
            &format!("c=biws,r=abc,p={proof},x=1"),
            &format!("c=biws,r=abc,p={}", &proof[..43]),
            &format!("c=biws,r=abc,p={}", encode(&[7; 31])),
            &format!("c=biws,r=abc,p={}", encode(&[7; 33])),
            "c=biws,r=abc,p=",
            "c=biws,r=abc",
        ] {
            let parsed = ClientFinal::parse(wrong.as_bytes());
            assert_eq!(parsed, Err(MessageError::Syntax), "{wrong:?}");
        }
    }

    proptest! {
        /// Whatever comes, nothing panics, and what is accepted is what was sent.
        #[test]
        fn any_bytes_are_taken_apart_or_refused(message in any::<Vec<u8>>()) {
            let _first = ClientFirst::parse(&message);
            let _final = ClientFinal::parse(&message);
        }

        #[test]
        fn pieces_of_messages_are_taken_apart_or_refused(
            message in "[ny]?(,|,a=|,n=|n=|r=|m=|c=|p=|biws|=2C|=3D|=|[a-zA-Z!~]|\u{2168}|\u{AD}){0,12}",
        ) {
            if let Ok(first) = ClientFirst::parse(message.as_bytes()) {
                prop_assert_eq!(format!("{}{}", first.gs2_header, first.bare), message.clone());
                let nonce = format!("r={}", first.nonce);
                prop_assert!(message.contains(&nonce));
            }
            let _final = ClientFinal::parse(message.as_bytes());
        }

        /// A name goes in and comes out, whatever is in it.
        #[test]
        fn a_user_name_survives_its_escapes(name in "[ -~]{1,40}") {
            let escaped = name.replace('=', "=3D").replace(',', "=2C");
            let message = format!("n,,n={escaped},r=nonce");
            prop_assert_eq!(first(&message).map(|(_, user, _)| user), Ok(name));
        }
    }
}
