//! What the section `backend` says of engines between brokers.

use std::time::Duration;

use mosca::Version;
use mosca::backend::Prefix;

use super::*;
use crate::engine::{AmqpChoice, EngineChoice, MqttChoice};

/// The engine of a section `backend`.
fn engine(section: &Json) -> Result<EngineChoice, String> {
    let config = read(&json!({ "backend": section }))?;
    Ok(config.engine)
}

fn mqtt(section: &Json) -> MqttChoice {
    match engine(section).unwrap() {
        EngineChoice::Mqtt(choice) => *choice,
        other => panic!("{section}: {other:?}"),
    }
}

fn amqp(section: &Json) -> AmqpChoice {
    match engine(section).unwrap() {
        EngineChoice::Amqp(choice) => choice,
        other => panic!("{section}: {other:?}"),
    }
}

#[test]
fn without_an_engine_or_with_one_of_this_process_the_broker_stands_alone() {
    for section in [
        json!(null),
        json!({}),
        json!({ "json": false }),
        json!({ "type": "memory" }),
        json!({ "type": "Trie" }),
        json!({ "type": "eventemitter2" }),
    ] {
        assert_eq!(engine(&section), Ok(EngineChoice::Alone), "{section}");
    }
}

#[test]
fn an_address_of_a_parent_is_put_together_from_its_parts() {
    for (section, address) in [
        (json!({}), "mqtt://localhost:1883"),
        (json!({ "host": "a" }), "mqtt://a:1883"),
        (json!({ "port": 4883 }), "mqtt://localhost:4883"),
        (json!({ "host": "::1", "port": 1 }), "mqtt://[::1]:1"),
        (
            json!({ "host": "a", "protocol": "mqtts" }),
            "mqtts://a:8883",
        ),
        (json!({ "host": "a", "protocol": "TLS" }), "mqtts://a:8883"),
        (json!({ "protocol": "ws" }), "ws://localhost:80/"),
        (json!({ "protocol": "wss" }), "wss://localhost:443/"),
        (json!({ "url": "mqtts://a" }), "mqtts://a:8883"),
        (json!({ "url": "wss://a/mqtt" }), "wss://a:443/mqtt"),
    ] {
        let mut section = section;
        section["type"] = json!("mqtt");
        assert_eq!(mqtt(&section).address.to_string(), address, "{section}");
    }
}

#[test]
fn what_is_said_of_a_parent_reaches_the_engine() {
    let choice = mqtt(&json!({
        "type": "mqtt", "url": "mqtts://url:old@a", "username": "me", "password": "secret", "clientId": "leaf",
        "keepalive": 3000, "protocolVersion": 4, "caPath": "ca", "certPath": "c", "keyPath": "k",
        "rejectUnauthorized": false, "nodes": false, "prefix": "/s", "timeout": 250, "maxTopicBytes": 5,
        "maxTopicLevels": 6,
    }));
    let mut address: mqtt_client::Address = "mqtts://a:8883".parse().unwrap();
    address.user_name = Some("me".to_owned());
    address.password = Some("secret".to_owned());
    let expected = MqttChoice {
        address,
        ca_file: Some("ca".into()),
        identity: Some(("c".into(), "k".into())),
        insecure: true,
        client_id: Some("leaf".to_owned()),
        keep_alive_secs: Some(3_000),
        version: Some(Version::V311),
        nodes: false,
        max_topic_bytes: Some(5),
        max_topic_levels: Some(6),
        prefix: Prefix::new("/s").unwrap(),
        timeout: Some(Duration::from_millis(250)),
    };
    assert_eq!(choice, expected);
    let without = mqtt(&json!({ "type": "mqtt" }));
    assert!(without.nodes && !without.insecure);
    assert_eq!((without.version, without.client_id), (None, None));
    // Who is asked may stand in the address alone.
    let choice =
        mqtt(&json!({ "type": "mqtt", "url": "mqtt://me:secret@a", "protocolVersion": 5 }));
    assert_eq!(choice.address.password.as_deref(), Some("secret"));
    assert_eq!(choice.version, Some(Version::V5));
}

