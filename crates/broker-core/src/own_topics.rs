//! The broker's own topics, `$SYS` and what is below: who may write there, and what the broker says there of
//! its clients.
//!
//! What is published to them is the broker's, or that of the program around it: no client's, and no traffic
//! of clients. It goes to those who are connected, at QoS 0, waits in no queue, is in no store, and counts
//! against no limit; what is retained is in memory alone.

use core::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

use topic_trie::{SharedFilterTrie, TopicError, TopicFilter, TopicName, Watch};

/// The first level of the broker's own topics.
const OWN: &str = "$SYS";

/// Whether only the broker publishes to the topic.
pub(crate) fn is_of_the_broker(topic: TopicName<'_>) -> bool {
    is_own_text(topic.as_str())
}

/// The same of a text that is known to be a topic name.
#[inline]
pub(crate) fn is_own_text(topic: &str) -> bool {
    let rest = topic.strip_prefix(OWN);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether the filter matches topics of the broker's alone. All others match none of them.
pub(crate) fn asks_for_the_broker(filter: TopicFilter<'_>) -> bool {
    filter.levels().next() == Some(OWN)
}

/// What a broker says of its clients below `$SYS/<id>`, as mosca does, each at the moment at which it happens and
/// to those who are subscribed then.
///
/// | topic | payload |
/// | --- | --- |
/// | `$SYS/<id>/new/clients` | the client identifier |
/// | `$SYS/<id>/disconnect/clients` | the client identifier |
/// | `$SYS/<id>/new/subscribes` | `{"clientId":"…","topic":"…"}` |
/// | `$SYS/<id>/new/unsubscribes` | the same |
///
/// While nobody is subscribed to a topic, what would be said there costs a few instructions.
///
/// ```
/// use broker_core::Announcements;
///
/// let announcements = Announcements::all("gateway-7".into())?;
/// assert_eq!(announcements.id(), "gateway-7");
/// assert!(Announcements::all("a/#".into()).is_err());
/// # Ok::<(), topic_trie::TopicError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Announcements {
    id: Arc<str>,
    /// Whether clients that were let in are announced.
    pub new_clients: bool,
    /// Whether clients are announced whose connection has ended, for whatever reason.
    pub disconnected_clients: bool,
    /// Whether subscriptions are announced that were granted, also in place of an earlier one, and those that have
    /// ended: cancelled, or with their session.
    pub subscriptions: bool,
}

impl Announcements {
    /// Announces everything below `$SYS/<id>`.
    ///
    /// # Errors
    /// If no topic name can have the id in it.
    pub fn all(id: Arc<str>) -> Result<Self, TopicError> {
        TopicName::new(&id)?;
        Ok(Self {
            id,
            new_clients: true,
            disconnected_clients: true,
            subscriptions: true,
        })
    }

    /// What stands behind `$SYS/`: one level, or several.
    pub fn id(&self) -> &str {
        &self.id
    }
}

