//! A client whose session is in the store waits until it was read, before CONNACK and afterwards.
//!
//! After a start of the broker nothing of a session's queue is in memory. CONNECT waits until what was
//! under way is, and the first of what waits behind it; nobody else waits for that. The rest follows
//! page by page as the client takes what it is sent.

use core::task::{Context as TaskContext, Poll, Waker};
use std::sync::Arc;

use mqtt_codec::{Connect, OwnedConnect, ReasonCode, Version};

use super::admission::Admission;
use super::authenticate::bytes_max;
use super::origin::Origin;
use super::{Awaiting, Connected, Connection, Phase};
use crate::Timestamp;
use crate::broker::{Broker, Load};
use crate::close::CloseCause;
use crate::effects::Effects;
use crate::persistence::PersistenceError;

/// A connection whose CONNECT was accepted and whose session is being read.
pub(super) struct Loading {
    /// Without its password.
    connect: OwnedConnect,
    admission: Option<Box<Admission>>,
    until: Timestamp,
    load: Load,
    origin: Origin,
}

impl Loading {
    pub(super) fn connect(&self) -> &OwnedConnect {
        &self.connect
    }

    pub(super) fn until(&self) -> Timestamp {
        self.until
    }

    /// The version that CONNECT names.
    pub(super) fn version(&self) -> Version {
        self.connect.as_connect().version
    }
}

impl core::fmt::Debug for Loading {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Loading")
            .field("load", &self.load)
            .field("until", &self.until)
            .finish_non_exhaustive()
    }
}

impl Connection {
    /// Lets the client in when its session was read, which may be at once.
    pub(super) fn begin_loading(
        &mut self,
        now: Timestamp,
        connect: &Connect<'_>,
        admission: Option<Box<Admission>>,
        mut load: Load,
        effects: &mut Effects,
    ) {
        // The driver asks again with its own waker.
        let mut nobody = TaskContext::from_waker(Waker::noop());
        let polled = self.broker.poll_load(&mut load, &mut nobody);
        match polled {
            Poll::Ready(Ok(())) => self.enter(now, connect, admission, effects),
            Poll::Ready(Err(error)) => self.refuse_unread(connect, error),
            Poll::Pending => {
                let without_password = Connect {
                    password: None,
                    ..*connect
                };
                self.phase = Phase::Loading(Box::new(Loading {
                    until: self.poll_timeout().unwrap_or(now),
                    connect: without_password.to_owned(),
                    admission,
                    load,
                    origin: self.take_origin(),
                }));
            }
        }
    }

    /// Lets the client in if its session has been read by now.
    pub(super) fn poll_loading(
        &mut self,
        now: Timestamp,
        task: &mut TaskContext<'_>,
        effects: &mut Effects,
    ) -> Poll<()> {
        let Phase::Loading(loading) = &mut self.phase else {
            return Poll::Ready(());
        };
        let read = core::task::ready!(self.broker.poll_load(&mut loading.load, task));
        let awaiting = Phase::Awaiting(Box::new(Awaiting {
            until: loading.until,
            version: loading.version(),
            origin: core::mem::take(&mut loading.origin),
        }));
        if let Phase::Loading(loading) = core::mem::replace(&mut self.phase, awaiting) {
            let connect = loading.connect.as_connect();
            match read {
                // Another one may have to be read by now, if that one has ended.
                Ok(()) => self.admit(now, &connect, loading.admission, effects),
                Err(error) => self.refuse_unread(&connect, error),
            }
        }
        Poll::Ready(())
    }

    fn refuse_unread(&mut self, connect: &Connect<'_>, error: PersistenceError) {
        self.broker.note_read_failure(error);
        self.refuse(ReasonCode::ServerUnavailable, None, bytes_max(connect));
    }
}

impl Connected {
    /// Reads more of the queue if there is room for it.
    ///
    /// # Errors
    /// When the store cannot be read: the client comes back, and waits for it then.
    #[inline(never)]
    pub(super) fn refill(&mut self, broker: &Arc<Broker>, waker: &Waker) -> Result<(), CloseCause> {
        loop {
            let refill = self.extras.as_mut().and_then(|extras| extras.refill.take());
            let Some(mut refill) = refill.or_else(|| broker.begin_refill(&self.session)) else {
                return Ok(());
            };
            match broker.poll_load(&mut refill, &mut TaskContext::from_waker(waker)) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => {
                    broker.note_read_failure(error);
                    return Err(CloseCause::StoreFailed);
                }
                Poll::Pending => {
                    self.extras.get_or_insert_default().refill = Some(refill);
                    return Ok(());
                }
            }
        }
    }
}
