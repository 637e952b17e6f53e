//! YAML: one document of the core schema.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span};

use super::{SyntaxError, insert_new};
use crate::value::{Data, Object, Value};

/// Most values of a document, with those that anchors stand for: a few lines of anchors of anchors could
/// otherwise fill the memory.
const VALUES_MAX: usize = 100_000;

/// Deepest nesting.
const DEPTH_MAX: usize = 64;

pub(super) fn parse(text: &str) -> Result<Value, SyntaxError> {
    let mut reader = Reader::default();
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| syntax(&error))?;
        reader.take(event, span)?;
    }
    Ok(reader.root.unwrap_or_else(|| Object::new().into()))
}

fn syntax(error: &ScanError) -> SyntaxError {
    SyntaxError {
        line: error.marker().line(),
        reason: error.info().to_owned(),
    }
}

/// A list or an object that has begun.
struct Open {
    line: usize,
    anchor: usize,
    contents: Contents,
}

enum Contents {
    List(Vec<Value>),
    /// With the key whose value comes next.
    Object(Object, Option<(String, usize)>),
}

#[derive(Default)]
struct Reader {
    root: Option<Value>,
    open: Vec<Open>,
    anchors: HashMap<usize, Value>,
    values: usize,
}

impl Reader {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), SyntaxError> {
        let line = span.start.line();
        match event {
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => Ok(()),
            Event::Alias(anchor) => match self.anchors.get(&anchor).cloned() {
                Some(value) => self.value(value, line, 0),
                None => Err(wrong(line, "an alias within what it names")),
            },
            Event::Scalar(text, style, anchor, tag) => {
                let is_plain = style == ScalarStyle::Plain && tag.is_none();
                let data = if is_plain {
                    plain(&text)
                } else {
                    Data::Text(text.into_owned())
                };
                let line_of_it = Some(line);
                self.value(
                    Value {
                        data,
                        line: line_of_it,
                    },
                    line,
                    anchor,
                )
            }
            Event::SequenceStart(anchor, _) => self.begin(line, anchor, Contents::List(Vec::new())),
            Event::MappingStart(anchor, _) => {
                self.begin(line, anchor, Contents::Object(Object::new(), None))
            }
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                None => Ok(()),
                Some(Open {
                    line,
                    anchor,
                    contents,
                }) => {
                    let data = match contents {
                        Contents::List(list) => Data::List(list),
                        Contents::Object(object, _) => Data::Object(object),
                    };
                    let value = Value {
                        data,
                        line: Some(line),
                    };
                    self.value(value, line, anchor)
                }
            },
        }
    }

    fn begin(&mut self, line: usize, anchor: usize, contents: Contents) -> Result<(), SyntaxError> {
        if self.open.len() >= DEPTH_MAX {
            return Err(wrong(line, "it is nested too deep"));
        }
        self.open.push(Open {
            line,
            anchor,
            contents,
        });
        Ok(())
    }

    /// A whole value goes where it belongs.
    fn value(&mut self, value: Value, line: usize, anchor: usize) -> Result<(), SyntaxError> {
        self.values += size(&value);
        if self.values > VALUES_MAX {
            return Err(wrong(line, "its anchors stand for too much"));
        }
        if anchor > 0 {
            self.anchors.insert(anchor, value.clone());
        }
        match self.open.last_mut().map(|open| &mut open.contents) {
            None if self.root.is_some() => Err(wrong(line, "a second document in one file")),
            None => {
                self.root = Some(value);
                Ok(())
            }
            Some(Contents::List(list)) => {
                list.push(value);
                Ok(())
            }
            Some(Contents::Object(object, key)) => match key.take() {
                Some((name, line)) => insert_new(object, name, value, line),
                None => {
                    let name = match value.data {
                        Data::Text(text) => text,
                        Data::Number(digits) => digits,
                        _ => return Err(wrong(line, "a key that is no text")),
                    };
                    *key = Some((name, line));
                    Ok(())
                }
            },
        }
    }
}

/// It and all within.
fn size(value: &Value) -> usize {
    match &value.data {
        Data::List(list) => 1 + list.iter().map(size).sum::<usize>(),
        Data::Object(object) => 1 + object.iter().map(|(_, value)| size(value)).sum::<usize>(),
        _ => 1,
    }
}

fn wrong(line: usize, reason: &str) -> SyntaxError {
    SyntaxError {
        line,
        reason: reason.to_owned(),
    }
}

/// A scalar without quotes (YAML 1.2, section 10.3.2).
fn plain(text: &str) -> Data {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Data::Null,
        "true" | "True" | "TRUE" => return Data::Bool(true),
        "false" | "False" | "FALSE" => return Data::Bool(false),
        _ => {}
    }
    let radix = |prefix, radix| {
        let digits = text.strip_prefix(prefix)?;
        u64::from_str_radix(digits, radix).ok()
    };
    let whole = radix("0x", 16).or_else(|| radix("0o", 8));
    if let Some(number) = whole {
        return number.into();
    }
    let is_number = text.starts_with(|first: char| first.is_ascii_digit() || "+-.".contains(first))
        && text.ends_with(|last: char| last.is_ascii_digit() || last == '.')
        && text.parse::<f64>().is_ok();
    if is_number {
        // Digits alone are what the others read.
        let number = text.parse::<i128>();
        return Data::Number(number.map_or_else(|_| text.to_owned(), |it| it.to_string()));
    }
    Data::Text(text.to_owned())
}