/// What is announced.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Announcement<'a> {
    /// A client was let in.
    Connected(&'a str),
    /// The connection of a client has ended.
    Disconnected(&'a str),
    /// A client has subscribed to a filter.
    Subscribed(&'a str, &'a str),
    /// A subscription of a client to a filter has ended.
    Unsubscribed(&'a str, &'a str),
}

impl Announcement<'_> {
    pub(crate) fn payload(self) -> String {
        match self {
            Self::Connected(client) | Self::Disconnected(client) => client.to_owned(),
            Self::Subscribed(client, filter) | Self::Unsubscribed(client, filter) => {
                let mut json = String::with_capacity(32 + client.len() + filter.len());
                json.push_str(r#"{"clientId":"#);
                push_json_string(&mut json, client);
                json.push_str(r#","topic":"#);
                push_json_string(&mut json, filter);
                json.push('}');
                json
            }
        }
    }
}

/// Appends a text as a string of JSON (RFC 8259 section 7).
fn push_json_string(json: &mut String, text: &str) {
    json.push('"');
    for char in text.chars() {
        match char {
            '"' | '\\' => json.extend(['\\', char]),
            '\0'..='\x1F' => json.push_str(&format!("\\u{:04x}", u32::from(char))),
            _ => json.push(char),
        }
    }
    json.push('"');
}

/// The topics on which a broker announces.
#[derive(Debug, Default)]
pub(crate) struct Announcer {
    connected: Option<Announced>,
    disconnected: Option<Announced>,
    subscribed: Option<Announced>,
    unsubscribed: Option<Announced>,
}

/// One topic, and whether somebody listens.
#[derive(Debug)]
pub(crate) struct Announced {
    topic: Box<str>,
    watch: Watch,
    /// The router's generation for this topic at which nobody had subscribed to it.
    unheard: AtomicU64,
}

impl Announcer {
    pub(crate) fn new<K, V>(
        wanted: Option<&Announcements>,
        subscriptions: &SharedFilterTrie<K, V>,
    ) -> Self {
        let Some(wanted) = wanted else {
            return Self::default();
        };
        let announced = |is_wanted: bool, end: &str| {
            let topic = format!("{OWN}/{}/{end}", wanted.id);
            let watch = TopicName::new(&topic).map(|topic| subscriptions.watch(topic));
            let watch = watch.ok().filter(|_| is_wanted)?;
            Some(Announced {
                topic: topic.into(),
                watch,
                unheard: AtomicU64::new(u64::MAX),
            })
        };
        Self {
            connected: announced(wanted.new_clients, "new/clients"),
            disconnected: announced(wanted.disconnected_clients, "disconnect/clients"),
            subscribed: announced(wanted.subscriptions, "new/subscribes"),
            unsubscribed: announced(wanted.subscriptions, "new/unsubscribes"),
        }
    }

    /// Where this is announced, if it is.
    pub(crate) fn place(&self, announcement: Announcement<'_>) -> Option<&Announced> {
        match announcement {
            Announcement::Connected(_) => self.connected.as_ref(),
            Announcement::Disconnected(_) => self.disconnected.as_ref(),
            Announcement::Subscribed(..) => self.subscribed.as_ref(),
            Announcement::Unsubscribed(..) => self.unsubscribed.as_ref(),
        }
    }

    /// Where it is announced that subscriptions have ended, if it is.
    pub(crate) fn unsubscribed(&self) -> Option<&Announced> {
        self.unsubscribed.as_ref()
    }
}

impl Announced {
    pub(crate) fn topic(&self) -> &str {
        &self.topic
    }

    /// What the router has for this topic, as a number: to be read before it is asked who receives. `None` if it is
    /// known that nobody does.
    pub(crate) fn generation<K, V>(&self, subscriptions: &SharedFilterTrie<K, V>) -> Option<u64> {
        let generation = subscriptions.generation_at(self.watch);
        (self.unheard.load(Ordering::Relaxed) != generation).then_some(generation)
    }

    /// At this generation there was nobody.
    pub(crate) fn note_unheard(&self, generation: u64) {
        self.unheard.store(generation, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_dollar_sys_and_what_is_below_is_of_the_broker() {
        for (topic, is_own) in [
            ("$SYS", true),
            ("$SYS/", true),
            ("$SYS/a", true),
            ("$SYSa", false),
            ("$sys/a", false),
            ("a/$SYS", false),
            ("/$SYS", false),
        ] {
            assert_eq!(is_of_the_broker(TopicName::new(topic).unwrap()), is_own);
            let filter = TopicFilter::new(topic).unwrap();
            assert_eq!(asks_for_the_broker(filter), is_own);
        }
        for filter in ["#", "+", "+/a", "$SYSa/#"] {
            assert!(!asks_for_the_broker(TopicFilter::new(filter).unwrap()));
        }
        assert!(asks_for_the_broker(TopicFilter::new("$SYS/#").unwrap()));
    }

    #[test]
    fn what_clients_choose_cannot_break_out_of_a_payload() {
        let payload = Announcement::Subscribed("a\"b\\", "\n/\u{1}/é/\u{7f}").payload();
        let expected = "{\"clientId\":\"a\\\"b\\\\\",\"topic\":\"\\u000a/\\u0001/é/\u{7f}\"}";
        assert_eq!(payload, expected);
        assert_eq!(Announcement::Connected("a\"b").payload(), "a\"b");
    }
}
