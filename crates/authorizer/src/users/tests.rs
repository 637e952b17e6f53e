//! The users file: what is read, what is refused, and what is written.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use super::*;

const CHEAP: HashCost = HashCost {
    memory_kib: 64,
    passes: 1,
};

/// As in mosca's repository: user `test`, password `test`, made by Python's `hashlib`.
const MOSCA: &str = include_str!("../../tests/mosca-credentials.json");
const HASH: &str = "$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$c2FsdHNhbHRzYWx0c2FsdA";

fn rules_of(users: &Users, wanted: &str) -> Vec<String> {
    let account = users.accounts().find(|account| account.name == wanted);
    let rules = account.map(|account| account.rules).unwrap_or_default();
    let shown = |rule: &Rule| {
        let sign = if rule.allows { '+' } else { '-' };
        format!("{sign}{:?} {}", rule.action, rule.pattern)
    };
    rules.iter().map(shown).collect()
}

#[test]
fn mosca_s_file_is_read_and_written_as_it_is() {
    let users = Users::from_json(MOSCA).unwrap();
    assert_eq!(users.names().collect::<Vec<_>>(), ["test"]);
    assert!(
        users
            .accounts()
            .all(|account| account.secret.unwrap().verify(b"test"))
    );
    assert_eq!(rules_of(&users, "test"), ["+Publish **", "+Subscribe **"]);
    assert_eq!(users.to_json().trim_end(), MOSCA.trim_end());
}

#[test]
fn patterns_that_are_null_or_missing_allow_everything_in_entries_as_mosca_has_them_only() {
    let users = Users::from_json(&format!(
        r#"{{
            "null": {{ "hash": "{HASH}", "authorizePublish": null, "authorizeSubscribe": "a" }},
            "rules": {{ "hash": "{HASH}", "rules": [] }},
            "member": {{ "hash": "{HASH}", "groups": ["g"], "authorizePublish": "p" }},
            "both": {{ "hash": "{HASH}", "groups": ["g"],
                       "rules": [{{ "deny": "publish", "topic": "x" }}] }},
            "g": {{ "group": true, "rules": [{{ "allow": "all", "topic": "g" }}] }},
            "nobody": {{ "anonymous": true, "authorizeSubscribe": "n" }}
        }}"#
    ))
    .unwrap();
    assert_eq!(rules_of(&users, "null"), ["+Publish **", "+Subscribe a"]);
    assert_eq!(rules_of(&users, "rules"), [""; 0]);
    assert_eq!(rules_of(&users, "member"), ["+Publish p", "+All g"]);
    assert_eq!(rules_of(&users, "both"), ["-Publish x", "+All g"]);
    assert_eq!(rules_of(&users, "nobody"), ["+Subscribe n"]);
    assert_eq!(
        users.names().collect::<Vec<_>>(),
        ["null", "rules", "member", "both"]
    );
    assert!(!users.accounts().any(|account| account.name == "g"));
    assert_eq!(Users::from_json(&users.to_json()).unwrap(), users);
}

