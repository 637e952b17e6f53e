//! What happens in a server, for those in the program who want to hear of it.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use broker_core::{EventOptions, EventSet, OwnedEvent};
use futures_core::Stream;

use crate::server::Server;

/// What happens in a server, from when it was made by [`Server::events`] or [`Server::events_with`].
/// Dropping it ends it.
///
/// It is a bounded queue, into which nobody waits to put something: what has no room, because the program
/// is slow, is dropped and counted ([`missed`](Self::missed)). It is a [`Stream`] as well. Who wants to hear
/// of everything, or to decide, has [hooks](crate::ServerBuilder::hooks).
#[derive(Debug)]
pub struct Events {
    inner: broker_core::Events,
}

impl Server {
    /// Has the program hear of these kinds of events from now on. There may be any number of such
    /// listeners, each with a queue of its own; while there are none, events cost nothing.
    ///
    /// ```
    /// use mosca::{EventSet, OwnedEvent, Server};
    ///
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// let server = Server::builder().start().await?;
    /// let mut events = server.events(EventSet::CONNECTED | EventSet::DISCONNECTED);
    /// tokio::spawn(async move {
    ///     while let Some(event) = events.recv().await {
    ///         match event {
    ///             OwnedEvent::Connected { client, .. } => println!("{} is there", client.client_id()),
    ///             OwnedEvent::Disconnected { client, cause } => {
    ///                 println!("{} has gone: {cause}", client.client_id());
    ///             }
    ///             _ => {}
    ///         }
    ///     }
    /// });
    /// # Ok::<(), mosca::StartError>(())
    /// # }).unwrap();
    /// ```
    pub fn events(&self, kinds: EventSet) -> Events {
        self.events_with(EventOptions {
            kinds,
            ..EventOptions::default()
        })
    }

    /// [`events`](Self::events) with a queue as long as one likes.
    pub fn events_with(&self, options: EventOptions) -> Events {
        Events {
            inner: self.shared.broker.watch(options),
        }
    }
}

impl Events {
    /// The next event; those about one client come in the order in which they happened. `None` when the
    /// server has closed, after all that had happened.
    ///
    /// # Cancel safety
    /// Nothing is lost if the future is dropped.
    pub async fn recv(&mut self) -> Option<OwnedEvent> {
        poll_fn(|context| self.inner.poll_next(context)).await
    }

    /// [`recv`](Self::recv) for threads that are not async: blocks until there is an event. In a thread of a
    /// runtime it holds up whatever else would run there.
    pub fn blocking_recv(&mut self) -> Option<OwnedEvent> {
        broker_core::block_on(self.recv())
    }

    /// The next event, if there is one at the moment.
    pub fn try_recv(&mut self) -> Option<OwnedEvent> {
        self.inner.try_next()
    }

    /// Events that were dropped because too many waited to be taken
    /// ([`max_events`](EventOptions::max_events), [`max_bytes`](EventOptions::max_bytes)).
    pub fn missed(&self) -> u64 {
        self.inner.missed()
    }
}

impl Stream for Events {
    type Item = OwnedEvent;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<OwnedEvent>> {
        self.get_mut().inner.poll_next(context)
    }
}
