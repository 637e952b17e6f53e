//! The PUBLISH that a server sends most: without properties, and not a duplicate.

use bytes::BufMut;

use super::publish::RETAIN;
use crate::{
    PacketId, PacketType, QoS, Version,
    encode::{packet_len, put_fixed_header, variable_byte_integer_len},
    text::contains_nul,
};

/// A PUBLISH without properties that was found to be encodable for every version and QoS, so that
/// measuring and writing it for one receiver after the other takes little and cannot fail.
///
/// What is written is what [`Publish::encode_head`](crate::Publish::encode_head) writes.
///
/// ```
/// use mqtt_codec::{PacketId, PlainPublish, Publish, QoS, Version};
///
/// let plain = PlainPublish::new("a/b", b"hello").expect("a topic name and a short payload");
/// let mut written = Vec::new();
/// plain.encode_head(Version::V5, QoS::AtLeastOnce, false, PacketId::MIN, &mut written);
/// written.extend_from_slice(b"hello");
/// assert_eq!(written.len(), plain.encoded_len(Version::V5, QoS::AtLeastOnce));
///
/// let mut publish = Publish::new("a/b", b"hello");
/// publish.qos = QoS::AtLeastOnce;
/// publish.packet_id = Some(PacketId::MIN);
/// let mut expected = Vec::new();
/// publish.encode(Version::V5, &mut expected)?;
/// assert_eq!(written, expected);
/// # Ok::<(), mqtt_codec::EncodeError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlainPublish<'a> {
    topic: &'a str,
    topic_bytes: u16,
    payload_bytes: usize,
}

impl<'a> PlainPublish<'a> {
    /// `None` if the topic name is empty, has U+0000 or more than 65,535 bytes, or if the packet
    /// would be too large; [`Publish::encode`](crate::Publish::encode) says which.
    #[must_use]
    #[inline]
    pub fn new(topic: &'a str, payload: &[u8]) -> Option<Self> {
        let topic_bytes = u16::try_from(topic.len()).ok()?;
        let plain = Self {
            topic,
            topic_bytes,
            payload_bytes: payload.len(),
        };
        let largest = plain.body_len(Version::V5, QoS::ExactlyOnce);
        let is_fit = topic_bytes > 0 && packet_len(largest).is_ok() && !contains_nul(topic);
        is_fit.then_some(plain)
    }

    /// Bytes of the whole packet, payload included.
    #[must_use]
    #[inline]
    pub fn encoded_len(&self, version: Version, qos: QoS) -> usize {
        let body = self.body_len(version, qos);
        1 + variable_byte_integer_len(body) + body
    }

    /// Appends everything but the payload. The packet identifier is left out at QoS 0. Returns where
    /// in what was appended it is, or would be.
    #[inline]
    pub fn encode_head(
        &self,
        version: Version,
        qos: QoS,
        retain: bool,
        packet_id: PacketId,
        buf: &mut impl BufMut,
    ) -> usize {
        let body = self.body_len(version, qos);
        let retain = if retain { RETAIN } else { 0 };
        let first = PacketType::Publish.first_byte() | qos.as_u8() << 1 | retain;
        put_fixed_header(buf, first, body);
        buf.put_u16(self.topic_bytes);
        buf.put_slice(self.topic.as_bytes());
        if qos != QoS::AtMostOnce {
            buf.put_u16(packet_id.get());
        }
        if version.is_v5() {
            buf.put_u8(0);
        }
        1 + variable_byte_integer_len(body) + 2 + usize::from(self.topic_bytes)
    }

    #[inline]
    fn body_len(&self, version: Version, qos: QoS) -> usize {
        let packet_id = if qos == QoS::AtMostOnce { 0 } else { 2 };
        let properties = usize::from(version.is_v5());
        2 + usize::from(self.topic_bytes) + packet_id + properties + self.payload_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::PlainPublish;
    use crate::{PacketId, Publish, QoS, Version, header::MAX_REMAINING_LENGTH};
    use alloc::{string::String, vec, vec::Vec};
    use proptest::prelude::*;

    const VERSIONS: [Version; 3] = [Version::V31, Version::V311, Version::V5];
    const QOS: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];

    fn agrees(topic: &str, payload: &[u8], id: PacketId) -> Result<(), TestCaseError> {
        let plain = PlainPublish::new(topic, payload);
        for (version, qos) in VERSIONS.iter().flat_map(|v| QOS.map(|qos| (*v, qos))) {
            for retain in [false, true] {
                let packet_id = (qos != QoS::AtMostOnce).then_some(id);
                let publish = Publish {
                    qos,
                    retain,
                    packet_id,
                    ..Publish::new(topic, payload)
                };
                let mut expected = vec![9];
                let encoded = publish.encode_head(version, &mut expected);
                prop_assert_eq!(encoded.is_ok(), plain.is_some());
                let (Ok(head), Some(plain)) = (encoded, plain) else {
                    continue;
                };
                let mut written = vec![9];
                let id_at = plain.encode_head(version, qos, retain, id, &mut written);
                prop_assert_eq!(written, expected);
                prop_assert_eq!(head.packet_id_offset.unwrap_or(id_at), id_at);
                let len = plain.encoded_len(version, qos);
                prop_assert_eq!(publish.encoded_len(version), Ok(len));
            }
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn it_is_written_as_any_publish_is(
            topic in "[^\u{0}]{1,40}",
            payload in prop_oneof![0..300_usize, 16_300..16_500_usize],
            id in 1..=u16::MAX,
        ) {
            agrees(&topic, &vec![7; payload], PacketId::new(id).unwrap_or(PacketId::MIN))?;
        }
    }

    #[test]
    fn what_cannot_be_encoded_is_not_plain() {
        let long = "x".repeat(65_535);
        for topic in ["", "a\0b", &(String::new() + &long + "x")] {
            agrees(topic, b"", PacketId::MIN).unwrap();
            assert_eq!(PlainPublish::new(topic, b""), None);
        }
        agrees(&long, b"", PacketId::MIN).unwrap();
        let payload: Vec<u8> = vec![0; MAX_REMAINING_LENGTH - 6];
        assert!(PlainPublish::new("a", &payload).is_some());
        assert_eq!(PlainPublish::new("ab", &payload), None);
    }
}
