//! What the options of an engine between brokers mean for each other.

use mosca::backend::Prefix;
use topic_trie::TopicFilter;

use super::{beside, check_pair};
use crate::problem::Problem;
use crate::value::{Object, Value};

/// How TLS is asked for, in front of an address or as `protocol`.
const SECURE: [&str; 5] = ["mqtts", "wss", "ssl", "tls", "amqps"];

/// Two addresses, half a certificate, and texts that cannot be in topics.
pub(super) fn check(section: &Object, problems: &mut Vec<Problem>) {
    if section.get("url").is_some() {
        for key in ["protocol", "host", "port", "client"] {
            beside(section, key, "backend.", "url", problems);
        }
    }
    let client = section.get("client").and_then(Value::as_object);
    if let Some(client) = client.filter(|it| it.get("url").is_some()) {
        for key in ["host", "port", "login", "password", "vhost"] {
            beside(client, key, "backend.client.", "url", problems);
        }
    }
    check_pair("backend.", section, problems);
    if let Some(prefix) = section.get("prefix")
        && prefix.as_str().is_some_and(|it| Prefix::new(it).is_err())
    {
        let what = format!("is {prefix}; it stands in topic names, and they have no +, # and NUL");
        problems.push(Problem::of("backend.prefix", prefix, what));
    }
    let local = section.get("localTopics").and_then(Value::as_list);
    for (number, filter) in local.unwrap_or_default().iter().enumerate() {
        if let Some(Err(error)) = filter.as_str().map(TopicFilter::new) {
            let what = format!("is {filter}, which is no topic filter: {error}");
            let key = format!("backend.localTopics[{number}]");
            problems.push(Problem::of(key, filter, what));
        }
    }
}

/// What is said in vain because of what else is said, or is not.
pub(super) fn without_effect(section: &Object, found: &mut Vec<Problem>) {
    if let Some(json) = section.get("json").filter(|it| it.as_bool() == Some(true)) {
        let what = "has no effect: payloads go between brokers as they are";
        found.push(Problem::of("backend.json", json, what));
    }
    if is_secure(section) {
        return;
    }
    for key in ["caPath", "certPath", "keyPath", "rejectUnauthorized"] {
        if let Some(value) = section.get(key).filter(|it| it.as_bool() != Some(true)) {
            let what = "has no effect without TLS, which the address or `protocol` asks for";
            found.push(Problem::of(format!("backend.{key}"), value, what));
        }
    }
}

/// Whether the engine is spoken to over TLS.
fn is_secure(section: &Object) -> bool {
    let client = section.get("client").and_then(Value::as_object);
    let of_client = client.and_then(|it| it.get("url"));
    let said = [section.get("url"), section.get("protocol"), of_client];
    let words = said.into_iter().flatten().filter_map(Value::as_str);
    let mut schemes = words.filter_map(|it| it.split(':').next());
    schemes.any(|scheme| SECURE.iter().any(|it| it.eq_ignore_ascii_case(scheme)))
}

#[cfg(test)]
mod tests {
    use crate::parse::Format;
    use crate::validate::{validate, without_effect};

    fn parsed(section: &str) -> crate::Value {
        let text = format!("{{ \"backend\": {section} }}");
        Format::Json.parse(&text).unwrap()
    }

