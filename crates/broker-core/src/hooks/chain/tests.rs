//! That a chain asks in its order, at once or later, and whose word counts.

use core::future::Future;
use core::pin::pin;
use core::task::{Context, Poll, Waker};
use mqtt_codec::Version;
use std::sync::Mutex;

use super::*;
use crate::{CloseCause, Message, MessageParts, Timestamp};
use mqtt_codec::ReasonCode;

/// Says what it was made to say, and remembers what it was asked.
#[derive(Clone)]
struct Saying {
    later: bool,
    wanted: HookSet,
    login: Authentication,
    publish: PublishVerdict,
    subscribe: SubscribeVerdict,
    forward: Option<ForwardVerdict>,
    stays: bool,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Saying {
    fn yes(later: bool) -> Self {
        Self {
            later,
            wanted: HookSet::ALL,
            login: Authentication::Pass,
            publish: PublishVerdict::Allow,
            subscribe: SubscribeVerdict::Allow,
            forward: Some(ForwardVerdict::Allow),
            stays: true,
            asked: Arc::default(),
        }
    }

    fn say<T: Send + 'static>(&self, asked: String, verdict: T) -> Verdict<T> {
        self.asked.lock().unwrap().push(asked);
        if !self.later {
            return Verdict::Ready(verdict);
        }
        let mut polls = 0;
        Verdict::pending(async move {
            core::future::poll_fn(|_| {
                polls += 1;
                if polls < 3 {
                    Poll::Pending
                } else {
                    Poll::Ready(())
                }
            })
            .await;
            verdict
        })
    }

    fn asked(&self) -> Vec<String> {
        mem::take(&mut self.asked.lock().unwrap())
    }
}

impl Hooks for Saying {
    fn wanted(&self) -> HookSet {
        self.wanted
    }

    fn authenticate(&self, login: &LoginRequest<'_>) -> Verdict<Authentication> {
        let password = login.password.map(String::from_utf8_lossy);
        let asked = format!("{} {:?} {password:?}", login.client_id, login.user_name);
        self.say(asked, self.login.clone())
    }

    fn authorize_publish(
        &self,
        _client: &Arc<Client>,
        publish: &PublishRequest<'_>,
    ) -> Verdict<PublishVerdict> {
        let payload = String::from_utf8_lossy(publish.payload);
        let asked = format!("{} {payload} {:?}", publish.topic, publish.qos);
        self.say(asked, self.publish.clone())
    }

    fn authorize_subscribe(
        &self,
        _client: &Arc<Client>,
        subscribe: &SubscribeRequest<'_>,
    ) -> Verdict<SubscribeVerdict> {
        let asked = format!("{} {}", subscribe.filter, subscribe.is_held);
        self.say(asked, self.subscribe)
    }

    fn authorize_forward(
        &self,
        _client: &Arc<Client>,
        forward: &ForwardRequest<'_>,
    ) -> Verdict<ForwardVerdict> {
        let asked = format!("{} {:?}", forward.message.topic(), forward.qos);
        self.say(asked, self.forward.clone().unwrap())
    }

    fn may_stay(&self, client: &Arc<Client>) -> Verdict<bool> {
        self.say(client.client_id().to_string(), self.stays)
    }

    fn notify(&self, event: &Event<'_>) -> Verdict<()> {
        let shown = format!("{event:?}");
        self.say(shown.split(' ').next().unwrap().to_owned(), ())
    }
}

fn settled<T>(verdict: Verdict<T>) -> T {
    let mut future = pin!(settle(verdict));
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(decided) = future.as_mut().poll(&mut context) {
            return decided;
        }
    }
}

fn chain(links: &[&Saying]) -> HookChain {
    links.iter().fold(HookChain::new(), |chain, link| {
        chain.then(Arc::new((*link).clone()))
    })
}

fn client() -> Arc<Client> {
    Arc::new(Client::new("c", Version::V5))
}

/// All ways in which two hooks can take their time.
const TIMES: [(bool, bool); 4] = [(false, false), (false, true), (true, false), (true, true)];

