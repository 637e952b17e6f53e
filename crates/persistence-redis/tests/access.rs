//! Who gets in, over what, and to which store.

#![expect(
    clippy::unwrap_used,
    reason = "a test ends where a store cannot answer"
)]

mod place;

use std::path::PathBuf;
use std::process::{Command, Stdio};

use broker_core::persistence::Persistence;
use persistence_redis::{ConnectError, RedisOptions, RedisPersistence, RedisTls};
use place::work::{commit, put_session};
use place::{options, patient, runtime};
use test_servers::redis::Redis;
use test_servers::{Folder, find_program};

fn refusal(options: RedisOptions) -> ConnectError {
    runtime()
        .block_on(RedisPersistence::connect(options))
        .unwrap_err()
}

/// Writes one session and reads it back.
fn works(options: RedisOptions) -> RedisPersistence {
    runtime().block_on(async {
        let store = RedisPersistence::connect(options).await.unwrap();
        commit(&store, [put_session("c")]).await.unwrap();
        assert!(store.session("c").await.unwrap().is_some());
        store
    })
}

#[test]
fn a_password_is_needed_and_a_wrong_one_is_named() {
    let server = Redis::new().password("sec:ret@").start();
    let with = |password: Option<&str>| RedisOptions {
        password: password.map(str::to_owned),
        ..options(&server)
    };
    works(with(Some("sec:ret@")));
    let url = server.url().replace("//", "//:sec%3Aret%40@");
    works(patient(RedisOptions::from_url(&url).unwrap()));
    for password in [None, Some("wrong")] {
        let error = refusal(with(password));
        assert!(matches!(error, ConnectError::Refused { .. }), "{error}");
        let text = error.to_string();
        assert!(
            text.contains("refuses the user or the password") && !text.contains("wrong "),
            "{text}"
        );
        assert!(text.contains(&server.port().to_string()), "{text}");
    }
}

#[test]
fn a_user_may_do_what_he_is_allowed_to() {
    let server = Redis::new().start();
    server.command(&[
        "ACL",
        "SETUSER",
        "mosca",
        "on",
        ">secret",
        "~{mosca}:*",
        "+@all",
    ]);
    server.command(&[
        "ACL",
        "SETUSER",
        "reader",
        "on",
        ">secret",
        "~*",
        "+@read",
        "+@connection",
    ]);
    let user = |name: &str| RedisOptions {
        username: Some(name.to_owned()),
        password: Some("secret".to_owned()),
        ..options(&server)
    };
    works(user("mosca"));
    for name in ["reader", "nobody"] {
        let error = refusal(user(name));
        assert!(matches!(error, ConnectError::Refused { .. }), "{error}");
    }
}

#[test]
fn databases_and_prefixes_are_apart() {
    let server = Redis::new().start();
    let place = |db, prefix: &str| RedisOptions {
        db,
        prefix: prefix.to_owned(),
        ..options(&server)
    };
    let first = works(place(0, "mosca:"));
    assert_eq!(server.command(&["EXISTS", "{mosca}:sessions"]), "1");
    for other in [place(3, "mosca:"), place(0, "mosca:x:"), place(0, "é*?[a]")] {
        let store = runtime()
            .block_on(RedisPersistence::connect(other.clone()))
            .unwrap();
        let found = runtime().block_on(store.sessions(None, 10)).unwrap();
        assert!(found.is_empty(), "{other:?}");
    }
    assert_eq!(
        runtime().block_on(first.sessions(None, 10)).unwrap().len(),
        1
    );
    for prefix in ["", ":", "a{b}", "}"] {
        let error = refusal(place(0, prefix));
        assert!(
            matches!(
                error,
                ConnectError::Option {
                    option: "prefix",
                    ..
                }
            ),
            "{error}"
        );
    }
}

