//! When imported sessions expire.

use core::time::Duration;
use std::time::{SystemTime, UNIX_EPOCH};

use broker_core::Timestamp;

/// When a session expires that has so many seconds from now on.
pub(super) fn after(secs: u32) -> Timestamp {
    if secs == u32::MAX {
        return Timestamp::MAX;
    }
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let expires = now + Duration::from_secs(secs.into());
    Timestamp::from_millis(u64::try_from(expires.as_millis()).unwrap_or(u64::MAX))
}

/// The interval after which a session of this age expires then. The age stays as it is, for that tells
/// whether the session has been used since.
pub(super) fn interval(expires: Timestamp, since: Timestamp) -> u32 {
    if expires == Timestamp::MAX {
        return u32::MAX;
    }
    let millis = expires.as_millis().saturating_sub(since.as_millis());
    u32::try_from(millis.div_ceil(1_000))
        .unwrap_or(u32::MAX)
        // That would be for ever.
        .min(u32::MAX - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_ends_when_it_was_said_and_for_ever_is_for_ever() {
        let since = Timestamp::from_millis(1_500);
        assert_eq!(interval(Timestamp::from_millis(11_501), since), 11);
        assert_eq!(interval(Timestamp::from_millis(1), since), 0);
        assert_eq!(interval(after(u32::MAX), since), u32::MAX);
        let late = Timestamp::from_millis(u64::MAX - 1);
        assert_eq!(interval(late, since), u32::MAX - 1);
        assert!(interval(after(60), since) > 60);
    }
}
