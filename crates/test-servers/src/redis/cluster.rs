//! A Cluster of three primaries that share the 16,384 slots.

use super::{Redis, RedisBuilder};
use crate::free_port;
use crate::process::wait_until;

/// Three nodes without replicas. When one is down, so is the Cluster.
#[derive(Debug)]
pub struct RedisCluster {
    /// The nodes: the first has the lowest slots.
    pub nodes: [Redis; 3],
}

impl RedisCluster {
    /// Starts the nodes, lets them meet, and waits until each says that all is well.
    ///
    /// # Panics
    /// If they do not come up.
    pub fn start(nodes: RedisBuilder) -> Self {
        let buses = [free_port(), free_port(), free_port()];
        let nodes = buses.map(|bus| {
            nodes
                .clone()
                .option("cluster-enabled", "yes")
                .option("cluster-node-timeout", "3000")
                .option("cluster-port", &bus.to_string())
                .start()
        });
        let [first, ..] = &nodes;
        let ranges = [("0", "5460"), ("5461", "10922"), ("10923", "16383")];
        for ((node, bus), (from, to)) in nodes.iter().zip(buses).zip(ranges) {
            node.command(&["CLUSTER", "ADDSLOTSRANGE", from, to]);
            let (port, bus) = (node.port().to_string(), bus.to_string());
            if node.port() != first.port() {
                first.command(&["CLUSTER", "MEET", "127.0.0.1", &port, &bus]);
            }
        }
        let cluster = Self { nodes };
        cluster.await_ok();
        cluster
    }

    /// Waits until every node says that the Cluster is well.
    ///
    /// # Panics
    /// If that does not come to pass.
    pub fn await_ok(&self) {
        wait_until("the Cluster to be well", || {
            self.nodes.iter().all(|node| {
                let info = node.try_command(&["CLUSTER", "INFO"]).unwrap_or_default();
                info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:3")
            })
        });
    }

    /// The addresses of all nodes.
    pub fn urls(&self) -> Vec<String> {
        self.nodes.iter().map(Redis::url).collect()
    }
}
