//! RabbitMQ comes, and goes with all that belongs to it.

use std::net::TcpStream;

use test_servers::rabbitmq::RabbitMq;

#[test]
fn a_server_leaves_nothing() {
    let server = RabbitMq::start();
    let (port, folder) = (server.port(), server.folder().to_owned());
    assert!(TcpStream::connect(("127.0.0.1", port)).is_ok());
    drop(server);
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
    assert!(!folder.exists());
}
