//! The users file, from any text.
//!
//! What is accepted is written so that it is read as the same, and everybody in it can be asked what he
//! may do. Everything else is an error that says where.

use authorizer::{Authorizer, AuthorizerOptions, Users};

/// One file.
pub fn users_file(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let users = match Users::from_json(text) {
        Ok(users) => users,
        Err(error) => {
            let error = error.to_string();
            assert!(
                error.contains("line") && error.contains("column"),
                "{error}"
            );
            return;
        }
    };
    let written = users.to_json();
    match Users::from_json(&written) {
        Ok(read) => assert_eq!(read, users),
        Err(error) => panic!("{error} in {written}"),
    }
    let authorizer = Authorizer::new(&users, AuthorizerOptions::default());
    for name in users.names().map(Some).chain([None]) {
        let Some(permissions) = authorizer.permissions(name, "client") else {
            assert_eq!(name, None, "everybody has permissions");
            continue;
        };
        for text in ["#", "+/a", "a/#", "a/b", "$SYS/#"] {
            if permissions.may_subscribe(text) {
                assert!(
                    permissions.may_subscribe(&format!("$share/g/{text}")),
                    "{text}"
                );
            }
            let _ = permissions.may_publish(text);
        }
    }
}

/// Files to begin at.
pub fn seeds() -> Vec<Vec<u8>> {
    let mosca = include_str!("../../crates/authorizer/tests/mosca-credentials.json");
    let hash = "$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$c2FsdHNhbHRzYWx0c2FsdA";
    let rules = format!(
        r#"{{"u": {{"hash": "{hash}", "groups": ["g"], "rules": [
            {{"deny": "all", "topic": "a/%c/{{b,c}}"}}, {{"allow": "publish", "topic": "!x+(%u|[a-c])"}}]}},
            "g": {{"group": true, "authorizeSubscribe": "**"}},
            "n": {{"anonymous": true, "authorizePublish": null}}}}"#
    );
    let seeds = [mosca.to_owned(), rules, "{}".to_owned()];
    seeds.map(String::into_bytes).into()
}
