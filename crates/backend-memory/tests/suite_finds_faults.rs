//! The contract suite finds what is wrong with an engine: each of these has one fault, and a case that says so.
//!
//! Faults by which something never comes are not here: a case that waits for it ends after a minute.

use std::future::ready;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use backend_memory::MemoryBackend;
use broker_core::backend::contract::{Controlled, Factory, run_case};
use broker_core::backend::{
    Answer, Backend, BackendError, Content, Envelope, Inbound, Membership, NodeId, Tag,
};
use broker_core::{Message, MessageParts};
use tokio::runtime::Runtime;
use topic_trie::TopicFilterBuf;

/// What is wrong with an engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    /// Properties are lost.
    DropsProperties,
    /// Payloads are text.
    PayloadsAreText,
    /// What is left of the time is lost.
    DropsExpiry,
    /// Who has published it is lost.
    DropsPublisher,
    /// All comes from a node of another name.
    ChangesTags,
    /// A `/` at the end of a topic goes.
    CutsSlashes,
    /// A batch comes from its end.
    Backward,
    /// What is too large takes the batch with it.
    RefusesBatches,
    /// Nodes are told apart by their names alone.
    NodesAreNames,
    /// Who has left may go on.
    LeavingIsNothing,
}

/// The faults, and the cases that find them.
const FOUND_BY: [(Fault, &str); 10] = [
    (Fault::DropsProperties, "what_is_published_comes_whole"),
    (Fault::PayloadsAreText, "what_is_published_comes_whole"),
    (Fault::DropsExpiry, "what_is_published_comes_whole"),
    (Fault::DropsPublisher, "what_is_published_comes_whole"),
    (Fault::ChangesTags, "what_is_published_comes_whole"),
    (Fault::CutsSlashes, "filters_match_as_in_mqtt"),
    (Fault::Backward, "a_topic_keeps_its_order"),
    (
        Fault::RefusesBatches,
        "a_large_message_comes_or_is_refused_alone",
    ),
    (Fault::NodesAreNames, "nodes_of_one_name_are_two"),
    (
        Fault::LeavingIsNothing,
        "who_has_left_gets_nothing_and_can_do_nothing",
    ),
];

struct Faulty<B> {
    inner: B,
    fault: Fault,
}

impl<B: Backend> Backend for Faulty<B> {
    fn join(&self, mut node: NodeId, inbound: Inbound) -> Answer<Arc<dyn Membership>> {
        let fault = self.fault;
        if fault == Fault::NodesAreNames {
            node.start = 0;
        }
        let joining = self.inner.join(node, inbound);
        Box::pin(async move {
            let inner = joining.await?;
            Ok(Arc::new(FaultyMembership { inner, fault }) as Arc<dyn Membership>)
        })
    }
}

struct FaultyMembership {
    inner: Arc<dyn Membership>,
    fault: Fault,
}

impl Membership for FaultyMembership {
    fn publish(&self, mut batch: Vec<Envelope>) -> Answer<usize> {
        match self.fault {
            Fault::Backward => batch.reverse(),
            Fault::RefusesBatches if batch.iter().any(|it| it.size_bytes() > 1 << 20) => {
                let error = BackendError::Refused("too large".into());
                return Box::pin(ready(Err(error)));
            }
            _ => {}
        }
        let batch = batch.into_iter().map(|it| spoil(self.fault, it));
        self.inner.publish(batch.collect())
    }

    fn subscribe(&self, filters: Vec<TopicFilterBuf>) -> Answer<()> {
        self.inner.subscribe(filters)
    }

    fn unsubscribe(&self, filters: Vec<TopicFilterBuf>) -> Answer<()> {
        self.inner.unsubscribe(filters)
    }

    fn leave(&self) -> Answer<()> {
        match self.fault {
            Fault::LeavingIsNothing => Box::pin(ready(Ok(()))),
            _ => self.inner.leave(),
        }
    }
}

fn spoil(fault: Fault, mut envelope: Envelope) -> Envelope {
    if fault == Fault::ChangesTags
        && let Some(Tag { node, .. }) = &mut envelope.tag
    {
        node.name = "somebody".into();
    }
    let Content::Message {
        message,
        expires_in,
        publisher,
        ..
    } = &mut envelope.content
    else {
        return envelope;
    };
    let topic = match fault {
        Fault::CutsSlashes if message.topic().len() > 1 => message.topic().trim_end_matches('/'),
        _ => message.topic(),
    };
    let payload = match fault {
        Fault::PayloadsAreText => String::from_utf8_lossy(message.payload())
            .as_bytes()
            .to_vec(),
        _ => message.payload().to_vec(),
    };
    let mut parts = MessageParts {
        topic,
        payload: &payload,
        ..message.parts()
    };
    match fault {
        Fault::DropsProperties => parts.properties = &[],
        Fault::DropsExpiry => *expires_in = None,
        Fault::DropsPublisher => *publisher = None,
        _ => {}
    }
    *message = Message::new(parts);
    envelope
}

struct Engines {
    fault: Fault,
    runtime: Runtime,
}

impl Factory for Engines {
    type Engine = Controlled<MemoryBackend>;
    type Backend = Faulty<Controlled<MemoryBackend>>;

    fn create(&self) -> Self::Engine {
        Controlled::new(MemoryBackend::with_patience(Duration::from_millis(20)))
    }

    fn open(&self, engine: &Self::Engine) -> Self::Backend {
        Faulty {
            inner: engine.clone(),
            fault: self.fault,
        }
    }

    fn around(&self, case: &mut dyn FnMut()) {
        let _entered = self.runtime.enter();
        case();
    }
}

#[test]
fn each_fault_is_found_and_where_there_is_none_none_is() {
    for (fault, case) in FOUND_BY {
        let has_failed = |fault| {
            let runtime = Runtime::new().unwrap();
            let engines = Engines { fault, runtime };
            catch_unwind(AssertUnwindSafe(|| run_case(case, &engines))).is_err()
        };
        assert!(has_failed(fault), "{case} does not find {fault:?}");
        assert!(!has_failed(Fault::None), "{case} finds a fault in none");
    }
}
