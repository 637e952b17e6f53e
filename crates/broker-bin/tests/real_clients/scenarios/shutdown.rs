//! A broker that is asked to end says so to its clients and ends without complaint.

use crate::broker::Broker;
use crate::client::{Client, Maker, Subscribe, Version};

/// Server shutting down.
const SHUTTING_DOWN: u64 = 0x8b;

pub fn on_terminate(client: Client) {
    let mut broker = Broker::start();
    let mut subscriber = client.subscribe(&broker, &Subscribe::new("sub", "any", 1));
    let status = broker.terminate();
    assert!(status.success(), "{status}");
    // mosquitto_sub keeps to itself how its connection ended.
    if client.maker != Maker::Mosquitto {
        let reason = (client.version == Version::V5).then_some(SHUTTING_DOWN);
        assert_eq!(subscriber.disconnected(), reason);
    }
}
