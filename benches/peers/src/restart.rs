//! A restart: the broker is given much to keep, ended as its operator would end it, and started again.
//!
//! A row whose arguments begin with `restart` is measured so. What follows goes to the generator's
//! `stored`, once to store it and once, after the restart, to see whether it is there.

use std::time::Duration;

use anyhow::Result;

use crate::broker::{Broker, Running};
use crate::process;
use crate::rounds::{Answer, Plan};

/// Between the restart and the look at its memory, so that what is done behind CONNACK is over.
const SETTLE: Duration = Duration::from_millis(500);

/// The arguments for the generator, if the row is such a one.
pub fn what_is_stored(arguments: &str) -> Option<&str> {
    arguments.strip_prefix("restart ")
}

/// Runs it. The broker that was started last is left in `running`.
pub fn run(plan: &Plan, broker: &Broker, stored: &str) -> Result<(Running, Answer)> {
    let mut running = broker.start()?;
    let mut answer = plan.put_load(&running, &format!("stored {stored}"))?;
    if answer.failure.is_some() {
        return Ok((running, answer));
    }
    let taken = running.restart(plan.limit)?;
    std::thread::sleep(SETTLE);
    let memory = process::resident_bytes(&process::family(running.measured));
    let check = plan.put_load(&running, &format!("stored {stored} --check"))?;
    answer.failure = check.failure;
    answer.figures.extend(check.figures);
    let restart_ms = taken.as_secs_f64() * 1e3;
    answer.figures.insert("restart_ms".to_owned(), restart_ms);
    let restarted_mb = memory as f64 / f64::from(1 << 20);
    let name = "rss_restarted_mb".to_owned();
    answer.figures.insert(name, restarted_mb);
    Ok((running, answer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_restarts_are_restarts() {
        assert_eq!(what_is_stored("restart --retained 5"), Some("--retained 5"));
        assert_eq!(what_is_stored("durable --pairs 5"), None);
    }
}
