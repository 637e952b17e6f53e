//! What happens, for those in the program who want to hear of it and have no part in it: events in an inbox.
//!
//! [Hooks](crate::Hooks) are there from the start, are asked, and may hold up a client. Who watches comes and
//! goes as he likes, and nobody waits for him. One number says which events anybody wants to hear of, hooks
//! or watchers; while it says nobody, an event costs a look at it.

use core::ops::BitOr;
use core::sync::atomic::{AtomicU16, Ordering};
use core::task::{Context, Poll};
use std::sync::{Arc, Weak};
use std::task::Waker;

use mqtt_codec::QoS;
use parking_lot::Mutex;

use crate::Message;
use crate::broker::Broker;
use crate::close::CloseCause;
use crate::effects::Effects;
use crate::hooks::{Client, Event, HookSet};
use crate::inbox::{Inbox, InboxLimit, Item, NotPut};

/// Kinds of events.
///
/// ```
/// use broker_core::EventSet;
///
/// let comings_and_goings = EventSet::CONNECTED | EventSet::DISCONNECTED;
/// assert!(comings_and_goings.contains(EventSet::CONNECTED));
/// assert!(!comings_and_goings.contains(EventSet::PUBLISHED));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct EventSet(u8);

impl EventSet {
    /// None.
    pub const NONE: Self = Self(0);
    /// A client was let in.
    pub const CONNECTED: Self = Self(1);
    /// The connection of a client has ended.
    pub const DISCONNECTED: Self = Self(1 << 1);
    /// A message was published.
    pub const PUBLISHED: Self = Self(1 << 2);
    /// A client has acknowledged a message.
    pub const DELIVERED: Self = Self(1 << 3);
    /// A client has subscribed to a topic filter.
    pub const SUBSCRIBED: Self = Self(1 << 4);
    /// A client has cancelled a subscription, or lost it.
    pub const UNSUBSCRIBED: Self = Self(1 << 5);
    /// A client has sent PINGREQ.
    pub const PINGREQ: Self = Self(1 << 6);
    /// All.
    pub const ALL: Self = Self(0x7F);

    /// Whether all kinds of `other` are in it.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Those that hooks are told.
    pub(crate) fn of_hooks(wanted: &HookSet) -> Self {
        let kinds = [
            (wanted.connected, Self::CONNECTED),
            (wanted.disconnected, Self::DISCONNECTED),
            (wanted.published, Self::PUBLISHED),
            (wanted.delivered, Self::DELIVERED),
            (wanted.subscribed, Self::SUBSCRIBED),
            (wanted.unsubscribed, Self::UNSUBSCRIBED),
            (wanted.pingreq, Self::PINGREQ),
        ];
        let wanted = kinds.into_iter().filter(|(is_wanted, _)| *is_wanted);
        wanted.fold(Self::NONE, |set, (_, kind)| set | kind)
    }
}

impl BitOr for EventSet {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl Event<'_> {
    /// Its kind.
    pub(crate) fn kind(&self) -> EventSet {
        match self {
            Self::Connected { .. } => EventSet::CONNECTED,
            Self::Disconnected { .. } => EventSet::DISCONNECTED,
            Self::Published { .. } => EventSet::PUBLISHED,
            Self::Delivered { .. } => EventSet::DELIVERED,
            Self::Subscribed { .. } => EventSet::SUBSCRIBED,
            Self::Unsubscribed { .. } => EventSet::UNSUBSCRIBED,
            Self::PingReq { .. } => EventSet::PINGREQ,
        }
    }
}

