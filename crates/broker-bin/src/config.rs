//! The options of a config file, with the environment and flags over them, as what the command starts with.
//!
//! What may be in a file is the crate `mosca-options`' to know; here is what it means for the command.

mod access;
mod backend;
mod listening;
mod persistence;
mod section;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use mosca_options::{
    Format, Object, Problem, Value, populate, validate, with_environment, without_effect,
};
use tracing::level_filters::LevelFilter;

use crate::access::AccessChoice;
use crate::engine::EngineChoice;
use crate::listening::InterfaceChoice;
use crate::log::LogFormat;
use crate::store::StoreChoice;
use section::Section;

/// What options say; `None` where they say nothing.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Config {
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
    /// What is said in vain.
    pub(crate) without_effect: Vec<Problem>,
}

/// Why a file is not used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
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
        "{}: a config file is JSON, TOML or YAML; a JavaScript module has to be written as one of these",
        path.display()
    )]
    JavaScript {
        /// Which file.
        path: PathBuf,
    },
    /// Not of its format.
    #[error("{}:{line}: this is not {format}: {reason}", path.display())]
    Syntax {
        /// Which file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// For what it was taken.
        format: &'static str,
        /// What the parser says.
        reason: String,
    },
}

/// Options that cannot be used: all that is wrong with them, a line each.
#[derive(Debug, thiserror::Error)]
pub(crate) struct WrongOptions {
    /// The file of the lines that are named.
    pub(crate) path: Option<PathBuf>,
    /// What is wrong.
    pub(crate) problems: Vec<Problem>,
}

impl fmt::Display for WrongOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, problem) in self.problems.iter().enumerate() {
            if number > 0 {
                f.write_str("\nmosca: ")?;
            }
            f.write_str(&shown(self.path.as_deref(), problem))?;
        }
        Ok(())
    }
}

/// What is wrong with an option, or in vain: the file with the line, the name, and what it is.
pub(crate) fn shown(path: Option<&Path>, Problem { line, key, what }: &Problem) -> String {
    let place = match (path, line) {
        (Some(path), Some(line)) => format!("{}:{line}: ", path.display()),
        _ => String::new(),
    };
    let name = match key.chars().next() {
        None => String::new(),
        // A flag.
        Some('-') => format!("{key} "),
        Some(_) => format!("`{key}` "),
    };
    format!("{place}{name}{what}")
}

/// Reads a file. Its name tells the format.
pub(crate) fn read(path: &Path) -> Result<Value, FileError> {
    let path = path.to_owned();
    let extension = path.extension().unwrap_or_default().to_ascii_lowercase();
    let is_script = ["js", "cjs", "mjs", "ts"]
        .iter()
        .any(|&it| extension == *it);
    if is_script {
        return Err(FileError::JavaScript { path });
    }
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(source) => return Err(FileError::Unreadable { path, source }),
    };
    let format = Format::of_path(&path);
    format.parse(&text).map_err(|error| FileError::Syntax {
        path,
        line: error.line,
        format: format.name(),
        reason: error.reason,
    })
}

/// The options with those of the environment over them.
pub(crate) fn with_variables(file: &Value) -> Result<Value, Vec<Problem>> {
    let variables = std::env::vars_os().filter_map(|(name, value)| {
        // What is no text names no option.
        Some((name.into_string().ok()?, value.into_string().ok()?))
    });
    with_environment(file, variables)
}

impl Config {
    /// What options in either form say, whether they are a file's or come from elsewhere.
    ///
    /// # Errors
    /// All that is wrong with them.
    pub(crate) fn of(file: &Value) -> Result<Self, Vec<Problem>> {
        let problems = validate(file);
        let populated = populate(file);
        let Some(options) = populated.as_object().filter(|_| problems.is_empty()) else {
            return Err(problems);
        };
        let root = Section::root(options);
        let access = root.section("authentication").map(|it| access::read(&it));
        let store = root.section("persistence").map(|it| persistence::read(&it));
        let engine = root.section("backend").map(|it| backend::read(&it));
        let logger = root.section("logger");
        let logger = logger.as_ref();
        let level = logger.and_then(|it| it.word("level", &LEVELS));
        let log_format = logger.and_then(|it| it.word("format", &LogFormat::NAMES));
        Ok(Self {
            interfaces: listening::read(&root).map_err(|it| vec![it])?,
            access: access.unwrap_or_default(),
            options: options.clone(),
            threads: root.number("threads"),
            level: level.unwrap_or(LevelFilter::WARN),
            log_format: log_format.unwrap_or_default(),
            store: store
                .transpose()
                .map_err(|it| vec![it])?
                .unwrap_or_default(),
            engine: engine
                .transpose()
                .map_err(|it| vec![it])?
                .unwrap_or_default(),
            without_effect: without_effect(file),
        })
    }
}

/// By pino's words and numbers.
const LEVELS: [(&str, LevelFilter); 13] = [
    ("silent", LevelFilter::OFF),
    // What ends the broker is an error here.
    ("fatal", LevelFilter::ERROR),
    ("60", LevelFilter::ERROR),
    ("error", LevelFilter::ERROR),
    ("50", LevelFilter::ERROR),
    ("warn", LevelFilter::WARN),
    ("40", LevelFilter::WARN),
    ("info", LevelFilter::INFO),
    ("30", LevelFilter::INFO),
    ("debug", LevelFilter::DEBUG),
    ("20", LevelFilter::DEBUG),
    ("trace", LevelFilter::TRACE),
    ("10", LevelFilter::TRACE),
];

#[cfg(test)]
mod tests;
