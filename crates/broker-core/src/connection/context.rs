//! What the handlers of packets share: the broker, the time, and the way to reply.

use std::sync::Arc;

use mqtt_codec::{EncodeError, Properties, PropertiesBuf};

use super::Connected;
use crate::Timestamp;
use crate::broker::Broker;
use crate::close::CloseCause;
use crate::effects::Effects;
use crate::options::PACKET_SIZE_MAX;
use crate::own_topics::Announcement;
use crate::reason::put_explained;

/// What a packet's handler needs besides the connection.
pub(crate) struct Context<'a> {
    pub(crate) broker: &'a Arc<Broker>,
    pub(crate) now: Timestamp,
    pub(crate) effects: &'a mut Effects,
    /// The client's maximum packet size.
    pub(super) reply_bytes_max: usize,
    /// Whether the client wants reason strings wherever there may be one.
    pub(super) problem_information: bool,
}

impl Connected {
    /// The client's maximum packet size.
    pub(super) fn reply_bytes_max(&self) -> usize {
        let maximum = self.extras.as_ref();
        let maximum = maximum.and_then(|extras| extras.maximum_packet_size);
        maximum.unwrap_or(PACKET_SIZE_MAX) as usize
    }

    /// Whether the client wants reason strings wherever there may be one.
    pub(super) fn wants_problem_information(&self) -> bool {
        let extras = self.extras.as_ref();
        self.version.is_v5() && !extras.is_some_and(|extras| extras.declines_problem_information)
    }

    /// What this connection's handlers need.
    pub(super) fn context<'a>(
        &self,
        broker: &'a Arc<Broker>,
        now: Timestamp,
        effects: &'a mut Effects,
    ) -> Context<'a> {
        Context {
            broker,
            now,
            effects,
            reply_bytes_max: self.reply_bytes_max(),
            problem_information: self.wants_problem_information(),
        }
    }
}

impl Context<'_> {
    /// Whether a reply of so many bytes can be sent. To be asked before the packet that asks for it
    /// has an effect, where the size of the reply is the client's choice.
    pub(super) fn check_reply(&self, bytes: Result<usize, EncodeError>) -> Result<(), CloseCause> {
        match bytes {
            Ok(bytes) if bytes > self.reply_bytes_max => Err(CloseCause::ReplyTooLarge),
            _ => Ok(()),
        }
    }

    /// Appends a packet to the replies that go out when the batch has been committed. One that is
    /// larger than the client takes is not sent [MQTT-3.1.2-24]; those that a client can make so
    /// large are seen to by [`check_reply`](Self::check_reply).
    pub(super) fn reply<E>(&mut self, encode: impl FnOnce(&mut Vec<u8>) -> Result<usize, E>) {
        let replies = &mut self.effects.ticket.replies;
        let before = replies.len();
        // Replies are made of parts that were checked; one that cannot be encoded is not sent.
        let _encoded = encode(replies);
        if replies.len() - before > self.reply_bytes_max {
            replies.truncate(before);
        } else {
            self.effects.traffic.sent.packet(replies.len() - before);
        }
    }

    /// Says something of the client on a topic of the broker's own, if that is wanted.
    pub(super) fn announce(&mut self, announcement: Announcement<'_>) {
        self.broker.announce(announcement, self.now, self.effects);
    }

    /// Appends an acknowledgement: with `words` as its reason string, unless there are none, the
    /// client wants none [MQTT-3.1.2-29] or has no room for them.
    pub(super) fn reply_explained(
        &mut self,
        words: Option<&str>,
        encode: impl Fn(Properties<'_>, &mut Vec<u8>) -> Result<usize, EncodeError>,
    ) {
        match words.filter(|_| self.problem_information) {
            None => self.reply(|replies| encode(Properties::EMPTY, replies)),
            Some(words) => {
                let replies = &mut self.effects.ticket.replies;
                let before = replies.len();
                let none = PropertiesBuf::new();
                put_explained(&none, words, self.reply_bytes_max, replies, encode);
                self.effects.traffic.sent.packet(replies.len() - before);
            }
        }
    }
}
