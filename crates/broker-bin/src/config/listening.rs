//! Where to listen: mosca's `port`, `secure`, `http` and `https`, or its list of `interfaces`; and the
//! `credentials` of both.

use std::path::PathBuf;
use std::time::Duration;

use mosca::{CertificateUser, ClientCertificates, TlsVersion};

use super::limits::rate;
use super::section::{Section, SectionError};
use crate::bundle::Bundle;
use crate::limits::{COUNT_MAX, TIMEOUT_MAX_MS};
use crate::listening::{Credentials, Files, InterfaceChoice, Kind, Listening};

const KINDS: [(&str, Kind); 6] = [
    ("mqtt", Kind::Mqtt),
    ("mqtts", Kind::Mqtts),
    ("http", Kind::Http),
    ("https", Kind::Https),
    ("ws", Kind::Http),
    ("wss", Kind::Https),
];

const USERS: [(&str, CertificateUser); 2] = [
    ("commonName", CertificateUser::CommonName),
    ("subjectAltName", CertificateUser::SubjectAltName),
];

const VERSIONS: [(&str, TlsVersion); 4] = [
    ("1.2", TlsVersion::V1_2),
    ("1.3", TlsVersion::V1_3),
    ("TLSv1.2", TlsVersion::V1_2),
    ("TLSv1.3", TlsVersion::V1_3),
];

/// Reads what the file says of it.
pub(super) fn read(
    root: &mut Section<'_>,
    without_effect: &mut Vec<String>,
) -> Result<Listening, SectionError> {
    let mut listening = Listening {
        host: root.string("host")?.map(str::to_owned),
        port: root.port("port")?,
        only_http: root.boolean("onlyHttp")?.unwrap_or(false),
        non_secure: root.boolean("allowNonSecure")?.unwrap_or(false),
        max_connections: connections(root)?,
        ..Listening::default()
    };
    if let Some(mut secure) = root.section("secure")? {
        listening.secure_port = Some(secure.port("port")?.unwrap_or(Kind::Mqtts.default_port()));
        let read = credentials(&mut secure, without_effect)?;
        listening.credentials = Some(read).filter(|read| *read != Credentials::default());
        secure.finish()?;
    }
    for (key, kind) in [("http", Kind::Http), ("https", Kind::Https)] {
        if let Some(mut section) = root.section(key)? {
            // A section without a port asks for the port that mosca had.
            let port = Some(section.port("port")?.unwrap_or(kind.default_port()));
            let files = files(&mut section)?;
            section.finish()?;
            match kind {
                Kind::Https => (listening.https_port, listening.https_files) = (port, files),
                _ => (listening.http_port, listening.http_files) = (port, files),
            }
        }
    }
    if let Some(mut section) = root.section("credentials")? {
        listening.credentials = Some(credentials(&mut section, without_effect)?);
        section.finish()?;
    }
    if root.has("interfaces") {
        let others = [
            "port",
            "secure",
            "http",
            "https",
            "onlyHttp",
            "allowNonSecure",
        ];
        if let Some(other) = others.into_iter().find(|key| root.has(key)) {
            return Err(root.conflict(other, "stands beside `interfaces`: two choices at once"));
        }
        let sections = root.sections("interfaces")?;
        let choices = sections
            .into_iter()
            .map(|section| interface(section, without_effect));
        listening.interfaces = Some(choices.collect::<Result<_, _>>()?);
    }
    Ok(listening)
}

fn interface(
    mut section: Section<'_>,
    without_effect: &mut Vec<String>,
) -> Result<InterfaceChoice, SectionError> {
    let kind = section
        .one_of("type", &KINDS)?
        .ok_or_else(|| section.missing("type", "one of mqtt, mqtts, http, https"))?;
    let port = section.port("port")?;
    let mut choice = InterfaceChoice {
        host: section.string("host")?.map(str::to_owned),
        socket: section.string("socket")?.map(PathBuf::from),
        socket_mode: mode(&mut section)?,
        socket_group: section.string("group")?.map(str::to_owned),
        max_connections: connections(&mut section)?,
        connect_rate: rate(&mut section, "connectRate")?,
        handshake_timeout: timeout(&mut section, "handshakeTimeout")?,
        proxy_protocol: section.boolean("proxyProtocol")?.unwrap_or(false),
        ipv6_only: section.boolean("ipv6Only")?.unwrap_or(false),
        ..InterfaceChoice::new(kind, port)
    };
    if choice.socket.is_some() && (choice.host.is_some() || port.is_some()) {
        return Err(section.conflict("socket", "stands beside host or port: two choices at once"));
    }
    if choice.socket.is_none() && (choice.socket_mode.is_some() || choice.socket_group.is_some()) {
        return Err(section.conflict("socket", "is missing beside `mode` or `group`"));
    }
    if kind.is_web() {
        choice.path = section.string("path")?.map(str::to_owned);
        let origins = section.strings("origins")?;
        choice.origins = origins.into_iter().map(str::to_owned).collect();
        choice.files = files(&mut section)?;
        choice.request_timeout = timeout(&mut section, "requestTimeout")?;
        choice.response_timeout = timeout(&mut section, "responseTimeout")?;
        if choice.path.as_ref().is_some_and(|it| !it.starts_with('/')) {
            return Err(section.conflict("path", "has to begin with /"));
        }
    }
    if kind.is_secure()
        && let Some(mut own) = section.section("credentials")?
    {
        choice.credentials = Some(credentials(&mut own, without_effect)?);
        own.finish()?;
    }
    section.finish()?;
    Ok(choice)
}

