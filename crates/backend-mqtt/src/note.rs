//! What a node writes on its messages for other nodes, where MQTT has no place of its own for it: a user property.
//!
//! Its value is a line of words with one space between: the version of the format, the number of the node's start,
//! that of the message, the stamp of its retaining, its quality of service, the milliseconds that it has left (`-`
//! for ever), the name of the node, and the client that has published it, if one has. Numbers are hexadecimal; in
//! names `%` and two digits stand for each byte that is no printable ASCII character, a space or `%`: a server may
//! end the connection over texts that have anything in them.

use std::borrow::Cow;
use std::time::Duration;

use broker_core::backend::{NodeId, Tag};
use broker_core::persistence::ClientId;
use mqtt_codec::{Properties, QoS};
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

/// The name of the user property.
pub(crate) const NAME: &str = "mosca-node";

/// The version of the format.
const VERSION: &str = "1";

/// What has no milliseconds.
const FOR_EVER: &str = "-";

/// What is escaped in names, beside all that is not ASCII.
const ESCAPED: &AsciiSet = &CONTROLS.add(b' ').add(b'%');

/// What is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Note {
    pub(crate) tag: Tag,
    pub(crate) retained_at: u64,
    pub(crate) qos: QoS,
    pub(crate) expires_in: Option<Duration>,
    pub(crate) publisher: Option<ClientId>,
}

impl Note {
    /// The value of the property.
    pub(crate) fn to_text(&self) -> String {
        let Tag { node, number } = &self.tag;
        let left = self.expires_in.map_or(Cow::Borrowed(FOR_EVER), |left| {
            let millis = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
            format!("{millis:x}").into()
        });
        let name = utf8_percent_encode(&node.name, ESCAPED);
        let (start, retained_at, qos) = (node.start, self.retained_at, self.qos.as_u8());
        let mut text =
            format!("{VERSION} {start:x} {number:x} {retained_at:x} {qos} {left} {name}");
        if let Some(publisher) = &self.publisher {
            text.push(' ');
            text.extend(utf8_percent_encode(publisher, ESCAPED));
        }
        text
    }

    /// Reads what [`to_text`](Self::to_text) has made; `None` if it is anything else.
    pub(crate) fn from_text(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        words.next().filter(|version| *version == VERSION)?;
        let (start, number) = (number(words.next()?)?, number(words.next()?)?);
        let retained_at = self::number(words.next()?)?;
        let qos = QoS::from_u8(words.next()?.parse().ok()?)?;
        let expires_in = match words.next()? {
            FOR_EVER => None,
            left => Some(Duration::from_millis(self::number(left)?)),
        };
        let node = NodeId::new(&*name(words.next()?)?, start);
        let publisher = match words.next() {
            Some(publisher) => Some(ClientId::from(&*name(publisher)?)),
            None => None,
        };
        words.next().is_none().then_some(Self {
            tag: Tag { node, number },
            retained_at,
            qos,
            expires_in,
            publisher,
        })
    }
}

fn name(text: &str) -> Option<Cow<'_, str>> {
    percent_decode_str(text).decode_utf8().ok()
}

fn number(text: &str) -> Option<u64> {
    u64::from_str_radix(text, 16).ok()
}

/// What nodes have written on a message, in their order: one of each level of a tree through which it has come.
pub(crate) fn notes(properties: Properties<'_>) -> impl Iterator<Item = Note> {
    let texts = properties.user_properties();
    texts.filter_map(|(name, text)| (name == NAME).then(|| Note::from_text(text))?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    prop_compose! {
        fn note()(
            name in ".{0,20}",
            (start, number, retained_at) in any::<(u64, u64, u64)>(),
            qos in prop::sample::select(vec![QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce]),
            left in prop::option::of(any::<u64>()),
            publisher in prop::option::of(".{0,20}"),
        ) -> Note {
            Note {
                tag: Tag { node: NodeId::new(name, start), number },
                retained_at,
                qos,
                expires_in: left.map(Duration::from_millis),
                publisher: publisher.map(Into::into),
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(note in note()) {
            prop_assert_eq!(Note::from_text(&note.to_text()), Some(note));
        }

        #[test]
        fn any_text_is_a_note_or_none(text in "1?[ a-f0-9%-]{0,60}|.{0,60}") {
            if let Some(note) = Note::from_text(&text) {
                prop_assert_eq!(Note::from_text(&note.to_text()), Some(note));
            }
        }

        #[test]
        fn no_beginning_of_a_note_is_another_one(note in note()) {
            let text = Note { publisher: None, ..note.clone() }.to_text();
            let name = text.rfind(' ').unwrap();
            for (end, _) in text.char_indices().take_while(|(at, _)| at <= &name) {
                prop_assert_eq!(Note::from_text(&text[..end]), None);
            }
        }
    }

    #[test]
    fn it_is_compact_and_of_a_known_version() {
        let text = "1 ff 2a 0 1 5dc node-1 sensor%207";
        let note = Note::from_text(text).unwrap();
        assert_eq!(&*note.tag.node.name, "node-1");
        assert_eq!((note.tag.node.start, note.tag.number), (255, 42));
        assert_eq!(note.expires_in, Some(Duration::from_millis(1_500)));
        assert_eq!(note.publisher.as_deref(), Some("sensor 7"));
        assert_eq!(note.to_text(), text);
        assert_eq!(Note::from_text(&text.replacen('1', "2", 1)), None);
    }
}
