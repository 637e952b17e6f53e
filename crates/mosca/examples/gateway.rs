//! A gateway from something that is not MQTT: each datagram that comes by UDP is a line with a topic and a
//! payload, and is published.
//!
//! ```console
//! $ cargo run -p mosca --example gateway
//! $ mosquitto_sub -t 'udp/#' -v
//! $ echo 'boiler/pressure 1.7' | nc -u -w1 127.0.0.1 4000
//! ```

use std::io;
use std::time::Duration;

use mosca::{Interface, PublishError, Server};
use tokio::net::UdpSocket;

/// Bytes of a datagram at most; what is longer is cut.
const DATAGRAM_MAX: usize = 1_500;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = Server::builder().listen(Interface::mqtt("127.0.0.1:1883"));
    let server = server.start().await?;
    let socket = UdpSocket::bind("127.0.0.1:4000").await?;
    tokio::select! {
        result = forward(&server, &socket) => result?,
        stopped = tokio::signal::ctrl_c() => stopped?,
    }
    server.close(Duration::from_secs(5)).await;
    Ok(())
}

/// Publishes what comes, for ever. What cannot be published is answered with the reason.
pub async fn forward(server: &Server, socket: &UdpSocket) -> io::Result<()> {
    let mut datagram = [0; DATAGRAM_MAX];
    loop {
        let (bytes, from) = socket.recv_from(&mut datagram).await?;
        let line = datagram.get(..bytes).unwrap_or_default();
        if let Err(error) = publish(server, line).await {
            socket.send_to(error.to_string().as_bytes(), from).await?;
        }
    }
}

/// Publishes `topic payload` below `udp/`, the last value of each topic retained.
async fn publish(server: &Server, line: &[u8]) -> Result<(), PublishError> {
    let line = String::from_utf8_lossy(line);
    let (topic, payload) = line.trim_end().split_once(' ').unwrap_or((&line, ""));
    let topic = format!("udp/{topic}");
    server.publish_to(&topic, payload).retain().await
}
