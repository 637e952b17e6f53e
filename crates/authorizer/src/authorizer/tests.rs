//! Who is let in, as mosca does it and beyond, and what happens to those who guess.

use super::*;
use crate::password::HashCost;

const CHEAP: HashCost = HashCost {
    memory_kib: 64,
    passes: 1,
};

fn users(names: &[&str]) -> Users {
    let mut users = Users::default();
    for name in names {
        let password = format!("{name}'s");
        users
            .set_password(name, password.as_bytes(), CHEAP, None, None)
            .unwrap();
    }
    users
}

fn authorizer(names: &[&str]) -> Authorizer {
    Authorizer::new(&users(names), AuthorizerOptions::default())
}

fn login<'a>(user: &'a str, password: &'a str) -> Login<'a> {
    Login {
        user: Some(user),
        password: Some(password.as_bytes()),
        client_id: "client",
        ..Login::default()
    }
}

/// The user of mosca's own example, whose hash another implementation has made.
#[tokio::test]
async fn the_user_of_mosca_s_example_logs_in() {
    let users = Users::from_json(include_str!("../../tests/mosca-credentials.json")).unwrap();
    let authorizer = Authorizer::new(&users, AuthorizerOptions::default());
    let test = authorizer
        .authenticate(login("test", "test"))
        .await
        .unwrap();
    assert_eq!(test.user().map(|name| &**name), Some("test"));
    assert!(test.may_publish("a/b") && test.may_subscribe("#"));
    let refused = authorizer.authenticate(login("test", "tset")).await;
    assert_eq!(refused.unwrap_err(), Refusal::BadCredentials);
}

/// mosca's cases: unknown user, wrong, empty and missing password, no user name, removed user.
#[tokio::test]
async fn only_who_knows_the_password_is_let_in() {
    let authorizer = authorizer(&["eve", "bob"]);
    assert!(authorizer.authenticate(login("eve", "eve's")).await.is_ok());
    assert!(authorizer.authenticate(login("bob", "bob's")).await.is_ok());
    let no_password = Login {
        password: None,
        ..login("eve", "")
    };
    for wrong in [
        login("eve", "bob's"),
        login("eve", ""),
        login("eve", "eve's "),
        login("Eve", "eve's"),
        login("", "eve's"),
        login("constructor", "x"),
        no_password,
    ] {
        let refused = authorizer.authenticate(wrong).await.unwrap_err();
        assert_eq!(refused, Refusal::BadCredentials, "{wrong:?}");
    }
    let nobody = Login {
        user: None,
        ..login("", "eve's")
    };
    assert_eq!(
        authorizer.authenticate(nobody).await.unwrap_err(),
        Refusal::NotAuthorized
    );
    authorizer.replace(&users(&["bob"]));
    assert!(
        authorizer
            .authenticate(login("eve", "eve's"))
            .await
            .is_err()
    );
    let empty = self::authorizer(&[]);
    assert_eq!(
        empty.authenticate(login("eve", "x")).await.unwrap_err(),
        Refusal::BadCredentials
    );
}

#[tokio::test]
async fn clients_without_a_name_are_what_the_anonymous_entry_says() {
    let text = r#"{"guest": {"anonymous": true, "rules": [
        {"allow": "subscribe", "topic": "public/**"},
        {"allow": "publish", "topic": "from/%c"},
        {"allow": "publish", "topic": "by/%u"}]}}"#;
    let authorizer = Authorizer::new(
        &Users::from_json(text).unwrap(),
        AuthorizerOptions::default(),
    );
    let nobody = Login {
        user: None,
        ..login("", "")
    };
    let guest = authorizer.authenticate(nobody).await.unwrap();
    assert_eq!(guest.user(), None);
    assert!(guest.may_subscribe("public/#") && !guest.may_subscribe("#"));
    assert!(guest.may_publish("from/client") && !guest.may_publish("from/other"));
    assert!(!guest.may_publish("by/guest"));
    let refused = authorizer
        .authenticate(login("guest", ""))
        .await
        .unwrap_err();
    assert_eq!(refused, Refusal::BadCredentials, "it is nobody's name");
}

#[test]
fn each_version_is_told_in_its_own_words() {
    use ReasonCode as Code;
    let wait = Duration::ZERO;
    for (refusal, before, v5) in [
        (
            Refusal::BadCredentials,
            Code::NotAuthorized,
            Code::BadUserNameOrPassword,
        ),
        (
            Refusal::NotAuthorized,
            Code::NotAuthorized,
            Code::NotAuthorized,
        ),
        (
            Refusal::TooManyFailures { wait },
            Code::ConnectionRateExceeded,
            Code::ConnectionRateExceeded,
        ),
        (
            Refusal::Unavailable,
            Code::ServerUnavailable,
            Code::ServerUnavailable,
        ),
    ] {
        assert_eq!(refusal.reason_code(Version::V31), before, "{refusal}");
        assert_eq!(refusal.reason_code(Version::V311), before, "{refusal}");
        assert_eq!(refusal.reason_code(Version::V5), v5, "{refusal}");
    }
}

