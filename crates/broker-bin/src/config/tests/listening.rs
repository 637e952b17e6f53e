//! What a file may say of interfaces and certificates.

use std::path::Path;
use std::time::Duration;

use mosca::{CertificateUser, ClientCertificates, Rate, TlsVersion};
use serde_json::{Value, json};

use super::{complaint, read};
use crate::bundle::Bundle;
use crate::listening::{Credentials, Files, InterfaceChoice, Kind, Listening};

fn listening(value: &Value) -> Listening {
    read(value).unwrap().listening
}

#[test]
fn moscas_own_words_for_listening_are_understood() {
    let read = listening(&json!({
        "maxConnections": 10,
        "secure": { "port": 8884, "keyPath": "k", "certPath": "c" },
        "allowNonSecure": true,
        "http": { "port": 81, "bundle": "mqtt.js" },
        "https": { "port": 444, "static": "./public", "bundle": true },
        "onlyHttp": false,
    }));
    let expected = Listening {
        secure_port: Some(8_884),
        http_port: Some(81),
        http_files: Files {
            folder: None,
            bundle: Some(Bundle::File("mqtt.js".into())),
        },
        https_port: Some(444),
        https_files: Files {
            folder: Some("./public".into()),
            bundle: Some(Bundle::BuiltIn),
        },
        non_secure: true,
        max_connections: Some(10),
        credentials: Some(Credentials::new(Path::new("c"), Path::new("k"))),
        ..Listening::default()
    };
    assert_eq!(read, expected);
    let read = listening(&json!({ "secure": {}, "https": { "bundle": false }, "onlyHttp": true }));
    let expected = Listening {
        secure_port: Some(8_883),
        https_port: Some(3_001),
        only_http: true,
        ..Listening::default()
    };
    assert_eq!(read, expected);
}

#[test]
fn credentials_say_what_is_asked_of_clients() {
    let with = |more: Value| {
        let mut credentials = json!({ "keyPath": "k", "certPath": "c", "caPaths": ["a", "b"] });
        let fields = credentials.as_object_mut().unwrap();
        fields.extend(more.as_object().unwrap().clone());
        let read = listening(&json!({ "credentials": credentials }));
        read.credentials.unwrap()
    };
    let asked = |more| with(more).client_certificates;
    assert_eq!(asked(json!({})), ClientCertificates::Off);
    assert_eq!(
        asked(json!({ "rejectUnauthorized": true })),
        ClientCertificates::Off
    );
    assert_eq!(
        asked(json!({ "requestCert": true })),
        ClientCertificates::Required
    );
    let requested = json!({ "requestCert": true, "rejectUnauthorized": false });
    assert_eq!(asked(requested), ClientCertificates::Requested);
    let all = with(json!({
        "requestCert": true,
        "crlPaths": ["l"],
        "certificates": [{ "certPath": "c2", "keyPath": "k2" }],
        "userFromCertificate": "commonName",
        "minVersion": "TLSv1.3",
    }));
    let expected = Credentials {
        certificates: vec![("c".into(), "k".into()), ("c2".into(), "k2".into())],
        client_ca: vec!["a".into(), "b".into()],
        client_crl: vec!["l".into()],
        client_certificates: ClientCertificates::Required,
        certificate_user: Some(CertificateUser::CommonName),
        min_version: TlsVersion::V1_3,
    };
    assert_eq!(all, expected);
    let unused = json!({ "credentials": { "keyPath": "k", "certPath": "c", "caPaths": ["a"] } });
    let warnings = read(&unused).unwrap().without_effect;
    assert_eq!(warnings.len(), 1);
    assert!(
        warnings[0].starts_with("credentials.caPaths has no effect"),
        "{warnings:?}"
    );
}

