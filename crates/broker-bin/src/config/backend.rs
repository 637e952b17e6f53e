//! The section `backend`: which engine connects this broker with others, with mosca's names for engines and their
//! options.

use std::path::PathBuf;
use std::time::Duration;

use mosca::Version;
use mosca::backend::Prefix;
use mosca_options::Problem;
use mqtt_client::{Address, Scheme};

use super::section::Section;
use crate::engine::{AmqpChoice, EngineChoice, MqttChoice};
use crate::server_url::{ServerUrl, UrlError, bracketed, percent_encoded};

/// The engines by the names of mosca. What is not here is no engine, and the broker stands alone.
#[derive(Clone, Copy)]
enum Engine {
    Mqtt,
    Amqp,
}

const ENGINES: [(&str, Engine); 3] = [
    ("mqtt", Engine::Mqtt),
    ("amqp", Engine::Amqp),
    ("amqplib", Engine::Amqp),
];

const SCHEMES: [(&str, Scheme); 7] = [
    ("mqtt", Scheme::Mqtt),
    ("tcp", Scheme::Mqtt),
    ("mqtts", Scheme::Mqtts),
    ("ssl", Scheme::Mqtts),
    ("tls", Scheme::Mqtts),
    ("ws", Scheme::Ws),
    ("wss", Scheme::Wss),
];

/// Reads the section; an address that is none is a problem.
pub(super) fn read(section: &Section<'_>) -> Result<EngineChoice, Problem> {
    match section.word("type", &ENGINES) {
        None => Ok(EngineChoice::Alone),
        Some(Engine::Mqtt) => mqtt(section).map(|it| EngineChoice::Mqtt(Box::new(it))),
        Some(Engine::Amqp) => amqp(section).map(EngineChoice::Amqp),
    }
}

fn mqtt(section: &Section<'_>) -> Result<MqttChoice, Problem> {
    let mut address = address(section)?;
    // As with MQTT.js, they count before those of the address.
    if let Some(user) = section.string("username") {
        address.user_name = Some(user);
    }
    if let Some(password) = section.string("password") {
        address.password = Some(password);
    }
    Ok(MqttChoice {
        address,
        ca_file: section.path("caPath"),
        identity: identity(section),
        insecure: section.flag("rejectUnauthorized") == Some(false),
        client_id: section.string("clientId"),
        keep_alive_secs: section.number("keepalive"),
        version: match section.number("protocolVersion") {
            Some(4_u8) => Some(Version::V311),
            Some(_) => Some(Version::V5),
            None => None,
        },
        nodes: section.flag("nodes").unwrap_or(true),
        max_topic_bytes: section.number("maxTopicBytes"),
        max_topic_levels: section.number("maxTopicLevels"),
        prefix: prefix(section)?,
        timeout: timeout(section),
    })
}

/// Where the other broker is: an address, or its parts.
fn address(section: &Section<'_>) -> Result<Address, Problem> {
    if let Some(url) = section.text("url") {
        let wrong = |error| section.problem("url", format!("is wrong: {error}"));
        return url.parse().map_err(wrong);
    }
    let scheme = section.word("protocol", &SCHEMES).unwrap_or(Scheme::Mqtt);
    let host = bracketed(section.text("host").unwrap_or("localhost"));
    let port = section.number("port").unwrap_or(scheme.default_port());
    let name = match scheme {
        Scheme::Mqtt => "mqtt",
        Scheme::Mqtts => "mqtts",
        Scheme::Ws => "ws",
        Scheme::Wss => "wss",
    };
    let whole = format!("{name}://{host}:{port}");
    let wrong = |error| section.problem("host", format!("makes no address: {error}"));
    whole.parse().map_err(wrong)
}

fn identity(section: &Section<'_>) -> Option<(PathBuf, PathBuf)> {
    section.path("certPath").zip(section.path("keyPath"))
}

fn amqp(section: &Section<'_>) -> Result<AmqpChoice, Problem> {
    Ok(AmqpChoice {
        url: server(section)?,
        exchange: section.string("exchange"),
        ca_file: section.path("caPath"),
        prefix: prefix(section)?,
        timeout: timeout(section),
        max_message_bytes: section.number("maxMessageBytes"),
        max_queue_messages: section.number("maxQueueMessages"),
        max_queue_bytes: section.number("maxQueueBytes"),
    })
}

/// Where the AMQP server is: an address in one of two places, or its parts.
fn server(section: &Section<'_>) -> Result<ServerUrl, Problem> {
    let client = section.section("client");
    for section in [Some(section), client.as_ref()].into_iter().flatten() {
        if let Some(url) = section.text("url") {
            let wrong = |error: &dyn std::fmt::Display| {
                section.problem("url", format!("is wrong: {error}"))
            };
            let url: ServerUrl = url.parse().map_err(|error: UrlError| wrong(&error))?;
            return match url.scheme() {
                "amqp" | "amqps" => Ok(url),
                other => Err(wrong(&format!(
                    "`{other}` is not spoken: amqp and amqps are"
                ))),
            };
        }
    }
    let Some(client) = client else {
        let standard = "amqp://127.0.0.1:5672".parse();
        return standard.map_err(|error: UrlError| section.problem("url", error.to_string()));
    };
    let login = client.text("login");
    let password = client.text("password");
    // A password alone is that of the user that there is in each new server.
    let login = login.or(password.map(|_| "guest")).unwrap_or_default();
    let host = bracketed(client.text("host").unwrap_or("localhost"));
    let port: u16 = client.number("port").unwrap_or(5_672);
    let vhost = client.text("vhost").map(percent_encoded);
    let path = vhost.map_or_else(String::new, |vhost| format!("/{vhost}"));
    let url = ServerUrl::from_parts("amqp", login, password, &format!("{host}:{port}"), &path);
    url.map_err(|error| client.problem("host", format!("makes no address: {error}")))
}

fn prefix(section: &Section<'_>) -> Result<Prefix, Problem> {
    let prefix = Prefix::new(section.text("prefix").unwrap_or_default());
    prefix.map_err(|error| section.problem("prefix", error.to_string()))
}

fn timeout(section: &Section<'_>) -> Option<Duration> {
    section.number("timeout").map(Duration::from_millis)
}
