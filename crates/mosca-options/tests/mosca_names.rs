//! Every option that mosca has, in both of its forms and in each format.

#![allow(clippy::unwrap_used, clippy::panic, reason = "all of this is a test")]

use mosca_options::{Data, FORMATS, Format, Value, populate, validate, with_environment};

/// mosca's older form.
const LEGACY: &str = r##"{
    "id": "mymosca", "host": null, "port": 1884, "maxConnections": 10000000,
    "secure": { "port": 8884, "keyPath": "k", "certPath": "c", "secureProtocol": "TLSv1_2_method",
        "caPaths": ["a"], "requestCert": true, "rejectUnauthorized": false },
    "allowNonSecure": true, "onlyHttp": false,
    "http": { "port": 3000, "bundle": true, "static": "./" }, "https": { "port": 3001, "bundle": true, "static": "./" },
    "backend": { "type": "trie", "json": false, "wildcardOne": "+", "wildcardSome": "#", "separator": "/", "prefix": "p" },
    "persistence": { "factory": "levelup", "path": "/db", "storeMessagesQos0": true,
        "ttl": { "checkFrequency": 60000, "subscriptions": 3600000, "packets": 3600000 } },
    "stats": true, "publishNewClient": true, "publishClientDisconnect": true, "publishSubscriptions": true,
    "maxInflightMessages": 1024, "onQoS2publish": "dropToQoS1",
    "logger": { "name": "mosca", "level": 40, "serializers": {} } }"##;

/// The newer one.
const MODERN: &str = r##"{
    "id": "mymosca", "host": "127.0.0.1",
    "interfaces": [
        { "type": "mqtt", "host": null, "port": 1884, "maxConnections": 10000000 },
        { "type": "mqtts", "port": 8884, "maxConnections": 5, "credentials": { "keyPath": "k", "certPath": "c" } },
        { "type": "http", "host": "::1", "port": 3000, "bundle": true, "static": "./" },
        { "type": "https", "port": 3001, "bundle": false, "static": "./", "credentials": { "keyPath": "k",
            "certPath": "c", "caPaths": ["a"], "requestCert": true, "rejectUnauthorized": true } } ],
    "credentials": { "keyPath": "k", "certPath": "c", "secureProtocol": "TLSv1_2_method" },
    "backend": { "json": false, "wildcardOne": "+", "wildcardSome": "#" },
    "persistence": { "factory": "Redis", "host": "a", "port": 6379, "db": 12, "password": "p", "channel": "moscaSync",
        "redisOptions": { "keyPrefix": "x" }, "ttl": { "subscriptions": 3600000, "packets": 3600000 } },
    "stats": false, "publishNewClient": false, "publishClientDisconnect": false, "publishSubscriptions": false,
    "maxInflightMessages": 10, "onQoS2publish": "noack",
    "logger": { "name": "mosca", "level": "debug" } }"##;

/// The other stores.
const MONGO: &str = r#"{ "persistence": { "factory": "mongo", "url": "mongodb://a/mosca", "autoClose": true,
    "mongo": { "safe": true }, "offlineMessageTimeout": 5000, "ttl": { "subscriptions": 1, "packets": 1 } } }"#;
/// Engines between brokers, as mosca has them.
const TREE: &str = r##"{ "backend": { "type": "mqtt", "json": false, "host": "a", "port": 4883, "keepalive": 3000,
    "username": "u", "password": "p", "clientId": "c", "protocol": "mqtts", "protocolVersion": 4, "prefix": "/s",
    "rejectUnauthorized": false, "wildcardOne": "+", "wildcardSome": "#", "separator": "/" } }"##;
const CLUSTER: &str = r##"{ "backend": { "type": "amqp", "json": false, "exchange": "ascoltatore5672",
    "client": { "host": "a", "port": 5672, "login": "guest", "password": "guest", "vhost": "/" } } }"##;
const OTHER_CLUSTER: &str = r##"{ "backend": { "type": "amqplib", "json": false, "exchange": "ascoltatore5672",
    "url": "amqp://127.0.0.1:5672", "socketOptions": { "noDelay": true }, "queue": "q", "durableQueue": true } }"##;
const MEMORY: &str = r#"{ "persistence": { "factory": "memory", "storeMessagesQos0": false } }"#;

