//! From a choice to an engine that a server can join.

use std::sync::Arc;

use mosca::backend::Backend;

use super::{AmqpChoice, EngineChoice, MqttChoice};

/// The engine is there, but not in this program.
#[derive(Debug, thiserror::Error)]
#[error(
    "{engine}: this mosca was built without this engine between brokers; build it with the cargo feature `{feature}`"
)]
pub(crate) struct NotBuiltIn {
    /// The choice, without passwords.
    engine: String,
    /// What it has to be built with.
    feature: &'static str,
}

impl EngineChoice {
    /// The engine; nothing is connected yet. `None` if the broker stands alone.
    ///
    /// # Errors
    /// It is not built in.
    pub(crate) fn open(&self) -> Result<Option<Arc<dyn Backend>>, NotBuiltIn> {
        match self {
            Self::Alone => Ok(None),
            Self::Mqtt(choice) => self.open_mqtt(choice).map(Some),
            Self::Amqp(choice) => self.open_amqp(choice).map(Some),
        }
    }

    #[cfg(feature = "backend-mqtt")]
    #[expect(
        clippy::unnecessary_wraps,
        clippy::unused_self,
        reason = "it may not be built in"
    )]
    fn open_mqtt(&self, choice: &MqttChoice) -> Result<Arc<dyn Backend>, NotBuiltIn> {
        use backend_mqtt::{MqttBackend, MqttBackendOptions};
        let mut options = MqttBackendOptions::new(choice.address.clone());
        options.user_name.clone_from(&choice.address.user_name);
        let password = choice.address.password.clone();
        options.password = password.map(String::into_bytes);
        options.tls.ca_file.clone_from(&choice.ca_file);
        options.tls.identity.clone_from(&choice.identity);
        options.tls.insecure = choice.insecure;
        options.client_id.clone_from(&choice.client_id);
        set(&mut options.keep_alive_secs, choice.keep_alive_secs);
        options.version = choice.version;
        options.nodes = choice.nodes;
        set(&mut options.max_topic_bytes, choice.max_topic_bytes);
        set(&mut options.max_topic_levels, choice.max_topic_levels);
        options.prefix = choice.prefix.clone();
        set(&mut options.timeout, choice.timeout);
        Ok(Arc::new(MqttBackend::new(options)))
    }

    #[cfg(not(feature = "backend-mqtt"))]
    fn open_mqtt(&self, _: &MqttChoice) -> Result<Arc<dyn Backend>, NotBuiltIn> {
        Err(self.not_built_in("backend-mqtt"))
    }

    #[cfg(feature = "backend-amqp")]
    #[expect(
        clippy::unnecessary_wraps,
        clippy::unused_self,
        reason = "it may not be built in"
    )]
    fn open_amqp(&self, choice: &AmqpChoice) -> Result<Arc<dyn Backend>, NotBuiltIn> {
        use backend_amqp::{AmqpBackend, AmqpBackendOptions};
        let mut options = AmqpBackendOptions::new();
        choice.url.reveal().clone_into(&mut options.url);
        options.prefix = choice.prefix.clone();
        options.ca_file.clone_from(&choice.ca_file);
        if let Some(exchange) = &choice.exchange {
            options.exchange.clone_from(exchange);
        }
        set(&mut options.timeout, choice.timeout);
        set(&mut options.max_message_bytes, choice.max_message_bytes);
        set(&mut options.max_queue_messages, choice.max_queue_messages);
        set(&mut options.max_queue_bytes, choice.max_queue_bytes);
        Ok(Arc::new(AmqpBackend::new(options)))
    }

    #[cfg(not(feature = "backend-amqp"))]
    fn open_amqp(&self, _: &AmqpChoice) -> Result<Arc<dyn Backend>, NotBuiltIn> {
        Err(self.not_built_in("backend-amqp"))
    }

    #[cfg(not(all(feature = "backend-mqtt", feature = "backend-amqp")))]
    fn not_built_in(&self, feature: &'static str) -> NotBuiltIn {
        let engine = self.to_string();
        NotBuiltIn { engine, feature }
    }
}

/// What is not said stays as the engine has it.
#[cfg(any(feature = "backend-mqtt", feature = "backend-amqp"))]
fn set<T: Copy>(option: &mut T, said: Option<T>) {
    *option = said.unwrap_or(*option);
}
