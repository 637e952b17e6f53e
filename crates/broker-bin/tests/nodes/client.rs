//! `mosquitto_sub` and `mosquitto_pub` at whichever broker.

use std::collections::VecDeque;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::process::{Line, Process};

/// The versions of MQTT that they speak here.
pub const VERSIONS: [&str; 2] = ["mqttv311", "mqttv5"];

/// Text of a message with every kind of byte in it, which engines of mosca's have changed.
pub const BINARY: &[u8] = b"\xff\x00\n\"{'.*\xc3";

/// A subscriber whose SUBACK has come.
pub struct Subscriber {
    process: Process,
    /// What came in front of SUBACK.
    early: VecDeque<Message>,
}

/// What came.
#[derive(Debug, PartialEq, Eq)]
pub struct Message {
    pub topic: String,
    pub qos: u8,
    pub retain: bool,
    pub payload: Vec<u8>,
}

impl Message {
    pub fn new(topic: &str, qos: u8, payload: &[u8]) -> Self {
        Self {
            topic: topic.to_owned(),
            qos,
            retain: false,
            payload: payload.to_owned(),
        }
    }

    pub fn retained(topic: &str, qos: u8, payload: &[u8]) -> Self {
        Self {
            retain: true,
            ..Self::new(topic, qos, payload)
        }
    }
}

impl Subscriber {
    /// Subscribes at QoS 2 to what is at this port.
    pub fn new(port: u16, version: &str, filter: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        // Into a pipe it would write when a block is full, not when a line is.
        let mut command = Command::new("stdbuf");
        command.args(["--output=L", "mosquitto_sub", "-V", version, "-d"]);
        command.args(["-h", "127.0.0.1", "-p", &port.to_string()]);
        command.args(["-i", &format!("subscriber-{number}")]);
        command.args(["-q", "2", "-t", filter, "-F", "message\t%t\t%q\t%r\t%x"]);
        let mut process = Process::start("mosquitto_sub", &mut command);
        let mut early = VecDeque::new();
        process.wait_for("SUBACK", |line| {
            early.extend(message(line));
            let (Line::Out(line) | Line::Err(line)) = line;
            line.starts_with("Subscribed (mid: ").then_some(())
        });
        Self { process, early }
    }

    /// The next message.
    pub fn next(&mut self) -> Message {
        let early = self.early.pop_front();
        early.unwrap_or_else(|| self.process.wait_for("message", message))
    }
}

/// The message that a line is, if it is one.
fn message(line: &Line) -> Option<Message> {
    let Line::Out(line) = line else { return None };
    let fields: Vec<&str> = line.strip_prefix("message\t")?.split('\t').collect();
    let [topic, qos, retain, payload] = fields.try_into().ok()?;
    let digits = payload.as_bytes().chunks(2);
    let bytes = digits.map(|it| u8::from_str_radix(std::str::from_utf8(it).ok()?, 16).ok());
    Some(Message {
        topic: topic.to_owned(),
        qos: qos.parse().ok()?,
        retain: retain == "1",
        payload: bytes.collect::<Option<_>>()?,
    })
}

/// Publishes, and waits for the acknowledgement where there is one.
pub fn publish(port: u16, version: &str, qos: u8, topic: &str, payload: &[u8]) {
    publish_with(port, version, qos, topic, payload, &[]);
}

/// The same with the retain flag.
pub fn retain(port: u16, version: &str, topic: &str, payload: &[u8]) {
    publish_with(port, version, 1, topic, payload, &["-r"]);
}

fn publish_with(port: u16, version: &str, qos: u8, topic: &str, payload: &[u8], more: &[&str]) {
    let mut command = Command::new("mosquitto_pub");
    command.args(["-V", version, "-h", "127.0.0.1", "-p", &port.to_string()]);
    command.args(["-q", &qos.to_string(), "-t", topic, "-s"]);
    command.args(more);
    Process::start_with_input("mosquitto_pub", &mut command, payload.to_owned()).succeed();
}