#[test]
fn what_is_not_a_store_is_left_alone() {
    let server = Redis::new().start();
    let cases: [(&[&str], &str); 4] = [
        (&["SET", "{mosca}:format", "mosca 2"], "mosca 2"),
        (&["SET", "{mosca}:format", "something\nelse"], "something"),
        (
            &["HSET", "{mosca}:format", "a", "b"],
            "a hash named {mosca}:format",
        ),
        (&["HSET", "{mosca}:retained", "a", "b"], "{mosca}:retained"),
    ];
    for (command, found) in cases {
        server.command(&["FLUSHALL"]);
        server.command(command);
        let error = refusal(options(&server));
        assert!(matches!(error, ConnectError::Foreign { .. }), "{error}");
        let text = error.to_string();
        assert!(
            text.contains(found) && text.contains("\"mosca 1\""),
            "{text}"
        );
        assert_eq!(server.command(&["DBSIZE"]), "1", "nothing was written");
    }
}

#[test]
fn nobody_there_is_said_within_the_time_for_connecting() {
    let refusing = test_servers::RefusingPort::take();
    let port = refusing.number();
    let error = refusal(RedisOptions {
        port,
        connect_timeout_ms: 300,
        ..RedisOptions::default()
    });
    assert!(matches!(error, ConnectError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains(&port.to_string()), "{error}");
}

#[test]
fn weak_settings_are_warned_of() {
    let server = Redis::new().start();
    let warnings = |options: RedisOptions| {
        let store = runtime()
            .block_on(RedisPersistence::connect(options))
            .unwrap();
        store.warnings().join("\n")
    };
    assert!(warnings(options(&server)).contains("appendonly no"));
    server.command(&["CONFIG", "SET", "maxmemory", "100mb"]);
    server.command(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]);
    assert!(warnings(options(&server)).contains("allkeys-lru"));
    let durable = Redis::durable().start();
    assert_eq!(warnings(options(&durable)), "");
    durable.command(&["CONFIG", "SET", "appendfsync", "everysec"]);
    assert!(warnings(options(&durable)).contains("appendfsync everysec"));
}

/// Certificates of an authority of one's own, made by openssl.
struct Certificates {
    folder: Folder,
}

impl Certificates {
    fn make() -> Self {
        let certificates = Self {
            folder: Folder::new("certificates"),
        };
        let openssl = |line: &str| {
            let status = Command::new(find_program("MOSCA_TEST_OPENSSL", "openssl"))
                .args(line.split(' '))
                .current_dir(certificates.folder.path())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status()
                .unwrap();
            assert!(status.success(), "openssl {line}");
        };
        std::fs::write(
            certificates.file("names"),
            "subjectAltName=DNS:localhost,IP:127.0.0.1\n",
        )
        .unwrap();
        for name in ["ca", "other"] {
            openssl(&format!(
                "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN={name} -keyout {name}.key -out {name}.crt"
            ));
        }
        openssl(
            "req -newkey rsa:2048 -nodes -subj /CN=localhost -keyout server.key -out server.csr",
        );
        openssl(
            "x509 -req -days 2 -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -extfile names -out server.crt",
        );
        certificates
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

#[test]
fn tls_is_spoken_with_who_is_trusted() {
    let certificates = Certificates::make();
    let file = |name: &str| certificates.file(name);
    let server = Redis::new()
        .tls(&file("server.crt"), &file("server.key"), &file("ca.crt"))
        .password("secret")
        .start();
    let trusting = |name: &str, host: &str| RedisOptions {
        host: host.to_owned(),
        port: server.port(),
        password: Some("secret".to_owned()),
        tls: Some(RedisTls {
            ca_file: Some(file(name)),
            client_certificate: Some((file("server.crt"), file("server.key"))),
        }),
        connect_timeout_ms: 60_000,
        ..RedisOptions::default()
    };
    works(trusting("ca.crt", "127.0.0.1"));
    works(trusting("ca.crt", "localhost"));
    let url = format!(
        "rediss://:secret@localhost:{}?ca={}",
        server.port(),
        file("ca.crt").display()
    );
    works(patient(RedisOptions::from_url(&url).unwrap()));
    for wrong in [
        trusting("other.crt", "127.0.0.1"),
        RedisOptions {
            tls: None,
            ..trusting("ca.crt", "127.0.0.1")
        },
    ] {
        let error = refusal(RedisOptions {
            connect_timeout_ms: 1_000,
            ..wrong
        });
        assert!(matches!(error, ConnectError::Unreachable { .. }), "{error}");
    }
    let error = refusal(trusting("missing.crt", "127.0.0.1"));
    assert!(matches!(error, ConnectError::File { .. }), "{error}");
}
