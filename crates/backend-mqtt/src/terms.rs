//! What holds on one connection to the parent.

use broker_core::backend::{NodeId, Prefix};
use mqtt_client::{Client, ServerLimits, Version};
use mqtt_codec::{Properties, Property};
use topic_trie::TopicName;

use crate::options::MqttBackendOptions;

/// Where nodes tell each other what is for all of them.
const CONTROL: &str = "$mosca/nodes";

/// A filter matches topics that are shorter than itself, by two bytes and one for each `+`. So many, and those of
/// the longest filters that are not said are by so much shorter than these.
const SHORTER_BYTES: usize = 256;

/// Who the node is there, and what the parent takes.
#[derive(Debug)]
pub(crate) struct Terms {
    pub(crate) node: NodeId,
    pub(crate) prefix: Prefix,
    pub(crate) version: Version,
    pub(crate) limits: ServerLimits,
    /// The control topic, unless the parent does not want it, or the node is not to be one of several.
    pub(crate) control: Option<String>,
    max_topic_bytes: usize,
    max_topic_levels: usize,
}

impl Terms {
    pub(crate) fn new(
        node: NodeId,
        options: &MqttBackendOptions,
        client: &Client,
        version: Version,
        control: Option<String>,
    ) -> Self {
        Self {
            node,
            prefix: options.prefix.clone(),
            version,
            limits: *client.limits(),
            control,
            max_topic_bytes: options.max_topic_bytes,
            max_topic_levels: options.max_topic_levels,
        }
    }

    pub(crate) fn is_v5(&self) -> bool {
        self.version.is_v5()
    }

    pub(crate) fn is_control(&self, topic: &str) -> bool {
        self.control.as_deref() == Some(topic)
    }

    /// Whether it can be relied on that the parent takes this topic name of its own. A parent may end the
    /// connection over one that it does not take, and any client of the node can make one up.
    pub(crate) fn takes_topic(&self, topic: &str) -> bool {
        let max_bytes = self.max_topic_bytes.saturating_sub(SHORTER_BYTES);
        let levels = topic.split('/').count();
        topic.len() <= max_bytes && levels < self.max_topic_levels && is_plain(topic)
    }

    /// The same of a topic filter. No topic that the parent takes is matched by one that it does not.
    pub(crate) fn takes_filter(&self, filter: &str) -> bool {
        let levels = filter.split('/').count();
        filter.len() <= self.max_topic_bytes && levels <= self.max_topic_levels && is_plain(filter)
    }

    /// Whether the parent takes a packet of so many bytes.
    pub(crate) fn allows_bytes(&self, packet: usize) -> bool {
        let maximum = self.limits.maximum_packet_size;
        maximum.is_none_or(|maximum| packet <= maximum as usize)
    }
}

/// Whether the parent takes such properties of a message: it may end the connection over a text that a server
/// need not take.
pub(crate) fn are_plain(properties: Properties<'_>) -> bool {
    properties.iter().all(|property| match property {
        Property::ContentType(text) => is_plain(text),
        Property::ResponseTopic(topic) => is_plain(topic) && TopicName::new(topic).is_ok(),
        Property::UserProperty(name, value) => is_plain(name) && is_plain(value),
        _ => true,
    })
}

/// Whether a text has none of the characters over which a server may end the connection: controls, and what is no
/// character (MQTT 5.0, section 1.5.4).
fn is_plain(text: &str) -> bool {
    let is_none = |it: char| {
        let code = u32::from(it);
        code & 0xFFFE == 0xFFFE || (0xFDD0..=0xFDEF).contains(&code)
    };
    !text.chars().any(|it| it.is_control() || is_none(it))
}

/// The control topic of the nodes that have this prefix.
pub(crate) fn control_topic(prefix: &Prefix) -> String {
    match prefix.as_str().strip_suffix('/') {
        Some(levels) => format!("{CONTROL}/{levels}"),
        None => CONTROL.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use topic_trie::TopicFilter;

    use super::*;

    pub(crate) fn terms(max_topic_bytes: usize, max_topic_levels: usize) -> Terms {
        Terms {
            node: NodeId::new("node", 7),
            prefix: Prefix::default(),
            version: Version::V5,
            limits: ServerLimits::default(),
            control: Some(CONTROL.to_owned()),
            max_topic_bytes,
            max_topic_levels,
        }
    }

    proptest! {
        #[test]
        fn what_a_filter_matches_that_is_not_said_is_not_on_an_ordinary_topic(
            topic in "[a\u{1}/]{1,20}",
            filter in "[a\u{1}+]{0,2}(/(\\+|a|\u{1}|)){0,8}(/#)?",
            bytes in SHORTER_BYTES..SHORTER_BYTES + 10,
            levels in 1..8_usize,
        ) {
            let (Ok(name), Ok(parsed)) = (TopicName::new(&topic), TopicFilter::new(&filter)) else {
                return Ok(());
            };
            let terms = terms(bytes, levels);
            if parsed.matches(name) && terms.takes_topic(&topic) {
                prop_assert!(terms.takes_filter(&filter));
            }
        }
    }

    #[test]
    fn what_a_parent_may_close_the_connection_over_is_known() {
        let terms = terms(SHORTER_BYTES + 6, 3);
        for topic in ["a/b", "\u{fc}\u{1f600}", "a/b c"] {
            assert!(terms.takes_topic(topic), "{topic}");
        }
        for topic in [
            "a/b/c",
            "a/seven",
            "a\u{1}",
            "\u{85}",
            "\u{fdd0}",
            "\u{1ffff}",
        ] {
            assert!(!terms.takes_topic(topic), "{topic:?}");
        }
    }

    #[test]
    fn nodes_of_each_prefix_have_a_control_topic_of_their_own() {
        for (prefix, topic) in [
            ("", "$mosca/nodes"),
            ("s", "$mosca/nodes/s"),
            ("/s/t/", "$mosca/nodes//s/t"),
        ] {
            assert_eq!(control_topic(&Prefix::new(prefix).unwrap()), topic);
        }
    }
}
