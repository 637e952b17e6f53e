//! Replicas that have to have what was written.

use redis::RedisResult;
use redis::aio::MultiplexedConnection;

use crate::shared::Shared;

/// Waits until that many replicas have all that was written on this connection so far.
///
/// # Errors
/// If they have not within half of the time that an answer may take. The connection is then given up
/// like one that does not answer: those who wait for their turn are told in time.
pub(crate) async fn await_replicas(
    connection: &mut MultiplexedConnection,
    replicas: u32,
    shared: &Shared,
) -> RedisResult<()> {
    if replicas == 0 {
        return Ok(());
    }
    let patience = (shared.options().response_timeout_ms / 2).max(1);
    let mut command = redis::cmd("WAIT");
    command.arg(replicas).arg(patience);
    let have: u32 = command.query_async(connection).await?;
    if have >= replicas {
        return Ok(());
    }
    let text = format!("{have} of {replicas} replicas have what was written");
    Err((redis::ErrorKind::Io, "too few replicas are in step", text).into())
}
