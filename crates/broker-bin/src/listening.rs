//! Where the broker listens: what flags and config file say is joined to a list of interfaces, with
//! mosca's meaning of each word.

mod files;

use std::path::{Path, PathBuf};
use std::time::Duration;

use mosca::{CertificateUser, ClientCertificates, Rate, TlsVersion};

pub(crate) use self::files::Files;
use crate::args::Args;

/// What the config file says of it; `None` where it says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Listening {
    /// Where to listen, for interfaces that say nothing else.
    pub(crate) host: Option<String>,
    /// Port for MQTT.
    pub(crate) port: Option<u16>,
    /// Port for MQTT over TLS.
    pub(crate) secure_port: Option<u16>,
    /// Port for MQTT over WebSocket.
    pub(crate) http_port: Option<u16>,
    /// What is served there beside it.
    pub(crate) http_files: Files,
    /// Port for MQTT over WebSocket over TLS.
    pub(crate) https_port: Option<u16>,
    /// What is served there beside it.
    pub(crate) https_files: Files,
    /// No MQTT but over WebSocket.
    pub(crate) only_http: bool,
    /// MQTT without TLS besides the one with TLS.
    pub(crate) non_secure: bool,
    /// Connections for MQTT without TLS.
    pub(crate) max_connections: Option<usize>,
    /// What TLS is offered with, by interfaces that say nothing else.
    pub(crate) credentials: Option<Credentials>,
    /// All interfaces, instead of those above.
    pub(crate) interfaces: Option<Vec<InterfaceChoice>>,
}

/// What TLS is offered with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Credentials {
    /// Certificates with their chains, and their keys.
    pub(crate) certificates: Vec<(PathBuf, PathBuf)>,
    /// Authorities that may issue the clients' certificates.
    pub(crate) client_ca: Vec<PathBuf>,
    /// Lists of revoked ones.
    pub(crate) client_crl: Vec<PathBuf>,
    /// Whether clients are asked.
    pub(crate) client_certificates: ClientCertificates,
    /// Where their user names come from.
    pub(crate) certificate_user: Option<CertificateUser>,
    /// The oldest version.
    pub(crate) min_version: TlsVersion,
}

impl Credentials {
    /// One certificate and its key.
    pub(crate) fn new(certificate: &Path, key: &Path) -> Self {
        Self {
            certificates: vec![(certificate.to_owned(), key.to_owned())],
            ..Self::default()
        }
    }
}

/// What is spoken on an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// MQTT.
    Mqtt,
    /// MQTT over TLS.
    Mqtts,
    /// MQTT over WebSocket.
    Http,
    /// MQTT over WebSocket over TLS.
    Https,
}

impl Kind {
    /// mosca's name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Mqtt => "mqtt",
            Self::Mqtts => "mqtts",
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// The port that mosca takes if nothing is said.
    pub(crate) fn default_port(self) -> u16 {
        match self {
            Self::Mqtt => 1_883,
            Self::Mqtts => 8_883,
            Self::Http => 3_000,
            Self::Https => 3_001,
        }
    }

    pub(crate) fn is_secure(self) -> bool {
        matches!(self, Self::Mqtts | Self::Https)
    }

    pub(crate) fn is_web(self) -> bool {
        matches!(self, Self::Http | Self::Https)
    }
}

/// One interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InterfaceChoice {
    pub(crate) kind: Kind,
    /// All addresses if nothing is said.
    pub(crate) host: Option<String>,
    pub(crate) port: u16,
    /// A Unix socket, instead of host and port.
    pub(crate) socket: Option<PathBuf>,
    /// Permissions of its file.
    pub(crate) socket_mode: Option<u32>,
    /// Name or number of its file's group.
    pub(crate) socket_group: Option<String>,
    pub(crate) max_connections: Option<usize>,
    pub(crate) connect_rate: Option<Option<Rate>>,
    pub(crate) handshake_timeout: Option<Duration>,
    pub(crate) proxy_protocol: bool,
    pub(crate) ipv6_only: bool,
    /// Of WebSockets; any if nothing is said.
    pub(crate) path: Option<String>,
    /// Of pages that may open WebSockets; all if there are none.
    pub(crate) origins: Vec<String>,
    pub(crate) credentials: Option<Credentials>,
    /// Served beside WebSockets.
    pub(crate) files: Files,
    pub(crate) request_timeout: Option<Duration>,
    pub(crate) response_timeout: Option<Duration>,
}

impl InterfaceChoice {
    pub(crate) fn new(kind: Kind, port: Option<u16>) -> Self {
        Self {
            kind,
            host: None,
            port: port.unwrap_or(kind.default_port()),
            socket: None,
            socket_mode: None,
            socket_group: None,
            max_connections: None,
            connect_rate: None,
            handshake_timeout: None,
            proxy_protocol: false,
            ipv6_only: false,
            path: None,
            origins: Vec::new(),
            credentials: None,
            files: Files::default(),
            request_timeout: None,
            response_timeout: None,
        }
    }
}

