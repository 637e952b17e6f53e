//! paho-mqtt and MQTT.js, through the two small programs in `tests/clients` that take the same
//! arguments and report the same JSON lines.

use std::process::Command;

use serde_json::Value;

use crate::client::{
    Client, Event, Maker, Message, Payload, Properties, Publish, Subscribe, Transport, Will,
};
use crate::mqttjs;

pub fn subscribe(port: u16, client: Client, what: &Subscribe) -> Command {
    let mut command = program(client, "sub", port, &what.id, what.qos);
    command.args(["--filter", &what.filter]);
    if what.keep {
        command.arg("--keep");
    }
    if what.resume {
        command.arg("--resume");
    }
    if what.aliases > 0 {
        command.args(["--aliases", &what.aliases.to_string()]);
    }
    command.args(what.will.map(Will::arguments).unwrap_or_default());
    command
}

pub fn publish(port: u16, client: Client, what: &Publish) -> Command {
    let mut command = program(client, "pub", port, &what.id, what.qos);
    command.args(["--topic", &what.topic]);
    command.args(what.retain.then_some("--retain"));
    match &what.payload {
        Payload::Lines(_) => {}
        Payload::Empty => drop(command.arg("--empty")),
        Payload::File(path) => drop(command.arg("--file").arg(path)),
    }
    command.args(what.will.map(Will::arguments).unwrap_or_default());
    if what.alias {
        command.args(["--aliases", "1"]);
    }
    if let Some(properties) = &what.properties {
        command.args(["--properties", &properties.to_json().to_string()]);
    }
    command
}

/// What a line of output says.
pub fn event(line: &str) -> Option<Event> {
    let value: Value = serde_json::from_str(line).ok()?;
    Some(match value["event"].as_str()? {
        "connected" => Event::Connected {
            session_present: value["sessionPresent"].as_bool(),
        },
        "subscribed" => Event::Subscribed {
            granted: value["granted"]
                .as_array()?
                .iter()
                .filter_map(Value::as_u64)
                .collect(),
        },
        "disconnected" => Event::Disconnected {
            reason: value["reason"].as_u64(),
        },
        "message" => Event::Message(Message {
            topic: value["topic"].as_str()?.to_owned(),
            qos: value["qos"].as_u64()?,
            retain: value["retain"].as_bool()?,
            payload: bytes_of_hex(value["payload"].as_str()?)?,
            topic_alias: value["topicAlias"].as_u64(),
            properties: Properties::from_json(&value["properties"]),
        }),
        _ => return None,
    })
}

pub fn bytes_of_hex(hex: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let (pairs, rest) = hex.as_bytes().as_chunks::<2>();
    let bytes = pairs
        .iter()
        .map(|&[high, low]| u8::try_from(digit(high)? * 16 + digit(low)?).ok());
    rest.is_empty().then(|| bytes.collect())?
}

fn program(client: Client, what: &str, port: u16, id: &str, qos: u8) -> Command {
    let mut command = match client.maker {
        Maker::Paho => {
            let mut command = Command::new(mqttjs::from_environment("MOSCA_TEST_PYTHON"));
            // Without -B, python leaves its cache in the source tree.
            command
                .arg("-B")
                .arg(mqttjs::programs().join("paho_client.py"));
            command
        }
        Maker::MqttJs => mqttjs::command(),
        Maker::Mosquitto => panic!("mosquitto's clients are programs of their own"),
    };
    command.args([what, "--version", client.version.number(), "--id", id]);
    command.args(["--port", &port.to_string(), "--qos", &qos.to_string()]);
    command.args((client.transport == Transport::WebSocket).then_some("--websocket"));
    command
}
