//! The schema, with the few keywords that it is made of, against files that are right and wrong.

use super::*;
use crate::parse::Format;
use crate::validate::validate;
use crate::value::{Data, Object, Value};

#[test]
fn the_schema_in_the_repository_is_this_one() {
    let there = include_str!("../../../../docs/config/schema.json");
    assert!(
        there == schema(),
        "docs/config/schema.json is stale: `mosca config --schema > docs/config/schema.json` makes it anew"
    );
}

fn is_of(name: &str, value: &Value) -> bool {
    match name {
        "null" => value.is_null(),
        "object" => value.as_object().is_some(),
        "array" => value.as_list().is_some(),
        "string" => value.as_str().is_some(),
        "boolean" => value.as_bool().is_some(),
        "integer" => whole(value).is_some(),
        other => panic!("the type {other}"),
    }
}

fn whole(value: &Value) -> Option<i64> {
    match &value.data {
        Data::Number(digits) => digits.parse().ok(),
        _ => None,
    }
}

fn members(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    value.as_object().into_iter().flat_map(Object::iter)
}

/// Whether a value is what a schema says; a keyword that is not known here is a mistake.
fn allows(schema: &Object, value: &Value) -> bool {
    schema.iter().all(|(keyword, says)| match keyword {
        "$schema" | "title" | "description" | "default" | "deprecated" => true,
        "type" => match says.as_list() {
            Some(types) => types.iter().any(|it| is_of(it.as_str().unwrap(), value)),
            None => is_of(says.as_str().unwrap(), value),
        },
        // What is said of objects, and so on below, is not said of anything else.
        "properties" => members(value).all(|(key, value)| {
            let property = says.as_object().unwrap().get(key);
            property.is_none_or(|it| allows(it.as_object().unwrap(), value))
        }),
        "additionalProperties" => match (says.as_object(), schema.get("properties")) {
            (Some(each), None) => members(value).all(|(_, value)| allows(each, value)),
            (_, properties) => {
                let known = properties.unwrap().as_object().unwrap();
                members(value).all(|(key, _)| known.get(key).is_some())
            }
        },
        "required" => says.as_list().unwrap().iter().all(|key| {
            let object = value.as_object();
            object.is_none_or(|it| it.get(key.as_str().unwrap()).is_some())
        }),
        "items" => {
            let items = says.as_object().unwrap();
            let list = value.as_list().unwrap_or_default();
            list.iter().all(|it| allows(items, it))
        }
        "enum" => says.as_list().unwrap().contains(value),
        "const" => says == value,
        "minimum" => whole(value).is_none_or(|it| it >= whole(says).unwrap()),
        "maximum" => whole(value).is_none_or(|it| it <= whole(says).unwrap()),
        "pattern" => {
            assert_eq!(says.as_str(), Some("^https?://[^/]"));
            let mut schemes = ["http://", "https://"].into_iter();
            value
                .as_str()
                .is_none_or(|it| schemes.any(|scheme| it.starts_with(scheme)))
        }
        "minLength" => value.as_str() != Some(""),
        "anyOf" => says
            .as_list()
            .unwrap()
            .iter()
            .any(|it| allows(it.as_object().unwrap(), value)),
        other => panic!("the keyword {other}"),
    })
}

fn is_allowed(text: &str) -> bool {
    let schema = Format::Json.parse(&schema()).unwrap();
    let file = Format::Json.parse(text).unwrap();
    allows(schema.as_object().unwrap(), &file)
}

#[test]
fn it_allows_the_examples_and_the_file_of_defaults() {
    for text in [
        include_str!("../../../../docs/config/legacy.json"),
        include_str!("../../../../docs/config/modern.json"),
        &crate::default_file(Format::Json),
        r#"{ "host": null, "persistence": null, "stats": null, "limits": null, "ascoltatore": null }"#,
        r#"{ "logger": { "level": 30 }, "secure": { "keyPath": "k", "certPath": "c", "minVersion": 1.3 } }"#,
    ] {
        assert!(is_allowed(text), "{text}");
        assert_eq!(validate(&Format::Json.parse(text).unwrap()), []);
    }
}

#[test]
fn it_forbids_what_is_wrong_by_itself() {
    for text in [
        r#"{ "prot": 1 }"#,
        r#"{ "port": "1883" }"#,
        r#"{ "port": 65536 }"#,
        r#"{ "host": "" }"#,
        r#"{ "interfaces": [{ "type": "mqt" }] }"#,
        r#"{ "interfaces": [{ "port": 1 }] }"#,
        r#"{ "interfaces": [{ "type": "mqtt", "path": "/x" }] }"#,
        r#"{ "limits": { "connectRatePerAddress": { "burst": 1 } } }"#,
        r#"{ "limits": { "connectRatePerAddress": true } }"#,
        r#"{ "backend": { "type": "redis" } }"#,
        r#"{ "persistence": {} }"#,
        r#"{ "ascoltatore": {} }"#,
        r#"{ "port": -1 }"#,
        r#"{ "authentication": { "http": { "authenticateUrl": "ftp://a" } } }"#,
        r#"{ "interfaces": [null] }"#,
        r#"{ "logger": { "level": 7 } }"#,
    ] {
        assert!(!is_allowed(text), "{text}");
        assert!(
            !validate(&Format::Json.parse(text).unwrap()).is_empty(),
            "{text}"
        );
    }
}