#[test]
fn an_address_of_amqp_is_put_together_from_its_parts() {
    for (section, url) in [
        (json!({}), "amqp://127.0.0.1:5672"),
        (json!({ "url": "amqps://me:x@a/v" }), "amqps://me:x@a/v"),
        (json!({ "client": {} }), "amqp://localhost:5672"),
        (json!({ "client": { "url": "amqp://a" } }), "amqp://a"),
        (
            json!({ "client": { "host": "::1", "port": 1, "vhost": "/" } }),
            "amqp://[::1]:1/%2F",
        ),
        (
            json!({ "client": { "host": "a", "login": "me", "password": "p@ss", "vhost": "v" } }),
            "amqp://me:p%40ss@a:5672/v",
        ),
        (
            json!({ "client": { "password": "x" } }),
            "amqp://guest:x@localhost:5672",
        ),
    ] {
        for name in ["amqp", "amqplib"] {
            let mut section = section.clone();
            section["type"] = json!(name);
            assert_eq!(amqp(&section).url.reveal(), url, "{section}");
        }
    }
}

#[test]
fn what_is_said_of_amqp_reaches_the_engine() {
    let choice = amqp(&json!({
        "type": "amqp", "json": false, "url": "amqps://a", "exchange": "ascoltatore5672", "prefix": "p",
        "caPath": "ca", "timeout": 250,
        "maxMessageBytes": 1, "maxQueueMessages": 2, "maxQueueBytes": 3,
    }));
    let expected = AmqpChoice {
        url: "amqps://a".parse().unwrap(),
        exchange: Some("ascoltatore5672".to_owned()),
        ca_file: Some("ca".into()),
        prefix: Prefix::new("p").unwrap(),
        timeout: Some(Duration::from_millis(250)),
        max_message_bytes: Some(1),
        max_queue_messages: Some(2),
        max_queue_bytes: Some(3),
    };
    assert_eq!(choice, expected);
}

#[test]
fn a_wrong_address_of_an_engine_is_named_and_no_password_is_shown() {
    for (section, expected) in [
        (
            json!({ "type": "mqtt", "url": "http://me:secret@a" }),
            "`backend.url` is wrong: `http` is not spoken",
        ),
        (
            json!({ "type": "mqtt", "url": "a" }),
            "`backend.url` is wrong: no URL",
        ),
        (
            json!({ "type": "mqtt", "host": "a b" }),
            "`backend.host` makes no address: ",
        ),
        (
            json!({ "type": "amqp", "url": "redis://me:secret@a" }),
            "`backend.url` is wrong: `redis` is not spoken: amqp and amqps are",
        ),
        (
            json!({ "type": "amqp", "url": "amqp://me:secret@a:x" }),
            "`backend.url` is wrong: `x` in `amqp://me:***@a:x` is not a port",
        ),
        (
            json!({ "type": "amqp", "client": { "url": "amqp:secret" } }),
            "`backend.client.url` is wrong: `amqp:` is to be followed by `//` and a host",
        ),
        (
            json!({ "type": "amqp", "client": { "host": "a b" } }),
            "`backend.client.host` makes no address: ",
        ),
    ] {
        let complaint = complaint(&json!({ "backend": section }));
        assert!(complaint.contains(expected), "{complaint}");
        assert!(!complaint.contains("secret"), "{complaint}");
    }
}

/// What is printed as the default of an engine's option is what the engine has.
#[cfg(all(feature = "backend-mqtt", feature = "backend-amqp"))]
#[test]
fn the_defaults_of_engines_are_those_of_the_code() {
    let choice = mqtt(&json!({ "type": "mqtt" }));
    let options = backend_mqtt::MqttBackendOptions::new(choice.address);
    assert_eq!(choice.keep_alive_secs, Some(options.keep_alive_secs));
    assert_eq!(choice.timeout, Some(options.timeout));
    assert_eq!(choice.nodes, options.nodes);
    assert_eq!(choice.max_topic_bytes, Some(options.max_topic_bytes));
    assert_eq!(choice.max_topic_levels, Some(options.max_topic_levels));
    let choice = amqp(&json!({ "type": "amqp" }));
    let options = backend_amqp::AmqpBackendOptions::new();
    assert_eq!(choice.url.reveal(), options.url);
    assert_eq!(choice.exchange, Some(options.exchange));
    assert_eq!(choice.timeout, Some(options.timeout));
    assert_eq!(choice.max_message_bytes, Some(options.max_message_bytes));
    assert_eq!(choice.max_queue_messages, Some(options.max_queue_messages));
    assert_eq!(choice.max_queue_bytes, Some(options.max_queue_bytes));
}
