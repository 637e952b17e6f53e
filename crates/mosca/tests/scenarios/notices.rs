//! What hooks do about something for which nobody waits has a limit.

use std::sync::Arc;

use mosca::{AsyncHooks, Client, HookSet, Message, MessageParts, QoS, Server, Timestamp};

/// Never comes to an end with a message that was published.
struct Endless;

impl AsyncHooks for Endless {
    fn wanted(&self) -> HookSet {
        HookSet {
            published: true,
            ..HookSet::NONE
        }
    }

    async fn on_published(&self, _client: Option<Arc<Client>>, _message: Arc<Message>) {
        std::future::pending().await
    }
}

#[tokio::test]
async fn notices_that_nobody_waits_for_are_dropped_and_counted_when_there_are_too_many() {
    let server = Server::builder().async_hooks(Endless);
    let server = server.start().await.unwrap();
    let message = Message::new(MessageParts {
        topic: "a",
        properties: &[],
        payload: b"x",
        qos: QoS::AtMostOnce,
        retain: false,
        expires: Timestamp::MAX,
    });
    for _ in 0..10_000 {
        server.publish(&message).await.unwrap();
    }
    assert_eq!(server.network_counters().dropped_notices, 0);
    for _ in 0..3 {
        server.publish(&message).await.unwrap();
    }
    assert_eq!(server.network_counters().dropped_notices, 3);
}
