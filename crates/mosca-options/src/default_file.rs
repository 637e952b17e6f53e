//! A file with every option, its default and what it does.

use std::fmt::Write as _;

use crate::definition::{Choice, Definition, Kind};
use crate::modernize::populate;
use crate::parse::Format;
use crate::schema::quoted;
use crate::table::FILE;
use crate::validate::{expected, variant};
use crate::value::{Data, Object, Value};

/// A file with every option: those that have a default with it, the others as comments. It says what an empty
/// file says.
///
/// ```
/// use mosca_options::{Format, default_file, populate};
///
/// let text = default_file(Format::Toml);
/// let empty = Format::Toml.parse("")?;
/// assert_eq!(populate(&Format::Toml.parse(&text)?), populate(&empty));
/// # Ok::<_, mosca_options::SyntaxError>(())
/// ```
pub fn default_file(format: Format) -> String {
    let mut printer = Printer {
        format,
        text: String::new(),
    };
    let defaults = populate(&Object::new().into());
    let here = Here {
        depth: usize::from(format == Format::Json),
        path: String::new(),
        is_comment: false,
    };
    printer.comment(
        0,
        "Every option of mosca with its default; what has none is a comment.",
    );
    if format == Format::Json {
        printer.text.push_str("{\n");
    }
    printer.section(&here, FILE(), defaults.as_object());
    if format == Format::Json {
        printer.text.push_str("}\n");
    }
    printer.text
}

/// A place in the file.
#[derive(Clone)]
struct Here {
    depth: usize,
    /// For TOML: the whole name of the section.
    path: String,
    /// Whether all of it is a comment.
    is_comment: bool,
}

impl Here {
    fn within(&self, key: &str, is_comment: bool) -> Self {
        let dot = if self.path.is_empty() { "" } else { "." };
        Self {
            depth: self.depth + 1,
            path: format!("{}{dot}{key}", self.path),
            is_comment,
        }
    }
}

struct Printer {
    format: Format,
    text: String,
}

