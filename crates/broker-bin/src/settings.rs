//! What holds in the end: the command line where it says something, then the config file, then the
//! defaults.

use std::env;
use std::path::{Path, PathBuf};

use mosca_options::{Object, Problem, Value, problem_of_file, unreadable_files, variable_of};
use tracing::level_filters::LevelFilter;

use crate::access::AccessChoice;
use crate::args::Args;
use crate::config::{self, Config, FileError, WrongOptions};
use crate::engine::EngineChoice;
use crate::flags::{FlagError, flag_of, with_flags};
use crate::listening::InterfaceChoice;
use crate::log::LogFormat;
use crate::store::{ChoiceError, Durability, DurabilityError, StoreChoice};

/// All that the broker is started with.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Settings {
    /// Where to listen.
    pub(crate) interfaces: Vec<InterfaceChoice>,
    /// Who may come in, and what clients may do.
    pub(crate) access: AccessChoice,
    /// All options with their defaults, for the server's own.
    pub(crate) options: Object,
    /// Threads that serve clients.
    pub(crate) threads: Option<u16>,
    /// How much is logged.
    pub(crate) level: LevelFilter,
    /// What lines of the log look like.
    pub(crate) log_format: LogFormat,
    /// What keeps sessions and messages.
    pub(crate) store: StoreChoice,
    /// What connects this broker with others.
    pub(crate) engine: EngineChoice,
    /// The options as they were said, with their lines.
    said: Value,
    /// The file of these lines.
    file: Option<PathBuf>,
    /// To be said in the log: what is said in vain.
    pub(crate) without_effect: Vec<String>,
}

/// Why there are no settings.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SettingsError {
    /// The command line is wrong.
    #[error(transparent)]
    Usage(#[from] UsageError),
    /// There is no config file.
    #[error(transparent)]
    File(#[from] FileError),
    /// Its options are wrong, or those of the environment, or a file that is named cannot be read.
    #[error(transparent)]
    Options(#[from] WrongOptions),
}

/// What is wrong with a command line that could be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UsageError {
    /// Flags that make no sense.
    #[error(transparent)]
    Flags(#[from] FlagError),
    /// What a flag says is out of range, or lacks something.
    #[error(transparent)]
    Options(WrongOptions),
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
    /// Joins the command line, the environment and the config file that is named.
    pub(crate) fn from_args(args: &Args) -> Result<Self, SettingsError> {
        let file = match &args.config {
            Some(path) => config::read(path)?,
            None => Object::new().into(),
        };
        let file = config::with_variables(&file).map_err(|problems| named(args, problems))?;
        let options = with_flags(args, &file).map_err(UsageError::from)?;
        let config = Config::of(&options).map_err(|problems| {
            let wrong = named(args, problems);
            // Who has to mend it: whoever wrote the file, or whoever typed the command line.
            match Config::of(&file) {
                Ok(_) => UsageError::Options(wrong).into(),
                Err(_) => SettingsError::Options(wrong),
            }
        })?;
        let unreadable = unreadable_files(&options);
        if !unreadable.is_empty() {
            return Err(named(args, unreadable).into());
        }
        Ok(Self::join(args, options, config)?)
    }

    /// What is wrong with a file that an option names, with that option; `None` if none does.
    pub(crate) fn problem_of_file(&self, path: &Path, what: &str) -> Option<WrongOptions> {
        let problem = problem_of_file(&self.said, path, what)?;
        Some(WrongOptions {
            path: self.file.clone(),
            problems: vec![problem],
        })
    }

    fn join(args: &Args, said: Value, config: Config) -> Result<Self, UsageError> {
        let mut store = match (&args.db, &args.persistence) {
            (Some(path), _) => StoreChoice::fjall(path),
            (None, Some(text)) => text.parse()?,
            (None, None) => config.store,
        };
        if let Some(text) = &args.durability {
            set_durability(&mut store, text.parse()?)?;
        }
        Ok(Self {
            interfaces: config.interfaces,
            access: config.access,
            options: config.options,
            threads: config.threads,
            level: config.level,
            log_format: config.log_format,
            store,
            engine: config.engine,
            said,
            file: args.config.clone(),
            without_effect: named(args, config.without_effect)
                .problems
                .iter()
                .map(|it| config::shown(args.config.as_deref(), it))
                .collect(),
        })
    }
}

/// What is wrong, with the file, and with flags and variables in place of the options that they have set.
fn named(args: &Args, mut problems: Vec<Problem>) -> WrongOptions {
    for problem in problems.iter_mut().filter(|it| it.line.is_none()) {
        let variable = variable_of(&problem.key);
        if let Some(flag) = flag_of(args, &problem.key) {
            problem.key = flag.to_owned();
        } else if env::var_os(&variable).is_some() {
            problem.key = variable;
        }
    }
    let path = args.config.clone();
    WrongOptions { path, problems }
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

#[cfg(test)]
mod tests;