#[test]
fn the_first_that_knows_the_client_decides() {
    for (first_later, second_later) in TIMES {
        let passes = Saying::yes(first_later);
        let accepts = Saying {
            login: Authentication::accept("eve"),
            ..Saying::yes(second_later)
        };
        let refuses = Saying {
            login: Authentication::not_authorized(),
            ..Saying::yes(second_later)
        };
        let mut login = LoginRequest::new(Version::V5, "c");
        login.user_name = Some("e");
        login.password = Some(b"secret");
        let verdict = settled(chain(&[&passes, &accepts, &refuses]).authenticate(&login));
        assert!(
            matches!(&verdict, Authentication::Accept { user: Some(user), .. } if &**user == "eve"),
            "{verdict:?}"
        );
        let asked = [r#"c Some("e") Some("secret")"#.to_owned()];
        assert_eq!(passes.asked(), asked);
        assert_eq!(accepts.asked(), asked, "it hears the same");
        assert!(refuses.asked().is_empty());
        let verdict = settled(chain(&[&passes, &refuses, &accepts]).authenticate(&login));
        assert!(matches!(verdict, Authentication::Refuse(_)), "{verdict:?}");
        assert!(accepts.asked().is_empty());
    }
}

#[test]
fn whom_nobody_knows_is_refused() {
    for (first_later, second_later) in TIMES {
        let chain = chain(&[&Saying::yes(first_later), &Saying::yes(second_later)]);
        for (user_name, reason_code) in [
            (Some("e"), ReasonCode::BadUserNameOrPassword),
            (None, ReasonCode::NotAuthorized),
        ] {
            let certificate: Arc<str> = "e".into();
            let mut login = LoginRequest::new(Version::V311, "c");
            login.user_name = user_name;
            for certified in [None, Some(&certificate)] {
                login.certified = certified;
                let Authentication::Refuse(refusal) = settled(chain.authenticate(&login)) else {
                    panic!("a stranger was let in");
                };
                assert_eq!(refusal.reason_code, reason_code);
            }
        }
    }
}

#[test]
fn all_have_to_allow_a_message_and_each_sees_what_the_one_before_made_of_it() {
    for (first_later, second_later) in TIMES {
        let ask = |links: &[&Saying]| {
            let request = PublishRequest::new("t", b"x");
            settled(chain(links).authorize_publish(&client(), &request))
        };
        let allows = Saying::yes(second_later);
        let replaces = Saying {
            publish: PublishVerdict::Replace(b"y".to_vec()),
            ..Saying::yes(first_later)
        };
        assert_eq!(ask(&[&allows, &allows]), PublishVerdict::Allow);
        allows.asked();
        let replaced = PublishVerdict::Replace(b"y".to_vec());
        assert_eq!(ask(&[&allows, &replaces, &allows]), replaced);
        assert_eq!(allows.asked(), ["t x AtMostOnce", "t y AtMostOnce"]);
        assert_eq!(ask(&[&replaces, &allows, &allows]), replaced);
        assert_eq!(allows.asked(), ["t y AtMostOnce", "t y AtMostOnce"]);
        for denied in [
            PublishVerdict::DENY,
            PublishVerdict::Ignore,
            PublishVerdict::Disconnect,
        ] {
            let denies = Saying {
                publish: denied.clone(),
                ..Saying::yes(first_later)
            };
            assert_eq!(ask(&[&allows, &denies, &replaces]), denied);
            assert_eq!(ask(&[&replaces, &denies, &allows]), denied);
            assert_eq!(allows.asked().len(), 1, "nobody is asked behind it");
        }
    }
}

#[test]
fn all_have_to_allow_a_subscription_and_the_lowest_limit_holds() {
    use SubscribeVerdict::{Allow, AllowAt, Disconnect};
    let denied = SubscribeVerdict::DENY;
    for (first_later, second_later) in TIMES {
        for (first, second, both) in [
            (Allow, Allow, Allow),
            (AllowAt(QoS::AtLeastOnce), Allow, AllowAt(QoS::AtLeastOnce)),
            (Allow, AllowAt(QoS::AtMostOnce), AllowAt(QoS::AtMostOnce)),
            (
                AllowAt(QoS::ExactlyOnce),
                AllowAt(QoS::AtMostOnce),
                AllowAt(QoS::AtMostOnce),
            ),
            (
                AllowAt(QoS::AtMostOnce),
                AllowAt(QoS::AtLeastOnce),
                AllowAt(QoS::AtMostOnce),
            ),
            (Allow, denied, denied),
            (denied, Allow, denied),
            (Disconnect, denied, Disconnect),
            (AllowAt(QoS::AtMostOnce), Disconnect, Disconnect),
        ] {
            let saying = |later, subscribe| Saying {
                subscribe,
                ..Saying::yes(later)
            };
            let links = [saying(first_later, first), saying(second_later, second)];
            let request = SubscribeRequest {
                is_held: true,
                ..SubscribeRequest::new("f/#")
            };
            let verdict = chain(&links.each_ref()).authorize_subscribe(&client(), &request);
            assert_eq!(settled(verdict), both, "{first:?} {second:?}");
            assert_eq!(links[0].asked(), ["f/# true"]);
            let is_asked = !matches!(first, SubscribeVerdict::Deny(_) | Disconnect);
            assert_eq!(links[1].asked().len(), usize::from(is_asked));
        }
    }
}

fn message(topic: &str, qos: QoS) -> Arc<Message> {
    Message::new(MessageParts {
        topic,
        properties: &[],
        payload: b"x",
        qos,
        retain: false,
        expires: Timestamp::MAX,
    })
}

#[test]
fn all_have_to_allow_a_delivery_and_each_sees_what_the_one_before_made_of_it() {
    for (first_later, second_later) in TIMES {
        let original = message("t", QoS::ExactlyOnce);
        let other = message("u", QoS::AtLeastOnce);
        let allows = Saying::yes(second_later);
        let replaces = Saying {
            forward: Some(ForwardVerdict::Replace(Arc::clone(&other))),
            ..Saying::yes(first_later)
        };
        let denies = Saying {
            forward: Some(ForwardVerdict::Deny),
            ..Saying::yes(first_later)
        };
        let ask = |links: &[&Saying]| {
            let request = ForwardRequest::new(&original);
            settled(chain(links).authorize_forward(&client(), &request))
        };
        assert_eq!(ask(&[&allows, &allows]), ForwardVerdict::Allow);
        allows.asked();
        let replaced = ForwardVerdict::Replace(Arc::clone(&other));
        assert_eq!(ask(&[&allows, &replaces, &allows]), replaced);
        assert_eq!(allows.asked(), ["t ExactlyOnce", "u AtLeastOnce"]);
        assert_eq!(ask(&[&replaces, &allows, &allows]), replaced);
        assert_eq!(allows.asked(), ["u AtLeastOnce", "u AtLeastOnce"]);
        assert_eq!(ask(&[&replaces, &denies, &allows]), ForwardVerdict::Deny);
        assert!(allows.asked().is_empty());
    }
}

#[test]
fn a_client_stays_if_all_let_it() {
    for (first_later, second_later) in TIMES {
        for (first, second) in [(true, true), (true, false), (false, true)] {
            let saying = |later, stays| Saying {
                stays,
                ..Saying::yes(later)
            };
            let links = [saying(first_later, first), saying(second_later, second)];
            let verdict = chain(&links.each_ref()).may_stay(&client());
            assert_eq!(settled(verdict), first && second);
        }
    }
}

#[test]
fn each_is_asked_only_for_what_it_wants() {
    let none = Saying {
        wanted: HookSet::NONE,
        login: Authentication::accept("nobody"),
        publish: PublishVerdict::DENY,
        subscribe: SubscribeVerdict::DENY,
        forward: Some(ForwardVerdict::Deny),
        stays: false,
        ..Saying::yes(false)
    };
    let pings = Saying {
        wanted: HookSet {
            pingreq: true,
            ..HookSet::NONE
        },
        ..Saying::yes(true)
    };
    let chain = chain(&[&none, &pings]);
    assert_eq!(chain.wanted(), pings.wanted);
    assert_eq!(HookChain::new().wanted(), HookSet::NONE);
    let client = client();
    let login = LoginRequest::new(Version::V5, "c");
    assert!(matches!(
        settled(chain.authenticate(&login)),
        Authentication::Refuse(_)
    ));
    let publish = chain.authorize_publish(&client, &PublishRequest::new("t", b""));
    assert_eq!(settled(publish), PublishVerdict::Allow);
    let subscribe = chain.authorize_subscribe(&client, &SubscribeRequest::new("t"));
    assert_eq!(settled(subscribe), SubscribeVerdict::Allow);
    assert!(settled(chain.may_stay(&client)));
    settled(chain.notify(&Event::Disconnected {
        client: &client,
        cause: CloseCause::ConnectionLost,
    }));
    assert!(pings.asked().is_empty());
    settled(chain.notify(&Event::PingReq { client: &client }));
    assert_eq!(pings.asked(), ["PingReq"]);
    assert!(none.asked().is_empty());
}
