//! An engine that is not there.

use test_servers::RefusingPort;
use test_servers::mosquitto::Mosquitto;

use crate::broker::{Broker, mosca};
use crate::client::{Message, Subscriber, VERSIONS, publish};
use crate::process::{Line, Process};

/// Nobody is to believe that he has joined others.
#[test]
fn a_parent_or_server_that_is_not_there_at_the_start_is_one_line_and_exit_code_1() {
    let nobody = RefusingPort::take();
    let port = nobody.number().to_string();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mosca.yaml");
    let amqp = format!("backend: {{ type: amqp, url: 'amqp://me:secret@127.0.0.1:{port}' }}\n");
    let mqtt = format!("backend: {{ type: mqtt, url: 'mqtt://me:secret@127.0.0.1:{port}' }}\n");
    let parent = ["--parent-host", "127.0.0.1", "--parent-port", &port];
    let of_file = ["--config", file.to_str().unwrap()];
    for (content, arguments) in [("{}\n", &parent[..]), (&amqp, &of_file), (&mqtt, &of_file)] {
        std::fs::write(&file, content).unwrap();
        let (status, lines) = Process::start("mosca", &mut mosca(arguments)).finish();
        assert_eq!(status.code(), Some(1), "{lines:?}");
        let complaints = lines.iter().filter_map(|line| match line {
            Line::Err(line) if line.starts_with("mosca: ") => Some(line),
            Line::Err(_) => None,
            Line::Out(line) => panic!("{line}"),
        });
        let [complaint] = complaints.collect::<Vec<_>>()[..] else {
            panic!("{lines:?}");
        };
        assert!(complaint.starts_with("mosca: cannot join other nodes: "));
        assert!(
            complaint.contains(&format!("127.0.0.1:{port}")),
            "{complaint}"
        );
        assert!(!complaint.contains("secret"), "{complaint}");
    }
}

/// And when it is back, all goes on as before.
#[test]
fn while_the_parent_is_away_own_clients_are_served_and_the_log_says_so() {
    let mut parent = Mosquitto::new().start();
    let mut child = Broker::below(parent.port(), &[]);
    let joined = child.log("this broker is one of several");
    assert!(
        joined.contains(&format!("mqtt://127.0.0.1:{}", parent.port())),
        "{joined}"
    );
    let mut own = VERSIONS.map(|version| Subscriber::new(child.port, version, "t"));
    parent.kill();
    child.log("the engine between nodes is lost");
    for qos in 0..=2 {
        publish(child.port, VERSIONS[0], qos, "t", b"alone");
        for subscriber in &mut own {
            assert_eq!(subscriber.next(), Message::new("t", qos, b"alone"));
        }
    }
    parent.start_again();
    child.log("the engine between nodes is back");
    let mut above = Subscriber::new(parent.port(), VERSIONS[1], "t");
    publish(child.port, VERSIONS[1], 1, "t", b"up");
    assert_eq!(above.next(), Message::new("t", 1, b"up"));
    for subscriber in &mut own {
        assert_eq!(subscriber.next(), Message::new("t", 1, b"up"));
    }
    // A filter that nobody has had before is asked for at once, so those of before are there as well.
    let mut last = Subscriber::new(child.port, VERSIONS[0], "last");
    publish(parent.port(), VERSIONS[0], 1, "t", b"down");
    publish(parent.port(), VERSIONS[0], 1, "last", b"down");
    assert_eq!(last.next(), Message::new("last", 1, b"down"));
    for subscriber in &mut own {
        assert_eq!(subscriber.next(), Message::new("t", 1, b"down"));
    }
}
