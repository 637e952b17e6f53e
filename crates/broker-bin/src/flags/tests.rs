//! Which interfaces flags make, alone and beside a file.

use super::*;
use crate::config::Config;
use crate::listening::{Files, InterfaceChoice, Kind};
use clap::Parser as _;
use mosca::ClientCertificates;
use mosca_options::Format;

fn joined(arguments: &[&str], file: &str) -> Result<Vec<InterfaceChoice>, String> {
    let args = Args::parse_from(["mosca"].iter().chain(arguments));
    let file = Format::Json.parse(file).unwrap();
    let options = with_flags(&args, &file).map_err(|error| error.to_string())?;
    let config = Config::of(&options).map_err(|problems| problems[0].to_string())?;
    Ok(config.interfaces)
}

/// Kinds and ports.
fn summary(arguments: &[&str]) -> Vec<(Kind, u16)> {
    let choices = joined(arguments, "{}").unwrap();
    choices.iter().map(|it| (it.kind, it.port)).collect()
}

const CERTIFICATE: [&str; 4] = ["--key", "k", "--cert", "c"];

#[test]
fn flags_make_the_interfaces_that_they_make_in_mosca() {
    let (mqtt, mqtts, http, https) = (Kind::Mqtt, Kind::Mqtts, Kind::Http, Kind::Https);
    for (flags, has_certificate, expected) in [
        (&[][..], false, &[(mqtt, 1_883)][..]),
        (&["-p", "7"], false, &[(mqtt, 7)]),
        (&[], true, &[(mqtts, 8_883)]),
        (&["--secure-port", "7"], true, &[(mqtts, 7)]),
        (&["--non-secure"], true, &[(mqtt, 1_883), (mqtts, 8_883)]),
        (&["--http-port", "80"], false, &[(mqtt, 1_883), (http, 80)]),
        (&["--only-http"], false, &[(http, 3_000)]),
        (
            &["--only-http", "--https-port", "443"],
            true,
            &[(https, 443)],
        ),
        (
            &["--http-port", "80", "--https-port", "443", "--non-secure"],
            true,
            &[(mqtt, 1_883), (mqtts, 8_883), (http, 80), (https, 443)],
        ),
    ] {
        let certificate = if has_certificate {
            &CERTIFICATE[..]
        } else {
            &[]
        };
        let arguments = [flags, certificate].concat();
        assert_eq!(summary(&arguments), expected, "{flags:?}");
    }
}

#[test]
fn files_are_served_on_the_port_that_they_are_for() {
    let file = r#"{ "https": { "port": 444, "static": "file", "bundle": true } }"#;
    let files = |arguments: &[&str], file| {
        let arguments = [arguments, &CERTIFICATE].concat();
        let choices = joined(&arguments, file).unwrap();
        let web = choices.into_iter().filter(|choice| choice.kind.is_web());
        web.map(|choice| choice.files).collect::<Vec<_>>()
    };
    let of = |folder: &str, bundle| Files {
        folder: Some(folder.into()),
        bundle: Some(bundle),
    };
    let http = ["--http-port", "80", "--http-static", "dir", "--http-bundle"];
    let built_in = crate::bundle::Bundle::BuiltIn;
    let expected = [of("dir", built_in.clone()), of("file", built_in.clone())];
    assert_eq!(files(&http, file), expected);
    let https = ["--https-static", "line", "--https-bundle=mqtt.js"];
    let own = crate::bundle::Bundle::File("mqtt.js".into());
    assert_eq!(files(&https, file), [of("line", own)]);
    assert_eq!(files(&["--only-http"], "{}"), [Files::default()]);
    // A folder of its own, and the file's script.
    let both = files(&["--https-static", "line"], file);
    assert_eq!(both, [of("line", built_in)]);
    for (flag, port) in [
        ("--http-static=x", "--http-port"),
        ("--http-bundle", "--http-port"),
        ("--https-static=x", "--https-port"),
        ("--https-bundle=x", "--https-port"),
    ] {
        let error = joined(&[flag], "{}").unwrap_err();
        let name = flag.trim_end_matches("=x");
        assert!(error.starts_with(name) && error.ends_with(port), "{error}");
    }
    joined(&["--only-http", "--http-bundle"], "{}").unwrap();
}

#[test]
fn tls_needs_a_certificate_from_somewhere() {
    for flags in [["--secure-port", "1"], ["--https-port", "1"]] {
        let error = joined(&flags, "{}").unwrap_err();
        assert!(error.contains("--cert"), "{error}");
        let file = r#"{ "credentials": { "certPath": "c", "keyPath": "k" } }"#;
        joined(&flags, file).unwrap();
    }
}

