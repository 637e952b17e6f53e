//! The same in each format, and where it stands.

use super::*;

const JSON: &str = r#"{
  // A comment.
  "port": 1884,
  "host": null,
  "http": { "bundle": true, "static": "a b" },
  "interfaces": [
    { "type": "mqtt" },
    { "type": "ws", "port": 8080, },
  ],
}"#;

const TOML: &str = r#"# A comment.

port = 1884
http = { bundle = true, static = "a b" }

[[interfaces]]
type = "mqtt"

[[interfaces]]
type = "ws"
port = 0x1F90
"#;

const YAML: &str = r"# A comment.

port: 1884
http:
  bundle: true
  static: a b
interfaces:
- &first
  type: mqtt
- { type: 'ws', port: 0x1F90 }
";

/// The lines of some keys.
fn lines(value: &Value) -> [Option<usize>; 4] {
    let root = value.as_object().unwrap();
    let interfaces = root.get("interfaces").unwrap().as_list().unwrap();
    let second = interfaces[1].as_object().unwrap();
    [
        root.get("port").unwrap().line,
        root.get("http").unwrap().line,
        second.get("type").unwrap().line,
        second.get("port").unwrap().line,
    ]
}

#[test]
fn each_format_says_the_same_and_where() {
    let json = Format::Json.parse(JSON).unwrap();
    let toml = Format::Toml.parse(TOML).unwrap();
    let yaml = Format::Yaml.parse(YAML).unwrap();
    assert_eq!(toml, yaml);
    let mut root = json.as_object().unwrap().clone();
    // TOML has no null, which says nothing anyway.
    assert_eq!(root.get("host"), None);
    root.remove("host");
    assert_eq!(Value::from(root), toml);
    assert_eq!(lines(&json), [3, 5, 8, 8].map(Some));
    assert_eq!(lines(&toml), [3, 4, 10, 11].map(Some));
    assert_eq!(lines(&yaml), [3, 4, 10, 10].map(Some));
}

#[test]
fn what_is_wrong_is_found_in_its_line() {
    for (format, text, line, part) in [
        (Format::Json, "{\n\"a\": }", 2, ""),
        (
            Format::Json,
            "{ \"a\": 1,\n \"a\": 2 }",
            2,
            "`a` is there twice",
        ),
        (Format::Json, "", 1, "nothing"),
        (Format::Json, "{ a: 1 }", 1, ""),
        (Format::Json, "{ \"a\": 'x' }", 1, ""),
        (Format::Toml, "a = 1\nb = \n", 2, ""),
        (Format::Toml, "a = 1\na = 2\n", 2, "duplicate"),
        (Format::Yaml, "a: 1\na: 2\n", 2, "`a` is there twice"),
        (Format::Yaml, "a: 1\n---\nb: 2\n", 3, "second document"),
        (Format::Yaml, "a: [1\n", 2, ""),
        (Format::Yaml, "? [1]\n: 2\n", 1, "a key that is no text"),
    ] {
        let error = format.parse(text).unwrap_err();
        assert_eq!(error.line, line, "{text:?}: {error}");
        assert!(error.reason.contains(part), "{text:?}: {error}");
    }
}

#[test]
fn anchors_stand_for_what_they_name_and_not_for_too_much() {
    let value = Format::Yaml.parse("a: &x { b: 1 }\nc: *x\n").unwrap();
    let root = value.as_object().unwrap();
    assert_eq!(root.get("a"), root.get("c"));
    let mut text = "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n".to_owned();
    for number in 1..20 {
        let before = vec![format!("*a{}", number - 1); 10].join(", ");
        text.push_str(&format!("a{number}: &a{number} [{before}]\n"));
    }
    let error = Format::Yaml.parse(&text).unwrap_err();
    assert!(error.reason.contains("too much"), "{error}");
}

#[test]
fn scalars_of_yaml_without_quotes_are_what_they_look_like() {
    let data = |text: &str| Format::Yaml.parse(text).unwrap().data;
    for (text, expected) in [
        ("~", Data::Null),
        ("true", Data::Bool(true)),
        ("yes", Data::from("yes")),
        ("'1'", Data::from("1")),
        ("!!str 1", Data::from("1")),
        ("-1", Data::Number("-1".to_owned())),
        ("+7", Data::from(7)),
        ("0o17", Data::from(15)),
        ("1.5", Data::Number("1.5".to_owned())),
        ("1.2.3.4", Data::from("1.2.3.4")),
        ("10.0.0.0/8", Data::from("10.0.0.0/8")),
        ("-", Data::List(vec![Value::default()])),
    ] {
        assert_eq!(data(text), expected, "{text}");
    }
}

#[test]
fn the_name_of_a_file_tells_its_format() {
    for (name, format) in [
        ("a.toml", Format::Toml),
        ("a.YML", Format::Yaml),
        ("a.yaml", Format::Yaml),
        ("a.json", Format::Json),
        ("a.conf", Format::Json),
        ("a", Format::Json),
    ] {
        assert_eq!(Format::of_path(Path::new(name)), format, "{name}");
    }
}