/// An [`Event`] that owns its memory.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum OwnedEvent {
    /// A client was let in.
    Connected {
        /// Which.
        client: Arc<Client>,
        /// Whether it goes on with a session.
        session_present: bool,
    },
    /// The connection of a client has ended.
    Disconnected {
        /// Which.
        client: Arc<Client>,
        /// Why.
        cause: CloseCause,
    },
    /// A message was published and handed to its receivers.
    Published {
        /// By whom. `None` if by the broker itself, by the program around it, or as a will.
        client: Option<Arc<Client>>,
        /// The message as it was published.
        message: Arc<Message>,
    },
    /// A client has got a message: it has acknowledged it with PUBACK or, at QoS 2, with PUBREC. Of a
    /// session that ends with its connection only messages are told that were sent while somebody watched.
    Delivered {
        /// Which.
        client: Arc<Client>,
        /// The message as it was sent.
        message: Arc<Message>,
        /// The quality of service at which it was sent.
        qos: QoS,
    },
    /// A client has subscribed.
    Subscribed {
        /// Which.
        client: Arc<Client>,
        /// The whole topic filter.
        filter: String,
        /// The quality of service that was granted.
        qos: QoS,
    },
    /// A client has cancelled a subscription, or lost it because it may not have it any more.
    Unsubscribed {
        /// Which.
        client: Arc<Client>,
        /// The whole topic filter.
        filter: String,
    },
    /// A client has sent PINGREQ.
    PingReq {
        /// Which.
        client: Arc<Client>,
    },
}

impl From<&Event<'_>> for OwnedEvent {
    fn from(event: &Event<'_>) -> Self {
        match *event {
            Event::Connected {
                client,
                session_present,
            } => Self::Connected {
                client: Arc::clone(client),
                session_present,
            },
            Event::Disconnected { client, cause } => Self::Disconnected {
                client: Arc::clone(client),
                cause,
            },
            Event::Published { client, message } => Self::Published {
                client: client.cloned(),
                message: Message::new(message),
            },
            Event::Delivered {
                client,
                message,
                qos,
            } => Self::Delivered {
                client: Arc::clone(client),
                message: Arc::clone(message),
                qos,
            },
            Event::Subscribed {
                client,
                filter,
                qos,
            } => Self::Subscribed {
                client: Arc::clone(client),
                filter: filter.to_owned(),
                qos,
            },
            Event::Unsubscribed { client, filter } => Self::Unsubscribed {
                client: Arc::clone(client),
                filter: filter.to_owned(),
            },
            Event::PingReq { client } => Self::PingReq {
                client: Arc::clone(client),
            },
        }
    }
}

impl Item for OwnedEvent {
    /// Clients are shared by many events.
    fn size_bytes(&self) -> usize {
        match self {
            Self::Published { message, .. } | Self::Delivered { message, .. } => {
                message.size_bytes()
            }
            Self::Subscribed { filter, .. } | Self::Unsubscribed { filter, .. } => filter.len(),
            Self::Connected { .. } | Self::Disconnected { .. } | Self::PingReq { .. } => 0,
        }
    }
}

/// What the program may say of the events that it wants to hear of; see [`Broker::watch`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventOptions {
    /// Which; default all.
    pub kinds: EventSet,
    /// Events that may wait until they are taken, at least 1; default 10,000. Further ones are dropped and
    /// counted ([`Events::missed`], and [`dropped_events`](crate::Counters::dropped_events) for all that
    /// watch).
    pub max_events: usize,
    /// Bytes of the messages and topic filters in them; default 64 MiB. One event may wait however large it
    /// is.
    pub max_bytes: usize,
}

impl Default for EventOptions {
    fn default() -> Self {
        Self {
            kinds: EventSet::ALL,
            max_events: 10_000,
            max_bytes: 64 << 20,
        }
    }
}

/// Events from now on; see [`Broker::watch`]. Dropping it ends it.
#[derive(Debug)]
pub struct Events {
    broker: Weak<Broker>,
    watcher: Arc<Watcher>,
}

#[derive(Debug)]
struct Watcher {
    kinds: EventSet,
    inbox: Inbox<OwnedEvent>,
}

/// Who watches.
#[derive(Debug)]
pub(crate) struct Watchers {
    /// The kinds that hooks are told, and, eight bits further, those that watchers want.
    noticed: AtomicU16,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    watchers: Vec<Arc<Watcher>>,
    /// Whether there are to be no more of them.
    is_over: bool,
}

impl Watchers {
    /// Nobody, and hooks that are told of these kinds.
    pub(crate) fn new(of_hooks: EventSet) -> Self {
        Self {
            noticed: AtomicU16::new(of_hooks.0.into()),
            open: Mutex::default(),
        }
    }

