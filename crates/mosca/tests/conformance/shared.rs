//! Section 4.8.2 of MQTT 5.0: shared subscriptions, which MQTT 3.1.1 does not have.

use mosca::Server;
use mqtt_codec::{
    OwnedPublish, Packet, PacketId, PubAck, PubRec, QoS, ReasonCode, SubscriptionOptions, Version,
};

use crate::harness::{Client, Hello, Message, each, options};

const V5: [Version; 1] = [Version::V5];

const SHARE: &str = "$share/group/a";

/// A member of the group whose session lasts, and one whose session ends with its connection.
fn members() -> [Hello; 2] {
    let member = || Hello::new(Version::V5, "member");
    [member().persistent(1_000), member()]
}

/// The filter without its name would be a good one, and the name is what is wrong.
///
/// MQTT 5.0: [MQTT-4.8.2-1] [MQTT-4.8.2-2]
#[tokio::test]
async fn a_share_name_has_no_wildcards_and_a_filter_behind_it() {
    let malformed = [
        "$share/",
        "$share//",
        "$share//a",
        "$share/group",
        "$share/group/",
        "$share/+/a",
        "$share/#",
        "$share/#/a",
        "$share/gr+oup/a",
        "$share/group#/a",
        // The filter has the rules of any other.
        "$share/group/a#",
        "$share/group/#/a",
        "$share/group/a+",
    ];
    each(&V5, async |server, version| {
        for filter in malformed {
            let mut client = Client::connect(server, version, "client").await;
            let filters = [
                ("a", options(QoS::AtMostOnce)),
                (filter, options(QoS::AtMostOnce)),
            ];
            client.send_subscribe(1, &filters, &[]).await;
            client
                .assert_disconnected(ReasonCode::MalformedPacket)
                .await;
            let mut client = Client::connect(server, version, "client").await;
            client.send_unsubscribe(1, &[filter], &[]).await;
            client
                .assert_disconnected(ReasonCode::MalformedPacket)
                .await;
        }
    })
    .await;
}

/// Any other character may stand in a name, and what only looks like a shared subscription is one of
/// the client's own.
///
/// MQTT 5.0: [MQTT-4.8.2-1] [MQTT-4.8.2-2]
#[tokio::test]
async fn whatever_begins_with_share_and_a_name_is_shared_and_nothing_else_is() {
    each(&V5, async |server, version| {
        let mut publisher = Client::connect(server, version, "publisher").await;
        let mut first = Client::connect(server, version, "first").await;
        let mut second = Client::connect(server, version, "second").await;
        let cases = [
            ("$share/g/x/y", "x/y", 1),
            ("$share/a name $%& \u{1f980}/x/+", "x/y", 1),
            ("$share/$share/x/#", "x/y", 1),
            // The name ends at the first slash.
            ("$share/g//x", "/x", 1),
            ("$share/g/$share/g/x", "$share/g/x", 1),
            ("$SHARE/g/x", "$SHARE/g/x", 2),
            ("$share", "$share", 2),
            ("$shared/g/x", "$shared/g/x", 2),
            ("/$share/g/x", "/$share/g/x", 2),
        ];
        for (filter, topic, copies) in cases {
            first.subscribe(filter, QoS::AtMostOnce).await;
            second.subscribe(filter, QoS::AtMostOnce).await;
            publisher.publish_whole(&Message::new(topic, b"x")).await;
            let came = [first.all_that_comes().await, second.all_that_comes().await];
            let came: Vec<_> = came.iter().flatten().map(|one| &*one.topic).collect();
            assert_eq!(came, vec![topic; copies], "{filter}");
            for client in [&mut first, &mut second] {
                let unsuback = client.unsubscribe_from(1, &[filter]).await;
                assert_eq!(unsuback.reason_codes, [ReasonCode::Success], "{filter}");
            }
        }
    })
    .await;
}

/// MQTT 5.0: [MQTT-3.8.3-4]
#[tokio::test]
async fn no_local_on_a_shared_subscription_is_an_error() {
    each(&V5, async |server, version| {
        let no_local = SubscriptionOptions {
            no_local: true,
            ..options(QoS::AtMostOnce)
        };
        let hello = Hello::new(version, "client").persistent(100);
        for filters in [
            &[(SHARE, no_local)][..],
            &[("b", no_local), (SHARE, no_local), ("c", no_local)],
        ] {
            let mut client = hello.connect(server).await;
            client.send_subscribe(1, filters, &[]).await;
            client.assert_disconnected(ReasonCode::ProtocolError).await;
            assert_eq!(server.sizes().subscriptions, 0);
        }
    })
    .await;
}

/// Whichever of the members is chosen, and whatever the others were granted.
///
/// MQTT 5.0: [MQTT-4.8.2-3]
#[tokio::test]
async fn a_message_goes_to_one_member_at_the_qos_that_this_member_was_granted() {
    const QOS: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];
    each(&V5, async |server, version| {
        let mut publisher = Client::connect(server, version, "publisher").await;
        let mut members = Vec::new();
        for granted in QOS {
            let name = format!("member-{}", granted.as_u8());
            let mut member = Client::connect(server, version, &name).await;
            member.subscribe(SHARE, granted).await;
            members.push((member, granted));
        }
        for message in [
            Message::new("a", b"0"),
            Message::new("a", b"1").qos1(1),
            Message::new("a", b"2").qos2(2),
        ] {
            let mut chosen = [0; 3];
            // Enough for each of them to have its turn.
            for _ in 0..6 {
                publisher.publish_whole(&message).await;
                let mut copies = 0;
                for ((member, granted), chosen) in members.iter_mut().zip(&mut chosen) {
                    for publish in member.all_that_comes().await {
                        let published = QOS[usize::from(publish.payload[0] - b'0')];
                        assert_eq!(publish.qos, published.min(*granted), "{publish:?}");
                        member.complete(&publish).await;
                        *chosen += 1;
                        copies += 1;
                    }
                }
                assert_eq!(copies, 1);
            }
            assert_eq!(chosen, [2; 3]);
        }
    })
    .await;
}

