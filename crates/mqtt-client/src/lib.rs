//! A small MQTT 3.1, 3.1.1 and 5.0 client over TCP, TLS and WebSocket: connect, publish at any QoS, subscribe,
//! receive. It is what the commands `mosca pub`, `mosca sub`, `mosca status` and `mosca bench` need: one thing at a time,
//! or a window of messages under way ([`Client::begin_publish`]); and what a node needs whose engine is another
//! broker: everything under way at the same time ([`Client::queue_publish`]). It keeps no session of its own: what was not
//! acknowledged when a connection is lost is the caller's to send again.
//!
//! [`Address`] says where the server is, [`Options`] who the client is, [`Client`] is the connection;
//! [`Connector`] is for who makes many.
//!
//! ```no_run
//! use mqtt_client::{Client, Options, QoS, Subscription};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let options = Options::new("mqtts://user:secret@broker.example/".parse()?);
//! let mut client = Client::connect(&options).await?;
//! client.subscribe(&[Subscription::new("site/+/temperature", QoS::AtLeastOnce)]).await?;
//! let message = client.receive().await?;
//! println!("{}: {} bytes", message.topic, message.payload.len());
//! client.disconnect().await?;
//! # Ok(())
//! # }
//! ```

mod address;
mod client;
mod connector;
mod error;
mod options;
mod tls;
mod transport;

pub use address::{Address, AddressError, Scheme};
pub use client::{Client, ClientEvent, ServerLimits, Subscription};
pub use connector::Connector;
pub use error::ClientError;
pub use mqtt_codec::{
    OwnedPublish, OwnedWill, PacketId, PropertiesBuf, Property, Publish, QoS, ReasonCode,
    RetainHandling, SubscriptionOptions, Version,
};
pub use options::Options;
pub use tls::{TlsError, TlsOptions};
