//! A primary, a replica, and a Sentinel that lets the replica take over when the primary is gone.

use super::{Redis, RedisBuilder};
use crate::process::wait_until;

/// The name by which the Sentinel knows its primary.
const SERVICE: &str = "mosca";

/// A primary with a replica, and one Sentinel that decides alone.
#[derive(Debug)]
pub struct RedisSentinel {
    /// The two servers; which of them is the primary changes with a fail-over.
    pub servers: [Redis; 2],
    /// The Sentinel.
    pub sentinel: Redis,
}

impl RedisSentinel {
    /// Starts all three, and waits until the replica has what the primary has and the Sentinel knows
    /// both. The first of the servers is the primary.
    ///
    /// # Panics
    /// If they do not come up.
    pub fn start(servers: RedisBuilder) -> Self {
        let primary = servers
            .clone()
            .option("repl-diskless-sync-delay", "0")
            .start();
        let port = primary.port().to_string();
        let replica = servers
            .option("replicaof", &format!("127.0.0.1 {port}"))
            .start();
        wait_until("the replica to be in step", || {
            replica.info("master_link_status").as_deref() == Some("up")
        });
        let builder = RedisBuilder {
            options: Vec::new(),
            client: Vec::new(),
            tls: false,
            sentinel: true,
        };
        let sentinel = builder
            .option("sentinel", &format!("monitor {SERVICE} 127.0.0.1 {port} 1"))
            .option(
                "sentinel",
                &format!("down-after-milliseconds {SERVICE} 2000"),
            )
            .option("sentinel", &format!("failover-timeout {SERVICE} 5000"))
            .start();
        wait_until("the Sentinel to know the replica", || {
            let replicas = sentinel.command(&["SENTINEL", "REPLICAS", SERVICE]);
            replicas.contains(&replica.port().to_string()) && !replicas.contains("disconnected")
        });
        Self {
            servers: [primary, replica],
            sentinel,
        }
    }

    /// The name by which clients ask the Sentinel for the primary.
    pub fn service(&self) -> &'static str {
        SERVICE
    }

    /// The port of the primary, as the Sentinel has it.
    pub fn primary_port(&self) -> Option<u16> {
        let answer = self
            .sentinel
            .command(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE]);
        answer.lines().nth(1)?.trim().parse().ok()
    }

    /// Kills the primary and waits until the replica is the primary; returns the index of the one
    /// that was killed. On a machine that is busy the Sentinel may take the new primary for dead as
    /// well, and go back to the old one as soon as that is there again: who is the primary later on
    /// is for no test to assume.
    ///
    /// # Panics
    /// If no fail-over happens.
    pub fn fail_over(&mut self) -> usize {
        let before = self.primary_port();
        let Some(index) = self
            .servers
            .iter()
            .position(|server| Some(server.port()) == before)
        else {
            panic!("the Sentinel knows no primary");
        };
        for (at, server) in self.servers.iter_mut().enumerate() {
            if at == index {
                server.kill();
            }
        }
        wait_until("the fail-over", || {
            let now = self.primary_port();
            now.is_some()
                && now != before
                && self.servers.iter().any(|server| {
                    Some(server.port()) == now && server.info("role").as_deref() == Some("master")
                })
        });
        index
    }
}
