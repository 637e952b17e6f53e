//! What is served to browsers beside MQTT over WebSocket.

use std::path::PathBuf;

use super::Kind;
use crate::args::Args;
use crate::bundle::Bundle;

/// Mosca's `static` and `bundle`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Files {
    /// A folder.
    pub(crate) folder: Option<PathBuf>,
    /// The script `/mqtt.js`.
    pub(crate) bundle: Option<Bundle>,
}

impl Files {
    /// What the command line says of the port without TLS.
    pub(super) fn of_http(args: &Args) -> Self {
        Self {
            folder: args.http_static.clone(),
            bundle: args.http_bundle.clone().map(bundle),
        }
    }

    /// The same of the one with TLS.
    pub(super) fn of_https(args: &Args) -> Self {
        Self {
            folder: args.https_static.clone(),
            bundle: args.https_bundle.clone().map(bundle),
        }
    }

    /// What is said elsewhere where this says nothing.
    pub(super) fn or(self, other: &Self) -> Self {
        Self {
            folder: self.folder.or_else(|| other.folder.clone()),
            bundle: self.bundle.or_else(|| other.bundle.clone()),
        }
    }

    /// The flag that has said something.
    pub(super) fn flag(&self, kind: Kind) -> Option<&'static str> {
        let [folder, bundle] = match kind {
            Kind::Https => ["--https-static", "--https-bundle"],
            _ => ["--http-static", "--http-bundle"],
        };
        match self {
            Self {
                folder: Some(_), ..
            } => Some(folder),
            Self {
                bundle: Some(_), ..
            } => Some(bundle),
            Self { .. } => None,
        }
    }

    /// Whether nothing is served.
    pub(crate) fn is_none(&self) -> bool {
        self.folder.is_none() && self.bundle.is_none()
    }
}

fn bundle(file: Option<PathBuf>) -> Bundle {
    file.map_or(Bundle::BuiltIn, Bundle::File)
}
