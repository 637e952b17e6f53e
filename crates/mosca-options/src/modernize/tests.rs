//! mosca's own samples of its two forms.

use super::*;

fn json(text: &str) -> Value {
    Format::Json.parse(text).unwrap()
}

#[test]
fn the_older_form_becomes_the_newer_one_as_in_mosca() {
    for (legacy, modern) in [
        ("{}", r#"{ "interfaces": [{ "type": "mqtt" }] }"#),
        (
            r#"{ "port": 1884, "maxConnections": 5, "host": "::1" }"#,
            r#"{ "host": "::1", "interfaces": [{ "type": "mqtt", "port": 1884, "maxConnections": 5 }] }"#,
        ),
        (
            r#"{ "secure": { "port": 8884, "keyPath": "k", "certPath": "c" } }"#,
            r#"{ "interfaces": [{ "type": "mqtts", "port": 8884 }],
                 "credentials": { "keyPath": "k", "certPath": "c" } }"#,
        ),
        (
            r#"{ "port": 1, "allowNonSecure": true, "secure": { "keyPath": "k", "certPath": "c" } }"#,
            r#"{ "interfaces": [{ "type": "mqtt", "port": 1 }, { "type": "mqtts" }],
                 "credentials": { "keyPath": "k", "certPath": "c" } }"#,
        ),
        (
            r#"{ "http": { "port": 80, "bundle": true, "static": "p" } }"#,
            r#"{ "interfaces": [{ "type": "mqtt" },
                 { "type": "http", "port": 80, "bundle": true, "static": "p" }] }"#,
        ),
        (
            r#"{ "onlyHttp": true, "http": { "port": 80 }, "https": { "port": 443 },
                 "secure": { "keyPath": "k", "certPath": "c" } }"#,
            r#"{ "interfaces": [{ "type": "http", "port": 80 }, { "type": "https", "port": 443 }],
                 "credentials": { "keyPath": "k", "certPath": "c" } }"#,
        ),
        (
            r#"{ "onlyHttp": true }"#,
            r#"{ "interfaces": [{ "type": "http" }] }"#,
        ),
        (
            r#"{ "secure": { "keyPath": "s", "certPath": "s" }, "credentials": { "keyPath": "k", "certPath": "c" } }"#,
            r#"{ "interfaces": [{ "type": "mqtts" }], "credentials": { "keyPath": "k", "certPath": "c" } }"#,
        ),
        // mosca loses what it says of clients' certificates.
        (
            r#"{ "secure": { "keyPath": "k", "certPath": "c", "caPaths": ["a"], "requestCert": true,
                 "rejectUnauthorized": false } }"#,
            r#"{ "interfaces": [{ "type": "mqtts" }], "credentials": { "keyPath": "k", "certPath": "c",
                 "caPaths": ["a"], "requestCert": true, "rejectUnauthorized": false } }"#,
        ),
        (
            r#"{ "interfaces": [{ "type": "ws" }], "port": 1, "secure": { "port": 2, "keyPath": "k", "certPath": "c" },
                 "http": {}, "onlyHttp": true }"#,
            r#"{ "interfaces": [{ "type": "ws" }], "credentials": { "keyPath": "k", "certPath": "c" } }"#,
        ),
        (
            r#"{ "maxInflightMessages": 7, "limits": { "maxQos": 1 } }"#,
            r#"{ "interfaces": [{ "type": "mqtt" }], "limits": { "maxQos": 1, "maxInflight": 7 } }"#,
        ),
        // What is new already, also without any interface.
        (r#"{ "interfaces": [] }"#, r#"{ "interfaces": [] }"#),
    ] {
        assert_eq!(modernize(&json(legacy)), json(modern), "{legacy}");
        assert_eq!(modernize(&json(modern)), json(modern), "{modern}");
    }
    // What means nothing stays to be complained of.
    assert_eq!(modernize(&json("[1]")), json("[1]"));
    assert!(
        modernize(&json(r#"{ "prot": 1 }"#))
            .as_object()
            .unwrap()
            .get("prot")
            .is_some()
    );
}

#[test]
fn defaults_fill_what_is_not_said_and_nothing_else() {
    let populated = populate(&json(
        r#"{ "interfaces": [{ "type": "mqtts" }, { "type": "wss", "port": 7 }, { "type": "mqtt", "socket": "/s" }],
             "limits": { "maxInflight": 3 } }"#,
    ));
    let root = populated.as_object().unwrap();
    let ports = root
        .get("interfaces")
        .unwrap()
        .as_list()
        .unwrap()
        .iter()
        .map(|it| {
            let port = it.as_object().unwrap().get("port");
            port.map(|port| port.as_u64().unwrap())
        });
    assert_eq!(ports.collect::<Vec<_>>(), [Some(8_883), Some(7), None]);
    let limits = root.get("limits").unwrap().as_object().unwrap();
    assert_eq!(limits.get("maxInflight").unwrap().as_u64(), Some(3));
    assert_eq!(limits.get("receiveMaximum").unwrap().as_u64(), Some(1_024));
    assert_eq!(root.get("credentials"), None);
    assert_eq!(root.get("port"), None);
    let store = root.get("persistence").unwrap().as_object().unwrap();
    assert_eq!(store.get("factory").unwrap().as_str(), Some("memory"));
    assert_eq!(populate(&populated), populated);
}

#[test]
fn what_stores_are_to_keep_is_a_limit_and_times_are_never_shortened() {
    let limit = |persistence: &str, limit| {
        let populated = populate(&json(&format!(r#"{{ "persistence": {persistence} }}"#)));
        assert_eq!(crate::validate(&populated), [], "{persistence}");
        assert_eq!(populate(&populated), populated, "{persistence}");
        let limits = populated.as_object().unwrap().get("limits").unwrap();
        limits.as_object().unwrap().get(limit).unwrap().clone()
    };
    for (millis, secs) in [
        (1_u64, 1_u64),
        (1_000, 1),
        (1_001, 2),
        (3_600_000, 3_600),
        (3_000_000_000_000, 3_000_000_000),
    ] {
        let sessions =
            format!(r#"{{ "factory": "memory", "ttl": {{ "subscriptions": {millis} }} }}"#);
        let messages = format!(r#"{{ "factory": "memory", "ttl": {{ "packets": {millis} }} }}"#);
        // Counts before the other.
        let first = format!(
            r#"{{ "factory": "mongo", "url": "mongodb://a", "offlineMessageTimeout": {millis}, "ttl": {{ "packets": 7000 }} }}"#
        );
        let secs = Some(secs);
        assert_eq!(limit(&sessions, "legacySessionExpirySecs").as_u64(), secs);
        assert_eq!(limit(&messages, "queuedMessageExpirySecs").as_u64(), secs);
        assert_eq!(limit(&first, "queuedMessageExpirySecs").as_u64(), secs);
    }
    for flag in [true, false] {
        let queue = format!(r#"{{ "factory": "memory", "storeMessagesQos0": {flag} }}"#);
        assert_eq!(limit(&queue, "queueQos0").as_bool(), Some(flag));
    }
}

/// Every default can be read, and is right.
#[test]
fn the_defaults_are_valid() {
    let populated = populate(&json("{}"));
    assert_eq!(crate::validate(&populated), []);
}