const ALL: [&str; 7] = [LEGACY, MODERN, MONGO, MEMORY, TREE, CLUSTER, OTHER_CLUSTER];

/// The same in another format, an option of the file in each line.
fn written(value: &Value, format: Format) -> String {
    let Data::Object(object) = &value.data else {
        panic!("{value:?}");
    };
    // TOML has no null.
    let there = object.iter().filter(|(_, value)| !value.is_null());
    let lines = there.map(|(key, value)| match format {
        Format::Json => format!("{key:?}: {}", inline(value, format)),
        Format::Toml => format!("{key} = {}", inline(value, format)),
        Format::Yaml => format!("{key}: {}", inline(value, format)),
    });
    let lines: Vec<_> = lines.collect();
    match format {
        Format::Json => format!("{{ {} }}", lines.join(",\n")),
        Format::Toml | Format::Yaml => lines.join("\n"),
    }
}

fn inline(value: &Value, format: Format) -> String {
    match &value.data {
        Data::Null => "null".to_owned(),
        Data::Bool(flag) => flag.to_string(),
        Data::Number(digits) => digits.clone(),
        Data::Text(text) => format!("{text:?}"),
        Data::List(list) => {
            let all: Vec<_> = list.iter().map(|it| inline(it, format)).collect();
            format!("[{}]", all.join(", "))
        }
        Data::Object(object) => {
            let equals = if format == Format::Toml { " = " } else { ": " };
            let there = object.iter().filter(|(_, value)| !value.is_null());
            let all = there.map(|(key, value)| format!("{key:?}{equals}{}", inline(value, format)));
            format!("{{ {} }}", all.collect::<Vec<_>>().join(", "))
        }
    }
}

#[test]
fn every_name_of_moscas_is_an_option_in_both_forms_and_each_format() {
    for text in ALL {
        let json = Format::Json.parse(text).unwrap();
        for (_, format) in FORMATS {
            let text = written(&json, format);
            let file = format
                .parse(&text)
                .unwrap_or_else(|error| panic!("{}: {error}\n{text}", error.line));
            assert_eq!(validate(&file), [], "{text}");
            assert!(populate(&file) == populate(&json), "{text}");
        }
    }
}

/// Variables can say all that a file says, in both forms.
#[test]
fn every_name_of_moscas_is_a_variable() {
    for text in ALL {
        let json = Format::Json.parse(text).unwrap();
        let mut variables = Vec::new();
        collect(&json, String::new(), &mut variables);
        let empty = Format::Json.parse("{}").unwrap();
        let options = with_environment(&empty, variables.iter().map(|(name, text)| (name, text)));
        let options = options.unwrap_or_else(|problems| panic!("{problems:?}"));
        assert_eq!(validate(&options), [], "{variables:?}");
        let mut found = Vec::new();
        collect(&options, String::new(), &mut found);
        found.sort();
        variables.sort();
        assert_eq!(found, variables);
    }
}

/// A variable for each value that is no object.
fn collect(value: &Value, key: String, variables: &mut Vec<(String, String)>) {
    match &value.data {
        Data::Null => {}
        Data::Object(object) => {
            for (name, value) in object.iter() {
                let dot = if key.is_empty() { "" } else { "." };
                collect(value, format!("{key}{dot}{name}"), variables);
            }
        }
        Data::Text(text) => variables.push((mosca_options::variable_of(&key), text.clone())),
        _ => variables.push((
            mosca_options::variable_of(&key),
            inline(value, Format::Json),
        )),
    }
}

/// What only a program of Node.js can have is known by its name.
#[test]
fn what_no_file_can_have_is_said_to_be_so() {
    for (text, expected) in [
        (
            r#"{ "ascoltatore": {} }"#,
            "line 1: `ascoltatore` is an object of a program",
        ),
        (
            r#"{ "logger": { "childOf": {} } }"#,
            "line 1: `logger.childOf` is an object of a program",
        ),
        (
            r#"{ "backend": { "type": "mqtt", "mqtt": {} } }"#,
            "line 1: `backend.mqtt` is an object of a program",
        ),
        (
            r#"{ "persistence": { "factory": "mongo", "url": "mongodb://a", "connection": {} } }"#,
            "line 1: `persistence.connection` is an object of a program",
        ),
    ] {
        let problems = validate(&Format::Json.parse(text).unwrap());
        let said: Vec<_> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(said, [expected]);
    }
}
