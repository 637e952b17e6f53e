//! Subscriptions of the program around the server.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};

use broker_core::{ProgramSubscription, Received, SubscribeError, SubscribeOptions};
use futures_core::Stream;

use crate::clock::Clock;
use crate::nodes::Link;
use crate::server::Server;

/// Messages that the program around the server has subscribed to; made by [`Server::subscribe`] and
/// [`Server::subscribe_with`]. Dropping it ends the subscription.
///
/// It is a bounded queue, into which nobody waits to put something: what has no room, because the program
/// is slow, is dropped and counted ([`missed`](Self::missed)). It is a [`Stream`] as well.
#[derive(Debug)]
pub struct Subscription {
    inner: ProgramSubscription,
    clock: Clock,
    /// To the engine between nodes, if the server is one; not what keeps it a member.
    link: Weak<Link>,
}

impl Server {
    /// Subscribes the program to a topic filter: what is published from now on and matches comes out of
    /// the [`Subscription`], without a client and a connection. Hooks are not asked; for messages in
    /// `$SYS` the filter has to say so (`$SYS/#`), as for clients. What other nodes publish comes a moment later
    /// than now, see [`Subscription::ready`].
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// let server = mosca::Server::builder().start().await?;
    /// let mut readings = server.subscribe("plant/+/pressure")?;
    /// server.publish_to("plant/2/pressure", "1013").await?;
    ///
    /// let reading = readings.recv().await.unwrap();
    /// assert_eq!((reading.topic(), reading.payload()), ("plant/2/pressure", &b"1013"[..]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// If the topic filter is none, or that of a shared subscription.
    pub fn subscribe(&self, filter: &str) -> Result<Subscription, SubscribeError> {
        self.subscribe_with([filter], SubscribeOptions::default())
    }

    /// [`subscribe`](Self::subscribe) to several topic filters at once, and with options. A message that
    /// matches several of them comes once.
    ///
    /// ```
    /// use mosca::SubscribeOptions;
    ///
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// let server = mosca::Server::builder().start().await?;
    /// server.publish_to("lamp/7/state", "on").retain().await?;
    ///
    /// let with_state = SubscribeOptions { retained: true, ..SubscribeOptions::default() };
    /// let mut lamps = server.subscribe_with(["lamp/#", "door/+/state"], with_state)?;
    /// let state = lamps.recv().await.unwrap();
    /// assert!(state.is_retained && state.topic() == "lamp/7/state");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// Those of [`subscribe`](Self::subscribe).
    pub fn subscribe_with(
        &self,
        filters: impl IntoIterator<Item = impl AsRef<str>>,
        options: SubscribeOptions,
    ) -> Result<Subscription, SubscribeError> {
        let inner = self.shared.broker.subscribe_program(filters, options)?;
        Ok(Subscription {
            inner,
            clock: self.shared.clock,
            link: self
                .shared
                .link
                .as_ref()
                .map(Arc::downgrade)
                .unwrap_or_default(),
        })
    }
}

impl Subscription {
    /// Waits until the topic filters that it has now are known to the engine between nodes
    /// ([`ServerBuilder::backend`](crate::ServerBuilder::backend)): what other nodes publish from then on comes
    /// if it matches. What this server publishes comes without that. Over at once if there is no
    /// engine or it is lost; an engine that takes its time is waited for as clients wait for it
    /// ([`acceptance_timeout`](crate::BackendOptions::acceptance_timeout)).
    ///
    /// # Cancel safety
    /// Nothing happens if the future is dropped.
    pub async fn ready(&self) {
        if let Some(link) = self.link.upgrade() {
            link.filters_said().await;
        }
    }

    /// The next message, in the order in which they were published; where
    /// [`retained`](SubscribeOptions::retained) ones are wanted, they come first. `None` when the server
    /// has closed, after all that had come.
    ///
    /// # Cancel safety
    /// Nothing is lost if the future is dropped.
    pub async fn recv(&mut self) -> Option<Received> {
        poll_fn(|context| self.poll_recv(context)).await
    }

    /// [`recv`](Self::recv) for threads that are not async: blocks until there is a message. In a thread of a
    /// runtime it holds up whatever else would run there.
    pub fn blocking_recv(&mut self) -> Option<Received> {
        broker_core::block_on(self.recv())
    }

    /// [`recv`](Self::recv) for those who write their own futures.
    pub fn poll_recv(&mut self, context: &mut Context<'_>) -> Poll<Option<Received>> {
        self.inner.poll_recv(self.clock.now(), context)
    }

    /// The next message, if there is one at the moment.
    pub fn try_recv(&mut self) -> Option<Received> {
        self.inner.try_recv(self.clock.now())
    }

    /// Subscribes to one more topic filter. Nothing happens if it is there already.
    ///
    /// # Errors
    /// Those of [`Server::subscribe`].
    pub fn add(&mut self, filter: &str) -> Result<(), SubscribeError> {
        self.inner.add(filter)
    }

    /// Cancels one of its topic filters, and says whether it was there.
    pub fn remove(&mut self, filter: &str) -> bool {
        self.inner.remove(filter)
    }

    /// Its topic filters.
    pub fn filters(&self) -> impl Iterator<Item = &str> {
        self.inner.filters()
    }

    /// Messages that were dropped because too many waited to be taken
    /// ([`max_messages`](SubscribeOptions::max_messages), [`max_bytes`](SubscribeOptions::max_bytes)).
    pub fn missed(&self) -> u64 {
        self.inner.missed()
    }
}

impl Stream for Subscription {
    type Item = Received;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Received>> {
        self.get_mut().poll_recv(context)
    }
}
