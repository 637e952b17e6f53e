//! A method that says what the test tells it to, and remembers what it heard.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};

use broker_core::{
    AuthenticationExchange, AuthenticationMethod, AuthenticationRefusal, AuthenticationRequest,
    AuthenticationStep, BrokerOptions, Verdict,
};
use mqtt_codec::ReasonCode;

use crate::harness::*;

pub(super) const METHOD: &str = "SCRIPT";

/// A method that says what the test tells it to, and remembers what it heard.
#[derive(Clone, Default)]
pub(super) struct Script(Arc<Mutex<Lines>>);

#[derive(Default)]
pub(super) struct Lines {
    says: VecDeque<Line>,
    heard: Vec<String>,
    /// Wakers of the steps that are pending, and what they are given.
    pub(super) pending: Vec<Arc<Mutex<Held>>>,
    /// Pending steps that were dropped before they were decided.
    pub(super) dropped: usize,
}

#[derive(Clone)]
pub(super) enum Line {
    Continue(&'static str),
    Accept(&'static str),
    Refuse(ReasonCode, Option<&'static str>),
    /// The step is decided later.
    Wait,
    /// That many bytes of data, with AUTH or CONNACK.
    Large(usize, bool),
}

#[derive(Default)]
pub(super) struct Held {
    line: Option<Line>,
    waker: Option<Waker>,
}

struct Playing(Script);

/// Counts itself when it is dropped undecided.
struct Watched(Script, bool);

impl Drop for Watched {
    fn drop(&mut self) {
        if !self.1 {
            self.0.lines().dropped += 1;
        }
    }
}

impl Script {
    pub(super) fn net(says: &[Line]) -> (Net, Self) {
        Self::net_with(says, |_| ())
    }

    pub(super) fn net_with(says: &[Line], change: impl FnOnce(&mut BrokerOptions)) -> (Net, Self) {
        let script = Self::default();
        script.say(says);
        let mut options = BrokerOptions {
            authentication_methods: vec![Arc::new(script.clone())],
            ..BrokerOptions::default()
        };
        change(&mut options);
        (Net::with(options), script)
    }

    pub(super) fn lines(&self) -> std::sync::MutexGuard<'_, Lines> {
        self.0.lock().unwrap()
    }

    pub(super) fn say(&self, says: &[Line]) {
        self.lines().says.extend(says.iter().cloned());
    }

    pub(super) fn heard(&self) -> Vec<String> {
        std::mem::take(&mut self.lines().heard)
    }

    /// The oldest pending step is decided.
    pub(super) fn decide(&self, net: &Net, line: Line) {
        let held = self.lines().pending.remove(0);
        let waker = {
            let mut held = held.lock().unwrap();
            held.line = Some(line);
            held.waker.take()
        };
        waker.expect("the step is waited for").wake();
        net.run();
    }

    fn step(&self, line: &Line) -> AuthenticationStep {
        let data = |data: &str| (!data.is_empty()).then(|| data.as_bytes().to_vec());
        let next = || Box::new(Playing(self.clone()));
        match line {
            Line::Continue(said) => AuthenticationStep::Continue {
                data: data(said),
                next: next(),
            },
            Line::Accept(said) => AuthenticationStep::Accept {
                data: data(said),
                user: Some("somebody".into()),
            },
            Line::Refuse(reason_code, words) => AuthenticationStep::Refuse(AuthenticationRefusal {
                reason_code: *reason_code,
                reason_string: words.map(str::to_owned),
            }),
            Line::Large(bytes, true) => AuthenticationStep::Continue {
                data: Some(vec![b'x'; *bytes]),
                next: next(),
            },
            Line::Large(bytes, false) => AuthenticationStep::Accept {
                data: Some(vec![b'x'; *bytes]),
                user: None,
            },
            Line::Wait => panic!("it was decided to wait for ever"),
        }
    }

    fn wait(&self) -> Pin<Box<dyn Future<Output = AuthenticationStep> + Send>> {
        let held = Arc::new(Mutex::new(Held::default()));
        self.lines().pending.push(Arc::clone(&held));
        let mut watched = Watched(self.clone(), false);
        Box::pin(poll_fn(move |task| {
            let mut held = held.lock().unwrap();
            let Some(line) = held.line.take() else {
                held.waker = Some(task.waker().clone());
                return Poll::Pending;
            };
            watched.1 = true;
            Poll::Ready(watched.0.step(&line))
        }))
    }
}

impl AuthenticationMethod for Script {
    fn name(&self) -> &str {
        METHOD
    }

    fn begin(&self, client: &AuthenticationRequest<'_>) -> Box<dyn AuthenticationExchange> {
        let password = client.password.map(String::from_utf8_lossy);
        self.lines().heard.push(format!(
            "{:?} {} {:?} {:?} {:?}",
            client.version, client.client_id, client.user_name, password, client.user
        ));
        Box::new(Playing(self.clone()))
    }
}

impl AuthenticationExchange for Playing {
    fn step(self: Box<Self>, data: Option<Vec<u8>>) -> Verdict<AuthenticationStep> {
        let data = data.map_or("nothing".to_owned(), |data| {
            String::from_utf8(data).unwrap()
        });
        self.0.lines().heard.push(data);
        let line = self.0.lines().says.pop_front();
        match line.expect("the script goes on") {
            Line::Wait => Verdict::Pending(self.0.wait()),
            line => Verdict::Ready(self.0.step(&line)),
        }
    }
}
