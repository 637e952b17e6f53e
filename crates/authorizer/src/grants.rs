//! Clients with a [`Grant`]: held to what it says for as long as they are connected.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use broker_core::{
    Client, Event, PublishRequest, PublishVerdict, SubscribeRequest, SubscribeVerdict,
};
use parking_lot::Mutex;

use crate::grant::Grant;

/// The part of hooks that is the same for all who let clients in with a [`Grant`]: each method is to be
/// called by the one of the same name of [`Hooks`](broker_core::Hooks).
///
/// A client whose time is over is disconnected when it publishes or subscribes. So that one that only
/// listens is, too, [`due`](Self::due) has to be called now and then.
#[derive(Debug, Default)]
pub struct Grants {
    /// Connected clients that have to go at some time. A grant belongs to one connection, so its place in
    /// memory tells it from others while it lasts.
    expiring: Mutex<BTreeMap<(SystemTime, usize), Arc<str>>>,
}

impl Grants {
    /// For nobody so far.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Allowed if the client has no rights of its own, or they allow it.
    #[must_use]
    pub fn authorize_publish(
        &self,
        client: &Client,
        publish: &PublishRequest<'_>,
    ) -> PublishVerdict {
        match client.data::<Grant>() {
            Some(grant) if grant.is_over(SystemTime::now()) => PublishVerdict::Disconnect,
            Some(grant) if !grant.may(|it| it.may_publish(publish.topic)) => PublishVerdict::DENY,
            _ => PublishVerdict::Allow,
        }
    }

    /// Allowed if the client has no rights of its own, or they allow it.
    #[must_use]
    pub fn authorize_subscribe(
        &self,
        client: &Client,
        subscribe: &SubscribeRequest<'_>,
    ) -> SubscribeVerdict {
        match client.data::<Grant>() {
            Some(grant) if grant.is_over(SystemTime::now()) => SubscribeVerdict::Disconnect,
            Some(grant) if !grant.may(|it| it.may_subscribe(subscribe.filter)) => {
                SubscribeVerdict::DENY
            }
            _ => SubscribeVerdict::Allow,
        }
    }

    /// Whether the client's time is not over.
    #[must_use]
    pub fn may_stay(&self, client: &Client) -> bool {
        let grant = client.data::<Grant>();
        !grant.is_some_and(|grant| grant.is_over(SystemTime::now()))
    }

    /// Remembers clients that come, and forgets those that have gone; other events do not matter.
    pub fn notify(&self, event: &Event<'_>) {
        match event {
            Event::Connected { client, .. } => {
                if let Some(key) = key(client) {
                    let client_id = Arc::clone(client.client_id());
                    self.expiring.lock().insert(key, client_id);
                }
            }
            Event::Disconnected { client, .. } => {
                if let Some(key) = key(client) {
                    self.expiring.lock().remove(&key);
                }
            }
            _ => {}
        }
    }

    /// The client identifiers of those whose time is over, each once: to be given to the broker's
    /// [`reauthorize_client`](broker_core::Broker::reauthorize_client).
    #[must_use]
    pub fn due(&self, now: SystemTime) -> Vec<Arc<str>> {
        let mut expiring = self.expiring.lock();
        let mut due = Vec::new();
        while let Some(first) = expiring.first_entry()
            && first.key().0 <= now
        {
            due.push(first.remove());
        }
        due
    }
}

fn key(client: &Client) -> Option<(SystemTime, usize)> {
    let grant = client.data::<Grant>()?;
    Some((grant.until()?, core::ptr::from_ref(grant).addr()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grant::Acl;
    use broker_core::CloseCause;
    use mqtt_codec::Version;
    use std::time::Duration;

    fn client(name: &str, acl: Option<&str>, until: Option<SystemTime>) -> Arc<Client> {
        let acl: Option<Acl> = acl.map(|text| serde_json::from_str(text).unwrap());
        let permissions = acl.map(|acl| acl.permissions(None, name));
        let grant = Grant::new(permissions, until);
        Arc::new(Client::new(name, Version::V5).with_data(Arc::new(grant)))
    }

    #[test]
    fn rights_of_its_own_hold_and_nobody_else_is_held_up() {
        let grants = Grants::new();
        let topics = |client: &Client| {
            let publish = grants.authorize_publish(client, &PublishRequest::new("a", b""));
            let subscribe = grants.authorize_subscribe(client, &SubscribeRequest::new("b/#"));
            (publish, subscribe)
        };
        let allowed = (PublishVerdict::Allow, SubscribeVerdict::Allow);
        assert_eq!(topics(&Client::new("c", Version::V5)), allowed);
        assert_eq!(topics(&client("c", None, None)), allowed);
        let some = client("c", Some(r#"{"subscribe": ["b/**"]}"#), None);
        assert_eq!(
            topics(&some),
            (PublishVerdict::DENY, SubscribeVerdict::Allow)
        );
        let some = client(
            "c",
            Some(r#"{"publish": ["a"], "subscribe": ["b/*"]}"#),
            None,
        );
        assert_eq!(
            topics(&some),
            (PublishVerdict::Allow, SubscribeVerdict::DENY)
        );
        let over = client("c", None, Some(SystemTime::UNIX_EPOCH));
        let expected = (PublishVerdict::Disconnect, SubscribeVerdict::Disconnect);
        assert_eq!(topics(&over), expected);
        assert!(!grants.may_stay(&over) && grants.may_stay(&some));
    }

    #[test]
    fn those_are_due_who_are_connected_and_over() {
        let grants = Grants::new();
        let now = SystemTime::now();
        let at = |secs| Some(now + Duration::from_secs(secs));
        let clients = [
            client("second", None, at(2)),
            client("first", None, at(1)),
            client("gone", None, at(1)),
            client("first", None, at(1)),
            client("forever", None, None),
            client("last", None, at(9)),
        ];
        for client in &clients {
            grants.notify(&Event::Connected {
                client,
                session_present: false,
            });
        }
        for client in &clients[2..=3] {
            grants.notify(&Event::Disconnected {
                client,
                cause: CloseCause::ConnectionLost,
            });
        }
        assert!(grants.due(now).is_empty());
        let due = grants.due(now + Duration::from_secs(2));
        let due: Vec<_> = due.iter().map(AsRef::as_ref).collect();
        assert_eq!(due, ["first", "second"]);
        assert!(grants.due(now + Duration::from_secs(2)).is_empty());
        assert_eq!(grants.expiring.lock().len(), 1);
    }
}
