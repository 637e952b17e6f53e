//! JSON, with comments and with commas behind the last of several: what people write by hand.

use jsonc_parser::ast::Value as Parsed;
use jsonc_parser::common::Ranged as _;
use jsonc_parser::{CollectOptions, ParseOptions, parse_to_ast};

use super::{Lines, SyntaxError, insert_new};
use crate::value::{Data, Object, Value};

const OPTIONS: ParseOptions = ParseOptions {
    allow_comments: true,
    allow_trailing_commas: true,
    allow_loose_object_property_names: false,
    allow_missing_commas: false,
    allow_single_quoted_strings: false,
    allow_hexadecimal_numbers: false,
    allow_unary_plus_numbers: false,
    allow_bare_decimal_point_numbers: false,
    allow_non_finite_numbers: false,
    allow_extended_string_escapes: false,
};

pub(super) fn parse(text: &str) -> Result<Value, SyntaxError> {
    let parsed = parse_to_ast(text, &CollectOptions::default(), &OPTIONS);
    let parsed = parsed.map_err(|error| SyntaxError {
        line: error.line_display(),
        reason: error.to_string(),
    })?;
    let Some(value) = parsed.value else {
        let reason = "there is nothing in it; without any option it is {}".to_owned();
        return Err(SyntaxError { line: 1, reason });
    };
    convert(value, &Lines::of(text))
}

fn convert(parsed: Parsed<'_>, lines: &Lines) -> Result<Value, SyntaxError> {
    let line = Some(lines.of_byte(parsed.start()));
    let data = match parsed {
        Parsed::NullKeyword(_) => Data::Null,
        Parsed::BooleanLit(literal) => Data::Bool(literal.value),
        Parsed::NumberLit(literal) => Data::Number(literal.value.to_owned()),
        Parsed::StringLit(literal) => Data::Text(literal.value.into_owned()),
        Parsed::Array(array) => {
            let elements = array.elements.into_iter();
            let list = elements.map(|element| convert(element, lines));
            Data::List(list.collect::<Result<_, _>>()?)
        }
        Parsed::Object(parsed) => {
            let mut object = Object::new();
            for property in parsed.properties {
                let line = lines.of_byte(property.range.start);
                let value = convert(property.value, lines)?;
                insert_new(&mut object, property.name.into_string(), value, line)?;
            }
            Data::Object(object)
        }
    };
    Ok(Value { data, line })
}
