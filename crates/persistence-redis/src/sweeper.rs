//! What goes on in the background: long queues of sessions that have gone are taken apart, and
//! messages that have expired are removed, in steps that keep nobody waiting.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use broker_core::Escaped;
use redis::Value;

use crate::reader::Question;
use crate::store::Core;

/// Between two rounds.
const PAUSE: Duration = Duration::from_secs(5);

/// Between two steps of one round: Redis serves others meanwhile.
const BREATH: Duration = Duration::from_millis(2);

/// How long ago a message has to have expired: the clocks of brokers on one store differ.
const MARGIN: Duration = Duration::from_secs(10);

/// Records that one step looks at.
const STEP: usize = 500;

/// Sweeps until the store is dropped.
pub(crate) async fn run(core: std::sync::Weak<Core>) {
    loop {
        let Some(core) = core.upgrade() else { return };
        let pause = if step(&core).await { BREATH } else { PAUSE };
        // What is not held does not live on because of us.
        let dropped = Arc::clone(&core.dropped);
        drop(core);
        let _ = tokio::time::timeout(pause, dropped.notified()).await;
    }
}

/// Whether there is more to do at once.
async fn step(core: &Core) -> bool {
    let shared = &core.lookups.shared;
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let expired = now.saturating_sub(MARGIN);
    let arguments = vec![
        expired.as_millis().to_string().into_bytes(),
        STEP.to_string().into_bytes(),
        shared.writer_name().into_bytes(),
        crate::script::WRITER_SECONDS.to_string().into_bytes(),
    ];
    let question = Question::Script(&shared.scripts.sweep, arguments);
    match core.lookups.reader.ask(question).await {
        Ok(value) => value == Value::Int(1),
        Err(error) => {
            tracing::debug!(error = %Escaped(&error), "cannot sweep");
            false
        }
    }
}
