//! Options from environment variables, for containers.
//!
//! A variable is `MOSCA`, and behind two underscores each a key and those within it, in capitals, with one underscore
//! where the key has a capital: `MOSCA__PORT=1884`, `MOSCA__LIMITS__MAX_INFLIGHT=20`,
//! `MOSCA__PERSISTENCE__FACTORY=redis`, and by its number what a list has, `MOSCA__INTERFACES__0__PORT=1884`. Two
//! underscores, because platforms set variables such as `MOSCA_PORT` for a service of that name.
//!
//! What a variable says is read as the option wants it: a text as it is, a flag or a number by its word, a list of
//! texts separated by commas, and everything else as JSON.

use crate::definition::{Definition, Kind};
use crate::parse::Format;
use crate::problem::Problem;
use crate::table::FILE;
use crate::validate::{unknown, variant};
use crate::value::{Data, Object, Value};

/// What all variables begin with.
pub const ENVIRONMENT_PREFIX: &str = "MOSCA__";

/// The options of a file, and over them those of environment variables, given as names and values; variables with
/// another beginning than [`ENVIRONMENT_PREFIX`] are passed over.
///
/// ```
/// use mosca_options::{Format, with_environment};
///
/// let file = Format::Json.parse(r#"{ "port": 1884, "host": "::1" }"#)?;
/// let variables = [("MOSCA__PORT", "1885"), ("HOME", "/root")];
/// let options = with_environment(&file, variables).unwrap();
/// let expected = Format::Json.parse(r#"{ "port": 1885, "host": "::1" }"#)?;
/// assert_eq!(options, expected);
/// # Ok::<_, mosca_options::SyntaxError>(())
/// ```
///
/// # Errors
/// All variables that name no option, each with what was most likely meant. Whether their values are right is for
/// [`validate`](crate::validate()).
pub fn with_environment<N: AsRef<str>, V: AsRef<str>>(
    file: &Value,
    variables: impl IntoIterator<Item = (N, V)>,
) -> Result<Value, Vec<Problem>> {
    let mut options = file.clone();
    let mut left: Vec<_> = variables.into_iter().collect();
    let mut problems = Vec::new();
    // What an object may have is known once the variable is read that says which object it is.
    for _ in 0..2 {
        problems.clear();
        left.retain(|(name, text)| {
            let path = name.as_ref().strip_prefix(ENVIRONMENT_PREFIX);
            let path: Vec<_> = path.into_iter().flat_map(|it| it.split("__")).collect();
            let is_ours = !path.is_empty();
            let result =
                is_ours.then(|| set(&mut options, Kind::Section(FILE), &path, text.as_ref()));
            let wrong = result.and_then(Result::err);
            let is_left = wrong.is_some();
            problems.extend(wrong.map(|what| Problem {
                line: None,
                key: name.as_ref().to_owned(),
                what,
            }));
            is_left
        });
    }
    if problems.is_empty() {
        Ok(options)
    } else {
        Err(problems)
    }
}

/// The variable that sets an option.
///
/// ```
/// let variable = mosca_options::variable_of("interfaces[0].maxConnections");
/// assert_eq!(variable, "MOSCA__INTERFACES__0__MAX_CONNECTIONS");
/// ```
pub fn variable_of(key: &str) -> String {
    let parts = key.split(['.', '[', ']']).filter(|part| !part.is_empty());
    let parts: Vec<_> = parts.map(capitals).collect();
    format!("{ENVIRONMENT_PREFIX}{}", parts.join("__"))
}

/// Sets what is at a path below a value of this kind.
fn set(value: &mut Value, kind: Kind, path: &[&str], text: &str) -> Result<(), String> {
    let Some((first, rest)) = path.split_first() else {
        *value = read(text, kind);
        return Ok(());
    };
    if let (Kind::List(each), Data::List(list)) = (kind, &mut value.data) {
        let there = list.len();
        let number = first.parse::<usize>().ok();
        return match number.and_then(|number| list.get_mut(number)) {
            Some(element) => set(element, *each, rest, text),
            None => Err(format!(
                "names `{first}` of a list that has {there}, counted from 0"
            )),
        };
    }
    if let Kind::FlagOr(inner) | Kind::FalseOr(inner) = kind {
        return set(value, *inner, path, text);
    }
    if !matches!(value.data, Data::Object(_)) {
        value.data = Data::Object(Object::new());
    }
    let Data::Object(object) = &mut value.data else {
        return Ok(());
    };
    let (definitions, tag) = options_of(kind, object);
    if tag.is_some_and(|tag| same(tag, first)) && rest.is_empty() {
        object.insert(tag.unwrap_or_default(), text);
        return Ok(());
    }
    let Some(definition) = definitions.iter().find(|it| same(it.name, first)) else {
        let names: Vec<_> = tag
            .into_iter()
            .chain(definitions.iter().map(|it| it.name))
            .map(capitals)
            .collect();
        return Err(unknown(first, names.iter().map(String::as_str)));
    };
    let mut inner = object.get(definition.name).cloned().unwrap_or_default();
    let result = set(&mut inner, definition.kind, rest, text);
    inner.line = None;
    object.insert(definition.name, inner);
    result
}

/// The options of an object and the key that tells which it is.
fn options_of(kind: Kind, object: &Object) -> (Vec<Definition>, Option<&'static str>) {
    match kind {
        Kind::Section(section) => (section().to_vec(), None),
        Kind::Choice(choice) => {
            let section = variant(choice, object).and_then(|it| it.options.ok());
            let options = section.map(|section| section().to_vec());
            (options.unwrap_or_default(), Some(choice.tag))
        }
        _ => (Vec::new(), None),
    }
}

/// What a variable says, as the option wants it.
fn read(text: &str, kind: Kind) -> Value {
    match kind {
        Kind::Text
        | Kind::Secret
        | Kind::File
        | Kind::Folder
        | Kind::Path
        | Kind::Url
        | Kind::Network
        | Kind::Words(_) => text.into(),
        Kind::List(each)
            if !matches!(each, Kind::Section(_) | Kind::Choice(_)) && !text.starts_with('[') =>
        {
            let parts = text
                .split(',')
                .map(str::trim)
                .filter(|part| !part.is_empty());
            parts
                .map(|part| read(part, *each))
                .collect::<Vec<_>>()
                .into()
        }
        _ => match Format::Json.parse(text) {
            Ok(value) => value.without_lines(),
            Err(_) => text.into(),
        },
    }
}

/// `maxInflight` as `MAX_INFLIGHT`.
fn capitals(key: &str) -> String {
    let mut capitals = String::new();
    // A word of MQTT.
    for char in key.replace("QoS", "Qos").chars() {
        if char.is_ascii_uppercase() {
            capitals.push('_');
        }
        capitals.push(char.to_ascii_uppercase());
    }
    capitals
}

/// Whether a part of a variable's name is a key's.
fn same(key: &str, part: &str) -> bool {
    capitals(key) == part
}

#[cfg(test)]
mod tests;
