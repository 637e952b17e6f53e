//! The way in where hooks are asked: who the client is, whether it may have its will, and which
//! subscriptions of its session it may still have. All of it is settled before the client takes the place
//! of anybody else.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context as TaskContext, Poll};
use std::sync::Arc;

use mqtt_codec::{Connect, OwnedConnect, OwnedWill, QoS, ReasonCode, Version};

use super::authenticate::{Granted, bytes_max, for_connack};
use super::connect::{assign_client_id, may_have_topic};
use super::origin::Origin;
use super::{Awaiting, Connection, Phase};
use crate::Timestamp;
use crate::authentication::AuthenticationRefusal;
use crate::broker::Broker;
use crate::effects::Effects;
use crate::hooks::{
    Authentication, Client, Failed, HookSet, LoginRequest, PublishRequest, PublishVerdict,
    SubscribeRequest, SubscribeVerdict,
};

/// What has been settled of a client by the time it gets its session.
#[derive(Default)]
pub(super) struct Admission {
    /// By an authentication method.
    pub(super) granted: Option<Granted>,
    /// The client as hooks see it, if there are any.
    pub(super) client: Option<Arc<Client>>,
    pub(super) assigned_client_id: Option<String>,
    /// Filters of its session that it may not have any more.
    pub(super) denied: Vec<String>,
}

/// A connection whose CONNECT hooks are thinking about.
pub(super) struct Admitting {
    pub(super) until: Timestamp,
    pub(super) version: Version,
    /// The client's maximum packet size.
    pub(super) bytes_max: usize,
    origin: Origin,
    granted: Option<Granted>,
    assigned_client_id: Option<String>,
    future: Pin<Box<dyn Future<Output = Result<Settled, AuthenticationRefusal>> + Send>>,
}

/// What hooks have come to.
struct Settled {
    /// Without its password, and with the will that the client may have.
    connect: OwnedConnect,
    client: Arc<Client>,
    denied: Vec<String>,
}

/// What hooks are asked about.
struct Questions {
    broker: Arc<Broker>,
    connect: OwnedConnect,
    client_id: Arc<str>,
    origin: Origin,
    /// Whether an authentication method has found out who the client is, and who that is.
    user: Option<Option<Arc<str>>>,
}

impl Connection {
    /// Whether CONNECT waits for hooks, however fast they are.
    pub(super) fn asks_hooks(&self) -> bool {
        self.broker.hooked().is_some()
    }

    /// Lets the client in when hooks have been asked.
    pub(super) fn begin_admission(
        &mut self,
        now: Timestamp,
        connect: &Connect<'_>,
        granted: Option<Granted>,
    ) {
        let assigned_client_id = match assign_client_id(connect, self.broker.options()) {
            Ok(assigned) => assigned,
            Err(refusal) => return self.refuse_connect(refusal, connect),
        };
        let origin = self.take_origin();
        let questions = Questions {
            broker: Arc::clone(&self.broker),
            connect: connect.to_owned(),
            client_id: assigned_client_id
                .as_deref()
                .unwrap_or(connect.client_id)
                .into(),
            origin: origin.clone(),
            user: granted.as_ref().map(|granted| granted.user().cloned()),
        };
        self.phase = Phase::Admitting(Box::new(Admitting {
            until: self.poll_timeout().unwrap_or(now),
            version: connect.version,
            bytes_max: bytes_max(connect),
            origin,
            granted,
            assigned_client_id,
            future: Box::pin(questions.ask()),
        }));
    }

    /// Lets the client in, or not, if that has been decided by now.
    pub(super) fn poll_admission(
        &mut self,
        now: Timestamp,
        task: &mut TaskContext<'_>,
        effects: &mut Effects,
    ) -> Poll<()> {
        let Phase::Admitting(admitting) = &mut self.phase else {
            return Poll::Ready(());
        };
        let settled = core::task::ready!(admitting.future.as_mut().poll(task));
        let awaiting = Phase::Awaiting(Box::new(Awaiting {
            until: admitting.until,
            version: admitting.version,
            origin: core::mem::take(&mut admitting.origin),
        }));
        let phase = core::mem::replace(&mut self.phase, awaiting);
        if let Phase::Admitting(admitting) = phase {
            match settled {
                Ok(settled) => {
                    let admission = Box::new(Admission {
                        granted: admitting.granted,
                        client: Some(settled.client),
                        assigned_client_id: admitting.assigned_client_id,
                        denied: settled.denied,
                    });
                    let connect = settled.connect.as_connect();
                    self.admit(now, &connect, Some(admission), effects);
                }
                Err(refusal) => {
                    self.broker.counters().authentication_failures.add(1);
                    let reason = for_connack(refusal.reason_code);
                    let words = refusal.reason_string;
                    self.refuse(reason, words.as_deref(), admitting.bytes_max);
                }
            }
        }
        Poll::Ready(())
    }
}

