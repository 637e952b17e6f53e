//! One connection to the broker: what came in is cut into packets, what goes out waits its turn.
//!
//! Two kinds of bytes go out. PUBLISH packets stand in a [`Block`] that was encoded beforehand; all
//! else (CONNECT, SUBSCRIBE, acknowledgements) is appended to a buffer, and goes first, except that a
//! PUBLISH that is sent in part is finished before.

use std::io::{self, ErrorKind, IoSlice, Read, Write};

use mio::net::TcpStream;
use mqtt_codec::{Decoded, Packet, Publish, QoS, Version, decode};

use crate::block::Block;
use crate::failure::Failure;
use crate::parties::{PUBACK, PUBREC};

/// One end of a TCP connection.
#[derive(Debug)]
pub struct Connection {
    pub stream: TcpStream,
    version: Version,
    /// Packets that are sent once.
    control: Vec<u8>,
    control_sent: usize,
    /// Packets that are sent again and again.
    block: Option<Block>,
    /// The start of a packet whose end has not come.
    partial: Vec<u8>,
    /// The kernel takes no more for now.
    is_blocked: bool,
}

impl Connection {
    pub fn new(stream: TcpStream, version: Version) -> Self {
        Self {
            stream,
            version,
            control: Vec::new(),
            control_sent: 0,
            block: None,
            partial: Vec::new(),
            is_blocked: false,
        }
    }

    /// Gives the connection PUBLISH packets to send.
    pub fn set_block(&mut self, block: Block) {
        self.block = Some(block);
    }

    /// The PUBLISH packets to send.
    #[inline]
    pub fn block(&mut self) -> Option<&mut Block> {
        self.block.as_mut()
    }

    /// Appends a packet. It is sent with the next [`flush`](Self::flush).
    pub fn queue(&mut self, packet: &Packet<'_>) -> Result<(), Failure> {
        packet
            .encode(self.version, &mut self.control)
            .map_err(Failure::usage)?;
        Ok(())
    }

    /// Appends a packet of four bytes, the form that all successful acknowledgements have.
    #[inline]
    pub fn queue_acknowledgement(&mut self, first_byte: u8, packet_id: u16) {
        let [high, low] = packet_id.to_be_bytes();
        self.control.extend_from_slice(&[first_byte, 2, high, low]);
    }

    /// Appends the first answer to a PUBLISH that has come: PUBACK, PUBREC, or none at QoS 0.
    #[inline]
    pub fn queue_answer(&mut self, publish: &Publish<'_>) {
        if let Some(packet_id) = publish.packet_id {
            let answer = match publish.qos {
                QoS::ExactlyOnce => PUBREC,
                _ => PUBACK,
            };
            self.queue_acknowledgement(answer, packet_id.get());
        }
    }

    /// Whether the kernel took all that there was.
    #[inline]
    pub fn is_flushed(&self) -> bool {
        self.control.is_empty()
            && self
                .block
                .as_ref()
                .is_none_or(|block| block.unsent().is_empty())
    }

    /// The kernel has room again.
    pub fn unblock(&mut self) {
        self.is_blocked = false;
    }

    /// Whether the kernel takes no more for now.
    #[inline]
    pub fn is_blocked(&self) -> bool {
        self.is_blocked
    }

    /// Sends as much as the kernel takes. The rest goes when it says that it has room again.
    pub fn flush(&mut self) -> io::Result<()> {
        while !self.is_blocked && !self.is_flushed() {
            let control = &self.control[self.control_sent..];
            let unsent = self.block.as_ref().map_or(&[][..], Block::unsent);
            let amid_packet = self.block.as_ref().is_some_and(Block::is_amid_packet);
            let written = if control.is_empty() {
                self.stream.write(unsent)
            } else if unsent.is_empty() {
                self.stream.write(control)
            } else if amid_packet {
                let rest = self.block.as_ref().map_or(0, Block::rest_of_packet);
                self.stream.write(&unsent[..rest])
            } else {
                self.stream
                    .write_vectored(&[IoSlice::new(control), IoSlice::new(unsent)])
            };
            match written {
                Ok(count) => self.sent(count, amid_packet),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // A connection that is being made says that it is not connected.
                Err(error)
                    if matches!(
                        error.kind(),
                        ErrorKind::WouldBlock | ErrorKind::NotConnected
                    ) =>
                {
                    self.is_blocked = true;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn sent(&mut self, count: usize, block_first: bool) {
        let waiting = if block_first {
            0
        } else {
            self.control.len() - self.control_sent
        };
        let of_control = count.min(waiting);
        self.control_sent += of_control;
        if self.control_sent == self.control.len() {
            self.control.clear();
            self.control_sent = 0;
        }
        if let Some(block) = &mut self.block {
            block.advance(count - of_control);
        }
    }

    /// Reads once into `buffer`, behind what was kept of an unfinished packet, and hands every
    /// packet that is complete to `take`. Returns what is known about the rest.
    pub fn read(
        &mut self,
        buffer: &mut Vec<u8>,
        mut take: impl FnMut(&mut Self, Packet<'_>) -> Result<(), Failure>,
    ) -> Result<Rest, Failure> {
        let kept = self.partial.len();
        if buffer.len() < 2 * kept {
            buffer.resize(2 * kept, 0);
        }
        buffer[..kept].copy_from_slice(&self.partial);
        let count = match self.stream.read(&mut buffer[kept..]) {
            Ok(0) => return Ok(Rest::Closed("the broker closed the connection".to_owned())),
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(Rest::More),
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::WouldBlock | ErrorKind::NotConnected
                ) =>
            {
                return Ok(Rest::Nothing);
            }
            Err(error) => return Ok(Rest::Closed(error.to_string())),
        };
        self.partial.clear();
        let is_full = kept + count == buffer.len();
        let mut input = &buffer[..kept + count];
        while let Decoded::Packet { packet, size } =
            decode(input, self.version, usize::MAX).map_err(Failure::broken)?
        {
            take(self, packet)?;
            input = &input[size..];
        }
        self.partial.extend_from_slice(input);
        Ok(if is_full { Rest::More } else { Rest::Nothing })
    }
}

/// What [`Connection::read`] left in the socket.
#[derive(Debug, PartialEq, Eq)]
pub enum Rest {
    /// There may be more.
    More,
    /// The socket was emptied; the next event says when there is more.
    Nothing,
    /// The connection is over, and why.
    Closed(String),
}
