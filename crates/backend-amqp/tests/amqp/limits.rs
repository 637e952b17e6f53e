//! What is too large or too much.

use crate::node::{Node, message};
use crate::proxy::Proxy;
use crate::server::{options, run};

#[test]
fn a_message_that_is_too_large_is_refused_alone() {
    run(async {
        let mut options = options();
        options.max_message_bytes = 1_000;
        let node = Node::join(&options, "a").await;
        let mut other = Node::join(&options, "b").await;
        other.subscribe("+").await;
        let batch = [1_000, 1_001, 999].map(|bytes| message("t", &vec![b'x'; bytes], 0));
        assert_eq!(node.membership.publish(batch.to_vec()).await.unwrap(), 1);
        for bytes in [1_000, 999] {
            assert_eq!(other.hear().await.0.payload().len(), bytes);
        }
    });
}

/// Properties that are larger than a frame of headers go with the payload.
#[test]
fn properties_may_be_larger_than_a_frame() {
    run(async {
        let options = options();
        let node = Node::join(&options, "a").await;
        let mut other = Node::join(&options, "b").await;
        other.subscribe("t").await;
        let mut property = vec![38, 0, 1, b'k', 0xEA, 0x60];
        property.extend([b'v'; 60_000]);
        let properties = property.repeat(5);
        let mut envelope = message("t", b"payload", 0);
        if let broker_core::backend::Content::Message { message, .. } = &mut envelope.content {
            *message = broker_core::Message::new(broker_core::MessageParts {
                properties: &properties,
                ..message.parts()
            });
        }
        assert_eq!(node.membership.publish(vec![envelope]).await.unwrap(), 0);
        let (message, _) = other.hear().await;
        assert_eq!(message.properties(), properties);
        assert_eq!(message.payload(), b"payload");
    });
}

/// The server has sent what may be read ahead, and nothing was taken of it: what it then has no room for is dropped,
/// and the node is told.
#[test]
fn a_queue_has_its_limits_and_what_is_dropped_is_counted() {
    const READ_AHEAD: usize = 256;
    const MANY: usize = 2 * READ_AHEAD;
    const BYTES: usize = 10 << 10;
    for (messages, bytes) in [(10, u32::MAX), (u32::MAX, 100 << 10)] {
        let proxy = Proxy::new();
        run(async move {
            let mut options = options();
            options.max_queue_messages = messages;
            options.max_queue_bytes = bytes;
            let node = Node::join(&options, "a").await;
            options.url = proxy.url();
            let mut slow = Node::join(&options, "slow").await;
            slow.subscribe("t").await;
            proxy.hold();
            let batch = (0..MANY).map(|_| message("t", &[b'x'; BYTES], 0));
            node.membership.publish(batch.collect()).await.unwrap();
            node.say("t", b"last").await;
            proxy.open();
            let mut received = 1;
            while slow.hear().await.0.payload() != b"last" {
                received += 1;
            }
            slow.misses().await;
            let missed = usize::try_from(slow.missed).unwrap();
            assert!(received + missed <= MANY + 1, "{received} and {missed}");
            assert!(received <= READ_AHEAD + 11, "{received}");
        });
    }
}
