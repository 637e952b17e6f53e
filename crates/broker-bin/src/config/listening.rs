//! Where to listen, of an options file in mosca's newer form.

use std::time::Duration;

use mosca::{CertificateUser, ClientCertificates, TlsVersion};
use mosca_options::{Problem, Value};

use super::section::Section;
use crate::bundle::Bundle;
use crate::group::{self, GroupError};
use crate::listening::{Credentials, Files, InterfaceChoice, Kind};

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

/// All interfaces; they take host and certificates from the whole file where they have none of their own.
///
/// # Errors
/// One is for a group that this machine does not have.
pub(super) fn read(root: &Section<'_>) -> Result<Vec<InterfaceChoice>, Problem> {
    let host = root.string("host");
    let shared = root.section("credentials").map(|it| credentials(&it));
    let interfaces = root.sections("interfaces");
    let choices = interfaces.iter().filter_map(|it| interface(it).transpose());
    let mut choices = choices.collect::<Result<Vec<_>, _>>()?;
    for choice in &mut choices {
        if choice.host.is_none() {
            choice.host.clone_from(&host);
        }
        if choice.kind.is_secure() && choice.credentials.is_none() {
            choice.credentials.clone_from(&shared);
        }
    }
    Ok(choices)
}

fn interface(section: &Section<'_>) -> Result<Option<InterfaceChoice>, Problem> {
    let Some(kind) = section.word("type", &KINDS) else {
        return Ok(None);
    };
    let timeout = |key| section.number(key).map(Duration::from_millis);
    let group = section.text("group").map(group::number).transpose();
    Ok(Some(InterfaceChoice {
        kind,
        host: section.string("host"),
        // A Unix socket has none.
        port: section.number("port").unwrap_or_default(),
        socket: section.path("socket"),
        socket_mode: section
            .text("mode")
            .and_then(|it| u32::from_str_radix(it, 8).ok()),
        socket_group: group.map_err(|error| section.problem("group", unknown(section, &error)))?,
        max_connections: section.number("maxConnections"),
        connect_rate: section.value("connectRate").map(mosca_options::rate),
        handshake_timeout: timeout("handshakeTimeout"),
        // False is no number: never.
        tcp_keepalive: section
            .value("tcpKeepalive")
            .map(|it| it.as_u64().map(Duration::from_millis)),
        proxy_protocol: section.flag("proxyProtocol").unwrap_or(false),
        ipv6_only: section.flag("ipv6Only").unwrap_or(false),
        path: section.string("path"),
        origins: section.texts("origins").map(str::to_owned).collect(),
        credentials: section.section("credentials").map(|it| credentials(&it)),
        files: Files {
            folder: section.path("static"),
            bundle: section.value("bundle").and_then(bundle),
        },
        request_timeout: timeout("requestTimeout"),
        response_timeout: timeout("responseTimeout"),
    }))
}

fn unknown(section: &Section<'_>, error: &GroupError) -> String {
    let group = section.text("group").unwrap_or_default();
    format!("is the text {group:?}: {error}")
}

/// On, off, or a file.
fn bundle(value: &Value) -> Option<Bundle> {
    match (value.as_bool(), value.as_str()) {
        (Some(true), _) => Some(Bundle::BuiltIn),
        (_, Some(file)) => Some(Bundle::File(file.into())),
        _ => None,
    }
}

fn credentials(section: &Section<'_>) -> Credentials {
    let further = section.sections("certificates");
    let pairs = std::iter::once(section).chain(&further);
    let pairs = pairs.filter_map(|it| it.path("certPath").zip(it.path("keyPath")));
    let asked = section.flag("requestCert").unwrap_or(false);
    // Where one is asked for, mosca refuses clients without one unless it is told otherwise.
    let refused = section.flag("rejectUnauthorized").unwrap_or(true);
    Credentials {
        certificates: pairs.collect(),
        client_ca: section.texts("caPaths").map(Into::into).collect(),
        client_crl: section.texts("crlPaths").map(Into::into).collect(),
        client_certificates: match (asked, refused) {
            (false, _) => ClientCertificates::Off,
            (true, false) => ClientCertificates::Requested,
            (true, true) => ClientCertificates::Required,
        },
        certificate_user: section.word("userFromCertificate", &USERS),
        min_version: section.word("minVersion", &VERSIONS).unwrap_or_default(),
    }
}