#[test]
fn what_has_changed_is_said_by_name() {
    let read = |text: &str| {
        let hash = "$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$c2FsdHNhbHRzYWx0c2Fsd";
        Users::from_json(&text.replace('@', &format!("\"hash\": \"{hash}"))).unwrap()
    };
    let authorizer = Authorizer::new(
        &read(
            r#"{"same": {@A"}, "gone": {@A"}, "word": {@A"},
                "rule": {@A", "authorizePublish": "a"}, "member": {@A", "groups": ["g"]},
                "g": {"group": true}, "guest": {"anonymous": true}}"#,
        ),
        AuthorizerOptions::default(),
    );
    let before = authorizer.permissions(Some("rule"), "c").unwrap();
    assert_eq!(authorizer.permissions(Some("g"), "c").map(drop), None);
    let changes = authorizer.replace(&read(
        r#"{"new": {@A"}, "same": {@A"}, "word": {@Q"},
            "rule": {@A", "authorizePublish": "b"}, "member": {@A", "groups": ["g"]},
            "g": {"group": true, "rules": [{"allow": "all", "topic": "g"}]}}"#,
    ));
    let some = |name: &str| Some(Arc::from(name));
    assert_eq!(
        changes,
        Changes {
            removed: vec![some("gone"), None],
            rules: vec![some("member"), some("rule")],
            passwords: vec![some("word")],
        }
    );
    let now = authorizer.permissions(Some("rule"), "c").unwrap();
    assert!(before.may_publish("a") && !before.may_publish("b"));
    assert!(now.may_publish("b") && !now.may_publish("a"));
    assert!(authorizer.permissions(Some("gone"), "c").is_none());
    assert!(authorizer.permissions(None, "c").is_none());
}

#[test]
fn a_file_that_is_corrupt_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("credentials.json");
    let authorizer = authorizer(&["eve"]);
    std::fs::write(&path, "{").unwrap();
    assert!(authorizer.reload(&path).is_err());
    assert!(authorizer.permissions(Some("eve"), "c").is_some());
    users(&["bob"]).save(&path).unwrap();
    assert_eq!(
        authorizer.reload(&path).unwrap().removed,
        [Some(Arc::from("eve"))]
    );
    assert!(authorizer.permissions(Some("bob"), "c").is_some());
}

const ADDRESS: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST));

fn impatient(free: u32) -> Authorizer {
    let options = AuthorizerOptions {
        hashes_at_once: 1,
        failures: FailureLimits {
            free,
            first_wait: Duration::from_secs(300),
            ..FailureLimits::default()
        },
    };
    Authorizer::new(&users(&["eve"]), options)
}

fn from_there<'a>(user: &'a str, password: &'a str) -> Login<'a> {
    Login {
        address: ADDRESS,
        ..login(user, password)
    }
}

#[tokio::test]
async fn after_some_failures_an_address_waits_and_others_do_not() {
    let authorizer = impatient(2);
    let no_password = Login {
        password: None,
        ..from_there("eve", "")
    };
    for wrong in [
        from_there("eve", "x"),
        from_there("unknown", "x"),
        no_password,
    ] {
        assert!(
            authorizer
                .authenticate(from_there("eve", "eve's"))
                .await
                .is_ok()
        );
        let refused = authorizer.authenticate(wrong).await.unwrap_err();
        assert_eq!(refused, Refusal::BadCredentials);
    }
    let refused = authorizer
        .authenticate(from_there("eve", "eve's"))
        .await
        .unwrap_err();
    assert!(matches!(refused, Refusal::TooManyFailures { wait } if wait.as_secs() <= 300));
    assert!(
        authorizer.authenticate(login("eve", "eve's")).await.is_ok(),
        "from elsewhere"
    );
}

/// One password is checked at a time; who waits for his turn holds up nobody else, and who leaves has failed.
#[tokio::test]
async fn hashing_has_its_turns_and_leaving_is_no_way_round() {
    let authorizer = impatient(0);
    let turn = Arc::clone(&authorizer.hashing)
        .acquire_owned()
        .await
        .unwrap();
    let mut waiting = Box::pin(authorizer.authenticate(from_there("eve", "eve's")));
    let mut leaving = Box::pin(authorizer.authenticate(from_there("eve", "eve's")));
    for _ in 0..10 {
        // This task goes on meanwhile, on the only thread that there is.
        assert!(poll(&mut waiting).await.is_none() && poll(&mut leaving).await.is_none());
    }
    drop(turn);
    assert!(waiting.await.is_ok());
    drop(leaving);
    let refused = authorizer
        .authenticate(from_there("eve", "eve's"))
        .await
        .unwrap_err();
    assert!(matches!(refused, Refusal::TooManyFailures { .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn guesses_at_once_are_no_way_round_either() {
    let authorizer = Arc::new(impatient(0));
    let turn = Arc::clone(&authorizer.hashing)
        .acquire_owned()
        .await
        .unwrap();
    let guess = || {
        let authorizer = Arc::clone(&authorizer);
        tokio::spawn(async move { authorizer.authenticate(from_there("eve", "x")).await })
    };
    let guesses: Vec<_> = (0..50).map(|_| guess()).collect();
    drop(turn);
    let mut looked_at = 0;
    for guess in guesses {
        looked_at += usize::from(guess.await.unwrap().unwrap_err() == Refusal::BadCredentials);
    }
    assert_eq!(looked_at, 1);
}

async fn poll<T>(future: &mut (impl Future<Output = T> + Unpin)) -> Option<T> {
    core::future::poll_fn(|context| {
        core::task::Poll::Ready(match core::pin::Pin::new(&mut *future).poll(context) {
            core::task::Poll::Ready(output) => Some(output),
            core::task::Poll::Pending => None,
        })
    })
    .await
}

/// The threads of a server share one.
#[test]
fn an_authorizer_can_be_shared() {
    const fn shared<T: Send + Sync>(_: &T) {}
    let authorizer = authorizer(&[]);
    shared(&authorizer);
    const fn sent<T: Send>(_: &T) {}
    sent(&authorizer.authenticate(Login::default()));
    assert_eq!(
        format!("{:?}", login("u", "secret word")).find("secret"),
        None
    );
}
