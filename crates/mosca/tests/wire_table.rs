//! The wire table against a whole server: for each row a connection over the loopback interface.
//!
//! It has no test functions: each row is a test, under the name of the row and its version, so that
//! a row that fails says which it is.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "all of this is a test"
)]

#[allow(dead_code, reason = "other test binaries use the rest")]
#[path = "harness/mod.rs"]
mod harness;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};
use mosca::Server;
use mqtt_codec::{OwnedPacket, QoS, ReasonCode, Version};
use tokio::io::AsyncReadExt;
use wire_table::{Before, Case, Outcome};

use harness::{Client, Hello, start, within};

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let cases = wire_table::cases().unwrap();
    let trials = cases.into_iter().map(|case| {
        let name = case.name.clone();
        Trial::test(name, move || run(&case))
    });
    libtest_mimic::run(&arguments, trials.collect()).exit_code()
}

/// What fails in here panics, and so fails its test.
fn run(case: &Case) -> Result<(), Failed> {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().build()?;
    runtime.block_on(check(case));
    Ok(())
}

async fn check(case: &Case) {
    let builder = Server::builder().broker(|options| options.max_topic_bytes = 65_535);
    let server = start(builder).await;
    let version = version(case);
    let mut client = match case.before {
        Before::Nothing => Client::open(&server, version).await,
        Before::Connect | Before::Subscribe => Hello::new(version, "client").connect(&server).await,
    };
    if case.before == Before::Subscribe {
        client.subscribe("t", QoS::ExactlyOnce).await;
    }
    let what = &case.name;
    client.write(&case.sent).await;
    match &case.outcome {
        Outcome::Answers(bytes) => {
            let mut answer = vec![0; bytes.len()];
            let read = client.stream.read_exact(&mut answer);
            within(what, read).await.unwrap();
            assert_eq!(answer, *bytes, "{what}");
            client.nothing_comes().await;
        }
        Outcome::Accepts => {
            let connack = client.expect_connack().await;
            assert_eq!(connack.reason_code, ReasonCode::Success, "{what}");
            client.nothing_comes().await;
        }
        Outcome::Returns(code) => {
            let mut answer = [0; 4];
            within(what, client.stream.read_exact(&mut answer))
                .await
                .unwrap();
            // The code is the byte behind the flags, in every version.
            let is_v5 = version.is_v5();
            assert_eq!(
                (answer[0], answer[2], answer[3]),
                (0x20, 0, *code),
                "{what}"
            );
            let rest = usize::from(answer[1]) - 2;
            assert_eq!(rest > 0, is_v5, "{what}: the form is of the version");
            let mut properties = vec![0; rest];
            within(what, client.stream.read_exact(&mut properties))
                .await
                .unwrap();
            client.assert_closed().await;
        }
        Outcome::Closes => client.assert_closed().await,
        Outcome::Disconnects(code) => {
            let words = client.last_words().await;
            let [OwnedPacket::Disconnect(disconnect)] = &words[..] else {
                panic!("{what}: DISCONNECT expected, not {words:?}");
            };
            assert_eq!(disconnect.reason_code.as_u8(), *code, "{what}");
        }
    }
}

fn version(case: &Case) -> Version {
    match case.version {
        wire_table::Version::V31 => Version::V31,
        wire_table::Version::V311 => Version::V311,
        wire_table::Version::V5 => Version::V5,
    }
}
