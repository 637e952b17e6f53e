//! What connects several brokers: mosca's engines and their options, and what holds between a broker and its engine.

use super::{COUNT_MAX, TIMEOUT};
use crate::definition::{Choice, Definition, Kind, Variant};
use crate::limits::BYTES_MAX;

const NO_ENGINE: &str = "is an engine that is not here yet: there are mqtt (another broker) and amqp (RabbitMQ), and memory \
    for a broker that stands alone";

/// The engine.
pub(super) const BACKEND: Choice = Choice {
    tag: "type",
    doc: "the engine: memory (none, a broker that stands alone), mqtt (another broker, the parent), amqp (RabbitMQ)",
    default: Some("memory"),
    variants: &[
        Variant {
            names: &["memory", "trie", "eventemitter2"],
            options: Ok(|| ALONE),
        },
        Variant {
            names: &["mqtt"],
            options: Ok(|| MQTT),
        },
        Variant {
            names: &["amqp", "amqplib"],
            options: Ok(|| AMQP),
        },
        Variant {
            names: &[
                "redis",
                "mongo",
                "mongodb",
                "zmq",
                "kafka",
                "filesystem",
                "nats",
            ],
            options: Err(NO_ENGINE),
        },
    ],
};

/// The options of one engine: those of mosca's that all have, and some more.
macro_rules! engine {
    ($($more:expr),* $(,)?) => {
        &[
            $($more,)*
            Definition::new("json", Kind::Flag, "payloads in JSON between brokers: false, they go as they are")
                .or("false"),
            Definition::new("wildcardOne", Kind::Words(&["+"]), "the wildcard for one level").or(r#""+""#),
            Definition::new("wildcardSome", Kind::Words(&["#"]), "the wildcard for all levels below").or("\"#\""),
            Definition::new("separator", Kind::Words(&["/"]), "what separates levels").or(r#""/""#),
        ]
    };
}

const PREFIX: Definition =
    Definition::new("prefix", Kind::Text, "stands before topics between brokers")
        .such_as(r#""/a""#);

const ALONE: &[Definition] = engine!(PREFIX.in_vain("there are no other brokers to talk to"));

/// The options of one engine that goes to other brokers: its own, and what holds between a broker and any engine.
macro_rules! between_brokers {
    ($($more:expr),* $(,)?) => {
        engine!(
            $($more,)*
            PREFIX,
            Definition::new(
                "timeout",
                TIMEOUT,
                "time for connecting to the engine, and then for each of its answers",
            )
            .or("30000"),
            Definition::new(
                "localTopics",
                Kind::List(&Kind::Text),
                "topic filters of messages that stay at this broker; those below $SYS always do",
            )
            .or("[]"),
            Definition::new("maxForwardMessages", COUNT, "messages that wait for the engine").or("100000"),
            Definition::new("maxForwardBytes", BYTES, "bytes of them").or("67108864"),
            Definition::new(
                "maxReceiveMessages",
                COUNT,
                "messages of other brokers that wait until this one takes them",
            )
            .or("100000"),
            Definition::new("maxReceiveBytes", BYTES, "bytes of them").or("67108864"),
            Definition::new(
                "acceptanceTimeout",
                TIMEOUT,
                "time for which acknowledgements wait for an engine that takes its time",
            )
            .or("5000"),
        )
    };
}

const COUNT: Kind = Kind::Number {
    from: 1,
    to: COUNT_MAX,
    unit: "",
};

const BYTES: Kind = Kind::Number {
    from: 1,
    to: BYTES_MAX,
    unit: " bytes",
};

/// The port of a server: none is left to chance.
const SERVER_PORT: Kind = Kind::Number {
    from: 1,
    to: 65_535,
    unit: "",
};

const AUTHORITIES: Definition = Definition::new(
    "caPath",
    Kind::File,
    "file with the authorities that issue the engine's certificate; those of the system if nothing is said",
)
.such_as(r#""ca.pem""#);

const MQTT: &[Definition] = between_brokers!(
    Definition::new(
        "url",
        Kind::Secret,
        "where the other broker is, in place of protocol, host and port: mqtt://HOST, mqtts://HOST, ws://HOST, wss://HOST",
    )
    .such_as(r#""mqtt://127.0.0.1""#),
    Definition::new(
        "host",
        Kind::Text,
        "host of the other broker: localhost if nothing is said",
    )
    .such_as(r#""127.0.0.1""#),
    Definition::new(
        "port",
        SERVER_PORT,
        "its port: 1883, or 8883 for mqtts, 80 for ws, 443 for wss",
    )
    .such_as("1883"),
    Definition::new(
        "protocol",
        Kind::Words(&["mqtt", "mqtts", "ws", "wss", "tcp", "ssl", "tls"]),
        "how it is spoken to: mqtt if nothing is said",
    )
    .such_as(r#""mqtts""#),
    Definition::new("username", Kind::Text, "the user").such_as(r#""mosca""#),
    Definition::new("password", Kind::Secret, "the password"),
    Definition::new(
        "clientId",
        Kind::Text,
        "client identifier there: made up if nothing is said",
    )
    .such_as(r#""leaf-1""#),
    Definition::new(
        "keepalive",
        Kind::Number {
            from: 0,
            to: 65_535,
            unit: " s",
        },
        "keep alive of the connection; 0 for none",
    )
    .or("60"),
    Definition::new(
        "protocolVersion",
        Kind::Number {
            from: 4,
            to: 5,
            unit: "",
        },
        "version of MQTT: 4 (3.1.1) or 5; 5 where it is understood if nothing is said",
    )
    .such_as("5"),
    AUTHORITIES,
    Definition::new(
        "certPath",
        Kind::File,
        "file with this broker's own certificate, for one that asks for it",
    )
    .such_as(r#""leaf.pem""#),
    Definition::new("keyPath", Kind::File, "file with the certificate's key")
        .such_as(r#""leaf.key""#),
    Definition::new(
        "rejectUnauthorized",
        Kind::Flag,
        "whether the other broker needs a certificate of an authority that is known",
    )
    .or("true"),
    Definition::new(
        "nodes",
        Kind::Flag,
        "whether brokers of one prefix below the same parent are one: what is retained, and who is connected",
    )
    .or("true"),
    Definition::new(
        "maxTopicBytes",
        Kind::Number {
            from: 1,
            to: 65_535,
            unit: " bytes",
        },
        "the longest topic filter that the other broker takes, with the prefix",
    )
    .or("4096"),
    Definition::new(
        "maxTopicLevels",
        Kind::Number {
            from: 1,
            to: 65_536,
            unit: "",
        },
        "the most levels of one",
    )
    .or("128"),
    Definition::new("mqtt", Kind::Nothing(OF_PROGRAM), "the module MQTT.js"),
);

const OF_PROGRAM: &str = "is an object of a program";

const CLIENT: &[Definition] = &[
    Definition::new(
        "url",
        Kind::Secret,
        "amqp://USER:PASSWORD@HOST/VHOST, in place of the others",
    )
    .such_as(r#""amqp://127.0.0.1""#),
    Definition::new("host", Kind::Text, "host: localhost if nothing is said")
        .such_as(r#""127.0.0.1""#),
    Definition::new("port", SERVER_PORT, "port: 5672 if nothing is said").such_as("5672"),
    Definition::new("login", Kind::Text, "the user: guest if nothing is said")
        .such_as(r#""mosca""#),
    Definition::new(
        "password",
        Kind::Secret,
        "the password: guest if nothing is said",
    ),
    Definition::new(
        "vhost",
        Kind::Text,
        "the virtual host: / if nothing is said",
    )
    .such_as(r#""mosca""#),
];

const MILLIS: Kind = Kind::Number {
    from: 0,
    to: 4_294_967_295,
    unit: " ms",
};

/// What AMQP has 32 bits for.
const OF_SERVER: Kind = Kind::Number {
    from: 1,
    to: 4_294_967_295,
    unit: "",
};

const SOCKET: &[Definition] = &[
    Definition::new("noDelay", Kind::Flag, "what is written goes out at once"),
    Definition::new("keepAlive", Kind::Flag, "the system probes the connection"),
    Definition::new("keepAliveDelay", MILLIS, "time until it does").such_as("60000"),
    Definition::new("timeout", MILLIS, "time for connecting").such_as("10000"),
];

const AMQP: &[Definition] = between_brokers!(
    Definition::new(
        "url",
        Kind::Secret,
        "where the server is: amqp://127.0.0.1:5672 if nothing is said; amqps://… for TLS",
    )
    .such_as(r#""amqp://127.0.0.1:5672""#),
    Definition::new(
        "client",
        Kind::Section(|| CLIENT),
        "the same in parts, as mosca's engine amqp has it",
    ),
    Definition::new(
        "exchange",
        Kind::Text,
        "the exchange through which messages go; brokers of one exchange are one",
    )
    .or(r#""mosca""#),
    AUTHORITIES,
    Definition::new(
        "maxMessageBytes",
        BYTES,
        "the largest payload that is sent, which the server has to take",
    )
    .or("16777216"),
    Definition::new(
        "maxQueueMessages",
        OF_SERVER,
        "messages that may wait for this broker at the server",
    )
    .or("100000"),
    Definition::new("maxQueueBytes", OF_SERVER, "bytes of them").or("268435456"),
    Definition::new(
        "socketOptions",
        Kind::Section(|| SOCKET),
        "how Node.js treats the connection",
    )
    .in_vain("these are options of Node.js"),
    Definition::new("queue", Kind::Text, "name of the queue")
        .such_as(r#""mosca""#)
        .in_vain("each broker has a queue of its own, whose name it makes up"),
    Definition::new("durableQueue", Kind::Flag, "the queue outlives the broker")
        .in_vain("a queue is there as long as its broker"),
    Definition::new(
        "amqp",
        Kind::Nothing(OF_PROGRAM),
        "the module of the engine"
    ),
);
