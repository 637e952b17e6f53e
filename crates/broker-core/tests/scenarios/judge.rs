//! A hook that decides on what is about to be sent as the test tells it to, and remembers what it was
//! asked.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Poll, Waker};

use broker_core::{
    BrokerOptions, Client, ForwardRequest, ForwardVerdict, HookSet, Hooks, Message, MessageParts,
    Verdict,
};
use mqtt_codec::QoS;

use crate::harness::Net;
use crate::harness::store::Store;

/// The hook; cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Judge(Arc<Mutex<Bench>>);

type Rule = dyn Fn(&str, &str) -> Says + Send + Sync;

#[derive(Default)]
struct Bench {
    rule: Option<Arc<Rule>>,
    asked: Vec<String>,
    /// Futures that are not decided, oldest first.
    held: Vec<Arc<Mutex<Held>>>,
}

/// What becomes of a message.
#[derive(Clone)]
pub(crate) enum Says {
    Allow,
    Deny,
    /// It is changed so, and sent.
    Replace(fn(MessageParts<'_>) -> Arc<Message>),
    /// It is decided later.
    Wait,
    Panic,
    PanicLater,
}

#[derive(Default)]
struct Held {
    payload: String,
    says: Option<Says>,
    waker: Option<Waker>,
}

/// Takes itself out when its future is dropped.
struct Place(Judge, Arc<Mutex<Held>>);

impl Drop for Place {
    fn drop(&mut self) {
        let mut bench = self.0.bench();
        bench.held.retain(|held| !Arc::ptr_eq(held, &self.1));
    }
}

impl Judge {
    /// One that goes by the first letter of the payload: `d`eny, `w`ait, `p`anic; all else is allowed.
    pub(crate) fn new() -> Self {
        let judge = Self::default();
        judge.rule(|_, payload| match payload.as_bytes().first() {
            Some(b'd') => Says::Deny,
            Some(b'w') => Says::Wait,
            Some(b'p') => Says::Panic,
            _ => Says::Allow,
        });
        judge
    }

    pub(crate) fn net(&self, options: BrokerOptions) -> Net {
        Net::with(self.options(options))
    }

    pub(crate) fn net_with_store(&self, options: BrokerOptions) -> (Net, Arc<Store>) {
        Net::with_store(self.options(options))
    }

    /// A net with a store and one without.
    pub(crate) fn nets(&self, options: &BrokerOptions) -> [Net; 2] {
        let (with_store, _) = self.net_with_store(options.clone());
        [with_store, self.net(options.clone())]
    }

    fn options(&self, options: BrokerOptions) -> BrokerOptions {
        BrokerOptions {
            hooks: Some(Arc::new(self.clone())),
            ..options
        }
    }

    /// From now on it decides so, by the receiver's client identifier and the payload.
    pub(crate) fn rule(&self, rule: impl Fn(&str, &str) -> Says + Send + Sync + 'static) {
        self.bench().rule = Some(Arc::new(rule));
    }

    /// What it was asked since the last time: who was to receive what.
    pub(crate) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.bench().asked)
    }

    /// Verdicts that are waited for.
    pub(crate) fn waiting(&self) -> usize {
        self.bench().held.len()
    }

    /// Decides on the one that has waited for the longest.
    pub(crate) fn decide(&self, net: &Net, says: Says) {
        self.decide_nth(net, 0, says);
    }

    pub(crate) fn decide_nth(&self, net: &Net, place: usize, says: Says) {
        let held = Arc::clone(&self.bench().held[place]);
        let waker = {
            let mut held = held.lock().unwrap();
            held.says = Some(says);
            held.waker.take()
        };
        waker.expect("the verdict is waited for").wake();
        net.run();
    }

    /// Decides on one by its payload.
    pub(crate) fn decide_as(&self, net: &Net, place: usize, says: impl Fn(&str) -> Says) {
        let payload = self.bench().held[place].lock().unwrap().payload.clone();
        self.decide_nth(net, place, says(&payload));
    }

    fn bench(&self) -> MutexGuard<'_, Bench> {
        self.0.lock().unwrap()
    }

    fn wait(&self, message: &Arc<Message>) -> Verdict<ForwardVerdict> {
        let held = Arc::new(Mutex::new(Held {
            payload: String::from_utf8_lossy(message.payload()).into_owned(),
            ..Held::default()
        }));
        self.bench().held.push(Arc::clone(&held));
        let (place, message) = (Place(self.clone(), held), Arc::clone(message));
        Verdict::Pending(Box::pin(poll_fn(move |context| {
            let mut held = place.1.lock().unwrap();
            match held.says.take() {
                Some(says) => {
                    drop(held);
                    Poll::Ready(verdict(says, &message))
                }
                None => {
                    held.waker = Some(context.waker().clone());
                    Poll::Pending
                }
            }
        })))
    }
}

fn verdict(says: Says, message: &Message) -> ForwardVerdict {
    match says {
        Says::Allow => ForwardVerdict::Allow,
        Says::Deny => ForwardVerdict::Deny,
        Says::Replace(change) => ForwardVerdict::Replace(change(message.parts())),
        Says::Wait | Says::Panic | Says::PanicLater => panic!("as the test wants it"),
    }
}

fn quality(qos: QoS) -> u8 {
    qos.as_u8()
}

impl Hooks for Judge {
    fn wanted(&self) -> HookSet {
        HookSet {
            authorize_forward: true,
            ..HookSet::NONE
        }
    }

    fn authorize_forward(
        &self,
        client: &Arc<Client>,
        forward: &ForwardRequest<'_>,
    ) -> Verdict<ForwardVerdict> {
        let payload = String::from_utf8_lossy(forward.message.payload()).into_owned();
        let (qos, retain) = (quality(forward.qos), u8::from(forward.retain));
        let mut bench = self.bench();
        let question = format!("{} {payload} {qos}{retain}", client.client_id());
        bench.asked.push(question);
        let rule = bench.rule.clone();
        drop(bench);
        match rule.map_or(Says::Allow, |rule| rule(client.client_id(), &payload)) {
            Says::Wait => self.wait(forward.message),
            Says::PanicLater => {
                Verdict::Pending(Box::pin(async { panic!("as the test wants it") }))
            }
            says => Verdict::Ready(verdict(says, forward.message)),
        }
    }
}
