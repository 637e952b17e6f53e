//! An object of an options file that has been found to be right, read key by key.

use std::path::PathBuf;

use mosca_options::{Object, Problem, Value};

/// One object of the file.
pub(super) struct Section<'a> {
    /// Its name with a dot behind it; empty for the whole file.
    prefix: String,
    options: &'a Object,
}

impl<'a> Section<'a> {
    /// The whole file.
    pub(super) fn root(options: &'a Object) -> Self {
        let prefix = String::new();
        Self { prefix, options }
    }

    fn get(&self, key: &str) -> Option<&'a Value> {
        self.options.get(key)
    }

    /// Something that is wrong with a key, beyond what its definition says.
    pub(super) fn problem(&self, key: &str, what: impl Into<String>) -> Problem {
        let key_with_section = format!("{}{key}", self.prefix);
        match self.get(key) {
            Some(value) => Problem::of(key_with_section, value, what),
            None => Problem {
                line: None,
                key: key_with_section,
                what: what.into(),
            },
        }
    }

    /// A text.
    pub(super) fn text(&self, key: &str) -> Option<&'a str> {
        self.get(key)?.as_str()
    }

    /// One that may be kept.
    pub(super) fn string(&self, key: &str) -> Option<String> {
        self.text(key).map(str::to_owned)
    }

    /// A file or folder.
    pub(super) fn path(&self, key: &str) -> Option<PathBuf> {
        self.text(key).map(PathBuf::from)
    }

    /// The texts of a list.
    pub(super) fn texts(&self, key: &str) -> impl Iterator<Item = &'a str> + use<'a> {
        let list = self.get(key).and_then(Value::as_list).unwrap_or_default();
        list.iter().filter_map(Value::as_str)
    }

    /// The texts of an object by their names.
    pub(super) fn named_texts(&self, key: &str) -> impl Iterator<Item = (&'a str, &'a str)> {
        let object = self.object(key).into_iter().flat_map(Object::iter);
        object.filter_map(|(name, value)| Some((name, value.as_str()?)))
    }

    /// A whole number.
    pub(super) fn number<T: TryFrom<u64>>(&self, key: &str) -> Option<T> {
        self.get(key)?.as_u64()?.try_into().ok()
    }

    /// True or false.
    pub(super) fn flag(&self, key: &str) -> Option<bool> {
        self.get(key)?.as_bool()
    }

    /// What stands there, whatever it is.
    pub(super) fn value(&self, key: &str) -> Option<&'a Value> {
        self.get(key)
    }

    /// What one of several words, in any case, means.
    pub(super) fn word<T: Copy>(&self, key: &str, words: &[(&str, T)]) -> Option<T> {
        let value = self.get(key)?.as_word()?;
        let found = words
            .iter()
            .find(|(word, _)| word.eq_ignore_ascii_case(value));
        found.map(|&(_, meant)| meant)
    }

    /// The options of another object, if there are any.
    pub(super) fn object(&self, key: &str) -> Option<&'a Object> {
        self.get(key)?.as_object()
    }

    /// A section within this one.
    pub(super) fn section(&self, key: &str) -> Option<Self> {
        let prefix = format!("{}{key}.", self.prefix);
        let options = self.object(key)?;
        Some(Self { prefix, options })
    }

    /// The sections of a list.
    pub(super) fn sections(&self, key: &str) -> Vec<Self> {
        let list = self.get(key).and_then(Value::as_list).unwrap_or_default();
        let sections = list.iter().enumerate().filter_map(|(number, value)| {
            let prefix = format!("{}{key}[{number}].", self.prefix);
            let options = value.as_object()?;
            Some(Self { prefix, options })
        });
        sections.collect()
    }
}
