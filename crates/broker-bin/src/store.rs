//! Which store keeps what must outlive the process, as chosen by the command line or a config file.

mod open;

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use mosca_options::closest;

use crate::server_url::{ServerUrl, UrlError};

/// What `--persistence` takes, for complaints.
const CHOICES: &str = "memory, fjall:PATH, redis://HOST, redis+sentinel://HOST,HOST/SERVICE, \
    redis+cluster://HOST,HOST, each with rediss for TLS, and mongodb://HOST,HOST/DATABASE";

/// The schemes of `--persistence`, and what people call them by mistake.
const SCHEMES: [(&str, &str); 12] = [
    ("memory", "memory"),
    ("fjall", "fjall:PATH"),
    ("redis", "redis://HOST"),
    ("rediss", "rediss://HOST"),
    ("redis+sentinel", "redis+sentinel://HOST,HOST/SERVICE"),
    ("rediss+sentinel", "rediss+sentinel://HOST,HOST/SERVICE"),
    ("redis+cluster", "redis+cluster://HOST,HOST"),
    ("rediss+cluster", "rediss+cluster://HOST,HOST"),
    ("mongodb", "mongodb://HOST"),
    ("mongo", "mongodb://HOST"),
    ("levelup", "fjall:PATH"),
    ("leveldb", "fjall:PATH"),
];

/// A store and what it needs to be opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum StoreChoice {
    /// Everything lives as long as the process.
    #[default]
    Memory,
    /// On this machine's disk, in a folder of its own.
    Fjall {
        /// The folder.
        path: PathBuf,
        /// What must be on the disk before something is acknowledged.
        durability: Durability,
    },
    /// In Redis, behind Sentinels too.
    Redis(ServerUrl),
    /// In MongoDB.
    Mongo(ServerUrl),
}

impl StoreChoice {
    /// The folder of `--db`.
    pub(crate) fn fjall(path: impl Into<PathBuf>) -> Self {
        Self::Fjall {
            path: path.into(),
            durability: Durability::default(),
        }
    }
}

impl FromStr for StoreChoice {
    type Err = ChoiceError;

    fn from_str(text: &str) -> Result<Self, ChoiceError> {
        if text.eq_ignore_ascii_case("memory") {
            return Ok(Self::Memory);
        }
        let Some((scheme, rest)) = text.split_once(':') else {
            return Err(ChoiceError::unknown(text));
        };
        let scheme = scheme.to_ascii_lowercase();
        match scheme.as_str() {
            "fjall" if rest.is_empty() => Err(ChoiceError::NoPath),
            "fjall" => Ok(Self::fjall(rest)),
            "redis" | "rediss" | "redis+sentinel" | "rediss+sentinel" | "redis+cluster"
            | "rediss+cluster" => Ok(Self::Redis(text.parse()?)),
            "mongodb" => Ok(Self::Mongo(text.parse()?)),
            "mongodb+srv" => Err(ChoiceError::Srv),
            _ => Err(ChoiceError::unknown(&scheme)),
        }
    }
}

/// For the log and for complaints: without passwords.
impl fmt::Display for StoreChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("memory"),
            Self::Fjall { path, .. } => write!(f, "fjall:{}", path.display()),
            Self::Redis(url) | Self::Mongo(url) => url.fmt(f),
        }
    }
}

/// Why a text chooses no store.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ChoiceError {
    /// Nothing of that name.
    #[error("there is no store `{name}`{suggestion}; there are {CHOICES}")]
    Unknown {
        /// What was asked for.
        name: String,
        /// What may have been meant.
        suggestion: String,
    },
    /// `fjall:` alone.
    #[error("`fjall:` lacks the path of a folder, as in fjall:/var/lib/mosca")]
    NoPath,
    /// Nobody here asks DNS for more than addresses.
    #[error(
        "mongodb+srv:// is not understood, as it takes a resolver of its own: write the hosts, as in \
         mongodb://HOST,HOST,HOST/DATABASE?replicaSet=NAME&tls=true"
    )]
    Srv,
    /// The address is not one.
    #[error(transparent)]
    Url(#[from] UrlError),
}

impl ChoiceError {
    fn unknown(name: &str) -> Self {
        // What looks like a path was most likely meant as one.
        let suggestion = if name.contains(['/', '.']) && !name.contains("//") {
            format!("; a folder is chosen by `fjall:{name}`")
        } else {
            let names = SCHEMES.iter().map(|&(name, _)| name);
            let similar = closest(&name.to_ascii_lowercase(), names);
            let meant = similar.and_then(|similar| {
                let found = SCHEMES.iter().find(|&&(name, _)| name == similar);
                found.map(|&(_, meant)| format!("; did you mean `{meant}`?"))
            });
            meant.unwrap_or_default()
        };
        Self::Unknown {
            name: name.to_owned(),
            suggestion,
        }
    }
}

/// What must be on the disk before something is acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Durability {
    /// All of it: neither a crash of the broker nor one of the machine loses anything.
    #[default]
    Always,
    /// It is written, and brought to the disk this often: a crash of the machine loses that much.
    Interval(Duration),
    /// It is written, and brought to the disk when the system likes.
    Os,
}

/// Longest interval that makes sense, in milliseconds: a minute.
const INTERVAL_MAX_MS: u64 = 60_000;

impl FromStr for Durability {
    type Err = DurabilityError;

    fn from_str(text: &str) -> Result<Self, DurabilityError> {
        match text.split_once(':') {
            None if text == "always" => Ok(Self::Always),
            None if text == "os" => Ok(Self::Os),
            Some(("interval", millis)) => match millis.parse() {
                Ok(millis @ 1..=INTERVAL_MAX_MS) => {
                    Ok(Self::Interval(Duration::from_millis(millis)))
                }
                _ => Err(DurabilityError(text.to_owned())),
            },
            _ => Err(DurabilityError(text.to_owned())),
        }
    }
}

/// Not a durability.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is none of always, os and interval:MS with 1 to {INTERVAL_MAX_MS} ms")]
pub(crate) struct DurabilityError(String);

#[cfg(test)]
mod tests;
