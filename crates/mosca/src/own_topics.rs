//! What the server says below `$SYS`, and under which name.

use std::sync::Arc;
use std::time::Duration;

use broker_core::Announcements;

use crate::random::random_hex;
use crate::server::StartError;

/// The name below which other brokers have statistics that dashboards read, and this one has them too.
const TAKEN: &str = "broker";

/// What is chosen before the start.
#[derive(Clone, Debug)]
pub(crate) struct OwnTopics {
    pub(crate) id: Option<String>,
    pub(crate) new_clients: bool,
    pub(crate) disconnected_clients: bool,
    pub(crate) subscriptions: bool,
    /// How often statistics are published, if they are.
    pub(crate) statistics: Option<Duration>,
}

impl Default for OwnTopics {
    fn default() -> Self {
        Self {
            id: None,
            new_clients: true,
            disconnected_clients: true,
            subscriptions: true,
            statistics: None,
        }
    }
}

impl OwnTopics {
    /// What is announced, and the id below which it is: the one that was chosen, or a new one.
    pub(crate) fn announcements(self) -> Result<Announcements, StartError> {
        let id: Arc<str> = self.id.unwrap_or_else(random_hex::<4>).into();
        if *id == *TAKEN {
            let reason = "other statistics are below $SYS/broker already".to_owned();
            return Err(StartError::Id { id, reason });
        }
        let all = Announcements::all(Arc::clone(&id));
        let mut announcements = all.map_err(|error| {
            let reason = error.to_string();
            StartError::Id { id, reason }
        })?;
        announcements.new_clients = self.new_clients;
        announcements.disconnected_clients = self.disconnected_clients;
        announcements.subscriptions = self.subscriptions;
        Ok(announcements)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_is_given_no_id_makes_one_and_one_that_is_no_level_is_refused() {
        let id = |id: Option<&str>| {
            let topics = OwnTopics {
                id: id.map(str::to_owned),
                ..OwnTopics::default()
            };
            topics.announcements().map(|it| it.id().to_owned())
        };
        let (first, second) = (id(None).unwrap(), id(None).unwrap());
        assert_eq!((first.len(), second.len()), (8, 8));
        assert_ne!(first, second);
        assert_eq!(id(Some("site/7")).unwrap(), "site/7");
        for wrong in ["", "+", "a/#", "a\0", "broker"] {
            let error = id(Some(wrong)).unwrap_err().to_string();
            assert!(error.contains(&format!("{wrong:?}")), "{error}");
        }
    }
}
