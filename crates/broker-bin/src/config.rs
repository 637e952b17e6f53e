//! The config file: JSON or TOML, with mosca's names where there are such.
//!
//! What is in it and means nothing is an error, and never passed over: a word that is misspelt would
//! otherwise leave a default in force that nobody wanted.

mod access;
mod limits;
mod listening;
mod own_topics;
mod persistence;
mod section;

use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tracing::Level;

use crate::access::AccessChoice;
use crate::limits::Limits;
use crate::listening::Listening;
use crate::own_topics::OwnTopics;
use crate::store::StoreChoice;
use section::{Section, SectionError};

/// What a file says; `None` where it says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Config {
    /// Where to listen.
    pub(crate) listening: Listening,
    /// Who may come in, and what clients may do.
    pub(crate) access: AccessChoice,
    /// What clients can make grow, and how far.
    pub(crate) limits: Limits,
    /// What the broker says of itself.
    pub(crate) own_topics: OwnTopics,
    /// Threads that serve clients.
    pub(crate) threads: Option<u16>,
    /// How much is logged.
    pub(crate) level: Option<Level>,
    /// What keeps sessions and messages, and for how long.
    pub(crate) persistence: Option<PersistenceSection>,
    /// Words that are understood and change nothing, each with the reason.
    pub(crate) without_effect: Vec<String>,
}

/// The section `persistence`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PersistenceSection {
    /// The store.
    pub(crate) store: StoreChoice,
    /// For how long, and what, it keeps.
    pub(crate) keeping: Keeping,
}

/// What the broker gives its store to keep, and for how long; `None` where nothing is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Keeping {
    /// Seconds for which sessions of 3.x clients outlive their connections.
    pub(crate) session_expiry_secs: Option<u32>,
    /// Seconds for which a message waits in a queue.
    pub(crate) queued_message_expiry_secs: Option<u32>,
    /// Whether messages at QoS 0 wait for clients that are away.
    pub(crate) queue_qos_0: Option<bool>,
}

/// Why a file is not used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// The system does not give it to us.
    #[error("cannot read the config file {}: {source}", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Programs are not run.
    #[error(
        "{}: a config file is JSON or TOML; a JavaScript module has to be written as one of these",
        path.display()
    )]
    JavaScript {
        /// Which file.
        path: PathBuf,
    },
    /// Neither JSON nor TOML.
    #[error("{} is not {format}: {reason}", path.display())]
    Syntax {
        /// Which file.
        path: PathBuf,
        /// For what it was taken.
        format: &'static str,
        /// What the parser says, with line and column.
        reason: String,
    },
    /// Well-formed, and wrong.
    #[error("{}: {source}", path.display())]
    Content {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        source: SectionError,
    },
}

impl Config {
    /// Reads a file. Its name tells the format: `.toml` is TOML, everything else JSON.
    pub(crate) fn read(path: &Path) -> Result<Self, ConfigError> {
        let path = path.to_owned();
        let extension = path.extension().unwrap_or_default().to_ascii_lowercase();
        if ["js", "cjs", "mjs", "ts"]
            .iter()
            .any(|&js| extension == *js)
        {
            return Err(ConfigError::JavaScript { path });
        }
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(source) => return Err(ConfigError::Unreadable { path, source }),
        };
        let (format, parsed) = if extension == "toml" {
            let parsed = toml::from_str::<Value>(&text);
            ("TOML", parsed.map_err(|error| error.to_string()))
        } else {
            let parsed = serde_json::from_str::<Value>(&text);
            ("JSON", parsed.map_err(|error| error.to_string()))
        };
        match parsed {
            Ok(value) => {
                Self::from_value(&value).map_err(|source| ConfigError::Content { path, source })
            }
            Err(reason) => Err(ConfigError::Syntax {
                path,
                format,
                reason: reason.trim_end().to_owned(),
            }),
        }
    }

    fn from_value(value: &Value) -> Result<Self, SectionError> {
        let mut root = Section::root(value)?;
        let mut config = Self::default();
        config.listening = listening::read(&mut root, &mut config.without_effect)?;
        if let Some(section) = root.section("authentication")? {
            config.access = access::read(section)?;
        }
        if let Some(section) = root.section("limits")? {
            config.limits = limits::read(section)?;
        }
        config.own_topics = own_topics::read(&mut root)?;
        let threads = root.integer("threads", 1..=1_024, "")?;
        config.threads = threads.and_then(|threads| u16::try_from(threads).ok());
        if let Some(mut logger) = root.section("logger")? {
            config.level = logger.one_of("level", &LEVELS)?;
            logger.finish()?;
        }
        if let Some(section) = root.section("persistence")? {
            let read = persistence::read(section, &mut config.without_effect)?;
            // The store's words for what is a limit here.
            let keeping = &read.keeping;
            for (is_given, key) in [
                (
                    keeping.session_expiry_secs.is_some(),
                    "legacySessionExpirySecs",
                ),
                (
                    keeping.queued_message_expiry_secs.is_some(),
                    "queuedMessageExpirySecs",
                ),
                (keeping.queue_qos_0.is_some(), "queueQos0"),
            ] {
                if is_given && config.limits.has(key) {
                    let reason = "stands beside its like in `persistence`: two choices at once";
                    return Err(root.conflict(&format!("limits.{key}"), reason));
                }
            }
            config.persistence = Some(read);
        }
        root.finish()?;
        Ok(config)
    }
}

const LEVELS: [(&str, Level); 5] = [
    ("error", Level::ERROR),
    ("warn", Level::WARN),
    ("info", Level::INFO),
    ("debug", Level::DEBUG),
    ("trace", Level::TRACE),
];

#[cfg(test)]
mod tests;
