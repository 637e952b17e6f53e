//! Several hooks as one: who comes in by any of them, and what all of them allow.

use core::mem;
use std::sync::Arc;

use mqtt_codec::{PropertiesBuf, QoS};

use super::{
    Authentication, Client, Event, ForwardRequest, ForwardVerdict, HookSet, Hooks, Login,
    LoginRequest, PublishRequest, PublishVerdict, SubscribeRequest, SubscribeVerdict,
};
use crate::authentication::Verdict;

/// Several hooks, asked in the order in which they were added; each only for what it
/// [wants](Hooks::wanted).
///
/// - **Who comes in:** the first that does not [pass](Authentication::Pass) decides. If all pass, the
///   client is a stranger and refused: with 0x86 (return code 4 for 3.x clients) if it has a user name, with
///   0x87 (5) if it has none, also if it has shown a certificate.
/// - **What it may do:** all have to allow it, the first that does not decides. A payload, or a message, that
///   one replaces is what the next one is asked about. Of several limits on the quality of service of a
///   subscription the lowest holds.
/// - **What has happened:** all hear of it at once, and what waits for the answer waits for all answers.
///
/// One that panics fails the whole request, so the broker refuses it.
///
/// ```
/// use std::sync::Arc;
/// use broker_core::{Authentication, HookChain, HookSet, Hooks, LoginRequest, Verdict};
///
/// /// Knows one user.
/// struct Only(&'static str);
///
/// impl Hooks for Only {
///     fn wanted(&self) -> HookSet {
///         HookSet { authenticate: true, ..HookSet::NONE }
///     }
///
///     fn authenticate(&self, login: &LoginRequest<'_>) -> Verdict<Authentication> {
///         Verdict::Ready(match login.user_name {
///             Some(name) if name == self.0 => Authentication::accept(name),
///             _ => Authentication::Pass,
///         })
///     }
/// }
///
/// let chain = HookChain::new().then(Arc::new(Only("eve"))).then(Arc::new(Only("adam")));
/// assert!(chain.wanted().authenticate);
/// ```
#[derive(Clone, Default)]
pub struct HookChain {
    links: Arc<[Link]>,
    /// The first that is asked.
    from: usize,
}

#[derive(Clone)]
struct Link {
    hooks: Arc<dyn Hooks>,
    wanted: HookSet,
}

impl HookChain {
    /// Without hooks it wants nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with these behind the others.
    #[must_use]
    pub fn then(self, hooks: Arc<dyn Hooks>) -> Self {
        let wanted = hooks.wanted();
        let link = Link { hooks, wanted };
        Self {
            links: self.links.iter().cloned().chain([link]).collect(),
            from: self.from,
        }
    }

    /// Those that want to be asked, with their places.
    fn asked(&self, wants: fn(&HookSet) -> bool) -> impl Iterator<Item = (usize, &dyn Hooks)> {
        let links = self.links.iter().enumerate().skip(self.from);
        links.filter_map(move |(at, link)| wants(&link.wanted).then_some((at, &*link.hooks)))
    }

    /// Those behind this place.
    fn behind(&self, at: usize) -> Self {
        Self {
            links: Arc::clone(&self.links),
            from: at.saturating_add(1),
        }
    }
}

impl Hooks for HookChain {
    fn wanted(&self) -> HookSet {
        let wanted = self.links.iter().map(|link| link.wanted);
        wanted.fold(HookSet::NONE, HookSet::or)
    }

    fn authenticate(&self, login: &LoginRequest<'_>) -> Verdict<Authentication> {
        for (at, hooks) in self.asked(|wanted| wanted.authenticate) {
            match hooks.authenticate(login) {
                Verdict::Ready(Authentication::Pass) => {}
                Verdict::Pending(future) => {
                    let (rest, login) = (self.behind(at), Login::from(login));
                    return Verdict::pending(async move {
                        match future.await {
                            Authentication::Pass => {
                                settle(rest.authenticate(&login.as_request())).await
                            }
                            decided => decided,
                        }
                    });
                }
                decided => return decided,
            }
        }
        Verdict::Ready(match login.user_name {
            Some(_) => Authentication::bad_credentials(),
            None => Authentication::not_authorized(),
        })
    }

