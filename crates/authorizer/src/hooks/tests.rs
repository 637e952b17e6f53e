//! Who is let in by the users file as a broker asks it, what becomes of rights when the users change, and
//! what holds for those that others have let in.

use super::*;
use crate::authorizer::AuthorizerOptions;
use crate::failures::FailureLimits;
use crate::grant::Acl;
use crate::password::HashCost;
use crate::users::Users;
use mqtt_codec::{ReasonCode, Version};

const CHEAP: HashCost = HashCost {
    memory_kib: 64,
    passes: 1,
};

const GUEST: &str = r#"{"guest": {"anonymous": true, "rules": [
    {"allow": "subscribe", "topic": "news/**"}, {"allow": "all", "topic": "own/%u/**"}]}}"#;

/// `eve` has what `rights` say, beside what `others` has.
fn users(others: &str, eve: Option<(&str, &str)>) -> Users {
    let mut users = Users::from_json(others).unwrap();
    if let Some((publish, subscribe)) = eve {
        users
            .set_password("eve", b"pencil", CHEAP, Some(publish), Some(subscribe))
            .unwrap();
    }
    users
}

fn hooks(users: &Users) -> AuthorizerHooks {
    let options = AuthorizerOptions {
        failures: FailureLimits {
            free: 1,
            ..FailureLimits::default()
        },
        ..AuthorizerOptions::default()
    };
    AuthorizerHooks::new(Arc::new(Authorizer::new(users, options)))
}

fn login<'a>(user: Option<&'a str>, password: &'a str) -> LoginRequest<'a> {
    let mut login = LoginRequest::new(Version::V5, "c");
    login.user_name = user;
    login.password = Some(password.as_bytes());
    login
}

async fn settled<T>(verdict: Verdict<T>) -> T {
    match verdict {
        Verdict::Ready(decided) => decided,
        Verdict::Pending(future) => future.await,
    }
}

/// The client that comes of it.
async fn come(
    hooks: &AuthorizerHooks,
    login: &LoginRequest<'_>,
) -> Result<Arc<Client>, ReasonCode> {
    match settled(hooks.authenticate(login)).await {
        Authentication::Accept { user, data } => {
            let client = Client::new(login.client_id, login.version);
            let client = user.into_iter().fold(client, Client::with_user);
            Ok(Arc::new(data.into_iter().fold(client, Client::with_data)))
        }
        Authentication::Refuse(refusal) => Err(refusal.reason_code),
        Authentication::Pass => panic!("it passes"),
    }
}

async fn may_publish(hooks: &AuthorizerHooks, client: &Arc<Client>, topic: &str) -> bool {
    let request = PublishRequest::new(topic, b"");
    match settled(hooks.authorize_publish(client, &request)).await {
        PublishVerdict::Allow => true,
        PublishVerdict::Deny(ReasonCode::NotAuthorized) => false,
        other => panic!("{other:?}"),
    }
}

async fn may_subscribe(hooks: &AuthorizerHooks, client: &Arc<Client>, filter: &str) -> bool {
    let request = SubscribeRequest::new(filter);
    match settled(hooks.authorize_subscribe(client, &request)).await {
        SubscribeVerdict::Allow => true,
        SubscribeVerdict::Deny(ReasonCode::NotAuthorized) => false,
        other => panic!("{other:?}"),
    }
}

async fn may_stay(hooks: &AuthorizerHooks, client: &Arc<Client>) -> bool {
    settled(hooks.may_stay(client)).await
}

#[tokio::test]
async fn a_user_logs_in_and_may_do_what_its_rules_say() {
    let hooks = hooks(&users("{}", Some(("a/*", "b/*"))));
    let eve = come(&hooks, &login(Some("eve"), "pencil")).await.unwrap();
    assert_eq!(eve.user().map(AsRef::as_ref), Some("eve"));
    assert!(may_publish(&hooks, &eve, "a/x").await);
    assert!(!may_publish(&hooks, &eve, "b/x").await);
    assert!(may_subscribe(&hooks, &eve, "b/+").await);
    assert!(may_subscribe(&hooks, &eve, "$share/g/b/+").await);
    for filter in ["b/#", "$share/g/b/#", "#", "a/x", "$share/b/x"] {
        assert!(!may_subscribe(&hooks, &eve, filter).await, "{filter}");
    }
    assert!(may_stay(&hooks, &eve).await);
}

