//! All options that there are, each once.

mod authentication;
mod backend;
mod listening;
mod persistence;

use crate::definition::{Definition, Kind, Section};
use crate::limits;

/// Most connections, sessions, messages or anything else that is counted.
pub(crate) const COUNT_MAX: u64 = 1 << 32;

/// A port; 0 takes any that is free.
const PORT: Kind = Kind::Number {
    from: 0,
    to: 65_535,
    unit: "",
};

const CONNECTIONS: Kind = Kind::Number {
    from: 0,
    to: COUNT_MAX,
    unit: "",
};

/// A timeout: an hour at most.
pub(crate) const TIMEOUT: Kind = Kind::Number {
    from: 1,
    to: 3_600_000,
    unit: " ms",
};

/// A rate, or false for none.
pub(crate) const RATE: Kind = Kind::FalseOr(&Kind::Section(|| RATE_OPTIONS));

const EACH: Kind = Kind::Number {
    from: 1,
    to: 4_294_967_295,
    unit: "",
};

const RATE_OPTIONS: &[Definition] = &[
    Definition::new("perSecond", EACH, "so many in a second, on the average")
        .such_as("100")
        .required(),
    Definition::new(
        "burst",
        EACH,
        "so many at once after a quiet while; as many as in a second if nothing is said",
    )
    .such_as("1000"),
];

/// The options of a file, in both forms.
pub(crate) const FILE: Section = || FILE_OPTIONS;

const FILE_OPTIONS: &[Definition] = &[
    Definition::new(
        "$schema",
        Kind::Text,
        "where the JSON Schema of this file is, for editors",
    )
    .such_as(r#""schema.json""#),
    Definition::new(
        "interfaces",
        Kind::List(&Kind::Choice(&listening::INTERFACE)),
        "where to listen, any number of them",
    )
    .or(r#"[{ "type": "mqtt" }]"#),
    Definition::new(
        "host",
        Kind::Text,
        "host name or IP address for interfaces that say nothing else; all addresses if there is none",
    )
    .such_as(r#""127.0.0.1""#),
    Definition::new(
        "credentials",
        Kind::Section(|| listening::CREDENTIALS),
        "certificates, for interfaces with TLS that have none of their own",
    ),
    Definition::new("port", PORT, "port for MQTT: 1883 if nothing is said")
        .such_as("1883")
        .legacy(),
    Definition::new(
        "maxConnections",
        CONNECTIONS,
        "connections at one time for MQTT without TLS",
    )
    .such_as("200000")
    .legacy(),
    Definition::new(
        "secure",
        Kind::Section(|| listening::SECURE),
        "MQTT over TLS, instead of MQTT without",
    )
    .legacy(),
    Definition::new(
        "allowNonSecure",
        Kind::Flag,
        "MQTT without TLS beside `secure`",
    )
    .legacy(),
    Definition::new(
        "http",
        Kind::Section(|| listening::HTTP),
        "MQTT over WebSocket, and files for browsers",
    )
    .legacy(),
    Definition::new(
        "https",
        Kind::Section(|| listening::HTTPS),
        "the same over TLS",
    )
    .legacy(),
    Definition::new("onlyHttp", Kind::Flag, "no MQTT but over WebSocket").legacy(),
    Definition::new(
        "authentication",
        Kind::Section(|| authentication::AUTHENTICATION),
        "by what clients are known; everybody may do everything if there is nothing",
    ),
    Definition::new(
        "persistence",
        Kind::Choice(&persistence::STORE),
        "what keeps sessions and messages",
    )
    .or(r#"{ "factory": "memory" }"#),
    Definition::new(
        "limits",
        Kind::Section(limits::definitions),
        "what clients can make grow, and how far",
    )
    .or("{}"),
    Definition::new(
        "maxInflightMessages",
        limits::WINDOW,
        "mosca's name for limits.maxInflight",
    )
    .such_as("1024"),
    Definition::new(
        "threads",
        Kind::Number {
            from: 1,
            to: 1_024,
            unit: "",
        },
        "threads that serve clients; one per processor but one if nothing is said",
    )
    .such_as("1"),
    Definition::new("logger", Kind::Section(|| LOGGER), "what is logged").or("{}"),
    Definition::new(
        "backend",
        Kind::Choice(&backend::BACKEND),
        "what connects several brokers",
    )
    .or("{}"),
    Definition::new(
        "ascoltatore",
        Kind::Nothing("is an object of a program"),
        "a backend of a program's own",
    ),
    Definition::new(
        "id",
        Kind::Text,
        "the broker's name below $SYS: random if nothing is said",
    )
    .such_as(r#""mosca-1""#),
    Definition::new(
        "publishNewClient",
        Kind::Flag,
        "clients that come are announced below $SYS",
    )
    .or("true"),
    Definition::new(
        "publishClientDisconnect",
        Kind::Flag,
        "clients that go are announced below $SYS",
    )
    .or("true"),
    Definition::new(
        "publishSubscriptions",
        Kind::Flag,
        "subscriptions that come and go are announced below $SYS",
    )
    .or("true"),
    Definition::new(
        "stats",
        Kind::FlagOr(&Kind::Section(|| STATS)),
        "statistics below $SYS every 10 s, or at another interval",
    )
    .or("true"),
    Definition::new("onQoS2publish", Kind::Text, "what mosca did with QoS 2")
        .such_as(r#""noack""#)
        .in_vain("QoS 2 is served as MQTT has it"),
];

const STATS: &[Definition] = &[Definition::new(
    "interval",
    Kind::Number {
        from: 10,
        to: 3_600_000,
        unit: " ms",
    },
    "time between them: 10,000 if nothing is said",
)
.such_as("10000")];

const LOGGER: &[Definition] = &[
    Definition::new(
        "level",
        Kind::Words(&[
            "fatal", "error", "warn", "info", "debug", "trace", "silent", "60", "50", "40", "30",
            "20", "10",
        ]),
        "how much is logged; the numbers are pino's for the first six words",
    )
    .or(r#""warn""#),
    Definition::new(
        "format",
        Kind::Words(&["pretty", "json", "pino"]),
        "what lines of the log look like: for people, objects of JSON, or these with the names of pino",
    )
    .or(r#""pretty""#),
    Definition::new("name", Kind::Text, "a name in each line")
        .such_as(r#""mosca""#)
        .in_vain("lines have the name of the part of the broker that they come from"),
    Definition::new(
        "serializers",
        Kind::Section(|| &[]),
        "how a program writes objects",
    )
    .in_vain("these are functions of a program"),
    Definition::new(
        "childOf",
        Kind::Nothing("is an object of a program"),
        "a logger of a program's own",
    ),
];
