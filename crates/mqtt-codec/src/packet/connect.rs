//! CONNECT: the first packet of every connection, which also tells the version of all
//! that follow (section 3.1).
//!
//! ```text
//! | protocol name | level (1) | flags (1) | keep alive (2) | properties | client identifier |
//! | will properties | will topic | will payload | user name | password |   each if flagged
//!
//! flags: user name, password, will retain, will QoS (2 bits), will, clean start, reserved
//! ```

use bytes::BufMut;

use crate::{
    DecodeError, EncodeError, PacketType, Properties, QoS, Version,
    cursor::Cursor,
    encode::{Encode, binary_len, impl_encode, put_binary, put_string, string_len},
    property_set::allowed,
};

const USER_NAME: u8 = 1 << 7;
const PASSWORD: u8 = 1 << 6;
const WILL_RETAIN: u8 = 1 << 5;
const WILL_QOS: u8 = 0b11 << 3;
const WILL: u8 = 1 << 2;
const CLEAN_START: u8 = 1 << 1;
const RESERVED: u8 = 1;

/// CONNECT: opens a connection (section 3.1). `Debug` says whether there is a password, and does not
/// show it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Connect<'a> {
    /// The version that this and every later packet of the connection is in.
    pub version: Version,
    /// Clean Start; called Clean Session before MQTT 5.0, where it also ends the
    /// session with the connection.
    pub clean_start: bool,
    /// Seconds between two packets of the client at most; 0 means no limit.
    pub keep_alive: u16,
    /// May be empty, which asks the server to choose one; which lengths and characters
    /// are acceptable is for the server to say.
    pub client_id: &'a str,
    /// The message to publish when the connection ends unexpectedly.
    pub will: Option<Will<'a>>,
    /// The user name.
    pub username: Option<&'a str>,
    /// Any bytes; needs a user name before MQTT 5.0 \[MQTT-3.1.2-22\].
    pub password: Option<&'a [u8]>,
    /// Properties of the connection (MQTT 5.0).
    pub properties: Properties<'a>,
}

/// The will message of a CONNECT (section 3.1.2.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Will<'a> {
    /// The QoS that it is published with.
    pub qos: QoS,
    /// Whether it is retained.
    pub retain: bool,
    /// Its topic name; checked as a string only.
    pub topic: &'a str,
    /// Any bytes, also none.
    pub payload: &'a [u8],
    /// Will delay, and the properties of the message (MQTT 5.0, section 3.1.3.2).
    pub properties: Properties<'a>,
}

impl<'a> Connect<'a> {
    /// A clean start without keep alive, will, credentials and properties.
    #[must_use]
    pub const fn new(version: Version, client_id: &'a str) -> Self {
        Self {
            version,
            clean_start: true,
            keep_alive: 0,
            client_id,
            will: None,
            username: None,
            password: None,
            properties: Properties::EMPTY,
        }
    }

    #[inline]
    pub(crate) fn decode_body(mut body: Cursor<'a>) -> Result<Self, DecodeError> {
        let version = decode_version(&mut body)?;
        let flags = body.u8()?;
        check_flags(flags, version)?;
        let keep_alive = body.u16()?;
        let properties = if version.is_v5() {
            Properties::decode(&mut body, allowed::CONNECT)?
        } else {
            Properties::EMPTY
        };
        let client_id = body.string()?;
        let will = if flags & WILL != 0 {
            Some(Will::decode(&mut body, flags, version)?)
        } else {
            None
        };
        // MQTT 3.1 lets its flags announce credentials that the remaining length then
        // leaves no room for (its section "CONNECT", user name and password flags).
        let may_be_missing = version == Version::V31;
        let username = if flags & USER_NAME == 0 || may_be_missing && body.is_empty() {
            None
        } else {
            Some(body.string()?)
        };
        let password = if flags & PASSWORD == 0 || may_be_missing && body.is_empty() {
            None
        } else {
            Some(body.binary()?)
        };
        body.finish()?;
        Ok(Self {
            version,
            clean_start: flags & CLEAN_START != 0,
            keep_alive,
            client_id,
            will,
            username,
            password,
            properties,
        })
    }

    fn flags(&self) -> u8 {
        let mut flags = 0;
        if self.clean_start {
            flags |= CLEAN_START;
        }
        if let Some(will) = &self.will {
            flags |= WILL | will.qos.as_u8() << 3;
            if will.retain {
                flags |= WILL_RETAIN;
            }
        }
        if self.username.is_some() {
            flags |= USER_NAME;
        }
        if self.password.is_some() {
            flags |= PASSWORD;
        }
        flags
    }
}

impl core::fmt::Debug for Connect<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Connect")
            .field("version", &self.version)
            .field("clean_start", &self.clean_start)
            .field("keep_alive", &self.keep_alive)
            .field("client_id", &self.client_id)
            .field("will", &self.will)
            .field("username", &self.username)
            .field("has_password", &self.password.is_some())
            .field("properties", &self.properties)
            .finish_non_exhaustive()
    }
}