#[tokio::test]
async fn refusals_have_the_words_of_the_version_and_an_address_that_fails_has_to_wait() {
    let hooks = hooks(&users("{}", Some(("**", "**"))));
    for (version, wrong, nobody, wait) in [
        (
            Version::V5,
            ReasonCode::BadUserNameOrPassword,
            ReasonCode::NotAuthorized,
            ReasonCode::ConnectionRateExceeded,
        ),
        (
            Version::V311,
            ReasonCode::NotAuthorized,
            ReasonCode::NotAuthorized,
            ReasonCode::ConnectionRateExceeded,
        ),
    ] {
        let mut login = login(Some("eve"), "chalk");
        login.version = version;
        let last = if version.is_v5() { 5 } else { 3 };
        login.address = Some(([192, 0, 2, last], 1).into());
        assert_eq!(come(&hooks, &login).await.unwrap_err(), wrong);
        assert_eq!(come(&hooks, &login).await.unwrap_err(), wrong);
        login.password = Some(b"pencil");
        let Authentication::Refuse(refusal) = settled(hooks.authenticate(&login)).await else {
            panic!("nobody should have looked at the password");
        };
        assert_eq!(refusal.reason_code, wait);
        let words = refusal.reason_string.unwrap();
        assert!(words.contains("failed too often"), "{words}");
        login.address = Some(([192, 0, 2, last + 1], 1).into());
        assert!(come(&hooks, &login).await.is_ok(), "others need not wait");
        login.user_name = None;
        assert_eq!(come(&hooks, &login).await.unwrap_err(), nobody);
    }
}

#[tokio::test]
async fn when_the_users_change_rights_change_with_them() {
    let hooks = hooks(&users(GUEST, Some(("a/**", "a/**"))));
    let eve = come(&hooks, &login(Some("eve"), "pencil")).await.unwrap();
    let guest = come(&hooks, &login(None, "")).await.unwrap();
    assert!(may_subscribe(&hooks, &eve, "a/#").await);
    assert!(may_subscribe(&hooks, &guest, "news/#").await);
    hooks
        .authorizer
        .replace(&users("{}", Some(("b/**", "b/**"))));
    assert!(!may_subscribe(&hooks, &eve, "a/#").await && may_publish(&hooks, &eve, "b/x").await);
    assert!(may_stay(&hooks, &eve).await);
    assert!(!may_subscribe(&hooks, &guest, "news/#").await && !may_stay(&hooks, &guest).await);
    // Without its user it may not even do what those without a name may.
    hooks.authorizer.replace(&users(GUEST, None));
    assert!(!may_stay(&hooks, &eve).await && !may_subscribe(&hooks, &eve, "news/#").await);
    assert!(may_stay(&hooks, &guest).await && may_subscribe(&hooks, &guest, "news/#").await);
}

#[tokio::test]
async fn who_shows_a_certificate_needs_no_password_and_has_the_rights_of_its_name() {
    let hooks = hooks(&users(GUEST, Some(("a/**", "a/**"))));
    let (eve, adam): (Arc<str>, Arc<str>) = ("eve".into(), "adam".into());
    let certified = |name| {
        // What is in CONNECT does not matter.
        let mut login = login(Some("root"), "x");
        login.certified = Some(name);
        login
    };
    let eves = come(&hooks, &certified(&eve)).await.unwrap();
    assert_eq!(eves.user(), Some(&eve));
    assert!(
        may_publish(&hooks, &eves, "a/x").await && !may_publish(&hooks, &eves, "own/eve/x").await
    );
    let adams = come(&hooks, &certified(&adam)).await.unwrap();
    assert!(may_publish(&hooks, &adams, "own/adam/x").await);
    assert!(!may_publish(&hooks, &adams, "own/eve/x").await && may_stay(&hooks, &adams).await);
    // Others than users are what everybody is.
    hooks.authorizer.replace(&users(GUEST, None));
    assert!(!may_publish(&hooks, &eves, "a/x").await && may_stay(&hooks, &eves).await);
    hooks.authorizer.replace(&Users::default());
    assert!(!may_stay(&hooks, &eves).await && !may_stay(&hooks, &adams).await);
    let refused = come(&hooks, &certified(&eve)).await;
    assert_eq!(refused.unwrap_err(), ReasonCode::NotAuthorized);
}

