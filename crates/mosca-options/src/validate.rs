//! Whether a file says what can be: each option against its definition, and options against each other.

mod rules;

use std::fs::File;
use std::io;
use std::path::Path;

use mosca::IpNetwork;

use crate::definition::{Choice, Definition, Kind, Variant};
use crate::problem::{Problem, closest};
use crate::table::FILE;
use crate::value::{Data, Object, Value};

/// All that is wrong with the options of a file, in either form of mosca's: keys that there are none of,
/// values of another type or out of range, options that need or exclude each other. In the order of the file.
///
/// Nothing but the options themselves is looked at; [`unreadable_files`] looks at the files that they name.
///
/// ```
/// use mosca_options::{Format, validate};
///
/// let value = Format::Json.parse("{\n  \"prot\": 1884,\n  \"limits\": { \"maxInflight\": 0 }\n}")?;
/// let problems = validate(&value);
/// let shown: Vec<_> = problems.iter().map(|problem| problem.to_string()).collect();
/// assert_eq!(shown[0], "line 2: `prot` is no option; did you mean `port`?");
/// assert_eq!(shown[1], "line 3: `limits.maxInflight` is 0; expected is a whole number from 1 to 65535");
/// # Ok::<_, mosca_options::SyntaxError>(())
/// ```
pub fn validate(file: &Value) -> Vec<Problem> {
    let mut problems = Vec::new();
    match file.as_object() {
        Some(object) => {
            Checker(&mut problems).section(object, FILE(), None, file, "");
            rules::check(object, &mut problems);
        }
        None => {
            let what = format!(
                "the file is {}; expected is an object of options",
                file.kind()
            );
            problems.push(Problem::of("", file, what));
        }
    }
    problems.sort_by_key(|problem| problem.line);
    problems
}

/// The files and folders that a valid file of options names and that cannot be read: keys, certificates, users, scripts,
/// and what is served to browsers.
pub fn unreadable_files(file: &Value) -> Vec<Problem> {
    let mut found = Vec::new();
    each_option(file, |key, value, kind, _| {
        let (is_folder, name) = match kind {
            Kind::File => (false, "file"),
            Kind::Folder => (true, "folder"),
            _ => return,
        };
        if let Some(Err(error)) = value.as_str().map(|path| readable(path, is_folder)) {
            let what = format!("is {value}, a {name} that cannot be read: {error}");
            found.push(Problem::of(key, value, what));
        }
    });
    found
}

/// What is wrong with a file, as a problem of the first option that names it; `None` if there is none.
pub fn problem_of_file(file: &Value, path: &Path, what: &str) -> Option<Problem> {
    let mut found = None;
    each_option(file, |key, value, kind, _| {
        let is_it = matches!(kind, Kind::File) && value.as_str().map(Path::new) == Some(path);
        if is_it && found.is_none() {
            let what = format!("is {value}, a file that cannot be used: {what}");
            found = Some(Problem::of(key, value, what));
        }
    });
    found
}

/// Nothing is read: of a pipe it would be lost.
fn readable(path: &str, is_folder: bool) -> io::Result<()> {
    match (File::open(path)?.metadata()?.is_dir(), is_folder) {
        (true, false) => Err(io::ErrorKind::IsADirectory.into()),
        (false, true) => Err(io::ErrorKind::NotADirectory.into()),
        _ => Ok(()),
    }
}

/// What is said and changes nothing, each with the reason, for the log.
pub fn without_effect(file: &Value) -> Vec<Problem> {
    let mut found = Vec::new();
    each_option(file, |key, value, _, vain| {
        if let Some(reason) = vain {
            found.push(Problem::of(key, value, format!("has no effect: {reason}")));
        }
    });
    rules::without_effect(file, &mut found);
    found
}

/// Called with a whole name, a value, what it may be, and why it changes nothing, where that is so.
type Visit<'a> = dyn FnMut(&str, &Value, Kind, Option<&'static str>) + 'a;

