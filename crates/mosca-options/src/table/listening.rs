//! Where to listen: interfaces and certificates, and what of them mosca's older form says.

use super::{CONNECTIONS, PORT, RATE, TIMEOUT};
use crate::definition::{Choice, Definition, Kind, Variant};

/// The versions of TLS by their names.
const VERSIONS: Kind = Kind::Words(&["1.2", "1.3", "TLSv1.2", "TLSv1.3"]);

/// A time that the system can wait, or false for ever.
const TCP_KEEPALIVE: Kind = Kind::FalseOr(&Kind::Number {
    from: 1_000,
    to: 32_767_000,
    unit: " ms",
});

/// An interface.
pub(super) const INTERFACE: Choice = Choice {
    tag: "type",
    doc: "what is spoken: mqtt, mqtts (over TLS), http (over WebSocket, and files), https (the same over TLS)",
    default: None,
    variants: &[
        Variant {
            names: &["mqtt"],
            options: Ok(|| MQTT),
        },
        Variant {
            names: &["mqtts"],
            options: Ok(|| MQTTS),
        },
        Variant {
            names: &["http", "ws"],
            options: Ok(|| WEB),
        },
        Variant {
            names: &["https", "wss"],
            options: Ok(|| WEBS),
        },
    ],
};

/// The options of one interface: those of all, and some more.
macro_rules! interface {
    ($port:literal $(, $more:expr)*) => {
        &[
            Definition::new("host", Kind::Text, "host name or IP address; that of the whole file if nothing is said").such_as(r#""127.0.0.1""#),
            Definition::new("port", PORT, "port; 0 takes any that is free").or($port),
            Definition::new("socket", Kind::Path, "a Unix socket, instead of host and port").such_as(r#""/run/mosca.sock""#),
            Definition::new("mode", Kind::Text, "permissions of the Unix socket in octal digits").such_as(r#""0660""#),
            Definition::new("group", Kind::Text, "name or number of the group of the Unix socket").such_as(r#""mosca""#),
            Definition::new(
                "maxConnections",
                CONNECTIONS,
                "connections at one time: 200,000 if nothing is said, or 50,000 with TLS or files",
            )
            .such_as("200000"),
            Definition::new("connectRate", RATE, "connections in a second").or(r#"{ "perSecond": 2000, "burst": 10000 }"#),
            Definition::new("handshakeTimeout", TIMEOUT, "time for TLS, and for the header of a load balancer").or("10000"),
            Definition::new("tcpKeepalive", TCP_KEEPALIVE, "how long nothing may come from a client's host before it is asked whether it is there").or("600000"),
            Definition::new("proxyProtocol", Kind::Flag, "a load balancer says first who has connected (PROXY protocol)").or("false"),
            Definition::new("ipv6Only", Kind::Flag, "no IPv4 on an address of IPv6").or("false"),
            $($more,)*
        ]
    };
}

const PATH: Definition = Definition::new(
    "path",
    Kind::Text,
    "the path of WebSockets; any if nothing is said",
)
.such_as(r#""/mqtt""#);
const ORIGINS: Definition = Definition::new(
    "origins",
    Kind::List(&Kind::Text),
    "origins of pages that may open WebSockets; all if there are none",
)
.such_as(r#"["https://example.org"]"#);
const STATIC: Definition =
    Definition::new("static", Kind::Folder, "a folder whose files are served")
        .such_as(r#""./public""#);
const BUNDLE: Definition = Definition::new(
    "bundle",
    Kind::FlagOr(&Kind::File),
    "MQTT.js for browsers at /mqtt.js: the one that comes with the command, or a file",
)
.or("false");
const REQUEST_TIMEOUT: Definition = Definition::new(
    "requestTimeout",
    TIMEOUT,
    "time for the head of an HTTP request",
)
.or("10000");
const RESPONSE_TIMEOUT: Definition = Definition::new(
    "responseTimeout",
    TIMEOUT,
    "time for which a response waits for the client to take it",
)
.or("30000");
const OWN: Definition = Definition::new(
    "credentials",
    Kind::Section(|| CREDENTIALS),
    "certificates; those of the whole file if there are none",
);

const MQTT: &[Definition] = interface!("1883");
const MQTTS: &[Definition] = interface!("8883", OWN);
const WEB: &[Definition] = interface!(
    "3000",
    PATH,
    ORIGINS,
    STATIC,
    BUNDLE,
    REQUEST_TIMEOUT,
    RESPONSE_TIMEOUT
);
const WEBS: &[Definition] = interface!(
    "3001",
    PATH,
    ORIGINS,
    STATIC,
    BUNDLE,
    REQUEST_TIMEOUT,
    RESPONSE_TIMEOUT,
    OWN
);

const KEY: Definition = Definition::new(
    "keyPath",
    Kind::File,
    "the private key of the certificate, PEM",
)
.such_as(r#""tls-key.pem""#);
const CERTIFICATE: Definition = Definition::new(
    "certPath",
    Kind::File,
    "the certificate, PEM, with those of intermediate authorities behind it",
)
.such_as(r#""tls-cert.pem""#);

const PAIR: &[Definition] = &[KEY, CERTIFICATE];

const SUITES: &str =
    "all suites that are offered have forward secrecy and authenticated encryption";
const PASSPHRASE: &str = "cannot be used: keys have to be there without one; `openssl pkey -in OLD -out NEW` makes such a file";

/// What TLS is offered with, behind some more.
macro_rules! credentials {
    ($($more:expr),*) => {
        &[
            $($more,)*
            KEY,
            CERTIFICATE,
            Definition::new("certificates", Kind::List(&Kind::Section(|| PAIR)), "further certificates, told apart by the server name that a client asks for"),
            Definition::new("caPaths", Kind::List(&Kind::File), "authorities that issue the clients' certificates, PEM").such_as(r#"["clients.pem"]"#),
            Definition::new("crlPaths", Kind::List(&Kind::File), "lists of revoked ones, PEM").such_as(r#"["revoked.pem"]"#),
            Definition::new("requestCert", Kind::Flag, "clients are asked for a certificate").or("false"),
            Definition::new("rejectUnauthorized", Kind::Flag, "those that were asked and have none are refused").or("true"),
            Definition::new("userFromCertificate", Kind::Words(&["commonName", "subjectAltName"]), "where in a client's certificate its user name is; nowhere if nothing is said"),
            Definition::new("minVersion", VERSIONS, "the oldest version of TLS").or(r#""1.2""#),
            Definition::new("secureProtocol", Kind::Text, "mosca's choice of a version").such_as(r#""TLSv1_2_method""#).in_vain("TLS 1.2 and 1.3 are offered; `minVersion` says which is the oldest"),
            Definition::new("ciphers", Kind::Text, "cipher suites, in the words of OpenSSL").such_as(r#""HIGH""#).in_vain(SUITES),
            Definition::new("honorCipherOrder", Kind::Flag, "the server's order of them counts").in_vain(SUITES),
            Definition::new("passphrase", Kind::Nothing(PASSPHRASE), "what an encrypted key is read with"),
        ]
    };
}

/// What TLS is offered with.
pub(super) const CREDENTIALS: &[Definition] = credentials!();
/// mosca's `secure`.
pub(super) const SECURE: &[Definition] =
    credentials!(Definition::new("port", PORT, "port").or("8883"));
/// mosca's `http`.
pub(super) const HTTP: &[Definition] = &[
    Definition::new("port", PORT, "port").or("3000"),
    STATIC,
    BUNDLE,
];
/// mosca's `https`.
pub(super) const HTTPS: &[Definition] = &[
    Definition::new("port", PORT, "port").or("3001"),
    STATIC,
    BUNDLE,
];
