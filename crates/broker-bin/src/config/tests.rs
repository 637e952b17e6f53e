//! What a config file may say, and what is said about the rest.

use serde_json::{Value as Json, json};

mod access;
mod backend;
mod listening;

use super::*;
use crate::store::Durability;

fn read(value: &Json) -> Result<Config, String> {
    let file = Format::Json.parse(&value.to_string()).unwrap();
    let wrong = |problems| WrongOptions {
        path: None,
        problems,
    };
    Config::of(&file).map_err(|problems| wrong(problems).to_string())
}

/// The store of a section `persistence`.
fn store(section: &Json) -> Result<StoreChoice, String> {
    let config = read(&json!({ "persistence": section }))?;
    Ok(config.store)
}

fn complaint(value: &Json) -> String {
    match read(value) {
        Ok(config) => panic!("{value}: no complaint but {config:?}"),
        Err(complaint) => complaint,
    }
}

#[test]
fn every_option_of_the_command_line_has_its_place() {
    let config = read(&json!({
        "threads": 2,
        "logger": { "level": "Info" },
        "persistence": { "factory": "levelup", "path": "/db" },
        "authentication": { "usersFile": "/users.json" },
        "limits": { "maxInflight": 7 },
    }))
    .unwrap();
    assert_eq!((config.threads, config.level), (Some(2), LevelFilter::INFO));
    assert_eq!(config.store, StoreChoice::fjall("/db"));
    assert_eq!(config.access.users_file, Some("/users.json".into()));
    let limits = config.options.get("limits").and_then(Value::as_object);
    let limit = limits.and_then(|limits| limits.get("maxInflight")?.as_u64());
    assert_eq!(limit, Some(7));
    let nothing = read(&json!({})).unwrap();
    assert_eq!((nothing.threads, nothing.level), (None, LevelFilter::WARN));
    assert_eq!(nothing.store, StoreChoice::Memory);
}

#[test]
fn the_factories_have_moscas_names_in_any_case_and_ours() {
    for name in ["memory", "Memory", "MEMORY"] {
        assert_eq!(store(&json!({ "factory": name })), Ok(StoreChoice::Memory));
    }
    for name in ["levelup", "LevelUp", "fjall"] {
        let section = json!({ "factory": name, "path": "/db" });
        assert_eq!(store(&section), Ok(StoreChoice::fjall("/db")));
    }
    let redis = StoreChoice::Redis("redis://127.0.0.1:6379".parse().unwrap());
    for name in ["redis", "Redis"] {
        assert_eq!(store(&json!({ "factory": name })), Ok(redis.clone()));
    }
    // As mosca's examples have it.
    let section = json!({ "factory": "redis", "url": "localhost:6379" });
    let redis = StoreChoice::Redis("redis://localhost:6379".parse().unwrap());
    assert_eq!(store(&section), Ok(redis));
    let mongo = StoreChoice::Mongo("mongodb://a/mosca".parse().unwrap());
    for name in ["mongo", "Mongo", "mongodb"] {
        let section = json!({ "factory": name, "url": "mongodb://a/mosca" });
        assert_eq!(store(&section), Ok(mongo.clone()));
    }
}

#[test]
fn a_store_on_disk_may_say_how_durable_it_is() {
    let section = json!({ "factory": "levelup", "path": "/db", "durability": "interval:20" });
    let durability = Durability::Interval(std::time::Duration::from_millis(20));
    let path = "/db".into();
    assert_eq!(store(&section), Ok(StoreChoice::Fjall { path, durability }));
}