#[tokio::test]
async fn a_user_without_a_hash_comes_in_by_a_certificate_alone() {
    let text = r#"{"adam": {"authorizePublish": "a/*"}}"#;
    let hooks = hooks(&users(text, Some(("**", "**"))));
    let adam: Arc<str> = "adam".into();
    for password in ["pencil", ""] {
        let refused = come(&hooks, &login(Some("adam"), password)).await;
        assert_eq!(refused.unwrap_err(), ReasonCode::BadUserNameOrPassword);
    }
    let mut certified = LoginRequest::new(Version::V5, "c");
    certified.certified = Some(&adam);
    let adams = come(&hooks, &certified).await.unwrap();
    assert!(may_publish(&hooks, &adams, "a/x").await && !may_publish(&hooks, &adams, "b").await);
    assert!(!may_subscribe(&hooks, &adams, "a/x").await);
    // Others may know him by something else.
    let first = hooks.passing_strangers();
    let passed = settled(first.authenticate(&login(Some("adam"), "a token"))).await;
    assert!(matches!(passed, Authentication::Pass));
    // Without him nobody of that name has rights here.
    first.authorizer.replace(&users("{}", Some(("**", "**"))));
    assert!(!may_stay(&first, &adams).await);
}

#[tokio::test]
async fn who_was_let_in_by_others_has_the_rights_of_its_name_unless_it_brings_its_own() {
    let hooks = hooks(&users(GUEST, Some(("a/**", "a/**"))));
    let client = Client::new("c", Version::V5);
    let eve = Arc::new(client.clone().with_user("eve"));
    assert!(may_publish(&hooks, &eve, "a/x").await && !may_publish(&hooks, &eve, "news/x").await);
    let adam = Arc::new(client.clone().with_user("adam"));
    assert!(may_publish(&hooks, &adam, "own/adam/x").await);
    assert!(!may_publish(&hooks, &adam, "a/x").await);
    let nobody = Arc::new(client.clone());
    assert!(may_subscribe(&hooks, &nobody, "news/#").await);
    assert!(!may_publish(&hooks, &nobody, "own//x").await);

    let acl: Acl = serde_json::from_str(r#"{"publish": ["z/%u"]}"#).unwrap();
    let grant = Grant::new(Some(acl.permissions(Some("eve".into()), "c")), None);
    let granted = Arc::new(client.clone().with_user("eve").with_data(Arc::new(grant)));
    assert!(may_publish(&hooks, &granted, "z/eve").await);
    assert!(!may_publish(&hooks, &granted, "a/x").await);
    // One that says nothing may be left at many.
    let silent = Arc::new(Grant::default());
    let of = |name: &str| {
        let client = client.clone().with_user(name);
        Arc::new(client.with_data(Arc::clone(&silent) as _))
    };
    let (silent_eve, silent_adam) = (of("eve"), of("adam"));
    for _ in 0..2 {
        assert!(may_publish(&hooks, &silent_eve, "a/x").await);
        assert!(!may_publish(&hooks, &silent_adam, "a/x").await);
        assert!(may_publish(&hooks, &silent_adam, "own/adam/x").await);
    }

    hooks.authorizer.replace(&Users::default());
    assert!(!may_publish(&hooks, &eve, "a/x").await && may_stay(&hooks, &eve).await);
    assert!(!may_publish(&hooks, &silent_eve, "a/x").await);
    assert!(may_publish(&hooks, &granted, "z/eve").await);
}

#[tokio::test]
async fn strangers_are_refused_or_left_to_others_as_the_program_says() {
    let eve = users("{}", Some(("**", "**")));
    let (alone, first) = (hooks(&eve), hooks(&eve).passing_strangers());
    let adam: Arc<str> = "adam".into();
    let mut certified = login(None, "");
    certified.certified = Some(&adam);
    for stranger in [login(Some("adam"), "pencil"), login(None, ""), certified] {
        let refused = settled(alone.authenticate(&stranger)).await;
        assert!(matches!(refused, Authentication::Refuse(_)), "{stranger:?}");
        let passed = settled(first.authenticate(&stranger)).await;
        assert!(matches!(passed, Authentication::Pass), "{stranger:?}");
    }
    // Who is among the users is nobody else's business.
    let refused = come(&first, &login(Some("eve"), "chalk")).await;
    assert_eq!(refused.unwrap_err(), ReasonCode::BadUserNameOrPassword);
    assert!(come(&first, &login(Some("eve"), "pencil")).await.is_ok());
    // A password without a name is no guest's, if others may know it.
    let guests = users(GUEST, None);
    let (alone, first) = (hooks(&guests), hooks(&guests).passing_strangers());
    let with_password = login(None, "a token");
    let without = LoginRequest::new(Version::V5, "c");
    assert!(come(&alone, &with_password).await.is_ok() && come(&first, &without).await.is_ok());
    let passed = settled(first.authenticate(&with_password)).await;
    assert!(matches!(passed, Authentication::Pass));
}
