//! How what a session sends is put into bytes: the codec's packets, filled from what we keep.

use mqtt_codec::{
    PacketId, Properties, PropertiesBuf, Property, PropertySet, PubRel, Publish, QoS, Version,
};

use crate::topic_aliases::Naming;

/// All of a PUBLISH to one receiver but the bytes of its payload.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head<'a> {
    pub(crate) version: Version,
    pub(crate) dup: bool,
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
    pub(crate) packet_id: Option<PacketId>,
    /// Empty where the alias stands for it.
    pub(crate) topic: &'a str,
    pub(crate) topic_alias: Option<u16>,
    /// Forwarded as they are; see [`MessageParts`](crate::MessageParts).
    pub(crate) properties: &'a [u8],
    pub(crate) expiry_secs: Option<u32>,
    pub(crate) subscription_ids: &'a [u32],
    pub(crate) payload: &'a [u8],
}

impl Head<'_> {
    /// Appends the head to `flat`, and returns where in `flat` the packet identifier is (0 if there
    /// is none). `None` if no such packet can be encoded; `flat` is then as it was.
    #[inline]
    pub(crate) fn put(&self, flat: &mut Vec<u8>, scratch: &mut PropertiesBuf) -> Option<usize> {
        let start = flat.len();
        let publish = self.publish(scratch)?;
        let head = publish.encode_head(self.version, flat).ok()?;
        Some(head.packet_id_offset.map_or(0, |offset| start + offset))
    }

    /// The same, naming its topic so.
    pub(crate) fn named(&self, naming: Naming) -> Self {
        Self {
            topic: naming.topic(self.topic),
            topic_alias: naming.alias(),
            ..*self
        }
    }

    /// Bytes of the whole packet, payload included; `None` if it cannot be encoded.
    #[inline]
    pub(crate) fn packet_bytes(&self, scratch: &mut PropertiesBuf) -> Option<usize> {
        self.publish(scratch)?.encoded_len(self.version).ok()
    }

    #[inline]
    fn publish<'b>(&'b self, scratch: &'b mut PropertiesBuf) -> Option<Publish<'b>> {
        let plain = self.topic_alias.is_none()
            && self.expiry_secs.is_none()
            && self.subscription_ids.is_empty()
            && self.properties.is_empty();
        let properties = if plain || !self.version.is_v5() {
            Properties::EMPTY
        } else {
            self.properties(scratch)?
        };
        Some(Publish {
            dup: self.dup,
            qos: self.qos,
            retain: self.retain,
            topic: self.topic,
            packet_id: self.packet_id,
            properties,
            payload: self.payload,
        })
    }

    /// Gathers what the packet says in properties.
    fn properties<'b>(&self, scratch: &'b mut PropertiesBuf) -> Option<Properties<'b>> {
        scratch.clear();
        if let Some(alias) = self.topic_alias {
            scratch.push(Property::TopicAlias(alias)).ok()?;
        }
        if let Some(secs) = self.expiry_secs {
            scratch.push(Property::MessageExpiryInterval(secs)).ok()?;
        }
        for id in self.subscription_ids {
            scratch.push(Property::SubscriptionIdentifier(*id)).ok()?;
        }
        let forwarded = Properties::from_raw(self.properties, PropertySet::FORWARDED).ok()?;
        scratch.extend(forwarded, PropertySet::FORWARDED).ok()?;
        Some(scratch.as_properties())
    }
}

/// Appends PUBREL.
pub(crate) fn put_pubrel(flat: &mut Vec<u8>, version: Version, id: PacketId) {
    // Without properties and with success as its reason there is nothing to fail.
    let _encoded = PubRel::new(id).encode(version, flat);
}
