//! What is said of files that are wrong, and where.

use super::*;
use crate::parse::Format;

fn problems(text: &str) -> Vec<String> {
    let file = Format::Json.parse(text).unwrap();
    let problems = validate(&file);
    problems.iter().map(ToString::to_string).collect()
}

#[test]
fn all_that_is_wrong_is_said_at_once_and_in_the_order_of_the_file() {
    let found = problems(
        r#"{
  "prot": 1,
  "host": 7,
  "interfaces": [
    { "type": "mqtt", "port": 65536 },
    { "type": "mqt" },
    { "port": 1 },
    { "type": "http", "path": "x", "origins": "y" }
  ],
  "limits": {
    "maxInflight": 0,
    "maxPacketSize": 1,
    "connectRatePerAddress": { "burst": 0 },
    "exemptNetworks": ["10.0.0.0/33"]
  },
  "logger": { "level": "inof" },
  "backend": { "type": "redis", "host": "a" },
  "persistence": { "factory": "rediss" },
  "ascoltatore": {}
}"#,
    );
    let expected = [
        "line 2: `prot` is no option; did you mean `port`?",
        "line 3: `host` is 7; expected is a text that is not empty",
        "line 5: `interfaces[0].port` is 65536; expected is a whole number from 0 to 65535",
        "line 6: `interfaces[1].type` is the text \"mqt\"; expected is one of mqtt, mqtts, http, ws, https, wss \
         (did you mean `mqtt`?)",
        "line 7: `interfaces[2].type` is missing; expected is one of mqtt, mqtts, http, ws, https, wss",
        "line 8: `interfaces[3].path` is the text \"x\"; it has to begin with /",
        "line 8: `interfaces[3].origins` is the text \"y\"; expected is a list",
        "line 11: `limits.maxInflight` is 0; expected is a whole number from 1 to 65535",
        "line 12: `limits.maxPacketSize` is no option; did you mean `maxPacketSizeBytes`?",
        "line 13: `limits.connectRatePerAddress.burst` is 0; expected is a whole number from 1 to 4294967295",
        "line 14: `limits.exemptNetworks[0]` is the text \"10.0.0.0/33\"; expected is an IP network such as 10.0.7.0/24",
        "line 16: `logger.level` is the text \"inof\"; expected is one of fatal, error, warn, info, debug, trace, \
         silent, 60, 50, 40, 30, 20, 10 (did you mean `info`?)",
        "line 17: `backend.type` is the text \"redis\", which is an engine",
        "line 18: `persistence.factory` is the text \"rediss\"; expected is one of memory, levelup, fjall, redis, mongo, \
         mongodb (did you mean `redis`?)",
        "line 19: `ascoltatore` is an object of a program",
    ];
    for expected in expected {
        let is_said = found.iter().any(|it| it.starts_with(expected));
        assert!(is_said, "nothing says {expected:?}:\n{}", found.join("\n"));
    }
    // And that a rate without its number is none.
    assert_eq!(found.len(), expected.len() + 1, "{}", found.join("\n"));
    let missing = "line 13: `limits.connectRatePerAddress.perSecond` is missing";
    assert!(
        found.iter().any(|it| it.starts_with(missing)),
        "{}",
        found.join("\n")
    );
    let lines = found.iter().map(|it| {
        it.split([' ', ':'])
            .nth(1)
            .unwrap()
            .parse::<usize>()
            .unwrap()
    });
    assert!(lines.is_sorted());
}

