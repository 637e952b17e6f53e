//! Clients that are looked up and disconnected.

use mosca::{AsyncHooks, Authentication, HookSet, Login, ReasonCode, Server};
use mqtt_codec::{Connect, QoS, Version};

use crate::client::{Client, plain_server, start, wait_for_connections};

#[tokio::test]
async fn a_client_is_found_by_its_identifier_and_disconnected_with_a_reason() {
    let server = plain_server().await;
    let connect = Connect {
        keep_alive: 60,
        ..Connect::new(Version::V5, "sensor")
    };
    let mut sensor = Client::connect_with(&server, &connect).await;
    sensor.subscribe("a/#", QoS::AtMostOnce).await;
    let mut old = Client::connect(&server, Version::V311, "old").await;

    let found = server.client("sensor").unwrap();
    let address = sensor.stream.local_addr().unwrap();
    assert_eq!(found.client.address(), Some(address));
    assert_eq!(found.keep_alive_secs, 60);
    assert_eq!(server.subscriptions_of("sensor"), ["a/#"]);
    let mut ids: Vec<String> = server
        .clients()
        .map(|connected| connected.client.client_id().to_string())
        .collect();
    ids.sort();
    assert_eq!(ids, ["old", "sensor"]);

    for (id, client) in [("sensor", &mut sensor), ("old", &mut old)] {
        assert!(server.disconnect(id, ReasonCode::AdministrativeAction));
        assert!(server.client(id).is_none());
        client
            .assert_ends_with(ReasonCode::AdministrativeAction, id)
            .await;
    }
    assert!(!server.disconnect("old", ReasonCode::AdministrativeAction));
    wait_for_connections(&server, 0).await;
    assert_eq!(server.clients().count(), 0);
}

struct Names;

impl AsyncHooks for Names {
    fn wanted(&self) -> HookSet {
        HookSet {
            authenticate: true,
            ..HookSet::NONE
        }
    }

    async fn authenticate(&self, login: Login) -> Authentication {
        Authentication::Accept {
            user: login.user_name.map(Into::into),
            data: Some(std::sync::Arc::new(42_u32)),
        }
    }
}

#[tokio::test]
async fn who_a_client_is_is_found_with_it() {
    let server = start(Server::builder().async_hooks(Names)).await;
    let connect = Connect {
        username: Some("eve"),
        ..Connect::new(Version::V311, "tablet")
    };
    let _tablet = Client::connect_with(&server, &connect).await;
    let found = server.client("tablet").unwrap();
    assert_eq!(found.client.user().map(AsRef::as_ref), Some("eve"));
    assert_eq!(found.client.data(), Some(&42_u32));
    assert!(found.client.address().is_some());
}
