//! `mosquitto_sub` and `mosquitto_pub`, as they come from the distribution. What the subscriber does
//! is read from its debugging output, its messages from a format of ours.
//!
//! It reports neither the session it found nor the end of a connection, after which it connects
//! anew on its own.

use std::process::Command;

use crate::client::{Event, Message, Payload, Properties, Publish, Subscribe, Version, Will};
use crate::scripted::bytes_of_hex;

/// Topic, quality of service, retain flag, payload, and the properties, between tabs.
const FORMAT: &str = "message\t%t\t%q\t%r\t%x\t%F\t%E\t%C\t%R\t%D\t%P";

pub fn subscribe(port: u16, version: Version, what: &Subscribe) -> Command {
    let mut command = program("mosquitto_sub", port, version, &what.id, what.qos);
    command.args(["-t", &what.filter, "-d", "-F", FORMAT]);
    if what.keep {
        command.arg("-c");
    }
    if what.keep && version == Version::V5 {
        command.args(["-x", "3600"]);
    }
    command.args(what.will.map(Will::arguments).unwrap_or_default());
    command
}

pub fn publish(port: u16, version: Version, what: &Publish) -> Command {
    let mut command = program("mosquitto_pub", port, version, &what.id, what.qos);
    command.args(["-t", &what.topic]);
    command.args(what.retain.then_some("-r"));
    match &what.payload {
        Payload::Lines(_) => drop(command.arg("-l")),
        Payload::Empty => drop(command.arg("-n")),
        Payload::File(path) => drop(command.arg("-f").arg(path)),
    }
    command.args(what.will.map(Will::arguments).unwrap_or_default());
    if let Some(properties) = &what.properties {
        let number = |number: Option<u64>| number.map(|number| number.to_string());
        for (name, value) in [
            (
                "payload-format-indicator",
                number(properties.payload_format),
            ),
            ("message-expiry-interval", number(properties.message_expiry)),
            ("content-type", properties.content_type.clone()),
            ("response-topic", properties.response_topic.clone()),
            ("correlation-data", properties.correlation_data.clone()),
        ] {
            if let Some(value) = value {
                command.args(["-D", "publish", name, &value]);
            }
        }
        for (name, value) in &properties.user_properties {
            command.args(["-D", "publish", "user-property", name, value]);
        }
    }
    command
}

/// What a line of output says.
pub fn event(line: &str) -> Option<Event> {
    if let Some(fields) = line.strip_prefix("message\t") {
        return message(fields).map(Event::Message);
    }
    if let Some((_, granted)) = line.strip_prefix("Subscribed (mid: ")?.split_once("): ") {
        let granted = granted
            .split(", ")
            .filter_map(|qos| qos.parse().ok())
            .collect();
        return Some(Event::Subscribed { granted });
    }
    None
}

fn message(fields: &str) -> Option<Message> {
    let fields: Vec<&str> = fields.split('\t').collect();
    let [
        topic,
        qos,
        retain,
        payload,
        format,
        expiry,
        content,
        response,
        correlation,
        user,
    ] = fields.try_into().ok()?;
    let text = |field: &str| (!field.is_empty()).then(|| field.to_owned());
    Some(Message {
        topic: topic.to_owned(),
        qos: qos.parse().ok()?,
        retain: retain == "1",
        payload: bytes_of_hex(payload)?,
        // mosquitto_sub takes none.
        topic_alias: None,
        properties: Properties {
            payload_format: format.parse().ok(),
            message_expiry: expiry.parse().ok(),
            content_type: text(content),
            response_topic: text(response),
            correlation_data: text(correlation),
            user_properties: user
                .split_whitespace()
                .filter_map(|pair| pair.split_once(':'))
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        },
    })
}

fn program(name: &str, port: u16, version: Version, id: &str, qos: u8) -> Command {
    let version = match version {
        Version::V3_1 => "mqttv31",
        Version::V3_1_1 => "mqttv311",
        Version::V5 => "mqttv5",
    };
    // Into a pipe it would write when a block is full, not when a line is. stdbuf becomes the
    // program, so signals reach it.
    let mut command = Command::new("stdbuf");
    command.args(["--output=L", name, "-V", version, "-i", id]);
    command.args(["-h", "127.0.0.1", "-p", &port.to_string()]);
    command.args(["-q", &qos.to_string()]);
    command
}
