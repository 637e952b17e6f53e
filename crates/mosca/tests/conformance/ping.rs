//! Sections 3.12 and 3.13: PINGREQ and PINGRESP.

use mqtt_codec::{OwnedPacket, Packet};

use crate::harness::{Client, VERSIONS, each};

/// MQTT 3.1.1: [MQTT-3.12.4-1]
/// MQTT 5.0: [MQTT-3.12.4-1]
#[tokio::test]
async fn every_pingreq_is_answered_by_one_pingresp() {
    each(&VERSIONS, async |server, version| {
        let mut client = Client::connect(server, version, "client").await;
        for _ in 0..3 {
            client.send(Packet::PingReq).await;
        }
        for _ in 0..3 {
            assert_eq!(client.receive().await, OwnedPacket::PingResp);
        }
        client.nothing_comes().await;
        client.disconnect().await;
    })
    .await;
}
