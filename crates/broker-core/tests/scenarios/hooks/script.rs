//! Hooks that say what the test tells them to, and the packets with which clients have them asked.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::Duration;

use broker_core::{
    Authentication, BrokerOptions, Client as Known, Event, ForwardRequest, ForwardVerdict, HookSet,
    Hooks, LoginRequest, PublishRequest, PublishVerdict, SubscribeRequest, SubscribeVerdict,
    Verdict,
};
use mqtt_codec::{
    Connect, OwnedPacket, Packet, QoS, ReasonCode, SubscribeFiltersBuf, SubscriptionOptions,
    Version,
};

use crate::harness::*;

/// Hooks that say what the test tells them to, and remember what they heard. What they are not told they
/// allow.
#[derive(Clone)]
pub(super) struct Script {
    wanted: HookSet,
    lines: Arc<Mutex<Lines>>,
}

#[derive(Default)]
pub(super) struct Lines {
    says: VecDeque<Say>,
    heard: Vec<String>,
    /// Futures that will panic when they are dropped.
    bombs: usize,
    /// Answers that are still to be given.
    pending: VecDeque<Arc<Mutex<Held>>>,
}

#[derive(Clone)]
pub(super) enum Say {
    Enter(Authentication),
    Publish(PublishVerdict),
    Subscribe(SubscribeVerdict),
    Forward(ForwardVerdict),
    Stay(bool),
    Done,
    /// The answer comes later.
    Wait,
    Panic,
    /// The answer never comes: what makes it panics.
    PanicLater,
    /// The answer never comes, and what was to make it panics when it is dropped.
    PanicAtLast,
}

#[derive(Default)]
pub(super) struct Held {
    say: Option<Say>,
    waker: Option<Waker>,
}

/// Panics when it is dropped, and is not one of those that are held then.
struct Bomb(Arc<Mutex<Lines>>);

impl Drop for Bomb {
    fn drop(&mut self) {
        self.0.lock().unwrap().bombs -= 1;
        panic!("as the test wants it");
    }
}

impl Script {
    pub(super) fn new(wanted: HookSet) -> Self {
        Self {
            wanted,
            lines: Arc::default(),
        }
    }

    pub(super) fn options(&self) -> BrokerOptions {
        BrokerOptions {
            hooks: Some(Arc::new(self.clone())),
            hook_timeout: Duration::from_secs(20),
            ..BrokerOptions::default()
        }
    }

    pub(super) fn net(wanted: HookSet) -> (Net, Self) {
        let script = Self::new(wanted);
        (Net::with(script.options()), script)
    }

    fn lines(&self) -> std::sync::MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(|error| error.into_inner())
    }

    pub(super) fn say(&self, says: impl IntoIterator<Item = Say>) {
        self.lines().says.extend(says);
    }

    /// What was heard since it was asked last.
    pub(super) fn heard(&self) -> Vec<String> {
        std::mem::take(&mut self.lines().heard)
    }

    /// Gives the answer to the first question that waits for one.
    pub(super) fn answer(&self, net: &Net, say: Say) {
        let held = self.lines().pending.pop_front().expect("a question waits");
        let mut held = held.lock().unwrap();
        held.say = Some(say);
        let waker = held.waker.take();
        drop(held);
        waker.expect("it was asked for the answer").wake();
        net.run();
    }

    /// Whether what is to panic when it is dropped has been asked for, or waits for that.
    pub(super) fn is_armed(&self) -> bool {
        let lines = self.lines();
        !lines.says.is_empty() || lines.bombs > 0
    }

    pub(super) fn is_asked(&self) -> bool {
        !self.lines().pending.is_empty()
    }

    fn reply<T: Send + 'static>(
        &self,
        heard: String,
        allow: T,
        read: impl Fn(Say) -> T + Send + 'static,
    ) -> Verdict<T> {
        let mut lines = self.lines();
        lines.heard.push(heard);
        match lines.says.pop_front() {
            None => Verdict::Ready(allow),
            Some(Say::Panic) => {
                drop(lines);
                panic!("as the test wants it")
            }
            Some(Say::PanicLater) => Verdict::pending(async { panic!("as the test wants it") }),
            Some(Say::PanicAtLast) => {
                lines.bombs += 1;
                let bomb = Bomb(Arc::clone(&self.lines));
                Verdict::pending(async move {
                    let _bomb = bomb;
                    std::future::pending().await
                })
            }
            Some(Say::Wait) => {
                let held = Arc::new(Mutex::new(Held::default()));
                lines.pending.push_back(Arc::clone(&held));
                Verdict::pending(poll_fn(move |context| {
                    let mut held = held.lock().unwrap();
                    match held.say.take() {
                        Some(say) => Poll::Ready(read(say)),
                        None => {
                            held.waker = Some(context.waker().clone());
                            Poll::Pending
                        }
                    }
                }))
            }
            Some(say) => Verdict::Ready(read(say)),
        }
    }
}

