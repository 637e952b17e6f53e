//! Brokers that stand for one another around RabbitMQ, or below one parent, as config files have it.

use std::process::Command;

use test_servers::mosquitto::Mosquitto;
use test_servers::rabbitmq::RabbitMq;

use crate::broker::{Broker, mosca};
use crate::client::{BINARY, Message, Subscriber, VERSIONS, publish, retain};
use crate::process::Process;

/// A broker with this file.
fn with_file(content: &str) -> Broker {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mosca.json");
    std::fs::write(&file, content).unwrap();
    Broker::run(&mut mosca(&["--config", file.to_str().unwrap()]))
}

/// Two brokers with the same section `backend`: live messages, retained ones, and a client that moves.
fn stand_for_one_another(backend: &str) {
    let nodes = ["one", "two"]
        .map(|id| with_file(&format!("{{ \"id\": {id:?}, \"backend\": {backend} }}")));
    let [one, two] = nodes.each_ref().map(|it| it.port);
    for version in VERSIONS {
        let mut subscribers = [one, two].map(|port| Subscriber::new(port, version, "a/+/#"));
        for publisher in [one, two] {
            for qos in 0..=2 {
                // With characters that mean something else in AMQP.
                let topic = format!("a/b.c*/{qos}");
                publish(publisher, version, qos, &topic, BINARY);
                for subscriber in &mut subscribers {
                    assert_eq!(subscriber.next(), Message::new(&topic, qos, BINARY));
                }
            }
        }
        let topic = format!("r/{version}");
        let mut there = [one, two].map(|port| Subscriber::new(port, version, &topic));
        retain(one, version, &topic, b"1");
        for (port, there) in [one, two].into_iter().zip(&mut there) {
            assert_eq!(there.next(), Message::new(&topic, 1, b"1"));
            let mut later = Subscriber::new(port, version, &topic);
            assert_eq!(later.next(), Message::retained(&topic, 1, b"1"));
        }
    }
    moves(one, two);
}

/// A client that connects at another node loses its connection at the first: what mosca says by a topic of its own.
fn moves(from: u16, to: u16) {
    let connect = |port: u16| {
        let mut command = Command::new("stdbuf");
        command.args(["--output=L", "mosquitto_sub", "-V", "mqttv5", "-d"]);
        command.args(["-h", "127.0.0.1", "-p", &port.to_string()]);
        command.args(["-i", "wanderer", "-t", "w"]);
        Process::start("mosquitto_sub", &mut command)
    };
    let says = |process: &mut Process, words: &str| {
        process.wait_for(words, |line| {
            let (crate::process::Line::Out(line) | crate::process::Line::Err(line)) = line;
            line.contains(words).then_some(())
        });
    };
    let mut first = connect(from);
    says(&mut first, "Subscribed (mid: ");
    let mut second = connect(to);
    says(&mut second, "Subscribed (mid: ");
    says(&mut first, "Received DISCONNECT (142)");
}

#[test]
fn brokers_around_rabbitmq_stand_for_one_another() {
    let server = RabbitMq::start();
    let url = server.url();
    stand_for_one_another(&format!(
        "{{ \"type\": \"amqp\", \"json\": false, \"url\": {url:?}, \"exchange\": \"ascoltatore5672\" }}"
    ));
}

#[test]
fn brokers_below_one_parent_stand_for_one_another() {
    let server = Mosquitto::new().start();
    let port = server.port();
    stand_for_one_another(&format!(
        "{{ \"type\": \"mqtt\", \"json\": false, \"host\": \"127.0.0.1\", \"port\": {port} }}"
    ));
}
