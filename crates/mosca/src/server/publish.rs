//! Messages that the program around the server publishes.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;

use broker_core::persistence::PersistenceError;
use broker_core::{Effects, Message, MessageParts, Timestamp};
use mqtt_codec::{EncodeError, PayloadFormat, PropertiesBuf, Property, QoS};
use topic_trie::{TopicError, TopicName};

use super::Server;
use crate::settle::settle_publication;
use crate::shared::Shared;

/// Why a message could not be published.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The message's topic is not a topic name.
    #[error("not a topic name: {0}")]
    Topic(#[from] TopicError),
    /// A property is longer than 65,535 bytes, or otherwise cannot be sent.
    #[error("a property cannot be sent: {0}")]
    Property(#[from] EncodeError),
    /// The store did not accept it.
    #[error(transparent)]
    Store(#[from] PersistenceError),
}

/// A message that is about to be published; made by [`Server::publish_to`], published when it is awaited.
#[derive(Debug)]
#[must_use = "it is published when it is awaited"]
pub struct Publish<'a> {
    server: &'a Server,
    topic: &'a str,
    payload: &'a [u8],
    qos: QoS,
    retain: bool,
    expiry_secs: Option<u32>,
    properties: Result<PropertiesBuf, EncodeError>,
}

impl Server {
    /// Publishes in the server's own name, like [`publish`](Self::publish), what is put together in one
    /// line.
    ///
    /// ```
    /// use mosca::QoS;
    ///
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// let server = mosca::Server::builder().start().await?;
    /// server.publish_to("lamp/7", "on").await?;
    /// server
    ///     .publish_to("lamp/7/state", r#"{"on":true}"#)
    ///     .qos(QoS::AtLeastOnce)
    ///     .retain()
    ///     .expires_after_secs(3_600)
    ///     .content_type("application/json")
    ///     .user_property("source", "wall switch")
    ///     .await?;
    /// assert_eq!(server.sizes().retained_messages, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub fn publish_to<'a>(
        &'a self,
        topic: &'a str,
        payload: &'a (impl AsRef<[u8]> + ?Sized),
    ) -> Publish<'a> {
        Publish {
            server: self,
            topic,
            payload: payload.as_ref(),
            qos: QoS::AtMostOnce,
            retain: false,
            expiry_secs: None,
            properties: Ok(PropertiesBuf::new()),
        }
    }

    /// Publishes a message in the server's own name: to all subscribers, and retained if the message
    /// says so. When it returns, QoS 1 and 2 messages for sessions that outlive their connections
    /// are stored. It does not wait until anyone has received it.
    ///
    /// The limits on what clients publish do not apply, and topics below `$SYS` are allowed: what is
    /// published there goes at QoS 0 to those who are connected, waits in no queue, and is in no store;
    /// what is retained of it is in memory alone.
    ///
    /// For messages that are there already, such as one that was
    /// [received](crate::Subscription::recv); [`publish_to`](Self::publish_to) makes them.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// let one = mosca::Server::builder().start().await?;
    /// let other = mosca::Server::builder().start().await?;
    /// let mut messages = one.subscribe("#")?;
    /// one.publish_to("lamp/7", "on").retain().await?;
    ///
    /// let received = messages.recv().await.unwrap();
    /// other.publish(&received.message).await?;
    /// assert_eq!(other.sizes().retained_messages, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// If the topic is not a topic name, or the store does not accept the message; sessions that
    /// end with their connections may then have received it nevertheless.
    ///
    /// # Cancel safety
    /// Dropping the future may leave the message published or not.
    pub async fn publish(&self, message: &Arc<Message>) -> Result<(), PublishError> {
        let Shared { broker, clock, .. } = &*self.shared;
        let mut effects = Effects::new();
        broker.publish(clock.now(), message, &mut effects)?;
        settle_publication(&self.shared, clock.now(), &mut effects).await?;
        Ok(())
    }
}

impl<'a> Publish<'a> {
    /// At this quality of service; default 0.
    pub fn qos(mut self, qos: QoS) -> Self {
        self.qos = qos;
        self
    }

    /// It becomes its topic's retained message; an empty one removes the one there is.
    pub fn retain(mut self) -> Self {
        self.retain = true;
        self
    }

    /// It expires after so many seconds: who has not received it by then does not (message expiry
    /// interval, MQTT 5.0 section 3.3.2.3.3).
    pub fn expires_after_secs(mut self, secs: u32) -> Self {
        self.expiry_secs = Some(secs);
        self
    }

    /// What the payload is, mostly a MIME type (section 3.3.2.3.9).
    pub fn content_type(self, content_type: &str) -> Self {
        self.property(Property::ContentType(content_type))
    }

    /// The payload is text in UTF-8 (section 3.3.2.3.2).
    pub fn utf8(self) -> Self {
        self.property(Property::PayloadFormatIndicator(PayloadFormat::Utf8))
    }

    /// Where an answer is to be published, which carries `correlation_data` again if there is any
    /// (section 4.10).
    pub fn response_topic(self, topic: &str, correlation_data: Option<&[u8]>) -> Self {
        let with_topic = self.property(Property::ResponseTopic(topic));
        correlation_data
            .map(Property::CorrelationData)
            .into_iter()
            .fold(with_topic, Self::property)
    }

    /// A pair of texts for whoever receives it; there may be several, also with the same name (section
    /// 3.3.2.3.7).
    pub fn user_property(self, name: &str, value: &str) -> Self {
        self.property(Property::UserProperty(name, value))
    }

    fn property(mut self, property: Property<'_>) -> Self {
        if let Ok(properties) = &mut self.properties
            && let Err(error) = properties.push(property)
        {
            self.properties = Err(error);
        }
        self
    }

    fn message(&self) -> Result<Arc<Message>, PublishError> {
        let properties = self.properties.as_ref().map_err(|error| *error)?;
        if let Some(response) = properties.as_properties().response_topic() {
            TopicName::new(response)?;
        }
        let now = self.server.shared.clock.now();
        Ok(Message::new(MessageParts {
            topic: self.topic,
            properties: properties.as_properties().raw(),
            payload: self.payload,
            qos: self.qos,
            retain: self.retain,
            expires: self
                .expiry_secs
                .map_or(Timestamp::MAX, |secs| now.after_secs(secs)),
        }))
    }
}

impl<'a> IntoFuture for Publish<'a> {
    type Output = Result<(), PublishError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { self.server.publish(&self.message()?).await })
    }
}
