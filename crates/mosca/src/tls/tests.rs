//! What is wrong with files, and names in certificates, as `openssl` makes them.

use std::fs;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use test_servers::certificates::{Authority, Subject};
use tokio::io::{AsyncReadExt as _, AsyncWrite as _, AsyncWriteExt as _};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tokio_rustls::server::TlsStream;

use super::*;
use crate::network::{Noted, Stream as _};

fn complaint(options: TlsOptions) -> String {
    Tls::load(options).unwrap_err().to_string()
}

#[test]
fn what_is_wrong_names_the_file_and_the_reason() {
    let authority = Authority::new("Test CA");
    let server = authority.issue("server", &Subject::server("localhost"));
    let other = authority.issue("other", &Subject::server("localhost"));
    let path = |name: &str| authority.folder().join(name);
    let write = |name: &str, text: &str| {
        fs::write(path(name), text).unwrap();
        path(name)
    };
    let good = || TlsOptions::new(&server.certificate, &server.key);
    Tls::load(good()).unwrap();

    let nowhere = path("nowhere.pem");
    let empty = write("empty.pem", "");
    let cut = write("cut.pem", "-----BEGIN CERTIFICATE-----\nMIIB\n");
    let nonsense = write(
        "nonsense.pem",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    );
    let encrypted = write(
        "encrypted.pem",
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
    );
    let bad_key = write(
        "bad.key",
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
    );
    let asked = |options: TlsOptions| options.client_certificates(ClientCertificates::Required);
    let ca = &authority.certificate;
    let cases: [(TlsOptions, &[&Path], &str); 12] = [
        (
            TlsOptions::new(&nowhere, &server.key),
            &[&nowhere],
            "No such file",
        ),
        (
            TlsOptions::new(&empty, &server.key),
            &[&empty],
            "no certificate",
        ),
        (TlsOptions::new(&cut, &server.key), &[&cut], "cannot use"),
        (
            TlsOptions::new(&nonsense, &server.key),
            &[&nonsense],
            "cannot use",
        ),
        (
            TlsOptions::new(&server.certificate, &nowhere),
            &[&nowhere],
            "No such file",
        ),
        (
            TlsOptions::new(&server.certificate, ca),
            &[ca],
            "no private key",
        ),
        (
            TlsOptions::new(&server.certificate, &encrypted),
            &[&encrypted],
            "encrypted",
        ),
        (
            TlsOptions::new(&server.certificate, &bad_key),
            &[&bad_key],
            "cannot use",
        ),
        (
            TlsOptions::new(&server.certificate, &other.key),
            &[&server.certificate, &other.key],
            "is not that of",
        ),
        (asked(good()), &[], "no file says which authorities"),
        (
            asked(good().add_client_ca(&empty)),
            &[&empty],
            "no certificate",
        ),
        (
            asked(good().add_client_ca(ca).add_client_crl(&empty)),
            &[&empty],
            "no list of revoked certificates",
        ),
    ];
    for (options, files, reason) in cases {
        let complaint = complaint(options);
        assert!(complaint.contains(reason), "{complaint:?} lacks {reason:?}");
        for file in files {
            let file = file.display().to_string();
            assert!(complaint.contains(&file), "{complaint:?} lacks {file}");
        }
    }
    // Of several the one that is wrong is named.
    let second = good().add_certificate(&server.certificate, &other.key);
    assert!(complaint(second).contains("other.key"));
}

fn der(path: &Path) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(path).unwrap()
}

#[test]
fn names_are_found_in_certificates() {
    let authority = Authority::new("Test CA");
    let issue = |name: &str, alternative_names: &str| {
        let subject = Subject {
            name: name.to_owned(),
            alternative_names: alternative_names.to_owned(),
            is_expired: false,
        };
        der(&authority.issue("client", &subject).certificate)
    };
    let long = "x".repeat(64);
    for (name, alternative_names, common, alternative) in [
        ("/CN=sensor 7", "", Some("sensor 7"), None),
        (
            "/O=a/CN=sensor-7",
            "DNS:a.example,DNS:b",
            Some("sensor-7"),
            Some("a.example"),
        ),
        (
            "/O=a",
            "IP:10.0.0.1,email:me@example.org",
            None,
            Some("me@example.org"),
        ),
        ("/O=a", "URI:spiffe://a/b", None, Some("spiffe://a/b")),
        ("/CN=a", "IP:10.0.0.1", Some("a"), None),
        // Which of them?
        ("/CN=one/CN=two", "", None, None),
        (&*format!("/CN={long}"), "", Some(&*long), None),
    ] {
        let certificate = issue(name, alternative_names);
        assert_eq!(subject::common_name(&certificate), common, "{name}");
        assert_eq!(
            subject::alternative_name(&certificate),
            alternative,
            "{alternative_names}"
        );
        // Nothing that is cut or changed makes it do more than find another name, or none.
        for cut in 0..certificate.len() {
            let _cut = subject::common_name(&certificate[..cut]);
            let mut changed = certificate.to_vec();
            for value in [0, 1, 0x7F, 0x80, 0x84, 0xFF, changed[cut] ^ 0x10] {
                changed[cut] = value;
                let _name = subject::common_name(&changed);
                let _name = subject::alternative_name(&changed);
            }
        }
    }
}

/// What a client that trusts this authority shakes hands with.
pub(super) fn connector(authority: &Authority) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    let authority = CertificateDer::from_pem_file(&authority.certificate).unwrap();
    roots.add(authority).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    TlsConnector::from(Arc::new(config))
}

/// A socket that takes nothing is found out although TLS still takes something.
#[tokio::test]
async fn what_tls_keeps_to_itself_has_not_been_taken() {
    let authority = Authority::new("Test CA");
    let issued = authority.issue("server", &Subject::server("localhost"));
    let tls = Tls::load(TlsOptions::new(&issued.certificate, &issued.key)).unwrap();
    let connector = connector(&authority);
    let (client, stream) = tokio::io::duplex(4_096);
    let name = ServerName::try_from("localhost").unwrap();
    let (client, accepted) = tokio::join!(
        connector.connect(name, client),
        tls.accept(Noted::new(stream), Protocol::Mqtt)
    );
    let (mut client, (mut stream, _)) = (client.unwrap(), accepted.unwrap());

    let write = |stream: &mut TlsStream<_>, bytes: usize| {
        let mut context = Context::from_waker(Waker::noop());
        let mut pinned = Pin::new(&mut *stream);
        let written = pinned.as_mut().poll_write(&mut context, &vec![7; bytes]);
        assert!(matches!(written, Poll::Ready(Ok(written)) if written == bytes));
        let flushed = pinned.poll_flush(&mut context);
        (stream.has_moved(true), flushed.is_ready())
    };
    assert_eq!(write(&mut stream, 10_000), (true, false));
    assert_eq!(write(&mut stream, 1), (false, false));
    assert_eq!(write(&mut stream, 1_000), (false, false));
    let mut read = [0; 10_000];
    let (read, flushed) = tokio::join!(client.read_exact(&mut read), stream.flush());
    assert_eq!(read.unwrap(), 10_000);
    flushed.unwrap();
    assert!(stream.has_moved(false));
    assert!(!stream.has_moved(true), "nothing since then");
}
