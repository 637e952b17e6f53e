//! What is said below `$SYS`: mosca's `id`, `stats`, `publishNewClient`, `publishClientDisconnect` and
//! `publishSubscriptions`.

use std::time::Duration;

use super::section::{Section, SectionError};
use crate::own_topics::OwnTopics;

/// Longest time between statistics, in milliseconds: an hour.
const INTERVAL_MAX_MS: u64 = 3_600_000;

/// Reads the keys, which stand at the top.
pub(super) fn read(root: &mut Section<'_>) -> Result<OwnTopics, SectionError> {
    let mut choice = OwnTopics {
        id: root.string("id")?.map(str::to_owned),
        new_client: root.boolean("publishNewClient")?,
        client_disconnect: root.boolean("publishClientDisconnect")?,
        subscriptions: root.boolean("publishSubscriptions")?,
        statistics: None,
    };
    if root.is_true("stats") {
        return Ok(choice);
    }
    let expected = "true, false, or an object with interval in ms";
    choice.statistics = match root.switch_or_section("stats", expected)? {
        None => None,
        Some(None) => Some(None),
        Some(Some(mut section)) => {
            let interval = section.integer("interval", 10..=INTERVAL_MAX_MS, " ms")?;
            section.finish()?;
            interval.map(|millis| Some(Duration::from_millis(millis)))
        }
    };
    Ok(choice)
}
