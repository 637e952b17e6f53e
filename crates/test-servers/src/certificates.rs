//! Certificates for tests of TLS, made by `openssl`: authorities, and what they issue.
//!
//! ```
//! use test_servers::certificates::{Authority, Subject};
//!
//! let authority = Authority::new("Test CA");
//! let server = authority.issue("server", &Subject::server("localhost"));
//! assert!(server.certificate.is_file() && server.key.is_file());
//! ```

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Folder, find_program};

/// What `openssl ca` is told of a database; all of it is below the folder.
const CONFIG: &str = "\
[ca]
default_ca = authority
[authority]
database = index.txt
new_certs_dir = .
rand_serial = yes
default_md = sha256
default_days = 30
default_crl_days = 30
copy_extensions = copy
unique_subject = no
crlnumber = crlnumber
crl_extensions = list
policy = any
[any]
organizationName = optional
commonName = optional
[list]
authorityKeyIdentifier = keyid:always
";

/// An authority that issues certificates, in a folder that goes with it.
#[derive(Debug)]
pub struct Authority {
    folder: Folder,
    /// Its own certificate.
    pub certificate: PathBuf,
}

/// What a certificate says of whom it is for.
#[derive(Clone, Debug)]
pub struct Subject {
    /// As `openssl` takes it: `/CN=name`.
    pub name: String,
    /// As `openssl` takes them: `DNS:name,IP:address`; empty for none.
    pub alternative_names: String,
    /// Whether its time was over long ago.
    pub is_expired: bool,
}

/// A certificate and its key.
#[derive(Clone, Debug)]
pub struct Issued {
    /// The file of the certificate, PEM.
    pub certificate: PathBuf,
    /// The file of the key, PEM.
    pub key: PathBuf,
}

impl Subject {
    /// A server of this host name, which is also at the loopback address.
    pub fn server(host: &str) -> Self {
        Self {
            name: format!("/CN={host}"),
            alternative_names: format!("DNS:{host},IP:127.0.0.1"),
            is_expired: false,
        }
    }

    /// A client of this name.
    pub fn client(name: &str) -> Self {
        Self {
            name: format!("/O=clients/CN={name}"),
            alternative_names: String::new(),
            is_expired: false,
        }
    }

    /// The same with a certificate that was valid in 2020.
    #[must_use]
    pub fn expired(mut self) -> Self {
        self.is_expired = true;
        self
    }
}

impl Authority {
    /// An authority that nobody but the test knows.
    ///
    /// # Panics
    /// If `openssl` is not installed or fails.
    pub fn new(name: &str) -> Self {
        let folder = Folder::new("certificates");
        for (file, text) in [("ca.cnf", CONFIG), ("index.txt", ""), ("crlnumber", "01\n")] {
            if let Err(error) = std::fs::write(folder.path().join(file), text) {
                panic!("cannot write {file}: {error}");
            }
        }
        let certificate = folder.path().join("authority.crt");
        let this = Self {
            folder,
            certificate,
        };
        this.openssl(
            &[&["req", "-x509", "-days", "30"][..], &NEW_KEY].concat(),
            &[
                "-keyout",
                "authority.key",
                "-out",
                "authority.crt",
                "-subj",
                &format!("/CN={name}"),
            ],
        );
        this
    }

    /// Where its files are.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Issues a certificate; its files are called `file`, and replace those of the same name.
    ///
    /// # Panics
    /// If `openssl` fails.
    pub fn issue(&self, file: &str, subject: &Subject) -> Issued {
        let [key, request, certificate] =
            ["key", "csr", "crt"].map(|extension| format!("{file}.{extension}"));
        let names = format!("subjectAltName={}", subject.alternative_names);
        let mut arguments = vec!["-keyout", &key, "-out", &request, "-subj", &subject.name];
        // An extension makes it one of version 3.
        arguments.extend(["-addext", "keyUsage=digitalSignature"]);
        if !subject.alternative_names.is_empty() {
            arguments.extend(["-addext", &names]);
        }
        self.openssl(&[&["req", "-new"][..], &NEW_KEY].concat(), &arguments);
        let mut arguments = vec!["-in", &request, "-out", &certificate];
        if subject.is_expired {
            let times = [
                "-startdate",
                "20200101000000Z",
                "-enddate",
                "20210101000000Z",
            ];
            arguments.extend(times);
        }
        self.openssl(&CA, &arguments);
        Issued {
            certificate: self.folder.path().join(certificate),
            key: self.folder.path().join(key),
        }
    }

    /// Revokes a certificate, and writes the list of all that were revoked.
    ///
    /// # Panics
    /// If `openssl` fails.
    pub fn revoke(&self, issued: &Issued) -> PathBuf {
        let certificate = issued.certificate.display().to_string();
        self.openssl(&CA, &["-revoke", &certificate]);
        self.openssl(&CA, &["-gencrl", "-out", "revoked.crl"]);
        self.folder.path().join("revoked.crl")
    }

    /// Runs `openssl` in the folder.
    fn openssl(&self, command: &[&str], arguments: &[&str]) {
        let output = Command::new(find_program("MOSCA_TEST_OPENSSL", "openssl"))
            .current_dir(self.folder.path())
            .args(command)
            .args(arguments)
            .output();
        match output {
            Ok(output) if output.status.success() => {}
            Ok(output) => panic!(
                "openssl {command:?} {arguments:?}: {}",
                String::from_utf8_lossy(&output.stderr)
            ),
            Err(error) => panic!("cannot run openssl: {error}"),
        }
    }
}

/// Small keys that are made at once.
const NEW_KEY: [&str; 5] = [
    "-nodes",
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:prime256v1",
];

const CA: [&str; 9] = [
    "ca",
    "-batch",
    "-notext",
    "-config",
    "ca.cnf",
    "-cert",
    "authority.crt",
    "-keyfile",
    "authority.key",
];
