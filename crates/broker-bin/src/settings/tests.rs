//! What holds in the end.

use super::*;
use crate::listening::Kind;
use clap::Parser as _;
use mosca_options::Format;
use std::time::Duration;

/// What the command starts with, given this command line and this file.
fn joined(arguments: &[&str], file: &str) -> Result<Settings, String> {
    let args = Args::parse_from(["mosca"].iter().chain(arguments));
    let file = Format::Json.parse(file).unwrap();
    let options = with_flags(&args, &file).map_err(|error| error.to_string())?;
    let config = Config::of(&options).map_err(|problems| named(&args, problems).to_string())?;
    Settings::join(&args, options, config).map_err(|error| error.to_string())
}

const FILE: &str = r#"{
    "port": 1, "host": "file", "http": { "port": 2 }, "threads": 3,
    "authentication": { "usersFile": "/file.json" },
    "limits": { "maxInflight": 1, "maxSessions": 2 },
    "logger": { "level": "trace" },
    "persistence": { "factory": "levelup", "path": "/file",
        "ttl": { "subscriptions": 60000, "packets": 50000, "checkFrequency": 1 }, "storeMessagesQos0": true } }"#;

/// Kinds, hosts and ports.
fn interfaces(settings: &Settings) -> Vec<(Kind, Option<&str>, u16)> {
    let all = settings.interfaces.iter();
    all.map(|it| (it.kind, it.host.as_deref(), it.port))
        .collect()
}

fn limit(settings: &Settings, key: &str) -> Option<u64> {
    settings
        .options
        .get("limits")?
        .as_object()?
        .get(key)?
        .as_u64()
}

#[test]
fn without_anything_the_defaults_hold() {
    let settings = joined(&[], "{}").unwrap();
    assert_eq!(interfaces(&settings), [(Kind::Mqtt, None, 1_883)]);
    assert_eq!(settings.access, AccessChoice::default());
    assert_eq!(
        (settings.threads, settings.level),
        (None, LevelFilter::WARN)
    );
    assert_eq!(settings.store, StoreChoice::Memory);
    assert_eq!(settings.without_effect, [""; 0]);
}

#[test]
fn the_file_counts_where_the_command_line_says_nothing() {
    let settings = joined(&[], FILE).unwrap();
    let file = Some("file");
    let expected = [(Kind::Mqtt, file, 1), (Kind::Http, file, 2)];
    assert_eq!(interfaces(&settings), expected);
    assert_eq!(settings.access.users_file, Some("/file.json".into()));
    assert_eq!(
        (settings.threads, settings.level),
        (Some(3), LevelFilter::TRACE)
    );
    assert_eq!(settings.store, StoreChoice::fjall("/file"));
    assert_eq!(limit(&settings, "legacySessionExpirySecs"), Some(60));
    assert_eq!(limit(&settings, "maxInflight"), Some(1));
    assert_eq!(settings.without_effect.len(), 1);
}

#[test]
fn the_command_line_counts_before_the_file() {
    let arguments = [
        "-p",
        "9",
        "--host",
        "line",
        "--ws-port",
        "8",
        "--threads",
        "7",
        "-v",
        "--db",
        "/line",
        "--credentials",
        "/line.json",
        "--max-inflight",
        "3",
    ];
    let settings = joined(&arguments, FILE).unwrap();
    let line = Some("line");
    let expected = [(Kind::Mqtt, line, 9), (Kind::Http, line, 8)];
    assert_eq!(interfaces(&settings), expected);
    assert_eq!(settings.access.users_file, Some("/line.json".into()));
    assert_eq!(
        (settings.threads, settings.level),
        (Some(7), LevelFilter::INFO)
    );
    assert_eq!(settings.store, StoreChoice::fjall("/line"));
    // They are the broker's, not the store's.
    assert_eq!(limit(&settings, "legacySessionExpirySecs"), Some(60));
    assert_eq!(limit(&settings, "queuedMessageExpirySecs"), Some(50));
    assert_eq!(limit(&settings, "maxInflight"), Some(3));
    assert_eq!(limit(&settings, "maxSessions"), Some(2));
    let settings = joined(&["--persistence", "memory", "--very-verbose"], FILE).unwrap();
    assert_eq!(settings.store, StoreChoice::Memory);
    assert_eq!(settings.level, LevelFilter::DEBUG);
}

