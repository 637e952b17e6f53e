//! Unix sockets: an interface like others, with a file that comes and goes.

use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::Duration;

use mosca::{Interface, Server, StartError};
use mqtt_codec::{Connect, QoS, Version};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use crate::client::{Client, VERSIONS, wait_for_connections, within};
use crate::websocket_client::request;

async fn start(interface: Interface) -> Result<Server, StartError> {
    Server::builder().listen(interface).start().await
}

async fn connect(path: &Path, version: Version, name: &str) -> Client<UnixStream> {
    let stream = within("Unix socket", UnixStream::connect(path)).await;
    let mut client = Client::over_stream(stream.unwrap(), version);
    client.say_hello(&Connect::new(version, name)).await;
    client
}

#[tokio::test]
async fn clients_come_through_a_unix_socket() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mqtt.sock");
    let server = start(Interface::unix(&path).max_connections(2))
        .await
        .unwrap();
    assert_eq!(server.urls(), [format!("mqtt+unix://{}", path.display())]);
    assert!(server.local_addresses().is_empty());
    for version in VERSIONS {
        let mut client = connect(&path, version, "client").await;
        client.subscribe("a", QoS::AtLeastOnce).await;
        let payload = vec![7; 1 << 20];
        client.publish("a", &payload).await;
        assert!(client.receive_publish().await.payload[..] == payload);
        let other = connect(&path, version, "other").await;
        // The limit is the interface's own.
        let third = within("Unix socket", UnixStream::connect(&path)).await;
        let end = within("the end", third.unwrap().read_u8()).await;
        assert!(end.is_err());
        client.ping().await;
        drop((client, other));
        wait_for_connections(&server, 0).await;
    }
    server.close(Duration::from_secs(20)).await;
    assert!(!path.exists(), "the file is removed");
}

#[tokio::test]
async fn a_socket_has_the_permissions_and_the_group_that_it_is_given() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mqtt.sock");
    // What any process may do: the group that it has.
    let group = std::fs::metadata(folder.path()).unwrap().gid();
    for mode in [0o600, 0o660, 0o666, 0o777] {
        let interface = Interface::unix(&path).socket_mode(mode).socket_group(group);
        let server = start(interface).await.unwrap();
        let found = std::fs::metadata(&path).unwrap();
        assert_eq!(found.permissions().mode() & 0o7777, mode, "{mode:o}");
        assert_eq!(found.gid(), group);
        connect(&path, Version::V5, "client").await.ping().await;
        server.close(Duration::from_secs(20)).await;
        assert!(!path.exists(), "the file is removed");
    }
}

#[tokio::test]
async fn a_socket_that_was_left_behind_is_replaced_and_nothing_else_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mqtt.sock");
    // Dropped without removing the file, as by a process that was killed.
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let server = start(Interface::unix(&path)).await.unwrap();
    connect(&path, Version::V5, "client").await.ping().await;

    let second = start(Interface::unix(&path)).await;
    let Err(StartError::Listen { interface, source }) = second else {
        panic!("{second:?}");
    };
    assert_eq!(interface, format!("mqtt+unix://{}", path.display()));
    assert_eq!(source.kind(), io::ErrorKind::AddrInUse);
    connect(&path, Version::V5, "client").await.ping().await;
    drop(server);

    let file = folder.path().join("precious");
    std::fs::write(&file, "data").unwrap();
    let started = start(Interface::unix(&file)).await;
    assert!(
        matches!(started, Err(StartError::Listen { .. })),
        "{started:?}"
    );
    assert_eq!(std::fs::read(&file).unwrap(), b"data");
}

#[tokio::test]
async fn a_socket_that_another_has_made_meanwhile_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mqtt.sock");
    let server = start(Interface::unix(&path)).await.unwrap();
    std::fs::remove_file(&path).unwrap();
    // So that the file gets another number.
    std::fs::write(folder.path().join("other"), "").unwrap();
    let _other = UnixListener::bind(&path).unwrap();
    server.close(Duration::from_secs(20)).await;
    assert!(path.exists());
}

#[tokio::test]
async fn a_unix_socket_may_carry_websockets() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ws.sock");
    let server = start(Interface::websocket_unix(&path)).await.unwrap();
    assert_eq!(server.urls(), [format!("ws+unix://{}", path.display())]);
    let stream = within("Unix socket", UnixStream::connect(&path)).await;
    let mut stream = stream.unwrap();
    let asked = request("/", &["mqtt"]);
    stream.write_all(asked.as_bytes()).await.unwrap();
    let mut start = [0; 12];
    let read = within("response", stream.read_exact(&mut start)).await;
    read.unwrap();
    assert_eq!(&start, b"HTTP/1.1 101");
}
