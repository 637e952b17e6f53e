//! What keeps sessions and messages: mosca's factories and their options.

use super::PORT;
use crate::definition::{Choice, Definition, Kind, Variant};

/// A hundred years: longer times are mistakes.
const MILLIS: Kind = Kind::Number {
    from: 1,
    to: 100 * 365 * 24 * 3_600 * 1_000,
    unit: " ms",
};

/// The store.
pub(super) const STORE: Choice = Choice {
    tag: "factory",
    doc: "the store: memory, levelup (a folder on disk), redis, mongo",
    default: None,
    variants: &[
        Variant {
            names: &["memory"],
            options: Ok(|| MEMORY),
        },
        Variant {
            names: &["levelup", "fjall"],
            options: Ok(|| FOLDER),
        },
        Variant {
            names: &["redis"],
            options: Ok(|| REDIS),
        },
        Variant {
            names: &["mongo", "mongodb"],
            options: Ok(|| MONGO),
        },
    ],
};

/// The options of one store: those of all, and some more.
macro_rules! store {
    ($($more:expr),*) => {
        &[
            $($more,)*
            Definition::new("ttl", Kind::Section(|| TTL), "for how long sessions and messages are kept"),
            Definition::new("storeMessagesQos0", Kind::Flag, "messages at QoS 0 wait for clients that are away: limits.queueQos0"),
        ]
    };
}

const TTL: &[Definition] = &[
    Definition::new(
        "subscriptions",
        MILLIS,
        "sessions of MQTT 3 whose clients are away: limits.legacySessionExpirySecs",
    )
    .such_as("3600000"),
    Definition::new(
        "packets",
        MILLIS,
        "messages that wait: limits.queuedMessageExpirySecs",
    )
    .such_as("3600000"),
    Definition::new(
        "checkFrequency",
        MILLIS,
        "how often to look for what has expired",
    )
    .such_as("60000")
    .in_vain("what has expired is found without a search"),
];

const MEMORY: &[Definition] = store!();

const FOLDER: &[Definition] = store!(
    Definition::new("path", Kind::Path, "the folder").such_as(r#""/var/lib/mosca""#).required(),
    Definition::new("durability", Kind::Text, "what is acknowledged is on the disk (always), gets there every MS milliseconds (interval:MS), or when the system likes (os)").or(r#""always""#)
);

const DATABASE: Kind = Kind::Number {
    from: 0,
    to: 4_294_967_295,
    unit: "",
};

const HOST: Definition = Definition::new("host", Kind::Text, "host: 127.0.0.1 if nothing is said")
    .such_as(r#""127.0.0.1""#);
const REDIS_PORT: Definition =
    Definition::new("port", PORT, "port: 6379 if nothing is said").such_as("6379");
const DB: Definition = Definition::new("db", DATABASE, "number of the database");
const PASSWORD: Definition = Definition::new("password", Kind::Secret, "the password");

const SENTINEL: &[Definition] = &[
    Definition::new("host", Kind::Text, "host").or(r#""127.0.0.1""#),
    Definition::new("port", PORT, "port").or("26379"),
];

const REDIS_INNER: &[Definition] = &[
    HOST,
    REDIS_PORT,
    DB,
    PASSWORD,
    Definition::new("username", Kind::Text, "the user").such_as(r#""mosca""#),
    Definition::new("tls", Kind::Flag, "over TLS"),
    Definition::new("keyPrefix", Kind::Text, "stands before all keys").such_as(r#""mosca:""#),
    Definition::new(
        "sentinels",
        Kind::List(&Kind::Section(|| SENTINEL)),
        "Sentinels, which know the server",
    ),
    Definition::new("name", Kind::Text, "the service that the Sentinels watch")
        .such_as(r#""mymaster""#),
];

const REDIS: &[Definition] = store!(
    Definition::new(
        "url",
        Kind::Secret,
        "redis://HOST, redis+sentinel://HOST,HOST/SERVICE, redis+cluster://HOST,HOST; rediss… for TLS"
    )
    .such_as(r#""redis://127.0.0.1""#),
    HOST,
    REDIS_PORT,
    DB,
    PASSWORD,
    Definition::new(
        "redisOptions",
        Kind::Section(|| REDIS_INNER),
        "the same and more, in the words of ioredis; it counts before what stands beside it"
    ),
    Definition::new(
        "redisOpts",
        Kind::Section(|| REDIS_INNER),
        "another name for the same"
    ),
    Definition::new(
        "channel",
        Kind::Text,
        "announces subscriptions to other brokers"
    )
    .in_vain("nothing is announced to other brokers through a channel")
);

const DRIVER: &str =
    "is an option of the driver: it belongs into the url, as in mongodb://host/mosca?maxPoolSize=5";
const ALWAYS: &str = "it is always so";

const MONGO_INNER: &[Definition] = &[
    Definition::new("safe", Kind::Flag, "writes are confirmed").in_vain(ALWAYS),
    Definition::new("useNewUrlParser", Kind::Flag, "addresses of many hosts").in_vain(ALWAYS),
    Definition::new(
        "useUnifiedTopology",
        Kind::Flag,
        "changes of primary are followed",
    )
    .in_vain(ALWAYS),
    Definition::new("poolSize", Kind::Nothing(DRIVER), "connections at one time"),
];

const MONGO: &[Definition] = store!(
    Definition::new(
        "url",
        Kind::Secret,
        "mongodb://HOST,HOST[/DATABASE][?OPTIONS]"
    )
    .such_as(r#""mongodb://127.0.0.1/mosca""#)
    .required(),
    Definition::new(
        "mongo",
        Kind::Section(|| MONGO_INNER),
        "options of the driver"
    ),
    Definition::new(
        "connection",
        Kind::Nothing("is an object of a program"),
        "a connection of a program's own"
    ),
    Definition::new(
        "autoClose",
        Kind::Flag,
        "the connection ends with the broker"
    )
    .in_vain("the connection is the broker's own"),
    Definition::new("offlineMessageTimeout", MILLIS, "counts before ttl.packets")
        .such_as("3600000")
);
