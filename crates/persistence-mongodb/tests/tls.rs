//! The store speaks TLS where the address says so, and to nobody whose certificate it cannot check.

#![expect(
    clippy::unwrap_used,
    reason = "a test ends where a server does not answer"
)]

mod server;

use std::path::Path;
use std::process::Command;

use broker_core::persistence::Persistence;
use persistence_mongodb::{ConnectError, MongoOptions, MongoPersistence};
use test_servers::mongod::Mongod;
use test_servers::{Folder, find_program};

use server::runtime;

fn openssl(folder: &Path, line: &str) {
    let output = Command::new(find_program("MOSCA_TEST_OPENSSL", "openssl"))
        .args(line.split(' '))
        .current_dir(folder)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "openssl {line}: {errors}");
}

/// An authority, and a certificate for this machine with its key.
fn make_certificates(folder: &Path) {
    openssl(
        folder,
        "req -x509 -newkey rsa:2048 -nodes -keyout authority.key -out authority.pem -subj /CN=authority -days 2",
    );
    openssl(
        folder,
        "req -newkey rsa:2048 -nodes -keyout server.key -out server.csr -subj /CN=server",
    );
    std::fs::write(folder.join("names"), "subjectAltName=IP:127.0.0.1").unwrap();
    openssl(
        folder,
        "x509 -req -in server.csr -CA authority.pem -CAkey authority.key -CAcreateserial -out server.pem -days 2 -extfile names",
    );
    let mut both = std::fs::read(folder.join("server.pem")).unwrap();
    both.extend(std::fs::read(folder.join("server.key")).unwrap());
    std::fs::write(folder.join("both.pem"), both).unwrap();
}

#[test]
fn a_server_is_trusted_by_the_authority_in_the_address_alone() {
    let folder = Folder::new("certificates");
    make_certificates(folder.path());
    let authority = folder.path().join("authority.pem");
    let server = Mongod::new()
        .tls(&folder.path().join("both.pem"), &authority)
        .start();
    let connect = |url: String| {
        let options = MongoOptions {
            connect_timeout_ms: 1_500,
            ..MongoOptions::new(url)
        };
        runtime().block_on(MongoPersistence::connect(options))
    };
    let url = server.url();
    assert!(url.contains("tls=true"));
    let store = connect(format!("{url}&tlsCAFile={}", authority.display())).unwrap();
    let sessions = runtime().block_on(async { store.sessions(None, 1).await });
    assert_eq!(sessions.unwrap(), []);
    let error = connect(url).unwrap_err();
    assert!(matches!(error, ConnectError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains("certificate"), "{error}");
}
