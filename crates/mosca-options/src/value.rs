//! A value of an options file, together with the line where it stands.

use std::fmt;

/// A value, and where it stands.
///
/// Two values are equal if they say the same, wherever they stand.
#[derive(Clone, Debug, Default)]
pub struct Value {
    /// What it says.
    pub data: Data,
    /// The line of its key, or its own in a list, from 1; `None` if it comes from no file.
    pub line: Option<usize>,
}

/// What a value says.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Data {
    /// Nothing: counts as absent.
    #[default]
    Null,
    /// True or false.
    Bool(bool),
    /// A number, as it is written, in decimal digits if it is whole.
    Number(String),
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Value>),
    /// Options by their keys.
    Object(Object),
}

/// Options by their keys, in the order of the file.
#[derive(Clone, Debug, Default)]
pub struct Object(Vec<(String, Value)>);

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.data == other.data
    }
}

impl PartialEq for Object {
    /// Whatever the order of the keys.
    fn eq(&self, other: &Self) -> bool {
        let is_in = |(key, value): &(String, Value)| other.get(key) == Some(value);
        self.0.len() == other.0.len() && self.0.iter().all(is_in)
    }
}

impl<T: Into<Data>> From<T> for Value {
    /// One that comes from no file.
    fn from(data: T) -> Self {
        Self {
            data: data.into(),
            line: None,
        }
    }
}

impl From<bool> for Data {
    fn from(flag: bool) -> Self {
        Self::Bool(flag)
    }
}

impl From<u64> for Data {
    fn from(number: u64) -> Self {
        Self::Number(number.to_string())
    }
}

impl From<&str> for Data {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<Vec<Value>> for Data {
    fn from(list: Vec<Value>) -> Self {
        Self::List(list)
    }
}

impl From<Object> for Data {
    fn from(object: Object) -> Self {
        Self::Object(object)
    }
}

impl Value {
    /// Whether it says nothing.
    pub fn is_null(&self) -> bool {
        self.data == Data::Null
    }

    /// True or false, if it is that.
    pub fn as_bool(&self) -> Option<bool> {
        match self.data {
            Data::Bool(flag) => Some(flag),
            _ => None,
        }
    }

    /// A whole number from 0, if it is that.
    pub fn as_u64(&self) -> Option<u64> {
        match &self.data {
            Data::Number(digits) => digits.parse().ok(),
            _ => None,
        }
    }

    /// A text, if it is that.
    pub fn as_str(&self) -> Option<&str> {
        match &self.data {
            Data::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A text, or a number as it is written, if it is one of these.
    pub fn as_word(&self) -> Option<&str> {
        match &self.data {
            Data::Text(word) | Data::Number(word) => Some(word),
            _ => None,
        }
    }

    /// A list, or nothing in it.
    pub fn as_list(&self) -> Option<&[Self]> {
        match &self.data {
            Data::List(list) => Some(list),
            _ => None,
        }
    }

    /// Options, if it is that.
    pub fn as_object(&self) -> Option<&Object> {
        match &self.data {
            Data::Object(object) => Some(object),
            _ => None,
        }
    }

    /// The same, from no file.
    pub(crate) fn without_lines(self) -> Self {
        let data = match self.data {
            Data::List(list) => Data::List(list.into_iter().map(Self::without_lines).collect()),
            Data::Object(Object(pairs)) => {
                let pairs = pairs.into_iter();
                let pairs = pairs.map(|(key, value)| (key, value.without_lines()));
                Data::Object(Object(pairs.collect()))
            }
            other => other,
        };
        data.into()
    }

    /// Of which kind it is, in words.
    pub fn kind(&self) -> &'static str {
        match self.data {
            Data::Null => "null",
            Data::Bool(_) => "a boolean",
            Data::Number(_) => "a number",
            Data::Text(_) => "a text",
            Data::List(_) => "a list",
            Data::Object(_) => "an object",
        }
    }
}

/// As it is shown in a complaint: lists and objects by their kind alone.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.data {
            Data::Bool(flag) => flag.fmt(f),
            Data::Number(digits) => f.write_str(digits),
            Data::Text(text) => write!(f, "the text {text:?}"),
            Data::Null | Data::List(_) | Data::Object(_) => f.write_str(self.kind()),
        }
    }
}

impl Object {
    /// One without options.
    pub fn new() -> Self {
        Self::default()
    }

    /// The value of a key, unless that is null.
    pub fn get(&self, key: &str) -> Option<&Value> {
        let found = self.0.iter().find(|(other, _)| other == key);
        found.map(|(_, value)| value).filter(|it| !it.is_null())
    }

    /// All keys with their values, nulls included, in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// Whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Sets a key, whatever it was before; gives back what that was.
    pub fn insert(&mut self, key: impl Into<String>, value: impl Into<Value>) -> Option<Value> {
        let (key, value) = (key.into(), value.into());
        match self.0.iter_mut().find(|(other, _)| *other == key) {
            Some((_, there)) => Some(std::mem::replace(there, value)),
            None => {
                self.0.push((key, value));
                None
            }
        }
    }

    /// Takes a key out.
    pub fn remove(&mut self, key: &str) -> Option<Value> {
        let at = self.0.iter().position(|(other, _)| other == key)?;
        Some(self.0.remove(at).1).filter(|it| !it.is_null())
    }

    /// Changes the options behind a key, which are there from then on; what else stood there is replaced.
    pub fn change(&mut self, key: &str, change: impl FnOnce(&mut Self)) {
        let found = self.0.iter_mut().find(|(other, _)| other == key);
        if let Some((_, value)) = found {
            if let Data::Object(object) = &mut value.data {
                return change(object);
            }
            let mut object = Self::new();
            change(&mut object);
            value.data = Data::Object(object);
        } else {
            let mut object = Self::new();
            change(&mut object);
            self.0.push((key.to_owned(), object.into()));
        }
    }
}

impl<K: Into<String>> FromIterator<(K, Value)> for Object {
    /// Of one key that comes twice the last counts.
    fn from_iter<T: IntoIterator<Item = (K, Value)>>(pairs: T) -> Self {
        let mut object = Self::new();
        for (key, value) in pairs {
            object.insert(key, value);
        }
        object
    }
}
