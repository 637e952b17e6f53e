//! A broker that loses, doubles, reorders or misroutes fails the run: mosca behind a proxy that does
//! so to one message of each connection.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "this is a test as a whole, and what is not as it should be ends it"
)]

mod broker;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

use mqtt_codec::{Decoded, Packet, Version, decode};

use broker::{Broker, figures, load};

/// What happens to the 50th PUBLISH of each connection on its way to the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Lost,
    Doubled,
    /// It comes behind the one after it.
    Late,
    /// It carries another source, as if it were for somebody else.
    Misrouted,
}

const VICTIM: usize = 50;

/// Listens, and passes everything on to `broker` and back. Its threads end with the process.
fn proxy(broker: SocketAddr, fault: Fault) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for client in listener.incoming() {
            let client = client.unwrap();
            let server = TcpStream::connect(broker).unwrap();
            let mut there = (client.try_clone().unwrap(), server.try_clone().unwrap());
            thread::spawn(move || std::io::copy(&mut there.0, &mut there.1));
            thread::spawn(move || bring_back(server, client, fault));
        }
    });
    address
}

fn bring_back(mut server: TcpStream, mut client: TcpStream, fault: Fault) {
    let mut input = Vec::new();
    let mut buffer = [0; 65536];
    let mut publishes = 0;
    let mut held = Vec::new();
    while let Ok(count @ 1..) = server.read(&mut buffer) {
        input.extend_from_slice(&buffer[..count]);
        let mut output = Vec::new();
        let mut done = 0;
        while let Ok(Decoded::Packet { packet, size }) =
            decode(&input[done..], Version::V311, usize::MAX)
        {
            let mut bytes = input[done..done + size].to_vec();
            let is_publish = matches!(packet, Packet::Publish(_));
            publishes += usize::from(is_publish);
            match fault {
                _ if !is_publish || publishes != VICTIM => {
                    output.extend(bytes);
                    output.append(&mut held);
                }
                Fault::Lost => {}
                Fault::Doubled => output.extend(bytes.repeat(2)),
                Fault::Late => held = bytes,
                Fault::Misrouted => {
                    // The source stands 8 bytes behind the start of a payload of 64.
                    let source = size - 64 + 8;
                    bytes[source] ^= 1;
                    output.extend(bytes);
                }
            }
            done += size;
        }
        input.drain(..done);
        if client.write_all(&output).is_err() {
            return;
        }
    }
}

/// Two pairs, and so two victims.
fn run(fault: Fault, arguments: &str) -> serde_json::Value {
    let broker = Broker::start();
    let address = proxy(broker.address, fault);
    let arguments = format!("{arguments} --warmup 0 --messages 1000 --quiet 0.5");
    let output = load(&arguments, address);
    let result = figures(&output);
    assert_eq!(output.status.code(), Some(1), "{fault:?}: {result}");
    assert_eq!(result["ok"], false);
    result
}

#[test]
fn a_broker_that_loses_fails_the_run() {
    let result = run(Fault::Lost, "pairs --pairs 2");
    assert_eq!(
        (&result["lost"], &result["delivered"]),
        (&2.into(), &998.into())
    );
    let result = run(Fault::Lost, "fanout --subs 3");
    assert_eq!(result["lost"], 3);
    let result = run(
        Fault::Lost,
        "wildcards --subscriptions 100 --conns 5 --matches 5",
    );
    assert_eq!(result["lost"], 5);
}

#[test]
fn a_broker_that_doubles_fails_the_run() {
    let result = run(Fault::Doubled, "pairs --pairs 2");
    assert_eq!(
        (&result["duplicates"], &result["lost"]),
        (&2.into(), &0.into())
    );
    let result = run(
        Fault::Doubled,
        "wildcards --subscriptions 100 --conns 5 --matches 5",
    );
    assert_eq!(result["duplicates"], 5);
}

#[test]
fn a_broker_that_reorders_fails_the_run() {
    let result = run(Fault::Late, "fanin --pubs 1 --subs 2");
    assert_eq!(
        (&result["out_of_order"], &result["lost"]),
        (&2.into(), &0.into())
    );
}

#[test]
fn a_broker_that_misroutes_fails_the_run() {
    let result = run(Fault::Misrouted, "pairs --pairs 2");
    assert_eq!((&result["extra"], &result["lost"]), (&2.into(), &2.into()));
}
