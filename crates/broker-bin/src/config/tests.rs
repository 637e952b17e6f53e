//! What a config file may say, and what is said about the rest.

use serde_json::json;

mod access;
mod listening;

use super::*;
use crate::limits::Given;
use crate::store::Durability;

fn read(value: &Value) -> Result<Config, String> {
    Config::from_value(value).map_err(|error| error.to_string())
}

/// The store of a section `persistence`.
fn store(section: &Value) -> Result<StoreChoice, String> {
    let config = read(&json!({ "persistence": section }))?;
    Ok(config.persistence.unwrap().store)
}

fn complaint(value: &Value) -> String {
    match read(value) {
        Ok(config) => panic!("{value}: no complaint but {config:?}"),
        Err(complaint) => complaint,
    }
}

#[test]
fn an_empty_file_says_nothing() {
    assert_eq!(read(&json!({})), Ok(Config::default()));
    // mosca's way of saying nothing.
    let nulls = json!({ "host": null, "http": null, "persistence": null });
    assert_eq!(read(&nulls), Ok(Config::default()));
}

#[test]
fn what_is_said_below_sys_has_moscas_names() {
    let own = |value: &Value| read(value).map(|config| config.own_topics);
    let all = json!({
        "id": "here",
        "stats": false,
        "publishNewClient": false,
        "publishClientDisconnect": true,
        "publishSubscriptions": false,
    });
    let expected = OwnTopics {
        id: Some("here".to_owned()),
        statistics: Some(None),
        new_client: Some(false),
        client_disconnect: Some(true),
        subscriptions: Some(false),
    };
    assert_eq!(own(&all), Ok(expected));
    assert_eq!(own(&json!({ "stats": true })), Ok(OwnTopics::default()));
    let often = OwnTopics {
        statistics: Some(Some(std::time::Duration::from_millis(500))),
        ..OwnTopics::default()
    };
    assert_eq!(own(&json!({ "stats": { "interval": 500 } })), Ok(often));
    for (value, named) in [
        (json!({ "stats": 10 }), "stats"),
        (json!({ "stats": { "interval": 1 } }), "stats.interval"),
        (json!({ "stats": { "every": 1 } }), "stats.every"),
        (json!({ "publishNewClient": "no" }), "publishNewClient"),
    ] {
        assert!(complaint(&value).contains(named), "{value}");
    }
}

