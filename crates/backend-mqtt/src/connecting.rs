//! A connection to the parent, in a version that it speaks.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io;

use broker_core::backend::{BackendError, NodeId};
use broker_core::{Escaped, Quoted};
use mqtt_client::{Client, ClientError, Options, QoS, ReasonCode, Subscription, Version};

use crate::filters::options as subscription_options;
use crate::options::MqttBackendOptions;
use crate::terms::{Terms, control_topic};

/// Letters and digits of a node's name in its client identifier. With sixteen digits behind them it has the 23 that
/// every server takes (MQTT 5.0, section 3.1.3.1).
const NAME_LETTERS: usize = 7;

/// A connection that stands.
pub(crate) struct Connected {
    pub(crate) client: Client,
    pub(crate) terms: Terms,
}

/// Connects, and subscribes to the control topic, in the version that was asked for. Where none was, in 5.0, and
/// if the parent does not speak that in 3.1.1. `last` is the version of the connection before: a parent that has
/// spoken 5.0 and closes a connection at once has other reasons.
pub(crate) async fn connect(
    options: &MqttBackendOptions,
    node: &NodeId,
    last: Option<Version>,
) -> Result<Connected, ClientError> {
    let version = options.version.unwrap_or(Version::V5);
    let error = match connect_in(version, options, node).await {
        Err(error) if options.version.is_none() => error,
        connected => return connected,
    };
    if says_other_version(&error) || last != Some(Version::V5) && may_mean_other_version(&error) {
        return connect_in(Version::V311, options, node).await;
    }
    Err(error)
}

/// An older server answers in its own words, which are no CONNACK of MQTT 5.0.
fn says_other_version(error: &ClientError) -> bool {
    matches!(
        error,
        ClientError::Refused(ReasonCode::UnsupportedProtocolVersion, _) | ClientError::Decode(_)
    )
}

/// It may close the connection without a word, too (MQTT 3.1.1, section 3.1.2.2).
fn may_mean_other_version(error: &ClientError) -> bool {
    match error {
        ClientError::Closed => true,
        ClientError::Io(error) => matches!(
            error.kind(),
            io::ErrorKind::ConnectionReset
                | io::ErrorKind::ConnectionAborted
                | io::ErrorKind::BrokenPipe
                | io::ErrorKind::UnexpectedEof
        ),
        _ => false,
    }
}

async fn connect_in(
    version: Version,
    options: &MqttBackendOptions,
    node: &NodeId,
) -> Result<Connected, ClientError> {
    let mut client_options = Options::new(options.address.clone());
    client_options.tls = options.tls.clone();
    client_options.version = version;
    client_options.client_id = match &options.client_id {
        Some(id) => id.clone(),
        None => client_id(node),
    };
    client_options.keep_alive_secs = options.keep_alive_secs;
    client_options.user_name.clone_from(&options.user_name);
    client_options.password.clone_from(&options.password);
    client_options.timeout = options.timeout;
    let mut client = Client::connect(&client_options).await?;
    let control = match options.nodes {
        true => subscribe_to_control(&mut client, options, version).await?,
        false => None,
    };
    let terms = Terms::new(node.clone(), options, &client, version, control);
    Ok(Connected { client, terms })
}

/// Returns the topic, unless the parent refuses it.
async fn subscribe_to_control(
    client: &mut Client,
    options: &MqttBackendOptions,
    version: Version,
) -> Result<Option<String>, ClientError> {
    let topic = control_topic(&options.prefix);
    let subscription = Subscription {
        filter: topic.clone(),
        options: subscription_options(QoS::AtLeastOnce, version.is_v5()),
    };
    let codes = client.subscribe(&[subscription]).await?;
    match codes.first() {
        Some(code) if !code.is_error() => Ok(Some(topic)),
        code => {
            warn_of_control(&topic, code.copied());
            Ok(None)
        }
    }
}

/// The parent does not let the node use the control topic.
pub(crate) fn warn_of_control(topic: &str, code: Option<ReasonCode>) {
    let reason = code.map_or("no answer", ReasonCode::as_str);
    tracing::warn!(
        topic = %Quoted(topic),
        reason,
        "the parent refuses the topic by which nodes tell each other what is retained and who is connected: \
         this node goes on without"
    );
}

/// The identifier of a node that was given none: another one for each start, and for nodes of one name.
fn client_id(node: &NodeId) -> String {
    let letters = node.name.chars().filter(char::is_ascii_alphanumeric);
    let letters: String = letters.take(NAME_LETTERS).collect();
    let mut hash = DefaultHasher::new();
    node.hash(&mut hash);
    format!("{letters}{:016x}", hash.finish())
}

/// What went wrong, in the words of an engine.
pub(crate) fn said(options: &MqttBackendOptions, error: &ClientError) -> BackendError {
    let text = format!("the parent at {}: {}", options.address, Escaped(error)).into();
    match error {
        ClientError::Refused(ReasonCode::ServerUnavailable | ReasonCode::ServerBusy, _) => {
            BackendError::Unavailable(text)
        }
        ClientError::Refused(..) | ClientError::Tls(_) => BackendError::Refused(text),
        _ => BackendError::Unavailable(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_server_takes_the_identifier_and_each_start_has_another_one() {
        let names = ["", "node-1", "a very long name", "\u{1f600}"];
        let ids = names.map(|name| [1, 2].map(|start| client_id(&NodeId::new(name, start))));
        let mut ids = ids.concat();
        for id in &ids {
            assert!((16..=23).contains(&id.len()), "{id}");
            assert!(id.chars().all(|it| it.is_ascii_alphanumeric()), "{id}");
        }
        assert!(ids[2].starts_with("node1"));
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), 8);
    }
}