/// Permissions as `chmod` takes them.
fn mode(section: &mut Section<'_>) -> Result<Option<u32>, SectionError> {
    let Some(text) = section.string("mode")? else {
        return Ok(None);
    };
    match u32::from_str_radix(text, 8) {
        Ok(mode) if mode <= 0o777 => Ok(Some(mode)),
        _ => Err(section.conflict("mode", "has to be octal, as a text: \"0660\"")),
    }
}

fn files(section: &mut Section<'_>) -> Result<Files, SectionError> {
    let bundle = section.switch_or_string("bundle", "true, false, or a file with MQTT.js")?;
    Ok(Files {
        folder: section.string("static")?.map(PathBuf::from),
        bundle: bundle.map(|file| {
            let file = file.map(PathBuf::from);
            file.map_or(Bundle::BuiltIn, Bundle::File)
        }),
    })
}

fn timeout(section: &mut Section<'_>, key: &'static str) -> Result<Option<Duration>, SectionError> {
    let millis = section.integer(key, 1..=TIMEOUT_MAX_MS, " ms")?;
    Ok(millis.map(Duration::from_millis))
}

fn connections(section: &mut Section<'_>) -> Result<Option<usize>, SectionError> {
    let number = section.integer("maxConnections", 0..=COUNT_MAX, "")?;
    Ok(number.and_then(|number| usize::try_from(number).ok()))
}

fn credentials(
    section: &mut Section<'_>,
    without_effect: &mut Vec<String>,
) -> Result<Credentials, SectionError> {
    let mut read = Credentials {
        client_ca: paths(section, "caPaths")?,
        client_crl: paths(section, "crlPaths")?,
        certificate_user: section.one_of("userFromCertificate", &USERS)?,
        min_version: section.one_of("minVersion", &VERSIONS)?.unwrap_or_default(),
        ..Credentials::default()
    };
    read.certificates.extend(certificate(section)?);
    for mut further in section.sections("certificates")? {
        let pair = certificate(&mut further)?;
        let pair = pair.ok_or_else(|| further.missing("certPath", "a file"))?;
        read.certificates.push(pair);
        further.finish()?;
    }
    let asked = section.boolean("requestCert")?.unwrap_or(false);
    // Where one is asked for, mosca refuses clients without one unless it is told otherwise.
    let refused = section.boolean("rejectUnauthorized")?.unwrap_or(true);
    read.client_certificates = match (asked, refused) {
        (false, _) => ClientCertificates::Off,
        (true, false) => ClientCertificates::Requested,
        (true, true) => ClientCertificates::Required,
    };
    if asked && read.client_ca.is_empty() {
        return Err(section.missing(
            "caPaths",
            "a list of files with the authorities that issue the clients' certificates",
        ));
    }
    if !asked && !read.client_ca.is_empty() {
        without_effect.push(format!(
            "{} has no effect without requestCert; certificates of intermediate authorities belong \
             into the file of certPath, behind the server's own",
            section.name("caPaths")
        ));
    }
    Ok(read)
}

/// A certificate and its key, which need each other.
fn certificate(section: &mut Section<'_>) -> Result<Option<(PathBuf, PathBuf)>, SectionError> {
    match (section.string("certPath")?, section.string("keyPath")?) {
        (Some(certificate), Some(key)) => Ok(Some((certificate.into(), key.into()))),
        (None, None) => Ok(None),
        (Some(_), None) => Err(section.missing("keyPath", "the file of the certificate's key")),
        (None, Some(_)) => Err(section.missing("certPath", "the file of the key's certificate")),
    }
}

fn paths(section: &mut Section<'_>, key: &'static str) -> Result<Vec<PathBuf>, SectionError> {
    let paths = section.strings(key)?;
    Ok(paths.into_iter().map(PathBuf::from).collect())
}
