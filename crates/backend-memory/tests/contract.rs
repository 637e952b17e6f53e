//! The engine in memory keeps what every engine promises, and what it says of itself.

#![expect(
    clippy::unwrap_used,
    reason = "a test ends where an engine cannot answer"
)]

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use backend_memory::MemoryBackend;
use broker_core::backend::contract::{Controlled, Factory};
use broker_core::backend::{
    Arrival, Backend, Content, Envelope, InboundLimits, Incoming, Membership, NodeId, inbound,
};
use broker_core::{Message, MessageParts, Timestamp};
use mqtt_codec::QoS;
use tokio::runtime::Runtime;
use tokio::time::Instant;
use topic_trie::TopicFilter;

/// The engine behind a switch, since it is never lost by itself.
struct Memory(Runtime);

impl Memory {
    fn new() -> Self {
        Self(Runtime::new().unwrap())
    }
}

impl Factory for Memory {
    type Engine = Controlled<MemoryBackend>;
    type Backend = Controlled<MemoryBackend>;

    fn create(&self) -> Self::Engine {
        Controlled::new(MemoryBackend::with_patience(Duration::from_millis(20)))
    }

    fn open(&self, engine: &Self::Engine) -> Self::Backend {
        engine.clone()
    }

    fn lose(&self, engine: &Self::Engine) -> bool {
        engine.lose();
        true
    }

    fn restore(&self, engine: &Self::Engine) {
        engine.restore();
    }

    fn around(&self, case: &mut dyn FnMut()) {
        let _entered = self.0.enter();
        case();
    }
}

broker_core::backend_contract!(Memory::new());

async fn join(
    engine: &MemoryBackend,
    name: &str,
    envelopes: usize,
) -> (Arc<dyn Membership>, Incoming) {
    let limits = InboundLimits {
        envelopes,
        bytes: 1 << 20,
    };
    let (way_in, incoming) = inbound(limits);
    let node = engine.join(NodeId::new(name, 0), way_in).await.unwrap();
    (node, incoming)
}

fn message(topic: &str) -> Envelope {
    let message = Message::new(MessageParts {
        topic,
        properties: &[],
        payload: &[],
        qos: QoS::AtMostOnce,
        retain: false,
        expires: Timestamp::MAX,
    });
    let content = Content::Message {
        message,
        expires_in: None,
        publisher: None,
        retained_at: 0,
    };
    Envelope { tag: None, content }
}

/// What has come: the topics, and how many were missed.
async fn come(incoming: &mut Incoming) -> (Vec<String>, u64) {
    let (mut topics, mut missed) = (Vec::new(), 0);
    poll_fn(|task| {
        while let Poll::Ready(Some(arrival)) = incoming.poll_next(task) {
            match arrival {
                Arrival::Envelope(Envelope {
                    content: Content::Message { message, .. },
                    ..
                }) => topics.push(message.topic().to_owned()),
                Arrival::Missed(messages) => missed += messages,
                _ => {}
            }
        }
        Poll::Ready(())
    })
    .await;
    (topics, missed)
}

#[tokio::test]
async fn each_node_gets_what_it_asks_for_once_and_nothing_of_its_own() {
    let engine = MemoryBackend::new();
    let (a, mut to_a) = join(&engine, "a", 100).await;
    let (b, mut to_b) = join(&engine, "b", 100).await;
    for (node, filters) in [(&a, ["#", "t"]), (&b, ["t/#", "t/+"])] {
        let filters = filters.map(|it| TopicFilter::new(it).unwrap().to_buf());
        node.subscribe(filters.to_vec()).await.unwrap();
    }
    assert_eq!((engine.members(), engine.filters()), (2, 4));
    let batch = ["t/1", "u", "t"].map(message).to_vec();
    assert_eq!(a.publish(batch).await.unwrap(), 0);
    assert_eq!(come(&mut to_a).await.0, [""; 0]);
    assert_eq!(come(&mut to_b).await.0, ["t/1", "t"]);
    drop((a, b));
    assert_eq!((engine.members(), engine.filters()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_node_that_takes_nothing_is_waited_for_once() {
    let engine = MemoryBackend::with_patience(Duration::from_secs(5));
    let (a, _to_a) = join(&engine, "a", 100).await;
    let (b, mut to_b) = join(&engine, "b", 2).await;
    let all = TopicFilter::new("#").unwrap().to_buf();
    b.subscribe(vec![all]).await.unwrap();

    let start = Instant::now();
    a.publish(["1", "2", "3"].map(message).to_vec())
        .await
        .unwrap();
    assert_eq!(start.elapsed().as_secs(), 5);
    a.publish(["4", "5"].map(message).to_vec()).await.unwrap();
    assert_eq!(start.elapsed().as_secs(), 5);
    let (topics, missed) = come(&mut to_b).await;
    assert_eq!((topics, missed), (vec!["1".into(), "2".into()], 3));

    // It takes again, and is waited for again.
    let more = ["6", "7", "8"].map(message).to_vec();
    let (published, ()) = tokio::join!(a.publish(more), async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(come(&mut to_b).await, (vec!["6".into(), "7".into()], 0));
    });
    published.unwrap();
    assert_eq!(start.elapsed().as_secs(), 7);
    assert_eq!(come(&mut to_b).await, (vec!["8".into()], 0));
}