/// Calls for each value that a valid file has, also for those of lists.
fn each_option(file: &Value, mut visit: impl FnMut(&str, &Value, Kind, Option<&'static str>)) {
    walk(file, Kind::Section(FILE), "", &mut visit);
}

fn walk(value: &Value, kind: Kind, key: &str, visit: &mut Visit<'_>) {
    match (kind, &value.data) {
        (Kind::List(each), Data::List(list)) => {
            for (number, element) in list.iter().enumerate() {
                let key = format!("{key}[{number}]");
                visit(&key, element, *each, None);
                walk(element, *each, &key, visit);
            }
        }
        (Kind::FlagOr(inner) | Kind::FalseOr(inner), _) => {
            visit(key, value, *inner, None);
            walk(value, *inner, key, visit);
        }
        (_, Data::Object(object)) => {
            let definitions = options_of(kind, object);
            for definition in definitions {
                if let Some(value) = object.get(definition.name) {
                    let key = joined(key, definition.name);
                    visit(&key, value, definition.kind, definition.vain);
                    walk(value, definition.kind, &key, visit);
                }
            }
        }
        _ => {}
    }
}

/// The options that an object of this kind may have.
fn options_of(kind: Kind, object: &Object) -> &'static [Definition] {
    match kind {
        Kind::Section(section) => section(),
        Kind::Choice(choice) => {
            let variant = variant(choice, object);
            let section = variant.and_then(|it| it.options.ok());
            section.map_or(&[], |section| section())
        }
        _ => &[],
    }
}

/// The variant that an object says it is.
pub(crate) fn variant(choice: &Choice, object: &Object) -> Option<&'static Variant> {
    let tag = object.get(choice.tag).and_then(Value::as_str);
    choice.variant(tag.or(choice.default)?)
}

/// The whole name of a key.
fn joined(section: &str, key: &str) -> String {
    if section.is_empty() {
        key.to_owned()
    } else {
        format!("{section}.{key}")
    }
}

struct Checker<'a>(&'a mut Vec<Problem>);

impl Checker<'_> {
    /// An object that has these options and the key `tag`; `value` is the object with its line.
    fn section(
        &mut self,
        object: &Object,
        definitions: &[Definition],
        tag: Option<&str>,
        value: &Value,
        key: &str,
    ) {
        for definition in definitions.iter().filter(|it| it.is_required) {
            if object.get(definition.name).is_none() {
                let what = format!("is missing; expected is {}", expected(definition.kind));
                let key = joined(key, definition.name);
                self.0.push(Problem::of(key, value, what));
            }
        }
        for (name, value) in object.iter() {
            let key = joined(key, name);
            match definitions.iter().find(|it| it.name == name) {
                Some(_) if value.is_null() => {}
                Some(definition) => self.value(value, definition.kind, &key),
                None if tag == Some(name) => {}
                None => {
                    let names = tag.into_iter().chain(definitions.iter().map(|it| it.name));
                    let what = unknown(name, names);
                    self.0.push(Problem::of(key, value, what));
                }
            }
        }
    }

    fn choice(&mut self, object: &Object, choice: &Choice, value: &Value, key: &str) {
        let names = || choice.names().collect::<Vec<_>>().join(", ");
        let tag_key = joined(key, choice.tag);
        let tag = object.get(choice.tag);
        let Some(name) = tag.map_or(choice.default, |it| Some(it.as_str().unwrap_or_default()))
        else {
            let what = format!("is missing; expected is one of {}", names());
            self.0.push(Problem::of(tag_key, value, what));
            return;
        };
        match choice.variant(name).map(|variant| variant.options) {
            Some(Ok(section)) => self.section(object, section(), Some(choice.tag), value, key),
            Some(Err(reason)) => {
                let tag = tag.unwrap_or(value);
                self.0.push(Problem::of(
                    tag_key,
                    tag,
                    format!("is {tag}, which {reason}"),
                ));
            }
            None => {
                let tag = tag.unwrap_or(value);
                let all = choice
                    .variants
                    .iter()
                    .flat_map(|it| it.names.iter().copied());
                let what = format!(
                    "is {tag}; expected is one of {}{}",
                    names(),
                    meant(name, all)
                );
                self.0.push(Problem::of(tag_key, tag, what));
            }
        }
    }

    fn value(&mut self, value: &Value, kind: Kind, key: &str) {
        match (kind, &value.data) {
            (Kind::Section(section), Data::Object(object)) => {
                self.section(object, section(), None, value, key);
            }
            (Kind::Choice(choice), Data::Object(object)) => {
                self.choice(object, choice, value, key);
            }
            (Kind::List(each), Data::List(list)) => {
                for (number, element) in list.iter().enumerate() {
                    self.value(element, *each, &format!("{key}[{number}]"));
                }
            }
            (Kind::Named(each), Data::Object(object)) => {
                for (name, value) in object.iter().filter(|(_, value)| !value.is_null()) {
                    self.value(value, *each, &joined(key, name));
                }
            }
            (Kind::FlagOr(_), Data::Bool(_)) | (Kind::FalseOr(_), Data::Bool(false)) => {}
            (Kind::FlagOr(inner @ Kind::Section(_)) | Kind::FalseOr(inner), Data::Object(_)) => {
                self.value(value, *inner, key);
            }
            (Kind::FlagOr(Kind::File), Data::Text(text)) if !text.is_empty() => {}
            (Kind::Nothing(reason), _) => {
                self.0.push(Problem::of(key, value, reason));
            }
            _ => {
                if let Err(expected) = plain(value, kind) {
                    let shown = match kind {
                        Kind::Url if value.to_string().contains('@') => {
                            format!("{} that is not shown", value.kind())
                        }
                        Kind::Secret => format!("{} that is not shown", value.kind()),
                        _ => value.to_string(),
                    };
                    let what = format!("is {shown}; expected is {expected}");
                    self.0.push(Problem::of(key, value, what));
                }
            }
        }
    }
}

