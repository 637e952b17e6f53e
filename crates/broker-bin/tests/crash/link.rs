//! One network connection of a client, from CONNECT to its end.

use std::net::Ipv4Addr;
use std::time::Duration;

use mqtt_codec::{
    Connect, Decoded, OwnedConnAck, OwnedPacket, Packet, PropertiesBuf, Property, Version, decode,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::watch;

/// Where the broker listens; `None` while it is down.
pub type Port = watch::Receiver<Option<u16>>;

/// The network connection has ended, in whatever way.
#[derive(Debug)]
pub struct Ended;

/// How a client introduces itself: always with a session that outlives the connection.
#[derive(Clone, Debug)]
pub struct Identity {
    pub client_id: String,
    pub version: Version,
    /// MQTT 5 alone has it.
    pub receive_maximum: Option<u16>,
}

/// A network connection. Reading is cancel safe.
pub struct Link {
    version: Version,
    reader: OwnedReadHalf,
    writer: OwnedWriteHalf,
    received: Vec<u8>,
    /// Written together, so that the broker gets several packets at a time.
    unsent: Vec<u8>,
}

impl Link {
    /// Waits for the broker, connects, and introduces the client.
    pub async fn establish(port: &mut Port, identity: &Identity) -> (Self, OwnedConnAck) {
        loop {
            let Ok(at) = port.wait_for(Option::is_some).await.map(|port| *port) else {
                // The test is over.
                std::future::pending::<()>().await;
                continue;
            };
            if let Ok(established) = Self::connect(at.unwrap_or_default(), identity).await {
                return established;
            }
            // It is dying, or cannot take us now.
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn connect(port: u16, identity: &Identity) -> Result<(Self, OwnedConnAck), Ended> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await;
        let stream = stream.map_err(|_| Ended)?;
        stream.set_nodelay(true).map_err(|_| Ended)?;
        let (reader, writer) = stream.into_split();
        let mut link = Self {
            version: identity.version,
            reader,
            writer,
            received: Vec::new(),
            unsent: Vec::new(),
        };
        let mut properties = PropertiesBuf::new();
        if identity.version.is_v5() {
            properties
                .push(Property::SessionExpiryInterval(u32::MAX))
                .unwrap();
            if let Some(maximum) = identity.receive_maximum {
                properties.push(Property::ReceiveMaximum(maximum)).unwrap();
            }
        }
        link.put(Packet::Connect(Connect {
            clean_start: false,
            keep_alive: 0,
            properties: properties.as_properties(),
            ..Connect::new(identity.version, &identity.client_id)
        }));
        link.flush().await?;
        match link.next().await? {
            OwnedPacket::ConnAck(connack) if !connack.reason_code.is_error() => Ok((link, connack)),
            _ => Err(Ended),
        }
    }

    /// Appends a packet to what is sent next.
    pub fn put(&mut self, packet: Packet<'_>) {
        packet.encode(self.version, &mut self.unsent).unwrap();
    }

    /// Sends what was put.
    pub async fn flush(&mut self) -> Result<(), Ended> {
        let unsent = std::mem::take(&mut self.unsent);
        self.writer.write_all(&unsent).await.map_err(|_| Ended)
    }

    /// The next packet. Dropped before it is ready it has taken nothing.
    pub async fn next(&mut self) -> Result<OwnedPacket, Ended> {
        loop {
            if let Some(packet) = self.take() {
                return Ok(packet);
            }
            match self.reader.read_buf(&mut self.received).await {
                Ok(0) | Err(_) => return Err(Ended),
                Ok(_) => {}
            }
        }
    }

    /// A packet that is there already.
    pub fn take(&mut self) -> Option<OwnedPacket> {
        if self.received.is_empty() {
            return None;
        }
        match decode(&self.received, self.version, usize::MAX).expect("packets of the broker") {
            Decoded::Packet { packet, size } => {
                let packet = OwnedPacket::from(packet);
                self.received.drain(..size);
                Some(packet)
            }
            Decoded::Incomplete { .. } => None,
        }
    }
}
