//! Interfaces that serve files beside MQTT over WebSocket, over real sockets.

pub(crate) mod browser;
mod files;
mod limits;
mod upgrades;

use std::path::Path;

use mosca::{Interface, Server, ServerBuilder};

use self::browser::{Browser, Response, get};

/// A script that stands for MQTT.js.
const SCRIPT: &str = "/* MQTT.js */";

fn interface() -> Interface {
    Interface::http("127.0.0.1:0")
}

async fn start(interface: Interface) -> Server {
    start_with(Server::builder(), interface).await
}

async fn start_with(builder: ServerBuilder, interface: Interface) -> Server {
    builder.listen(interface).start().await.unwrap()
}

/// A folder with these files.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, content) in files {
        write(&folder.path().join(path), content);
    }
    folder
}

fn write(path: &Path, content: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
}
