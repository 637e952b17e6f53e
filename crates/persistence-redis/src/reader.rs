//! Questions to Redis: on a connection of their own, asked again until there is an answer or patience
//! is at an end.

use std::sync::Arc;
use std::time::Instant;

use broker_core::persistence::PersistenceError;
use redis::{Cmd, RedisError, RedisResult, ServerErrorKind, Value};
use tokio::sync::Mutex;
use tokio::time::sleep;

use crate::error::{ConnectError, damaged, unavailable};
use crate::route::Link;
use crate::script::Script;
use crate::shared::{Shared, backoff};

/// Asks Redis, for any number of tasks at one time.
#[derive(Debug)]
pub(crate) struct Reader {
    shared: Arc<Shared>,
    /// The connection, and how often the writer had connected when it was made.
    link: Mutex<Option<(u64, Link)>>,
}

/// How a question is asked.
pub(crate) enum Question<'a> {
    Plain(Cmd),
    /// A script with these arguments.
    Script(&'a Script, Vec<Vec<u8>>),
}

impl Reader {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            link: Mutex::new(None),
        }
    }

    /// The answer to a question that changes nothing, or may be asked twice.
    pub(crate) async fn ask(&self, question: Question<'_>) -> Result<Value, PersistenceError> {
        let patience = self.shared.options().unavailable_timeout();
        let start = Instant::now();
        let mut backoff = backoff();
        loop {
            let reason = match self.link().await {
                Ok((connection, mut link)) => match self.send(&mut link, &question).await {
                    Ok(value) => return Ok(value),
                    Err(error) if is_final(&error) => {
                        return Err(damaged(format!("Redis cannot answer: {error}")));
                    }
                    Err(error) => {
                        self.forget(connection, &link).await;
                        error.to_string()
                    }
                },
                Err(error) => error.to_string(),
            };
            if start.elapsed() > patience {
                return Err(unavailable(reason));
            }
            sleep(backoff.pause()).await;
        }
    }

    async fn send(&self, link: &mut Link, question: &Question<'_>) -> RedisResult<Value> {
        let (script, arguments) = match question {
            Question::Plain(command) => {
                let reply = link.connection.send_packed_command(command).await;
                return reply.and_then(Value::extract_error);
            }
            Question::Script(script, arguments) => (script, arguments),
        };
        let mut by_name = script.by_name(self.shared.base());
        by_name.arg(arguments);
        let reply = link.connection.send_packed_command(&by_name).await;
        match reply.and_then(Value::extract_error) {
            Err(error) if error.kind() == ServerErrorKind::NoScript.into() => {
                let mut by_text = script.by_text(self.shared.base());
                by_text.arg(arguments);
                let reply = link.connection.send_packed_command(&by_text).await;
                reply.and_then(Value::extract_error)
            }
            reply => reply,
        }
    }

    async fn link(&self) -> Result<(u64, Link), ConnectError> {
        let mut kept = self.link.lock().await;
        let connections = self.shared.connections();
        if let Some((made, link)) = &*kept
            && *made == connections
            && !link.is_lost()
        {
            return Ok((*made, link.clone()));
        }
        let link = self.shared.route.connect().await?;
        *kept = Some((connections, link.clone()));
        Ok((connections, link))
    }

    /// Gives up a connection that failed, unless another did so already.
    async fn forget(&self, connections: u64, link: &Link) {
        let mut kept = self.link.lock().await;
        if kept
            .as_ref()
            .is_some_and(|(made, other)| *made == connections && other.address == link.address)
        {
            *kept = None;
        }
    }
}

/// Whether asking again is of no use: the server has understood, and cannot.
fn is_final(error: &RedisError) -> bool {
    matches!(error.code(), Some("ERR" | "WRONGTYPE"))
}
