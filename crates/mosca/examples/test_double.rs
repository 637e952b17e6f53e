//! A broker inside of a test: on a free port, with threads of its own, and gone without a trace when the test
//! is over. What is tested here is a thermometer that publishes its readings.
//!
//! ```console
//! $ cargo run -p mosca --example test_double
//! ```

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use mosca::{Interface, Server, Version};
use mqtt_codec::{Connect, Disconnect, Packet, Publish, ReasonCode};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    the_thermometer_publishes_what_it_reads()
}

/// The test, as one would write it with `#[test]`.
pub fn the_thermometer_publishes_what_it_reads() -> Result<(), Box<dyn std::error::Error>> {
    let broker = Server::builder()
        // Any port that is free.
        .listen(Interface::mqtt("127.0.0.1:0"))
        .start_on_own_threads(1)?;
    let address = *broker.local_addresses().first().ok_or("no address")?;
    let mut readings = broker.subscribe("room/7/celsius")?;

    report(address, 21.5)?;

    // No sleep and no polling: it comes, or the test hangs on the spot.
    let reading = readings.blocking_recv().ok_or("the broker has closed")?;
    assert_eq!(reading.payload(), b"21.5");
    // All connections have ended, and after this there are no threads and no sockets of it either.
    assert_eq!(broker.close(Duration::from_secs(30)), 0);
    Ok(())
}

/// The program under test: connects, publishes a reading, and takes its leave.
fn report(broker: SocketAddr, celsius: f64) -> io::Result<()> {
    let mut stream = TcpStream::connect(broker)?;
    let payload = celsius.to_string();
    let mut send = |packet: Packet<'_>| {
        let mut bytes = Vec::new();
        packet
            .encode(Version::V5, &mut bytes)
            .map_err(io::Error::other)?;
        stream.write_all(&bytes)
    };
    send(Packet::Connect(Connect::new(Version::V5, "thermometer")))?;
    send(Packet::Publish(Publish::new(
        "room/7/celsius",
        payload.as_bytes(),
    )))?;
    send(Packet::Disconnect(Disconnect::new(
        ReasonCode::NORMAL_DISCONNECTION,
    )))?;
    // CONNACK, and the end.
    stream.read_to_end(&mut Vec::new())?;
    Ok(())
}