#[test]
fn flags_replace_the_files_certificate_and_nothing_else() {
    let asked = r#""keyPath": "file.key", "certPath": "file.crt", "requestCert": true, "caPaths": ["ca"],
        "certificates": [{ "certPath": "c2", "keyPath": "k2" }]"#;
    for file in [
        format!(r#"{{ "secure": {{ "port": 1, {asked} }} }}"#),
        format!(r#"{{ "interfaces": [{{ "type": "mqtts" }}], "credentials": {{ {asked} }} }}"#),
    ] {
        let of_file = joined(&[], &file).unwrap().remove(0).credentials.unwrap();
        assert_eq!(of_file.certificates.len(), 2);
        let of_line = joined(&CERTIFICATE, &file).unwrap().remove(0);
        let of_line = of_line.credentials.unwrap();
        assert_eq!(of_line.certificates, [("c".into(), "k".into())]);
        assert_eq!(of_line.client_certificates, ClientCertificates::Required);
        assert_eq!(of_line.client_ca, of_file.client_ca);
    }
}

/// The engine, its host, its port and the prefix.
fn engine(arguments: &[&str], file: &str) -> Result<[Option<String>; 4], String> {
    let args = Args::parse_from(["mosca"].iter().chain(arguments));
    let file = Format::Json.parse(file).unwrap();
    let options = with_flags(&args, &file).map_err(|error| error.to_string())?;
    Config::of(&options).map_err(|problems| problems[0].to_string())?;
    let root = options.as_object().unwrap();
    let said = |key| root.get("backend")?.as_object()?.get(key)?.as_word();
    Ok(["type", "host", "port", "prefix"].map(|key| said(key).map(str::to_owned)))
}

#[test]
fn a_host_or_a_port_of_a_parent_chooses_the_engine_and_a_prefix_is_for_any() {
    let some = |text: &str| Some(text.to_owned());
    for (arguments, file, expected) in [
        (&[][..], "{}", [None, None, None, None]),
        (
            &["--parent-host", "a"],
            "{}",
            [some("mqtt"), some("a"), None, None],
        ),
        (
            &["--parent-port", "4883"],
            "{}",
            [some("mqtt"), None, some("4883"), None],
        ),
        (
            &["--parent-prefix", "/s"],
            "{}",
            [None, None, None, some("/s")],
        ),
        // As in mosca's files, which have it without an engine.
        (
            &["--parent-host", "a", "--parent-prefix", "/s"],
            r#"{ "backend": { "json": false } }"#,
            [some("mqtt"), some("a"), None, some("/s")],
        ),
        (
            &["--parent-port", "1"],
            r#"{ "backend": { "type": "MQTT", "host": "file", "port": 2, "prefix": "file" } }"#,
            [some("mqtt"), some("file"), some("1"), some("file")],
        ),
        (
            &["--parent-prefix", "line"],
            r#"{ "backend": { "type": "amqp", "prefix": "file" } }"#,
            [some("amqp"), None, None, some("line")],
        ),
    ] {
        assert_eq!(engine(arguments, file), Ok(expected), "{arguments:?}");
    }
}

#[test]
fn a_parent_beside_another_engine_or_address_is_two_choices_at_once() {
    for (flag, file, other) in [
        ("--parent-host", r#"{ "type": "amqp" }"#, "backend.type"),
        ("--parent-port", r#"{ "type": "trie" }"#, "backend.type"),
        (
            "--parent-port",
            r#"{ "type": "mqtt", "url": "mqtt://me:secret@a" }"#,
            "backend.url",
        ),
    ] {
        let file = format!("{{ \"backend\": {file} }}");
        let error = engine(&[flag, "7"], &file).unwrap_err();
        let expected =
            format!("{flag} stands beside `{other}` in the config file: two choices at once");
        assert_eq!(error, expected);
    }
}

#[test]
fn a_list_of_interfaces_is_all_there_is() {
    let file = r#"{ "host": "file", "interfaces": [{ "type": "mqtt" }, { "type": "mqtt", "host": "own" }] }"#;
    let choices = joined(&["--host", "line"], file).unwrap();
    let hosts: Vec<_> = choices.iter().map(|it| it.host.as_deref()).collect();
    assert_eq!(hosts, [Some("line"), Some("own")]);
    for flag in [
        "--port",
        "--http-port",
        "--http-static",
        "--secure-port",
        "--https-port",
        "--https-static",
    ] {
        let error = joined(&[flag, "7"], file).unwrap_err();
        assert!(error.starts_with(flag), "{error}");
    }
}