impl Questions {
    /// Asks one after the other; the first refusal ends it.
    async fn ask(mut self) -> Result<Settled, AuthenticationRefusal> {
        let wanted = self
            .broker
            .hooked()
            .map_or(HookSet::NONE, |hooked| hooked.wanted);
        let client = Arc::new(self.authenticate(wanted).await?);
        self.connect.password = None;
        if wanted.authorize_publish {
            self.ask_about_will(&client).await?;
        }
        let denied = if wanted.authorize_subscribe && !self.connect.clean_start {
            self.ask_about_filters(&client).await?
        } else {
            Vec::new()
        };
        Ok(Settled {
            connect: self.connect,
            client,
            denied,
        })
    }

    async fn authenticate(&self, wanted: HookSet) -> Result<Client, AuthenticationRefusal> {
        let connect = &self.connect;
        let known = Client::new(Arc::clone(&self.client_id), connect.version).with_connection(
            self.origin.address,
            connect.clean_start,
            connect.keep_alive,
        );
        let certified = self.origin.certified.as_ref();
        let asked = match (&self.user, self.broker.hooked()) {
            (None, Some(hooked)) if wanted.authenticate => {
                let login = LoginRequest {
                    user_name: connect.username.as_deref(),
                    password: connect.password.as_deref(),
                    certified,
                    address: self.origin.address,
                    clean_start: connect.clean_start,
                    keep_alive_secs: connect.keep_alive,
                    ..LoginRequest::new(connect.version, &self.client_id)
                };
                let answer = hooked.ask(|hooks| hooks.authenticate(&login));
                self.heard(answer.wait().await)?
            }
            (Some(user), _) => Authentication::Accept {
                user: user.as_ref().or(certified).cloned(),
                data: None,
            },
            _ => Authentication::Pass,
        };
        let (user, data) = match asked {
            Authentication::Refuse(refusal) => return Err(refusal),
            Authentication::Pass => (certified.cloned(), None),
            Authentication::Accept { user, data } => (user, data),
        };
        let known = user.into_iter().fold(known, Client::with_user);
        Ok(data.into_iter().fold(known, Client::with_data))
    }

    /// A will whose topic nobody may have is left for CONNECT to refuse.
    async fn ask_about_will(&mut self, client: &Arc<Client>) -> Result<(), AuthenticationRefusal> {
        let (Some(hooked), Some(will)) = (self.broker.hooked(), &mut self.connect.will) else {
            return Ok(());
        };
        if !may_have_topic(&will.topic, self.broker.options()) {
            return Ok(());
        }
        let answer = hooked.ask(|hooks| {
            let OwnedWill { qos, retain, .. } = *will;
            let request = PublishRequest {
                qos,
                retain,
                properties: will.properties.as_properties(),
                is_will: true,
                ..PublishRequest::new(&will.topic, &will.payload)
            };
            hooks.authorize_publish(client, &request)
        });
        let verdict = answer.wait().await;
        let counters = self.broker.counters();
        match verdict {
            Ok(PublishVerdict::Allow) => {}
            Ok(PublishVerdict::Replace(payload)) => will.payload = payload.into(),
            Ok(PublishVerdict::Ignore) => self.connect.will = None,
            Ok(PublishVerdict::Deny(_) | PublishVerdict::Disconnect) => {
                counters.denied_publishes.add(1);
                return Err(refusal(WILL));
            }
            Err(Failed) => {
                counters.hook_failures.add(1);
                return Err(refusal(FAILED));
            }
        }
        Ok(())
    }

    async fn ask_about_filters(
        &self,
        client: &Arc<Client>,
    ) -> Result<Vec<String>, AuthenticationRefusal> {
        let mut denied = Vec::new();
        let Some(hooked) = self.broker.hooked() else {
            return Ok(denied);
        };
        for filter in self.broker.filters_of(&self.client_id) {
            let answer = hooked.ask(|hooks| {
                let request = SubscribeRequest {
                    qos: QoS::ExactlyOnce,
                    is_held: true,
                    ..SubscribeRequest::new(&filter)
                };
                hooks.authorize_subscribe(client, &request)
            });
            match self.heard(answer.wait().await)? {
                SubscribeVerdict::Allow | SubscribeVerdict::AllowAt(_) => {}
                SubscribeVerdict::Deny(_) => {
                    self.broker.counters().denied_subscriptions.add(1);
                    denied.push(filter);
                }
                SubscribeVerdict::Disconnect => {
                    self.broker.counters().denied_subscriptions.add(1);
                    return Err(refusal(FILTER));
                }
            }
        }
        Ok(denied)
    }

    fn heard<T>(&self, verdict: Result<T, Failed>) -> Result<T, AuthenticationRefusal> {
        verdict.map_err(|Failed| {
            self.broker.counters().hook_failures.add(1);
            refusal(FAILED)
        })
    }
}

/// What the client is told in words.
const WILL: &str = "not authorized to publish the will";
const FILTER: &str = "not authorized to go on with a subscription of the session";
const FAILED: &str = "it could not be found out whether the client may connect";

fn refusal(words: &str) -> AuthenticationRefusal {
    AuthenticationRefusal {
        reason_code: ReasonCode::NotAuthorized,
        reason_string: Some(words.to_owned()),
    }
}

impl core::fmt::Debug for Admitting {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Admitting")
            .field("origin", &self.origin)
            .field("until", &self.until)
            .finish_non_exhaustive()
    }
}
