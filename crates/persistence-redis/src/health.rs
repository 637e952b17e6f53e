//! What the server is set up for: whether it keeps what it is told, and for how long.

use std::collections::HashMap;

use crate::RedisOptions;
use crate::route::Link;

/// Older ones were never tried.
const OLDEST: (u32, u32) = (6, 2);

/// What the operator should know about a server before he relies on it.
pub(crate) async fn warnings(link: &mut Link, options: &RedisOptions) -> Vec<String> {
    // What a hosted Redis does not tell cannot be warned of.
    let info: String = link.ask(redis::cmd("INFO")).await.unwrap_or_default();
    let mut command = redis::cmd("CONFIG");
    command.arg("GET").arg("appendfsync");
    let fsync: HashMap<String, String> = link.ask(command).await.unwrap_or_default();
    judge(&info, fsync.get("appendfsync").map(String::as_str), options)
}

fn judge(info: &str, fsync: Option<&str>, options: &RedisOptions) -> Vec<String> {
    let value = |name: &str| {
        let mut lines = info.lines();
        lines.find_map(|line| line.trim_end().strip_prefix(name)?.strip_prefix(':'))
    };
    let mut found = Vec::new();
    match (value("aof_enabled"), fsync) {
        (Some("0"), _) => found.push(
            "Redis has `appendonly no`: what it confirmed since its last snapshot is lost when it ends"
                .to_owned(),
        ),
        (_, Some(other)) if other != "always" => found.push(format!(
            "Redis has `appendfsync {other}`: what it confirmed in the last second or more is lost when its \
             machine fails; `always` loses nothing"
        )),
        _ => {}
    }
    let limited = value("maxmemory").is_some_and(|bytes| bytes != "0");
    if let Some(policy) = value("maxmemory_policy")
        && limited
        && policy != "noeviction"
    {
        found.push(format!(
            "Redis has `maxmemory-policy {policy}`: it throws stored messages away when its memory is full; \
             `noeviction` refuses new ones instead"
        ));
    }
    if let Some(version) = value("redis_version") {
        let mut numbers = version.split('.').map(|number| number.parse().unwrap_or(0));
        let version_is_old = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) < OLDEST;
        if version_is_old {
            let (major, minor) = OLDEST;
            found.push(format!(
                "Redis is of version {version}; mosca is tested with {major}.{minor} and later"
            ));
        }
    }
    let replicas = value("connected_slaves").and_then(|count| count.parse().ok());
    if replicas.is_some_and(|count: u32| count < options.wait_replicas) {
        found.push(format!(
            "Redis has fewer than {} replicas at this moment: batches wait until there are as many",
            options.wait_replicas
        ));
    }
    if options.sentinel.is_some() && options.wait_replicas == 0 {
        found.push(
            "Redis is watched by Sentinels and `wait_replicas` is 0: a fail-over may lose what was confirmed \
             just before it"
                .to_owned(),
        );
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "redis_version:7.0.15\r\naof_enabled:1\r\nmaxmemory:0\r\n\
        maxmemory_policy:noeviction\r\nconnected_slaves:0\r\n";

    fn texts(info: &str, fsync: &str, options: &RedisOptions) -> String {
        judge(info, Some(fsync), options).join("\n")
    }

    #[test]
    fn each_weakness_is_named() {
        let default = RedisOptions::default();
        assert_eq!(texts(GOOD, "always", &default), "");
        assert!(texts(GOOD, "everysec", &default).contains("appendfsync everysec"));
        let changed = |from: &str, to: &str| {
            let info = GOOD.replace(from, to);
            assert_ne!(info, GOOD);
            texts(&info, "always", &RedisOptions::default())
        };
        assert!(changed("aof_enabled:1", "aof_enabled:0").contains("appendonly no"));
        assert!(changed("7.0.15", "5.0.1").contains("5.0.1"));
        assert_eq!(
            changed("noeviction", "allkeys-lru"),
            "",
            "without a limit nothing is evicted"
        );
        let limited = GOOD.replace("maxmemory:0", "maxmemory:1");
        let evicting = limited.replace("noeviction", "allkeys-lru");
        assert!(texts(&evicting, "always", &default).contains("allkeys-lru"));
        assert_eq!(texts(&limited, "always", &default), "");
        let waiting = RedisOptions {
            wait_replicas: 1,
            ..default
        };
        assert!(texts(GOOD, "always", &waiting).contains("replicas"));
        assert_eq!(texts("", "always", &RedisOptions::default()), "");
    }
}
