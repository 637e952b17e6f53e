//! MQTT over TLS: who gets in and who does not, and what the server's certificates are.

mod client;
mod handshakes;

use std::sync::{Arc, Mutex};

use mosca::{
    AuthenticationExchange, AuthenticationMethod, AuthenticationRequest, AuthenticationStep,
    CertificateUser, ClientCertificates, Interface, Server, Tls, TlsVersion, Verdict,
};
use mqtt_codec::{Connect, PropertiesBuf, Property, QoS, Version};
use test_servers::certificates::{Authority, Subject};
use tokio_rustls::rustls::version;

use self::client::start;
pub(crate) use self::client::{Hello, options};
use crate::client::{Client, VERSIONS, wait_for_connections};

#[tokio::test]
async fn clients_are_served_over_both_versions_of_tls() {
    let authority = Authority::new("Test CA");
    let tls = Tls::load(options(
        &authority.issue("a", &Subject::server("localhost")),
    ))
    .unwrap();
    let server = start(&tls).await;
    let url = format!("mqtts://{}", server.local_addresses()[0]);
    assert_eq!(server.urls(), [url]);
    for tls_version in [&version::TLS12, &version::TLS13] {
        let hello = Hello {
            versions: vec![tls_version],
            ..Hello::new(&authority)
        };
        for version in VERSIONS {
            let mut client = hello.connect(&server, version, "client").await;
            client.subscribe("a", QoS::ExactlyOnce).await;
            // More than a record, and more than what TLS keeps to itself.
            let payload: Vec<u8> = (0..1_900_000_u32)
                .map(|at| (at.wrapping_mul(at) >> 7) as u8)
                .collect();
            client.publish("a", &payload).await;
            assert!(client.receive_publish().await.payload[..] == payload);
            client.ping().await;
            client.write(&[0xE0, 0]).await;
            // With the alert that says so, which an attacker could not send.
            assert_eq!(client.next().await, None, "{version:?}");
        }
    }
    wait_for_connections(&server, 0).await;
}

#[tokio::test]
async fn the_oldest_version_may_be_set() {
    let authority = Authority::new("Test CA");
    let issued = authority.issue("a", &Subject::server("localhost"));
    let tls = Tls::load(options(&issued).min_version(TlsVersion::V1_3)).unwrap();
    let server = start(&tls).await;
    let hello = Hello::new(&authority);
    hello.is_let_in(&server).await.unwrap();
    let old = Hello {
        versions: vec![&version::TLS12],
        ..hello
    };
    let refused = old.is_let_in(&server).await.unwrap_err();
    assert!(refused.contains("ProtocolVersion"), "{refused}");
}

/// Over both versions, since they check the client's certificate at different times.
#[tokio::test]
async fn who_has_no_certificate_of_the_right_authority_is_refused_where_one_is_required() {
    let authority = Authority::new("Test CA");
    let stranger = Authority::new("Test CA");
    let server = authority.issue("server", &Subject::server("localhost"));
    let good = authority.issue("good", &Subject::client("good"));
    let expired = authority.issue("expired", &Subject::client("expired").expired());
    let revoked = authority.issue("revoked", &Subject::client("revoked"));
    let list = authority.revoke(&revoked);
    let strange = stranger.issue("strange", &Subject::client("good"));
    let asked = |asked| {
        let options = options(&server)
            .add_client_ca(&authority.certificate)
            .add_client_crl(&list)
            .client_certificates(asked);
        Tls::load(options).unwrap()
    };
    let required = start(&asked(ClientCertificates::Required)).await;
    let requested = start(&asked(ClientCertificates::Requested)).await;
    for tls_version in [&version::TLS12, &version::TLS13] {
        let hello = Hello {
            versions: vec![tls_version],
            ..Hello::new(&authority)
        };
        for server in [&required, &requested] {
            hello.with(&good).is_let_in(server).await.unwrap();
            for (bad, why) in [
                (&expired, "CertificateExpired"),
                (&revoked, "CertificateRevoked"),
                (&strange, ""),
            ] {
                let refused = hello.with(bad).is_let_in(server).await.unwrap_err();
                assert!(refused.contains(why), "{refused:?} for {bad:?}");
            }
        }
        hello.is_let_in(&requested).await.unwrap();
        let refused = hello.is_let_in(&required).await.unwrap_err();
        assert!(!refused.is_empty(), "{refused}");
    }
    wait_for_connections(&required, 0).await;
    assert!(required.network_counters().failed_handshakes >= 8);
}

/// A method that lets everybody in, and notes whom the server takes the client for.
#[derive(Clone, Default)]
struct Asking(Arc<Mutex<Vec<Option<String>>>>);

impl AuthenticationMethod for Asking {
    fn name(&self) -> &str {
        "ASKING"
    }

    fn begin(&self, client: &AuthenticationRequest<'_>) -> Box<dyn AuthenticationExchange> {
        let user = client.user.map(str::to_owned);
        self.0.lock().unwrap().push(user);
        Box::new(self.clone())
    }
}

