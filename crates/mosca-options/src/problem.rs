//! What is wrong in a file, with its key, its value and its line.

use std::fmt;

use crate::value::Value;

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The line of the file, from 1; `None` for what is in no file.
    pub line: Option<usize>,
    /// The option's whole name, such as `interfaces[0].port`; empty for the file itself.
    pub key: String,
    /// What is wrong with it, behind the name.
    pub what: String,
}

/// The line, where there is one, the name, and what is wrong.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        if self.key.is_empty() {
            return f.write_str(&self.what);
        }
        write!(f, "`{}` {}", self.key, self.what)
    }
}

impl Problem {
    /// Something is wrong with the value of a key.
    pub fn of(key: impl Into<String>, value: &Value, what: impl Into<String>) -> Self {
        Self {
            line: value.line,
            key: key.into(),
            what: what.into(),
        }
    }
}

/// The name that was most likely meant, if any is near.
pub fn closest<'a>(wrong: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = (wrong.chars().count() / 3).max(1);
    let wrong = wrong.to_ascii_lowercase();
    let distances = names.into_iter().map(|name| {
        let name_lower = name.to_ascii_lowercase();
        let distance = strsim::damerau_levenshtein(&wrong, &name_lower);
        // Who leaves out the end, such as a unit, means the name that begins so.
        let is_begun = wrong.len() > 5 && name_lower.starts_with(&wrong);
        (
            if is_begun {
                allowed.min(distance)
            } else {
                distance
            },
            name,
        )
    });
    let near = distances.filter(|&(distance, _)| distance <= allowed);
    near.min_by_key(|&(distance, _)| distance)
        .map(|(_, name)| name)
}
