//! What a node has of its membership: the way to the task that has the connection.

use std::future::{Future, ready};
use std::sync::{Arc, Mutex, PoisonError};

use broker_core::backend::{Answer, BackendError, Envelope, Inbound, Membership, NodeId};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use topic_trie::TopicFilterBuf;

use crate::connecting::Connected;
use crate::filters::Request;
use crate::options::MqttBackendOptions;
use crate::publishing::Batch;
use crate::task::{Calls, Task};

/// Calls that wait until the task takes them; a node makes one at a time.
const CALLS_MAX: usize = 4;

/// Tells the task that the node leaves, and where to say that it has.
type Leave = oneshot::Sender<oneshot::Sender<Result<(), BackendError>>>;

/// The membership of one node. Its connection ends with it.
#[derive(Debug)]
pub(crate) struct InMqtt {
    batches: mpsc::Sender<Batch>,
    requests: mpsc::Sender<Request>,
    /// Taken by the node that leaves.
    leave: Mutex<Option<Leave>>,
    task: JoinHandle<()>,
}

/// Makes the node a member, on a connection that stands.
pub(crate) fn begin(
    options: Arc<MqttBackendOptions>,
    node: NodeId,
    inbound: Inbound,
    connected: Connected,
) -> InMqtt {
    let (batches, batches_to_take) = mpsc::channel(CALLS_MAX);
    let (requests, requests_to_take) = mpsc::channel(CALLS_MAX);
    let (leave, left) = oneshot::channel();
    let calls = Calls {
        batches: batches_to_take,
        requests: requests_to_take,
        leave: left,
    };
    let task = Task::new(options, node, inbound, calls);
    InMqtt {
        batches,
        requests,
        leave: Mutex::new(Some(leave)),
        task: tokio::spawn(task.run(connected)),
    }
}

fn has_left() -> BackendError {
    BackendError::Unavailable("the node has left".into())
}

/// Hands a call to the task, and waits for its answer.
fn call<C: Send + 'static, T: Send + 'static>(
    calls: &mpsc::Sender<C>,
    call: C,
    answer: oneshot::Receiver<Result<T, BackendError>>,
) -> impl Future<Output = Result<T, BackendError>> + Send + use<C, T> {
    let calls = calls.clone();
    async move {
        calls.send(call).await.map_err(|_| has_left())?;
        // What the task does not answer it has dropped with its membership.
        answer.await.map_err(|_| has_left())?
    }
}

impl InMqtt {
    fn is_member(&self) -> bool {
        let leave = self.leave.lock().unwrap_or_else(PoisonError::into_inner);
        leave.is_some()
    }

    fn change_filters(&self, filters: Vec<TopicFilterBuf>, subscribes: bool) -> Answer<()> {
        if !self.is_member() {
            return Box::pin(ready(Err(has_left())));
        }
        let (answer, answered) = oneshot::channel();
        let request = Request {
            subscribes,
            filters,
            answer,
        };
        Box::pin(call(&self.requests, request, answered))
    }
}

impl Membership for InMqtt {
    fn publish(&self, envelopes: Vec<Envelope>) -> Answer<usize> {
        if !self.is_member() {
            return Box::pin(ready(Err(has_left())));
        }
        let (answer, answered) = oneshot::channel();
        let batch = Batch { envelopes, answer };
        Box::pin(call(&self.batches, batch, answered))
    }

    fn subscribe(&self, filters: Vec<TopicFilterBuf>) -> Answer<()> {
        self.change_filters(filters, true)
    }

    fn unsubscribe(&self, filters: Vec<TopicFilterBuf>) -> Answer<()> {
        self.change_filters(filters, false)
    }

    fn leave(&self) -> Answer<()> {
        let mut leave = self.leave.lock().unwrap_or_else(PoisonError::into_inner);
        let (answer, answered) = oneshot::channel();
        let told = leave.take().map(|leave| leave.send(answer));
        match told {
            Some(Ok(())) => Box::pin(async { answered.await.map_err(|_| has_left())? }),
            _ => Box::pin(ready(Err(has_left()))),
        }
    }
}

impl Drop for InMqtt {
    fn drop(&mut self) {
        self.task.abort();
    }
}
