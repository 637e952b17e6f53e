//! What the scenarios say to a client, whoever made it: subscribe and stay, or publish and leave.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

use crate::broker::Broker;
use crate::process::{Line, Process, Signal};
use crate::{mosquitto, scripted};

/// Who made the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Maker {
    Mosquitto,
    MqttJs,
    Paho,
}

/// The protocol that the client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    V3_1,
    V3_1_1,
    V5,
}

impl Version {
    pub fn number(self) -> &'static str {
        match self {
            Self::V3_1 => "3.1",
            Self::V3_1_1 => "3.1.1",
            Self::V5 => "5",
        }
    }
}

/// What is between TCP and the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    Tcp,
    WebSocket,
}

/// One column of the matrix of tests.
#[derive(Debug, Clone, Copy)]
pub struct Client {
    pub maker: Maker,
    pub version: Version,
    pub transport: Transport,
}

/// The will of a client.
#[derive(Debug, Clone, Copy)]
pub struct Will {
    pub topic: &'static str,
    pub payload: &'static str,
    pub qos: u8,
    pub retain: bool,
}

impl Will {
    /// As arguments, which are the same for every maker.
    pub fn arguments(self) -> Vec<String> {
        let qos = self.qos.to_string();
        let options = ["--will-topic", "--will-payload", "--will-qos"];
        let values = [self.topic, self.payload, &qos];
        let pairs = options.into_iter().zip(values).flat_map(<[&str; 2]>::from);
        let flag = self.retain.then_some("--will-retain");
        pairs.chain(flag).map(str::to_owned).collect()
    }
}

/// What a subscriber does.
#[derive(Debug, Clone)]
pub struct Subscribe {
    /// At most 23 characters, which is what MQTT 3.1 allows.
    pub id: String,
    pub filter: String,
    pub qos: u8,
    /// Keep the session and what comes while away.
    pub keep: bool,
    /// Find the kept session, and leave its subscriptions alone where the client can.
    pub resume: bool,
    pub will: Option<Will>,
    /// The highest topic alias that it takes; 0 for none.
    pub aliases: u16,
}

impl Subscribe {
    pub fn new(id: &str, filter: &str, qos: u8) -> Self {
        let (id, filter) = (id.to_owned(), filter.to_owned());
        Self {
            id,
            filter,
            qos,
            keep: false,
            resume: false,
            will: None,
            aliases: 0,
        }
    }

    pub fn keep(self) -> Self {
        Self { keep: true, ..self }
    }

    pub fn resume(self) -> Self {
        Self {
            keep: true,
            resume: true,
            ..self
        }
    }

    pub fn will(self, will: Will) -> Self {
        Self {
            will: Some(will),
            ..self
        }
    }

    pub fn aliases(self, aliases: u16) -> Self {
        Self { aliases, ..self }
    }
}

/// What is published.
#[derive(Debug, Clone)]
pub enum Payload {
    /// One message each; none contains a line feed.
    Lines(Vec<String>),
    File(PathBuf),
    Empty,
}

/// What a publisher does.
#[derive(Debug, Clone)]
pub struct Publish {
    pub id: String,
    pub topic: String,
    pub qos: u8,
    pub retain: bool,
    pub payload: Payload,
    pub properties: Option<Properties>,
    pub will: Option<Will>,
    /// Whether the topic is named by an alias from the second message on.
    pub alias: bool,
}

impl Publish {
    pub fn new(topic: &str, qos: u8, payload: Payload) -> Self {
        let (id, topic) = ("publisher".to_owned(), topic.to_owned());
        Self {
            id,
            topic,
            qos,
            retain: false,
            payload,
            properties: None,
            will: None,
            alias: false,
        }
    }

    pub fn line(topic: &str, qos: u8, line: &str) -> Self {
        Self::new(topic, qos, Payload::Lines(vec![line.to_owned()]))
    }

    pub fn retain(self) -> Self {
        Self {
            retain: true,
            ..self
        }
    }

    pub fn alias(self) -> Self {
        Self {
            alias: true,
            ..self
        }
    }
}

/// The properties of a PUBLISH of MQTT 5 that travel from the publisher to the subscriber.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Properties {
    pub payload_format: Option<u64>,
    /// In seconds.
    pub message_expiry: Option<u64>,
    pub content_type: Option<String>,
    pub response_topic: Option<String>,
    pub correlation_data: Option<String>,
    pub user_properties: Vec<(String, String)>,
}

impl Properties {
    pub fn to_json(&self) -> Value {
        json!({
            "payloadFormat": self.payload_format,
            "messageExpiry": self.message_expiry,
            "contentType": self.content_type,
            "responseTopic": self.response_topic,
            "correlationData": self.correlation_data,
            "userProperties": self.user_properties,
        })
    }

    pub fn from_json(value: &Value) -> Self {
        let text = |name: &str| value[name].as_str().map(str::to_owned);
        let pair = |pair: &Value| Some((pair[0].as_str()?.into(), pair[1].as_str()?.into()));
        Self {
            payload_format: value["payloadFormat"].as_u64(),
            message_expiry: value["messageExpiry"].as_u64(),
            content_type: text("contentType"),
            response_topic: text("responseTopic"),
            correlation_data: text("correlationData"),
            user_properties: value["userProperties"]
                .as_array()
                .map(|pairs| pairs.iter().map(|one| pair(one).unwrap()).collect())
                .unwrap_or_default(),
        }
    }
}