#[test]
fn one_thing_that_is_wrong_is_said_once() {
    for (text, expected) in [
        (
            "[]",
            "line 1: the file is a list; expected is an object of options",
        ),
        (
            r#"{ "port": "1883" }"#,
            "line 1: `port` is the text \"1883\"; expected is a whole number from 0 to 65535",
        ),
        (r#"{ "port": 1.5 }"#, "line 1: `port` is 1.5;"),
        (
            r#"{ "stats": 10 }"#,
            "line 1: `stats` is 10; expected is true, false, or an object of options",
        ),
        (
            r#"{ "stats": "yes" }"#,
            "line 1: `stats` is the text \"yes\"; expected is true, false, or an object of options",
        ),
        (
            r#"{ "id": "a/#" }"#,
            "line 1: `id` is the text \"a/#\"; it stands in topic names",
        ),
        (
            r#"{ "authentication": { "http": { "authenticateUrl": "localhost" } } }"#,
            "line 1: `authentication.http.authenticateUrl` is the text \"localhost\"; expected is a URL of http or https",
        ),
        (
            r#"{ "authentication": { "http": { "authenticateUrl": "htp://me:secret@a" } } }"#,
            "line 1: `authentication.http.authenticateUrl` is a text that is not shown; expected is a URL",
        ),
        (
            r#"{ "http": { "bundle": {} } }"#,
            "line 1: `http.bundle` is an object; expected is true, false, or a file",
        ),
        (
            r#"{ "stats": { "interval": 1 } }"#,
            "line 1: `stats.interval` is 1; expected is a whole number from 10",
        ),
        (
            r#"{ "interfaces": [{ "type": "mqtt", "socket": "/x", "mode": "rw" }] }"#,
            "line 1: `interfaces[0].mode` is the text \"rw\"; it has to be octal",
        ),
        (
            r#"{ "interfaces": [{ "type": "mqtt", "socket": "/x", "mode": "1777" }] }"#,
            "line 1: `interfaces[0].mode` is the text \"1777\"; it has to be octal",
        ),
        (
            r#"{ "interfaces": [{ "type": "mqtt", "group": "mqtt" }] }"#,
            "line 1: `interfaces[0].socket` is missing beside `group`",
        ),
        (r#"{ "port": -1 }"#, "line 1: `port` is -1;"),
        (
            r#"{ "host": "" }"#,
            "line 1: `host` is the text \"\"; expected is a text that is not empty",
        ),
        (
            r#"{ "http": 3000 }"#,
            "line 1: `http` is 3000; expected is an object of options",
        ),
        (
            r#"{ "http": { "bundel": true } }"#,
            "line 1: `http.bundel` is no option; did you mean `bundle`?",
        ),
        (
            r#"{ "http": { "bundle": 7 } }"#,
            "line 1: `http.bundle` is 7; expected is true, false, or a file",
        ),
        (
            r#"{ "colour": 1 }"#,
            "line 1: `colour` is no option; there are $schema, interfaces, host,",
        ),
        (
            r#"{ "interfaces": 7 }"#,
            "line 1: `interfaces` is 7; expected is a list",
        ),
        (
            r#"{ "interfaces": [7] }"#,
            "line 1: `interfaces[0]` is 7; expected is an object of options",
        ),
        (
            r#"{ "interfaces": [{ "type": "mqtt", "path": "/x" }] }"#,
            "line 1: `interfaces[0].path` is no option",
        ),
        (
            r#"{ "interfaces": [{ "type": "mqtt", "socket": "/x", "port": 1 }] }"#,
            "line 1: `interfaces[0].port` stands beside `socket`",
        ),
        (
            r#"{ "interfaces": [{ "type": "mqtt" }, { "type": "ws", "port": 1883 }] }"#,
            "line 1: `interfaces[1].port` is 1883, where `interfaces[0].port` listens",
        ),
        (
            "{ \"port\": 3000,\n\"http\": {} }",
            "line 2: `http.port` is 3000, where `port` listens",
        ),
        (
            r#"{ "secure": { "port": 3001, "keyPath": "k", "certPath": "c" }, "https": {} }"#,
            "line 1: `https.port` is 3001, where `secure.port` listens",
        ),
        (
            r#"{ "persistence": { "factory": "redis", "redisOpts": { "db": 1, "dbb": 1 } } }"#,
            "line 1: `persistence.redisOpts.dbb` is no option; did you mean `db`?",
        ),
        (
            r#"{ "credentials": { "keyPath": "k", "certPath": "c", "passphrase": "secret" } }"#,
            "line 1: `credentials.passphrase` cannot be used",
        ),
        (
            r#"{ "interfaces": [{ "type": "wss" }] }"#,
            "line 1: `interfaces[0].credentials` is missing; expected is a certificate",
        ),
        (
            r#"{ "secure": {} }"#,
            "line 1: `credentials` is missing; expected is a certificate and its key for mqtts",
        ),
        (
            r#"{ "credentials": { "certPath": "c" } }"#,
            "line 1: `credentials.keyPath` is missing",
        ),
        (
            r#"{ "credentials": { "keyPath": "k" } }"#,
            "line 1: `credentials.certPath` is missing",
        ),
        (
            r#"{ "credentials": { "certificates": [{}] } }"#,
            "line 1: `credentials.certificates[0].certPath` is missing",
        ),
        (
            r#"{ "credentials": { "requestCert": true } }"#,
            "line 1: `credentials.caPaths` is missing",
        ),
        (
            r#"{ "credentials": { "minVersion": "1.1" } }"#,
            "line 1: `credentials.minVersion` is the text \"1.1\"; expected is one of 1.2,",
        ),
        (
            r#"{ "limits": { "connectTimeout": 3600001 } }"#,
            "line 1: `limits.connectTimeout` is 3600001; expected is a whole number from 1 to 3600000 ms",
        ),
        (
            r#"{ "limits": { "connectRatePerAddress": 7 } }"#,
            "line 1: `limits.connectRatePerAddress` is 7; expected is an object of options, or false",
        ),
        (
            r#"{ "interfaces": [{ "type": "mqtt", "tcpKeepalive": 999 }, { "type": "ws", "tcpKeepalive": false }] }"#,
            "line 1: `interfaces[0].tcpKeepalive` is 999; expected is a whole number from 1000 to 32767000 ms, or false",
        ),
        (
            r#"{ "limits": { "maxInflight": 1 }, "maxInflightMessages": 2 }"#,
            "line 1: `maxInflightMessages` stands beside `limits.maxInflight`",
        ),
        (
            r#"{ "limits": { "queueQos0": true }, "persistence": { "factory": "memory", "storeMessagesQos0": true } }"#,
            "line 1: `persistence.storeMessagesQos0` stands beside `limits.queueQos0`",
        ),
        (
            r#"{ "persistence": "redis" }"#,
            "line 1: `persistence` is the text \"redis\"; expected is an object of options",
        ),
        (
            r#"{ "persistence": {} }"#,
            "line 1: `persistence.factory` is missing",
        ),
        (
            r#"{ "persistence": { "factory": "levelup" } }"#,
            "line 1: `persistence.path` is missing",
        ),
        (
            r#"{ "persistence": { "factory": "mongo" } }"#,
            "line 1: `persistence.url` is missing",
        ),
        (
            r#"{ "persistence": { "factory": "memory", "path": "/x" } }"#,
            "line 1: `persistence.path` is no option",
        ),
        (
            r#"{ "persistence": { "factory": "redis", "pasword": "secret" } }"#,
            "line 1: `persistence.pasword` is no option; did you mean `password`?",
        ),
        (
            r#"{ "persistence": { "factory": "redis", "password": 5 } }"#,
            "line 1: `persistence.password` is a number that is not shown",
        ),
        (
            r#"{ "persistence": { "factory": "redis", "url": "redis://a", "host": "b" } }"#,
            "line 1: `persistence.host` stands beside `url`",
        ),
        (
            r#"{ "persistence": { "factory": "redis", "redisOptions": { "sentinels": [{}] } } }"#,
            "line 1: `persistence.redisOptions.name` is missing",
        ),
        (
            r#"{ "persistence": { "factory": "mongo", "url": "x", "mongo": { "poolSize": 5 } } }"#,
            "line 1: `persistence.mongo.poolSize` is an option of the driver",
        ),
        (
            r##"{ "backend": { "wildcardSome": "*" } }"##,
            "line 1: `backend.wildcardSome` is the text \"*\"; expected is one of #",
        ),
        (
            r#"{ "backend": { "type": "rediss" } }"#,
            "line 1: `backend.type` is the text \"rediss\"; expected is one of memory, trie, eventemitter2, mqtt, \
             amqp, amqplib (did you mean `redis`?)",
        ),
    ] {
        let found = problems(text);
        assert_eq!(found.len(), 1, "{text}: {found:?}");
        assert!(found[0].starts_with(expected), "{text}: {found:?}");
        assert!(!found[0].contains("secret"), "{found:?}");
    }
}

#[test]
fn what_is_right_is_right_in_both_forms_and_null_is_nothing() {
    for text in [
        "{}",
        r#"{ "interfaces": [{ "type": "mqtt", "port": 1 }], "port": 1, "http": {}, "onlyHttp": true }"#,
        r#"{ "interfaces": [{ "type": "mqtt", "host": "a", "port": 1 }, { "type": "ws", "host": "b", "port": 1 },
             { "type": "mqtt", "port": 0 }, { "type": "mqtt", "port": 0 }, { "type": "mqtt", "socket": "/s" }] }"#,
        r#"{ "$schema": "https://example.org/schema.json" }"#,
        r#"{ "logger": { "level": 40 }, "credentials": { "keyPath": "k", "certPath": "c", "minVersion": 1.3 } }"#,
        r#"{ "host": null, "http": null, "persistence": null, "limits": { "maxInflight": null } }"#,
        r##"{ "backend": { "type": "memory", "json": false, "wildcardOne": "+", "wildcardSome": "#" } }"##,
        r#"{ "id": "a", "stats": false, "publishNewClient": false, "maxInflightMessages": 1024,
             "secure": { "port": 1, "keyPath": "k", "certPath": "c" }, "allowNonSecure": true,
             "http": { "port": 3000, "bundle": true, "static": "./" }, "https": { "bundle": "x.js" } }"#,
        r#"{ "interfaces": [{ "type": "WSS", "credentials": { "keyPath": "k", "certPath": "c" } }] }"#,
    ] {
        assert_eq!(problems(text), [""; 0], "{text}");
    }
}

