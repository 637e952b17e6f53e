//! A broker over the store on disk, with many sessions and one long queue: how long it takes to start,
//! what it has in memory, and how fast the queue grows and drains. The broker is a process of its own.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mosca::{Interface, Server};
use persistence_fjall::{Durability, FjallOptions, FjallPersistence};

/// The argument by which this program is the broker.
pub const SERVE: &str = "serve";

/// Messages under way from the publisher.
const WINDOW: usize = 1_000;

/// PUBLISH at QoS 1 to `q`, with 100 bytes, without its packet identifier and payload.
const PUBLISH_HEAD: [u8; 5] = [0x32, 105, 0, 1, b'q'];

fn open(folder: &Path) -> Arc<FjallPersistence> {
    let options = FjallOptions {
        // How fast a disk syncs is measured elsewhere.
        durability: Durability::Os,
        ..FjallOptions::default()
    };
    let store = FjallPersistence::open(folder, options);
    Arc::new(store.unwrap_or_else(|error| panic!("{error}")))
}

/// The broker: says in one line how long it took to start, and where it listens.
pub fn serve(folder: &Path) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let start = Instant::now();
        let server = Server::builder()
            .listen(Interface::mqtt("127.0.0.1:0"))
            .broker(|options| {
                options.max_queued_messages = usize::MAX;
                options.max_queued_bytes = usize::MAX;
            })
            .persistence(open(folder))
            .start()
            .await
            .expect("a server");
        let address = server.local_addresses()[0];
        println!("{} {address}", start.elapsed().as_millis());
        std::future::pending::<()>().await;
    });
}

/// A broker that runs, and how it came up.
struct Running {
    process: Child,
    address: String,
    started: Duration,
}

impl Running {
    fn start(folder: &Path) -> Self {
        let program = std::env::current_exe().expect("this program");
        let mut process = Command::new(program)
            .arg(SERVE)
            .arg(folder)
            .stdout(Stdio::piped())
            .spawn()
            .expect("a process");
        let mut line = String::new();
        let out = process.stdout.take().expect("its output");
        BufReader::new(out).read_line(&mut line).expect("a line");
        let (millis, address) = line.trim().split_once(' ').expect("time and address");
        Self {
            address: address.to_owned(),
            started: Duration::from_millis(millis.parse().expect("a number")),
            process,
        }
    }

    /// What it has in memory, and what it had at most, in MB.
    fn memory(&self) -> (u64, u64) {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()));
        let status = status.expect("the process runs");
        let of = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name));
            let kilobytes = line.and_then(|line| line.split_whitespace().nth(1));
            kilobytes.map_or(0, |it| it.parse::<u64>().unwrap_or(0)) / 1_024
        };
        (of("VmRSS:"), of("VmHWM:"))
    }

    /// Ends it as a crash would.
    fn kill(mut self) {
        self.process.kill().expect("it runs");
        self.process.wait().expect("it has ended");
    }

    /// A connection whose session lasts; what comes behind CONNACK is left.
    fn connect(&self, client: &str) -> TcpStream {
        let mut stream = TcpStream::connect(&self.address).expect("a connection");
        stream.set_nodelay(true).expect("an option");
        let length = u8::try_from(client.len()).expect("a short name");
        let mut connect = vec![
            0x10,
            12 + length,
            0,
            4,
            b'M',
            b'Q',
            b'T',
            b'T',
            4,
            0,
            0,
            0,
            0,
            length,
        ];
        connect.extend_from_slice(client.as_bytes());
        stream.write_all(&connect).expect("CONNECT");
        let mut connack = [0; 4];
        stream.read_exact(&mut connack).expect("CONNACK");
        assert_eq!((connack[0], connack[3]), (0x20, 0));
        stream
    }
}

/// Publishes so many messages, and waits for all of their acknowledgements.
fn publish(stream: &mut TcpStream, messages: usize) {
    let mut sent = 0;
    let mut acknowledged = 0;
    let mut bytes = Vec::new();
    let mut acks = vec![0; 4 * WINDOW];
    while acknowledged < messages {
        bytes.clear();
        while sent < messages && sent - acknowledged < WINDOW {
            let id = u16::try_from(sent % 60_000 + 1).expect("in range");
            bytes.extend_from_slice(&PUBLISH_HEAD);
            bytes.extend_from_slice(&id.to_be_bytes());
            bytes.extend_from_slice(&[b'x'; 100]);
            sent += 1;
        }
        stream.write_all(&bytes).expect("PUBLISH");
        let wanted = (sent - acknowledged).div_ceil(2);
        stream.read_exact(&mut acks[..4 * wanted]).expect("PUBACK");
        acknowledged += wanted;
    }
}

/// Takes and acknowledges so many messages of the kind that [`publish`] sends.
fn drain(stream: &mut TcpStream, messages: usize, mut look: impl FnMut(usize)) {
    const BYTES: usize = 107;
    let mut taken = 0;
    let mut input = vec![0; BYTES * WINDOW];
    let mut filled = 0;
    let mut acks = Vec::new();
    while taken < messages {
        let read = stream.read(&mut input[filled..]).expect("PUBLISH");
        assert!(read > 0, "the broker has ended the connection");
        filled += read;
        acks.clear();
        for publish in input[..filled].chunks_exact(BYTES) {
            assert_eq!(publish[1], 105, "a message as it was sent");
            acks.extend_from_slice(&[0x40, 2, publish[5], publish[6]]);
            taken += 1;
        }
        let rest = filled % BYTES;
        input.copy_within(filled - rest..filled, 0);
        filled = rest;
        stream.write_all(&acks).expect("PUBACK");
        look(taken);
    }
}

/// Fills a store with so many sessions, one in a hundred with a shared subscription; then brokers start
/// over it, the queue of one client grows to as many messages, and drains.
pub fn run(folder: &Path, sessions: usize, runtime: &tokio::runtime::Runtime) {
    let store: Arc<dyn broker_core::persistence::Persistence> = open(folder);
    runtime.block_on(crate::load::fill_sessions(&store, sessions));
    drop(store);

    let told = |what: &str, broker: &Running| {
        let (now, most) = broker.memory();
        let started = broker.started.as_secs_f64();
        println!("broker: {what}: started in {started:.1} s, {now} MB, {most} MB at most");
    };
    let broker = Running::start(folder);
    told("sessions alone", &broker);
    let mut away = broker.connect("collector");
    away.write_all(&[0x82, 6, 0, 1, 0, 1, b'q', 1])
        .expect("SUBSCRIBE");
    let mut suback = [0; 5];
    away.read_exact(&mut suback).expect("SUBACK");
    away.write_all(&[0xE0, 0]).expect("DISCONNECT");
    drop(away);
    let mut publisher = broker.connect("publisher");
    let start = Instant::now();
    publish(&mut publisher, sessions);
    let rate = sessions as f64 / start.elapsed().as_secs_f64();
    let (now, most) = broker.memory();
    println!("broker: queued {rate:.0} messages/s, {now} MB, {most} MB at most");
    broker.kill();

    let broker = Running::start(folder);
    told("with the queue", &broker);
    let start = Instant::now();
    let mut collector = broker.connect("collector");
    let first = start.elapsed();
    let mut highest = 0;
    drain(&mut collector, sessions, |taken| {
        if taken % 100_000 < WINDOW {
            highest = highest.max(broker.memory().0);
        }
    });
    let rate = sessions as f64 / start.elapsed().as_secs_f64();
    let first = first.as_secs_f64() * 1e3;
    println!(
        "broker: CONNACK after {first:.1} ms, drained {rate:.0} messages/s, {highest} MB meanwhile"
    );
    broker.kill();
}
