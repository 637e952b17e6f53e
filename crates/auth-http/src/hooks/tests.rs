//! What becomes of clients, whatever the service does that is asked about them.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use hyper::{HeaderMap, StatusCode};
use mqtt_codec::Version;
use parking_lot::Mutex;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use test_servers::certificates::{Authority, Issued, Subject};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;

use super::*;

/// Longer than anything takes that is not to be waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// A service that answers by what it is asked about, and has written down what it was asked.
#[derive(Clone, Default)]
struct Script {
    /// Status and body, by a text that is in the question.
    answers: Arc<Mutex<HashMap<&'static str, (u16, String)>>>,
    asked: Arc<Mutex<Vec<(HeaderMap, serde_json::Value)>>>,
}

impl Script {
    fn on(&self, text: &'static str, status: u16, body: impl Into<String>) {
        self.answers.lock().insert(text, (status, body.into()));
    }

    fn last(&self) -> serde_json::Value {
        self.asked.lock().last().unwrap().1.clone()
    }

    async fn start(&self) -> SocketAddr {
        let answer = |State(script): State<Self>, headers: HeaderMap, question: String| async move {
            script.answer(headers, &question)
        };
        serve(Router::new().fallback(answer).with_state(self.clone())).await
    }

    fn answer(&self, headers: HeaderMap, question: &str) -> Response {
        self.asked
            .lock()
            .push((headers, serde_json::from_str(question).unwrap()));
        let answers = self.answers.lock();
        let found = answers.iter().find(|(text, _)| question.contains(**text));
        let (status, body) = found.map_or((404, String::new()), |(_, answer)| answer.clone());
        (StatusCode::from_u16(status).unwrap(), body).into_response()
    }
}

async fn serve(app: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

/// Whoever connects, this is done with his stream.
async fn raw<F>(handle: impl Fn(tokio::net::TcpStream) -> F + Send + 'static) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(handle(stream));
        }
    });
    address
}

fn options(address: SocketAddr) -> HttpOptions {
    HttpOptions {
        authorize_url: Some(format!("http://{address}/authorize")),
        timeout: PATIENCE,
        ..HttpOptions::new(format!("http://{address}/authenticate"))
    }
}

fn hooks(options: HttpOptions) -> HttpHooks {
    HttpHooks::new(options).unwrap()
}

async fn settled<T>(verdict: Verdict<T>) -> T {
    match verdict {
        Verdict::Ready(decided) => decided,
        Verdict::Pending(future) => future.await,
    }
}

async fn come(hooks: &HttpHooks, name: &str) -> Result<Arc<Client>, ReasonCode> {
    let mut login = LoginRequest::new(Version::V5, "phone");
    login.user_name = Some(name);
    login.password = Some(b"pencil");
    login.address = Some("192.0.2.7:4711".parse().unwrap());
    match settled(hooks.authenticate(&login)).await {
        Authentication::Accept { user, data } => {
            let client = Client::new("phone", Version::V5).with_user(user.unwrap());
            Ok(Arc::new(data.into_iter().fold(client, Client::with_data)))
        }
        Authentication::Refuse(refusal) => Err(refusal.reason_code),
        Authentication::Pass => panic!("it passes"),
    }
}

async fn publish(hooks: &HttpHooks, client: &Arc<Client>, topic: &str) -> PublishVerdict {
    settled(hooks.authorize_publish(client, &PublishRequest::new(topic, b"payload"))).await
}

async fn subscribe(hooks: &HttpHooks, client: &Arc<Client>, filter: &str) -> SubscribeVerdict {
    settled(hooks.authorize_subscribe(client, &SubscribeRequest::new(filter))).await
}

fn nobody() -> Arc<Client> {
    Arc::new(Client::new("phone", Version::V311))
}

const FAILED_TO_PUBLISH: PublishVerdict =
    PublishVerdict::Deny(ReasonCode::ImplementationSpecificError);