impl Hooks for Script {
    fn wanted(&self) -> HookSet {
        self.wanted
    }

    fn authenticate(&self, login: &LoginRequest<'_>) -> Verdict<Authentication> {
        let name = login.user_name.unwrap_or("nobody");
        let password = String::from_utf8_lossy(login.password.unwrap_or_default());
        let heard = format!("enter {} {name} {password}", login.client_id);
        self.reply(heard, Authentication::Pass, |say| match say {
            Say::Enter(authentication) => authentication,
            _ => panic!("not an answer to this"),
        })
    }

    fn authorize_publish(
        &self,
        client: &Arc<Known>,
        publish: &PublishRequest<'_>,
    ) -> Verdict<PublishVerdict> {
        let what = if publish.is_will { "will" } else { "publish" };
        let heard = format!("{what} {} {}", client.client_id(), publish.topic);
        self.reply(heard, PublishVerdict::Allow, |say| match say {
            Say::Publish(verdict) => verdict,
            _ => panic!("not an answer to this"),
        })
    }

    fn authorize_subscribe(
        &self,
        client: &Arc<Known>,
        subscribe: &SubscribeRequest<'_>,
    ) -> Verdict<SubscribeVerdict> {
        let what = if subscribe.is_held {
            "held"
        } else {
            "subscribe"
        };
        let heard = format!("{what} {} {}", client.client_id(), subscribe.filter);
        self.reply(heard, SubscribeVerdict::Allow, |say| match say {
            Say::Subscribe(verdict) => verdict,
            _ => panic!("not an answer to this"),
        })
    }

    fn authorize_forward(
        &self,
        client: &Arc<Known>,
        forward: &ForwardRequest<'_>,
    ) -> Verdict<ForwardVerdict> {
        let heard = format!("forward {} {}", client.client_id(), forward.message.topic());
        self.reply(heard, ForwardVerdict::Allow, |say| match say {
            Say::Forward(verdict) => verdict,
            _ => panic!("not an answer to this"),
        })
    }

    fn may_stay(&self, client: &Arc<Known>) -> Verdict<bool> {
        let heard = format!("stay {}", client.client_id());
        self.reply(heard, true, |say| match say {
            Say::Stay(stays) => stays,
            _ => panic!("not an answer to this"),
        })
    }

