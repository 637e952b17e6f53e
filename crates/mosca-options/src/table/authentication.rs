//! By what clients are known, and what decides on what they may do.

use crate::definition::{Definition, Kind};

const FILES: Kind = Kind::List(&Kind::File);
const TEXTS: Kind = Kind::List(&Kind::Text);

const fn number(from: u64, to: u64, unit: &'static str) -> Kind {
    Kind::Number { from, to, unit }
}

/// The section `authentication`.
pub(super) const AUTHENTICATION: &[Definition] = &[
    Definition::new(
        "usersFile",
        Kind::File,
        "mosca's file of users and what they may do",
    )
    .such_as(r#""credentials.json""#),
    Definition::new("jwt", Kind::Section(|| JWT), "JSON Web Tokens"),
    Definition::new(
        "http",
        Kind::Section(|| HTTP),
        "a service on HTTP that is asked",
    ),
];

const JWT: &[Definition] = &[
    Definition::new(
        "secretFiles",
        FILES,
        "files with secrets, for tokens that are signed with one",
    ),
    Definition::new("publicKeyFiles", FILES, "files with public keys, PEM"),
    Definition::new("jwksFiles", FILES, "files with sets of keys, JWKS"),
    Definition::new(
        "tokenIn",
        Kind::Words(&["password", "userName"]),
        "where in CONNECT the token is: the password if nothing is said",
    ),
    Definition::new(
        "leewaySecs",
        number(0, 86_400, " s"),
        "how much clocks may differ: 60 if nothing is said",
    ),
    Definition::new(
        "requireExpiry",
        Kind::Flag,
        "whether a token has to say when it is over: true if nothing is said",
    ),
    Definition::new(
        "issuers",
        TEXTS,
        "who may have issued it; anybody if there are none",
    ),
    Definition::new(
        "audiences",
        TEXTS,
        "for whom it may be; anybody if there are none",
    ),
    Definition::new(
        "userClaim",
        Kind::Text,
        "the claim with the user name: sub if nothing is said",
    ),
    Definition::new(
        "requiredClaims",
        Kind::Named(&Kind::Text),
        "claims and what they have to say; %u is the user name, %c the client identifier",
    )
    .such_as(r#"{ "device": "%c" }"#),
    Definition::new(
        "aclClaim",
        Kind::Text,
        "the claim with what the client may do: acl if nothing is said",
    ),
    Definition::new(
        "requireAcl",
        Kind::Flag,
        "whether a token without that claim is refused: false if nothing is said",
    ),
    Definition::new(
        "disconnectAtExpiry",
        Kind::Flag,
        "whether a client has to go when its token is over: true if nothing is said",
    ),
];

const HTTP: &[Definition] = &[
    Definition::new(
        "authenticateUrl",
        Kind::Url,
        "where it is asked who comes in",
    )
    .such_as(r#""http://127.0.0.1:8080/authenticate""#)
    .required(),
    Definition::new(
        "authorizeUrl",
        Kind::Url,
        "where it is asked what clients may do; it is not asked if there is none",
    )
    .such_as(r#""http://127.0.0.1:8080/authorize""#),
    Definition::new(
        "headers",
        Kind::Named(&Kind::Secret),
        "headers of each request",
    ),
    Definition::new(
        "caPath",
        Kind::File,
        "authorities that vouch for the service, PEM; those of the system if there is none",
    ),
    Definition::new(
        "timeout",
        number(1, 60_000, " ms"),
        "time for an answer: 5000 if nothing is said",
    ),
    Definition::new(
        "maxRequests",
        number(1, 10_000, ""),
        "requests at one time: 16 if nothing is said",
    ),
    Definition::new(
        "maxWaiting",
        number(0, 10_000_000, ""),
        "requests that wait for their turn: 10,000 if nothing is said",
    ),
    Definition::new(
        "maxResponseBytes",
        number(0, 1 << 24, " bytes"),
        "an answer: 65,536 if nothing is said",
    ),
    Definition::new(
        "cacheTtl",
        number(0, 3_600_000, " ms"),
        "time for which an answer about rights holds: 10,000 if nothing is said",
    ),
    Definition::new(
        "cacheEntries",
        number(0, 10_000_000, ""),
        "such answers that are kept: 10,000 if nothing is said",
    ),
];
