//! The JSON Schema (2020-12) of an options file, for editors and for those who write files by program.

use std::fmt::Write as _;

use crate::definition::{Choice, Definition, Kind};
use crate::table::FILE;

/// The schema of an options file, in both forms, as JSON.
///
/// What options mean for each other is not in it: [`validate`](crate::validate()) says more.
pub fn schema() -> String {
    let mut writer = Writer {
        text: String::new(),
        depth: 0,
    };
    writer.open("{");
    writer.entry(
        "$schema",
        &quoted("https://json-schema.org/draft/2020-12/schema"),
    );
    writer.entry("title", &quoted("Options of the MQTT broker mosca"));
    writer.section(FILE(), None, false);
    writer.close("}");
    writer.text.push('\n');
    writer.text
}

/// Text as JSON has it.
pub(crate) fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for char in text.chars() {
        match char {
            '"' | '\\' => quoted.extend(['\\', char]),
            // Writing to a string cannot fail.
            _ if char.is_control() => drop(write!(quoted, "\\u{:04x}", u32::from(char))),
            _ => quoted.push(char),
        }
    }
    quoted.push('"');
    quoted
}

/// JSON with each member in a line of its own.
struct Writer {
    text: String,
    depth: usize,
}

impl Writer {
    fn open(&mut self, bracket: &str) {
        self.text.push_str(bracket);
        self.depth += 1;
    }

    fn close(&mut self, bracket: &str) {
        self.depth -= 1;
        self.text.push('\n');
        self.indent();
        self.text.push_str(bracket);
    }

    fn indent(&mut self) {
        self.text.extend(std::iter::repeat_n("  ", self.depth));
    }

    /// A line of its own, behind a comma if it is not the first one.
    fn line(&mut self) {
        if !self.text.ends_with(['{', '[']) {
            self.text.push(',');
        }
        self.text.push('\n');
        self.indent();
    }

    fn key(&mut self, key: &str) {
        self.line();
        // Writing to a string cannot fail.
        let _written = write!(self.text, "{}: ", quoted(key));
    }

    fn entry(&mut self, key: &str, json: &str) {
        self.key(key);
        self.text.push_str(json);
    }

    /// What a value is; null, which says nothing, may stand for it where it may be left out.
    fn type_of(&mut self, name: &str, or_null: bool) {
        let name = quoted(name);
        match or_null {
            true => self.entry("type", &format!("[{name}, \"null\"]")),
            false => self.entry("type", &name),
        }
    }

    /// The members of an object that has these options, and the tag that says so.
    fn section(
        &mut self,
        definitions: &[Definition],
        tag: Option<(&Choice, &[&str])>,
        or_null: bool,
    ) {
        self.type_of("object", or_null);
        self.key("properties");
        self.open("{");
        if let Some((choice, names)) = tag {
            self.key(choice.tag);
            self.open("{");
            self.entry("description", &quoted(choice.doc));
            self.words(names, choice.default.is_some());
            self.close("}");
        }
        for definition in definitions {
            self.key(definition.name);
            self.open("{");
            let doc = match definition.vain {
                Some(reason) => format!("{}; has no effect: {reason}", definition.doc),
                None => definition.doc.to_owned(),
            };
            self.entry("description", &quoted(&doc));
            if let Some(default) = definition.default {
                self.entry("default", default);
            }
            if definition.is_legacy {
                self.entry("deprecated", "true");
            }
            self.kind(definition.kind, !definition.is_required);
            self.close("}");
        }
        self.close("}");
        let tag = tag.filter(|(choice, _)| choice.default.is_none());
        let required = definitions
            .iter()
            .filter(|it| it.is_required)
            .map(|it| it.name);
        let required = tag
            .into_iter()
            .map(|(choice, _)| choice.tag)
            .chain(required);
        let required: Vec<_> = required.map(quoted).collect();
        if !required.is_empty() {
            self.entry("required", &format!("[{}]", required.join(", ")));
        }
        self.entry("additionalProperties", "false");
    }

    /// One of these words, in the case that they are written in here, or the number that it is.
    fn words(&mut self, words: &[&str], or_null: bool) {
        let numbers = words.iter().filter(|it| it.parse::<f64>().is_ok());
        let numbers = numbers.map(|&number| number.to_owned());
        let words = words.iter().map(|word| quoted(word)).chain(numbers);
        let words: Vec<_> = words.chain(or_null.then(|| "null".to_owned())).collect();
        self.entry("enum", &format!("[{}]", words.join(", ")));
    }

    /// One of several schemas: `others`, and what the kind says.
    fn any_of(&mut self, kind: Kind, others: &[&str]) {
        self.key("anyOf");
        self.open("[");
        for other in others {
            self.line();
            self.text.push_str(other);
        }
        self.line();
        self.open("{");
        self.kind(kind, false);
        self.close("}");
        self.close("]");
    }

    /// The members that say what a value may be.
    fn kind(&mut self, kind: Kind, or_null: bool) {
        match kind {
            Kind::Flag => self.type_of("boolean", or_null),
            Kind::Number { from, to, .. } => {
                self.type_of("integer", or_null);
                self.entry("minimum", &from.to_string());
                self.entry("maximum", &to.to_string());
            }
            Kind::Url => {
                self.type_of("string", or_null);
                self.entry("pattern", "\"^https?://[^/]\"");
            }
            Kind::Text | Kind::Secret | Kind::File | Kind::Folder | Kind::Path | Kind::Network => {
                self.type_of("string", or_null);
                self.entry("minLength", "1");
            }
            Kind::Words(words) => self.words(words, or_null),
            Kind::List(each) => {
                self.type_of("array", or_null);
                self.key("items");
                self.open("{");
                self.kind(*each, false);
                self.close("}");
            }
            Kind::Named(each) => {
                self.type_of("object", or_null);
                self.key("additionalProperties");
                self.open("{");
                self.kind(*each, true);
                self.close("}");
            }
            Kind::Section(section) => self.section(section(), None, or_null),
            Kind::Choice(choice) => {
                self.key("anyOf");
                self.open("[");
                for variant in choice.variants {
                    if let Ok(section) = variant.options {
                        self.line();
                        self.open("{");
                        self.section(section(), Some((choice, variant.names)), false);
                        self.close("}");
                    }
                }
                if or_null {
                    self.line();
                    self.text.push_str(NULL);
                }
                self.close("]");
            }
            Kind::FlagOr(inner) if or_null => self.any_of(*inner, &[BOOLEAN, NULL]),
            Kind::FlagOr(inner) => self.any_of(*inner, &[BOOLEAN]),
            Kind::FalseOr(inner) if or_null => self.any_of(*inner, &[FALSE, NULL]),
            Kind::FalseOr(inner) => self.any_of(*inner, &[FALSE]),
            Kind::Nothing(_) => self.entry("type", "\"null\""),
        }
    }
}

const NULL: &str = "{ \"type\": \"null\" }";
const BOOLEAN: &str = "{ \"type\": \"boolean\" }";
const FALSE: &str = "{ \"const\": false }";

#[cfg(test)]
mod tests;