impl AuthenticationExchange for Asking {
    fn step(self: Box<Self>, _data: Option<Vec<u8>>) -> Verdict<AuthenticationStep> {
        Verdict::Ready(AuthenticationStep::Accept {
            data: None,
            user: None,
        })
    }
}

#[tokio::test]
async fn the_user_name_comes_from_the_certificate_if_asked_for() {
    let authority = Authority::new("Test CA");
    let server = authority.issue("server", &Subject::server("localhost"));
    let sensor = Subject {
        alternative_names: "DNS:seven.example".to_owned(),
        ..Subject::client("sensor 7")
    };
    let sensor = authority.issue("sensor", &sensor);
    let nameless = Subject {
        name: "/O=nobody".to_owned(),
        ..Subject::client("")
    };
    let nameless = authority.issue("nameless", &nameless);
    for (name, user) in [
        (CertificateUser::CommonName, "sensor 7"),
        (CertificateUser::SubjectAltName, "seven.example"),
    ] {
        let options = options(&server)
            .add_client_ca(&authority.certificate)
            .client_certificates(ClientCertificates::Requested)
            .user_from_certificate(name);
        let tls = Tls::load(options).unwrap();
        let asking = Asking::default();
        let method: Arc<dyn AuthenticationMethod> = Arc::new(asking.clone());
        let server = Server::builder()
            .listen(Interface::mqtt("127.0.0.1:0").tls(&tls))
            .broker(|options| options.authentication_methods = vec![method])
            .start()
            .await
            .unwrap();
        let hello = Hello::new(&authority);
        hello.with(&nameless).is_let_in(&server).await.unwrap_err();

        let mut properties = PropertiesBuf::new();
        let method = Property::AuthenticationMethod("ASKING");
        properties.push(method).unwrap();
        let connect = Connect {
            properties: properties.as_properties(),
            // A claim that nobody looks at.
            username: Some("admin"),
            ..Connect::new(Version::V5, "client")
        };
        for hello in [hello.with(&sensor), hello] {
            let stream = hello.shake(server.local_addresses()[0]).await.unwrap();
            let mut client = Client::over_stream(stream, Version::V5);
            client.say_hello(&connect).await;
        }
        let users = asking.0.lock().unwrap().clone();
        assert_eq!(users, [Some(user.to_owned()), None]);
    }
}

#[tokio::test]
async fn clients_get_the_certificate_for_the_name_that_they_ask_for() {
    let authority = Authority::new("Test CA");
    let first = authority.issue("first", &Subject::server("first.example"));
    let second = authority.issue("second", &Subject::server("second.example"));
    let wild = authority.issue("wild", &Subject::server("*.wild.example"));
    let options = options(&first)
        .add_certificate(&second.certificate, &second.key)
        .add_certificate(&wild.certificate, &wild.key);
    let server = start(&Tls::load(options).unwrap()).await;
    for (name, is_there) in [
        ("first.example", true),
        ("second.example", true),
        ("a.wild.example", true),
        ("wild.example", false),
        ("third.example", false),
        // No name is asked for then: the first one, which has the address.
        ("127.0.0.1", true),
    ] {
        let hello = Hello {
            server_name: name,
            ..Hello::new(&authority)
        };
        let let_in = hello.is_let_in(&server).await;
        assert_eq!(let_in.is_ok(), is_there, "{name}: {let_in:?}");
        if let Err(refused) = let_in {
            // By the client, who was given the first one.
            assert!(refused.contains("first.example"), "{name}: {refused}");
        }
    }
}

#[tokio::test]
async fn alpn_agrees_on_mqtt_or_on_http_and_on_nothing_else() {
    let authority = Authority::new("Test CA");
    let tls = Tls::load(options(
        &authority.issue("a", &Subject::server("localhost")),
    ))
    .unwrap();
    let server = Server::builder()
        .listen(Interface::mqtt("127.0.0.1:0").tls(&tls))
        .listen(Interface::websocket("127.0.0.1:0").tls(&tls))
        .start()
        .await
        .unwrap();
    assert!(server.urls()[1].starts_with("wss://127.0.0.1:"));
    for (number, ours, theirs) in [(0, "mqtt", "http/1.1"), (1, "http/1.1", "mqtt")] {
        let address = server.local_addresses()[number];
        let hello = |alpn: &[&'static str]| Hello {
            alpn: alpn.to_vec(),
            ..Hello::new(&authority)
        };
        let agreed = hello(&["h2", ours]).shake(address).await.unwrap();
        let (_, session) = agreed.get_ref();
        assert_eq!(session.alpn_protocol(), Some(ours.as_bytes()));
        let silent = hello(&[]).shake(address).await.unwrap();
        assert_eq!(silent.get_ref().1.alpn_protocol(), None);
        let refused = hello(&["h2", theirs]).shake(address).await;
        let refused = refused.unwrap_err().to_string();
        assert!(refused.contains("NoApplicationProtocol"), "{refused}");
    }
}