    fn notify(&self, event: &Event<'_>) -> Verdict<()> {
        let id = |client: &Arc<Known>| client.client_id().to_string();
        let heard = match event {
            Event::Connected {
                client,
                session_present,
            } => format!("connected {} {session_present}", id(client)),
            Event::Disconnected { client, cause } => format!("gone {}: {cause}", id(client)),
            Event::Published { client, message } => {
                let client = client.map_or("the broker".to_owned(), id);
                format!("published {client} {}", message.topic)
            }
            Event::Delivered {
                client,
                message,
                qos,
            } => {
                let payload = String::from_utf8_lossy(message.payload());
                let (topic, qos) = (message.topic(), qos.as_u8());
                format!("delivered {} {topic} {payload} {qos}", id(client))
            }
            Event::Subscribed {
                client,
                filter,
                qos,
            } => {
                format!("subscribed {} {filter} {}", id(client), qos.as_u8())
            }
            Event::Unsubscribed { client, filter } => {
                format!("unsubscribed {} {filter}", id(client))
            }
            Event::PingReq { client } => format!("ping {}", id(client)),
            other => format!("{other:?}"),
        };
        self.reply(heard, (), |_| ())
    }
}

pub(super) const ENTRY: HookSet = HookSet {
    authenticate: true,
    ..HookSet::NONE
};

pub(super) const PUBLISH: HookSet = HookSet {
    authorize_publish: true,
    ..HookSet::NONE
};

pub(super) const SUBSCRIBE: HookSet = HookSet {
    authorize_subscribe: true,
    ..HookSet::NONE
};

pub(super) const FORWARD: HookSet = HookSet {
    authorize_forward: true,
    ..HookSet::NONE
};
pub(super) const DELIVERED: HookSet = HookSet {
    delivered: true,
    ..HookSet::NONE
};
pub(super) const EVENTS: HookSet = HookSet {
    connected: true,
    disconnected: true,
    published: true,
    subscribed: true,
    unsubscribed: true,
    pingreq: true,
    ..HookSet::NONE
};

pub(super) fn connect(net: &Net, version: Version, change: impl FnOnce(&mut Connect<'_>)) -> usize {
    let line = net.open();
    let mut connect = Connect::new(version, "client");
    connect.username = Some("eve");
    connect.password = Some(b"pencil");
    change(&mut connect);
    net.send(line, &Packet::Connect(connect));
    line
}

pub(super) fn connack(net: &Net, line: usize) -> Option<(bool, ReasonCode)> {
    net.take(line, |packet| match packet {
        OwnedPacket::ConnAck(connack) => Some((connack.session_present, connack.reason_code)),
        _ => None,
    })
}

pub(super) fn puback(net: &Net, line: usize) -> Option<ReasonCode> {
    net.take(line, |packet| match packet {
        OwnedPacket::PubAck(puback) => Some(puback.reason_code),
        _ => None,
    })
}

pub(super) fn suback(net: &Net, line: usize) -> Option<Vec<ReasonCode>> {
    net.take(line, |packet| match packet {
        OwnedPacket::SubAck(suback) => Some(suback.reason_codes.clone()),
        _ => None,
    })
}

pub(super) fn received(net: &Net, line: usize) -> Vec<String> {
    let next = || {
        net.take(line, |packet| match packet {
            OwnedPacket::Publish(publish) => Some(format!(
                "{} {}",
                publish.topic,
                String::from_utf8_lossy(&publish.payload)
            )),
            _ => None,
        })
    };
    std::iter::from_fn(next).collect()
}

pub(super) fn subscribe(net: &Net, line: usize, filters: &[&str]) {
    let mut buffer = SubscribeFiltersBuf::new();
    for filter in filters {
        let options = SubscriptionOptions::new(QoS::AtLeastOnce);
        buffer.push(filter, options).unwrap();
    }
    let subscribe = mqtt_codec::Subscribe {
        packet_id: id(9),
        properties: mqtt_codec::Properties::EMPTY,
        filters: buffer.as_filters(),
    };
    net.send(line, &Packet::Subscribe(subscribe));
}

pub(super) fn publish(net: &Net, line: usize, publish: mqtt_codec::Publish<'_>) {
    let packet_id = (publish.qos > QoS::AtMostOnce).then(|| id(5));
    let publish = mqtt_codec::Publish {
        packet_id,
        ..publish
    };
    net.send(line, &Packet::Publish(publish));
}