#[tokio::test]
async fn it_is_asked_who_comes_in_and_what_clients_may_do() {
    let script = Script::default();
    script.on(
        r#""authenticate""#,
        200,
        r#"{"result": "allow", "user": "Eve"}"#,
    );
    script.on(r#""a/ok""#, 204, "");
    script.on(r#""a/no""#, 200, r#"{"result": "deny"}"#);
    script.on(r#""a/other""#, 200, r#"{"result": "ignore"}"#);
    let hooks = hooks(HttpOptions {
        headers: vec![("authorization".into(), "Bearer us".into())],
        ..options(script.start().await)
    });
    let eve = come(&hooks, "eve").await.unwrap();
    assert_eq!(eve.user().map(AsRef::as_ref), Some("Eve"));
    let expected = serde_json::json!({ "action": "authenticate", "clientid": "phone", "protocol": "5.0",
        "username": "eve", "password": "pencil", "peerhost": "192.0.2.7" });
    assert_eq!(script.last(), expected);
    let headers = script.asked.lock()[0].0.clone();
    assert_eq!(headers["authorization"], "Bearer us");
    assert_eq!(headers["content-type"], "application/json");

    assert_eq!(publish(&hooks, &eve, "a/ok").await, PublishVerdict::Allow);
    let expected = serde_json::json!({ "action": "publish", "clientid": "phone", "protocol": "5.0",
        "username": "Eve", "topic": "a/ok", "qos": 0, "retain": false, "will": false });
    assert_eq!(script.last(), expected);
    assert_eq!(publish(&hooks, &eve, "a/no").await, PublishVerdict::DENY);
    assert_eq!(
        publish(&hooks, &eve, "a/other").await,
        PublishVerdict::Allow
    );
    assert_eq!(
        subscribe(&hooks, &eve, "a/no").await,
        SubscribeVerdict::DENY
    );
    assert_eq!(
        subscribe(&hooks, &eve, "a/ok").await,
        SubscribeVerdict::Allow
    );
    let expected = serde_json::json!({ "action": "subscribe", "clientid": "phone", "protocol": "5.0",
        "username": "Eve", "topic": "a/ok", "qos": 0, "held": false });
    assert_eq!(script.last(), expected);

    let mut login = LoginRequest::new(Version::V31, "phone");
    let certified: Arc<str> = "cn".into();
    login.password = Some(&[0xFF]);
    login.certified = Some(&certified);
    let answer = settled(hooks.authenticate(&login)).await;
    assert!(matches!(answer, Authentication::Accept { .. }));
    let expected = serde_json::json!({ "action": "authenticate", "clientid": "phone", "protocol": "3.1",
        "password_base64": "/w==", "certified": "cn" });
    assert_eq!(script.last(), expected);
}

#[tokio::test]
async fn each_kind_of_no_has_its_reason_code() {
    let script = Script::default();
    script.on(r#""wrong""#, 401, "");
    script.on(r#""denied""#, 403, "");
    script.on(r#""refused""#, 200, r#"{"result": "deny"}"#);
    script.on(r#""ignored""#, 200, r#"{"result": "ignore"}"#);
    script.on(r#""broken""#, 500, "");
    script.on(r#""moved""#, 307, "");
    let hooks = hooks(options(script.start().await));
    for (name, reason_code) in [
        ("wrong", ReasonCode::BadUserNameOrPassword),
        ("denied", ReasonCode::NotAuthorized),
        ("refused", ReasonCode::NotAuthorized),
        ("ignored", ReasonCode::NotAuthorized),
        ("broken", ReasonCode::ServerUnavailable),
        ("moved", ReasonCode::ServerUnavailable),
    ] {
        assert_eq!(come(&hooks, name).await.unwrap_err(), reason_code, "{name}");
    }
    let mut login = LoginRequest::new(Version::V5, "phone");
    login.user_name = Some("ignored");
    let passing = hooks.clone().passing_strangers();
    let answer = settled(passing.authenticate(&login)).await;
    assert!(matches!(answer, Authentication::Pass));
    let expected = HttpCounters {
        asked: 7,
        failed: 2,
        cached: 0,
    };
    assert_eq!(hooks.counters(), expected);
}

#[tokio::test]
async fn who_has_brought_rights_is_held_to_them_and_not_asked_about() {
    let script = Script::default();
    let acl = r#"{"result": "allow", "acl": {"publish": ["own/%u"]}, "expire_at": 1}"#;
    script.on(r#""eve""#, 200, acl);
    script.on(
        r#""root""#,
        200,
        r#"{"result": "allow", "is_superuser": true}"#,
    );
    let hooks = hooks(options(script.start().await));
    let root = come(&hooks, "root").await.unwrap();
    assert_eq!(publish(&hooks, &root, "any").await, PublishVerdict::Allow);
    assert_eq!(subscribe(&hooks, &root, "#").await, SubscribeVerdict::Allow);
    assert_eq!(hooks.counters().asked, 1);
    // Whose time is over has to go.
    let eve = come(&hooks, "eve").await.unwrap();
    let grant: &Grant = eve.data().unwrap();
    let rights = grant.permissions().unwrap();
    assert!(rights.may_publish("own/eve") && !rights.may_publish("own/adam"));
    assert_eq!(
        publish(&hooks, &eve, "own/eve").await,
        PublishVerdict::Disconnect
    );
    assert!(!settled(hooks.may_stay(&eve)).await && settled(hooks.may_stay(&root)).await);
    let connected = |client| Event::Connected {
        client,
        session_present: false,
    };
    let _ = hooks.notify(&connected(&root));
    let _ = hooks.notify(&connected(&eve));
    assert_eq!(hooks.due(), ["phone".into()]);
}

#[tokio::test]
async fn what_it_has_said_of_rights_holds_for_a_while() {
    let script = Script::default();
    script.on(r#""a""#, 204, "");
    let address = script.start().await;
    let hooks_with = |cache_ttl| {
        hooks(HttpOptions {
            cache_ttl,
            ..options(address)
        })
    };
    let (keeping, asking) = (hooks_with(PATIENCE), hooks_with(Duration::ZERO));
    for hooks in [&keeping, &asking] {
        for _ in 0..3 {
            assert_eq!(publish(hooks, &nobody(), "a").await, PublishVerdict::Allow);
        }
        // Another question.
        assert_eq!(
            subscribe(hooks, &nobody(), "a").await,
            SubscribeVerdict::Allow
        );
    }
    let counted = |hooks: &HttpHooks| (hooks.counters().asked, hooks.counters().cached);
    assert_eq!((counted(&keeping), counted(&asking)), ((2, 2), (4, 0)));
    script.on(r#""a""#, 403, "");
    assert_eq!(
        publish(&keeping, &nobody(), "a").await,
        PublishVerdict::Allow
    );
    keeping.forget();
    assert_eq!(
        publish(&keeping, &nobody(), "a").await,
        PublishVerdict::DENY
    );
    // A failure is not kept.
    script.on(r#""a""#, 500, "");
    keeping.forget();
    assert_eq!(publish(&keeping, &nobody(), "a").await, FAILED_TO_PUBLISH);
    script.on(r#""a""#, 204, "");
    assert_eq!(
        publish(&keeping, &nobody(), "a").await,
        PublishVerdict::Allow
    );
}

/// Everything fails, in the same way for the broker.
async fn assert_fails(hooks: &HttpHooks) {
    let failed = hooks.counters().failed;
    let refused = come(hooks, "eve").await.unwrap_err();
    assert_eq!(refused, ReasonCode::ServerUnavailable);
    assert_eq!(publish(hooks, &nobody(), "a").await, FAILED_TO_PUBLISH);
    let denied = SubscribeVerdict::Deny(ReasonCode::ImplementationSpecificError);
    assert_eq!(subscribe(hooks, &nobody(), "a").await, denied);
    let mut held = SubscribeRequest::new("a");
    held.is_held = true;
    let verdict = settled(hooks.authorize_subscribe(&nobody(), &held)).await;
    assert_eq!(verdict, SubscribeVerdict::Disconnect);
    assert_eq!(hooks.counters().failed, failed + 4);
}

#[tokio::test]
async fn a_service_that_is_not_there_or_says_nothing_of_use_has_failed() {
    let nowhere = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let refusing = nowhere.local_addr().unwrap();
    drop(nowhere);
    assert_fails(&hooks(options(refusing))).await;

    for garbage in [
        "",
        "220 mail.example ESMTP\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"result\": \"allow\"}",
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n<html",
        "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: tls\r\n\r\n",
    ] {
        let address = raw(move |mut stream| async move {
            let mut question = [0; 4_096];
            let _ = stream.read(&mut question).await;
            let _ = stream.write_all(garbage.as_bytes()).await;
        });
        assert_fails(&hooks(options(address.await))).await;
    }
}

#[tokio::test]
async fn an_answer_has_its_longest_size() {
    let script = Script::default();
    let answer = |bytes: usize| format!("{:bytes$}", r#"{"result": "allow"}"#);
    script.on(r#""fits""#, 200, answer(1_000));
    script.on(r#""long""#, 200, answer(1_001));
    let hooks_of = |address| {
        hooks(HttpOptions {
            response_bytes_max: 1_000,
            ..options(address)
        })
    };
    let hooks = hooks_of(script.start().await);
    assert!(come(&hooks, "fits").await.is_ok());
    let refused = come(&hooks, "long").await.unwrap_err();
    assert_eq!(refused, ReasonCode::ServerUnavailable);
    // Heads and bodies that never end.
    for (start, more) in [
        (
            "HTTP/1.1 200 OK\r\n",
            "x: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n",
        ),
        (
            "HTTP/1.1 200 OK\r\nx: ",
            "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy",
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
            "4\r\n    \r\n",
        ),
        ("HTTP/1.1 200 OK\r\n\r\n", "    "),
    ] {
        let address = raw(move |mut stream| async move {
            let mut question = [0; 4_096];
            let _ = stream.read(&mut question).await;
            let _ = stream.write_all(start.as_bytes()).await;
            let more = more.repeat(1_000);
            while stream.write_all(more.as_bytes()).await.is_ok() {}
        });
        let hooks = hooks_of(address.await);
        assert_fails(&hooks).await;
    }
}

#[tokio::test]
async fn a_service_that_is_slow_has_failed_when_its_time_is_up() {
    // It takes the question, and says no more than a part of the head.
    let silent = raw(|mut stream| async move {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n").await;
        let mut all = Vec::new();
        let _ = stream.read_to_end(&mut all).await;
    });
    let timeout = Duration::from_millis(100);
    let hooks = hooks(HttpOptions {
        timeout,
        ..options(silent.await)
    });
    assert_fails(&hooks).await;
}

#[tokio::test]
async fn no_more_requests_than_allowed_are_under_way_and_wait() {
    let (begun, leave) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let (begins, waits) = (Arc::clone(&begun), Arc::clone(&leave));
    let address = serve(Router::new().fallback(|| async move {
        begins.add_permits(1);
        waits.acquire().await.unwrap().forget();
        StatusCode::NO_CONTENT
    }));
    let hooks = hooks(HttpOptions {
        requests_max: 2,
        waiting_max: 1,
        ..options(address.await)
    });
    let ask = || {
        let hooks = hooks.clone();
        tokio::spawn(async move { come(&hooks, "eve").await.map(|_| ()) })
    };
    let mut asking = vec![ask(), ask()];
    begun.acquire_many(2).await.unwrap().forget();
    asking.push(ask());
    while hooks.counters().asked < 3 {
        tokio::task::yield_now().await;
    }
    // It waits for its turn, and another one may not.
    let refused = come(&hooks, "adam").await.unwrap_err();
    assert_eq!(refused, ReasonCode::ServerUnavailable);
    assert_eq!(begun.available_permits(), 0);
    leave.add_permits(asking.len());
    for one in asking {
        assert_eq!(one.await.unwrap(), Ok(()));
    }
    assert_eq!(begun.available_permits(), 1);
    assert_eq!(hooks.counters().failed, 1);
}

/// Says yes to all, over TLS.
async fn secure(issued: &Issued) -> SocketAddr {
    let chain = CertificateDer::pem_file_iter(&issued.certificate).unwrap();
    let key = PrivateKeyDer::from_pem_file(&issued.key).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain.map(Result::unwrap).collect(), key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let address = raw(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else {
                return;
            };
            let mut question = [0; 4_096];
            let _ = stream.read(&mut question).await;
            let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await;
        }
    });
    address.await
}

#[tokio::test]
async fn over_https_the_service_has_to_show_who_it_is() {
    let authority = Authority::new("http");
    // Beside its name the certificate has the loopback address.
    let issued = authority.issue("server", &Subject::server("elsewhere"));
    let port = secure(&issued).await.port();
    let with = |host: &str, ca| {
        let options = HttpOptions::new(format!("https://{host}:{port}/"));
        let timeout = PATIENCE;
        hooks(HttpOptions {
            ca,
            timeout,
            ..options
        })
    };
    let ca = Some(authority.certificate.clone());
    assert!(come(&with("127.0.0.1", ca.clone()), "eve").await.is_ok());
    let another = Authority::new("another");
    let others = Some(another.certificate.clone());
    for (host, ca) in [("localhost", ca), ("127.0.0.1", others)] {
        let refused = come(&with(host, ca), "eve").await.unwrap_err();
        assert_eq!(refused, ReasonCode::ServerUnavailable, "{host}");
    }
}

#[test]
fn options_that_make_no_sense_are_refused() {
    for url in [
        "",
        "localhost",
        "localhost:80/x",
        "ftp://localhost/",
        "http://",
        "http:///x",
        "http://eve:pencil@localhost/",
        "http://local host/",
    ] {
        let error = HttpHooks::new(HttpOptions::new(url))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("is no URL") && !error.contains("pencil"),
            "{error}"
        );
        let second = HttpOptions {
            authorize_url: Some(url.to_owned()),
            ..HttpOptions::new("http://localhost")
        };
        assert!(HttpHooks::new(second).is_err(), "{url}");
    }
    for (name, value) in [
        ("a b", "c"),
        ("a", "b\nc"),
        ("Content-Length", "7"),
        ("", ""),
    ] {
        let options = HttpOptions {
            headers: vec![(name.to_owned(), value.to_owned())],
            ..HttpOptions::new("http://localhost")
        };
        let error = HttpHooks::new(options).unwrap_err().to_string();
        assert!(error.contains("header"), "{error}");
    }
    let ca = Some("/nowhere/ca.pem".into());
    let options = HttpOptions {
        ca,
        ..HttpOptions::new("https://localhost")
    };
    let error = HttpHooks::new(options).unwrap_err().to_string();
    assert!(error.contains("/nowhere/ca.pem"), "{error}");
    let secret = HttpOptions {
        headers: vec![("authorization".into(), "pencil".into())],
        ..HttpOptions::new("http://localhost")
    };
    assert!(!format!("{secret:?}").contains("pencil"));
}
