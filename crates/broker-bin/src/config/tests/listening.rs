//! What a file means for interfaces and certificates.

use std::path::Path;
use std::time::Duration;

use mosca::{CertificateUser, ClientCertificates, Rate, TlsVersion};
use serde_json::{Value as Json, json};

use super::read;
use crate::bundle::Bundle;
use crate::listening::{Credentials, Files, InterfaceChoice, Kind};

fn interfaces(value: &Json) -> Vec<InterfaceChoice> {
    read(value).unwrap().interfaces
}

fn credentials(certificate: &str, key: &str) -> Credentials {
    Credentials {
        certificates: vec![(certificate.into(), key.into())],
        ..Credentials::default()
    }
}

/// Kinds and ports.
fn summary(value: &Json) -> Vec<(Kind, u16)> {
    let all = interfaces(value).into_iter();
    all.map(|it| (it.kind, it.port)).collect()
}

#[test]
fn moscas_own_words_for_listening_are_understood() {
    let read = interfaces(&json!({
        "maxConnections": 10,
        "secure": { "port": 8884, "keyPath": "k", "certPath": "c" },
        "allowNonSecure": true,
        "http": { "port": 81, "bundle": "mqtt.js" },
        "https": { "port": 444, "static": "./public", "bundle": true },
        "onlyHttp": false,
    }));
    let [mqtt, mqtts, http, https] = &read[..] else {
        panic!("{read:?}");
    };
    assert_eq!((mqtt.kind, mqtt.port), (Kind::Mqtt, 1_883));
    assert_eq!(mqtt.max_connections, Some(10));
    assert_eq!((mqtts.kind, mqtts.port), (Kind::Mqtts, 8_884));
    assert_eq!(mqtts.credentials, Some(credentials("c", "k")));
    assert_eq!((http.kind, http.port), (Kind::Http, 81));
    assert_eq!(http.files.bundle, Some(Bundle::File("mqtt.js".into())));
    assert_eq!((https.kind, https.port), (Kind::Https, 444));
    assert_eq!(https.credentials, Some(credentials("c", "k")));
    let files = Files {
        folder: Some("./public".into()),
        bundle: Some(Bundle::BuiltIn),
    };
    assert_eq!(https.files, files);
    assert_eq!(summary(&json!({})), [(Kind::Mqtt, 1_883)]);
    assert_eq!(summary(&json!({ "onlyHttp": true })), [(Kind::Http, 3_000)]);
    // No interfaces at all are a broker for what a program hands over.
    assert_eq!(summary(&json!({ "interfaces": [] })), []);
}

#[test]
fn credentials_say_what_is_asked_of_clients() {
    let with = |more: Json| {
        let mut credentials = json!({ "keyPath": "k", "certPath": "c", "caPaths": ["a", "b"] });
        let fields = credentials.as_object_mut().unwrap();
        fields.extend(more.as_object().unwrap().clone());
        let file = json!({ "credentials": credentials, "interfaces": [{ "type": "mqtts" }] });
        interfaces(&file).remove(0).credentials.unwrap()
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
}

#[test]
fn interfaces_are_of_moscas_types_and_each_has_its_own() {
    let read = interfaces(&json!({
        "host": "all",
        "credentials": { "keyPath": "k", "certPath": "c" },
        "interfaces": [
            { "type": "mqtts", "host": "::1", "ipv6Only": true, "handshakeTimeout": 500, "tcpKeepalive": 7000,
              "connectRate": { "perSecond": 7 }, "maxConnections": 5,
              "credentials": { "keyPath": "k2", "certPath": "c2" } },
            { "type": "http", "path": "/mqtt", "origins": ["https://a.example"], "static": "p",
              "bundle": true, "requestTimeout": 700, "responseTimeout": 800, "connectRate": false,
              "tcpKeepalive": false },
            { "type": "wss", "proxyProtocol": true },
            { "type": "mqtt", "socket": "/run/mqtt.sock", "mode": "0660", "group": "root" },
        ],
    }));
    let [mqtts, http, wss, unix] = &read[..] else {
        panic!("{read:?}");
    };
    let expected = InterfaceChoice {
        kind: Kind::Mqtts,
        host: Some("::1".to_owned()),
        port: 8_883,
        socket: None,
        socket_mode: None,
        socket_group: None,
        max_connections: Some(5),
        connect_rate: Some(Some(Rate::per_sec(7))),
        handshake_timeout: Some(Duration::from_millis(500)),
        tcp_keepalive: Some(Some(Duration::from_secs(7))),
        proxy_protocol: false,
        ipv6_only: true,
        path: None,
        origins: Vec::new(),
        credentials: Some(credentials("c2", "k2")),
        files: Files::default(),
        request_timeout: None,
        response_timeout: None,
    };
    assert_eq!(mqtts, &expected);
    let expected = InterfaceChoice {
        kind: Kind::Http,
        host: Some("all".to_owned()),
        port: 3_000,
        max_connections: None,
        connect_rate: Some(None),
        handshake_timeout: Some(Duration::from_secs(10)),
        tcp_keepalive: Some(None),
        ipv6_only: false,
        path: Some("/mqtt".to_owned()),
        origins: vec!["https://a.example".to_owned()],
        credentials: None,
        files: Files {
            folder: Some("p".into()),
            bundle: Some(Bundle::BuiltIn),
        },
        request_timeout: Some(Duration::from_millis(700)),
        response_timeout: Some(Duration::from_millis(800)),
        ..expected
    };
    assert_eq!(http, &expected);
    assert_eq!((wss.kind, wss.proxy_protocol), (Kind::Https, true));
    assert_eq!(wss.credentials, Some(credentials("c", "k")));
    assert_eq!(unix.socket.as_deref(), Some(Path::new("/run/mqtt.sock")));
    let mode_and_group = (unix.socket_mode, unix.socket_group);
    assert_eq!(mode_and_group, (Some(0o660), Some(0)));
}

#[test]
fn a_group_that_there_is_none_of_is_named() {
    let unix = json!({ "type": "mqtt", "socket": "/s", "group": "no such group" });
    let complaint = super::complaint(&json!({ "interfaces": [unix] }));
    let expected = "`interfaces[0].group` is the text \"no such group\": there is no group";
    assert!(complaint.contains(expected), "{complaint}");
}