#[test]
fn what_changes_nothing_is_said_with_the_reason() {
    for (text, key, reason) in [
        (r#"{ "onQoS2publish": "noack" }"#, "onQoS2publish", "QoS 2"),
        (r#"{ "interfaces": [], "port": 1 }"#, "port", "interfaces"),
        (
            r#"{ "interfaces": [], "https": {} }"#,
            "https",
            "interfaces",
        ),
        (
            r#"{ "interfaces": [], "secure": { "port": 1, "keyPath": "k", "certPath": "c" } }"#,
            "secure.port",
            "interfaces",
        ),
        (
            r#"{ "credentials": { "keyPath": "k", "certPath": "c" }, "secure": { "port": 1, "keyPath": "k" } }"#,
            "secure.keyPath",
            "credentials",
        ),
        (
            r#"{ "credentials": { "keyPath": "k", "certPath": "c", "ciphers": "HIGH" } }"#,
            "credentials.ciphers",
            "forward secrecy",
        ),
        (
            r#"{ "persistence": { "factory": "redis", "channel": "x" } }"#,
            "persistence.channel",
            "channel",
        ),
        (
            r#"{ "persistence": { "factory": "memory", "ttl": { "checkFrequency": 1 } } }"#,
            "persistence.ttl.checkFrequency",
            "search",
        ),
        (
            r#"{ "persistence": { "factory": "mongo", "url": "x", "mongo": { "safe": true } } }"#,
            "persistence.mongo.safe",
            "always",
        ),
        (
            r#"{ "credentials": { "keyPath": "k", "certPath": "c", "caPaths": ["a"] } }"#,
            "credentials.caPaths",
            "requestCert",
        ),
    ] {
        let file = Format::Json.parse(text).unwrap();
        let [said] = &without_effect(&file)[..] else {
            panic!("{text}: {:?}", without_effect(&file));
        };
        assert_eq!((said.key.as_str(), said.line), (key, Some(1)));
        assert!(
            said.what.starts_with("has no effect") && said.what.contains(reason),
            "{said}"
        );
    }
}

#[test]
fn files_that_cannot_be_read_are_named_with_their_lines() {
    let there = file!().replace("crates/mosca-options/", "");
    let text = format!(
        "{{ \"credentials\": {{\n  \"keyPath\": {there:?},\n  \"certPath\": \"/none.crt\",\n\
         \"caPaths\": [{there:?}, \"/none.ca\"], \"crlPaths\": [\"/\"] }},\n\"http\": {{ \"bundle\": \"/none.js\", \"static\": \"/none\" }} }}"
    );
    let file = Format::Json.parse(&text).unwrap();
    let found = unreadable_files(&file);
    let found: Vec<_> = found
        .iter()
        .map(|it| (it.line.unwrap(), it.key.as_str()))
        .collect();
    let expected = [
        (5, "http.bundle"),
        (5, "http.static"),
        (3, "credentials.certPath"),
        (4, "credentials.caPaths[1]"),
        (4, "credentials.crlPaths[0]"),
    ];
    assert_eq!(found.len(), expected.len(), "{found:?}");
    assert!(expected.iter().all(|it| found.contains(it)), "{found:?}");
}
