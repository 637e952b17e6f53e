//! How a WebSocket ends, and what others hear of it.

use std::time::Duration;

use mosca::Server;
use mqtt_codec::{Connect, Disconnect, OwnedPacket, Packet, QoS, ReasonCode, Version, Will};

use crate::client::{VERSIONS, encoded, wait_for_connections, within};
use crate::websocket_client::{BINARY, CLOSE, Ended, TEXT, WebSocketClient, frame, request, start};

fn with_will<'a>(version: Version, will: &'a Will<'a>) -> Connect<'a> {
    Connect {
        will: Some(*will),
        ..Connect::new(version, "mortal")
    }
}

#[tokio::test]
async fn whoever_is_lost_leaves_his_will() {
    let server = start(Server::builder()).await;
    let mut heir = WebSocketClient::connect(&server, Version::V5, "heir").await;
    heir.subscribe("will", QoS::AtMostOnce).await;
    for version in VERSIONS {
        for what in ["drop", "half a frame", "close frame", "text"] {
            let will = Will::new("will", what.as_bytes());
            let mut mortal =
                WebSocketClient::connect_with(&server, &with_will(version, &will)).await;
            match what {
                "half a frame" => mortal.write(&frame(BINARY, &[0xC0, 0])[..7]).await,
                "close frame" => mortal.write(&frame(CLOSE, &[])).await,
                "text" => mortal.write(&frame(TEXT, b"text")).await,
                _ => {}
            }
            if matches!(what, "drop" | "half a frame") {
                drop(mortal);
            } else {
                // Published although this one has not gone yet.
                assert_eq!(heir.receive_publish().await.payload, what.as_bytes());
                let (words, _) = mortal.last_words().await;
                assert_eq!(words, []);
                continue;
            }
            assert_eq!(heir.receive_publish().await.payload, what.as_bytes());
        }
    }
    wait_for_connections(&server, 1).await;
}

#[tokio::test]
async fn whoever_takes_his_leave_gets_a_close_frame_and_leaves_no_will() {
    let server = start(Server::builder()).await;
    let mut heir = WebSocketClient::connect(&server, Version::V5, "heir").await;
    heir.subscribe("will", QoS::AtMostOnce).await;
    for version in VERSIONS {
        let disconnect = encoded(
            Packet::Disconnect(Disconnect::new(ReasonCode::Success)),
            version,
        );
        for (close, code) in [(None, 1000), (Some(1001), 1001)] {
            let will = Will::new("will", b"not now");
            let mut mortal =
                WebSocketClient::connect_with(&server, &with_will(version, &will)).await;
            let mut bytes = frame(BINARY, &disconnect);
            if let Some(code) = close {
                bytes.extend(frame(CLOSE, &u16::to_be_bytes(code)));
            }
            mortal.write(&bytes).await;
            let (words, ended) = mortal.last_words().await;
            assert_eq!(words, []);
            assert_eq!(ended, Ended::Closed(Some(code)));
        }
    }
    heir.ping().await;
    wait_for_connections(&server, 1).await;
}

#[tokio::test]
async fn takeover_tells_the_older_connection_why() {
    let server = start(Server::builder()).await;
    for version in VERSIONS {
        let mut older = WebSocketClient::connect(&server, version, "client").await;
        let mut newer = WebSocketClient::connect(&server, version, "client").await;
        let (words, ended) = older.last_words().await;
        assert_eq!(ended, Ended::Closed(Some(1000)));
        match &words[..] {
            [OwnedPacket::Disconnect(disconnect)] if version.is_v5() => {
                assert_eq!(disconnect.reason_code, ReasonCode::SessionTakenOver);
            }
            words => assert!(words.is_empty() && !version.is_v5(), "{words:?}"),
        }
        newer.ping().await;
    }
}

#[tokio::test]
async fn a_server_that_closes_says_so_and_is_heard() {
    for version in VERSIONS {
        let server = start(Server::builder()).await;
        let mut half = WebSocketClient::bare(&server, version).await;
        half.write(b"GET / HTTP/1.1\r\n").await;
        let mut silent = WebSocketClient::bare(&server, version).await;
        let response = silent.ask(&request("/", &["mqtt"])).await;
        assert!(response.starts_with("HTTP/1.1 101"), "{response}");
        let mut client = WebSocketClient::connect(&server, version, "client").await;
        // What the server has not read when it closes must not turn into a reset.
        let ping = encoded(Packet::PingReq, version);
        client.write(&frame(BINARY, &ping).repeat(1_000)).await;
        let closing = tokio::spawn(server.close(Duration::from_secs(10)));

        let (mut words, ended) = client.last_words().await;
        assert_eq!(ended, Ended::Closed(Some(1000)));
        if version.is_v5() {
            let Some(OwnedPacket::Disconnect(disconnect)) = words.pop() else {
                panic!("no DISCONNECT");
            };
            assert_eq!(disconnect.reason_code, ReasonCode::ServerShuttingDown);
        }
        assert!(words.iter().all(|word| *word == OwnedPacket::PingResp));
        assert_eq!(half.raw_until_the_end().await, b"");
        assert_eq!(
            silent.last_words().await,
            (vec![], Ended::Closed(Some(1000)))
        );
        drop((client, half, silent));
        assert_eq!(within("close", closing).await.unwrap(), 0);
    }
}
