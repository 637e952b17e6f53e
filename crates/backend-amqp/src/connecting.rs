//! The way to the server: its address, a connection, and the exchange.

use std::time::Duration;

use async_rs::Runtime;
use lapin::options::ExchangeDeclareOptions;
use lapin::types::{FieldTable, LongString};
use lapin::uri::{AMQPScheme, AMQPUri};
use lapin::{AsyncTcpStream, Channel, Connection, ConnectionProperties, ExchangeKind};
use tokio::time::timeout;
use tokio_rustls::rustls::pki_types::ServerName;
use url::{Host, Url};

use crate::AmqpBackendOptions;
use crate::failure::Failure;
use crate::stream::{self, Destination, Kit, Socket};

/// How often a connection on which nothing else happens says something, in seconds. A server that says nothing for
/// twice that time is lost.
const HEARTBEAT_SECONDS: u16 = 20;

/// Waits for an answer of the server.
pub(crate) async fn answer<T>(
    limit: Duration,
    answer: impl Future<Output = lapin::Result<T>>,
) -> Result<T, Failure> {
    match timeout(limit, answer).await {
        Ok(answered) => Ok(answered?),
        Err(_) => Err(Failure::unavailable(format!(
            "no answer for {} s",
            limit.as_secs_f32()
        ))),
    }
}

/// Where the server is, and who the node is there.
pub(crate) struct Address {
    uri: AMQPUri,
    destination: Destination,
}

impl Address {
    /// Reads the files that the options name.
    pub(crate) fn new(options: &AmqpBackendOptions) -> Result<Self, Failure> {
        let url = Url::parse(&options.url).map_err(Failure::refused)?;
        // lapin's own reading knows no addresses of IPv6, and takes this machine instead.
        let (host, name) = match url.host() {
            Some(Host::Domain(name)) => (name.to_owned(), name.to_owned()),
            Some(Host::Ipv4(address)) => (address.to_string(), address.to_string()),
            Some(Host::Ipv6(address)) => (address.to_string(), address.to_string()),
            None => return Err(Failure::refused("the address has no host")),
        };
        let mut uri: AMQPUri = options.url.parse().map_err(Failure::Refused)?;
        let tls = match uri.scheme {
            AMQPScheme::AMQP => None,
            AMQPScheme::AMQPS => {
                let name = ServerName::try_from(name).map_err(Failure::refused)?;
                Some((stream::tls(options.ca_file.as_ref())?, name))
            }
        };
        uri.query.heartbeat.get_or_insert(HEARTBEAT_SECONDS);
        let destination = Destination {
            host,
            port: uri.authority.port,
            tls,
        };
        Ok(Self { uri, destination })
    }
}

/// A connection, which ends when it is dropped.
pub(crate) struct Wire {
    pub(crate) connection: Connection,
    socket: Socket,
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.socket.cut();
    }
}

impl Wire {
    /// Connects. `name` is what the server shows to its operator.
    pub(crate) async fn open(
        address: &Address,
        name: String,
        limit: Duration,
    ) -> Result<Self, Failure> {
        let socket = CutOnDrop(Some(Socket::default()));
        let given = socket.0.clone().unwrap_or_default();
        let destination = address.destination.clone();
        let connect = async move |_: AMQPUri, _: Runtime<Kit>| {
            let stream = timeout(limit, stream::connect(&destination, &given)).await;
            match stream.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into())) {
                Ok(stream) => Ok(AsyncTcpStream::Plain(stream)),
                Err(error) => Err(error.into()),
            }
        };
        let properties =
            ConnectionProperties::default().with_connection_name(LongString::from(name));
        let connection =
            Connection::connector(address.uri.clone(), stream::runtime(), connect, properties);
        let connection = answer(limit, connection).await?;
        Ok(Self {
            connection,
            socket: socket.keep(),
        })
    }

    /// Ends the connection at once.
    pub(crate) fn cut(&self) {
        self.socket.cut();
    }

    /// Ends it in the words of AMQP.
    pub(crate) async fn close(&self, limit: Duration) -> Result<(), Failure> {
        answer(limit, self.connection.close(200, "leaving".into())).await
    }

    pub(crate) async fn channel(&self, limit: Duration) -> Result<Channel, Failure> {
        answer(limit, self.connection.create_channel()).await
    }

    /// The largest frame that the server takes, in bytes.
    pub(crate) fn frame_max(&self) -> usize {
        match self.connection.configuration().frame_max() {
            0 => usize::MAX,
            bytes => usize::try_from(bytes).unwrap_or(usize::MAX),
        }
    }

    /// Finds the exchange, or makes it. Each question has a channel of its own, which a `no` closes.
    pub(crate) async fn find_exchange(&self, name: &str, limit: Duration) -> Result<(), Failure> {
        let declare = async |options: ExchangeDeclareOptions| {
            let channel = self.channel(limit).await?;
            let kind = ExchangeKind::Topic;
            let declared =
                channel.exchange_declare(name.into(), kind, options, FieldTable::default());
            answer(limit, declared).await
        };
        let Err(refused) = declare(ExchangeDeclareOptions::default()).await else {
            return Ok(());
        };
        // Of what is not as asked for, the server names the type before all else.
        if !matches!(&refused, Failure::Refused(reason) if !reason.contains("'type'")) {
            return Err(refused);
        }
        // There is one that is durable, or this user may not make any.
        let passive = ExchangeDeclareOptions {
            passive: true,
            ..ExchangeDeclareOptions::default()
        };
        declare(passive).await.map_err(|_| refused)
    }
}

/// Ends a connection that is not made to the end.
struct CutOnDrop(Option<Socket>);

impl CutOnDrop {
    fn keep(mut self) -> Socket {
        self.0.take().unwrap_or_default()
    }
}

impl Drop for CutOnDrop {
    fn drop(&mut self) {
        if let Some(socket) = &self.0 {
            socket.cut();
        }
    }
}
