//! What is still said on a connection that closes: replies under way, then DISCONNECT (section 3.14).

use std::sync::Arc;

use mqtt_codec::{Disconnect, ReasonCode, Version};

use crate::broker::Broker;
use crate::close::CloseCause;
use crate::outbox::Outbox;
use crate::reason::put_explained;

/// What is still to be said on a connection that closes.
#[derive(Debug)]
pub(super) struct LastWords {
    pub(super) outbox: Outbox,
    /// Whether DISCONNECT comes behind the outbox.
    pub(super) farewell: bool,
    /// The reason string of DISCONNECT, if it is not what the cause is called.
    pub(super) words: Option<String>,
    /// Largest packet that the client takes, in bytes.
    pub(super) bytes_max: usize,
    /// Whether all was given out: nothing more is said.
    pub(super) said: bool,
    /// Whose connection it was, if it had a session; for the log.
    pub(super) client: Option<Arc<str>>,
    pub(super) version: Version,
}

impl LastWords {
    /// Nothing, to a client of this version.
    pub(super) fn new(version: Version) -> Self {
        Self {
            outbox: Outbox::default(),
            farewell: false,
            words: None,
            bytes_max: 0,
            said: false,
            client: None,
            version,
        }
    }

    /// Appends DISCONNECT, if the client takes a packet so large.
    pub(super) fn put_disconnect(&mut self, cause: CloseCause, broker: &Broker) {
        let reason_code = cause
            .disconnect_reason()
            .unwrap_or(ReasonCode::UnspecifiedError);
        let base = match cause {
            CloseCause::Redirected(_) => broker.redirected().map(|to| to.properties()),
            _ => None,
        };
        let base = base.unwrap_or_default();
        let bytes_max = self.bytes_max;
        let before = self.outbox.len();
        let words = self.words.take().unwrap_or_else(|| cause.to_string());
        self.outbox.put(|flat| {
            put_explained(&base, &words, bytes_max, flat, |properties, flat| {
                let disconnect = Disconnect {
                    reason_code,
                    properties,
                };
                disconnect.encode(Version::V5, flat)
            });
        });
        broker.tally.add_sent(self.outbox.len() - before);
    }
}
