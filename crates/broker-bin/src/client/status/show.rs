//! What a server has said of itself, for people and for programs.

use std::time::Duration;

use mosca::Escaped;
use serde_json::{Map, Value, json};

use super::figures::{Figure, SECTIONS, Said, Section, Unit};
use crate::client::output::{self, Table};

/// As a table; sections and rows of which nothing was said are left out.
pub(super) fn table(server: &str, said: &Said) -> String {
    let mut table = Table::default();
    for section in SECTIONS {
        let columns = columns(section);
        let figures = |row| columns.iter().map(move |column| said.figure(row, *column));
        let rows = section.rows.iter();
        let mut rows = rows
            .filter(|row| figures(row).any(|figure| figure.is_some()))
            .peekable();
        if rows.peek().is_none() {
            continue;
        }
        table.section(section.name, section.columns);
        for row in rows {
            let cells = figures(row).map(|figure| shown(row.unit, figure));
            table.row(&format!("  {}", row.name), cells);
        }
    }
    format!("{server}\n\n{table}")
}

/// As an object, with an object for each section; what was not said is not there.
pub(super) fn json(server: &str, said: &Said) -> Value {
    let mut object = Map::new();
    object.insert("url".to_owned(), json!(server));
    if let Some(id) = said.id() {
        object.insert("id".to_owned(), json!(id));
    }
    for section in SECTIONS {
        let mut rows = Map::new();
        for row in section.rows {
            let mut cells = Map::new();
            for column in columns(section) {
                if let Some(figure) = said.figure(row, column) {
                    cells.insert(column.unwrap_or_default().to_owned(), value(figure));
                }
            }
            let name = format!("{}{}", camel(row.name), unit(row.unit));
            if !section.columns.is_empty() && !cells.is_empty() {
                rows.insert(name, Value::Object(cells));
            } else if let Some(value) = cells.remove("") {
                rows.insert(name, value);
            }
        }
        if !rows.is_empty() {
            object.insert(camel(section.name), Value::Object(rows));
        }
    }
    Value::Object(object)
}

/// Those of a section without any are one without a name.
fn columns(section: &Section) -> Vec<Option<&'static str>> {
    if section.columns.is_empty() {
        vec![None]
    } else {
        section.columns.iter().copied().map(Some).collect()
    }
}

fn shown(unit: Unit, figure: Option<Figure>) -> String {
    match (unit, figure) {
        (_, None) => String::new(),
        (_, Some(Figure::Text(text))) => Escaped(&text).to_string(),
        (_, Some(Figure::Rate(rate))) => format!("{rate:.2}"),
        (Unit::Bytes, Some(Figure::Whole(bytes))) => output::bytes(bytes),
        (Unit::Seconds, Some(Figure::Whole(secs))) => output::duration(Duration::from_secs(secs)),
        (_, Some(Figure::Whole(number))) => output::count(number),
    }
}

fn value(figure: Figure) -> Value {
    match figure {
        Figure::Text(text) => json!(text),
        Figure::Whole(number) => json!(number),
        Figure::Rate(rate) => json!(rate),
    }
}

/// What is added to a name, so that nobody has to guess.
const fn unit(unit: Unit) -> &'static str {
    match unit {
        Unit::Bytes => "Bytes",
        Unit::Seconds => "Secs",
        Unit::Text | Unit::Count | Unit::PerMinute => "",
    }
}

/// `heap maximum` is `heapMaximum`.
fn camel(words: &str) -> String {
    let mut name = String::new();
    for word in words.split(' ') {
        let mut characters = word.chars();
        match characters.next() {
            Some(first) if !name.is_empty() => name.push(first.to_ascii_uppercase()),
            Some(first) => name.push(first),
            None => {}
        }
        name.push_str(characters.as_str());
    }
    name
}