/// Why that makes no interfaces.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ListeningError {
    /// TLS without a certificate.
    #[error(
        "an interface of the type {0} needs a certificate and its key: --cert and --key, or \
         `credentials` in the config file"
    )]
    NoCredentials(&'static str),
    /// Files on a port that there is none of.
    #[error("{0} is for a port that nothing asks for: say {1}")]
    NoPort(&'static str, &'static str),
    /// Two lists of interfaces.
    #[error("{0} stands beside `interfaces` in the config file: two choices at once")]
    Both(&'static str),
}

/// All interfaces: flags count before the file.
pub(crate) fn interfaces(
    args: &Args,
    file: Listening,
) -> Result<Vec<InterfaceChoice>, ListeningError> {
    let flags = args.tls_files();
    let mut credentials = file.credentials.clone();
    if let Some((certificate, key)) = flags {
        // What is asked of clients is another matter.
        let asked = credentials.take().unwrap_or_default();
        credentials = Some(Credentials {
            certificates: Credentials::new(certificate, key).certificates,
            ..asked
        });
    }
    let host = args.host.clone().or_else(|| file.host.clone());
    let mut choices = match &file.interfaces {
        Some(choices) => {
            if let Some(flag) = args.listening_flag() {
                return Err(ListeningError::Both(flag));
            }
            choices.clone()
        }
        None => of_ports(args, &file, flags.is_some())?,
    };
    for choice in &mut choices {
        if choice.host.is_none() {
            choice.host.clone_from(&host);
        }
        if !choice.kind.is_secure() {
            continue;
        }
        if choice.credentials.is_none() {
            choice.credentials.clone_from(&credentials);
        }
        let has_any = |it: &Credentials| !it.certificates.is_empty();
        if !choice.credentials.as_ref().is_some_and(has_any) {
            return Err(ListeningError::NoCredentials(choice.kind.name()));
        }
    }
    Ok(choices)
}

/// The interfaces that follow from ports alone, in mosca's order.
fn of_ports(
    args: &Args,
    file: &Listening,
    has_files: bool,
) -> Result<Vec<InterfaceChoice>, ListeningError> {
    let only_http = args.only_http || file.only_http;
    let secure_port = args.secure_port.or(file.secure_port);
    let is_secure = secure_port.is_some() || has_files;
    let mut choices = Vec::new();
    if !only_http && (!is_secure || args.non_secure || file.non_secure) {
        choices.push(InterfaceChoice {
            max_connections: file.max_connections,
            ..InterfaceChoice::new(Kind::Mqtt, args.port.or(file.port))
        });
    }
    if !only_http && is_secure {
        choices.push(InterfaceChoice::new(Kind::Mqtts, secure_port));
    }
    let http_port = args.http_port.or(file.http_port);
    let https_port = args.https_port.or(file.https_port);
    if http_port.is_some() || only_http && https_port.is_none() {
        choices.push(InterfaceChoice {
            files: Files::of_http(args).or(&file.http_files),
            ..InterfaceChoice::new(Kind::Http, http_port)
        });
    } else if let Some(flag) = Files::of_http(args).flag(Kind::Http) {
        return Err(ListeningError::NoPort(flag, "--http-port"));
    }
    if https_port.is_some() {
        choices.push(InterfaceChoice {
            files: Files::of_https(args).or(&file.https_files),
            ..InterfaceChoice::new(Kind::Https, https_port)
        });
    } else if let Some(flag) = Files::of_https(args).flag(Kind::Https) {
        return Err(ListeningError::NoPort(flag, "--https-port"));
    }
    Ok(choices)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::Bundle;
    use clap::Parser as _;

    fn joined(arguments: &[&str], file: Listening) -> Result<Vec<InterfaceChoice>, String> {
        let arguments = ["mosca"].iter().chain(arguments);
        let args = Args::parse_from(arguments);
        interfaces(&args, file).map_err(|error| error.to_string())
    }

    /// Kinds and ports.
    fn summary(arguments: &[&str], file: Listening) -> Vec<(&'static str, u16)> {
        let choices = joined(arguments, file).unwrap();
        let each = choices.iter().map(|it| (it.kind.name(), it.port));
        each.collect()
    }

    const FILES: [&str; 4] = ["--key", "k", "--cert", "c"];

    #[test]
    fn flags_make_the_interfaces_that_they_make_in_mosca() {
        for (flags, with_files, expected) in [
            (&[][..], false, &[("mqtt", 1_883)][..]),
            (&["-p", "7"], false, &[("mqtt", 7)]),
            (&[], true, &[("mqtts", 8_883)]),
            (&["--secure-port", "7"], true, &[("mqtts", 7)]),
            (
                &["--non-secure"],
                true,
                &[("mqtt", 1_883), ("mqtts", 8_883)],
            ),
            (
                &["--http-port", "80"],
                false,
                &[("mqtt", 1_883), ("http", 80)],
            ),
            (&["--only-http"], false, &[("http", 3_000)]),
            (
                &["--only-http", "--https-port", "443"],
                true,
                &[("https", 443)],
            ),
            (
                &["--http-port", "80", "--https-port", "443", "--non-secure"],
                true,
                &[
                    ("mqtt", 1_883),
                    ("mqtts", 8_883),
                    ("http", 80),
                    ("https", 443),
                ],
            ),
        ] {
            let files = if with_files { &FILES[..] } else { &[] };
            let arguments = [flags, files].concat();
            assert_eq!(
                summary(&arguments, Listening::default()),
                expected,
                "{flags:?}"
            );
        }
    }

    #[test]
    fn files_are_served_on_the_port_that_they_are_for() {
        let file = || Listening {
            https_port: Some(444),
            https_files: Files {
                folder: Some("file".into()),
                bundle: Some(Bundle::BuiltIn),
            },
            ..Listening::default()
        };
        let files = |arguments: &[&str], file| {
            let arguments = [arguments, &FILES].concat();
            let choices = joined(&arguments, file).unwrap();
            let web = choices.into_iter().filter(|choice| choice.kind.is_web());
            web.map(|choice| choice.files).collect::<Vec<_>>()
        };
        let http = ["--http-port", "80", "--http-static", "dir", "--http-bundle"];
        let expected = [
            Files {
                folder: Some("dir".into()),
                bundle: Some(Bundle::BuiltIn),
            },
            file().https_files,
        ];
        assert_eq!(files(&http, file()), expected);
        let https = ["--https-static", "line", "--https-bundle=mqtt.js"];
        let expected = Files {
            folder: Some("line".into()),
            bundle: Some(Bundle::File("mqtt.js".into())),
        };
        assert_eq!(files(&https, file()), [expected]);
        assert_eq!(
            files(&["--only-http"], Listening::default()),
            [Files::default()]
        );
        // A folder of its own, and the file's script.
        let [both] = &files(&["--https-static", "line"], file())[..] else {
            panic!("one interface");
        };
        assert_eq!(both.bundle, Some(Bundle::BuiltIn));
        for (flag, port) in [
            ("--http-static=x", "--http-port"),
            ("--http-bundle", "--http-port"),
            ("--https-static=x", "--https-port"),
            ("--https-bundle=x", "--https-port"),
        ] {
            let error = joined(&[flag], Listening::default()).unwrap_err();
            let name = flag.trim_end_matches("=x");
            assert!(error.starts_with(name) && error.ends_with(port), "{error}");
        }
        joined(&["--only-http", "--http-bundle"], Listening::default()).unwrap();
    }

    #[test]
    fn tls_needs_a_certificate_from_somewhere() {
        for flags in [["--secure-port", "1"], ["--https-port", "1"]] {
            let error = joined(&flags, Listening::default()).unwrap_err();
            assert!(error.contains("--cert"), "{error}");
            let file = Listening {
                credentials: Some(Credentials::new(Path::new("c"), Path::new("k"))),
                ..Listening::default()
            };
            joined(&flags, file).unwrap();
        }
    }

    #[test]
    fn flags_replace_the_files_certificate_and_nothing_else() {
        let asked = Credentials {
            client_ca: vec!["ca".into()],
            client_certificates: ClientCertificates::Required,
            ..Credentials::new(Path::new("file.crt"), Path::new("file.key"))
        };
        let file = Listening {
            secure_port: Some(1),
            credentials: Some(asked.clone()),
            ..Listening::default()
        };
        let choices = joined(&[], file.clone()).unwrap();
        assert_eq!(choices[0].credentials, Some(asked.clone()));
        let choices = joined(&FILES, file).unwrap();
        let expected = Credentials {
            certificates: vec![("c".into(), "k".into())],
            ..asked
        };
        assert_eq!(choices[0].credentials, Some(expected));
    }

    #[test]
    fn a_list_of_interfaces_is_all_there_is_and_takes_what_it_lacks_from_around_it() {
        let own = Credentials::new(Path::new("own.crt"), Path::new("own.key"));
        let file = Listening {
            host: Some("file".to_owned()),
            credentials: Some(Credentials::new(Path::new("c"), Path::new("k"))),
            interfaces: Some(vec![
                InterfaceChoice::new(Kind::Mqtt, None),
                InterfaceChoice {
                    host: Some("own".to_owned()),
                    credentials: Some(own.clone()),
                    ..InterfaceChoice::new(Kind::Mqtts, Some(7))
                },
                InterfaceChoice::new(Kind::Https, None),
            ]),
            ..Listening::default()
        };
        let choices = joined(&["--host", "line"], file.clone()).unwrap();
        let hosts: Vec<_> = choices.iter().map(|it| it.host.as_deref()).collect();
        assert_eq!(hosts, [Some("line"), Some("own"), Some("line")]);
        assert_eq!(choices[1].credentials, Some(own));
        assert_eq!(choices[2].credentials, file.credentials);
        for flag in [
            "--port",
            "--http-port",
            "--http-static",
            "--secure-port",
            "--https-port",
            "--https-static",
        ] {
            let error = joined(&[flag, "7"], file.clone()).unwrap_err();
            assert!(error.starts_with(flag), "{error}");
        }
        // No interfaces at all are a broker for what the program hands over.
        let none = Listening {
            interfaces: Some(Vec::new()),
            ..Listening::default()
        };
        assert_eq!(joined(&[], none), Ok(Vec::new()));
    }
}