/// What a subscriber reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    Connected {
        session_present: Option<bool>,
    },
    Subscribed {
        granted: Vec<u64>,
    },
    Message(Message),
    /// The other side ended the connection; `reason` is that of its DISCONNECT, if it sent one.
    Disconnected {
        reason: Option<u64>,
    },
}

/// A message as a subscriber got it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub topic: String,
    pub qos: u64,
    pub retain: bool,
    pub payload: Vec<u8>,
    /// The alias that stood for the topic, or was set to.
    pub topic_alias: Option<u64>,
    pub properties: Properties,
}

impl Message {
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.payload).unwrap()
    }

    /// Topic, payload, quality of service, and the retain flag.
    pub fn summary(&self) -> (&str, &str, u64, bool) {
        (&self.topic, self.text(), self.qos, self.retain)
    }
}

impl Client {
    /// Connects and subscribes.
    pub fn subscribe(self, broker: &Broker, what: &Subscribe) -> Subscriber {
        let mut subscriber = self.connect(broker, what);
        if what.resume && self.maker != Maker::Mosquitto {
            let session_present = subscriber.connected();
            // The CONNACK of MQTT 3.1 has no room for it.
            if self.version != Version::V3_1 {
                assert_eq!(session_present, Some(true), "{}: no session", what.id);
            }
        } else {
            subscriber.subscribed(what.qos);
        }
        subscriber
    }

    /// Starts a subscriber without waiting for anything.
    fn connect(self, broker: &Broker, what: &Subscribe) -> Subscriber {
        let (mut command, parse): (Command, Parse) = match self.maker {
            Maker::Mosquitto => (
                mosquitto::subscribe(broker.port, self.version, what),
                mosquitto::event,
            ),
            _ => (
                scripted::subscribe(broker.port_of(self.transport), self, what),
                scripted::event,
            ),
        };
        let name = format!("{self:?} subscriber {}", what.id);
        let process = Process::start(&name, &mut command);
        Subscriber {
            process,
            parse,
            messages: VecDeque::new(),
        }
    }

    /// Publishes, and returns when everything is acknowledged and the client has left.
    pub fn publish(self, broker: &Broker, what: &Publish) {
        let mut command = match self.maker {
            Maker::Mosquitto => mosquitto::publish(broker.port, self.version, what),
            _ => scripted::publish(broker.port_of(self.transport), self, what),
        };
        let input = match &what.payload {
            Payload::Lines(lines) => lines.iter().map(|line| format!("{line}\n")).collect(),
            Payload::File(_) | Payload::Empty => String::new(),
        };
        let name = format!("{self:?} publisher {}", what.id);
        Process::start_with_input(&name, &mut command, input.into_bytes()).succeed();
    }
}

type Parse = fn(&str) -> Option<Event>;

/// A client that has subscribed.
pub struct Subscriber {
    process: Process,
    parse: Parse,
    /// What came while something else was awaited.
    messages: VecDeque<Message>,
}

impl Subscriber {
    /// The next message.
    pub fn message(&mut self) -> Message {
        if let Some(message) = self.messages.pop_front() {
            return message;
        }
        self.wait_for("message", |event| match event {
            Event::Message(message) => Some(message),
            _ => None,
        })
    }

    /// All messages up to the one with the payload `last`, which is not among them.
    pub fn messages_until(&mut self, last: &str) -> Vec<Message> {
        let mut messages = Vec::new();
        loop {
            let message = self.message();
            if message.payload == last.as_bytes() {
                return messages;
            }
            messages.push(message);
        }
    }

    /// Waits until the other side ends the connection, and returns the reason it gave.
    pub fn disconnected(&mut self) -> Option<u64> {
        self.wait_for_keeping_messages("end of the connection", |event| match event {
            Event::Disconnected { reason } => Some(*reason),
            _ => None,
        })
    }

    /// Disconnects. In MQTT 5, `mosquitto_sub` asks for its will to be published as it leaves; all
    /// others leave without.
    pub fn stop(mut self) {
        self.process.signal(Signal::Terminate);
        self.process.succeed();
    }

    /// Dies without a word.
    pub fn kill(self) {
        self.process.kill();
    }

    /// Stops reading and writing, with the connection open.
    pub fn freeze(&self) {
        self.process.signal(Signal::Stop);
    }

    fn connected(&mut self) -> Option<bool> {
        self.wait_for_keeping_messages("CONNACK", |event| match event {
            Event::Connected { session_present } => Some(*session_present),
            _ => None,
        })
    }

    fn subscribed(&mut self, qos: u8) {
        let granted = self.wait_for_keeping_messages("SUBACK", |event| match event {
            Event::Subscribed { granted } => Some(granted.clone()),
            _ => None,
        });
        assert_eq!(granted, [u64::from(qos)], "{}", self.process.transcript());
    }

    fn wait_for_keeping_messages<T>(
        &mut self,
        what: &str,
        mut pick: impl FnMut(&Event) -> Option<T>,
    ) -> T {
        let mut kept = Vec::new();
        let picked = self.wait_for(what, |event| {
            let picked = pick(&event);
            if let Event::Message(message) = event {
                kept.push(message);
            }
            picked
        });
        self.messages.extend(kept);
        picked
    }

    fn wait_for<T>(&mut self, what: &str, mut pick: impl FnMut(Event) -> Option<T>) -> T {
        let parse = self.parse;
        self.process.wait_for(what, |line| match line {
            Line::Out(line) => parse(line).and_then(&mut pick),
            Line::Err(_) => None,
        })
    }
}
