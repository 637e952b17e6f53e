//! A section of a config file, read key by key: whatever is wrong is named with its key, its value
//! and what is expected; what nobody asked for is an error.

use std::ops::RangeInclusive;

use serde_json::{Map, Value};

use crate::store::closest;

/// What is wrong in a file.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SectionError {
    /// A value of the wrong kind, or out of range.
    #[error("`{key}` is {value}; expected is {expected}")]
    Wrong {
        /// The whole name, with those of the sections around it.
        key: String,
        /// The value as it stands there.
        value: String,
        /// What should stand there.
        expected: String,
    },
    /// A key that means nothing.
    #[error("there is no option `{key}`{suggestion}; there are {known}")]
    Unknown {
        /// The whole name.
        key: String,
        /// What may have been meant.
        suggestion: String,
        /// What is known at this place.
        known: String,
    },
    /// Something that has to be there is not.
    #[error("`{key}` is missing; expected is {expected}")]
    Missing {
        /// The whole name.
        key: String,
        /// What should stand there.
        expected: String,
    },
    /// Two things that exclude each other, or something that is not to be had.
    #[error("`{key}` {reason}")]
    Conflict {
        /// The whole name.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// One object of a file. Keys that are `null` count as absent.
pub(super) struct Section<'a> {
    /// Its name with a dot behind it; empty for the whole file.
    prefix: String,
    fields: &'a Map<String, Value>,
    asked: Vec<&'static str>,
}

impl<'a> Section<'a> {
    /// The whole file.
    pub(super) fn root(value: &'a Value) -> Result<Self, SectionError> {
        match value {
            Value::Object(fields) => Ok(Self {
                prefix: String::new(),
                fields,
                asked: Vec::new(),
            }),
            other => Err(SectionError::Wrong {
                key: "the file".to_owned(),
                value: shown(other),
                expected: "an object of options".to_owned(),
            }),
        }
    }

    /// The whole name of a key.
    pub(super) fn name(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    fn get(&mut self, key: &'static str) -> Option<&'a Value> {
        if !self.asked.contains(&key) {
            self.asked.push(key);
        }
        self.fields.get(key).filter(|value| !value.is_null())
    }

    /// Whether the key is there; it is known from then on.
    pub(super) fn has(&mut self, key: &'static str) -> bool {
        self.get(key).is_some()
    }

    fn wrong(&self, key: &str, value: &Value, expected: impl Into<String>) -> SectionError {
        // What is in an error gets into logs.
        let value = if key.to_ascii_lowercase().contains("password") {
            format!("{} that is not shown", kind(value))
        } else {
            shown(value)
        };
        SectionError::Wrong {
            key: self.name(key),
            value,
            expected: expected.into(),
        }
    }

    pub(super) fn missing(&self, key: &str, expected: &str) -> SectionError {
        SectionError::Missing {
            key: self.name(key),
            expected: expected.to_owned(),
        }
    }

    pub(super) fn conflict(&self, key: &str, reason: impl Into<String>) -> SectionError {
        SectionError::Conflict {
            key: self.name(key),
            reason: reason.into(),
        }
    }

    /// A text that is not empty.
    pub(super) fn string(&mut self, key: &'static str) -> Result<Option<&'a str>, SectionError> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::String(text)) if !text.is_empty() => Ok(Some(text)),
            Some(other) => Err(self.wrong(key, other, "a text that is not empty")),
        }
    }

    /// A list of texts that are not empty.
    pub(super) fn strings(&mut self, key: &'static str) -> Result<Vec<&'a str>, SectionError> {
        let Some(value) = self.get(key) else {
            return Ok(Vec::new());
        };
        let texts = value.as_array().and_then(|list| {
            let texts = list
                .iter()
                .map(|one| one.as_str().filter(|text| !text.is_empty()));
            texts.collect::<Option<Vec<_>>>()
        });
        texts.ok_or_else(|| self.wrong(key, value, "a list of texts that are not empty"))
    }

    /// An object of texts that are not empty, by their names.
    pub(super) fn named_strings(
        &mut self,
        key: &'static str,
    ) -> Result<Vec<(&'a str, &'a str)>, SectionError> {
        let Some(value) = self.get(key) else {
            return Ok(Vec::new());
        };
        let texts = value.as_object().and_then(|fields| {
            let texts = fields.iter().map(|(name, one)| {
                let text = one.as_str().filter(|text| !text.is_empty())?;
                Some((name.as_str(), text))
            });
            texts.collect::<Option<Vec<_>>>()
        });
        texts.ok_or_else(|| self.wrong(key, value, "an object of texts that are not empty"))
    }

    /// A whole number; `unit` stands behind the range in complaints.
    pub(super) fn integer(
        &mut self,
        key: &'static str,
        range: RangeInclusive<u64>,
        unit: &str,
    ) -> Result<Option<u64>, SectionError> {
        let Some(value) = self.get(key) else {
            return Ok(None);
        };
        match value.as_u64() {
            Some(number) if range.contains(&number) => Ok(Some(number)),
            _ => {
                let (from, to) = (range.start(), range.end());
                let expected = format!("a whole number from {from} to {to}{unit}");
                Err(self.wrong(key, value, expected))
            }
        }
    }

    /// A port; 0 takes any that is free.
    pub(super) fn port(&mut self, key: &'static str) -> Result<Option<u16>, SectionError> {
        let port = self.integer(key, 0..=65_535, "")?;
        Ok(port.and_then(|port| u16::try_from(port).ok()))
    }

    pub(super) fn boolean(&mut self, key: &'static str) -> Result<Option<bool>, SectionError> {
        match self.get(key) {
            None => Ok(None),
            Some(&Value::Bool(flag)) => Ok(Some(flag)),
            Some(other) => Err(self.wrong(key, other, "true or false")),
        }
    }

    /// What is off (`None`), on (`Some(None)`), or on with a text that is not empty.
    pub(super) fn switch_or_string(
        &mut self,
        key: &'static str,
        expected: &str,
    ) -> Result<Option<Option<&'a str>>, SectionError> {
        match self.get(key) {
            None | Some(Value::Bool(false)) => Ok(None),
            Some(Value::Bool(true)) => Ok(Some(None)),
            Some(Value::String(text)) if !text.is_empty() => Ok(Some(Some(text))),
            Some(other) => Err(self.wrong(key, other, expected)),
        }
    }

