//! The task of a membership: it has the connection to the parent, and looks for the parent when that is lost.

use std::future::pending;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use broker_core::backend::{BackendError, BackendState, Inbound, NodeId, StampClock};
use broker_core::{Backoff, Escaped, Timestamp};
use mqtt_client::{ClientError, Version};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep, sleep_until};

use crate::connecting::{Connected, connect};
use crate::delivery::Delivery;
use crate::filters::Request;
use crate::kept::Kept;
use crate::options::MqttBackendOptions;
use crate::publishing::Batch;
use crate::session::Session;

/// Before the parent is looked for again, at first and at most.
const PAUSE_FIRST: Duration = Duration::from_millis(100);
const PAUSE_LONGEST: Duration = Duration::from_secs(30);

/// What the node asks for.
#[derive(Debug)]
pub(crate) struct Calls {
    pub(crate) batches: mpsc::Receiver<Batch>,
    pub(crate) requests: mpsc::Receiver<Request>,
    pub(crate) leave: oneshot::Receiver<Left>,
}

/// Where a node that leaves hears that it has.
type Left = oneshot::Sender<Result<(), BackendError>>;

/// The membership of one node.
pub(crate) struct Task {
    options: Arc<MqttBackendOptions>,
    node: NodeId,
    inbound: Inbound,
    delivery: Delivery,
    calls: Calls,
    stamps: StampClock,
}

/// How a connection ended.
enum End {
    Lost(ClientError),
    /// The node leaves, or is there no more.
    Left(Option<Left>),
}

impl Task {
    pub(crate) fn new(
        options: Arc<MqttBackendOptions>,
        node: NodeId,
        inbound: Inbound,
        calls: Calls,
    ) -> Self {
        Self {
            options,
            node,
            delivery: Delivery::new(inbound.clone()),
            inbound,
            calls,
            stamps: StampClock::default(),
        }
    }

    /// Serves the node, on one connection after the other, until it leaves.
    pub(crate) async fn run(mut self, mut connected: Connected) {
        let mut kept = Kept::default();
        loop {
            let mut session = Session::new(connected, kept);
            let last = session.terms().version;
            match self.serve(&mut session).await {
                End::Left(answer) => {
                    let told = session.disconnect().await;
                    let told = told.map_err(|error| self.error(&Escaped(&error).to_string()));
                    if let Some(answer) = answer {
                        let _gone = answer.send(told);
                    }
                    return;
                }
                End::Lost(error) => {
                    tracing::warn!(
                        parent = %Escaped(&self.options.address),
                        error = %Escaped(&error),
                        "the connection to the parent is lost"
                    );
                    let reason = Escaped(&error).to_string();
                    self.inbound.set_state(BackendState::Lost);
                    kept = session.fail(|| self.error(&reason));
                    match self.find_again(last, &reason).await {
                        Some(again) => connected = again,
                        None => return,
                    }
                }
            }
            self.inbound.set_state(BackendState::Connected);
        }
    }

    fn error(&self, reason: &str) -> BackendError {
        let text = format!("the parent at {}: {reason}", self.options.address);
        BackendError::Unavailable(text.into())
    }

    async fn serve(&mut self, session: &mut Session) -> End {
        let mut leaving = None;
        loop {
            if leaving.is_some() && !session.is_publishing() {
                return End::Left(leaving);
            }
            if self.delivery.has_gone() {
                return End::Left(None);
            }
            let give_up_at = session
                .waits_since()
                .map(|since| since + self.options.timeout);
            let timeout = async {
                match give_up_at {
                    Some(at) => sleep_until(at).await,
                    None => pending().await,
                }
            };
            let is_member = leaving.is_none();
            let (may_publish, may_change) =
                (!session.is_publishing(), !session.is_changing_filters());
            let calls = &mut self.calls;
            let done = tokio::select! {
                event = session.event() => {
                    event.and_then(|event| session.take(event, &self.stamps, now(), &mut self.delivery))
                }
                Some(batch) = calls.batches.recv(), if is_member && may_publish => {
                    session.publish(batch, &self.stamps)
                }
                Some(request) = calls.requests.recv(), if is_member && may_change => {
                    session.change_filters(request)
                }
                left = &mut calls.leave, if is_member => match left {
                    Ok(answer) => {
                        leaving = Some(answer);
                        Ok(())
                    }
                    Err(_) => return End::Left(None),
                },
                () = self.delivery.go_on() => Ok(()),
                () = timeout => Err(ClientError::TimedOut),
            };
            if let Err(error) = done {
                return End::Lost(error);
            }
        }
    }

    /// Looks for the parent until it is there; `None` if the node leaves meanwhile.
    async fn find_again(&mut self, last: Version, reason: &str) -> Option<Connected> {
        let (options, node) = (Arc::clone(&self.options), self.node.clone());
        let looking = async {
            let mut backoff = Backoff::new(PAUSE_FIRST, PAUSE_LONGEST);
            loop {
                sleep(backoff.pause()).await;
                match connect(&options, &node, Some(last)).await {
                    Ok(connected) => return connected,
                    Err(error) => {
                        tracing::debug!(parent = %Escaped(&options.address), error = %Escaped(&error), "the parent is not back");
                    }
                }
            }
        };
        tokio::pin!(looking);
        loop {
            tokio::select! {
                connected = &mut looking => return Some(connected),
                Some(batch) = self.calls.batches.recv() => {
                    let _gone = batch.answer.send(Err(self.error(reason)));
                }
                Some(request) = self.calls.requests.recv() => {
                    let _gone = request.answer.send(Err(self.error(reason)));
                }
                left = &mut self.calls.leave => {
                    if let Ok(answer) = left {
                        let _gone = answer.send(Err(self.error(reason)));
                    }
                    return None;
                }
                () = self.delivery.go_on() => {}
            }
        }
    }
}

/// The time of this system, for stamps.
fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
    Timestamp::from_millis(0) + since_epoch.unwrap_or_default()
}