#[test]
fn what_is_said_below_sys_is_up_to_the_file_and_the_flags_before_it() {
    let file = r#"{ "id": "file", "stats": { "interval": 1000 }, "publishNewClient": false }"#;
    let shown = |arguments: &[&str]| {
        let settings = joined(arguments, file).unwrap();
        let server = mosca_options::apply(mosca::Server::builder(), &settings.options);
        format!("{server:?}")
    };
    let server = mosca::Server::builder().publish_new_client(false);
    let of_file = server.clone().id("file").statistics(Duration::from_secs(1));
    assert_eq!(shown(&[]), format!("{of_file:?}"));
    let of_line = server.id("line").statistics(None);
    let arguments = ["--broker-id", "line", "--disable-stats"];
    assert_eq!(shown(&arguments), format!("{of_line:?}"));
}

#[test]
fn what_a_flag_says_wrong_is_named_with_the_flag() {
    let error = joined(&["--max-inflight", "65536"], "{}").unwrap_err();
    let expected = "--max-inflight is 65536; expected is a whole number from 1 to 65535";
    assert_eq!(error, expected);
    let error = joined(&["--http-port", "1883"], "{}").unwrap_err();
    assert_eq!(error, "--http-port is 1883, where `port` listens");
}

#[test]
fn what_is_wrong_or_in_vain_about_a_parent_is_named_with_the_flag() {
    let error = joined(&["--parent-port", "0"], "{}").unwrap_err();
    let expected = "--parent-port is 0; expected is a whole number from 1 to 65535";
    assert_eq!(error, expected);
    let error = joined(&["--parent-host", "a", "--parent-prefix", "s/#"], "{}").unwrap_err();
    let expected = "--parent-prefix is the text \"s/#\"; it stands in topic names";
    assert!(error.starts_with(expected), "{error}");
    let error = joined(&["--parent-host", "mqtt://a"], "{}").unwrap_err();
    let expected = "--parent-host makes no address: ";
    assert!(error.starts_with(expected), "{error}");
    let alone = joined(&["--parent-prefix", "s"], "{}").unwrap();
    assert_eq!(alone.engine, EngineChoice::Alone);
    let expected = "--parent-prefix has no effect: there are no other brokers to talk to";
    assert_eq!(alone.without_effect, [expected]);
}

#[test]
fn the_log_is_what_the_file_says_unless_a_flag_says_something_else() {
    let file = r#"{ "logger": { "level": 30, "format": "json" } }"#;
    let settings = joined(&[], file).unwrap();
    assert_eq!(settings.level, LevelFilter::INFO);
    assert_eq!(settings.log_format, LogFormat::Json);
    let settings = joined(&["--log-format", "pino", "--very-verbose"], file).unwrap();
    assert_eq!(settings.level, LevelFilter::DEBUG);
    assert_eq!(settings.log_format, LogFormat::Pino);
    let settings = joined(&[], r#"{ "logger": { "level": "silent" } }"#).unwrap();
    assert_eq!(settings.level, LevelFilter::OFF);
    assert_eq!(settings.log_format, LogFormat::Pretty);
}

#[test]
fn durability_is_for_a_store_on_disk_wherever_that_was_chosen() {
    let interval = Durability::Interval(Duration::from_millis(50));
    for (arguments, file) in [
        (&["--db", "/x"][..], "{}"),
        (&["--persistence", "fjall:/x"], "{}"),
        (&[], FILE),
    ] {
        let arguments = [arguments, &["--durability", "interval:50"]].concat();
        let settings = joined(&arguments, file).unwrap();
        let StoreChoice::Fjall { durability, .. } = settings.store else {
            panic!("{:?}", settings.store);
        };
        assert_eq!(durability, interval);
    }
    for (store, advice) in [
        ("memory", "nothing in memory"),
        ("redis://:secret@a", "appendfsync"),
        ("mongodb://a", "journal"),
    ] {
        let arguments = ["--persistence", store, "--durability", "os"];
        let error = joined(&arguments, "{}").unwrap_err();
        assert!(error.contains(advice), "{error}");
        assert!(!error.contains("secret"), "{error}");
    }
}

#[test]
fn a_wrong_value_is_named_with_its_flag() {
    let error = joined(&["--persistence", "reddis://a"], "{}").unwrap_err();
    assert!(error.starts_with("--persistence: "), "{error}");
    let arguments = ["--db", "/x", "--durability", "maybe"];
    let error = joined(&arguments, "{}").unwrap_err();
    assert!(error.starts_with("--durability: "), "{error}");
}
