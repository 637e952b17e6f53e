//! How a message is printed.

use mqtt_client::{OwnedPublish, Property};
use serde_json::{Map, Value, json};

use super::args::SubscribeArgs;

/// What is printed of each message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// The payload, behind the topic if `with_topic`, in front of the end of a line if `with_newline`.
    Plain {
        with_topic: bool,
        with_newline: bool,
    },
    /// An object of JSON on a line.
    Json,
}

impl Form {
    pub(super) fn of(args: &SubscribeArgs) -> Self {
        if args.json {
            Self::Json
        } else {
            Self::Plain {
                with_topic: args.verbose,
                with_newline: !args.no_newline,
            }
        }
    }

    pub(super) fn write(self, message: &OwnedPublish, line: &mut Vec<u8>) {
        match self {
            Self::Plain {
                with_topic,
                with_newline,
            } => {
                if with_topic {
                    line.extend_from_slice(message.topic.as_bytes());
                    line.push(b' ');
                }
                line.extend_from_slice(&message.payload);
                if with_newline {
                    line.push(b'\n');
                }
            }
            Self::Json => {
                line.extend_from_slice(json(message).to_string().as_bytes());
                line.push(b'\n');
            }
        }
    }
}

/// Bytes that are no text are `payloadHex` or `correlationDataHex` instead.
fn json(message: &OwnedPublish) -> Value {
    let mut object = Map::new();
    let mut put = |name: &str, value: Value| object.insert(name.to_owned(), value);
    put("topic", json!(message.topic));
    put("qos", json!(message.qos.as_u8()));
    put("retain", json!(message.retain));
    put("dup", json!(message.dup));
    let (name, value) = bytes("payload", &message.payload);
    put(&name, value);
    let mut user_properties = Vec::new();
    for property in message.properties.as_properties().iter() {
        match property {
            Property::MessageExpiryInterval(secs) => {
                drop(put("messageExpiryInterval", json!(secs)))
            }
            Property::ContentType(text) => drop(put("contentType", json!(text))),
            Property::ResponseTopic(topic) => drop(put("responseTopic", json!(topic))),
            Property::CorrelationData(data) => {
                let (name, value) = bytes("correlationData", data);
                put(&name, value);
            }
            Property::UserProperty(name, value) => user_properties.push(json!([name, value])),
            _ => {}
        }
    }
    if !user_properties.is_empty() {
        put("userProperties", json!(user_properties));
    }
    Value::Object(object)
}

fn bytes(name: &str, bytes: &[u8]) -> (String, Value) {
    match std::str::from_utf8(bytes) {
        Ok(text) => (name.to_owned(), json!(text)),
        Err(_) => {
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            (format!("{name}Hex"), json!(hex))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mqtt_client::{PropertiesBuf, QoS};

    fn message(payload: &'static [u8], properties: PropertiesBuf) -> OwnedPublish {
        OwnedPublish {
            dup: false,
            qos: QoS::AtLeastOnce,
            retain: true,
            topic: "a/b".to_owned(),
            packet_id: None,
            properties,
            payload: payload.into(),
        }
    }

    fn written(form: Form, message: &OwnedPublish) -> Vec<u8> {
        let mut line = Vec::new();
        form.write(message, &mut line);
        line
    }

    #[test]
    fn a_message_is_its_bytes_with_what_is_asked_for_around_it() {
        let message = message(b"\xFF\n", PropertiesBuf::new());
        let plain = |with_topic, with_newline| {
            let form = Form::Plain {
                with_topic,
                with_newline,
            };
            written(form, &message)
        };
        assert_eq!(plain(false, true), b"\xFF\n\n");
        assert_eq!(plain(true, false), b"a/b \xFF\n");
    }

    #[test]
    fn json_has_all_that_came_on_one_line() {
        let mut properties = PropertiesBuf::new();
        for property in [
            Property::ContentType("text/plain"),
            Property::CorrelationData(b"\x00\xFF"),
            Property::UserProperty("a", "b\n"),
            Property::UserProperty("a", "c"),
        ] {
            properties.push(property).unwrap();
        }
        let line = written(Form::Json, &message("é\n".as_bytes(), properties));
        assert_eq!(line.iter().filter(|&&byte| byte == b'\n').count(), 1);
        let value: Value = serde_json::from_slice(&line).unwrap();
        let expected = json!({
            "topic": "a/b", "qos": 1, "retain": true, "dup": false, "payload": "é\n",
            "contentType": "text/plain", "correlationDataHex": "00ff",
            "userProperties": [["a", "b\n"], ["a", "c"]],
        });
        assert_eq!(value, expected);
        let line = written(Form::Json, &message(b"\xFF", PropertiesBuf::new()));
        let value: Value = serde_json::from_slice(&line).unwrap();
        assert_eq!(value["payloadHex"], "ff");
    }
}