    /// Whether hooks or watchers hear of any of these kinds.
    #[inline]
    pub(crate) fn or_hooks_notice(&self, kinds: EventSet) -> bool {
        let both = u16::from(kinds.0) * 0x101;
        self.noticed.load(Ordering::Relaxed) & both != 0
    }

    /// Whether any watcher wants to hear of this kind of event.
    fn want(&self, kind: EventSet) -> bool {
        self.noticed.load(Ordering::Relaxed) & u16::from(kind.0) << 8 != 0
    }

    /// Tells all that want to hear of it. Returns the tasks that are to be woken, and how many had no room.
    #[cold]
    fn tell(&self, event: &Event<'_>, wakes: &mut Vec<Waker>) -> u64 {
        let kind = event.kind();
        let open = self.open.lock();
        let owned = OwnedEvent::from(event);
        let mut dropped = 0;
        let watchers = open.watchers.iter();
        for watcher in watchers.filter(|watcher| watcher.kinds.contains(kind)) {
            match watcher.inbox.put(owned.clone()) {
                Ok(waker) => wakes.extend(waker),
                Err(NotPut::Full) => dropped += 1,
                Err(NotPut::Closed) => {}
            }
        }
        dropped
    }

    fn note_wanted(&self, open: &Open) {
        let all = open.watchers.iter().map(|watcher| watcher.kinds);
        let wanted = all.fold(EventSet::NONE, EventSet::bitor);
        let of_hooks = self.noticed.load(Ordering::Relaxed) & 0xFF;
        let noticed = of_hooks | u16::from(wanted.0) << 8;
        self.noticed.store(noticed, Ordering::Relaxed);
    }

    /// Ends all of them.
    pub(crate) fn end(&self) {
        let mut open = self.open.lock();
        open.is_over = true;
        let watchers = core::mem::take(&mut open.watchers);
        self.note_wanted(&open);
        drop(open);
        for watcher in watchers {
            watcher.inbox.close();
        }
    }
}

impl Broker {
    /// Has the program hear of what happens from now on, beside [hooks](crate::Hooks), without a part in
    /// it: nobody waits for it, see [`EventOptions::max_events`]. While nobody watches, events cost
    /// nothing.
    ///
    /// Clients that were there before are named in events as others are. Of one whose place another
    /// connection has taken meanwhile no more is known than its client identifier and version.
    pub fn watch(self: &Arc<Self>, options: EventOptions) -> Events {
        let watcher = Arc::new(Watcher {
            kinds: options.kinds,
            inbox: Inbox::new(InboxLimit {
                items: options.max_events.max(1),
                bytes: options.max_bytes,
            }),
        });
        let mut open = self.watchers.open.lock();
        if open.is_over {
            watcher.inbox.close();
        } else {
            open.watchers.push(Arc::clone(&watcher));
            self.watchers.note_wanted(&open);
        }
        Events {
            broker: Arc::downgrade(self),
            watcher,
        }
    }

    /// Tells watchers of something, if there are any.
    pub(crate) fn tell_watchers(&self, event: &Event<'_>, effects: &mut Effects) {
        if self.watchers.want(event.kind()) {
            let dropped = self.watchers.tell(event, &mut effects.wakes);
            self.counters.dropped_events.add(dropped);
        }
    }
}

impl Events {
    /// Ready with the next event, in the order in which they happened to one client. Ready with `None`
    /// after the last one, when [`end_program`](Broker::end_program) was called.
    pub fn poll_next(&mut self, task: &mut Context<'_>) -> Poll<Option<OwnedEvent>> {
        self.watcher.inbox.poll_take(task)
    }

    /// The next event, if there is one at the moment.
    pub fn try_next(&mut self) -> Option<OwnedEvent> {
        self.watcher.inbox.take()
    }

    /// Events that it has missed because there was no room.
    pub fn missed(&self) -> u64 {
        self.watcher.inbox.missed()
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        let Some(broker) = self.broker.upgrade() else {
            return;
        };
        let mut open = broker.watchers.open.lock();
        open.watchers
            .retain(|watcher| !Arc::ptr_eq(watcher, &self.watcher));
        broker.watchers.note_wanted(&open);
    }
}