    fn authorize_publish(
        &self,
        client: &Arc<Client>,
        publish: &PublishRequest<'_>,
    ) -> Verdict<PublishVerdict> {
        let mut replaced: Option<Vec<u8>> = None;
        for (at, hooks) in self.asked(|wanted| wanted.authorize_publish) {
            let request = PublishRequest {
                payload: replaced.as_deref().unwrap_or(publish.payload),
                ..*publish
            };
            match hooks.authorize_publish(client, &request) {
                Verdict::Ready(PublishVerdict::Allow) => {}
                Verdict::Ready(PublishVerdict::Replace(payload)) => replaced = Some(payload),
                Verdict::Pending(future) => {
                    let (rest, client) = (self.behind(at), Arc::clone(client));
                    let mut held = HeldPublish::new(&request);
                    held.is_replaced = replaced.is_some();
                    return Verdict::pending(async move {
                        match future.await {
                            PublishVerdict::Allow => {}
                            PublishVerdict::Replace(payload) => held.replace(payload),
                            decided => return decided,
                        }
                        match settle(rest.authorize_publish(&client, &held.request())).await {
                            PublishVerdict::Allow => held.allowed(),
                            decided => decided,
                        }
                    });
                }
                decided => return decided,
            }
        }
        Verdict::Ready(replaced.map_or(PublishVerdict::Allow, PublishVerdict::Replace))
    }

    fn authorize_subscribe(
        &self,
        client: &Arc<Client>,
        subscribe: &SubscribeRequest<'_>,
    ) -> Verdict<SubscribeVerdict> {
        let mut allowed = SubscribeVerdict::Allow;
        for (at, hooks) in self.asked(|wanted| wanted.authorize_subscribe) {
            match hooks.authorize_subscribe(client, subscribe) {
                Verdict::Pending(future) => {
                    let (rest, client) = (self.behind(at), Arc::clone(client));
                    let SubscribeRequest { qos, is_held, .. } = *subscribe;
                    let filter = subscribe.filter.to_owned();
                    return Verdict::pending(async move {
                        let allowed = match lower(allowed, future.await) {
                            Ok(allowed) => allowed,
                            Err(denied) => return denied,
                        };
                        let request = SubscribeRequest {
                            filter: &filter,
                            qos,
                            is_held,
                        };
                        let others = settle(rest.authorize_subscribe(&client, &request)).await;
                        lower(allowed, others).unwrap_or_else(|denied| denied)
                    });
                }
                Verdict::Ready(verdict) => match lower(allowed, verdict) {
                    Ok(both) => allowed = both,
                    Err(denied) => return Verdict::Ready(denied),
                },
            }
        }
        Verdict::Ready(allowed)
    }

    fn authorize_forward(
        &self,
        client: &Arc<Client>,
        forward: &ForwardRequest<'_>,
    ) -> Verdict<ForwardVerdict> {
        let mut replaced = None;
        for (at, hooks) in self.asked(|wanted| wanted.authorize_forward) {
            let message = replaced.as_ref().unwrap_or(forward.message);
            let request = ForwardRequest {
                message,
                qos: forward.qos.min(message.qos()),
                retain: forward.retain,
            };
            match hooks.authorize_forward(client, &request) {
                Verdict::Ready(ForwardVerdict::Allow) => {}
                Verdict::Ready(ForwardVerdict::Replace(message)) => replaced = Some(message),
                Verdict::Ready(ForwardVerdict::Deny) => {
                    return Verdict::Ready(ForwardVerdict::Deny);
                }
                Verdict::Pending(future) => {
                    let (rest, client) = (self.behind(at), Arc::clone(client));
                    let ForwardRequest { qos, retain, .. } = request;
                    let original = Arc::clone(forward.message);
                    return Verdict::pending(async move {
                        match future.await {
                            ForwardVerdict::Allow => {}
                            ForwardVerdict::Replace(message) => replaced = Some(message),
                            ForwardVerdict::Deny => return ForwardVerdict::Deny,
                        }
                        let message = replaced.as_ref().unwrap_or(&original);
                        let qos = qos.min(message.qos());
                        let request = ForwardRequest {
                            message,
                            qos,
                            retain,
                        };
                        match settle(rest.authorize_forward(&client, &request)).await {
                            ForwardVerdict::Allow => {
                                replaced.map_or(ForwardVerdict::Allow, ForwardVerdict::Replace)
                            }
                            decided => decided,
                        }
                    });
                }
            }
        }
        Verdict::Ready(replaced.map_or(ForwardVerdict::Allow, ForwardVerdict::Replace))
    }