/// Name and level. Nothing behind them is looked at before they are known: a future
/// version may lay out the rest differently.
fn decode_version(body: &mut Cursor<'_>) -> Result<Version, DecodeError> {
    let name = body.binary()?;
    if name != b"MQTT" && name != b"MQIsdp" {
        return Err(DecodeError::ProtocolNameUnknown);
    }
    match (name, body.u8()?) {
        (b"MQIsdp", 3) => Ok(Version::V31),
        (b"MQTT", 4) => Ok(Version::V311),
        (b"MQTT", 5) => Ok(Version::V5),
        _ => Err(DecodeError::ProtocolLevelUnsupported),
    }
}

/// The rules among the flags. MQTT 3.1 leaves bit 0 unused, and disregards will QoS and
/// will retain when there is no will; from 3.1.1 on they have to be zero.
fn check_flags(flags: u8, version: Version) -> Result<(), DecodeError> {
    let strict = version != Version::V31;
    if strict && flags & RESERVED != 0 {
        return Err(DecodeError::ConnectFlagReserved);
    }
    if flags & WILL == 0 && strict && flags & (WILL_QOS | WILL_RETAIN) != 0 {
        return Err(DecodeError::WillFlagsWithoutWill);
    }
    if flags & WILL != 0 && flags & WILL_QOS == WILL_QOS {
        return Err(DecodeError::QosReserved);
    }
    if !version.is_v5() && flags & PASSWORD != 0 && flags & USER_NAME == 0 {
        return Err(DecodeError::PasswordWithoutUserName);
    }
    Ok(())
}

impl<'a> Will<'a> {
    /// A QoS 0 will, not retained, without properties.
    #[must_use]
    pub const fn new(topic: &'a str, payload: &'a [u8]) -> Self {
        Self {
            qos: QoS::AtMostOnce,
            retain: false,
            topic,
            payload,
            properties: Properties::EMPTY,
        }
    }

    fn decode(body: &mut Cursor<'a>, flags: u8, version: Version) -> Result<Self, DecodeError> {
        let properties = if version.is_v5() {
            Properties::decode(body, allowed::WILL)?
        } else {
            Properties::EMPTY
        };
        Ok(Self {
            qos: QoS::from_u8((flags & WILL_QOS) >> 3).ok_or(DecodeError::QosReserved)?,
            retain: flags & WILL_RETAIN != 0,
            topic: body.string()?,
            payload: body.binary()?,
            properties,
        })
    }
}

impl_encode!(Connect<'_>);

impl Encode for Connect<'_> {
    fn first_byte(&self) -> u8 {
        PacketType::Connect.first_byte()
    }

    fn body_len(&self, _: Version) -> Result<usize, EncodeError> {
        let is_v5 = self.version.is_v5();
        let mut len = 2 + self.version.protocol_name().len() + 1 + 1 + 2;
        if is_v5 {
            len += self.properties.checked_len(allowed::CONNECT)?;
        }
        len += string_len(self.client_id)?;
        if let Some(will) = &self.will {
            if is_v5 {
                len += will.properties.checked_len(allowed::WILL)?;
            }
            len += string_len(will.topic)? + binary_len(will.payload)?;
        }
        if let Some(username) = self.username {
            len += string_len(username)?;
        }
        if let Some(password) = self.password {
            if !is_v5 && self.username.is_none() {
                return Err(EncodeError::PasswordWithoutUserName);
            }
            len += binary_len(password)?;
        }
        Ok(len)
    }

    fn write_body(&self, _: Version, buf: &mut impl BufMut) {
        let is_v5 = self.version.is_v5();
        put_string(buf, self.version.protocol_name());
        buf.put_u8(self.version.level());
        buf.put_u8(self.flags());
        buf.put_u16(self.keep_alive);
        if is_v5 {
            self.properties.put(buf);
        }
        put_string(buf, self.client_id);
        if let Some(will) = &self.will {
            if is_v5 {
                will.properties.put(buf);
            }
            put_string(buf, will.topic);
            put_binary(buf, will.payload);
        }
        if let Some(username) = self.username {
            put_string(buf, username);
        }
        if let Some(password) = self.password {
            put_binary(buf, password);
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;
    use crate::OwnedPacket;

    #[test]
    fn the_password_is_not_shown() {
        let mut connect = Connect::new(Version::V5, "phone");
        connect.username = Some("eve");
        connect.password = Some(b"xyzzy");
        let owned = connect.to_owned();
        let packet = OwnedPacket::Connect(owned.clone());
        for shown in [
            format!("{connect:?}"),
            format!("{:?}", crate::Packet::Connect(connect)),
            format!("{owned:?}"),
            format!("{packet:?}"),
        ] {
            assert!(shown.contains("eve") && shown.contains("has_password: true"));
            // Neither as text nor as numbers.
            assert!(
                !shown.contains("xyzzy") && !shown.contains("120"),
                "{shown}"
            );
        }
    }
}