#[test]
fn interfaces_are_of_moscas_types_and_each_has_its_own() {
    let read = listening(&json!({
        "interfaces": [
            { "type": "mqtt", "port": 1884, "maxConnections": 5 },
            { "type": "mqtts", "host": "::1", "ipv6Only": true, "handshakeTimeout": 500,
              "connectRate": { "perSecond": 7 },
              "credentials": { "keyPath": "k", "certPath": "c" } },
            { "type": "http", "path": "/mqtt", "origins": ["https://a.example"], "static": "p",
              "bundle": true, "requestTimeout": 700, "responseTimeout": 800 },
            { "type": "wss", "proxyProtocol": true },
            { "type": "mqtt", "socket": "/run/mqtt.sock", "mode": "0660", "group": "mqtt" },
        ],
    }));
    let expected = [
        InterfaceChoice {
            max_connections: Some(5),
            ..InterfaceChoice::new(Kind::Mqtt, Some(1_884))
        },
        InterfaceChoice {
            host: Some("::1".to_owned()),
            ipv6_only: true,
            handshake_timeout: Some(Duration::from_millis(500)),
            connect_rate: Some(Some(Rate::per_sec(7))),
            credentials: Some(Credentials::new(Path::new("c"), Path::new("k"))),
            ..InterfaceChoice::new(Kind::Mqtts, Some(8_883))
        },
        InterfaceChoice {
            path: Some("/mqtt".to_owned()),
            origins: vec!["https://a.example".to_owned()],
            files: Files {
                folder: Some("p".into()),
                bundle: Some(Bundle::BuiltIn),
            },
            request_timeout: Some(Duration::from_millis(700)),
            response_timeout: Some(Duration::from_millis(800)),
            ..InterfaceChoice::new(Kind::Http, Some(3_000))
        },
        InterfaceChoice {
            proxy_protocol: true,
            ..InterfaceChoice::new(Kind::Https, Some(3_001))
        },
        InterfaceChoice {
            socket: Some("/run/mqtt.sock".into()),
            socket_mode: Some(0o660),
            socket_group: Some("mqtt".to_owned()),
            ..InterfaceChoice::new(Kind::Mqtt, None)
        },
    ];
    assert_eq!(read.interfaces.unwrap(), expected);
    let none = listening(&json!({ "interfaces": [] }));
    assert_eq!(none.interfaces, Some(Vec::new()));
}

#[test]
fn what_is_wrong_is_named() {
    let interface = |one: Value| json!({ "interfaces": [one] });
    for (value, parts) in [
        (
            interface(json!({})),
            &["`interfaces[0].type` is missing", "mqtts"][..],
        ),
        (
            interface(json!({ "type": "mqt" })),
            &["did you mean `mqtt`?"],
        ),
        (
            interface(json!({ "type": "mqtt", "path": "/x" })),
            &["no option `interfaces[0].path`"],
        ),
        (
            interface(json!({ "type": "mqtt", "credentials": {} })),
            &["no option `interfaces[0].credentials`"],
        ),
        (
            interface(json!({ "type": "ws", "path": "x" })),
            &["interfaces[0].path", "begin with /"],
        ),
        (
            interface(json!({ "type": "mqtt", "static": "x" })),
            &["no option `interfaces[0].static`"],
        ),
        (
            interface(json!({ "type": "http", "bundle": 7 })),
            &["`interfaces[0].bundle` is 7", "true, false, or a file"],
        ),
        (
            json!({ "http": { "statik": "x" } }),
            &["did you mean `static`?"],
        ),
        (
            interface(json!({ "type": "ws", "origins": "x" })),
            &["a list of texts"],
        ),
        (
            interface(json!({ "type": "mqtt", "socket": "/x", "port": 1 })),
            &["interfaces[0].socket", "two choices"],
        ),
        (
            interface(json!({ "type": "mqtt", "socket": "/x", "mode": "rw" })),
            &["interfaces[0].mode", "octal"],
        ),
        (
            interface(json!({ "type": "mqtt", "socket": "/x", "mode": "1777" })),
            &["interfaces[0].mode", "octal"],
        ),
        (
            interface(json!({ "type": "mqtt", "group": "mqtt" })),
            &["interfaces[0].socket", "missing"],
        ),
        (
            interface(json!({ "type": "mqtt", "maxConnections": -1 })),
            &["maxConnections"],
        ),
        (
            json!({ "interfaces": [], "port": 1 }),
            &["`port`", "two choices"],
        ),
        (
            json!({ "interfaces": [], "https": {} }),
            &["`https`", "two choices"],
        ),
        (
            json!({ "interfaces": 7 }),
            &["`interfaces` is 7", "a list of objects"],
        ),
        (
            json!({ "credentials": { "certPath": "c" } }),
            &["`credentials.keyPath` is missing"],
        ),
        (
            json!({ "credentials": { "keyPath": "k" } }),
            &["`credentials.certPath` is missing"],
        ),
        (
            json!({ "credentials": { "certificates": [{}] } }),
            &["`credentials.certificates[0].certPath` is missing"],
        ),
        (
            json!({ "credentials": { "requestCert": true } }),
            &["`credentials.caPaths` is missing", "authorities"],
        ),
        (
            json!({ "credentials": { "minVersion": "1.1" } }),
            &["minVersion", "1.2, 1.3"],
        ),
        (
            json!({ "secure": { "certpath": "c" } }),
            &["did you mean `certPath`?"],
        ),
    ] {
        let complaint = complaint(&value);
        for part in parts {
            assert!(complaint.contains(part), "{complaint:?} lacks {part:?}");
        }
    }
}