    #[test]
    fn one_thing_that_is_wrong_with_an_engine_is_said_once() {
        for (section, expected) in [
            (
                r#"{ "type": "kafka" }"#,
                "line 1: `backend.type` is the text \"kafka\", which is an engine that is not here yet",
            ),
            (
                r#"{ "type": "mqtt", "hots": "a" }"#,
                "line 1: `backend.hots` is no option; did you mean `host`?",
            ),
            (
                r#"{ "host": "a" }"#,
                "line 1: `backend.host` is no option; there are type, prefix, json",
            ),
            (
                r#"{ "type": "mqtt", "port": 0 }"#,
                "line 1: `backend.port` is 0; expected is a whole number from 1 to 65535",
            ),
            (
                r#"{ "type": "mqtt", "protocol": "mqtt5" }"#,
                "line 1: `backend.protocol` is the text \"mqtt5\"; expected is one of mqtt, mqtts, ws, wss, tcp, ssl, tls \
                 (did you mean `mqtt`?)",
            ),
            (
                r#"{ "type": "mqtt", "protocolVersion": 3 }"#,
                "line 1: `backend.protocolVersion` is 3; expected is a whole number from 4 to 5",
            ),
            (
                r#"{ "type": "mqtt", "password": 5 }"#,
                "line 1: `backend.password` is a number that is not shown",
            ),
            (
                r#"{ "type": "mqtt", "url": "mqtt://me:secret@a", "host": "b" }"#,
                "line 1: `backend.host` stands beside `url`: two choices at once",
            ),
            (
                r#"{ "type": "amqp", "url": "amqp://me:secret@a", "client": { "host": "b" } }"#,
                "line 1: `backend.client` stands beside `url`: two choices at once",
            ),
            (
                r#"{ "type": "amqp", "client": { "url": "amqp://a", "vhost": "b" } }"#,
                "line 1: `backend.client.vhost` stands beside `url`: two choices at once",
            ),
            (
                r#"{ "type": "mqtt", "protocol": "mqtts", "certPath": "c" }"#,
                "line 1: `backend.keyPath` is missing",
            ),
            (
                r#"{ "type": "amqp", "prefix": "a/+" }"#,
                "line 1: `backend.prefix` is the text \"a/+\"; it stands in topic names",
            ),
            (
                r##"{ "type": "mqtt", "localTopics": ["a/#", "b#"] }"##,
                "line 1: `backend.localTopics[1]` is the text \"b#\", which is no topic filter: ",
            ),
            (
                r#"{ "type": "mqtt", "maxForwardMessages": 0 }"#,
                "line 1: `backend.maxForwardMessages` is 0; expected is a whole number from 1 to",
            ),
            (
                r#"{ "type": "amqp", "acceptanceTimeout": 3600001 }"#,
                "line 1: `backend.acceptanceTimeout` is 3600001; expected is a whole number from 1 to 3600000 ms",
            ),
        ] {
            let found = validate(&parsed(section));
            let [said] = &found[..] else {
                panic!("{section}: {found:?}");
            };
            let said = said.to_string();
            assert!(said.starts_with(expected), "{section}: {said}");
            assert!(!said.contains("secret"), "{said}");
        }
    }

    #[test]
    fn what_changes_nothing_about_an_engine_is_said_with_the_reason() {
        for (section, key, reason) in [
            (r#"{ "json": true }"#, "json", "as they are"),
            (r#"{ "type": "amqp", "json": true }"#, "json", "as they are"),
            (r#"{ "prefix": "a" }"#, "prefix", "no other brokers"),
            (
                r#"{ "type": "mqtt", "caPath": "a" }"#,
                "caPath",
                "without TLS",
            ),
            (
                r#"{ "type": "mqtt", "url": "ws://a", "rejectUnauthorized": false }"#,
                "rejectUnauthorized",
                "without TLS",
            ),
            (
                r#"{ "type": "amqplib", "socketOptions": { "noDelay": true } }"#,
                "socketOptions",
                "Node.js",
            ),
            (
                r#"{ "type": "amqplib", "queue": "q" }"#,
                "queue",
                "makes up",
            ),
            (
                r#"{ "type": "amqplib", "durableQueue": true }"#,
                "durableQueue",
                "as long as",
            ),
        ] {
            let file = parsed(section);
            assert_eq!(validate(&file), [], "{section}");
            let found = without_effect(&file);
            let [said] = &found[..] else {
                panic!("{section}: {found:?}");
            };
            assert_eq!(said.key, format!("backend.{key}"));
            assert!(said.what.starts_with("has no effect"), "{said}");
            assert!(said.what.contains(reason), "{said}");
        }
    }

    #[test]
    fn what_is_right_is_passed_over_in_silence() {
        for section in [
            r#"{ "type": "EventEmitter2", "json": false }"#,
            r#"{ "type": "amqp", "json": false, "exchange": "ascoltatore5672" }"#,
            r#"{ "type": "mqtt", "json": false, "host": "a", "port": 4883, "keepalive": 3000, "prefix": "/s" }"#,
            r#"{ "type": "mqtt", "url": "wss://a", "caPath": "a", "rejectUnauthorized": false }"#,
            r#"{ "type": "amqp", "client": { "url": "AMQPS://a" }, "caPath": "a" }"#,
        ] {
            let file = parsed(section);
            assert_eq!(validate(&file), [], "{section}");
            assert_eq!(without_effect(&file), [], "{section}");
        }
    }
}