#[test]
fn a_user_without_a_hash_has_the_rights_that_are_said_and_may_get_a_password() {
    let text = r#"{"bare": {}, "ruled": {"groups": ["g"], "authorizePublish": "p"},
        "g": {"group": true, "authorizeSubscribe": "s"}}"#;
    let mut users = Users::from_json(text).unwrap();
    assert_eq!(users.names().collect::<Vec<_>>(), ["bare", "ruled"]);
    assert_eq!(rules_of(&users, "bare"), [""; 0]);
    assert_eq!(rules_of(&users, "ruled"), ["+Publish p", "+Subscribe s"]);
    assert_eq!(Users::from_json(&users.to_json()).unwrap(), users);
    users
        .set_password("ruled", b"new", CHEAP, None, None)
        .unwrap();
    assert_eq!(rules_of(&users, "ruled"), ["+Publish p", "+Subscribe s"]);
    assert!(users.remove("bare").unwrap());
    assert_eq!(users.names().collect::<Vec<_>>(), ["ruled"]);
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let ok = format!(r#""hash": "{HASH}""#);
    for (text, what) in [
        ("", "line 1 column 0"),
        ("[]", "an object of users at line 1 column 0"),
        ("{\n  \"a\": 1\n}", "line 2 column 8"),
        (r#"{"a": {}} x"#, "trailing characters"),
        (
            r#"{"a": {"hash": "x"}}"#,
            "\"a\": `hash` without `salt` is not one of argon2id at line 1 column",
        ),
        (r#"{"a": {"salt": "x"}}"#, "no `hash`"),
        (r#"{"a": {"salt": "eA==", "hash": "eA=="}}"#, "PBKDF2"),
        (
            r#"{"a": {"group": true, "anonymous": true}}"#,
            "one of `hash`",
        ),
        (r#"{"a": {"group": true, "groups": []}}"#, "no other groups"),
        (
            r#"{"a": {"group": true, "color": 1}}"#,
            "unknown field `color`",
        ),
        (
            r#"{"a": {"group": true, "group": true}}"#,
            "duplicate field",
        ),
        (
            r#"{"a": {"group": true}, "a": {"group": true}}"#,
            r#""a" is there twice"#,
        ),
        (
            r#"{"a": {"anonymous": true}, "b": {"anonymous": true}}"#,
            "`anonymous` is there twice",
        ),
        (
            r#"{"a": {"anonymous": true, "groups": ["b"]}}"#,
            r#""b", which is no group"#,
        ),
        (
            r#"{"a": {"group": true, "rules": [{"topic": "a"}]}}"#,
            "`allow` or `deny`",
        ),
        (
            r#"{"a": {"group": true, "rules": [{"allow": "all"}]}}"#,
            "missing field `topic`",
        ),
        (
            r#"{"a": {"group": true, "rules": [{"allow": "write", "topic": "a"}]}}"#,
            "unknown variant",
        ),
        (
            r#"{"a": {"group": true, "rules": [{"allow": "all", "deny": "all", "topic": "a"}]}}"#,
            "`allow` or `deny`",
        ),
        (
            r#"{"a": {"group": true, "authorizePublish": "x!(!(a))"}}"#,
            "x!(!(a))",
        ),
        (r#"{"a": {"group": true}}x"#, "trailing characters"),
    ] {
        let text = text.replace("@", &ok);
        let error = Users::from_json(&text).unwrap_err().to_string();
        assert!(
            error.contains(what) && error.contains("line"),
            "{text}: {error}"
        );
    }
}

#[test]
fn a_new_password_replaces_the_user_but_takes_no_rules_away() {
    let mut users = Users::from_json(&format!(
        r#"{{
            "ruled": {{ "hash": "{HASH}", "rules": [{{ "deny": "all", "topic": "x" }}] }},
            "plain": {{ "hash": "{HASH}", "authorizePublish": "a", "authorizeSubscribe": "b" }},
            "g": {{ "group": true }}
        }}"#
    ))
    .unwrap();
    users
        .set_password("ruled", b"new", CHEAP, None, Some("s"))
        .unwrap();
    users
        .set_password("plain", b"new", CHEAP, Some("p"), None)
        .unwrap();
    users
        .set_password("added", b"new", CHEAP, None, None)
        .unwrap();
    assert_eq!(rules_of(&users, "ruled"), ["-All x", "+Subscribe s"]);
    assert_eq!(rules_of(&users, "plain"), ["+Publish p", "+Subscribe **"]);
    assert_eq!(rules_of(&users, "added"), ["+Publish **", "+Subscribe **"]);
    assert_eq!(
        users.names().collect::<Vec<_>>(),
        ["ruled", "plain", "added"]
    );
    assert!(
        users
            .accounts()
            .all(|account| account.secret.unwrap().verify(b"new"))
    );

    let before = users.clone();
    assert!(matches!(
        users.set_password("g", b"p", CHEAP, None, None),
        Err(UsersError::NoUser(_))
    ));
    assert!(matches!(
        users.set_password("plain", b"p", CHEAP, Some("{1..999}"), None),
        Err(UsersError::Pattern { .. })
    ));
    assert!(matches!(
        users.set_password("plain", b"", CHEAP, None, None),
        Err(UsersError::Password(_))
    ));
    assert!(matches!(users.remove("g"), Err(UsersError::NoUser(_))));
    assert!(!users.remove("unknown").unwrap());
    assert_eq!(users, before);
    assert!(users.remove("plain").unwrap());
    assert_eq!(users.names().collect::<Vec<_>>(), ["ruled", "added"]);
}

/// Names that mean something to JavaScript or JSON are names like others.
#[test]
fn any_text_is_a_name() {
    let mut users = Users::default();
    let names = [
        "__proto__",
        "constructor",
        "",
        "a\"b\\c",
        "\n",
        "\u{0}",
        "ü",
    ];
    for name in names {
        users.set_password(name, b"p", CHEAP, None, None).unwrap();
    }
    let read = Users::from_json(&users.to_json()).unwrap();
    assert_eq!(read, users);
    assert_eq!(read.names().collect::<Vec<_>>(), names);
}

fn files_in(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn add(path: &Path, name: &str) -> Result<(), UsersError> {
    Users::edit(path, |users| {
        users.set_password(name, b"p", CHEAP, None, None)
    })
}

#[test]
fn the_file_is_its_owner_s_alone_and_nothing_else_stays_behind() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("credentials.json");
    add(&path, "one").unwrap();
    assert_eq!(mode(&path), 0o600);
    fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    add(&path, "two").unwrap();
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(&folder.path().join(".credentials.json.lock")), 0o600);
    assert_eq!(
        files_in(folder.path()),
        [".credentials.json.lock", "credentials.json"]
    );
    assert_eq!(
        Users::load(&path).unwrap().names().collect::<Vec<_>>(),
        ["one", "two"]
    );

    let link = folder.path().join("link");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    add(&link, "three").unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(Users::load(&path).unwrap().names().count(), 3);
}

#[test]
fn a_file_that_is_corrupt_is_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("credentials.json");
    for corrupt in [&b""[..], b"{", b"{\n  \"a\": 1\n}", b"\xFF"] {
        fs::write(&path, corrupt).unwrap();
        let error = add(&path, "one").unwrap_err().to_string();
        assert!(error.contains("credentials.json"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), corrupt);
    }
    fs::write(&path, r#"{"a": {"group": true, "anonymous": true}}"#).unwrap();
    let error = Users::load(&path).unwrap_err();
    assert!(error.to_string().contains("\"a\": an entry has"), "{error}");
}

#[test]
fn what_changes_nothing_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("credentials.json");
    assert!(!Users::edit(&path, |users| users.remove("one")).unwrap());
    assert!(!path.exists());
    let error = Users::load(&path).unwrap_err();
    assert!(matches!(error, UsersError::File { .. }), "{error}");
    // Written by hand, it stays as it was written.
    let by_hand = MOSCA.replace("\n", "\n\n");
    fs::write(&path, &by_hand).unwrap();
    assert!(!Users::edit(&path, |users| users.remove("one")).unwrap());
    assert_eq!(fs::read_to_string(&path).unwrap(), by_hand);
}

#[test]
fn no_change_of_several_at_once_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let path: Arc<Path> = folder.path().join("credentials.json").into();
    let at_once: Vec<_> = (0..8)
        .map(|number| {
            let path = Arc::clone(&path);
            std::thread::spawn(move || {
                for round in 0..5 {
                    add(&path, &format!("{number}-{round}")).unwrap();
                    // Whoever reads meanwhile finds a whole file.
                    Users::load(&path).unwrap();
                }
            })
        })
        .collect();
    at_once
        .into_iter()
        .for_each(|thread| thread.join().unwrap());
    assert_eq!(Users::load(&path).unwrap().names().count(), 40);
}
