//! Section 4.3: the three qualities of service.

use mqtt_codec::QoS;

use crate::harness::{Client, Message, NUMBERED, each};

/// MQTT 3.1.1: [MQTT-4.3.1-1] [MQTT-2.3.1-5] [MQTT-3.3.1-2]
/// MQTT 5.0: [MQTT-4.3.1-1] [MQTT-2.2.1-2] [MQTT-3.3.1-2]
#[tokio::test]
async fn qos_0_is_one_publish_without_dup_and_identifier() {
    each(&NUMBERED, async |server, version| {
        let mut subscriber = Client::connect(server, version, "subscriber").await;
        subscriber.subscribe("a", QoS::ExactlyOnce).await;
        let mut publisher = Client::connect(server, version, "publisher").await;
        publisher.publish_whole(&Message::new("a", b"once")).await;
        let publish = subscriber
            .expect_publish("a", b"once", QoS::AtMostOnce)
            .await;
        assert!(!publish.dup);
        assert_eq!(publish.packet_id, None);
        // Nobody acknowledges it, and it does not come a second time.
        subscriber.nothing_comes().await;
    })
    .await;
}