/// What a member that is going to be lost has on its hands: one message at QoS 2 of which it has said
/// nothing, one that it has received, and one at QoS 1 that may go to others.
struct Begun {
    sent: OwnedPublish,
    received: PacketId,
}

async fn begin(server: &Server, member: &mut Client) -> Begun {
    member.subscribe(SHARE, QoS::ExactlyOnce).await;
    let mut publisher = Client::connect(server, Version::V5, "publisher").await;
    for message in [
        Message::new("a", b"sent").qos2(1),
        Message::new("a", b"received").qos2(2),
        Message::new("a", b"moves").qos1(3),
    ] {
        publisher.publish_whole(&message).await;
    }
    let sent = member.expect_publish("a", b"sent", QoS::ExactlyOnce).await;
    let received = member
        .expect_publish("a", b"received", QoS::ExactlyOnce)
        .await;
    let received = received.packet_id.unwrap();
    member.expect_publish("a", b"moves", QoS::AtLeastOnce).await;
    member.send_pubrec(received).await;
    member.expect_pubrel(received).await;
    Begun { sent, received }
}

/// MQTT 5.0: [MQTT-4.8.2-4]
#[tokio::test]
async fn a_delivery_at_qos_2_is_completed_by_the_member_that_began_it() {
    each(&V5, async |server, version| {
        let [lasting, _] = members();
        let mut member = lasting.connect(server).await;
        let begun = begin(server, &mut member).await;
        let mut other = Client::connect(server, version, "other").await;
        other.subscribe(SHARE, QoS::ExactlyOnce).await;
        drop(member);
        // What may go to another member does, so by then the loss has been noticed.
        other.take_publish("a", b"moves", QoS::AtLeastOnce).await;
        other.nothing_comes().await;
        let (mut member, connack) = lasting.connect_told(server).await;
        assert!(connack.session_present);
        let again = member.expect_publish("a", b"sent", QoS::ExactlyOnce).await;
        assert!(again.dup);
        assert_eq!(again.packet_id, begun.sent.packet_id);
        member.expect_pubrel(begun.received).await;
        member.send_pubcomp(begun.received).await;
        member.complete(&again).await;
        member.nothing_comes().await;
        other.nothing_comes().await;
    })
    .await;
}

/// With its connection, or because it begins anew.
///
/// MQTT 5.0: [MQTT-4.8.2-5]
#[tokio::test]
async fn a_delivery_at_qos_2_that_was_begun_goes_to_nobody_else_when_the_session_ends() {
    each(&V5, async |server, version| {
        for hello in members() {
            let mut member = hello.connect(server).await;
            begin(server, &mut member).await;
            let mut other = Client::connect(server, version, "other").await;
            other.subscribe(SHARE, QoS::ExactlyOnce).await;
            drop(member);
            other.take_publish("a", b"moves", QoS::AtLeastOnce).await;
            let (mut member, connack) = Hello::new(version, "member").connect_told(server).await;
            assert!(!connack.session_present);
            member.nothing_comes().await;
            other.nothing_comes().await;
            // Nor does it come from what is left of the session.
            member.disconnect().await;
            other.nothing_comes().await;
            other.disconnect().await;
        }
    })
    .await;
}

/// MQTT 5.0: [MQTT-4.8.2-6]
#[tokio::test]
async fn a_message_that_its_member_refuses_is_offered_to_nobody_else() {
    each(&V5, async |server, version| {
        for hello in members() {
            let mut member = hello.connect(server).await;
            member.subscribe(SHARE, QoS::ExactlyOnce).await;
            let mut publisher = Client::connect(server, version, "publisher").await;
            for message in [
                Message::new("a", b"1").qos1(1),
                Message::new("a", b"2").qos2(2),
            ] {
                publisher.publish_whole(&message).await;
            }
            let first = member.expect_publish("a", b"1", QoS::AtLeastOnce).await;
            let second = member.expect_publish("a", b"2", QoS::ExactlyOnce).await;
            let mut other = Client::connect(server, version, "other").await;
            other.subscribe(SHARE, QoS::ExactlyOnce).await;
            let puback = PubAck {
                reason_code: ReasonCode::QuotaExceeded,
                ..PubAck::new(first.packet_id.unwrap())
            };
            member.send(Packet::PubAck(puback)).await;
            let pubrec = PubRec {
                reason_code: ReasonCode::PayloadFormatInvalid,
                ..PubRec::new(second.packet_id.unwrap())
            };
            member.send(Packet::PubRec(pubrec)).await;
            member.nothing_comes().await;
            other.nothing_comes().await;
            // They are forgotten: neither the end of the connection nor of the session brings them.
            let mut member = hello.connect(server).await;
            member.nothing_comes().await;
            other.nothing_comes().await;
            let mut member = Hello::new(version, "member").connect(server).await;
            member.nothing_comes().await;
            other.nothing_comes().await;
            other.disconnect().await;
        }
    })
    .await;
}
