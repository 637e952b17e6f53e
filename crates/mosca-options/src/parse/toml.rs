//! TOML.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Lines, SyntaxError};
use crate::value::{Data, Object, Value};

pub(super) fn parse(text: &str) -> Result<Value, SyntaxError> {
    let lines = Lines::of(text);
    let table = DeTable::parse(text).map_err(|error| SyntaxError {
        line: error.span().map_or(1, |span| lines.of_byte(span.start)),
        reason: error.message().to_owned(),
    })?;
    Ok(Value {
        line: Some(1),
        data: Data::Object(object(table.get_ref(), &lines)),
    })
}

fn object(table: &DeTable<'_>, lines: &Lines) -> Object {
    let mut pairs: Vec<_> = table.iter().collect();
    pairs.sort_by_key(|(key, _)| key.span().start);
    let pairs = pairs.into_iter().map(|(key, value)| {
        let line = Some(lines.of_byte(key.span().start));
        let value = convert(value, lines);
        (key.get_ref().as_ref(), Value { line, ..value })
    });
    pairs.collect()
}

fn convert(parsed: &Spanned<DeValue<'_>>, lines: &Lines) -> Value {
    let data = match parsed.get_ref() {
        DeValue::String(text) => Data::Text(text.clone().into_owned()),
        DeValue::Boolean(flag) => Data::Bool(*flag),
        DeValue::Integer(integer) => {
            let number = i128::from_str_radix(integer.as_str(), integer.radix());
            Data::Number(number.map_or_else(|_| integer.to_string(), |it| it.to_string()))
        }
        DeValue::Float(float) => Data::Number(float.as_str().to_owned()),
        // It is no value of any option, and a complaint shows it as it stands.
        DeValue::Datetime(time) => Data::Text(time.to_string()),
        DeValue::Array(array) => {
            let list = array.iter().map(|element| convert(element, lines));
            Data::List(list.collect())
        }
        DeValue::Table(table) => Data::Object(object(table, lines)),
    };
    Value {
        data,
        line: Some(lines.of_byte(parsed.span().start)),
    }
}