impl Printer {
    fn mark(&self) -> &'static str {
        match self.format {
            Format::Json => "//",
            Format::Toml | Format::Yaml => "#",
        }
    }

    fn line(&mut self, depth: usize, text: &str) {
        if self.format != Format::Toml {
            self.text.extend(std::iter::repeat_n("  ", depth));
        }
        self.text.push_str(text);
        self.text.push('\n');
    }

    fn comment(&mut self, depth: usize, text: &str) {
        let text = format!("{} {text}", self.mark());
        self.line(depth, &text);
    }

    /// A line of options, or one that is to become it when the mark in front of it is taken away.
    fn code(&mut self, depth: usize, is_comment: bool, text: &str) {
        if is_comment {
            let text = format!("{}{text}", self.mark());
            self.line(depth, &text);
        } else {
            self.line(depth, text);
        }
    }

    /// The options of an object; the values are those of `values`.
    fn section(&mut self, here: &Here, definitions: &[Definition], values: Option<&Object>) {
        // In TOML what stands behind an inner section belongs to that one.
        let (sections, plain): (Vec<_>, Vec<_>) =
            definitions.iter().partition(|it| is_section(it.kind));
        for definition in plain.into_iter().chain(sections) {
            if here.depth <= 1 {
                self.text.push('\n');
            }
            self.option(
                here,
                definition,
                values.and_then(|it| it.get(definition.name)),
            );
        }
    }

    fn option(&mut self, here: &Here, definition: &Definition, value: Option<&Value>) {
        if let Kind::Nothing(reason) = definition.kind {
            let text = format!("{}: {}; it {reason}", definition.name, definition.doc);
            return self.comment(here.depth, &text);
        }
        let mut doc = definition.doc.to_owned();
        if !is_section(definition.kind) {
            // Writing to a string cannot fail.
            let _written = write!(doc, " ({})", expected(definition.kind));
        }
        if definition.is_legacy {
            doc.push_str("; instead of `interfaces`");
        }
        if let Some(reason) = definition.vain {
            let _written = write!(doc, "; has no effect: {reason}");
        }
        self.comment(here.depth, &doc);
        let is_comment = here.is_comment || value.is_none();
        let within = here.within(definition.name, is_comment);
        let object = value.and_then(Value::as_object);
        match definition.kind {
            Kind::Section(section) if is_section(definition.kind) => {
                self.open(here, &within, definition.name, "{", is_comment);
                self.section(&within, section(), object);
                self.close(here, "},", is_comment);
            }
            Kind::Choice(choice) => {
                let chosen = object.and_then(|object| variant(choice, object));
                let chosen = chosen.and_then(|it| it.names.first());
                for name in first_names(choice) {
                    let is_comment = is_comment || Some(&name) != chosen;
                    let within = here.within(definition.name, is_comment);
                    self.open(here, &within, definition.name, "{", is_comment);
                    self.variant(&within, choice, name, object.filter(|_| !is_comment));
                    self.close(here, "},", is_comment);
                }
            }
            Kind::List(Kind::Choice(choice)) => {
                self.open_list(here, definition.name, is_comment);
                let there = value.and_then(Value::as_list).unwrap_or_default();
                for name in first_names(choice) {
                    let is_it =
                        |it: &&Object| it.get(choice.tag).and_then(Value::as_str) == Some(name);
                    let object = there.iter().filter_map(Value::as_object).find(is_it);
                    self.element(
                        &within,
                        is_comment || object.is_none(),
                        |printer, within| {
                            printer.variant(within, choice, name, object);
                        },
                    );
                }
                self.close(here, "],", is_comment);
            }
            Kind::List(Kind::Section(section)) => {
                self.open_list(here, definition.name, is_comment);
                self.element(&within, is_comment, |printer, within| {
                    printer.section(within, section(), None);
                });
                self.close(here, "],", is_comment);
            }
            _ => self.plain(here, definition, value),
        }
    }

    /// One that is printed in one line, or in two where it may be off, on, or an object.
    fn plain(&mut self, here: &Here, definition: &Definition, value: Option<&Value>) {
        let shown = value.cloned().unwrap_or_else(|| example(definition));
        let is_comment = here.is_comment || value.is_none();
        self.pair(here, definition.name, &shown, is_comment);
        let inner = match definition.kind {
            Kind::FlagOr(inner) | Kind::FalseOr(inner) => Some(*inner),
            _ => None,
        };
        let inner = inner.filter(|it| is_section(*it) && shown.as_object().is_none());
        if let Some(inner) = inner {
            self.pair(here, definition.name, &example_of(inner), true);
        }
    }

    /// A key with its value, in one line.
    fn pair(&mut self, here: &Here, key: &str, value: &Value, is_comment: bool) {
        let value = inline(value, self.format);
        let text = match self.format {
            Format::Json => format!("{}: {value},", quoted(key)),
            Format::Toml if key.starts_with('$') => format!("{} = {value}", quoted(key)),
            Format::Toml => format!("{key} = {value}"),
            Format::Yaml => format!("{key}: {value}"),
        };
        self.code(here.depth, is_comment, &text);
    }

    fn variant(
        &mut self,
        here: &Here,
        choice: &Choice,
        name: &'static str,
        values: Option<&Object>,
    ) {
        let Some(variant) = choice.variant(name) else {
            return;
        };
        let tag = Definition::new(choice.tag, Kind::Words(variant.names), choice.doc);
        self.option(here, &tag, Some(&name.into()));
        let found = variant.options.ok();
        if let Some(section) = found {
            let populated = populated(section(), values, here.is_comment);
            self.section(here, section(), Some(&populated));
        }
    }

    fn open(&mut self, here: &Here, within: &Here, key: &str, bracket: &str, is_comment: bool) {
        let text = match self.format {
            Format::Json => format!("{}: {bracket}", quoted(key)),
            Format::Toml => format!("[{}]", within.path),
            Format::Yaml => format!("{key}:"),
        };
        self.code(here.depth, is_comment, &text);
    }

    fn open_list(&mut self, here: &Here, key: &str, is_comment: bool) {
        if self.format != Format::Toml {
            self.open(here, here, key, "[", is_comment);
        }
    }

    /// An object of a list.
    fn element(&mut self, here: &Here, is_comment: bool, print: impl FnOnce(&mut Self, &Here)) {
        let within = Here {
            depth: here.depth + 1,
            is_comment,
            ..here.clone()
        };
        let text = match self.format {
            Format::Json => "{".to_owned(),
            Format::Toml => format!("[[{}]]", here.path),
            Format::Yaml => "-".to_owned(),
        };
        self.code(here.depth, is_comment, &text);
        print(self, &within);
        self.close(here, "},", is_comment);
    }

    fn close(&mut self, here: &Here, bracket: &str, is_comment: bool) {
        if self.format == Format::Json {
            self.code(here.depth, is_comment, bracket);
        }
    }
}