    /// One of several words, in any case.
    pub(super) fn one_of<T: Copy>(
        &mut self,
        key: &'static str,
        words: &[(&'static str, T)],
    ) -> Result<Option<T>, SectionError> {
        let Some(value) = self.get(key) else {
            return Ok(None);
        };
        let text = value.as_str().unwrap_or_default();
        let found = words
            .iter()
            .find(|(word, _)| word.eq_ignore_ascii_case(text));
        match found {
            Some(&(_, meant)) => Ok(Some(meant)),
            None => {
                let names: Vec<_> = words.iter().map(|&(word, _)| word).collect();
                let mut expected = format!("one of {}", names.join(", "));
                if let Some(similar) = closest(text, names) {
                    expected.push_str(&format!(" (did you mean `{similar}`?)"));
                }
                Err(self.wrong(key, value, expected))
            }
        }
    }

    /// A text that is read by its type.
    pub(super) fn parsed<T: std::str::FromStr>(
        &mut self,
        key: &'static str,
        expected: &str,
    ) -> Result<Option<T>, SectionError> {
        let Some(value) = self.get(key) else {
            return Ok(None);
        };
        match value.as_str().map(str::parse) {
            Some(Ok(parsed)) => Ok(Some(parsed)),
            _ => Err(self.wrong(key, value, expected)),
        }
    }

    /// Whether this is on, and nothing more is said of it.
    pub(super) fn is_true(&mut self, key: &'static str) -> bool {
        self.get(key) == Some(&Value::Bool(true))
    }

    /// What is off (`Some(None)`), or a section within this one.
    pub(super) fn switch_or_section(
        &mut self,
        key: &'static str,
        expected: &str,
    ) -> Result<Option<Option<Self>>, SectionError> {
        match self.get(key) {
            Some(Value::Bool(false)) => Ok(Some(None)),
            Some(other) if !other.is_object() => Err(self.wrong(key, other, expected)),
            _ => Ok(self.section(key)?.map(Some)),
        }
    }

    /// A section within this one.
    pub(super) fn section(&mut self, key: &'static str) -> Result<Option<Self>, SectionError> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Object(fields)) => Ok(Some(Self {
                prefix: format!("{}{key}.", self.prefix),
                fields,
                asked: Vec::new(),
            })),
            Some(other) => Err(self.wrong(key, other, "an object of options")),
        }
    }

    /// A list of sections.
    pub(super) fn sections(&mut self, key: &'static str) -> Result<Vec<Self>, SectionError> {
        let Some(value) = self.get(key) else {
            return Ok(Vec::new());
        };
        let fields = value.as_array().and_then(|list| {
            let objects = list.iter().map(Value::as_object);
            objects.collect::<Option<Vec<_>>>()
        });
        let Some(fields) = fields else {
            return Err(self.wrong(key, value, "a list of objects"));
        };
        let sections = fields.into_iter().enumerate().map(|(number, fields)| Self {
            prefix: format!("{}{key}[{number}].", self.prefix),
            fields,
            asked: Vec::new(),
        });
        Ok(sections.collect())
    }

    /// All that is known has been asked for: anything else is an error.
    pub(super) fn finish(self) -> Result<(), SectionError> {
        let unknown = self
            .fields
            .keys()
            .find(|key| !self.asked.contains(&key.as_str()));
        let Some(key) = unknown else { return Ok(()) };
        let similar = closest(key, self.asked.iter().copied());
        Err(SectionError::Unknown {
            key: self.name(key),
            suggestion: similar.map_or_else(String::new, |similar| {
                format!("; did you mean `{similar}`?")
            }),
            known: self.asked.join(", "),
        })
    }
}

/// A value as it is shown in a complaint.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => format!("the text {text:?}"),
        Value::Array(_) | Value::Object(_) => kind(value).to_owned(),
        plain => plain.to_string(),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
