//! What the service is asked: an object of JSON for each kind of question.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use broker_core::{Client, LoginRequest, PublishRequest, SubscribeRequest};
use bytes::Bytes;
use mqtt_codec::{QoS, Version};
use serde::Serialize;

#[derive(Serialize)]
struct Question<'a> {
    #[serde(flatten)]
    action: Action<'a>,
    clientid: &'a str,
    protocol: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    peerhost: Option<String>,
}

#[derive(Serialize)]
#[serde(tag = "action", rename_all = "lowercase")]
enum Action<'a> {
    Authenticate {
        #[serde(skip_serializing_if = "Option::is_none")]
        password: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        password_base64: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        certified: Option<&'a str>,
    },
    Publish {
        topic: &'a str,
        qos: u8,
        retain: bool,
        will: bool,
    },
    Subscribe {
        topic: &'a str,
        qos: u8,
        held: bool,
    },
}

pub(crate) fn authenticate(login: &LoginRequest<'_>) -> Bytes {
    let password = login.password.map(core::str::from_utf8);
    text(&Question {
        action: Action::Authenticate {
            password: password.and_then(Result::ok),
            password_base64: match (login.password, password) {
                (Some(bytes), Some(Err(_))) => Some(STANDARD.encode(bytes)),
                _ => None,
            },
            certified: login.certified.map(AsRef::as_ref),
        },
        clientid: login.client_id,
        protocol: number(login.version),
        username: login.user_name,
        peerhost: login.address.map(|address| address.ip().to_string()),
    })
}

pub(crate) fn publish(client: &Client, publish: &PublishRequest<'_>) -> Bytes {
    let action = Action::Publish {
        topic: publish.topic,
        qos: level(publish.qos),
        retain: publish.retain,
        will: publish.is_will,
    };
    about(client, action)
}

pub(crate) fn subscribe(client: &Client, subscribe: &SubscribeRequest<'_>) -> Bytes {
    let action = Action::Subscribe {
        topic: subscribe.filter,
        qos: level(subscribe.qos),
        held: subscribe.is_held,
    };
    about(client, action)
}

fn about(client: &Client, action: Action<'_>) -> Bytes {
    text(&Question {
        action,
        clientid: client.client_id(),
        protocol: number(client.version()),
        username: client.user().map(AsRef::as_ref),
        peerhost: client.address().map(|address| address.ip().to_string()),
    })
}

fn text(question: &Question<'_>) -> Bytes {
    // Keys are text, and nothing is written to but memory.
    serde_json::to_vec(question).unwrap_or_default().into()
}

fn number(version: Version) -> &'static str {
    match version {
        Version::V31 => "3.1",
        Version::V311 => "3.1.1",
        Version::V5 => "5.0",
    }
}

fn level(qos: QoS) -> u8 {
    match qos {
        QoS::AtMostOnce => 0,
        QoS::AtLeastOnce => 1,
        QoS::ExactlyOnce => 2,
    }
}
