//! Packets to and from the server, and PINGREQ in time.

use std::future;

use bytes::Buf as _;
use mqtt_codec::{Decoded, OwnedPacket, Packet, decode};
use tokio::time::{self, Instant};

use super::Client;
use crate::error::ClientError;
use crate::transport::Progress;

/// The largest packet that MQTT can express.
const MAX_PACKET: usize = 268_435_460;

/// Why PINGREQ was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ping {
    /// Nothing else was sent for a while.
    KeepAlive,
    /// The caller wants to know when it is answered.
    Asked,
}

impl Client {
    /// The next packet but the answer to a PINGREQ that nobody has asked for; PINGREQ is sent in time.
    pub(super) async fn packet(&mut self) -> Result<OwnedPacket, ClientError> {
        loop {
            match self.decoded()? {
                Some(packet) => return Ok(packet),
                None => self.exchange().await?,
            }
        }
    }

    /// The next packet, if all of it has come.
    pub(super) fn decoded(&mut self) -> Result<Option<OwnedPacket>, ClientError> {
        while let Decoded::Packet { packet, size } = decode(&self.input, self.version, MAX_PACKET)?
        {
            let packet = packet.to_owned();
            self.input.advance(size);
            match packet {
                OwnedPacket::PingResp => {
                    if self.pings.pop_front() == Some(Ping::Asked) {
                        return Ok(Some(OwnedPacket::PingResp));
                    }
                }
                OwnedPacket::Disconnect(disconnect) => {
                    let properties = disconnect.properties.as_properties();
                    let reason = properties.reason_string().map(str::to_owned);
                    return Err(ClientError::Disconnected(disconnect.reason_code, reason));
                }
                other => return Ok(Some(other)),
            }
        }
        Ok(None)
    }

    /// Goes on until the server has taken some of what is to be sent, or has sent something, or a PINGREQ is due.
    pub(super) async fn exchange(&mut self) -> Result<(), ClientError> {
        let ping_at = self.ping_after.map(|after| self.last_sent + after);
        let give_up_at = self.waits_since.map(|since| since + self.timeout);
        tokio::select! {
            progress = self.transport.exchange(&mut self.input, &mut self.output, &mut self.is_sending) => {
                match progress? {
                    Progress::Sent => self.note_sent(),
                    Progress::Received => {}
                    Progress::Ended => return Err(ClientError::Closed),
                }
            }
            () = until(ping_at) => self.ping(Ping::KeepAlive)?,
            () = until(give_up_at) => return Err(ClientError::TimedOut),
        }
        Ok(())
    }

    fn note_sent(&mut self) {
        self.last_sent = Instant::now();
        self.waits_since = (!self.all_is_sent()).then_some(self.last_sent);
    }

    pub(super) fn all_is_sent(&self) -> bool {
        self.output.is_empty() && !self.is_sending
    }

    /// Puts a PINGREQ behind what is to be sent.
    pub(super) fn ping(&mut self, ping: Ping) -> Result<(), ClientError> {
        if ping == Ping::KeepAlive && !self.pings.is_empty() {
            return Err(ClientError::TimedOut);
        }
        self.pings.push_back(ping);
        self.last_sent = Instant::now();
        self.put(&Packet::PingReq)
    }

    pub(super) async fn send(&mut self, packet: &Packet<'_>) -> Result<(), ClientError> {
        self.put(packet)?;
        self.flush().await
    }

    /// To be sent with what comes next.
    pub(super) fn put(&mut self, packet: &Packet<'_>) -> Result<(), ClientError> {
        packet.encode(self.version, &mut self.output)?;
        self.waits_since.get_or_insert_with(Instant::now);
        Ok(())
    }

    /// Sends what is still to be sent.
    pub(super) async fn flush(&mut self) -> Result<(), ClientError> {
        if self.all_is_sent() {
            return Ok(());
        }
        self.is_sending = true;
        let sent = time::timeout(self.timeout, self.transport.send(&mut self.output)).await;
        sent.map_err(|_| ClientError::TimedOut)??;
        self.is_sending = false;
        self.note_sent();
        Ok(())
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => time::sleep_until(at).await,
        None => future::pending().await,
    }
}