/// The defaults of options that are shown as a comment, since nobody has populated them.
fn populated(definitions: &[Definition], values: Option<&Object>, is_comment: bool) -> Object {
    if let Some(values) = values.filter(|_| !is_comment) {
        return values.clone();
    }
    let defaults = definitions
        .iter()
        .filter_map(|it| Some((it.name, it.default_value()?)));
    defaults.collect()
}

/// Whether it is printed in lines of its own.
fn is_section(kind: Kind) -> bool {
    match kind {
        Kind::Section(section) => !section().is_empty(),
        Kind::Choice(_) => true,
        Kind::List(each) => is_section(*each),
        _ => false,
    }
}

/// One name of each variant that is to be had.
fn first_names(choice: &Choice) -> impl Iterator<Item = &'static str> {
    let there = choice.variants.iter().filter(|it| it.options.is_ok());
    there.filter_map(|it| it.names.first().copied())
}

/// Something that could stand there.
fn example(definition: &Definition) -> Value {
    let said = definition
        .default_value()
        .or_else(|| definition.example_value());
    said.unwrap_or_else(|| example_of(definition.kind))
}

fn example_of(kind: Kind) -> Value {
    match kind {
        Kind::Flag | Kind::FlagOr(_) => true.into(),
        Kind::Number { from, .. } => from.into(),
        Kind::Words(words) => words.first().copied().unwrap_or_default().into(),
        Kind::List(each) => vec![example_of(*each)].into(),
        Kind::Named(each) => Object::from_iter([("name", example_of(*each))]).into(),
        Kind::FalseOr(_) => false.into(),
        Kind::Network => "10.0.7.0/24".into(),
        Kind::Section(section) => {
            let options = section().iter().map(|it| (it.name, example(it)));
            options.collect::<Object>().into()
        }
        _ => "…".into(),
    }
}

/// A value in one line.
fn inline(value: &Value, format: Format) -> String {
    match &value.data {
        Data::Null => "null".to_owned(),
        Data::Bool(flag) => flag.to_string(),
        Data::Number(digits) => digits.clone(),
        Data::Text(text) => quoted(text),
        Data::List(list) => {
            let parts: Vec<_> = list.iter().map(|it| inline(it, format)).collect();
            format!("[{}]", parts.join(", "))
        }
        Data::Object(object) if object.is_empty() => "{}".to_owned(),
        Data::Object(object) => {
            let parts = object.iter().map(|(key, value)| {
                let value = inline(value, format);
                match format {
                    Format::Toml => format!("{key} = {value}"),
                    Format::Json | Format::Yaml => format!("{}: {value}", quoted(key)),
                }
            });
            format!("{{ {} }}", parts.collect::<Vec<_>>().join(", "))
        }
    }
}

#[cfg(test)]
mod tests;
