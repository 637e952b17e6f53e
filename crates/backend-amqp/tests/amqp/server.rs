//! The server of this binary, the runtime, and an exchange for each test.

use std::future::Future;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use backend_amqp::AmqpBackendOptions;
use test_servers::certificates::{Authority, Subject};
use test_servers::rabbitmq::{RabbitMq, Tls};
use tokio::runtime::Runtime;

/// What makes the server's certificate.
pub(crate) static AUTHORITY: LazyLock<Authority> = LazyLock::new(|| Authority::new("Test CA"));

pub(crate) static SERVER: LazyLock<RabbitMq> = LazyLock::new(|| {
    let issued = AUTHORITY.issue("rabbitmq", &Subject::server("localhost"));
    RabbitMq::start_tls(Tls {
        certificate: &issued.certificate,
        key: &issued.key,
        authority: &AUTHORITY.certificate,
    })
});

pub(crate) fn runtime() -> &'static Runtime {
    static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap()
    });
    &RUNTIME
}

/// Runs a test in the runtime, for two minutes at most.
pub(crate) fn run(test: impl Future<Output = ()>) {
    runtime().block_on(async {
        let test = tokio::time::timeout(Duration::from_secs(120), test);
        test.await.expect("the test takes too long");
    });
}

/// Options with an exchange that nobody else has.
pub(crate) fn options() -> AmqpBackendOptions {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let mut options = AmqpBackendOptions::new();
    options.url = SERVER.url();
    options.exchange = format!("test-{}", COUNT.fetch_add(1, Ordering::Relaxed));
    options
}