#[test]
fn every_option_of_the_command_line_has_its_place() {
    let config = read(&json!({
        "port": 1884,
        "host": "127.0.0.1",
        "http": { "port": 3001 },
        "threads": 2,
        "logger": { "level": "Info" },
        "persistence": { "factory": "memory" },
        "authentication": { "usersFile": "/users.json" },
    }))
    .unwrap();
    let expected = Config {
        listening: Listening {
            port: Some(1_884),
            host: Some("127.0.0.1".to_owned()),
            http_port: Some(3_001),
            ..Listening::default()
        },
        access: AccessChoice {
            users_file: Some("/users.json".into()),
            ..AccessChoice::default()
        },
        limits: Limits::default(),
        own_topics: OwnTopics::default(),
        threads: Some(2),
        level: Some(Level::INFO),
        persistence: Some(PersistenceSection {
            store: StoreChoice::Memory,
            keeping: Keeping::default(),
        }),
        without_effect: Vec::new(),
    };
    assert_eq!(config, expected);
    let config = read(&json!({ "http": {} })).unwrap();
    assert_eq!(config.listening.http_port, Some(3_000));
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
fn times_in_milliseconds_become_seconds_and_are_never_shortened() {
    let keeping = |section: Value| {
        let config = read(&json!({ "persistence": section })).unwrap();
        config.persistence.unwrap().keeping
    };
    for (millis, secs) in [(1, 1), (1_000, 1), (1_001, 2), (3_600_000, 3_600)] {
        let found = keeping(json!({ "factory": "memory", "ttl": { "subscriptions": millis } }));
        let session_expiry_secs = Some(secs);
        assert_eq!(
            found,
            Keeping {
                session_expiry_secs,
                ..Keeping::default()
            }
        );
        let found = keeping(json!({ "factory": "memory", "ttl": { "packets": millis } }));
        let queued_message_expiry_secs = Some(secs);
        assert_eq!(
            found,
            Keeping {
                queued_message_expiry_secs,
                ..Keeping::default()
            }
        );
        // Counts before the other.
        let found = keeping(json!({ "factory": "mongo", "url": "mongodb://a",
            "offlineMessageTimeout": millis, "ttl": { "packets": 7_000 } }));
        assert_eq!(
            found,
            Keeping {
                queued_message_expiry_secs,
                ..Keeping::default()
            }
        );
    }
    for flag in [true, false] {
        let found = keeping(json!({ "factory": "memory", "storeMessagesQos0": flag }));
        assert_eq!(
            found,
            Keeping {
                queue_qos_0: Some(flag),
                ..Keeping::default()
            }
        );
    }
}

#[test]
fn what_changes_nothing_any_more_is_said() {
    for (section, key) in [
        (
            json!({ "factory": "redis", "channel": "x" }),
            "persistence.channel ",
        ),
        (
            json!({ "factory": "memory", "ttl": { "checkFrequency": 1 } }),
            "persistence.ttl.checkFrequency ",
        ),
        (
            json!({ "factory": "mongo", "url": "mongodb://a", "autoClose": false }),
            "persistence.autoClose ",
        ),
        (
            json!({ "factory": "mongo", "url": "mongodb://a", "mongo": { "safe": true } }),
            "persistence.mongo.safe ",
        ),
    ] {
        let config = read(&json!({ "persistence": section })).unwrap();
        let [said] = &config.without_effect[..] else {
            panic!("{section}: {:?}", config.without_effect);
        };
        assert!(
            said.starts_with(key) && said.contains("no effect"),
            "{said}"
        );
    }
    let quiet = json!({ "persistence": { "factory": "memory", "storeMessagesQos0": false } });
    assert!(read(&quiet).unwrap().without_effect.is_empty());
}

#[test]
fn limits_are_read_in_their_units_and_set_once() {
    let limits = |section: Value| read(&json!({ "limits": section })).unwrap().limits;
    let number = |key, number| {
        let mut limits = Limits::default();
        limits.set_number(key, number).unwrap();
        limits
    };
    assert_eq!(limits(json!({})), Limits::default());
    for (key, value) in [
        ("connectTimeout", 3_600_000_u64),
        ("maxPacketSizeBytes", 1_000),
        ("maxQos", 1),
        ("maxConnections", 0),
    ] {
        assert_eq!(limits(json!({ key: value })), number(key, value));
    }
    let rate = mosca::Rate::per_sec(5);
    for (value, expected) in [
        (json!(false), None),
        (json!({ "perSecond": 5 }), Some(rate)),
        (
            json!({ "perSecond": 5, "burst": 9 }),
            Some(rate.with_burst(9)),
        ),
    ] {
        let read = limits(json!({ "connectRatePerAddress": value }));
        let mut limits = Limits::default();
        limits.set("connectRatePerAddress", Given::Rate(expected));
        assert_eq!(read, limits);
    }
    let read = limits(json!({
        "exemptNetworks": ["10.0.0.0/8", "::1"], "sharedSubscriptionStrategy": "Sticky",
        "queueQos0": true }));
    let mut expected = Limits::default();
    let networks = ["10.0.0.0/8", "::1"].map(|text| text.parse().unwrap());
    expected.set("exemptNetworks", Given::Networks(networks.into()));
    expected.set("sharedSubscriptionStrategy", Given::Word("sticky"));
    expected.set("queueQos0", Given::Flag(true));
    assert_eq!(read, expected);
    for (value, words) in [
        (
            json!({ "limits": { "maxInflight": 65_536 } }),
            &["`limits.maxInflight` is 65536", "from 1 to 65535"][..],
        ),
        (
            json!({ "limits": { "connectTimeout": 3_600_001 } }),
            &["`limits.connectTimeout`", "from 1 to 3600000 ms"],
        ),
        (
            json!({ "limits": { "maxPacketSize": 1 } }),
            &[
                "`limits.maxPacketSize`",
                "did you mean `maxPacketSizeBytes`?",
            ],
        ),
        (
            json!({ "limits": { "connectRatePerAddress": 7 } }),
            &["`limits.connectRatePerAddress` is 7", "perSecond", "false"],
        ),
        (
            json!({ "limits": { "connectRatePerAddress": { "burst": 7 } } }),
            &["`limits.connectRatePerAddress.perSecond` is missing"],
        ),
        (
            json!({ "limits": { "exemptNetworks": ["10.0.0.0/33"] } }),
            &["`limits.exemptNetworks`", "\"10.0.0.0/33\"", "10.0.7.0/24"],
        ),
        (
            json!({ "limits": { "queueQos0": true },
                "persistence": { "factory": "memory", "storeMessagesQos0": true } }),
            &["`limits.queueQos0`", "two choices at once"],
        ),
    ] {
        let complaint = complaint(&value);
        for word in words {
            assert!(complaint.contains(word), "{value}: {complaint}: no {word}");
        }
    }
}

/// Key, value and what is expected are named.
#[test]
fn a_wrong_value_is_named_with_its_key_and_what_is_expected() {
    for (value, words) in [
        (
            json!([]),
            &["the file", "a list", "an object of options"][..],
        ),
        (
            json!({ "port": "1883" }),
            &["`port`", "\"1883\"", "from 0 to 65535"],
        ),
        (
            json!({ "port": 65_536 }),
            &["`port` is 65536", "from 0 to 65535"],
        ),
        (json!({ "port": -1 }), &["`port` is -1"]),
        (json!({ "port": 1.5 }), &["`port` is 1.5"]),
        (json!({ "host": 7 }), &["`host` is 7", "a text"]),
        (json!({ "host": "" }), &["`host`", "not empty"]),
        (json!({ "threads": 0 }), &["`threads` is 0", "1 to 1024"]),
        (json!({ "http": 3000 }), &["`http` is 3000", "an object"]),
        (
            json!({ "http": { "port": true } }),
            &["`http.port` is true"],
        ),
        (
            json!({ "logger": { "level": "inof" } }),
            &["`logger.level`", "\"inof\"", "did you mean `info`?"],
        ),
        (
            json!({ "persistence": "redis" }),
            &["`persistence`", "an object"],
        ),
        (
            json!({ "persistence": {} }),
            &["`persistence.factory` is missing", "levelup"],
        ),
        (
            json!({ "persistence": { "factory": "rediss" } }),
            &[
                "`persistence.factory`",
                "\"rediss\"",
                "did you mean `redis`?",
            ],
        ),
        (
            json!({ "persistence": { "factory": 7 } }),
            &[
                "`persistence.factory` is 7",
                "memory, levelup, redis, mongo",
            ],
        ),
        (
            json!({ "persistence": { "factory": "levelup" } }),
            &["`persistence.path` is missing"],
        ),
        (
            json!({ "persistence": { "factory": "levelup", "path": "/x", "durability": "x" } }),
            &["`persistence.durability`", "\"x\"", "interval:MS"],
        ),
        (
            json!({ "persistence": { "factory": "redis", "db": "1" } }),
            &["`persistence.db`", "\"1\"", "a whole number"],
        ),
        (
            json!({ "persistence": { "factory": "redis", "redisOptions": { "sentinels": [1] } } }),
            &["`persistence.redisOptions.sentinels`", "a list of objects"],
        ),
        (
            json!({ "persistence": { "factory": "redis",
                "redisOptions": { "sentinels": [{ "host": "a" }] } } }),
            &["`persistence.redisOptions.name` is missing"],
        ),
        (
            json!({ "persistence": { "factory": "mongo" } }),
            &["`persistence.url` is missing", "mongodb://"],
        ),
        (
            json!({ "persistence": { "factory": "memory", "ttl": 5 } }),
            &["`persistence.ttl` is 5", "an object"],
        ),
        (
            json!({ "persistence": { "factory": "memory", "ttl": { "packets": "1h" } } }),
            &["`persistence.ttl.packets`", "\"1h\"", " ms"],
        ),
        (
            json!({ "persistence": { "factory": "memory", "storeMessagesQos0": 1 } }),
            &["`persistence.storeMessagesQos0` is 1", "true or false"],
        ),
        (
            json!({ "persistence": { "factory": "mongo", "url": "mongodb://a",
                "offlineMessageTimeout": 0 } }),
            &["`persistence.offlineMessageTimeout` is 0", " ms"],
        ),
    ] {
        let complaint = complaint(&value);
        for word in words {
            assert!(complaint.contains(word), "{value}: {complaint}: no {word}");
        }
    }
}

#[test]
fn an_unknown_key_is_named_together_with_what_there_is() {
    for (value, words) in [
        (
            json!({ "prot": 1 }),
            &["`prot`", "did you mean `port`?", "persistence"][..],
        ),
        (
            json!({ "colour": 1 }),
            &["`colour`", "there are host, port"],
        ),
        (
            json!({ "http": { "bundel": true } }),
            &["`http.bundel`", "there are port, bundle, static"],
        ),
        (
            json!({ "persistence": { "factory": "memory", "path": "/x" } }),
            &["`persistence.path`", "factory"],
        ),
        (
            json!({ "persistence": { "factory": "redis", "pasword": "secret" } }),
            &["`persistence.pasword`", "did you mean `password`?"],
        ),
        (
            json!({ "persistence": { "factory": "redis", "redisOptions": { "dB": 1 } } }),
            &["`persistence.redisOptions.dB`", "did you mean `db`?"],
        ),
        (
            json!({ "persistence": { "factory": "mongo", "url": "mongodb://a",
                "mongo": { "poolSize": 5 } } }),
            &["`persistence.mongo.poolSize`", "belongs into the url"],
        ),
    ] {
        let complaint = complaint(&value);
        for word in words {
            assert!(complaint.contains(word), "{value}: {complaint}: no {word}");
        }
        assert!(!complaint.contains("secret"), "{complaint}");
    }
    let far = complaint(&json!({ "colour": 1 }));
    assert!(!far.contains("did you mean"), "{far}");
}

#[test]
fn two_choices_at_once_are_none() {
    for section in [
        json!({ "factory": "redis", "url": "redis://a", "host": "b" }),
        json!({ "factory": "redis", "url": "redis://a", "redisOptions": { "port": 1 } }),
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
fn a_wrong_address_is_named_and_no_password_is_shown() {
    for section in [
        json!({ "factory": "redis", "url": "redis://:secret@a:x" }),
        json!({ "factory": "mongo", "url": "mongodb://me:secret@a:x" }),
        json!({ "factory": "redis", "password": 5 }),
        json!({ "factory": "redis", "password": ["secret"] }),
    ] {
        let complaint = store(&section).unwrap_err();
        assert!(complaint.contains("`persistence."), "{complaint}");
        assert!(!complaint.contains("secret"), "{complaint}");
    }
}

/// The same in both formats, by the name of the file.
#[test]
fn a_file_is_json_or_toml() {
    let folder = std::env::temp_dir().join(format!("mosca-config-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let read = |name: &str, text: &str| {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        Config::read(&path).map_err(|error| error.to_string())
    };
    let json = r#"{ "port": 7, "persistence": { "factory": "levelup", "path": "/db" } }"#;
    let toml = "port = 7\n[persistence]\nfactory = \"levelup\"\npath = \"/db\"\n";
    let config = read("a.json", json).unwrap();
    assert_eq!(config.listening.port, Some(7));
    assert_eq!(read("a.toml", toml), Ok(config.clone()));
    assert_eq!(read("a.conf", json), Ok(config));
    for (name, text, words) in [
        ("b.json", "{ \"port\": }", &["is not JSON", "line 1"][..]),
        ("b.toml", "port = \n", &["is not TOML", "line 1"]),
        (
            "b.js",
            "module.exports = {}",
            &["JavaScript", "JSON or TOML"],
        ),
        ("c.toml", "prot = 1", &["c.toml", "did you mean `port`?"]),
        ("d.toml", "port = 1979-05-27", &["`port`"]),
    ] {
        let complaint = read(name, text).unwrap_err();
        for word in words {
            assert!(complaint.contains(word), "{name}: {complaint}: no {word}");
        }
    }
    let missing = Config::read(&folder.join("none.json")).unwrap_err();
    let missing = missing.to_string();
    assert!(
        missing.contains("none.json") && missing.contains("cannot read"),
        "{missing}"
    );
    std::fs::remove_dir_all(&folder).unwrap();
}