/// Whether a value that has nothing within is what it may be; otherwise what is expected.
fn plain(value: &Value, kind: Kind) -> Result<(), String> {
    let text = value.as_str().filter(|text| !text.is_empty());
    let is_it = match kind {
        Kind::Flag => value.as_bool().is_some(),
        Kind::Number { from, to, .. } => value.as_u64().is_some_and(|it| (from..=to).contains(&it)),
        Kind::Text | Kind::Secret | Kind::File | Kind::Folder | Kind::Path => text.is_some(),
        Kind::Url => {
            let places =
                ["http://", "https://"].map(|it| text.and_then(|text| text.strip_prefix(it)));
            let mut places = places.into_iter().flatten();
            // What is in it is looked at by whoever asks there.
            places.any(|place| !place.is_empty() && !place.starts_with('/'))
        }
        Kind::Network => text.is_some_and(|text| text.parse::<IpNetwork>().is_ok()),
        Kind::FalseOr(inner) => plain(value, *inner).is_ok(),
        Kind::Words(words) => value
            .as_word()
            .is_some_and(|it| words.iter().any(|word| word.eq_ignore_ascii_case(it))),
        _ => false,
    };
    if is_it {
        return Ok(());
    }
    let mut expected = expected(kind);
    if let (Kind::Words(words), Some(text)) = (kind, text) {
        expected.push_str(&meant(text, words.iter().copied()));
    }
    Err(expected)
}

/// What may stand there, in words.
pub(crate) fn expected(kind: Kind) -> String {
    match kind {
        Kind::Flag => "true or false".to_owned(),
        Kind::Number { from, to, unit } => format!("a whole number from {from} to {to}{unit}"),
        Kind::Text | Kind::Secret => "a text that is not empty".to_owned(),
        Kind::File => "a file that can be read".to_owned(),
        Kind::Folder => "a folder".to_owned(),
        Kind::Path => "a path".to_owned(),
        Kind::Url => "a URL of http or https".to_owned(),
        Kind::Network => "an IP network such as 10.0.7.0/24".to_owned(),
        Kind::Words(words) => format!("one of {}", words.join(", ")),
        Kind::List(_) => "a list".to_owned(),
        Kind::Named(_) => "an object of texts by their names".to_owned(),
        Kind::Section(_) | Kind::Choice(_) => "an object of options".to_owned(),
        Kind::FlagOr(inner) => format!("true, false, or {}", expected(*inner)),
        Kind::FalseOr(inner) => format!("{}, or false", expected(*inner)),
        Kind::Nothing(_) => "nothing".to_owned(),
    }
}

/// What is said of a key that there is none of.
pub(crate) fn unknown<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<_> = names.collect();
    match closest(name, names.iter().copied()) {
        Some(similar) => format!("is no option; did you mean `{similar}`?"),
        None => format!("is no option; there are {}", names.join(", ")),
    }
}

fn meant<'a>(wrong: &str, names: impl IntoIterator<Item = &'a str>) -> String {
    closest(wrong, names).map_or_else(String::new, |name| format!(" (did you mean `{name}`?)"))
}

#[cfg(test)]
mod tests;
