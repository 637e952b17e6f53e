//! What holds in the end: the command line where it says something, then the config file, then the
//! defaults.

use tracing::Level;

use crate::access::AccessChoice;
use crate::args::Args;
use crate::config::{Config, ConfigError, Keeping};
use crate::limits::{Limits, WrongLimit};
use crate::listening::{InterfaceChoice, ListeningError, interfaces};
use crate::own_topics::OwnTopics;
use crate::store::{ChoiceError, Durability, DurabilityError, StoreChoice};

/// All that the broker is started with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    /// Where to listen.
    pub(crate) interfaces: Vec<InterfaceChoice>,
    /// Who may come in, and what clients may do.
    pub(crate) access: AccessChoice,
    /// What clients can make grow, and how far.
    pub(crate) limits: Limits,
    /// What the broker says of itself.
    pub(crate) own_topics: OwnTopics,
    /// Threads that serve clients.
    pub(crate) threads: Option<u16>,
    /// How much is logged.
    pub(crate) level: Level,
    /// What keeps sessions and messages.
    pub(crate) store: StoreChoice,
    /// What the store is given to keep, and for how long.
    pub(crate) keeping: Keeping,
    /// To be said in the log: what the config file says in vain.
    pub(crate) without_effect: Vec<String>,
}

/// Why there are no settings.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SettingsError {
    /// The command line is wrong.
    #[error(transparent)]
    Usage(#[from] UsageError),
    /// The config file is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

/// What is wrong with a command line that could be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UsageError {
    /// Where to listen makes no sense.
    #[error(transparent)]
    Listening(#[from] ListeningError),
    /// A limit is out of range.
    #[error("{0}: {1}")]
    Limit(&'static str, WrongLimit),
    /// The store is none.
    #[error("--persistence: {0}")]
    Store(#[from] ChoiceError),
    /// The durability is none.
    #[error("--durability: {0}")]
    Durability(#[from] DurabilityError),
    /// The chosen store has no such choice.
    #[error(
        "--durability is for a store on this machine's disk (--db PATH), and the store is {0}; {1}"
    )]
    DurabilityOf(String, &'static str),
}

impl Settings {
    /// Joins the command line with the config file that it names.
    pub(crate) fn from_args(args: &Args) -> Result<Self, SettingsError> {
        let config = match &args.config {
            Some(path) => Config::read(path)?,
            None => Config::default(),
        };
        Ok(Self::join(args, config)?)
    }

    fn join(args: &Args, config: Config) -> Result<Self, UsageError> {
        let section = config.persistence;
        let chosen = match (&args.db, &args.persistence) {
            (Some(path), _) => Some(StoreChoice::fjall(path)),
            (None, Some(text)) => Some(text.parse()?),
            (None, None) => None,
        };
        let keeping = section.as_ref().map(|section| section.keeping);
        let mut store = chosen
            .or(section.map(|section| section.store))
            .unwrap_or_default();
        if let Some(text) = &args.durability {
            set_durability(&mut store, text.parse()?)?;
        }
        let mut limits = config.limits;
        for (flag, key, given) in args.limits() {
            if let Some(given) = given {
                let set = limits.set_number(key, given);
                set.map_err(|error| UsageError::Limit(flag, error))?;
            }
        }
        Ok(Self {
            interfaces: interfaces(args, config.listening)?,
            access: config.access.or_users_of(args),
            limits,
            own_topics: config.own_topics.or_of(args),
            threads: args.threads.or(config.threads),
            level: level(args).or(config.level).unwrap_or(Level::WARN),
            store,
            keeping: keeping.unwrap_or_default(),
            without_effect: config.without_effect,
        })
    }
}

fn set_durability(store: &mut StoreChoice, chosen: Durability) -> Result<(), UsageError> {
    let shown = store.to_string();
    let advice = match store {
        StoreChoice::Fjall { durability, .. } => {
            *durability = chosen;
            return Ok(());
        }
        StoreChoice::Memory => "nothing in memory is durable",
        StoreChoice::Redis(_) => "what Redis brings to its disk is set there (appendfsync)",
        StoreChoice::Mongo(_) => "MongoDB is always asked for the majority and the journal",
    };
    Err(UsageError::DurabilityOf(shown, advice))
}

/// How much is logged, if the command line says so.
fn level(args: &Args) -> Option<Level> {
    match args {
        Args {
            very_verbose: true, ..
        } => Some(Level::DEBUG),
        Args { verbose: true, .. } => Some(Level::INFO),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::PersistenceSection;
    use crate::listening::{Kind, Listening};
    use clap::Parser as _;
    use std::time::Duration;

    fn joined(arguments: &[&str], config: Config) -> Result<Settings, String> {
        let arguments = ["mosca"].iter().chain(arguments);
        Settings::join(&Args::parse_from(arguments), config).map_err(|error| error.to_string())
    }

    const KEEPING: Keeping = Keeping {
        session_expiry_secs: Some(60),
        queued_message_expiry_secs: Some(50),
        queue_qos_0: Some(true),
    };

    fn file() -> Config {
        Config {
            listening: Listening {
                port: Some(1),
                host: Some("file".to_owned()),
                http_port: Some(2),
                ..Listening::default()
            },
            access: AccessChoice {
                users_file: Some("/file.json".into()),
                ..AccessChoice::default()
            },
            limits: Limits::default(),
            own_topics: OwnTopics::default(),
            threads: Some(3),
            level: Some(Level::TRACE),
            persistence: Some(PersistenceSection {
                store: StoreChoice::fjall("/file"),
                keeping: KEEPING,
            }),
            without_effect: vec!["x".to_owned()],
        }
    }

    /// MQTT and WebSocket.
    fn both(host: &str, port: u16, http_port: u16) -> Vec<InterfaceChoice> {
        let kinds = [(Kind::Mqtt, port), (Kind::Http, http_port)];
        let choices = kinds.map(|(kind, port)| InterfaceChoice {
            host: Some(host.to_owned()),
            ..InterfaceChoice::new(kind, Some(port))
        });
        choices.into()
    }

    #[test]
    fn without_anything_the_defaults_hold() {
        let settings = joined(&[], Config::default()).unwrap();
        let expected = Settings {
            interfaces: vec![InterfaceChoice::new(Kind::Mqtt, Some(1_883))],
            access: AccessChoice::default(),
            limits: Limits::default(),
            own_topics: OwnTopics::default(),
            threads: None,
            level: Level::WARN,
            store: StoreChoice::Memory,
            keeping: Keeping::default(),
            without_effect: Vec::new(),
        };
        assert_eq!(settings, expected);
    }

    #[test]
    fn the_file_counts_where_the_command_line_says_nothing() {
        let settings = joined(&[], file()).unwrap();
        let expected = Settings {
            interfaces: both("file", 1, 2),
            access: AccessChoice {
                users_file: Some("/file.json".into()),
                ..AccessChoice::default()
            },
            limits: Limits::default(),
            own_topics: OwnTopics::default(),
            threads: Some(3),
            level: Level::TRACE,
            store: StoreChoice::fjall("/file"),
            keeping: KEEPING,
            without_effect: vec!["x".to_owned()],
        };
        assert_eq!(settings, expected);
    }

    #[test]
    fn the_command_line_counts_before_the_file() {
        let arguments = [
            "-p",
            "9",
            "--host",
            "line",
            "--ws-port",
            "8",
            "--threads",
            "7",
            "-v",
            "--db",
            "/line",
            "--credentials",
            "/line.json",
        ];
        let settings = joined(&arguments, file()).unwrap();
        assert_eq!(settings.interfaces, both("line", 9, 8));
        assert_eq!(settings.access.users_file, Some("/line.json".into()));
        assert_eq!(settings.threads, Some(7));
        assert_eq!(settings.level, Level::INFO);
        assert_eq!(settings.store, StoreChoice::fjall("/line"));
        // They are the broker's, not the store's.
        assert_eq!(settings.keeping, KEEPING);
        let settings = joined(&["--persistence", "memory", "--very-verbose"], file()).unwrap();
        assert_eq!(settings.store, StoreChoice::Memory);
        assert_eq!(settings.level, Level::DEBUG);
    }

    #[test]
    fn limits_of_the_command_line_count_before_those_of_the_file() {
        let limits = |given: [(&'static str, u64); 2]| {
            let mut limits = Limits::default();
            for (key, given) in given {
                limits.set_number(key, given).unwrap();
            }
            limits
        };
        let config = Config {
            limits: limits([("maxInflight", 1), ("maxSessions", 2)]),
            ..Config::default()
        };
        let settings = joined(&["--max-inflight", "3"], config).unwrap();
        let expected = limits([("maxInflight", 3), ("maxSessions", 2)]);
        assert_eq!(settings.limits, expected);
        let error = joined(&["--max-inflight", "65536"], Config::default()).unwrap_err();
        let expected = "--max-inflight: 65536 is not a whole number from 1 to 65535";
        assert_eq!(error, expected);
    }

    #[test]
    fn what_is_said_below_sys_is_up_to_the_file_and_the_flags_before_it() {
        let config = || Config {
            own_topics: OwnTopics {
                id: Some("file".to_owned()),
                statistics: Some(Some(Duration::from_secs(1))),
                new_client: Some(false),
                ..OwnTopics::default()
            },
            ..Config::default()
        };
        let own = |arguments: &[&str]| joined(arguments, config()).unwrap().own_topics;
        assert_eq!(own(&[]), config().own_topics);
        let expected = OwnTopics {
            id: Some("line".to_owned()),
            statistics: Some(None),
            ..config().own_topics
        };
        assert_eq!(own(&["--broker-id", "line", "--disable-stats"]), expected);
    }

    #[test]
    fn durability_is_for_a_store_on_disk_wherever_that_was_chosen() {
        let interval = Durability::Interval(Duration::from_millis(50));
        for (arguments, config) in [
            (&["--db", "/x"][..], Config::default()),
            (&["--persistence", "fjall:/x"], Config::default()),
            (&[], file()),
        ] {
            let arguments = [arguments, &["--durability", "interval:50"]].concat();
            let settings = joined(&arguments, config).unwrap();
            let StoreChoice::Fjall { durability, .. } = settings.store else {
                panic!("{:?}", settings.store);
            };
            assert_eq!(durability, interval);
        }
        for (store, advice) in [
            ("memory", "nothing in memory"),
            ("redis://:secret@a", "appendfsync"),
            ("mongodb://a", "journal"),
        ] {
            let arguments = ["--persistence", store, "--durability", "os"];
            let error = joined(&arguments, Config::default()).unwrap_err();
            assert!(error.contains(advice), "{error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn a_wrong_value_is_named_with_its_flag() {
        let error = joined(&["--persistence", "reddis://a"], Config::default()).unwrap_err();
        assert!(error.starts_with("--persistence: "), "{error}");
        let arguments = ["--db", "/x", "--durability", "maybe"];
        let error = joined(&arguments, Config::default()).unwrap_err();
        assert!(error.starts_with("--durability: "), "{error}");
    }
}