#[test]
fn an_address_of_redis_is_put_together_from_its_parts() {
    for (section, url) in [
        (json!({ "host": "a" }), "redis://a:6379"),
        (
            json!({ "host": "a", "port": 7000, "db": 0 }),
            "redis://a:7000/0",
        ),
        (json!({ "host": "::1", "db": 12 }), "redis://[::1]:6379/12"),
        (
            json!({ "password": "s/c" }),
            "redis://:s%2Fc@127.0.0.1:6379",
        ),
        (
            json!({ "redisOptions": { "keyPrefix": "a:b" } }),
            "redis://127.0.0.1:6379?prefix=a%3Ab",
        ),
        (json!({ "url": "rediss://b:1/2" }), "rediss://b:1/2"),
        (
            json!({ "host": "a", "redisOptions": { "host": "b", "username": "me", "password": "x" } }),
            "redis://me:x@b:6379",
        ),
        (
            json!({ "redisOpts": { "db": 3, "tls": true } }),
            "rediss://127.0.0.1:6379/3",
        ),
        (
            json!({ "db": 1, "redisOptions": {
                "sentinels": [{ "host": "a", "port": 1 }, { "host": "::1" }], "name": "main" } }),
            "redis+sentinel://a:1,[::1]:26379/main/1",
        ),
    ] {
        let mut with_factory = section.clone();
        with_factory["factory"] = json!("redis");
        let expected = StoreChoice::Redis(url.parse().unwrap());
        assert_eq!(store(&with_factory), Ok(expected), "{section}");
    }
}

#[test]
fn an_address_of_another_store_is_two_choices_at_once() {
    for section in [
        json!({ "factory": "redis", "url": "mongodb://a" }),
        json!({ "factory": "mongo", "url": "redis://:secret@a" }),
    ] {
        let complaint = store(&section).unwrap_err();
        assert!(complaint.contains("two choices at once"), "{complaint}");
        assert!(complaint.contains("`persistence.url`"), "{complaint}");
        assert!(!complaint.contains("secret"), "{complaint}");
    }
}

#[test]
fn a_wrong_address_or_durability_is_named_and_no_password_is_shown() {
    for section in [
        json!({ "factory": "redis", "url": "redis://:secret@a:x" }),
        json!({ "factory": "mongo", "url": "mongodb://me:secret@a:x" }),
        json!({ "factory": "levelup", "path": "/x", "durability": "never" }),
    ] {
        let complaint = complaint(&json!({ "persistence": section }));
        assert!(complaint.contains("`persistence."), "{complaint}");
        assert!(!complaint.contains("secret"), "{complaint}");
    }
}

#[test]
fn all_that_is_wrong_is_a_line_each_with_the_file_and_its_line() {
    let file = Format::Json
        .parse("{\n\"prot\": 1,\n\"port\": -1 }")
        .unwrap();
    let path = Some("a.json".into());
    let problems = Config::of(&file).unwrap_err();
    let shown = WrongOptions { path, problems }.to_string();
    let expected = "a.json:2: `prot` is no option; did you mean `port`?\n\
        mosca: a.json:3: `port` is -1; expected is a whole number from 0 to 65535";
    assert_eq!(shown, expected);
}

/// The same in each format, by the name of the file.
#[test]
fn a_file_is_json_toml_or_yaml() {
    let folder = tempfile::tempdir().unwrap();
    let read = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        super::read(&path).map_err(|error| error.to_string())
    };
    let json = r#"{ "port": 7, "persistence": { "factory": "levelup", "path": "/db" } }"#;
    let toml = "port = 7\n[persistence]\nfactory = \"levelup\"\npath = \"/db\"\n";
    let yaml = "port: 7\npersistence:\n  factory: levelup\n  path: /db\n";
    let file = read("a.json", json);
    assert_eq!(read("a.toml", toml), file);
    assert_eq!(read("a.yml", yaml), file);
    assert_eq!(read("a.conf", json), file);
    for (name, text, words) in [
        ("b.json", "{\n \"port\": }", &["b.json:2: ", "not JSON"][..]),
        ("b.toml", "port = \n", &["b.toml:1: ", "not TOML"]),
        ("b.yaml", "port: [", &["b.yaml:2: ", "not YAML"]),
        (
            "b.js",
            "module.exports = {}",
            &["JavaScript", "JSON, TOML or YAML"],
        ),
    ] {
        let complaint = read(name, text).unwrap_err();
        for word in words {
            assert!(complaint.contains(word), "{name}: {complaint}: no {word}");
        }
    }
    let missing = super::read(&folder.path().join("none.json")).unwrap_err();
    let missing = missing.to_string();
    assert!(
        missing.contains("none.json") && missing.contains("cannot read"),
        "{missing}"
    );
}
