//! Section 3.2: CONNACK, and what it tells the client.

use mqtt_codec::ReasonCode;

use crate::harness::{Hello, NUMBERED, each};

/// MQTT 3.1.1: [MQTT-3.2.2-2] [MQTT-3.2.2-3]
/// MQTT 5.0: [MQTT-3.2.2-3]
#[tokio::test]
async fn session_present_tells_whether_a_session_was_stored() {
    each(&NUMBERED, async |server, version| {
        let hello = Hello::new(version, "client").persistent(100);
        for is_present in [false, true] {
            let (client, connack) = hello.connect_told(server).await;
            assert_eq!(connack.session_present, is_present);
            assert_eq!(connack.reason_code, ReasonCode::Success);
            client.disconnect().await;
        }
    })
    .await;
}
