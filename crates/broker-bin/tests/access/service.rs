//! Who comes in because a service on HTTP says so.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::broker::{Broker, wait_for};

/// A service that knows `eve` by her password, and lets her publish to `a`, and everybody subscribe to `a/#`.
struct Service {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Value>>>,
    /// What is answered instead, if anything is.
    status: Arc<Mutex<Option<u16>>>,
}

impl Service {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let service = Self {
            address: listener.local_addr().unwrap(),
            asked: Arc::default(),
            status: Arc::default(),
        };
        let (asked, status) = (Arc::clone(&service.asked), Arc::clone(&service.status));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (asked, status) = (Arc::clone(&asked), Arc::clone(&status));
                // One that has had enough of us ends this.
                std::thread::spawn(move || serve(stream.unwrap(), &asked, &status));
            }
        });
        service
    }

    fn section(&self) -> Value {
        json!({
            "authenticateUrl": format!("http://{}/authenticate", self.address),
            "authorizeUrl": format!("http://{}/authorize", self.address),
            "timeout": 60_000,
        })
    }

    fn broker(&self) -> Broker {
        let folder = tempfile::tempdir().unwrap();
        Broker::with_config(folder, &json!({ "http": self.section() }))
    }

    fn fails_with(&self, status: Option<u16>) {
        *self.status.lock().unwrap() = status;
    }
}

/// Answers the requests of one connection.
fn serve(
    stream: TcpStream,
    asked: &Mutex<Vec<Value>>,
    status: &Mutex<Option<u16>>,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(&stream);
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let line = line.trim_end().to_ascii_lowercase();
            if let Some(value) = line.strip_prefix("content-length: ") {
                length = value.parse().unwrap();
            }
            if line.is_empty() {
                break;
            }
        }
        let mut question = vec![0; length];
        reader.read_exact(&mut question)?;
        let question: Value = serde_json::from_slice(&question).unwrap();
        let failure = *status.lock().unwrap();
        let (status, body) = match failure {
            Some(status) => (status, String::new()),
            None => answer(&question),
        };
        asked.lock().unwrap().push(question);
        let length = body.len();
        let response = format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\n\r\n{body}");
        (&stream).write_all(response.as_bytes())?;
    }
}

fn answer(question: &Value) -> (u16, String) {
    let said = |body: Value| (200, body.to_string());
    let text = |name: &str| question[name].as_str().unwrap_or_default();
    match (text("action"), text("username"), text("topic")) {
        ("authenticate", "short", _) => {
            let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
            said(json!({ "result": "allow", "expire_at": since_1970.as_secs() + 2 }))
        }
        ("authenticate", "eve", _) if text("password") == "pencil" => {
            said(json!({ "result": "allow", "user": "Eve" }))
        }
        ("authenticate", "root", _) => said(json!({ "result": "allow", "is_superuser": true })),
        ("authenticate", "banned", _) => (403, String::new()),
        ("authenticate", ..) => (401, String::new()),
        ("publish", "Eve", "a") | ("subscribe", _, "a/#") => (204, String::new()),
        _ => said(json!({ "result": "deny" })),
    }
}

const EVE: (&str, &str) = ("eve", "pencil");

fn publish(broker: &Broker, user: (&str, &str), topic: &str) -> (bool, String) {
    broker.publish(Some(user), &["-V", "5", "-t", topic])
}

#[test]
fn it_says_who_comes_in_and_what_they_may_do() {
    let service = Service::start();
    let broker = service.broker();
    let (is_content, said) = publish(&broker, EVE, "a");
    assert!(is_content && said.contains("RC:16"), "{said}");
    assert!(publish(&broker, EVE, "b").1.contains("RC:135"));
    assert!(publish(&broker, ("root", ""), "b").1.contains("RC:16"));
    for (user, words) in [
        (("eve", "chalk"), "Bad User Name or Password"),
        (("adam", "pencil"), "Bad User Name or Password"),
        (("banned", "pencil"), "Not authorized"),
    ] {
        let (is_content, said) = publish(&broker, user, "a");
        assert!(!is_content && said.contains(words), "{said}");
    }
    let mut subscriber = broker.subscribe(EVE, &["-t", "a/#", "-C", "1"]);
    for filter in ["#", "b"] {
        let arguments = ["-V", "5", "-t", filter];
        let mut denied = broker.client("mosquitto_sub", Some(EVE), &arguments);
        wait_for(&mut denied, "All subscription requests were denied");
    }
    assert!(publish(&broker, EVE, "a").0);
    assert_eq!(wait_for(&mut subscriber, "message "), "message a");
    subscriber.succeed();
    let asked = service.asked.lock().unwrap();
    let publications = asked.iter().filter(|it| it["action"] == "publish");
    let of_eve = publications.filter(|it| it["username"] == "Eve" && it["topic"] == "a");
    assert!(of_eve.count() >= 1, "{asked:?}");
    assert!(
        asked.iter().all(|it| it["peerhost"] == "127.0.0.1"),
        "{asked:?}"
    );
}

#[test]
fn while_it_fails_nobody_comes_in_and_it_is_logged_once() {
    let service = Service::start();
    let mut broker = service.broker();
    let mut connected = broker.subscribe(EVE, &["-t", "a/#", "-C", "1"]);
    service.fails_with(Some(500));
    for _ in 0..2 {
        let (is_content, said) = publish(&broker, EVE, "a");
        assert!(!is_content && said.contains("Server unavailable"), "{said}");
    }
    let line = broker.log("the service that knows the clients");
    assert!(line.contains("ERROR") && line.contains("500"), "{line}");
    service.fails_with(None);
    assert!(publish(&broker, EVE, "a").0);
    let line = broker.log("the service that knows the clients");
    assert!(line.contains("answers again"), "{line}");
    assert_eq!(
        wait_for(&mut connected, "message "),
        "message a",
        "it has stayed"
    );
    connected.succeed();
}

#[test]
fn who_may_come_for_a_while_is_disconnected_when_it_is_over() {
    let service = Service::start();
    let broker = service.broker();
    let arguments = ["-V", "5", "-t", "a/#"];
    let mut client = broker.client("mosquitto_sub", Some(("short", "")), &arguments);
    // It may have gone, but not before its time.
    let said = wait_for(&mut client, "DISCONNECT");
    assert!(said.contains("135"), "{said}");
}

#[test]
fn the_users_file_and_tokens_come_first() {
    let service = Service::start();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("users.json");
    let users = json!({ "adam": crate::users::old_entry("apple", "**", "**") });
    std::fs::write(&file, users.to_string()).unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "0123456789abcdef0123456789abcdef").unwrap();
    let authentication = json!({
        "usersFile": file,
        "jwt": { "secretFiles": [secret] },
        "http": { "authenticateUrl": service.section()["authenticateUrl"] },
    });
    let broker = Broker::with_config(folder, &authentication);
    assert!(publish(&broker, ("adam", "apple"), "x").1.contains("RC:16"));
    assert!(!publish(&broker, ("adam", "pencil"), "x").0);
    assert!(!publish(&broker, ("eve", "eyJhbGciOiJIUzI1NiJ9.e30.AAAA"), "x").0);
    assert_eq!(
        service.asked.lock().unwrap().len(),
        0,
        "the others know them"
    );
    // Whom nobody else knows is let in by it; the users file, which has nobody of that name, decides on the rest.
    assert!(publish(&broker, EVE, "a").1.contains("RC:135"));
    assert!(publish(&broker, ("root", ""), "a").1.contains("RC:16"));
    assert_eq!(service.asked.lock().unwrap().len(), 2);
}
