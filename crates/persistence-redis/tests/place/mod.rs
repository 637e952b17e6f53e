//! A place of its own for each test, on one server for all tests of a binary.

#![allow(dead_code, reason = "no test binary needs all of it")]
#![allow(clippy::unwrap_used, reason = "a test ends where there is no server")]

pub(crate) mod proxy;
pub(crate) mod work;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};

use std::time::{Duration, Instant};

use persistence_redis::{ConnectError, RedisOptions, RedisPersistence};
use test_servers::redis::Redis;
use tokio::runtime::Runtime;

/// The server of this binary, which has every write on its disk before it answers.
pub(crate) static SERVER: LazyLock<Redis> = LazyLock::new(|| Redis::durable().start());

/// The runtime of this binary.
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

/// A prefix that nobody else has.
pub(crate) struct Place {
    server: &'static Redis,
    name: String,
}

impl Place {
    pub(crate) fn new(server: &'static Redis) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        Self {
            server,
            name: format!("test-{number}"),
        }
    }

    pub(crate) fn options(&self) -> RedisOptions {
        RedisOptions {
            prefix: format!("{}:", self.name),
            ..options(self.server)
        }
    }

    /// The name of a key in this place.
    pub(crate) fn key(&self, name: &str) -> String {
        format!("{{{}}}:{name}", self.name)
    }

    /// How many bytes messages take up, those inside of queues included.
    pub(crate) fn message_bytes(&self) -> u64 {
        let script = "local bytes = 0 \
            for _, value in ipairs(redis.call('HVALS', KEYS[1] .. 'message')) do bytes = bytes + #value end \
            for _, key in ipairs(redis.call('KEYS', KEYS[1] .. 'queue:*')) do \
              for _, entry in ipairs(redis.call('ZRANGE', key, 0, -1)) do bytes = bytes + #entry end \
            end \
            return bytes";
        let answer = self.server.command(&["EVAL", script, "1", &self.key("")]);
        answer.parse().unwrap()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let script = "for _, key in ipairs(redis.call('KEYS', KEYS[1] .. '*')) do redis.call('UNLINK', key) end";
        let _ = self
            .server
            .try_command(&["EVAL", script, "1", &self.key("")]);
    }
}

/// For what happens soon on a machine that has nothing else to do.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// What it takes to use a server that may take its time.
pub(crate) fn options(server: &Redis) -> RedisOptions {
    patient(RedisOptions::from_url(&server.url()).unwrap())
}

/// The same for another address.
pub(crate) fn patient(options: RedisOptions) -> RedisOptions {
    let patience = u64::try_from(PATIENCE.as_millis()).unwrap();
    RedisOptions {
        connect_timeout_ms: patience,
        unavailable_timeout_ms: patience,
        ..options
    }
}

/// Opens a store whose options may be too hurried for a machine that is busy.
pub(crate) async fn open(options: RedisOptions) -> Arc<RedisPersistence> {
    let start = Instant::now();
    loop {
        let error = match RedisPersistence::connect(options.clone()).await {
            Ok(store) => return Arc::new(store),
            Err(error) => error,
        };
        let may_pass = matches!(error, ConnectError::Unreachable { .. });
        assert!(may_pass && start.elapsed() < PATIENCE, "{error}");
    }
}

pub(crate) fn connect(options: RedisOptions) -> RedisPersistence {
    runtime()
        .block_on(RedisPersistence::connect(options))
        .unwrap()
}
