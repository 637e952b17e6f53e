//! From the text of a file to values: JSON (with comments), TOML or YAML.

mod json;
mod toml;
mod yaml;

use std::path::Path;

#[cfg(test)]
use crate::value::Data;
use crate::value::{Object, Value};

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// JSON; comments (`//`, `/* */`) and commas behind the last of several are understood.
    Json,
    /// TOML 1.1.
    Toml,
    /// YAML 1.2, core schema, one document; anchors stand for copies of what they name.
    Yaml,
}

/// All formats with their names.
pub const FORMATS: [(&str, Format); 3] = [
    ("json", Format::Json),
    ("toml", Format::Toml),
    ("yaml", Format::Yaml),
];

impl Format {
    /// The format that the name of a file promises: `.toml` is TOML, `.yaml` and `.yml` are YAML, all else
    /// is JSON.
    pub fn of_path(path: &Path) -> Self {
        let extension = path.extension().unwrap_or_default().to_ascii_lowercase();
        match extension.to_str() {
            Some("toml") => Self::Toml,
            Some("yaml" | "yml") => Self::Yaml,
            _ => Self::Json,
        }
    }

    /// Its name for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Json => "JSON",
            Self::Toml => "TOML",
            Self::Yaml => "YAML",
        }
    }

    /// Reads a text.
    ///
    /// ```
    /// use mosca_options::Format;
    ///
    /// let value = Format::Yaml.parse("port: 1884\nhttp:\n  port: 3000\n")?;
    /// let http = value.as_object().and_then(|options| options.get("http")).unwrap();
    /// assert_eq!(http.line, Some(2));
    /// # Ok::<_, mosca_options::SyntaxError>(())
    /// ```
    ///
    /// # Errors
    /// The text is not of this format, or one of its objects has a key twice.
    pub fn parse(self, text: &str) -> Result<Value, SyntaxError> {
        // Some editors put it there.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        match self {
            Self::Json => json::parse(text),
            Self::Toml => toml::parse(text),
            Self::Yaml => yaml::parse(text),
        }
    }
}

/// Why a text is not of its format.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct SyntaxError {
    /// Where, from 1.
    pub line: usize,
    /// What is wrong there.
    pub reason: String,
}

/// The lines of a text by positions in it.
struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Self {
        Self(text.match_indices('\n').map(|(at, _)| at).collect())
    }

    /// The line of a byte, from 1.
    fn of_byte(&self, at: usize) -> usize {
        self.0.partition_point(|&end| end < at) + 1
    }
}

/// Adds a key that must not be there yet.
fn insert_new(
    object: &mut Object,
    key: String,
    value: Value,
    line: usize,
) -> Result<(), SyntaxError> {
    let reason = format!("the key `{}` is there twice", key.escape_debug());
    let value = Value {
        line: Some(line),
        ..value
    };
    match object.insert(key, value) {
        None => Ok(()),
        Some(_) => Err(SyntaxError { line, reason }),
    }
}

#[cfg(test)]
mod tests;