    fn may_stay(&self, client: &Arc<Client>) -> Verdict<bool> {
        for (at, hooks) in self.asked(|wanted| wanted.authenticate) {
            match hooks.may_stay(client) {
                Verdict::Ready(true) => {}
                Verdict::Ready(false) => return Verdict::Ready(false),
                Verdict::Pending(future) => {
                    let (rest, client) = (self.behind(at), Arc::clone(client));
                    return Verdict::pending(async move {
                        future.await && settle(rest.may_stay(&client)).await
                    });
                }
            }
        }
        Verdict::Ready(true)
    }

    fn notify(&self, event: &Event<'_>) -> Verdict<()> {
        let wants: fn(&HookSet) -> bool = match event {
            Event::Connected { .. } => |wanted| wanted.connected,
            Event::Disconnected { .. } => |wanted| wanted.disconnected,
            Event::Published { .. } => |wanted| wanted.published,
            Event::Delivered { .. } => |wanted| wanted.delivered,
            Event::Subscribed { .. } => |wanted| wanted.subscribed,
            Event::Unsubscribed { .. } => |wanted| wanted.unsubscribed,
            Event::PingReq { .. } => |wanted| wanted.pingreq,
        };
        let mut waiting = Vec::new();
        for (_, hooks) in self.asked(wants) {
            if let Verdict::Pending(future) = hooks.notify(event) {
                waiting.push(future);
            }
        }
        if waiting.is_empty() {
            return Verdict::Ready(());
        }
        Verdict::pending(async move {
            for future in waiting {
                future.await;
            }
        })
    }
}

impl core::fmt::Debug for HookChain {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let wanted = self.links.iter().map(|link| &link.wanted);
        f.debug_list().entries(wanted).finish()
    }
}

async fn settle<T>(verdict: Verdict<T>) -> T {
    match verdict {
        Verdict::Ready(decided) => decided,
        Verdict::Pending(future) => future.await,
    }
}

/// What both allow, or the denial of the second; the first is none.
fn lower(
    first: SubscribeVerdict,
    second: SubscribeVerdict,
) -> Result<SubscribeVerdict, SubscribeVerdict> {
    use SubscribeVerdict::{Allow, AllowAt};
    match (first, second) {
        (AllowAt(first), AllowAt(second)) => Ok(AllowAt(first.min(second))),
        (first, Allow) => Ok(first),
        (_, AllowAt(second)) => Ok(AllowAt(second)),
        (_, denied) => Err(denied),
    }
}

/// A message that outlives the packet.
struct HeldPublish {
    topic: String,
    payload: Vec<u8>,
    is_replaced: bool,
    properties: PropertiesBuf,
    qos: QoS,
    retain: bool,
    is_will: bool,
}

impl HeldPublish {
    fn new(publish: &PublishRequest<'_>) -> Self {
        Self {
            topic: publish.topic.to_owned(),
            payload: publish.payload.to_vec(),
            is_replaced: false,
            properties: publish.properties.into(),
            qos: publish.qos,
            retain: publish.retain,
            is_will: publish.is_will,
        }
    }

    fn request(&self) -> PublishRequest<'_> {
        PublishRequest {
            topic: &self.topic,
            payload: &self.payload,
            qos: self.qos,
            retain: self.retain,
            properties: self.properties.as_properties(),
            is_will: self.is_will,
        }
    }

    fn replace(&mut self, payload: Vec<u8>) {
        self.payload = payload;
        self.is_replaced = true;
    }

    fn allowed(&mut self) -> PublishVerdict {
        if self.is_replaced {
            PublishVerdict::Replace(mem::take(&mut self.payload))
        } else {
            PublishVerdict::Allow
        }
    }
}

#[cfg(test)]
mod tests;
